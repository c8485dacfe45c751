"""What segments tell of attributes and of an outcome, beside one column and chance."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentation_assets.core.choice.attribute_validity import attribute_metrics, in_words, judged_by_outcome, outcome_metrics

CORNERS = np.repeat([0, 1, 2, 3], 25)  # of a square, so that either column alone tells half of it
NOISE = np.random.default_rng(3).normal(0, 0.05, (100, 2))
SQUARE = pd.DataFrame({"income": CORNERS // 2 + NOISE[:, 0], "score": CORNERS % 2 + NOISE[:, 1]})


def test_segments_of_two_columns_tell_more_than_either_alone_and_chance_tells_next_to_nothing():
    found = attribute_metrics(SQUARE, CORNERS, seed=1)
    alone = {name.partition(": ")[2]: share for name, share in found.items() if "_by: " in name}
    assert found["attributes_eta_squared"] == pytest.approx(0.75, abs=0.01)  # of ranks: half of the customers in each of two blocks
    assert found["attributes_eta_squared_best_single_column"] == max(alone.values()) < 0.6
    assert found["attributes_eta_squared_random_cut"] < 0.1
    assert 0.1 < found["attributes_gain_over_best_single_column_low"] < found["attributes_gain_over_best_single_column"]
    assert found["attributes_gain_over_best_single_column"] < found["attributes_gain_over_best_single_column_high"]


def test_a_cut_of_the_best_column_gains_nothing_over_it():
    cut = (SQUARE["income"].rank() > 50).to_numpy(dtype="int64")
    found = attribute_metrics(SQUARE, cut, seed=1)
    assert [found[f"attributes_gain_over_best_single_column{end}"] for end in ("", "_low", "_high")] == [0, 0, 0]


def test_a_category_is_explained_by_its_levels_and_missing_is_one():
    plans = pd.DataFrame({"plan": np.array(["basic", "gold", None, "silver"], dtype=object)[CORNERS]})
    assert attribute_metrics(plans, CORNERS, seed=1)["attributes_eta_squared"] == pytest.approx(1)
    halves = attribute_metrics(plans, CORNERS // 2, seed=1)["attributes_eta_squared"]
    assert halves == pytest.approx(1 / 3)  # Gini impurity 3/4 of all, 1/2 within each half


def test_nothing_is_said_of_one_group_or_of_constants():
    assert attribute_metrics(SQUARE, np.zeros(100, dtype="int64"), seed=1) == {}
    assert attribute_metrics(pd.DataFrame({"same": [1.0] * 100}), CORNERS, seed=1) == {}


@given(values=st.lists(st.one_of(st.none(), st.integers(-5, 5)), min_size=6, max_size=30), k=st.integers(2, 4))
def test_shares_are_shares_whatever_is_missing(values, k):
    inputs = pd.DataFrame({"x": pd.Series(values, dtype="float64"), "y": np.arange(len(values), dtype="float64")})
    found = attribute_metrics(inputs, np.arange(len(values)) % k, seed=1)
    shares = [share for name, share in found.items() if "eta_squared" in name]
    assert shares and all(-1e-9 <= share <= 1 + 1e-9 for share in shares)


def outcomes(outcome, **given):
    return outcome_metrics(pd.Series(outcome, name="churned"), SQUARE, pd.Series(CORNERS).astype(str), 1, "outcome", **given)


def test_an_outcome_of_one_segment_is_told_best_by_the_segments_and_by_their_means():
    found = outcomes(np.where(CORNERS == 0, "yes", "no"))
    assert found["outcome_eta_squared"] == pytest.approx(1)
    assert found["outcome_eta_squared_best_single_column"] < 0.5
    assert [found[f"outcome_mean: {corner}"] for corner in range(4)] == [1, 0, 0, 0]


def test_customers_without_an_outcome_are_left_out():
    known = np.where(np.arange(100) % 2, CORNERS == 0, np.nan).astype("float64")
    assert outcomes(known)["outcome_mean: 0"] == 1
    assert outcomes(np.full(100, np.nan)) == {}


def test_an_outcome_of_many_texts_is_refused_with_what_to_do():
    with pytest.raises(ValueError, match=r"outcome: churned has 4 different texts, such as 0, 1, 2\. An outcome is a number or one of two"):
        outcomes(CORNERS.astype(str))


def test_sentences_name_the_column_and_say_what_is_no_forecast():
    (said,) = in_words(outcomes(CORNERS == 0))
    assert "the segments of the same snapshot explain 100.0%, which describes and forecasts nothing" in said
    assert "alone, cut into as many groups, 3" in said and "95% interval" in said
    forward = {name.replace("outcome_", "forward_outcome_", 1): share for name, share in outcomes(CORNERS == 0).items()}
    (said,) = in_words(forward, dt.date(2024, 1, 1))
    assert said.startswith(
        "Of the differences in the outcome at this snapshot, the segments of 2024-01-01 explain 100.0%. For comparison: "
    )
    assert list(in_words({"silhouette": 0.4})) == []


def snapshot(churned, segments) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of customer_features and customer_segments."""
    ids = [f"c{i}" for i in range(len(segments))]
    features = pd.DataFrame({"customer_id": ids, "status": "active", "spent": np.arange(len(ids)) % 5.0, "churned": churned})
    return features, pd.DataFrame({"customer_id": ids, "segment_name": segments})


def test_the_segments_of_the_snapshot_before_are_judged_by_the_outcome_now():
    halves, churned = np.repeat(["good", "bad"], 20), np.repeat([0.0, 1.0], 20)
    before, nobody = snapshot(1 - churned, halves), snapshot([], [])
    now = snapshot(churned, np.tile(["x", "y"], 20))  # segments of today say nothing
    forward = judged_by_outcome("churned", now, before, ["spent"], 1)
    assert forward["forward_outcome_eta_squared"] == pytest.approx(1)
    assert (forward["forward_outcome_mean: good"], forward["forward_outcome_mean: bad"]) == (0, 1)
    described = judged_by_outcome("churned", now, nobody, ["spent"], 1)
    assert described["outcome_eta_squared"] == pytest.approx(0, abs=1e-9)
    assert not [metric for metric in described if metric.startswith("forward")]


def test_the_mean_outcome_of_few_customers_is_not_told():
    found = judged_by_outcome("churned", snapshot(np.arange(40) % 2.0, ["few"] * 4 + ["many"] * 36), snapshot([], []), ["spent"], 1, 5)
    assert "outcome_mean: many" in found and "outcome_mean: few" not in found
