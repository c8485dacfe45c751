"""What all sources share: the protocol, its error, and how rows are cut to a window.

A source maps rows and never judges them: cleaning sets unusable rows aside, so that none is lost here.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import ibis
import ibis.expr.types as ir

from segmentation_assets.engines.base import Engine
from segmentation_assets.settings.snapshots import Snapshots, following


class SourceError(RuntimeError):
    """A source cannot be read; the message names the file or table, the problem and the remedy.

    Args:
        quoted: the part of the message that is, or may contain, a piece of the source's content.
    """

    def __init__(self, message: str, quoted: str = "") -> None:
        super().__init__(message)
        self.quoted = quoted

    def without_quote(self, instead: str) -> "SourceError":
        """The same without the source's content."""
        return SourceError(str(self).replace(self.quoted, instead)) if self.quoted else self


class NoRows(SourceError):  # noqa: N818  # SourceError already says that it is an error
    """A file without rows: if there are others, it is skipped and reported."""

    def __init__(self, file: Path | str, why: str) -> None:
        super().__init__(f"{file}: {why}. Give a file with a header and rows, or remove it from the settings.")
        self.why = why


@dataclass(frozen=True)
class Window:
    """The time that a snapshot adds: from `start` (None: the beginning of history) up to but not including `end`."""

    start: dt.date | None
    end: dt.date


def window_of(key: str, snapshots: Snapshots) -> Window:
    """The window that snapshot `key` adds; the first snapshot's reaches back to the beginning of history."""
    end = dt.date.fromisoformat(key)
    return Window(start=None if end <= snapshots.first else following(end, snapshots, -1), end=end)


class Source(Protocol):
    """Rows with the columns of RAW_CUSTOMERS, RAW_TRANSACTIONS and RAW_EVENTS, lazily, on the given engine.

    Times are local times in `snapshots.timezone`, so that days, weekdays, hours and months are right without any
    knowledge of zones.

    `transactions` and `events` return the rows dated within the window and, if the window has no start, also the rows
    without a usable date. `customers` returns the records known strictly before the window's end.
    """

    def customers(self, engine: Engine, window: Window) -> ir.Table: ...

    def transactions(self, engine: Engine, window: Window) -> ir.Table: ...

    def events(self, engine: Engine, window: Window) -> ir.Table: ...

    def fingerprint(self) -> str:
        """A text that changes whenever the source's rows may have changed; it must be cheap, such as names, sizes and times of files."""
        ...


def within(table: ir.Table, column: str, window: Window) -> ir.Table:
    """Rows whose time is in the window; if it has no start, also all earlier rows and those without a time."""
    time = table[column]
    end = midnight(window.end)
    if window.start is None:
        return table.filter((time < end) | time.isnull())
    return table.filter((time >= midnight(window.start)) & (time < end))


def midnight(day: dt.date) -> ir.TimestampScalar:
    """The beginning of a day, in the same form as times of rows."""
    return ibis.timestamp(f"{day.isoformat()} 00:00:00")


def counted(
    rows: ir.Table,
    time: ir.Value,
    windows: Mapping[str, Window],
    moment: Callable[[dt.date], ir.Value] = midnight,
    bounds: tuple[dt.date, dt.date] | None = None,
    each: ir.IntegerValue | int = 1,
) -> ir.Table:
    """One row: the number of rows in each window, cut as in `within`.

    Args:
        windows: by the name of the column with their number.
        moment: the beginning of a day, in the same form as `time`.
        bounds: times before the first day, or on or after the second, count as missing.
        each: how many rows each stands for.
    """
    known = time.notnull()
    if bounds is not None:
        known = known & (time >= moment(bounds[0])) & (time < moment(bounds[1]))
    tests = {}
    for name, window in windows.items():
        inside = time < moment(window.end)
        inside = ~known | inside if window.start is None else known & inside & (time >= moment(window.start))
        tests[name] = ibis.ifelse(inside, each, 0).sum().fill_null(0)
    return rows.agg(**tests)


def counted_by_day(rows: ir.Table, time: ir.Value, windows: Mapping[str, Window]) -> ir.Table:
    """`counted`, from the rows of each day, because millions of rows would be compared with both ends of every window."""
    days = rows.group_by(day=time.date().cast("timestamp")).agg(rows=ibis._.count())
    return counted(days, days.day, windows, each=days.rows)


def files_fingerprint(files: Iterable[Path]) -> str:
    """Names, sizes and modification times of files, independent of their order."""
    return "; ".join(f"{file} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in sorted(files))
