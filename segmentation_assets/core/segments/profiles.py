"""Segments in numbers: sizes, revenue, and every feature compared with the population."""

from collections.abc import Sequence

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
    active = naming.Spread.of(active_only(joined))
    ids = joined["segment_id"]
    seen = ids.drop_duplicates()
    names = {s.segment_id: s.name for s in model.segments} | dict(zip(seen, joined["segment_name"].take(seen.index), strict=True))
    spend = joined["monetary"] if "monetary" in joined else pd.Series(np.nan, joined.index)  # without orders, unknown
    revenue = float(spend.sum())
    rows = []
    for segment_id, name in names.items():
        inside = ids == segment_id
        members, spent = joined[inside], float(spend[inside].sum(skipna=False))
        rows.append({
            "segment_id": segment_id, "segment_name": name,
            "description": " ".join([naming.description(members, active, segment_id, declared), *standing(segment_id, model)]),
            "customers": len(members), "share": len(members) / max(len(joined), 1),
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
    by_segment = np.argsort(ids, kind="stable")
    segments, starts = np.unique(ids[by_segment], return_index=True)
    rows = [
        (segment_id, name, *_location(values))
        for name in numeric
        for segment_id, values in zip(
            segments, np.split(joined[name].to_numpy(np.float64, na_value=np.nan)[by_segment], starts[1:]), strict=True
        )
    ]
    found = pd.DataFrame(rows, columns=PROFILE_COLUMNS[:6]).sort_values("segment_id", kind="stable", ignore_index=True)
    mean, sd, unit = (of.reindex(found["feature"]).to_numpy() for of in (everyone.mean, everyone.sd, everyone.unit))
    return found.assign(population_mean=mean, population_sd=sd, z=(found["mean"] - mean) / unit)


def _location(values: NDArray[np.float64]) -> tuple[float, float, float, float]:
    """Mean, median, p10 and p90 of what is known of values (n,); NaN if nothing is. The mean is pandas' to the last bit."""
    missing = np.isnan(values)
    known = values[~missing]
    if not known.size:
        return np.nan, np.nan, np.nan, np.nan
    p10, p90 = np.quantile(known, [0.1, 0.9])
    return float(np.where(missing, 0.0, values).sum() / known.size), float(np.median(known)), float(p10), float(p90)
