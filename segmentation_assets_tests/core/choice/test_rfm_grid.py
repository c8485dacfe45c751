"""Each of the 25 cells has exactly one name, and customers with equal values share a score."""

import pandas as pd
import pytest

from segmentation_assets.core.choice import rfm_grid
from segmentation_assets.core.choice.rfm_grid import NAME_OF_CELL, NAMES, quintile

# The names as the issue writes them: recency score, then frequency score.
RULES = {
    "champions": "55 54",
    "loyal customers": "34 35 44 45",
    "potential loyalists": "42 43 52 53",
    "new customers": "51",
    "promising": "41",
    "need attention": "33",
    "about to sleep": "31 32",
    "at risk": "13 14 23 24",
    "cannot lose them": "15 25",
    "hibernating": "11 12 21 22",
}


def test_the_names_cover_each_of_the_25_cells_exactly_once():
    written = [(cell, name) for name, cells in RULES.items() for cell in cells.split()]
    assert len(written) == 25
    assert {(int(cell[0]), int(cell[1])): name for cell, name in written} == NAME_OF_CELL
    assert set(NAMES) == set(RULES)


def test_most_recent_and_most_frequent_are_champions():
    customers = pd.Index(list("abcde"))
    grid = rfm_grid.rfm_grid(pd.Series([1, 50, 100, 200, 300], customers), pd.Series([9, 1, 3, 2, 12], customers))
    assert grid.loc["a"].tolist() == [5, 4, "champions"]
    assert grid.loc["b"].tolist() == [4, 1, "promising"]
    assert grid.loc["e"].tolist() == [1, 5, "cannot lose them"]


def test_ties_stay_together_and_sit_where_their_middle_is():
    assert quintile(pd.Series([1] * 6 + [2, 3, 4, 5])).tolist() == [2] * 6 + [4, 4, 5, 5]
    assert quintile(pd.Series([7.0] * 9)).tolist() == [3] * 9
    assert quintile(pd.Series(range(10))).tolist() == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


def test_a_customer_without_orders_is_refused():
    with pytest.raises(ValueError, match=r"1 customer has no recency.*only active"):
        rfm_grid.rfm_grid(pd.Series([1.0, None]), pd.Series([1, 2]))


def test_nobody_is_an_empty_grid():
    assert rfm_grid.rfm_grid(pd.Series([], dtype=float), pd.Series([], dtype=float)).empty
