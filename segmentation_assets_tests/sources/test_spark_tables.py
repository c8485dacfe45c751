"""Tables of an engine that speaks Spark Connect return the rows that the same tables of DuckDB do, and errors never show the token."""

import datetime as dt
import importlib.util
import logging
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from segmentation_assets.cli.check import inspect
from segmentation_assets.settings.loading import Settings
from segmentation_assets.settings.source import TransactionDatabase, spark_name
from segmentation_assets.sources import database_connection
from segmentation_assets.sources.base import SourceError, Window
from segmentation_assets.sources.database import BATCH_ROWS, DatabaseRows
from segmentation_assets.sources.mapping import Bounds
from segmentation_assets_tests.engines.servers import sail, sail_of_its_own, spark_with_two_executors
from segmentation_assets_tests.sources.conftest import FOREVER, opened_in

pytestmark = [
    pytest.mark.spark,
    pytest.mark.skipif(
        importlib.util.find_spec("pyspark") is None, reason="the client of Spark Connect is an extra: pip install '.[spark]'"
    ),
]
COLUMNS = {"customer_id": "buyer", "ordered_at": "at", "amount": "paid"}
JANUARY, FEBRUARY = Window(None, dt.date(2024, 2, 1)), Window(dt.date(2024, 2, 1), dt.date(2024, 3, 1))
LATER = Window(dt.date(2024, 3, 1), FOREVER.end)
WINDOWS = {"first": JANUARY, "second": FEBRUARY, "third": LATER}
TOKEN = "-".join(("dapi", "of", "ann"))  # a traceback repeats the lines of a test
WHERE = "global_temp"  # the schema of an engine whose views other sessions see


@dataclass(frozen=True)
class Both:
    """The same tables on an engine and in a file of DuckDB, and the settings of either."""

    url: str
    session: Any
    folder: Path

    def table(self, name: str, rows: pa.Table) -> None:
        """Make or replace a table of both."""
        file = self.folder / f"{name}-{len(list(self.folder.iterdir()))}.parquet"
        pq.write_table(rows, file)
        self.session.read.parquet(str(file)).createOrReplaceGlobalTempView(name)
        with duckdb.connect(self.folder / "shop.duckdb") as shop:
            shop.execute(f"create schema if not exists {WHERE}; create or replace table {WHERE}.{name} as from '{file}'")

    def opened(self, open_source: Callable[..., Any], zone: str = "UTC", **tables: Any) -> list[Any]:
        """The source on the engine, and on DuckDB."""
        return [
            open_source(zone=zone, **{entity: {"url": url, **table} for entity, table in tables.items()})
            for url in (self.url, f"duckdb:///{self.folder / 'shop.duckdb'}")
        ]


@pytest.fixture(scope="module", params=[sail, pytest.param(spark_with_two_executors, marks=pytest.mark.full)])
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    from segmentation_assets.engines import spark_connect

    with request.param() as url:
        session = spark_connect.session(url, None)
        yield Both(url, session, tmp_path_factory.mktemp("both"))
        session.stop()


def lines(times: list[Any], kind: pa.DataType | None = None, **more: list[Any]) -> pa.Table:
    """Order lines at these times, each with another amount."""
    columns = {"buyer": [f"c{n % 3}" for n in range(len(times))], "at": pa.array(times, kind), "paid": [n + 0.5 for n in range(len(times))]}
    return pa.table({**columns, **more})


WRITTEN = [
    "2023-12-31 23:30:00", "2024-01-31 22:30:00", "2024-01-31 23:30:00", "2024-02-01 00:30:00", "2024-02-10 12:00:00.123456",
    "2024-02-29 23:30:00", "2024-01-31 00:30:00", "2024-02-02 00:30:00", "1850-01-01 00:00:00", "2150-01-01 00:00:00",
    "2024-03-10 02:30:00", "2024-11-03 01:30:00", "2024-03-31 02:30:00", "2024-10-27 02:30:00",  # which clocks skip, or have twice
    None,
]  # fmt: skip
ENDING = [f"2024-02-10{end}" for end in ("\n", " 10:00\r", "\u2028", "\x85", "\n\n")]  # for Java, $ is before the end of a line too
MOMENTS = [None if text is None else dt.datetime.fromisoformat(text) for text in WRITTEN]
KINDS = {
    "timestamp_ntz": lines(MOMENTS, pa.timestamp("us")),
    "timestamp": lines(MOMENTS, pa.timestamp("us", "UTC")),
    "date": lines([None if moment is None else moment.date() for moment in MOMENTS], pa.date32()),
    "iso text": lines([*WRITTEN[:-1], "2024-01-31T23:30:00-11:00", "", "N/A", "2024-02-30", "soon", *ENDING, None]),
    "other text": lines(["05/02/2024", "13/02/2024", "2024-02-10", "20240212", " 2024-2-9 10:00", "soon", None]),
}
ZONES = [("UTC", "UTC"), ("America/New_York", "UTC"), (None, "Europe/Berlin"), ("Pacific/Honolulu", "Pacific/Kiritimati")]
FETCHED = {
    "date": "only the window's rows",
    "iso text": "only the window's rows, by ISO text",
    "other text": "all rows, because at is string",
}


# In CI, some pairs; `make full` has the others.
PAIRS = [(kind, *zones) for kind in KINDS for zones in ZONES]
IN_CI = [("timestamp_ntz", *ZONES[1]), ("timestamp", *ZONES[2]), ("iso text", *ZONES[1])]


@pytest.mark.parametrize(
    ("kind", "timezone", "zone"), [pair if pair in IN_CI else pytest.param(*pair, marks=pytest.mark.full) for pair in PAIRS]
)
def test_each_row_is_in_the_window_in_which_duckdb_has_it(opened: Any, both: Both, kind: str, timezone: str | None, zone: str) -> None:
    both.table("orders", KINDS[kind])
    there, here = both.opened(opened, zone=zone, transactions={"table": f"{WHERE}.orders", "columns": COLUMNS, "timezone": timezone})
    found = {name: fetched(there, window) for name, window in WINDOWS.items()}
    assert found == {name: fetched(here, window) for name, window in WINDOWS.items()}
    assert sum(len(rows) for rows, _, _ in found.values()) == len(KINDS[kind])
    _, number, note = found["second"]
    assert note.startswith(FETCHED.get(kind, "only the window's rows"))
    assert number < len(KINDS[kind]) or "all" in note  # days on either side for time zones, and text that may be any date, but not the rest
    counts = there.source.counts("transactions", there.engine, WINDOWS)
    assert counts == (None if "text" in kind else {name: len(rows) for name, (rows, _, _) in found.items()})


def fetched(source: Any, window: Window) -> tuple[list[dict[str, Any]], int, str]:
    """The order lines of a window, how many rows were fetched for it, and how they were selected."""
    taken = source.source.kept_by_table("transactions", window)
    rows = source.engine.rows(source.source.dated("transactions", source.engine, window, taken))
    ((kept,),) = taken.values()
    return alike(rows), kept.rows, kept.notes["fetched"]


def alike(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows without what tells engines apart: their numbers, and how their original record is written."""
    return sorted(({name: value for name, value in row.items() if name not in {"row_number", "record"}} for row in rows), key=str)


def mapped(source: Any, entity: str, window: Window | None = None) -> str:
    """Who maps the rows of an entity, as `check` says it."""
    (kept,) = source.source.kept(entity, window)
    return str(kept.notes["mapped"])


def test_columns_of_any_type_are_read_as_on_duckdb(opened: Any, both: Both) -> None:
    long = 9_007_199_254_740_993  # one more than a float can represent
    buyer = pa.array([{"id": long, "home": {"post code": "1011", "x.y": None}}, None, {"id": 1, "home": None}])
    rows = lines(
        MOMENTS[:3],
        pa.timestamp("us", "UTC"),
        buyer=buyer,
        paid=pa.array([Decimal("10.50"), None, Decimal("-0.01")], pa.decimal128(12, 2)),
        exact=pa.array([Decimal(long), None, Decimal(2)], pa.decimal128(38, 0)),
        small=pa.array([9.99, None, float("nan")], pa.float32()),
        double=[0.1, float("nan"), None],
        flag=[True, None, False],
        day=[dt.date(2024, 1, 1), None, dt.date(1850, 1, 1)],
        byte=pa.array([1, None, 3], pa.int8()),
        bytes=[b"a\xff", None, b""],
        items=[[1, 2], None, []],
        lines=[[{"sku": "a", "n": 1}], None, []],
        words=pa.array([[("a", 1)], None, []], pa.map_(pa.string(), pa.int64())),
        **{"Unit Price": [1.5, 2.5, None], "p.q": ["x", None, "`"], "q`r": ["it's", "a\\b", "\n"], "UPPER": ["x", "y", "z"]},
    )
    both.table("wide", rows)
    columns = {"customer_id": "buyer.id", "ordered_at": "at", "amount": "paid", "product_id": "p.q", "category": "upper"}
    orders = {"table": f"{WHERE}.wide", "columns": columns}
    customers = {"table": f"{WHERE}.wide", "columns": {"customer_id": "buyer.id"}}
    there, here = both.opened(opened, transactions=orders, customers=customers)
    found = there.rows()
    assert alike(found) == alike(here.rows())
    assert str(long) in {row["customer_id"] for row in found}
    assert mapped(there, "transactions") == "by the engine"
    assert alike(there.rows("customers")) == alike(here.rows("customers"))
    assert mapped(there, "customers").startswith("here, because bytes is binary there")
    assert there.source.kept("customers")[0].columns == here.source.kept("customers")[0].columns
    plain = [name for name in rows.column_names if name not in {"buyer", "bytes", "items", "lines", "words"}]
    there, here = both.opened(opened, customers={**customers, "attributes": plain})
    assert alike(there.rows("customers")) == alike(here.rows("customers"))
    assert mapped(there, "customers") == "by the engine"


def test_rows_have_numbers_whatever_their_order(opened: Any, both: Both) -> None:
    rows = lines([dt.date(2024, 1, 1 + n % 30) for n in range(1_000)], more=[f"text {n}" for n in range(1_000)])
    found = []
    for name, places in (("sorted", range(1_000)), ("shuffled", sorted(range(1_000), key=lambda n: n * 7919 % 1_000))):
        both.table(name, rows.take(pa.array(places)))
        query = f"SELECT * FROM {WHERE}.{name}"
        there = opened(transactions={"url": both.url, "query": query, "columns": {**COLUMNS, "product_id": "more"}})
        found.append([(row["row_number"], row["product_id"]) for row in there.rows()])
        assert mapped(there, "transactions") == "by the engine"
    assert found[0] == found[1]
    assert [number for number, _ in found[0]] == list(range(1, 1_001))


LATER_MAPPED = [
    ({"lookups": [{"files": "products.csv", "key": "sku"}]}, "its lookups are files of this machine"),
    ({"fill_from_order": ["buyer"]}, "fill_from_order needs an order of rows"),
    ({"columns": {**COLUMNS, "amount": "sku"}}, "amount is string there, not numeric"),
    ({"columns": {**COLUMNS, "ordered_at": "sku"}}, "ordered_at is string there, not timestamp"),
    ({"columns": {**COLUMNS, "amount": "CAST(sku AS DOUBLE)"}}, "an expression reads text as numbers or times"),
    ({"leave_out": "CAST(sku AS DOUBLE) > 2"}, "an expression reads text as numbers or times"),
]


@pytest.mark.parametrize(("asked", "why"), LATER_MAPPED)
def test_what_the_engine_cannot_map_is_mapped_here_and_told(
    opened: Any, both: Both, tmp_path: Path, asked: dict[str, Any], why: str
) -> None:
    both.table("told", lines([dt.date(2024, 1, 1)] * 3, sku=["1", "2", "3,5"], order=["a", "a", "b"]))
    (tmp_path / "products.csv").write_text("sku,kind\n1,tea\n2,coffee\n")
    table = {"table": f"{WHERE}.told", **asked, "columns": {"order_id": "order", **asked.get("columns", COLUMNS)}}
    there, here = both.opened(opened, transactions=table)
    assert alike(there.rows()) == alike(here.rows())
    assert mapped(there, "transactions") == f"here, because {why}"


def test_types_that_arrow_has_not_become_text(opened: Any, both: Both) -> None:
    query = (
        "SELECT 'c1' AS buyer, DATE '2024-01-05' AS at, 1 AS paid, NULL AS none, INTERVAL '1' DAY AS long, INTERVAL '2' MONTH AS longer, "
        "parse_json('{}') AS variant, named_struct('a', 1, 'A', 2) AS twins, 1 AS `Name`, 2 AS name"
    )
    source = opened(transactions={"url": both.url, "query": query, "columns": {**COLUMNS, "category": "long", "product_id": "name_2"}})
    assert [(row["category"], row["product_id"]) for row in source.rows()] == [("INTERVAL '1' DAY", "2")]


SHARED = {
    "order": ["o1", "o1", "o2", "o2", "o3", "o4", "o4"],
    "at": ["2024-01-05", "2024-01-05", "2024-01-31", None, "2024-02-03", "2024-02-04", "2024-02-04"],
    "buyer": ["c1", None, "c2", None, "c1", "c3", None],
    "total": [10.0, 10.0, 7.5, 7.5, 3.0, 4.0, 4.0],
    "state": ["paid", "paid", "paid", "paid", "cancelled", "paid", "paid"],
    "sku": ["a", "b", "a", "c", "a", "b", "z"],
    "country": ["DE", None, "FR", None, "AT", None, None],
}


def test_settings_of_databases_mean_the_same(opened: Any, both: Both, tmp_path: Path) -> None:
    """Orders of several rows, expressions, what is left out, lookups, customers and events."""
    day = [None if text is None else dt.date.fromisoformat(text) for text in SHARED["at"]]
    both.table("shared", pa.table({**SHARED, "at": day}))
    (tmp_path / "products.csv").write_text("sku,kind\na,tea\nb,coffee\nc,cake\n")
    table = {"table": f"{WHERE}.shared"}
    orders = {
        "columns": {"customer_id": "UPPER(BUYER)", "order_id": "order", "ordered_at": "at", "amount": "total", "category": "kind"},
        "amount_is": "order", "fill_from_order": ["buyer"], "leave_out": "state = 'cancelled'",
        "lookups": [{"files": "products.csv", "key": "sku"}],
    }  # fmt: skip
    customers = {"columns": {"customer_id": "buyer", "known_at": "at"}, "attributes": ["country"], "repeats": "newest"}
    events = {"columns": {"customer_id": "buyer", "event_type": "state", "event_at": "at", "subject": "sku"}}
    there, here = both.opened(opened, transactions=table | orders, customers=table | customers, events=table | events)
    for entity in ("transactions", "customers", "events"):
        assert alike(there.rows(entity, FEBRUARY)) == alike(here.rows(entity, FEBRUARY)) != []
    each = {"columns": {"customer_id": "buyer", "known_at": "at"}, "attributes": ["country"], "each_date": "changes"}
    there, here = both.opened(opened, customers=table | each)
    assert alike(there.rows("customers", FEBRUARY)) == alike(here.rows("customers", FEBRUARY)) != []


def test_whole_orders_are_fetched(opened: Any, both: Both) -> None:
    both.table("whole", pa.table({**SHARED, "at": [dt.date.fromisoformat(text or "2024-03-31") for text in SHARED["at"]]}))
    columns = {"customer_id": "buyer", "order_id": "order", "ordered_at": "at", "amount": "total"}
    table = {"table": f"{WHERE}.whole", "columns": columns, "fill_from_order": ["buyer"]}
    there, here = both.opened(opened, transactions=table)
    assert fetched(there, LATER) == fetched(here, LATER)
    rows, number, _ = fetched(there, LATER)
    assert ({row["order_id"] for row in rows}, number) == ({"o2"}, 2)
    table["columns"] = {**columns, "order_id": "ORDER", "ordered_at": "AT"}
    there, _ = both.opened(opened, transactions=table)  # Spark ignores capitals
    assert there.source.kept("transactions", LATER)[0].rows == 2


def test_the_fingerprint_changes_with_new_rows(opened: Any, both: Both) -> None:
    both.table("grows", KINDS["timestamp"].slice(0, 2))
    source = opened(transactions={"url": both.url, "table": f"{WHERE}.grows", "columns": COLUMNS})
    before = source.source.fingerprint()
    assert before == source.source.fingerprint()
    both.table("grows", KINDS["timestamp"].slice(0, 3))
    assert source.source.fingerprint() != before


def test_rows_come_a_part_at_a_time(opened: Any, both: Both, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = 4 * BATCH_ROWS
    query = f"SELECT 'c' AS buyer, DATE '2024-01-05' AS at, id AS paid FROM range({rows})"
    from segmentation_assets.sources.spark_tables import SparkTables

    written = []

    def noted(*of: Any) -> Iterator[pa.Table]:
        for part in batches(*of):
            written.append(len(part))
            yield part

    batches = SparkTables.batches
    monkeypatch.setattr(SparkTables, "batches", noted)
    settings = TransactionDatabase(url=both.url, query=query, columns=COLUMNS)
    found = DatabaseRows(tmp_path, Bounds(JANUARY.end.replace(year=1900), FOREVER.end)).fetch("transactions", settings, None, 0)
    assert found.rows == rows == sum(written)
    assert max(written) < 2 * BATCH_ROWS


def test_check_describes_it_as_other_databases(both: Both, tmp_path: Path) -> None:
    both.table("checked", KINDS["timestamp_ntz"])
    found = []
    for name, url in (("there", both.url), ("here", f"duckdb:///{both.folder / 'shop.duckdb'}")):
        source = {"kind": "tables", "transactions": {"url": url, "table": f"{WHERE}.checked", "columns": COLUMNS}}
        snapshots = {"first": "2024-02-01", "last": "2024-02-01"}
        found.append(inspect(Settings(**{"data_dir": str(tmp_path / name), "snapshots": snapshots, "source": source})))
    there, here = ([line for line in each.lines if not line.startswith("Written to")] + each.problems for each in found)
    there, here = (
        [line.replace("; mapped by the engine", "") for line in lines if "such as" not in line and "row " not in line]
        for lines in (there, here)
    )
    assert there == here  # but for examples, because rows have other numbers
    assert any("left to later snapshots" in line for line in there)


REFUSED = [
    ({"query": "selec buyer from orders"}, "Correct the SQL of `query`; it is in the database's own SQL"),
    ({"query": "drop table nowhere"}, "Correct the SQL of `query`|Correct the name of the table"),
    ({"query": "select nobody from (select 1 as somebody)"}, "Correct the names of columns in `query`"),
    ({"query": "select * from nowhere"}, "Correct the name of the table in `query`"),
    ({"query": "select no_such_function(1)"}, "no such function: correct `query`"),
    ({"query": "select * from parquet.`/no/such/folder`"}, "Correct the path in `query`|Correct its name or path"),
    ({"table": "nowhere"}, r"\(nowhere\): no such table\. Correct `table` in the settings, or grant the user the right to see it"),
    ({"table": "main.sales.nowhere"}, r"\(main\.sales\.nowhere\): no such table"),
    ({"table": f"{WHERE}.one"}, "'buyer', which is not a column here"),
]


@pytest.mark.parametrize(("asked", "said"), REFUSED)
def test_errors_say_what_to_do_in_one_line(opened: Any, both: Both, asked: dict[str, str], said: str, capfd: Any) -> None:
    both.session.sql("SELECT 1 AS only").createOrReplaceGlobalTempView("one")
    with pytest.raises(SourceError, match=said) as refused:
        opened(transactions={"url": f"{both.url}/;user_id=ann", "columns": COLUMNS, **asked}).rows()
    assert "\n" not in str(refused.value)
    assert "user_id" not in str(refused.value)  # any parameter may be secret
    assert "JVM" not in "".join((*capfd.readouterr(), str(refused.value)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[INSUFFICIENT_PERMISSIONS] Insufficient privileges: User does not have permission SELECT on Table", "Grant the user the right"),
        ("PERMISSION_DENIED: User does not have USE SCHEMA on Schema 'main.sales'.", "Grant the user the right to read it."),
        ("<_MultiThreadedRendezvous of RPC: UNAUTHENTICATED: Invalid access token", "Check the token that is in the environment variable"),
        ("[INVALID_HANDLE.SESSION_NOT_FOUND] The handle is invalid. Session not found.", "begun anew in the middle: start the same again"),
    ],
)
def test_advice_fits_what_databricks_says(text: str, said: str) -> None:
    """As its documentation has these errors; it was not tried."""
    assert said in database_connection.advice(text, has_query=False)


def test_names_have_parts_as_in_spark() -> None:
    assert spark_name("main.`sales data`.orders") == ("main", "sales data", "orders")
    assert spark_name("parquet.`s3://bucket/a.b`") == ("parquet", "s3://bucket/a.b")
    assert spark_name("a.`b``c`") == ("a", "b`c")
    for none in ("", "main..orders", "main.`orders", "main.or`ders", ".orders"):
        with pytest.raises(ValueError, match=r"catalog\.schema\.table"):
            spark_name(none)


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    from segmentation_assets.engines import spark_connect

    monkeypatch.setattr(spark_connect, "PATIENCE", 0.2)
    monkeypatch.setattr(spark_connect, "RETRIES", 0)


def test_an_engine_that_does_not_answer_is_named(opened: Any, patience: None) -> None:
    with pytest.raises(SourceError, match=r"sc://127\.0\.0\.1:1 \(orders\): nothing answers within 0 s\. Check the address: its host"):
        opened(transactions={"url": "sc://127.0.0.1:1", "table": "orders", "columns": COLUMNS}).rows()


def test_a_token_comes_from_its_variable_and_is_not_said(
    opened: Any, patience: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    table = {"url": "sc://127.0.0.1:1", "password_variable": "CLUSTER_TOKEN", "table": "orders", "columns": COLUMNS}
    with pytest.raises(SourceError, match=r"which should hold the token, is not set\. Set it: export CLUSTER_TOKEN="):
        opened(transactions=table).rows()
    monkeypatch.setenv("CLUSTER_TOKEN", TOKEN)
    with pytest.raises(SourceError, match="with a token, the connection is encrypted") as refused:
        opened(transactions=table).rows()
    said = "".join((*traceback.format_exception(refused.value), caplog.text, *capfd.readouterr()))
    assert TOKEN not in said


def test_a_session_that_is_refused_does_not_say_its_token(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from segmentation_assets.engines import spark_connect

    def refusing(url: str, token: str | None) -> Any:
        raise spark_connect.NoSession("UNAUTHENTICATED: (token) is no token")

    monkeypatch.setattr(spark_connect, "session", refusing)
    with pytest.raises(SourceError, match=r"\(orders\): gives no session .*: UNAUTHENTICATED: \(token\) is no token\. Check the token"):
        opened(transactions={"url": "sc://127.0.0.1:1", "table": "orders", "columns": COLUMNS}).rows()


def test_an_error_with_the_token_is_said_without_it(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from segmentation_assets.engines import spark_connect
    from segmentation_assets.sources import spark_tables

    def failing(*of: Any) -> Any:
        raise RuntimeError(f"{TOKEN} may not read\n\nJVM stacktrace:\norg.apache.spark")

    class Session:
        """Of an engine that is not asked anything."""

        conf = type("Conf", (), {"set": staticmethod(lambda *of: None)})
        stop = staticmethod(lambda: None)

    monkeypatch.setenv("CLUSTER_TOKEN", TOKEN)
    monkeypatch.setattr(spark_connect, "session", lambda *of: Session())
    monkeypatch.setattr(spark_tables.SparkTables, "_asked", failing)
    with pytest.raises(SourceError, match=r"\(orders\): \*\*\* may not read\. Check the address") as refused:
        opened(transactions={"url": "sc://127.0.0.1:1", "password_variable": "CLUSTER_TOKEN", "table": "orders", "columns": COLUMNS}).rows()
    assert TOKEN not in "".join(traceback.format_exception(refused.value))


def test_an_engine_that_is_lost_in_the_middle_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patience: None) -> None:
    from segmentation_assets.engines.spark_connect import Results
    from segmentation_assets.sources.spark_tables import SparkTables

    # Amounts as text, which are mapped here, so that the engine begins to send at once; more rows than fit between the two.
    query = "SELECT 'c' AS buyer, DATE '2024-01-05' AS at, CAST(id AS STRING) AS paid FROM range(100000000)"
    sent = SparkTables._sent

    with sail_of_its_own() as (url, server), opened_in(tmp_path) as open_source:

        def losing(*of: Any) -> Iterator[pa.Table]:
            batches = sent(*of)
            yield next(batches)
            server.kill()
            yield from batches

        monkeypatch.setattr(SparkTables, "_sent", losing)
        source = open_source(transactions={"url": url, "query": query, "columns": COLUMNS})
        with pytest.raises(SourceError, match=rf"{url} \(query [0-9a-f]+\): has stopped answering\. See that the engine is running"):
            source.rows()
    assert not list(tmp_path.rglob("*.parquet"))
    assert Results._release_thread_pool_instance is None  # else the process would end minutes later


def test_a_missing_client_is_to_be_installed(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("segmentation_assets.sources.spark_tables", "segmentation_assets.engines.spark_connect"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    for name in ("pyspark", "ibis.backends.pyspark", "ibis.backends.pyspark.datatypes"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SourceError, match=r"pip install 'segmentation-assets\[spark\]'"):
        opened(transactions={"url": "sc://127.0.0.1:1", "table": "orders", "columns": COLUMNS}).rows()
