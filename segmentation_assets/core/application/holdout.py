"""Draws by salted hash: the same customers on every machine, engine and snapshot, without a random number that somebody must keep.

Belongs here: hashes, shares, and when the universal control group changes. What follows from a draw is in `audiences`.
"""

import datetime as dt
import math

import ibis
import ibis.expr.types as ir

from segmentation_assets.settings.audiences import Audiences
from segmentation_assets.settings.snapshots import Snapshots, following

DIGITS = 13
"""Hexadecimal digits of a draw: 52 bits, so that a share of float precision is met exactly."""
SEPARATOR = "\x1f"
"""Between the parts of what is hashed. Salts and keys are printable, and the id comes last, so no two are the same."""
HOLDOUT, CONTROL = "holdout", "universal control"


def prefix(salt: str, *purpose: str) -> str:
    """What stands in front of the customer's id: who is drawn for one purpose says nothing on who is for another."""
    return SEPARATOR.join((salt, *purpose, ""))


def draws(prefixes: str | ir.StringValue, customer_id: ir.StringValue) -> ir.StringValue:
    """Hexadecimal digits for each customer, of the SHA-256 of prefix and id: two draws, each of DIGITS. All 64 would cost memory."""
    begun = ibis.literal(prefixes) if isinstance(prefixes, str) else prefixes
    return (begun + customer_id).hexdigest("sha256").left(2 * DIGITS)


def is_drawn(digits: ir.StringValue, threshold: str | ir.StringValue) -> ir.BooleanValue:
    """Whether the first draw lies below the threshold, compared as text, on which all engines agree."""
    return digits.left(DIGITS) < threshold


def order(digits: ir.StringValue) -> ir.StringValue:
    """A second draw, independent of the first, by which ties are decided."""
    return digits.substr(DIGITS, DIGITS)


def threshold(share: float) -> str:
    """The digits below which this share of draws lies.

    >>> threshold(0.5), threshold(0)
    ('8000000000000', '0000000000000')
    """
    return f"{math.floor(share * 16**DIGITS):0{DIGITS}x}"


def in_control(customer_id: ir.StringValue, rules: Audiences, period: int) -> ir.BooleanValue:
    """Whether the customer is in the universal control group of a period, as from `rotation`."""
    share = rules.universal_control.share
    return is_drawn(draws(prefix(rules.salt, CONTROL, str(period)), customer_id), threshold(share)) if share else ibis.literal(False)


def universal_control(known: ir.Table, rules: Audiences, as_of: dt.date, snapshots: Snapshots) -> ir.Table:
    """The group that stands at a snapshot, as one row of the contract UNIVERSAL_CONTROL; none if no share is set.

    Args:
        known: customer_id of every customer known at the snapshot.
    """
    period, since, until = rotation(as_of, snapshots, rules.universal_control.rotation)
    drawn = known.filter(in_control(known.customer_id, rules, period))
    customers = drawn.agg(customers=drawn.count())
    share = ibis.literal(float(rules.universal_control.share))
    days = {"since": ibis.date(since.isoformat()), "until": ibis.date(until.isoformat())}
    return customers.mutate(period=ibis.literal(period, "int64"), share=share, **days).filter(share > 0)


def rotation(as_of: dt.date, snapshots: Snapshots, length: int) -> tuple[int, dt.date, dt.date]:
    """The period of a universal control group that changes every `length` snapshots: its number, its first snapshot, and the next one's.

    It depends on the calendar only, not on the first snapshot of a data folder.

    >>> number, first, following_one = rotation(dt.date(2024, 8, 1), Snapshots(first=dt.date(2024, 1, 1)), 12)
    >>> number, first.isoformat(), following_one.isoformat()
    (2024, '2024-01-01', '2025-01-01')
    """
    if snapshots.cadence == "monthly":
        position = as_of.year * 12 + as_of.month - 1
    else:
        position = as_of.toordinal() // (7 if snapshots.cadence == "weekly" else 1)
    since = position % length
    return position // length, following(as_of, snapshots, -since), following(as_of, snapshots, length - since)
