"""What every source shares: the protocol, its error, and how rows are cut to a window.

A source maps, and never judges: rows that cannot be used are set aside by cleaning, so that none is lost here.
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
    """A source cannot be read; the message names the file or table, the problem and the remedy."""


class NoRows(SourceError):  # noqa: N818  # what it is, as SourceError says that it is an error
    """A file without a row: among others it is passed over, and named."""

    def __init__(self, file: Path | str, why: str) -> None:
        super().__init__(f"{file}: {why}. Give a file with a header and rows, or take it out of the settings.")
        self.why = why


@dataclass(frozen=True)
class Window:
    """The time that a snapshot adds: from `start` (None: the beginning of history) up to, not including, `end`."""

    start: dt.date | None
    end: dt.date


def window_of(key: str, snapshots: Snapshots) -> Window:
    """The window that snapshot `key` adds; the first snapshot's reaches back to the beginning of history."""
    end = dt.date.fromisoformat(key)
    return Window(start=None if end <= snapshots.first else following(end, snapshots, -1), end=end)


class Source(Protocol):
    """Rows with the columns of RAW_CUSTOMERS, RAW_TRANSACTIONS and RAW_EVENTS, lazily, on the given engine.

    Times are those that a clock on the wall shows in the zone of `snapshots.timezone`, so that whatever looks at days, weekdays,
    hours and months is right without knowing of zones.

    `transactions` and `events` give the rows dated within the window; where the window has no start, also the rows
    without a usable date. `customers` gives the records known strictly before the window's end.
    """

    def customers(self, engine: Engine, window: Window) -> ir.Table: ...

    def transactions(self, engine: Engine, window: Window) -> ir.Table: ...

    def events(self, engine: Engine, window: Window) -> ir.Table: ...

    def fingerprint(self) -> str:
        """Changes whenever the source's rows may have changed; cheap, so names, sizes and times of files will do."""
        ...


def within(table: ir.Table, column: str, window: Window) -> ir.Table:
    """Rows whose time lies in the window; where it has no start, also those before it and those without a time."""
    time = table[column]
    end = midnight(window.end)
    if window.start is None:
        return table.filter((time < end) | time.isnull())
    return table.filter((time >= midnight(window.start)) & (time < end))


def midnight(day: dt.date) -> ir.TimestampScalar:
    """The beginning of a day, as times of rows are written."""
    return ibis.timestamp(f"{day.isoformat()} 00:00:00")


def counted(
    rows: ir.Table,
    time: ir.Value,
    windows: Mapping[str, Window],
    moment: Callable[[dt.date], ir.Value] = midnight,
    bounds: tuple[dt.date, dt.date] | None = None,
) -> ir.Table:
    """One row: how many rows lie in each window, as `within` cuts them.

    Args:
        windows: by the name that its number has.
        moment: the beginning of a day, as `time` is written.
        bounds: times before the first day, or from the second on, are none.
    """
    known = time.notnull()
    if bounds is not None:
        known = known & (time >= moment(bounds[0])) & (time < moment(bounds[1]))
    tests = {}
    for name, window in windows.items():
        inside = time < moment(window.end)
        inside = ~known | inside if window.start is None else known & inside & (time >= moment(window.start))
        tests[name] = ibis.ifelse(inside, 1, 0).sum().fill_null(0)
    return rows.agg(**tests)


def files_fingerprint(files: Iterable[Path]) -> str:
    """Names, sizes and times of change of files, in any order."""
    return "; ".join(f"{file} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in sorted(files))
