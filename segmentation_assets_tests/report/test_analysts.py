"""The tables behind the pictures are the published rows under plain headings."""

import re

import numpy as np
import pandas as pd

from segmentation_assets.core.pictures import PICTURES
from segmentation_assets.report import sheets
from segmentation_assets.report.analysts import BEHIND, OF_CUSTOMERS, behind
from segmentation_assets.report.words import Words
from segmentation_assets_tests.report.conftest import segment, tables

METRICS = [
    {"metric": "jaccard: Champions", "value": 0.9}, {"metric": "jaccard_error: Champions", "value": 0.01}, {"metric": "k", "value": 0.1},
    {"metric": "forward_spend_eta_squared", "value": 0.4}, {"metric": "forward_spend_eta_squared_money_quintiles", "value": 0.42},
]  # fmt: skip


def test_every_picture_has_its_table_but_those_of_single_customers():
    assert set(PICTURES) - set(BEHIND) == OF_CUSTOMERS


def test_tables_have_plain_headings_and_figures_in_their_units():
    found = tables(
        [segment(1, "A", 9)],
        evaluation_metrics=METRICS,
        segment_profiles=[{"segment_id": 1, "feature": "monetary", "median": 20.0, "mean": 25.0, "population_mean": 15.0, "z": 0.81}],
        order_seasonality=[
            {"month": pd.Timestamp("2024-01-01"), "weekday": 0, "hour": hour, "orders": orders, "revenue": 5.0}
            for hour, orders in ((8, 1200.0), (9, np.nan))
        ],
    )  # fmt: skip
    made = behind(found, Words("USD"), {1: "Champions"})
    assert set(made) == {"typical_customers", "seasonality", "stability", "forward_validity"}
    rows = {name: [[cell.text for cell in row] for one in tables_of for row in one.rows] for name, tables_of in made.items()}
    assert rows == {
        "typical_customers": [["Champions", "spend", "US$20", "US$25", "US$15", "0.8"]],
        "seasonality": [
            ["1 January 2024", "\u2013", "US$10"], ["Monday", "8", "1,200", "US$5"], ["Monday", "9", "\u2013", "US$5"],
        ],
        "stability": [["Champions", "0.90", "0.01", "highly stable"]],
        "forward_validity": [["the segments", "40%", "\u2013"], ["five quintiles of money alone", "42%", "\u2013"]],
    }  # fmt: skip
    headings = [head.text for tables_of in made.values() for one in tables_of for head in one.heads]
    assert not [heading for heading in headings if re.search("_|^[a-z]", heading)]


def test_levels_of_attributes_are_in_their_order():
    income = [("250K+", 3.0), ("(missing)", np.nan), ("Under 15K", 1.0), ("15-24K", 2.0)]
    rows = [{"attribute": "income", "level": level, "level_order": order} for level, order in income]
    (made,) = behind(tables([segment(1, "A", 9)], attribute_spend=rows), Words(), {})["attributes"]
    assert [row[1].text for row in made.rows] == ["Under 15K", "15-24K", "250K+", "(missing)"]


def test_a_long_table_says_how_much_is_left_out():
    rows = pd.DataFrame({"category": [f"c{place}" for place in range(sheets.MOST_ROWS + 2)]})
    made = sheets.sheet(rows, [sheets.text("category", "Category")], Words(), "What is bought", "category_mix")
    assert (len(made.rows), made.left_out, made.table) == (sheets.MOST_ROWS, "2 further rows", "category_mix")
