"""In simulated shops, names say what is true of the customers. Many more: `benchmarks.names`."""

import pytest

from benchmarks.names import shop

SMALL = {"base": 1, "n": 300}


@pytest.mark.parametrize("kind", ["monthly shop", "furniture shop", "grocer"])
def test_in_a_steady_shop_names_stay_and_none_speaks_of_a_change(kind):
    shops = [shop(kind, seed, later=3, **SMALL) for seed in (0, 1)]
    assert [(found["flips"], found["speaks"]) for found in shops] == [(0, 0), (0, 0)]


def test_customers_who_order_half_as_often_are_named_so_within_two_snapshots():
    shops = [shop("halving, weekly and even", seed, later=4, **SMALL) for seed in (0, 1)]
    assert [(found["speaks"], 1 <= found["named"] <= 2) for found in shops] == [(0, True), (0, True)]
