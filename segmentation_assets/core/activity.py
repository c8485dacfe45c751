"""Activity per window, as Ibis expressions that run on any engine: what is kept of order lines and events.

Everything here is *mergeable*: counts, exact sums, sums of squares and extremes of one window, so that windows can be put
together later and no snapshot goes back to order lines. Sums are integers or decimals, which come out the same in
whatever order rows arrive. What is made of them is in `features`.

An order is a customer, an order id and a day: windows meet between days, so no order lies in two of them.
"""

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir

from segmentation_assets.core.cleaning import MONEY
from segmentation_assets.core.windows import Calendar

SATURDAY = 5  # days of the week are counted from Monday = 0
DAYPARTS = {"night_orders": (22, 6), "morning_orders": (6, 12), "afternoon_orders": (12, 18), "evening_orders": (18, 22)}
ORDER_SUMS = (
    "orders", "lines", "spend", "purchases", "purchases_squared", "units", "discount", "coupon_discount", "coupon_orders",
    "returned_lines", "weekend_orders", *DAYPARTS,
)  # fmt: skip


def customer_activity(transactions: ir.Table, calendar: Calendar) -> ir.Table:
    """One row per customer and window in which they ordered or returned something.

    Args:
        transactions: cleaned order lines (contract TRANSACTIONS), of any span of whole days.
    """
    orders = _judged_orders(_orders(transactions)).mutate(window_start=lambda t: calendar.window_start(t.day))
    # Returns form a partition of their own, so that they break no gap in two. A second order of a day has a gap of zero,
    # which adds nothing to the squares and is not counted as a day.
    earlier = orders.day.lag().over(group_by=[orders.customer_id, orders.window_start, orders.is_order], order_by=orders.day)
    orders = orders.mutate(gap=ibis.ifelse(orders.is_order, orders.day.delta(earlier, unit="day"), ibis.null("int64")).cast("int64"))
    return orders.group_by("customer_id", "window_start").agg(
        orders=_count(orders.is_order),
        order_days=_count(orders.is_order & (orders.gap.fill_null(1) > 0)),
        lines=orders.lines.sum(),
        spend=orders.spend.sum(),
        purchases=orders.purchases.sum(),
        purchases_squared=(orders.value * orders.value).sum(),
        units=orders.units.sum(),
        discount=orders.discount.sum(),
        coupon_discount=orders.coupon_discount.sum(),
        coupon_orders=_count(orders.is_order & (orders.coupon_discount > 0)),
        returned_lines=(orders.lines - orders.bought_lines).sum(),
        weekend_orders=_count(orders.is_order & (orders.day.day_of_week.index() >= SATURDAY)),
        **{name: _count(_between(orders.hour, *hours)) for name, hours in DAYPARTS.items()},
        gap_days_squared=(orders.gap * orders.gap).sum().fill_null(0),
        first_order_at=orders.ordered_at.min(),
        last_order_at=orders.ordered_at.max(),
    )


def _orders(transactions: ir.Table) -> ir.Table:
    """One row per order: its lines and their sums. Without a line bought it is a return, and has no time of order."""
    lines = transactions.mutate(day=transactions.ordered_at.date(), bought=~transactions.is_return)

    def of_purchases(column: str, otherwise: ir.Value) -> ir.Value:
        return ibis.ifelse(lines.bought, lines[column], otherwise)

    nothing = ibis.literal(0).cast(MONEY)
    return lines.group_by("customer_id", "day", "order_id").agg(
        lines=lines.count(),
        bought_lines=_count(lines.bought),
        spend=lines.amount.sum(),
        purchases=of_purchases("amount", nothing).sum(),
        units=of_purchases("quantity", ibis.null(MONEY)).sum(),
        # A negative discount is a surcharge: it makes the line dearer, and takes nothing off another line's discount.
        discount=ibis.greatest(of_purchases("discount", nothing), nothing).sum(),
        coupon_discount=ibis.greatest(of_purchases("coupon_discount", nothing), nothing).sum(),
        ordered_at=of_purchases("ordered_at", ibis.null("timestamp(6)")).min(),
    )


def _judged_orders(orders: ir.Table) -> ir.Table:
    """Whether each is an order or a return only, its value, and its hour of the day where it has one."""
    hour = orders.ordered_at.hour()
    # A source that has dates only puts every order at midnight: such orders have no hour, and are in no part of the day.
    timed = (hour + orders.ordered_at.minute() + orders.ordered_at.second()) > 0
    return orders.mutate(
        is_order=orders.bought_lines > 0,
        value=orders.purchases.cast(MONEY),  # back from the sum's width, so that the square fits 38 digits on any engine
        hour=ibis.ifelse(timed, hour, ibis.null(hour.type())),
    )


def customer_category_activity(transactions: ir.Table, calendar: Calendar) -> ir.Table:
    """One row per customer, window and category bought or returned."""
    lines = transactions.mutate(window_start=calendar.window_start(transactions.ordered_at.date()), bought=~transactions.is_return)
    return lines.group_by("customer_id", "window_start", "category").agg(
        spend=lines.amount.sum(),
        purchases=ibis.ifelse(lines.bought, lines.amount, ibis.literal(0).cast(MONEY)).sum(),
        lines=lines.count(),
        bought_lines=_count(lines.bought),
    )


def customer_event_activity(events: ir.Table, calendar: Calendar, told_apart: Sequence[str]) -> ir.Table:
    """One row per customer, window, event type and subject.

    Args:
        events: cleaned events (contract EVENTS), of any span of whole days.
        told_apart: event types whose subjects are kept, to link a response to its campaign; for others, such as page
            visits, subjects would make the table as long as the events themselves.
    """
    linked = events.event_type.isin(list(told_apart)) if told_apart else ibis.literal(False)
    rows = events.mutate(
        window_start=calendar.window_start(events.event_at.date()),
        subject=ibis.ifelse(linked, events.subject, ibis.null("string")),
    )
    return rows.group_by("customer_id", "window_start", "event_type", "subject").agg(events=rows.count(), last_event_at=rows.event_at.max())


def _between(hour: ir.IntegerValue, first: int, end: int) -> ir.BooleanValue:
    """Whether the hour lies in [first, end), past midnight where `end` is the smaller."""
    return (hour >= first) & (hour < end) if first < end else (hour >= first) | (hour < end)


def _count(condition: ir.BooleanValue) -> ir.IntegerScalar:
    """How often the condition holds. Counted and not summed: DuckDB sums integers in 128 bits, four times the room."""
    return ibis.ifelse(condition, 1, ibis.null("int64")).count()
