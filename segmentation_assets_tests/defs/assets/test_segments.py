"""Assets are functions that can be called with rows, without Dagster."""

import datetime as dt

import ibis
import pandas as pd
import pytest

from segmentation_assets.core.model.rows import model_to_rows
from segmentation_assets.core.model.segment_model import SegmentModel
from segmentation_assets.core.model.training import ModelSpec, train
from segmentation_assets.defs.assets import segments
from segmentation_assets.defs.table import at_and_before
from segmentation_assets.settings.model import ModelSettings
from segmentation_assets.store.lake import Lake
from segmentation_assets_tests.builders import D1, D2, features


def test_journeys_use_the_names_of_segments(lake: Lake) -> None:
    placed = pd.DataFrame(
        [(D1, "a", 1, "Regulars"), (D2, "a", 2, "Rare"), (D1, "b", 1, "Regulars"), (D2, "b", 2, "Rare")],
        columns=["snapshot_date", "customer_id", "segment_id", "segment_name"],
    )
    found = segments.segment_journeys(lake, ibis.memtable(placed))
    assert found["customers"].tolist() == [2]
    assert found["path_names"].tolist() == ["Regulars > Rare"]


def test_each_side_has_only_the_columns_that_are_asked_for() -> None:
    days = [dt.date.fromisoformat(key) for key in (D1, D2, D2)]
    dated = ibis.memtable(
        pd.DataFrame({"snapshot_date": days, "customer_id": ["a", "a", "b"], "monetary": [1.0, 2.0, 3.0], "wide": [0, 0, 0]})
    )
    now, before = at_and_before(dated, days[1], "customer_id", "monetary")
    assert now.to_dict("list") == {"customer_id": ["a", "b"], "monetary": [2.0, 3.0]}
    assert before.to_dict("list") == {"customer_id": ["a"], "monetary": [1.0]}
    assert list(at_and_before(dated, days[1])[0]) == ["customer_id", "monetary", "wide"]


ASK = ModelSettings(
    features=("recency_days", "monetary"), algorithms=("kmeans",), k_max=2, k=2, fallback_k=2, resamples=10, splits=1, seed=1
)  # fmt: skip
CUSTOMERS = pd.concat([
    features(*((n, 2, 100 - n) for n in range(1, 21)), (None, 3, 7)), features((200, 0, 0), status="lapsed").assign(customer_id="gone"),
], ignore_index=True)  # fmt: skip


@pytest.mark.parametrize("at_once", [1, 7, 100])
def test_segments_of_batches_are_those_of_all_customers_at_once(lake: Lake, monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    model = train(CUSTOMERS[:20], None, ModelSpec(ASK, "digest"), dt.date(2024, 2, 1), "There is none.").model
    seen = []
    monkeypatch.setattr(segments, "AT_ONCE", at_once)
    monkeypatch.setattr(SegmentModel, "assign", lambda self, rows, assign=SegmentModel.assign: seen.append(len(rows)) or assign(self, rows))
    previous = {"customer_id": ["c3", "gone", "former"], "segment_id": [2, -1, -4]}
    given = (ibis.memtable(CUSTOMERS), model_to_rows(model), ibis.memtable(previous))
    found = pd.concat(segments.customer_segments(lake, *given)).sort_values("customer_id", ignore_index=True)
    assert max(seen) <= max(at_once, 1)
    expected = model.assign(CUSTOMERS).sort_values("customer_id", ignore_index=True)
    pd.testing.assert_frame_equal(found.drop(columns="previous_segment_id"), expected, check_dtype=False, check_exact=True)
    assert found.dropna(subset="previous_segment_id").set_index("customer_id")["previous_segment_id"].to_dict() == {"c3": 2, "gone": -1}


def test_sizes_are_told_with_who_moved_and_who_lacks_a_feature(lake: Lake) -> None:
    columns = ["customer_id", "segment_id", "segment_name", "confidence", "imputed_features", "previous_segment_id"]
    rows = [("a", 1, "Good", 0.5, "spend, age", 2), ("b", 1, "Good", 0.7, "age", 1), ("c", 2, "Poor", None, None, None)]
    placed = ibis.memtable(pd.DataFrame(rows, columns=columns).astype({"previous_segment_id": "Int64"}))
    assert segments._sizes(lake, placed) == {
        "customers: Good (1)": 2, "customers: Poor (2)": 1, "customers with imputed age": 2, "customers with imputed spend": 1,
        "customers who moved": 1, "mean confidence": 0.6,
    }  # fmt: skip
