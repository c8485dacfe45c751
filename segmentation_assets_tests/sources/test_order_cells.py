"""Cells of a whole order: filled from its first row, amounts counted once, and repeated amounts recognised."""

import datetime as dt
import sqlite3
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import ibis
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from segmentation_assets.engines.duckdb import DuckDBEngine
from segmentation_assets.settings.source import Tables
from segmentation_assets.sources import order_cells
from segmentation_assets.sources.base import SourceError, Window
from segmentation_assets_tests.sources.conftest import Opened

COLUMNS = {"customer_id": "email", "ordered_at": "day", "amount": "total", "order_id": "order", "product_id": "sku"}
FIRST_ONLY = (
    "order,email,status,day,total,sku,qty,price\n"
    "#1,ann@x.example,paid,2024-01-05,30.00,a,1,10\n#1,,,,,b,2,10\n#2,bob@x.example,refunded,2024-01-06,5.00,a,1,5\n#2,,,,,c,1,0\n"
    "#3,ann@x.example,paid,2024-02-07,7.00,a,1,7\n"
)
REPEATED = (
    "order,email,day,total,sku\n#1,ann,2024-01-05,30.00,a\n#1,ann,2024-01-05,30.00,b\n#2,bob,2024-01-06,5.00,a\n#2,bob,2024-01-06,5.00,c\n"
    "#3,eve,2024-02-07,7.00,a\n"
)


def amounts(opened: Opened) -> list[tuple[str | None, str, float | None]]:
    return [(row["customer_id"], row["product_id"], row["amount"]) for row in opened.rows()]


def test_cells_of_the_first_row_apply_to_the_whole_order(opened: Callable[..., Opened], tmp_path: Path) -> None:
    (tmp_path / "o.csv").write_text(FIRST_ONLY)
    source = opened(transactions={"files": "o.csv", "columns": {**COLUMNS, "amount": "qty * price"}, "fill_from_order": ["email", "day"]})
    rows = source.rows()
    assert [(row["customer_id"], row["amount"]) for row in rows] == [
        ("ann@x.example", 10), ("ann@x.example", 20), ("bob@x.example", 5), ("bob@x.example", 0), ("ann@x.example", 7),
    ]  # fmt: skip
    assert [row["row_number"] for row in rows] == [1, 2, 3, 4, 5]
    assert rows[1]["ordered_at"] == dt.datetime(2024, 1, 5)


def test_excluded_rows_are_left_out_and_counted(opened: Callable[..., Opened], tmp_path: Path) -> None:
    (tmp_path / "o.csv").write_text(FIRST_ONLY)
    table = {"files": "o.csv", "columns": COLUMNS, "fill_from_order": ["email", "day", "status"], "leave_out": "status IN ('refunded')"}
    source = opened(transactions={**table, "amount_is": "order"})
    assert amounts(source) == [("ann@x.example", "a", 30), ("ann@x.example", "b", 0), ("ann@x.example", "a", 7)]
    assert [row["row_number"] for row in source.rows()] == [1, 2, 5]
    kept = source.source.kept("transactions")[0]
    assert kept.notes["left out"] == "2 rows, because status IN ('refunded')"
    assert "status" in kept.mapped


@pytest.mark.parametrize("split", [5, 1, 3])
def test_the_amount_of_an_order_is_counted_once_even_over_two_files(opened: Callable[..., Opened], tmp_path: Path, split: int) -> None:
    header, *lines = REPEATED.splitlines()
    (tmp_path / "in").mkdir()
    for number, part in enumerate((lines[:split], lines[split:])):
        if part:
            (tmp_path / "in" / f"{number}.csv").write_text("\n".join([header, *part]) + "\n")
    source = opened(transactions={"files": "in", "columns": COLUMNS, "amount_is": "order"})
    assert amounts(source) == [("ann", "a", 30), ("ann", "b", 0), ("bob", "a", 5), ("bob", "c", 0), ("eve", "a", 7)]


def test_lines_of_another_table_keep_their_amounts(opened: Callable[..., Opened], tmp_path: Path) -> None:
    (tmp_path / "o.csv").write_text(REPEATED)
    (tmp_path / "till.csv").write_text(REPEATED)
    tables = [{"files": "o.csv", "columns": COLUMNS, "amount_is": "order"}, {"files": "till.csv", "columns": COLUMNS}]
    assert sum(amount or 0 for _, _, amount in amounts(opened(transactions=tables))) == 42 + 77


def test_a_refund_with_the_same_order_id_is_also_counted_once(opened: Callable[..., Opened], tmp_path: Path) -> None:
    (tmp_path / "o.csv").write_text(
        REPEATED + "#1,ann,2024-03-01,-10.00,a\n#1,ann,2024-03-01,-10.00,b\n,eve,2024-03-01,2,a\n,eve,2024-03-01,2,a\n"
    )
    source = opened(transactions={"files": "o.csv", "columns": COLUMNS, "amount_is": "order"})
    assert [amount for _, _, amount in amounts(source)] == [30, 0, 5, 0, 7, -10, 0, 2, 2]


def test_later_rows_change_no_earlier_snapshot(opened: Callable[..., Opened], tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "b.csv").write_text(REPEATED)
    table = {"files": "in", "columns": COLUMNS, "amount_is": "order"}
    january = Window(None, dt.date(2024, 2, 1))
    before = opened(transactions=table).rows(window=january)
    (tmp_path / "in" / "a.csv").write_text("order,email,day,total,sku\n#1,ann,2024-02-05,30.00,z\n")
    assert opened(transactions=table).rows(window=january) == before


def test_orders_of_a_database_are_read_whole(opened: Callable[..., Opened], tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "shop.db") as shop:
        shop.execute('create table lines ("order" text, email text, day text, total real, sku text)')
        rows = [
            ("#1", "ann", "2024-01-31", 30.0, "a"), ("#1", None, "2024-02-03", 30.0, "b"),  # the second line was added in February
            ("#2", "bob", "2024-02-05", 5.0, "a"), (None, "eve", "2024-02-06", 2.0, "a"),
        ]  # fmt: skip
        shop.executemany("insert into lines values (?, ?, ?, ?, ?)", rows)
    table = {"url": "sqlite:///shop.db", "table": "lines", "columns": COLUMNS, "amount_is": "order", "fill_from_order": ["email"]}
    source = opened(transactions=table)
    february = source.rows(window=Window(dt.date(2024, 2, 1), dt.date(2024, 3, 1)))
    assert sorted((row["customer_id"], row["product_id"], row["amount"]) for row in february) == [
        ("ann", "b", 0), ("bob", "a", 5), ("eve", "a", 2),
    ]  # fmt: skip
    assert [row["amount"] for row in source.rows(window=Window(None, dt.date(2024, 2, 1)))] == [30]


def test_incomplete_settings_are_refused_with_what_is_missing() -> None:
    columns = {name: column for name, column in COLUMNS.items() if name != "order_id"}
    for further, problem in (
        ({"columns": columns, "amount_is": "order"}, "amount_is: order needs to know which rows are one order; map order_id"),
        ({"columns": columns, "fill_from_order": ["email"]}, "fill_from_order needs to know which rows are one order"),
        ({"columns": COLUMNS, "fill_from_order": ["order"]}, "cannot fill the column that order_id is mapped to"),
    ):
        with pytest.raises(ValidationError, match=problem):
            Tables.model_validate({"transactions": {"files": "o.csv", **further}})


def test_a_missing_column_to_fill_is_named(opened: Callable[..., Opened], tmp_path: Path) -> None:
    (tmp_path / "o.csv").write_text(REPEATED)
    with pytest.raises(SourceError, match=r"o\.csv: transactions\.fill_from_order: Email is not a column; the columns are order, email"):
        opened(transactions={"files": "o.csv", "columns": COLUMNS, "fill_from_order": ["Email"]}).rows()


def told(opened: Opened) -> bool:
    window = Window(None, dt.date(2100, 1, 1))
    return order_cells.are_repeated(opened.engine.rows(order_cells.repeats(opened.source.transactions(opened.engine, window)))[0])


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([(o, f"p{i}", 10.0 + o) for o in range(6) for i in range(2)], True),  # the order's amount on each line
        ([(o, f"p{i}", 10.0 + o + i) for o in range(6) for i in range(2)], False),
        ([(o, f"p{i}", 9.99) for o in range(6) for i in range(2)], False),  # all products cost the same
        ([(o, "p", 10.0 + o) for o in range(6) for _ in range(2)], False),  # the same product twice, one row per piece
        ([(o, None, 10.0 + o) for o in range(6) for _ in range(2)], True),
        ([(o, f"p{i}", 10.0 + o) for o in range(2) for i in range(2)], False),  # too few to decide
        ([(o, "p", 10.0 + o) for o in range(6)], False),  # one row per order
    ],
)
def test_repeated_amounts_are_recognised(
    opened: Callable[..., Opened], tmp_path: Path, lines: list[tuple[int, str | None, float]], expected: bool
) -> None:
    text = "".join(f"#{order},c{order % 3},2024-01-05,{amount},{product or ''}\n" for order, product, amount in lines)
    (tmp_path / "o.csv").write_text("order,email,day,total,sku\n" + text)
    assert told(opened(transactions={"files": "o.csv", "columns": COLUMNS})) == expected
    assert not told(opened(transactions={"files": "o.csv", "columns": COLUMNS, "amount_is": "order"}))


ENGINE = DuckDBEngine(threads=1)


@given(
    lines=st.lists(
        st.tuples(st.sampled_from(["#1", "#2", "", None]), st.sampled_from(["ann", None]), st.sampled_from([None, 2.5, -1.0])),
        min_size=1,
        max_size=12,
    ),
    places=st.randoms(use_true_random=False),
)
def test_each_amount_is_counted_once_in_any_order_of_rows(lines: list[tuple[Any, Any, Any]], places: Random) -> None:
    table = pa.table(
        {
            "order_id": pa.array([order for order, _, _ in lines], pa.string()),
            "customer_id": pa.array([customer for _, customer, _ in lines], pa.string()),
            **{name: pa.array([amount for _, _, amount in lines], pa.float64()) for name in order_cells.ONCE},
            "ordered_at": pa.array([dt.datetime(2024, 1, 1)] * len(lines)),
            "source_file": ["o.csv"] * len(lines),
            "row_number": list(range(len(lines))),
        }
    )
    shuffled = table.take(places.sample(range(len(lines)), len(lines)))
    rows = ENGINE.rows(order_cells.counted_once(ibis.memtable(shuffled)).order_by("row_number"))
    assert len(rows) == len(lines)
    orders = {(order, customer) for order, customer, _ in lines if order}
    for order in orders:
        given_amounts = {amount for *of, amount in lines if tuple(of) == order and amount is not None}
        found = [row["amount"] for row in rows if (row["order_id"], row["customer_id"]) == order]
        assert sum(amount or 0 for amount in found) == sum(given_amounts)
        assert given_amounts or found == [None] * len(found)
    alone = [row["amount"] for row in rows if not row["order_id"]]
    assert alone == [amount for order, _, amount in lines if not order]
