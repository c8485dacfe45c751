"""Numbers, dates and names as the report writes them; the customs of each language are in `languages`."""

import datetime as dt
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pandas as pd

from segmentation_assets import languages
from segmentation_assets.core.customers.feature_catalog import FEATURES, Feature, event_features
from segmentation_assets.settings.loading import Settings
from segmentation_assets.settings.report import PLAIN
from segmentation_assets.settings.snapshots import Cadence
from segmentation_assets.store.small_cells import SMALL_CELL
from segmentation_assets.visible import visible
from segmentation_assets.vocabulary import MONEY, fewer_than

HIDDEN = "hidden"
NOT_KNOWN = "\u2013"  # a dash
LEAST_SHARE = 0.001  # a share that is not nothing does not read as nothing
PERIODS: dict[Cadence, str] = {"monthly": "month", "weekly": "week", "daily": "day"}
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
        language: by whose customs numbers and dates are written, as `report.language`.
        period: the time from one snapshot to the next, for which a value at stake is.
        names: names with digits that sentences may have.
    """

    currency: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    smallest: int = 0
    outcome: str | None = None
    has_orders: bool = True
    features: Mapping[str, Feature] = field(default_factory=lambda: {feature.name: feature for feature in FEATURES})
    language: str = PLAIN
    period: str = "month"
    names: frozenset[str] = frozenset()

    @classmethod
    def of(cls, settings: Settings) -> "Words":
        """The words of these settings."""
        declared = (*FEATURES, *event_features(settings.features.event_types))
        return cls(
            said(settings.exploration.currency), settings.labels, settings.privacy.smallest_cell, settings.outcome,
            settings.source.has_orders,
            {feature.name: feature for feature in declared},
            settings.report.language, PERIODS[settings.snapshots.cadence],
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
        ('US$1,235', '1,235', True)
        """
        return NOT_KNOWN if pd.isna(amount) else languages.money(amount, self.currency, self.language)

    def money_over_time(self, amount: float) -> str:
        """An amount for each time from one snapshot to the next.

        >>> Words("USD", period="week").money_over_time(1234.6)
        'US$1,235 a week'
        """
        return f"{self.money(amount)} a {self.period}"

    def signed(self, change: float, written: Callable[[float], str]) -> str:
        """A change with its sign, in a way of writing amounts without one.

        >>> words = Words("EUR")
        >>> words.signed(-1234, words.number), words.signed(1.0, words.money), words.signed(0, words.number)
        ('\u22121,234', '+\u20ac1', '0')
        """
        return f"{'+' if change > 0 else languages.MINUS if change < 0 else ''}{written(abs(change))}"

    def figure(self, column: str, value: float) -> str:
        """The value of a feature as people write it.

        >>> words = Words("EUR")
        >>> words.figure("recency_days", 4.0), words.figure("weekend_share", 0.254), words.figure("monetary", 910.2)
        ('4', '25%', '\u20ac910')
        >>> words.figure("overdue_ratio", 1.234), words.figure("categories", 7.78)
        ('1.2', '7.8')
        """
        if pd.isna(value):
            return NOT_KNOWN
        unit = self.features[column].unit if column in self.features else ""
        if unit.startswith(MONEY):
            return self.money(value)
        if unit == "share":
            return languages.percent(value, self.language)
        return self.decimal(value, 0 if value == round(value) or abs(value) >= 100 else 1)

    def decimal(self, value: float, digits: int = 1) -> str:
        """A number with digits behind the decimal mark."""
        return languages.number(value, self.language, digits)

    def number(self, value: float | None, hidden: object = None) -> str:
        """A number of customers, or an amount without its currency; `hidden`: the row's small_cell, which says whether it is hidden.

        >>> words = Words()
        >>> words.number(1234.0), words.number(float("nan"), "hidden: few customers"), words.number(float("nan")) == NOT_KNOWN
        ('1,234', 'hidden', True)
        """
        if value is None or pd.isna(value):
            return HIDDEN if isinstance(hidden, str) else NOT_KNOWN
        return languages.number(value, self.language)

    def counted(self, value: float, noun: str, plural: str = "") -> str:
        """A number with its noun; `plural` if the plural is irregular.

        >>> Words(language="de-DE").counted(1200, "order"), Words().counted(1, "order")
        ('1.200 orders', '1 order')
        """
        return f"{self.number(value)} {noun if value == 1 else plural or noun + 's'}"

    def customers(self, value: float) -> str:
        """A number of customers with its noun."""
        return self.counted(value, "customer")

    def share(self, value: float, hidden: object = None) -> str:
        """A share in per cent, with a digit behind the decimal mark below 10%.

        >>> words = Words()
        >>> words.share(0.2134), words.share(0.0512), words.share(0.0), words.share(0.00001)
        ('21%', '5.1%', '0%', 'below 0.1%')
        """
        if pd.isna(value):
            return HIDDEN if isinstance(hidden, str) else NOT_KNOWN
        if 0 < value < LEAST_SHARE:
            return f"below {languages.percent(LEAST_SHARE, self.language, 1)}"
        return languages.percent(value, self.language, 1 if 0 < value < 0.0995 else 0)

    def date(self, day: dt.date | str) -> str:
        """The day in words.

        >>> Words().date("2018-01-01")
        '1 January 2018'
        """
        return languages.date(dt.date.fromisoformat(day) if isinstance(day, str) else day, self.language)

    def short_date(self, day: dt.date) -> str:
        """The day as an axis names it."""
        return languages.short_date(day, self.language)

    def told(self, sentence: object) -> str:
        """A sentence of ours that a table holds in English, with its numbers in the language."""
        return languages.localised(said(sentence), self.language, self.names)

    def with_names(self, names: Iterable[object]) -> "Words":
        """These words, where sentences may have the names; a name that is nothing but a number cannot be told from one."""
        texts = {said(name) for name in names}
        return replace(self, names=frozenset(text for text in texts if re.search(r"\d", text) and not re.fullmatch(languages.FIGURE, text)))


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
