import datetime as dt

import ibis
import pandas as pd

from segmentation_assets.core.application.assignments import (
    begun,
    ever_handed_over,
    handed_over,
    handed_over_later,
    in_same_segments,
    planned,
    planned_shares,
    sizes,
)
from segmentation_assets.core.application.outcomes import ASSIGNED, ActionKey
from segmentation_assets.tables.application import AUDIENCE_MEMBERS
from segmentation_assets.tables.segments import CUSTOMER_SEGMENTS
from segmentation_assets.vocabulary import Change, Reason, Role
from segmentation_assets_tests.builders import table

MARCH, APRIL = dt.date(2024, 3, 1), dt.date(2024, 4, 1)
NAMES = ["list", "action", "customer_id", "role", "change", "snapshot_date", "delivered_at"]
APART = dt.timedelta(days=91)
MAIL = ActionKey("marketing", "mail")
TREATED, HOLDOUT = str(Role.TREATED), str(Role.HOLDOUT)


def member(customer: str, role: Role, reason: Reason | None = None, **further) -> dict:
    return {
        "list": "marketing", "action": "mail", "customer_id": customer, "role": str(role), "reason": reason and str(reason),
        "segment_id": 1, **further,
    }  # fmt: skip


AUDIENCE = table(
    AUDIENCE_MEMBERS,
    member("a", Role.TREATED, segment_id=2),
    member("b", Role.HOLDOUT, Reason.ACTION_HOLDOUT),
    member("c", Role.HOLDOUT, Reason.UNIVERSAL_CONTROL),
    member("d", Role.SUPPRESSED, Reason.OPTED_OUT),
)


def deliveries(*rows):
    """(customer, role, change, snapshot, time of delivery), each for a contact of 2, of a plan to hold out a tenth."""
    frame = pd.DataFrame([("marketing", "mail", *row) for row in rows], columns=NAMES)
    frame["snapshot_date"] = pd.to_datetime(frame["snapshot_date"])
    frame["delivered_at"] = pd.to_datetime(frame["delivered_at"])
    dated = ibis.memtable(frame).mutate(snapshot_date=lambda t: t.snapshot_date.cast("date"))
    return dated.mutate(reason=ibis.null("string"), cost=2.0, planned_share=0.1)


def times(*rows) -> list[tuple]:
    return sorted((row["customer_id"], row["role"], row["since"].day) for row in begun(deliveries(*rows)).to_pyarrow().to_pylist())


def found(assigned: ibis.Table) -> list[tuple]:
    assert tuple(assigned.columns)[: len(ASSIGNED)] == ASSIGNED
    return sorted((row["customer_id"], row["role"], row["segment_id"], row["since"]) for row in assigned.to_pyarrow().to_pylist())


def test_an_audience_is_compared_without_the_suppressed_and_the_universal_control_group():
    assert found(planned(AUDIENCE, MARCH)) == [("a", TREATED, 2, MARCH), ("b", HOLDOUT, 1, MARCH)]
    assert sizes(planned(AUDIENCE, MARCH)) == {MAIL: {Role.TREATED: 1, Role.HOLDOUT: 1}}


def test_who_was_handed_over_counts_from_the_first_delivery_as_assigned_then():
    rows = deliveries(
        ("a", TREATED, Change.ADDED, MARCH, "2024-03-04 09:00"), ("a", TREATED, Change.REMOVED, MARCH, "2024-03-06 09:00"),
        ("a", HOLDOUT, Change.ADDED, MARCH, "2024-03-08 09:00"), ("b", HOLDOUT, Change.ADDED, MARCH, "2024-03-04 09:00"),
    )  # fmt: skip
    day = dt.date(2024, 3, 4)
    assert found(handed_over(rows, AUDIENCE, MARCH, APRIL, APART)) == [("a", TREATED, 2, day), ("b", HOLDOUT, 1, day)]


def test_a_destination_that_is_told_later_is_no_further_time_and_coming_again_is() -> None:
    first, later = ("a", TREATED, Change.ADDED, MARCH, "2024-03-04 09:00"), ("a", TREATED, Change.ADDED, APRIL, "2024-04-05 09:00")
    back = ("a", TREATED, Change.REMOVED, MARCH, "2024-03-06 09:00")
    assert times(first, later) == [("a", TREATED, 4)]
    assert times(first, back, later) == [("a", TREATED, 4), ("a", TREATED, 5)]
    moved = [("a", TREATED, Change.REMOVED, APRIL, "2024-04-05 09:00"), later]  # from one destination to another
    assert times(first, *moved) == [("a", TREATED, 4)]


def test_who_is_taken_back_and_comes_again_soon_counts_where_the_first_time_is_followed() -> None:
    rows = deliveries(
        ("a", TREATED, Change.ADDED, MARCH, "2024-03-04 09:00"), ("a", TREATED, Change.REMOVED, MARCH, "2024-03-06 09:00"),
        ("a", TREATED, Change.ADDED, APRIL, "2024-04-05 09:00"),
    )  # fmt: skip
    may = dt.date(2024, 5, 1)
    assert found(handed_over(rows, AUDIENCE, MARCH, may, APART)) == [("a", TREATED, 2, dt.date(2024, 3, 4))]
    assert found(handed_over(rows, AUDIENCE, APRIL, may, APART)) == []
    assert found(handed_over(rows, AUDIENCE, APRIL, may, dt.timedelta(days=30))) == [("a", TREATED, 2, dt.date(2024, 4, 5))]


def test_the_planned_share_is_that_of_the_deliveries() -> None:
    rows = deliveries(("a", TREATED, Change.ADDED, MARCH, "2024-03-04 09:00"))
    assert planned_shares(handed_over(rows, AUDIENCE, MARCH, APRIL, APART)) == {MAIL: 0.1}


def test_what_was_handed_over_on_a_day_or_after_it_is_counted_by_role_without_the_control_group() -> None:
    rows = deliveries(
        ("a", TREATED, Change.ADDED, MARCH, "2024-04-02 09:00"), ("b", TREATED, Change.ADDED, MARCH, "2024-04-01 00:00"),
        ("h", HOLDOUT, Change.ADDED, MARCH, "2024-04-02 09:00"), ("u", HOLDOUT, Change.ADDED, MARCH, "2024-04-02 09:00"),
        ("early", TREATED, Change.ADDED, MARCH, "2024-03-31 23:59"),
    )  # fmt: skip
    control = rows.customer_id == "u"
    rows = rows.mutate(reason=ibis.ifelse(control, str(Reason.UNIVERSAL_CONTROL), ibis.null("string")))
    assert handed_over_later(rows, MARCH, APRIL) == {MAIL: (APRIL, {Role.TREATED: 2, Role.HOLDOUT: 1})}
    assert handed_over_later(rows, APRIL, APRIL) == {}


def test_deliveries_of_other_snapshots_after_the_end_or_of_the_control_group_do_not_count():
    rows = deliveries(
        ("a", TREATED, Change.ADDED, dt.date(2024, 2, 1), "2024-02-02 09:00"), ("b", TREATED, Change.ADDED, MARCH, "2024-04-01 00:00"),
        ("c", HOLDOUT, Change.ADDED, MARCH, "2024-03-02 09:00"),
    )  # fmt: skip
    assert found(handed_over(rows, AUDIENCE, MARCH, APRIL, APART)) == []


def test_a_customer_whom_the_audience_no_longer_has_stays():
    rows = deliveries(("gone", TREATED, Change.ADDED, MARCH, "2024-03-04 09:00"))
    assert handed_over(rows, AUDIENCE, MARCH, APRIL, APART).to_pyarrow()["customer_id"].to_pylist() == ["gone"]


def test_customers_of_the_same_segments_are_all_who_were_in_them():
    placed = table(CUSTOMER_SEGMENTS, *({"customer_id": who, "segment_id": segment} for who, segment in (("x", 1), ("y", 2), ("z", 3))))
    assert found(in_same_segments(planned(AUDIENCE, APRIL), placed, MARCH)) == [("x", TREATED, 1, MARCH), ("y", TREATED, 2, MARCH)]


def test_an_action_was_handed_over_if_its_audience_or_a_delivery_says_so():
    stands = table(AUDIENCE_MEMBERS, member("a", Role.TREATED, handed_over=dt.datetime(2024, 2, 2)))
    delivered = deliveries(("a", TREATED, Change.ADDED, MARCH, "2024-03-04 09:00"))
    assert ever_handed_over(AUDIENCE, None, MARCH) == set()
    assert ever_handed_over(stands, None, MARCH) == {MAIL}
    assert ever_handed_over(AUDIENCE, delivered, MARCH) == {MAIL}
    assert ever_handed_over(AUDIENCE, delivered, dt.date(2024, 2, 1)) == set()
