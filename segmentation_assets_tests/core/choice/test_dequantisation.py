"""Whole numbers are spread evenly over their cells; continuous values and real gaps are unchanged."""

import numpy as np

from segmentation_assets.core.choice.dequantisation import spread_atoms


def test_continuous_values_do_not_move():
    points = np.random.default_rng(0).normal(size=(200, 2))
    np.testing.assert_array_equal(spread_atoms(points, np.random.default_rng(1)), points)


def test_whole_numbers_fill_their_cells_evenly():
    counts = np.repeat([1.0, 2.0, 3.0, 4.0], 500)
    points = np.column_stack([counts, np.random.default_rng(0).normal(size=2000)])
    spread = spread_atoms(points, np.random.default_rng(1))[:, 0]
    assert np.all(np.round(spread) == counts)
    assert np.histogram(spread, bins=40, range=(0.5, 4.5))[0].min() == 50


def test_a_gap_is_not_filled():
    points = np.repeat([1.0, 2.0, 3.0, 20.0, 21.0], 200)[:, None]
    spread = spread_atoms(points, np.random.default_rng(1))[:, 0]
    assert not np.any((spread > 4.01) & (spread < 18.99))


def test_equal_values_are_ordered_by_the_other_features():
    rng = np.random.default_rng(0)
    rate = rng.normal(5, 1.5, 4000)
    points = np.column_stack([np.round(rate), 2 * rate + rng.normal(0, 0.5, 4000)])
    spread = spread_atoms(points, np.random.default_rng(1))
    own = np.round(spread[:, 0]) == 5
    assert np.corrcoef(spread[own].T)[0, 1] > 0.4


def test_the_few_values_that_winsorising_moved_to_an_edge_are_dropped_but_a_common_value_is_kept():
    values = np.concatenate([np.full(700, 1.0), np.random.default_rng(0).uniform(2, 9, 295), np.full(5, 9.5)])
    spread = spread_atoms(values[:, None], np.random.default_rng(1))
    assert len(spread) == 995


def test_a_constant_feature_is_left_alone():
    assert np.array_equal(spread_atoms(np.ones((9, 1)), np.random.default_rng(0)), np.ones((9, 1)))


def test_spend_made_from_a_count_fills_the_line_with_it():
    orders = np.repeat(np.arange(1.0, 9), 300)
    spend = np.log(orders) + np.random.default_rng(0).normal(0, 0.05, len(orders))
    spread = spread_atoms(np.column_stack([np.log(orders), spend]), np.random.default_rng(1))
    assert np.corrcoef(spread.T)[0, 1] > 0.99
    assert np.histogram(spread[:, 1], bins=12, range=(-0.2, 2))[0].min() > 40


def test_price_plans_are_spread_among_customers_with_as_many_orders():
    orders, plan = np.repeat(np.arange(1.0, 5), 900), np.tile([0.0, 0.5, 1.1], 1200)
    spread = spread_atoms(np.column_stack([np.log(orders), np.log(orders) + plan]), np.random.default_rng(1))
    assert np.histogram(spread[:, 1] - spread[:, 0], bins=10, range=(-0.2, 1.3))[0].min() > 150


def test_two_groups_that_a_count_tells_apart_stay_apart():
    rng = np.random.default_rng(0)
    orders = np.concatenate([1.0 + rng.poisson(2, 1000), 12.0 + rng.poisson(2, 1000)])
    recency = np.where(orders < 9, 5.0, 0.0) + rng.normal(size=2000) / 2
    spread = spread_atoms(np.column_stack([np.log(orders), recency]), rng)[:, 1]
    assert not np.any((spread > 2) & (spread < 3))


def test_customers_who_spent_nothing_are_placed_by_their_other_features():
    rng = np.random.default_rng(0)
    latent = rng.normal(size=2000)
    spend = np.where(latent > 0.3, 100 + latent, 0.0)
    spread = spread_atoms(np.column_stack([spend, latent + rng.normal(0, 0.3, 2000)]), rng)[:, 0]
    assert spread.min() > 95 and spread[spend == 0].mean() < spread[spend > 0].mean()
