"""Who orders on the same day of every month has not changed when a month is shorter than another."""

import datetime as dt
from math import nan

import numpy as np
import pytest

from segmentation_assets.core.model.months import Months
from segmentation_assets.core.model.population import drift_report, training_population
from segmentation_assets.core.model.training import ModelSpec, train
from segmentation_assets.settings.model import DriftSettings, ModelSettings
from segmentation_assets_tests.builders import features

FEBRUARY, MARCH = dt.date(2023, 2, 1), dt.date(2023, 3, 1)


def test_days_are_counted_anew_in_the_months_of_training():
    """Orders of 15 January and 15 February, seen from 1 March, become those of 15 December and 15 January, seen from 1 February."""
    customer = features((14, 2, 20), mean_gap_days=[31.0], overdue_ratio=[14 / 31], opening_pause_days=[14.0], visit_recency_days=[np.nan])
    found = {name: values.item() for name, values in Months(FEBRUARY, MARCH, 2).aligned(customer).items()}
    assert found == {
        "recency_days": 17,
        "mean_gap_days": 31,
        "overdue_ratio": 17 / 31,
        "visit_recency_days": pytest.approx(nan, nan_ok=True),
    }


def test_a_gap_over_a_short_month_is_as_long_as_it_was_in_training():
    new = features((17, 2, 20), mean_gap_days=[28.0], opening_pause_days=[np.nan]).assign(tenure_days=45.0)  # 15 February and 15 March
    found = Months(MARCH, dt.date(2023, 4, 1), 2).aligned(new)
    assert (found["recency_days"].item(), found["mean_gap_days"].item()) == (14, 31)


def test_a_day_that_the_month_of_training_lacks_is_its_last():
    found = Months(MARCH, dt.date(2023, 4, 1), 2).aligned(features((1, 1, 20), (3, 1, 20), (4, 1, 20)))  # 31, 29 and 28 March
    assert found["recency_days"].tolist() == [1, 1, 1]


@pytest.mark.parametrize("paired", [True, False])
def test_the_lengths_of_months_are_no_drift_and_a_longer_pause_is(paired):
    rng, n = np.random.default_rng(1), 200
    ask = ModelSettings(algorithms=("kmeans",), k_min=2, k_max=2, k=2, fallback_k=2, resamples=10, splits=1, seed=1)
    day, spend = rng.integers(1, 29, n), rng.lognormal(3, 1, n)

    def customers(length, later=0):
        return features(*((length + 1 - d + later, 6, value) for d, value in zip(day, spend, strict=True)))

    then = customers(31)
    model = train(then, None, ModelSpec(ask, "digest"), FEBRUARY, "There is none.").model
    population = training_population(model, then, ask)

    def flagged(now, months):
        found = drift_report(model, population, now, ask, DriftSettings(), then if paired else None, months)
        return set(found.loc[found["flagged"].fillna(False), "subject"])

    months = Months(FEBRUARY, MARCH, 6)
    assert not paired or "recency_days" in flagged(customers(28), None)
    assert flagged(customers(28), months) == set()
    assert "recency_days" in flagged(customers(28, later=12), months)
