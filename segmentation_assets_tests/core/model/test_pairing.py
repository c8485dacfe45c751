"""Who is in both snapshots, and tests of change by them, against figures made by hand and at the rates they promise."""

import math

import numpy as np
import pandas as pd
import pytest

from segmentation_assets.core.model.drift import Shift, psi, psi_shift, reference_of
from segmentation_assets.core.model.pairing import paired, paired_joint_shift, paired_psi_shift
from segmentation_assets.vocabulary import DriftTest

PAIRED = DriftTest.PAIRED


def ids(*names):
    return pd.Series(names, dtype="str")


def everyone(n):
    return paired(pd.Series(range(n)), pd.Series(range(n)))


def shift(before, now, same=None, draws=2_000, seed=0):
    return paired_psi_shift(reference_of("x", before), before, now, same or everyone(len(before)), draws, seed)


def panel(rng, n=200, correlation=0.95, came=20):
    """The same n customers twice, of whom the last `came` are others at the second time."""
    then = rng.standard_normal(n)
    now = correlation * then + np.sqrt(1 - correlation**2) * rng.standard_normal(n)
    now[n - came :] = rng.standard_normal(came)
    return pd.Series(then), pd.Series(now), paired(pd.Series(range(n)), pd.Series([*range(n - came), *range(n, n + came)]))


def test_each_customer_is_found_in_both_snapshots_whatever_the_order():
    same = paired(ids("left", "b", "a"), ids("a", "new", "b"))
    assert same.then.tolist() == [2, 1, 0, -1]  # a, b, left, new
    assert same.now.tolist() == [0, 2, -1, 1]


def test_where_nobody_is_in_both_there_are_no_pairs():
    assert paired(ids("a"), ids("b")) is None
    assert paired(ids(), ids("b")) is None


def test_customers_who_stay_as_they_were_have_not_drifted():
    assert shift(pd.Series(np.arange(100.0)), pd.Series(np.arange(100.0))) == Shift(0.0, 1.0, PAIRED)


def test_the_p_value_of_six_who_all_change_in_one_way_is_that_of_six_coins():
    found = [shift(pd.Series(["a"] * 6), pd.Series(["b"] * 6), draws=20_000, seed=seed).p_value for seed in range(10)]
    assert np.mean(found) == pytest.approx(2 / 2**6, rel=0.1)


def test_the_index_is_that_of_all_customers_those_who_came_and_left_too():
    before, now = pd.Series(["a", "a", "b", "b"] * 50), pd.Series(["a", "b", "b", "b"] * 50)
    same = paired(pd.Series(range(200)), pd.Series(range(100, 300)))
    assert shift(before, now, same).value == pytest.approx(float(psi(np.array([0.5, 0.5]), np.array([0.25, 0.75]))))


@pytest.mark.parametrize(("before", "now"), [(0, 10), (10, 0)])
def test_without_customers_on_either_side_nothing_is_measured(before, now):
    sides = pd.Series([1.0] * before, dtype="float64"), pd.Series([1.0] * now, dtype="float64")
    assert math.isnan(shift(*sides, same=everyone(10)).p_value)


def test_the_order_of_rows_is_of_no_account():
    rng = np.random.default_rng(1)
    then, now, _ = panel(rng, came=0)
    order = rng.permutation(len(now))
    same = paired(pd.Series(range(200)), pd.Series(order))
    assert shift(then, now[order].reset_index(drop=True), same) == shift(then, now)


def test_what_changes_little_from_snapshot_to_snapshot_shows_a_small_shift_that_independent_draws_would_hide():
    then, now, same = panel(np.random.default_rng(2))
    found = shift(then, now + 0.3, same)
    assert found.p_value < 0.001
    assert psi_shift(reference_of("x", then), now + 0.3, 2_000, 0).p_value > 0.05


@pytest.mark.slow
@pytest.mark.parametrize("correlation", [0, 0.95])
def test_alarms_come_as_rarely_as_promised_where_the_same_customers_are_in_both(correlation):
    rng, repeats = np.random.default_rng(3), 600
    found = np.array([shift(*panel(rng, 150, correlation), draws=400, seed=i).p_value <= 0.05 for i in range(repeats)])
    assert abs(found.mean() - 0.05) <= 2.5 * np.sqrt(0.05 * 0.95 / repeats)


@pytest.mark.slow
def test_that_only_some_kinds_of_customers_come_and_go_is_no_alarm():
    """All who come and go have level a, as half of the others: dealt among themselves, those who came and who left would never differ."""
    rng, repeats, p_values = np.random.default_rng(4), 400, []
    for seed in range(repeats):
        left, came = rng.poisson(40, 2)
        then, now = (pd.Series(["a"] * (100 + flow) + ["b"] * 100) for flow in (left, came))
        keys = [[*range(flow_start, flow_start + flow), *range(200)] for flow_start, flow in ((1000, left), (2000, came))]
        p_values.append(shift(then, now, paired(*map(pd.Series, keys)), draws=400, seed=seed).p_value)
    assert abs(np.mean(np.array(p_values) <= 0.05) - 0.05) <= 2.5 * np.sqrt(0.05 * 0.95 / repeats)


def clouds(rng, change, n=300):
    then = rng.standard_normal((n, 2))
    return then, 0.9 * then + np.sqrt(0.19) * rng.standard_normal((n, 2)) + np.array([change, 0])


def test_points_that_all_move_a_little_are_told_apart():
    then, now = clouds(np.random.default_rng(5), 0.4)
    found = paired_joint_shift(then, now, everyone(300), 0)
    assert found.value == pytest.approx(0.6, abs=0.06)
    assert found.p_value < 1e-6


def test_points_of_the_same_customers_are_not_told_apart():
    rng = np.random.default_rng(6)
    found = [paired_joint_shift(*clouds(rng, 0, 60), everyone(60), seed).p_value for seed in range(30)]
    assert sum(p <= 0.05 for p in found) <= 5


def test_a_classifier_is_not_asked_about_too_few():
    assert math.isnan(paired_joint_shift(np.zeros((19, 2)), np.zeros((19, 2)), everyone(19), 0).p_value)


def test_points_that_are_all_alike_have_not_drifted():
    assert paired_joint_shift(np.zeros((40, 1)), np.zeros((40, 1)), everyone(40), 0) == Shift(0.5, 1.0, PAIRED)
