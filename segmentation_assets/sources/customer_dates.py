"""Customers described anew at several dates: which of these rows a snapshot has.

A date is an as-of date, like a snapshot's: rows dated 2024-03-01 describe customers as they were when that day began, so they are
known at the snapshot of 2024-03-01. A row with a time of day is known from the day after.

Belongs here: choosing and counting rows by their dates. Reading their attributes is in `attributes`.
"""

import datetime as dt
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import ibis
import ibis.expr.types as ir

from segmentation_assets.core.customers.cleaning import identifier
from segmentation_assets.engines.base import Engine
from segmentation_assets.settings.cleaning import Cleaning
from segmentation_assets.settings.snapshots import Snapshots, following
from segmentation_assets.settings.source import FILE_NAME, CustomerTable, Reading
from segmentation_assets.sources.base import SourceError, midnight
from segmentation_assets.sources.intake_record import IntakeRecord, scanned
from segmentation_assets.sources.names_of_days import date_in_name

COMPLETE, CHANGES = "complete", "changes"
MOSTLY = 0.5  # share of the customers of a date who are also at the next, from which on each date seems complete

Days = Mapping[dt.date | None, int]
"""The number of rows by as-of date; None: rows without a usable one."""


def as_of(time: ir.TimestampValue, months: bool = False) -> ir.DateValue:
    """The first day at whose beginning a row with this time is known.

    Args:
        months: whether times stand for whole months, each known when it is over.
    """
    if months:
        return (time.truncate("M") + ibis.interval(months=1)).date()
    return (time + ibis.interval(days=1) - ibis.interval(microseconds=1)).date()


def whole_months(reading: Reading) -> bool:
    """Whether dates are written as months without days."""
    return all("%" in written and not re.search("%[dejxcDFs]", written) for written in reading.date_formats)


def dated_by_name(settings: CustomerTable) -> bool:
    """Whether the date of a row is that in the name of its file."""
    return settings.columns.get("known_at") == FILE_NAME


def day_of(source: str) -> dt.date:
    """The as-of date in the name of a source file.

    Raises:
        SourceError: it has none.
    """
    day = date_in_name(source)
    if day is None:
        raise SourceError(
            f"{source}: its name has no date, such as 2024-03-01 or 202403, but known_at is `{FILE_NAME}`. Put the date that the file "
            "describes into its name, map known_at to a column, or leave the file out of `files`."
        )
    return day


def days_of(engine: Engine, kept: Sequence[IntakeRecord], settings: CustomerTable) -> dict[str, Days]:
    """By source file, its rows by as-of date; files without rows are left out.

    Raises:
        SourceError: dates are those in the names of files, and a name has none.
    """
    filled = [file for file in kept if file.rows]
    if dated_by_name(settings):
        return {file.source: {day_of(file.source): file.rows} for file in filled}
    rows = scanned(engine, filled)
    counted = rows.group_by("source_file", day=as_of(rows.known_at, whole_months(settings))).agg(n=rows.count())
    found: dict[str, dict[dt.date | None, int]] = {}
    for row in engine.rows(counted):
        found.setdefault(row["source_file"], {})[row["day"]] = int(row["n"])
    return dict(found)


def with_time(part: ir.Table, source: str, settings: CustomerTable) -> ir.Table:
    """The stored rows of one file, with the time from which each is known."""
    return part.mutate(known_at=midnight(day_of(source)).cast("timestamp(6)")) if dated_by_name(settings) else part


def standing(days: Mapping[str, Days], settings: CustomerTable, end: dt.date, snapshots: Snapshots) -> frozenset[dt.date]:
    """The as-of dates whose rows a snapshot dated `end` has: of complete ones the newest, of changes those that still stand."""
    known = {day for of_file in days.values() for day in of_file if day is not None and day <= end}
    if not known:
        return frozenset()
    if settings.each_date == COMPLETE:
        return frozenset({max(known)})
    since = following(end, snapshots, -settings.stands)
    return frozenset(day for day in known if day > since)


def files_with(days: Mapping[str, Days], wanted: Collection[dt.date], end: dt.date) -> frozenset[str]:
    """The files with rows of these dates, and those with rows without a date, from the file's first date on: cleaning sets them aside."""
    undated = {name for name, of_file in days.items() if None in of_file and min((day for day in of_file if day), default=end) <= end}
    return frozenset({name for name, of_file in days.items() if of_file.keys() & set(wanted)} | undated)


def chosen(rows: ir.Table, wanted: Collection[dt.date], settings: CustomerTable, rules: Cleaning) -> ir.Table:
    """The rows of the dates, and those without a date; of changes, only the newest of each customer."""
    day = _day(rows, settings)
    listed = [ibis.date(one.isoformat()) for one in sorted(wanted)]
    rows = rows.filter(day.isnull() | day.isin(listed)) if listed else rows.filter(day.isnull())
    if settings.each_date == COMPLETE:
        return rows
    rows = rows.mutate(__id=identifier(rows.customer_id, rules)[0].nullif(""), __day=_day(rows, settings))
    newest = rows.mutate(__newest=rows["__day"].max().over(ibis.window(group_by="__id")))
    usable = newest["__id"].isnull() | newest["__day"].isnull()
    return newest.filter(usable | (newest["__day"] == newest["__newest"])).drop("__id", "__day", "__newest")


def _day(rows: ir.Table, settings: CustomerTable) -> ir.DateValue:
    """The as-of date of rows that have their time."""
    return as_of(rows.known_at, whole_months(settings) and not dated_by_name(settings))


@dataclass(frozen=True)
class OnDate:
    """The customers of one date, how many of them are also at the date before, and how many of that date are not here."""

    day: dt.date
    customers: int
    stayed: int = 0
    gone: int = 0

    @property
    def came(self) -> int:
        return self.customers - self.stayed


def by_date(engine: Engine, dated: ir.Table) -> list[OnDate]:
    """The customers of each date, oldest first, from a table of `customer_id` and `day`; rows that lack one do not count."""
    there = dated.filter(dated.customer_id.notnull() & dated.day.notnull()).distinct()
    numbered = there.mutate(place=ibis.dense_rank().over(ibis.window(order_by=there.day)))
    before = numbered.place.lag().over(ibis.window(group_by="customer_id", order_by="place"))
    told = numbered.mutate(stayed=(numbered.place - before == 1).fill_null(False).cast("int64"))
    found = engine.rows(told.group_by("day").agg(customers=told.count(), stayed=told.stayed.sum()).order_by("day"))
    days = [OnDate(row["day"], int(row["customers"]), int(row["stayed"])) for row in found]
    return [*days[:1], *(OnDate(day.day, day.customers, day.stayed, then.customers - day.stayed) for then, day in pairwise(days))]


def overlap(days: Sequence[OnDate]) -> float | None:
    """The median share of the customers of a date who are also at the next; None with fewer than two dates."""
    shares = [day.stayed / (day.stayed + day.gone) for day in days[1:] if day.stayed + day.gone]
    return median(shares) if shares else None


def likely(days: Sequence[OnDate]) -> str:
    """Whether each date seems to list all customers, or only those that changed."""
    share = overlap(days)
    return COMPLETE if share is None or share >= MOSTLY else CHANGES


def snapshots_of(days: Iterable[dt.date], keys: Sequence[str]) -> dict[dt.date, str | None]:
    """By date, the first snapshot that has it as its newest date; None if there is none, because a later date comes before it."""
    dates, ends = sorted(days), [dt.date.fromisoformat(key) for key in keys]
    found: dict[dt.date, str | None] = {}
    for place, day in enumerate(dates):
        then = dates[place + 1] if place + 1 < len(dates) else None
        first = next((end for end in ends if end >= day), None)
        found[day] = first.isoformat() if first and (then is None or then > first) else None
    return found
