"""A pace is measured against the mirror image: steady customers show none, however the segments are cut."""

import numpy as np
import pandas as pd
import pytest

from segmentation_assets.core.clustering.algorithm import fit_kmeans
from segmentation_assets.core.model.pace import paces
from segmentation_assets_tests.builders import features


def customers(now, then, gap=10.0) -> pd.DataFrame:
    return features(*((recency, 9, 90) for recency in now), opening_pause_days=list(then), mean_gap_days=[gap] * len(now))


def pace(frame, cut=("frequency",), k=1):
    clusters = fit_kmeans(frame[list(cut)], k, seed=0)
    return paces(clusters, frame, clusters.assign(frame).label)


def test_customers_whose_pause_is_longer_than_it_was_and_than_their_gaps_have_slowed_down():
    (found,) = pace(customers([30.0] * 40 + [5.0] * 10, [4.0] * 50))
    assert (found.slowed, found.quickened) == (0.8, 0.0)
    assert found.slowed_z == pytest.approx(40**0.5)


def test_a_pause_within_the_own_rhythm_is_no_change():
    assert pace(customers([10.0] * 40, [0.0] * 40))[0].slowed == 0.0  # who orders on the same day each time, just before the lookback ends


def test_customers_who_came_back_have_sped_up():
    assert pace(customers([2.0] * 50, [59.0] * 40 + [0.0] * 10))[0].quickened == 0.8


def test_days_on_which_nobody_ordered_are_nobodys_pause():
    """A feed that is three weeks late, and a shop that was closed at the start of the lookback."""
    pauses = np.random.default_rng(1).exponential(10.0, (2, 600)).round()
    frame = customers(pauses[0] + 1, pauses[1])
    for late, early in ((21, 0), (0, 21)):
        found = pace(frame.assign(recency_days=pauses[0] + 1 + late, opening_pause_days=pauses[1] + early))
        assert found == pace(frame)


def test_a_segment_cut_by_recency_is_compared_with_those_who_would_be_in_it_if_time_ran_backwards():
    pauses = np.random.default_rng(1).exponential(10.0, (2, 600)).round()
    frame = customers(pauses[0] + 1, pauses[1])
    found = pace(frame, cut=("recency_days",), k=2)
    assert max(max(p.slowed_z, p.quickened_z) for p in found) < 3
    late = frame["recency_days"] > 20
    assert (frame["recency_days"] > frame["opening_pause_days"] + 1)[late].mean() > 0.8  # as if the late had slowed down


def test_nothing_is_measured_of_customers_who_are_new_or_ordered_once_or_where_features_lack_the_columns():
    assert pace(customers([30.0] * 5, [None] * 5)) == [None]
    assert pace(customers([30.0] * 5, [4.0] * 5, gap=np.nan)) == [None]
    assert pace(features(*[(30, 9, 90)] * 5)) == [None]
