"""Spreads counts, and amounts made from them, over a continuous scale, so that the valley gate can tell a gap from a lattice.

Customers with 1 and with 2 orders are not distinct segments just because nobody is in between. Nor are those who spent 25 and 50 in a
shop with one price, nor those who spent nothing and something.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# A tied extreme with at most this share of rows is an edge made by winsorising, not a habit of customers.
_EDGE_SHARE = 0.011
# A tied extreme is a heap beside a continuum, not the end of a lattice, if fewer rows than this share each other value.
_LATTICE_ROWS = 3
# An atom is spread to each side by at most this many times its smaller gap; anything wider is a gap, not a lattice.
_LATTICE_RATIO = 2.0
# Runs that two neighbouring counts must be expected to have for another dimension to show whether it tells them apart.
_RUNS_TO_TELL = 4


def spread_atoms(points: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """`points` (n, d) with the tied values (atoms) of each dimension spread over their own cell of the line (dequantisation; Theis
    et al., 2016), without the rows on an edge made by winsorising.

    A dimension that tells counts apart, as spend does where orders cost nearly the same, was made from the count. It moves with it, along
    the line between the means of neighbouring counts; its own ties (price plans) are spread among customers with the same count.

    Within an atom, rows are ordered by a prediction from the other dimensions, with noise as large as the prediction's error. In
    random order, orders and spend would be independent within an atom but not between atoms, which alone opens a valley next to
    the customers with one order: seen on CDNOW, p = 0.0001.

    Rows on an edge are dropped because a log-concave density truncated by a box stays log-concave, but one piled up at it does not.
    """
    kept, points = _off_the_edges(points), _without_heaps(points, rng)
    spread = points.copy()
    lattices = [_Lattice.of(values) for values in points.T]
    coarse_first = sorted(range(len(lattices)), key=lambda dimension: len(lattices[dimension].atoms))
    told = {
        (count, other): lattices[count].told_by(points[:, other], rng)
        for position, count in enumerate(coarse_first)
        for other in coarse_first[position + 1 :]
    }
    for dimension in coarse_first:
        lattice, known = lattices[dimension], points.copy()
        for (count, other), pairs in told.items():
            if count == dimension:  # what was made from the count says nothing about where in its cell a customer is
                known[:, other] -= lattice.share(pairs) * lattice.deviations(points[:, other])
        by, among = _predicted(points, known, dimension, rng), np.full(len(points), -1)
        makers = {count: lattices[count].share(pairs) for (count, other), pairs in told.items() if other == dimension}
        if makers:
            maker = max(makers, key=lambda count: makers[count].mean())
            among = np.where(makers[maker] > 0.5, lattices[maker].atom, -1)
            path = lattices[maker].path(points[:, dimension], told[maker, dimension])
            moved = spread[:, maker] - points[:, maker]
            spread[:, dimension] += moved * np.where(moved > 0, path[lattices[maker].atom + 1], path[lattices[maker].atom])
        spread[:, dimension] += _moves(points[:, dimension], among, by)
    return spread[kept]


@dataclass(frozen=True, eq=False)
class _Lattice:
    """The distinct values of one dimension (m,), the one of each row (n,), and how many rows have it (m,)."""

    atoms: NDArray[np.float64]
    atom: NDArray[np.int64]
    sizes: NDArray[np.int64]

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> "_Lattice":
        return cls(*np.unique(values, return_inverse=True, return_counts=True))

    def cells(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """How far each atom's cell (m,) reaches down and up. Shrinking gaps, as of logged counts, are divided as if they shrank
        evenly: the middle of 1 and 2 orders is 1.5, also in logs. 0 for a single atom."""
        gap = np.diff(self.atoms)
        if len(gap) < 2:
            half = np.repeat(gap, 2) / 2 if len(gap) else np.zeros(1)
            return half, half
        change = np.clip(np.sqrt(np.concatenate([[(gap[1] / gap[0]) ** 2], gap[2:] / gap[:-2], [(gap[-1] / gap[-2]) ** 2]])), 0.5, 2)
        up, root = gap / (1 + np.sqrt(change)), np.sqrt(change)
        down = gap - up
        reach = np.concatenate([[np.inf], _LATTICE_RATIO * np.minimum(gap[:-1], gap[1:]) / 2, [np.inf]])
        return np.minimum(np.append(up[0] / root[0], down), reach), np.minimum(np.append(up, down[-1] * root[-1]), reach)

    def share(self, told: NDArray[np.float64]) -> NDArray[np.float64]:
        """The larger of `told` (m - 1,) towards the two neighbours, for each row (n,)."""
        return np.asarray(np.maximum(np.append(0, told), np.append(told, 0))[self.atom], dtype=np.float64)

    def means(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.bincount(self.atom, weights=values) / self.sizes, dtype=np.float64)

    def deviations(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """`values` (n,) less the mean of their atom."""
        return np.asarray(values - self.means(values)[self.atom], dtype=np.float64)

    def path(self, values: NDArray[np.float64], told: NDArray[np.float64]) -> NDArray[np.float64]:
        """Slope of the mean of `values` below and above each atom (m + 1,), as far as it is `told` (m - 1,)."""
        slope = told * np.diff(self.means(values)) / np.diff(self.atoms)
        return np.concatenate([slope[:1], slope, slope[-1:]]) if len(slope) else np.zeros(2)

    def told_by(self, values: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
        """For each pair of neighbouring atoms (m - 1,), how far `values` (n,) tell their rows apart: 1 less the number of runs in the order
        of `values` over the number expected if they said nothing (Wald and Wolfowitz, 1940; both beyond the two there must be).

        What is made from a count tells 1 from 2 more clearly than 7 from 8, and 2 from 3 as well as 1 from 2; what differs between two
        groups of customers does not. So no pair counts as told further than all up to it taken together, nor further than both of its
        neighbours.
        """
        in_order = self.atom[np.lexsort((rng.random(len(values)), values))]
        places, ends = np.argsort(in_order, kind="stable"), np.concatenate([[0], np.cumsum(self.sizes)])
        expected = 2 * self.sizes[:-1] * self.sizes[1:] / (self.sizes[:-1] + self.sizes[1:]) - 1
        expected[expected < _RUNS_TO_TELL] = 0
        runs = np.zeros(len(expected))
        for pair in np.flatnonzero(expected):
            runs[pair] = np.count_nonzero(np.diff(in_order[np.sort(places[ends[pair] : ends[pair + 2]])])) - 1
        alone, together = (1 - some / np.maximum(of, 1) for some, of in ((runs, expected), (np.cumsum(runs), np.cumsum(expected))))
        told = np.where(expected > 0, np.clip(np.minimum(alone, together), 0, 1), 0.0)
        return np.minimum(told, np.maximum(np.append(told[1:], 0), np.append(0, told[:-1])))


def _off_the_edges(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which rows (n,) are not where winsorising heaped up the extremes of some dimension."""
    kept = np.ones(len(points), dtype=bool)
    for values in points.T:
        for edge in {values.min(), values.max()} if np.ptp(values) > 0 else set():
            on_edge = values == edge
            if 1 < on_edge.sum() <= _EDGE_SHARE * len(points):
                kept &= ~on_edge
    return kept


def _without_heaps(points: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """`points` (n, d) with a heap at the end of a continuum drawn from what the other dimensions predict.

    Customers who spent nothing are as far from the others as the unit of money makes them after a log transform, so that distance
    is no evidence of a valley: their value counts as censored (Tobin, 1958).
    """
    drawn = points.copy()
    for dimension, values in enumerate(points.T):
        lattice = _Lattice.of(values)
        for edge in {0, len(lattice.atoms) - 1}:
            heap = lattice.atom == edge
            rest = len(points) - heap.sum()
            if heap.sum() > _EDGE_SHARE * len(points) and rest < _LATTICE_ROWS * (len(lattice.atoms) - 1):
                drawn[heap, dimension] = _predicted(points, points, dimension, rng, ~heap)[heap]
    return drawn


def _predicted(
    points: NDArray[np.float64],
    known: NDArray[np.float64],
    dimension: int,
    rng: np.random.Generator,
    learning: NDArray[np.bool_] | slice = slice(None),
) -> NDArray[np.float64]:
    """A draw (n,) from the linear regression of one dimension on the others, learnt on the rows `learning` and applied to `known` (n, d),
    which is `points` (n, d) or part of what they say."""
    others, given = (np.column_stack([np.delete(rows, dimension, axis=1), np.ones(len(rows))]) for rows in (points, known))
    values = points[learning, dimension]
    weights = np.linalg.lstsq(others[learning], values, rcond=None)[0]
    error = max(float(np.std(values - others[learning] @ weights)), 1e-9)
    return np.asarray(given @ weights + rng.normal(size=len(points)) * error, dtype=np.float64)


def _moves(values: NDArray[np.float64], counts: NDArray[np.int64], by: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far each row (n,) moves from its tied value to its place in the cell, evenly spaced in the order of `by`; the cells of rows
    whose value was made from a count are those among rows of that count."""
    moved = _moves_within(values, by)
    for count in np.unique(counts[counts >= 0]):
        rows = counts == count
        moved[rows] = _moves_within(values[rows], by[rows])
    return moved


def _moves_within(values: NDArray[np.float64], by: NDArray[np.float64]) -> NDArray[np.float64]:
    lattice = _Lattice.of(values)
    down, up = lattice.cells()
    order = np.lexsort((by, lattice.atom))
    starts = np.cumsum(lattice.sizes) - lattice.sizes
    rank = np.empty(len(values))
    rank[order] = np.arange(len(values)) - starts[lattice.atom[order]]
    size = lattice.sizes[lattice.atom]
    place = (rank + 0.5) / size
    return np.where(size > 1, place * up[lattice.atom] - (1 - place) * down[lattice.atom], 0.0)
