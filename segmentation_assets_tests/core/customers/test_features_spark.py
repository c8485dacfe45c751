"""The same expressions give the same features on an engine that speaks Spark Connect as on DuckDB, so that a cluster can run them."""

import datetime as dt
import importlib.util
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from segmentation_assets.core.customers.cleaning import REPEATS, judged_transactions
from segmentation_assets.engines.duckdb import DuckDBEngine
from segmentation_assets.engines.exchange import SharedFolder
from segmentation_assets.settings.cleaning import Cleaning
from segmentation_assets.tables.cleaned import EVENTS, TRANSACTIONS
from segmentation_assets_tests.core.customers.test_cleaning import lines
from segmentation_assets_tests.core.customers.test_features_oracle import AWKWARD, EVENTS_TOO, assert_agree
from segmentation_assets_tests.core.history import History, arrow, lookback, ordered
from segmentation_assets_tests.engines.servers import sail, spark_with_two_executors

pytestmark = [
    pytest.mark.spark,
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("pyspark") is None, reason="the client of Spark Connect is an extra: pip install '.[spark]'"
    ),
]


@pytest.fixture(scope="module", params=[sail, pytest.param(spark_with_two_executors, marks=pytest.mark.full)])
def spark(request: pytest.FixtureRequest) -> Iterator[Any]:
    """An Ibis backend on an engine that speaks Spark Connect."""
    from segmentation_assets.engines.spark_connect import SparkConnectEngine

    with request.param() as url, tempfile.TemporaryDirectory() as shared:
        engine = SparkConnectEngine(url, SharedFolder(Path(shared)), DuckDBEngine(threads=1))
        yield engine.backend
        engine.close()
        engine.driver.close()


def features_on(backend: Any, folder: Path, as_of: dt.date, windows: int) -> Any:
    """Features from the folder's files on the backend; the activity is stored before it is merged, as in the lake."""
    history = History(*(read(backend, folder / f"{name}.parquet") for name in ("transactions", "events", "records")))
    span = lookback(as_of, windows)
    with tempfile.TemporaryDirectory() as kept:

        def keep(table: Any) -> Any:
            file = Path(kept, f"{len(list(Path(kept).iterdir()))}.parquet")
            pq.write_table(backend.to_pyarrow(table), file)
            return read(backend, file)

        return ordered(history.features(as_of, windows, splits=[span.start, span.recent_start], keep=keep), backend)


def read(backend: Any, file: Path) -> Any:
    """The file with times in microseconds: Spark has no other precision, and therefore gives none."""
    table = backend.read_parquet(str(file))
    return table.mutate(**{name: table[name].cast("timestamp(6)") for name, kind in table.schema().items() if kind.is_timestamp()})


@pytest.fixture(scope="module")
def awkward(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("awkward")
    records = pa.table({"customer_id": ["single", "never seen"], "birth_date": [dt.date(1980, 7, 1), dt.date(1980, 7, 2)]})
    for name, table in {"transactions": arrow(TRANSACTIONS, AWKWARD), "events": arrow(EVENTS, EVENTS_TOO), "records": records}.items():
        pq.write_table(table, folder / f"{name}.parquet")
    return folder


def test_features_of_difficult_histories_agree(spark: Any, awkward: Path) -> None:
    as_of = dt.date(2017, 7, 1)
    on_duckdb = features_on(ibis.duckdb.connect(), awkward, as_of, 3)
    assert on_duckdb.loc[["single", "never seen"], "age_years"].tolist() == [37, 36]  # the first has a birthday that day
    assert_agree(features_on(spark, awkward, as_of, 3), on_duckdb)


@pytest.mark.full
def test_features_of_the_demo_agree(spark: Any, demo_history: Path) -> None:
    as_of = dt.date(2018, 1, 1)
    on_duckdb = features_on(ibis.duckdb.connect(), demo_history, as_of, 3)
    assert len(on_duckdb) == 2469
    assert_agree(features_on(spark, demo_history, as_of, 3), on_duckdb)


def test_cleaning_gives_the_same_result(spark: Any, tmp_path: Path) -> None:
    changes = (
        {}, {"customer_id": " c1\u00a0"}, {"customer_id": "17850.0"}, {"customer_id": "17850"}, {"customer_id": "17850,0", "amount": 1e12},
        {"customer_id": None}, {"quantity": -2.0}, {"order_id": "C9"}, {"product_id": "POST"}, {"category": "FOOD\u200b"},
    )  # fmt: skip
    pq.write_table(lines(*changes).to_pyarrow(), tmp_path / "lines.parquet")
    rules = Cleaning(exact_duplicates="drop", cancellation_pattern="^C", product_exclusions=("^POST$", "^DOT$"), category_case="lower")
    wanted = ("row_number", "reason", "customer_id", "order_id", "amount", "category", "is_return")
    found = []
    for backend in (ibis.duckdb.connect(), spark):
        judged = judged_transactions(read(backend, tmp_path / "lines.parquet"), rules)
        found.append(backend.to_pyarrow(judged.rows.select(wanted).order_by("row_number")).to_pylist())
    assert found[0] == found[1]
    assert [row["row_number"] for row in found[0] if row["reason"] == REPEATS] == [2, 4, 10]


@pytest.mark.parametrize("left_out", [[], ["number"]], ids=["with floats", "without floats"])
def test_spark_reads_files_written_by_the_engine(spark: Any, tmp_path: Path, left_out: list[str]) -> None:
    """Numbers, words and days, with many rows and missing values, each have their own encoding."""
    rows = 5_000
    kinds = pa.table(
        {
            "id": [f"c{i:05}" for i in range(rows)],
            "word": [None if i % 7 == 0 else f"category {i % 12}" for i in range(rows)],
            "number": [None if i % 5 == 0 else 1 / (i + 1) for i in range(rows)],
            "whole": pa.array([i * i for i in range(rows)], pa.int64()),
            "flag": [i % 3 == 0 for i in range(rows)],
            "money": pa.array([i - rows // 2 for i in range(rows)], pa.decimal128(18, 4)),
            "day": [dt.date(2017, 1, 1) + dt.timedelta(days=i) for i in range(rows)],
        }
    ).drop_columns(left_out)
    engine = DuckDBEngine()
    engine.write(ibis.memtable(kinds), tmp_path / "kinds.parquet")
    engine.close()
    assert spark.read_parquet(str(tmp_path / "kinds.parquet")).order_by("id").to_pyarrow().to_pylist() == kinds.to_pylist()
