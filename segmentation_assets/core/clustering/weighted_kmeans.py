"""k-means that learns how well each feature separates clusters.

Uninformative features drown out the others: with two useless features and two good ones, plain k-means and Ward found six
planted segments in no more than half of the trials.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from segmentation_assets.core.clustering.algorithm import Clustering, KMeans, canonical_order, subsample

# A feature that looked useless in one round may matter in the next, so no weight falls to zero.
_FLOOR = 1e-3


@dataclass(frozen=True)
class WeightedKMeans:
    """k-means alternating with weights of dimensions, by the ratio of between to within variance, until the weights converge.

    Maximising between over within variance by feature weights is Modha and Spangler's (2003) criterion; alternating is how
    sparse k-means works (Witten and Tibshirani, 2010). The clusters found are k-means clusters of the stretched space.
    """

    rounds: int = 6
    n_init: int = 10
    fit_rows: int = 10_000
    name: str = "weighted_kmeans"
    finds_k: bool = False

    def fit(self, points: NDArray[np.float64], ks: Sequence[int], seed: int) -> dict[int, Clustering]:
        return {k: self._fit_one(points, k, seed) for k in ks}

    def _fit_one(self, points: NDArray[np.float64], k: int, seed: int) -> Clustering:
        learning = subsample(points, self.fit_rows, seed)
        kmeans = KMeans(self.n_init, self.fit_rows)
        stretch = np.ones(points.shape[1])
        for round_ in range(self.rounds):
            found = kmeans.fit(learning * stretch, (k,), seed + round_)[k]
            fresh = np.sqrt(_separation(learning, found.assign(learning * stretch).label, k))
            settled = np.allclose(fresh, stretch, rtol=0.05, atol=0.02)
            stretch = fresh
            if settled:
                break
        # Stretched rows have another canonical order, but are the same rows.
        final = kmeans.fit(canonical_order(points * stretch), (k,), seed)[k]
        return replace(final, stretch=stretch)


def _separation(points: NDArray[np.float64], labels: NDArray[np.int64], k: int) -> NDArray[np.float64]:
    """Weight (d,) of each dimension: variance between clusters over variance within, largest 1."""
    sizes = np.bincount(labels, minlength=k)
    total = points.var(axis=0)
    means = np.column_stack([np.bincount(labels, weights=x, minlength=k) for x in points.T]) / np.maximum(sizes, 1)[:, None]
    between = (sizes[:, None] * (means - points.mean(axis=0)) ** 2).sum(axis=0) / len(points)
    # The within share is at least 2%, against rounding and perfectly separated features.
    share = np.divide(between, total, out=np.zeros_like(total), where=total > 0)
    ratio = share / np.maximum(1 - share, 0.02)
    return np.maximum(ratio / ratio.max(), _FLOOR) if ratio.max() > 0 else np.ones_like(ratio)
