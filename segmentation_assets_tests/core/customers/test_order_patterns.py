"""Seasonality, cohorts and categories, carried from snapshot to snapshot."""

import datetime as dt
from collections.abc import Iterable
from typing import Any

import ibis
import pandas as pd
import pyarrow as pa

from segmentation_assets.core.customers import activity, order_patterns, orders
from segmentation_assets.core.customers.calendar import Calendar
from segmentation_assets.store.lake import conformed, to_frame
from segmentation_assets.tables.cleaned import CUSTOMER_ORDERS, CUSTOMERS
from segmentation_assets.tables.contract import Contract
from segmentation_assets.tables.exploration import COHORT_RETENTION, ORDER_SEASONALITY
from segmentation_assets.tables.features import CUSTOMER_ACTIVITY
from segmentation_assets_tests.core.history import History, events, line, lookback, transactions

MONTHS = Calendar("monthly", dt.date(2017, 4, 1))
LINES = [
    line("a", "2017-04-03 09:30", "10.00"), line("a", "2017-05-07 09:00", "20.00", category="wine"), line("b", "2017-04-04", "5.00"),
    line("b", "2017-06-04 10:00", "7.00"), line("b", "2017-06-05 10:00", "-7.00"), line("c", "2017-05-01 23:00", "1.00"),
]  # fmt: skip


def nothing(contract: Contract) -> Any:
    return ibis.memtable(pa.schema({c.name: ibis.dtype(c.type).to_pyarrow() for c in contract.columns}).empty_table())


def placed_in(lines: Iterable[dict[str, Any]]) -> Any:
    return conformed(CUSTOMER_ORDERS, orders.customer_orders(transactions(list(lines))))


def snapshot(contract: Contract, as_of: dt.date, start: dt.date | None, previous: Any) -> Any:
    """The contract's table at the snapshot, with the rows of `previous` carried forward."""
    first = pd.Timestamp(start or dt.date(2000, 1, 1))
    window = placed_in(row for row in LINES if first <= row["ordered_at"] < pd.Timestamp(as_of))
    if contract is ORDER_SEASONALITY:
        made = order_patterns.order_seasonality(window, previous, MONTHS)
    else:
        people, _ = History(transactions(LINES), events()).before(as_of).states(MONTHS)
        active = conformed(CUSTOMER_ACTIVITY, activity.customer_activity(window, MONTHS, nothing(CUSTOMERS)))
        made = order_patterns.cohort_retention(people, active, previous, MONTHS, as_of)
    return ibis.memtable(conformed(contract, made).order_by(contract.key).to_pyarrow())


def month_by_month(contract: Contract) -> pd.DataFrame:
    table, start = nothing(contract), None
    for as_of in (dt.date(2017, 5, 1), dt.date(2017, 6, 1), dt.date(2017, 7, 1)):
        table, start = snapshot(contract, as_of, start, table), as_of
    return to_frame(table)


def test_counting_month_by_month_equals_counting_at_once() -> None:
    for contract in (ORDER_SEASONALITY, COHORT_RETENTION):
        at_once = to_frame(snapshot(contract, dt.date(2017, 7, 1), None, nothing(contract)))
        pd.testing.assert_frame_equal(month_by_month(contract), at_once, check_exact=True)


def test_orders_are_counted_by_weekday_and_hour() -> None:
    found = month_by_month(ORDER_SEASONALITY).set_index(["weekday", "hour"])["orders"]
    assert found.to_dict() == {(0, 9): 1, (1, -1): 1, (0, 23): 1, (6, 9): 1, (6, 10): 1}  # a return is not an order; -1: no time of day


def test_cohort_retention_by_hand() -> None:
    found = month_by_month(COHORT_RETENTION)
    found["cohort"] = pd.to_datetime(found["cohort"]).dt.month
    found = found.set_index(["cohort", "period"])
    assert found.loc[4, "cohort_customers"].tolist() == [2, 2, 2]
    assert found.loc[4, "retention"].tolist() == [1.0, 0.5, 0.5]
    assert found.loc[4, "revenue_per_customer"].tolist() == [7.5, 10.0, 0.0]  # net of returns
    assert found.loc[5, "cohort_customers"].tolist() == [1, 1]


def test_a_window_without_orders_of_a_cohort_is_a_row_of_zeros_and_an_unknown_one_has_no_row() -> None:
    found = month_by_month(COHORT_RETENTION)
    found["cohort"] = pd.to_datetime(found["cohort"]).dt.month
    assert found[["cohort", "period"]].to_numpy().tolist() == [[4, 0], [4, 1], [4, 2], [5, 0], [5, 1]]
    assert found.set_index(["cohort", "period"]).loc[(5, 1), ["active_customers", "revenue", "retention"]].tolist() == [0, 0.0, 0.0]
    alone = to_frame(
        snapshot(COHORT_RETENTION, dt.date(2017, 7, 1), dt.date(2017, 6, 1), nothing(COHORT_RETENTION))
    )  # as if there were no earlier snapshots
    assert alone["period"].tolist() == [2, 1]


def test_a_window_across_two_months_is_two_rows() -> None:
    weeks = Calendar("weekly", dt.date(2017, 4, 3))
    window = placed_in(
        [line("a", "2017-04-29 09:00", "1.00"), line("a", "2017-05-01 09:00", "2.00"), line("b", "2017-04-30 09:00", "4.00")]
    )
    found = to_frame(order_patterns.order_seasonality(window, nothing(ORDER_SEASONALITY), weeks)).sort_values("month")
    assert [str(day)[:10] for day in found["month"]] == ["2017-04-01", "2017-04-01", "2017-05-01"]


def test_category_mix_by_hand() -> None:
    windows = activity.customer_category_activity(transactions(LINES), MONTHS)
    bought = activity.purchases_by_category(windows, lookback(dt.date(2017, 7, 1)))
    found = to_frame(order_patterns.category_mix(bought)).set_index("category")
    assert found.loc["wine", ["share", "penetration"]].tolist() == [20 / 43, 1 / 3]
    assert found["share"].sum() == 1.0
