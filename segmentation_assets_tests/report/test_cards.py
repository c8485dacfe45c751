"""The card of a segment says who they are in plain words, without ids and without hidden figures."""

import dataclasses

import numpy as np
import pytest

from segmentation_assets.report import cards, view
from segmentation_assets.report.words import Words
from segmentation_assets_tests.report.conftest import contact, rows, segment, tables

USD = Words("USD")
NAMES = {1: "Champions", 2: "Average", -1: "Lapsed"}


def test_key_figures_have_plain_labels_and_are_good_or_bad_the_right_way_round(small):
    found = list(cards.figures(small, USD, 1))
    assert [(one.label, one.mean, one.everyone, one.compared, one.mood, one.typical) for one in found] == [
        ("days since last order", "3", "9", "lower", "good", "1"),
        ("orders", "9", "4", "higher", "good", "8"),
        ("spend", "US$25", "US$15", "higher", "good", "US$20"),
        ("share of orders at the weekend", "50%", "30%", "higher", "", "50%"),
    ]
    assert cards.comparison(0.5, "low") == ("higher", "bad")


def test_the_journey_has_where_they_came_from_and_went(small):
    card = cards.card(small, USD, "Champions", NAMES, 1)
    assert (card.came, card.went) == (("new customers (10)", "Average (9)"), ())
    assert cards.card(small, USD, "Average", NAMES, 2).went == ("Champions (9)", "Lapsed (5)")


def test_what_is_more_common_is_beyond_chance_and_known():
    level = {"segment_id": 1, "attribute": "inc", "share": 0.4, "active_share": 0.2, "lift": 2.0}
    found = rows(
        "segment_attributes",
        {**level, "level": "high", "lift_low": 1.2}, {**level, "level": "by chance", "lift_low": 0.9},
        {**level, "level": "(missing)", "lift_low": 1.5}, {**level, "level": "hidden", "lift_low": 1.5, "share": np.nan},
    )  # fmt: skip
    assert list(cards.levels(found, "level", Words(labels={"inc": "income"}), "attribute")) == [
        cards.Level("income: high", "40%", "20%", "2.0 times")
    ]


def test_typical_customers_are_shown_without_their_ids():
    example = {"segment_id": 1, "example": "customer A", "customer_id": "secret-7"}
    found = tables(
        [segment(1, "Champions", 9)],
        segment_examples=[
            {**example, "feature": "top_category", "text": "TOYS\x1b[2J"}, {**example, "feature": "frequency", "value": 8.0},
            {**example, "feature": "items_per_order", "value": np.nan},
        ],
    )  # fmt: skip
    assert list(cards.examples(found, USD, 1)) == [("Customer A", "orders 8; favourite category TOYS\\x1b[2J")]
    assert "secret" not in repr(cards.card(found, USD, "Champions", NAMES, 1))


def test_the_rule_is_in_words_or_says_why_there_is_none():
    found = tables(
        [segment(1, "A", 9), segment(2, "B", 9)],
        segment_rules=[
            {"segment_id": 1, "words": "ordered at most 4 times", "precision": 0.9, "recall": 0.05},
            {"segment_id": 2, "reason": "Too few."},
        ],
    )  # fmt: skip
    assert cards.rule_of(found, USD, 1) == (
        "Customers who ordered at most 4 times.",
        "Of the customers who meet it, 90% are in the segment; of the segment's customers, 5.0% meet it.",
    )
    assert cards.rule_of(found, USD, 2) == ("No rule: Too few.", "")
    assert cards.rule_of(found, USD, 3) == ("No rule is published for this segment.", "")


def test_revenue_is_explained_by_its_causes_and_effects_of_actions_are_those_of_spend():
    part = {"segment_id": 1}
    effect = {"action": "thanks", "measure": "spend"}
    found = tables(
        [segment(1, "A", 9)],
        segment_bridge=[
            {**part, "component": "before", "revenue": 5.0}, {**part, "component": "left", "revenue": -3.2},
            {**part, "component": "entered", "revenue": 0.0}, {**part, "component": "stayed", "revenue": 4.0},
        ],
        segment_actions=[{**part, "action": "Thank", "channel": "e-mail", "play": "thanks", "priority": 1, "customers_treated": 7.0}],
        audience_receipts=[
            {"action": "thanks", "delivered_at": "2024-03-02", "destination": "crm", "added": 7.0, "removed": 0.0, "held_out": 1.0},
            {"action": "call", "delivered_at": "2024-03-03", "destination": "crm", "added": 9.0},
        ],
        action_power=[{**effect, "verdict": "Enough."}, {**effect, "measure": "ordered", "verdict": "Not this."}],
        action_lift=[{**effect, "assigned_on": "2024-02-01", "verdict": "It worked.", "segment_id": None}],
    )  # fmt: skip
    card = cards.card(found, USD, "A", {1: "A"}, 1)
    assert card.bridge == (
        ("customers who stayed, by spending more or less", "+US$4"), ("customers who left for other segments", "\u2212US$3"),
    )  # fmt: skip
    assert [(play.treated, play.holdout, play.at_stake, play.verdicts, play.deliveries) for play in card.plays] == [
        (
            "7",
            "\u2013",
            "not recorded",
            ("Enough.", "Assigned on 1 February 2024, over all segments that it was for then, not this one. It worked."),
            ("Handed over on 2 March 2024 to crm: 7 added, 0 taken back, 1 held out.",),
        )
    ]


def test_the_value_at_stake_of_a_segment_does_not_tell_that_of_a_hidden_action():
    hidden = {"segment_id": 1, "action": "x", "value_at_stake": np.nan, "small_cell": "hidden: few customers"}
    stakes = [{"segment_id": segment_id, "customers": 9, "value_at_stake": 5.0} for segment_id in (1, 2)]
    found = tables([segment(1, "A", 9), segment(2, "B", 9)], stakes=stakes, segment_actions=[hidden])
    assert cards.stakes(found, Words(smallest=5)) == {1: (5.0, True), 2: (5.0, False)}


def test_what_is_at_stake_is_of_those_to_contact_not_of_all_whom_an_action_is_for(small):
    assert cards.contacted(small, USD) == {
        (1, "thanks"): (4.0, False),
        (1, "call"): (1.5, False),
        (2, "thanks"): (pytest.approx(np.nan, nan_ok=True), False),
    }
    assert [play.at_stake for play in cards.plays(small, Words("USD", period="week"), NAMES, 1)] == ["US$2 a week", "US$4 a week"]
    assert [play.at_stake for play in cards.plays(small, USD, NAMES, 2)] == ["not measured"]
    bare = dataclasses.replace(small, contacts=small.contacts.iloc[:0])
    assert [play.at_stake for play in cards.plays(bare, USD, NAMES, 1)] == ["not recorded", "not recorded"]


@pytest.mark.parametrize(
    ("contacts", "known", "small_cell"),
    [
        ([contact(1, "x", 4, 1.0)], 90, None),
        ([contact(1, "x", 30, 1.0), contact(1, "x", 4, 1.0, "holdout")], 90, None),
        ([contact(1, "x", 30, 1.0), contact(1, "y", 56, 1.0)], 90, None),
        ([contact(1, "x", 30, 1.0)], 90, "hidden: few customers"),
    ],
    ids=["of few", "the holdout is few", "the rest of the segment is few", "its counts are hidden"],
)
def test_what_is_at_stake_of_those_to_contact_is_hidden_where_it_tells_of_few(contacts, known, small_cell):
    action = {"segment_id": 1, "action": "x", "channel": "e-mail", "play": "x", "priority": 1, "small_cell": small_cell}
    stakes = [{"segment_id": 1, "customers": known, "value_at_stake": 9.0}]
    found = tables([segment(1, "A", 90)], stakes=stakes, contacts=contacts, segment_actions=[action])
    words = Words("USD", smallest=5)
    assert [play.at_stake for play in cards.plays(found, words, NAMES, 1)] == ["hidden"]
    assert [one.at_stake for one in view.to_do(found, words, {1: "A"})] == [""]


def test_a_card_shows_the_lift_of_its_own_segment_or_says_of_which_segments_it_is():
    row = {"action": "thanks", "measure": "spend", "assigned_on": "2024-02-01"}
    found = tables(
        [segment(4, "Old", 9), segment(6, "New", 9)],
        action_lift=[
            {**row, "segment_id": 4, "verdict": "Of 4."}, {**row, "segment_id": None, "verdict": "Of all."},
            {**row, "segment_id": 6, "verdict": "Long ago.", "assigned_on": "2024-01-01"},
        ],
    )  # fmt: skip
    assert list(cards.verdicts(found, USD, {4: "Old"}, 4, "thanks")) == ["Assigned on 1 February 2024. Of 4."]
    assert list(cards.verdicts(found, USD, {4: "Old"}, 6, "thanks")) == [
        "Assigned on 1 February 2024, over all segments that it was for then, not this one: Old. Of all."
    ]
