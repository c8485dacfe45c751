"""Segments keep their identity when a model is retrained: old and new label the same customers, and are matched."""

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

SURVIVES_FROM = 0.5  # Jaccard overlap above which a segment is the same as before (MONIC; Spiliopoulou et al. 2006)


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


def transitions(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """Customers who moved between segments, with their revenue on both sides.

    Args:
        before, after: one row per customer: customer_id, segment_id, revenue.

    Returns:
        from_segment_id, to_segment_id (missing for entering and leaving), customers, revenue_before, revenue_after.
        Sums over rows and columns equal the segments' sizes and revenues on both sides.
    """
    sides = ["customer_id", "segment_id", "revenue"]
    both = before[sides].merge(after[sides], on="customer_id", how="outer", suffixes=("_before", "_after"))
    both = both.rename(columns={"segment_id_before": "from_segment_id", "segment_id_after": "to_segment_id"})
    pairs = ["from_segment_id", "to_segment_id"]
    both[pairs] = both[pairs].astype("Int64")
    moved = both.groupby(pairs, dropna=False, sort=True).agg(
        customers=("customer_id", "size"), revenue_before=("revenue_before", "sum"), revenue_after=("revenue_after", "sum")
    )
    return moved.reset_index().astype({"customers": np.int64, "revenue_before": float, "revenue_after": float})
