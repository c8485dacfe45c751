"""What segments are compared with: groups as many as asked, equally large, of customers with equal values never separated."""

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from segmentation_assets.core.choice.baselines import _gap, baselines, quantile_grid, random_cut, single_column
from segmentation_assets.vocabulary import Baseline

RNG = np.random.default_rng(5)
SHOP = pd.DataFrame(RNG.lognormal(3, 1, (600, 3)), columns=["frequency", "monetary", "recency_days"])


def test_a_grid_has_as_many_groups_as_asked_of_the_same_size():
    for k in range(1, 11):
        sizes = np.bincount(quantile_grid(SHOP, k))
        assert len(sizes) == k and sizes.max() - sizes.min() <= 2


def test_the_features_are_cut_in_turn_each_part_at_its_own_median():
    rows = pd.DataFrame({"frequency": [1, 1, 1, 1, 9, 9, 9, 9], "monetary": [1, 2, 3, 4, 10, 20, 30, 40], "recency_days": [5, 6] * 4})
    assert quantile_grid(rows, 4).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert quantile_grid(rows, 8).tolist() == list(range(8))


def test_a_part_that_a_feature_does_not_divide_is_cut_by_the_next_and_alike_customers_stay_together():
    one_order = pd.DataFrame({"frequency": [1] * 9 + [2], "monetary": [7.0] * 6 + [1, 2, 3, 9]})
    assert quantile_grid(one_order, 3).tolist() == [0] * 6 + [0, 0, 0, 1]  # with k = 3, one group is below the gap between orders
    assert quantile_grid(pd.DataFrame({"monetary": [7.0] * 9}), 5).tolist() == [0] * 9
    assert quantile_grid(SHOP.iloc[:0], 5).tolist() == []


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 4), st.integers(0, 2)), min_size=1, max_size=30), st.integers(1, 8))
def test_neither_order_nor_ties_divide_alike_customers(customers, k):
    rows = pd.DataFrame(customers, columns=SHOP.columns)
    labels = quantile_grid(rows, k)
    assert rows.assign(label=labels).groupby(list(SHOP.columns))["label"].nunique().max() == 1
    assert len(set(labels)) <= k
    assert quantile_grid(rows[::-1], k).tolist() == labels[::-1].tolist()


@given(st.lists(st.integers(-3, 3).map(lambda tenths: tenths / 10), min_size=2, max_size=40), st.floats(0.05, 0.95))
def test_a_cut_is_at_the_gap_between_values_that_is_nearest_to_its_share(values, share):
    found, counts = np.unique(values, return_counts=True)
    if len(found) > 1:
        assert _gap(np.array(values), share) == found[np.abs(counts.cumsum()[:-1] / len(values) - share).argmin()]


def test_all_baselines_are_of_the_same_customers():
    found = baselines(SHOP, 7)
    assert {name: len(set(labels)) for name, labels in found.items()} == {
        Baseline.MONEY: 5, Baseline.FREQUENCY_MONETARY: 7, Baseline.RECENCY_FREQUENCY_MONETARY: 7, Baseline.RECENCY_FREQUENCY: 10,
    }  # fmt: skip
    assert all(len(labels) == len(SHOP) for labels in found.values())


def test_a_column_alone_is_cut_into_quantiles_or_its_commonest_levels():
    numbers = pd.Series([9.0, 1.0, 2.0, np.nan, 5.0, 7.0])
    assert single_column(numbers, False, 3).tolist() == [2, 0, 0, 1, 1, 2]
    levels = pd.Series(["b", "a", "c", "a", None, "b", "a", "d"])
    assert single_column(levels, True, 3).tolist() == [1, 0, 2, 0, 2, 1, 0, 2]
    assert single_column(pd.Series([np.nan, np.nan]), False, 2).tolist() == [0, 0]


def test_chance_keeps_the_sizes():
    labels = np.repeat([0, 1, 2], [50, 30, 20])
    dealt = random_cut(labels, seed=1)
    assert np.bincount(dealt).tolist() == [50, 30, 20]
    assert (dealt != labels).mean() > 0.4
