"""Publishing replaces the database as a whole, even while others have it open, and loses nothing that users wrote."""

import datetime as dt
import subprocess
import sys
from contextlib import contextmanager

import duckdb
import pytest

from segmentation_assets.settings.engine import Bounds
from segmentation_assets.settings.snapshots import Snapshots
from segmentation_assets.store import database_files, master, provenance, published
from segmentation_assets.store.database_files import PublishError
from segmentation_assets.store.published import export, fingerprints, publish_snapshot, reading
from segmentation_assets.tables import CONTRACTS
from segmentation_assets_tests.builders import D1, D2, put
from segmentation_assets_tests.store.conftest import LINES, NAMES, ask, line, make, segment

IN_FORCE = "SELECT current_setting('threads'), current_setting('memory_limit'), current_setting('temp_directory')"
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


def test_who_reads_keeps_within_bounds(tmp_path):
    with duckdb.connect() as connection:
        published._keep_within(connection, Bounds(threads=1, memory="1500MB", temp_folder=tmp_path / "it's spilled"))
        found = connection.sql(IN_FORCE).fetchall()
    assert found == [(1, "1.3 GiB", str(tmp_path / "it's spilled"))]


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
        patched.setattr(master, "_remember", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            make(lake, D1, segments=[segment("half")])
    assert ask(data_dir, NAMES) == [(D1, "A")]
    make(lake, D2, segments=[segment("B")])
    assert ask(data_dir, NAMES) == [(D1, "A"), (D2, "B")]


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


def test_a_report_by_another_smallest_cell_than_the_tables_hide_by_is_refused(data_dir):
    published.refuse_other_smallest_cell(data_dir, 5)  # nothing was published yet, or by a version that did not keep the setting
    (data_dir / "publishing").mkdir(parents=True)
    (data_dir / "publishing" / "smallest_cell").write_text("10")
    published.refuse_other_smallest_cell(data_dir, 10)
    with pytest.raises(PublishError, match=r"by privacy.smallest_cell 10, and the settings have 5\..*: segmentation run --all"):
        published.refuse_other_smallest_cell(data_dir, 5)


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
    with held_open(database, "read-write"), held_open(data_dir / database_files.PRIVATE / database_files.MASTER, "read-only") as reader:
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
    assert list(provenance.recorded(data_dir / database_files.PRIVATE)) == [D1, D2]
    assert not list(data_dir.glob("*.kept-*"))
