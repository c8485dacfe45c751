"""SQLite's cells decide the types, not its declarations: an odd cell changes how its column is read, but stops no table."""

import datetime as dt
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from segmentation_assets.settings.source import Database
from segmentation_assets.sources.base import SourceError
from segmentation_assets.sources.database_connection import connected

MAPPED = {"customer_id": "buyer", "ordered_at": "placed", "amount": "total"}


def filled(folder: Path, columns: str, *rows: tuple[Any, ...]) -> dict[str, Any]:
    """Make a database of orders with these rows; return its settings."""
    with closing(sqlite3.connect(folder / "shop.db")) as shop:
        shop.execute(f"create table orders ({columns})")
        for row in rows:
            shop.execute(f"insert into orders values ({', '.join('?' * len(row))})", row)
        shop.commit()
    return {"url": f"sqlite:///{folder / 'shop.db'}", "table": "orders", "columns": MAPPED}


@pytest.mark.parametrize(
    ("declared", "cells", "kind"),
    [
        ("integer", [1, None, 2**62], "int64"),
        ("integer", [1, "A9"], "string"),
        ("decimal(10,2)", [1, 2.5], "float64"),
        ("decimal(10,2)", ["2,50", 1], "string"),
        ("boolean", [1, 0, None], "boolean"),
        ("boolean", [1, 2], "int64"),
        ("date", ["2024-02-29", None], "date"),
        ("date", ["2023-02-29"], "string"),
        ("date", [20240229], "int64"),
        ("timestamp", ["2024-02-29 10:00:00", "2024-02-29 10:00:00.123456"], "timestamp"),
        ("datetime", ["2024-02-30 10:00:00"], "string"),
        ("datetime", ["2024-02-29 10:00:00", "2024-02-29"], "string"),
        ("datetime", ["2024-02-29 10:00:00+01:00"], "string"),
        ("timestamp", [1706745600], "int64"),
        ("timestamp", [1706745600, "2024-02-29 10:00:00"], "string"),
        ("timestamp", [], "timestamp"),
        ("text", ["2024-02-29"], "string"),
        ("", [], "string"),
        ("blob", [b"a", None], "string"),
    ],
)
def test_all_cells_decide_the_type_of_a_column(tmp_path: Path, declared: str, cells: list[Any], kind: str) -> None:
    table = filled(tmp_path, f"cell {declared}", *((cell,) for cell in cells))
    with connected(Database(url=table["url"], table="ORDERS")) as (_, rows):
        assert str(rows.schema()["cell"]) == kind


def test_an_odd_cell_affects_only_its_row(opened: Any, tmp_path: Path) -> None:
    table = filled(
        tmp_path,
        "o integer, buyer text, placed timestamp, total decimal(10,2)",
        (1, "Ann", "2024-01-05 10:00:00", "2,50"),
        ("A9", "Bob", "soon", 3),
        (3, "Cid", "2024-01-06 10:00:00", 1.234),
    )
    table["columns"] = {**MAPPED, "order_id": "o"}
    rows = {row["order_id"]: row for row in opened(transactions=table).rows()}
    assert {order: (row["customer_id"], row["ordered_at"], row["amount"]) for order, row in rows.items()} == {
        "1": ("Ann", dt.datetime(2024, 1, 5, 10), 2.5),
        "A9": ("Bob", None, 3.0),
        "3": ("Cid", dt.datetime(2024, 1, 6, 10), 1.234),
    }
    assert rows["A9"]["record"] == '{"o":"A9","buyer":"Bob","placed":"soon","total":"3"}'


@pytest.mark.parametrize("decimal", ["auto", ",", "."])
def test_numbers_keep_their_value_next_to_texts(opened: Any, tmp_path: Path, decimal: str) -> None:
    written = "1.5" if decimal == "." else "1,5"
    cells = [1.234, 2.5, 7, 1234.567, f"{written} EUR"]
    rows = [("Ann", f"2024-01-{day:02}", cell) for day, cell in enumerate(cells, start=1)]
    table = filled(tmp_path, "buyer text, placed date, total", *rows)
    found = opened(transactions={**table, "decimal": decimal}).rows()
    assert sorted(row["amount"] for row in found) == [1.234, 1.5, 2.5, 7.0, 1234.567]


def test_declared_dates_are_read_day_first_or_as_the_settings_say(opened: Any, tmp_path: Path) -> None:
    rows = [("Ann", "05/01/2024", 1), ("Bob", "11/02/2024", 2), ("Cid", "13/02/2024", 4), ("Eva", "2024-01-03", 16)]
    table = filled(tmp_path, "buyer text, placed date, total real", *rows)
    expected = {1: dt.datetime(2024, 1, 5), 2: dt.datetime(2024, 2, 11), 4: dt.datetime(2024, 2, 13), 16: dt.datetime(2024, 1, 3)}
    for written in ("auto", "%d/%m/%Y"):
        found = opened(transactions={**table, "date_format": written}).rows()
        assert {row["amount"]: row["ordered_at"] for row in found} == expected


def test_seconds_in_a_timestamp_are_read_as_the_settings_say(opened: Any, tmp_path: Path) -> None:
    table = filled(tmp_path, "buyer text, placed timestamp, total real", ("Ann", 1706781600, 1))
    assert opened(transactions={**table, "date_format": "unix"}).rows()[0]["ordered_at"] == dt.datetime(2024, 2, 1, 10)


def test_invalid_utf_8_stops_nothing(opened: Any, tmp_path: Path) -> None:
    table = filled(tmp_path, "buyer text, placed date, total real, note text", ("Ann", "2024-01-05", 1, None))
    with closing(sqlite3.connect(tmp_path / "shop.db")) as shop:
        shop.execute("update orders set buyer = cast(x'4a6fe9' as text)")
        shop.commit()
    assert [row["customer_id"] for row in opened(transactions=table).rows()] == ["Jo\\xe9"]


def test_a_query_that_writes_is_refused(opened: Any, tmp_path: Path) -> None:
    table = filled(tmp_path, "buyer text, placed date, total real", ("Ann", "2024-01-05", 1))
    del table["table"]
    with pytest.raises(SourceError, match="Correct the SQL of `query`"):
        opened(transactions={**table, "query": "delete from orders"}).rows()
    with closing(sqlite3.connect(tmp_path / "shop.db")) as shop:
        assert shop.execute("select count(*) from orders").fetchone() == (1,)
