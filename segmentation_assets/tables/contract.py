"""The contract of a table, and the columns that many tables share."""

from dataclasses import dataclass, field
from typing import Any

SHARE: dict[str, Any] = {"minimum": 0.0, "maximum": 1.0}


@dataclass(frozen=True)
class Column:
    """One column: its Ibis type, its meaning, and its valid values."""

    name: str
    type: str
    description: str
    nullable: bool = True
    minimum: float | None = None
    maximum: float | None = None
    allowed: tuple[str, ...] | None = None
    remedy: str = ""  # what to do if a value is out of bounds
    needs: str = ""  # what a source must have for it; without that, this column and all others that need it are absent


@dataclass(frozen=True)
class Contract:
    """One table. `row` completes the sentence "one row per ..."; `open` tables may carry further columns."""

    name: str
    row: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    open: bool = False
    bulky: bool = False  # published as a view over the lake's files, not copied into the database
    largest_first: tuple[str, ...] = ()  # columns that order the preview on the asset's page, descending; default: the key
    lineage: dict[str, tuple[str, ...]] = field(default_factory=dict)  # column -> "table.column" it comes from
    # Number of customers -> columns that describe these customers, hidden with it where it is small (privacy.smallest_cell). Where the number
    # is in another table with the same first key, "table.column".
    cells: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def description(self) -> str:
        return f"One row per {self.row}."


def required(name: str, kind: str, description: str, **bounds: Any) -> Column:
    """A column that is never null."""
    return Column(name, kind, description, nullable=False, **bounds)


SNAPSHOT_DATE = required(
    "snapshot_date", "date", "As-of date: the row is based on everything before this day begins in the snapshots' time zone."
)
CUSTOMER_ID = required("customer_id", "string", "The customer's id, as text.")
SEGMENT_ID = required(
    "segment_id",
    "int64",
    "Segment: 1, 2, ... by model, -1 lapsed, -2 prospect, -3 returns only, -4 former. Never reused for another segment.",
)
MODEL_VERSION = required(
    "model_version", "string", "Model that assigned the segments: the snapshot it was fitted on, and a digest of its content."
)
