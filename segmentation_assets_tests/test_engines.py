"""Snapshots come out the same on an engine that speaks Spark Connect as on DuckDB: every table."""

import importlib.util
import shutil
from pathlib import Path

import dagster as dg
import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml

from benchmarks import shop
from segmentation_assets.definitions import build
from segmentation_assets.settings.engine import SparkConnect
from segmentation_assets.settings.loading import load_settings
from segmentation_assets.sources import open_source
from segmentation_assets.store import database_files
from segmentation_assets.tables import CONTRACTS
from segmentation_assets_tests.conftest import ROOT
from segmentation_assets_tests.engines.servers import sail, spark_with_two_executors

pytestmark = [
    pytest.mark.spark,
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("pyspark") is None, reason="the client of Spark Connect is an extra: pip install '.[spark]'"
    ),
]
KEYS = ("2023-08-01", "2023-09-01")  # the planted change, in July, is in the second's window only through its lookback
MADE = [dg.AssetKey(name) for name in (*(contract.name for contract in CONTRACTS), "published_database")]
OF_ROWS = {  # tables that the engine computes, or whose sums it does; all others are made here of these, as on DuckDB
    "source_volume", "transactions", "events", "customers", "customer_orders", "order_returns", "rejected_rows", "customer_activity",
    "customer_category_activity", "customer_event_activity", "customer_features", "order_seasonality", "cohort_retention", "category_mix",
    "own_segment_members", "own_segments", "segment_changes", "segment_journeys", "segment_stays", "segment_attributes",
    "segment_categories", "segment_examples", "segment_rules", "customer_value", "audience_members", "universal_control", "segment_actions",
    "action_power", "action_lift", "campaign_response",
}  # fmt: skip
RELATIVE, ABSOLUTE = 1e-9, 1e-12  # of floats: engines add in different orders
ASKED = {
    "snapshots": {"first": KEYS[0], "cadence": "monthly"},
    "model": {"k": 3, "k_max": 3, "algorithms": ["kmeans"], "resamples": 10, "stability_sample": 500},
    "exploration": {"pictures": False},
    "features": {"lookback": 3, "event_types": ["visit"]},
    "own_segments": {"big and recent": "monetary > 300 and recency_days < 40", "of the model": "segment_id = 1"},
    "privacy": {"smallest_cell": 5, "sensitive": ["country"]},
    "cleaning": {"exact_duplicates": "drop", "largest_reject_share": 1},
}


@pytest.fixture(scope="module")
def shop_files(tmp_path_factory) -> Path:
    """400 customers; their lines are shuffled, in three files of each month, with some that cleaning sets aside."""
    folder = tmp_path_factory.mktemp("shop")
    shop.write(folder, 400, seed=7)
    for file in sorted((folder / "orders").iterdir()):
        lines = pq.read_table(file)
        places = np.random.default_rng(7).permutation(len(lines))
        lines = lines.take(pa.array([*places, *places[:3]]))  # three are there twice
        unknown = pa.array([i % 97 == 0 for i in range(len(lines))])
        lines = lines.set_column(0, "customer", pc.if_else(unknown, pa.scalar(None, pa.string()), lines["customer"]))
        for part in range(3):
            pq.write_table(lines.slice(part * len(lines) // 3, len(lines) // 3 + 1), file.with_stem(f"{file.stem}-{part}"))
        file.unlink()
    settings = yaml.safe_load((folder / "segmentation.yaml").read_text(encoding="utf-8")) | ASKED
    (folder / "segmentation.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    return folder


def made(folder: Path, data_dir: Path, **engine: str) -> Path:
    """The data folder in which both snapshots were made, the second with a new model, because it was asked for."""
    shared = yaml.safe_load((folder / "segmentation.yaml").read_text(encoding="utf-8"))
    file = folder / f"on-{engine['kind']}.yaml"
    file.write_text(yaml.safe_dump({**shared, "data_dir": str(data_dir), "engine": engine}), encoding="utf-8")
    asked = load_settings(file)
    job = build(asked, open_source(asked)).resolve_job_def("snapshot")
    for key, form in zip(KEYS, ({}, {"retrain": True, "force": True}), strict=True):
        config = {"ops": {"model": {"config": form}}} if form else {}
        assert job.execute_in_process(partition_key=key, run_config=config, asset_selection=MADE).success
    return data_dir


@pytest.fixture(scope="module")
def on_duckdb(shop_files, tmp_path_factory) -> Path:
    return made(shop_files, tmp_path_factory.mktemp("duckdb"), kind="duckdb")


def published(data_dir: Path, table: str, key: tuple[str, ...]) -> pa.Table:
    with duckdb.connect(str(data_dir / database_files.DATABASE), read_only=True) as database:
        return database.sql(f"FROM {table} ORDER BY snapshot_date, {', '.join(key)}").to_arrow_table()


def assert_equal(found: pa.Table, expected: pa.Table, table: str) -> None:
    """Whole numbers, money, text and days exactly; floats to RELATIVE."""
    assert found.schema.names == expected.schema.names, table
    assert found.schema.types == expected.schema.types, table
    assert len(found) == len(expected), table
    for name, kind in zip(expected.schema.names, expected.schema.types, strict=True):
        if pa.types.is_floating(kind):
            figures = (column.to_pandas().to_numpy(dtype=float) for column in (found[name], expected[name]))
            np.testing.assert_allclose(*figures, rtol=RELATIVE, atol=ABSOLUTE, err_msg=f"{table}.{name}")
        else:
            assert found[name].to_pylist() == expected[name].to_pylist(), f"{table}.{name}"


def test_a_snapshot_of_the_demo_is_equal(demo, tmp_path, monkeypatch):
    """The last but one, on what DuckDB made: earlier snapshots, and of this one all that an engine has no part in."""
    from segmentation_assets.engines.spark_connect import SparkConnectEngine

    key, gathered = "2017-12-01", []
    gather = SparkConnectEngine._gathered
    monkeypatch.setattr(SparkConnectEngine, "_gathered", lambda engine, *of: gathered.append(of) or gather(engine, *of))
    shutil.copytree(demo / "lake", tmp_path / "lake")
    parts = {table: f"lake/{table}/snapshot_date={key}/part-0.parquet" for table in OF_ROWS}
    for part in parts.values():
        (tmp_path / part).unlink()
    shipped = load_settings(ROOT / "segmentation.yaml")
    exploration = shipped.exploration.model_copy(update={"pictures": False})
    with sail() as url:
        engine = SparkConnect(kind="spark_connect", url=url, threads=1)
        asked = shipped.model_copy(update={"data_dir": tmp_path, "engine": engine, "exploration": exploration})
        job = build(asked, open_source(asked)).resolve_job_def("snapshot")
        assert job.execute_in_process(partition_key=key, asset_selection=list(map(dg.AssetKey, OF_ROWS))).success
    for table, part in parts.items():
        assert_equal(*(pq.ParquetFile(folder / part).read() for folder in (tmp_path, demo)), table)
    assert len(gathered) == 15  # the other tables are sums, and written here


@pytest.fixture(scope="module", params=[sail, spark_with_two_executors])
def there(request, shop_files, tmp_path_factory) -> Path:
    with request.param() as url:
        return made(shop_files, tmp_path_factory.mktemp("there"), kind="spark_connect", url=url)


@pytest.mark.full
def test_every_published_table_of_two_snapshots_is_equal(there, on_duckdb):
    """In CI, the snapshot of the demo."""
    for contract in CONTRACTS:
        assert_equal(*(published(folder, contract.name, contract.key) for folder in (there, on_duckdb)), contract.name)


@pytest.mark.full
def test_turning_back_gives_the_bytes_of_duckdb(shop_files, there, on_duckdb, tmp_path):
    back = made(shop_files, shutil.copytree(there, tmp_path / "back"), kind="duckdb")
    now, before = (
        {file.relative_to(folder): file.read_bytes() for file in (folder / "lake").rglob("*.parquet")} for folder in (back, on_duckdb)
    )
    assert [file for file in before if now.get(file) != before[file]] == []
