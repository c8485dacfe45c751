"""Activity per window, as Ibis expressions that run on any engine: what is kept of order lines and events.

Everything here is *mergeable*: counts, exact sums, sums of squares and extremes of one window, so that windows can be put
together later and no snapshot goes back to order lines. Sums are integers or decimals, which come out the same in
whatever order rows arrive. What is made of them is in `features`.

An order is a customer, an order id and a day: windows meet between days, so no order lies in two of them. The gap before a
window's first order begins in an earlier window, so that each window also says when the customer had ordered before it.
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


def customer_activity(transactions: ir.Table, calendar: Calendar, before: ir.Table) -> ir.Table:
    """One row per customer and window in which they ordered or returned something.

    Args:
        transactions: cleaned order lines (contract TRANSACTIONS), of any span of whole days.
        before: when each customer last ordered before these lines: `customer_id` and `last_order_at`, as in the contract
            CUSTOMERS of the snapshot before.
    """
    orders = _judged_orders(_orders(transactions)).mutate(window_start=lambda t: calendar.window_start(t.day))
    sums = orders.group_by("customer_id", "window_start").agg(
        orders=count_where(orders.is_order),
        lines=orders.lines.sum(),
        spend=orders.spend.sum(),
        purchases=orders.purchases.sum(),
        purchases_squared=(orders.value * orders.value).sum(),
        units=orders.units.sum(),
        discount=orders.discount.sum(),
        coupon_discount=orders.coupon_discount.sum(),
        coupon_orders=count_where(orders.is_order & (orders.coupon_discount > 0)),
        returned_lines=(orders.lines - orders.bought_lines).sum(),
        weekend_orders=count_where(orders.is_order & (orders.day.day_of_week.index() >= SATURDAY)),
        **{name: count_where(_between(orders.hour, *hours)) for name, hours in DAYPARTS.items()},
        first_order_at=orders.ordered_at.min(),
        last_order_at=orders.ordered_at.max(),
    )
    gaps = _gaps(transactions, calendar)
    joined = sums.left_join(gaps, ["customer_id", "window_start"]).left_join(
        before.select("customer_id", before_day=before.last_order_at.date()), "customer_id"
    )
    # Without an order in the window there is no gap, whatever was before.
    earlier = ibis.ifelse(joined.first_order_at.notnull(), ibis.coalesce(joined.previous_day, joined.before_day), ibis.null("date"))
    return joined.select(
        *sums.columns,
        order_days=joined.order_days.fill_null(0),
        gap_days_squared=joined.gap_days_squared.fill_null(0),
        previous_order_day=earlier,
    )


def _gaps(transactions: ir.Table, calendar: Calendar) -> ir.Table:
    """Days with an order by customer and window, squares of the days between them, and the last day before the window's first.

    Made of days alone and apart from the sums, because a `lag` sorts all that it is given, and orders are wide.
    """
    bought = transactions.filter(~transactions.is_return)
    days = bought.select("customer_id", day=bought.ordered_at.date()).distinct()
    days = days.mutate(
        window_start=calendar.window_start(days.day), previous=days.day.lag().over(group_by=days.customer_id, order_by=days.day)
    )
    within = days.previous >= days.window_start
    gap = days.day.delta(days.previous, unit="day").cast("int64")
    return days.group_by("customer_id", "window_start").agg(
        order_days=days.count(),
        gap_days_squared=ibis.ifelse(within, gap * gap, 0).sum(),
        previous_day=ibis.ifelse(within, ibis.null("date"), days.previous).max(),
    )


def _orders(transactions: ir.Table) -> ir.Table:
    """One row per order: its lines and their sums. Without a line bought it is a return, and has no time of order."""
    lines = transactions.mutate(day=transactions.ordered_at.date(), bought=~transactions.is_return)

    def of_purchases(column: str, otherwise: ir.Value) -> ir.Value:
        return ibis.ifelse(lines.bought, lines[column], otherwise)

    nothing = ibis.literal(0).cast(MONEY)
    return lines.group_by("customer_id", "day", "order_id").agg(
        lines=lines.count(),
        bought_lines=count_where(lines.bought),
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
        bought_lines=count_where(lines.bought),
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


def count_where(condition: ir.BooleanValue) -> ir.IntegerScalar:
    """How often the condition holds. Counted and not summed: DuckDB sums integers in 128 bits, four times the room."""
    return ibis.ifelse(condition, 1, ibis.null("int64")).count()
