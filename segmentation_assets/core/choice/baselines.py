"""What segments are compared with: money quintiles, grids of quantiles of recency, frequency and monetary value, one column, and chance.

Belongs here: cutting customers without a model. Cuts see nothing of what followed. The grid with names is `rfm_grid.py`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segmentation_assets.core.choice.grid_model import FREQUENCY, RECENCY
from segmentation_assets.core.choice.rfm_grid import quintile, rfm_cells
from segmentation_assets.core.customers.columns import Customers
from segmentation_assets.vocabulary import Baseline

MONETARY = "monetary"
RFM = (RECENCY, FREQUENCY, MONETARY)


def baselines(rfm: Customers, k: int) -> dict[Baseline, NDArray[np.integer[Any]]]:
    """Labels (n,) of customers by each baseline, from their `RFM` (n rows, without missing values); grids of quantiles have k groups.

    The named grid has ten groups and money quintiles five, whatever k is.
    """
    return {
        Baseline.MONEY: quintile(rfm[MONETARY]),
        Baseline.FREQUENCY_MONETARY: quantile_grid(rfm, k, (FREQUENCY, MONETARY)),
        Baseline.RECENCY_FREQUENCY_MONETARY: quantile_grid(rfm, k, (FREQUENCY, MONETARY, RECENCY)),
        Baseline.RECENCY_FREQUENCY: rfm_cells(rfm[RECENCY], rfm[FREQUENCY]),
    }


def single_column(values: pd.Series, categorical: bool, k: int) -> NDArray[np.int64]:
    """Group 0..k-1 (n,) of each customer by one column: quantiles of a number, the k - 1 commonest levels of a category and the rest.

    Missing numbers lie in the middle; a missing category is a level.

    >>> single_column(pd.Series([4.0, 1.0, None, 9.0]), False, 2).tolist(), single_column(pd.Series(["a", "b", "a", "c"]), True, 2).tolist()
    ([1, 0, 1, 1], [0, 1, 0, 1])
    """
    if not categorical:
        numbers = values.astype("float64")
        return quantile_grid(numbers.fillna(numbers.median() if numbers.notna().any() else 0.0).to_frame(), k).astype(np.int64)
    levels = values.astype("object").where(values.notna(), "").astype(str)
    common = levels.value_counts().rename_axis("level").reset_index().sort_values(["count", "level"], ascending=[False, True])["level"]
    places = {level: min(place, k - 1) for place, level in enumerate(common)}
    return levels.map(places).to_numpy(dtype=np.int64)


def random_cut(labels: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """The labels (n,) dealt to the customers at random, so that groups keep their sizes."""
    return np.random.default_rng(seed).permutation(labels)


def quantile_grid(features: Customers, k: int, names: Sequence[str] = ()) -> NDArray[np.int32]:
    """Group 0..k-1 (n,) of each customer: the features (n, p), or those with these names, cut in turn, each part at its own median, as a
    k-d tree is (Bentley, 1975).

    A part that is to become g groups is cut so that g // 2 of them are below. Groups are equally large but for ties: equal values are never
    separated, the cut goes to the nearest gap between values, and a part in which a feature does not vary is cut by the next. Fewer than
    k groups only where a part has no two different customers left.

    >>> quantile_grid(pd.DataFrame({"orders": [1, 1, 2, 3], "spend": [5, 9, 7, 8]}), 4).tolist()
    [0, 1, 2, 3]
    """
    columns = [_small(features[name]) for name in names or features.columns]
    labels = np.zeros(len(features), dtype=np.int32)
    _cut(columns, np.arange(len(features), dtype=np.int32), k, 0, labels, 0)
    return labels


def _small(values: pd.Series) -> NDArray[Any]:
    """The values (n,) as float64; whole numbers, as counts and days are, as integers of as few bytes as hold them."""
    numbers = values.to_numpy(dtype=np.float64)
    if len(numbers) and np.isfinite(numbers).all() and np.abs(numbers).max() < 2**31 and (numbers == np.round(numbers)).all():
        return numbers.astype(np.result_type(np.min_scalar_type(int(numbers.min())), np.min_scalar_type(int(numbers.max()))))
    return numbers


def _cut(columns: Sequence[NDArray[Any]], rows: NDArray[np.int32], k: int, turn: int, labels: NDArray[np.int32], first: int) -> None:
    """Give the rows the labels from `first` on, cutting by the first column that varies among them, from number `turn` on."""
    labels[rows] = first
    order = [(turn + step) % len(columns) for step in range(len(columns))]
    used = next((column for column in order if len(rows) and _varies(columns[column][rows])), None)
    if k < 2 or used is None:
        return
    below = k // 2
    low = columns[used][rows] <= _gap(columns[used][rows], below / k)
    _cut(columns, rows[low], below, used + 1, labels, first)
    _cut(columns, rows[~low], k - below, used + 1, labels, first + below)


def _varies(values: NDArray[Any]) -> bool:
    return bool(values.min() < values.max())


def _gap(values: NDArray[Any], share: float) -> float:
    """The value up to which the share of values (n,), not all equal, is nearest to `share`, without all of them; the lower of two."""
    rising, n = np.sort(values), len(values)
    there = rising[min(int(share * n), n - 1)]
    ends = (int(np.searchsorted(rising, there, side)) for side in ("left", "right"))  # the gaps below and above
    nearest = min((end for end in ends if 0 < end < n), key=lambda end: abs(end / n - share))
    return float(rising[nearest - 1])
