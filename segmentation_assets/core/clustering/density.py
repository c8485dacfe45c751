"""Density clustering with the same interface: DBSCAN and HDBSCAN, which find their own number of clusters, and noise.

Both are fitted on at most `fit_rows` rows, because every core sample is a prototype of the model.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segmentation_assets.core.clustering.algorithm import (
    Clustering,
    ClusteringError,
    in_canonical_clusters,
    one_thread,
    require_clusterable,
    subsample,
)
from segmentation_assets.vocabulary import counted


@dataclass(frozen=True)
class DBSCAN:
    """DBSCAN (Ester et al., 1996): core samples are the prototypes and eps the radius, its exact out-of-sample rule.

    If `eps` is None, it is read off the k-distance curve; if `min_samples` is None, it is twice the number of dimensions, at least
    5 (Sander et al., 1998).
    """

    eps: float | None = None
    min_samples: int | None = None
    fit_rows: int = 5_000
    name: str = "dbscan"
    finds_k: bool = True

    def fit(self, points: NDArray[np.float64], ks: Sequence[int], seed: int) -> dict[int, Clustering]:
        from sklearn import cluster

        require_clusterable(points, 1)
        rows = subsample(points, self.fit_rows, seed)
        min_samples = self.min_samples or max(5, 2 * rows.shape[1])
        eps = self.eps or elbow(k_distances(rows, min_samples))
        if eps <= 0:
            raise ClusteringError("most customers coincide, so no distance tells dense from sparse; set eps, or use k-means")
        with one_thread():
            found = cluster.DBSCAN(eps=eps, min_samples=min_samples).fit(rows)
        core = found.core_sample_indices_
        if len(core) == 0:
            raise ClusteringError(
                f"DBSCAN finds no customer with {min_samples} neighbours within {eps:.3g}; raise eps or lower min_samples"
            )
        clustering = Clustering(rows[core], found.labels_[core].astype(np.int64), np.ones(len(core)), float(eps))
        return {clustering.k: in_canonical_clusters(clustering)}


@dataclass(frozen=True)
class HDBSCAN:
    """HDBSCAN (Campello, Moulavi and Sander, 2013): no eps, only the size of the smallest cluster.

    Its clusters differ in density, but a model has one radius: the one that best separates clustered rows, each judged by its
    nearest other, from the rows labelled as noise.
    """

    min_cluster_share: float = 0.02
    min_samples: int | None = None
    fit_rows: int = 5_000
    name: str = "hdbscan"
    finds_k: bool = True

    def fit(self, points: NDArray[np.float64], ks: Sequence[int], seed: int) -> dict[int, Clustering]:
        from sklearn import cluster

        require_clusterable(points, 1)
        rows = subsample(points, self.fit_rows, seed)
        smallest = max(5, round(self.min_cluster_share * len(rows)))
        if len(rows) <= smallest:
            raise ClusteringError(f"HDBSCAN needs more than {counted(smallest, 'customer')}, of {len(rows)}; use k-means")
        with one_thread():
            found = cluster.HDBSCAN(min_cluster_size=smallest, min_samples=self.min_samples, copy=True).fit(rows)
        own = found.labels_ >= 0
        if not own.any():
            raise ClusteringError("HDBSCAN calls every customer noise: nowhere is denser than its surroundings; use k-means")
        radius = _radius(rows[own], rows[~own])
        clustering = Clustering(rows[own], found.labels_[own].astype(np.int64), np.ones(int(own.sum())), radius)
        return {clustering.k: in_canonical_clusters(clustering)}


def k_distances(points: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """Distance of each of `points` (n, d) to its k-th neighbour, counting itself as DBSCAN does, in ascending order (n,)."""
    from scipy.spatial import cKDTree

    k = min(k, len(points))
    return np.sort(cKDTree(points).query(points, k=[k])[0][:, 0])


def elbow(rising: NDArray[np.float64]) -> float:
    """The value at the knee of the curve: the point furthest below the chord of its ends (Satopaa et al., 2011)."""
    span = rising[-1] - rising[0]
    if len(rising) < 3 or span <= 0:
        return float(rising[-1])
    along = np.linspace(0.0, 1.0, len(rising))
    return float(rising[int(np.argmax(along - (rising - rising[0]) / span))])


def _radius(clustered: NDArray[np.float64], noise: NDArray[np.float64]) -> float:
    from scipy.spatial import cKDTree

    tree = cKDTree(clustered)
    own = np.sort(tree.query(clustered, k=[min(2, len(clustered))])[0][:, 0])
    if len(noise) == 0:
        return float(own[-1])
    beyond = np.sort(tree.query(noise)[0])
    candidates = np.unique(np.concatenate([own, beyond]))
    kept = np.searchsorted(own, candidates, side="right") / len(own)
    turned_away = 1 - np.searchsorted(beyond, candidates, side="right") / len(beyond)
    return float(candidates[int(np.argmax(kept + turned_away))])  # Youden's (1950) index
