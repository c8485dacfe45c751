"""Engineer features: mergeable sums per window, merged into one row per customer as of the snapshot."""

import dagster as dg
import ibis.expr.types as ir

from segmentation_assets.core.customers import activity, features
from segmentation_assets.core.customers.calendar import Calendar, Lookback
from segmentation_assets.defs.partitions import LOOKBACK, PREVIOUS, Input
from segmentation_assets.defs.table import snapshot_date, table
from segmentation_assets.settings.loading import Settings
from segmentation_assets.store.lake import Lake
from segmentation_assets.tables.features import (
    CUSTOMER_ACTIVITY,
    CUSTOMER_CATEGORY_ACTIVITY,
    CUSTOMER_EVENT_ACTIVITY,
    CUSTOMER_FEATURES,
)

GROUP = "features"


@table(CUSTOMER_ACTIVITY, group=GROUP, ins={"known_before": Input(PREVIOUS, "customers")})
def customer_activity(settings: dg.ResourceParam[Settings], customer_orders: ir.Table, known_before: ir.Table) -> ir.Table:
    """Sums of orders and spend that can be merged across windows."""
    return activity.customer_activity(customer_orders, Calendar.of(settings.snapshots), known_before)


@table(CUSTOMER_CATEGORY_ACTIVITY, group=GROUP)
def customer_category_activity(settings: dg.ResourceParam[Settings], transactions: ir.Table) -> ir.Table:
    """Spend by category, from which the breadth of a customer's purchases is computed."""
    return activity.customer_category_activity(transactions, Calendar.of(settings.snapshots))


@table(CUSTOMER_EVENT_ACTIVITY, group=GROUP)
def customer_event_activity(settings: dg.ResourceParam[Settings], events: ir.Table) -> ir.Table:
    """Events by type, and by campaign if a response can be linked to one."""
    return activity.customer_event_activity(events, Calendar.of(settings.snapshots), settings.features.with_subjects)


@table(
    CUSTOMER_FEATURES,
    group=GROUP,
    ins={
        "customer_activity": Input(LOOKBACK),
        "customer_category_activity": Input(LOOKBACK),
        "customer_event_activity": Input(LOOKBACK),
        "customer_orders": Input(LOOKBACK),
        "order_returns": Input(LOOKBACK),
    },
)
def customer_features(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    lake: dg.ResourceParam[Lake],
    customers: ir.Table,
    customer_activity: ir.Table,
    customer_category_activity: ir.Table,
    customer_event_activity: ir.Table,
    customer_orders: ir.Table,
    order_returns: ir.Table,
) -> ir.Table:
    """The features of each customer as of the snapshot. The data dictionary, docs/data-dictionary.md, explains every column."""
    windows = features.Activity(
        customer_activity, customer_category_activity, customer_event_activity, customer_orders, order_returns, lake.engine.kept
    )
    lookback = Lookback.of(snapshot_date(context), settings.snapshots, settings.features)
    return features.customer_features(customers, windows, lookback, settings.features, settings.source.contents)
