"""What each column of a table of customers holds, and whether customers should be clustered by it, with a reason for each.

Belongs here: guesses from a sample of rows, which `first_settings` writes down for the user to review.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

import pandas as pd

from segmentation_assets.core.customers.attributes import attribute_features, suited_transform
from segmentation_assets.core.customers.exploration import REDUNDANT_RHO, feature_correlations
from segmentation_assets.sources.column_names import folded
from segmentation_assets.vocabulary import Status

NEARLY_ALL = 0.95  # share of customers with one value, from which on a column separates hardly anyone
MOSTLY_MISSING = 0.5
FEW_NUMBERS = 10  # different whole numbers, up to which they may be grades
LEAST_GRADES = 5  # with fewer, customers of one grade are a group by themselves
MOST_LEVELS = 30  # different texts, above which they are no categories
LEAST_INPUTS = 2  # numbers to cluster by; with fewer, categories enter too
MOST_ENTERING_LEVELS = 12  # of a category that enters
EARLIEST_BIRTH = 1900  # an earlier year of birth is impossible for a customer
ID_WORDS = {"id", "nr", "no", "number", "key", "index", "uuid", "kennung", "numero", "identifier", "rowid", "unnamed"}
HOLDER_NAMES = {
    "account", "subscriber", "respondent", "member", "cardholder", "participant", "konto", "compte", "cuenta", "conto", "rekening",
}  # fmt: skip
LEAST_NUMBERED = 20  # rows from which on consecutive numbers count the rows
CODE_WORDS = {
    "region", "channel", "type", "typ", "code", "class", "group", "gruppe", "segment", "cluster", "zip", "plz", "postcode", "status",
    "plan", "gender", "sex", "country", "state", "area", "branch", "kanal", "canal", "pays", "land", "category", "kategorie",
}  # fmt: skip
OUTCOME_WORDS = {
    "response", "responded", "churn", "churned", "converted", "conversion", "exited", "attrition", "outcome", "target", "purchased",
    "bought", "kundigung", "abwanderung", "resiliation", "abandono",
}  # fmt: skip
BIRTH_WORDS = {"birth", "born", "dob", "geburtsjahr", "naissance", "nacimiento", "nascita", "geboortejaar"}


class Role(StrEnum):
    """What a column holds."""

    NUMBER = "number"
    ORDINAL = "ordinal"
    CODE = "code"
    YES_NO = "yes or no"
    CATEGORY = "category"
    DATE = "date"
    ID = "id"
    TEXT = "free text"
    CONSTANT = "constant"
    EMPTY = "empty"


KEPT = {Role.NUMBER, Role.ORDINAL, Role.CODE, Role.YES_NO, Role.CATEGORY, Role.DATE}
CATEGORIES = {Role.CODE, Role.YES_NO, Role.CATEGORY}
DESCRIBES = "describes the segments; customers of one {} would form a group whatever else they do"


@dataclass(frozen=True)
class ColumnLook:
    """The role of a column.

    Attributes:
        enters: whether customers are clustered by it.
        why: why it does or does not enter, in words; empty if nothing is to be said.
        levels: number of different values.
        impossible_before: the first possible year, if some are earlier.
        outcome: whether it seems to say what became of the customer.
        rows: customers that were looked at.
    """

    role: Role
    enters: bool
    why: str
    levels: int = 0
    impossible_before: int | None = None
    outcome: bool = False
    rows: int = 0

    @property
    def is_code(self) -> bool:
        """Whether its numbers stand for something else, so that they are no more and no less of anything."""
        return self.role == Role.CODE


def look_at_columns(sample: pd.DataFrame, types: Mapping[str, str]) -> dict[str, ColumnLook]:
    """The role of each column of a sample of rows, one per customer.

    Args:
        sample: numbers as floats, everything else as text; missing cells are null.
        types: column -> number, date, text and so on, as `guessing` found them.
    """
    found = {name: _outcome_aside(name, _of_column(name, sample[name], types[name]), len(sample)) for name in sample.columns}
    found = _without_redundant(sample, found)
    return found if sum(look.enters for look in found.values()) >= LEAST_INPUTS else _with_categories(found)


def _outcome_aside(name: str, look: ColumnLook, rows: int) -> ColumnLook:
    """The look, in which what seems to be an outcome does not enter: segments made of it could not be judged by it."""
    _, words = folded(name)
    if look.role not in {Role.NUMBER, Role.ORDINAL, Role.YES_NO} or not words & OUTCOME_WORDS:
        return replace(look, rows=rows)
    why = "it seems to say what became of the customer, by the name, so segments can be judged by it"
    return replace(look, enters=False, why=why, outcome=True, rows=rows)


def id_column(looks: Mapping[str, ColumnLook]) -> str | None:
    """The column that identifies customers: the first id; None if there is none."""
    return next((name for name, look in looks.items() if look.role == Role.ID), None)


def _of_column(name: str, values: pd.Series, kind: str) -> ColumnLook:
    known = values.dropna()
    levels = known.nunique()
    if not len(known):
        return ColumnLook(Role.EMPTY, False, "no cell has a value")
    if _is_id(name, values, levels):
        return ColumnLook(Role.ID, False, "identifies the customer", levels)
    if levels == 1:
        return ColumnLook(Role.CONSTANT, False, f"all have {_shown(known.iloc[0])}", 1)
    look = _of_numbers(name, known, levels) if kind == "number" else _of_others(known, levels, kind)
    most, missing = float(known.value_counts(normalize=True).iloc[0]), 1 - len(known) / len(values)
    if missing > MOSTLY_MISSING:
        return replace(look, enters=False, why=f"missing for {missing:.0%} of customers")
    if most >= NEARLY_ALL:
        return replace(look, enters=False, why=f"nearly constant: {most:.1%} have {_shown(known.mode().iloc[0])}")
    return look


def _shown(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _is_id(name: str, values: pd.Series, levels: int) -> bool:
    if levels < len(values) or len(values) < 2:
        return False
    return named_as_id(name) or _counts_rows(values)


def named_as_id(name: str) -> bool:
    """Whether a column's name says that it identifies somebody or something."""
    bare, words = folded(name)
    return bool(words & ID_WORDS) or bare in ID_WORDS | HOLDER_NAMES or bare.endswith("id")


def _counts_rows(values: pd.Series) -> bool:
    """Whether different numbers are 0 or 1 in the first row and one more in each further row, which no measurement is."""
    if not pd.api.types.is_numeric_dtype(values) or len(values) < LEAST_NUMBERED:
        return False
    return values.iloc[0] in (0, 1) and bool((values.diff().iloc[1:] == 1).all())


def _of_numbers(name: str, known: pd.Series, levels: int) -> ColumnLook:
    _, words = folded(name)
    whole = bool((known % 1 == 0).all())
    answers = set(known.unique()) <= {0.0, 1.0}
    if whole and words & CODE_WORDS and levels <= MOST_LEVELS and not answers:
        return ColumnLook(Role.CODE, False, f"numbers that seem to be codes, by the name; it {DESCRIBES.format('code')}", levels)
    if levels == 2:
        return ColumnLook(Role.YES_NO, False, DESCRIBES.format("answer"), levels)
    if words & BIRTH_WORDS and whole and known.between(1800, 2100).all():
        early = EARLIEST_BIRTH if known.min() < EARLIEST_BIRTH else None
        return ColumnLook(Role.NUMBER, True, "year of birth", levels, early)
    if whole and levels < LEAST_GRADES:
        return ColumnLook(Role.ORDINAL, False, f"{levels} grades; it {DESCRIBES.format('grade')}", levels)
    if whole and levels <= FEW_NUMBERS:
        return ColumnLook(Role.ORDINAL, True, f"{levels} grades", levels)
    shape = {"log": "skewed, so its logarithm counts", "yeo-johnson": "skewed, so it is transformed", "none": ""}
    return ColumnLook(Role.NUMBER, True, shape[suited_transform(known.to_numpy(dtype="float64"))], levels)


def _of_others(known: pd.Series, levels: int, kind: str) -> ColumnLook:
    if kind == "date":
        return ColumnLook(Role.DATE, False, "a date; only numbers and categories are compared", levels)
    if kind == "boolean" or levels == 2:
        return ColumnLook(Role.YES_NO, False, DESCRIBES.format("answer"), levels)
    if levels <= MOST_LEVELS and levels < len(known) / 2 and not re.search(r"\s.*\s.*\s.*\s", str(known.mode().iloc[0])):
        return ColumnLook(Role.CATEGORY, False, DESCRIBES.format("level"), levels)
    return ColumnLook(Role.TEXT, False, f"{levels:,} different texts")


def _without_redundant(sample: pd.DataFrame, found: dict[str, ColumnLook]) -> dict[str, ColumnLook]:
    """The looks, in which only one column of each redundant pair enters."""
    entering = [name for name, look in found.items() if look.enters]
    customers = sample[entering].assign(status=str(Status.ACTIVE))
    pairs = feature_correlations(customers, attribute_features(customers, ()), entering)
    left = dict(found)
    for pair in pairs[pairs["redundant"]].itertuples():
        other = pair.feature_a if pair.take_out == pair.feature_b else pair.feature_b
        why = f"redundant: it says the same as {other} (Spearman {pair.spearman:+.2f}, beyond {REDUNDANT_RHO})"
        left[pair.take_out] = replace(found[pair.take_out], enters=False, why=why)
    return left


def _with_categories(found: dict[str, ColumnLook]) -> dict[str, ColumnLook]:
    """The looks, in which categories enter too, because there are hardly any numbers."""
    why = "there are hardly any numbers to compare, so categories enter too"
    usable = {
        name
        for name, look in found.items()
        if look.role in CATEGORIES
        and not look.outcome
        and 1 < look.levels <= MOST_ENTERING_LEVELS
        and "missing" not in look.why
        and "constant" not in look.why
    }
    return {name: replace(look, enters=True, why=why) if name in usable else look for name, look in found.items()}
