"""Segments keep their identity when a model is retrained: old and new label the same customers, and are matched."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from segmentation_assets.vocabulary import SegmentChange

SURVIVES_FROM = 0.5  # Jaccard overlap above which a segment is the same as before (MONIC; Spiliopoulou et al. 2006)
MOST, PART = 0.5, 0.25  # MONIC's thresholds: of whom most went to one place, and what counts as a part of a split or merger


def matched_clusters(before: pd.Series, after: pd.Series) -> dict[int, int]:
    """New cluster -> old segment id, where most of both are the same customers.

    Args:
        before: old segment id of each customer (n,).
        after: new cluster of the same customers, in the same order (n,).

    One to one, by the assignment of greatest total Jaccard overlap (Kuhn 1955), kept where it exceeds one half.
    """
    counts = pd.crosstab(before.to_numpy(), after.to_numpy())
    if counts.empty:
        return {}
    shared = counts.to_numpy()
    jaccard = shared / (shared.sum(1, keepdims=True) + shared.sum(0, keepdims=True) - shared)
    rows, columns = linear_sum_assignment(-jaccard)
    pairs = zip(rows, columns, strict=True)
    return {int(counts.columns[c]): int(counts.index[r]) for r, c in pairs if jaccard[r, c] > SURVIVES_FROM}


def segment_ids(clusters: int, matched: dict[int, int], highest_ever: int) -> list[int]:
    """The id of each cluster: its predecessor's where it survives, else one that was never used."""
    fresh = iter(range(highest_ever + 1, highest_ever + 1 + clusters))
    return [int(matched[c]) if c in matched else next(fresh) for c in range(clusters)]


@dataclass(frozen=True)
class SegmentEvent:
    """What became of segments: their ids before and after, and the share of customers that says so.

    `overlap` is, for survival, the Jaccard overlap; for a split, the share of the old segment that went to the parts; for a
    merger, the share of the new one that came from the parts; for a birth (death), the largest share that came from (went
    to) any one segment. Empty for a change of character, and for a segment without customers.
    """

    event: SegmentChange
    before: tuple[int, ...]
    after: tuple[int, ...]
    overlap: float = float("nan")


def segment_events(
    labels_before: pd.Series, labels_after: pd.Series, old: Sequence[int], new: Sequence[int], highest: int
) -> list[SegmentEvent]:
    """What became of the segments `old` in the model with segments `new`, after MONIC (Spiliopoulou et al. 2006).

    Args:
        labels_before, labels_after: segment id of the same customers (n,) by the model before and by the one now.
        old, new: all segment ids of either model, those without customers too. An id that both have is the same segment.
        highest: the highest id given before; one up to it that is new here comes back with an earlier model.

    A segment that keeps most of itself in a split, or makes up most of a merger, keeps its id and is among the parts.
    """
    old, new = sorted(old), sorted(new)
    counts = pd.crosstab(labels_before.to_numpy(), labels_after.to_numpy()) if len(labels_before) else pd.DataFrame()
    shared = counts.reindex(index=old, columns=new, fill_value=0).to_numpy(dtype=np.float64)
    went, came = _shares(shared, axis=1), _shares(shared, axis=0)  # of each old segment, and of each new one
    union = shared.sum(axis=1, keepdims=True) + shared.sum(axis=0, keepdims=True) - shared
    jaccard = np.divide(shared, union, out=np.full_like(shared, np.nan), where=union > 0)
    found: list[SegmentEvent] = []
    for row, segment in enumerate(old):
        parts = np.flatnonzero((came[row] >= MOST) & (went[row] >= PART)).tolist()
        if len(parts) > 1:
            found.append(SegmentEvent(SegmentChange.SPLIT, (segment,), tuple(new[c] for c in parts), float(went[row, parts].sum())))
    for column, segment in enumerate(new):
        parts = np.flatnonzero((went[:, column] >= MOST) & (came[:, column] >= PART)).tolist()
        if len(parts) > 1:
            found.append(SegmentEvent(SegmentChange.MERGED, tuple(old[r] for r in parts), (segment,), float(came[parts, column].sum())))
    gone, made = {i for e in found for i in e.before}, {i for e in found for i in e.after}
    for row, segment in enumerate(old):
        if segment in new and not {segment} & (gone | made):
            found.append(SegmentEvent(SegmentChange.SURVIVED, (segment,), (segment,), float(jaccard[row, new.index(segment)])))
        elif segment not in new and segment not in gone:
            found.append(SegmentEvent(SegmentChange.DIED, (segment,), (), _largest(went[row])))
    for column, segment in enumerate(new):
        if segment not in old and segment not in made:
            event = SegmentChange.BORN if segment > highest else SegmentChange.RESTORED
            found.append(SegmentEvent(event, (), (segment,), _largest(came[:, column])))
    return sorted(found, key=lambda e: (e.event, e.before, e.after))


def changed_characters(before: Mapping[int, str], now: Mapping[int, str]) -> list[SegmentEvent]:
    """Segments that are there before and now, and whose typical customer has become another."""
    return [SegmentEvent(SegmentChange.CHARACTER, (i,), (i,)) for i in sorted(set(before) & set(now)) if before[i] != now[i]]


def _largest(shares: NDArray[np.float64]) -> float:
    """The largest of a segment's shares; NaN where it has no customers who could have come from, or gone, anywhere."""
    return float(shares.max()) if shares.any() else float("nan")


def _shares(shared: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    totals = shared.sum(axis=axis, keepdims=True)
    return np.divide(shared, totals, out=np.zeros_like(shared), where=totals > 0)
