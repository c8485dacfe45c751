"""The page of changes has the published figures in plain words, and hidden ones stay hidden."""

import numpy as np

from segmentation_assets.report import changes
from segmentation_assets.report.words import Words
from segmentation_assets_tests.report.conftest import segment, tables

USD = Words("USD")
NAMES = {1: "Champions", 2: "Average", -1: "Lapsed"}


def texts(sheet) -> list[list[str]]:
    return [[cell.text for cell in row] for row in sheet.rows]


def test_moves_are_told_by_their_names_largest_first_with_what_changed_in_revenue():
    move = {"customers_by_model": 0, "revenue_before": 30.0, "revenue_after": 10.0}
    found = tables(
        [segment(1, "A", 9)],
        segment_transitions=[
            {**move, "from_segment_id": 1, "to_segment_id": 1, "customers": 90},
            {**move, "from_segment_id": None, "to_segment_id": 1, "customers": 4},
            {**move, "from_segment_id": 1, "to_segment_id": 2, "customers": 7},
            {"from_segment_id": 2, "to_segment_id": None, "customers": np.nan, "small_cell": "hidden: few customers"},
        ],
    )  # fmt: skip
    assert texts(changes.flow(found, USD, NAMES)) == [
        ["Champions", "Average", "7", "0", "US$30", "US$10", "\u2212US$20"],
        ["(new customers)", "Champions", "4", "0", "US$30", "US$10", "\u2212US$20"],
        ["Average", "(no longer known)", "hidden", "hidden", "hidden", "hidden", "hidden"],
    ]


def test_the_revenue_bridge_has_a_row_for_each_segment():
    part = {"segment_id": 2}
    found = tables(
        [segment(2, "B", 9)],
        segment_bridge=[
            {**part, "component": "before", "revenue": 5.0}, {**part, "component": "stayed", "revenue": -2.0},
            {**part, "component": "after", "revenue": 3.0},
        ],
    )  # fmt: skip
    assert texts(changes.bridge(found, USD, NAMES)) == [
        ["Average", "US$5", "\u2212US$2", "\u2013", "\u2013", "\u2013", "\u2013", "\u2013", "US$3"]
    ]


def test_drift_is_a_table_of_what_was_measured_and_says_what_was_not():
    row = {"kind": "feature", "statistic": "psi", "threshold": 0.1}
    found = tables(
        [segment(1, "A", 9)],
        drift_report=[
            {**row, "subject": "events", "value": 0.5, "q_value": 0.0001, "flagged": True, "in_model": False},
            {**row, "subject": "monetary", "value": 0.01, "q_value": 0.9, "flagged": False, "in_model": True},
            {**row, "subject": "kids_count", "value": np.nan, "q_value": np.nan, "flagged": None, "in_model": False},
        ],
    )  # fmt: skip
    assert texts(changes.drift(found, USD)) == [
        ["spend", "no", "yes", "PSI", "0.01", "0.10", "0.900"],
        ["contacts", "yes", "no", "PSI", "0.50", "0.10", "below 0.001"],
        ["kids count", "not measured", "no", "PSI", "\u2013", "0.10", "\u2013"],
    ]
    none = changes.changes_page(tables([segment(1, "A", 9)]), USD, NAMES, ("a", "b", "c"))
    assert none.drift is None and none.drift_missing and none.flow is None and none.decisions == ()
