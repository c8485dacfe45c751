"""What is handed over to a destination: who was added and removed since what it was last told.

Belongs here: the difference, and who may no longer be contacted. How it travels is in `store.destinations`.
"""

import ibis
import ibis.expr.types as ir

from segmentation_assets.core.application.audiences import barred
from segmentation_assets.core.application.holdout import SEPARATOR
from segmentation_assets.settings.delivery import FURTHER, Destination
from segmentation_assets.vocabulary import Change, Role

MEMBERSHIP = ("list", "action", "role", "customer_id")
"""What makes two rows the same membership: another offer for the same action is none."""
RECORDED = ("reason", "planned_share")
"""Columns that the record has beside those, and that never leave: why a customer is held out, and the share that was to be."""
LETTERS = 32  # hexadecimal digits of a row's key


def wanted(audience: ir.Table, destination: Destination) -> ir.Table:
    """The rows of audience_members that a destination should have: treated and held out, of its lists and actions."""
    rows = audience.filter(audience.role != Role.SUPPRESSED)
    if destination.lists:
        rows = rows.filter(rows["list"].isin(destination.lists))
    return rows.filter(rows.action.isin(destination.actions)) if destination.actions else rows


def allowed(rows: ir.Table, records: ir.Table | None, suppressed: ir.Table | None) -> ir.Table:
    """The rows of customers who may still be contacted, in either role, so that treated and held out stay alike.

    Args:
        records: customer_id, consent of everyone on record now; None: no consent is mapped. Who is not on record has not agreed.
        suppressed: customer_id of everyone on a suppression list now; None: there are no lists.
    """
    customers = rows.select("customer_id").distinct()
    if records is not None:
        agreed = records["consent"].cast("boolean") if "consent" in records.columns else ibis.null("boolean")
        known = records.select(known_id="customer_id", consent=agreed)
        customers = customers.left_join(known, customers.customer_id == known.known_id).drop("known_id")
    bars = barred(customers.view(), records is not None, suppressed)
    return rows.anti_join(bars, rows.customer_id == bars.barred_id)


def last_told(deliveries: ir.Table, destination: str) -> ir.Table:
    """The newest row of each membership in `store.deliveries` for a destination: MEMBERSHIP, change, told_at."""
    told = deliveries.filter(deliveries.destination == destination)
    last = ibis.row_number().over(group_by=[told[name] for name in MEMBERSHIP], order_by=[ibis.desc(told.delivered_at), told.change])
    newest = told.mutate(place=last).filter(ibis._.place == 0)
    return newest.select(*MEMBERSHIP, "change", told_at="delivered_at")


def changes(rows: ir.Table, told: ir.Table | None, doubtful: ir.Table | None, snapshot: str) -> ir.Table:
    """One row per membership that changes: MEMBERSHIP, change, idempotency_key, FURTHER and RECORDED. The last two are empty for who is
    removed, but for a cost of 0.

    The key of a row is the same until the row has been told, and another one if the same is to be told again later.

    Args:
        rows: whom the destination should have, as from `wanted`, with `planned_share`.
        told: what it was told last, as from `last_told`; None: nothing.
        doubtful: memberships that it may have been told, without an answer; those who are wanted are told again, the others taken back.
    """
    standing = None if told is None else told.filter(told.change == Change.ADDED).select(*MEMBERSHIP)
    added = rows if standing is None else rows.anti_join(standing, list(MEMBERSHIP))
    about = (*FURTHER, *RECORDED)
    parts = [added.select(*MEMBERSHIP, *about, change=ibis.literal(str(Change.ADDED)))]
    had = [one.select(*MEMBERSHIP) for one in (standing, doubtful) if one is not None]
    if had:
        known = had[0] if len(had) == 1 else had[0].union(had[1].anti_join(had[0], list(MEMBERSHIP)))
        gone = known.anti_join(rows, list(MEMBERSHIP))
        types = rows.schema()
        nothing = {name: ibis.null(types[name]) for name in about}
        gone = gone.mutate(**{**nothing, "cost": ibis.literal(0.0)}, change=ibis.literal(str(Change.REMOVED)))
        parts.append(gone.select(*MEMBERSHIP, *about, "change"))
    found = parts[0] if len(parts) == 1 else parts[0].union(parts[1])
    before = ibis.literal("")
    if told is not None:
        earlier = told.select(told_at="told_at", **{f"earlier_{name}": name for name in MEMBERSHIP})
        found = found.left_join(earlier, [found[name] == earlier[f"earlier_{name}"] for name in MEMBERSHIP])
        found = found.drop(*(f"earlier_{name}" for name in MEMBERSHIP))
        before = found.told_at.cast("string").fill_null("")
    parted = [ibis.literal(snapshot), before, found.change, found["list"], found.action, found.role, found.customer_id]
    key = ibis.literal(SEPARATOR).join(parted).hexdigest("sha256").left(LETTERS)
    return found.mutate(idempotency_key=key).select(*MEMBERSHIP, *about, "change", "idempotency_key")
