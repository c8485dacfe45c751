"""Markdown for Dagster's pages. Data are escaped, so that they draw no picture, make no link and end no cell."""

import math
import re
from collections.abc import Iterable
from typing import Any

import pandas as pd

from segmentation_assets.core.pictures.style import cut

LETTERS, SENTENCE = 80, 300  # most characters of a cell, so that the other columns stay on the page, and of a cell with a sentence
WHOLE_FROM = 1000  # a number this large is shown without decimals
SIGNS = re.compile(r"[\\`*_\[\]<>|~&]|://|(?<=www)\.|@")  # characters with a meaning in Markdown, and bare addresses


def table(frame: pd.DataFrame, letters: int = LETTERS) -> str:
    """The rows as a table: numbers rounded, missing values empty, and text cut to `letters` characters."""
    shown = frame.map(lambda value: _cell(value, letters)).set_axis([plain(name) for name in frame.columns], axis=1)
    return shown.to_markdown(index=False, disable_numparse=True)


def bullets(sentences: Iterable[str]) -> str:
    """The sentences as a list; empty if there are none."""
    return "\n".join(f"- {plain(sentence)}" for sentence in sentences)


def plain(text: object) -> str:
    r"""The text in one line, with every character that has a meaning in Markdown escaped.

    >>> plain("![x](https://a.b) | c")
    '!\\[x\\](https\\://a.b) \\| c'
    """
    return SIGNS.sub(lambda found: f"\\{found[0]}", " ".join(str(text).split()))


def _cell(value: Any, letters: int) -> str:
    if value is None or pd.isna(value):
        return ""
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:,.0f}" if abs(value) >= WHOLE_FROM else f"{value:.4g}"
    return plain(cut(value, letters))
