"""Activity per window, as Ibis expressions that run on any engine: sums over orders, categories and events.

Everything here is *mergeable*: counts, exact sums, sums of squares and extremes of one window, so that windows can be merged
later and no snapshot goes back to order lines. Sums are integers or decimals, which do not depend on the
order of rows. Orders are defined in `orders`; `features` merges the windows.

The gap before a window's first order begins in an earlier window, so each window also has the day of the customer's previous
order. Orders count here as placed; `features` removes those that were undone.
"""

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir

from segmentation_assets.core.customers.calendar import Calendar, Lookback
from segmentation_assets.core.customers.cleaning import MONEY
from segmentation_assets.core.customers.orders import count_where, exact_sum, hour_of_day, order_days, placed

SATURDAY = 5  # days of the week are counted from Monday = 0
WIDER = "decimal(19, 4)"  # money times this has 38 digits; for two values of the money type, DuckDB would give the product only 18
DAYPARTS = {"night_orders": (22, 6), "morning_orders": (6, 12), "afternoon_orders": (12, 18), "evening_orders": (18, 22)}
ORDER_SUMS = (
    "orders", "purchases", "purchases_squared", "units", "discount", "coupon_discount", "coupon_orders", "weekend_orders", *DAYPARTS,
)  # fmt: skip
LINE_SUMS = ("lines", "spend", "returned_lines")


def customer_activity(orders: ir.Table, calendar: Calendar, before: ir.Table) -> ir.Table:
    """One row per customer and window in which they ordered or returned something.

    Args:
        orders: contract CUSTOMER_ORDERS, for any span of whole days.
        before: when each customer last ordered before that: `customer_id` and `last_order_at`, as in the contract CUSTOMERS of
            the previous snapshot.
    """
    dated = orders.mutate(window_start=calendar.window_start(orders.order_day))
    sums = dated.group_by("customer_id", "window_start").agg(
        **order_sums(dated),
        lines=dated.lines.sum(),
        spend=exact_sum(dated.spend),
        returned_lines=(dated.lines - dated.bought_lines).sum(),
        first_order_at=dated.ordered_at.min(),
        last_order_at=dated.ordered_at.max(),
    )
    gaps = _gaps(placed(dated))
    joined = sums.left_join(gaps, ["customer_id", "window_start"]).left_join(
        before.select("customer_id", before_day=before.last_order_at.date()), "customer_id"
    )
    # Without an order in the window there is no gap, whatever came before.
    earlier = ibis.ifelse(joined.first_order_at.notnull(), ibis.coalesce(joined.previous_day, joined.before_day), ibis.null("date"))
    return joined.select(
        *sums.columns,
        order_days=joined.order_days.fill_null(0),
        gap_days_squared=joined.gap_days_squared.fill_null(0),
        previous_order_day=earlier,
    )


def order_sums(orders: ir.Table) -> dict[str, ir.Value]:
    """The sums over orders from which features are made; rows of CUSTOMER_ORDERS that are not orders add nothing to counts."""
    is_order, hour = orders.ordered_at.notnull(), hour_of_day(orders.ordered_at)
    value = orders.purchases.cast(MONEY)
    return {
        "orders": count_where(is_order),
        "purchases": exact_sum(orders.purchases),
        "purchases_squared": (value * value.cast(WIDER)).sum(),
        "units": exact_sum(orders.units),
        "discount": exact_sum(orders.discount),
        "coupon_discount": exact_sum(orders.coupon_discount),
        "coupon_orders": count_where(is_order & (orders.coupon_discount > 0)),
        "weekend_orders": count_where(is_order & (orders.order_day.day_of_week.index() >= SATURDAY)),
        **{name: count_where(_between(hour, *hours)) for name, hours in DAYPARTS.items()},
    }


def _gaps(orders: ir.Table) -> ir.Table:
    """Days with an order by customer and window, squares of the days between them, and the last day before the window's first."""
    days = order_days(orders)
    within = days.previous >= days.window_start
    return days.group_by("customer_id", "window_start").agg(
        order_days=days.count(),
        gap_days_squared=ibis.ifelse(within, days.gap * days.gap, 0).sum(),
        previous_day=ibis.ifelse(within, ibis.null("date"), days.previous).max(),
    )


def customer_category_activity(transactions: ir.Table, calendar: Calendar) -> ir.Table:
    """One row per customer, window and category bought or returned."""
    lines = transactions.mutate(window_start=calendar.window_start(transactions.ordered_at.date()), bought=~transactions.is_return)
    return lines.group_by("customer_id", "window_start", "category").agg(
        spend=exact_sum(lines.amount),
        purchases=exact_sum(ibis.ifelse(lines.bought, lines.amount, ibis.literal(0).cast(MONEY))),
        lines=lines.count(),
        bought_lines=count_where(lines.bought),
    )


def purchases_by_category(activity: ir.Table, lookback: Lookback) -> ir.Table:
    """One row per customer and category of which they bought a line within the lookback, with the sum of these purchases.

    Several tables are made of it, and an engine may keep it for them; so it is always made by this function.

    Args:
        activity: contract CUSTOMER_CATEGORY_ACTIVITY, for at least the windows of the lookback.
    """
    bought = activity.filter((activity.bought_lines > 0) & lookback.has(activity.window_start))
    return bought.group_by("customer_id", "category").agg(purchases=bought.purchases.sum())


def customer_event_activity(events: ir.Table, calendar: Calendar, told_apart: Sequence[str]) -> ir.Table:
    """One row per customer, window, event type and subject.

    Args:
        events: clean events (contract EVENTS), for any span of whole days.
        told_apart: event types whose subjects are kept, to link a response to its campaign; for others, such as page
            visits, keeping subjects would make the table as long as the events themselves.
    """
    linked = events.event_type.isin(list(told_apart)) if told_apart else ibis.literal(False)
    rows = events.mutate(
        window_start=calendar.window_start(events.event_at.date()),
        subject=ibis.ifelse(linked, events.subject, ibis.null("string")),
    )
    return rows.group_by("customer_id", "window_start", "event_type", "subject").agg(events=rows.count(), last_event_at=rows.event_at.max())


def _between(hour: ir.IntegerValue, first: int, end: int) -> ir.BooleanValue:
    """Whether the hour is in [first, end), spanning midnight if `end` is smaller."""
    return (hour >= first) & (hour < end) if first < end else (hour >= first) | (hour < end)
