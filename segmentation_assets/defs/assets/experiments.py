"""Apply: what the holdout of an action can show, and whether the action worked."""

import datetime as dt
from collections.abc import Mapping

import dagster as dg
import ibis
import ibis.expr.types as ir
import pandas as pd

from segmentation_assets.core.application import assignments
from segmentation_assets.core.application.arms import Arm
from segmentation_assets.core.application.lift import Cohort, action_lift
from segmentation_assets.core.application.outcomes import ActionKey, Group, arms, by_action, observed
from segmentation_assets.core.application.power import FEWEST_LIKE, Alike, Bound, action_power
from segmentation_assets.defs import markdown
from segmentation_assets.defs.partitions import FOLLOWED, FOLLOWED_AND_THIS, FOLLOWED_SNAPSHOTS, SINCE_FOLLOWED, Input
from segmentation_assets.defs.table import Made, snapshot_date, tables
from segmentation_assets.settings.loading import Settings
from segmentation_assets.settings.snapshots import following
from segmentation_assets.store import deliveries
from segmentation_assets.store.lake import Lake
from segmentation_assets.tables.effects import ACTION_LIFT, ACTION_POWER
from segmentation_assets.vocabulary import Likeness, Measure, Role

GROUP, KINDS = "apply", {"duckdb", "parquet"}
MADE_FROM = ("audience_members", "customer_features", "customer_segments", "customer_orders", "segment_actions")
Arms = Mapping[Measure, Mapping[Group, Arm]]


@tables(
    Made(ACTION_POWER, GROUP, KINDS, MADE_FROM, "What the holdout of each action can show in the coming window, in figures and words."),
    Made(ACTION_LIFT, GROUP, KINDS, MADE_FROM, "Those whom actions treated beside those they held out, by action and segment."),
    name="action_experiments",
    ins={
        "audience_members": Input(FOLLOWED_AND_THIS, dated=True),
        "customer_features": Input(FOLLOWED, dated=True),
        "customer_segments": Input(FOLLOWED, dated=True),
        "customer_orders": Input(SINCE_FOLLOWED),
    },
)
def action_experiments(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    lake: dg.ResourceParam[Lake],
    audience_members: ir.Table,
    customer_features: ir.Table,
    customer_segments: ir.Table,
    customer_orders: ir.Table,
    segment_actions: pd.DataFrame,
) -> dict[str, pd.DataFrame]:
    """First comes what the previous snapshot's audiences did in the window since: how much it differs says what can be shown. Then the
    lift of what was handed over for the last three snapshots; of an action of which nothing ever was, that of those who would have been.
    Both tables are empty if the source has no orders."""
    as_of, money = snapshot_date(context), settings.exploration.money
    if not settings.source.has_orders:
        return {ACTION_POWER.name: action_power({}, {}, {}, money, {}), ACTION_LIFT.name: action_lift([], money)}
    seen = _Seen(audience_members, customer_features, customer_segments, customer_orders)
    before = following(as_of, settings.snapshots, -1)
    playbook = {ActionKey(play.list, key): play for key, play in settings.playbook.items() if play is not None}
    expected = {action: play.expected_uplift for action, play in playbook.items() if play.expected_uplift}
    shares = {action: play.holdout for action, play in playbook.items() if play.holdout}

    now, past = assignments.planned(seen.audience(as_of), as_of), seen.did(assignments.planned(seen.audience(before), before), before)
    beyond = segment_actions.groupby(["list", "play"])["customers_beyond"].sum()
    bounds = {
        action: Bound(int(beyond[action]), play.holdout, play.cost, play.budget, play.most_customers)
        for action, play in playbook.items()
        if beyond.get(action, 0)
    }
    power = action_power(assignments.sizes(now), _alike(seen, now, past, before), expected, money, bounds)

    delivered = deliveries.rows(settings.data_dir, lake.engine, as_of)
    sent = assignments.ever_handed_over(seen.audience(before), delivered, before)
    cohorts = [Cohort(before, False, _without(past, sent), shares, expected)]
    if delivered is not None:
        cap = settings.audiences.contact_cap
        apart = max(as_of - following(as_of, settings.snapshots, -FOLLOWED_SNAPSHOTS), dt.timedelta(days=cap.days if cap else 0))
        for steps in range(1, FOLLOWED_SNAPSHOTS + 1):
            day = following(as_of, settings.snapshots, -steps)
            handed = assignments.handed_over(delivered, seen.audience(day), day, as_of, apart)
            planned = shares | assignments.planned_shares(handed)
            later = assignments.handed_over_later(delivered, day, as_of)
            cohorts.append(Cohort(day, True, seen.did(handed, day), planned, expected, later))
        nothing: Arms = {measure: {} for measure in Measure}
        cohorts.append(Cohort(as_of, True, nothing, {}, {}, assignments.handed_over_later(delivered, as_of, as_of)))
    lift = action_lift(cohorts, money)
    whole = lift[lift["segment_id"].isna()]
    for name, rows in ((ACTION_POWER.name, power), (ACTION_LIFT.name, whole)):
        context.add_output_metadata({"in words": dg.MetadataValue.md(markdown.bullets(_told(rows)) or "none")}, output_name=name)
    return {ACTION_POWER.name: power, ACTION_LIFT.name: lift}


class _Seen:
    """The inputs by snapshot."""

    def __init__(self, audiences: ir.Table, features: ir.Table, segments: ir.Table, orders: ir.Table) -> None:
        self._audiences, self._features, self._segments, self._orders = audiences, features, segments, orders

    def audience(self, day: dt.date) -> ir.Table:
        return _of(self._audiences, day)

    def segments(self, day: dt.date) -> ir.Table:
        return _of(self._segments, day)

    def did(self, assigned: ir.Table, day: dt.date) -> dict[Measure, dict[Group, Arm]]:
        """What customers assigned at the snapshot of the day have done since."""
        since = self._orders.filter(self._orders.order_day >= ibis.date(day.isoformat()))
        return arms(observed(assigned, _of(self._features, day), since))


def _of(dated: ir.Table, day: dt.date) -> ir.Table:
    return dated.filter(dated.snapshot_date == ibis.date(day.isoformat())).drop("snapshot_date")


def _alike(seen: _Seen, now: ir.Table, past: Arms, before: dt.date) -> dict[tuple[ActionKey, Measure], Alike]:
    """Customers like those of each action: those it was for at the previous snapshot, or, if few, all who were in its segments."""
    found = {
        (action, measure): Alike(_all(roles), Likeness.ACTION)
        for measure in Measure
        for action, roles in by_action(past[measure]).items()
        if _all(roles).customers >= FEWEST_LIKE
    }
    known = {action for action, _ in found}
    others = [action for action in assignments.sizes(now) if action not in known]
    if others:
        chosen = now.filter(ibis.or_(*((now["list"] == action.list) & (now.action == action.action) for action in others)))
        of_segments = seen.did(assignments.in_same_segments(chosen, seen.segments(before), before), before)
        for measure in Measure:
            for action, roles in by_action(of_segments[measure]).items():
                found[action, measure] = Alike(_all(roles), Likeness.SEGMENTS)
    return found


def _all(roles: Mapping[Role, Arm]) -> Arm:
    first, *others = roles.values()
    return sum(others, start=first)


def _without(past: Arms, sent: set[ActionKey]) -> Arms:
    return {measure: {group: arm for group, arm in found.items() if group.action not in sent} for measure, found in past.items()}


def _told(rows: pd.DataFrame) -> list[str]:
    return [f"{row.action}, {row.measure}: {row.verdict}" for row in rows.itertuples()]
