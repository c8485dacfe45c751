"""Late rows and stopped runs: exactly which snapshots are named and requested."""

import shutil
import sqlite3

import dagster as dg
import pytest

from segmentation_assets.definitions import build
from segmentation_assets.defs import automation
from segmentation_assets.defs.automation import WHY, look_for_changes
from segmentation_assets.defs.checks.source import no_rows_came_late
from segmentation_assets.engines.duckdb import DuckDBEngine
from segmentation_assets.settings.source import Tables
from segmentation_assets.sources import open_source
from segmentation_assets.sources.base import window_of
from segmentation_assets.store.freshness import SENTENCES, Cause
from segmentation_assets.store.lake import Lake
from segmentation_assets.store.provenance import ENTITIES, Fingerprint
from segmentation_assets.store.published import publish_snapshot
from segmentation_assets.tables import BY_NAME, CONTRACTS
from segmentation_assets_tests.builders import D1, D2, D3, LOADED, put

FILES = {
    "orders": {
        "1.csv": "id,day,paid\n" + "".join(f"{c},2024-01-{day:02},{day}\n" for c in "abcdef" for day in (5, 15)),
        "2.csv": "id,day,paid\na,2024-02-10,50\nnew,2024-02-11,20\n",
    },
    "events": {"1.csv": "id,what,day\na,visit,2024-01-03\nb,visit,2024-02-03\n"},
    "people": {"1.csv": "id,since,age\na,2023-05-01,40\nb,2024-02-05,30\n"},
}
LATE = {
    "orders": {D1: "b,2024-01-20,7\n", D2: "b,2024-02-20,7\n"},
    "events": {D1: "c,visit,2024-01-20\n", D2: "c,visit,2024-02-20\n"},
    "people": {D1: "q,2024-01-20,50\n", D2: "q,2024-02-20,50\n"},
}


class Shop:
    """A shop's files and their snapshots, in one folder."""

    def __init__(self, folder):
        self.folder = folder
        tables = {
            "transactions": {"files": str(folder / "orders"), "columns": {"customer_id": "id", "ordered_at": "day", "amount": "paid"}},
            "events": {"files": str(folder / "events"), "columns": {"customer_id": "id", "event_type": "what", "event_at": "day"}},
            "customers": {"files": str(folder / "people"), "columns": {"customer_id": "id", "known_at": "since"}},
        }
        self.settings = LOADED.model_copy(
            update={"data_dir": folder / "data", "source": Tables.model_validate({"kind": "tables", **tables})}
        )

    def make(self, key, stopped=False, publish=True):
        """Collect the source, and unless stopped, make all other tables empty and publish; return the check's description."""
        engine, source = DuckDBEngine(threads=1), open_source(self.settings)
        lake = Lake(self.settings.data_dir / "lake", engine)
        try:
            for entity in ENTITIES:
                rows = getattr(source, entity)(engine, window_of(key, self.settings.snapshots))
                lake.stage(BY_NAME[f"raw_{entity}"], key, rows).commit()
            for contract in CONTRACTS if not stopped else ():
                if not contract.name.startswith("raw_"):
                    put(lake, contract.name, key)
            if stopped or not publish:
                return None
            publish_snapshot(lake, self.settings.data_dir, key, Fingerprint.now(self.settings, source.fingerprint(), key).text())
            check = no_rows_came_late
            return check(dg.build_op_context(partition_key=key), self.settings, source, lake).description
        finally:
            engine.close()

    def add(self, what, key):
        with (self.folder / what / "1.csv").open("a") as file:
            file.write(LATE[what][key])

    def look(self, cursor=None):
        """The (job, snapshot) of each request, or the reason why there is none; and the cursor."""
        with dg.DagsterInstance.ephemeral() as instance:
            found = look_for_changes(self.settings, instance, cursor)
        if isinstance(found, dg.SkipReason):
            return found.skip_message, cursor
        return [(one.job_name, one.partition_key) for one in found.run_requests] or found.skip_reason.skip_message, found.cursor


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    for name, files in FILES.items():
        (folder / name).mkdir()
        for file, text in files.items():
            (folder / name / file).write_text(text)
    shop = Shop(folder)
    for key in (D1, D2):
        assert shop.make(key) is None
    return folder


@pytest.fixture
def shop(made, tmp_path):
    """A copy of a folder with two snapshots."""
    return Shop(shutil.copytree(made, tmp_path / "shop"))


BOTH, SECOND = [("snapshot", D1), ("snapshot", D2)], [("snapshot", D2)]
OTHER, EARLIER = SENTENCES[Cause.LATE_ROWS], SENTENCES[Cause.EARLIER]
UNCHANGED = "Something has changed, but it affects no snapshot that was made."


def test_nothing_is_requested_if_nothing_changed(shop):
    first, cursor = shop.look()
    assert first == UNCHANGED
    assert shop.look(cursor) == ("Neither the source nor the lake has changed.", cursor)


@pytest.mark.parametrize(
    ("what", "key", "asked"),
    [
        ("orders", D1, BOTH),
        ("events", D2, SECOND),
        ("people", D1, BOTH),
        *(
            pytest.param(what, key, asked, marks=pytest.mark.full)
            for what, key, asked in (("orders", D2, SECOND), ("events", D1, BOTH), ("people", D2, SECOND))
        ),
    ],
)
def test_late_rows_request_their_snapshot_and_later_ones(shop, what, key, asked):
    shop.add(what, key)
    assert shop.look()[0] == asked


def test_rows_of_future_snapshots_request_nothing(shop):
    (shop.folder / "orders" / "3.csv").write_text("id,day,paid\na,2024-03-10,50\n")
    assert shop.look()[0] == UNCHANGED


def test_the_next_snapshot_counts_late_rows_and_says_what_to_run(shop):
    shop.add("orders", D1)
    shop.add("events", D1)
    shop.add("people", D2)
    assert shop.make(D3) == (
        f"{D1}: {OTHER} (+1 transaction, +1 event); {D2}: {OTHER} (+1 customer); {D3}: {EARLIER} ({D1}). "
        f"Make them again: segmentation run --from {D1} --force"
    )


def test_rows_collected_by_a_stopped_run_are_still_counted_and_requested(shop):
    shop.add("orders", D1)
    _, cursor = shop.look()
    shop.make(D1, stopped=True)
    again, after = shop.look(cursor)
    assert again == BOTH
    stopped = SENTENCES[Cause.STOPPED]
    assert shop.make(D3).startswith(f"{D1}: {OTHER} (+1 transaction); {stopped}; {D2} to {D3}: {EARLIER} ({D1}). Make them")
    shop.make(D1)
    assert shop.look(after)[0] == [*SECOND, ("snapshot", D3)]
    shop.make(D2)
    assert shop.make(D3) is None
    assert shop.look()[0] == UNCHANGED


def test_a_run_that_keeps_stopping_on_the_same_rows_is_not_requested_forever(shop):
    shop.add("orders", D1)
    keys = []
    for _ in range(3):
        with dg.DagsterInstance.ephemeral() as instance:
            keys.append([one.run_key for one in look_for_changes(shop.settings, instance, None).run_requests])
        shop.make(D1, stopped=True)
    assert keys[0] != keys[1] == keys[2]  # Dagster makes one run per key


def test_collecting_the_same_rows_again_changes_nothing(shop):
    _, cursor = shop.look()
    shop.make(D1, stopped=True)
    assert shop.look(cursor)[0] == UNCHANGED


def test_a_table_lost_from_the_lake_requests_its_snapshot(shop):
    _, cursor = shop.look()
    (shop.settings.data_dir / "lake" / "segments" / f"snapshot_date={D2}" / "part-0.parquet").unlink()
    assert shop.look(cursor)[0] == SECOND


def test_a_snapshot_with_features_only_gets_features_only_again(made, tmp_path):
    shop = Shop(shutil.copytree(made, tmp_path / "shop", ignore=shutil.ignore_patterns("data")))
    shop.make(D1, publish=False)
    shop.make(D2)
    assert shop.look()[0] == UNCHANGED
    shop.add("orders", D1)
    asked = [("features", D1), ("snapshot", D2)]
    _, cursor = shop.look()
    assert shop.look()[0] == asked
    shop.make(D1, stopped=True)
    assert shop.look(cursor)[0] == asked
    shop.make(D1, publish=False)
    assert shop.look(cursor)[0] == SECOND


def test_the_sensor_makes_run_requests_with_the_reason(shop):
    shop.add("orders", D2)
    sensor = automation.source_changes_sensor(shop.settings)
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(instance, repository_def=build(shop.settings).get_repository_def())
        requests = sensor.evaluate_tick(context).run_requests
    assert [(one.job_name, one.partition_key, one.tags[WHY]) for one in requests] == [("snapshot", D2, f"{D2}: {OTHER} (+1 transaction)")]


def test_late_rows_of_a_database_are_counted_too(shop):
    def table(name):
        return {"url": f"sqlite:///{shop.folder / 'shop.db'}", "table": name}

    with sqlite3.connect(shop.folder / "shop.db") as database:
        database.execute("create table orders (id text, day timestamp, paid real)")
        database.executemany("insert into orders values (?, ?, 1)", [("a", "2024-01-05 00:00:00"), ("b", "2024-02-05 00:00:00")])
    columns = {"customer_id": "id", "ordered_at": "day", "amount": "paid"}
    source = Tables.model_validate({"kind": "tables", "transactions": {**table("orders"), "columns": columns}})
    shop.settings = shop.settings.model_copy(update={"source": source, "data_dir": shop.folder / "other"})
    for key in (D1, D2):
        assert shop.make(key) is None
    with sqlite3.connect(shop.folder / "shop.db") as database:
        database.execute("insert into orders values ('c', '2024-02-07 00:00:00', 1)")
    assert shop.look()[0] == SECOND
    assert shop.make(D3).startswith(f"{D2}: {OTHER} (+1 transaction); {D3}: {EARLIER} ({D2}). Make them")


def test_nothing_is_requested_while_a_snapshot_is_being_made(shop):
    shop.add("orders", D1)
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_run(dg.DagsterRun(job_name="segment", status=dg.DagsterRunStatus.STARTED))
        found = look_for_changes(shop.settings, instance, None)
    assert found.skip_message == "A snapshot is being made."
