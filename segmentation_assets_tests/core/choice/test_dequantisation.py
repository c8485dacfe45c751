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
