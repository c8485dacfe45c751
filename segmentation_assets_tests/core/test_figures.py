"""Pictures are drawn of any table, say what they show, and are the same for the same numbers."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from segmentation_assets.core import exploration, figures
from segmentation_assets.core.feature_catalog import FEATURES

UNITS = {feature.name: feature.unit for feature in FEATURES}
STRAIGHTENED = [feature.name for feature in FEATURES if feature.transform != "none"]


def customers(n: int = 300) -> pd.DataFrame:
    random = np.random.default_rng(5)
    columns = {feature.name: random.gamma(1, 10, n) for feature in FEATURES if feature.type == "float64"}
    frame = pd.DataFrame({"customer_id": np.arange(n).astype(str), "status": random.choice(["active", "lapsed"], n)} | columns)
    frame.loc[frame["status"] == "lapsed", "mean_gap_days"] = np.nan
    return frame.assign(return_share=0.0, age_years=np.nan, income=random.choice(["Under 15K", "15-24K", "100K+", None], n))


def slots() -> pd.DataFrame:
    return pd.DataFrame(
        [(dt.date(2017, m, 1), d, h, 10 + h, 100.0 * h) for m in (1, 2) for d in range(7) for h in range(-1, 24)],
        columns=["window_start", "weekday", "hour", "orders", "revenue"],
    )


def cohort_rows() -> pd.DataFrame:
    rows = [(dt.date(2017, c, 1), p, 100, 100 // (p + 1), 50.0, 1 / (p + 1), 0.5) for c in (1, 2, 3) for p in range(4 - c)]
    return pd.DataFrame(
        rows, columns=["cohort", "period", "cohort_customers", "active_customers", "revenue", "retention", "revenue_per_customer"]
    )


def mix() -> pd.DataFrame:
    return pd.DataFrame({"category": [f"c{i}" for i in range(20)], "purchases": 1.0, "customers": 3, "share": 0.05, "penetration": 0.3})


def pictures(frame: pd.DataFrame) -> dict[str, Callable[[], Any]]:
    summary, bins = exploration.feature_summary(frame, FEATURES), exploration.feature_distributions(frame, FEATURES)
    curve = exploration.revenue_concentration(frame)
    keep = len(frame) > 0
    return {
        "raw": lambda: figures.distributions(bins, summary, UNITS, "raw", STRAIGHTENED),
        "transformed": lambda: figures.distributions(bins, summary, UNITS, "transformed", STRAIGHTENED),
        "missingness": lambda: figures.missingness(exploration.feature_missingness(frame, FEATURES)),
        "outliers": lambda: figures.outliers(summary),
        "correlations": lambda: figures.correlations(exploration.feature_correlations(frame, FEATURES)),
        "seasonality": lambda: figures.seasonality(slots() if keep else slots().head(0)),
        "cohorts": lambda: figures.cohorts(cohort_rows() if keep else cohort_rows().head(0)),
        "concentration": lambda: figures.concentration(curve, exploration.gini(curve)),
        "categories": lambda: figures.categories(mix() if keep else mix().head(0)),
        "attributes": lambda: figures.attributes(exploration.attribute_spend(frame, FEATURES)),
    }


def words(figure: Any) -> str:
    return " ".join(
        [text.get_text() for text in figure.texts]
        + [text.get_text() for ax in figure.axes for text in [ax.title, *ax.texts, ax.xaxis.label, ax.yaxis.label, *ax.get_yticklabels()]]
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("raw", "return_share 0"), ("transformed", "currency of the source"), ("missingness", "further ones"), ("outliers", "z-score"),
        ("correlations", "Spearman"), ("seasonality", "have no time of day"), ("cohorts", "windows since the first order"),
        ("concentration", "top 20% of customers bring"), ("categories", "5 smaller categories"), ("attributes", "(missing)"),
    ],
)  # fmt: skip
def test_each_picture_says_what_it_shows_in_the_same_bytes(name: str, expected: str) -> None:
    draw = pictures(customers())[name]
    assert expected in words(draw())
    first = figures.png(draw())
    assert first.startswith(b"\x89PNG")
    assert first == figures.png(draw())


@pytest.mark.parametrize("n", [0, 1])
@pytest.mark.parametrize("name", list(pictures(customers(2))))
def test_each_picture_can_be_drawn_of_no_and_of_one_customer(name: str, n: int) -> None:
    assert len(words(pictures(customers().head(n))[name]()).split()) > 3


def test_redundant_pairs_are_framed() -> None:
    from matplotlib.patches import Rectangle

    x = np.arange(50.0)
    frame = pd.DataFrame({"customer_id": x.astype(str), "status": "active", "monetary": x, "frequency": x, "tenure_days": x % 7})
    framed = [
        patch
        for patch in figures.correlations(exploration.feature_correlations(frame, FEATURES)).axes[0].patches
        if isinstance(patch, Rectangle)
    ]
    assert len(framed) == 1


def test_levels_are_ordered_as_a_person_would() -> None:
    levels = ["100-124K", "Under 15K", "15-24K", "250K+"]
    assert sorted(levels, key=figures._level_order) == ["Under 15K", "15-24K", "100-124K", "250K+"]
