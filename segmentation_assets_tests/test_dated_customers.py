"""From a folder of dated files to published segments over several snapshots: who left, who moved, and what later files change."""

import hashlib
import itertools
import shutil

import duckdb
import pandas as pd
import pytest

from segmentation_assets.cli.check import inspect
from segmentation_assets.definitions import build
from segmentation_assets.settings.loading import load_settings
from segmentation_assets.sources import open_source
from segmentation_assets.sources.file_profile import look_at
from segmentation_assets.sources.first_settings import write
from segmentation_assets.store import freshness, provenance, published
from segmentation_assets.store.lake import opened
from segmentation_assets_tests import tables_of_customers

pytestmark = pytest.mark.full  # in CI, dated files are read and proposed, and a table without orders makes a snapshot
KEYS = ("2026-08-01", "2026-09-01", "2026-10-01")
CARDS = tables_of_customers.dated_cards(KEYS, customers=160)
IDS = {key: set(table["CUST_ID"]) for key, table in CARDS.items()}
QUICK = "  k: 3\n  resamples: 10\n  algorithms: [kmeans]\n"


def deliver(folder, *keys):
    folder.mkdir(exist_ok=True)
    for key in keys:
        CARDS[key].to_csv(folder / f"cards_{key}.csv", index=False)


def make(settings, key):
    result = build(settings).resolve_job_def("snapshot").execute_in_process(partition_key=key, raise_on_error=False)
    assert result.success, [e.step_failure_data.error.to_string() for e in result.all_events if e.is_step_failure]


def digests(settings, key):
    """Table -> digest of its rows in the lake."""
    files = (settings.data_dir / "lake").glob(f"*/snapshot_date={key}/*.parquet")
    return {file.parts[-3]: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The settings, and the digests of each snapshot as it was when it was the newest."""
    folder = tmp_path_factory.mktemp("bank")
    deliver(folder / "cards", *KEYS[:1])
    (folder / "segmentation.yaml").write_text(write(look_at([folder / "cards"]), folder) + QUICK, encoding="utf-8")
    text = (folder / "segmentation.yaml").read_text(encoding="utf-8").replace(f"last: {KEYS[0]}", f"last: {KEYS[-1]}")
    (folder / "segmentation.yaml").write_text(text, encoding="utf-8")
    loaded = load_settings(folder / "segmentation.yaml")
    without = loaded.exploration.model_copy(update={"pictures": False})
    settings = loaded.model_copy(update={"data_dir": folder / "data", "exploration": without})
    then = {}
    for key in KEYS:
        deliver(folder / "cards", key)
        make(settings, key)
        then[key] = digests(settings, key)
    return settings, then


def asked(settings, query):
    with duckdb.connect(str(settings.data_dir / published.DATABASE), read_only=True) as database:
        return database.sql(query).fetchall()


def test_who_is_absent_has_left_and_is_in_no_segment_by_model(made):
    settings, _ = made
    placed = asked(settings, "SELECT snapshot_date::VARCHAR, customer_id, segment_id, segment_name FROM customer_segments")
    found = pd.DataFrame(placed, columns=["day", "customer", "segment", "name"])
    for position, key in enumerate(KEYS):
        own = found[found["day"] == key]
        left = set.union(*(IDS[earlier] for earlier in KEYS[: position + 1])) - IDS[key]
        assert set(own.loc[own["segment"] == -4, "customer"]) == left
        assert set(own.loc[own["segment"] > 0, "customer"]) == IDS[key]
    assert set(found.loc[found["segment"] == -4, "name"]) == {"Former customers"}
    assert left


def test_movement_and_drift_follow(made):
    settings, _ = made
    query = """SELECT snapshot_date::VARCHAR, sum(customers) FROM segment_transitions
               WHERE to_segment_id = -4 AND from_segment_id > 0 GROUP BY 1"""
    assert dict(asked(settings, query)) == {key: len(IDS[before] - IDS[key]) for before, key in itertools.pairwise(KEYS)}
    drifted = asked(settings, "SELECT DISTINCT snapshot_date::VARCHAR, test FROM drift_report ORDER BY ALL")
    assert drifted == [(key, "paired") for key in KEYS[1:]]


def test_later_files_change_no_byte_of_an_earlier_snapshot_and_a_replay_none_at_all(made):
    settings, then = made
    make(settings, KEYS[1])
    assert digests(settings, KEYS[1]) == then[KEYS[1]]


def test_a_file_issued_anew_for_an_old_date_is_noticed(made, tmp_path):
    settings, _ = made
    again = settings.model_copy(update={"data_dir": tmp_path / "data"})
    shutil.copytree(settings.data_dir, again.data_dir)
    folder = tmp_path / "cards"
    deliver(folder, *KEYS)
    table = settings.source.customers[0].model_copy(update={"files": (str(folder),)})
    again = again.model_copy(update={"source": settings.source.model_copy(update={"customers": (table,)})})
    with opened(again.data_dir) as lake:
        records = provenance.recorded(again.data_dir / published.PRIVATE)

        def late():
            return freshness.late_rows(again, open_source(again), lake, records, by_content=True).found

        assert late() == {}
        CARDS[KEYS[1]].assign(BALANCE=1.0).iloc[:-1].to_csv(folder / f"cards_{KEYS[1]}.csv", index=False)
        assert late() == {KEYS[1]: "+159 customers, -160 customers"}


def test_check_shows_the_dates_with_their_customers_and_overlap(made):
    found = inspect(made[0])
    assert found.problems == []
    stayed = len(IDS[KEYS[1]] & IDS[KEYS[0]])
    assert any("3 dates, 2026-08-01 to 2026-10-01; each lists all customers" in line for line in found.lines)
    told = f"2026-09-01: 160 customers: {stayed} of the date before ({stayed / 160:.0%}), {160 - stayed} others, {160 - stayed} absent"
    assert any(told in line and line.endswith("snapshot 2026-09-01") for line in found.lines)
