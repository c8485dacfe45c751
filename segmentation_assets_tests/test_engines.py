"""Two snapshots of a shop come out the same on an engine that speaks Spark Connect as on DuckDB: every published table."""

import importlib.util
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
from segmentation_assets.settings.loading import load_settings
from segmentation_assets.sources import open_source
from segmentation_assets.store import database_files
from segmentation_assets.tables import CONTRACTS
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
RELATIVE = 1e-9  # of floats: engines add in different orders
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
    file = folder / f"on-{engine.get('kind')}.yaml"
    file.write_text(yaml.safe_dump({**shared, "data_dir": str(data_dir), "engine": engine}), encoding="utf-8")
    asked = load_settings(file)
    job = build(asked, open_source(asked)).resolve_job_def("snapshot")
    for key, form in zip(KEYS, ({}, {"retrain": True, "force": True}), strict=True):
        config = {"ops": {"model": {"config": form}}} if form else {}
        assert job.execute_in_process(partition_key=key, run_config=config, asset_selection=MADE).success
    return data_dir


@pytest.fixture(scope="module")
def on_duckdb(shop_files, tmp_path_factory) -> Path:
    return made(shop_files, tmp_path_factory.mktemp("duckdb"))


def published(data_dir: Path, table: str, key: tuple[str, ...]) -> pa.Table:
    with duckdb.connect(str(data_dir / database_files.DATABASE), read_only=True) as database:
        return database.sql(f"FROM {table} ORDER BY snapshot_date, {', '.join(key)}").to_arrow_table()


@pytest.mark.parametrize("server", [sail, pytest.param(spark_with_two_executors, marks=pytest.mark.full)])
def test_every_published_table_is_equal(server, shop_files, on_duckdb, tmp_path):
    with server() as url:
        there = made(shop_files, tmp_path, kind="spark_connect", url=url)
    compared = 0
    for contract in CONTRACTS:
        one, other = (published(folder, contract.name, contract.key) for folder in (on_duckdb, there))
        assert other.schema == one.schema, contract.name
        assert len(other) == len(one), contract.name
        for name, kind in zip(one.schema.names, one.schema.types, strict=True):
            if pa.types.is_floating(kind):
                figures = (column.to_pandas().to_numpy(dtype=float) for column in (other[name], one[name]))
                np.testing.assert_allclose(*figures, rtol=RELATIVE, atol=1e-12, err_msg=f"{contract.name}.{name}")
            else:
                assert other[name].to_pylist() == one[name].to_pylist(), f"{contract.name}.{name}"
        compared += len(one)
    assert compared > 10_000
