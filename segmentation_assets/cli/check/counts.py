"""Counts of an entity, in one pass over its judged rows whatever the number of reasons.

Belongs here: numbers. The other modules of this package put them into words.
"""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import ibis
import ibis.expr.datatypes as idt
import ibis.expr.types as ir

from segmentation_assets.core.customers.cleaning import Judged, is_no_fault
from segmentation_assets.engines.base import Engine

Days = Counter[dt.date | None]
EXAMPLES = 3  # records shown for each reason
MOST_UNREAD = 1_000  # records in which other date formats are tried
PLACE = idt.Struct({"source_file": idt.string, "row_number": idt.int64})


def _signature(first: Any, second: Any) -> None:
    """Placeholder for a function of DuckDB that Ibis lacks."""


_lowest = ibis.udf.agg.builtin(_signature, name="min", signature=((PLACE, idt.int64), idt.Array(PLACE)))


@dataclass(frozen=True, order=True)
class Place:
    """The file and number of a row."""

    source_file: str
    row_number: int


@dataclass(frozen=True)
class Counted:
    """The rows of an entity up to the last snapshot.

    Attributes:
        rows, rejected: number by day; None: rows without a day, which belong to the first snapshot. Rows that are set aside although
            nothing is wrong with them, such as a customer's second record, are in `reasons` but not in `rejected`.
        reasons: reason -> rows by day.
        examples: reason -> its first rows; `unread_examples` likewise by column.
        touched: rule -> clean rows that it changed.
        unread: column -> number of filled cells that could not be read.
        first, last: time of the first and the last row.
        later: rows dated after the last snapshot.
        source_rows, rejected_source_rows: totals of `rows` and `rejected` in rows of the source, several of which may form one record.
    """

    rows: Days = field(default_factory=Counter)
    rejected: Days = field(default_factory=Counter)
    reasons: dict[str, Days] = field(default_factory=dict)
    examples: dict[str, list[Place]] = field(default_factory=dict)
    touched: Counter[str] = field(default_factory=Counter)
    unread: Counter[str] = field(default_factory=Counter)
    unread_examples: dict[str, Place] = field(default_factory=dict)
    first: dt.datetime | None = None
    last: dt.datetime | None = None
    later: int = 0
    source_rows: int = 0
    rejected_source_rows: int = 0

    def places(self) -> list[Place]:
        """Every row whose record is shown."""
        return sorted({*self.unread_examples.values(), *(place for places in self.examples.values() for place in places)})


def count(engine: Engine, judged: Judged, time: str | None, end: dt.date) -> Counted:
    """Count the judged rows.

    Args:
        time: column with the time of a row; None: rows have no time.
        end: date of the last snapshot; rows on or after it are `later`.
    """
    rows = judged.rows
    unread = rows.unread if "unread" in rows.columns else ibis.null("string")
    day = rows[time].date() if time else ibis.null("date")
    shown = rows.reason.notnull() | unread.notnull()
    place = ibis.struct({"source_file": rows.source_file, "row_number": rows.row_number}).cast(PLACE)
    place = ibis.ifelse(shown, place, ibis.null(PLACE))
    span = {"first": rows[time].min(), "last": rows[time].max()} if time else {}
    rules = {f"rule{i}": flag.fill_null(False).cast("int64").sum() for i, flag in enumerate(judged.touched.values())}
    made_of = rows.record_rows.fill_null(1).sum() if "record_rows" in rows.columns else rows.count()
    groups = rows.group_by(reason=rows.reason, unread=unread, day=day, no_fault=is_no_fault(rows.reason)).agg(
        n=rows.count(), made_of=made_of, places=_lowest(place, EXAMPLES, where=shown), **span, **rules
    )
    return _merged(engine.rows(groups), tuple(judged.touched), end)


def _merged(groups: list[dict[str, Any]], rules: tuple[str, ...], end: dt.date) -> Counted:
    inside = [group for group in groups if group["day"] is None or group["day"] < end]
    found = Counted(
        first=min((group["first"] for group in inside if group.get("first")), default=None),
        last=max((group["last"] for group in inside if group.get("last")), default=None),
        later=sum(group["n"] for group in groups) - sum(group["n"] for group in inside),
        source_rows=sum(int(group["made_of"]) for group in inside),
        rejected_source_rows=sum(int(group["made_of"]) for group in inside if group["reason"] is not None and not group["no_fault"]),
    )
    for group in inside:
        found.rows[group["day"]] += group["n"]
        reason, places = group["reason"], [Place(**place) for place in group["places"] or ()]
        if reason is None:
            found.touched.update({rule: group[f"rule{i}"] for i, rule in enumerate(rules)})
        else:
            found.rejected[group["day"]] += 0 if group["no_fault"] else group["n"]
            found.reasons.setdefault(reason, Counter())[group["day"]] += group["n"]
            found.examples[reason] = sorted([*found.examples.get(reason, ()), *places])[:EXAMPLES]
        for column in (group["unread"] or "").split(",") if group["unread"] else ():
            found.unread[column] += group["n"]
            found.unread_examples[column] = min([*places, *([found.unread_examples[column]] if column in found.unread_examples else [])])
    return found


def size(engine: Engine, table: ir.Table) -> int:
    """The number of rows of a table."""
    return int(engine.rows(table.agg(n=table.count()))[0]["n"])


def days_by_file(engine: Engine, raw: ir.Table, time: str) -> dict[str, Days]:
    """The number of rows by source file and day."""
    found: dict[str, Days] = {}
    for row in engine.rows(raw.group_by("source_file", day=raw[time].date()).agg(n=raw.count())):
        found.setdefault(row["source_file"], Days())[row["day"]] += row["n"]
    return found


def unread_records(engine: Engine, raw: ir.Table, column: str) -> list[str]:
    """The original records, as JSON, of the first rows in which a column could not be read.

    Args:
        raw: the rows with their `record`.
    """
    rows = raw.filter((ibis.literal(",") + raw.unread + ",").contains(f",{column},")).order_by("source_file", "row_number")
    return [row["record"] for row in engine.rows(rows.select("record").limit(MOST_UNREAD))]


def records(engine: Engine, raw: ir.Table, places: Iterable[Place]) -> dict[Place, str]:
    """The original records of the given rows, as JSON.

    Args:
        raw: the rows with their `record`.
    """
    by_file: dict[str, list[int]] = {}
    for place in places:
        by_file.setdefault(place.source_file, []).append(place.row_number)
    if not by_file:
        return {}
    chosen = [(raw.source_file == file) & raw.row_number.isin(numbers) for file, numbers in by_file.items()]
    found = engine.rows(raw.filter(ibis.or_(*chosen)).select("source_file", "row_number", "record"))
    return {Place(row["source_file"], row["row_number"]): row["record"] for row in found}


def by_size(numbers: Counter[str]) -> Iterator[tuple[str, int]]:
    """Items by number, largest first, then by name."""
    yield from sorted(numbers.items(), key=lambda item: (-item[1], item[0]))
