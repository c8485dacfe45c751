"""Data is shown as plain text on Dagster's pages."""

import pandas as pd
import pytest

from segmentation_assets.defs import markdown


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("a|b", r"a\|b"), ("![x](https://a.b/c)", r"!\[x\](https\://a.b/c)"), ("www.a.b", r"www\.a.b"), ("<b> *c*", r"\<b\> \*c\*"),
        ("two\nlines", "two lines"), (None, ""), (float("nan"), ""), (1234.5, "1,234"), (0.123456, "0.1235"), (7, "7"),
        ("x" * 60 + "y" * 60, "x" * 53 + "…" + "y" * 26),
    ],
)  # fmt: skip
def test_a_cell_is_escaped_and_shortened(value: object, cell: str) -> None:
    assert markdown.table(pd.DataFrame({"a|": [value]})).splitlines()[-1].strip("| ") == cell.strip()


def test_names_of_columns_and_sentences_are_escaped_too() -> None:
    assert markdown.table(pd.DataFrame({"a|b": [1]})).splitlines()[0] == r"| a\|b   |"
    assert markdown.bullets(["[a](b)", "c"]) == "- \\[a\\](b)\n- c"
