"""Candidates as rows: what was measured is there, what was not is missing, and a model carried forward is one row."""

import numpy as np

from segmentation_assets.core.choice.candidates import Candidate, measured_again, table
from segmentation_assets.core.choice.grid_model import GridModel
from segmentation_assets.core.clustering.algorithm import fit_kmeans
from segmentation_assets.settings.model import ModelSettings
from segmentation_assets_tests.builders import features

SHOP = features((1, 20, 900), (2, 22, 1000), (1, 24, 1100), (70, 1, 5), (75, 2, 6), (80, 1, 7))
COLUMNS = ["recency_days", "frequency", "monetary"]


def test_the_weakest_cluster_and_its_reading_are_columns():
    row = table((Candidate("kmeans", 2, jaccard=(0.9, 0.7)),)).iloc[0]
    assert (row["weakest_jaccard"], row["stability"], row["jaccard"]) == (0.7, "doubtful", "0.90, 0.70")


def test_what_was_not_measured_is_missing():
    row = table((Candidate("dbscan", 0, reason="Could not be fitted."),)).iloc[0]
    assert row[["weakest_jaccard", "stability", "jaccard", "gap", "smallest_share"]].isna().all()


def test_no_candidates_are_a_table_without_rows():
    assert table(()).empty


def test_a_model_carried_forward_is_measured_on_the_customers_of_today():
    model = fit_kmeans(SHOP[COLUMNS], 2, 1)
    found = measured_again(model, SHOP.iloc[:4].reset_index(drop=True), ModelSettings())
    assert (found.chosen, found.smallest_count, found.smallest_share) == (True, 1, 0.25)
    assert found.silhouette > 0.5
    assert "carried forward" in found.reason


def test_a_grid_carried_forward_has_sizes_but_no_geometry():
    found = measured_again(GridModel.fit(SHOP), SHOP, ModelSettings())
    assert np.isnan(found.silhouette)
    assert found.k == 10
