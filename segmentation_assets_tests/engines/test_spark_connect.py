"""An engine at an address of Spark Connect reads and writes the lake as DuckDB does, and what is said of one that cannot be used."""

import datetime as dt
import importlib.util
import re
import sys
import traceback
from decimal import Decimal
from pathlib import Path

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from segmentation_assets.engines.base import EngineError
from segmentation_assets.engines.duckdb import DuckDBEngine
from segmentation_assets.engines.exchange import SharedFolder
from segmentation_assets.expressions import ALLOWED, Typed, mapped
from segmentation_assets.settings.engine import SparkConnect
from segmentation_assets.store.lake import opened
from segmentation_assets_tests.engines.servers import sail, spark_with_two_executors

pytestmark = [
    pytest.mark.spark,
    pytest.mark.skipif(
        importlib.util.find_spec("pyspark") is None, reason="the client of Spark Connect is an extra: pip install '.[spark]'"
    ),
]


@pytest.fixture(scope="module", params=[sail, pytest.param(spark_with_two_executors, marks=pytest.mark.full)])
def spark(request, tmp_path_factory):
    from segmentation_assets.engines.spark_connect import SparkConnectEngine

    with request.param() as url:
        engine = SparkConnectEngine(url, SharedFolder(tmp_path_factory.mktemp("shared")), DuckDBEngine(threads=1))
        yield engine
        engine.close()
        engine.driver.close()


def stored(folder: Path, **columns) -> Path:
    """A file with these columns."""
    file = folder / f"{len(list(folder.iterdir()))}.parquet"
    pq.write_table(pa.table(columns), file)
    return file


MEANT_ALIKE = {
    "whole numbers before another": lambda t: ibis.range(0, t.whole.fill_null(0), 1),  # empty for none
    "spaces around a word": lambda t: t.word.strip(),  # SQLGlot writes form feed as \f, which Spark reads as f
    "a backslash and f": lambda t: t.word.replace("v", "\\f"),
    "the end of a text": lambda t: (t.word + "\n").re_search(r"v$|[$]|\$"),  # for Java, also before its last line break
    "a float or zero": lambda t: t.float.fill_null(0.0),  # Sail makes a decimal of it, with 15 digits after the point
    "a small float": lambda t: t.float * 1e-20,
    "the first of the month": lambda t: t.day.truncate("M").cast("date"),  # Spark makes a time of it
    "a whole number or none": lambda t: t.whole,  # pandas has no missing whole numbers
    "a large whole number": lambda t: t.whole + 2**53,
    "money": lambda t: t.money.sum().cast("decimal(38, 4)"),
    "words and days that differ together": lambda t: ibis.struct({"word": t.word, "day": t.day}).nunique(),  # Sail takes long for structs
    "a weekday": lambda t: t.day.day_of_week.index(),
    "a moment": lambda t: ibis.timestamp("2017-05-01 00:00:00") < t.day.cast("timestamp(6)"),
}


@pytest.mark.parametrize("what", MEANT_ALIKE)
def test_expressions_mean_the_same(spark, tmp_path, what):
    file = stored(
        tmp_path,
        word=["fair v", "\tvan\f", None],
        float=[1 / 3, None, 1e-17],
        day=[dt.date(2017, 5, 31), dt.date(2017, 4, 2), None],
        whole=pa.array([1, None, 3], pa.int64()),
        money=pa.array([Decimal("1.0001"), None, Decimal("0.1000")], pa.decimal128(18, 4)),
    )
    here, there = (
        [row["a"] for row in engine.rows(MEANT_ALIKE[what](engine.scan([file])).name("a").as_table())] for engine in (spark.driver, spark)
    )
    assert sorted(there, key=str) == sorted(here, key=str)


WORDS = [
    "a",
    " Über ",
    "n/a",
    None,
    "",
    "x-y-z",
    "1.50",
    "-3",
    "A\tb",
    "100%",
    "50\\_5",
    "true",
    "2024-01-05",
    "12,5",
    "e\u0301",
    "\U0001f600z",
]
MONEY = ["1.50", "-0.25", None, "0.00", "2.45", "-2.45", "100.10", "3.00", "7.77", "0.05", "1.15", "9.99", "12.35", "5.55", "6.66", "0.01"]
DAYS = [dt.date(2024, 1, 31), None, dt.date(2020, 2, 29), dt.date(1999, 12, 31)] * 4
TYPED = {  # of each type that our tables have
    "place": list(range(16)),
    "w": WORDS,
    "v": WORDS[::-1],
    "i": pa.array([1, -2, 2**53 + 1, None, 0, 7, -7, 3, 100, 255, 2, -1, 9, 12, 5, 6], pa.int64()),
    "j": pa.array([3, 0, 2, 1, None, -2, 2, 2, 7, 16, 3, 5, -4, 5, 2, 1], pa.int64()),
    "f": [1.5, -2.5, None, 0.1, 2.5, 1e6, -0.5, 0.0, 3.14159, -0.01, 1 / 3, 12345.678, 2.0, 7.25, 7.0, -7.5],
    "m": pa.array([value and Decimal(value) for value in MONEY], pa.decimal128(12, 2)),
    "b": [True, False, None, True] * 4,
    "d": DAYS,
    "t": pa.array([day and dt.datetime(day.year, day.month, day.day, 23, 59, 59, 123456) for day in DAYS], pa.timestamp("us")),
}
EXPRESSIONS = (
    "i + j", "i - j", "i * 2", "i / j", "i % j", "-i", "f + m", "f * i", "f / j", "f % 2", "m * 2", "m / 3", "m / m", "1 / m", "m + i",
    "m - 0.1", "m % 2", "i = j", "f > m", "m > 1.5", "m = 1.5", "m > i", "w = 'a'", "w <> v", "w < v", "d > DATE '2021-01-01'",
    "d < '2021-01-01'", "t >= '2020-02-29'", "i > 1 AND b", "i > 1 OR b", "NOT b", "CASE WHEN i > 1 THEN 'x' WHEN b THEN w ELSE v END",
    "CASE i WHEN 1 THEN 2 ELSE 0 END", "CASE WHEN b THEN m ELSE 0.5 END", "i IN (1, 2, 7)", "m IN (1.5, 3)", "w NOT IN ('a')",
    "d IN (DATE '2024-01-31')", "i BETWEEN 0 AND 7", "m BETWEEN 0.5 AND 7.5", "w LIKE 'a%'", "w LIKE '%5\\_%'", "w LIKE '%.%'",
    "w NOT LIKE '%z'", "w ILIKE 'A%'", "w IS NULL", "w || '-' || i", "CAST(i AS VARCHAR)", "CAST(f AS VARCHAR)", "CAST(m AS VARCHAR)",
    "CAST(b AS VARCHAR)", "CAST(d AS VARCHAR)", "CAST(t AS VARCHAR)", "CAST(w AS DOUBLE)", "CAST(w AS INTEGER)", "CAST(f AS INTEGER)",
    "CAST(m AS INTEGER)", "CAST(w AS DATE)", "CAST(t AS DATE)", "CAST(d AS TIMESTAMP)", "CAST(w AS BOOLEAN)", "CAST(b AS INTEGER)",
    "COALESCE(w, v)", "COALESCE(m, 0.5)", "NULLIF(w, '')", "NULLIF(m, 1.5)", "ABS(f)", "ABS(m)", "ROUND(f, 1)", "ROUND(m)", "FLOOR(f)",
    "FLOOR(m)", "CEIL(m)", "GREATEST(f, 0)", "GREATEST(m, i)", "LEAST(w, v)", "UPPER(w)", "LOWER(w)", "TRIM(w)", "LENGTH(w)",
    "LEFT(w, 2)", "RIGHT(w, 2)", "SUBSTRING(w, 2, 3)", "REPLACE(w, '.', '+')", "SPLIT_PART(w, '-', 2)", "SPLIT_PART(w, '.', 1)",
    "SPLIT_PART(w, '-', 9)", "CONCAT(w, 'x', i)",
)  # fmt: skip


def test_every_function_of_expressions_is_compared():
    functions = set(re.findall(r"[A-Z_]{3,}", ALLOWED)) - {"AND"}
    assert {name for name in functions if not any(name in expression for expression in EXPRESSIONS)} == set()


def test_expressions_of_the_settings_mean_the_same(spark, tmp_path):
    """As conditions of own segments."""
    file, found = stored(tmp_path, **TYPED), []
    for engine in (spark.driver, spark):
        table = engine.scan([file], hive_partitioning=False)
        values = {f"e{number}": mapped(expression, table, Typed()).value for number, expression in enumerate(EXPRESSIONS)}
        rows = engine.rows(table.select("place", **{name: _plain(value) for name, value in values.items()}))
        found.append(sorted(rows, key=lambda row: row["place"]))
    here, there = found
    for number, expression in enumerate(EXPRESSIONS):
        written, meant = ([row[f"e{number}"] for row in rows] for rows in (there, here))
        assert written == pytest.approx(meant, rel=1e-12, abs=0) if _are_numbers(meant) else written == meant, expression


def _plain(value):
    """Money as floats: Ibis expects fewer digits of some products than engines give."""
    return value.cast("float64") if value.type().is_decimal() else value


def _are_numbers(values):
    return {type(value) for value in values} <= {int, float, type(None)}


def test_files_with_different_columns_and_types_are_read_as_duckdb_reads_them(spark, tmp_path):
    files = [stored(tmp_path, id=["a"], n=pa.array([1], pa.int32())), stored(tmp_path, n=[2.5], id=["b"], more=[True])]
    here, there = (engine.scan(files, hive_partitioning=False) for engine in (spark.driver, spark))
    assert there.schema() == here.schema()
    assert there.order_by("id").to_pyarrow().to_pylist() == here.order_by("id").to_pyarrow().to_pylist()


def test_partitions_are_dated_by_their_folders(spark, tmp_path):
    folders = [tmp_path / f"snapshot_date=2017-0{month}-01" for month in (5, 6)]
    for folder in folders:
        folder.mkdir()
        stored(folder, n=[1])
    table = spark.scan([folder / "0.parquet" for folder in folders], hive_partitioning=True)
    assert table.order_by("snapshot_date").to_pyarrow()["snapshot_date"].to_pylist() == [dt.date(2017, 5, 1), dt.date(2017, 6, 1)]


def test_what_it_computes_is_one_file_in_order_of_its_key(spark, tmp_path):
    rows = 20_000  # enough for Sail to write several files
    file = stored(tmp_path, id=[f"c{(7 * i) % rows:05}" for i in range(rows)], n=list(range(rows)))
    for engine, name in ((spark.driver, "here"), (spark, "there")):
        engine.write(engine.scan([file]).mutate(n=ibis._.n + 1), tmp_path / name, by=["id"])
    assert pq.read_table(tmp_path / "there").to_pydict() == pq.read_table(tmp_path / "here").to_pydict()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.parquet", "here", "there"]


def test_rows_of_customers_come_in_the_order_of_their_file(spark, tmp_path):
    """Samples depend on it, and engines return rows as they come."""
    ids = [f"c{i:05}" for i in range(20_000)]
    found = spark.scan([stored(tmp_path, customer_id=ids)]).distinct().to_pyarrow()
    assert found["customer_id"].to_pylist() == ids


def test_an_unfinished_file_is_read(spark, tmp_path):
    """Spark passes over names that begin with a point."""
    hidden = stored(tmp_path, n=[1]).rename(tmp_path / ".n.unfinished")
    assert spark.rows(spark.scan([hidden])) == [{"n": 1}]


def test_no_rows_are_a_file_with_columns(spark, tmp_path):
    file = stored(tmp_path, id=["a"], n=[1])
    spark.write(spark.scan([file]).filter(ibis._.n > 1), tmp_path / "none", by=["id"])
    assert pq.read_table(tmp_path / "none").schema.names == ["id", "n"]


@pytest.mark.parametrize("rows", [0, 3, 5_000], ids=["none", "few", "many"])
def test_tables_of_this_process_are_joined_there(spark, tmp_path, rows):
    file = stored(tmp_path, id=[str(i) for i in range(rows)] or ["x"])
    kinds = {"id": [str(i) for i in range(rows)], "n": [None if i % 2 else i for i in range(rows)]}
    table = ibis.memtable(pa.table(kinds, schema=pa.schema({"id": pa.string(), "n": pa.int64()})))
    found = spark.scan([file]).join(table, "id").agg(rows=ibis._.count(), total=ibis._.n.sum().fill_null(0))
    assert spark.rows(found) == [{"rows": rows, "total": sum(range(0, rows, 2))}]


UNREACHABLE = SparkConnect(kind="spark_connect", url="sc://127.0.0.1:1")


def test_an_engine_that_does_not_answer_is_named(tmp_path, monkeypatch):
    from segmentation_assets.engines import spark_connect

    monkeypatch.setattr(spark_connect, "PATIENCE", 0.2)
    with (
        pytest.raises(EngineError, match=r"engine\.url: nothing answers at sc://127\.0\.0\.1:1 .* Start the engine"),
        opened(tmp_path, UNREACHABLE),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_token_comes_from_its_variable_and_is_not_said(tmp_path, monkeypatch):
    asked = UNREACHABLE.model_copy(update={"token_variable": "CLUSTER_TOKEN"})
    with pytest.raises(EngineError, match="export CLUSTER_TOKEN="), opened(tmp_path, asked):
        pass
    from segmentation_assets.engines import spark_connect

    monkeypatch.setenv("CLUSTER_TOKEN", "dapi-of-ann")
    monkeypatch.setattr(spark_connect, "PATIENCE", 0.2)
    with pytest.raises(EngineError) as refused, opened(tmp_path, asked):
        pass
    assert "dapi" not in str(refused.value)


def test_a_session_that_is_refused_does_not_say_its_token(tmp_path, monkeypatch):
    import grpc

    from segmentation_assets.engines import spark_connect

    token = "-".join(("dapi", "of", "ann"))  # a traceback repeats the lines of this test

    class Refusing:
        """The client, of a server that repeats what it was told."""

        def __getattr__(self, name):
            return lambda *of: self

        def create(self):
            raise RuntimeError(f"UNAUTHENTICATED: {token} is no token")

    monkeypatch.setattr(spark_connect.DefaultChannelBuilder, "toChannel", lambda address: grpc.insecure_channel(address.endpoint))
    monkeypatch.setattr(spark_connect.SparkSession, "builder", Refusing())
    with sail() as url, pytest.raises(EngineError, match=r"UNAUTHENTICATED: \(token\) is no token\. Check the token") as refused:
        spark_connect.SparkConnectEngine(url, tmp_path, None, token)
    assert token not in "".join(traceback.format_exception(refused.value))


def test_an_engine_that_is_lost_is_given_up_and_named(tmp_path, monkeypatch):
    from segmentation_assets.engines import spark_connect

    monkeypatch.setattr(spark_connect, "RETRIES", 0)
    driver, file = DuckDBEngine(threads=1), stored(tmp_path, n=[1])
    with sail() as url:
        engine = spark_connect.SparkConnectEngine(url, SharedFolder(tmp_path), driver)
        table = engine.scan([file])
    for ask in (lambda: engine.rows(table), lambda: table.count().execute(), lambda: engine.write(table, tmp_path / "rows.parquet")):
        with pytest.raises(EngineError, match=rf"{url} has stopped answering\. .* Start the engine again"):
            ask()
    engine.close()
    driver.close()


def test_an_engine_that_does_not_share_the_folder_is_named(tmp_path, monkeypatch):
    """As if what is written here did not arrive there."""
    from segmentation_assets.engines import spark_connect

    monkeypatch.setattr(spark_connect.pq, "write_table", lambda *of: None)
    with (
        sail() as url,
        pytest.raises(EngineError, match=r"does not read and write .* under the same path"),
        opened(tmp_path, SparkConnect(kind="spark_connect", url=url)),
    ):
        pass


def test_a_missing_client_is_to_be_installed(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "segmentation_assets.engines.spark_connect", raising=False)
    monkeypatch.setitem(sys.modules, "pyspark", None)
    monkeypatch.setitem(sys.modules, "ibis.backends.pyspark", None)
    with pytest.raises(EngineError, match=r"pip install 'segmentation-assets\[spark\]'"), opened(tmp_path, UNREACHABLE):
        pass
