"""A segment's name says who its customers are; no two segments share one."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentation_assets.core.customers.feature_catalog import FEATURES, RECENCY
from segmentation_assets.core.model import naming
from segmentation_assets.core.model.naming import (
    LAPSED,
    NAMES,
    PROSPECT,
    Standing,
    character,
    description,
    marked_out_by,
    standing,
    unique_names,
)
from segmentation_assets_tests.builders import features


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (Standing(recency=0.9, frequency=0.9, monetary=0.9, tenure=0.5), "champions"),
        (Standing(recency=0.1, frequency=0.9, monetary=0.9, tenure=0.5), "at_risk"),
        (Standing(recency=0.1, frequency=0.1, monetary=0.1, tenure=0.5), "dormant"),
        (Standing(recency=0.3, frequency=0.5, monetary=0.5, tenure=0.5), "slipping"),
        (Standing(recency=0.7, frequency=0.2, monetary=0.2, tenure=0.1), "new"),
        (Standing(recency=0.5, frequency=0.6, monetary=0.5, tenure=0.5), "loyal"),
        (Standing(recency=0.5, frequency=0.4, monetary=0.7, tenure=0.5), "big_baskets"),
        (Standing(recency=0.6, frequency=0.2, monetary=0.2, tenure=0.5), "promising"),
        (Standing(recency=0.5, frequency=0.2, monetary=0.2, tenure=0.5), "occasional"),
        (Standing(recency=0.5, frequency=0.5, monetary=0.5, tenure=0.5), "steady"),
    ],
)
def test_character_of_each_kind_of_standing(at, expected):
    assert character(at) == expected


shares = st.floats(0, 1)


@given(st.builds(Standing, shares, shares, shares, shares))
def test_whatever_the_standing_there_is_a_name_for_it(at):
    assert character(at) in NAMES


def test_standing_is_the_share_of_active_customers_below_and_recent_is_high():
    active = features((1, 1, 10), (2, 2, 20), (3, 3, 30), (4, 4, 40))
    at = standing(active.iloc[[0]], active)
    assert (at.recency, at.frequency, at.monetary) == (0.875, 0.125, 0.125)  # three of four below, and half of itself


def test_where_all_are_alike_everyone_stands_in_the_middle():
    active = features((1, 1, 1), (1, 1, 1))
    assert standing(active.iloc[[0]], active) == Standing(0.5, 0.5, 0.5, 0.5)


def test_one_of_a_kind_has_the_plain_name():
    assert unique_names(["champions", "new"], [9.0, 1.0], {}) == ["Champions", "New customers"]


def test_two_of_a_kind_are_told_apart_by_spend():
    assert unique_names(["new", "new"], [1.0, 2.0], {}) == ["New customers, lower spend", "New customers, higher spend"]


def test_three_of_a_kind_are_told_apart_by_spend():
    assert [n.rpartition(", ")[2] for n in unique_names(["new"] * 3, [2.0, 3.0, 1.0], {})] == [
        "medium spend",
        "higher spend",
        "lower spend",
    ]


def test_many_of_a_kind_are_ranked_by_spend():
    assert unique_names(["new"] * 4, [1.0, 4.0, 3.0, 2.0], {})[1] == "New customers, spend rank 1"


def test_a_name_in_use_is_not_given_again():
    gone = dict.fromkeys(["New customers", "New customers (2)"], np.nan)
    assert unique_names(["new"], [1.0], gone) == ["New customers (3)"]


def test_a_newcomer_is_told_apart_by_spend_from_the_segment_that_bears_its_name():
    assert unique_names(["loyal"], [40.0], {"Loyal regulars": 111.0}) == ["Loyal regulars, lower spend"]
    assert unique_names(["loyal"], [140.0], {"Loyal regulars": 111.0}) == ["Loyal regulars, higher spend"]
    both = {"Loyal regulars": 111.0, "Loyal regulars, lower spend": 40.0}
    assert unique_names(["loyal"], [50.0], both) == ["Loyal regulars, lower spend (2)"]


kinds = st.lists(st.tuples(st.sampled_from(sorted(NAMES)), st.floats(0, 1e6)), max_size=12)


@given(kinds, st.dictionaries(st.sampled_from(sorted(NAMES.values())), st.floats(0, 1e6) | st.just(np.nan)))
def test_names_are_always_unique(segments, taken):
    names = unique_names([kind for kind, _ in segments], [spend for _, spend in segments], taken)
    assert len(set(names)) == len(segments)
    assert not set(names) & set(taken)


def test_the_sentence_says_what_is_typical_and_what_marks_them_out():
    active = features((1, 9, 900), (30, 1, 10), (30, 1, 10), (30, 1, 10))
    assert description(active.iloc[[0]], active, 1) == (
        "Typically 9 orders worth 900 within the lookback, the last one 1 day ago; against the average customer, the typical one "
        "bought recently (-1.7 sd), shops often (+1.7 sd) and spends much (+1.7 sd)."
    )


def test_one_feature_of_each_group_marks_a_segment_out_and_each_of_recency_frequency_and_monetary_value():
    names, groups = ["recency_days", "frequency", "monetary_value", "a", "b", "c"], [RECENCY, RECENCY, RECENCY, "A", "A", "C"]
    declared = [replace(FEATURES[0], name=n, group=g, high=f"high {n}", low=f"low {n}") for n, g in zip(names, groups, strict=True)]
    active = pd.DataFrame(
        {"recency_days": [0, 3, 3], "frequency": [9, 8, 2], "monetary_value": [1, 1, 1], "a": [5, 1, 2], "b": [0, 9, 9], "c": [1, 0, 0]}
    )
    marks = marked_out_by(active.iloc[[0]], active, declared, top=9)
    assert marks == ["low recency_days (-1.4 sd)", "low b (-1.4 sd)", "high c (+1.4 sd)", "high frequency (+0.9 sd)"]
    assert marked_out_by(active.iloc[[0]], active, declared, top=1) == marks[:1]


def test_a_feature_that_most_of_the_segment_have_no_value_of_does_not_mark_it_out():
    active = features((1, 1, 1), (1, 1, 1), (1, 1, 1), (1, 1, 1)).assign(sd_gap_days=[90.0, None, None, 1.0])
    assert marked_out_by(active.iloc[:3], active, FEATURES) == []
    assert marked_out_by(active.iloc[:2], active, FEATURES) == ["shops irregularly (+1.0 sd)"]


def test_a_segment_like_everyone_is_called_average():
    active = features((0, 1, 5), (0, 1, 5))
    assert description(active, active, 1) == (
        "Typically 1 order worth 5 within the lookback, the last one today; close to the average customer."
    )


def test_an_empty_segment_and_those_by_rule_have_sentences_of_their_own():
    active = features((1, 1, 1))
    nobody = active.iloc[:0]
    assert description(nobody, active, 1) == "No customers at this snapshot."
    assert description(nobody, active, LAPSED) == "Bought before, but not within the lookback."
    assert "more than 200 days ago" in description(features((200, 0, 0), status="lapsed"), active, LAPSED)
    assert "never bought" in description(features((None, 0, 0), status="prospect"), active, PROSPECT)


def test_a_constant_feature_marks_nobody_out():
    active = features((1, 1, 10), (1, 2, 20))
    assert marked_out_by(active.iloc[[0]], active, [f for f in FEATURES if f.name == "recency_days"]) == []
    assert pd.isna(naming.z_scores(active.iloc[[0]], active)["recency_days"])


def test_what_lies_within_a_quarter_of_a_standard_deviation_marks_nobody_out():
    active = features((5, 1, 1), (5, 1, 1))
    assert marked_out_by(active.iloc[[0]], active, FEATURES) == []
