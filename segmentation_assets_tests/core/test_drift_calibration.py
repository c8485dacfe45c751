"""Alarms come as rarely as promised where nothing changed, and come where something did. A small `benchmarks.drift`, fixed seeds.

The ways that are not taken are simulated beside: they show that these tests can fail.
"""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmarks.drift import repeat, varying
from benchmarks.drift_populations import independent, shop
from segmentation_assets.core import drift, training
from segmentation_assets.core.prototypes import nearest_distance

pytestmark = pytest.mark.slow
ALPHA = 0.05
POPULATIONS = {"shop": cache(lambda: shop(1, 50_000)), "independent": cache(lambda: independent(1, 50_000))}


def simulate(n, repeats, shift="none", population="shop", features_only=False, first=0):
    customers = POPULATIONS[population]()
    names = varying(customers)
    return pd.DataFrame(
        [repeat(customers, names, n, shift, "kmeans", first + seed, features_only=features_only) for seed in range(repeats)]
    )


def errors_from_alpha(rates):
    """How many standard errors the mean of `rates` is from alpha; those of one repeat are not independent of each other."""
    return (rates.mean() - ALPHA) / max(rates.std(ddof=1) / np.sqrt(len(rates)), 1e-9)


@pytest.mark.parametrize(("n", "repeats"), [(200, 250), (1_000, 150), (10_000, 30)])
def test_a_feature_that_did_not_change_is_significant_as_often_as_alpha_says(n, repeats):
    found = simulate(n, repeats, population="independent", features_only=True)
    assert abs(errors_from_alpha(found["numeric"])) <= 2
    assert abs(errors_from_alpha(found["categorical"])) <= 2
    # Features say nothing of each other here, so the rate of any alarm is alpha and no less.
    assert abs(found["significant"].mean() - ALPHA) <= 2 * np.sqrt(ALPHA * (1 - ALPHA) / repeats)


@pytest.mark.parametrize(("n", "repeats"), [(200, 80), (1_000, 50)])
def test_a_snapshot_that_did_not_change_is_an_alarm_no_more_often_than_alpha_says(n, repeats):
    found = simulate(n, repeats)
    error = np.sqrt(ALPHA * (1 - ALPHA) / repeats)
    for kind in ("segment_mix", "distance", "joint"):
        assert abs(found[kind].mean() - ALPHA) <= 2 * error, kind
    assert found["significant"].mean() <= ALPHA + 2 * error
    assert found["flagged"].mean() <= found["significant"].mean()
    assert found["habit_ks"].mean() > 4 * ALPHA
    if n == 200:
        assert found["habit_psi"].mean() > 0.9


@pytest.mark.parametrize(("shift", "subject"), [
    ("mean +0.5 sd", "monetary"), ("spread x1.3", "monetary"), ("top 5% x3", "monetary"), ("new level 5%", "region"),
    ("correlation 0.6 to 0", drift.TOGETHER),
])  # fmt: skip
def test_a_clear_change_of_a_thousand_customers_is_an_alarm_by_the_right_subject(shift, subject):
    found = simulate(1_000, 8, shift)
    assert found["flagged"].mean() >= 0.75
    assert (found["strongest"] == subject).mean() >= 0.75


def test_the_chi_square_null_alarms_too_often_among_few_customers(monkeypatch):
    def by_chi_square(reference, values, draws, seed):
        found = drift_psi_shift(reference, values, 1, seed)
        before = np.array(reference.shares) * reference.customers
        bins = int(((before > 0) | (reference.counts(values) > 0)).sum())
        return drift.Shift(found.value, float(stats.chi2.sf(found.value / (1 / reference.customers + 1 / len(values)), max(bins - 1, 1))))

    drift_psi_shift = drift.psi_shift
    monkeypatch.setattr(drift, "psi_shift", by_chi_square)
    assert errors_from_alpha(simulate(200, 60, population="independent", features_only=True)["numeric"]) > 2


def test_distances_in_sample_alarm_too_often_among_few_customers(monkeypatch):
    def in_sample(active, clusters, wanted):
        return clusters.prototypes, nearest_distance(clusters.preprocessor.transform(active), clusters.prototypes)

    monkeypatch.setattr(training, "_honest_distances", in_sample)
    found = simulate(200, 80)
    assert found["distance"].mean() > ALPHA + 2 * np.sqrt(ALPHA * (1 - ALPHA) / len(found))
