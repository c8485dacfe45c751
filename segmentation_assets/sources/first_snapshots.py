"""Which snapshots a first settings file proposes: full months, each with a full lookback if history allows it."""

import contextlib
import datetime as dt
import re
from dataclasses import dataclass
from pathlib import Path

from segmentation_assets.sources.dated_rows import DatedRows

DAY_IN_NAME = re.compile(r"(?<!\d)((?:19|20)\d\d)[-_.]?(0[1-9]|1[0-2])(?:[-_.]?(0[1-9]|[12]\d|3[01]))?(?!\d)")
SLACK = 3  # days without orders at either end of a month that still counts as full
LONGEST_LOOKBACK, MOST_SNAPSHOTS = 12, 24  # months


@dataclass(frozen=True)
class Proposed:
    """Snapshots and the lookback of their features, in months."""

    first: dt.date
    last: dt.date
    lookback: int
    ends_in_a_month: bool  # because the orders fill no whole month


def day_of(file: Path, today: dt.date) -> tuple[dt.date, str]:
    """The date of a file that says how customers are now, and where it is from: the file's name, else today."""
    if found := DAY_IN_NAME.search(file.stem):
        year, month, day = found.groups()
        with contextlib.suppress(ValueError):
            return dt.date(int(year), int(month), int(day or 1)), "the date in the file's name"
    return today, "today, because the file's name has no date: write the date that the table describes"


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
        else "the last whole month ends here: any later, and recency would be overstated"
    )
    orders = f"orders are dated {likely.first} to {likely.last}"
    return [
        "snapshots:",
        *_left_out(dated),
        f"  first: {of.first}             # {orders}; the first snapshot includes all earlier history",
        f"  last: {of.last}              # {why}; remove this line to continue up to today",
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
