"""The valley gate: are there fewer customers between neighbouring clusters than on either side?

A continuum cut into pieces can be stable and score well, so neither shows that segments are distinct; a valley in the density
does. The test uses half of the rows to find where a valley may be and the other half to test it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segmentation_assets.core.choice.dequantisation import spread_atoms
from segmentation_assets.core.clustering.algorithm import Algorithm, Clustering, ClusteringError, canonical_order

# Positions along the line through a pair of centroids, which are at 0 and 1. Peaks may lie somewhat beyond a centroid, valleys only
# between them. Several window widths are tried: a wide one counts more customers, a narrow one finds a narrow valley.
_STEP = 0.02
_POSITIONS = np.arange(-0.4, 1.4 + _STEP / 2, _STEP)
_WIDTHS = (0.12, 0.2, 0.28, 0.36)
_VALLEY_AT = np.flatnonzero((_POSITIONS >= 0.1) & (_POSITIONS <= 0.9))
_HOPELESS = 0.5


@dataclass(frozen=True)
class Window:
    """Positions of a valley and its two peaks along `direction` (d,), scaled so that the pair's centroids project to 0 and 1."""

    direction: NDArray[np.float64]
    origin: float
    left: float
    valley: float
    right: float
    width: float
    evidence: float

    def p_value(self, points: NDArray[np.float64]) -> float:
        """Probability of so few customers in the valley if its density were that of the lower peak.

        If the density is log-concave, so is its projection from a convex cell, and a window between two others holds at
        least as much as the smaller of them. Both peaks must be higher, so the test takes the larger p-value
        (intersection-union; Berger, 1982).
        """
        from scipy.special import bdtr

        along = np.sort(points @ self.direction - self.origin)
        left, valley, right = (_count(along, np.array([at]), self.width)[0] for at in (self.left, self.valley, self.right))
        return float(max(bdtr(valley, valley + peak, 0.5) if peak + valley else 1.0 for peak in (left, right)))


def valley_p_values(points: NDArray[np.float64], algorithm: Algorithm, ks: Sequence[int], seed: int, splits: int = 10) -> dict[int, float]:
    """For each k, the median over `splits` half-splits of `points` (n, d), both ways, of the worst pair's p-value.

    A small value means that a valley separates every pair of neighbouring clusters. A half that cannot be clustered, or on which a
    density algorithm finds another k, counts as p = 1. A k whose median is still hopeless after a fifth of the splits is dropped,
    because the other splits could hardly make it significant.
    """
    rng = np.random.default_rng(seed)
    usable = spread_atoms(points, rng)
    worst: dict[int, list[float]] = {k: [] for k in ks}
    open_ks = list(ks)
    for split in range(splits):
        halves = np.array_split(rng.permutation(len(usable)), 2)
        for fit_rows, test_rows in (halves, halves[::-1]):
            fit_half, test_half = canonical_order(usable[np.sort(fit_rows)]), usable[test_rows]
            try:
                found = algorithm.fit(fit_half, open_ks, seed + split)
            except ClusteringError:
                found = {}
            for k in open_ks:
                worst[k].append(worst_pair(found[k], fit_half, test_half) if k in found else 1.0)
        if split + 1 >= splits / 5:
            open_ks = [k for k in open_ks if np.median(worst[k]) < _HOPELESS]
        if not open_ks:
            break
    return {k: float(np.median(values)) for k, values in worst.items()}


def valley_p_value(points: NDArray[np.float64], found: Clustering, seed: int, splits: int = 10) -> float:
    """As `valley_p_values`, for given clusters: the median of the worst pair's p-value over half-splits of `points` (n, d)."""
    rng = np.random.default_rng(seed)
    usable = spread_atoms(points, rng)
    worst = []
    for _ in range(splits):
        halves = np.array_split(rng.permutation(len(usable)), 2)
        worst += [worst_pair(found, usable[looking], usable[counting]) for looking, counting in (halves, halves[::-1])]
    return float(np.median(worst))


def worst_pair(found: Clustering, fit_half: NDArray[np.float64], test_half: NDArray[np.float64]) -> float:
    """Largest p-value over neighbouring pairs of clusters `found` on `fit_half`, counted on `test_half`. 1 for one cluster."""
    if found.k < 2:
        return 1.0
    centers = found.centers()
    labels = found.assign(fit_half).label
    fit_half, test_half = found.place(fit_half), found.place(test_half)
    p_values = []
    for i, j in gabriel_pairs(centers):
        window = find_valley(fit_half, labels, centers, i, j)
        p_values.append(window.p_value(in_cell(test_half, centers, i, j)) if window else 1.0)
    return max(p_values)


def gabriel_pairs(centers: NDArray[np.float64]) -> Iterator[tuple[int, int]]:
    """Pairs with no third centre inside the ball between them (Gabriel and Sokal, 1969); nearest neighbours are among them."""
    squared = ((centers[:, None] - centers[None]) ** 2).sum(axis=2)
    for i in range(len(centers)):
        for j in range(i + 1, len(centers)):
            others = np.delete(squared[i] + squared[j], [i, j])
            if np.all(others >= squared[i, j]):
                yield i, j


def in_cell(points: NDArray[np.float64], centers: NDArray[np.float64], i: int, j: int) -> NDArray[np.float64]:
    """The `points` closer to the line segment between centres i and j than to any other centre, by halfspaces: a convex cell.

    Each other centre is compared with the nearest point on the line segment. A convex cell keeps a log-concave density
    log-concave, and both centres are always inside, even if a third is close to one of them.
    """
    along = centers[j] - centers[i]
    inside = np.ones(len(points), dtype=bool)
    for other in np.delete(centers, [i, j], axis=0):
        at = np.clip((other - centers[i]) @ along / (along @ along), 0, 1)
        anchor = centers[i] + at * along
        inside &= (points - (anchor + other) / 2) @ (other - anchor) <= 0
    return points[inside]


def find_valley(points: NDArray[np.float64], labels: NDArray[np.int64], centers: NDArray[np.float64], i: int, j: int) -> Window | None:
    """The clearest valley between clusters i and j on the rows used for fitting; None if there is none."""
    own = [points[labels == c] for c in (i, j)]
    if min(len(rows) for rows in own) < 2:
        return None
    scatter = np.average([np.atleast_2d(np.cov(rows.T)) for rows in own], axis=0, weights=[len(rows) for rows in own])
    ridge = 1e-3 * np.trace(scatter) / len(scatter) + 1e-12
    gap = centers[j] - centers[i]
    cell = in_cell(points, centers, i, j)
    best: Window | None = None
    # Fisher's (1936) direction ignores features that do not separate the pair; the plain one is safer in small samples.
    for direction in (np.linalg.solve(scatter + ridge * np.eye(len(gap)), gap), gap):
        unit = direction / (direction @ gap)
        window = _clearest(cell @ unit - centers[i] @ unit, unit, float(centers[i] @ unit))
        if window and (best is None or window.evidence > best.evidence):
            best = window
    return best


def _clearest(along: NDArray[np.float64], direction: NDArray[np.float64], origin: float) -> Window | None:
    along = np.sort(along)
    best: Window | None = None
    for width in _WIDTHS:
        counts = _count(along, _POSITIONS, width)
        apart = round(width / _STEP)  # windows that overlap would count the same customers twice
        # Highest peak up to each position from the left, and from each position to the right.
        left, right = np.maximum.accumulate(counts), np.maximum.accumulate(counts[::-1])[::-1]
        at = _VALLEY_AT[(apart <= _VALLEY_AT) & (_VALLEY_AT + apart < len(counts))]
        lower = np.minimum(left[at - apart], right[at + apart])
        evidence = (lower - counts[at]) / np.sqrt(np.maximum(lower + counts[at], 1))
        clearest = int(evidence.argmax())
        if evidence[clearest] <= (best.evidence if best else 0.0):
            continue
        v = int(at[clearest])
        peaks = (int(counts[: v - apart + 1].argmax()), v + apart + int(counts[v + apart :].argmax()))
        low, middle, high = (float(_POSITIONS[i]) for i in (peaks[0], v, peaks[1]))
        best = Window(direction, origin, low, middle, high, width, float(evidence[clearest]))
    return best


def _count(ordered: NDArray[np.float64], at: NDArray[np.float64], width: float) -> NDArray[np.int64]:
    low, high = np.searchsorted(ordered, at - width / 2), np.searchsorted(ordered, at + width / 2)
    return np.asarray(high - low, dtype=np.int64)
