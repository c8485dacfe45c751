"""Ward's hierarchical clustering: one tree, cut at any k, kept for the dendrogram.

Up to `direct_limit` rows the tree is scipy's own. Beyond that, it is built over k-means micro-clusters weighted by their number of
rows, as in BIRCH (Zhang, Ramakrishnan and Livny, 1996): Ward's criterion of weighted means is exact for them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from segmentation_assets.core.clustering.algorithm import Clustering, in_canonical_clusters, one_thread, require_clusterable, subsample

_ROUNDS = 100  # seen: at most 7, with 5,000 rows


@dataclass(frozen=True, eq=False)
class WardTree:
    """`leaves` (m, d) that represent `weights` (m,) rows each, and scipy's `linkage` (m - 1, 4) over them."""

    leaves: NDArray[np.float64]
    weights: NDArray[np.float64]
    linkage: NDArray[np.float64]

    def cut(self, k: int) -> NDArray[np.int64]:
        """Cluster 0..k-1 of each leaf (m,): the state after all but the last k - 1 merges.

        Every node covers a contiguous range of the tree's leaf order, so it suffices to undo k - 1 merges from the root; scipy's
        `cut_tree` walks every merge in Python, too slow for hundreds of bootstraps.
        """
        from scipy.cluster.hierarchy import leaves_list

        m = len(self.leaves)
        runs = {2 * m - 2: (0, m)}
        for merge in range(m - 2, m - 1 - k, -1):
            start, stop = runs.pop(m + merge)
            left, right = int(self.linkage[merge, 0]), int(self.linkage[merge, 1])
            middle = start + (1 if left < m else int(self.linkage[left - m, 3]))
            runs[left], runs[right] = (start, middle), (middle, stop)
        in_order = np.empty(m, dtype=np.int64)
        for label, (start, stop) in enumerate(sorted(runs.values())):
            in_order[start:stop] = label
        labels = np.empty(m, dtype=np.int64)
        labels[leaves_list(self.linkage)] = in_order
        return labels

    def by_center(self, k: int) -> NDArray[np.int64]:
        """As `cut`, numbered as models are, by their centre: a leaf between two clusters falls to the lower number."""
        labels = self.cut(k)
        mass = np.bincount(labels, weights=self.weights)
        centers = np.column_stack([np.bincount(labels, weights=self.weights * x) / mass for x in self.leaves.T])
        return np.asarray(np.argsort(np.lexsort(np.round(centers, 9).T[::-1]))[labels], dtype=np.int64)


@dataclass(frozen=True)
class Ward:
    """Prototypes are the leaves, or, when there are more than `max_prototypes`, a finer cut of the same tree: nested in the
    clusters, so they keep Ward's shapes in a model that stays small. Up to `exact_limit` leaves, those that would fall to another
    cluster are prototypes too, so that every row has the label that the tree gives it."""

    direct_limit: int = 20_000
    exact_limit: int = 5_000
    micro_clusters: int = 1_000
    max_prototypes: int = 256
    name: str = "ward"
    finds_k: bool = False

    def fit(self, points: NDArray[np.float64], ks: Sequence[int], seed: int) -> dict[int, Clustering]:
        require_clusterable(points, max(ks))
        tree = self.tree(points, seed)
        return {k: self._clustering(tree, k) for k in ks}

    def tree(self, points: NDArray[np.float64], seed: int) -> WardTree:
        """The tree over `points` (n, d) in canonical order, or over their micro-clusters."""
        from scipy.cluster.hierarchy import linkage

        with one_thread():
            if len(points) <= self.direct_limit:
                return WardTree(points, np.ones(len(points)), linkage(points, method="ward"))
            leaves, weights = _micro_clusters(points, self.micro_clusters, seed)
        return WardTree(leaves, weights, weighted_ward(leaves, weights))

    def _clustering(self, tree: WardTree, k: int) -> Clustering:
        labels = tree.by_center(k)
        fine = np.arange(len(labels))
        if len(labels) > self.max_prototypes:
            fine = tree.cut(max(self.max_prototypes, k))
        mass = np.bincount(fine, weights=tree.weights).astype(np.float64)
        means = np.column_stack([np.bincount(fine, weights=tree.weights * x) / mass for x in tree.leaves.T])
        found = Clustering(means, labels[np.unique(fine, return_index=True)[1]], mass)
        if len(fine) <= self.exact_limit:
            found = _with_borders(found, tree.leaves, labels)
        return in_canonical_clusters(found)


def _with_borders(found: Clustering, leaves: NDArray[np.float64], labels: NDArray[np.int64]) -> Clustering:
    """`found` with more prototypes, until it gives each of `leaves` (m, d) its own of `labels` (m,): the leaves that it gets wrong
    (condensed nearest neighbours; Hart, 1968). They have no weight, as the means they belong to represent them already."""
    for _ in range(_ROUNDS):
        wrong = np.flatnonzero(found.assign(leaves).label != labels)
        if len(wrong) == 0:
            break
        found = replace(
            found,
            prototypes=np.vstack([found.prototypes, leaves[wrong]]),
            labels=np.append(found.labels, labels[wrong]),
            weights=np.append(found.weights, np.zeros(len(wrong))),
        )
    return found


def weighted_ward(points: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ward's linkage of `points` (m, d) that represent `weights` (m,) rows, in scipy's format; O(m cubed), for m near 1,000.

    The height of a merge is sqrt(2 ab / (a + b)) * ||mean difference|| (Ward, 1963, as scipy scales it), so that weights
    of 1 give scipy's tree; distances follow by the update of Lance and Williams (1967). scipy's own takes no weights.
    """
    m = len(points)
    gaps = ((points[:, None, :] - points[None, :, :]) ** 2).sum(axis=2)
    size = weights.astype(np.float64).copy()
    squared = 2 * gaps * (size[:, None] * size[None, :]) / (size[:, None] + size[None, :])
    np.fill_diagonal(squared, np.inf)
    names = np.arange(m)
    counts = np.ones(m)
    nearest_row = squared.argmin(axis=1)
    nearest_gap = squared[np.arange(m), nearest_row]
    merges = np.empty((m - 1, 4))
    for step in range(m - 1):
        i = int(nearest_gap.argmin())
        j = int(nearest_row[i])
        i, j = min(i, j), max(i, j)
        height = squared[i, j]
        merges[step] = [*sorted((names[i], names[j])), np.sqrt(height), counts[i] + counts[j]]
        total = size[i] + size[j] + size
        row = ((size[i] + size) * squared[i] + (size[j] + size) * squared[j] - size * height) / total
        row[[i, j]] = np.inf
        row[~np.isfinite(squared[i]) & ~np.isfinite(squared[j])] = np.inf
        squared[i], squared[:, i] = row, row
        squared[j], squared[:, j] = np.inf, np.inf
        size[i] += size[j]
        counts[i] += counts[j]
        names[i] = m + step
        nearest_gap[j] = np.inf
        # Only the merged row, and rows whose nearest was one of the two, can have a new nearest neighbour further away.
        stale = np.flatnonzero(((nearest_row == i) | (nearest_row == j)) & np.isfinite(nearest_gap))
        for r in {*stale.tolist(), i}:
            nearest_row[r] = squared[r].argmin()
            nearest_gap[r] = squared[r, nearest_row[r]]
        closer = row < nearest_gap
        nearest_row[closer], nearest_gap[closer] = i, row[closer]
    return merges


def _micro_clusters(points: NDArray[np.float64], m: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Means (at most m, d) and sizes of small k-means clusters, found on a sample: they only have to be small and numerous."""
    from scipy.spatial import cKDTree
    from sklearn.cluster import MiniBatchKMeans

    start = subsample(points, 50 * m, seed)
    found = MiniBatchKMeans(m, batch_size=4096, n_init=1, random_state=seed).fit(start).cluster_centers_
    own = cKDTree(found).query(points)[1]
    sizes = np.bincount(own, minlength=m).astype(np.float64)
    kept = sizes > 0
    sums = np.column_stack([np.bincount(own, weights=x, minlength=m) for x in points.T])
    return sums[kept] / sizes[kept, None], sizes[kept]
