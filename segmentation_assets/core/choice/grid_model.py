"""A grid of recency, frequency and spend as a model: cut points, given or learnt once, and applied at any snapshot.

Belongs here: storing and applying the cuts. `rfm_grid` cuts the named recency x frequency grid and names its cells.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from segmentation_assets.core.choice.rfm_grid import NAME_OF_CELL, NAMES, binned
from segmentation_assets.core.clustering.prototypes import Assignment
from segmentation_assets.core.customers.columns import Customers
from segmentation_assets.settings.model import GridSettings

RECENCY, FREQUENCY, MONETARY = "recency_days", "frequency", "monetary"
COMPONENT, CELL = "grid cut", "grid cell"
NAMED_CELLS = tuple(NAME_OF_CELL[recency, frequency] for recency, frequency in product(range(1, 6), range(1, 6)))


@dataclass(frozen=True)
class GridModel:
    """`*_cuts`: the highest value in each bin but the last. `cells`: the name of each cell, ordered by its bins of recency (from the
    least recent), frequency and spend. Label c is `names[c]`. By default, the named grid of quintiles."""

    recency_cuts: tuple[float, ...]
    frequency_cuts: tuple[float, ...]
    monetary_cuts: tuple[float, ...] = ()
    cells: tuple[str, ...] = NAMED_CELLS
    algorithm: str = "rfm_grid"

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the segments, even if some have no customers."""
        return NAMES if self.cells == NAMED_CELLS else tuple(dict.fromkeys(self.cells))

    @property
    def k(self) -> int:
        """The number of names."""
        return len(self.names)

    @property
    def bins(self) -> tuple[int, int, int]:
        """The number of bins of recency, frequency and spend."""
        return len(self.recency_cuts) + 1, len(self.frequency_cuts) + 1, len(self.monetary_cuts) + 1

    @classmethod
    def fit(cls, features: Customers, settings: GridSettings | None = None) -> "GridModel":
        """Learn the cuts that the settings do not give from `features` (n active customers, with the columns that have several bins)."""
        asked = settings or GridSettings()
        given = {RECENCY: asked.recency_days, FREQUENCY: asked.frequency, MONETARY: asked.monetary}
        recency, frequency, monetary = (
            tuple(map(float, cuts)) if isinstance(cuts, tuple) else _quantiles(features[name], cuts) if cuts > 1 else ()
            for name, cuts in given.items()
        )
        return cls(recency, frequency, monetary, _cell_names(asked))

    def assign(self, features: Customers) -> Assignment:
        """Label of each customer; a grid has no distances, so distance and confidence are NaN."""
        recency, orders, spend = (
            np.searchsorted(cuts, features[name].to_numpy(dtype=np.float64), side="left") if cuts else np.zeros(len(features), np.int64)
            for name, cuts in self._cuts().items()
        )
        most_recent, frequencies, spends = self.bins
        cell = ((most_recent - 1 - recency) * frequencies + orders) * spends + spend
        labels = np.array([self.names.index(name) for name in self.cells], dtype=np.int64)
        nothing = np.full(len(features), np.nan)
        return Assignment(labels[cell], nothing, nothing.copy())

    def bins_of(self, customer: pd.DataFrame) -> dict[str, tuple[float | None, float | None]]:
        """By feature that has several bins, the cut point below the bin of the customer (one row), and that at its upper end."""
        found: dict[str, tuple[float | None, float | None]] = {}
        for name, cuts in self._cuts().items():
            if cuts:
                place = int(np.searchsorted(cuts, float(customer[name].iloc[0]), side="left"))
                found[name] = (cuts[place - 1] if place else None, cuts[place] if place < len(cuts) else None)
        return found

    def usual_name(self, name: str) -> str:
        """The name in the grid of quintiles at the place, on average, of the cells with this name."""
        own = [cell for cell, found in zip(product(*map(range, self.bins)), self.cells, strict=True) if found == name]
        recency, orders, _ = ((np.array(places) + 0.5).mean() for places in zip(*own, strict=True))
        places = [math.ceil(5 * place / bins) for place, bins in zip((recency, orders), self.bins, strict=False)]
        return NAME_OF_CELL[places[0], places[1]]

    def to_frame(self) -> pd.DataFrame:
        """The cuts, and the cells of a grid of one's own, as rows (component, position, name, field, value, text)."""
        cuts = [
            (COMPONENT, p, name, f"quintile {i + 1}", v, None)
            for p, (name, cuts) in enumerate(self._cuts().items())
            for i, v in enumerate(cuts)
        ]
        own = [] if self.cells == NAMED_CELLS else list(zip(_codes(self.bins), self.cells, strict=True))
        cells = [(CELL, position, name, code, math.nan, name) for position, (code, name) in enumerate(own)]
        return pd.DataFrame([*cuts, *cells], columns=["component", "position", "name", "field", "value", "text"])

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> "GridModel":
        """The grid that `to_frame` wrote, in any row order."""
        rows = frame[frame["component"] == COMPONENT].sort_values(["name", "field"])
        by_name = {name: tuple(float(v) for v in own["value"]) for name, own in rows.groupby("name")}
        cells = tuple(frame[frame["component"] == CELL].sort_values("position")["text"])
        recency, frequency, monetary = (by_name.get(name, ()) for name in (RECENCY, FREQUENCY, MONETARY))
        return cls(recency, frequency, monetary, cells or NAMED_CELLS)

    def _cuts(self) -> Mapping[str, tuple[float, ...]]:
        return {RECENCY: self.recency_cuts, FREQUENCY: self.frequency_cuts, MONETARY: self.monetary_cuts}


def _quantiles(values: pd.Series, bins: int) -> tuple[float, ...]:
    scores, numbers = binned(values, bins), values.to_numpy(dtype=np.float64)
    return tuple(float(numbers[scores <= q].max()) if (scores <= q).any() else -math.inf for q in range(1, bins))


def _codes(bins: tuple[int, int, int]) -> list[str]:
    """The code of each cell, in the order of `GridModel.cells`."""
    return ["".join(str(place + 1) for place in cell) for cell in product(*map(range, bins))]


def _cell_names(asked: GridSettings) -> tuple[str, ...]:
    if not asked.names and asked.bins == (5, 5, 1):
        return NAMED_CELLS
    return tuple(_named(code, asked.names) for code in _codes(asked.bins))


def _named(code: str, names: Mapping[str, str]) -> str:
    """The name of a cell: that of the first pattern that fits, else its code."""
    fitting = (name for pattern, name in names.items() if all(digit in {"*", own} for digit, own in zip(pattern, code, strict=True)))
    return next(fitting, f"Cell {code}")
