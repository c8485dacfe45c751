"""What every section of the settings shares. The sections themselves live in `settings` and its `settings_*` neighbours."""

from typing import Annotated
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict

NOT_PORTABLE = frozenset({"localtime"})  # known to Python as the machine's own zone, and to no database


class Section(BaseModel):
    """A part of the settings file: unknown keys are refused, values are never coerced silently after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _existing_zone(zone: str) -> str:
    if zone not in available_timezones() - NOT_PORTABLE:
        raise ValueError(f"{zone} is not a time zone; use a name such as UTC, Europe/Berlin or America/New_York")
    return zone


Zone = Annotated[str, AfterValidator(_existing_zone)]
"""A time zone by its IANA name."""
