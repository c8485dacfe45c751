"""A segment's name says who its customers are; no two segments share one."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentation_assets.core.customers.feature_catalog import FEATURES, RECENCY
from segmentation_assets.core.model.naming import (
    CHANGES,
    FORMER,
    LAPSED,
    MARKS,
    NAMES,
    PROSPECT,
    RETURNED,
    Members,
    Spread,
    Standing,
    change,
    character,
    description,
    location,
    marked_out_by,
    names,
    standings,
    state,
    told,
)
from segmentation_assets.core.model.pace import Pace
from segmentation_assets_tests.builders import features


def members(segment):
    """The figures of a segment's rows of customer_features."""
    figures = {name: location(segment[name].to_numpy("float64")) for name in segment.select_dtypes("number")}
    return Members(len(segment), *({name: found[place] for name, found in figures.items()} for place in range(3)))


MIDDLE = Standing(recency=0.5, frequency=0.5, monetary=0.5, tenure=0.5, basket=0.5)


@pytest.mark.parametrize(
    ("differs", "expected"),
    [
        ({"recency": 0.9, "frequency": 0.9, "monetary": 0.9}, "champions"),
        ({"recency": 0.1, "frequency": 0.9, "monetary": 0.9}, "loyal"),
        ({"recency": 0.1, "frequency": 0.9, "late": 2.5}, "pausing"),
        ({"recency": 0.1, "frequency": 0.1}, "quiet"),
        ({"recency": 0.1, "frequency": 0.1, "late": 1.0}, "occasional"),
        ({"recency": 0.7, "frequency": 0.2, "tenure": 0.1}, "new"),
        ({"recency": 0.7, "frequency": 0.2, "tenure": 0.1, "new": 0.7}, "recent"),
        ({"frequency": 0.4, "monetary": 0.7, "basket": 0.8, "larger": 1.3}, "big_baskets"),
        ({"frequency": 0.4, "monetary": 0.7, "basket": 0.8, "larger": 1.1}, "steady"),
        ({"frequency": 0.4, "monetary": 0.7}, "steady"),
        ({"frequency": 0.2}, "occasional"),
        ({}, "steady"),
    ],
)
def test_state_of_each_kind_of_standing(differs, expected):
    assert state(replace(MIDDLE, **differs)) == expected


def test_a_state_stays_while_the_segment_stands_near_to_it():
    assert state(replace(MIDDLE, frequency=0.52)) == "steady"
    assert state(replace(MIDDLE, frequency=0.52), "loyal") == "loyal"
    assert state(replace(MIDDLE, frequency=0.47), "loyal") == "steady"


def test_the_name_of_a_state_speaks_of_no_change():
    assert not set(NAMES) & set(CHANGES)


SLOWED = Pace(slowed=0.3, slowed_z=6.0)


def test_a_change_begins_at_a_higher_share_than_that_at_which_it_ends():
    assert change(None, 1.0) is None
    assert change(Pace(slowed=0.3, slowed_z=3.0), 1.0) is None  # as chance may have it
    assert change(SLOWED, 0.1) == change(Pace(slowed=0.1, slowed_z=1.0), 0.1, "at_risk") == "slipping"
    assert change(Pace(slowed=0.1, slowed_z=9.0), 1.0) is change(Pace(slowed=0.05), 1.0, "slipping") is None
    assert change(Pace(quickened=0.3, quickened_z=6.0), 0.1) == change(Pace(quickened=0.1), 0.1, "promising") == "promising"


def test_dormant_are_those_of_whom_most_have_slowed_down_and_three_quarters_are_long_overdue():
    most = Pace(slowed=0.6, slowed_z=9.0)
    assert (change(most, 0.75), change(most, 0.7)) == ("dormant", "slipping")
    assert change(Pace(slowed=0.4, slowed_z=9.0), 0.9) == "slipping"
    assert (change(Pace(slowed=0.45), 0.7, "dormant"), change(Pace(slowed=0.45), 0.6, "dormant")) == ("dormant", "slipping")


def test_customers_of_value_who_leave_are_at_risk():
    assert (character("loyal", change(SLOWED, 0.1)), character("occasional", change(SLOWED, 0.1))) == ("at_risk", "slipping")
    assert (character("loyal", None), character("loyal", "promising")) == ("loyal", "promising")


def test_the_sentence_on_a_change_says_how_many_have_changed():
    assert told(SLOWED, "at_risk") == [
        "At least 30% of its customers come less often than at the start of the lookback, beyond what chance explains."
    ]
    assert told(SLOWED, "loyal") == told(None, "at_risk") == []


def test_standing_is_the_share_of_active_customers_below_and_recent_is_high():
    active = features((1, 1, 10), (2, 2, 20), (3, 3, 30), (4, 4, 40))
    at, _ = standings(active, np.array([0, 1, 1, 1]), 2)
    assert (at.recency, at.frequency, at.monetary, at.basket) == (0.875, 0.125, 0.125, 0.5)  # three of four below, and half of itself


def test_baskets_are_compared_with_the_typical_one_of_the_shop():
    active = features((1, 2, 20), (1, 2, 20), (1, 2, 22), (1, 2, 22), (1, 2, 60))
    assert [at.larger for at in standings(active, np.array([0, 0, 1, 1, 2]), 3)] == pytest.approx([20 / 22, 1.0, 60 / 22])


def test_order_values_that_hardly_vary_mark_nobody_out():
    active = features(*[(1, 1, 1)] * 4).assign(average_order_value=[10.0, 10.0, 10.2, 10.2], order_value_spread=[0.01, 0.01, 0.03, 0.03])
    assert marked_out_by(members(active.iloc[:2]), Spread.of(active), FEATURES) == []


def test_where_all_are_alike_everyone_stands_in_the_middle_and_nobody_stands_nowhere():
    at, nobody = standings(features((1, 1, 1), (1, 1, 1)), np.array([0, 0]), 2)
    assert (replace(at, late=0.0), nobody) == (replace(MIDDLE, late=0.0, new=0.0), None)


def test_a_segment_is_as_late_as_its_typical_customer_and_as_new_as_those_who_came_in_the_second_half_of_the_lookback():
    active = features(*[(1, 1, 1)] * 4, overdue_ratio=[1.0, 3.0, None, None], opening_pause_days=[None, None, None, 4.0])
    (at,) = standings(active.assign(tenure_days=[10.0, 44.0, 90.0, 20.0]), np.zeros(4, dtype=int), 1)
    assert (at.late, at.new, at.stopped) == (2.0, 0.5, 0.25)  # no gap is no sign of having stopped
    assert np.isnan(standings(active, np.array([0, 1, 1, 1]), 2)[1].late)  # most have no gap


def named(*segments, state="new"):
    """Names of segments of one state from (name so far, median spend)."""
    return names([state] * len(segments), [name for name, _ in segments], [spend for _, spend in segments])


def test_one_of_a_state_has_the_plain_name():
    assert names(["champions", "new"], ["", ""], [9.0, 1.0]) == ["Champions", "New customers"]
    assert named(("New customers, lower spend", 9.0)) == named(("New customers (2)", 9.0)) == ["New customers"]


def test_several_of_a_state_are_told_apart_by_spend():
    assert named(("", 1.0), ("", 2.0)) == ["New customers, lower spend", "New customers, higher spend"]
    assert [n.rpartition(", ")[2] for n in named(("", 2.0), ("", 3.0), ("", 1.0))] == ["medium spend", "higher spend", "lower spend"]


def test_segments_of_much_the_same_spend_are_numbered():
    assert named(("", 100.0), ("", 99.0)) == ["New customers", "New customers (2)"]


def test_a_newcomer_is_told_apart_by_spend_from_the_segment_that_bears_the_name():
    loyal = ("Loyal regulars", 111.0)
    assert named(loyal, ("", 40.0), state="loyal") == ["Loyal regulars", "Loyal regulars, lower spend"]
    assert named(loyal, ("", 140.0), state="loyal") == ["Loyal regulars", "Loyal regulars, higher spend"]
    assert named(loyal, ("", 115.0), state="loyal") == ["Loyal regulars", "Loyal regulars (2)"]


def test_higher_and_lower_spend_change_places_when_they_no_longer_say_so():
    higher, lower = "New customers, higher spend", "New customers, lower spend"
    assert named((higher, 100.0), (lower, 99.0)) == [higher, lower]
    assert named((higher, 80.0), (lower, 110.0)) == [lower, higher]
    assert named((higher, 80.0), (lower, 40.0), ("", 110.0)) == [
        "New customers, medium spend", lower, higher,
    ]  # fmt: skip


def test_a_name_of_another_state_or_of_an_earlier_version_is_given_up_and_that_of_an_empty_segment_kept():
    assert named(("Dormant", 5.0)) == named(("New customers, spend rank 4", 5.0)) == ["New customers"]
    assert named(("New customers", np.nan), ("", 5.0)) == ["New customers", "New customers (2)"]


NAMED = [label + mark + number for label in NAMES.values() for mark in MARKS for number in ("", " (2)")]
segments = st.lists(
    st.tuples(st.sampled_from(sorted(NAMES)), st.sampled_from(["", *NAMED]), st.floats(0, 1e6) | st.just(np.nan)), max_size=12
)


@given(segments)
def test_names_are_unique_and_in_the_order_of_spend_whatever_was_before(found):
    before = {name for _, name, _ in found if name}
    kinds, bases, spend = ([values[i] for values in found] for i in range(3)) if len(before) == len(found) or not before else ([], [], [])
    given_names = names(kinds, bases, spend)
    assert len(set(given_names)) == len(given_names)
    for kind, own, name in zip(kinds, spend, given_names, strict=True):
        for other_kind, other, other_name in zip(kinds, spend, given_names, strict=True):
            if kind == other_kind and own > other:
                assert not (name.endswith("lower spend") and other_name.endswith("higher spend"))
    assert names(kinds, given_names, spend) == given_names  # and stay


def test_the_sentence_says_what_is_typical_and_what_marks_them_out():
    active = features((1, 9, 900), (30, 1, 10), (30, 1, 10), (30, 1, 10))
    assert description(members(active.iloc[[0]]), Spread.of(active), 1) == (
        "Typically 9 orders worth 900 within the lookback, the last one 1 day ago; against the average customer, the typical one "
        "bought recently (-1.7 sd), shops often (+1.7 sd) and spends much (+1.7 sd)."
    )


def test_one_feature_of_each_group_marks_a_segment_out_and_each_of_recency_frequency_and_monetary_value():
    names, groups = ["recency_days", "frequency", "monetary_value", "a", "b", "c"], [RECENCY, RECENCY, RECENCY, "A", "A", "C"]
    declared = [replace(FEATURES[0], name=n, group=g, high=f"high {n}", low=f"low {n}") for n, g in zip(names, groups, strict=True)]
    active = pd.DataFrame(
        {"recency_days": [0, 3, 3], "frequency": [9, 8, 2], "monetary_value": [1, 1, 1], "a": [5, 1, 2], "b": [0, 9, 9], "c": [1, 0, 0]}
    )
    marks = marked_out_by(members(active.iloc[[0]]), Spread.of(active), declared, top=9)
    assert marks == ["low recency_days (-1.4 sd)", "low b (-1.4 sd)", "high c (+1.4 sd)", "high frequency (+0.9 sd)"]
    assert marked_out_by(members(active.iloc[[0]]), Spread.of(active), declared, top=1) == marks[:1]


def test_a_feature_that_most_of_the_segment_have_no_value_of_does_not_mark_it_out():
    active = features((1, 1, 1), (1, 1, 1), (1, 1, 1), (1, 1, 1)).assign(sd_gap_days=[90.0, None, None, 1.0])
    assert marked_out_by(members(active.iloc[:3]), Spread.of(active), FEATURES) == []
    assert marked_out_by(members(active.iloc[:2]), Spread.of(active), FEATURES) == ["shops irregularly (+1.0 sd)"]


def test_what_the_lengths_of_months_explain_of_a_rhythm_marks_nobody_out():
    active = features((1, 1, 1), (1, 1, 1), (1, 1, 1), (1, 1, 1))
    monthly = active.assign(mean_gap_days=[29.5, 29.5, 31.0, 31.0], sd_gap_days=[0.0, 0.0, 2.1, 2.1])
    assert marked_out_by(members(monthly.iloc[:2]), Spread.of(monthly), FEATURES) == []
    daily = active.assign(mean_gap_days=[3.0, 3.0, 4.5, 4.5], sd_gap_days=[0.0, 0.0, 2.1, 2.1])
    assert marked_out_by(members(daily.iloc[:2]), Spread.of(daily), FEATURES) == ["comes back quickly (-1.0 sd)"]


def test_a_segment_like_everyone_is_called_average():
    active = features((0, 1, 5), (0, 1, 5))
    assert description(members(active), Spread.of(active), 1) == (
        "Typically 1 order worth 5 within the lookback, the last one today; close to the average customer."
    )


def test_an_empty_segment_and_those_by_rule_have_sentences_of_their_own():
    active = features((1, 1, 1))
    nobody = active.iloc[:0]
    assert description(members(nobody), Spread.of(active), 1) == "No customers at this snapshot."
    assert description(members(nobody), Spread.of(active), LAPSED) == "Bought before, but not within the lookback."
    assert "more than 200 days ago" in description(members(features((200, 0, 0), status="lapsed")), Spread.of(active), LAPSED)
    assert "never bought" in description(members(features((None, 0, 0), status="prospect")), Spread.of(active), PROSPECT)
    gone = description(members(features((None, 0, 0), status="former")), Spread.of(active), FORMER)
    assert gone == "On record at an earlier snapshot, and no longer."
    assert description(members(features((None, 0, -5), status="returned")), Spread.of(active), RETURNED) == (
        "Returned everything they ever ordered, or have returns but no orders."
    )


def test_a_constant_feature_marks_nobody_out():
    active = features((1, 1, 10), (1, 2, 20))
    assert marked_out_by(members(active.iloc[[0]]), Spread.of(active), [f for f in FEATURES if f.name == "recency_days"]) == []
    assert pd.isna(Spread.of(active).unit["recency_days"])


def test_what_lies_within_a_quarter_of_a_standard_deviation_marks_nobody_out():
    active = features((5, 1, 1), (5, 1, 1))
    assert marked_out_by(members(active.iloc[[0]]), Spread.of(active), FEATURES) == []
