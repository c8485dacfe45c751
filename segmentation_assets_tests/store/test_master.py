"""The database has every table with its comments, and columns that fit all snapshots."""

from decimal import Decimal

import pyarrow as pa

from segmentation_assets.store import master
from segmentation_assets.store.database_files import MASTER, PRIVATE
from segmentation_assets.store.published import publish_snapshot
from segmentation_assets.tables import CONTRACTS
from segmentation_assets.tables.contract import SNAPSHOT_DATE
from segmentation_assets_tests.builders import D1, D2, put, put_snapshot
from segmentation_assets_tests.store.conftest import ask, make, segment


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
    expected = {(c.name, column.name): column.description for c in CONTRACTS for column in (SNAPSHOT_DATE, *c.published)}
    assert {name: found.get(name) for name in expected} == expected


def test_no_column_of_a_table_or_view_lacks_a_comment(lake, data_dir):
    put_snapshot(lake, D1)
    put(lake, "customers", D1, {"customer_id": "a", "age": 40}, age=pa.int64())
    publish_snapshot(lake, data_dir, D1, "f", smallest_cell=3)
    bare = "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal AND coalesce(comment, '') = ''"
    assert ask(data_dir, bare) == []
    make(lake, D2, customers=[{"customer_id": "a"}])
    assert ask(data_dir, bare) == []


def test_names_stand_beside_ids_in_every_table():
    for contract in CONTRACTS:
        published = [column.name for column in contract.published]
        ids = [name for name in published if name.endswith(("segment_id", "segment_ids"))]
        assert {name.replace("_ids", "_names").replace("_id", "_name") for name in ids} <= set(published), contract.name


def test_names_are_those_of_the_snapshot_and_the_one_before_in_the_order_of_the_ids(lake, data_dir):
    def named(*names):
        return [segment(name, number) for number, name in enumerate(names, 1)]

    moved = [{"customer_id": who, "from_segment_id": 1, "to_segment_id": 2} for who in "amz"]
    make(lake, D1, segments=named("One", "Two"))
    make(
        lake, D2, segments=named("Uno", "Dos"), segment_changes=moved,
        audience_members=[{"customer_id": "a", "action": "call", "segment_id": 2}],
        segment_events=[{"event": "split", "from_segment_ids": "1", "to_segment_ids": "2, 1"}],
        segment_actions=[{"play": "call", "action": "Call them"}],
    )  # fmt: skip
    changed = "SELECT customer_id, from_segment_name, to_segment_name FROM segment_changes"
    assert ask(data_dir, changed) == [(who, "One", "Dos") for who in "amz"]
    assert ask(data_dir, "SELECT segment_name, action_title FROM audience_members") == [("Dos", "Call them")]
    assert ask(data_dir, "SELECT from_segment_names, to_segment_names FROM segment_events") == [("One", "Dos, Uno")]


def test_segments_have_the_figures_of_the_snapshot_before_or_say_why_not(lake, data_dir):
    def sized(*sizes):
        return [{**segment(str(number), number), "customers": size, "share": 0.5, "revenue": 7.0} for number, size in sizes]

    for key, segments in ((D1, sized((1, 10), (2, 1), (3, 11))), (D2, sized((2, 30), (3, 20), (4, 40)))):
        put_snapshot(lake, key, segments=segments)
        publish_snapshot(lake, data_dir, key, "f", smallest_cell=3)
    figures = "customers_previous, share_previous, revenue_previous, previous_missing"
    there = ask(data_dir, f"SELECT {figures} FROM segments ORDER BY snapshot_date, segment_id")
    assert there[:3] == [(None, None, None, "there is no snapshot before")] * 3
    hidden, known, new = there[3:]
    assert hidden == (None, None, None, "hidden: few customers") and new == (None, None, None, "the segment is new")
    assert known == (11, 0.5, 7.0, None)


def test_latest_views_show_the_newest_snapshot_even_if_an_older_one_was_published_last(lake, data_dir):
    make(lake, D2, segments=[segment("B")], customer_segments=[{"customer_id": "new"}])
    make(lake, D1, segments=[segment("A")], customer_segments=[{"customer_id": "old"}])
    assert ask(data_dir, "SELECT segment_name FROM latest_segments") == [("B",)]
    assert ask(data_dir, "SELECT customer_id FROM latest_customer_segments") == [("new",)]


def test_every_table_of_the_database_has_a_latest_view_that_never_shows_older_rows(lake, data_dir):
    make(lake, D1, segment_events=[{"event": "born", "from_segment_ids": "", "to_segment_ids": "1", "sentence": "x"}])
    make(lake, D2)
    views = {name for (name,) in ask(data_dir, "SELECT view_name FROM duckdb_views() WHERE NOT internal")}
    assert views >= {f"latest_{contract.name}" for contract in CONTRACTS if not contract.bulky}
    assert ask(data_dir, "SELECT count(*) FROM segment_events") == [(1,)]
    assert ask(data_dir, "FROM latest_segment_events") == []


def test_order_lines_are_shown_with_their_snapshot(lake, data_dir):
    make(lake, D1, transactions=[{"customer_id": "a"}])
    make(lake, D2, transactions=[{"customer_id": "b"}])
    lines = "SELECT CAST(snapshot_date AS VARCHAR), customer_id FROM transactions ORDER BY ALL"
    assert ask(data_dir, lines) == [(D1, "a"), (D2, "b")]


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


def test_money_that_people_read_is_published_in_whole_cents_also_where_an_earlier_version_did_not(lake, data_dir):
    make(lake, D1, segments=[{**segment("A"), "revenue": 1234.5678}])
    with master.writing(data_dir / PRIVATE / MASTER) as connection:  # as version 0.1.0 left it
        connection.execute("ALTER TABLE segments ALTER COLUMN revenue SET DATA TYPE DOUBLE")
    make(lake, D2, segments=[{**segment("A"), "revenue": 0.006}])
    found = ask(data_dir, "SELECT typeof(revenue), revenue, revenue_previous FROM segments ORDER BY snapshot_date")
    assert found == [("DECIMAL(18,2)", Decimal("1234.57"), None), ("DECIMAL(18,2)", Decimal("0.01"), Decimal("1234.57"))]
