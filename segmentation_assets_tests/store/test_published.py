"""Publishing replaces the database as a whole, even while others have it open, and loses nothing that users wrote."""

import datetime as dt
import shutil
import subprocess
import sys
from contextlib import contextmanager

import duckdb
import pyarrow as pa
import pytest

from segmentation_assets.settings.snapshots import Snapshots
from segmentation_assets.store import provenance, published
from segmentation_assets.store.lake import opened
from segmentation_assets.store.published import PublishError, export, fingerprints, publish_snapshot, reading
from segmentation_assets.tables import CONTRACTS
from segmentation_assets.tables.contract import SNAPSHOT_DATE
from segmentation_assets_tests.builders import D1, D2, put, put_snapshot


@pytest.fixture
def data_dir(lake):
    return lake.root.parent


@pytest.fixture
def database(data_dir):
    return data_dir / published.DATABASE


def segment(name, segment_id=1):
    return {"segment_id": segment_id, "segment_name": name}


def make(lake, key, fingerprint="f", **rows):
    put_snapshot(lake, key, **rows)
    return publish_snapshot(lake, lake.root.parent, key, fingerprint)


def ask(data_dir, query):
    with reading(data_dir) as connection:
        return connection.sql(query).fetchall()


NAMES = "SELECT CAST(snapshot_date AS VARCHAR), segment_name FROM segments ORDER BY ALL"

HOLDER = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "read-only")
connection.execute("SET threads = 1")
for query in sys.stdin:
    print(connection.sql(query).fetchall() if query.startswith("FROM") else connection.execute(query) and "done", flush=True)
"""


@contextmanager
def held_open(database, mode):
    """A function that runs queries in another process, which holds the database open."""
    command = [sys.executable, "-c", HOLDER, str(database), mode]
    process = subprocess.Popen(command, stdin=-1, stdout=-1, text=True)  # a program of our own

    def run(query):
        process.stdin.write(query + "\n")
        process.stdin.flush()
        return process.stdout.readline().strip()

    try:
        yield run
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def notes_in(kept):
    with duckdb.connect(str(kept)) as connection:
        return connection.sql("FROM notes").fetchall()


def test_a_snapshot_is_published_with_its_date(lake, data_dir):
    made = make(lake, D1, segments=[segment("A"), segment("B", 2)])
    assert ask(data_dir, NAMES) == [(D1, "A"), (D1, "B")]
    assert (made.rows["segments"], made.snapshots, made.kept) == (2, 1, None)


def test_publishing_again_replaces_the_rows_of_that_snapshot_only(lake, data_dir):
    make(lake, D1, segments=[segment("A")])
    make(lake, D2, segments=[segment("B")])
    assert make(lake, D1, segments=[segment("C")]).snapshots == 2
    assert ask(data_dir, NAMES) == [(D1, "C"), (D2, "B")]


def test_a_snapshot_that_lacks_a_table_is_refused_and_the_database_stays(lake, data_dir, database):
    make(lake, D1, segments=[segment("A")])
    before = database.read_bytes()
    put(lake, "segments", D2)
    with pytest.raises(
        PublishError, match=rf"Snapshot {D2} lacks raw_customers, .*Run the whole snapshot: segmentation run --snapshot {D2}"
    ):
        publish_snapshot(lake, data_dir, D2, "f")
    assert database.read_bytes() == before


def test_a_failed_publication_harms_neither_the_database_nor_the_next_one(lake, data_dir, monkeypatch):
    make(lake, D1, segments=[segment("A")])
    with monkeypatch.context() as patched:
        patched.setattr(published, "_remember", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            make(lake, D1, segments=[segment("half")])
    assert ask(data_dir, NAMES) == [(D1, "A")]
    make(lake, D2, segments=[segment("B")])
    assert ask(data_dir, NAMES) == [(D1, "A"), (D2, "B")]


def test_a_new_attribute_becomes_a_column_that_older_snapshots_lack(lake, data_dir):
    make(lake, D1, customers=[{"customer_id": "a"}])
    put_snapshot(lake, D2)
    put(lake, "customers", D2, {"customer_id": "a", "age": 40}, age=pa.int64())
    publish_snapshot(lake, data_dir, D2, "f")
    assert ask(data_dir, "SELECT age FROM customers ORDER BY snapshot_date") == [(None,), (40,)]


def test_a_removed_attribute_keeps_its_column(lake, data_dir):
    put_snapshot(lake, D1)
    put(lake, "customers", D1, {"customer_id": "a", "age": 40}, age=pa.int64())
    publish_snapshot(lake, data_dir, D1, "f")
    make(lake, D2, customers=[{"customer_id": "a"}])
    assert ask(data_dir, "SELECT age FROM customers ORDER BY snapshot_date") == [(40,), (None,)]


def test_every_table_exists_and_has_a_comment(lake, data_dir):
    make(lake, D1)
    tables = "SELECT table_name, comment FROM duckdb_tables() UNION SELECT view_name, comment FROM duckdb_views() WHERE NOT internal"
    comments = dict(ask(data_dir, tables))
    assert {c.name: comments[c.name] for c in CONTRACTS} == {c.name: c.description for c in CONTRACTS}
    assert [name for name, comment in comments.items() if not comment] == []


def test_every_column_of_every_contract_has_its_comment(lake, data_dir):
    make(lake, D1)
    found = {
        (table, column): comment
        for table, column, comment in ask(data_dir, "SELECT table_name, column_name, comment FROM duckdb_columns()")
    }
    expected = {(c.name, column.name): column.description for c in CONTRACTS for column in (SNAPSHOT_DATE, *c.columns)}
    assert {name: found.get(name) for name in expected} == expected


def test_latest_views_show_the_newest_snapshot_even_if_an_older_one_was_published_last(lake, data_dir):
    make(lake, D2, segments=[segment("B")], customer_segments=[{"customer_id": "new"}])
    make(lake, D1, segments=[segment("A")], customer_segments=[{"customer_id": "old"}])
    assert ask(data_dir, "SELECT segment_name FROM latest_segments") == [("B",)]
    assert ask(data_dir, "SELECT customer_id FROM latest_customer_segments") == [("new",)]


def test_order_lines_are_shown_with_their_snapshot(lake, data_dir):
    make(lake, D1, transactions=[{"customer_id": "a"}])
    make(lake, D2, transactions=[{"customer_id": "b"}])
    lines = "SELECT CAST(snapshot_date AS VARCHAR), customer_id FROM transactions ORDER BY ALL"
    assert ask(data_dir, lines) == [(D1, "a"), (D2, "b")]


LINES = "SELECT order_id FROM transactions ORDER BY ALL"


def line(order: str) -> dict[str, object]:
    """A row of the cleaned order lines."""
    return {"order_id": order}


@pytest.mark.parametrize(
    ("how", "refusal"),
    [("moved", "No files found"), ("copied", r"which was moved or copied\. Run a command there first, such as segmentation show: .*other")],
)
def test_a_moved_or_copied_folder_has_its_own_order_lines(how, refusal, lake, data_dir, tmp_path):
    make(lake, D1, transactions=[line("original")])
    other = tmp_path / "other"
    (shutil.move if how == "moved" else shutil.copytree)(data_dir, other)
    if how == "copied":
        make(lake, D1, transactions=[line("changed")])
    with (
        duckdb.connect(str(other / published.DATABASE), read_only=True) as elsewhere,
        pytest.raises(duckdb.Error, match=refusal),
    ):
        elsewhere.sql(LINES).fetchall()
    assert ask(other, LINES) == [("original",)]
    with duckdb.connect(str(other / published.DATABASE), read_only=True) as elsewhere:
        assert elsewhere.sql(LINES).fetchall() == [("original",)]
    if how == "copied":
        assert ask(data_dir, LINES) == [("changed",)]
    assert not list(other.glob("*.kept-*"))  # copying does not count as writing


def test_tables_written_by_a_user_into_a_copy_are_set_aside(lake, data_dir, tmp_path):
    make(lake, D1)
    other = tmp_path / "other"
    shutil.copytree(data_dir, other)
    with duckdb.connect(str(other / published.DATABASE)) as mine:
        mine.execute("CREATE TABLE notes AS SELECT 1 AS note")
    ask(other, NAMES)
    (kept,) = other.glob("*.kept-*.duckdb")
    with duckdb.connect(str(kept), read_only=True) as found:
        assert found.sql("FROM notes").fetchall() == [(1,)]


def test_order_lines_made_again_are_invisible_until_published(lake, data_dir):
    make(lake, D1, transactions=[{"customer_id": "a"}])
    put(lake, "transactions", D1, {"customer_id": "unchecked"})
    assert ask(data_dir, "SELECT customer_id FROM transactions") == [("a",)]
    publish_snapshot(lake, data_dir, D1, "f")
    assert ask(data_dir, "SELECT customer_id FROM transactions") == [("unchecked",)]


def test_fingerprints_are_kept_by_snapshot(lake, data_dir):
    assert fingerprints(data_dir) == {}
    make(lake, D1, "one")
    make(lake, D2, "two")
    make(lake, D1, "three")
    assert fingerprints(data_dir) == {D1: "three", D2: "two"}


def test_reading_before_the_first_publication_says_what_to_run(data_dir):
    with pytest.raises(PublishError, match="does not exist yet"), reading(data_dir):
        pass


def test_open_readers_keep_the_old_snapshot_and_new_readers_see_the_new_one(lake, data_dir, database):
    make(lake, D1, segments=[segment("old")])
    with held_open(database, "read-only") as holder:
        assert holder("FROM (SELECT segment_name FROM segments)") == "[('old',)]"
        assert make(lake, D1, segments=[segment("new")]).kept is None
        assert holder("FROM (SELECT segment_name FROM segments)") == "[('old',)]"
        assert ask(data_dir, NAMES) == [(D1, "new")]


def test_tables_are_read_from_the_master_while_the_public_file_is_locked(lake, data_dir, database):
    make(lake, D1, segments=[segment("kept")])
    with held_open(database, "read-write") as holder:
        assert holder("FROM (SELECT segment_name FROM segments)") == "[('kept',)]"
        with reading(data_dir) as connection:
            assert connection.execute("SELECT segment_name FROM segments").fetchall() == [("kept",)]


def test_a_reader_of_the_master_blocks_no_publication_and_sees_the_old_snapshot(lake, data_dir, database):
    make(lake, D1, segments=[segment("old")])
    with held_open(database, "read-write"), held_open(data_dir / published.PRIVATE / published.MASTER, "read-only") as reader:
        assert reader("FROM (SELECT segment_name FROM segments)") == "[('old',)]"
        make(lake, D1, segments=[segment("new")])
        assert reader("FROM (SELECT segment_name FROM segments)") == "[('old',)]"
    assert ask(data_dir, NAMES) == [(D1, "new")]


def test_a_writer_of_the_public_file_blocks_no_publication(lake, data_dir, database):
    make(lake, D1, segments=[segment("old")])
    with held_open(database, "read-write") as holder:
        holder("FROM (SELECT 1)")
        make(lake, D1, segments=[segment("new")])
        assert ask(data_dir, NAMES) == [(D1, "new")]


def test_tables_that_a_user_writes_after_a_publication_are_set_aside_on_closing(lake, data_dir, database):
    make(lake, D1, segments=[segment("old")])
    with held_open(database, "read-write") as holder:
        holder("FROM (SELECT 1)")
        kept = make(lake, D1, segments=[segment("new")]).kept
        holder("CREATE TABLE notes AS SELECT 42 AS note")
        holder("CHECKPOINT")
    assert notes_in(kept) == [(42,)]


def test_tables_that_a_user_wrote_before_and_closed_are_set_aside(lake, data_dir, database):
    make(lake, D1, segments=[segment("old")])
    with duckdb.connect(str(database)) as connection:
        connection.execute("CREATE TABLE notes AS SELECT 42 AS note")
    assert notes_in(make(lake, D1, segments=[segment("new")]).kept) == [(42,)]
    assert ask(data_dir, NAMES) == [(D1, "new")]


def test_opening_without_writing_leaves_nothing_to_set_aside(lake, data_dir, database):
    make(lake, D1, segments=[segment("old")])
    with duckdb.connect(str(database)) as connection:
        connection.execute("FROM segments")
    assert make(lake, D1, segments=[segment("new")]).kept is None


def test_tables_that_a_user_has_just_written_are_set_aside_complete(lake, data_dir, database):
    make(lake, D1, segments=[segment("old")])
    with held_open(database, "read-write") as holder:
        assert holder("CREATE TABLE notes AS SELECT 42 AS note") == "done"
        kept = make(lake, D1, segments=[segment("new")]).kept
        assert ask(data_dir, NAMES) == [(D1, "new")]
    assert kept.parent == data_dir
    assert kept.match("segmentation.kept-*.duckdb")
    assert notes_in(kept) == [(42,)]
    with duckdb.connect(str(kept)) as connection:
        assert connection.sql("SELECT segment_name FROM segments").fetchall() == [("old",)]


def test_the_log_of_a_killed_writer_is_set_aside_and_blocks_nobody(lake, data_dir, database):
    make(lake, D1, segments=[segment("old")])
    with held_open(database, "read-write") as holder:
        holder("CREATE TABLE notes AS SELECT 42 AS note")
    assert database.with_name(f"{database.name}.wal").exists()
    kept = make(lake, D2, segments=[segment("new")]).kept
    assert ask(data_dir, NAMES) == [(D1, "old"), (D2, "new")]
    assert notes_in(kept) == [(42,)]


def test_an_export_holds_every_table_natively(lake, data_dir, tmp_path):
    make(lake, D1, transactions=[{"customer_id": "a"}], segments=[segment("A")])
    target = tmp_path / "deep" / "out.duckdb"
    counts = export(data_dir, target)
    assert (counts["transactions"], counts["segments"], set(counts)) == (1, 1, {c.name for c in CONTRACTS})
    moved = target.rename(tmp_path / "moved.duckdb")  # it needs neither the lake nor its original path
    with duckdb.connect(str(moved), read_only=True) as connection:
        tables = {name for (name,) in connection.sql("SELECT table_name FROM duckdb_tables()").fetchall()}
        assert tables >= {c.name for c in CONTRACTS}
        assert connection.sql("SELECT customer_id FROM transactions").fetchall() == [("a",)]
        assert connection.sql("SELECT segment_name FROM latest_segments").fetchall() == [("A",)]


def test_an_export_has_the_comments(lake, data_dir, tmp_path):
    make(lake, D1)
    export(data_dir, tmp_path / "out.duckdb")
    with duckdb.connect(str(tmp_path / "out.duckdb"), read_only=True) as connection:
        comments = dict(connection.sql("SELECT table_name, comment FROM duckdb_tables()").fetchall())
    assert {c.name: comments[c.name] for c in CONTRACTS} == {c.name: c.description for c in CONTRACTS}


def test_an_export_refuses_a_target_that_exists(lake, data_dir, tmp_path):
    make(lake, D1)
    target = tmp_path / "precious.txt"
    target.write_text("mine")
    with pytest.raises(PublishError, match=r"precious\.txt already exists\. Name a new file"):
        export(data_dir, target)
    assert target.read_text() == "mine"


def test_an_export_before_the_first_publication_says_what_to_run_and_leaves_no_file(data_dir, tmp_path):
    with pytest.raises(PublishError, match="segmentation run --all"):
        export(data_dir, tmp_path / "out.duckdb")
    assert list(tmp_path.glob("*out.duckdb*")) == []


def attribute(lake, key, value, kind):
    put_snapshot(lake, key)
    put(lake, "customers", key, {"customer_id": "c", "age": value}, age=kind)
    publish_snapshot(lake, lake.root.parent, key, "f")


AGES = "SELECT CAST(snapshot_date AS VARCHAR), age, typeof(age) FROM customers ORDER BY 1"


def test_an_attribute_whose_type_changes_is_text_until_all_snapshots_agree(lake, data_dir):
    attribute(lake, D1, 40.0, pa.float64())
    attribute(lake, D2, "about 40", pa.string())
    assert ask(data_dir, AGES) == [(D1, "40.0", "VARCHAR"), (D2, "about 40", "VARCHAR")]
    attribute(lake, D2, 41.0, pa.float64())
    assert ask(data_dir, AGES) == [(D1, 40.0, "DOUBLE"), (D2, 41.0, "DOUBLE")]


def test_another_calendar_is_refused_but_a_longer_one_is_not(lake, data_dir):
    make(lake, D1)
    make(lake, D2)
    first = dt.date.fromisoformat(D1)
    longer = Snapshots(first=first.replace(year=2020))
    for fits in (Snapshots(first=first), Snapshots(first=first, last=first), longer, Snapshots(first=first, cadence="daily")):
        published.require_calendar(data_dir, fits)
    for other in (Snapshots(first=dt.date.fromisoformat(D2)), Snapshots(first=first, cadence="weekly")):
        with pytest.raises(PublishError, match=r"counted in both\. Nothing was written\. .*: segmentation upgrade --take-out"):
            published.require_calendar(data_dir, other)


def test_restoring_an_older_master_loses_no_published_snapshot(lake, data_dir):
    make(lake, D1, segments=[segment("A")])
    master = data_dir / published.PRIVATE / published.MASTER
    older = master.read_bytes()
    make(lake, D2, segments=[segment("B")])
    master.write_bytes(older)
    make(lake, D1, segments=[segment("C")])
    assert ask(data_dir, NAMES) == [(D1, "C"), (D2, "B")]


def test_snapshots_of_another_calendar_can_be_removed(lake, data_dir):
    """An earlier version could mix calendars, which counted order lines twice."""
    other = "2024-02-15"
    for key in (D1, other, D2):
        make(lake, key, segments=[segment(key)], transactions=[line(key)])
    calendar = Snapshots(first=dt.date.fromisoformat(D1))
    assert published.foreign_keys(data_dir, calendar) == [other]
    published.take_out(data_dir, [other])
    published.require_calendar(data_dir, calendar)
    assert (ask(data_dir, NAMES), ask(data_dir, LINES)) == ([(D1, D1), (D2, D2)], [(D1,), (D2,)])
    assert list(provenance.recorded(data_dir / published.PRIVATE)) == [D1, D2]
    assert not list(data_dir.glob("*.kept-*"))


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A folder with a published snapshot, and a file outside its data folder."""
    folder = tmp_path_factory.mktemp("shop")
    with opened(folder / "data") as lake:
        make(lake, D1, transactions=[{"customer_id": "a"}], segments=[segment("A")])
    (folder / "secret").write_text("x")
    return folder


@pytest.fixture
def confined(shop):
    """A connection as `segmentation sql` opens it."""
    with reading(shop / "data") as connection:
        published.confine(connection, shop / "data")
        yield connection


READS = [
    "FROM segments",
    "FROM transactions",
    "EXPLAIN ANALYZE FROM segments",
    "PIVOT segments ON segment_name USING count(*)",
    "CREATE TEMP TABLE mine AS FROM transactions; INSERT INTO mine FROM mine; FROM mine",
]


@pytest.mark.parametrize("query", READS)
def test_a_confined_connection_reads_tables_and_order_lines(confined, query):
    for statement in published.statements(confined, query):
        rows = confined.execute(statement.query).fetchall()
    assert rows


REACHES_OUT = [
    "FROM read_text('{secret}')",
    "FROM read_csv('{secret}')",
    "FROM '{lines}/../../../../secret'",
    "FROM glob('/*')",
    "FROM read_csv('http://127.0.0.1:9/x')",
    "ATTACH '{secret}.duckdb'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET enable_external_access = true",
    "EXPORT DATABASE '{lines}/all'",
    "COPY segments TO '{secret}.csv'",
    "COPY segments TO '{lines}/more.csv'",
    "COPY (PIVOT segments ON segment_name USING count(*)) TO '{lines}/more.csv'",
    "EXPLAIN /* quietly */ ANALYZE COPY segments TO '{lines}/more.csv'",
    "PREPARE later AS COPY segments TO '{lines}/more.csv'; EXECUTE later",
    "FROM segments; COPY segments TO '{lines}/more.csv'",
]


@pytest.mark.parametrize("query", REACHES_OUT)
def test_a_confined_connection_reaches_and_writes_nothing_else(confined, shop, query):
    before = sorted(shop.rglob("*"))
    reaching_out = query.format(secret=shop / "secret", lines=shop / "data" / published.PRIVATE / "transactions")
    with pytest.raises((PublishError, duckdb.Error)):
        for statement in published.statements(confined, reaching_out):
            confined.execute(statement.query)
    assert sorted(shop.rglob("*")) == before


def test_figures_of_few_customers_are_hidden_and_said_to_be_so_but_stay_in_the_lake(lake, data_dir):
    sizes = (("empty", 0), ("few", 4), ("enough", 5))
    rows = [
        {**segment(name, i), "customers": n, "share": n / 10, "revenue": 1.0, "description": "d"} for i, (name, n) in enumerate(sizes, 1)
    ]
    profiles = [{"segment_id": i, "feature": "frequency", "mean": 2.0, "population_mean": 3.0} for i in (1, 2, 3)]
    put_snapshot(lake, D1, segments=rows, segment_profiles=profiles)
    publish_snapshot(lake, data_dir, D1, "f", smallest_cell=5)
    few = "fewer than 5 customers"
    shown = [("empty", 0, 0.0, 1.0, "d", None), ("few", None, None, None, None, few), ("enough", 5, 0.5, 1.0, "d", None)]
    query = "SELECT segment_name, customers, share, revenue, description, small_cell FROM segments ORDER BY segment_id"
    assert ask(data_dir, query) == shown
    about = "SELECT mean, population_mean, small_cell FROM segment_profiles ORDER BY segment_id"
    assert ask(data_dir, about) == [(2.0, 3.0, None), (None, 3.0, few), (2.0, 3.0, None)]
    for file in (data_dir / published.DATABASE, data_dir / published.PRIVATE / published.MASTER):
        file.unlink()
    assert ask(data_dir, query) == shown  # rebuilt from the lake, which keeps all figures
    assert duckdb.sql(f"SELECT customers FROM '{lake.file('segments', D1)}' ORDER BY segment_id").fetchall() == [(0,), (4,), (5,)]
