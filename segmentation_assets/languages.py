"""Numbers, money, percentages and dates by the customs of a language: those of Unicode's CLDR, which Babel ships.

Belongs here: all that differs from language to language. What stands for a figure that is unknown or hidden belongs to `report.words`.
Babel is imported where it is used, because most commands format nothing for a page.
"""

import datetime as dt
import re
from collections.abc import Collection
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from babel.numbers import NumberPattern

MINUS = "\u2212"
FIGURE = r"(?P<sign>(?<![\w.,)])[-+\u2212](?=\d))?(?<![\w.,])(?P<number>(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?)(?P<percent>%)?(?!\w|[.,]\d)"
"""A number in an English sentence, with its sign and whether it is in per cent; a part of a date, of a version or of a word is none."""


def number(value: float, language: str, digits: int = 0) -> str:
    """A number with its marks between thousands, rounded to `digits` behind the decimal mark.

    >>> number(1234.5, "en-GB", 1), number(1234.5, "de-DE", 1), number(-0.4, "de-DE"), number(1234567, "en-IN")
    ('1,234.5', '1.234,5', '0', '12,34,567')
    """
    from babel.numbers import format_decimal

    return _signed(format_decimal(_rounded(value, digits), format=_pattern("decimal", language, digits), locale=_locale(language)))


def percent(value: float, language: str, digits: int = 0) -> str:
    """A share in per cent.

    >>> percent(0.2134, "en-GB"), percent(0.0512, "de-DE", 1)
    ('21%', '5,1\\xa0%')
    """
    from babel.numbers import format_percent

    return _signed(format_percent(_rounded(value, digits + 2), format=_pattern("percent", language, digits), locale=_locale(language)))


def money(amount: float, currency: str, language: str) -> str:
    """An amount in whole units: with the sign of the currency if that is named by its ISO 4217 code, else with its name.

    >>> money(1234.6, "EUR", "en-GB"), money(1234.6, "EUR", "de-DE"), money(1234.6, "points", "de-DE"), money(1234.6, "", "en-GB")
    ('€1,235', '1.235\\xa0€', '1.235 points', '1,235')
    """
    from babel.numbers import format_currency, is_currency

    if not is_currency(currency):
        return f"{number(amount, language)} {currency}".rstrip()
    pattern = _pattern("currency", language, 0)
    return _signed(format_currency(_rounded(amount, 0), currency, format=pattern, locale=_locale(language), currency_digits=False))


def date(day: dt.date, language: str) -> str:
    """The day in full.

    >>> date(dt.date(2018, 1, 2), "en-GB"), date(dt.date(2018, 1, 2), "en-US"), date(dt.date(2018, 1, 2), "de-DE")
    ('2 January 2018', 'January 2, 2018', '2. Januar 2018')
    """
    from babel.dates import format_date

    return format_date(day, format="long", locale=_locale(language))


def short_date(day: dt.date, language: str) -> str:
    """The day without its year, as an axis names it; on the first day of a year, the month with its year.

    >>> short_date(dt.date(2018, 3, 1), "en-GB"), short_date(dt.date(2018, 1, 1), "de-DE")
    ('1 Mar', 'Jan. 2018')
    """
    from babel.dates import format_skeleton

    return format_skeleton("yMMM" if (day.month, day.day) == (1, 1) else "MMMd", day, locale=_locale(language))


def localised(sentence: str, language: str, kept: Collection[str] = ()) -> str:
    """An English sentence with its numbers as the language writes them; dates such as 2018-01-02 stay.

    Args:
        kept: names that the sentence may have, whose numbers are no figures.

    >>> localised("At 2018-01-02, 1,234 orders worth 1.5 each (-50.1%), by version 0.1.0.", "de-DE")
    'At 2018-01-02, 1.234 orders worth 1,5 each (\u221250,1\\xa0%), by version 0.1.0.'
    >>> localised("Top 1.5% (1.5%)", "de-DE", ["Top 1.5%"]), localised("-0.6 to 1,004", "en-GB")
    ('Top 1.5% (1,5\\xa0%)', '\u22120.6 to 1,004')
    """

    def written(found: re.Match[str]) -> str:
        text = found["number"]
        if text is None:  # a name
            return found.group()
        sign, digits = (found["sign"] or "").replace("-", MINUS), len(text.partition(".")[2])
        value = float(text.replace(",", ""))
        if found["percent"]:
            return f"{sign}{percent(value / 100, language, digits)}"
        is_plain = not {",", "."} & set(text)  # a year, or another number that looks alike everywhere
        return f"{sign}{text if is_plain else number(value, language, digits)}"

    names = "".join(rf"(?<![\w.,]){re.escape(name)}(?!\w|[.,]\d)|" for name in sorted(kept, key=len, reverse=True))
    return re.sub(names + FIGURE, written, sentence)


def _signed(written: str) -> str:
    """A number with a minus instead of a hyphen."""
    return written.replace("-", MINUS)


def _rounded(value: float, digits: int) -> float:
    return round(float(value), digits) or 0.0  # no minus before nothing


def _locale(language: str) -> str:
    return language.replace("-", "_")


@cache
def _pattern(kind: str, language: str, digits: int) -> "NumberPattern":
    """The language's pattern for numbers, with so many digits behind the decimal mark."""
    from babel import Locale
    from babel.numbers import parse_pattern

    locale = Locale.parse(_locale(language))
    found = {
        "decimal": locale.decimal_formats[None],
        "percent": locale.percent_formats[None],
        "currency": locale.currency_formats["standard"],
    }
    plain = re.sub(r"\.[0#]+", "", found[kind].pattern)
    return parse_pattern(re.sub(r"(0)(?=[^0#,]*(?:;|$))", lambda last: last.group() + (f".{'0' * digits}" if digits else ""), plain))
