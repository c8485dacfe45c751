"""Four months of a shop through Dagster: steady, a planted shift, a promotion that keeps ids, a rollback, and what SQL says of it all."""

import datetime as dt
import shutil

import duckdb
import numpy as np
import pandas as pd
import pytest

from segmentation_assets.core.model.champion import Request
from segmentation_assets.definitions import build
from segmentation_assets.store import archive, database_files
from segmentation_assets_tests.builders import D1, D2, D3, D4, LOADED, RowsSource

pytestmark = pytest.mark.full  # in CI, the demo has models carried and promoted, ids kept, bridges and paths: test_demo
ENDS = [dt.datetime.fromisoformat(key) for key in (D1, D2, D3, D4)]


def orders() -> list[dict]:
    """Ninety customers of three kinds that orders alone do not tell apart; from March on everybody spends twice as much."""
    rng = np.random.default_rng(11)
    lines = []
    for end in ENDS:
        for customer, (often, spend) in enumerate([(12, 10.0), (12, 80.0), (3, 30.0)] * 30):
            days = rng.choice(28, min(28, max(1, rng.poisson(often))), replace=False)
            times = 2.0 if end >= ENDS[2] else 1.0
            for day in days:
                amount = float(np.round(spend * times * rng.lognormal(0, 0.3), 2))
                lines.append(
                    {
                        "customer_id": f"c{customer}",
                        "ordered_at": end - dt.timedelta(days=int(day), hours=12),
                        "amount": amount,
                        "quantity": 1.0,
                    }
                )
    return lines


SHOP = RowsSource(transactions=orders())


def make(data_dir, *keys, job="snapshot", pictures=False):
    features = LOADED.features.model_copy(update={"lookback": 1})
    exploration = LOADED.exploration.model_copy(update={"pictures": pictures})
    settings = LOADED.model_copy(update={"data_dir": data_dir, "features": features, "exploration": exploration})
    for key in keys:
        result = build(settings, SHOP).resolve_job_def(job).execute_in_process(partition_key=key, raise_on_error=False)
        assert result.success, [e.step_failure_data.error.to_string() for e in result.all_events if e.is_step_failure]
    return result


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("story") / "data"
    make(data_dir, D1, D2)
    make(data_dir, D3, pictures=True)
    shutil.copytree(data_dir, data_dir.with_name("until April"))
    make(data_dir, D4)
    return data_dir


def ask(data_dir, query) -> pd.DataFrame:
    with duckdb.connect(str(data_dir / database_files.DATABASE), read_only=True) as database:
        return database.sql(query).df()


def test_the_steady_month_carries_the_model_and_the_shift_promotes_a_challenger(story):
    told = ask(story, "SELECT decision, reason FROM model_registry WHERE in_force ORDER BY snapshot_date")
    assert told["decision"].tolist() == ["trained", "carried forward", "promoted", "carried forward"]
    assert told["reason"][2].startswith("Drift was flagged (monetary")
    flagged = ask(
        story, "SELECT CAST(snapshot_date AS VARCHAR) AS day FROM drift_report WHERE flagged AND in_model GROUP BY ALL ORDER BY ALL"
    )
    assert flagged["day"].tolist() == [D3]


def test_segments_keep_ids_and_names_through_the_promotion(story):
    names = ask(story, "SELECT segment_id, segment_name, count(*) AS days FROM segments GROUP BY ALL ORDER BY segment_id")
    assert list(names.itertuples(index=False, name=None)) == [
        (1, "Loyal regulars, lower spend", 4),
        (2, "Loyal regulars, higher spend", 4),
        (3, "Occasional, not seen lately", 4),
    ]
    survived = ask(story, f"SELECT sentence FROM segment_events WHERE snapshot_date = DATE '{D3}' AND event = 'survived'")
    assert len(survived) == 3


def test_the_bridge_leads_from_the_revenue_before_to_the_revenue_now(story):
    bridge = ask(story, f"SELECT segment_id, component, revenue FROM segment_bridge WHERE snapshot_date = DATE '{D3}'")
    wide = bridge.pivot(index="segment_id", columns="component", values="revenue")
    assert (wide.drop(columns="after").sum(axis=1) - wide["after"]).abs().max() < 1e-6
    now = ask(story, f"SELECT segment_id, revenue FROM segments WHERE snapshot_date = DATE '{D3}' AND segment_id > 0").set_index(
        "segment_id"
    )
    assert wide["after"].to_dict() == pytest.approx(now["revenue"].to_dict())


def test_movement_by_the_model_is_told_apart(story):
    by_model = ask(
        story, "SELECT CAST(snapshot_date AS VARCHAR) AS day, sum(customers_by_model) AS n FROM segment_transitions GROUP BY ALL"
    )
    counts = dict(zip(by_model["day"], by_model["n"], strict=True))
    assert (counts[D1], counts[D2], counts[D4]) == (0, 0, 0)
    assert counts[D3] > 0


def test_paths_and_stays_cover_everyone(story):
    assert ask(story, f"SELECT sum(customers) AS n FROM segment_stays WHERE snapshot_date = DATE '{D4}'")["n"].tolist() == [90]
    assert ask(story, f"SELECT sum(share) AS n FROM segment_journeys WHERE snapshot_date = DATE '{D4}'")["n"][0] <= 1 + 1e-9
    assert (story / "reports" / D3 / "flow.png").exists()
    assert (story / "reports" / D3 / "bridge.png").exists()


def test_made_in_two_halves_ahead_of_each_other_all_tables_are_the_same(story, tmp_path):
    make(tmp_path, D1, D2, D3, D4, job="features")
    make(tmp_path, D1, D2, D3, D4, job="segment")
    for file in (story / "lake").rglob("*.parquet"):
        assert file.read_bytes() == (tmp_path / file.relative_to(story)).read_bytes(), file


def test_a_rollback_gives_the_labels_of_the_earlier_model_and_is_told(story, tmp_path):
    first = ask(story, f"SELECT model_version FROM model_registry WHERE snapshot_date = DATE '{D1}'")["model_version"][0]
    never = shutil.copytree(story.with_name("until April"), tmp_path / "never")
    archive.ask(never, D3, Request(first))
    make(never, D3)
    told = ask(never, f"SELECT decision, reason FROM model_registry WHERE snapshot_date = DATE '{D3}'")
    assert told["decision"].tolist() == ["rolled back"]
    model = archive.load(never, first)
    features = ask(never, f"FROM customer_features WHERE snapshot_date = DATE '{D3}'")
    labels = ask(never, f"SELECT customer_id, segment_id FROM customer_segments WHERE snapshot_date = DATE '{D3}'").set_index("customer_id")
    assert model.assign(features).set_index("customer_id")["segment_id"].to_dict() == labels["segment_id"].to_dict()
    archive.ask(never, D3, None)
    make(never, D3)
    assert ask(never, f"SELECT decision FROM model_registry WHERE snapshot_date = DATE '{D3}'")["decision"].tolist() == ["promoted"]


def test_what_training_looked_like_is_kept_once_and_where_it_is_lost_the_next_snapshot_is_the_same(story, tmp_path):
    rows = ask(story, "SELECT component FROM segmentation_model")["component"]
    assert len(rows) == 4 * 86 and not {"training", "yardstick", "training sample"} & set(rows)
    lost = shutil.copytree(story.with_name("until April"), tmp_path / "lost")
    kept = {file.name: file.read_bytes() for file in (story / archive.FOLDER).glob("*.parquet")}
    for file in (lost / archive.FOLDER).glob("*.parquet"):
        file.unlink()
    make(lost, D4)
    for file in (story / "lake").rglob("*.parquet"):
        assert file.read_bytes() == (lost / file.relative_to(story)).read_bytes(), file
    assert {file.name: file.read_bytes() for file in (lost / archive.FOLDER).glob("*.parquet")}.items() <= kept.items()
