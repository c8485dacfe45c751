"""Conditions on customers as data: printed as SQL for several engines and as plain words, and evaluated here exactly as engines do.

Belongs here: what a condition says. How one is learnt is in `rules`; conditions that people write are in `own`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import sqlglot
from numpy.typing import NDArray
from sqlglot import expressions as sql

from segmentation_assets.core.customers.attributes import label
from segmentation_assets.core.model.naming import listed
from segmentation_assets.expressions import identifier
from segmentation_assets.vocabulary import MONEY, Status

PLAIN = re.compile("[a-z_][a-z0-9_]*")  # engines differ on capitals without quotes
MOST_DIGITS, LARGEST_WHOLE = 15, 1e15  # of a decimal that every engine reads as the same float
Operator = Literal["<=", ">", "=", "<>"]
Value = float | str | bool
Columns = Mapping[str, NDArray[Any]]
"""Column -> value of each customer (n,): float64 with NaN if missing, or objects with None."""

WORDS = {  # what a customer with at most, more than, or more than and at most so much does
    "recency_days": (
        "came within the last {high} days", "last came more than {low} days ago", "last came more than {low} and at most {high} days ago",
    ),
    "tenure_days": (
        "first came within the last {high} days", "first came more than {low} days ago",
        "first came more than {low} and at most {high} days ago",
    ),
    "frequency": ("ordered at most {high} times", "ordered more than {low} times", "ordered more than {low} and at most {high} times"),
    "monetary": ("spent at most {high} {money}", "spent more than {low} {money}", "spent more than {low} and at most {high} {money}"),
}  # fmt: skip
ANY = ("have {label} of at most {high}", "have {label} above {low}", "have {label} above {low} and at most {high}")


@dataclass(frozen=True)
class Condition:
    """A comparison of a column with a constant; numbers with `<=` and `>`, categories with `=` and `<>`. A missing value meets none."""

    column: str
    operator: Operator
    value: Value

    def sql(self) -> str:
        """The comparison in DuckDB's SQL.

        >>> Condition("recency_days", "<=", 9.0).sql(), Condition("Home", "<>", "it's").sql()
        ('recency_days <= 9', '"Home" <> \\'it\\'\\'s\\'')
        """
        return f"{_name(self.column)} {self.operator} {_constant(self.value)}"

    def met(self, columns: Columns) -> NDArray[np.bool_]:
        """Which customers meet it (n,)."""
        values = columns[self.column]
        if self.operator == "<=":
            return np.asarray(values <= self.value)
        if self.operator == ">":
            return np.asarray(values > self.value)
        same = np.asarray(values == self.value, dtype=bool)
        return same if self.operator == "=" else ~same & ~np.asarray(pd.isna(values))


@dataclass(frozen=True)
class Predicate:
    """Customers of a status who meet all conditions of at least one box; an empty box is met by all."""

    status: str
    boxes: tuple[tuple[Condition, ...], ...] = ((),)

    @property
    def conditions(self) -> int:
        """The number of comparisons, that of the status not counted."""
        return sum(map(len, self.boxes))

    def sql(self) -> str:
        """The condition in DuckDB's SQL, over the columns of customer_features.

        >>> Predicate("active", ((Condition("monetary", ">", 1200.0),), (Condition("frequency", ">", 9.0),))).sql()
        "status = 'active' AND (monetary > 1200 OR frequency > 9)"
        """
        status = f"status = {_constant(self.status)}"
        if () in self.boxes:
            return status
        texts = [" AND ".join(condition.sql() for condition in box) for box in self.boxes]
        if len(texts) == 1:
            return f"{status} AND {texts[0]}"
        either = " OR ".join(f"({text})" if len(box) > 1 else text for text, box in zip(texts, self.boxes, strict=True))
        return f"{status} AND ({either})"

    def met(self, columns: Columns) -> NDArray[np.bool_]:
        """Which customers of the status meet it (n,); `columns` are of such customers only."""
        size = len(next(iter(columns.values())))
        found = np.zeros(size, dtype=bool)
        for box in self.boxes:
            found |= np.logical_and.reduce([np.ones(size, dtype=bool), *(condition.met(columns) for condition in box)])
        return found

    def words(self, money: str = MONEY) -> str:
        """The condition in words, after "customers who"; `money` is the currency's name.

        >>> Predicate("active", ((Condition("recency_days", "<=", 9.0), Condition("monetary", ">", 1200.0)),)).words("EUR")
        'came within the last 9 days and spent more than 1,200 EUR'
        """
        if () in self.boxes:
            return STATUS_WORDS[self.status]
        return "; or ".join(listed(_phrases(box, money)) for box in self.boxes)


STATUS_WORDS: dict[str, str] = {
    Status.ACTIVE: "are active",
    Status.LAPSED: "ordered before the lookback, but not within it",
    Status.RETURNED: "returned everything they ever ordered",
    Status.PROSPECT: "are known but never ordered",
    Status.FORMER: "were on record, and no longer are",
}


def in_dialect(rule: str, dialect: str) -> str:
    """A rule in the SQL of another engine, by sqlglot's name of it.

    >>> in_dialect("status = 'active' AND \\"Home\\" = 'a'", "bigquery")
    "status = 'active' AND `Home` = 'a'"
    """
    return sqlglot.transpile(rule, read="duckdb", write=dialect)[0]


def _phrases(box: tuple[Condition, ...], money: str) -> list[str]:
    """What a customer in the box does, a phrase for each column."""
    phrases = []
    for column in dict.fromkeys(condition.column for condition in box):
        own = {condition.operator: condition.value for condition in box if condition.column == column}
        if "=" in own or "<>" in own:
            kinds = [condition for condition in box if condition.column == column]
            phrases += [f"have {label(column)} {'other than ' if one.operator == '<>' else ''}{one.value}" for one in kinds]
            continue
        templates = WORDS.get(column, ANY)
        template = templates[2] if len(own) == 2 else templates[0] if "<=" in own else templates[1]
        amounts = {name: _amount(own[operator]) for name, operator in (("low", ">"), ("high", "<=")) if operator in own}
        phrases.append(template.format(**amounts, money=money, label=label(column)))
    return phrases


def _amount(value: Value) -> str:
    number = float(value)
    return f"{int(number):,}" if number.is_integer() and abs(number) < LARGEST_WHOLE else f"{number:,}"


def _name(column: str) -> str:
    quoted = sql.to_identifier(column, quoted=True).sql(dialect="duckdb")
    return column if PLAIN.fullmatch(column) and identifier(column) == column else quoted


def _constant(value: Value) -> str:
    """The constant as every engine reads it back exactly."""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, str):
        return sql.Literal.string(value).sql(dialect="duckdb")
    if float(value).is_integer() and abs(value) < LARGEST_WHOLE:
        return str(int(value))
    text = repr(float(value))
    # Engines read long decimals as exact ones, and round once more on the way to a float; with an exponent it is a float from the start.
    return text if "e" in text or len(text.strip("-").replace(".", "").lstrip("0")) <= MOST_DIGITS else f"{float(value):.16e}"
