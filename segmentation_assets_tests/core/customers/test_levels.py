"""The order of levels, as their labels have it."""

import pytest

from segmentation_assets.core.customers.levels import level_orders


@pytest.mark.parametrize(
    "ordered",
    [
        ["Under 15K", "15-24K", "100-124K", "250K+"],
        ["under 18", "18 to 64", "65 and over"],
        ["<$15,000", "$15,000 - $24,999", "$25,000+"],
        ["bis 1.000 \u20ac", "1.000 - 1.999 \u20ac", "ab 2.000 \u20ac"],
        ["0", "1 kid", "2 kids", "10 kids"],
        ["Grade 2", "Grade 10"],
        ["under 5", "5", "over 5"],
        ["-5", "3"],
        ["900K", "1.5M"],
        ["born 1980s", "born 1990s"],
        ["S", "M", "XL"],
        ["Low", "Medium", "High"],
    ],
)
def test_levels_are_in_the_order_of_their_numbers_or_of_a_known_scale(ordered):
    assert level_orders([*reversed(ordered), "(missing)"]) == {level: place for place, level in enumerate(ordered, start=1)}


@pytest.mark.parametrize(
    ("levels", "why"),
    [
        (["1 Adult Kids", "1 Adult No Kids", "2 Adults"], "of different things"),
        (["0-30 days", "1-3 months"], "in different units"),
        (["Under 20", "15-24", "25+"], "overlap"),
        (["01", "1"], "the same number"),
        (["60-89", "not told"], "one has no number"),
        (["2024-01", "2024-02"], "dates are no brackets"),
        (["1/2", "3/4"], "two numbers that are no bracket"),
        (["999", "1.500"], "1.500 may be one and a half"),
        (["M", "S"], "married and single"),
        (["rent", "own"], "no numbers"),
    ],
)
def test_where_the_order_is_not_sure_there_is_none(levels, why):
    assert level_orders(levels) == {}, why
