"""Partitions are replaced as a whole, and the same rows give the same bytes."""

import datetime as dt
import tempfile
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import ibis
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentation_assets.engines.duckdb import DuckDBEngine
from segmentation_assets.store.lake import KEPT_BYTES, Lake, LakeError, partition_keys, to_frame
from segmentation_assets.tables import BY_NAME
from segmentation_assets.tables.audit import violations
from segmentation_assets.tables.contract import Column, Contract, required
from segmentation_assets_tests.builders import D1, D2, D3, table

SALES = Contract(
    "sales", "sale",
    (required("id", "string", "Id."), Column("lines", "int64", "Lines."), Column("paid", "decimal(18, 4)", "Paid.")),
    key=("id",),
)  # fmt: skip


def sales(*ids):
    return pd.DataFrame({"id": ids, "lines": [1] * len(ids), "paid": [2.5] * len(ids)})


def ids(lake, key=D1, contract=SALES):
    return lake.read(contract, [key]).to_pandas()["id"].tolist()


class PullsThePlug(DuckDBEngine):
    def write(self, table, file, by=()):
        file.write_bytes(b"half a fi")
        raise KeyboardInterrupt


def test_rows_written_are_read_back(lake):
    lake.stage(SALES, D1, sales("a", "b")).commit()
    assert ids(lake) == ["a", "b"]


def test_a_new_column_is_empty_in_older_partitions(lake):
    lake.stage(SALES, D1, sales("old")).commit()
    wider = Contract("sales", "sale", (*SALES.columns, Column("shop", "string", "Shop.")), key=("id",))
    assert lake.read(wider, [D1]).to_pyarrow().to_pylist()[0]["shop"] is None
    lake.stage(wider, D2, sales("new").assign(shop="north")).commit()
    assert lake.read(wider, [D1, D2]).order_by("id").to_pyarrow()["shop"].to_pylist() == ["north", None]


def test_a_crash_while_writing_leaves_the_old_partition(lake):
    lake.stage(SALES, D1, sales("old")).commit()
    with pytest.raises(KeyboardInterrupt):
        Lake(lake.root, PullsThePlug()).stage(SALES, D1, sales("new"))
    assert ids(lake) == ["old"]


def test_a_crash_while_writing_leaves_no_files_behind(lake):
    with pytest.raises(KeyboardInterrupt):
        Lake(lake.root, PullsThePlug()).stage(SALES, D1, sales("new"))
    assert [file for file in lake.root.rglob("*") if file.is_file()] == []


def test_a_staged_partition_is_invisible_until_committed(lake):
    lake.stage(SALES, D1, sales("old")).commit()
    staged = lake.stage(SALES, D1, sales("new"))
    assert ids(lake) == ["old"]
    staged.commit()
    assert ids(lake) == ["new"]


def test_a_staged_partition_can_be_read(lake):
    staged = lake.stage(SALES, D1, sales("new"))
    assert lake.read_staged(staged).to_pandas()["id"].tolist() == ["new"]


def test_a_discarded_partition_leaves_the_old_one_and_no_files_behind(lake):
    lake.stage(SALES, D1, sales("old")).commit()
    lake.stage(SALES, D1, sales("new")).discard()
    assert ids(lake) == ["old"]
    assert [file.name for file in lake.root.rglob("*") if file.is_file()] == ["part-0.parquet"]


def test_a_discarded_first_partition_leaves_none(lake):
    lake.stage(SALES, D1, sales("new")).discard()
    assert lake.keys("sales") == []


def test_types_become_those_of_the_contract(lake):
    lake.stage(SALES, D1, pd.DataFrame({"id": [7], "lines": [3.0], "paid": [1]})).commit()
    row = lake.read(SALES, [D1]).to_pyarrow().to_pylist()[0]
    assert row == {"id": "7", "lines": 3, "paid": Decimal("1.0000")}


def test_the_128_bit_sum_of_integers_becomes_the_integer_of_the_contract(lake):
    lines = ibis.memtable(pa.table({"id": ["a", "a"], "n": [1, 2]}))
    summed = lines.group_by("id").agg(lines=lines.n.sum(), paid=ibis.literal(0))
    lake.stage(SALES, D1, summed).commit()
    assert pq.read_schema(lake.file("sales", D1)).field("lines").type == pa.int64()


def test_columns_are_those_of_the_contract_in_its_order(lake):
    lake.stage(SALES, D1, sales("a").assign(extra=1)[["extra", "paid", "lines", "id"]]).commit()
    assert list(lake.read(SALES, [D1]).columns) == ["id", "lines", "paid"]


def test_an_open_table_keeps_further_columns(lake):
    records = pd.DataFrame({"row_number": [1], "source_file": ["f"], "customer_id": ["c"], "age": [40]})
    records[["unread", "problem", "record"]] = None
    lake.stage(BY_NAME["raw_customers"], D1, records).commit()
    assert lake.read(BY_NAME["raw_customers"], [D1]).to_pandas()["age"].tolist() == [40]


def test_a_missing_column_is_named_with_its_table(lake):
    with pytest.raises(LakeError, match="sales: the computed table lacks lines, paid"):
        lake.stage(SALES, D1, pd.DataFrame({"id": ["a"]}))


def test_without_a_partition_there_are_no_rows_but_the_right_types(lake):
    empty = lake.read(SALES, [D1])
    assert {name: str(kind) for name, kind in empty.schema().items()} == {"id": "string", "lines": "int64", "paid": "decimal(18, 4)"}
    assert empty.to_pandas().empty


def test_without_a_partition_the_date_column_is_still_there_if_requested(lake):
    assert "snapshot_date" in lake.read(SALES, [D1], dated=True).columns


def test_several_snapshots_are_read_together_with_their_dates(lake):
    for key in (D1, D2, D3):
        lake.stage(SALES, key, sales(f"of {key}")).commit()
    rows = lake.read(SALES, [D1, D3], dated=True).order_by("id").to_pyarrow().to_pylist()
    assert [(row["snapshot_date"], row["id"]) for row in rows] == [(dt.date(2024, 2, 1), f"of {D1}"), (dt.date(2024, 4, 1), f"of {D3}")]


def test_keys_of_a_table_are_sorted_oldest_first(lake):
    for key in (D3, D1):
        lake.stage(SALES, key, sales("a")).commit()
    assert lake.keys("sales") == partition_keys(lake.root, "sales") == [D1, D3]


def test_decimals_become_floats_in_a_data_frame(lake):
    lake.stage(SALES, D1, sales("a")).commit()
    frame = to_frame(lake.read(SALES, [D1]))
    assert frame["paid"].dtype == "float64"
    assert frame["paid"].tolist() == [2.5]


@pytest.mark.parametrize("order", [["b", "a", "c"], ["c", "b", "a"]])
def test_the_same_rows_in_any_order_give_the_same_bytes(lake, order):
    one, other = lake.stage(SALES, D1, sales("a", "b", "c")), lake.stage(SALES, D2, sales(*order))
    assert one.unfinished.read_bytes() == other.unfinished.read_bytes()
    assert one.digest() == other.digest()


def test_different_rows_have_different_digests(lake):
    assert lake.stage(SALES, D1, sales("a")).digest() != lake.stage(SALES, D2, sales("b")).digest()


def test_a_staged_partition_has_a_row_count_and_a_preview(lake):
    staged = lake.stage(SALES, D1, sales(*"abcdefg"))
    assert (staged.row_count(), list(staged.first_rows(5)[SALES.key[0]])) == (7, list("abcde"))


def test_an_empty_staged_partition_has_an_empty_preview(lake):
    staged = lake.stage(SALES, D1, sales())
    assert (staged.row_count(), len(staged.first_rows(5))) == (0, 0)


ROW = st.tuples(st.text(max_size=3), st.none() | st.integers(-(2**63), 2**63 - 1), st.none() | st.decimals(-(10**9), 10**9, places=4))


@given(st.lists(ROW, unique_by=lambda row: row[0], max_size=4))
def test_any_rows_survive_the_lake_unchanged(rows):
    arrow = pa.schema({"id": pa.string(), "lines": pa.int64(), "paid": pa.decimal128(18, 4)})
    written = [dict(zip(arrow.names, row, strict=True)) for row in rows]
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(Path(folder), ENGINE)
        lake.stage(SALES, D1, ibis.memtable(pa.Table.from_pylist(written, schema=arrow))).commit()
        read = lake.read(SALES, [D1])
        assert violations(SALES, read) == {}
        assert sorted(read.to_pyarrow().to_pylist(), key=lambda r: r["id"]) == sorted(written, key=lambda r: r["id"])


ENGINE = DuckDBEngine(threads=2)


def test_a_frame_is_read_once_until_its_partition_is_replaced_and_no_reader_sees_the_changes_of_another(lake, monkeypatch):
    read = []
    monkeypatch.setattr("segmentation_assets.store.lake.to_frame", lambda table: read.append(table) or to_frame(table))
    lake.stage(SALES, D1, sales("a", "b")).commit()
    first, second = (lake.frame(lake.read(SALES, [D1])) for _ in range(2))
    first["more"], first.loc[0, "id"] = 1, "changed"
    assert len(read) == 1
    assert second["id"].tolist() == lake.frame(lake.read(SALES, [D1]))["id"].tolist() == ["a", "b"]
    assert "more" not in second
    lake.stage(SALES, D1, sales("c")).commit()
    assert lake.frame(lake.read(SALES, [D1]))["id"].tolist() == ["c"]


def test_frames_beyond_the_limit_are_given_up_oldest_first(lake, monkeypatch):
    for key in (D1, D2, D3):
        lake.stage(SALES, key, sales("a", "b")).commit()
    size = to_frame(lake.read(SALES, [D1])).memory_usage(index=False).sum()
    small = Lake(lake.root, lake.engine, kept=2 * size)
    read = []
    monkeypatch.setattr("segmentation_assets.store.lake.to_frame", lambda table: read.append(table) or to_frame(table))
    for key in (D1, D2, D1, D3, D1, D2):
        small.frame(small.read(SALES, [key]))
    assert len(read) == 4  # D2 was read longest ago when D3 came


def test_freed_memory_is_given_back_only_where_little_is_to_be_kept(lake, monkeypatch):
    trimmed = []
    monkeypatch.setattr("segmentation_assets.store.lake.ctypes.CDLL", lambda _: SimpleNamespace(malloc_trim=trimmed.append))
    monkeypatch.setattr("sys.platform", "linux")
    for kept in (KEPT_BYTES, KEPT_BYTES // 2):
        Lake(lake.root, lake.engine, kept).give_back()
    assert trimmed == [0]


def test_batches_in_any_order_give_the_bytes_of_all_rows_at_once(lake):
    rows = pd.DataFrame({"id": ["a", "b", "c"], "lines": pd.array([1, None, 3], dtype="Int64"), "paid": [2.5, 0.0, None]})
    at_once = lake.stage(SALES, D1, rows)
    in_batches = lake.stage(SALES, D2, (part for part in (rows[2:], rows[:0], rows[:2])))
    assert in_batches.digest() == at_once.digest()
    assert [file.name for file in in_batches.file.parent.iterdir()] == [in_batches.unfinished.name]


def test_no_batches_are_a_partition_without_rows(lake):
    lake.stage(SALES, D1, iter(())).commit()
    assert lake.read(SALES, [D1]).schema() == lake.read(SALES, []).schema()
    assert ids(lake) == []


def test_of_batches_that_fail_nothing_is_left(lake):
    def batches():
        yield sales("a")
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        lake.stage(SALES, D1, batches())
    assert list(lake.file("sales", D1).parent.iterdir()) == []


KINDS = Contract(
    "kinds", "row with values of all kinds",
    (
        required("id", "string", "Id."), Column("whole", "int64", "Whole."), Column("float", "float64", "Float."),
        Column("paid", "decimal(18, 4)", "Paid."), Column("yes", "boolean", "Yes or no."), Column("day", "date", "Day."),
        Column("at", "timestamp(6)", "Time."), Column("text", "string", "Text."),
    ),
    key=("id",),
)  # fmt: skip
VALUES = {"id": "a", "whole": 2, "float": 0.1, "paid": Decimal("1234.5678"), "yes": True, "day": dt.date(2024, 1, 2),
          "at": dt.datetime(2024, 1, 2, 3, 4, 5), "text": "x"}  # fmt: skip


@pytest.mark.parametrize("rows", [[], [VALUES], [VALUES, {"id": "b"}]], ids=["none", "one", "missing values"])
def test_columns_have_the_values_and_types_of_a_frame(lake, rows):
    lake.stage(KINDS, D1, table(KINDS, *rows)).commit()
    wider = Contract("kinds", "row", (*KINDS.columns, Column("later", "float64", "Later.")), key=("id",))
    frame, columns = to_frame(lake.read(wider, [D1])), lake.columns(wider, D1)
    assert list(columns.columns) == list(frame.columns)
    pd.testing.assert_frame_equal(columns[list(frame.columns)], frame, check_exact=True)


@pytest.mark.parametrize("rows", [[], [VALUES], [VALUES, {"id": "b", "text": "a"}]], ids=["none", "one", "missing values"])
def test_a_join_that_is_set_apart_has_the_values_of_a_frame_and_leaves_no_file(lake, rows):
    lake.stage(KINDS, D1, table(KINDS, *rows)).commit()
    joined = lake.read(KINDS, [D1], here=True).order_by(ibis.desc("id"))
    with lake.apart(joined) as columns:
        assert len(columns) == len(rows)
        found = columns[list(columns.columns)]
    texts = found.select_dtypes("category")
    assert list(texts) == ["id", "text"]
    assert all(list(texts[name].cat.categories) == sorted(texts[name].dropna().unique()) for name in texts)
    expected = to_frame(joined)
    pd.testing.assert_frame_equal(found.astype(dict(expected[list(texts)].dtypes)), expected, check_exact=True)
    assert [file.name for file in lake.root.iterdir()] == ["kinds"]


def test_without_a_partition_columns_have_no_rows(lake):
    found = lake.columns(SALES, D1)
    assert (len(found), found["paid"].tolist()) == (0, [])


def test_no_more_columns_are_kept_than_the_limit(lake, monkeypatch):
    lake.stage(SALES, D1, sales(*"abcdefgh")).commit()
    read = []
    whole = pq.ParquetFile.read
    monkeypatch.setattr(pq.ParquetFile, "read", lambda self, names: read.extend(names) or whole(self, names))
    found = Lake(lake.root, lake.engine, kept=8 * 8).columns(SALES, D1)
    for name in ("lines", "lines", "id", "lines"):
        found[name]
    assert read == ["lines", "id", "lines"]


def test_frames_have_no_more_rows_than_asked_for(lake):
    lake.stage(SALES, D1, sales(*map(str, range(5_000)))).commit()
    found = list(lake.frames(lake.read(SALES, [D1]), 2_000))
    assert max(len(frame) for frame in found) == 2_000
    pd.testing.assert_frame_equal(pd.concat(found, ignore_index=True), to_frame(lake.read(SALES, [D1])))
