"""The named recency x frequency grid as a model: cut points of recency and frequency, learnt once and applied at any snapshot.

Belongs here: storing and applying the cuts. `rfm_grid` cuts the grid and names its cells.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from segmentation_assets.core.choice.rfm_grid import NAME_OF_CELL, NAMES, quintile
from segmentation_assets.core.clustering.prototypes import Assignment

RECENCY, FREQUENCY = "recency_days", "frequency"
COMPONENT = "grid cut"


@dataclass(frozen=True)
class GridModel:
    """`recency_cuts` and `frequency_cuts` (4,): the highest value in each of the lowest four quintiles. Label c is `NAMES[c]`."""

    recency_cuts: tuple[float, ...]
    frequency_cuts: tuple[float, ...]
    algorithm: str = "rfm_grid"

    @property
    def k(self) -> int:
        """The number of names, ten, even if some have no customers."""
        return len(NAMES)

    @classmethod
    def fit(cls, features: pd.DataFrame) -> "GridModel":
        """Learn the cuts from `features` (n active customers, at least recency_days and frequency)."""
        return cls(_cuts(features[RECENCY]), _cuts(features[FREQUENCY]))

    def assign(self, features: pd.DataFrame) -> Assignment:
        """Label of each customer; a grid has no distances, so distance and confidence are NaN."""
        recency = 5 - np.searchsorted(self.recency_cuts, features[RECENCY].to_numpy(dtype=np.float64), side="left")
        orders = 1 + np.searchsorted(self.frequency_cuts, features[FREQUENCY].to_numpy(dtype=np.float64), side="left")
        cells = zip(recency.tolist(), orders.tolist(), strict=True)
        label = np.array([NAMES.index(NAME_OF_CELL[cell]) for cell in cells], dtype=np.int64)
        nothing = np.full(len(features), np.nan)
        return Assignment(label, nothing, nothing.copy())

    def to_frame(self) -> pd.DataFrame:
        """The cuts as rows (component, position, name, field, value, text)."""
        both = {RECENCY: self.recency_cuts, FREQUENCY: self.frequency_cuts}
        rows = [
            (COMPONENT, p, name, f"quintile {i + 1}", v, None) for p, (name, cuts) in enumerate(both.items()) for i, v in enumerate(cuts)
        ]
        return pd.DataFrame(rows, columns=["component", "position", "name", "field", "value", "text"])

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> "GridModel":
        """The grid that `to_frame` wrote, in any row order."""
        rows = frame[frame["component"] == COMPONENT].sort_values(["name", "field"])
        by_name = {name: tuple(float(v) for v in own["value"]) for name, own in rows.groupby("name")}
        return cls(by_name[RECENCY], by_name[FREQUENCY])


def _cuts(values: pd.Series) -> tuple[float, ...]:
    scores, numbers = quintile(values), values.to_numpy(dtype=np.float64)
    return tuple(float(numbers[scores <= q].max()) if (scores <= q).any() else -math.inf for q in range(1, 5))
