"""Whom actions treat and hold out, as planned and as handed over: the rows that `outcomes` looks at.

Belongs here: which customers are compared. What they did is in `outcomes`.
"""

import datetime as dt

import ibis
import ibis.expr.types as ir

from segmentation_assets.core.application.outcomes import ASSIGNED, ActionKey
from segmentation_assets.vocabulary import Change, Reason, Role


def planned(audience: ir.Table, day: dt.date) -> ir.Table:
    """Rows (ASSIGNED) of those whom an audience treats or holds out, from the day on.

    Without the universal control group: its members miss earlier actions, too, so they differ by more than this action.
    """
    compared = (audience.role != Role.SUPPRESSED) & (audience.reason.isnull() | (audience.reason != Reason.UNIVERSAL_CONTROL))
    return audience.filter(compared).mutate(since=ibis.date(day.isoformat())).select(*ASSIGNED)


def handed_over(deliveries: ir.Table, audience: ir.Table, day: dt.date, until: dt.date) -> ir.Table:
    """Rows (ASSIGNED) of those whom deliveries of one snapshot added to an action, whatever became of them, from their first delivery on.

    Args:
        deliveries: rows of `store.deliveries`.
        audience: audience_members of that snapshot, which has their segments, and who is in the universal control group.
        day: that snapshot.
        until: deliveries from this day on do not count.
    """
    of_snapshot = (deliveries.snapshot_date == ibis.date(day.isoformat())) & (deliveries.change == Change.ADDED)
    added = deliveries.filter(of_snapshot & (deliveries.delivered_at < ibis.timestamp(f"{until.isoformat()} 00:00:00")))
    first = added.group_by("list", "action", "customer_id").agg(
        role=added.role.argmin(added.delivered_at), since=added.delivered_at.min().date()
    )
    about = audience.select("list", "customer_id", "segment_id", "reason")
    known = first.left_join(about, ["list", "customer_id"])
    return known.filter(known.reason.isnull() | (known.reason != Reason.UNIVERSAL_CONTROL)).select(*ASSIGNED)


def in_same_segments(assigned: ir.Table, placed: ir.Table, day: dt.date) -> ir.Table:
    """Rows (ASSIGNED) of all who were in the segments of an action's customers at an earlier snapshot, as if treated from that day on.

    Args:
        assigned: of the later snapshot.
        placed: customer_segments of the earlier one.
    """
    pairs = assigned.select("list", "action", "segment_id").distinct()
    return pairs.join(placed.select("customer_id", "segment_id"), "segment_id").select(
        "list", "action", "customer_id", role=ibis.literal(str(Role.TREATED)), segment_id="segment_id", since=ibis.date(day.isoformat())
    )


def ever_handed_over(audience: ir.Table, deliveries: ir.Table | None, day: dt.date) -> set[ActionKey]:
    """Actions of which anything was handed over by or for the snapshot of the day, according to its audience or to deliveries."""
    found = [audience.filter(audience.handed_over.notnull()).select("list", "action")]
    if deliveries is not None:
        found.append(deliveries.filter(deliveries.snapshot_date <= ibis.date(day.isoformat())).select("list", "action"))
    rows = ibis.union(*found, distinct=True) if len(found) > 1 else found[0].distinct()
    return {ActionKey(row["list"], row["action"]) for row in rows.to_pyarrow().to_pylist()}


def sizes(assigned: ir.Table) -> dict[ActionKey, dict[Role, int]]:
    """How many customers each action treats and holds out."""
    found: dict[ActionKey, dict[Role, int]] = {}
    for row in assigned.group_by("list", "action", "role").agg(customers=assigned.count()).to_pyarrow().to_pylist():
        found.setdefault(ActionKey(row["list"], row["action"]), {})[Role(row["role"])] = row["customers"]
    return found
