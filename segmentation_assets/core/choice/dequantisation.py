"""Spreads whole numbers over a continuous scale, so that the valley gate can tell a gap from a lattice.

Customers with 1 and with 2 orders are not distinct segments just because nobody is in between.
"""

import numpy as np
from numpy.typing import NDArray

# A tied extreme with at most this share of rows is an edge made by winsorising, not a habit of customers.
_EDGE_SHARE = 0.011
# An atom is spread to each side by at most this many times its smaller gap; anything wider is a gap, not a lattice.
_LATTICE_RATIO = 2.0


def spread_atoms(points: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """`points` (n, d) with the tied values (atoms) of each dimension spread over their own cell of the line (dequantisation; Theis
    et al., 2016), without the rows on an edge made by winsorising.

    Within an atom, rows are ordered by a prediction from the other dimensions, with noise as large as the prediction's error. In
    random order, orders and spend would be independent within an atom but not between atoms, which alone opens a valley next to
    the customers with one order: seen on CDNOW, p = 0.0001.

    Rows on an edge are dropped because a log-concave density truncated by a box stays log-concave, but one piled up at it does not.
    """
    spread = points.copy()
    kept = np.ones(len(points), dtype=bool)
    for dimension, values in enumerate(points.T):
        atoms, atom, sizes = np.unique(values, return_inverse=True, return_counts=True)
        if len(atoms) < 2:
            continue
        for edge in (0, len(atoms) - 1):
            if 1 < sizes[edge] <= _EDGE_SHARE * len(points):
                kept &= atom != edge
        gaps = np.diff(atoms)
        below, above = np.append(gaps[0], gaps), np.append(gaps, gaps[-1])
        reach = _LATTICE_RATIO * np.minimum(below, above)
        low, high = np.minimum(below, reach) / 2, np.minimum(above, reach) / 2
        place = _rank_within(atom, sizes, _foretold(points, dimension, rng))
        moved = values - low[atom] + place * (low + high)[atom]
        spread[:, dimension] = np.where(sizes[atom] > 1, moved, values)
    return spread[kept]


def _foretold(points: NDArray[np.float64], dimension: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """A random draw (n,) from the linear regression of one dimension on the others."""
    others = np.column_stack([np.delete(points, dimension, axis=1), np.ones(len(points))])
    values = points[:, dimension]
    mean = others @ np.linalg.lstsq(others, values, rcond=None)[0]
    return np.asarray(mean + rng.normal(size=len(values)) * max(float(np.std(values - mean)), 1e-9), dtype=np.float64)


def _rank_within(atom: NDArray[np.int64], sizes: NDArray[np.int64], by: NDArray[np.float64]) -> NDArray[np.float64]:
    """Evenly spaced position in (0, 1) of each row among the rows of its atom."""
    order = np.lexsort((by, atom))
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    rank = np.empty(len(atom))
    rank[order] = np.arange(len(atom)) - starts[atom[order]]
    return np.asarray((rank + 0.5) / sizes[atom], dtype=np.float64)
