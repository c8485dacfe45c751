"""What a destination is told makes it have whom it should have, once."""

import datetime as dt
from typing import Any

import ibis
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from segmentation_assets.core.application import handover
from segmentation_assets.settings.delivery import Folder
from segmentation_assets.tables.application import AUDIENCE_MEMBERS
from segmentation_assets.vocabulary import Reason, Role
from segmentation_assets_tests.builders import D2, table
from segmentation_assets_tests.conftest import examples

TREATED, HOLDOUT = str(Role.TREATED), str(Role.HOLDOUT)
HERE = Folder(kind="folder", path="x")


def member(customer: str, role: str = TREATED, action: str = "mail", name: str = "marketing", **further: Any) -> dict[str, Any]:
    return {"list": name, "action": action, "customer_id": customer, "role": role, **further}


def audience(*rows: dict[str, Any]) -> ibis.Table:
    return table(AUDIENCE_MEMBERS, *rows).mutate(planned_share=ibis.null("float64"))


def told(*rows: tuple[str, str, str, str, int], destination: str = "crm") -> ibis.Table:
    """customer, action, role, change, hour, as in deliveries."""
    frame = pd.DataFrame(rows, columns=["customer_id", "action", "role", "change", "hour"])
    frame = frame.assign(list="marketing", destination=destination, delivery_id="x")
    return ibis.memtable(frame.assign(delivered_at=[dt.datetime(2024, 3, 1, hour) for hour in frame.pop("hour")]))


def said(rows: ibis.Table) -> set[tuple[str, ...]]:
    return {(row["customer_id"], row["action"], row["role"], row["change"]) for row in rows.to_pyarrow().to_pylist()}


def test_only_treated_and_held_out_of_the_asked_lists_and_actions_are_wanted() -> None:
    rows = audience(
        member("a"), member("b", HOLDOUT), member("c", str(Role.SUPPRESSED), reason=str(Reason.OPTED_OUT)),
        member("d", action="call"), member("e", name="service"),
    )  # fmt: skip

    def asked(**how: Any) -> set[str]:
        return set(handover.wanted(rows, HERE.model_copy(update=how)).to_pyarrow()["customer_id"].to_pylist())

    assert asked() == set("abde")
    assert asked(lists=("service",)) == {"e"}
    assert asked(actions=("mail",), lists=("marketing",)) == {"a", "b"}


def test_whoever_no_longer_agrees_or_is_on_a_list_is_left_out_of_both_arms() -> None:
    rows = audience(*map(member, "abcd"), member("e", HOLDOUT), member("f", HOLDOUT))
    yes, no = True, False
    records = ibis.memtable(pd.DataFrame({"customer_id": list("abcef"), "consent": [yes, no, None, no, yes]}))
    listed = ibis.memtable(pd.DataFrame({"customer_id": ["a"]}))

    def kept(*how: Any) -> set[str]:
        return set(handover.allowed(rows, *how).to_pyarrow()["customer_id"].to_pylist())

    assert kept(None, None) == set("abcdef")
    assert kept(records, None) == {"a", "f"}  # d is no longer on record
    assert kept(records, listed) == {"f"}
    assert kept(records.drop("consent"), None) == set()


def test_the_difference_is_who_came_and_who_left_since() -> None:
    before = told(
        ("a", "mail", TREATED, "added", 9), ("b", "mail", TREATED, "added", 9), ("c", "mail", TREATED, "added", 9),
        ("c", "mail", TREATED, "removed", 10), ("d", "mail", HOLDOUT, "added", 9), ("e", "mail", TREATED, "added", 9),
    )  # fmt: skip
    other = told(("z", "mail", TREATED, "added", 9), destination="mailer")
    last = handover.last_told(before.union(other), "crm")
    rows = audience(member("a"), member("c"), member("d", HOLDOUT), member("e", action="call", offer="TEN"))
    found = handover.changes(rows, last, None, D2)
    assert said(found) == {
        ("c", "mail", TREATED, "added"), ("e", "call", TREATED, "added"),
        ("b", "mail", TREATED, "removed"), ("e", "mail", TREATED, "removed"),
    }  # fmt: skip
    offers = {(row["customer_id"], row["change"]): (row["channel"], row["offer"]) for row in found.to_pyarrow().to_pylist()}
    assert offers["e", "added"] == (None, "TEN") and offers["e", "removed"] == (None, None)


def test_who_may_have_been_told_is_told_again_or_taken_back() -> None:
    unsure = ibis.memtable(pd.DataFrame([member("a"), member("b")]))
    found = handover.changes(audience(member("a")), None, unsure, D2)
    assert said(found) == {("a", "mail", TREATED, "added"), ("b", "mail", TREATED, "removed")}


def keys(rows: ibis.Table, *how: Any) -> list[str]:
    return handover.changes(rows, *how, None, D2).to_pyarrow()["idempotency_key"].to_pylist()


def test_a_key_is_the_same_until_it_was_told_and_then_another() -> None:
    rows = audience(member("a"))
    first = keys(rows, None)
    assert first == keys(rows, None) and len(first[0]) == 32
    back = told(("a", "mail", TREATED, "added", 9), ("a", "mail", TREATED, "removed", 10))
    again = keys(rows, handover.last_told(back, "crm"))
    assert again == keys(rows, handover.last_told(back, "crm")) != first


MEMBERS = st.sets(st.tuples(st.sampled_from("abcde"), st.sampled_from(["mail", "call"])))


@examples(25)
@given(st.lists(MEMBERS, min_size=1, max_size=4))
def test_a_destination_that_does_as_it_is_told_has_whom_it_should_have(wanted: list[set[tuple[str, str]]]) -> None:
    history: list[tuple[str, str, str, str, int]] = []
    has: set[tuple[str, str]] = set()
    for hour, members in enumerate(wanted):
        rows = audience(*(member(customer, action=action) for customer, action in members))
        last = handover.last_told(told(*history), "crm") if history else None
        for customer, action, role, change in said(handover.changes(rows, last, None, D2)):
            assert ((customer, action) in has) == (change == "removed")
            has ^= {(customer, action)}
            history.append((customer, action, role, change, hour))
        assert has == members
