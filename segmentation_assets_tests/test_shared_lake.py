"""Whole snapshots by two machines with data folders of their own, over one lake: as if one folder had made them all."""

import duckdb
import pytest

from segmentation_assets.definitions import build
from segmentation_assets.settings.lake import LakeSettings
from segmentation_assets.store import archive, sharing
from segmentation_assets.store.database_files import DATABASE
from segmentation_assets_tests.builders import D1, D2, D3, LOADED, RowsSource, line
from segmentation_assets_tests.store import servers

SHOP = RowsSource(
    [{"customer_id": "a"}, {"customer_id": "prospect"}],
    [line(c, f"2024-0{month}-{day:02} 12:00", 10.0 * month + day) for month in (1, 2, 3) for c in "abcdef" for day in range(2, 28, 6)],
    version="shop",
)


def settings(data_dir, lake=None):
    return LOADED.model_copy(update={"data_dir": data_dir, "lake": lake or LakeSettings()})


def make(machine, key):
    return build(machine, SHOP).resolve_job_def("snapshot").execute_in_process(partition_key=key, raise_on_error=False)


def tables(data_dir):
    with duckdb.connect(str(data_dir / DATABASE), read_only=True) as database:
        names = [name for (name,) in database.execute("SELECT table_name FROM duckdb_tables() ORDER BY ALL").fetchall()]
        return {name: database.execute(f"FROM {name} ORDER BY ALL").fetchall() for name in names}


@pytest.fixture(params=["folder", "bucket"])
def lake(request, tmp_path, monkeypatch):
    if request.param == "folder":
        (tmp_path / "lake").mkdir()
        yield LakeSettings(url=str(tmp_path / "lake"))
        return
    for name, value in servers.KEYS.items():
        monkeypatch.setenv(name, value)
    with servers.s3() as endpoint:
        yield LakeSettings(url=f"s3://{servers.BUCKET}/shop", endpoint=endpoint)


@pytest.mark.full  # in CI: `store/test_sharing.py` without runs
def test_two_machines_in_turn_make_what_one_would_have_made(lake, tmp_path):
    north, south, alone = settings(tmp_path / "north", lake), settings(tmp_path / "south", lake), settings(tmp_path / "alone")
    for machine, key in ((north, D1), (south, D2), (north, D3)):
        assert make(machine, key).success
        assert make(alone, key).success
    sharing.refresh(south)
    assert tables(north.data_dir) == tables(south.data_dir) == tables(alone.data_dir)
    assert archive.versions(south.data_dir) == archive.versions(alone.data_dir)
