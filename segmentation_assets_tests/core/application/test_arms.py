import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from segmentation_assets.core.application.arms import (
    LEVEL,
    POWER,
    Arm,
    compared,
    false_discovery_rates,
    holdout_needed,
    power_to_show,
    sample_ratio,
    smallest_effect,
)

RNG = np.random.default_rng(19)
BEFORE = RNG.lognormal(3, 1, 2_000)
SINCE = 0.6 * BEFORE + RNG.lognormal(2.5, 1, 2_000)
ALIKE = Arm.of(SINCE, BEFORE)
amounts = st.lists(st.tuples(st.floats(-1e4, 1e4), st.floats(0, 1e4)), min_size=2, max_size=30)


@given(amounts, amounts, st.floats(-100, 100))
def test_sums_give_the_moments_of_the_customers_and_add_up(first, second, slope):
    centre = (10.0, 20.0)
    whole = Arm.of(*zip(*first, strict=True), centre) + Arm.of(*zip(*second, strict=True), centre)
    y, x = np.array(first + second).T
    rest = y - slope * x
    scale = max(np.abs(rest).max(), 100 * np.abs(y).max(), 100 * np.abs(x).max() * max(1, abs(slope)), 1)
    assert (whole.customers, whole.mean, whole.mean_before) == (len(y), pytest.approx(y.mean()), pytest.approx(x.mean()))
    assert whole.variance(slope) == pytest.approx(rest.var(ddof=1), abs=1e-9 * scale**2)


def test_arms_about_different_centres_do_not_add():
    with pytest.raises(ValueError, match="different centres"):
        Arm.of([1.0], [1.0]) + Arm.of([1.0], [1.0], (1.0, 0.0))


def test_the_effect_is_that_of_what_the_period_before_leaves_unexplained():
    treated, holdout = (SINCE[200:] + 5, BEFORE[200:]), (SINCE[:200], BEFORE[:200])
    y, x = np.concatenate([treated[0], holdout[0]]), np.concatenate([treated[1], holdout[1]])
    rest = y - np.cov(y, x)[0, 1] / x.var(ddof=1) * x
    found = compared(Arm.of(*treated), Arm.of(*holdout))
    assert found.effect == pytest.approx(rest[:1_800].mean() - rest[1_800:].mean(), rel=1e-6)
    pooled = (1_799 * rest[:1_800].var(ddof=1) + 199 * rest[1_800:].var(ddof=1)) / 1_998
    half = stats.norm.isf(LEVEL / 2) * np.sqrt(pooled * (1 / 1_800 + 1 / 200))
    assert (found.low, found.high) == (pytest.approx(found.effect - half, rel=1e-6), pytest.approx(found.effect + half, rel=1e-6))
    assert half < 0.8 * stats.norm.isf(LEVEL / 2) * np.sqrt(SINCE.var(ddof=1) * (1 / 1_800 + 1 / 200))


@given(st.integers(40, 400), st.floats(-30, 30), st.integers(0, 99))
def test_an_interval_excludes_no_effect_exactly_if_the_test_shows_one(held_out, effect, seed):
    rows = np.random.default_rng(seed).permutation(2_000)
    treated, holdout = rows[held_out:], rows[:held_out]
    found = compared(Arm.of(SINCE[treated] + effect, BEFORE[treated]), Arm.of(SINCE[holdout], BEFORE[holdout]))
    assert (found.low > 0 or found.high < 0) == (found.p_value < LEVEL)


def test_nothing_is_compared_if_all_in_an_arm_did_the_same():
    assert compared(Arm.of(np.zeros(50), np.arange(50)), Arm.of(np.zeros(40), np.arange(40))) is None


def test_amounts_whose_mean_is_nearly_zero_are_compared():
    net = SINCE - SINCE.mean()  # of returns, say
    assert np.isfinite(compared(Arm.of(net[500:], BEFORE[500:]), Arm.of(net[:500], BEFORE[:500])).p_value)


@pytest.mark.parametrize("held_out", [100, 1_000])
def test_the_smallest_effect_is_seen_with_the_stated_chance(held_out):
    smallest = smallest_effect(10_000 - held_out, held_out, ALIKE)
    assert power_to_show(smallest, 10_000 - held_out, held_out, ALIKE) == pytest.approx(POWER)
    deviation = ALIKE.variance(ALIKE.slope()) ** 0.5
    by_hand = (stats.norm.isf(LEVEL / 2) + stats.norm.ppf(POWER)) * deviation * np.sqrt(1 / held_out + 1 / (10_000 - held_out))
    assert smallest == pytest.approx(by_hand, rel=1e-4)


@given(st.floats(0.5, 200), st.integers(3, 20_000))
def test_the_holdout_needed_is_the_smallest_that_is_enough(effect, customers):
    needed = holdout_needed(effect, customers, ALIKE)
    if needed is None:
        half = customers // 2
        assert power_to_show(effect, customers - half, half, ALIKE) < POWER
    else:
        assert power_to_show(effect, customers - needed, needed, ALIKE) >= POWER - 1e-6
        assert needed == 1 or power_to_show(effect, customers - needed + 1, needed - 1, ALIKE) < POWER


def test_sample_ratio_is_the_binomial_test_of_the_planned_share():
    assert sample_ratio(850, 50, 0.1) == pytest.approx(stats.binomtest(50, 900, 0.1).pvalue)
    assert sample_ratio(90_000, 10_000, 0.1) == pytest.approx(1)
    assert sample_ratio(90_000, 9_000, 0.1) < 1e-6


@given(st.lists(st.floats(0, 1), max_size=20))
def test_false_discovery_rates_are_those_of_benjamini_and_hochberg(p_values):
    expected = stats.false_discovery_control(p_values) if p_values else []
    assert false_discovery_rates(p_values) == pytest.approx(list(expected))
