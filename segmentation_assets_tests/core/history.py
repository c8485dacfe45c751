"""Small histories of orders and events for tests, and their features on any Ibis backend.

A history has the form of the clean tables. Windows are computed separately, one table for each part of the history, as in the
lake, and only then merged: the tests take the same path as a snapshot.
"""

import datetime as dt
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa

from segmentation_assets.core.customers import activity, cleaning, features, orders
from segmentation_assets.core.customers.calendar import Calendar, Lookback
from segmentation_assets.settings.customers import Features
from segmentation_assets.settings.snapshots import Snapshots, following
from segmentation_assets.store.lake import conformed
from segmentation_assets.tables.cleaned import CUSTOMER_ORDERS, CUSTOMERS, EVENTS, ORDER_RETURNS, TRANSACTIONS
from segmentation_assets.tables.contract import Contract
from segmentation_assets.tables.features import CUSTOMER_ACTIVITY, CUSTOMER_CATEGORY_ACTIVITY, CUSTOMER_EVENT_ACTIVITY

ROLES = Features(event_types=("campaign_received", "coupon_redeemed"))
MONTHLY = Snapshots(first=dt.date(2017, 4, 1), cadence="monthly")


def line(customer: str, at: str, amount: str = "10.00", **values: Any) -> dict[str, Any]:
    """One clean order line, with plain values for columns not given."""
    ordered_at = pd.Timestamp(at)
    defaults = {
        "customer_id": customer, "order_id": f"{customer}@{ordered_at}", "ordered_at": ordered_at, "amount": amount, "quantity": "1",
        "product_id": "p", "category": "grocery", "discount": "0", "coupon_discount": "0", "is_return": float(amount) < 0,
    }  # fmt: skip
    return defaults | values


def back(customer: str, at: str, amount: str, order: str, **values: Any) -> dict[str, Any]:
    """One line that returns something from the given order."""
    return line(customer, at, amount, quantity="-1", order_id=f"{customer}@back {at}", returned_order_id=order, **values)


def event(customer: str, at: str, event_type: str = "campaign_received", subject: str | None = "c1") -> dict[str, Any]:
    """One clean event."""
    return {"customer_id": customer, "event_at": pd.Timestamp(at), "event_type": event_type, "subject": subject}


def arrow(contract: Contract, rows: Sequence[dict[str, Any]]) -> pa.Table:
    """Rows as the contract's Arrow table, numbered in the order given."""
    schema = pa.schema({c.name: ibis.dtype(c.type).to_pyarrow() for c in contract.columns})
    numbered = [{"row_number": number, "source_file": "test", **row} for number, row in enumerate(rows, start=1)]
    decimals = {f.name for f in schema if pa.types.is_decimal(f.type)}
    columns = {f.name: [row.get(f.name) for row in numbered] for f in schema}
    return pa.table(
        {
            f.name: pa.array(columns[f.name], pa.string()).cast(f.type) if f.name in decimals else pa.array(columns[f.name], f.type)
            for f in schema
        },
        schema=schema,
    )


def transactions(rows: Sequence[dict[str, Any]]) -> ir.Table:
    return ibis.memtable(arrow(TRANSACTIONS, rows))


def events(rows: Sequence[dict[str, Any]] = ()) -> ir.Table:
    return ibis.memtable(arrow(EVENTS, rows))


def in_memory(table: ir.Table) -> ir.Table:
    """The table computed, for any backend."""
    return ibis.memtable(table.to_pyarrow())


def together(contract: Contract, tables: Sequence[ir.Table], like: ir.Table) -> ir.Table:
    """The tables concatenated; without tables, an empty one on the backend of `like`."""
    if not tables:
        return like.filter(ibis.literal(False)).select(**{column.name: ibis.null(column.type) for column in contract.columns})
    return ibis.union(*tables) if len(tables) > 1 else tables[0]


@dataclass(frozen=True)
class History:
    """A complete history, as lazy tables of one backend."""

    transactions: ir.Table
    events: ir.Table
    records: ir.Table | None = None

    def before(self, day: dt.date) -> "History":
        """The history strictly before the day."""
        end = ibis.timestamp(f"{day.isoformat()} 00:00:00")
        return History(
            self.transactions.filter(self.transactions.ordered_at < end), self.events.filter(self.events.event_at < end), self.records
        )

    def states(
        self, calendar: Calendar, splits: Sequence[dt.date] = (), keep: Callable[[ir.Table], ir.Table] = in_memory
    ) -> tuple[ir.Table, features.Activity]:
        """Customers at the end, and the activity of each period between `splits`, computed from the previous state."""
        edges = [None, *sorted(set(splits)), None]
        windows, categories, happened, placed, returned = (list[ir.Table]() for _ in range(5))
        known = together(CUSTOMERS, [], self.transactions)
        for start, end in itertools.pairwise(edges):
            part = self._between(start, end)
            window = keep(conformed(CUSTOMER_ORDERS, orders.customer_orders(part.transactions)))
            placed.append(window)
            everything, earlier = together(CUSTOMER_ORDERS, placed, window), together(ORDER_RETURNS, returned, window)
            taken = keep(conformed(ORDER_RETURNS, orders.order_returns(part.transactions, everything, earlier)))
            returned.append(taken)
            concerned = orders.undone(taken).select("customer_id").distinct()
            before = known.select("customer_id", "earlier_order_at")  # no window leaves the lookback here
            corrected = keep(orders.last_orders(concerned, everything, together(ORDER_RETURNS, returned, taken), before))
            windows.append(keep(conformed(CUSTOMER_ACTIVITY, activity.customer_activity(window, calendar, known))))
            records = self.records if self.records is not None else part.transactions.filter(ibis.literal(False)).select("customer_id")
            known = keep(cleaning.known_customers(records, window, part.events, known, before, corrected))
            categories.append(conformed(CUSTOMER_CATEGORY_ACTIVITY, activity.customer_category_activity(part.transactions, calendar)))
            happened.append(
                conformed(CUSTOMER_EVENT_ACTIVITY, activity.customer_event_activity(part.events, calendar, ROLES.with_subjects))
            )
        tables = (windows, categories, happened, placed, returned)
        contracts = (CUSTOMER_ACTIVITY, CUSTOMER_CATEGORY_ACTIVITY, CUSTOMER_EVENT_ACTIVITY, CUSTOMER_ORDERS, ORDER_RETURNS)
        return known, features.Activity(*(together(contract, made, known) for contract, made in zip(contracts, tables, strict=True)))

    def _between(self, start: dt.date | None, end: dt.date | None) -> "History":
        def cut(table: ir.Table, column: str) -> ir.Table:
            day = table[column].date()
            after = day >= ibis.date(start.isoformat()) if start else ibis.literal(True)
            return table.filter(after & (day < ibis.date(end.isoformat())) if end else after)

        return History(cut(self.transactions, "ordered_at"), cut(self.events, "event_at"), self.records)

    def features(
        self,
        as_of: dt.date,
        windows: int = 3,
        snapshots: Snapshots = MONTHLY,
        splits: Sequence[dt.date] | None = None,
        keep: Callable[[ir.Table], ir.Table] = in_memory,
    ) -> ir.Table:
        """Features as of the date, from windows computed separately (split at window borders, or at `splits`)."""
        span = lookback(as_of, windows, snapshots)
        if splits is None:
            splits = [following(as_of, snapshots, -steps) for steps in range(1, windows + 1)]
        known, kept = self.before(as_of).states(span.calendar, splits, keep)
        return features.customer_features(known, kept, span, ROLES)


def lookback(as_of: dt.date, windows: int = 3, snapshots: Snapshots = MONTHLY) -> Lookback:
    return Lookback.of(as_of, snapshots, Features(lookback=windows))


def ordered(table: ir.Table, backend: Any = None) -> pd.DataFrame:
    """The features as a DataFrame indexed by customer, in order of the id."""
    frame = (backend or ibis.duckdb.connect()).to_pandas(table)
    return frame.set_index("customer_id").sort_index()
