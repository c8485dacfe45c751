"""The interface of clustering algorithms, k-means, and how a clustering becomes a model.

An algorithm is a frozen dataclass of its settings with a `name` and `fit(points, ks, seed)`. A new family is one file
next to `ward.py` and `density.py`. Points come in canonical order, so no algorithm depends on the order of rows.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from segmentation_assets.core.clustering.prototypes import Assignment, PrototypeModel, nearest

if TYPE_CHECKING:
    from segmentation_assets.core.clustering.preprocessing import FeaturePreprocessor

MANY = 10_000  # rows that are sorted as numbers, if these are no larger than
LARGEST_NUMBER = 2**63 - 1


class ClusteringError(ValueError):
    """These customers cannot be clustered as requested; the message says why and what to do."""


@dataclass(frozen=True, eq=False)
class Clustering:
    """Prototypes (m, d) with labels (m,), the number of rows that each represents (m,), and a noise radius.

    `stretch` (d,) multiplies each dimension of the preprocessed space before distances, if an algorithm learns which
    features separate clusters; prototypes are in the stretched space. In a model it becomes the features' weights.
    """

    prototypes: NDArray[np.float64]
    labels: NDArray[np.int64]
    weights: NDArray[np.float64]
    radius: float | None = None
    stretch: NDArray[np.float64] | None = None

    @property
    def k(self) -> int:
        return int(self.labels.max()) + 1

    def assign(self, points: NDArray[np.float64]) -> Assignment:
        return nearest(self.place(points), self.prototypes, self.labels, self.radius)

    def place(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """`points` (n, d) in the space in which distances to the prototypes are measured."""
        return points if self.stretch is None else points * self.stretch

    def centers(self) -> NDArray[np.float64]:
        """Weighted mean of each cluster's prototypes, (k, d)."""
        own = [self.labels == c for c in range(self.k)]
        return np.array([np.average(self.prototypes[o], axis=0, weights=self.weights[o]) for o in own])


class Algorithm(Protocol):
    """The interface of every family. Density algorithms ignore `ks` and find their own number of clusters (`finds_k`)."""

    @property
    def name(self) -> str: ...

    @property
    def finds_k(self) -> bool: ...

    def fit(self, points: NDArray[np.float64], ks: Sequence[int], seed: int) -> dict[int, Clustering]:
        """Cluster `points` (n, d), in canonical order, once for each k. Raises ClusteringError if that is impossible."""
        ...


@dataclass(frozen=True)
class KMeans:
    """Lloyd's k-means from `n_init` k-means++ starts on at most `fit_rows` rows; the best is then refined on all rows.

    Starting on a sample costs almost nothing: on 5 million rows, starting from 100,000 gave 1.0002 times the inertia.
    """

    n_init: int = 10
    fit_rows: int = 100_000
    max_iter: int = 300
    name: str = "kmeans"
    finds_k: bool = False

    def fit(self, points: NDArray[np.float64], ks: Sequence[int], seed: int) -> dict[int, Clustering]:
        require_clusterable(points, max(ks))
        start = subsample(points, self.fit_rows, seed)
        distinct = count_distinct(start)
        # Several threads would add the same numbers in varying order; with one, a re-run gives the same bytes.
        with one_thread():
            return {k: self._fit_one(points, start if distinct >= k else points, k, seed) for k in ks}

    def _fit_one(self, points: NDArray[np.float64], start: NDArray[np.float64], k: int, seed: int) -> Clustering:
        from sklearn.cluster import KMeans as Lloyd

        model = Lloyd(k, n_init=self.n_init, max_iter=self.max_iter, random_state=seed).fit(start)
        if len(start) < len(points):
            model = Lloyd(k, init=model.cluster_centers_, n_init=1, max_iter=self.max_iter).fit(points)
        weights = np.bincount(model.labels_, minlength=k).astype(np.float64)
        if not weights.all():  # scikit-learn's distances cannot tell them apart
            raise ClusteringError(
                f"some customers differ by no more than rounding errors, too little for {k} clusters; lower k or add features"
            )
        return in_canonical_clusters(Clustering(model.cluster_centers_, np.arange(k, dtype=np.int64), weights))


def polished(points: NDArray[np.float64], centers: NDArray[np.float64]) -> Clustering:
    """The k-means of `points` (n, d), in canonical order, that Lloyd's iterations reach from `centers` (k, d)."""
    from sklearn.cluster import KMeans as Lloyd

    with one_thread():
        model = Lloyd(len(centers), init=centers, n_init=1).fit(points)
    weights = np.bincount(model.labels_, minlength=len(centers)).astype(np.float64)
    return in_canonical_clusters(Clustering(model.cluster_centers_, np.arange(len(centers), dtype=np.int64), weights))


def fit_model(
    features: pd.DataFrame, algorithm: Algorithm, k: int, seed: int, preprocessor: "FeaturePreprocessor | None" = None
) -> PrototypeModel:
    """Fit preprocessing and `algorithm` on `features` (n customers, p features), as one object.

    `preprocessor` is cloned before fitting, so the given one is not changed. The same customers in any order give the same bytes.
    """
    from segmentation_assets.core.clustering.preprocessing import FeaturePreprocessor

    fitted = (preprocessor or FeaturePreprocessor()).fitted_to(features)
    found = algorithm.fit(canonical_order(fitted.transform(features)), (k,), seed)
    return to_model(next(iter(found.values())), fitted, algorithm.name, seed)


def fit_kmeans(
    features: pd.DataFrame, k: int, seed: int, preprocessor: "FeaturePreprocessor | None" = None, n_init: int = 10
) -> PrototypeModel:
    """k-means with k clusters. Raises ClusteringError if fewer than k customers are distinct."""
    return fit_model(features, KMeans(n_init=n_init), k, seed, preprocessor)


def to_model(found: Clustering, preprocessor: "FeaturePreprocessor", algorithm: str, seed: int) -> PrototypeModel:
    """The clustering `found`, combined with the fitted `preprocessor` of its points."""
    if found.stretch is not None:
        preprocessor = preprocessor.stretched(found.stretch)
    return PrototypeModel(preprocessor, found.prototypes, found.labels, found.weights, found.radius, algorithm, found.k, seed)


@dataclass(frozen=True)
class Indices:
    """Internal indices, without noise; NaN with fewer than two clusters, where they are meaningless."""

    silhouette: float
    calinski_harabasz: float
    davies_bouldin: float


def silhouettes(
    points: NDArray[np.float64], labels: NDArray[np.int64], seed: int, sample: int = 5000
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Silhouettes (Rousseeuw, 1987) of at most `sample` rows of `points` (n, d) with `labels` (n,), as they take n squared work: the
    rows (s,), none of them noise (-1), and their values (s,). No rows if they would have fewer than two clusters."""
    from sklearn.metrics import silhouette_samples

    own = np.flatnonzero(labels >= 0)
    rows = np.sort(np.random.default_rng(seed).choice(own, min(sample, len(own)), replace=False))
    if not 2 <= len(np.unique(labels[rows])) < len(rows):
        return rows[:0], np.empty(0)
    with one_thread(), small_memory():
        return rows, np.asarray(silhouette_samples(points[rows], labels[rows]), dtype=np.float64)


def internal_indices(points: NDArray[np.float64], labels: NDArray[np.int64], of_rows: NDArray[np.float64]) -> Indices:
    """The mean of the silhouettes `of_rows`, and the indices of Calinski and Harabasz (1974) and Davies and Bouldin (1979) of `points`
    (n, d) with `labels` (n,), -1 for noise."""
    from sklearn import metrics

    points, labels = without_noise(points, labels)
    if len(np.unique(labels)) < 2 or len(labels) <= len(np.unique(labels)):
        return Indices(np.nan, np.nan, np.nan)
    with one_thread(), small_memory():
        return Indices(
            float(np.mean(of_rows)) if len(of_rows) else np.nan,
            float(metrics.calinski_harabasz_score(points, labels)),
            float(metrics.davies_bouldin_score(points, labels)),
        )


def without_noise(points: NDArray[np.float64], labels: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The points (n, d) with labels (n,) from 0 on, and these; the same arrays if there is no noise."""
    kept = labels >= 0
    return (points, labels) if kept.all() else (points[kept], labels[kept])


@cache
def _thread_pools() -> ThreadpoolController:
    return ThreadpoolController()  # finding the thread pools takes 10 ms, too long for each of a thousand resamples


def one_thread() -> AbstractContextManager[object]:
    """A context in which numerical libraries use one thread, so that sums are reproducible."""
    limited: AbstractContextManager[object] = _thread_pools().limit(limits=1)
    return limited


def small_memory() -> AbstractContextManager[None]:
    """A context in which scikit-learn holds a few hundred rows of a matrix of distances at a time: all of 5,000 rows would take 200 MB,
    and twice the time."""
    from sklearn import config_context

    limited: AbstractContextManager[None] = config_context(working_memory=32)
    return limited


def canonical_order(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rows of `points` (n, d) sorted by coordinates, so that later draws and sums do not depend on row order."""
    return np.ascontiguousarray(points[_order(points)])


def _order(points: NDArray[np.float64]) -> NDArray[np.int64]:
    """The order (n,) of the rows of `points` (n, d) by coordinates, equal ones as they come.

    Of many rows, each is numbered by the ranks of its coordinates and its place, because to sort numbers takes a third of the time.
    """
    numbers = _numbers(points) if len(points) >= MANY else None
    if numbers is None:
        return np.lexsort(points.T[::-1])
    numbers.sort()
    return numbers % len(points)


def _numbers(points: NDArray[np.float64]) -> NDArray[np.int64] | None:
    """A number (n,) for each row that is in the order of its coordinates and then its place, which is the rest by n; None if they would
    be too large. Copies of millions of rows are few, because this is where most memory is in use."""
    n, largest, levels = len(points), len(points), list[NDArray[np.float64]]()
    for coordinate in points.T:
        values = np.sort(coordinate)
        levels.append(values[np.concatenate([[True], values[1:] != values[:-1]])])
        largest *= len(levels[-1])
        if largest > LARGEST_NUMBER:
            return None
    numbers = np.zeros(n, dtype=np.int64)
    for coordinate, seen in zip(points.T, levels, strict=True):
        numbers *= len(seen)
        numbers += np.searchsorted(seen, coordinate)
    numbers *= n
    numbers += np.arange(n)
    return numbers


def subsample(points: NDArray[np.float64], size: int, seed: int) -> NDArray[np.float64]:
    """A sample of at most `size` rows of `points`, without replacement, in their order."""
    if len(points) <= size:
        return points
    return points[np.sort(np.random.default_rng(seed).choice(len(points), size, replace=False))]


def count_distinct(points: NDArray[np.float64]) -> int:
    """Number of distinct rows in `points` (n, d).

    >>> count_distinct(np.array([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]]))
    2
    """
    ordered = canonical_order(points)
    return 0 if len(ordered) == 0 else 1 + int(np.any(ordered[1:] != ordered[:-1], axis=1).sum())


def require_clusterable(points: NDArray[np.float64], k: int) -> None:
    """Raise ClusteringError unless at least k rows of `points` are distinct."""
    if k < 1:
        raise ClusteringError(f"k is {k}; ask for at least 1 cluster")
    distinct = count_distinct(points)
    if distinct == 0:
        raise ClusteringError("there are no customers to cluster; check the snapshot date and the lookback")
    if distinct == 1 and k > 1:
        raise ClusteringError(
            "all customers are alike in the features used; add a feature that differs between them, or publish one segment"
        )
    if distinct < k:
        raise ClusteringError(
            f"{len(points)} customers take only {distinct} different values, too few for {k} clusters; lower k or add features"
        )


def in_canonical_clusters(found: Clustering) -> Clustering:
    """Clusters numbered by their centre, first feature first, with prototypes grouped by cluster, so that numbers do not depend on
    the order in which an algorithm processed the rows."""
    centers = np.round(found.centers(), 9)
    rank = np.empty(found.k, dtype=np.int64)
    rank[np.lexsort(centers.T[::-1])] = np.arange(found.k)
    labels = rank[found.labels]
    order = np.lexsort((*found.prototypes.T[::-1], labels))
    return replace(found, prototypes=np.ascontiguousarray(found.prototypes[order]), labels=labels[order], weights=found.weights[order])
