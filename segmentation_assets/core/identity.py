"""Segments keep their identity when a model is retrained: old and new label the same customers, and are matched."""

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
