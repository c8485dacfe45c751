"""The contract of a table, and the columns that many tables share."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from segmentation_assets.core.customers.levels import LEVEL_ORDER

Of = Callable[[pd.DataFrame], pd.Series]
"""From the rows of a table to a value of each."""
CENTS = "decimal(18, 2)"
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
    money: bool = False  # an amount that people read: published in whole cents

    @property
    def published(self) -> "Column":
        """As it is published, where the lake keeps all digits."""
        return replace(self, type=CENTS, money=False) if self.money else self


@dataclass(frozen=True)
class Cells:
    """Customers whom rows count or describe: where they are few (privacy.smallest_cell), their figures are not published.

    Attributes:
        count: their number, as a column or as a function of the rows.
        figures: columns that are hidden with it; it is hidden itself if it is a column.
        of: columns that name the cell, if several rows are about the same customers; default: each row has its own.
        whole: number of the customers of whom they are a part: the others are a cell too. As `count`, or the largest value of
            "table.column".
        sums: what groups the cells so that each group adds up to a number that is published: the next smallest cells are hidden too,
            until at least two are and the smallest setting is reached, so that the total does not give one away.
        overlap: whether the cells of a group may have customers in common.
        totals: columns that tell the number to which a group adds up; hidden in the whole table if a group has too few cells to hide one.
        steps: whether each row includes the customers of the one before.
    """

    count: str | Of
    figures: tuple[str, ...] = ()
    of: tuple[str, ...] = ()
    whole: str | Of = ""
    sums: tuple[Of, ...] = ()
    overlap: bool = False
    totals: tuple[str, ...] = ()
    steps: bool = False


@dataclass(frozen=True)
class HiddenWith:
    """Figures that are hidden because those of another table are.

    Attributes:
        where: from the rows, and those of `table` as they are published, to whether the row's `figures` are hidden.
    """

    table: str
    where: Callable[[pd.DataFrame, pd.DataFrame], pd.Series]
    figures: tuple[str, ...]


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
    beside: tuple[Column, ...] = ()  # further columns of the published table, made of earlier snapshots as published
    cells: tuple[Cells | HiddenWith, ...] = ()  # what is hidden where customers are few; the order matters to `sums`

    @property
    def description(self) -> str:
        return f"One row per {self.row}."

    @property
    def can_grow(self) -> bool:
        """Whether it grows with the number of customers, so that a large one is better left in files. Figures of few customers are
        hidden while rows are copied, so a table that has any is always copied."""
        return not self.bulky and "customer_id" in self.key and not self.cells

    @property
    def published(self) -> tuple[Column, ...]:
        """The columns as published: names stand beside ids, and a table may have others that are made of what is published already."""
        found: list[Column] = []
        there = {column.name for column in self.columns}
        for column in self.columns:
            name = name_of(column.name, self)
            beside = [] if name is None or name in there else [Column(name, "string", NAMES_BESIDE[column.name])]
            found += [column.published, *beside]
        return (*found, *(column.published for column in self.beside))


ACTION_TITLE = "action_title"
NAMES_BESIDE = {
    "segment_id": "Name of the segment at this snapshot; empty if there is none.",
    "previous_segment_id": "Its name then.",
    "from_segment_id": "Its name at the snapshot before.",
    "to_segment_id": "Its name at this snapshot.",
    "from_segment_ids": "Their names at the snapshot before, in the same order.",
    "to_segment_ids": "Their names at this snapshot, in the same order.",
    "action": "What the action does, in words, as in segment_actions.action at this snapshot; empty if it is no longer in the playbook.",
}
"""Column with ids -> the description of the column of names that is published beside it."""
BEFORE = ("previous_segment_id", "from_segment_id", "from_segment_ids")
"""Those whose ids are of the snapshot before."""


def name_of(column: str, contract: Contract) -> str | None:
    """The column of names that is published beside a column of ids; None if the column has none.

    `action` is the key of an action in all tables but that of the actions themselves.
    """
    if column not in NAMES_BESIDE or (column == "action" and any(other.name == "play" for other in contract.columns)):
        return None
    return ACTION_TITLE if column == "action" else column.replace("_ids", "_names").replace("_id", "_name")


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

LEVEL_PLACE = Column(
    LEVEL_ORDER,
    "int64",
    "Place of the level among those of the attribute, from 1: as attributes.<name>.order has it, else as the numbers in the levels say; empty "
    "if no order is known.",
    minimum=1,
)


def everyone(rows: pd.DataFrame) -> pd.Series:
    """All rows as one group."""
    return pd.Series(0, index=rows.index)


def by(*columns: str) -> Of:
    """Rows with the same values in these columns as a group."""
    return lambda rows: rows.groupby(list(columns), dropna=False, sort=False).ngroup()


def of_hidden_segments(rows: pd.DataFrame, segments: pd.DataFrame) -> pd.Series:
    """Whether the row's segment is one whose size is hidden."""
    return rows["segment_id"].isin(segments.loc[segments["customers"].isna(), "segment_id"])


def if_total_is_hidden(rows: pd.DataFrame, segments: pd.DataFrame) -> pd.Series:
    """Every row, if the number of all known customers is hidden, which each share of them tells."""
    return pd.Series(bool(len(segments)) and bool(segments["share"].isna().all()), index=rows.index)
