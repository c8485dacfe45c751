"""DBSCAN by prototypes equals DBSCAN, and HDBSCAN keeps its labels."""

import numpy as np
import pytest
from sklearn.cluster import DBSCAN as ScikitDBSCAN  # noqa: N811
from sklearn.cluster import HDBSCAN as ScikitHDBSCAN  # noqa: N811
from sklearn.metrics import adjusted_rand_score

from segmentation_assets.core.clustering.algorithm import ClusteringError, canonical_order
from segmentation_assets.core.clustering.density import DBSCAN, HDBSCAN, elbow, k_distances


def moons(n=400, seed=0):
    """Two half rings that k-means cannot separate, and some noise."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, np.pi, n)
    upper = np.column_stack([np.cos(angle), np.sin(angle)])
    lower = np.column_stack([1 - np.cos(angle), 0.5 - np.sin(angle)])
    return canonical_order(np.vstack([upper, lower]) + rng.normal(0, 0.06, (2 * n, 2)))


def test_core_samples_and_noise_equal_scikit_learns():
    rows = np.vstack([moons(), np.random.default_rng(1).uniform(-3, 4, (60, 2))])
    theirs = ScikitDBSCAN(eps=0.15, min_samples=6).fit(rows)
    found = DBSCAN(eps=0.15, min_samples=6).fit(rows, [], seed=0)
    (k,) = found
    ours = found[k].assign(rows).label
    assert k == theirs.labels_.max() + 1
    np.testing.assert_array_equal(ours < 0, theirs.labels_ < 0)
    core = theirs.core_sample_indices_
    pairs = set(zip(ours[core].tolist(), theirs.labels_[core].tolist(), strict=True))
    assert len(pairs) == k


def test_eps_from_the_k_distance_curve_separates_dense_groups_from_scattered_rows():
    rng = np.random.default_rng(3)
    dense = [rng.normal(center, 0.2, (400, 2)) for center in ((0, 0), (4, 0))]
    rows = np.vstack([*dense, rng.uniform(-8, 12, (80, 2))])
    (found,) = DBSCAN().fit(rows, [], seed=0).values()
    labels = found.assign(rows).label
    assert found.k == 2 and labels[0] != labels[400]
    assert (labels[:800] < 0).mean() < 0.02 and (labels[800:] < 0).mean() > 0.8


def test_hdbscan_labels_its_own_rows_and_calls_distant_ones_noise():
    rows = np.vstack([moons(), np.random.default_rng(1).uniform(-3, 4, (60, 2))])
    found = HDBSCAN(min_cluster_share=0.1).fit(rows, [], seed=0)
    theirs = ScikitHDBSCAN(min_cluster_size=86, copy=True).fit(rows).labels_
    ours = next(iter(found.values())).assign(rows).label
    own = theirs >= 0
    assert adjusted_rand_score(ours[own], theirs[own]) == 1
    assert ((ours < 0) == (theirs < 0)).mean() > 0.95
    assert next(iter(found.values())).assign(np.array([[50.0, 50.0]])).label[0] == -1


def test_the_elbow_is_the_bend_of_a_hockey_stick():
    assert elbow(np.concatenate([np.linspace(1, 2, 90), np.linspace(3, 50, 10)])) == pytest.approx(2)
    assert elbow(np.array([3.0, 3.0, 3.0])) == 3


def test_k_distance_counts_the_row_itself_as_dbscan_does():
    assert k_distances(np.array([[0.0], [1.0], [5.0]]), 2).tolist() == [1, 1, 4]


@pytest.mark.parametrize(
    ("algorithm", "rows", "message"),
    [
        (DBSCAN(eps=0.001, min_samples=5), moons(20), "raise eps"),
        (DBSCAN(), np.zeros((50, 2)), "set eps"),
        (HDBSCAN(), np.random.default_rng(0).normal(size=(4, 2)), "use k-means"),
    ],
)
def test_finding_no_dense_group_is_explained(algorithm, rows, message):
    with pytest.raises(ClusteringError, match=message):
        algorithm.fit(rows, [], seed=0)
