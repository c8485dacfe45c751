"""The base of every section of the settings, and time zones. The sections are in the neighbouring modules."""

import difflib
from typing import Annotated
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict

NOT_PORTABLE = frozenset({"localtime"})  # the machine's own zone in Python; unknown to databases


class Section(BaseModel):
    """A part of the settings file: unknown keys are refused, and values cannot be changed after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _existing_zone(zone: str) -> str:
    known = available_timezones() - NOT_PORTABLE
    if zone not in known:
        by_fold = {name.casefold(): name for name in known}
        close = difflib.get_close_matches(zone.casefold(), sorted(by_fold), n=1, cutoff=0.7)
        nearest = f" (nearest: {by_fold[close[0]]})" if close else ""
        raise ValueError(f"Not a time zone{nearest}; use a name such as UTC, Europe/Berlin or America/New_York")
    return zone


Zone = Annotated[str, AfterValidator(_existing_zone)]
"""A time zone by its IANA name."""
