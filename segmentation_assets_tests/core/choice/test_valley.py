"""The gate opens for a real valley and for nothing else."""

import numpy as np
import pytest

from benchmarks.populations import COUNTED, planted_shop
from segmentation_assets.core.choice.valley import find_valley, gabriel_pairs, in_cell, valley_p_values, worst_pair
from segmentation_assets.core.clustering.algorithm import Clustering, KMeans, canonical_order
from segmentation_assets.core.clustering.preprocessing import FeaturePreprocessor
from segmentation_assets.core.clustering.weighted_kmeans import WeightedKMeans


def two(separation, n=800, seed=0, sizes=(1, 1), dimensions=2):
    rng = np.random.default_rng(seed)
    shift = np.zeros(dimensions)
    shift[0] = separation
    return np.vstack([rng.normal(size=(n * sizes[0], dimensions)), shift + rng.normal(size=(n * sizes[1], dimensions))])


def test_two_groups_have_a_valley_and_one_cut_in_two_has_none():
    apart, together = two(5), two(0)
    assert valley_p_values(canonical_order(apart), KMeans(n_init=2), [2], seed=0)[2] < 1e-6
    assert valley_p_values(canonical_order(together), KMeans(n_init=2), [2], seed=0)[2] > 0.3


def test_one_pair_without_a_valley_is_enough_to_close_the_gate():
    p_values = valley_p_values(canonical_order(two(6)), KMeans(n_init=2), [2, 3], seed=0)
    assert p_values[2] < 1e-6 and p_values[3] > 0.3


def test_customers_with_one_and_two_orders_are_not_distinct():
    rng = np.random.default_rng(0)
    orders = 1 + rng.poisson(rng.gamma(0.8, 2, 4000))
    points = np.column_stack([np.log1p(orders), np.log(orders) + rng.normal(3, 0.3, 4000)])
    assert min(valley_p_values(canonical_order(points), KMeans(n_init=2), [2, 3, 4], seed=0).values()) > 0.3


def test_a_small_group_beside_a_large_one_is_seen():
    points = two(5, n=250, sizes=(10, 1))
    assert valley_p_values(canonical_order(points), KMeans(n_init=2), [2], seed=0)[2] < 0.01


def test_noise_features_do_not_hide_a_valley():
    assert valley_p_values(canonical_order(two(6, dimensions=8)), KMeans(n_init=2), [2], seed=0)[2] < 1e-6


def test_where_to_look_is_found_between_the_centres():
    points = two(6)
    labels = np.repeat([0, 1], 800)
    window = find_valley(points, labels, np.array([[0.0, 0.0], [6.0, 0.0]]), 0, 1)
    assert window.left < 0.3 < window.valley < 0.7 < window.right
    assert window.p_value(points) < 1e-20 and window.p_value(np.empty((0, 2))) == 1


def test_neighbours_are_the_pairs_with_nobody_between():
    centers = np.array([[0.0, 0.0], [5.0, 0.0], [10.0, 0.0], [5.0, 9.0]])
    assert set(gabriel_pairs(centers)) == {(0, 1), (1, 2), (0, 3), (1, 3), (2, 3)}


def test_the_cell_is_convex_and_always_holds_both_centres():
    rng = np.random.default_rng(0)
    for _ in range(20):
        centers = rng.normal(size=(6, 3))
        assert len(in_cell(centers[:2], centers, 0, 1)) == 2
        inside = in_cell(rng.normal(size=(400, 3)), centers, 0, 1)
        middles = (inside[: len(inside) // 2 * 2 : 2] + inside[1::2][: len(inside) // 2]) / 2
        assert len(in_cell(middles, centers, 0, 1)) == len(middles)


def test_one_cluster_has_no_neighbour_to_be_separated_from():
    alone = Clustering(np.zeros((1, 2)), np.zeros(1, int), np.ones(1))
    assert worst_pair(alone, two(6), two(6)) == 1


def test_halves_too_small_to_cluster_close_the_gate():
    assert valley_p_values(np.array([[0.0], [1.0], [5.0]]), KMeans(), [3], seed=0) == {3: 1.0}


@pytest.mark.parametrize("seed", range(5))
def test_evenly_spread_customers_are_the_hardest_continuum(seed):
    points = np.random.default_rng(seed).uniform(size=(1500, 2))
    assert min(valley_p_values(canonical_order(points), KMeans(n_init=2), range(2, 7), seed=seed).values()) > 0.05


def gate(population, algorithm, ks):
    points = FeaturePreprocessor(population.transform).fit_transform(population.features)
    return valley_p_values(canonical_order(points), algorithm, ks, seed=0, splits=3)


@pytest.mark.parametrize("make", COUNTED)
@pytest.mark.parametrize("seed", range(2))
def test_amounts_made_from_counts_and_amounts_mostly_zero_have_no_valley(make, seed):
    p_values = gate(make(1500, np.random.default_rng([20, seed])), WeightedKMeans(rounds=4, n_init=2, fit_rows=1000), [2, 3, 4])
    assert min(p_values.values()) > 0.05


@pytest.mark.parametrize("value", ["one price", "steady", "plans"])
def test_segments_in_such_shops_are_seen(value):
    population = planted_shop(1500, value, np.random.default_rng(6))
    assert gate(population, KMeans(n_init=2), [population.true_k])[population.true_k] < 0.01
