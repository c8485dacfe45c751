"""When customers buy and come back, and what they buy, counted in the engine as Ibis expressions.

Each table includes its earlier windows: the previous snapshot's counts are carried over and only the new window
is added, so that no snapshot goes back to old order lines.
"""

import datetime as dt

import ibis
import ibis.expr.types as ir

from segmentation_assets.core.customers.calendar import Calendar
from segmentation_assets.core.customers.orders import hour_of_day, placed

UNKNOWN_HOUR = -1
SEASONALITY = ("window_start", "month", "weekday", "hour")


def order_seasonality(orders: ir.Table, previous: ir.Table, calendar: Calendar) -> ir.Table:
    """Orders and revenue by window, month, weekday (Monday = 0) and hour of the day.

    Args:
        orders: contract CUSTOMER_ORDERS, for the snapshot's window; previous: this table one snapshot earlier.
    """
    orders = placed(orders)
    day = orders.order_day
    slots = orders.mutate(
        window_start=calendar.window_start(day),
        month=day.truncate("M").cast("date"),
        weekday=day.day_of_week.index().cast("int64"),
        hour=hour_of_day(orders.ordered_at).cast("int64").fill_null(UNKNOWN_HOUR).cast("int64"),
    )
    counted = slots.group_by(*SEASONALITY).agg(orders=slots.count(), revenue=slots.purchases.sum().cast("decimal(38, 4)"))
    return _carried(counted, previous.select(*counted.columns), SEASONALITY)


def cohort_retention(customers: ir.Table, activity: ir.Table, previous: ir.Table, calendar: Calendar, as_of: dt.date) -> ir.Table:
    """Customers who first ordered in the same window, and how many of them order, and spend, 0, 1, 2 ... windows later.

    A window in which no customer of the cohort ordered is a row of zeros, so that means over the rows include it. Windows before
    the first known one have no rows.

    Args:
        customers: all known customers; activity: the snapshot's window(s); previous: this table one snapshot earlier.
    """
    people = customers.filter(customers.first_order_at.notnull())
    people = people.select("customer_id", cohort=calendar.window_start(people.first_order_at.date()))
    sizes = people.group_by("cohort").agg(cohort_customers=people.count())
    met = activity.join(people, "customer_id")
    # Both ends are counted to the snapshot, because windows are counted to a date and not between two columns.
    met = met.mutate(period=calendar.windows_between(met.cohort, as_of) - calendar.windows_between(met.window_start, as_of))
    met = met.filter(met.period >= 0)
    counted = met.group_by("cohort", "period").agg(
        active_customers=(met.orders > 0).cast("int64").sum(), revenue=met.spend.sum().cast("decimal(38, 4)")
    )
    carried = _carried(counted, previous.select(*counted.columns), ("cohort", "period"))
    # A window is identified by its distance to the snapshot in windows: 1 is the newest.
    known = carried.agg(oldest=(calendar.windows_between(carried.cohort, as_of) - carried.period).max())
    ages = sizes.cross_join(known).mutate(age=lambda t: calendar.windows_between(t.cohort, as_of))
    every = ages.mutate(period=ibis.range(0, ages.age, 1).unnest()).filter(lambda t: t.age - t.period <= t.oldest)
    every = every.select("cohort", "cohort_customers", period=every.period.cast("int64"))
    sized = every.left_join(carried, ["cohort", "period"]).select(
        "cohort", "period", "cohort_customers",
        active_customers=carried.active_customers.fill_null(0),
        revenue=carried.revenue.fill_null(0).cast("decimal(38, 4)"),
    )  # fmt: skip
    people_in = sized.cohort_customers.cast("float64").nullif(0.0)
    return sized.select(
        "cohort", "period", "cohort_customers", "active_customers", "revenue",
        retention=sized.active_customers.cast("float64") / people_in,
        revenue_per_customer=sized.revenue.cast("float64") / people_in,
    )  # fmt: skip


def category_mix(bought: ir.Table) -> ir.Table:
    """Purchases by category, and the share of buyers who bought it.

    Args:
        bought: `activity.purchases_by_category`, of one row per customer and category.
    """
    totals = bought.agg(all_purchases=bought.purchases.sum(), buyers=bought.customer_id.nunique())
    by_category = bought.group_by("category").agg(purchases=bought.purchases.sum(), customers=bought.count())
    both = by_category.cross_join(totals)
    return both.select(
        "category", "purchases", "customers",
        share=both.purchases.cast("float64") / both.all_purchases.cast("float64").nullif(0.0),
        penetration=both.customers.cast("float64") / both.buyers.cast("float64").nullif(0.0),
    )  # fmt: skip


def _carried(counted: ir.Table, previous: ir.Table, key: tuple[str, ...]) -> ir.Table:
    """The previous snapshot's counts with the new ones added."""
    both = ibis.union(counted.cast(previous.schema()) if counted.schema() != previous.schema() else counted, previous)
    return both.group_by(*key).agg(**{name: both[name].sum() for name in counted.columns if name not in key})
