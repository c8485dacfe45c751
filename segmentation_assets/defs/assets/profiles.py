"""Interpret: the segments in words and numbers, and which features they are made of."""

import math

import dagster as dg
import ibis.expr.types as ir
import pandas as pd

from segmentation_assets.core.choice.grid_model import GridModel
from segmentation_assets.core.clustering.feature_columns import NumericColumn
from segmentation_assets.core.clustering.prototypes import PrototypeModel
from segmentation_assets.core.customers import sensitive
from segmentation_assets.core.customers.feature_choices import Treatment
from segmentation_assets.core.customers.feature_choices import choices as decisions
from segmentation_assets.core.customers.features import described
from segmentation_assets.core.customers.matching import side_by_side
from segmentation_assets.core.model.rows import model_from_rows
from segmentation_assets.core.segments import profiles
from segmentation_assets.core.segments.why import CUT
from segmentation_assets.defs import markdown
from segmentation_assets.defs.table import OUTPUT, table
from segmentation_assets.settings.loading import Settings
from segmentation_assets.store.lake import to_frame
from segmentation_assets.tables.application import SEGMENT_PROFILES, SEGMENTS
from segmentation_assets.tables.exploration import FEATURE_CHOICES, SENSITIVE_PROXIES

GROUP = "interpret"


@table(SEGMENTS, group=GROUP, kinds={"pandas", "parquet"})
def segments(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    customer_features: pd.DataFrame,
    customer_segments: pd.DataFrame,
    segmentation_model: pd.DataFrame,
) -> pd.DataFrame:
    """Name, size, revenue and one sentence on what distinguishes the segment. Shares sum to one over all segments."""
    model = model_from_rows(segmentation_model)
    about = model.provenance
    found = profiles.segments(
        customer_features, customer_segments, model, described(settings.features, customer_features, settings.attributes)
    )
    shown = found[["segment_name", "customers", "share", "revenue_share", "description"]]
    context.add_asset_metadata(
        {
            "segments": dg.MetadataValue.md(markdown.table(shown, markdown.SENTENCE)),
            "number of segments": len(found),
            "tier": about.tier,
            "tier reason": about.tier_reason,
        }
    )
    return found


@table(SEGMENT_PROFILES, group=GROUP, kinds={"pandas", "parquet"})
def segment_profiles(customer_features: pd.DataFrame, customer_segments: pd.DataFrame) -> pd.DataFrame:
    """Every numeric feature in every segment, compared with all known customers."""
    return profiles.segment_profiles(customer_features, customer_segments)


@table(SENSITIVE_PROXIES, group=GROUP, kinds={"pandas", "parquet"})
def sensitive_proxies(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    customer_features: ir.Table,
    customer_segments: ir.Table,
) -> pd.DataFrame:
    """Which features, and whether the segments, tell a sensitive attribute (privacy.sensitive) that is kept out of the model."""
    asked = settings.privacy
    if not asked.sensitive:
        return pd.DataFrame(columns=sensitive.COLUMNS)
    segment_of = side_by_side(to_frame(customer_features), to_frame(customer_segments.select("customer_id", "segment_id")))
    found = sensitive.proxies(segment_of, asked.sensitive, asked.proxy_association, settings.model.features)
    context.add_output_metadata({"proxies": dg.MetadataValue.md(markdown.bullets(sensitive.sentences(found)))}, output_name=OUTPUT)
    return found


@table(FEATURE_CHOICES, group=GROUP, kinds={"pandas", "parquet"})
def feature_choices(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    customer_features: pd.DataFrame,
    feature_correlations: pd.DataFrame,
    segmentation_model: pd.DataFrame,
) -> pd.DataFrame:
    """Which features customers are clustered by, with how much weight, and why the others are left out."""
    clusters, ask = model_from_rows(segmentation_model).clusters, settings.model
    fitted = clusters.preprocessor.columns_ if isinstance(clusters, PrototypeModel) else ()
    treated = {
        column.name: Treatment(column.transform if isinstance(column, NumericColumn) else "category", column.weight) for column in fitted
    }
    if isinstance(clusters, GridModel):
        treated = {name: Treatment("bins", math.nan) for name in CUT}
    sensitive, shared = settings.privacy.sensitive, not settings.source.has_orders
    found = decisions(customer_features, feature_correlations, ask, treated, sensitive, settings.outcome, shared)
    entering = found[found["enters"]].drop(columns="enters")
    context.add_output_metadata({"clustered by": dg.MetadataValue.md(markdown.table(entering, markdown.SENTENCE))}, output_name=OUTPUT)
    return found
