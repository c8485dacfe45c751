"""The `alerts:` section of the settings: who is notified, and about what. Messages and delivery are in `defs`."""

import re
from typing import Literal, get_args

from pydantic import Field, field_validator

from segmentation_assets.settings.section import Section

Event = Literal["drift", "volume", "failed_check", "failed_run", "promoted_model"]
EVENTS: tuple[Event, ...] = get_args(Event)
RESERVED = "SEGMENTATION_"  # every variable with this prefix is read as a setting


class Alerts(Section):
    """Messages by e-mail, Slack, Teams or webhook. Addresses hold secrets, so the settings only name the variables that hold them."""

    url_variables: tuple[str, ...] = Field(
        (),
        description="Names of environment variables that each hold one Apprise URL, such as [ALERT_SLACK]; none: nothing is sent. "
        "See docs/alerts.md.",
    )
    events: tuple[Event, ...] = Field(EVENTS, min_length=1, description=f"Events to report: {', '.join(EVENTS)}.")
    link: str = Field(
        "http://127.0.0.1:3000", pattern=r"^https?://[^@\s]+$", description="Address of Dagster's page, for links in messages."
    )

    @field_validator("url_variables")
    @classmethod
    def _names_not_addresses(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        # The value is not repeated: it may be the address itself, with its secrets.
        for position, name in enumerate(names, 1):
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
                raise ValueError(
                    f"entry {position} is not the name of an environment variable. Addresses hold secrets and do not belong here: "
                    "write `export ALERT_URL='...'` (or a line in .env) and name it here: [ALERT_URL]"
                )
            if name.upper().startswith(RESERVED):
                raise ValueError(
                    f"the variable {name} begins with {RESERVED}, which is reserved for settings; rename it, such as to ALERT_URL"
                )
        return tuple(dict.fromkeys(names))

    @field_validator("link")
    @classmethod
    def _no_trailing_slash(cls, link: str) -> str:
        return link.rstrip("/")
