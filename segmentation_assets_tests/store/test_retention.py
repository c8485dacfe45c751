"""Old reports, databases set aside and source rows out of use are removed from the data folder, and nothing else."""

import datetime as dt
import os

import pytest

from segmentation_assets.settings.retention import Retention
from segmentation_assets.store.retention import tidied

NOW = dt.datetime(2024, 6, 1, tzinfo=dt.UTC)


@pytest.fixture
def folder(tmp_path):
    for key in ("2024-03-01", "2024-04-01", "2024-05-01"):
        for file in (f"reports/{key}/index.html", f"reports/{key}/flow.png", f"lake/features/snapshot_date={key}/part-0.parquet"):
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / file).touch()
    (tmp_path / "reports" / "my notes").mkdir()
    (tmp_path / "models").mkdir()
    for days, name in ((31, "kept-a.duckdb"), (29, "kept-b.duckdb"), (99, "duckdb")):
        file = tmp_path / f"segmentation.{name}"
        file.touch()
        os.utime(file, (0, (NOW - dt.timedelta(days=days)).timestamp()))
    return tmp_path


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_only_old_reports_and_databases_set_aside_are_removed(folder):
    before = files(folder)
    assert tidied(folder, Retention(reports=2), NOW) == [
        "1 database set aside more than 30 days ago",
        "1 report of snapshots before the newest 2",
    ]
    assert before - files(folder) == {"segmentation.kept-a.duckdb", "reports/2024-03-01/index.html", "reports/2024-03-01/flow.png"}
    assert (folder / "reports" / "my notes").exists()
    assert tidied(folder, Retention(reports=2), NOW) == []


def test_nothing_is_removed_if_all_limits_are_off(folder):
    assert tidied(folder, Retention(logs=None, set_aside=None, intake=None, reports=None), NOW) == []


def test_source_rows_are_removed_a_month_after_their_last_use(tmp_path):
    """Rows of a database have no record beside them, and stay; so does the record of the columns."""
    used, old = NOW.timestamp(), (NOW - dt.timedelta(days=31)).timestamp()
    names = {
        "orders/a.json": used,
        "orders/a.parquet": old,
        "orders/b.json": old,
        "orders/b.parquet": old,
        "customers/c.attributes.parquet": old,
        "orders/database-1-all.parquet": old,
        "orders/columns/2024-05-01.json": old,
    }
    for name, last in names.items():
        file = tmp_path / "intake" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"123")
        os.utime(file, (last, last))
    assert tidied(tmp_path, Retention(), NOW) == ["0.0 MB of source rows not used for more than 30 days"]
    assert {f"intake/{name}" for name in names} - files(tmp_path) == {
        "intake/orders/b.json", "intake/orders/b.parquet", "intake/customers/c.attributes.parquet",
    }  # fmt: skip
