"""Names of segments of customers without orders."""

import numpy as np
import pandas as pd

from segmentation_assets.core.model.attribute_names import marks, names

INCOME, SCORE = "Annual Income (k$)", "Spending Score (1-100)"
FIVE = [(25, 80), (25, 20), (55, 50), (88, 82), (88, 17)]


def customers(*centres):
    """Ten customers about each centre, and the segment of each."""
    rows = [(income + i % 3, score + i % 4) for income, score in centres for i in range(10)]
    return pd.DataFrame(rows, columns=[INCOME, SCORE], dtype="float64"), np.repeat(np.arange(len(centres)), 10)


def test_segments_are_named_in_the_words_of_the_columns():
    inputs, labels = customers(*FIVE)
    found = names(marks(inputs, labels, 5), list(inputs.columns), [""] * 5)
    assert [{*name.casefold().split(", ")} for name in found] == [
        {"low annual income", "high spending score"},
        {"low annual income", "low spending score"},
        {"average annual income and spending score"},
        {"high annual income", "high spending score"},
        {"high annual income", "low spending score"},
    ]


def test_a_name_stays_while_its_words_are_true_and_an_empty_segment_keeps_its_own():
    inputs, labels = customers(*FIVE)
    so_far = ["High spending score", "High annual income", "", "", "Gone"]
    found = names(marks(inputs, labels, 5), list(inputs.columns), so_far, empty={4})
    assert (found[0], found[4]) == ("High spending score", "Gone")
    assert found[1].casefold() in {"low annual income, low spending score", "low spending score, low annual income"}


def test_categories_and_yes_or_no_are_named_by_what_most_have_and_equal_names_are_numbered():
    inputs = pd.DataFrame({"Plan": ["basic"] * 6 + ["gold"] * 3 + [None], "OptIn": [True, False] * 5, "x": [1.0] * 10})
    found = names(marks(inputs, np.repeat([0, 1, 2], [3, 3, 4]), 3), list(inputs.columns), ["", "", ""])
    assert found == ["Plan basic", "Plan basic (2)", "Plan gold"]
    told = marks(pd.DataFrame({"OptIn": [True, True, False, False]}), np.array([0, 0, 1, 1]), 2)
    assert [[mark.words for mark in own] for own in told] == [["opt in"], ["no opt in"]]


def test_segments_are_named_in_the_words_of_the_settings():
    inputs, labels = customers((25, 80), (88, 17))
    words = {INCOME: "yearly pay", SCORE: "how much they buy"}
    found = names(marks(inputs, labels, 2, words=words), list(inputs.columns), ["", ""], words=words)
    assert {*found[0].casefold().split(", ")} == {"low yearly pay", "high how much they buy"}
    assert names([[]], [INCOME, SCORE], [""], words=words) == ["Average yearly pay and how much they buy"]
