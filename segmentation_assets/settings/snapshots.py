"""Which snapshots there are, when they are made, and the arithmetic of their dates.

A key is the as-of date of a snapshot: `2017-06-01` contains everything strictly before that day in `snapshots.timezone`.
The times of all rows are converted to that zone (see `sources`), so days need no zone here.
"""

import datetime as dt
from itertools import count, takewhile
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from segmentation_assets.settings.section import Section, Zone

Cadence = Literal["monthly", "weekly", "daily"]
EARLIEST = dt.date(1900, 1, 1)  # Dagster's partition keys take four-digit years only
DAYS_OF_WEEK = 7


class Snapshots(Section):
    """Which as-of dates exist. A snapshot contains everything strictly before its date (00:00 in `timezone`)."""

    first: dt.date = Field(description="Date of the first snapshot; it also includes all earlier history.")
    last: dt.date | None = Field(None, description="Date of the last snapshot; empty: up to today.")
    cadence: Cadence = Field("monthly", description="Time between two snapshots.")
    timezone: Zone = Field(
        "UTC",
        description="Zone in which days and months end, such as Europe/Amsterdam; all times are converted to it. After a change, every "
        "snapshot has to be made again: `segmentation run --all`.",
    )

    @model_validator(mode="after")
    def _dates_fit(self) -> "Snapshots":
        if self.first < EARLIEST:
            raise ValueError(f"first: {self.first} is too early for any order; use a date from {EARLIEST} on")
        if self.cadence == "monthly" and self.first.day > 28:
            raise ValueError(f"first: day {self.first.day} does not exist in every month; use a day from 1 to 28")
        if self.last is not None and self.last < self.first:
            raise ValueError(f"last: {self.last} is before first: {self.first}")
        return self


def following(day: dt.date, snapshots: Snapshots, steps: int = 1) -> dt.date:
    """The as-of date `steps` snapshots after `day` (before it if negative).

    >>> following(dt.date(2024, 2, 15), Snapshots(first=dt.date(2024, 1, 15)), -2).isoformat()
    '2023-12-15'
    """
    if snapshots.cadence == "monthly":
        months = day.year * 12 + day.month - 1 + steps
        return dt.date(months // 12, months % 12 + 1, day.day)
    return day + dt.timedelta(days=steps * (DAYS_OF_WEEK if snapshots.cadence == "weekly" else 1))


def windows_to_compare(snapshots: Snapshots, windows: int) -> int:
    """Earlier windows to read to compare with `windows` of them; for days, that many weeks, because a day is compared with its weekday."""
    return windows * (DAYS_OF_WEEK if snapshots.cadence == "daily" else 1)


def existing_keys(snapshots: Snapshots, now: dt.datetime | None = None) -> list[str]:
    """Keys of the snapshots dated up to `now` (default: the current time) in the snapshots' zone, oldest first."""
    today = (now or dt.datetime.now(dt.UTC)).astimezone(ZoneInfo(snapshots.timezone)).date()
    return keys_until(snapshots, min(today, snapshots.last or today))


def keys_until(snapshots: Snapshots, day: dt.date) -> list[str]:
    """Keys of the snapshots from the first up to `day`, oldest first."""
    dates = (following(snapshots.first, snapshots, steps) for steps in count())
    return [date.isoformat() for date in takewhile(lambda date: date <= day, dates)]


def snapshots_between(earlier: str, later: str, snapshots: Snapshots) -> int:
    """The number of snapshots after `earlier`, up to and including `later`."""
    return sum(key > earlier for key in keys_until(snapshots, dt.date.fromisoformat(later)))


class Schedule(Section):
    """The scheduled job that re-segments the newest snapshot."""

    enabled: bool = Field(False, description="Whether the schedule is on as soon as the daemon starts.")
    hour: int = Field(6, ge=0, le=23, description="Hour of the day, in `snapshots.timezone`, at which it runs.")
    minute: int = Field(0, ge=0, le=59, description="Minute of the hour.")


def tick(key: str, snapshots: Snapshots, schedule: Schedule) -> dt.datetime:
    """When the schedule ticks for the snapshot, in UTC.

    >>> tick("2024-07-01", Snapshots(first=dt.date(2024, 7, 1), timezone="Europe/Amsterdam"), Schedule(hour=6)).isoformat()
    '2024-07-01T04:00:00+00:00'
    """
    time = dt.time(schedule.hour, schedule.minute, tzinfo=ZoneInfo(snapshots.timezone))
    return dt.datetime.combine(dt.date.fromisoformat(key), time).astimezone(dt.UTC)
