"""The benchmark of whole snapshots, on shops of 500 customers: what it writes and prints, never how fast anything is."""

import datetime as dt
from pathlib import Path

import dagster as dg
import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from ibis.backends.duckdb import Backend

from benchmarks import alternatives, history, shop, stages, whole
from segmentation_assets.core.customers.columns import CustomerColumns
from segmentation_assets.definitions import build
from segmentation_assets.settings.loading import Settings
from segmentation_assets.sources.tables import TablesSource
from segmentation_assets.store import archive
from segmentation_assets_tests.builders import LOADED
from segmentation_assets_tests.test_event_log import instance  # noqa: F401

CUSTOMERS = 500
AS_OF = dt.date.fromisoformat(whole.NEWEST)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("benchmark")
    shop.write(folder, CUSTOMERS, seed=2)
    return folder


def test_the_shop_is_what_it_says(made):
    with duckdb.connect() as engine:
        engine.read_parquet(str(made / "orders" / "*.parquet")).create_view("lines")
        ((per_customer, returned, top),) = engine.sql(f"""
            SELECT count(*) FILTER (quantity > 0) / {CUSTOMERS}, count(*) FILTER (quantity < 0) / count(*),
                count(*) FILTER (category = 'category 0') / count(*) FROM lines""").fetchall()
        ((variance, mean),) = engine.sql(
            'SELECT var_pop(n), avg(n) FROM (SELECT count(DISTINCT "order") n FROM lines GROUP BY customer)'
        ).fetchall()
    assert 15 < per_customer < 25
    assert returned == pytest.approx(1 / 26, abs=0.01)
    assert 0.1 < top < 0.6  # Zipf's law: of 40 categories, the first has more than its share
    assert variance > 3 * mean  # a Poisson count would have equal ones
    months = [file.stem for file in sorted((made / "orders").iterdir())]
    assert (months[0], months[-1], len(months)) == ("2022-01", "2023-12", shop.MONTHS)


def test_a_seed_gives_the_same_files_and_a_chunk_does_not_depend_on_the_others(made, tmp_path):
    shop.write(tmp_path, CUSTOMERS, seed=2)
    assert {file.name: file.read_bytes() for file in tmp_path.rglob("*.parquet")} == {
        file.name: file.read_bytes() for file in made.rglob("*.parquet")
    }
    later = shop.people(shop.CHUNK, 3, seed=2)
    assert later.ids.to_pylist() == [f"C{shop.CHUNK + i:08}" for i in range(3)]
    assert list(shop.chunks(2 * shop.CHUNK + 1)) == [(0, shop.CHUNK), (shop.CHUNK, shop.CHUNK), (2 * shop.CHUNK, 1)]


def test_some_customers_change_as_planted():
    some = shop.people(0, 2_000, seed=2)
    regular = (some.group == 1) & (some.join == 0)
    before, after = (some.orders[regular][:, months].sum() for months in (slice(6, 12), slice(18, 24)))
    assert after / before == pytest.approx(0.6, abs=0.01)


def test_the_settings_are_what_a_user_would_write(made):
    settings = Settings(**shop_settings(made))
    assert TablesSource(settings.source.resolved(made), made / "intake").fingerprint()
    assert (settings.snapshots.first, settings.snapshots.last) == (dt.date(2022, 2, 1), AS_OF)


def test_both_alternatives_compute_the_same_features(made):
    pytest.importorskip("polars")  # the extra `benchmarks`
    ours = alternatives.pandas_features(made, AS_OF).sort_values("customer", ignore_index=True)
    theirs = alternatives.polars_features(made, AS_OF).to_pandas()
    assert set(ours) == set(theirs)
    numeric = ours.select_dtypes("number").columns
    np.testing.assert_allclose(ours[numeric].astype(float), theirs[numeric].astype(float), rtol=1e-9, atol=1e-9)
    assert ours["customer"].tolist() == theirs["customer"].tolist()


def test_the_notebook_writes_segments_and_profiles(made, tmp_path, monkeypatch):
    monkeypatch.setattr(alternatives, "KS", range(2, 4))
    assert list(alternatives.notebook(made, AS_OF, tmp_path)) == ["features", "segments", "profiles"]
    profiles, features = pd.read_parquet(tmp_path / "profiles.parquet"), pd.read_parquet(tmp_path / "features.parquet")
    assert profiles["customers"].sum() == len(features)
    assert features["frequency"].min() >= 1


@dg.asset
def thing() -> int:
    return sum(range(1_000_000))


def test_the_meter_tells_each_step_and_what_is_between(instance):  # noqa: F811
    meter = stages.Meter()
    with stages.watched(meter):
        dg.materialize([thing], instance=instance)
    assert [row["step"] for row in meter.rows] == [stages.BEFORE, "thing", stages.BETWEEN]
    assert all(row["cpu"] >= 0 and row["peak"] > 0 for row in meter.rows)


def run(cpu: float, *steps: dict) -> whole.Run:
    return whole.Run(2 * cpu, cpu, 3_000_000_000, 5_000_000, steps)


def test_tables_give_medians_ratios_and_stages():
    step = {"step": "raw_customers", "wall": 2.0, "cpu": 1.0, "peak": 10**9}
    check = {"step": "raw_customers_columns_are_as_before", "wall": 1.0, "cpu": 0.5, "peak": 2 * 10**9}
    runs = {
        "steady": [run(cpu, step, check) for cpu in (9.0, 30.0, 10.0)],
        "notebook": [run(5.0)],
        "scan": [run(1.0, {"step": "collect", "cpu": 0.5})],
    }
    assert whole.whole_table(runs).splitlines()[2] == "| steady | 20.0 | 10.0 | 3.00 | 5 | 2.00 |  |"
    rows = whole.stage_table(runs, {"raw_customers": "collect"}).splitlines()[2:]
    assert rows == ["| collect | 2.0 | 1.0 | 1.00 | 0.50 | 2 |", "| checks | 1.0 | 0.5 | 2.00 |  |  |"]


@pytest.mark.full
def test_three_real_snapshots_have_the_bytes_of_the_history(made, tmp_path):
    """With a lookback of two, so that the writer's retraining is in it. The writer measures no drift, which the retrained model counts."""
    source = TablesSource(Settings(**shop_settings(made)).source.resolved(made), made / "intake")
    changes = {"snapshots": {"first": dt.date(2022, 2, 1)}, "features": {"lookback": 2}, "retrain": {"policy": "never"}}
    settings = LOADED.model_copy(update={name: getattr(LOADED, name).model_copy(update=change) for name, change in changes.items()})
    real, written = (settings.model_copy(update={"data_dir": tmp_path / name}) for name in ("real", "written"))
    keys = ["2022-02-01", "2022-03-01", "2022-04-01"]
    archive.ask(real.data_dir, keys[1], history.WHOLE_LOOKBACK)
    for key in keys:
        assert build(real, source).resolve_job_def("snapshot").execute_in_process(partition_key=key).success
    history.write(written, keys, source)
    places = [Path("lake", name, f"snapshot_date={key}", "part-0.parquet") for name in history.READ_LATER for key in keys]
    counting = Path("lake", "segmentation_model", f"snapshot_date={keys[1]}", "part-0.parquet")
    assert [place for place in places if (real.data_dir / place).read_bytes() != (written.data_dir / place).read_bytes()] == [counting]


COLLECTED = ("raw_customers", "raw_transactions", "raw_events")
IN_THE_ENGINE = (
    "source_volume", "transactions", "events", "rejected_rows", "customer_orders", "order_returns", "customers", "customer_activity",
    "customer_category_activity", "customer_event_activity", "customer_features", "order_seasonality", "cohort_retention", "category_mix",
)  # fmt: skip


@pytest.mark.full
def test_no_rows_of_customers_leave_the_engine_from_clean_to_features(tmp_path, monkeypatch):
    """Python gets counts and aggregates, of which there are fewer than half as many as customers."""
    customers, left, to_pyarrow = 10_000, [], Backend.to_pyarrow
    shop.write(tmp_path, customers, seed=2)
    source = TablesSource(Settings(**shop_settings(tmp_path)).source.resolved(tmp_path), tmp_path / "intake")
    settings = LOADED.model_copy(update={"data_dir": tmp_path, "snapshots": LOADED.snapshots.model_copy(update={"first": AS_OF})})
    job = build(settings, source).resolve_job_def("snapshot")

    def counted(*args: object, **asked: object) -> object:
        found = to_pyarrow(*args, **asked)
        left.append(_rows(found))
        return found

    for names in (COLLECTED, IN_THE_ENGINE):
        assert job.execute_in_process(partition_key=whole.NEWEST, asset_selection=[dg.AssetKey(name) for name in names]).success
        monkeypatch.setattr(Backend, "to_pyarrow", counted)
    features = tmp_path / "lake" / "customer_features" / f"snapshot_date={whole.NEWEST}" / "part-0.parquet"
    assert pq.read_metadata(features).num_rows == customers > 2 * max(left) > 0


@pytest.mark.full
def test_no_more_than_a_few_columns_of_all_customers_are_read_together(tmp_path, monkeypatch):
    """Of the 42 that a snapshot has. The first snapshot trains a model, the second compares with it."""
    customers, together = 10_000, []
    shop.write(tmp_path, customers, seed=2)
    source = TablesSource(Settings(**shop_settings(tmp_path)).source.resolved(tmp_path), tmp_path / "intake")
    first = dt.date.fromisoformat(whole.NEWEST) - dt.timedelta(days=31)
    changes = {"snapshots": {"first": first}, "exploration": {"pictures": False}}
    changed = {name: getattr(LOADED, name).model_copy(update=change) for name, change in changes.items()}
    settings = LOADED.model_copy(update={"data_dir": tmp_path, **changed})
    to_pyarrow, columns = Backend.to_pyarrow, CustomerColumns.__getitem__

    def computed(*args: object, **asked: object) -> object:
        found = to_pyarrow(*args, **asked)
        if isinstance(found, pa.Table) and len(found) > customers / 2 and "row_number" not in found.column_names:  # rows of the source
            together.append(found.column_names)
        return found

    def read(self: CustomerColumns, asked: object) -> object:
        if isinstance(asked, list) and len(self) > customers / 2:
            together.append(asked)
        return columns(self, asked)

    monkeypatch.setattr(Backend, "to_pyarrow", computed)
    monkeypatch.setattr(CustomerColumns, "__getitem__", read)
    job = build(settings, source).resolve_job_def("snapshot")
    for key in (first.isoformat(), whole.NEWEST):
        assert job.execute_in_process(partition_key=key).success
    assert 1 <= max(map(len, together)) <= 3, max(together, key=len)


def _rows(found: object) -> int:
    """Rows of a result of the engine, 1 for a single value."""
    return len(found) if isinstance(found, pa.Table | pa.ChunkedArray) else 1


def shop_settings(folder: Path) -> dict:
    loaded: dict = yaml.safe_load((folder / "segmentation.yaml").read_text(encoding="utf-8"))
    return loaded
