"""The two tiers on data with known truth, the reason of every candidate, and unusual input."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from benchmarks.populations import gaussian, planted, rfm_like
from segmentation_assets.core.choice.candidates import Candidate, objections
from segmentation_assets.core.choice.selection import PastSnapshot, _density_reason, choose, decide
from segmentation_assets.core.clustering.algorithm import ClusteringError
from segmentation_assets.core.clustering.preprocessing import FeaturePreprocessor
from segmentation_assets.core.clustering.prototype_rows import prototypes_to_rows
from segmentation_assets.settings.model import ModelSettings
from segmentation_assets.vocabulary import Baseline

QUICK = ModelSettings(k_max=5, resamples=10, splits=3, seed=0)
PASSING = Candidate(
    "kmeans",
    3,
    silhouette=0.4,
    jaccard=(0.9, 0.8, 0.95),
    jaccard_errors=(0.01, 0.01, 0.01),
    smallest_share=0.2,
    smallest_count=200,
    valley_p=0.01,
)
PLAIN = FeaturePreprocessor("none")


def continuum(n=800, seed=0):
    return rfm_like(n, np.random.default_rng(seed)).features


def quick(features, *further, **named):
    """A choice without diagnostics, on which it does not depend."""
    return choose(features, QUICK, *further, diagnostics=False, **named)


@pytest.fixture(scope="module")
def distinct():
    population = planted(1200, 3, 3, 6.0, 3.0, np.random.default_rng(1))
    return population, choose(population.features, QUICK, PLAIN)


@pytest.fixture(scope="module")
def convenient():
    return quick(continuum())


def test_planted_segments_are_found_and_called_distinct(distinct):
    population, selection = distinct
    assert (selection.tier, selection.model.k) == ("distinct", 3)
    assert pd.crosstab(population.truth, selection.model.assign(population.features).label).max(axis=1).sum() > 0.95 * 1200
    assert selection.grid is None  # no recency and frequency among these features


def test_the_number_of_segments_of_a_continuum_does_not_depend_on_the_seed():
    features = continuum(n=600)
    ask = {"algorithms": ("kmeans",), "k_min": 5, "k_max": 5, "resamples": 50, "splits": 1}
    found = [choose(features, ModelSettings(seed=seed, **ask), diagnostics=False) for seed in range(6)]
    assert len({selection.model.k for selection in found}) == 1


def test_every_candidate_has_figures_and_a_reason(distinct):
    _, selection = distinct
    assert [(c.algorithm, c.k) for c in selection.candidates if not c.finds_k] == [
        (name, k) for name in ("kmeans", "weighted_kmeans", "ward") for k in range(1 if name == "kmeans" else 2, 6)
    ]
    assert {c.algorithm for c in selection.candidates if c.finds_k} == {"dbscan"}
    assert [c.chosen for c in selection.candidates].count(True) == 1
    for candidate in selection.candidates:
        assert candidate.reason[0].isupper() and candidate.reason.endswith(".")
        assert len(candidate.jaccard) == candidate.k
        figures = [candidate.prediction_strength, candidate.seed_agreement, candidate.smallest_share, candidate.weakest_jaccard]
        if not candidate.finds_k and candidate.k > 1:
            figures += [
                candidate.silhouette,
                candidate.calinski_harabasz,
                candidate.davies_bouldin,
                candidate.gap,
                candidate.valley_p,
            ]
        assert np.isfinite(figures).all()


def test_a_continuum_gets_a_convenient_partition_and_is_described_as_one(convenient):
    assert convenient.tier == "convenient"
    assert "convenient partition of a continuum" in convenient.reason
    assert "Not yet validated" in convenient.reason
    assert set(convenient.grid["segment"]) > {"champions", "hibernating"}


def test_the_seed_reproduces_everything_and_row_order_changes_nothing(convenient):
    frame = continuum()
    again = quick(frame.sample(frac=1, random_state=3))
    pd.testing.assert_frame_equal(prototypes_to_rows(again.model), prototypes_to_rows(convenient.model))
    assert repr(again.candidates) == repr(convenient.candidates)


def test_the_rule_takes_the_largest_distinct_k_and_silhouette_breaks_ties():
    larger = dataclasses.replace(PASSING, k=4, silhouette=0.2)
    better = dataclasses.replace(larger, algorithm="ward", silhouette=0.3)
    assert decide((PASSING, larger, better), QUICK).taken is better


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"valley_p": 0.2}, "has no valley between them"),
        ({"valley_p": np.nan}, "has no valley between them"),
        ({"jaccard": (0.9, 0.7, 0.9)}, r"weakest cluster is doubtful \(Jaccard 0.70 ± 0.01\)"),
        ({"jaccard": (), "jaccard_errors": ()}, "stability was not measured"),
        ({"smallest_share": 0.001}, "smallest cluster"),
        ({"smallest_count": 5}, "has 5 customers"),
        ({"k": 9}, "k is outside 2 to 5"),
        ({"finds_k": True}, "diagnostic"),
    ],
)
def test_each_test_of_distinctness_can_refuse_on_its_own(change, words):
    assert objections(PASSING, QUICK) == []
    (objection,) = objections(dataclasses.replace(PASSING, **change), QUICK)
    assert pd.Series([objection]).str.contains(words).all()


def test_a_density_clustering_is_kept_as_a_diagnostic():
    found = Candidate("dbscan", 3, finds_k=True, noise_share=0.038)
    assert _density_reason(found) == (
        "Kept as a diagnostic: dbscan finds 3 clusters and calls 3.8% of customers noise, but every customer needs a segment."
    )


def test_an_unstable_business_k_falls_back_to_three():
    five = Candidate("kmeans", 5, jaccard=(0.9, 0.55), jaccard_errors=(0.01, 0.01), valley_p=0.9, smallest_share=0.1, smallest_count=50)
    three = Candidate("kmeans", 3, jaccard=(0.9, 0.9), jaccard_errors=(0.01, 0.01), valley_p=0.9, smallest_share=0.1, smallest_count=50)
    decision = decide((three, five), QUICK)
    assert decision.taken is three and "k = 5 has a cluster that dissolves" in decision.reason
    assert decide((three, dataclasses.replace(five, jaccard=(0.9, 0.65))), QUICK).taken.k == 5


def test_a_partition_that_explains_less_than_a_grid_of_as_many_groups_is_replaced_by_the_named_grid():
    frame = continuum()
    useless = pd.DataFrame({"shoe_size": np.random.default_rng(0).normal(size=len(frame))})
    past = PastSnapshot(useless, np.log1p(frame["frequency"].to_numpy()), rfm=frame)
    selection = quick(useless, PLAIN, rfm=frame, past=past)
    assert selection.tier == "grid" and selection.model is None
    assert selection.reason.startswith("The recency x frequency grid of ten names, not distinct segments: no candidate passed every test")
    assert "So the recency x frequency grid of ten names is published: it explained " in selection.reason
    assert "cuts it into" not in selection.reason
    assert selection.validity[Baseline.RECENCY_FREQUENCY_MONETARY].gain < 0
    assert not any(c.chosen for c in selection.candidates)


def test_a_partition_that_explains_more_is_kept_and_its_gain_reported():
    frame = continuum()
    selection = quick(frame, past=PastSnapshot(frame, np.log1p(frame["monetary"].to_numpy())))
    assert selection.tier == "convenient" and selection.validity[Baseline.RECENCY_FREQUENCY].gain > 0
    assert "a recency x frequency x monetary grid of as many groups explained " in selection.reason


@pytest.mark.parametrize(
    "frame",
    [
        pd.concat([continuum(60)] * 5),
        continuum(4),
        continuum(300).assign(dull=1.0),
        pd.concat([continuum(300), pd.DataFrame({"recency_days": [1.0], "frequency": [1e9], "monetary": [1e15]})]),
        continuum(300).assign(city=[f"city {i}" for i in range(300)]),
        continuum(300).assign(frequency=np.nan),
        pd.DataFrame({"spend": [1.0, 2.0] * 100}),
    ],
    ids=["duplicates", "fewer rows than k", "constant", "outlier", "300 levels", "all missing", "two different values"],
)
def test_unusual_data_still_puts_everyone_in_a_segment(frame):
    rfm = continuum(len(frame))
    selection = quick(frame, rfm=rfm)
    labels = selection.model.assign(frame).label
    assert labels.min() == 0 and len(np.unique(labels)) <= selection.model.k


def test_a_category_with_a_thousand_levels_is_pooled():
    frame = continuum(1500).assign(city=[f"city {i % 1000}" for i in range(1500)])
    assert quick(frame).model.prototypes.shape[1] == 4  # three numbers, one pooled level


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame({"spend": [3.0] * 50}), "all customers are alike"),
        (pd.DataFrame({"spend": [np.nan] * 50}), "all customers are alike"),
        (continuum(1), "all customers are alike"),
    ],
)
def test_identical_customers_are_an_error_with_an_explanation(frame, message):
    with pytest.raises(ClusteringError, match=message):
        quick(frame, rfm=continuum(len(frame)))


@pytest.mark.full
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_false_segments_in_a_continuum(seed):
    """A small part of `benchmarks/proof.py`, with its full number of bootstraps."""
    rng = np.random.default_rng([4711, seed])
    settings = ModelSettings(seed=seed)
    for make in (gaussian, rfm_like):
        population = make(1500, rng)
        assert choose(population.features, settings, FeaturePreprocessor(population.transform), diagnostics=False).tier == "convenient"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("k", "dimensions", "skewed", "noise"),
    [
        (2, 2, False, 0),
        pytest.param(4, 5, True, 1, marks=pytest.mark.full),
        pytest.param(3, 15, False, 0, marks=pytest.mark.full),
        pytest.param(5, 3, True, 2, marks=pytest.mark.full),
    ],
)
def test_planted_segments_are_counted_exactly(k, dimensions, skewed, noise):
    population = planted(2500, k, dimensions, 5.0, 3.0, np.random.default_rng([4712, k]), skewed, noise)
    settings = ModelSettings(resamples=30, seed=0)
    selection = choose(population.features, settings, FeaturePreprocessor(population.transform), diagnostics=False)
    assert (selection.tier, selection.model.k) == ("distinct", k)


FINER = dataclasses.replace(
    PASSING, k=5, silhouette=0.5, smallest_count=22, smallest_share=0.1, valley_p=0.6, jaccard=(0.9,) * 3, prediction_strength=0.9
)


@pytest.mark.parametrize(
    ("changed", "k"),
    [
        ({}, 5),
        ({"silhouette": 0.3}, 3),
        ({"smallest_count": 60}, 3),
        ({"jaccard": (0.7,) * 3}, 3),
        ({"prediction_strength": 0.86}, 3),
        ({"algorithm": "ward"}, 3),
    ],
)
def test_stable_clusters_too_small_for_the_valley_gate_are_published_as_convenient_if_they_fit_better(changed, k):
    both = (PASSING, dataclasses.replace(FINER, **changed))
    assert decide(both, QUICK).taken is PASSING
    decision = decide(both, QUICK, has_orders=False)
    assert (decision.taken.k, decision.tier) == (k, "convenient" if k == 5 else "distinct")
    assert k == 3 or "22 customers, too few to show a valley" in decision.reason
