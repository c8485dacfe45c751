"""Numbers, dates and names as the report writes them."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from segmentation_assets.core.customers.feature_catalog import FEATURES, Feature, event_features
from segmentation_assets.settings.loading import Settings
from segmentation_assets.store.small_cells import SMALL_CELL
from segmentation_assets.visible import visible
from segmentation_assets.vocabulary import MONEY, counted, fewer_than

HIDDEN = "hidden"
NOT_KNOWN = "\u2013"  # a dash
MEASURED = {
    "distance to the nearest prototype": "how well customers fit their segment",
    "segments": "the sizes of the segments",
    "model features together": "all of these taken together",
}
"""Subjects of drift that are no features, in plain words."""


@dataclass(frozen=True)
class Words:
    """What the settings say about how things are called and shown.

    Attributes:
        currency: its name; empty: none is set.
        labels: what people call attributes.
        smallest: fewest customers whose figures are shown.
        outcome: the attribute by which segments are judged, if any.
        has_orders: whether the source has orders.
        features: by name.
    """

    currency: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    smallest: int = 0
    outcome: str | None = None
    has_orders: bool = True
    features: Mapping[str, Feature] = field(default_factory=lambda: {feature.name: feature for feature in FEATURES})

    @classmethod
    def of(cls, settings: Settings) -> "Words":
        """The words of these settings."""
        declared = (*FEATURES, *event_features(settings.features.event_types))
        return cls(
            said(settings.exploration.currency), settings.labels, settings.privacy.smallest_cell, settings.outcome,
            settings.source.has_orders,
            {feature.name: feature for feature in declared},
        )  # fmt: skip

    def label(self, column: str) -> str:
        """What people call a column or another subject of the tables.

        >>> Words().label("recency_days"), Words(labels={"inc": "income"}).label("inc"), Words().label("kids_count")
        ('days since last order', 'income', 'kids count')
        """
        feature = self.features.get(column)
        return self.labels.get(column) or (feature.label if feature else "") or MEASURED.get(column) or column.replace("_", " ")

    def money(self, amount: float) -> str:
        """An amount with its currency.

        >>> Words("USD").money(1234.6), Words().money(1234.6), Words("USD").money(float("nan")) == NOT_KNOWN
        ('1,235 USD', '1,235', True)
        """
        return NOT_KNOWN if pd.isna(amount) else f"{sum_of_money(amount)} {self.currency}".rstrip()

    def figure(self, column: str, value: float) -> str:
        """The value of a feature as people write it.

        >>> words = Words("USD")
        >>> words.figure("recency_days", 4.0), words.figure("weekend_share", 0.254), words.figure("monetary", 910.2)
        ('4', '25%', '910 USD')
        >>> words.figure("overdue_ratio", 1.234), words.figure("categories", 7.78)
        ('1.2', '7.8')
        """
        if pd.isna(value):
            return NOT_KNOWN
        unit = self.features[column].unit if column in self.features else ""
        if unit.startswith(MONEY):
            return self.money(value)
        if unit == "share":
            return f"{value:.0%}"
        return _whole(value) if value == round(value) or abs(value) >= 100 else f"{value:,.1f}"


def _whole(value: float) -> str:
    return f"{value:,.0f}".replace("-0", "0") if round(value) == 0 else f"{value:,.0f}"


def date(day: dt.date | str) -> str:
    """The day in words.

    >>> date("2018-01-01")
    '1 January 2018'
    """
    day = dt.date.fromisoformat(day) if isinstance(day, str) else day
    return f"{day.day} {day:%B %Y}"


def sum_of_money(value: float | None, hidden: object = None) -> str:
    """An amount without its currency; `hidden` as in `number`.

    >>> sum_of_money(1234.6), sum_of_money(None, "hidden: few customers"), sum_of_money(None) == NOT_KNOWN
    ('1,235', 'hidden', True)
    """
    if value is None or pd.isna(value):
        return HIDDEN if isinstance(hidden, str) else NOT_KNOWN
    return _whole(value)


def number(value: float | None, hidden: object = None) -> str:
    """A number of customers; `hidden`: the row's small_cell, which says whether it is hidden.

    >>> number(1234.0), number(float("nan"), "hidden: few customers"), number(float("nan")) == NOT_KNOWN
    ('1,234', 'hidden', True)
    """
    if value is None or pd.isna(value):
        return HIDDEN if isinstance(hidden, str) else NOT_KNOWN
    return f"{int(value):,}"


def share(value: float, hidden: object = None) -> str:
    """A share in per cent, with a digit behind the point below 10%.

    >>> share(0.2134), share(0.0512), share(0.0)
    ('21%', '5.1%', '0%')
    """
    if pd.isna(value):
        return HIDDEN if isinstance(hidden, str) else NOT_KNOWN
    return f"{value:.1%}" if 0 < value < 0.0995 else f"{value:.0%}"


def listed(names: Iterable[str]) -> str:
    """Names as part of a sentence; with semicolons, if a name has a comma.

    >>> listed(["a"]), listed(["a", "b", "c"]), listed(["a, b", "c", "d"])
    ('a', 'a, b and c', 'a, b; c; d')
    """
    *first, last = names
    if any("," in name for name in (*first, last)):
        return "; ".join([*first, last])
    return f"{', '.join(first)} and {last}" if first else last


def few_of(names: Sequence[str], most: int) -> str:
    """The first names, and how many more there are.

    >>> few_of(["a", "b", "c", "d"], 2), few_of(["a", "b"], 2)
    ('a, b and 2 more', 'a and b')
    """
    return listed([*names[:most], *([f"{len(names) - most} more"] if len(names) > most else [])])


def first_sentence(text: object) -> str:
    """The text up to its first full stop or semicolon.

    >>> first_sentence("Typically 35 orders worth 1.5; against the rest. More."), first_sentence(None)
    ('Typically 35 orders worth 1.5.', '')
    """
    if not isinstance(text, str):
        return ""
    return f"{text.partition('; ')[0].partition('. ')[0].removesuffix('.')}."


def said(text: object) -> str:
    """A text of the data, on one line, with what a reader would not see made visible; empty if there is none."""
    return visible(" ".join(text.split())) if isinstance(text, str) else ""


def hidden_of(row: object) -> object:
    """What a row says of figures that are hidden."""
    return getattr(row, SMALL_CELL, None)


def few_are_hidden(smallest: int) -> str:
    """What is to be said where figures are hidden."""
    return f"{HIDDEN.capitalize()} are figures of {fewer_than(smallest)}, and those that would tell another such figure."


def customers(value: int) -> str:
    """A number of customers with its noun."""
    return counted(value, "customer")
