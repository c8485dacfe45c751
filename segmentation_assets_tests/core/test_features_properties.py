"""What must hold for any history: the future changes nothing, and how time was cut into windows is not seen."""

import datetime as dt
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import duckdb
import hypothesis.strategies as st
import ibis
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings

from segmentation_assets.contracts import (
    CUSTOMER_ACTIVITY,
    CUSTOMER_CATEGORY_ACTIVITY,
    CUSTOMER_EVENT_ACTIVITY,
    CUSTOMER_ORDERS,
    CUSTOMERS,
    EVENTS,
    ORDER_RETURNS,
    TRANSACTIONS,
    Contract,
)
from segmentation_assets.core import activity, cleaning, features, orders
from segmentation_assets.core.windows import Calendar
from segmentation_assets.lake import conformed
from segmentation_assets.settings import Snapshots
from segmentation_assets_tests.core.history import MONTHLY, ROLES, arrow, event, line, lookback

Rows = list[dict[str, Any]]
WEEKLY = Snapshots(first=dt.date(2017, 4, 1), cadence="weekly")  # a Saturday; 1 July is another
DAILY = Snapshots(first=dt.date(2017, 4, 1), cadence="daily")
MID_MONTH = Snapshots(first=dt.date(2017, 3, 15), cadence="monthly")
AS_OF = {MONTHLY: dt.date(2017, 7, 1), WEEKLY: dt.date(2017, 7, 1), DAILY: dt.date(2017, 7, 1), MID_MONTH: dt.date(2017, 6, 15)}
CONNECTION = duckdb.connect(config={"threads": 1})


def _unbound(contract: Contract, name: str = "") -> Any:
    return ibis.table({c.name: c.type for c in contract.columns}, name=name or contract.name)


# In the order in which a snapshot makes them, each under the name by which the next ones know it.
KNOWN, WINDOW = _unbound(CUSTOMERS, "known"), _unbound(CUSTOMER_ORDERS, "orders_of_window")
MADE_NOW = _unbound(ORDER_RETURNS, "returns_of_window")
STEPS: tuple[tuple[str, Contract, Callable[[Calendar], Any]], ...] = (
    ("orders_of_window", CUSTOMER_ORDERS, lambda _: orders.customer_orders(_unbound(TRANSACTIONS), KNOWN)),
    (
        "returns_of_window", ORDER_RETURNS,
        lambda _: orders.order_returns(_unbound(TRANSACTIONS), _unbound(CUSTOMER_ORDERS).union(WINDOW), _unbound(ORDER_RETURNS)),
    ),
    ("known", CUSTOMERS, lambda _: _customers()),
    ("customer_activity", CUSTOMER_ACTIVITY, lambda calendar: activity.customer_activity(WINDOW, calendar)),
    (
        "customer_category_activity", CUSTOMER_CATEGORY_ACTIVITY,
        lambda calendar: activity.customer_category_activity(_unbound(TRANSACTIONS), calendar),
    ),
    (
        "customer_event_activity", CUSTOMER_EVENT_ACTIVITY,
        lambda calendar: activity.customer_event_activity(_unbound(EVENTS), calendar, ROLES.told_apart),
    ),
)  # fmt: skip
ADDED_UP = {
    "orders_of_window": "customer_orders",
    "returns_of_window": "order_returns",
}  # known to later windows together with earlier ones


def _customers() -> Any:
    placed, returned = _unbound(CUSTOMER_ORDERS).union(WINDOW), _unbound(ORDER_RETURNS).union(MADE_NOW)
    concerned = orders.undone(MADE_NOW).select("customer_id").distinct()
    nobody = _unbound(TRANSACTIONS).filter(ibis.literal(False)).select("customer_id")
    return cleaning.known_customers(nobody, WINDOW, _unbound(EVENTS), KNOWN, orders.last_orders(concerned, placed, returned))


@cache
def _statements(snapshots: Snapshots, windows: int) -> tuple[dict[str, str], str]:
    """The SQL of each step and of the features, made once: making it takes far longer than running it."""
    calendar = Calendar(snapshots.cadence, snapshots.first)
    steps = {name: str(ibis.to_sql(conformed(contract, make(calendar)), dialect="duckdb")) for name, contract, make in STEPS}
    parts = (CUSTOMER_ACTIVITY, CUSTOMER_CATEGORY_ACTIVITY, CUSTOMER_EVENT_ACTIVITY, CUSTOMER_ORDERS, ORDER_RETURNS)
    kept = features.Activity(*(_unbound(contract) for contract in parts))
    merged = features.customer_features(KNOWN, kept, lookback(AS_OF[snapshots], windows, snapshots), ROLES)
    return steps, str(ibis.to_sql(merged.order_by("customer_id"), dialect="duckdb"))


def features_of(lines: Rows, happened: Rows, snapshots: Snapshots, windows: int = 3, splits: Sequence[dt.date] = ()) -> pd.DataFrame:
    """Features as of the snapshot, from state computed apart for each stretch of days between the splits."""
    steps, merged = _statements(snapshots, windows)
    edges = [dt.date.min, *sorted({*splits, AS_OF[snapshots]}), dt.date.max]
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
            if end == AS_OF[snapshots]:  # windows say when they were; customers and returns are what was known by then
                as_known = {name: state[name] for name in ("known", "order_returns")}
        for name, table in (state | as_known).items():
            connection.register(name, table)
        return connection.execute(merged).df()


EXAMPLES = settings(max_examples=40, deadline=None, derandomize=True)
ON = st.sampled_from([MONTHLY, WEEKLY, DAILY, MID_MONTH])
customers = st.sampled_from(["a", "b", "c"])
# Few customers and many orders near window borders, midnight and each other, where merging goes wrong if it does.
instants = st.one_of(
    st.datetimes(dt.datetime(2017, 3, 1), dt.datetime(2017, 6, 14, 23, 59, 59)),
    st.sampled_from([dt.datetime(2017, month, 1) + dt.timedelta(microseconds=us) for month in (4, 5, 6) for us in (-1, 0)]),
)
future = st.datetimes(dt.datetime(2017, 7, 1), dt.datetime(2018, 7, 1))


def lines_at(when: st.SearchStrategy[dt.datetime], **bounds: Any) -> st.SearchStrategy[Rows]:
    bought = st.integers(0, 50_000).map(lambda cents: f"{cents / 100:.2f}")
    one = st.builds(
        lambda customer, at, amount, category, order, coupon: line(customer, str(at), amount, category=category, order_id=order, coupon_discount=coupon),
        customers, when, bought, st.sampled_from(["bakery", "wine"]), st.sampled_from(["o1", "o2"]), st.sampled_from(["0", "1.50"]),
    )  # fmt: skip
    # As often as not a return takes back the whole of any order.
    returned = st.builds(
        lambda customer, at, amount, order: line(customer, str(at), amount, order_id="r", returned_order_id=order),
        customers, when, st.sampled_from(["-5.00", "-1000.00"]), st.sampled_from(["o1", "o2", None]),
    )  # fmt: skip
    return st.lists(st.one_of(one, one, returned), **bounds)


def events_at(when: st.SearchStrategy[dt.datetime]) -> st.SearchStrategy[Rows]:
    kinds, subjects = st.sampled_from(["campaign_received", "coupon_redeemed", "visit"]), st.sampled_from(["c1", "c2", None])
    one = st.builds(lambda customer, at, kind, subject: event(customer, str(at), kind, subject), customers, when, kinds, subjects)
    return st.lists(one, max_size=6)


@EXAMPLES
@given(ON, lines_at(instants, min_size=1, max_size=12), lines_at(future, min_size=1, max_size=12), events_at(instants), events_at(future))
def test_the_future_changes_no_earlier_snapshot(on: Snapshots, past: Rows, later: Rows, happened: Rows, will_happen: Rows) -> None:
    before = features_of(past, happened, on)
    after = features_of([*later, *past], [*will_happen, *happened], on)
    pd.testing.assert_frame_equal(after, before, check_exact=True)


# Any day may be a border, not only one on which windows of the cadence meet.
@EXAMPLES
@given(
    ON,
    lines_at(instants, min_size=1, max_size=15),
    events_at(instants),
    st.lists(st.dates(dt.date(2017, 3, 1), dt.date(2017, 7, 1)), min_size=1, max_size=3),
)
def test_merging_windows_is_computing_at_once(on: Snapshots, lines: Rows, happened: Rows, splits: list[dt.date]) -> None:
    pd.testing.assert_frame_equal(features_of(lines, happened, on, splits=splits), features_of(lines, happened, on), check_exact=True)


@EXAMPLES
@given(lines_at(instants, min_size=2, max_size=15), st.randoms(use_true_random=False))
def test_rows_in_any_order_give_the_same(lines: Rows, random: Any) -> None:
    shuffled = random.sample(lines, len(lines))
    pd.testing.assert_frame_equal(features_of(shuffled, [], MONTHLY), features_of(lines, [], MONTHLY), check_exact=True)


@pytest.mark.parametrize("windows", [1, 3])
def test_the_properties_are_of_something(windows: int) -> None:
    """The statements that the properties compare do compute features, within the lookback and no further."""
    lines = [line("a", "2017-04-30", "5.00"), line("a", "2017-06-01", "7.00"), line("a", "2017-07-01", "11.00")]
    assert features_of(lines, [], MONTHLY, windows).loc[0, ["frequency", "monetary"]].tolist() == ([1, 7.0] if windows == 1 else [2, 12.0])
