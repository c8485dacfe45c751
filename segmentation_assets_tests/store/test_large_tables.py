"""A table of customers that becomes large is left in files, of which the database shows what was published."""

import shutil

import duckdb
import pytest

from segmentation_assets.store import database_files, published
from segmentation_assets.store.published import PublishError, export, publish_snapshot, reading
from segmentation_assets.tables import BY_NAME
from segmentation_assets_tests.builders import D1, D2, D3, put, put_snapshot
from segmentation_assets_tests.store.conftest import ask

LARGE = "SELECT CAST(snapshot_date AS VARCHAR), customer_id, recency_days FROM customer_features ORDER BY ALL"
KINDS = "SELECT table_type FROM information_schema.tables WHERE table_name = 'customer_features'"


def rows(*ids, recency_days):
    return [{"customer_id": customer, "recency_days": recency_days} for customer in ids]


def publish(lake, key, *ids, recency_days=1, largest=1):
    put_snapshot(lake, key, customer_features=rows(*ids, recency_days=recency_days))
    return publish_snapshot(lake, lake.root.parent, key, "f", largest_copied=largest)


@pytest.fixture
def grown(lake, data_dir):
    """Two snapshots: one customer at the first, copied; two at the second, too many to copy. The lake has another first one since."""
    publish(lake, D1, "a", recency_days=5)
    assert ask(data_dir, KINDS) == [("BASE TABLE",)]
    put(lake, "customer_features", D1, *rows("unchecked", recency_days=9))
    publish(lake, D2, "a", "b")
    return data_dir


def test_earlier_snapshots_are_shown_as_they_were_published(grown):
    assert ask(grown, KINDS) == [("VIEW",)]
    assert ask(grown, LARGE) == [(D1, "a", 5), (D2, "a", 1), (D2, "b", 1)]
    assert ask(grown, "SELECT customer_id FROM latest_customer_features ORDER BY ALL") == [("a",), ("b",)]


def test_it_keeps_its_types_and_comments(grown):
    with reading(grown) as connection:
        found = connection.execute(
            "SELECT column_name, data_type, comment FROM duckdb_columns() WHERE table_name = 'customer_features'"
        ).fetchall()
    named = {name: (kind, comment) for name, kind, comment in found}
    assert all(named[column.name][1] == column.description for column in BY_NAME["customer_features"].columns)
    assert named["snapshot_date"][0] == "DATE"
    assert named["recency_days"][0] == "DOUBLE"


def test_it_stays_in_files_when_it_is_small_again(lake, grown):
    publish(lake, D3, "c")
    assert ask(grown, LARGE) == [(D1, "a", 5), (D2, "a", 1), (D2, "b", 1), (D3, "c", 1)]


def test_a_snapshot_whose_publication_fails_is_not_shown(lake, grown, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(published, "take_in_snapshot", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            publish(lake, D3, "half")
    assert ask(grown, LARGE) == [(D1, "a", 5), (D2, "a", 1), (D2, "b", 1)]


def test_a_publication_that_fails_while_it_grows_is_made_up_for_by_the_next(lake, data_dir, monkeypatch):
    publish(lake, D1, "a", recency_days=5)
    with monkeypatch.context() as patched:
        patched.setattr(published, "take_in_snapshot", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            publish(lake, D2, "a", "b")
    assert ask(data_dir, LARGE) == [(D1, "a", 5)]
    publish(lake, D2, "a", "b")
    assert ask(data_dir, LARGE) == [(D1, "a", 5), (D2, "a", 1), (D2, "b", 1)]


def test_the_database_gives_back_the_space_of_what_it_copied(lake, data_dir, database):
    customers = [f"customer {number * 7919 % 100_003}" for number in range(30_000)]
    publish(lake, D1, *customers, largest=None)
    before = database.stat().st_size
    publish(lake, D2, *customers)
    assert database.stat().st_size < before
    assert ask(data_dir, "SELECT count(*) FROM customer_features") == [(60_000,)]


def test_lost_files_come_back_from_the_lake(grown):
    shutil.rmtree(grown / database_files.PRIVATE / "customer_features" / f"snapshot_date={D2}")
    assert ask(grown, LARGE)[1:] == [(D2, "a", 1), (D2, "b", 1)]


def test_a_copied_folder_shows_its_own_rows_and_a_database_copied_alone_says_what_to_do(grown, tmp_path):
    shutil.copytree(grown, tmp_path / "copy")
    with pytest.raises(duckdb.Error, match="Large tables are kept in files next to the database, which was moved or copied"):
        duckdb.connect(tmp_path / "copy" / database_files.DATABASE, read_only=True).sql(LARGE).fetchall()
    shutil.rmtree(grown / "lake")
    assert ask(tmp_path / "copy", LARGE) == [(D1, "a", 5), (D2, "a", 1), (D2, "b", 1)]


def test_an_export_holds_it_itself(grown, tmp_path):
    assert export(grown, tmp_path / "all.duckdb")["customer_features"] == 3
    with duckdb.connect(tmp_path / "all.duckdb") as exported:
        assert exported.sql(KINDS).fetchall() == [("BASE TABLE",)]


def test_snapshots_of_another_calendar_are_taken_out_of_it(grown):
    published.take_out(grown, [D1])
    assert ask(grown, LARGE) == [(D2, "a", 1), (D2, "b", 1)]


def test_a_table_with_figures_that_may_be_hidden_is_always_copied():
    assert [contract.name for contract in BY_NAME.values() if contract.can_grow and contract.cells] == []
    assert {"customers", "customer_features", "customer_segments"} <= {c.name for c in BY_NAME.values() if c.can_grow}


def test_a_reader_who_has_the_file_open_sees_no_later_snapshot(lake, grown, database):
    with duckdb.connect(database, read_only=True) as reader:
        publish(lake, D3, "c")
        assert {key for key, *_ in reader.sql(LARGE).fetchall()} == {D1, D2}


def test_nothing_is_published_where_a_table_is_missing(lake, grown):
    put(lake, "customer_features", D3, *rows("c", "d", recency_days=1))
    with pytest.raises(PublishError, match=f"Snapshot {D3} lacks"):
        publish_snapshot(lake, grown, D3, "f", largest_copied=1)


def test_names_stand_beside_ids_also_in_tables_left_in_files(lake, data_dir):
    members = "SELECT customer_id, segment_name, action_title FROM audience_members ORDER BY ALL"
    changes = "SELECT customer_id, from_segment_name, to_segment_name FROM segment_changes ORDER BY ALL"
    for key, one, largest in ((D1, "One", 9), (D2, "Uno", 1)):
        whom = [{"customer_id": who, "segment_id": 1, "action": "call", "list": key} for who in "ab"]
        moved = [{"customer_id": who, "from_segment_id": 1, "to_segment_id": 2} for who in "ab"]
        put_snapshot(
            lake, key, segments=[{"segment_id": 1, "segment_name": one}, {"segment_id": 2, "segment_name": "Two"}], audience_members=whom,
            segment_changes=moved, segment_actions=[{"segment_id": i, "play": "call", "action": f"Call {one}"} for i in (1, 2)],
        )  # fmt: skip
        publish_snapshot(lake, data_dir, key, "f", largest_copied=largest)
        if key == D1:
            assert ask(data_dir, members) == [("a", "One", "Call One"), ("b", "One", "Call One")]
    kinds = "SELECT table_type FROM information_schema.tables WHERE table_name IN ('audience_members', 'segment_changes')"
    assert ask(data_dir, kinds) == [("VIEW",), ("VIEW",)]
    assert ask(data_dir, members) == [(who, one, f"Call {one}") for who in "ab" for one in ("One", "Uno")]
    assert ask(data_dir, changes) == [(who, before, "Two") for who in "ab" for before in ("One", None)]
    target = data_dir.parent / "whole.duckdb"
    export(data_dir, target)
    with duckdb.connect(str(target)) as copy:
        assert copy.sql(members).fetchall() == ask(data_dir, members)
