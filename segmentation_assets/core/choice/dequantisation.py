"""Whole numbers as if they had been measured finely: what the valley gate needs to tell a gap from a lattice.

Customers with 1 and with 2 orders are not distinct segments for having nobody between them.
"""

import numpy as np
from numpy.typing import NDArray

# A tied extreme held by fewer than this share of rows is the edge where winsorising put them, not a habit of customers.
_EDGE_SHARE = 0.011
# An atom is spread no further to one side than this many times its smaller gap: past that it is a gap, not a lattice.
_LATTICE_RATIO = 2.0


def spread_atoms(points: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """`points` (n, d) with the tied values of each dimension spread over their own cell of the line (dequantisation; Theis et
    al., 2016), fewer rows where winsorising left an edge.

    Within an atom, rows are placed in the order in which the other dimensions foretell them, with noise of the size of that
    forecast's error. Placed at random instead, orders and spend would be independent within an atom though not between
    atoms, and that alone opens a valley beside the customers with one order: seen on CDNOW, p = 0.0001.

    Rows on an edge of winsorising are dropped: a log-concave density cut off by a box stays log-concave, heaped up it is not.
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
    """A draw (n,) from the linear regression of one dimension on the others."""
    others = np.column_stack([np.delete(points, dimension, axis=1), np.ones(len(points))])
    values = points[:, dimension]
    mean = others @ np.linalg.lstsq(others, values, rcond=None)[0]
    return np.asarray(mean + rng.normal(size=len(values)) * max(float(np.std(values - mean)), 1e-9), dtype=np.float64)


def _rank_within(atom: NDArray[np.int64], sizes: NDArray[np.int64], by: NDArray[np.float64]) -> NDArray[np.float64]:
    """Position in (0, 1) of each row among the rows of its own atom, evenly spaced."""
    order = np.lexsort((by, atom))
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    rank = np.empty(len(atom))
    rank[order] = np.arange(len(atom)) - starts[atom[order]]
    return np.asarray((rank + 0.5) / sizes[atom], dtype=np.float64)
