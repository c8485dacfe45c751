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


def begun(deliveries: ir.Table) -> ir.Table:
    """One row for each time that a customer came to an action: list, action, customer_id, role, reason, snapshot_date, since, cost,
    planned_share, and `since_last`: when the customer had come to it before; empty the first time.

    A further destination that is told of a customer whom another was told of before is no further time: what was added last stands until
    it is removed, wherever.

    Args:
        deliveries: rows of `store.deliveries`.
    """
    added = deliveries.change == Change.ADDED

    def of_added(column: str) -> ir.Value:
        return deliveries[column].min(where=added)

    whose = ("list", "action", "customer_id")
    moments = deliveries.group_by(*whose, "delivered_at").agg(
        is_added=added.any(),
        cost=deliveries.cost.max(where=added),
        **{name: of_added(name) for name in ("role", "reason", "snapshot_date", "planned_share")},
    )
    in_turn = ibis.window(group_by=list(whose), order_by="delivered_at")
    moments = moments.mutate(was_added=moments.is_added.lag().over(in_turn).fill_null(False))
    times = moments.filter(moments.is_added & ~moments.was_added).rename(since="delivered_at")
    times = times.mutate(since_last=times.since.lag().over(ibis.window(group_by=list(whose), order_by="since")))
    return times.select(*whose, "role", "reason", "snapshot_date", "since", "cost", "planned_share", "since_last")


def handed_over(deliveries: ir.Table, audience: ir.Table, day: dt.date, until: dt.date, apart: dt.timedelta) -> ir.Table:
    """Rows (ASSIGNED, planned_share) of those who came to an action by deliveries of one snapshot, whatever became of them, from then on.

    Who had come to it before, was taken back, and came again so soon that the first time is still followed, counts there only.

    Args:
        deliveries: rows of `store.deliveries`.
        audience: audience_members of that snapshot, which has their segments, and, for records that lack it, who is in the universal
            control group.
        day: that snapshot.
        until: deliveries from this day on do not count.
        apart: how long after the time before a further one counts.
    """
    times = begun(deliveries.filter(deliveries.delivered_at < _midnight(until)))
    anew = times.since_last.isnull() | (times.since - ibis.interval(days=apart.days) > times.since_last)
    first = times.filter((times.snapshot_date == ibis.date(day.isoformat())) & anew)
    about = audience.select("list", "customer_id", "segment_id", reason_then="reason")
    known = first.left_join(about, ["list", "customer_id"])
    drawn = ibis.coalesce(known.reason, known.reason_then)
    compared = known.filter(drawn.isnull() | (drawn != Reason.UNIVERSAL_CONTROL))
    return compared.mutate(since=compared.since.date()).select(*ASSIGNED, "planned_share")


def handed_over_later(deliveries: ir.Table, day: dt.date, since: dt.date) -> dict[ActionKey, tuple[dt.date, dict[Role, int]]]:
    """Actions of which customers were handed over for the snapshot of the day on or after another day, with the first day and how many
    there are by role, the universal control group left out."""
    times = begun(deliveries.filter(deliveries.snapshot_date == ibis.date(day.isoformat())))
    later = times.filter((times.since >= _midnight(since)) & (times.reason.isnull() | (times.reason != Reason.UNIVERSAL_CONTROL)))
    numbers = later.group_by("list", "action", "role").agg(customers=later.count(), first=later.since.min().date())
    found: dict[ActionKey, tuple[dt.date, dict[Role, int]]] = {}
    for row in numbers.to_pyarrow().to_pylist():
        first, roles = found.get(ActionKey(row["list"], row["action"]), (row["first"], {}))
        found[ActionKey(row["list"], row["action"])] = (min(first, row["first"]), {**roles, Role(row["role"]): row["customers"]})
    return found


def _midnight(day: dt.date) -> ir.TimestampScalar:
    return ibis.timestamp(f"{day.isoformat()} 00:00:00")


def planned_shares(handed: ir.Table) -> dict[ActionKey, float]:
    """By action, the share that was to be held out, as recorded with the deliveries; without actions that hold out nobody, and records
    that lack it."""
    known = handed.filter(handed.planned_share > 0)
    rows = known.group_by("list", "action").agg(share=known.planned_share.mean()).to_pyarrow().to_pylist()
    return {ActionKey(row["list"], row["action"]): row["share"] for row in rows}


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
