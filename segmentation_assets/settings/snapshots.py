"""Which snapshots there are, and when they are made."""

import datetime as dt
from typing import Literal

from pydantic import Field, model_validator

from segmentation_assets.settings.section import Section, Zone

EARLIEST = dt.date(1900, 1, 1)  # Dagster's keys of partitions take years of four digits only


class Snapshots(Section):
    """Which as-of dates exist. A snapshot knows everything strictly before its date (00:00 in `timezone`)."""

    first: dt.date = Field(description="Date of the first snapshot; it also takes in all earlier history.")
    last: dt.date | None = Field(None, description="Date of the last snapshot; empty means: up to today.")
    cadence: Literal["monthly", "weekly", "daily"] = Field("monthly", description="Time between two snapshots.")
    timezone: Zone = Field(
        "UTC",
        description="Zone in which days and months end, such as Europe/Amsterdam; all times are converted to it. After a change every "
        "snapshot has to be made again: `segmentation run --all`.",
    )

    @model_validator(mode="after")
    def _dates_fit(self) -> "Snapshots":
        if self.first < EARLIEST:
            raise ValueError(f"first: {self.first} is before any order can have been; use a date from {EARLIEST} on")
        if self.cadence == "monthly" and self.first.day > 28:
            raise ValueError(f"first: day {self.first.day} does not exist in every month; use a day from 1 to 28")
        if self.last is not None and self.last < self.first:
            raise ValueError(f"last: {self.last} is before first: {self.first}")
        return self


class Schedule(Section):
    """The scheduled job that re-segments the newest snapshot."""

    enabled: bool = Field(False, description="Whether the schedule is running as soon as the daemon starts.")
    hour: int = Field(6, ge=0, le=23, description="Hour of the day, in `snapshots.timezone`, at which it runs.")
    minute: int = Field(0, ge=0, le=59, description="Minute of the hour.")
