"""What customers are worth now, and how much of it is at stake, in money per window.

Both are measured, not modelled: what customers spent, and how many of the same segment stopped ordering one snapshot ago. Where
nothing was measured, the value is empty.
"""

import ibis
import ibis.expr.types as ir

from segmentation_assets.core.customers.calendar import Lookback
from segmentation_assets.core.customers.orders import count_where
from segmentation_assets.vocabulary import Status

LEAST_CUSTOMERS = 30
"""Fewest customers of a segment whose share who stopped ordering is taken: that of fewer is off by 18 percentage points or more."""


def customer_value(
    features: ir.Table,
    customers: ir.Table,
    placed: ir.Table,
    placed_before: ir.Table,
    windows: ir.Table,
    features_then: ir.Table,
    lookback: Lookback,
    lookback_then: Lookback,
) -> ir.Table:
    """One row per known customer: customer_id, value_now, value_at_stake, usual_category.

    value_now is the spend per window within the lookback, counted from the window of the first order, and 0 if more was returned than
    bought; for lapsed customers, what it was one lookback ago, if they were active then. value_at_stake is that times the share
    of customers who were in the same segment one snapshot ago and have not ordered since.

    Args:
        features, customers, placed: customer_features, customers and customer_segments of the snapshot.
        placed_before: customer_segments of the previous snapshot.
        windows: customer_activity of the window since.
        features_then: customer_features as of `lookback_then`, one lookback ago.
    """
    known = customers.select("customer_id", "first_order_at")
    if "monetary" not in features.columns:  # the source has no orders
        return features.select("customer_id", value_now=_EMPTY, value_at_stake=_EMPTY, usual_category=ibis.null("string"))
    now = _spend(features, known, lookback).rename(now_id="customer_id")
    then = _spend(features_then, known, lookback_then).rename(then_id="customer_id", value_then="value")
    category = features["top_category"] if "top_category" in features.columns else ibis.null("string")
    described = features.select("customer_id", status="status", usual_category=category)
    shares = lost(placed_before, windows).select(lost_of="segment_id", lost="lost")
    inside = placed.select("customer_id", "segment_id").left_join(shares, placed.segment_id == shares.lost_of)
    inside = inside.select("lost", placed_id="customer_id")
    joined = (
        described.left_join(now, described.customer_id == now.now_id)
        .left_join(then, described.customer_id == then.then_id)
        .left_join(inside, described.customer_id == inside.placed_id)
    )
    value = ibis.ifelse(joined.status == Status.LAPSED, joined.value_then, joined.value)
    return joined.select("customer_id", value_now=value, value_at_stake=value * joined.lost, usual_category=joined.usual_category)


_EMPTY = ibis.null("float64")


def _spend(features: ir.Table, known: ir.Table, lookback: Lookback) -> ir.Table:
    """customer_id, value: spend per window of the lookback, for those who were active in it."""
    active = features.filter(features.status == Status.ACTIVE).select("customer_id", "monetary")
    joined = active.join(known, "customer_id")
    since_first = lookback.calendar.windows_between(lookback.calendar.window_start(joined.first_order_at.date()), lookback.as_of)
    windows = ibis.least(ibis.greatest(since_first, 1), lookback.windows)
    return joined.select("customer_id", value=ibis.greatest(joined.monetary.cast("float64"), 0.0) / windows.cast("float64"))


def lost(placed_before: ir.Table, windows: ir.Table) -> ir.Table:
    """segment_id, lost: of the customers in each segment one snapshot ago, the share who have not ordered in the window since.

    Segments of fewer than LEAST_CUSTOMERS customers then are left out.
    """
    ordered = windows.filter(windows.orders > 0).select(ordered_id="customer_id").distinct()
    before = placed_before.select("customer_id", "segment_id")
    joined = before.left_join(ordered, before.customer_id == ordered.ordered_id)
    counts = joined.group_by("segment_id").agg(customers=joined.count(), silent=count_where(joined.ordered_id.isnull()))
    enough = counts.filter(counts.customers >= LEAST_CUSTOMERS)
    return enough.select("segment_id", lost=enough.silent.cast("float64") / enough.customers.cast("float64"))
