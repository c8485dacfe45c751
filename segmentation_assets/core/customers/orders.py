"""Orders of a window, and which of them no longer count because they were taken back, as Ibis expressions that run on any engine.

Belongs here: what an order is, what a return belongs to, and when an order is undone. What is counted of orders by window is
in `activity`, what is made of that in `features`.

An order is a customer, an order id and a day: windows meet between days, so no order lies in two of them. A return belongs to
the latest order of the customer that has the id which the return names, on its own day or before. An order whose lines,
returns netted, sum to nothing or less is undone: from the return's time on it counts neither for frequency nor for recency.
"""

import ibis
import ibis.expr.types as ir

from segmentation_assets.core.customers.cleaning import MONEY

LARGEST_SUM = 1e12  # of one customer in one window: beyond it, the contract stops the snapshot and names the customer
KEY = ("customer_id", "order_id", "order_day")
_CEILING = ibis.literal(90_000_000_000_000).cast(MONEY)  # what no sum passes: above LARGEST_SUM, and below what the type holds


def exact_sum(values: ir.NumericColumn) -> ir.DecimalScalar:
    """The sum of money or units, exact up to LARGEST_SUM; a larger one ends at a ceiling, so that the contract can name whose it is."""
    return bounded(values.sum())


def bounded(total: ir.NumericValue) -> ir.DecimalValue:
    """The sum in the type of money, cut at the ceiling: casting a larger one would stop the engine without a name."""
    capped = ibis.ifelse(total > _CEILING, _CEILING, ibis.ifelse(total < -_CEILING, -_CEILING, total))
    return capped.cast(MONEY)


def customer_orders(transactions: ir.Table, free_orders_count: bool = True) -> ir.Table:
    """One row per customer, day and order id: its lines and their sums.

    Args:
        transactions: cleaned order lines (contract TRANSACTIONS), of any span of whole days.
        free_orders_count: whether an order of nothing but lines of 0.00 is an order.
    """
    lines = transactions.mutate(order_day=transactions.ordered_at.date(), bought=~transactions.is_return)

    def of_purchases(column: str, otherwise: ir.Value) -> ir.Value:
        return ibis.ifelse(lines.bought, lines[column], otherwise)

    nothing, never = ibis.literal(0).cast(MONEY), ibis.null("timestamp(6)")
    sums = lines.group_by(*KEY).agg(
        lines=lines.count(),
        bought_lines=count_where(lines.bought),
        spend=exact_sum(lines.amount),
        purchases=exact_sum(of_purchases("amount", nothing)),
        units=exact_sum(of_purchases("quantity", ibis.null(MONEY))),
        # A negative discount is a surcharge: it makes the line dearer, and takes nothing off another line's discount.
        discount=exact_sum(ibis.greatest(of_purchases("discount", nothing), nothing)),
        coupon_discount=exact_sum(ibis.greatest(of_purchases("coupon_discount", nothing), nothing)),
        bought_at=of_purchases("ordered_at", never).min(),
        returned_at=ibis.ifelse(lines.bought, never, lines.ordered_at).min(),
    )
    counts = sums.bought_lines > 0 if free_orders_count else (sums.bought_lines > 0) & (sums.purchases > 0)
    return sums.select(
        *KEY, "lines", "bought_lines", "spend", "purchases", "returned_at",
        units=ibis.ifelse(counts, sums.units, ibis.null(MONEY)),
        discount=ibis.ifelse(counts, sums.discount, nothing),
        coupon_discount=ibis.ifelse(counts, sums.coupon_discount, nothing),
        ordered_at=ibis.ifelse(counts, sums.bought_at, never),
    )  # fmt: skip


def placed(orders: ir.Table) -> ir.Table:
    """The rows of `customer_orders` that are orders: the others are returns only, or free where those do not count."""
    return orders.filter(orders.ordered_at.notnull())


def order_returns(transactions: ir.Table, orders: ir.Table, earlier: ir.Table) -> ir.Table:
    """One row per order of which these lines take something back, and whether it is undone by now.

    Args:
        transactions: cleaned order lines of the window.
        orders: `customer_orders` of the windows in which a returned order is looked for, this one included.
        earlier: this table for the windows before, as far back as `orders`.
    """
    lines = transactions.filter(transactions.is_return & transactions.returned_order_id.notnull())
    back = lines.group_by("customer_id", order_id=lines.returned_order_id, returned_on=lines.ordered_at.date()).agg(
        taken_back=bounded(-lines.amount.sum())
    )
    known = placed(orders).select(*KEY, "purchases")
    found = back.join(known.select(*KEY), ["customer_id", "order_id"]).filter(lambda t: t.order_day <= t.returned_on)
    latest = found.group_by("customer_id", "order_id", "returned_on", "taken_back").agg(order_day=found.order_day.max())
    now = latest.group_by(*KEY).agg(taken_back=bounded(latest.taken_back.sum()))
    before = earlier.group_by(*KEY).agg(taken_back_before=bounded(earlier.taken_back.sum()))
    joined = now.join(known, list(KEY)).left_join(before, list(KEY))
    taken_back_before = joined.taken_back_before.fill_null(0)
    return joined.select(
        *KEY, "purchases", "taken_back",
        taken_back_before=taken_back_before,
        undone=taken_back_before + joined.taken_back >= joined.purchases,
    )  # fmt: skip


def undone(returns: ir.Table) -> ir.Table:
    """The key of each order that no longer counts.

    Args:
        returns: `order_returns` of any windows.
    """
    return returns.filter(returns.undone).select(*KEY).distinct()


def counted(orders: ir.Table, returns: ir.Table) -> ir.Table:
    """The orders that were placed and not undone.

    Args:
        orders, returns: `customer_orders` and `order_returns` of any windows.
    """
    return placed(orders).anti_join(undone(returns), list(KEY))


def earlier_orders(left: ir.Table, returns: ir.Table, previous: ir.Table) -> ir.Table:
    """When customers last ordered before the windows in which an order can be undone: customer_id, earlier_order_at.

    Args:
        left: `customer_orders` of the window that has just left them; returns: `order_returns` of it and of those after it.
        previous: customers of the snapshot before, with their `earlier_order_at`.
    """
    gone = counted(left, returns)
    both = ibis.union(
        gone.select("customer_id", earlier_order_at=gone.ordered_at.cast("timestamp(6)")),  # Spark gives no precision
        previous.select("customer_id", earlier_order_at=previous.earlier_order_at.cast("timestamp(6)")),
    )
    return both.group_by("customer_id").agg(earlier_order_at=both.earlier_order_at.max())


def last_orders(affected: ir.Table, orders: ir.Table, returns: ir.Table, earlier: ir.Table) -> ir.Table:
    """When customers last ordered, orders that were undone left out: customer_id, last_order_at (empty: never).

    Args:
        affected: `customer_id` of those to look at, once each.
        orders, returns: `customer_orders` and `order_returns` of the windows in which an order can be undone.
        earlier: when they last ordered before these windows, as `earlier_orders` gives it.
    """
    theirs = counted(orders.semi_join(affected, "customer_id"), returns)
    found = theirs.group_by("customer_id").agg(found_at=theirs.ordered_at.max())
    joined = affected.left_join(found, "customer_id").drop("customer_id_right")
    joined = joined.left_join(earlier, "customer_id")
    return joined.select("customer_id", last_order_at=ibis.coalesce(joined.found_at, joined.earlier_order_at))


def hour_of_day(time: ir.TimestampValue) -> ir.IntegerValue:
    """The hour; empty at midnight sharp, which is where a source that has dates only puts every order."""
    timed = (time.hour() + time.minute() + time.second()) > 0
    return ibis.ifelse(timed, time.hour(), ibis.null(time.hour().type()))


def order_days(orders: ir.Table) -> ir.Table:
    """Customers' days with an order: customer_id, window_start, day, `previous` and the `gap` in days (both empty for the first).

    Made of days alone, because a `lag` sorts all that it is given, and orders are wide.

    Args:
        orders: orders that were placed, with their `window_start`.
    """
    days = orders.select("customer_id", "window_start", day=orders.order_day).distinct()
    days = days.mutate(previous=days.day.lag().over(group_by=days.customer_id, order_by=days.day))
    return days.mutate(gap=days.day.delta(days.previous, unit="day").cast("int64"))


def count_where(condition: ir.BooleanValue) -> ir.IntegerScalar:
    """How often the condition holds. Counted and not summed: DuckDB sums integers in 128 bits, four times the room."""
    return ibis.ifelse(condition, 1, ibis.null("int64")).count()
