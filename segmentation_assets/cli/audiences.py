"""The plan of a snapshot: by action of the playbook, who would be contacted, who is left alone or suppressed, what it costs, and what is
at stake. Read from the published database; nothing is sent."""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from segmentation_assets.core.application import plays
from segmentation_assets.report.words import HIDDEN, Words, few_are_hidden
from segmentation_assets.settings.loading import Settings
from segmentation_assets.settings.playbook import aim_of
from segmentation_assets.store import published
from segmentation_assets.store.database_files import PublishError, shown_in
from segmentation_assets.store.small_cells import HIDDEN as SMALL
from segmentation_assets.vocabulary import Reason, Role

NEEDED = "audience_members"
WORDS = Words()
CENTS = 2  # digits of money
NOBODY = "for nobody at this snapshot"
TAKEN = "for nobody whom actions before did not take"


@dataclass(frozen=True)
class Planned:
    """One action. Numbers of customers are missing where they are so few that they are hidden; `holdout` is the action's own, and `control`
    those of the universal control group; `handed_over` counts those who were handed over already, and `value_at_stake`, of the treated, is
    missing where nothing was measured."""

    action: str
    list: str
    does: str
    channel: str
    priority: int | None
    treated: int | None
    holdout: int | None
    control: int | None
    suppressed: dict[str, int | None]
    handed_over: int | None
    cost: float | None
    value_at_stake: float | None
    remark: str


@dataclass(frozen=True)
class Plan:
    """All actions of the playbook at a snapshot, in order. `fewest`: customers below which numbers are hidden."""

    snapshot_date: str
    fewest: int
    actions: list[Planned]

    def as_dict(self) -> dict[str, Any]:
        """The plan as plain values, for JSON."""
        return {"snapshot_date": self.snapshot_date, "actions": [asdict(action) for action in self.actions]}


def read(settings: Settings, key: str) -> Plan:
    """The plan of the published snapshot `key`, as it was made; actions that contact nobody come last, with a remark on why.

    Raises:
        PublishError: nothing was published yet, or by an earlier version without audiences.
    """
    day, fewest = dt.date.fromisoformat(key), max(settings.privacy.smallest_cell, 1)
    with published.reading(settings.data_dir) as database:
        if NEEDED not in shown_in(database):
            raise PublishError(f"{NEEDED} was not published yet, by an earlier version. Make it: segmentation run --all")

        def rows(query: str) -> list[tuple[Any, ...]]:
            return database.execute(query, [day]).fetchall()

        by_role = rows(_BY_ROLE)
        told = {play: rest for play, *rest in rows(_TOLD)}
        names = dict(rows("SELECT segment_id, segment_name FROM segments WHERE snapshot_date = ?"))
    remarks = _remarks(settings, day, names)
    found: dict[tuple[str, str], list[tuple[Any, ...]]] = {}
    for name, action, *rest in by_role:
        found.setdefault((name, action), []).append(tuple(rest))
    known = {(play.list, name): play for name, play in settings.playbook.items() if play is not None}
    planned = [
        _planned(name, action, of_roles, told.get(action, GONE), remarks.get(action, ""), fewest)
        for (name, action), of_roles in found.items()
    ]
    idle = [
        _planned(*key, [], [play.action, play.channel, play.priority], remarks.get(key[1], TAKEN if key[1] in told else ""), fewest)
        for key, play in known.items()
        if key not in found
    ]
    last = 10
    return Plan(key, fewest, [*sorted(planned, key=lambda one: (one.list, one.priority or last, one.action)), *idle])


_BY_ROLE = """
    SELECT list, action, role, reason, count(*), count(handed_over), sum(cost), sum(value_at_stake) FILTER (role = 'treated')
    FROM audience_members WHERE snapshot_date = ? GROUP BY ALL ORDER BY ALL
"""
_TOLD = """
    SELECT play, min(action), min(channel), min(priority) FROM segment_actions
    WHERE snapshot_date = ? AND play IS NOT NULL GROUP BY play
"""
GONE = ["no longer in the playbook", "", None]


def _planned(name: str, action: str, of_roles: list[tuple[Any, ...]], told: list[Any], remark: str, fewest: int) -> Planned:
    """`told` are the action in words, its channel and its priority."""

    def shown(number: int) -> int | None:
        return None if 0 < number < fewest else number

    treated = sum(row[2] for row in of_roles if row[0] == Role.TREATED)
    control = sum(row[2] for row in of_roles if row[1] == Reason.UNIVERSAL_CONTROL)
    holdout = sum(row[2] for row in of_roles if row[0] == Role.HOLDOUT) - control
    stakes = [row[5] for row in of_roles if row[0] == Role.TREATED and row[5] is not None]
    hidden = shown(treated) is None
    return Planned(
        action=action,
        list=name,
        does=told[0],
        channel=told[1],
        priority=told[2],
        treated=shown(treated),
        holdout=shown(holdout),
        control=shown(control),
        suppressed={row[1]: shown(row[2]) for row in of_roles if row[0] == Role.SUPPRESSED},
        handed_over=shown(sum(row[3] for row in of_roles)),
        cost=None if hidden else round(float(sum(row[4] for row in of_roles)), CENTS),
        value_at_stake=None if hidden or not stakes else round(float(sum(stakes)), CENTS),
        remark=remark or ("" if of_roles else NOBODY),
    )


def _remarks(settings: Settings, day: dt.date, names: Mapping[int, str]) -> dict[str, str]:
    """What is to be said of actions that do not run, or name segments that the snapshot does not have. Characters are not published, so
    what is said of an action for a character is that it is for nobody."""
    plays_of = {key: play for key, play in settings.playbook.items() if play is not None}
    named = {key: play for key, play in plays_of.items() if not play.runs(day) or not aim_of(key, play).characters}
    return plays.done(named, day, names, {}, settings.own_segments).remarks


def show(plan: Plan, currency: str, console: Console) -> None:
    """Print the plan as a table, then who is suppressed and why, and the actions that contact nobody."""
    table = Table(title=f"Plan of {plan.snapshot_date}; nothing is sent", title_justify="left", box=None, padding=(0, 1, 0, 0))
    table.add_column("first", justify="right")
    texts = ("action", "list", "channel") if console.width >= WIDE else ("action",)
    for heading in texts:
        table.add_column(heading, overflow="fold")
    for heading in _NUMBERS:
        table.add_column(heading.format(currency=currency), justify="right", no_wrap=True)  # a figure that is cut is another figure
    busy = [one for one in plan.actions if one.treated != 0 or one.holdout != 0 or one.control != 0 or one.suppressed]
    for one in busy:
        numbers = (one.treated, one.holdout, one.control, _sum(one.suppressed.values()))
        stake = WORDS.number(one.value_at_stake, SMALL if one.treated is None else None)
        table.add_row(
            "" if one.priority is None else str(one.priority), *(getattr(one, name) for name in texts),
            *(WORDS.number(number, SMALL) for number in numbers), WORDS.number(one.cost, SMALL), stake,
        )  # fmt: skip
    console.print(table)
    for line in _lines(plan, busy):
        console.print(line)


_NUMBERS = ("treated", "held\nout", "control", "suppressed", "cost,\n{currency}", "at stake,\n{currency}")
WIDE = 100  # characters of a terminal that has room for an action's list and channel


def _lines(plan: Plan, busy: list[Planned]) -> Iterator[str]:
    for reason in Reason:
        numbers = [one.suppressed[reason] for one in busy if reason in one.suppressed]
        if numbers:
            total = _sum(numbers)
            yield f"Suppressed, {reason}: {HIDDEN if total is None else WORDS.customers(total)}."
    if any(None in (one.treated, one.holdout, one.control, *one.suppressed.values()) for one in busy):
        yield few_are_hidden(plan.fewest)
    if any(one.control != 0 for one in busy):
        yield "Control: the universal control group, which no action contacts. What an action did is compared with its own holdout alone."
    if over := _sum([one.handed_over for one in busy]):
        yield f"Handed over already: {WORDS.customers(over)}; their assignments stand."
    if any(one.treated and one.value_at_stake is None for one in busy):
        yield "Where nothing is at stake, it was not measured: docs/acting.md says when."
    for one in plan.actions:
        if one.remark and one.remark not in (TAKEN, NOBODY):
            yield f"{one.action}: {one.remark}"
    for remark in (TAKEN, NOBODY):
        if unused := [one.action for one in plan.actions if one.remark == remark]:
            yield f"{remark.capitalize()}: {', '.join(unused)}."


def _sum(numbers: Any) -> int | None:
    """The sum; missing if a part is hidden."""
    parts = list(numbers)
    return None if None in parts else sum(parts)
