"""What a delivery would tell each destination, or has told it: printed, or for programs."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from segmentation_assets.report.words import HIDDEN, Words, few_are_hidden
from segmentation_assets.settings.delivery import ALWAYS, AnyDestination
from segmentation_assets.store.delivering import Planned, Receipt
from segmentation_assets.store.small_cells import HIDDEN as SMALL
from segmentation_assets.vocabulary import counted

WORDS = Words()
NUMBERS = ("added", "removed", "held_out", "control")


@dataclass(frozen=True)
class Told:
    """Plans of destinations, and by name what was delivered. `idle` are destinations for which nothing has changed."""

    title: str
    plans: Sequence[Planned]
    receipts: Mapping[str, Receipt]
    idle: Sequence[str]

    def as_dict(self, fewest: int) -> dict[str, Any]:
        """As plain values, for JSON; numbers of customers are null where they are so few that they are hidden."""
        return {"title": self.title, "destinations": [self._one(plan, fewest) for plan in self.plans], "without_changes": [*self.idle]}

    def _one(self, plan: Planned, fewest: int) -> dict[str, Any]:
        receipt = self.receipts.get(plan.name)
        actions = [
            {"list": name, "action": action, **dict(zip(NUMBERS, _shown(numbers, fewest), strict=True))}
            for (name, action), numbers in plan.counts().items()
        ]
        done = {"delivered_at": _time(receipt.delivered_at), "batches": receipt.batches} if receipt else {}
        kind, columns = plan.destination.kind, [*ALWAYS, *plan.destination.columns]
        return {
            "destination": plan.name, "kind": kind, "delivery_id": plan.delivery_id, **done, "columns": columns, "actions": actions
        }  # fmt: skip


def planned(plans: Sequence[Planned]) -> Told:
    """What would be told."""
    day = plans[0].snapshot
    return Told(
        f"Hand-over of {day}, dry run; nothing is sent",
        [p for p in plans if p.rows.num_rows],
        {},
        [p.name for p in plans if not p.rows.num_rows],
    )


def delivered(chosen: Mapping[str, AnyDestination], key: str, receipts: Sequence[Receipt]) -> Told:
    """What was told."""
    by_name = {receipt.plan.name: receipt for receipt in receipts}
    return Told(
        f"Handed over of the snapshot {key}",
        [receipt.plan for receipt in receipts],
        by_name,
        [name for name in chosen if name not in by_name],
    )


def show(told: Told, fewest: int, console: Console, in_full: bool = False) -> None:
    """Print a table with a row for each destination and action; in full, also each delivery's id, time, batches and columns."""
    if told.plans:
        table = Table(title=told.title, title_justify="left")
        for heading in ("destination", "list", "action"):
            table.add_column(heading)
        for heading in ("added", "removed", "held out", "control"):
            table.add_column(heading, justify="right")
        for plan in told.plans:
            for (name, action), numbers in plan.counts().items():
                table.add_row(plan.name, name, action, *(WORDS.number(number, SMALL) for number in _shown(numbers, fewest)))
        console.print(table)
        console.print("Customers held out or in the universal control group are recorded here, and not sent.")
        if told.receipts:
            console.print("What it does shows in action_lift from the next snapshot on, or when this one is made again.")
        if any(None in _shown(numbers, fewest) for plan in told.plans for numbers in plan.counts().values()):
            console.print(few_are_hidden(fewest))
    for plan in told.plans if in_full else ():
        receipt = told.receipts.get(plan.name)
        done = f" at {_time(receipt.delivered_at)}, in {counted(receipt.batches, 'batch', 'batches')}" if receipt else ""
        console.print(f"{plan.name} ({plan.destination.kind}): delivery {plan.delivery_id[:12]}{done}; columns: "
                      f"{', '.join([*ALWAYS, *plan.destination.columns])}")  # fmt: skip
    barred = max((plan.barred for plan in told.plans), default=0)
    if barred:
        number = HIDDEN if barred < fewest else WORDS.customers(barred)
        console.print(f"May no longer be contacted since the snapshot, by consent or suppression lists as they are now: {number}.")
    for name in told.idle:
        console.print(f"{name}: nothing has changed since it was last told.")


def _shown(numbers: Mapping[str, int], fewest: int) -> list[int | None]:
    """The numbers; all are missing where one of them counts few customers, because of one, another may follow."""
    hidden = any(0 < number < fewest for number in numbers.values())
    return [None if hidden else numbers[name] for name in NUMBERS]


def _time(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
