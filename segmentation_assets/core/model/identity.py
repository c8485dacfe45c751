"""Keeps the identity of segments when a model is retrained: both models label the same customers, and segments are matched."""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segmentation_assets.core.customers.columns import Customers
from segmentation_assets.vocabulary import SegmentChange

TENURE = "tenure_days"  # a feature of all active customers, if the source has orders
SURVIVES_FROM = 0.5  # Jaccard overlap above which a segment is the same as before (MONIC; Spiliopoulou et al. 2006)
MOST, PART = 0.5, 0.1  # share that counts as most of a segment (MONIC), and the least share that counts as a part in a split or merger


def matched_clusters(before: pd.Series, after: pd.Series) -> dict[int, int]:
    """New cluster -> old segment id, if most of both are the same customers.

    Args:
        before: old segment id of each customer (n,).
        after: new cluster of the same customers, in the same order (n,).

    One to one, by the assignment with the greatest total Jaccard overlap (Kuhn 1955); only pairs that overlap by more than half.
    """
    from scipy.optimize import linear_sum_assignment

    counts = pd.crosstab(before.to_numpy(), after.to_numpy())
    if counts.empty:
        return {}
    shared = counts.to_numpy()
    jaccard = shared / (shared.sum(1, keepdims=True) + shared.sum(0, keepdims=True) - shared)
    rows, columns = linear_sum_assignment(-jaccard)
    pairs = zip(rows, columns, strict=True)
    return {int(counts.columns[c]): int(counts.index[r]) for r, c in pairs if jaccard[r, c] > SURVIVES_FROM}


def segment_ids(clusters: int, matched: dict[int, int], highest_ever: int) -> list[int]:
    """The id of each cluster: that of the segment that survives in it, else one never used before."""
    fresh = iter(range(highest_ever + 1, highest_ever + 1 + clusters))
    return [int(matched[c]) if c in matched else next(fresh) for c in range(clusters)]


@dataclass(frozen=True)
class SegmentEvent:
    """What became of segments: their ids before and after, and the share of customers behind it.

    `overlap` is, for survival, the Jaccard overlap; for a split, the share of the old segment that went to the parts; for a
    merger, the share of the new one that came from the parts; for a birth (death), the largest share that came from (went
    to) any one segment. NaN for a change of character or name, and for a segment without customers. `newcomers` counts the customers
    of a new segment who came after the previous model was trained. `moved`: a segment survived because its customers moved together.
    """

    event: SegmentChange
    before: tuple[int, ...]
    after: tuple[int, ...]
    overlap: float = float("nan")
    newcomers: int = 0
    moved: bool = False


def known_before(active: Customers, as_of: dt.date, fitted_snapshot: str) -> pd.Series:
    """Which of the active customers (n rows of customer_features) had already bought when a model was fitted at that snapshot; all of
    them without orders, because then it is not known since when they have been customers."""
    if TENURE not in active:
        return pd.Series(True, index=active.index)
    return active[TENURE] > (as_of - dt.date.fromisoformat(fitted_snapshot)).days


@dataclass(frozen=True, eq=False)
class Flow:
    """How customers of the old segments (rows) are spread over the new ones (columns): `went` are shares of the old segment, `came` of
    the new one. `left` counts the customers of each old segment."""

    went: NDArray[np.float64]
    came: NDArray[np.float64]
    jaccard: NDArray[np.float64]
    left: NDArray[np.float64]

    @classmethod
    def of(cls, before: pd.Series, after: pd.Series, old: Sequence[int], new: Sequence[int]) -> "Flow":
        """From the old and the new segment of customers (n,); segments not in `old` or `new` count only in the totals."""
        counts = pd.crosstab(before.to_numpy(), after.to_numpy()) if len(before) else pd.DataFrame()
        shared = counts.reindex(index=old, columns=new, fill_value=0).to_numpy(dtype=np.float64)
        left = counts.sum(axis=1).reindex(old, fill_value=0).to_numpy(dtype=np.float64)[:, None]
        reached = counts.sum(axis=0).reindex(new, fill_value=0).to_numpy(dtype=np.float64)[None, :]
        jaccard = _share(shared, left + reached - shared, np.nan)
        return cls(_share(shared, left, 0.0), _share(shared, reached, 0.0), jaccard, left[:, 0])

    def origin(self, column: int) -> int | None:
        """The old segment from which most of the new one came, if a sizeable part of the old one did."""
        row = int(self.came[:, column].argmax()) if len(self.came) else 0
        return row if len(self.came) and self.came[row, column] >= MOST and self.went[row, column] >= PART else None

    def fate(self, row: int) -> int | None:
        """The new segment to which most of the old one went, if they are a sizeable part of the new one."""
        column = int(self.went[row].argmax()) if self.went.shape[1] else 0
        return column if self.went.shape[1] and self.went[row, column] >= MOST and self.came[row, column] >= PART else None


def segment_events(
    models: Flow,
    moved: Flow | None,
    old: Sequence[int],
    new: Sequence[int],
    highest: int,
    newcomers: Mapping[int, int],
    together: Collection[int] = (),
) -> list[SegmentEvent]:
    """What became of the segments `old` in the model with segments `new`, after MONIC (Spiliopoulou et al. 2006).

    A new segment is part of a split if most of it came from one old segment; an old segment was merged if most of it went to a new one
    that others make up too. Of a segment that continues, a part must have stayed in it, else it had no share in the split or merger.

    Args:
        models: the same customers at the same snapshot, as each model places them.
        moved: customers as placed a lookback ago, when the features did not yet cover today's window, and as placed now. It goes
            first, because groups that have come to behave alike share a place in both models today. None if not known.
        old, new: all segment ids of each model, ascending. The same id in both is the same segment.
        highest: the highest id given before; a new segment with an id up to it comes back with an earlier model.
        newcomers: new segments that consist mostly of customers not known before, with the number of these.
        together: segments that kept their id because their customers moved together.
    """
    begun = {segment: _begun(models, moved, column) for column, segment in enumerate(new) if segment not in old}
    ended = {segment: _ended(models, moved, row) for row, segment in enumerate(old) if segment not in new}
    found: list[SegmentEvent] = []
    for row, segment in enumerate(old):
        parts = [i for i, (origin, _) in begun.items() if origin == row and i not in newcomers]
        flow = begun[parts[0]][1] if parts else models
        stayed = segment in new and flow.went[row, new.index(segment)] >= PART
        if len(parts) + stayed > 1 and parts:
            columns = [new.index(i) for i in sorted([*parts, *([segment] if stayed else [])])]
            share = float(flow.went[row, columns].sum())
            found.append(SegmentEvent(SegmentChange.SPLIT, (segment,), tuple(new[c] for c in columns), share))
    for column, segment in enumerate(new):
        parts = [i for i, (fate, _) in ended.items() if fate == column]
        flow = ended[parts[0]][1] if parts else models
        stayed = segment in old and flow.came[old.index(segment), column] >= PART
        if len(parts) + stayed > 1 and parts:
            rows = [old.index(i) for i in sorted([*parts, *([segment] if stayed else [])])]
            share = float(flow.came[rows, column].sum())
            found.append(SegmentEvent(SegmentChange.MERGED, tuple(old[r] for r in rows), (segment,), share))
    gone, made = {i for e in found for i in e.before}, {i for e in found for i in e.after}
    for row, segment in enumerate(old):
        if segment in new and not {segment} & (gone | made):
            overlap = float(models.jaccard[row, new.index(segment)])
            found.append(SegmentEvent(SegmentChange.SURVIVED, (segment,), (segment,), overlap, moved=segment in together))
        elif segment not in new and segment not in gone:
            found.append(SegmentEvent(SegmentChange.DIED, (segment,), (), _largest((moved or models).went[row])))
    for column, segment in enumerate(new):
        if segment not in old and segment not in made:
            event = SegmentChange.BORN if segment > highest else SegmentChange.RESTORED
            found.append(SegmentEvent(event, (), (segment,), _largest(models.came[:, column]), newcomers.get(segment, 0)))
    return sorted(found, key=lambda e: (e.event, e.before, e.after))


def _begun(models: Flow, moved: Flow | None, column: int) -> tuple[int | None, Flow]:
    """Row of the segment from which a new one came (None if none), and the flow that shows it."""
    if moved is not None and moved.origin(column) is not None:
        return moved.origin(column), moved
    return models.origin(column), models


def _ended(models: Flow, moved: Flow | None, row: int) -> tuple[int | None, Flow]:
    """Column of the segment to which an old one went (None if none), and the flow that shows it. If most of its customers went to no
    segment, it died."""
    if moved is not None and (moved.fate(row) is not None or (moved.left[row] > 0 and moved.went[row].sum() < MOST)):
        return moved.fate(row), moved
    return models.fate(row), models


def judged_anew(before: Mapping[int, tuple[str, str]], now: Mapping[int, tuple[str, str]]) -> list[SegmentEvent]:
    """Segments that exist before and now, and have another character, or only another name. Both are given as (character, name)."""
    changed = ((i, before[i][0] != now[i][0]) for i in sorted(set(before) & set(now)) if before[i] != now[i])
    return [SegmentEvent(SegmentChange.CHARACTER if character else SegmentChange.RENAMED, (i,), (i,)) for i, character in changed]


def _largest(shares: NDArray[np.float64]) -> float:
    """The largest of a segment's shares; NaN if all are 0."""
    return float(shares.max()) if shares.any() else float("nan")


def _share(part: NDArray[np.float64], whole: NDArray[np.float64], of_nobody: float) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.full_like(part, of_nobody), where=whole > 0)
