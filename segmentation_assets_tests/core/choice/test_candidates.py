"""Candidates as rows: figures that were not measured are missing, and a model carried forward is one row."""

import numpy as np

from segmentation_assets.core.choice.candidates import Candidate, Samples, evaluate, measured_again, table
from segmentation_assets.core.choice.grid_model import GridModel
from segmentation_assets.core.choice.stability import bootstrap_jaccard
from segmentation_assets.core.clustering.algorithm import KMeans, canonical_order, fit_kmeans
from segmentation_assets.settings.model import ModelSettings
from segmentation_assets_tests.builders import features

SHOP = features((1, 20, 900), (2, 22, 1000), (1, 24, 1100), (70, 1, 5), (75, 2, 6), (80, 1, 7))
COLUMNS = ["recency_days", "frequency", "monetary"]


def test_the_weakest_cluster_and_its_verdict_are_columns():
    row = table((Candidate("kmeans", 2, jaccard=(0.9, 0.7), jaccard_errors=(0.01, 0.02)),)).iloc[0]
    assert (row["weakest_jaccard"], row["jaccard_error"], row["stability"], row["jaccard"]) == (0.7, 0.02, "doubtful", "0.90, 0.70")


def test_a_cluster_dissolves_only_if_it_is_below_the_limit_by_more_than_chance():
    by_luck, clearly = (Candidate("kmeans", 2, jaccard=(0.9, 0.57), jaccard_errors=(0.01, error)) for error in (0.02, 0.01))
    assert (by_luck.dissolves(ModelSettings()), clearly.dissolves(ModelSettings())) == (False, True)


def test_unmeasured_figures_are_missing():
    row = table((Candidate("dbscan", 0, reason="Could not be fitted."),)).iloc[0]
    assert row[["weakest_jaccard", "jaccard_error", "stability", "jaccard", "gap", "smallest_share"]].isna().all()


def test_no_candidates_are_an_empty_table():
    assert table(()).empty


def test_a_model_carried_forward_is_measured_on_present_customers():
    model = fit_kmeans(SHOP[COLUMNS], 2, 1)
    found = measured_again(model, SHOP.iloc[:4].reset_index(drop=True), ModelSettings())
    assert (found.chosen, found.smallest_count, found.smallest_share) == (True, 1, 0.25)
    assert found.silhouette > 0.5
    assert "carried forward" in found.reason
    assert found.weakest_jaccard < 1 and found.valley_p > 0.05  # two customers on one side, one on the other


def test_a_grid_carried_forward_has_sizes_but_no_geometry():
    found = measured_again(GridModel.fit(SHOP), SHOP, ModelSettings())
    assert np.isnan(found.silhouette)
    assert found.k == 10


def test_only_what_may_be_chosen_gets_every_resample():
    """Beside k = 3 and 2, which may be the convenient partition, nothing here can be chosen: it is one round blob."""
    points = canonical_order(np.random.default_rng(0).normal(size=(150, 2)))
    settings = ModelSettings(algorithms=("kmeans",), k=3, fallback_k=2, k_max=4, resamples=40, splits=1, seed=0)
    found = {c.k: c for c in evaluate(Samples.of(points, settings), settings)}
    for k, resamples in {1: 10, 2: 40, 3: 40, 4: 10}.items():
        references = {k: KMeans(fit_rows=settings.sample).fit(points, (k,), 0)[k]}
        assert found[k].jaccard == tuple(bootstrap_jaccard(points, KMeans(n_init=3), references, 0, resamples)[k].jaccard)
