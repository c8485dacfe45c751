"""The rule of `core.application.audiences` as a plain loop over customers, and random small cases to compare it on."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import ibis
import pandas as pd
from hypothesis import strategies as st

from segmentation_assets.core.application import audiences
from segmentation_assets.core.application.plays import Action, Targets
from segmentation_assets.settings.audiences import Audiences
from segmentation_assets.settings.playbook import Play

PERIOD = 7


@dataclass(frozen=True)
class Standing:
    action: str
    role: str
    fixed: bool
    reason: str | None = None


@dataclass(frozen=True)
class Customer:
    customer_id: str
    segment_id: int = 1
    value_now: float | None = None
    value_at_stake: float | None = None
    meant: tuple[bool, ...] = ()
    barred: str | None = None
    contacts: int = 0
    standing: Mapping[str, Standing] = field(default_factory=dict)  # by list


@dataclass(frozen=True)
class Case:
    customers: tuple[Customer, ...]
    actions: tuple[Action, ...]
    rules: Audiences = field(default_factory=Audiences)
    spent: Mapping[str, float] = field(default_factory=dict)


def digest(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


def drawn(digits: str, share: float) -> bool:
    return Fraction(int(digits[:13], 16), 16**13) < Fraction(math.floor(share * 16**13), 16**13)


def by_loop(case: Case) -> dict[tuple[str, str], tuple[str, str, str | None, float]]:
    """(list, customer) -> action, role, reason and cost, one customer after the other."""
    salt, cap, found = case.rules.salt, case.rules.contact_cap, {}
    contacts = {one.customer_id: one.contacts for one in case.customers}
    control = {
        one.customer_id: drawn(digest(salt, "universal control", str(PERIOD), one.customer_id), case.rules.universal_control.share)
        for one in case.customers
    }
    lists = dict.fromkeys([action.play.list for action in case.actions])
    lists |= dict.fromkeys(sorted({name for one in case.customers for name, stand in one.standing.items() if stand.fixed}))
    for name in lists:
        mine = [(place, action) for place, action in enumerate(case.actions) if action.play.list == name]
        keys = {action.key: (place, action) for place, action in mine}
        rows: dict[str, tuple[str, str, str | None, float]] = {}
        free: list[Customer] = []
        for one in case.customers:
            stand = one.standing.get(name)
            first = next((action.key for place, action in mine if one.meant[place]), None)
            stays = stand is not None and (stand.fixed or (stand.action in keys and one.meant[keys[stand.action][0]]))
            if stays:
                assert stand is not None
                kept = keys.get(stand.action)
                cost = kept[1].play.cost if kept and stand.fixed and stand.role == "treated" else 0.0
                drawn_by = "universal control" if control[one.customer_id] else "holdout of the action"
                held_by = (stand.reason or drawn_by) if stand.role == "holdout" else None
                may = stand.fixed or not one.barred
                rows[one.customer_id] = (stand.action, stand.role, held_by, cost) if may else (stand.action, "suppressed", one.barred, 0.0)
            elif first is None:
                continue
            elif one.barred:
                rows[one.customer_id] = (first, "suppressed", one.barred, 0.0)
            elif cap is not None and contacts[one.customer_id] >= cap.contacts:
                rows[one.customer_id] = (first, "suppressed", "contact cap", 0.0)
            else:
                rows[one.customer_id] = (first, "suppressed", "beyond budget or limit", 0.0)
                free.append(one)
        for place, action in mine:
            play = action.play
            standing = [
                (one, one.standing[name]) for one in case.customers if name in one.standing and one.standing[name].action == action.key
            ]
            paid_now = sum(stand.fixed and stand.role == "treated" for _, stand in standing)
            staying = sum((stand.fixed or (one.meant[place] and not one.barred)) and stand.role == "treated" for one, stand in standing)
            room = math.inf
            if play.budget is not None:
                room = min(room, audiences.contacts_within(play.budget - case.spent.get(action.key, 0.0), play.cost) - paid_now)
            if play.most_customers is not None:
                room = min(room, play.most_customers - staying)
            draws = {one.customer_id: digest(salt, "holdout", action.key, one.customer_id) for one in free}

            def turn(one: Customer, play: Play = play, draws: dict[str, str] = draws) -> tuple[float, str, str]:
                gain = (one.value_at_stake or 0.0) if play.expected_uplift is None else (one.value_now or 0.0) * play.expected_uplift
                return -(gain - play.cost), draws[one.customer_id][13:26], one.customer_id

            for one in sorted([one for one in free if one.meant[place]], key=turn):
                if room <= 0:
                    break
                free.remove(one)
                if control[one.customer_id]:
                    rows[one.customer_id] = (action.key, "holdout", "universal control", 0.0)
                elif drawn(draws[one.customer_id], play.holdout):
                    rows[one.customer_id] = (action.key, "holdout", "holdout of the action", 0.0)
                else:
                    rows[one.customer_id] = (action.key, "treated", None, float(play.cost))
                    room -= 1
        for one in case.customers:
            stand = one.standing.get(name)
            if one.customer_id in rows:
                found[name, one.customer_id] = rows[one.customer_id]
                made_before = (
                    stand is not None and not stand.fixed and stand.action == rows[one.customer_id][0] and one.meant[keys[stand.action][0]]
                )
                contacts[one.customer_id] += rows[one.customer_id][1] == "treated" and not made_before
    return found


def tables(case: Case) -> tuple[Any, Any, audiences.Past | None]:
    """The case as `audience_members` takes it: meant, bars and past."""
    schema = {
        "customer_id": "string",
        "segment_id": "int64",
        "value_now": "float64",
        "value_at_stake": "float64",
        "usual_category": "string",
    }
    rows = [(one.customer_id, one.segment_id, one.value_now, one.value_at_stake, None, *one.meant) for one in case.customers]
    names = [*schema, *(f"for_{place}" for place in range(len(case.actions)))]
    kinds = schema | dict.fromkeys(names[len(schema) :], "boolean")
    meant = _memtable(rows, kinds)
    bars = _memtable([(one.customer_id, one.barred) for one in case.customers if one.barred], {"barred_id": "string", "barred": "string"})
    standing = [
        (name, one.customer_id, stand.action, stand.role, stand.reason, pd.Timestamp("2024-01-02 10:00"), stand.fixed)
        for one in case.customers for name, stand in one.standing.items()
    ]  # fmt: skip
    of_standing = {
        "list": "string",
        "customer_id": "string",
        "action": "string",
        "role": "string",
        "reason": "string",
        "handed_over": "timestamp(6)",
        "fixed": "boolean",
    }
    contacted = [(one.customer_id, one.contacts) for one in case.customers if one.contacts]
    if not standing and not contacted and not case.spent:
        return meant, bars, None
    past = audiences.Past(
        _memtable(standing, of_standing), _memtable(contacted, {"customer_id": "string", "contacts": "int64"}), case.spent
    )
    return meant, bars, past


def _memtable(rows: Sequence[tuple[Any, ...]], schema: Mapping[str, str]) -> Any:
    columns = {name: [row[place] for row in rows] for place, name in enumerate(schema)}
    return ibis.memtable(columns, schema=schema) if rows else ibis.memtable([], schema=schema)


def made(case: Case) -> list[dict[str, Any]]:
    """The rows of `audience_members`."""
    meant, bars, past = tables(case)
    found: list[dict[str, Any]] = audiences.audience_members(meant, bars, case.actions, case.rules, PERIOD, past).to_pyarrow().to_pylist()
    return found


def action(key: str, **play: Any) -> Action:
    """An action, whatever it is for: cases say so themselves."""
    nobody = Targets()
    return Action(key, Play(action=key, channel="e-mail", **{"for": {"segments": [1]}, **play}), nobody, nobody, nobody)


MONEY = st.sampled_from([None, 0.0, 1.0, 2.5, 2.5, 7.0])
LISTS = st.sampled_from(["marketing", "service"])
ROLES = st.sampled_from(["treated", "holdout"])


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Up to 9 customers and 4 actions on up to two lists, some with a budget, a limit or a past."""
    number = draw(st.integers(1, 4))
    actions = []
    for place in range(number):
        cost = draw(st.sampled_from([0, 1, 0.1]))
        limits = {"budget": draw(st.sampled_from([None, 0.05, 0.3, 2]))} if cost else {}
        actions.append(action(
            f"a{place}", cost=cost, most_customers=draw(st.sampled_from([None, None, 1, 2])), list=draw(LISTS),
            holdout=draw(st.sampled_from([0, 0.5])), expected_uplift=draw(st.sampled_from([None, 0.5])), **limits,
        ))  # fmt: skip
    has_past = draw(st.booleans())
    stood = st.builds(Standing, st.sampled_from(["a0", "a1", "gone"]), ROLES, st.booleans(), st.sampled_from([None, "universal control"]))
    customers = tuple(
        Customer(
            f"c{one}", draw(st.sampled_from([1, 2, -1])), draw(MONEY), draw(MONEY),
            tuple(draw(st.lists(st.booleans(), min_size=number, max_size=number))),
            draw(st.sampled_from([None, None, None, "no consent"])), draw(st.sampled_from([0, 0, 1, 2])) if has_past else 0,
            draw(st.dictionaries(st.sampled_from(["marketing", "service", "former"]), stood, max_size=2)) if has_past else {},
        )
        for one in range(draw(st.integers(1, 9)))
    )  # fmt: skip
    rules = Audiences.model_validate({
        "salt": draw(st.sampled_from(["1", "x"])), "universal_control": {"share": draw(st.sampled_from([0, 0.5]))},
        "contact_cap": draw(st.sampled_from([None, {"contacts": 1, "days": 30}, {"contacts": 2, "days": 30}])),
    })  # fmt: skip
    return Case(customers, tuple(actions), rules, {"a0": 0.2} if has_past and draw(st.booleans()) else {})
