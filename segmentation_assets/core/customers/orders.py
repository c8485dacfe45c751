"""Orders of a window, and which of them no longer count because they were returned, as Ibis expressions that run on any engine.

Belongs here: what an order is, which order a return belongs to, and when an order is undone. Sums over orders by window are
in `activity`, features in `features`.

An order is a customer, an order id and a day: windows begin at midnight, so no order is in two of them. A return belongs to
the customer's latest order with the id that the return names, on the return's day or before. An order whose lines,
net of returns, sum to zero or less is undone: from the return's time on it counts neither for frequency nor for recency.
"""

import ibis
import ibis.expr.types as ir

from segmentation_assets.core.customers.cleaning import MONEY

LARGEST_SUM = 1e12  # for one customer in one window; beyond it, the contract stops the snapshot and names the customer
KEY = ("customer_id", "order_id", "order_day")
_LARGEST_DIGITS = 38  # of a decimal
_CEILING = ibis.literal(90_000_000_000_000).cast(MONEY)  # the cap of sums: above LARGEST_SUM, and within the type


def exact_sum(values: ir.NumericColumn) -> ir.DecimalScalar:
    """The sum of money or units, exact up to LARGEST_SUM; larger ones are capped, so that the contract can name the customer."""
    return bounded(values.sum())


def summed(values: ir.NumericValue, where: ir.BooleanValue | None = None, digits: int = 15) -> ir.FloatingValue:
    """The sum of floats to so many digits after the point, the same in whatever order an engine adds: floats themselves differ in the last
    digit. Each is to have at most 38 digits, and so is their sum: with 15 after the point, it is below 1e23."""
    return values.cast(f"decimal({_LARGEST_DIGITS}, {digits})").sum(where=where).cast("float64")


def bounded(total: ir.NumericValue) -> ir.DecimalValue:
    """The sum in the money type, capped: casting a larger one would make the engine fail without naming the customer."""
    capped = ibis.ifelse(total > _CEILING, _CEILING, ibis.ifelse(total < -_CEILING, -_CEILING, total))
    return capped.cast(MONEY)


def customer_orders(transactions: ir.Table, free_orders_count: bool = True) -> ir.Table:
    """One row per customer, day and order id: its lines and their sums.

    Args:
        transactions: clean order lines (contract TRANSACTIONS), for any span of whole days.
        free_orders_count: whether an order with only lines of 0.00 counts as an order.
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
        # A negative discount is a surcharge: it makes its line dearer, and does not reduce another line's discount.
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
    """The rows of `customer_orders` that are orders: the others have only returns, or are free orders that do not count."""
    return orders.filter(orders.ordered_at.notnull())


def order_returns(transactions: ir.Table, orders: ir.Table, earlier: ir.Table) -> ir.Table:
    """One row per order from which these lines return something, and whether it is now undone.

    Args:
        transactions: clean order lines of the window.
        orders: `customer_orders` of the windows to search for returned orders, including this one.
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
    """The keys of the orders that no longer count.

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
    """When customers ordered before the windows in which an order can be undone: customer_id, earlier_order_at. A customer may be in
    several rows, of which the latest counts.

    Args:
        left: `customer_orders` of the last window before them; returns: `order_returns` of it and of those after it.
        previous: customers of the previous snapshot, with their `earlier_order_at`.
    """
    gone = counted(left, returns)
    before = previous.filter(previous.earlier_order_at.notnull())
    return ibis.union(
        gone.select("customer_id", earlier_order_at=gone.ordered_at.cast("timestamp(6)")),  # Spark gives no precision
        before.select("customer_id", earlier_order_at=before.earlier_order_at.cast("timestamp(6)")),
    )


def last_orders(affected: ir.Table, orders: ir.Table, returns: ir.Table, earlier: ir.Table) -> ir.Table:
    """When customers last ordered, without undone orders: customer_id, last_order_at (empty: never).

    Args:
        affected: `customer_id` of the customers to compute, once each.
        orders, returns: `customer_orders` and `order_returns` of the windows in which an order can be undone.
        earlier: when they ordered before these windows, from `earlier_orders`.
    """
    theirs = counted(orders.semi_join(affected, "customer_id"), returns)
    found = theirs.group_by("customer_id").agg(found_at=theirs.ordered_at.max())
    joined = affected.left_join(found, "customer_id").drop("customer_id_right")
    theirs_before = earlier.semi_join(affected, "customer_id")
    last = theirs_before.group_by("customer_id").agg(earlier_order_at=theirs_before.earlier_order_at.max())
    joined = joined.left_join(last, "customer_id")
    return joined.select("customer_id", last_order_at=ibis.coalesce(joined.found_at, joined.earlier_order_at))


def hour_of_day(time: ir.TimestampValue) -> ir.IntegerValue:
    """The hour; empty at exactly midnight, where a source with only dates puts every order."""
    timed = (time.hour() + time.minute() + time.second()) > 0
    return ibis.ifelse(timed, time.hour(), ibis.null(time.hour().type()))


def order_days(orders: ir.Table) -> ir.Table:
    """Customers' days with an order: customer_id, window_start, day, `previous` and the `gap` in days (both empty for the first).

    Computed from days alone, because a `lag` sorts all its columns, and orders are wide.

    Args:
        orders: orders that were placed, with their `window_start`.
    """
    days = orders.select("customer_id", "window_start", day=orders.order_day).distinct()
    days = days.mutate(previous=days.day.lag().over(group_by=days.customer_id, order_by=days.day))
    return days.mutate(gap=days.day.delta(days.previous, unit="day").cast("int64"))


def count_where(condition: ir.BooleanValue) -> ir.IntegerScalar:
    """How often the condition holds; counted rather than summed, because DuckDB sums integers in 128 bits, four times the memory."""
    return ibis.ifelse(condition, 1, ibis.null("int64")).count()
