"""Windows of time as expressions: the window of a day, the number of windows between two days, and the lookback.

Belongs here: calendar arithmetic that runs in the engine. As-of dates are in `settings.snapshots`, mappings in `defs.partitions`.
"""

import datetime as dt
import math
from dataclasses import dataclass
from typing import Self

import ibis
import ibis.expr.types as ir

from segmentation_assets.settings.customers import Features
from segmentation_assets.settings.snapshots import Snapshots, following

DAYS_PER_WEEK, MONTHS_PER_YEAR = 7, 12


@dataclass(frozen=True)
class Calendar:
    """Windows bounded by the as-of dates of a cadence.

    Args:
        cadence: monthly, weekly or daily.
        first: any as-of date; windows start on its day of the month or week.
    """

    cadence: str
    first: dt.date

    @classmethod
    def of(cls, snapshots: Snapshots) -> Self:
        """The calendar for the settings' cadence and first snapshot."""
        return cls(snapshots.cadence, snapshots.first)

    def window_start(self, day: ir.DateValue) -> ir.DateValue:
        """First day of the window of `day`."""
        if self.cadence == "daily":
            return day
        unit, shift = ("M", self.first.day - 1) if self.cadence == "monthly" else ("W", self.first.weekday())
        if shift == 0:
            return day.truncate(unit).cast("date")
        offset = ibis.interval(days=shift)
        return ((day - offset).cast("date").truncate(unit).cast("date") + offset).cast("date")

    def windows_between(self, start: ir.DateValue, end: dt.date) -> ir.IntegerValue:
        """Number of windows from `start` to `end`, both first days of windows."""
        if self.cadence == "monthly":
            return (end.year - start.year()).cast("int64") * MONTHS_PER_YEAR + (end.month - start.month())
        days = ibis.date(end.isoformat()).delta(start, unit="day")
        return (days // DAYS_PER_WEEK).cast("int64") if self.cadence == "weekly" else days.cast("int64")


@dataclass(frozen=True)
class Lookback:
    """The time span from which a snapshot's features are computed.

    Args:
        as_of: the snapshot's date; nothing on or after it is known.
        start: first day of the lookback.
        recent_start: first day of its last part, which trends compare with the part before; equal to `start` if the
            lookback is one window long and there is no part before.
        windows: length of the lookback; recent_windows: length of its last part.
    """

    calendar: Calendar
    as_of: dt.date
    start: dt.date
    recent_start: dt.date
    windows: int
    recent_windows: int

    @classmethod
    def of(cls, as_of: dt.date, snapshots: Snapshots, features: Features) -> Self:
        """The lookback of the snapshot `as_of`; its last part is a third of it by default."""
        windows = features.lookback
        recent = features.trend_windows or math.ceil(windows / 3)
        start, recent_start = (following(as_of, snapshots, -steps) for steps in (windows, recent))
        return cls(Calendar.of(snapshots), as_of, start, recent_start, windows, recent)

    def has(self, day: ir.DateValue) -> ir.BooleanValue:
        """Whether the day is within the lookback."""
        return (day >= ibis.date(self.start.isoformat())) & (day < ibis.date(self.as_of.isoformat()))
