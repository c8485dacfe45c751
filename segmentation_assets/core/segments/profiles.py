"""Segments in numbers: sizes, revenue, and every feature compared with the population."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from segmentation_assets.core.customers.exploration import active_only
from segmentation_assets.core.customers.feature_catalog import FEATURES, Feature
from segmentation_assets.core.customers.matching import side_by_side
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


def segments(features: pd.DataFrame, assigned: pd.DataFrame, model: SegmentModel, declared: Sequence[Feature] = FEATURES) -> pd.DataFrame:
    """One row per segment: all segments of the model, even empty ones, and those by rule that have customers.

    Args:
        features: rows of customer_features; `assigned`: rows of customer_segments, one per customer in both.
        declared: the features that may mark a segment out.
    """
    joined = side_by_side(features, assigned[["customer_id", "segment_id", "segment_name"]])
    active = naming.Spread.of(active_only(joined))
    names = {s.segment_id: s.name for s in model.segments} | dict(zip(joined["segment_id"], joined["segment_name"], strict=True))
    spend = joined["monetary"] if "monetary" in joined else pd.Series(np.nan, joined.index)  # without orders, unknown
    revenue = float(spend.sum())
    rows = []
    for segment_id, name in names.items():
        members = joined[joined["segment_id"] == segment_id]
        spent = float(spend[members.index].sum(skipna=False))
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


def segment_profiles(features: pd.DataFrame, assigned: pd.DataFrame) -> pd.DataFrame:
    """One row per segment and numeric feature: mean, median, p10, p90, and the population's mean and sd (ddof 0)."""
    numeric = features.select_dtypes("number").columns
    joined = side_by_side(features, assigned[["customer_id", "segment_id"]])
    tables = []
    if joined.empty:
        return pd.DataFrame(columns=PROFILE_COLUMNS)
    everyone = naming.Spread.of(joined[numeric])
    for segment_id, members in joined.groupby("segment_id")[list(numeric)]:
        mean, tails = members.mean(), members.quantile([0.1, 0.9])
        tables.append(
            pd.DataFrame(
                {
                    "segment_id": segment_id,
                    "feature": numeric,
                    "mean": mean,
                    "median": members.median(),
                    "p10": tails.loc[0.1],
                    "p90": tails.loc[0.9],
                    "population_mean": everyone.mean,
                    "population_sd": everyone.sd,
                    "z": everyone.z_scores(mean),
                }
            )
        )
    return pd.concat(tables, ignore_index=True)
