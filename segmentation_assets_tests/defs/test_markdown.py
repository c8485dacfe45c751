"""Data is shown as plain text on Dagster's pages."""

import datetime as dt
from decimal import Decimal

import pandas as pd
import pytest

from segmentation_assets.defs import markdown


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("a|b", r"a\|b"), ("![x](https://a.b/c)", r"!\[x\](https\://a.b/c)"), ("www.a.b", r"www\.a.b"), ("<b> *c*", r"\<b\> \*c\*"),
        ("two\nlines", "two lines"), (None, ""), (float("nan"), ""), (1234.5, "1,234"), (0.123456, "0.1235"), (7, "7"), (12345, "12,345"),
        (Decimal("5325.4200"), "5,325"), (Decimal("14.0400"), "14.04"), (True, "True"),
        (dt.datetime(2018, 1, 1), "2018-01-01"), (dt.datetime(2018, 1, 1, 9), "2018-01-01 09:00:00"),
        ("x" * 60 + "y" * 60, "x" * 53 + "…" + "y" * 26),
    ],
)  # fmt: skip
def test_a_cell_is_escaped_and_shortened(value: object, cell: str) -> None:
    assert markdown.table(pd.DataFrame({"a|": [value]})).splitlines()[-1].strip("| ") == cell.strip()


def test_names_of_columns_and_sentences_are_escaped_too() -> None:
    assert markdown.table(pd.DataFrame({"a|b": [1]})).splitlines()[0] == r"|a\|b|"
    assert markdown.bullets(["[a](b)", "c"]) == "- \\[a\\](b)\n- c"


def test_a_table_has_no_padding_and_numbers_stand_on_the_right() -> None:
    """Spaces and dashes were more than half of each preview, which Dagster keeps twice."""
    frame = pd.DataFrame({"name": ["a", "a long name"], "customers": [1, None], "is": [True, False]})
    assert markdown.table(frame).splitlines()[:3] == ["|name|customers|is|", "|-|-:|-|", "|a|1|True|"]
    assert markdown.table(frame[:0]) == "No rows."
