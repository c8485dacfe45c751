"""How reproducible clusters are: when resampled, split or reseeded, and compared with data without structure.

Each function takes points (n, d) in canonical order and one algorithm, and answers for all k at once, because a tree gives them all.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segmentation_assets.core.clustering.algorithm import Algorithm, Clustering, ClusteringError, canonical_order


@dataclass(frozen=True, eq=False)
class Stability:
    """Per cluster (k,): the mean over resamples of its best Jaccard match, and the standard error of that mean."""

    jaccard: NDArray[np.float64]
    error: NDArray[np.float64]


def bootstrap_jaccard(
    points: NDArray[np.float64], algorithm: Algorithm, references: dict[int, Clustering], seed: int, resamples: int = 100
) -> dict[int, Stability]:
    """For each k of `references`, how well each cluster is found again when rows are resampled (Hennig, 2007).

    Rows drawn several times count once, so that copies do not look like stability. In a resample that cannot be clustered,
    every cluster scores 0. For density algorithms, whose k varies, whatever they find is matched.
    """
    rng = np.random.default_rng(seed)
    labels = {k: found.assign(points).label for k, found in references.items()}
    matches = {k: np.zeros((resamples, found.k)) for k, found in references.items()}
    for resample in range(resamples):
        rows = np.unique(rng.integers(0, len(points), len(points)))
        try:
            again = algorithm.fit(points[rows], tuple(references), int(rng.integers(2**31)))
        except ClusteringError:
            continue
        for k, original in labels.items():
            match = next(iter(again.values())) if algorithm.finds_k else again[k]
            matches[k][resample] = best_jaccard(original[rows], match.assign(points[rows]).label, references[k].k)
    return {k: Stability(found.mean(axis=0), found.std(axis=0, ddof=1) / np.sqrt(resamples)) for k, found in matches.items()}


def best_jaccard(original: NDArray[np.int64], again: NDArray[np.int64], k: int) -> NDArray[np.float64]:
    """For each of the k clusters in `original` (n,), the largest Jaccard similarity with a cluster in `again` (n,); noise does
    not count as a cluster. 0 for a cluster without rows."""
    width = int(again.max(initial=-1)) + 1
    if width == 0:
        return np.zeros(k)
    kept = (original >= 0) & (again >= 0)
    both = np.bincount(original[kept] * width + again[kept], minlength=k * width).reshape(k, width)
    ours = np.bincount(original[original >= 0], minlength=k)[:, None]
    theirs = np.bincount(again[again >= 0], minlength=width)[None, :]
    union = ours + theirs - both
    return np.asarray(np.divide(both, union, out=np.zeros(both.shape), where=union > 0).max(axis=1), dtype=np.float64)


def prediction_strength(
    points: NDArray[np.float64], algorithm: Algorithm, ks: Sequence[int], seed: int, repeats: int = 5
) -> dict[int, float]:
    """Mean over half-splits of the worst cluster's share of pairs that the other half's clusters also put together
    (Tibshirani and Walther, 2005). 1 for k = 1; they call 0.8 or more a good k."""
    rng = np.random.default_rng(seed)
    strengths: dict[int, list[float]] = {k: [] for k in ks}
    for repeat in range(repeats):
        train, test = np.array_split(rng.permutation(len(points)), 2)
        halves = [points[np.sort(rows)] for rows in (train, test)]
        try:
            theirs, ours = (algorithm.fit(half, ks, seed + repeat) for half in halves)
        except ClusteringError:
            for values in strengths.values():
                values.append(0.0)
            continue
        for k in ks:
            if k in theirs and k in ours:
                own, predicted = ours[k].assign(halves[1]).label, theirs[k].assign(halves[1]).label
                strengths[k].append(_pairs_kept(own, predicted))
            else:
                strengths[k].append(0.0)  # a density algorithm that finds another number of clusters did not find the same ones
    return {k: float(np.mean(values)) for k, values in strengths.items()}


def _pairs_kept(own: NDArray[np.int64], predicted: NDArray[np.int64]) -> float:
    worst = 1.0
    for label in np.unique(own[own >= 0]):
        inside = predicted[own == label]
        n = len(inside)
        if n > 1:
            sizes = np.bincount(inside[inside >= 0])
            worst = min(worst, float((sizes * (sizes - 1)).sum() / (n * (n - 1))))
    return worst


@dataclass(frozen=True)
class Gap:
    """The gap statistic of one k and its standard error."""

    value: float
    error: float


def gap_statistic(
    points: NDArray[np.float64], algorithm: Algorithm, references: dict[int, Clustering], seed: int, draws: int = 10
) -> dict[int, Gap]:
    """For each k of `references`, how much lower the log within-cluster dispersion is than in `draws` samples without clusters,
    uniform in a box along the principal axes (Tibshirani, Walther and Hastie, 2001, their second reference)."""
    rng = np.random.default_rng(seed)
    middle = points.mean(axis=0)
    axes = np.linalg.svd(points - middle, full_matrices=False)[2]
    turned = (points - middle) @ axes.T
    low, high = turned.min(axis=0), turned.max(axis=0)
    ks = tuple(references)
    null: dict[int, list[float]] = {k: [] for k in ks}
    for _ in range(draws):
        uniform = canonical_order(rng.uniform(low, high, size=turned.shape) @ axes + middle)
        for k, found in algorithm.fit(uniform, ks, int(rng.integers(2**31))).items():
            null[k].append(_log_dispersion(uniform, found))
    return {
        k: Gap(float(np.mean(null[k]) - _log_dispersion(points, references[k])), float(np.std(null[k]) * np.sqrt(1 + 1 / draws)))
        for k in ks
    }


def _log_dispersion(points: NDArray[np.float64], found: Clustering) -> float:
    placed, labels = found.place(points), found.assign(points).label
    within = sum(((placed[labels == c] - placed[labels == c].mean(axis=0)) ** 2).sum() for c in np.unique(labels))
    return float(np.log(max(float(within), np.finfo(float).tiny)))


def seed_agreement(points: NDArray[np.float64], algorithm: Algorithm, ks: Sequence[int], seed: int, repeats: int = 5) -> dict[int, float]:
    """For each of `ks`, the mean adjusted Rand index (Hubert and Arabie, 1985) of `repeats` fits with other seeds against the fit
    with `seed`, on the same rows. 1 for a deterministic algorithm."""
    from sklearn.metrics import adjusted_rand_score

    first = {k: found.assign(points).label for k, found in algorithm.fit(points, ks, seed).items()}
    scores: dict[int, list[float]] = {k: [] for k in first}
    for repeat in range(1, repeats + 1):
        again = algorithm.fit(points, ks, seed + 1000 * repeat)
        for k in first:
            match = next(iter(again.values())) if algorithm.finds_k else again[k]
            scores[k].append(float(adjusted_rand_score(first[k], match.assign(points).label)))
    return {k: float(np.mean(values)) for k, values in scores.items()}
