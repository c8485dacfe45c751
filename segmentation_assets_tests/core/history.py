"""Small histories of orders and events for tests, and the way from them to features on any Ibis backend.

A history is in the shape of the cleaned tables. Windows are computed apart, one table for each part of the history, as the
lake holds them, and only then put together: what the tests see is the path that a snapshot takes.
"""

import datetime as dt
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa

from segmentation_assets.contracts import (
    CUSTOMER_ACTIVITY,
    CUSTOMER_CATEGORY_ACTIVITY,
    CUSTOMER_EVENT_ACTIVITY,
    EVENTS,
    TRANSACTIONS,
    Contract,
)
from segmentation_assets.core import activity, cleaning, features
from segmentation_assets.core.windows import Calendar, Lookback
from segmentation_assets.lake import conformed
from segmentation_assets.partitions import following
from segmentation_assets.settings import Snapshots

ROLES = features.EventRoles(types=("campaign_received", "coupon_redeemed"))
MONTHLY = Snapshots(first=dt.date(2017, 4, 1), cadence="monthly")


def line(customer: str, at: str, amount: str = "10.00", **values: Any) -> dict[str, Any]:
    """One cleaned order line; what is not named is ordinary."""
    ordered_at = pd.Timestamp(at)
    defaults = {
        "customer_id": customer, "order_id": f"{customer}@{ordered_at}", "ordered_at": ordered_at, "amount": amount, "quantity": "1",
        "product_id": "p", "category": "grocery", "discount": "0", "coupon_discount": "0", "is_return": float(amount) < 0,
    }  # fmt: skip
    return defaults | values


def event(customer: str, at: str, event_type: str = "campaign_received", subject: str | None = "c1") -> dict[str, Any]:
    """One cleaned event."""
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


@dataclass(frozen=True)
class History:
    """Everything that ever happened, as lazy tables of one backend."""

    transactions: ir.Table
    events: ir.Table
    records: ir.Table | None = None

    def before(self, day: dt.date) -> "History":
        """What is known strictly before the day."""
        end = ibis.timestamp(f"{day.isoformat()} 00:00:00")
        return History(
            self.transactions.filter(self.transactions.ordered_at < end), self.events.filter(self.events.event_at < end), self.records
        )

    def customers(self) -> ir.Table:
        none = self.transactions.filter(ibis.literal(False))
        records = self.records if self.records is not None else none.select("customer_id")
        previous = none.select("customer_id", first_order_at="ordered_at", last_order_at="ordered_at", first_event_at="ordered_at")
        return cleaning.known_customers(records, self.transactions, self.events, previous)

    def windows(self, calendar: Calendar, splits: Sequence[dt.date] = ()) -> features.Activity:
        """Activity computed apart for each stretch between the days in `splits`, then laid one below the other."""
        edges = [None, *sorted(set(splits)), None]
        stretches = [self._between(start, end) for start, end in itertools.pairwise(edges)]
        return features.Activity(
            ibis.union(
                *(
                    conformed(CUSTOMER_ACTIVITY, activity.customer_activity(s.transactions, calendar, self._last_orders(start)))
                    for s, start in zip(stretches, edges[:-1], strict=True)
                )
            ),
            ibis.union(
                *(conformed(CUSTOMER_CATEGORY_ACTIVITY, activity.customer_category_activity(s.transactions, calendar)) for s in stretches)
            ),
            ibis.union(
                *(
                    conformed(CUSTOMER_EVENT_ACTIVITY, activity.customer_event_activity(s.events, calendar, ROLES.told_apart))
                    for s in stretches
                )
            ),
        )

    def _last_orders(self, day: dt.date | None) -> ir.Table:
        """When each customer last ordered before the day."""
        bought = self.transactions.filter(~self.transactions.is_return & ibis.literal(day is not None))
        earlier = bought.filter(bought.ordered_at.date() < ibis.date(day.isoformat())) if day else bought
        return earlier.group_by("customer_id").agg(last_order_at=earlier.ordered_at.max())

    def _between(self, start: dt.date | None, end: dt.date | None) -> "History":
        def cut(table: ir.Table, column: str) -> ir.Table:
            day = table[column].date()
            after = day >= ibis.date(start.isoformat()) if start else ibis.literal(True)
            return table.filter(after & (day < ibis.date(end.isoformat())) if end else after)

        return History(cut(self.transactions, "ordered_at"), cut(self.events, "event_at"), self.records)

    def features(
        self, as_of: dt.date, windows: int = 3, snapshots: Snapshots = MONTHLY, splits: Sequence[dt.date] | None = None
    ) -> ir.Table:
        """Features as of the date, from windows that were computed apart (at window borders, unless `splits` are given)."""
        known, span = self.before(as_of), lookback(as_of, windows, snapshots)
        if splits is None:
            splits = [following(as_of, snapshots, -steps) for steps in range(windows + 1)]
        return features.customer_features(known.customers(), known.windows(span.calendar, splits), span, ROLES)


def lookback(as_of: dt.date, windows: int = 3, snapshots: Snapshots = MONTHLY) -> Lookback:
    recent = math.ceil(windows / 3)
    start, recent_start = (following(as_of, snapshots, -steps) for steps in (windows, recent))
    return Lookback(Calendar(snapshots.cadence, snapshots.first), as_of, start, recent_start, windows, recent)


def ordered(table: ir.Table, backend: Any = None) -> pd.DataFrame:
    """The features as a DataFrame indexed by customer, in order of the id."""
    frame = (backend or ibis.duckdb.connect()).to_pandas(table)
    return frame.set_index("customer_id").sort_index()
