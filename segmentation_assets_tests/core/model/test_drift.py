"""References, the stability index with its p-value, and the report, against figures made by hand.

Whether alarms come as rarely as promised is for `test_drift_calibration`.
"""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from segmentation_assets.core.model.drift import (
    Shift,
    categorical_reference,
    draws_for,
    joint_shift,
    numeric_reference,
    psi,
    psi_shift,
    reference_of,
    report,
)
from segmentation_assets.settings.model import DriftSettings
from segmentation_assets_tests.conftest import examples

numbers = st.lists(st.none() | st.floats(-1e6, 1e6), min_size=1, max_size=30).map(lambda v: pd.Series(v, dtype="float64"))
texts = st.lists(st.none() | st.sampled_from("abc"), min_size=1, max_size=30).map(lambda v: pd.Series(v, dtype="str"))
TEN = pd.Series(np.arange(10.0))
LIMITS = DriftSettings()


def often(column):
    """So that no level is rare."""
    return pd.concat([column] * 200, ignore_index=True)


def shift(before, now, draws=300, seed=0):
    return psi_shift(reference_of("x", before), now, draws, seed)


def test_psi_by_hand():
    found = psi(np.array([0.5, 0.5]), np.array([0.8, 0.2]))
    assert found == pytest.approx(0.3 * math.log(0.8 / 0.5) - 0.3 * math.log(0.2 / 0.5))


def test_an_empty_bin_counts_as_half_a_customer():
    found = shift(pd.Series(["a"] * 10), pd.Series(["a", "b"] * 5))
    assert found.value == pytest.approx(-0.5 * math.log(0.5 / 1.0) + (0.5 - 0.05) * math.log(0.5 / 0.05))


def test_a_bin_that_is_empty_on_both_sides_counts_for_nothing():
    reference = categorical_reference("x", pd.Series(["a"] * 10))
    assert reference.shares == (1.0, 0.0, 0.0)
    assert psi_shift(reference, pd.Series(["a"] * 20), 300, 0) == Shift(0.0, 1.0)


@pytest.mark.parametrize(("before", "now"), [(0, 10), (10, 0), (0, 0)])
def test_without_customers_on_either_side_there_is_no_psi(before, now):
    found = shift(pd.Series([1.0] * before, dtype="float64"), pd.Series([1.0] * now, dtype="float64"))
    assert math.isnan(found.value)
    assert math.isnan(found.p_value)


@examples(15)
@given(numbers | texts.map(often))
def test_a_feature_has_not_drifted_from_itself(column):
    assert shift(column, column) == Shift(pytest.approx(0, abs=1e-12), 1.0)


@examples(15)
@given(numbers, numbers)
def test_psi_is_never_negative_and_its_p_value_a_probability_above_zero(before, now):
    found = shift(before, now)
    assert found.value >= -1e-12
    assert 0 < found.p_value <= 1


@given(numbers, st.randoms(use_true_random=False))
def test_the_order_of_customers_is_of_no_account(column, random):
    shuffled = list(column)
    random.shuffle(shuffled)
    assert reference_of("x", pd.Series(shuffled, dtype="float64")) == reference_of("x", column)


@given(numbers | texts)
def test_the_shares_of_a_reference_are_of_all_customers(column):
    reference = reference_of("x", column)
    assert sum(reference.shares) == pytest.approx(1)
    assert reference.shares[-1] == pytest.approx(column.isna().mean())


def test_a_feature_of_ten_values_falls_into_its_deciles():
    reference = numeric_reference("x", TEN)
    assert reference.edges == tuple(np.arange(9.0))
    assert reference.shares == pytest.approx((0.1,) * 10 + (0.0,))


def test_the_outermost_deciles_are_divided():
    reference = numeric_reference("x", pd.Series(np.arange(1000.0)))
    assert reference.shares == pytest.approx((0.01, 0.04, 0.05, *(0.1,) * 8, 0.05, 0.04, 0.01, 0.0))


def test_a_feature_that_moves_up_altogether_drifts():
    before = pd.Series(np.arange(100.0))
    found = shift(before, before + 20)
    assert found.value > 0.1
    assert found.p_value < 0.01


def test_a_tail_that_moves_away_drifts_though_it_was_the_top_already():
    before = pd.Series(np.arange(1000.0))
    found = shift(before, before.where(before < 950, 3 * before))
    assert found.value > 0.1
    assert found.p_value < 0.01


def test_a_constant_feature_that_stays_has_not_drifted():
    assert shift(pd.Series([7.0] * 10), pd.Series([7.0] * 3)) == Shift(0.0, 1.0)


@pytest.mark.parametrize("other", [6.9, 7.1])
def test_a_constant_feature_that_takes_another_value_drifts(other):
    assert shift(pd.Series([7.0] * 10), pd.Series([other] * 10)).value > 0.1


def test_a_feature_that_was_missing_for_all_drifts_when_it_appears():
    missing = pd.Series([None] * 10, dtype="float64")
    assert shift(missing, missing).value == 0
    assert shift(missing, pd.Series([1.0] * 10)).value > 0.1


def test_a_feature_that_goes_missing_drifts():
    assert shift(TEN, pd.Series([None] * 10, dtype="float64")).value > 0.1


def test_levels_and_the_missing_are_bins():
    reference = categorical_reference("x", pd.Series(["b", "a", "a", None]))
    assert (reference.levels, reference.shares) == (("a", "b"), (0.5, 0.25, 0.0, 0.25))


def test_levels_that_few_customers_have_are_one_bin_and_a_new_one_joins_them():
    before = pd.Series(["a"] * 9_998 + ["rare", "rarer"])
    reference = categorical_reference("x", before)
    assert reference.levels == ("a",)
    assert reference.shares == pytest.approx((0.9998, 0.0002, 0))
    assert reference.counts(pd.Series(["a", "rare", "new", None])).tolist() == [1, 2, 1]


def test_a_new_level_drifts():
    found = shift(pd.Series(["a", "b"] * 100), pd.Series(["a", "b"] * 90 + ["new"] * 20))
    assert found.value > 0.1
    assert found.p_value < 0.01


def test_yes_and_no_are_levels_and_not_numbers():
    assert reference_of("x", pd.Series([True, False])).levels == ("False", "True")


def test_the_mix_by_hand_with_a_segment_that_is_gone_and_one_that_is_new():
    mix = categorical_reference("segments", pd.Series([1] * 5 + [2] * 5), "segment_mix")
    found = psi_shift(mix, pd.Series([1] * 5 + [3] * 5), 300, 0)
    assert found.value == pytest.approx(2 * (0.5 - 0.05) * math.log(0.5 / 0.05))


def test_the_same_mix_of_more_customers_has_not_drifted():
    mix = categorical_reference("segments", pd.Series([1, -1]), "segment_mix")
    assert psi_shift(mix, pd.Series([1] * 50 + [-1] * 50), 300, 0) == Shift(0.0, 1.0)


def test_the_p_value_of_two_levels_is_that_of_dealing_the_customers_anew():
    before, now = (pd.Series(["a"] * k + ["b"] * (100 - k)) for k in (40, 55))
    counts = np.arange(101)  # of level a among the 100 now; 95 of all 200 have it
    dealt = psi(*(np.maximum(np.column_stack([c, 100 - c]), 0.5) / 100 for c in (np.clip(95 - counts, 0, 100), counts)))
    as_large = dealt >= psi(np.array([0.4, 0.6]), np.array([0.55, 0.45])) - 1e-12
    exact = stats.hypergeom(200, 95, 100).pmf(counts)[as_large].sum()
    found = np.mean([shift(before, now, 20_000, seed).p_value for seed in range(10)])
    assert found == pytest.approx(exact, rel=0.1)


def test_levels_that_luck_may_have_chosen_are_counted_on_other_customers_than_they_were_chosen_on():
    values = pd.Series([f"level {i % 40}" for i in range(200)])
    reference = categorical_reference("x", values)
    assert reference.customers == 100
    assert sum(reference.shares) == pytest.approx(1)
    assert categorical_reference("x", values.sample(frac=1, random_state=1)) == reference


def test_the_p_value_is_the_same_each_time_and_differs_with_the_seed():
    before, now = TEN, pd.Series(np.arange(3.0, 13.0))
    assert shift(before, now) == shift(before, now)
    assert shift(before, now, seed=1).p_value != shift(before, now).p_value


def test_a_subject_has_random_numbers_of_its_own():
    before, now = pd.Series(np.arange(40.0)), pd.Series(np.arange(40.0)) + 6
    one, other = (psi_shift(numeric_reference(name, before), now, 2000, 0) for name in ("x", "y"))
    assert one.value == other.value
    assert one.p_value != other.p_value


def test_a_p_value_is_as_small_as_one_in_the_draws_and_no_smaller():
    found = shift(pd.Series(np.arange(100.0)), pd.Series(np.arange(100.0)) + 1000, draws=999)
    assert found.p_value == 1 / 1000


@pytest.mark.parametrize(("subjects", "alpha"), [(40, 0.05), (40, 0.0001), (5000, 0.05)])
def test_one_subject_among_all_can_be_an_alarm(subjects, alpha):
    assert 1 / (draws_for(subjects, alpha) + 1) <= alpha / subjects


def cloud(correlation, seed, n=1000):
    return np.random.default_rng(seed).multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], n)


def test_a_change_of_correlation_alone_is_told_apart():
    found = joint_shift(cloud(0.8, 1), cloud(0, 2), seed=0)
    assert found.value > 0.6
    assert found.p_value < 1e-4


def test_points_of_one_population_are_not_told_apart():
    found = [joint_shift(cloud(0.8, 2 * i), cloud(0.8, 2 * i + 1), seed=i) for i in range(20)]
    assert np.mean([f.value for f in found]) == pytest.approx(0.5, abs=0.02)
    assert sum(f.p_value <= 0.05 for f in found) <= 3


@pytest.mark.parametrize(("before", "now", "dimensions"), [(19, 100, 2), (100, 19, 2), (100, 100, 0)])
def test_a_classifier_is_not_asked_about_too_little(before, now, dimensions):
    found = joint_shift(np.zeros((before, dimensions)), np.zeros((now, dimensions)), 0)
    assert math.isnan(found.value)
    assert math.isnan(found.p_value)


def test_q_values_by_hand():
    shifts = [("feature", name, Shift(1.0, p)) for name, p in zip("abcd", [0.04, 0.01, 0.03, np.nan], strict=True)]
    found = report(shifts, (), LIMITS)
    # Of the three known: 0.01 * 3 / 1; 0.03 * 3 / 2 = 0.045 is above 0.04 * 3 / 3 = 0.04, which counts.
    assert found["q_value"].tolist()[:3] == pytest.approx([0.04, 0.03, 0.04])
    assert found["flagged"].tolist() == [True, True, True, pd.NA]  # the last was not measured


def test_q_values_and_not_p_values_are_alarms():
    found = report([("feature", name, Shift(1.0, 0.04 if name == "a" else 0.9)) for name in "abc"], (), LIMITS)
    assert not found["flagged"].any()


@pytest.mark.parametrize(("kind", "value", "flagged"), [
    ("feature", 0.10, False), ("feature", 0.11, True), ("segment_mix", 0.11, True), ("distance", 0.09, False),
    ("joint", 0.60, False), ("joint", 0.61, True),
])  # fmt: skip
def test_what_is_certain_but_small_is_not_flagged(kind, value, flagged):
    found = report([(kind, "x", Shift(value, 1e-4))], (), LIMITS)
    assert found["flagged"].tolist() == [flagged]


def test_all_but_a_feature_that_the_model_does_not_use_concerns_the_model():
    rows = [("feature", "a"), ("feature", "b"), ("segment_mix", "segments"), ("distance", "d"), ("joint", "j")]
    found = report([(kind, subject, Shift(0.5, 0.5)) for kind, subject in rows], ("a",), LIMITS)
    assert found["in_model"].tolist() == [True, False, True, True, True]
    assert found["statistic"].tolist() == ["psi", "psi", "psi", "psi", "auc"]


def test_a_report_on_nothing_has_its_columns():
    found = report([], (), LIMITS)
    assert found.empty
    assert {"kind", "subject", "q_value", "flagged", "in_model"} <= set(found.columns)
