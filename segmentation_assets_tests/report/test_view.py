"""What the start page says is exactly what the published tables have, and nothing is said to be well that was not measured."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from segmentation_assets.report import changes, report, view
from segmentation_assets.report.report import Pictures
from segmentation_assets.report.words import Words
from segmentation_assets_tests.report.conftest import BEFORE, rows, segment, tables

USD = Words("USD")
NAMES = {1: "Champions", 2: "Average", -1: "Lapsed"}


def test_segments_at_a_glance_have_their_figures_and_the_change_since_last_time(small):
    found = view.start_page(small, USD).segments
    assert [(one.name, one.line, one.customers, one.share, one.revenue, one.at_stake, one.change, one.action) for one in found] == [
        ("Champions", "8 orders, US$20, last 1 day ago", "50", "50%", "1,000", "12", "+10", "Call them"),
        ("Average", "Typically few.", "45", "45%", "650", "\u2013", "\u221215", "Thank them"),
        ("Lapsed", "Bought before, but not within it.", "5", "5.0%", "0", "3", "new", "\u2013"),
    ]
    assert found[0].trend.text == "from 40 to 50 over 2 snapshots, between 40 and 50"


def test_hidden_figures_stay_hidden():
    hidden = {"small_cell": "hidden: few customers"}
    found = tables(
        [segment(1, "A", np.nan, **hidden), segment(2, "B", 50, revenue=3.0)],
        stakes=[{"segment_id": 1, "customers": 3, "value_at_stake": 777.0}, {"segment_id": 2, "customers": 4, "value_at_stake": 888.0}],
        segment_actions=[{"segment_id": 1, "segment_name": "A", "action": "x", "channel": "y", "play": "x", "priority": 1, **hidden}],
    )
    page = view.start_page(found, dataclasses.replace(USD, smallest=5))
    assert [(one.customers, one.at_stake) for one in page.segments] == [("50", "hidden"), ("hidden", "hidden")]
    assert page.to_do[0].audience == "few customers"
    assert page.hidden.startswith("Hidden are figures of fewer than 5 customers")
    assert "777" not in repr(page) and "888" not in repr(page)


def test_what_changed_is_the_largest_move_the_events_and_the_model(small):
    assert view.changed(small, USD, NAMES) == (
        "Since 1 February 2024, 14 of 54 customers changed segment; the largest move was 9 from Average to Champions.",
        "No segment was born, split, merged, died, or changed its name or character.",
        "The model of 1 February 2024 stays in force; nothing that it depends on has drifted, only what it does not use (contacts).",
    )


def test_moves_by_the_model_are_told_apart_and_hidden_ones_make_a_sum_at_least():
    move = {"from_segment_id": 1, "to_segment_id": 2, "customers": 6, "customers_by_model": 4}
    found = tables([segment(1, "A", 9)], segment_transitions=[move])
    assert "6 of 6 customers changed segment; the new model has a part in where 4 of them are" in view.movement(
        found, USD, {1: "A", 2: "B"}
    )
    hidden = tables(
        [segment(1, "A", 9)], segment_transitions=[move, {**move, "from_segment_id": 2, "to_segment_id": 1, "customers": np.nan}]
    )
    assert view.movement(hidden, USD, {1: "A", 2: "B"}).startswith(
        "Since 1 February 2024, at least 6 customers changed segment; the largest"
    )


def test_events_and_a_refused_challenger_are_told():
    kinds = [("survived", "A lives."), ("born", "B was born."), ("died", "C died."), ("split", "D was split.")]
    found = tables([segment(1, "A", 9)], segment_events=[{"event": event, "sentence": sentence} for event, sentence in kinds])
    assert view.events(found, USD) == "B was born. C died. And 1 more event."
    page = report.pages(found, Pictures({}), USD)["changes.html"]
    assert all(page.count(sentence) == 2 for sentence in ("B was born.", "C died.", "D was split.")) and "more event" not in page
    refused = [
        {"in_force": True, "decision": "carried forward", "fitted_snapshot": pd.Timestamp("2024-01-01")},
        {"in_force": False, "decision": "refused", "fitted_snapshot": pd.Timestamp("2024-03-01")},
    ]
    assert view.model(tables([], model_registry=refused), USD).startswith(
        "The model of 1 January 2024 stays in force, after a challenger was refused; drift was not measured"
    )


def test_why_a_model_was_replaced_is_said_without_its_figures():
    why = "Drift was flagged (spend and recency_days), so a challenger was trained. It was promoted over the model of 2024-01-01: it won."
    new = {"in_force": True, "decision": "promoted", "fitted_snapshot": pd.Timestamp("2024-03-01"), "reason": why}
    assert view.model(tables([], model_registry=[new]), USD).startswith(
        "A new model is in force from this snapshot on, because drift was flagged; drift was not measured"
    )
    again = {**new, "decision": "trained", "reason": "The settings of the model have changed since it was fitted, so it is trained again."}
    assert view.model(tables([], model_registry=[again]), USD).startswith(
        "A new model was trained at this snapshot, because the settings of the model have changed since it was fitted; "
    )


def test_events_of_the_largest_segments_are_told_first():
    history = [
        segment(1, "A", 9, "2024-02-01", revenue=5.0), segment(2, "B", 90, "2024-02-01", revenue=50.0), segment(1, "A", 9, revenue=7.0),
        segment(3, "C", 60, revenue=6.0), segment(4, "D", 60, revenue=6.0), segment(5, "E", 70, revenue=6.0),
    ]  # fmt: skip
    happened = [
        ("renamed", "1", "1", "A was renamed."), ("born", None, "5", "E was born."), ("born", "", "3", "C was born."),
        ("split", "2", "3, 4", "B was split."),
    ]  # fmt: skip
    given = [{"event": event, "from_segment_ids": before, "to_segment_ids": now, "sentence": told} for event, before, now, told in happened]
    assert view.events(tables(history, segment_events=given), USD) == "B was split. A was renamed. And 2 more events."
    assert list(changes.events(tables(history, segment_events=given), USD))[2:] == ["E was born.", "C was born."]


def test_drift_of_what_the_model_uses_is_told_in_plain_words_with_what_was_not_measured():
    subject = {"kind": "feature", "in_model": True}
    found = rows(
        "drift_report",
        {**subject, "subject": "recency_days", "value": 0.4, "q_value": 0.01, "flagged": True},
        {**subject, "subject": "inc", "value": np.nan, "q_value": np.nan, "flagged": None},
    )
    told = view.drift(found, Words(labels={"inc": "annual income"}))
    assert told == "what it depends on has drifted (days since last order), as far as it was measured (not annual income)"


def test_the_first_actions_have_their_audiences_over_all_their_segments(small):
    assert [(one.action, one.segments, one.audience, one.at_stake) for one in view.to_do(small, USD, NAMES)] == [
        ("Call them", "Champions", "7 customers", "US$2 a month at stake"),
        ("Thank them", "Champions and Average", "34 customers", "US$4 a month at stake"),
    ]


def test_trust_is_the_tier_stability_and_what_the_segments_foretold(small):
    assert view.start_page(small, USD).trust == (
        "These are a convenient cut through customers who differ by degrees, not groups with gaps between them; made again from resampled "
        "customers, the least stable of them overlaps with itself by 0.80 (valid; from 0.75 on a segment counts as found again).",
        "The segments of 1 February 2024 explain 40% of the differences in spend since, five groups by spend alone 42%: act by them, "
        "do not forecast.",
    )


@pytest.mark.parametrize(("words", "told"), [(USD, "not measured yet"), (Words(has_orders=False), "because there are no orders")])
def test_what_was_not_measured_is_said_not_to_be(words, told):
    model = {"in_force": True, "decision": "trained", "tier": "distinct", "fitted_snapshot": pd.Timestamp("2024-03-01")}
    page = view.start_page(tables([segment(1, "A", 9)], before=None, model_registry=[model]), words)
    assert "how stable they are was not measured" in page.trust[0]
    assert told in page.trust[1]
    assert page.changed[0] == "This is the first snapshot, so there is nothing to compare it with."
    assert page.changed[2] == (
        "The first model was trained at this snapshot; drift was not measured: there was no earlier model to compare with."
    )


def test_tables_of_earlier_versions_leave_gaps_not_claims():
    action = {"segment_id": 1, "segment_name": "A", "action": "Thank them", "channel": "e-mail", "priority": 1}
    page = view.start_page(tables([segment(1, "A", 9)], segment_actions=[action], absent={"segment_events"}), USD)
    assert page.changed[1] == "What became of segments was not recorded by the version that made this snapshot."
    assert page.changed[2] == "No model is in force, and drift was not measured."
    assert [(one.audience, one.at_stake) for one in page.to_do] == [("number not known", "")]
    assert page.segments[0].at_stake == "\u2013"


def test_a_snapshot_without_customers_and_missing_rows_are_said():
    page = view.start_page(tables([], source_volume=[{"verdict": "low", "sentence": "Half is missing."}]), USD)
    assert page.totals == "No customers are known: the source has no rows before this day."
    assert page.warnings == ("Half is missing.",) and page.segments == () and page.before == "1 February 2024" == USD.date(BEFORE)


def test_segments_of_ones_own_have_their_figures():
    row = {
        "own_segment": "VIP", "condition": "monetary > 1", "customers": 12, "share": 0.012, "revenue_share": np.nan, "customers_entered": 3,
        "customers_left": 4, "largest_overlap_segment_name": "Loyal", "largest_overlap": 0.64,
    }  # fmt: skip
    (own,) = view.own_segments(rows("own_segments", row), USD)
    assert own == view.OwnSegment("VIP", "monetary > 1", "", "12 customers", "1.2%", "", "3 entered, 4 left", "Loyal (64%)")


def test_figures_follow_the_language_also_in_sentences_that_tables_hold(small):
    small["segments"].loc[small["segments"]["segment_id"] == 2, "description"] = "Typisch 1.5 l, not -1.5 (2.5% of 1,234)."
    page = view.start_page(small, Words("EUR", language="de-DE").with_names(["Typisch 1.5 l", "1,234"]))
    assert page.day == "1. März 2024"
    assert (page.segments[0].line, page.segments[0].revenue) == ("8 orders, 20\xa0€, last 1 day ago", "1.000")
    assert page.cards[1].description == "Typisch 1.5 l, not \u22121,5 (2,5\xa0% of 1.234)."
    assert "overlaps with itself by 0,80 (valid; from 0,75 on" in page.trust[0] and "explain 40\xa0% of" in page.trust[1]
