"""The population stability index, against figures made by hand."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentation_assets.core.drift import feature_psi, mix_psi, psi, reference_of

values = st.lists(st.none() | st.floats(-1e6, 1e6), min_size=1, max_size=30).map(lambda v: pd.Series(v, dtype="float64"))


def test_psi_by_hand():
    found = psi(np.array([0.5, 0.5]), np.array([0.8, 0.2]), 100, 100)
    assert found == pytest.approx(0.3 * math.log(0.8 / 0.5) - 0.3 * math.log(0.2 / 0.5))


def test_an_empty_bin_counts_as_half_a_customer():
    found = psi(np.array([1.0, 0.0]), np.array([0.5, 0.5]), 10, 10)
    assert found == pytest.approx(-0.5 * math.log(0.5 / 1.0) + (0.5 - 0.05) * math.log(0.5 / 0.05))


def test_a_bin_that_is_empty_on_both_sides_counts_for_nothing():
    assert psi(np.array([1.0, 0.0]), np.array([1.0, 0.0]), 10, 20) == 0


@pytest.mark.parametrize(("before", "now"), [(0, 10), (10, 0), (0, 0)])
def test_without_customers_on_either_side_there_is_no_psi(before, now):
    assert math.isnan(psi(np.array([1.0]), np.array([1.0]), before, now))


@given(values)
def test_a_feature_has_not_drifted_from_itself(column):
    assert feature_psi(reference_of("x", column), column) == pytest.approx(0, abs=1e-12)


@given(values, values)
def test_psi_is_never_negative(before, now):
    assert feature_psi(reference_of("x", before), now) >= -1e-12


@given(values, st.randoms(use_true_random=False))
def test_the_order_of_customers_is_of_no_account(column, random):
    shuffled = list(column)
    random.shuffle(shuffled)
    assert reference_of("x", pd.Series(shuffled, dtype="float64")) == reference_of("x", column)


def test_a_feature_of_ten_values_falls_into_its_deciles():
    reference = reference_of("x", pd.Series(np.arange(10.0)))
    assert reference.edges == tuple(np.arange(9.0))
    assert reference.shares == pytest.approx((0.1,) * 10 + (0.0,))


def test_a_feature_that_moves_up_altogether_drifts():
    before = pd.Series(np.arange(100.0))
    assert feature_psi(reference_of("x", before), before + 20) > 0.1


def test_a_constant_feature_that_stays_has_not_drifted():
    assert feature_psi(reference_of("x", pd.Series([7.0] * 10)), pd.Series([7.0] * 3)) == 0


@pytest.mark.parametrize("other", [6.9, 7.1])
def test_a_constant_feature_that_takes_another_value_drifts(other):
    assert feature_psi(reference_of("x", pd.Series([7.0] * 10)), pd.Series([other] * 10)) > 0.1


def test_a_feature_that_was_missing_for_all_drifts_when_it_appears():
    reference = reference_of("x", pd.Series([None] * 10, dtype="float64"))
    assert feature_psi(reference, pd.Series([None] * 5, dtype="float64")) == 0
    assert feature_psi(reference, pd.Series([1.0] * 10)) > 0.1


def test_a_feature_that_goes_missing_drifts():
    assert feature_psi(reference_of("x", pd.Series(np.arange(10.0))), pd.Series([None] * 10, dtype="float64")) > 0.1


def test_the_mix_by_hand_with_a_segment_that_is_gone_and_one_that_is_new():
    found = mix_psi({1: 0.5, 2: 0.5}, 10, pd.Series([1] * 5 + [3] * 5))
    assert found == pytest.approx(2 * (0.5 - 0.05) * math.log(0.5 / 0.05))


def test_the_same_mix_of_more_customers_has_not_drifted():
    assert mix_psi({1: 0.5, -1: 0.5}, 2, pd.Series([1] * 50 + [-1] * 50)) == 0
