"""Databases: PostgreSQL and MariaDB servers, SQLite and DuckDB return the same rows of a window, and errors never show the password."""

import datetime as dt
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import ibis
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentation_assets.cli.check import inspect
from segmentation_assets.core.segments.predicates import Condition, Predicate, in_dialect
from segmentation_assets.settings.loading import Settings
from segmentation_assets.settings.source import TransactionDatabase
from segmentation_assets.sources.base import SourceError, Window, midnight, within
from segmentation_assets.sources.cells import ISO, Cells
from segmentation_assets.sources.database import _column, _windowed
from segmentation_assets.sources.mapping import Bounds
from segmentation_assets.sources.reading import connect
from segmentation_assets_tests.conftest import examples
from segmentation_assets_tests.sources.conftest import FOREVER, PASSWORD, Server

ROWS = [
    ("c1", "2024-01-05 10:00:00", "10.50"),
    ("c2", "2024-01-31 23:59:59", "20"),
    ("c1", "2024-02-01 00:00:00", "-3.25"),
    (None, None, "7"),
    ("c3", "2024-03-01 00:00:00", None),
]
COLUMNS = {"customer_id": "buyer", "ordered_at": "at", "amount": "paid * 1"}
JANUARY, FEBRUARY = Window(None, dt.date(2024, 2, 1)), Window(dt.date(2024, 2, 1), dt.date(2024, 3, 1))
LATER = Window(dt.date(2024, 3, 1), FOREVER.end)


@pytest.fixture(params=["postgres", pytest.param("mariadb", marks=pytest.mark.full)])  # in CI, MariaDB is `any_database`
def shop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    server = request.getfixturevalue(request.param)
    server.make("drop table if exists orders; create table orders (buyer text, at {time}, paid numeric(12, 2))")
    for buyer, at, paid in ROWS:
        cells = ", ".join("null" if value is None else f"'{value}'" for value in (buyer, at, paid))
        server.run(f"insert into orders values ({cells})")
    monkeypatch.setenv("SHOP_PASSWORD", PASSWORD)
    return server


@pytest.fixture(params=["postgres", "mariadb", "sqlite", "duckdb"])
def any_database(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """Settings for a database with ROWS as orders."""
    if request.param in {"sqlite", "duckdb"}:
        return {"url": {"sqlite": _sqlite, "duckdb": _duckdb}[request.param](tmp_path), "columns": COLUMNS}
    request.getfixturevalue("monkeypatch").setenv("SHOP_PASSWORD", PASSWORD)
    server = request.getfixturevalue(request.param)
    server.make("drop table if exists orders; create table orders (buyer text, at {time}, paid numeric(12, 2))")
    for buyer, at_, paid in ROWS:
        cells = ", ".join("null" if value is None else f"'{value}'" for value in (buyer, at_, paid))
        server.run(f"insert into orders values ({cells})")
    return at(server)


def at(server: Any, **table: Any) -> dict[str, Any]:
    """Settings for a table of the server."""
    return {"url": server.url, "password_variable": "SHOP_PASSWORD", "columns": COLUMNS, **table}


def values(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return sorted(((row["customer_id"], row["ordered_at"], row["amount"]) for row in rows), key=str)


def test_each_row_of_a_server_is_in_one_window(opened: Any, shop: Any) -> None:
    source = opened(transactions=at(shop, table="orders"))
    january, february = values(source.rows(window=JANUARY)), values(source.rows(window=FEBRUARY))
    assert january == [("c1", dt.datetime(2024, 1, 5, 10), 10.5), ("c2", dt.datetime(2024, 1, 31, 23, 59, 59), 20.0), (None, None, 7.0)]
    assert february == [("c1", dt.datetime(2024, 2, 1), -3.25)]


def test_only_the_windows_rows_are_fetched(opened: Any, shop: Any) -> None:
    source = opened(transactions=at(shop, table="orders")).source
    february = source.kept("transactions", FEBRUARY)[0]
    assert february.notes == {"fetched": "only the window's rows"}
    assert february.rows == 3  # including a day on either side for time zones, but not 5 January


def test_a_query_is_a_source_too(opened: Any, shop: Any) -> None:
    source = opened(transactions=at(shop, query="select buyer, at, paid from orders where paid > 0"))
    assert sorted(row["amount"] for row in source.rows()) == [7.0, 10.5, 20.0]


def test_times_with_a_zone_become_utc(opened: Any, shop: Any) -> None:
    zoned = {
        "postgres": "create table zoned as select 'c' buyer, timestamptz '2024-01-01 00:30+02' at, 1 paid",
        "mariadb": "set time_zone = '+02:00'; create table zoned (buyer text, at timestamp, paid int); "
        "insert into zoned values ('c', '2024-01-01 00:30:00', 1)",
    }
    shop.run(f"drop table if exists zoned; {zoned[shop.name]}")
    source = opened(transactions=at(shop, table="zoned"))
    assert source.rows()[0]["ordered_at"] == dt.datetime(2023, 12, 31, 22, 30)
    assert len(source.rows(window=Window(None, dt.date(2024, 1, 1)))) == 1


@pytest.mark.parametrize("problem", ["password", "table", "unset", "port"])
def test_errors_say_what_to_do_and_never_the_password(opened: Any, shop: Any, monkeypatch: pytest.MonkeyPatch, problem: str) -> None:
    table, url, secret = "orders", shop.url, PASSWORD
    if problem == "password":
        secret = "wr@ng secret"  # noqa: S105
        monkeypatch.setenv("SHOP_PASSWORD", secret)
    elif problem == "table":
        table = "no_such_table"
    elif problem == "unset":
        monkeypatch.delenv("SHOP_PASSWORD")
    else:
        url = f"{shop.url.partition('://')[0]}://shop@127.0.0.1:1/shop"
    with pytest.raises(SourceError) as raised:
        opened(transactions={"url": url, "password_variable": "SHOP_PASSWORD", "table": table, "columns": COLUMNS}).rows()
    chain, error = "", raised.value
    while error is not None:
        chain, error = chain + str(error), error.__cause__
    assert secret not in chain
    expected = {
        "unset": "SHOP_PASSWORD",
        "table": "(no_such_table): no such table",
        "port": "host and port, and that the database is running",
    }
    assert expected.get(problem, "Check the address: its user, and the password") in chain


@pytest.mark.parametrize(
    ("query", "advice"),
    [
        ("selec buyer from orders", "Correct the SQL of `query`"),
        ("select nobody from orders", "Correct the names of columns in `query`"),
        ("select * from nowhere", "Correct the name of the table in `query`"),
        ("select no_such_function(paid) from orders", "no such function: correct `query`|right to read it"),
    ],
)
def test_advice_fits_the_error_in_a_query(opened: Any, any_database: Any, query: str, advice: str) -> None:
    with pytest.raises(SourceError, match=advice) as raised:
        opened(transactions={**any_database, "query": query}).rows()
    assert "running" not in str(raised.value)


@pytest.mark.parametrize(
    "asked", [{"table": "orders"}, {"query": "select * from orders where paid > 0"}, {"query": "select * from orders ;\n"}]
)
def test_a_database_can_be_read_in_every_way(opened: Any, any_database: Any, asked: dict[str, str]) -> None:
    """A table or a query: all rows, a window, counts, and the fingerprint."""
    source = opened(transactions={**any_database, **asked})
    expected = [value for value in (10.5, 20.0, 7.0, -3.25, None) if "where" not in str(asked) or (value or 0) > 0]
    assert sorted(map(str, (row["amount"] for row in source.rows()))) == sorted(map(str, expected))
    assert [row["amount"] for row in source.rows(window=FEBRUARY)] == [value for value in expected if value == -3.25]
    assert f"'rows': {len(expected)}" in source.source.fingerprint()
    counts = source.source.counts("transactions", source.engine, {"february": FEBRUARY})
    assert counts is None or counts == {"february": expected.count(-3.25)}


def test_a_duckdb_file_with_columns_of_any_type_and_schemas_is_read(opened: Any, tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as shop:
        shop.execute("create schema sales")
        shop.execute(
            "create table sales.\"my orders\" as select {'id': 'c1'} as buyer, timestamptz '2024-01-05 10:00+02' as \"at\", "
            "'nan'::double as paid, [1] as items, time '10:00' as clock, uuid() as u, interval 1 day as i, map {'a': 1} as m, "
            "1::hugeint as h, 'a'::enum ('a') as e, '1'::bit as b, 1.5::decimal(38, 2) as d, '2024-01-01'::timestamp_ns as ns"
        )
    columns = {"customer_id": "buyer.id", "ordered_at": "at", "amount": "COALESCE(paid, d)"}
    for asked in ({"table": "sales.my orders"}, {"query": 'from sales."my orders"'}):
        rows = opened(transactions={"url": f"duckdb:///{tmp_path / 'shop.duckdb'}", "columns": columns, **asked}).rows()
        assert values(rows) == [("c1", dt.datetime(2024, 1, 5, 8), 1.5)]


def test_the_password_is_in_no_file(opened: Any, shop: Any, tmp_path: Path) -> None:
    opened(transactions=at(shop, table="orders")).rows()
    written = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert any(file.suffix == ".parquet" for file in written)
    assert not any(b"p@ss" in file.read_bytes() or b"p%40ss" in file.read_bytes() for file in written)


def _sqlite(folder: Path) -> str:
    with sqlite3.connect(folder / "shop.db") as connection:
        connection.execute("create table orders (buyer text, at text, paid numeric)")
        connection.executemany("insert into orders values (?, ?, ?)", ROWS)
    return "sqlite:///shop.db"


def _duckdb(folder: Path) -> str:
    with duckdb.connect(folder / "shop.duckdb") as connection:
        connection.execute('create table orders (buyer text, "at" timestamp, paid decimal(12, 2))')
        connection.executemany(
            "insert into orders values (?, ?, ?)", [(buyer, at, None if paid is None else Decimal(paid)) for buyer, at, paid in ROWS]
        )
    return "duckdb:///shop.duckdb"


@pytest.mark.parametrize("make", [_sqlite, _duckdb])
def test_databases_in_a_file_return_the_same_rows(opened: Any, tmp_path: Path, make: Any) -> None:
    source = opened(transactions={"url": make(tmp_path), "table": "orders", "columns": COLUMNS})
    assert values(source.rows(window=JANUARY)) == [
        ("c1", dt.datetime(2024, 1, 5, 10), 10.5),
        ("c2", dt.datetime(2024, 1, 31, 23, 59, 59), 20.0),
        (None, None, 7.0),
    ]
    assert values(source.rows(window=FEBRUARY)) == [("c1", dt.datetime(2024, 2, 1), -3.25)]
    assert len(source.rows()) == len(ROWS)


def test_rows_with_text_that_is_not_a_date_are_kept(opened: Any, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute("create table orders (buyer text, at text, paid real)")
        dates = [
            "2024-01-05",
            "garbage",
            "05/02/2024",
            "2024-02-30",
            "2024-02-31 10:00:00",
            "2024-99-99",
            "2024-01-31",
            "2023-12-30",
            "2024-01-06",
            "2024-01-02 10:00",
            "",
            "2024-02-10 25:00:00",
        ]
        connection.executemany("insert into orders values ('c', ?, 1)", [(date,) for date in dates])
    source = opened(transactions={"url": "sqlite:///shop.db", "table": "orders", "columns": COLUMNS})
    february = source.rows(window=FEBRUARY)
    january = source.rows(window=JANUARY)
    assert [row["ordered_at"] for row in february] == [dt.datetime(2024, 2, 5)]  # day first, as in a file
    assert len(january) == len(dates) - len(february)
    assert [row["record"] is None for row in january].count(True) == 5  # the valid dates; the others keep their original


def test_the_same_rows_get_the_same_numbers(opened: Any, shop: Any) -> None:
    settings = at(shop, table="orders")
    before = opened(transactions=settings).rows()
    shop.make("create table shuffled as select * from orders order by {random}; drop table orders; alter table shuffled rename to orders")
    assert opened(transactions=settings).rows() == before


def test_check_reports_rows_after_the_last_snapshot_of_a_database(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "shop.db") as database:
        database.execute("create table orders (buyer text, at timestamp, paid real)")
        database.executemany("insert into orders values (?, ?, ?)", [("c1", "2024-01-05 10:00:00", 1.5), ("c2", "2024-09-01 00:00:00", 2)])
    table = {"url": f"sqlite:///{tmp_path / 'shop.db'}", "table": "orders", "columns": COLUMNS}
    snapshots = {"first": "2024-02-01", "last": "2024-05-01"}
    settings = Settings(**{"data_dir": str(tmp_path / "data"), "snapshots": snapshots, "source": {"kind": "tables", "transactions": table}})
    found = inspect(settings)
    assert found.problems == []
    assert "    1 row is dated 2024-05-01 or later, and left to later snapshots" in found.lines


def test_check_lists_attributes_of_a_database_as_mapped(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "shop.db") as database:
        database.execute("create table orders (buyer text, at timestamp, paid real)")
        database.execute("create table clients (id text, land text, phone text)")
        database.execute("insert into clients values ('c1', 'NL', 'secret')")
        database.execute("insert into orders values ('c1', '2024-01-05 10:00:00', 2)")
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    source = {
        "kind": "tables",
        "transactions": {"url": url, "table": "orders", "columns": COLUMNS},
        "customers": {"url": url, "table": "clients", "columns": {"customer_id": "id"}, "attributes": {"country": "land"}},
    }
    snapshots = {"first": "2024-02-01", "last": "2024-02-01"}
    found = inspect(Settings(**{"data_dir": str(tmp_path / "data"), "snapshots": snapshots, "source": source}))
    assert "        mapped: id (text), land (text)" in found.lines
    assert "        not mapped: phone (text)" in found.lines


def test_a_missing_table_is_named(opened: Any, tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "shop.db").close()
    with pytest.raises(SourceError, match=r"\(orders\): no such table"):
        opened(transactions={"url": f"sqlite:///{tmp_path / 'shop.db'}", "table": "orders", "columns": COLUMNS}).rows()


def test_long_ids_next_to_missing_ones_are_not_rounded(opened: Any, shop: Any) -> None:
    long = 9_007_199_254_740_993  # one more than a float can represent
    shop.make(
        "drop table if exists ids; create table ids (buyer bigint, at {time}, paid int); "
        f"insert into ids values ({long}, '2024-01-05', 1), (null, '2024-01-05', 2)"
    )
    assert [row["customer_id"] for row in opened(transactions=at(shop, table="ids")).rows()] in ([str(long), None], [None, str(long)])


def test_columns_with_unusual_names_and_types_are_read(opened: Any, shop: Any) -> None:
    flag, true, others = {
        "postgres": ("boolean", "true", "'\\xff00'::bytea, interval '1 day', '{1,2}'::int[], '{\"a\": 1}'::json, 'infinity'::timestamp"),
        "mariadb": ("tinyint(1)", "1", "x'ff00', b'101', year('2024-01-01'), time('10:00:00'), json_object('a', 1)"),
    }[shop.name]
    shop.make(
        "drop table if exists clients; create table clients ({quote}Kunden-Nr. 100%s{quote} bigint, {quote}Größe{quote} text, born date, "
        f"agreed {flag}); insert into clients values (1, 'käse', '1980-02-03', {true}), (2, null, null, not {true}), (3, '', null, null)"
    )
    columns = {"customer_id": "Kunden-Nr. 100%s", "consent": "agreed"}
    orders = at(shop, table="orders")
    rows = opened(transactions=orders, customers=at(shop, table="clients", columns=columns)).rows("customers")
    assert [(row["customer_id"], row["consent"], row["Größe"], row["born"]) for row in rows] == [
        ("1", True, "käse", dt.date(1980, 2, 3)),
        ("2", False, None, None),
        ("3", None, None, None),
    ]
    query = f"select buyer, at, paid, {others} from orders"
    assert len(opened(transactions=at(shop, query=query)).rows()) == len(ROWS)


def test_the_server_selects_text_dates_and_none_is_lost(opened: Any, shop: Any) -> None:
    dates = ["2024-01-05", "soon", "2024-02-30", "2024-02-10 08:30:00", "05.02.2024", "2024-03-05"]
    lines = ", ".join(f"('c', '{date}', 1)" for date in [*dates, ""])
    shop.run("drop table if exists written; create table written (buyer text, at varchar(30), paid double precision)")
    shop.run(f"insert into written values {lines}, ('c', null, 1)")
    source = opened(transactions=at(shop, table="written"))
    january, february = source.rows(window=JANUARY), source.rows(window=FEBRUARY)
    assert sorted(str(row["ordered_at"]) for row in january) == ["2024-01-05 00:00:00", *["None"] * 4]
    assert sorted(row["ordered_at"] for row in february) == [dt.datetime(2024, 2, 5), dt.datetime(2024, 2, 10, 8, 30)]
    assert source.source.kept("transactions", FEBRUARY)[0].notes == {"fetched": "only the window's rows, by ISO text"}


ODD_TIMES = [
    *("2024-01-05", "2024-01-31", "2024-02-29", "2023-02-29", "2024-02-30", "2024-02-10 08:30:00", " 2024-02-11 10:00", "2024-02-12\u00a0"),
    *(
        "2024-2-9 10:00",
        "2024-01-31T23:59:59+00:00",
        "2024-02-01 00:30+13:59",
        "2024-01-31T23:30:00.5Z",
        "2024-02-10t10:00",
        "2024-02-10 10:00z",
    ),
    *("2024-02-10 10:00:00 +0100", "2024-02-29 23:30-13:59", "20240212", "10/02/2024", "Feb 9, 2024", "45332", "soon", "", "0000-01-01"),
    *("9999-12-31 23:59", "2099-12-31 23:30", "2024-02-15", "2024-02-10 24:00:00", "2024-02-10 10:00:00.1234567891", "2024-02-10\n"),
]


written_times = st.one_of(
    st.sampled_from(ODD_TIMES),
    st.builds(
        "{}{:%Y-%m-%d}{}".format,
        st.sampled_from(["", " "]),
        st.dates(dt.date(2023, 12, 20), dt.date(2024, 3, 20)),
        st.sampled_from(["", " 00:00", "T23:59:59.999", " 23:30:00+13:59", " 00:10-13:59", "T00:15Z", " 10:00:00-0930", " 1:05 pm"]),
    ),
    st.dates(dt.date(2023, 12, 20), dt.date(2024, 3, 20)).map("{:%d/%m/%Y}".format),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12),
)


@examples(15)
@given(
    times=st.lists(written_times | st.none(), min_size=1, max_size=60),
    zones=st.sampled_from([("UTC", "UTC"), ("America/New_York", "Pacific/Kiritimati"), (None, "Europe/Berlin")]),
)
def test_each_row_is_in_one_window_whatever_its_text(times: list[str | None], zones: tuple[str | None, str]) -> None:
    described = {"url": "duckdb:///shop.duckdb", "table": "orders", "columns": COLUMNS}
    table = TransactionDatabase.model_validate({**described, "timezone": zones[0], "missing_values": ["2024-02-15"]})
    bounds, backend = Bounds(dt.date(1900, 1, 1), dt.date(2024, 3, 15)), connect(zones[1])
    rows = backend.create_table("orders", pa.table({"at": pa.array(times, pa.string()), "number": range(len(times))}))
    cells, found = Cells(table, (ISO, "%d/%m/%Y"), zones[1]), []
    for window in (JANUARY, FEBRUARY, LATER):
        fetched, _ = _windowed(backend, rows, "transactions", table, window, bounds, by_text=True)
        read = fetched.mutate(ordered_at=bounds.usable(cells.read("time", fetched["at"]), midnight(bounds.end)))
        found += backend.to_pyarrow(within(read, "ordered_at", window))["number"].to_pylist()
    backend.disconnect()
    assert sorted(found) == list(range(len(times)))


@pytest.mark.parametrize(
    ("timezone", "zone"), [pytest.param("UTC", "UTC", marks=pytest.mark.full), ("America/New_York", "Pacific/Kiritimati")]
)
def test_each_row_of_a_server_is_in_one_window_whatever_its_text(opened: Any, shop: Any, timezone: str, zone: str) -> None:
    shop.run("drop table if exists odd; create table odd (buyer text, at varchar(40), paid int)")
    times = [*(time for time in ODD_TIMES if "/" not in time and "," not in time), *["2024-01-05 12:00:00"] * 20]
    shop.run("insert into odd values ('c', null, -1), " + ", ".join(f"('c', '{time}', {i})" for i, time in enumerate(times)))
    table = at(shop, table="odd", timezone=timezone, missing_values=["2024-02-15", "n/a"])
    source = opened(zone=zone, transactions=table)
    found = [row["amount"] for window in (JANUARY, FEBRUARY, LATER) for row in source.rows(window=window)]
    assert sorted(found) == list(range(-1, len(times)))


@pytest.mark.parametrize("make", [sqlite3.connect, duckdb.connect])
def test_text_dates_are_read_as_in_a_file(opened: Any, tmp_path: Path, make: Any) -> None:
    times = [
        "2024-01-05",
        "2024-01-06 10:00:00",
        "2024-01-07",
        "2024-02-08",
        "10/02/2024",
        "13/02/2024",
        "20240212",
        " 2024-2-9 10:00",
        "soon",
    ]
    with closing(make(str(tmp_path / "shop.db"))) as database:
        database.execute('create table orders (buyer text, "at" varchar, paid integer)')
        database.executemany("insert into orders values ('c', ?, ?)", [(time, number) for number, time in enumerate(times)])
        database.commit()
    (tmp_path / "orders.csv").write_text("buyer,at,paid\n" + "".join(f"c,{time},{number}\n" for number, time in enumerate(times)))
    kind = {sqlite3.connect: "sqlite", duckdb.connect: "duckdb"}[make]
    database_rows = opened(transactions={"url": f"{kind}:///shop.db", "table": "orders", "columns": COLUMNS})
    file_rows = opened(transactions={"files": "orders.csv", "columns": COLUMNS})
    assert [len(database_rows.rows(window=window)) for window in (JANUARY, FEBRUARY)] == [4, 5]
    for window in (JANUARY, FEBRUARY):
        assert values(database_rows.rows(window=window)) == values(file_rows.rows(window=window))


@pytest.mark.parametrize("kind", ["timestamp", "varchar(30)"])
def test_a_time_moved_out_of_bounds_by_its_zone_is_not_lost(opened: Any, shop: Any, kind: str) -> None:
    shop.run(f"drop table if exists late; create table late (buyer text, at {kind.replace('timestamp', shop.words['time'])}, paid int)")
    shop.run("insert into late values ('c', '2024-02-29 23:30:00', 1), ('c', '2024-02-10 10:00:00', 2)")
    source = opened(transactions=at(shop, table="late", timezone="America/New_York"), orders_until="2024-03-01")
    assert values(source.rows(window=JANUARY)) == [("c", None, 1.0)]
    assert values(source.rows(window=FEBRUARY)) == [("c", dt.datetime(2024, 2, 10, 15), 2.0)]


def test_the_address_may_begin_with_mariadb(opened: Any, mariadb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", PASSWORD)
    mariadb.run("drop table if exists one; create table one as select 'c' buyer, date '2024-01-05' at, 1 paid")
    table = {**at(mariadb, table="shop.one"), "url": mariadb.url.replace("mysql:", "mariadb:")}
    assert values(opened(transactions=table).rows()) == [("c", dt.datetime(2024, 1, 5), 1.0)]


def test_times_out_of_bounds_are_in_the_first_window(opened: Any, shop: Any) -> None:
    never = {"postgres": "infinity", "mariadb": "9999-12-31"}[shop.name]
    shop.run(f"insert into orders values ('c9', '2150-01-01', 1), ('c9', '{never}', 2)")
    source = opened(transactions=at(shop, table="orders"))
    assert [row["ordered_at"] for row in source.rows(window=JANUARY) if row["customer_id"] == "c9"] == [None, None]
    assert not [row for row in source.rows(window=FEBRUARY) if row["customer_id"] == "c9"]


WRITTEN = [
    "2023-12-31 23:30:00",
    "2024-01-31 22:30:00",
    "2024-01-31 23:30:00",
    "2024-02-01 00:30:00",
    "2024-02-29 23:30:00",
    "2024-01-31 00:30:00",
    "2024-02-02 00:30:00",
    "1850-01-01",
    "2150-01-01",
]


ZONES = [("UTC", "UTC"), ("America/New_York", "UTC"), (None, "Europe/Berlin"), ("Pacific/Honolulu", "Pacific/Kiritimati")]
KINDS = ["{time}", "date", "timestamp with time zone"]
# In CI, each zone and each kind in a pair of its own; `make full` has the others.
PAIRS = [(*zones, kind) for zones in ZONES for kind in KINDS]
IN_CI = [(*zones, KINDS[n % len(KINDS)]) for n, zones in enumerate(ZONES)]


@pytest.mark.parametrize(
    ("timezone", "zone", "kind"), [pair if pair in IN_CI else pytest.param(*pair, marks=pytest.mark.full) for pair in PAIRS]
)
def test_the_server_counts_the_rows_of_each_window(opened: Any, shop: Any, kind: str, timezone: str | None, zone: str) -> None:
    if shop.name == "mariadb" and "zone" in kind:
        kind = "timestamp null"
    times = [f"'{time}'" for time in WRITTEN if kind != "timestamp null" or "1900" < time < "2038"]
    shop.make(f"drop table if exists counted; create table counted (buyer text, at {kind}, paid int)")
    shop.run("insert into counted values " + ", ".join(f"('c', {time}, 1)" for time in [*times, "null"]))
    source = opened(zone=zone, transactions=at(shop, table="counted", timezone=timezone))
    windows = {"one": JANUARY, "two": FEBRUARY}
    assert source.source.counts("transactions", source.engine, windows) == {
        name: len(source.rows(window=window)) for name, window in windows.items()
    }


def test_text_dates_cannot_be_counted_by_the_server(opened: Any, shop: Any) -> None:
    shop.run("drop table if exists texts; create table texts (buyer text, at text, paid int)")
    source = opened(transactions=at(shop, table="texts"))
    assert source.source.counts("transactions", source.engine, {"one": JANUARY}) is None


def test_printed_rules_return_the_same_customers_on_postgresql(postgres: Server) -> None:
    """Thresholds on the customers' own values, which have all digits of a float, and one step beside them; values are missing."""
    draw = np.random.default_rng(7)
    values = np.where(draw.random((2, 60)) < 0.2, np.nan, draw.lognormal(3, 4, (2, 60)) * draw.choice([-1, 1], (2, 60)))
    homes = draw.choice(np.array(["it's", "a\\b", None], dtype=object), 60)
    columns = {"recency_days": values[0], "Annual Income": values[1], "select": homes}
    known = [value for value in values.ravel() if value == value]
    rules = [
        Predicate(
            "active", ((Condition("recency_days", "<=", np.nextafter(draw.choice(known), beside)), Condition("select", *text)),
                       (Condition("Annual Income", ">", draw.choice(known)),)),
        )
        for beside in (-np.inf, 0.0, np.inf) for text in (("=", "it's"), ("<>", "a\\b")) for _ in range(8)
    ]  # fmt: skip
    cells = ",".join(
        f"({i}, 'active', {', '.join('null' if value != value else repr(float(value)) for value in pair)}, {_said(home)})"
        for i, (pair, home) in enumerate(zip(values.T, homes, strict=True))
    )
    postgres.run(
        "drop table if exists features; create table features (id int, status text, recency_days float8, "
        '"Annual Income" float8, "select" text);'
        f"insert into features values {cells}"
    )
    asked = " union all ".join(f"select {n} n, id from features where {in_dialect(rule.sql(), 'postgres')}" for n, rule in enumerate(rules))
    found = [tuple(map(int, line.split("|"))) for line in postgres.run(f"select n, id from ({asked}) a order by n, id").split()]
    assert found == [(n, int(i)) for n, rule in enumerate(rules) for i in np.flatnonzero(rule.met(columns))]


def _said(text: str | None) -> str:
    return "null" if text is None else "'" + text.replace("'", "''") + "'"


@pytest.mark.parametrize(
    ("url", "mapped", "column"),
    [
        ("postgresql://ann@host/shop", '"Placed At"', "Placed At"),
        ("postgresql://ann@host/shop", '"say ""at"""', 'say "at"'),
        ("postgresql://ann@host/shop", "DAY", "DAY"),  # no column there, so that all rows are fetched
        ("sc://host:15002", "DAY", "day"),
        ("sc://host:15002", '"placed at"', "Placed At"),
        ("sc://host:15002", "day || ''", "day || ''"),
    ],
)
def test_a_quoted_name_is_that_of_a_column(url: str, mapped: str, column: str) -> None:
    """Else all rows would be fetched for each window, as for an expression."""
    table = ibis.table({"Placed At": "timestamp", 'say "at"': "timestamp", "day": "date"}, name="orders")
    settings = TransactionDatabase(url=url, table="orders", columns={**COLUMNS, "ordered_at": mapped})
    assert _column(settings, "ordered_at", table) == column
