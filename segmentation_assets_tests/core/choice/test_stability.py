"""Each figure against its definition, or on a case with a known answer."""

import numpy as np
import pytest

from segmentation_assets.core.choice.readings import reading
from segmentation_assets.core.choice.stability import (
    best_jaccard,
    bootstrap_jaccard,
    gap_statistic,
    prediction_strength,
    seed_agreement,
)
from segmentation_assets.core.clustering.algorithm import Clustering, KMeans, canonical_order
from segmentation_assets.core.clustering.density import DBSCAN
from segmentation_assets.core.clustering.ward import Ward


def blobs(separation, n=100, seed=0):
    rng = np.random.default_rng(seed)
    return canonical_order(np.vstack([rng.normal((x, 0), 1, (n, 2)) for x in (0, separation, 2 * separation)]))


def test_verdicts_follow_hennigs_bands():
    words = [reading(j) for j in (0.59, 0.6, 0.74, 0.75, 0.84, 0.85, 1)]
    assert words == ["dissolved", "doubtful", "doubtful", "valid", "valid", "highly stable", "highly stable"]


def test_best_jaccard_by_hand():
    # Cluster 0 is rows 0-3, found again as rows 0-2; cluster 1 is rows 4-5, found again as 3-5. Row 6 was noise.
    original, again = np.array([0, 0, 0, 0, 1, 1, -1]), np.array([1, 1, 1, 0, 0, 0, 1])
    np.testing.assert_allclose(best_jaccard(original, again, 2), [3 / 5, 2 / 3])
    np.testing.assert_allclose(best_jaccard(original, np.full(7, -1), 2), [0, 0])


@pytest.mark.parametrize("algorithm", [KMeans(n_init=3), Ward()])
def test_separated_clusters_are_found_again_and_a_surplus_one_is_not(algorithm):
    points = blobs(12)
    references = algorithm.fit(points, [3, 5], seed=0)
    found = bootstrap_jaccard(points, algorithm, references, seed=0, resamples=20)
    assert found[3].jaccard.min() > 0.99
    assert found[5].jaccard.shape == found[5].error.shape == (5,) and found[5].jaccard.min() < 0.85
    assert prediction_strength(points, algorithm, [3, 5], seed=0)[3] > 0.98
    assert prediction_strength(points, algorithm, [3, 5], seed=0)[5] < 0.8


def test_a_density_algorithm_may_find_another_number_of_clusters():
    points = blobs(12)
    references = DBSCAN(eps=1.0, min_samples=4).fit(points, [], seed=0)
    (k,) = references
    assert bootstrap_jaccard(points, DBSCAN(eps=1.0, min_samples=4), references, seed=0, resamples=10)[k].jaccard.max() > 0.8


def test_prediction_strength_of_one_cluster_is_one():
    assert prediction_strength(blobs(0), KMeans(), [1], seed=0)[1] == 1


def test_the_gap_statistic_finds_three_blobs_and_one_blob():
    for separation, expected in ((10, 3), (0, 1)):
        points = blobs(separation)
        gaps = gap_statistic(points, KMeans(n_init=5), KMeans(n_init=5).fit(points, range(1, 7), seed=0), seed=0)
        assert next(k for k in range(1, 6) if gaps[k].value >= gaps[k + 1].value - gaps[k + 1].error) == expected


def test_seeds_agree_on_real_clusters():
    points = blobs(12)
    agreement = seed_agreement(points, KMeans(n_init=3), [3, 8], seed=0)
    assert agreement[3] == 1 > agreement[8]
    assert seed_agreement(points, Ward(), [8], seed=0)[8] == 1


def test_figures_are_reproducible_from_the_seed():
    points = blobs(4)
    references = KMeans().fit(points, [4], seed=0)
    one, two, other = (bootstrap_jaccard(points, KMeans(n_init=1), references, s, 5)[4].jaccard for s in (1, 1, 2))
    assert np.array_equal(one, two) and not np.array_equal(one, other)


def test_an_empty_cluster_counts_as_gone():
    lonely = Clustering(np.array([[0.0, 0.0], [99.0, 99.0]]), np.array([0, 1]), np.ones(2))
    assert bootstrap_jaccard(blobs(1), KMeans(n_init=1), {2: lonely}, 0, 3)[2].jaccard[1] == 0
