"""Who is contacted by which action, who is left alone to measure by, and who is not contacted, and why.

The rule, for each list of actions: actions in the order of their priority; within one, the customers it is for who are not taken yet, by
value at stake (by expected uplift, where it is given) less cost, ties by hash, until its budget or limit is reached. Who is drawn into the
action's holdout or the universal control group is taken without a contact, and no other action of the list treats them. Who may not be
contacted is taken by none. One row per customer and list. The tests have the same rule as a plain loop.
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import ibis
import ibis.expr.types as ir

from segmentation_assets.core.application.holdout import HOLDOUT, draws, in_control, is_drawn, order, prefix, threshold
from segmentation_assets.core.application.plays import Action
from segmentation_assets.settings.audiences import Audiences
from segmentation_assets.settings.playbook import NEXT_CATEGORY, USUAL_CATEGORY
from segmentation_assets.vocabulary import Reason, Role

GONE = -1  # in place of an action's place: one that was handed over and is no longer in the playbook


@dataclass(frozen=True)
class Past:
    """What was handed over before.

    Attributes:
        standing: list, customer_id, action, role, reason, handed_over, and `fixed`: whether it was handed over for this very snapshot, so
            that it stays whatever has changed, also where the customer may no longer be contacted: a delivery asks that anew, and takes the
            customer back. Others stay as long as the action is done, is for the customer, and the customer may be contacted.
        contacts: customer_id, contacts: contacts for earlier snapshots within the days of the contact cap.
        spent: action -> money for contacts for earlier snapshots.
    """

    standing: ir.Table = field(repr=False)
    contacts: ir.Table = field(repr=False)
    spent: Mapping[str, float]


def barred(customers: ir.Table, has_consent: bool, suppressed: ir.Table | None) -> ir.Table:
    """barred_id, barred: who may not be contacted by any action, and the Reason; others are left out.

    Args:
        customers: contract CUSTOMERS, with the column `consent` if `has_consent`. Only a yes is consent.
        suppressed: customer_id of those who are on a suppression list.
    """
    tests: list[tuple[ir.BooleanValue, str]] = []
    rows = customers
    if has_consent:
        agreed = rows["consent"].cast("boolean") if "consent" in rows.columns else ibis.null("boolean")
        tests += [(~agreed, Reason.OPTED_OUT), (agreed.isnull(), Reason.NO_CONSENT)]
    if suppressed is not None:
        listed = suppressed.select(listed="customer_id").distinct()
        rows = rows.left_join(listed, rows.customer_id == listed.listed)
        tests.append((rows["listed"].notnull(), Reason.SUPPRESSION_LIST))
    reason = ibis.cases(*((test, str(reason)) for test, reason in tests)) if tests else ibis.null("string")
    return rows.select(barred_id="customer_id", barred=reason).filter(ibis._.barred.notnull())


def audience_members(
    meant: ir.Table, bars: ir.Table, actions: Sequence[Action], rules: Audiences, period: int, past: Past | None = None
) -> ir.Table:
    """One row per list and customer whom an action of it is for, or was for when it was handed over.

    Args:
        meant: as from `plays.meant`, for these actions, with the column next_category if one of them offers it.
        bars: as from `barred`.
        actions: in the order in which they are done.
        period: of the universal control group, as from `holdout.rotation`.
        past: what was handed over before; None: nothing.
    """
    state = meant.left_join(bars, meant.customer_id == bars.barred_id).drop("barred_id")
    state = state.mutate(control=in_control(state.customer_id, rules, period))
    contacts = ibis.literal(0, "int64")
    if past is not None and rules.contact_cap is not None:
        made = past.contacts.select("contacts", contacts_of="customer_id")
        state = state.left_join(made, state.customer_id == made.contacts_of).drop("contacts_of")
        contacts = state.contacts.fill_null(0)
    state = state.mutate(contacts=contacts).view()
    parts = []
    for name in _lists(actions, past):
        of_list = [(place, action) for place, action in enumerate(actions) if action.play.list == name]
        taken = _taken(state, name, of_list, rules, past)
        parts.append(_rows(taken, name, of_list))
        new = (taken.role == Role.TREATED) & ~taken.paid
        if rules.contact_cap:
            state = taken.mutate(contacts=taken.contacts + new.cast("int64")).select(*state.columns).view()
    return functools.reduce(lambda one, other: one.union(other), parts) if parts else _rows_of_nobody(state)


def _lists(actions: Sequence[Action], past: Past | None) -> list[str]:
    """The lists, in the order of their first action; those of earlier hand-overs for this snapshot last."""
    named = dict.fromkeys(action.play.list for action in actions)
    if past is not None:
        fixed = past.standing.filter(past.standing.fixed).select("list").distinct().order_by("list")
        named |= dict.fromkeys(fixed.to_pyarrow()["list"].to_pylist())
    return list(named)


Placed = Sequence[tuple[int, Action]]
"""The actions of a list, each with its place among all."""


def _taken(state: ir.Table, name: str, actions: Placed, rules: Audiences, past: Past | None) -> ir.Table:
    """The customers with what one list does with them: `place` of the action, role, reason, and as in `_with_standing`."""
    rows = _with_standing(state, name, actions, past)
    first = _cases([(rows[f"for_{place}"], ibis.literal(place)) for place, _ in actions], "int64")
    capped = rows.contacts >= rules.contact_cap.contacts if rules.contact_cap else ibis.literal(False)
    cap = ibis.ifelse(capped & rows.stands.isnull(), str(Reason.CONTACT_CAP), ibis.null("string"))
    stopped = ibis.ifelse(rows.fixed, ibis.null("string"), ibis.coalesce(rows.barred, cap))
    rows = rows.mutate(first=first, stopped=stopped, place=ibis.null("int64")).view()
    rows = rows.mutate(free=rows["first"].notnull() & rows.stands.isnull() & rows.stopped.isnull()).view()
    for some in _stages(actions):
        rows = some(rows, rules.salt, past)
    prefixes, thresholds = (
        _cases([(rows.place == place, ibis.literal(text)) for place, text in texts], "string")
        for texts in (
            [(place, prefix(rules.salt, HOLDOUT, action.key)) for place, action in actions],
            [(place, threshold(action.play.holdout)) for place, action in actions],
        )
    )
    held = rows.control | is_drawn(ibis.ifelse(rows.place.notnull(), draws(prefixes, rows.customer_id), ibis.null("string")), thresholds)
    rows = rows.mutate(held=held.fill_null(False)).view()
    stands = rows.stands.notnull()
    role = ibis.cases(
        (rows.stopped.notnull(), str(Role.SUPPRESSED)),
        (stands, rows.stood),
        (rows.place.isnull(), str(Role.SUPPRESSED)),
        (rows.held, str(Role.HOLDOUT)),
        else_=str(Role.TREATED),
    )
    rows = rows.mutate(role=role).view()
    drawn = ibis.coalesce(rows.stood_reason, ibis.ifelse(rows.control, str(Reason.UNIVERSAL_CONTROL), str(Reason.ACTION_HOLDOUT)))
    reason = ibis.cases(
        (rows.stopped.notnull(), rows.stopped),
        (rows.role == Role.HOLDOUT, drawn),
        (rows.role == Role.SUPPRESSED, str(Reason.BEYOND_LIMIT)),
        else_=ibis.null("string"),
    )
    return rows.mutate(reason=reason, place=ibis.coalesce(rows.stands, rows.place, rows["first"])).view()


def _with_standing(state: ir.Table, name: str, actions: Placed, past: Past | None) -> ir.Table:
    """The customers with what was handed over: `stands`, the place of an action that keeps them, or GONE; `stood`, `stood_reason`,
    `stood_action` and handed_over, its role, the reason for that, its key and time; `fixed`, whether it was for this very snapshot; and
    `paid`, whether the contact was one of an earlier snapshot."""
    if past is None:
        texts = {name: ibis.null("string") for name in ("stood", "stood_reason", "stood_action")}
        no = {name: ibis.literal(False) for name in ("fixed", "paid")}
        return state.mutate(stands=ibis.null("int64"), handed_over=ibis.null("timestamp(6)"), **texts, **no).view()
    handed = past.standing.filter(past.standing["list"] == name)
    names = {"stood_by": "customer_id", "stood": "role", "stood_reason": "reason", "stood_action": "action", "stood_at": "handed_over"}
    handed = handed.select("fixed", **names)
    rows = state.left_join(handed, state.customer_id == handed.stood_by).drop("stood_by")
    fixed = rows.fixed.fill_null(False)
    kept = [((rows.stood_action == action.key) & (fixed | rows[f"for_{place}"]), ibis.literal(place)) for place, action in actions]
    stands = _cases([*kept, (fixed, ibis.literal(GONE))], "int64")
    rows = rows.mutate(stands=stands, fixed=fixed).view()
    stays = rows.stands.notnull()
    stood, reason, since = (ibis.ifelse(stays, rows[name], ibis.null(rows[name].type())) for name in ("stood", "stood_reason", "stood_at"))
    return rows.mutate(paid=stays & ~rows.fixed, stood=stood, stood_reason=reason, handed_over=since).drop("stood_at").view()


Stage = Callable[[ir.Table, str, Past | None], ir.Table]


def _stages(actions: Placed) -> Iterator[Stage]:
    """One step for each action with a budget or limit, and one for all actions without between two of them."""
    without: list[tuple[int, Action]] = []
    for place, action in actions:
        if action.play.budget is None and action.play.most_customers is None:
            without.append((place, action))
            continue
        if without:
            yield functools.partial(_unlimited, tuple(without))
            without = []
        yield functools.partial(_limited, place, action)
    if without:
        yield functools.partial(_unlimited, tuple(without))


def _unlimited(actions: Placed, rows: ir.Table, salt: str, past: Past | None) -> ir.Table:
    """Whoever is free goes to the first of these actions that is for them."""
    taken = _cases([(rows.free & rows[f"for_{place}"], ibis.literal(place)) for place, _ in actions], "int64")
    return rows.mutate(place=ibis.coalesce(rows.place, taken)).view()


def _limited(place: int, action: Action, rows: ir.Table, salt: str, past: Past | None) -> ir.Table:
    """Whoever is free goes to the action, best first, until as many are treated as its budget and limit allow."""
    waiting = rows.mutate(waits=rows.free & rows.place.isnull() & rows[f"for_{place}"]).view()
    digits = draws(prefix(salt, HOLDOUT, action.key), waiting.customer_id)
    waiting = waiting.mutate(digits=ibis.ifelse(waiting.waits, digits, ibis.null("string"))).view()
    held = waiting.control | is_drawn(waiting.digits, threshold(action.play.holdout))
    ranked = waiting.mutate(pays=(waiting.waits & ~held).fill_null(False).cast("int64"), worth=_worth(action, waiting)).view()
    turn = ibis.cumulative_window(group_by=ranked.waits, order_by=[ibis.desc(ranked.worth), order(ranked.digits), ranked.customer_id])
    ranked = ranked.mutate(before=ranked.pays.sum().over(turn) - ranked.pays, room=_room(place, action, ranked, past)).view()
    reached = ranked.waits & (ranked.before < ranked.room)
    return ranked.mutate(place=ibis.ifelse(reached, place, ranked.place)).select(*rows.columns).view()


def _worth(action: Action, rows: ir.Table) -> ir.FloatingValue:
    """What a contact is worth, in money: expected uplift or value at stake, less cost; 0 where nothing is known of the customer."""
    uplift = action.play.expected_uplift
    gain = rows.value_at_stake.fill_null(0.0) if uplift is None else rows.value_now.fill_null(0.0) * uplift
    return gain - action.play.cost


def _room(place: int, action: Action, rows: ir.Table, past: Past | None) -> ir.IntegerValue:
    """How many more customers the action may contact: none are counted twice who were handed over."""
    play, limits = action.play, []
    stays = (rows.stands == place) & (rows.stood == Role.TREATED)
    if play.budget is not None:
        spent = past.spent.get(action.key, 0.0) if past else 0.0
        affordable = ibis.literal(contacts_within(play.budget - spent, play.cost))
        limits.append(affordable if past is None else affordable - _number(stays & ~rows.paid))
    if play.most_customers is not None:
        most = ibis.literal(play.most_customers)
        limits.append(most if past is None else most - _number(stays & rows.stopped.isnull()))
    return functools.reduce(ibis.least, limits)


def contacts_within(budget: float, cost: float) -> int:
    """How many contacts a budget pays, counted in decimals as people do.

    >>> contacts_within(0.3, 0.1), contacts_within(10, 3), contacts_within(-1, 3)
    (3, 3, 0)
    """
    left, each = (Decimal(repr(round(float(money), 6))) for money in (budget, cost))
    return max(int(left / each), 0)


def _number(condition: ir.BooleanValue) -> ir.IntegerValue:
    return condition.fill_null(False).cast("int64").sum().over(ibis.window()).cast("int64")


def _cases(branches: Sequence[tuple[ir.BooleanValue, ir.Value]], kind: str) -> ir.Value:
    return ibis.cases(*branches, else_=ibis.null(kind)) if branches else ibis.null(kind)


def _rows(taken: ir.Table, name: str, actions: Placed) -> ir.Table:
    """The rows of one list: those whom an action is for, and those handed over for this snapshot."""
    concerned = taken.filter(taken.place.notnull())

    def of(value: Callable[[int, Action], ir.Value | None], kind: str) -> ir.Value:
        known = [(place, value(place, action)) for place, action in actions]
        return _cases([(concerned.place == place, found) for place, found in known if found is not None], kind)

    def text(column: str) -> ir.StringValue:
        return of(lambda _, action: _literal(getattr(action.play, column)), "string")

    contact = (concerned.role == Role.TREATED) & ~concerned.paid
    return concerned.select(
        "customer_id", "role", "reason", "segment_id", "value_at_stake", "handed_over",
        list=ibis.literal(name),
        action=ibis.coalesce(of(lambda _, action: ibis.literal(action.key), "string"), concerned.stood_action),
        own_segment=of(lambda place, _: concerned[own] if (own := f"own_{place}") in concerned.columns else None, "string"),
        channel=text("channel"),
        offer=text("offer"),
        product=of(lambda _, action: _product(action, concerned), "string"),
        cost=ibis.ifelse(contact, of(lambda _, action: ibis.literal(float(action.play.cost)), "float64").fill_null(0.0), 0.0),
    )  # fmt: skip


def _product(action: Action, rows: ir.Table) -> ir.StringValue | None:
    named = {USUAL_CATEGORY: "usual_category", NEXT_CATEGORY: "next_category"}
    product = action.play.product
    return rows[named[product]] if product in named else _literal(product)


def _literal(text: str | None) -> ir.StringValue | None:
    return None if text is None else ibis.literal(text)


def _rows_of_nobody(state: ir.Table) -> ir.Table:
    """No rows, for a playbook without actions."""
    nothing = {name: ibis.null("string") for name in ("list", "action", "role", "reason", "own_segment", "channel", "offer", "product")}
    rows = state.filter(ibis.literal(False))
    return rows.select("customer_id", "segment_id", "value_at_stake", cost=0.0, handed_over=ibis.null("timestamp(6)"), **nothing)
