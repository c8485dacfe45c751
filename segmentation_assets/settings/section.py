"""The base of every section of the settings, time zones, and what is said of a name that is not known. The sections are in the
neighbouring modules."""

import difflib
from collections.abc import Collection, Iterable
from typing import Annotated
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict

NOT_PORTABLE = frozenset({"localtime"})  # the machine's own zone in Python; unknown to databases


class Section(BaseModel):
    """A part of the settings file: unknown keys are refused, and values cannot be changed after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def nearest(found: str, allowed: Collection[str]) -> str:
    """A question that suggests the allowed name nearest to the one found, to append to a sentence; empty if none is near.

    >>> nearest("recency", ["frequency", "recency_days"])
    ' Did you mean recency_days?'
    """
    begun = [name for name in sorted(allowed) if name.startswith(f"{found}_")]
    close = begun or difflib.get_close_matches(found, sorted(allowed), n=1, cutoff=0.5)
    return f" Did you mean {close[0]}?" if close else ""


def unknown_names(setting: str, names: Iterable[str], known: Collection[str], kind: str) -> list[str]:
    """A sentence on each name in a setting that is not known, with the nearest and all that are.

    >>> unknown_names("model.features", ["recency", "frequency"], ["frequency", "recency_days"], "a feature")
    ['model.features: recency is not a feature. Did you mean recency_days? Choose from: frequency, recency_days.']
    """
    choices = f" Choose from: {', '.join(sorted(known))}." if known else " There are none."
    return [f"{setting}: {name} is not {kind}.{nearest(name, known)}{choices}" for name in names if name not in known]


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
