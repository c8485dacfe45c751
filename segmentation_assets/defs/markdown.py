"""Markdown for Dagster's pages. Data are escaped, so that they draw no picture, make no link and end no cell."""

import datetime as dt
import math
import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pandas as pd

from segmentation_assets.core.pictures.style import cut
from segmentation_assets.visible import visible

LETTERS, SENTENCE = 80, 300  # most characters of a cell, so that the other columns stay on the page, and of a cell with a sentence
WHOLE_FROM = 1000  # a number this large is shown without decimals
SIGNS = re.compile(r"[\\`*_\[\]<>|~&#]|^[-+]|://|(?<=www)\.|@")  # characters with a meaning in Markdown, and bare addresses


def table(frame: pd.DataFrame, letters: int = LETTERS) -> str:
    """The rows as a table, without padding: numbers rounded and on the right, missing values empty, text cut to `letters` characters."""
    if frame.empty:
        return "No rows."
    rows = [[plain(name) for name in frame.columns], ["-:" if _is_number(values) else "-" for _, values in frame.items()]]
    rows += frame.map(lambda value: _cell(value, letters)).to_numpy().tolist()
    return "\n".join(f"|{'|'.join(row)}|" for row in rows)


def bullets(sentences: Iterable[str]) -> str:
    """The sentences as a list; empty if there are none."""
    return "\n".join(f"- {plain(sentence)}" for sentence in sentences)


def plain(text: object) -> str:
    r"""The text in one line, with every character that has a meaning in Markdown escaped, and control characters visible.

    >>> plain("![x](https://a.b) | c")
    '!\\[x\\](https\\://a.b) \\| c'
    """
    return SIGNS.sub(lambda found: f"\\{found[0]}", visible(" ".join(str(text).split())))


def message(text: str) -> str:
    """A message for a program that reads Markdown, line by line as text. Nobody is notified whom it names, such as @everyone."""
    return "\n".join(plain(line).replace("\\@", "@\u200b") for line in text.splitlines())


def _is_number(values: pd.Series) -> bool:
    return not pd.api.types.is_bool_dtype(values) and all(isinstance(value, int | float | Decimal) for value in values.dropna())


def _cell(value: Any, letters: int) -> str:
    if value is None or pd.isna(value):
        return ""
    if isinstance(value, float | Decimal) and math.isfinite(value):
        number = float(value)
        return f"{number:,.0f}" if abs(number) >= WHOLE_FROM else f"{number:.4g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, dt.datetime) and value.time() == dt.time():
        return value.date().isoformat()
    return plain(cut(value, letters))
