"""A data folder that an earlier version made is read, goes on, and is rolled back, by this one.

`cases/versions/v0.1.0.tar.xz` was made by the tag v0.1.0: three snapshots of a small shop, one of them rolled back, with the models, the
published database and Dagster's home.
"""

import getpass
import tarfile
from pathlib import Path

import duckdb
import pytest

from segmentation_assets_tests.conftest import called

ARCHIVES = Path(__file__).parent / "cases" / "versions"
FIRST, SECOND = "2024-03-01-e0bd2a", "2024-05-01-c4a923"  # models that are kept; the first is in force
LABELS = "SELECT customer_id, segment_id, model_version, distance FROM customer_segments WHERE snapshot_date = ? ORDER BY 1"


class Shop:
    """The folder of a shop, and what is published in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def call(self, *arguments: str) -> str:
        done = called(*arguments, data_dir=self.folder / "data", SEGMENTATION_SETTINGS=str(self.folder / "segmentation.yaml"))
        assert done.exit_code == 0, done.output
        return done.output

    def ask(self, query: str, *values: str) -> list[tuple[object, ...]]:
        with duckdb.connect(str(self.folder / "data" / "segmentation.duckdb"), read_only=True) as database:
            return database.execute(query, values).fetchall()


@pytest.fixture(params=sorted(path.name for path in ARCHIVES.iterdir()))
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Shop:
    with tarfile.open(ARCHIVES / request.param) as archive:
        archive.extractall(tmp_path, filter="data")
    return Shop(tmp_path)


def upgraded(shop: Shop) -> list[tuple[object, ...]]:
    """The labels of the last snapshot before the layouts are converted."""
    before = shop.ask(LABELS, "2024-05-01")
    assert len(before) == 60 and {row[2] for row in before} == {FIRST}
    assert "lake: layout 1, as version 0.1.0 wrote it; now 2: all models are in the archive" in shop.call("upgrade")
    assert "lake: layout 2, as this version writes it" in shop.call("upgrade")
    return before


@pytest.mark.slow
def test_a_data_folder_of_an_earlier_version_goes_on(shop: Shop) -> None:
    before = upgraded(shop)
    assert shop.ask(LABELS, "2024-05-01") == before
    shop.call("run", "--snapshot", "2024-06-01")
    shop.call("rollback", FIRST, "--snapshot", "2024-06-01")
    assert shop.ask("SELECT count(*), count(DISTINCT snapshot_date) FROM customer_segments") == [(240, 4)]
    assert shop.ask("SELECT model_version, decision FROM model_registry WHERE snapshot_date = '2024-06-01'") == [(FIRST, "rolled back")]
    assert {row[2] for row in shop.ask(LABELS, "2024-06-01")} == {FIRST}


@pytest.mark.full
def test_a_snapshot_of_an_earlier_version_that_was_rolled_back_keeps_its_labels_when_made_again(shop: Shop) -> None:
    before = upgraded(shop)
    shop.call("run", "--snapshot", "2024-05-01", "--force")
    assert shop.ask(LABELS, "2024-05-01") == before
    named = shop.ask("SELECT segment_name FROM segments WHERE snapshot_date = '2024-05-01'")
    assert ("Occasional, not seen lately",) in named  # once Dormant


@pytest.mark.full
def test_requests_on_models_of_an_earlier_version_are_withdrawn_and_made(shop: Shop) -> None:
    upgraded(shop)
    assert "2024-05-01" in shop.call("rollback", "--withdraw", "--snapshot", "2024-05-01")  # which version 0.1.0 recorded
    assert {row[2] for row in shop.ask(LABELS, "2024-05-01")} != {FIRST}
    assert "2024-05-01" in shop.call("show", "--snapshot", "2024-05-01")

    shop.call("run", "--snapshot", "2024-06-01")
    shop.call("retrain", "--force", "--reason", "spring")
    registered = shop.ask(
        "SELECT decision, requested_by, request_reason FROM model_registry WHERE snapshot_date = '2024-06-01' AND in_force"
    )
    assert registered == [("promoted", getpass.getuser(), "spring")]
