"""Collect: source rows under canonical names, read from the source once per window."""

import dagster as dg
import ibis.expr.types as ir
import pandas as pd

from segmentation_assets.core.customers import volume
from segmentation_assets.core.customers.features import attribute_columns, feature_types
from segmentation_assets.core.segments import own
from segmentation_assets.defs.checks.source import attribute_types
from segmentation_assets.defs.partitions import WITH_USUAL, Input
from segmentation_assets.defs.table import snapshot_date, table
from segmentation_assets.expressions import ExpressionError
from segmentation_assets.settings.loading import Settings
from segmentation_assets.sources import Source
from segmentation_assets.sources.base import window_of
from segmentation_assets.store.lake import Lake
from segmentation_assets.tables.raw import RAW_CUSTOMERS, RAW_EVENTS, RAW_TRANSACTIONS, SOURCE_VOLUME

GROUP = "collect"


@table(RAW_CUSTOMERS, group=GROUP)
def raw_customers(
    context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], source: dg.ResourceParam[Source], lake: dg.ResourceParam[Lake]
) -> ir.Table:
    """Demographics and other attributes from the source, before any cleaning."""
    rows = source.customers(lake.engine.driver, window_of(context.partition_key, settings.snapshots))
    features = feature_types(settings.features, settings.source.has_orders)
    attributes = attribute_columns(attribute_types(rows), features)
    has_consent, sensitive = settings.source.has_consent, settings.privacy.sensitive
    if problems := own.unusable(settings.own_segments, features, attributes, has_consent, sensitive):
        raise ExpressionError("\n".join(problems))  # now, and not minutes later at the tables of own segments
    return rows


@table(RAW_TRANSACTIONS, group=GROUP)
def raw_transactions(
    context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], source: dg.ResourceParam[Source], lake: dg.ResourceParam[Lake]
) -> ir.Table:
    """Order lines from the previous snapshot up to this one; the first snapshot also includes all earlier history."""
    return source.transactions(lake.engine.driver, window_of(context.partition_key, settings.snapshots))


@table(RAW_EVENTS, group=GROUP)
def raw_events(
    context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], source: dg.ResourceParam[Source], lake: dg.ResourceParam[Lake]
) -> ir.Table:
    """Events from the previous snapshot up to this one, such as campaigns received, coupons redeemed, visits."""
    return source.events(lake.engine.driver, window_of(context.partition_key, settings.snapshots))


USUAL = Input(WITH_USUAL)


@table(SOURCE_VOLUME, group=GROUP, ins={"raw_transactions": USUAL, "raw_events": USUAL})
def source_volume(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    lake: dg.ResourceParam[Lake],
    raw_transactions: ir.Table,
    raw_events: ir.Table,
) -> pd.DataFrame:
    """Whether each source keeps delivering: the window's rows compared with earlier windows, and when the rows end."""
    dated = {"transactions": (raw_transactions, "ordered_at"), "events": (raw_events, "event_at")}
    found = []
    for source, (rows, time) in dated.items():
        if not settings.source.has_orders and source not in settings.source.contents:
            continue
        rows_on = {row["day"]: row["rows"] for row in lake.engine.rows(volume.rows_per_day(rows, time))}
        found.append(volume.judged(source, rows_on, snapshot_date(context), settings.snapshots, settings.volume))
    return volume.table(found)
