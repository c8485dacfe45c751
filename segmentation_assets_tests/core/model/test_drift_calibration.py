"""False alarms are as rare as promised, and real changes are flagged: a small `benchmarks.drift` with fixed seeds.

The usual methods are simulated as well and must fail, which shows that these tests can fail.
"""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmarks.drift import repeat, varying
from benchmarks.drift_populations import independent, shop
from segmentation_assets.core.clustering.prototypes import nearest_distance
from segmentation_assets.core.model import drift, population

pytestmark = pytest.mark.slow
ALPHA = 0.05
POPULATIONS = {"shop": cache(lambda: shop(1, 50_000)), "independent": cache(lambda: independent(1, 50_000))}


def simulate(n, repeats, shift="none", population="shop", algorithm="kmeans"):
    customers = POPULATIONS[population]()
    names, alone = varying(customers), population == "independent"
    return pd.DataFrame([repeat(customers, names, n, shift, algorithm, seed, features_only=alone) for seed in range(repeats)])


def error(repeats):
    """Standard error of a rate of alpha."""
    return np.sqrt(ALPHA * (1 - ALPHA) / repeats)


def credible(alarms):
    """Whether this many alarms occur by chance in more than one of a thousand runs at a rate of alpha.

    With few repeats, a limit of two standard errors for every kind would fail by chance too often; docs/drift.md has many repeats.
    """
    return stats.binomtest(int(alarms.sum()), len(alarms), ALPHA).pvalue > 0.001


def test_for_few_customers_the_simulated_null_keeps_alpha_and_chi_square_does_not():
    rng, n, repeats = np.random.default_rng(20_261_124), 200, 3_000
    simulated, chi_square = [], []
    for seed in range(repeats):
        reference = drift.numeric_reference("x", pd.Series(rng.standard_normal(n)))
        found = drift.psi_shift(reference, pd.Series(rng.standard_normal(n)), 600, seed)
        simulated.append(found.p_value)
        chi_square.append(stats.chi2.sf(found.value / (2 / n), len(reference.edges)))
    assert abs(np.mean(np.array(simulated) <= ALPHA) - ALPHA) <= 2 * error(repeats)
    assert np.mean(np.array(chi_square) <= ALPHA) > ALPHA + 2 * error(repeats)


@pytest.mark.parametrize(
    ("n", "repeats"), [(200, 60), *(pytest.param(*larger, marks=pytest.mark.full) for larger in ((1_000, 50), (10_000, 12)))]
)
def test_independent_features_are_significant_at_the_rate_alpha(n, repeats):
    found = simulate(n, repeats, population="independent")
    assert abs(found["numeric"].mean() - ALPHA) <= 2 * error(12 * repeats)
    assert abs(found["categorical"].mean() - ALPHA) <= 4 * error(2 * repeats)
    assert credible(found["significant"])


@pytest.mark.parametrize(("n", "repeats"), [(200, 60), pytest.param(1_000, 40, marks=pytest.mark.full)])
def test_an_unchanged_snapshot_raises_alarms_at_most_at_the_rate_alpha(n, repeats):
    found = simulate(n, repeats)
    assert abs(found[["segment_mix", "distance", "joint"]].mean(axis=None) - ALPHA) <= 2 * error(3 * repeats)
    assert all(credible(found[kind]) for kind in ("segment_mix", "distance", "joint", "significant"))
    assert found["habit_ks"].mean() > ALPHA + 2 * error(repeats)
    if n == 200:
        assert found["habit_psi"].mean() > 0.9


@pytest.mark.parametrize("shares", [[1 / 80] * 80, [0.8, *[0.2 / 30] * 30]])  # the second was an alarm in 25%
def test_rare_levels_raise_no_alarm_by_chance_at_training(shares):
    rng, repeats = np.random.default_rng(3), 300
    draws = ((pd.Series(rng.choice(len(shares), 200, p=shares)).astype("str") for _ in range(2)) for _ in range(repeats))
    found = [drift.psi_shift(drift.categorical_reference("x", before), now, 600, i) for i, (before, now) in enumerate(draws)]
    assert abs(np.mean([f.p_value <= ALPHA for f in found]) - ALPHA) <= 2 * error(repeats)


def test_held_out_distances_keep_alpha_and_in_sample_ones_would_always_raise_an_alarm(monkeypatch):
    assert simulate(200, 10, algorithm="ward")["distance"].mean() <= 0.2

    def in_sample(active, model, settings):
        clusters = model.clusters
        return clusters.prototypes, nearest_distance(clusters.preprocessor.transform(active), clusters.prototypes)

    monkeypatch.setattr(population, "_honest_distances", in_sample)
    assert simulate(200, 5, algorithm="ward")["distance"].mean() == 1


@pytest.mark.parametrize(("shift", "subjects"), [
    ("mean +0.5 sd", {"monetary", drift.TOGETHER}), ("spread x1.3", {"monetary", drift.TOGETHER}), ("top 5% x3", {"monetary"}),
    ("new level 5%", {"region"}), ("correlation 0.6 to 0", {drift.TOGETHER}),
])  # fmt: skip
def test_a_clear_change_of_a_thousand_customers_is_flagged_with_the_right_subject(shift, subjects):
    found = simulate(1_000, 6, shift)
    assert found["flagged"].sum() >= 4
    assert found["strongest"].isin(subjects).sum() >= 5
