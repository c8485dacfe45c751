"""Eta squared is between over total, and the gain's interval is of the paired difference."""

import math

import ibis
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from segmentation_assets.core.choice.forward_validity import (
    compared,
    eta_squared,
    followed,
    forward_metrics,
    forward_validity,
    segment_outcomes,
    with_outcomes,
)
from segmentation_assets.core.customers.columns import CustomerColumns
from segmentation_assets.vocabulary import OF_SPEND


def test_eta_squared_by_hand():
    # Group means 1 and 5 around 3: between 4 * 4 = 16, total 16 + 4 * 1 = 20.
    assert eta_squared([0, 2, 4, 6], ["a", "a", "b", "b"]) == pytest.approx(16 / 20)


def test_eta_squared_agrees_with_the_f_statistic_of_one_way_anova():
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 3, 90)
    outcome = 1e9 + groups + rng.normal(size=90)
    f = stats.f_oneway(*(outcome[groups == g] for g in range(3))).statistic
    assert eta_squared(outcome, groups) == pytest.approx(2 * f / (2 * f + 87), rel=1e-6)


def test_eta_squared_of_many_customers_is_exact_to_its_twelfth_digit():
    groups = np.arange(50_000) % 7
    outcome = 0.1 * groups + np.tile([-1.0, 1.3], 25_000)
    of_group = [math.fsum(outcome[groups == g]) for g in range(7)]
    mean, sizes = math.fsum(outcome) / 50_000, np.bincount(groups)
    between = math.fsum(n * (total / n - mean) ** 2 for n, total in zip(sizes, of_group, strict=True))
    assert eta_squared(outcome, groups) == pytest.approx(between / math.fsum((outcome - mean) ** 2), rel=1e-12)


def test_metrics_are_the_same_of_columns_that_are_read_one_by_one():
    rng, n = np.random.default_rng(8), 400
    people = pd.DataFrame({
        "segment_name": pd.Categorical(rng.choice(["Good", "Poor"], n)), "recency_days": rng.integers(0, 90, n),
        "frequency": rng.integers(1, 9, n), "monetary": rng.lognormal(3, 1, n), "spend_since": rng.lognormal(2, 1, n), "bought_since": 1.0,
    })  # fmt: skip
    pd.testing.assert_series_equal(*(pd.Series(forward_metrics(known, 1)) for known in (CustomerColumns.of(people), people)))


def test_one_group_explains_nothing_and_a_constant_outcome_cannot_be_explained():
    assert eta_squared([1.0, 2.0, 4.0], [0, 0, 0]) == pytest.approx(0)
    assert np.isnan(eta_squared([0.1] * 3, [0, 1, 2]))


def test_the_interval_holds_the_gain_and_is_above_zero_when_the_groups_say_more():
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 4, 800)
    outcome = truth + rng.normal(size=800)
    result = forward_validity(outcome, truth, truth // 2, seed=0)
    assert result.gain == pytest.approx(eta_squared(outcome, truth) - eta_squared(outcome, truth // 2))
    assert 0 < result.gain_low < result.gain < result.gain_high


def test_beside_others_a_comparison_is_the_same_as_alone():
    rng = np.random.default_rng(6)
    truth = rng.integers(0, 4, 300)
    outcome, others = truth + rng.normal(size=300), {"halves": truth // 2, "nothing": rng.integers(0, 2, 300)}
    found = compared({"outcome": outcome, "noise": rng.normal(size=300)}, truth, others, seed=3, resamples=100)["outcome"]
    assert found["nothing"] == forward_validity(outcome, truth, others["nothing"], seed=3, resamples=100)
    assert found["halves"].gain < found["nothing"].gain


def test_the_interval_of_a_useless_split_reaches_zero():
    rng = np.random.default_rng(2)
    base = rng.integers(0, 3, 600)
    outcome = base + rng.normal(size=600)
    assert forward_validity(outcome, rng.integers(0, 3, 600), base, seed=0).gain_high < 0
    same = forward_validity(outcome, base, base, seed=0)
    assert same.gain_low == same.gain == same.gain_high == 0


def test_a_seed_makes_the_interval_and_fewer_rows_make_it_wider():
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 4, 4000)
    outcome = truth + rng.normal(size=4000)
    full, again, few = (forward_validity(outcome, truth, truth // 2, seed=5, resamples=200, interval_rows=n) for n in (4000, 4000, 400))
    assert full == again
    assert few.gain == full.gain and few.gain_high - few.gain_low > 2 * (full.gain_high - full.gain_low)


def test_customers_must_be_aligned_and_outcomes_known():
    with pytest.raises(ValueError, match="align them first"):
        forward_validity([1.0, 2.0], [0, 1], [0], seed=0)
    with pytest.raises(ValueError, match="outcome of 0"):
        forward_validity([1.0, np.nan], [0, 1], [0, 1], seed=0)


def test_outcomes_per_segment():
    table = segment_outcomes([0.0, 10.0, 30.0, 40.0], ["b", "b", "a", "a"])
    assert table["segment"].tolist() == ["a", "b"]
    assert table["mean_outcome"].tolist() == [35, 5]
    assert table["active_share"].tolist() == [1.0, 0.5]
    assert table["lift"].tolist() == pytest.approx([1.75, 0.25])


def test_segments_are_measured_beside_the_baselines_and_one_by_one():
    before = pd.DataFrame({
        "customer_id": ["a", "b", "c", "d", "e"], "status": ["active"] * 4 + ["lapsed"], "recency_days": [1.0, 2, 60, 70, 300],
        "frequency": [9.0, 8, 1, 1, 0], "monetary": [90.0, 80, 5, 4, 0],
    })  # fmt: skip
    placed = pd.DataFrame({"customer_id": list("abcde"), "segment_name": ["Good", "Good", "Poor", "Poor", "Lapsed"]})
    activity = pd.DataFrame({"customer_id": ["a", "b"], "spend": [10.0, 30.0], "orders": [1, 2]})
    found = forward_metrics(
        followed(*map(ibis.memtable, (before, placed, activity))).to_pandas().astype({"segment_name": "category"}), seed=1
    )
    assert found["forward_active_eta_squared"] == pytest.approx(1.0)
    assert found["forward_active_eta_squared_recency_frequency_monetary_grid"] == pytest.approx(1.0)
    assert {f"forward_spend_gain_over_{baseline}{end}" for baseline in OF_SPEND for end in ("", "_low", "_high")} < set(found)
    assert (found["forward_mean_spend: Good"], found["forward_active_share: Poor"], found["forward_lift: Good"]) == (20, 0, 2)
    assert found["forward_customers: Good"] == 2


def test_the_first_snapshot_has_no_forward_metrics():
    assert forward_metrics(pd.DataFrame(), seed=1) == {}


def test_outcomes_are_those_of_the_window_and_returns_beyond_purchases_count_as_nothing():
    activity = pd.DataFrame({"customer_id": ["c", "a", "x"], "spend": [-5.0, 10.0, 7.0], "orders": [0, 2, 1]})
    found = with_outcomes(ibis.memtable({"customer_id": ["c", "b", "a"]}), ibis.memtable(activity)).to_pandas()
    assert found.to_numpy().tolist() == [["a", 10.0, 1.0], ["b", 0.0, 0.0], ["c", 0.0, 0.0]]
