"""The `delivery:` section of the settings: where audiences are handed over, and what of them may leave.

Belongs here: what users can say about a destination. What is handed over is decided in `core.application.handover`.
"""

import ipaddress
import urllib.parse
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Discriminator, Field, field_validator, model_validator

from segmentation_assets.settings.addresses import SPARK, DatabaseAddress, holds_secret
from segmentation_assets.settings.alerts import RESERVED
from segmentation_assets.settings.own_segments import Name
from segmentation_assets.settings.section import Section, unknown_names

KEY = ("customer_id", "list", "action")
"""Columns that always leave, beside `idempotency_key`, `snapshot_date` and `change`: without them a row could not be applied."""
ALWAYS = ("idempotency_key", "snapshot_date", "change", *KEY)
FURTHER = ("channel", "offer", "product", "segment_id", "own_segment", "value_at_stake", "cost")
"""Columns of audience_members that may leave; others are attributes of customers."""
LOOPBACK = "localhost"
VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"


class Destination(Section):
    """What is handed over to one place."""

    lists: tuple[str, ...] = Field((), description="Only actions on these lists; empty: all.")
    actions: tuple[str, ...] = Field((), description="Only these actions, by key; empty: all.")
    columns: tuple[str, ...] = Field(
        ("channel", "offer", "product"),
        max_length=50,
        description=f"Columns that leave beside {', '.join(ALWAYS)}: of {', '.join(FURTHER)}, or attributes of customers.",
    )

    @field_validator("columns")
    @classmethod
    def _each_once(cls, columns: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in dict.fromkeys(columns) if name not in ALWAYS)


class Folder(Destination):
    """A file for each delivery, in a folder of this machine."""

    kind: Literal["folder"]
    path: Path = Field(description="The folder; relative to the settings file.")
    format: Literal["csv", "parquet"] = Field("csv", description="CSV, safe to open in a spreadsheet, or Parquet, every text unchanged.")


class DatabaseTable(Destination):
    """A table of a database, with the newest change of each customer, list and action."""

    kind: Literal["database"]
    url: DatabaseAddress = Field(description="Address as in source tables, such as postgresql://user@host:5432/crm, without a password.")
    password_variable: str | None = Field(None, pattern=VARIABLE, description="Environment variable that holds the password.")
    table: str = Field(min_length=1, max_length=120, description="Table, as name or schema.name; made if it is missing.")

    @field_validator("url")
    @classmethod
    def _has_transactions(cls, url: str) -> str:
        if url.startswith(SPARK):
            raise ValueError("is an engine's, whose tables are only read; name a database such as postgresql://user@host/crm")
        return url


class Webhook(Destination):
    """An address that takes signed batches of rows as JSON."""

    kind: Literal["webhook"]
    url: str | None = Field(None, description="Address, https unless on this machine; without a secret.")
    url_variable: str | None = Field(None, pattern=VARIABLE, description="Instead: environment variable that holds the address.")
    secret_variable: str = Field(pattern=VARIABLE, description="Environment variable that holds the secret with which batches are signed.")
    batch: int = Field(500, ge=1, le=10_000, description="Most rows of a batch.")
    retries: int = Field(3, ge=0, le=10, description="How often a batch is sent again after a 429, a 5xx, or no answer.")
    timeout: float = Field(30, gt=0, le=600, description="Seconds to wait for an answer.")

    @field_validator("url")
    @classmethod
    def _safe(cls, url: str | None) -> str | None:
        if url is None:
            return None
        if holds_secret(url):
            raise ValueError("holds a secret; put the address into an environment variable, and name that in url_variable")
        if problem := unsafe(url):
            raise ValueError(problem)
        return url

    @model_validator(mode="after")
    def _one_address(self) -> "Webhook":
        if (self.url is None) == (self.url_variable is None):
            raise ValueError("give either url or url_variable")
        for name in (self.url_variable, self.secret_variable):
            if name is not None and name.upper().startswith(RESERVED):
                raise ValueError(
                    f"the variable {name} begins with {RESERVED}, which is reserved for settings; rename it, such as to CRM_SECRET"
                )
        return self


def unsafe(url: str) -> str:
    """Why nothing may be sent to this address; empty if it may. The address is not repeated: it may be a secret."""
    try:
        parts = urllib.parse.urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is not an address"
    if parts.scheme not in {"http", "https"} or not host:
        return "is not an address such as https://crm.example.com/audiences"
    if parts.scheme == "http" and not _is_this_machine(host):
        return "must begin with https://: without it, anyone on the way can read the customers"
    return ""


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == LOOPBACK


AnyDestination = Annotated[Folder | DatabaseTable | Webhook, Discriminator("kind")]


class Delivery(Section):
    """Who is told whom the actions contact. `segmentation audiences --deliver` tells them when asked."""

    enabled: bool = Field(
        False, description="Whether the run that makes the newest snapshot also hands its audiences over; else only the command does."
    )
    destinations: dict[Name, AnyDestination] = Field(
        {}, max_length=20, description="Places by name, each of kind `folder`, `database` or `webhook` (docs/acting.md)."
    )

    @model_validator(mode="after")
    def _somewhere(self) -> "Delivery":
        if self.enabled and not self.destinations:
            raise ValueError("enabled: nothing can be handed over without destinations; name one, or remove this")
        return self

    def resolved(self, base: Path) -> "Delivery":
        """A copy in which paths relative to `base` are absolute."""
        return self.model_copy(update={"destinations": {name: _resolved(one, base) for name, one in self.destinations.items()}})


def _resolved(one: AnyDestination, base: Path) -> AnyDestination:
    if isinstance(one, Folder):
        return one.model_copy(update={"path": base / one.path.expanduser()})
    if isinstance(one, DatabaseTable) and (file := _file_of(one)) is not None:
        return one.model_copy(update={"url": f"{one.url.partition(':')[0]}:///{base / file.expanduser()}"})
    return one


def inside(delivery: Delivery, data_dir: Path) -> list[str]:
    """A sentence on each destination in the data folder: the next run would replace what was handed over, or take it for its own."""
    found = []
    for name, one in delivery.destinations.items():
        place = one.path if isinstance(one, Folder) else _file_of(one)
        if place is not None and place.resolve().is_relative_to(data_dir):
            key = f"delivery.destinations.{name}.{'path' if isinstance(one, Folder) else 'url'}"
            found.append(f"{key}: is in the data folder {data_dir}, into which only runs write. Name a place outside it")
    return found


def _file_of(one: AnyDestination) -> Path | None:
    """The file of a database that is one."""
    if not isinstance(one, DatabaseTable) or not one.url.startswith(("sqlite:///", "duckdb:///")):
        return None
    return Path(one.url.partition(":///")[2])


def problems(delivery: Delivery, actions: Collection[str], lists: Iterable[str], sensitive: Collection[str]) -> list[str]:
    """A sentence on each action or list that does not exist, and on each sensitive attribute that would leave."""
    found, known = [], sorted(set(lists))
    for name, one in delivery.destinations.items():
        where = f"delivery.destinations.{name}"
        found += unknown_names(f"{where}.actions", one.actions, actions, "an action of the playbook")
        found += unknown_names(f"{where}.lists", one.lists, known, "a list of the playbook")
        found += [
            f"{where}.columns: {column} is in privacy.sensitive, and sensitive attributes do not leave. Remove it from one of the two"
            for column in one.columns
            if column in sensitive
        ]
    return found
