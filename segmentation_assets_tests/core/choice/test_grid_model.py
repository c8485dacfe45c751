"""A grid of one's own cuts where the settings say, and names each cell once."""

import pandas as pd

from segmentation_assets.core.choice.grid_model import GridModel
from segmentation_assets.settings.model import GridSettings

SHOP = pd.DataFrame(
    {"recency_days": [5.0, 7.0, 8.0, 90.0, 91.0, 400.0], "frequency": [1.0, 2.0, 3.0, 9.0, 1.0, 5.0], "monetary": [1.0, 2, 3, 4, 5, 6]}
)
ASKED = GridSettings(recency_days=(7, 90), frequency=(1,), monetary=2, names={"321": "Casual", "32*": "Best", "1**": "Gone", "3**": "New"})


def placed(grid, shop=SHOP):
    return [grid.names[label] for label in grid.assign(shop).label]


def test_a_value_on_a_cut_point_is_in_the_lower_bin_and_the_first_name_that_fits_counts():
    expected = ["New", "Casual", "Cell 221", "Cell 222", "Gone", "Gone"]
    assert placed(GridModel.fit(SHOP, ASKED)) == expected
    best = SHOP.assign(recency_days=6.0, frequency=2.0)
    assert placed(GridModel.fit(SHOP, ASKED), best) == ["Casual"] * 3 + ["Best"] * 3


def test_numbers_of_bins_are_quantiles_of_the_snapshot_at_which_it_was_cut():
    grid = GridModel.fit(SHOP, GridSettings(recency_days=2, frequency=1, monetary=1, names={"2**": "Here", "***": "Away"}))
    assert placed(grid) == ["Here"] * 3 + ["Away"] * 3
    assert placed(grid, SHOP.assign(recency_days=8.0)) == ["Here"] * 6


def test_a_grid_read_back_is_the_same():
    grid = GridModel.fit(SHOP, ASKED)
    assert GridModel.from_frame(grid.to_frame().sample(frac=1, random_state=1)) == grid
    assert len(grid.names) == grid.k == 8


def test_a_cell_is_treated_as_the_usual_one_at_its_place():
    grid = GridModel.fit(SHOP, ASKED)
    assert [grid.usual_name(name) for name in ("Best", "New", "Gone")] == ["champions", "potential loyalists", "at risk"]


def test_without_bins_or_names_it_is_the_grid_of_ten_names():
    assert GridModel.fit(SHOP, GridSettings()) == GridModel.fit(SHOP)
    assert GridModel.fit(SHOP).k == 10


def test_the_cut_points_around_a_customer():
    grid = GridModel.fit(SHOP, ASKED)
    assert grid.bins_of(SHOP[:1]) == {"recency_days": (None, 7.0), "frequency": (None, 1.0), "monetary": (None, 3.0)}
    assert grid.bins_of(SHOP[3:4]) == {"recency_days": (7.0, 90.0), "frequency": (1.0, None), "monetary": (3.0, None)}
