"""Whether a segment's customers have slowed down or sped up: the change that its name may speak of.

A segment that is cut by recency collects customers who happen to be between two orders, and looks as if they were leaving. So a
pause at the end of the lookback is compared with a pause at its start, and each segment with its mirror image: the customers who would
be in it if time ran backwards. Steady customers, regular or not, are as often in the one as in the other, in any shop and at any rhythm.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segmentation_assets.core.clustering.prototypes import PrototypeModel
from segmentation_assets.core.customers.columns import AT_ONCE, Customers

NOW, THEN, GAP = "recency_days", "opening_pause_days", "mean_gap_days"
REVERSED = ("order_trend", "spend_trend")  # change their sign when time runs backwards
LATE = 1.1  # mean gaps; a pause that long is one that the customer's own rhythm does not explain, whatever the calendar does to months


@dataclass(frozen=True)
class Pace:
    """Shares of a segment's customers who have slowed down and who have sped up, beyond those whom chance explains.

    `slowed_z`, `quickened_z`: the same in standard errors, of the sign test that compares the segment with its mirror image.
    """

    slowed: float = 0.0
    slowed_z: float = 0.0
    quickened: float = 0.0
    quickened_z: float = 0.0


def paces(clusters: PrototypeModel, active: Customers, labels: NDArray[np.int64]) -> list[Pace | None]:
    """The pace of each cluster's customers; None for all where nobody had ordered before the lookback.

    Args:
        active: rows of customer_features (n,); `labels`: the cluster of each (n,).

    Judged are customers who had ordered before the lookback, and on at least two days of it: others have no rhythm of their own to compare.
    """
    nothing: list[Pace | None] = [None] * clusters.k
    if not {NOW, THEN, GAP} <= set(active.columns):
        return nothing
    judged = active[THEN].notna() & active[GAP].notna()
    if not judged.any():
        return nothing
    needed = list(dict.fromkeys([NOW, THEN, GAP, *(column.name for column in clusters.preprocessor.columns_)]))
    seen, cluster = active[judged][needed], labels[judged.to_numpy()]
    now, then, gap = (seen[name].to_numpy(dtype=np.float64) for name in (NOW, THEN, GAP))
    then = then + 1.0  # an order on the first day of the lookback mirrors one on its last, a day before the snapshot
    # Days without any order at either end, as of a late feed or a closed shop, are nobody's pause.
    late, early = active[NOW].min() - 1, active[THEN].min()
    now, then = now - late, then - early
    parts = [slice(start, start + AT_ONCE) for start in range(0, len(seen), AT_ONCE)]
    mirrored = np.concatenate([clusters.assign(_mirrored(seen.iloc[part], then[part] + late)).label for part in parts])
    slow, quick = (now > then) & (now > LATE * gap), (then > now) & (then > LATE * gap)
    sizes = np.bincount(labels[labels >= 0], minlength=clusters.k)

    def of(c: int) -> Pace:
        here, mirror = cluster == c, mirrored == c
        slowed = _excess(int((slow & here).sum()), int((quick & mirror).sum()), int(sizes[c]))
        quickened = _excess(int((quick & here).sum()), int((slow & mirror).sum()), int(sizes[c]))
        return Pace(*slowed, *quickened)

    return [of(c) for c in range(clusters.k)]


def _mirrored(seen: pd.DataFrame, then: NDArray[np.float64]) -> pd.DataFrame:
    """The customers as they would be if time ran backwards through the lookback."""
    there = {name: -seen[name] for name in REVERSED if name in seen.columns}
    return seen.assign(**{NOW: then, "overdue_ratio": then / seen[GAP]}, **there)


def _excess(found: int, by_chance: int, size: int) -> tuple[float, float]:
    """How many more than by chance, as a share of `size`, and in standard errors."""
    more = found - by_chance
    return max(more, 0) / max(size, 1), more / max(found + by_chance, 1) ** 0.5
