"""Segments in numbers: sizes, revenue, and every feature compared with the population."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segmentation_assets.core.customers.columns import CustomerColumns
from segmentation_assets.core.customers.exploration import active_only
from segmentation_assets.core.customers.feature_catalog import FEATURES, Feature
from segmentation_assets.core.customers.matching import together
from segmentation_assets.core.model import naming
from segmentation_assets.core.model.segment_model import SegmentModel
from segmentation_assets.vocabulary import Tier

SEGMENT_COLUMNS = ["segment_id", "segment_name", "description", "customers", "share", "revenue", "revenue_share"]
# What a segment is, by the tier of its model, so that nobody mistakes a cut through a continuum for a discovery.
STANDINGS: dict[str, list[str]] = {
    Tier.DISTINCT: ["A distinct segment."],
    Tier.CONVENIENT: ["Part of a convenient partition, not a distinct segment."],
    Tier.GRID: ["Cells of a grid, not a distinct segment; its name stands for ranks or cut points, not for a change."],
}
PROFILE_COLUMNS = ["segment_id", "feature", "mean", "median", "p10", "p90", "population_mean", "population_sd", "z"]


def segments(
    features: CustomerColumns, assigned: CustomerColumns, model: SegmentModel, declared: Sequence[Feature] = FEATURES
) -> pd.DataFrame:
    """One row per segment: all segments of the model, even empty ones, and those by rule that have customers.

    Args:
        features: rows of customer_features; `assigned`: rows of customer_segments, one per customer in both.
        declared: the features that may mark a segment out.
    """
    joined = together(features, assigned.only("customer_id", "segment_id", "segment_name"))
    numeric = list(features.select_dtypes("number").columns)
    active = naming.Spread.of(active_only(joined).only(*numeric))
    ids = joined["segment_id"]
    seen = ids.drop_duplicates()
    names = {s.segment_id: s.name for s in model.segments} | dict(zip(seen, joined["segment_name"].take(seen.index), strict=True))
    spend = joined["monetary"] if "monetary" in joined else pd.Series(np.nan, joined.index)  # without orders, unknown
    revenue = float(spend.sum())
    members = _members(joined.only(*numeric), ids.to_numpy())
    rows = []
    for segment_id, name in names.items():
        spent = float(spend[ids == segment_id].sum(skipna=False))
        own = members.get(segment_id, naming.Members(0, {}, {}, {}))
        rows.append({
            "segment_id": segment_id, "segment_name": name,
            "description": " ".join([naming.description(own, active, segment_id, declared), *standing(segment_id, model)]),
            "customers": own.customers, "share": own.customers / max(len(joined), 1),
            "revenue": spent, "revenue_share": spent / revenue if revenue > 0 else np.nan,
        })  # fmt: skip
    return pd.DataFrame(rows, columns=SEGMENT_COLUMNS).assign(model_version=model.provenance.model_version)


def standing(segment_id: int, model: SegmentModel) -> list[str]:
    """What is said of a segment by model beside its figures: how its customers change, if its name says so, and what it is by its tier."""
    change = [words for s in model.segments if s.segment_id == segment_id for words in naming.told(s.pace, s.character)]
    return [*change, *STANDINGS.get(model.provenance.tier, [])] if segment_id > 0 else []


def segment_profiles(features: CustomerColumns, assigned: CustomerColumns) -> pd.DataFrame:
    """One row per segment and numeric feature: mean, median, p10, p90, and the population's mean and sd (ddof 0)."""
    numeric = list(features.select_dtypes("number").columns)
    joined = together(features, assigned.only("customer_id", "segment_id"))
    if joined.empty:
        return pd.DataFrame(columns=PROFILE_COLUMNS)
    everyone, ids = naming.Spread.of(joined.only(*numeric)), joined["segment_id"].to_numpy()
    rows = [
        (segment_id, name, mean, median, *_tails(values))
        for name, of_segments in _by_segment(joined.only(*numeric), ids)
        for segment_id, values in of_segments.items()
        for mean, _, median in (naming.location(values),)
    ]
    found = pd.DataFrame(rows, columns=PROFILE_COLUMNS[:6]).sort_values("segment_id", kind="stable", ignore_index=True)
    mean, sd, unit = (of.reindex(found["feature"]).to_numpy() for of in (everyone.mean, everyone.sd, everyone.unit))
    return found.assign(population_mean=mean, population_sd=sd, z=(found["mean"] - mean) / unit)


def _members(joined: CustomerColumns, ids: NDArray[np.int64]) -> dict[int, naming.Members]:
    """The figures of the customers of each segment: `joined` are numeric features (n rows), `ids` their segments (n,)."""
    found = {name: {i: naming.location(values) for i, values in own.items()} for name, own in _by_segment(joined, ids)}
    sizes = dict(zip(*np.unique(ids, return_counts=True), strict=True))
    return {
        segment_id: naming.Members(size, *({name: own[segment_id][figure] for name, own in found.items()} for figure in range(3)))
        for segment_id, size in sizes.items()
    }


def _by_segment(joined: CustomerColumns, ids: NDArray[np.int64]) -> Iterator[tuple[str, dict[int, NDArray[np.float64]]]]:
    """Each column with its values in each segment, one column after the other."""
    order = np.argsort(ids, kind="stable")
    segments, starts = np.unique(ids[order], return_index=True)
    for name in joined.columns:
        values = joined[name].to_numpy(np.float64, na_value=np.nan)[order]
        yield name, dict(zip(segments.tolist(), np.split(values, starts[1:]), strict=False))  # of nobody there is one part, an empty one


def _tails(values: NDArray[np.float64]) -> tuple[float, float]:
    """p10 and p90 of what is known of values (n,); NaN if nothing is."""
    known = values[~np.isnan(values)]
    p10, p90 = np.quantile(known, [0.1, 0.9]) if known.size else (np.nan, np.nan)
    return float(p10), float(p90)
