"""k-means gives scikit-learn's results, and impossible requests are explained."""

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans as ScikitKMeans
from sklearn.metrics import silhouette_score

from segmentation_assets.core.clustering import algorithm
from segmentation_assets.core.clustering.algorithm import (
    ClusteringError,
    KMeans,
    canonical_order,
    count_distinct,
    fit_kmeans,
    internal_indices,
    silhouettes,
)
from segmentation_assets.core.clustering.prototype_rows import prototypes_to_rows


def blobs(centers, n=100, seed=0, sd=1.0):
    rng = np.random.default_rng(seed)
    return np.vstack([rng.normal(center, sd, (n, len(center))) for center in centers])


@pytest.mark.parametrize("largest", [2**63 - 1, 0], ids=["as numbers", "too large for numbers"])
def test_many_rows_are_in_the_order_of_few(monkeypatch, largest):
    rows = np.random.default_rng(0).choice([-1.5, -0.0, 0.0, 2.0, np.nan], (500, 3))
    few = canonical_order(rows)
    monkeypatch.setattr(algorithm, "MANY", 1)
    monkeypatch.setattr(algorithm, "LARGEST_NUMBER", largest)
    assert canonical_order(rows).tobytes() == few.tobytes()


def test_labels_equal_scikit_learns_on_the_training_rows():
    points = canonical_order(blobs([(0, 0), (4, 0), (0, 4)], n=300))
    found = KMeans(n_init=3).fit(points, [5], seed=1)[5]
    theirs = ScikitKMeans(5, n_init=3, random_state=1).fit(points)
    ours = found.assign(points).label
    renumbered = {label: np.unique(ours[theirs.labels_ == label]) for label in range(5)}
    assert all(len(labels) == 1 for labels in renumbered.values())
    assert len({int(labels[0]) for labels in renumbered.values()}) == 5


def test_customers_in_another_order_give_the_same_model_to_the_byte():
    frame = pd.DataFrame(blobs([(5, 5), (9, 9)], n=200), columns=["a", "b"])
    model, again = (fit_kmeans(f, 4, seed=3) for f in (frame, frame.sample(frac=1, random_state=8)))
    assert model.prototypes.tobytes() == again.prototypes.tobytes()
    assert prototypes_to_rows(model).equals(prototypes_to_rows(again))


def test_a_fit_on_a_sample_polished_on_all_rows_is_as_good_as_a_full_fit():
    points = canonical_order(blobs([(0, 0), (6, 0), (0, 6), (6, 6)], n=2000))
    bounded, full = (KMeans(fit_rows=rows).fit(points, [4], seed=0)[4].assign(points) for rows in (500, 10_000))
    assert np.sum(bounded.distance**2) == pytest.approx(np.sum(full.distance**2), rel=1e-3)


def test_cluster_numbers_rise_with_the_first_feature():
    centers = KMeans().fit(canonical_order(blobs([(9, 0), (0, 0), (5, 0)])), [3], seed=4)[3].centers()
    assert np.all(np.diff(centers[:, 0]) > 0)


@pytest.mark.parametrize(
    ("points", "k", "message"),
    [
        (np.zeros((10, 2)), 2, "all customers are alike.*add a feature"),
        (np.array([[0.0], [1.0], [1.0]]), 3, "3 customers take only 2 different values.*lower k"),
        (np.empty((0, 2)), 2, "no customers to cluster.*check the snapshot"),
        (np.ones((3, 1)), 0, "ask for at least 1"),
    ],
)
def test_impossible_requests_are_explained(points, k, message):
    with pytest.raises(ClusteringError, match=message):
        KMeans().fit(points, [k], seed=0)


def test_customers_who_differ_by_rounding_errors_only_are_too_few_to_cluster():
    points = canonical_order(np.array([[1.0], [1.0 + 2**-52], [5.0], [5.0]]))
    with pytest.raises(ClusteringError, match="rounding errors"):
        KMeans().fit(points, (3,), 0)


def test_duplicates_and_few_rows_can_be_clustered():
    points = np.array([[0.0], [0.0], [0.0], [5.0]])
    assert KMeans().fit(points, [2], seed=0)[2].assign(points).label.tolist() == [0, 0, 0, 1]
    assert count_distinct(points) == 2


def indices_of(points, labels):
    return internal_indices(points, labels, silhouettes(points, labels, seed=0)[1])


def test_indices_equal_scikit_learns_and_are_undefined_for_one_cluster():
    points = blobs([(0, 0), (8, 8)])
    labels = np.repeat([0, 1], 100)
    assert indices_of(points, labels).silhouette == pytest.approx(silhouette_score(points, labels))
    assert np.isnan(indices_of(points, np.zeros(200, int)).silhouette)
    noisy = indices_of(points, np.where(np.arange(200) % 10 == 0, -1, labels))
    assert noisy.silhouette == pytest.approx(silhouette_score(points[np.arange(200) % 10 != 0], labels[np.arange(200) % 10 != 0]))
