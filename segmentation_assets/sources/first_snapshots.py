"""Which snapshots a first settings file proposes: full months, each with a full lookback if history allows it."""

import datetime as dt
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

from segmentation_assets.settings.snapshots import DAYS_OF_WEEK, Cadence, Snapshots, following, keys_until
from segmentation_assets.sources.dated_rows import DatedRows
from segmentation_assets.sources.names_of_days import date_in_name
from segmentation_assets.vocabulary import counted

SLACK = 3  # days without orders at either end of a month that still counts as full
LONGEST_LOOKBACK, MOST_SNAPSHOTS = 12, 24  # months
LONGEST_DAY, LONGEST_WEEK = 3, 13  # days between two dates, up to which snapshots are daily or weekly
LAST_DAY_OF_ALL_MONTHS = 28
DAYS_OF: dict[Cadence, int] = {"monthly": 31, "weekly": DAYS_OF_WEEK, "daily": 1}


@dataclass(frozen=True)
class Proposed:
    """Snapshots and the lookback of their features, in months."""

    first: dt.date
    last: dt.date
    lookback: int
    ends_in_a_month: bool  # because the orders fill no whole month


def day_of(file: Path, today: dt.date) -> tuple[dt.date, str]:
    """The date of a file that says how customers are now, and where it is from: the file's name, else today."""
    day = date_in_name(file.name)
    if day is None:
        return today, "today, because the file's name has no date: write the date that the table describes"
    if day > today:
        return today, f"today, because that in the file's name, {day}, is still to come"
    return day, "the date in the file's name; a month without a day ends before the first of the next"


def of_dates(days: Sequence[dt.date]) -> Snapshots:
    """Snapshots for customers described anew on these days: of all that have most dates, those that come soonest after them."""
    dates = sorted(set(days))
    gaps = [(later - earlier).days for earlier, later in pairwise(dates)]
    cadence: Cadence = "monthly" if not gaps or median(gaps) > LONGEST_WEEK else "weekly" if median(gaps) > LONGEST_DAY else "daily"
    tried = [_starting(dates, cadence, step) for step in range(DAYS_OF[cadence])]
    return min((one for one in tried if one), key=lambda one: _lag(dates, one))


def _starting(dates: Sequence[dt.date], cadence: Cadence, step: int) -> Snapshots | None:
    """Snapshots of which the first is so many days after the first date, and the last the first that knows the last date."""
    first = dates[0] + dt.timedelta(days=step)
    if cadence == "monthly" and first.day > LAST_DAY_OF_ALL_MONTHS:
        return None
    open_ended = Snapshots(first=first, cadence=cadence)
    last = first
    while last < dates[-1]:
        last = following(last, open_ended)
    return Snapshots(first=first, last=last, cadence=cadence)


def _lag(dates: Sequence[dt.date], proposal: Snapshots) -> tuple[int, int, dt.date]:
    """How many dates no snapshot has as its newest, and for how many days in all dates wait for their snapshot; fewer are better."""
    assert proposal.last is not None  # noqa: S101  # see `_starting`
    keys = [dt.date.fromisoformat(key) for key in keys_until(proposal, proposal.last)]
    places = [bisect_left(keys, day) for day in dates]
    return len(dates) - len(set(places)), sum((keys[at] - day).days for at, day in zip(places, dates, strict=True)), proposal.first


def for_history(days: Sequence[dt.date]) -> list[str]:
    """The sections `snapshots` and `features` for customers described anew on these days."""
    proposal, dates = of_dates(days), sorted(set(days))
    unseen, waiting, _ = _lag(dates, proposal)
    found = f"{counted(len(dates), 'date')}, {dates[0]} to {dates[-1]}" if len(dates) > 1 else f"the only date is {dates[0]}"
    seen = "each is the newest of one snapshot" if not unseen else f"{unseen} of them come before a later one of the same snapshot"
    waits = "; a date is known at the first snapshot on or after it" if waiting else ""
    return [
        "snapshots:",
        f"  first: {proposal.first}             # {found}; {seen}{waits}",
        f"  last: {proposal.last}              # remove this line to continue up to today",
        f"  cadence: {proposal.cadence}              # monthly, weekly or daily",
        "",
        "features:",
        "  lookback: 1                   # windows of events that a snapshot looks back",
    ]


def proposed(first: dt.date, last: dt.date) -> Proposed:
    """Snapshots for orders dated from `first` to `last`."""
    beginning = _month(first + dt.timedelta(days=SLACK - 1))
    start = beginning if first <= dt.date(first.year, first.month, SLACK) else _month(first, 1)
    end = _month(last + dt.timedelta(days=SLACK))
    full = _months(start, end)
    if full < 1:
        return Proposed(_month(last, 1), _month(last, 1), 1, True)
    snapshots = min(max(full // 2, 1), MOST_SNAPSHOTS)
    return Proposed(_month(end, 1 - snapshots), end, min(LONGEST_LOOKBACK, full - snapshots + 1), False)


def snapshots(dated: DatedRows) -> list[str]:
    """The sections `snapshots` and `features`, with comments on the dates that they ignore."""
    likely = dated.likely
    if likely is None:
        return [
            "snapshots:", *_left_out(dated),
            "  first: 2024-01-01             # no dates were found: write the date of the first snapshot",
            "  cadence: monthly",
        ]  # fmt: skip
    of = proposed(dt.date.fromisoformat(likely.first), dt.date.fromisoformat(likely.last))
    why = (
        "the orders fill no whole month, so this ends within one"
        if of.ends_in_a_month
        else "the last whole month of orders ends here; a later date would overstate recency"
    )
    orders = f"orders are dated {likely.first} to {likely.last}"
    return [
        "snapshots:",
        *_left_out(dated),
        f"  first: {of.first}             # {orders}; the first snapshot includes all earlier history",
        f"  last: {of.last}              # {why}. Remove this line once newer orders arrive",
        "  cadence: monthly              # monthly, weekly or daily",
        "",
        "features:",
        f"  lookback: {of.lookback}                  # months that a snapshot looks back; the first snapshot has as many before it",
    ]


def _left_out(dated: DatedRows) -> list[str]:
    """Comments on impossible dates, and on those far from all others, which may be errors."""
    lines = [f"  # {dated.impossible}, which is impossible for an order, and will be set aside"] if dated.impossible else []
    likely = dated.likely
    if likely is None:
        return lines
    for far in dated.far:
        before = far.last < likely.first
        setting = f"orders_from: {likely.first}" if before else f"orders_until: {_day_after(likely.last)}"
        lines.append(f"  # {far}, far from all others: if that is an error, add under source: {setting}")
    return lines


def _day_after(day: str) -> dt.date:
    return dt.date.fromisoformat(day) + dt.timedelta(days=1)


def _month(day: dt.date, further: int = 0) -> dt.date:
    """The first day of the month `further` months after that of `day`."""
    months = day.year * 12 + day.month - 1 + further
    return dt.date(months // 12, months % 12 + 1, 1)


def _months(start: dt.date, end: dt.date) -> int:
    return (end.year - start.year) * 12 + end.month - start.month
