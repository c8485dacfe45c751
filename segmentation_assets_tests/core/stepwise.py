"""Features of small histories by SQL that is compiled once, because compiling takes far longer than running.

The path is a snapshot's: state is computed separately for each period, from the previous state, and only then merged.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import duckdb
import ibis
import pandas as pd
import pyarrow as pa

from segmentation_assets.core.customers import activity, cleaning, features, orders
from segmentation_assets.core.customers.calendar import Calendar
from segmentation_assets.settings.snapshots import Snapshots
from segmentation_assets.store.lake import conformed
from segmentation_assets.tables.cleaned import CUSTOMER_ORDERS, CUSTOMERS, EVENTS, ORDER_RETURNS, TRANSACTIONS
from segmentation_assets.tables.contract import Contract
from segmentation_assets.tables.features import CUSTOMER_ACTIVITY, CUSTOMER_CATEGORY_ACTIVITY, CUSTOMER_EVENT_ACTIVITY
from segmentation_assets_tests.core.history import MONTHLY, ROLES, arrow, lookback

Rows = list[dict[str, Any]]
WEEKLY = Snapshots(first=dt.date(2017, 4, 1), cadence="weekly")  # a Saturday; 1 July is another
DAILY = Snapshots(first=dt.date(2017, 4, 1), cadence="daily")
MID_MONTH = Snapshots(first=dt.date(2017, 3, 15), cadence="monthly")
AS_OF = {MONTHLY: dt.date(2017, 7, 1), WEEKLY: dt.date(2017, 7, 1), DAILY: dt.date(2017, 7, 1), MID_MONTH: dt.date(2017, 6, 15)}
CONNECTION = duckdb.connect(config={"threads": 1})


def _unbound(contract: Contract, name: str = "") -> Any:
    return ibis.table({c.name: c.type for c in contract.columns}, name=name or contract.name)


# In the order of a snapshot, each under the name that later steps use.
KNOWN, WINDOW = _unbound(CUSTOMERS, "known"), _unbound(CUSTOMER_ORDERS, "orders_of_window")
MADE_NOW = _unbound(ORDER_RETURNS, "returns_of_window")
STEPS: tuple[tuple[str, Contract, Callable[[Calendar], Any]], ...] = (
    ("orders_of_window", CUSTOMER_ORDERS, lambda _: orders.customer_orders(_unbound(TRANSACTIONS))),
    (
        "returns_of_window", ORDER_RETURNS,
        lambda _: orders.order_returns(_unbound(TRANSACTIONS), _unbound(CUSTOMER_ORDERS).union(WINDOW), _unbound(ORDER_RETURNS)),
    ),
    ("customer_activity", CUSTOMER_ACTIVITY, lambda calendar: activity.customer_activity(WINDOW, calendar, KNOWN)),
    (
        "customer_category_activity", CUSTOMER_CATEGORY_ACTIVITY,
        lambda calendar: activity.customer_category_activity(_unbound(TRANSACTIONS), calendar),
    ),
    (
        "customer_event_activity", CUSTOMER_EVENT_ACTIVITY,
        lambda calendar: activity.customer_event_activity(_unbound(EVENTS), calendar, ROLES.with_subjects),
    ),
    ("known", CUSTOMERS, lambda _: _customers()),  # last, because the other steps need the customers known before
)  # fmt: skip
ADDED_UP = {
    "orders_of_window": "customer_orders",
    "returns_of_window": "order_returns",
}  # later windows see these together with earlier ones


def _customers() -> Any:
    placed, returned = _unbound(CUSTOMER_ORDERS).union(WINDOW), _unbound(ORDER_RETURNS).union(MADE_NOW)
    concerned = orders.undone(MADE_NOW).select("customer_id").distinct()
    nobody = _unbound(TRANSACTIONS).filter(ibis.literal(False)).select("customer_id")
    earlier = KNOWN.select("customer_id", "earlier_order_at")  # no window leaves the lookback here
    corrected = orders.last_orders(concerned, placed, returned, earlier)
    return cleaning.known_customers(nobody, WINDOW, _unbound(EVENTS), KNOWN, earlier, corrected)


@cache
def _statements(snapshots: Snapshots, windows: int, as_of: dt.date) -> tuple[dict[str, str], str]:
    """The SQL of each step and of the features."""
    calendar = Calendar.of(snapshots)
    steps = {name: str(ibis.to_sql(conformed(contract, make(calendar)), dialect="duckdb")) for name, contract, make in STEPS}
    parts = (CUSTOMER_ACTIVITY, CUSTOMER_CATEGORY_ACTIVITY, CUSTOMER_EVENT_ACTIVITY, CUSTOMER_ORDERS, ORDER_RETURNS)
    kept = features.Activity(*(_unbound(contract) for contract in parts))
    merged = features.customer_features(KNOWN, kept, lookback(as_of, windows, snapshots), ROLES)
    return steps, str(ibis.to_sql(merged.order_by("customer_id"), dialect="duckdb"))


def features_of(
    lines: Rows, happened: Rows, snapshots: Snapshots, windows: int = 3, splits: Sequence[dt.date] = (), as_of: dt.date | None = None
) -> pd.DataFrame:
    """Features as of the date (by default AS_OF), from state computed separately for each period between the splits."""
    as_of = as_of or AS_OF[snapshots]
    steps, merged = _statements(snapshots, windows, as_of)
    edges = [dt.date.min, *sorted({*splits, as_of}), dt.date.max]
    as_known: dict[str, pa.Table] = {}
    state = {contract.name: arrow(contract, []) for _, contract, _ in STEPS} | {"known": arrow(CUSTOMERS, [])}
    with CONNECTION.cursor() as connection:
        for start, end in pairwise(edges):
            for name, table in state.items():
                connection.register(name, table)
            connection.register("transactions", arrow(TRANSACTIONS, [row for row in lines if start <= row["ordered_at"].date() < end]))
            connection.register("events", arrow(EVENTS, [row for row in happened if start <= row["event_at"].date() < end]))
            for name, statement in steps.items():
                made = connection.execute(statement).to_arrow_table()
                kept = ADDED_UP.get(name, name)
                state[kept] = made if name == "known" else pa.concat_tables([state[kept], made])
                if name in ADDED_UP:
                    connection.register(name, made)
            if end == as_of:  # windows have dates; customers and returns are as known by then
                as_known = {name: state[name] for name in ("known", "order_returns")}
        for name, table in (state | as_known).items():
            connection.register(name, table)
        return connection.execute(merged).df()
