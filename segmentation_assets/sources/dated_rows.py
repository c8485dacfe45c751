"""The number of rows by month, and the range of dates in which most rows lie, which a few wrong dates do not change.

Belongs here: counting, and which dates are likely. `first_snapshots` makes proposals from them.
"""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir

from segmentation_assets.sources.base import midnight
from segmentation_assets.sources.guessing import DATES_FROM, DATES_UNTIL
from segmentation_assets.sources.mapping import Bounds
from segmentation_assets.vocabulary import counted

IMPOSSIBLE = -1  # in place of a month
FAR = 12  # months without rows, beyond which rows count as far from the others
FEW = 0.05  # share of the rows that an error may have
BOUNDS = Bounds(DATES_FROM, DATES_UNTIL, given=False)


@dataclass(frozen=True)
class Dates:
    """The number of rows, and their first and last date in ISO 8601, which may be outside Python's range."""

    rows: int
    first: str
    last: str

    def __str__(self) -> str:
        rows = counted(self.rows, "row is", "rows are")
        return f"{rows} dated {self.first if self.first == self.last else f'{self.first} to {self.last}'}"


@dataclass(frozen=True)
class DatedRows:
    """The dates of some rows: by month, counted from the year 0, or IMPOSSIBLE."""

    by_month: Mapping[int, Dates] = field(default_factory=dict)

    @property
    def impossible(self) -> Dates | None:
        """Rows with dates that are impossible for an order."""
        return self.by_month.get(IMPOSSIBLE)

    @property
    def likely(self) -> Dates | None:
        """The dates of most rows: of stretches of months that are far apart, those with many rows on several days."""
        return _together([dates for stretch in self._likely for dates in stretch])

    @property
    def far(self) -> list[Dates]:
        """The other possible dates, one entry for each stretch of months."""
        return [dates for stretch in self._stretches if stretch not in self._likely and (dates := _together(stretch))]

    @property
    def _stretches(self) -> list[list[Dates]]:
        stretches: list[list[Dates]] = []
        before: int | None = None
        for month in sorted(self.by_month.keys() - {IMPOSSIBLE}):
            if before is None or month - before > FAR:
                stretches.append([])
            stretches[-1].append(self.by_month[month])
            before = month
        return stretches

    @property
    def _likely(self) -> list[list[Dates]]:
        stretches = self._stretches
        rows = [sum(dates.rows for dates in stretch) for stretch in stretches]
        most, total = max(rows, default=0), sum(rows)
        many = [n == most or (n >= FEW * total and one[0].first != one[-1].last) for n, one in zip(rows, stretches, strict=True)]
        likely = [stretch for stretch, enough in zip(stretches, many, strict=True) if enough]
        return likely if 2 * sum(n for n, enough in zip(rows, many, strict=True) if enough) > total else stretches


def until(files: Iterable[Path]) -> dt.date:
    """The earliest impossible date of an order, given when the latest of the files was written."""
    return max(BOUNDS.of_file("transactions", file).end for file in files)


def counts(time: ir.TimestampValue, end: dt.date) -> dict[str, ir.Value]:
    """Columns of a table of times for `by_month`: the month, and the day as text.

    Args:
        end: dates on or after it are impossible, as are those before any order.
    """
    possible = (time >= midnight(DATES_FROM)) & (time < midnight(end))
    month = ibis.ifelse(possible, (time.year() * 12 + time.month() - 1).cast("int64"), IMPOSSIBLE)
    return {"month": ibis.ifelse(time.isnull(), ibis.null("int64"), month), "day": time.cast("string").split(" ")[0]}


def by_month(table: ir.Table, **further: ir.Value) -> ir.Table:
    """A row for each month of a table with the columns of `counts`; the month is null for rows without a date.

    Args:
        further: other aggregates.
    """
    return table.group_by("month").agg(rows=table.count(), first=table.day.min(), last=table.day.max(), **further)


def found(rows: Sequence[Mapping[str, Any]]) -> DatedRows:
    """The result of `by_month`, as DatedRows."""
    return DatedRows({row["month"]: Dates(row["rows"], row["first"], row["last"]) for row in rows if row["month"] is not None})


def all_together(parts: Iterable[DatedRows]) -> DatedRows:
    """The dates of several files."""
    months: dict[int, list[Dates]] = {}
    for part in parts:
        for month, dates in part.by_month.items():
            months.setdefault(month, []).append(dates)
    return DatedRows({month: together for month, several in months.items() if (together := _together(several))})


def _together(several: Sequence[Dates]) -> Dates | None:
    if not several:
        return None
    return Dates(sum(one.rows for one in several), min(one.first for one in several), max(one.last for one in several))
