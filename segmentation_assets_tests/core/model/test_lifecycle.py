"""Planted changes of segments are told as what they are, and nothing is told where nothing changed. Many more: `benchmarks.lifecycle`."""

import pytest

from benchmarks.lifecycle import CHANGE, KINDS, LOOKBACK, shop

SMALL = {"n": 400, "base": 78, "k_max": 4, "k": 4, "resamples": 10, "splits": 2}


@pytest.mark.parametrize("kind", KINDS)
def test_a_planted_change_is_told_by_the_first_snapshot_that_knows_nothing_from_before_it(kind):
    assert all(CHANGE < shop(kind, seed, **SMALL)["told"] <= CHANGE + LOOKBACK for seed in (0, 1))


def test_in_shops_where_nothing_changes_no_model_takes_the_place_of_another():
    assert [shop(kind, 0, **SMALL)["promotions"] for kind in ("groups", "continuum")] == [0, 0]
