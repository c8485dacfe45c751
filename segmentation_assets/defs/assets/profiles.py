"""Interpret: the segments in words and numbers, who is in them, the rule that finds them, and which features they are made of."""

import math

import dagster as dg
import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from segmentation_assets.core.choice.grid_model import GridModel
from segmentation_assets.core.clustering.feature_columns import NumericColumn
from segmentation_assets.core.clustering.prototypes import PrototypeModel
from segmentation_assets.core.customers import sensitive
from segmentation_assets.core.customers.activity import purchases_by_category
from segmentation_assets.core.customers.calendar import Lookback
from segmentation_assets.core.customers.columns import CustomerColumns
from segmentation_assets.core.customers.exploration import active_only
from segmentation_assets.core.customers.feature_choices import Treatment
from segmentation_assets.core.customers.feature_choices import choices as decisions
from segmentation_assets.core.customers.features import declared, described
from segmentation_assets.core.customers.matching import together
from segmentation_assets.core.model.rows import model_from_rows
from segmentation_assets.core.segments import own, portraits, profiles, rules
from segmentation_assets.core.segments.why import CUT
from segmentation_assets.defs import markdown
from segmentation_assets.defs.partitions import LOOKBACK, Input
from segmentation_assets.defs.table import OUTPUT, Made, snapshot_date, table, tables
from segmentation_assets.settings.loading import Settings
from segmentation_assets.store.lake import Lake
from segmentation_assets.tables.application import SEGMENT_PROFILES, SEGMENTS
from segmentation_assets.tables.exploration import FEATURE_CHOICES, SENSITIVE_PROXIES
from segmentation_assets.tables.features import CUSTOMER_CATEGORY_ACTIVITY, CUSTOMER_FEATURES
from segmentation_assets.tables.model import SEGMENTATION_MODEL
from segmentation_assets.tables.portraits import SEGMENT_ATTRIBUTES, SEGMENT_CATEGORIES, SEGMENT_EXAMPLES, SEGMENT_RULES
from segmentation_assets.tables.segments import CUSTOMER_SEGMENTS
from segmentation_assets.vocabulary import Status

GROUP = "interpret"


@table(SEGMENTS, group=GROUP, kinds={"pandas", "parquet"})
def segments(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    customer_features: CustomerColumns,
    customer_segments: CustomerColumns,
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
def segment_profiles(customer_features: CustomerColumns, customer_segments: CustomerColumns) -> pd.DataFrame:
    """Every numeric feature in every segment, compared with all known customers."""
    return profiles.segment_profiles(customer_features, customer_segments)


@table(SENSITIVE_PROXIES, group=GROUP, kinds={"pandas", "parquet"})
def sensitive_proxies(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    customer_features: CustomerColumns,
    customer_segments: CustomerColumns,
) -> pd.DataFrame:
    """Which features, and whether the segments, tell a sensitive attribute (privacy.sensitive) that is kept out of the model."""
    asked = settings.privacy
    if not asked.sensitive:
        return pd.DataFrame(columns=sensitive.COLUMNS)
    segment_of = together(customer_features, customer_segments.only("customer_id", "segment_id"))
    found = sensitive.proxies(segment_of, asked.sensitive, asked.proxy_association, settings.model.features)
    context.add_output_metadata({"proxies": dg.MetadataValue.md(markdown.bullets(sensitive.sentences(found)))}, output_name=OUTPUT)
    return found


MADE_FROM = (CUSTOMER_FEATURES.name, CUSTOMER_SEGMENTS.name)


@tables(
    Made(
        SEGMENT_ATTRIBUTES, GROUP, {"duckdb", "parquet"}, MADE_FROM,
        "Which levels of the attributes are more and less common in a segment than among all active customers.",
    ),
    Made(
        SEGMENT_CATEGORIES, GROUP, {"duckdb", "parquet"}, (CUSTOMER_CATEGORY_ACTIVITY.name, *MADE_FROM),
        "Which product categories are.",
    ),
    Made(SEGMENT_EXAMPLES, GROUP, {"pandas", "parquet"}, (*MADE_FROM, SEGMENTATION_MODEL.name), "A few typical customers of each segment."),
    Made(
        SEGMENT_RULES, GROUP, {"scikitlearn", "parquet"}, (*MADE_FROM, SEGMENTATION_MODEL.name),
        "A short SQL condition that finds the segment's customers, with held-out precision and recall.",
    ),
    name="portraits",
    ins={CUSTOMER_CATEGORY_ACTIVITY.name: Input(LOOKBACK)},
)  # fmt: skip
def segment_portraits(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    lake: dg.ResourceParam[Lake],
    customer_features: ir.Table,
    customer_segments: ir.Table,
    customer_category_activity: ir.Table,
    segmentation_model: pd.DataFrame,
) -> dict[str, pd.DataFrame]:
    """They share one reading of the active customers with their segments."""
    model = model_from_rows(segmentation_model)
    placed = customer_segments.group_by("segment_id", "segment_name").agg(customers=ibis._.count()).to_pyarrow().to_pandas()
    names = placed.set_index("segment_id")["segment_name"]
    active = customer_features.filter(customer_features.status == Status.ACTIVE)
    active = active.drop(*({"segment_id"} & set(active.columns))).inner_join(
        customer_segments.select("customer_id", "segment_id"), "customer_id"
    )
    hidden = settings.privacy.sensitive
    computed = {feature.name for feature in declared(settings.features)}
    inputs = [name for name in settings.model.features if name in active.columns]
    rows, places = (lake.columns(contract, context.partition_key) for contract in (CUSTOMER_FEATURES, CUSTOMER_SEGMENTS))
    known = active_only(together(rows, places.only("customer_id", "segment_id")))
    one_by_one = settings.privacy.smallest_cell > 1  # a figure of one customer is one of few
    told = known.at(np.empty(0, np.int64)) if one_by_one else known
    lookback = Lookback.of(snapshot_date(context), settings.snapshots, settings.features)
    bought = lake.engine.kept(purchases_by_category(customer_category_activity, lookback))
    found = {
        SEGMENT_ATTRIBUTES.name: portraits.attributes(active, {*computed, *hidden}, settings.level_orders),
        SEGMENT_CATEGORIES.name: portraits.categories(bought, active),
        SEGMENT_EXAMPLES.name: portraits.examples(told, model, hidden, settings.model.seed),
    }
    learnt = rules.learnt_rules(known, inputs, settings.rules, settings.model.categorical, settings.model.seed)
    named = {name: rows.assign(segment_name=rows["segment_id"].map(names)) for name, rows in found.items()}
    return {**named, SEGMENT_RULES.name: _rules(settings, placed, learnt, own.placed(customer_features, customer_segments))}


def _rules(settings: Settings, placed: pd.DataFrame, learnt: dict[int, rules.Rule], customers: ir.Table) -> pd.DataFrame:
    """One row per segment with customers; `customers` are all, with their segments."""
    found = rules.table(placed, learnt, settings.rules, settings.exploration.money)
    met = rules.customers_who_meet(dict(zip(found["segment_id"], found["rule"], strict=True)), customers)
    counts = pd.DataFrame.from_dict(met, orient="index", columns=["rule_customers", "rule_found"], dtype="Int64")
    return found.join(counts, on="segment_id")


@table(FEATURE_CHOICES, group=GROUP, kinds={"pandas", "parquet"})
def feature_choices(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    customer_features: CustomerColumns,
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
