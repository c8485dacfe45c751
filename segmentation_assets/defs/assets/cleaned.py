"""Clean: clean rows, rejected rows with a reason, and the orders and customers that clean lines form."""

import datetime as dt

import dagster as dg
import ibis
import ibis.expr.types as ir
import pandas as pd

from segmentation_assets.core.customers import cleaning, orders
from segmentation_assets.core.customers.calendar import Lookback
from segmentation_assets.defs import markdown
from segmentation_assets.defs.partitions import LOOKBACK, LOOKBACK_AND_BEFORE, LOOKBACK_BEFORE, PREVIOUS, Input
from segmentation_assets.defs.table import OUTPUT, snapshot_date, table
from segmentation_assets.settings.loading import Settings
from segmentation_assets.store.lake import Lake
from segmentation_assets.tables.cleaned import CUSTOMER_ORDERS, CUSTOMERS, EVENTS, ORDER_RETURNS, REJECTED_ROWS, TRANSACTIONS

GROUP = "clean"
ALWAYS_SHOWN = {"rows in", "rows clean"}  # even if there are none


@table(TRANSACTIONS, group=GROUP)
def transactions(
    context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], lake: dg.ResourceParam[Lake], raw_transactions: ir.Table
) -> ir.Table:
    """Clean order lines: exact money (decimal), returns marked, an order id and a category for every line."""
    judged = cleaning.judged_transactions(raw_transactions, settings.cleaning)
    context.add_output_metadata(_counted(judged, lake), output_name=OUTPUT)
    return judged.kept()


@table(EVENTS, group=GROUP)
def events(
    context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], lake: dg.ResourceParam[Lake], raw_events: ir.Table
) -> ir.Table:
    """Clean events: every one has a customer, a type and a time."""
    judged = cleaning.judged_events(raw_events, settings.cleaning)
    context.add_output_metadata(_counted(judged, lake), output_name=OUTPUT)
    return judged.kept()


@table(CUSTOMER_ORDERS, group=GROUP)
def customer_orders(settings: dg.ResourceParam[Settings], transactions: ir.Table) -> ir.Table:
    """Orders as placed, so that later snapshots need not read the order lines of earlier windows."""
    return orders.customer_orders(transactions, settings.cleaning.free_orders == "count")


@table(
    ORDER_RETURNS,
    group=GROUP,
    ins={
        "customer_orders": Input(LOOKBACK),
        "earlier": Input(LOOKBACK_BEFORE, "order_returns"),
    },
)
def order_returns(transactions: ir.Table, customer_orders: ir.Table, earlier: ir.Table) -> ir.Table:
    """How much of each order placed within the lookback was returned in the window, and whether anything is left of it."""
    return orders.order_returns(transactions, customer_orders, earlier)


@table(
    CUSTOMERS,
    group=GROUP,
    ins={
        "previous": Input(PREVIOUS, "customers"),
        "customer_orders": Input(LOOKBACK_AND_BEFORE, dated=True),
        "order_returns": Input(LOOKBACK_AND_BEFORE, dated=True),
    },
)
def customers(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    lake: dg.ResourceParam[Lake],
    raw_customers: ir.Table,
    customer_orders: ir.Table,
    order_returns: ir.Table,
    events: ir.Table,
    previous: ir.Table,
) -> ir.Table:
    """All customers on record or seen so far, with their attributes and their first and last order."""
    as_of = snapshot_date(context)
    start = Lookback.of(as_of, settings.snapshots, settings.features).start  # the last snapshot before the lookback
    earlier = orders.earlier_orders(_of(customer_orders, start), order_returns, previous)
    concerned = orders.undone(_of(order_returns, as_of)).select("customer_id").distinct()
    within = customer_orders.filter(customer_orders.snapshot_date > ibis.date(start.isoformat()))
    corrected = orders.last_orders(concerned, within, order_returns, earlier)
    judged = cleaning.judged_customers(raw_customers, settings.cleaning)
    context.add_output_metadata(_counted(judged, lake), output_name=OUTPUT)
    placed = _of(customer_orders, as_of)
    records = judged.kept().drop(*cleaning.ORIGIN)
    return cleaning.known_customers(records, placed, events, previous, earlier, corrected, settings.source.tells_who_left)


def _of(dated: ir.Table, snapshot: dt.date) -> ir.Table:
    """The rows of one snapshot, from an input read with its dates."""
    return dated.filter(dated.snapshot_date == ibis.date(snapshot.isoformat()))


def _reasons(lake: Lake, rejected: ir.Table) -> dict[str, dg.MetadataValue]:
    """Metadata: how many rows were set aside for which reason."""
    rows = lake.engine.rows(rejected.group_by("source", "reason").agg(rows=ibis._.count()).order_by("source", "reason"))
    return {"reasons": dg.MetadataValue.md(markdown.table(pd.DataFrame(rows), markdown.SENTENCE))} if rows else {}


@table(REJECTED_ROWS, group=GROUP, told=_reasons)
def rejected_rows(
    settings: dg.ResourceParam[Settings],
    raw_customers: ir.Table,
    raw_transactions: ir.Table,
    raw_events: ir.Table,
) -> ir.Table:
    """Nothing is dropped silently: rows in = clean + rejected, for every source."""
    return ibis.union(
        cleaning.judged_customers(raw_customers, settings.cleaning).rejected("customers"),
        cleaning.judged_transactions(raw_transactions, settings.cleaning).rejected("transactions"),
        cleaning.judged_events(raw_events, settings.cleaning).rejected("events"),
    )


def _counted(judged: cleaning.Judged, lake: Lake) -> dict[str, int]:
    """Metadata: how many rows came in, how many are clean, and how many of these each rule changed, if any."""
    counts = {name.replace("_", " "): int(number or 0) for name, number in lake.engine.rows(judged.counts())[0].items()}
    return {name: number for name, number in counts.items() if number or name in ALWAYS_SHOWN}
