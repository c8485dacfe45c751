"""The named grid of recency and frequency, without money: published if a convenient partition explains less.

It is fitted only to the ranks of the given customers.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segmentation_assets.vocabulary import counted

CHAMPIONS = "champions"
LOYAL = "loyal customers"
POTENTIAL = "potential loyalists"
NEW = "new customers"
PROMISING = "promising"
ATTENTION = "need attention"
SLEEPY = "about to sleep"
AT_RISK = "at risk"
CANNOT_LOSE = "cannot lose them"
HIBERNATING = "hibernating"

# Rows: recency 5 (most recent) down to 1. Columns: frequency 1 up to 5.
_NAMES = (
    (NEW, POTENTIAL, POTENTIAL, CHAMPIONS, CHAMPIONS),
    (PROMISING, POTENTIAL, POTENTIAL, LOYAL, LOYAL),
    (SLEEPY, SLEEPY, ATTENTION, LOYAL, LOYAL),
    (HIBERNATING, HIBERNATING, AT_RISK, AT_RISK, CANNOT_LOSE),
    (HIBERNATING, HIBERNATING, AT_RISK, AT_RISK, CANNOT_LOSE),
)
NAME_OF_CELL = {(5 - row, column + 1): name for row, names in enumerate(_NAMES) for column, name in enumerate(names)}
NAMES = tuple(dict.fromkeys(NAME_OF_CELL.values()))
_CELLS = np.array([[NAMES.index(name) for name in row] for row in _NAMES], dtype=np.int8)


def rfm_grid(recency_days: pd.Series, frequency: pd.Series) -> pd.DataFrame:
    """Per active customer: `recency_score` and `frequency_score` 1..5 (5 most recent, most frequent) and `segment`.

    `recency_days` since the last order and `frequency` in orders have the same index. ValueError on a missing value.
    """
    recency, orders = _scores(recency_days, frequency)
    names = np.array(NAMES, dtype=object)[_CELLS[5 - recency, orders - 1]]
    return pd.DataFrame({"recency_score": recency, "frequency_score": orders, "segment": names}, index=frequency.index)


def rfm_cells(recency_days: pd.Series, frequency: pd.Series) -> NDArray[np.int8]:
    """The segments of `rfm_grid` (n,) as places in `NAMES`."""
    recency, orders = _scores(recency_days, frequency)
    return np.asarray(_CELLS[5 - recency, orders - 1], dtype=np.int8)


def _scores(recency_days: pd.Series, frequency: pd.Series) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    for values, name in ((recency_days, "recency"), (frequency, "frequency")):
        if values.isna().any():
            raise ValueError(
                f"{counted(int(values.isna().sum()), 'customer has', 'customers have')} no {name}; the grid takes only active customers"
            )
    return 6 - quintile(recency_days), quintile(frequency)


def quintile(values: pd.Series) -> NDArray[np.int64]:
    """Quintile 1..5 (n,) of each value by its mid-rank, so that equal values are never separated.

    >>> quintile(pd.Series([1, 1, 1, 7, 9])).tolist()
    [2, 2, 2, 4, 5]
    """
    return binned(values, 5)


def binned(values: pd.Series, bins: int) -> NDArray[np.int64]:
    """Which of `bins` quantiles, from 1 on (n,), each value is in by its mid-rank."""
    if len(values) == 0:
        return np.empty(0, dtype=np.int64)
    middle = (values.rank(method="average").to_numpy() - 0.5) / len(values)
    return np.asarray(np.minimum(np.floor(bins * middle) + 1, bins), dtype=np.int64)
