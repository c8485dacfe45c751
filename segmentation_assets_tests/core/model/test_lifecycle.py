"""Planted changes of segments are recognised, and nothing is promoted if nothing changed. Many more: `benchmarks.lifecycle`."""

import numpy as np
import pytest

from benchmarks.lifecycle import CHANGE, KINDS, LOOKBACK, shop, snapshots

SMALL = {"n": 400, "base": 78, "k_max": 4, "k": 4, "resamples": 10, "splits": 2}


@pytest.mark.parametrize("kind", KINDS)
def test_a_planted_change_is_recognised_within_one_lookback(kind):
    assert all(CHANGE < shop(kind, seed, **SMALL)["told"] <= CHANGE + LOOKBACK for seed in (0, 1))


def test_no_model_is_replaced_in_a_shop_where_nothing_changes():
    assert [shop(kind, 0, **SMALL)["promotions"] for kind in ("groups", "continuum")] == [0, 0]


def test_the_spend_of_a_month_stays_as_it_was_when_the_month_was_simulated():
    months = [(spend, spend.copy()) for _, spend in snapshots("groups", 50, np.random.default_rng(0))]
    assert all((kept == then).all() for kept, then in months)
