"""Explore: tables that describe a snapshot's customers and orders, most with a picture."""

from collections.abc import Sequence
from functools import partial

import dagster as dg
import ibis.expr.types as ir
import pandas as pd

from segmentation_assets.core import pictures
from segmentation_assets.core.customers import exploration, order_patterns
from segmentation_assets.core.customers.activity import purchases_by_category
from segmentation_assets.core.customers.attributes import NO_FEATURES, spoken
from segmentation_assets.core.customers.calendar import Calendar, Lookback
from segmentation_assets.core.customers.columns import CustomerColumns
from segmentation_assets.core.customers.feature_catalog import Feature, units
from segmentation_assets.core.customers.features import declared, described
from segmentation_assets.defs import markdown
from segmentation_assets.defs.figures import figures
from segmentation_assets.defs.partitions import LOOKBACK, PREVIOUS, Input
from segmentation_assets.defs.pictures import ONE_EACH, picture
from segmentation_assets.defs.table import OUTPUT, snapshot_date, table
from segmentation_assets.settings.loading import Settings
from segmentation_assets.store.lake import Lake, to_frame
from segmentation_assets.tables import exploration as contracts

GROUP = "exploration"
PANDAS = {"pandas", "parquet"}


def _labels(settings: Settings, customer_features: CustomerColumns) -> dict[str, str]:
    """What attributes are called."""
    computed = {feature.name for feature in declared(settings.features)}
    return spoken([str(name) for name in customer_features.columns if name not in {*computed, *NO_FEATURES}], settings.labels)


def _called(table: pd.DataFrame, labels: dict[str, str]) -> pd.DataFrame:
    """A table about features, with what attributes are called."""
    return table.replace(dict.fromkeys(("feature", "feature_a", "feature_b", "take_out"), labels)) if labels else table


def _units(settings: Settings, known: Sequence[Feature], labels: dict[str, str]) -> dict[str, str]:
    """The unit of each feature, by what it is called."""
    return {labels.get(name, name): unit for name, unit in units(known, settings.exploration.money).items()}


@table(contracts.FEATURE_SUMMARY, group=GROUP, kinds=PANDAS)
def feature_summary(
    context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], customer_features: CustomerColumns
) -> pd.DataFrame:
    """Location, spread, shape, missing values and outliers of each feature."""
    known = described(settings.features, customer_features, settings.attributes)
    summary = exploration.feature_summary(customer_features, known)
    labels = _labels(settings, customer_features)
    draw = partial(pictures.features.outliers, _called(summary, labels), _units(settings, known, labels))
    picture(context, settings, "outliers", draw, cells=ONE_EACH)
    return summary


@table(contracts.FEATURE_DISTRIBUTIONS, group=GROUP, kinds=PANDAS)
def feature_distributions(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    customer_features: CustomerColumns,
    feature_summary: pd.DataFrame,
) -> pd.DataFrame:
    """Histograms of each feature, raw and as transformed for clustering."""
    known = described(settings.features, customer_features, settings.attributes)
    bins = exploration.feature_distributions(customer_features, known)
    labels = _labels(settings, customer_features)
    named = _units(settings, known, labels)
    changed = [labels.get(f.name, f.name) for f in known if f.transform != "none"]
    for scale in ("raw", "transformed"):
        picture(
            context,
            settings,
            f"distributions_{scale}",
            partial(pictures.features.distributions, _called(bins, labels), _called(feature_summary, labels), named, scale, changed),
            cells=bins["customers"],
        )
    return bins


@table(contracts.FEATURE_MISSINGNESS, group=GROUP, kinds=PANDAS)
def feature_missingness(
    context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], customer_features: CustomerColumns
) -> pd.DataFrame:
    """Which features and attributes are missing, and for whom."""
    labels = _labels(settings, customer_features)
    missing = exploration.feature_missingness(customer_features, described(settings.features, customer_features, settings.attributes))
    parts = [*missing["missing"], *(missing["customers"] - missing["missing"])]
    picture(context, settings, "missingness", lambda: pictures.features.missingness(_called(missing, labels)), cells=parts)
    return missing


@table(contracts.FEATURE_OUTLIERS, group=GROUP, kinds=PANDAS)
def feature_outliers(settings: dg.ResourceParam[Settings], customer_features: CustomerColumns) -> pd.DataFrame:
    """The most extreme customers of each feature, for review."""
    return exploration.feature_outliers(customer_features, described(settings.features, customer_features, settings.attributes))


@table(contracts.FEATURE_CORRELATIONS, group=GROUP, kinds=PANDAS)
def feature_correlations(
    context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], customer_features: CustomerColumns
) -> pd.DataFrame:
    """Which features move together, and which pairs are redundant. Only a pair that enters the clustering is a warning."""
    ask = settings.model
    pairs = exploration.feature_correlations(
        customer_features, described(settings.features, customer_features, settings.attributes), ask.features, ask.seed
    )
    labels = _labels(settings, customer_features)
    harmful = exploration.redundancies(pairs[pairs["both_in_model"]])
    named = exploration.redundancies(pairs)
    for pair, sentence in named.items():
        (context.log.warning if pair in harmful else context.log.info)(sentence)
    measured = (pairs["customers"] >= exploration.LEAST_RANKED).any()
    none = "No two features are redundant." if measured else "Not measured: too few active customers have two features that vary."
    said = markdown.bullets(named.values()) or none
    context.add_output_metadata({"redundant pairs": dg.MetadataValue.md(said)}, output_name=OUTPUT)
    picture(context, settings, "correlations", lambda: pictures.features.correlations(_called(pairs, labels)))
    return pairs


@table(contracts.ORDER_SEASONALITY, group=GROUP, ins={"previous": Input(PREVIOUS, "order_seasonality")})
def order_seasonality(
    context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], customer_orders: ir.Table, previous: ir.Table
) -> pd.DataFrame:
    """Orders and revenue by month, weekday and hour, in every window so far."""
    slots = to_frame(order_patterns.order_seasonality(customer_orders, previous, Calendar.of(settings.snapshots)))
    picture(
        context,
        settings,
        "seasonality",
        lambda: pictures.orders.seasonality(slots, snapshot_date(context), settings.exploration.money),
        cells=[*slots.groupby("month")["orders"].sum(), *slots.groupby(["weekday", "hour"])["orders"].sum()],
    )
    return slots


@table(contracts.COHORT_RETENTION, group=GROUP, ins={"previous": Input(PREVIOUS, "cohort_retention")})
def cohort_retention(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    customers: ir.Table,
    customer_activity: ir.Table,
    previous: ir.Table,
) -> pd.DataFrame:
    """How many customers of each cohort come back, and what they spend."""
    cohorts = to_frame(
        order_patterns.cohort_retention(customers, customer_activity, previous, Calendar.of(settings.snapshots), snapshot_date(context))
    )
    picture(
        context,
        settings,
        "cohorts",
        lambda: pictures.orders.cohorts(cohorts, settings.snapshots.cadence, settings.exploration.money),
        cells=[*cohorts["cohort_customers"], *cohorts["active_customers"]],
    )
    return cohorts


@table(contracts.REVENUE_CONCENTRATION, group=GROUP, kinds=PANDAS)
def revenue_concentration(
    context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], customer_features: ir.Table
) -> pd.DataFrame:
    """How much of the revenue comes from the top customers (Pareto)."""
    spend = to_frame(customer_features.select("monetary")) if settings.source.has_orders else pd.DataFrame({"monetary": []})
    curve = exploration.revenue_concentration(spend)
    gini = exploration.gini(curve)
    if len(curve):
        context.add_output_metadata(
            figures({"gini": gini, "top_20_percent": curve.loc[curve["percentile"] == 20, "revenue_share"].iloc[0]}), output_name=OUTPUT
        )
    draw = partial(pictures.orders.concentration, curve, gini, settings.exploration.money)
    picture(context, settings, "revenue_concentration", draw, cells=curve["customers"].diff().fillna(0))
    return curve


@table(contracts.CATEGORY_MIX, group=GROUP, ins={"customer_category_activity": Input(LOOKBACK)})
def category_mix(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    lake: dg.ResourceParam[Lake],
    customer_category_activity: ir.Table,
) -> pd.DataFrame:
    """Purchases by category within the lookback, and how many customers bought each."""
    lookback = Lookback.of(snapshot_date(context), settings.snapshots, settings.features)
    bought = lake.engine.kept(purchases_by_category(customer_category_activity, lookback))
    mix = to_frame(order_patterns.category_mix(bought))
    picture(context, settings, "categories", lambda: pictures.orders.categories(mix), cells=mix["customers"])
    return mix


@table(contracts.ATTRIBUTE_SPEND, group=GROUP, kinds=PANDAS)
def attribute_spend(
    context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], customer_features: CustomerColumns
) -> pd.DataFrame:
    """How spend differs between the levels of each attribute."""
    known = described(settings.features, customer_features, settings.attributes)
    levels = exploration.attribute_spend(customer_features, known, settings.level_orders)
    draw = partial(pictures.orders.attributes, levels, settings.exploration.money)
    picture(context, settings, "attributes", draw, cells=levels["customers"])
    return levels
