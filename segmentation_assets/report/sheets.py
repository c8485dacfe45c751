"""Tables of the report that can be sorted: rows of a published table as texts under plain headings.

Belongs here: how a row's values are written. Which tables there are belongs to `changes` and `analysts`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from segmentation_assets.report.words import NOT_KNOWN, Words, hidden_of, said

MOST_ROWS = 200
"""Rows of a table on a page; the database has the rest."""


@dataclass(frozen=True)
class Cell:
    """A value as it is written, and what it is sorted by; empty: nothing, which comes last."""

    text: str
    sort: str


@dataclass(frozen=True)
class Head:
    """A heading; `number`: its column is of numbers."""

    text: str
    number: bool


@dataclass(frozen=True)
class Sheet:
    """A table on a page, whose first column names the row.

    Attributes:
        left_out: rows that it does not show.
        table: the published table that has all.
    """

    caption: str
    heads: tuple[Head, ...]
    rows: tuple[tuple[Cell, ...], ...]
    left_out: str
    table: str


@dataclass(frozen=True)
class Shown:
    """A column of a sheet: of which column of the rows, under which heading, and how its value is written, with the whole row at hand."""

    column: str
    heading: str
    written: Callable[[Words, Any, Any], str]
    number: bool = True


def sheet(rows: pd.DataFrame, columns: Sequence[Shown], words: Words, caption: str, table: str = "") -> Sheet:
    """The rows as a sheet; `table` is the published table that they are of."""
    shown, further = rows.head(MOST_ROWS), max(len(rows) - MOST_ROWS, 0)
    return Sheet(
        caption=caption,
        heads=tuple(Head(one.heading, one.number) for one in columns),
        rows=tuple(tuple(_cell(row, one, words) for one in columns) for row in shown.itertuples()),
        left_out=words.counted(further, "further row") if further else "",
        table=table,
    )


def _cell(row: Any, shown: Shown, words: Words) -> Cell:
    value = getattr(row, shown.column)
    told = _unknown(row) if shown.number and pd.isna(value) else shown.written(words, row, value)
    if shown.number:
        return Cell(told, "" if pd.isna(value) else f"{float(value):g}")
    return Cell(told, value.isoformat() if isinstance(value, pd.Timestamp) else told)


def _unknown(row: Any) -> str:
    return Words().number(float("nan"), hidden_of(row))


def text(column: str, heading: str) -> Shown:
    """A text of the data, such as a name."""
    return Shown(column, heading, lambda words, row, value: said(value) or NOT_KNOWN, number=False)


def sentence(column: str, heading: str) -> Shown:
    """A sentence of ours."""
    return Shown(column, heading, lambda words, row, value: words.told(value) or NOT_KNOWN, number=False)


def label(column: str, heading: str) -> Shown:
    """A feature, by what people call it."""
    return Shown(column, heading, lambda words, row, value: said(words.label(str(value))), number=False)


def truth(column: str, heading: str) -> Shown:
    """Yes or no."""
    return Shown(column, heading, lambda words, row, value: NOT_KNOWN if pd.isna(value) else "yes" if value else "no", number=False)


def day(column: str, heading: str) -> Shown:
    """A day."""
    return Shown(column, heading, lambda words, row, value: words.date(pd.Timestamp(value).date()), number=False)


def count(column: str, heading: str) -> Shown:
    """A number of customers, of orders or the like."""
    return Shown(column, heading, lambda words, row, value: words.number(value))


def share(column: str, heading: str) -> Shown:
    """A share in per cent."""
    return Shown(column, heading, lambda words, row, value: words.share(value))


def money(column: str, heading: str) -> Shown:
    """An amount of money."""
    return Shown(column, heading, lambda words, row, value: words.money(value))


def change(column: str, heading: str) -> Shown:
    """A change of an amount of money."""
    return Shown(column, heading, lambda words, row, value: words.signed(value, words.money))


def decimal(column: str, heading: str, digits: int = 2) -> Shown:
    """A number with digits behind the decimal mark."""
    return Shown(column, heading, lambda words, row, value: words.decimal(value, digits))


def chance(column: str, heading: str) -> Shown:
    """A probability, which is never written as nothing."""
    least = 0.001
    return Shown(
        column, heading, lambda words, row, value: f"{'below ' if value < least else ''}{words.decimal(max(value, least), 3)}"
    )  # fmt: skip


def figure(column: str, heading: str) -> Shown:
    """A value of the feature that the row's `feature` names, in its unit."""
    return Shown(column, heading, lambda words, row, value: words.figure(row.feature, value))
