"""The actions by segment: whom they are for, who is contacted, what it costs, and how much is at stake."""

from collections.abc import Mapping, Sequence

import ibis.expr.types as ir
import pandas as pd

from segmentation_assets.core.application.plays import Action
from segmentation_assets.core.customers.orders import count_where, summed
from segmentation_assets.vocabulary import Reason, Role, counted

OF_ROLES = ("customers_treated", "customers_holdout", "customers_control", "customers_suppressed")
COLUMNS = [
    "segment_id", "segment_name", "action", "channel", "reason", "priority", "play", "list", "customers_eligible", *OF_ROLES,
    "customers_beyond", "value_now", "value_at_stake", "cost", "holdout_share",
]  # fmt: skip


def money(meant: ir.Table, actions: Sequence[Action]) -> dict[str, float]:
    """By key, the value at stake of all whom an action is for; 0 where nothing was measured."""
    sums = {f"stake_{place}": summed(meant.value_at_stake, meant[f"for_{place}"]) for place in range(len(actions))}
    if not sums:
        return {}
    found = meant.agg(**sums).to_pyarrow().to_pylist()[0]
    return {action.key: float(found[f"stake_{place}"] or 0) for place, action in enumerate(actions)}


def segment_actions(
    actions: Sequence[Action],
    meant: ir.Table,
    members: ir.Table,
    segments: pd.DataFrame,
    characters: Mapping[int, str],
    currency: str,
) -> pd.DataFrame:
    """One row per segment and action that is for customers in it.

    Args:
        actions, meant: as in `audiences.audience_members`; members: what it returned.
        segments: rows of `segments`; characters: by segment id.
        currency: its name in sentences.
    """
    if not actions:
        return pd.DataFrame(columns=COLUMNS)
    eligible = _eligible(meant, len(actions))
    control = (members.role == Role.HOLDOUT) & (members.reason == Reason.UNIVERSAL_CONTROL)
    of_roles = (members.role == Role.TREATED, (members.role == Role.HOLDOUT) & ~control, control, members.role == Role.SUPPRESSED)
    numbers = {name: count_where(condition) for name, condition in zip(OF_ROLES, of_roles, strict=True)}
    roles = members.group_by("segment_id", "action").agg(cost=summed(members.cost), **numbers)
    taken = {(row.pop("segment_id"), row.pop("action")): row for row in roles.to_pyarrow().to_pylist()}
    none = {"cost": 0.0, **dict.fromkeys(OF_ROLES, 0)}
    beyond = _beyond(actions, meant, members)
    about = {row.segment_id: row for row in segments.itertuples()}
    rows = []
    for segment_id in sorted(eligible):
        for place, action in enumerate(actions):
            customers, now, stake = eligible[segment_id][place]
            if customers and segment_id in about:
                rows.append({
                    "segment_id": segment_id, "segment_name": about[segment_id].segment_name, "action": action.play.action,
                    "channel": action.play.channel, "priority": action.priority, "play": action.key, "list": action.play.list,
                    "reason": f"{_segment(about[segment_id], characters[segment_id])} {_stake(customers, now, stake, currency)}",
                    "customers_eligible": customers, "value_now": now, "value_at_stake": stake, **taken.get((segment_id, action.key), none),
                    "customers_beyond": beyond.get((segment_id, action.key), 0), "holdout_share": action.play.holdout,
                })  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS).astype({"value_now": "float64", "value_at_stake": "float64"})


def _beyond(actions: Sequence[Action], meant: ir.Table, members: ir.Table) -> dict[tuple[int, str], int]:
    """By segment and key, how many customers an action is for and its budget or limit does not reach: later actions of the list may."""
    found: dict[tuple[int, str], int] = {}
    for place, action in enumerate(actions):
        if action.play.budget is None and action.play.most_customers is None:
            continue
        later = [other.key for other in actions[place + 1 :] if other.play.list == action.play.list]
        of_list = members.filter(members["list"] == action.play.list)
        left = of_list.filter((of_list.reason == Reason.BEYOND_LIMIT) | (of_list.action.isin(later) & (of_list.role != Role.SUPPRESSED)))
        whom = meant.filter(meant[f"for_{place}"]).select("customer_id", "segment_id").semi_join(left.select("customer_id"), "customer_id")
        numbers = whom.group_by("segment_id").agg(customers=whom.count()).to_pyarrow().to_pylist()
        found |= {(row["segment_id"], action.key): row["customers"] for row in numbers}
    return found


def _eligible(meant: ir.Table, actions: int) -> dict[int, list[tuple[int, float | None, float | None]]]:
    """By segment, for each action: customers it is for, and the sums of their values, missing if none is known."""
    sums: dict[str, ir.Scalar] = {}
    for place in range(actions):
        is_for = meant[f"for_{place}"]
        sums |= {f"customers_{place}": count_where(is_for), f"now_{place}": summed(meant.value_now, is_for)}
        sums |= {f"stake_{place}": summed(meant.value_at_stake, is_for)}
    found = meant.group_by("segment_id").agg(**sums).to_pyarrow().to_pylist()
    parts = ("customers", "now", "stake")
    return {row["segment_id"]: [tuple(row[f"{part}_{place}"] for part in parts) for place in range(actions)] for row in found}


def _segment(segment: object, character: str) -> str:
    share, revenue_share, description = (getattr(segment, name) for name in ("share", "revenue_share", "description"))
    revenue = "" if pd.isna(revenue_share) else f", {revenue_share:.0%} of revenue"
    return f"{share:.0%} of customers{revenue}; character: {character.replace('_', ' ')}. {description}"


def _stake(customers: int, now: float | None, stake: float | None, currency: str) -> str:
    whom = f"For {counted(customers, 'customer')}"
    if now is None:
        return f"{whom}; what they spend is not known."
    spend = f"{whom}, who spend {now:,.0f} {currency} per window"
    if stake is None:
        return f"{spend}; what is at stake was not measured."
    share = "" if not now else f" ({stake / now:.0%}: as many of their segments one snapshot ago have not ordered since)"
    return f"{spend}, of which {stake:,.0f} is at stake{share}."
