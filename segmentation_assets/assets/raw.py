"""Collect: source rows under canonical names, each window's read from its source once."""

import dagster as dg
import ibis.expr.types as ir

from segmentation_assets.assets.table import table
from segmentation_assets.contracts import RAW_CUSTOMERS, RAW_EVENTS, RAW_TRANSACTIONS
from segmentation_assets.lake import Lake
from segmentation_assets.partitions import window_of
from segmentation_assets.settings import Settings
from segmentation_assets.sources import Source

GROUP = "collect"


@table(RAW_CUSTOMERS, group=GROUP)
def raw_customers(
    context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], source: dg.ResourceParam[Source], lake: dg.ResourceParam[Lake]
) -> ir.Table:
    """Demographics and whatever else the source knows of a customer, before any cleaning."""
    return source.customers(lake.engine, window_of(context.partition_key, settings.snapshots))


@table(RAW_TRANSACTIONS, group=GROUP)
def raw_transactions(
    context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], source: dg.ResourceParam[Source], lake: dg.ResourceParam[Lake]
) -> ir.Table:
    """Purchase history from the previous snapshot up to this one; the first snapshot also holds all earlier history."""
    return source.transactions(lake.engine, window_of(context.partition_key, settings.snapshots))


@table(RAW_EVENTS, group=GROUP)
def raw_events(
    context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], source: dg.ResourceParam[Source], lake: dg.ResourceParam[Lake]
) -> ir.Table:
    """Behaviour from the previous snapshot up to this one: campaigns received, coupons redeemed, visits."""
    return source.events(lake.engine, window_of(context.partition_key, settings.snapshots))
