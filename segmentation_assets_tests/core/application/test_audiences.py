"""Audiences follow the rule: as a plain loop gives them, within budgets and caps, nobody without consent, everyone in one row."""

import datetime as dt
from collections import Counter

import ibis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from segmentation_assets.core.application import audiences, holdout
from segmentation_assets.settings.audiences import Audiences
from segmentation_assets.settings.snapshots import Snapshots
from segmentation_assets_tests.conftest import examples
from segmentation_assets_tests.core.application.rule import PERIOD, Case, Customer, Standing, action, by_loop, cases, made


@examples(12)
@given(case=cases())
def test_audiences_are_those_of_a_plain_loop_over_the_rule_and_break_no_promise(case: Case) -> None:
    rows = made(case)
    found = {(row["list"], row["customer_id"]): row for row in rows}
    assert len(found) == len(rows)
    assert {key: (row["action"], row["role"], row["reason"], row["cost"]) for key, row in found.items()} == by_loop(case)
    customers = {one.customer_id: one for one in case.customers}
    assert set(found) >= {
        (action.play.list, one.customer_id)
        for one in case.customers
        for is_for, action in zip(one.meant, case.actions, strict=True)
        if is_for
    }
    assert all((row["reason"] is None) == (row["role"] == "treated") for row in rows)
    treated = [row for row in rows if row["role"] == "treated"]
    fixed = {(name, one.customer_id): stand for one in case.customers for name, stand in one.standing.items() if stand.fixed}
    assert not [row for row in treated if customers[row["customer_id"]].barred and (row["list"], row["customer_id"]) not in fixed]
    new = [row for row in treated if row["handed_over"] is None]
    for one in case.actions:
        if one.play.budget is not None:
            cost = sum(row["cost"] for row in new if row["action"] == one.key)
            assert cost <= max(one.play.budget - case.spent.get(one.key, 0.0), 0) + 1e-9
    if case.rules.contact_cap:
        contacts = Counter(row["customer_id"] for row in new)
        assert all(number + customers[one].contacts <= case.rules.contact_cap.contacts for one, number in contacts.items())
    for whose, stand in fixed.items():
        row = found[whose]  # handed over for this very snapshot: nothing changes it
        assert (row["action"], row["role"]) == (stand.action, stand.role) and row["handed_over"] is not None


def crowd(number: int, **of: object) -> tuple[Customer, ...]:
    return tuple(Customer(f"customer {one}", meant=(True,), **of) for one in range(number))


@pytest.mark.parametrize("share", [0.05, 0.1, 0.5])
def test_the_share_held_out_lies_within_binomial_bounds(share: float) -> None:
    people = crowd(4_000)
    roles = Counter(row["role"] for row in made(Case(people, (action("a", holdout=share),))))
    low, high = binom.interval(0.9999, len(people), share)
    assert low <= roles["holdout"] <= high and roles["holdout"] + roles["treated"] == len(people)
    others = {row["customer_id"] for row in made(Case(people, (action("b", holdout=share),))) if row["role"] == "holdout"}
    mine = {row["customer_id"] for row in made(Case(people, (action("a", holdout=share),))) if row["role"] == "holdout"}
    low, high = binom.interval(0.9999, len(people), share**2)
    assert low <= len(mine & others) <= high  # drawn independently of each other


def test_the_universal_control_group_is_left_alone_by_all_lists_and_rotates() -> None:
    rules = Audiences.model_validate({"universal_control": {"share": 0.2}})
    both = action("a", list="marketing", holdout=0), action("b", list="service", holdout=0)
    people = tuple(Customer(f"c{one}", meant=(True, True)) for one in range(500))
    rows = made(Case(people, both, rules))
    left = {
        name: {row["customer_id"] for row in rows if row["role"] == "holdout" and row["list"] == name} for name in ("marketing", "service")
    }
    assert left["marketing"] == left["service"] and 60 < len(left["marketing"]) < 140
    assert {row["reason"] for row in rows} == {None, "universal control"}
    known = ibis.memtable({"customer_id": [one.customer_id for one in people]})
    calendar = Snapshots(first=dt.date(1970, 1, 1), cadence="daily")
    [row] = holdout.universal_control(known, rules, dt.date.fromordinal(PERIOD * 12 + 5), calendar).to_pyarrow().to_pylist()
    since = dt.date.fromordinal(PERIOD * 12)
    until = since + dt.timedelta(days=12)
    assert row == {"customers": len(left["service"]), "period": PERIOD, "share": 0.2, "since": since, "until": until}
    assert holdout.universal_control(known, Audiences(), since, calendar).to_pyarrow().num_rows == 0


def test_a_draw_depends_on_the_salt_and_the_action_only() -> None:
    """On any machine: these digits are those of sha256 in any language."""
    rows = {row["customer_id"]: row["role"] for row in made(Case(crowd(3), (action("a", holdout=0.9),)))}
    assert rows == {"customer 0": "holdout", "customer 1": "holdout", "customer 2": "holdout"}
    again = [row["role"] for row in made(Case(crowd(300), (action("a", holdout=0.3),)))]
    other = [row["role"] for row in made(Case(crowd(300), (action("a", holdout=0.3),), Audiences(salt="2")))]
    assert again == [row["role"] for row in made(Case(crowd(300), (action("a", holdout=0.3),)))] and again != other


def test_only_a_yes_is_consent() -> None:
    customers = ibis.memtable({"customer_id": ["yes", "no", "unknown", "listed"], "consent": [True, False, None, True]})
    listed = ibis.memtable({"customer_id": ["listed", "listed", "stranger"]})
    found = {row["barred_id"]: row["barred"] for row in audiences.barred(customers, True, listed).to_pyarrow().to_pylist()}
    assert found == {"no": "opted out", "unknown": "no consent", "listed": "suppression list"}
    assert audiences.barred(customers, False, None).to_pyarrow().num_rows == 0


def test_a_mapped_consent_that_no_customer_has_bars_everyone() -> None:
    found = audiences.barred(ibis.memtable({"customer_id": ["a"]}), True, None).to_pyarrow().to_pylist()
    assert found == [{"barred_id": "a", "barred": "no consent"}]


@pytest.mark.parametrize(("of_this_snapshot", "found"), [(False, ("suppressed", "opted out")), (True, ("treated", None))])
def test_who_opts_out_after_a_hand_over_is_suppressed_at_later_snapshots_and_not_at_that_one(of_this_snapshot: bool, found: tuple) -> None:
    gone = Customer("c", meant=(True,), barred="opted out", standing={"marketing": Standing("a", "treated", of_this_snapshot)})
    [row] = made(Case((gone,), (action("a"),)))
    assert (row["action"], row["role"], row["reason"]) == ("a", *found) and row["handed_over"] is not None


def test_who_was_handed_over_as_universal_control_stays_that_when_the_group_has_changed() -> None:
    stays = Customer("c", meant=(True,), standing={"marketing": Standing("a", "holdout", False, "universal control")})
    [row] = made(Case((stays,), (action("a"),)))
    assert (row["role"], row["reason"]) == ("holdout", "universal control")


def test_a_contact_made_for_an_earlier_snapshot_is_not_paid_again() -> None:
    stays = Customer("c", meant=(True,), standing={"marketing": Standing("a", "treated", False)})
    [row] = made(Case((stays,), (action("a", cost=2, budget=2, holdout=0),), spent={"a": 2.0}))
    assert (row["role"], row["cost"]) == ("treated", 0.0)


@given(budget=st.integers(0, 1_000), cost=st.integers(1, 50))
def test_a_budget_in_cents_pays_whole_contacts(budget: int, cost: int) -> None:
    assert audiences.contacts_within(budget / 100, cost / 100) == budget // cost


def test_a_playbook_without_actions_has_no_audiences() -> None:
    assert made(Case((Customer("c"),), ())) == []
