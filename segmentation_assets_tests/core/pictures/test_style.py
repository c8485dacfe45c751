"""Pictures can be drawn from any table, say what they show, and are the same for the same numbers."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from segmentation_assets.core.customers import exploration
from segmentation_assets.core.customers.feature_catalog import FEATURES
from segmentation_assets.core.pictures import features, model, orders, style

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
        [(dt.date(2017, m, 1), dt.date(2017, m, 1), d, h, 10 + h, 100.0 * h) for m in (1, 2) for d in range(7) for h in range(-1, 24)],
        columns=["window_start", "month", "weekday", "hour", "orders", "revenue"],
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
        "raw": lambda: features.distributions(bins, summary, UNITS, "raw", STRAIGHTENED),
        "transformed": lambda: features.distributions(bins, summary, UNITS, "transformed", STRAIGHTENED),
        "missingness": lambda: features.missingness(exploration.feature_missingness(frame, FEATURES)),
        "outliers": lambda: features.outliers(summary, UNITS),
        "correlations": lambda: features.correlations(exploration.feature_correlations(frame, FEATURES)),
        "seasonality": lambda: orders.seasonality(slots() if keep else slots().head(0), dt.date(2017, 3, 1), "EUR"),
        "cohorts": lambda: orders.cohorts(cohort_rows() if keep else cohort_rows().head(0), "monthly", "EUR"),
        "concentration": lambda: orders.concentration(curve, exploration.gini(curve), "EUR"),
        "categories": lambda: orders.categories(mix() if keep else mix().head(0)),
        "attributes": lambda: orders.attributes(exploration.attribute_spend(frame, FEATURES), "EUR"),
    }


def words(figure: Any) -> str:
    return " ".join(
        [text.get_text() for text in figure.texts]
        + [text.get_text() for ax in figure.axes for text in [ax.title, *ax.texts, ax.xaxis.label, ax.yaxis.label, *ax.get_yticklabels()]]
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("raw", "The same for all who have a value: share of lines returned 0%. Without a value for anyone: age in years."),
        ("transformed", "currency units"), ("missingness", "without a value, by status"), ("outliers", "z-score"),
        ("correlations", "Spearman"), ("seasonality", "have no time of day"), ("cohorts", "months after the first order"),
        ("concentration", "top 20% of customers bring"), ("categories", "5 smaller categories"), ("attributes", "(missing)"),
    ],
)  # fmt: skip
def test_each_picture_says_what_it_shows_and_is_reproducible_to_the_byte(name: str, expected: str) -> None:
    draw = pictures(customers())[name]
    assert expected in words(draw())
    first = style.png(draw())
    assert first.startswith(b"\x89PNG")
    assert first == style.png(draw())


@pytest.mark.parametrize("n", [0, 1])
@pytest.mark.parametrize("name", list(pictures(customers(2))))
def test_each_picture_can_be_drawn_for_zero_customers_and_for_one(name: str, n: int) -> None:
    assert len(words(pictures(customers().head(n))[name]()).split()) > 3


def test_a_dollar_sign_starts_no_formula() -> None:
    figure = orders.categories(mix().assign(category=[f"$\\frac{{{i} a$b$" for i in range(20)]))
    assert style.png(figure).startswith(b"\x89PNG")


@pytest.mark.filterwarnings("error")
def test_an_emoji_is_drawn_as_an_empty_box_without_a_warning() -> None:
    style.png(orders.categories(mix().assign(category=[f"cake \N{BIRTHDAY CAKE} {i}" for i in range(20)])))


def title(figure: Any) -> str:
    return str(figure.texts[0].get_text())


def pair(a: str, b: str, rho: float, **values: Any) -> dict[str, Any]:
    plain = {"customers": 50, "redundant": abs(rho) > 0.95, "both_in_model": False, "take_out": b if abs(rho) > 0.95 else None}
    return {"feature_a": a, "feature_b": b, "spearman": rho, **plain, **values}


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([pair("a", "b", 0.97), pair("a", "c", 0.1)], "1 redundant pair of features; none counts twice in the clustering"),
        ([pair("a", "b", -0.97), pair("b", "c", 0.99)], "2 redundant pairs of features; none counts twice in the clustering"),
        ([pair("a", "b", 0.97, both_in_model=True)], "A and b count twice in the clustering: remove b"),
        ([pair("a", "b", 0.9, customers=9)], "Too few customers to tell which features are redundant"),
        ([pair("a", "b", 0.2), pair("a", "c", -0.4)], "No two features are redundant; closest are a and c (-.40)"),
    ],
)
def test_the_title_says_which_redundant_pairs_matter(pairs: list[dict[str, Any]], expected: str) -> None:
    figure = features.correlations(pd.DataFrame(pairs))
    assert title(figure) == expected
    framed = [patch for patch in figure.axes[0].patches if patch.get_linewidth() > 1]
    assert len(framed) == sum(row["redundant"] for row in pairs)


def test_a_pair_without_a_correlation_is_grey_and_not_zero() -> None:
    figure = features.correlations(pd.DataFrame([pair("a", "b", 0.3), pair("b", "c", 0.3)]))
    assert "Grey: unknown." in words(figure)
    grey, coloured = (mesh.get_array() for mesh in figure.axes[0].collections[:2])
    assert np.ma.count(np.ma.masked_invalid(grey)) == 1
    assert np.ma.count(np.ma.masked_invalid(coloured)) == 2


def test_the_title_says_who_comes_back() -> None:
    # Without the first cohort, which is excluded: of February's 100 customers, 50 order a month later.
    assert title(orders.cohorts(cohort_rows(), "monthly", "EUR")) == "50% of new customers order again in the month after their first"
    assert title(orders.cohorts(cohort_rows().head(1), "weekly", "EUR")) == "Who comes back"


def test_many_cohorts_are_stacked_and_only_the_newest_shown() -> None:
    starts = pd.date_range("2015-01-01", periods=30, freq="MS").date
    rows = [(c, p, 100, 5, 50.0, 0.05, 0.5) for i, c in enumerate(starts) for p in range(30 - i)]
    figure = orders.cohorts(pd.DataFrame(rows, columns=cohort_rows().columns), "monthly", "EUR")
    retention, revenue = figure.axes
    assert retention.get_position().y0 > revenue.get_position().y0
    assert len(retention.get_yticklabels()) == orders.MOST_COHORTS
    assert "The newest 24 of 30 cohorts." in words(figure)


def test_an_unknown_window_is_grey() -> None:
    known = np.array([[1.0, np.nan, 3.0], [1.0, np.nan, np.nan]])
    assert orders._gaps(known).tolist() == [[False, True, False], [False, False, False]]  # windows after the end are in the future


@pytest.mark.parametrize(
    ("first", "as_of", "expected"), [("2017-01-01", "2017-03-01", [False, False]), ("2017-01-05", "2017-02-20", [True, True])]
)
def test_partly_covered_months_are_recognised(first: str, as_of: str, expected: list[bool]) -> None:
    months = pd.DatetimeIndex(["2017-01-01", "2017-02-01"])
    assert orders._partial(months, pd.Timestamp(first), pd.Timestamp(as_of)).tolist() == expected


def test_more_than_two_years_become_a_line_per_year() -> None:
    months = pd.date_range("2014-06-01", "2016-12-01", freq="MS").date
    rows = [(month, month, 0, 9, 10, 100.0) for month in months]
    figure = orders.seasonality(pd.DataFrame(rows, columns=slots().columns), dt.date(2017, 1, 1), "EUR")
    assert [text.get_text() for text in figure.axes[1].texts] == ["2014", "2015", "2016"]


def test_for_few_customers_the_title_gives_the_number_of_top_customers() -> None:
    curve = exploration.revenue_concentration(pd.DataFrame({"monetary": [30.0, 20.0, 10.0, 10.0, 10.0, 20.0]}))
    assert title(orders.concentration(curve, 0.2, "EUR")) == "The top 2 of 6 customers bring 50% of revenue"


def test_a_source_without_categories_says_so() -> None:
    assert "has no categories" in words(orders.categories(mix().head(1).assign(category="unknown")))


def test_figures_are_in_the_language_of_the_report_and_names_as_they_are() -> None:
    named = mix().head(2).assign(category=["tea 1.5 l", "rice"], share=0.055, penetration=0.5)
    with style.written_in("de-DE"):
        said = words(orders.categories(named))
        figure = style.titled(3, "Title", "below")
        axes = figure.subplots()
        axes.set_ylim(0, 0.5)
        style.png(figure)
        assert [label.get_text() for label in axes.get_yticklabels()][:2] == ["0,0", "0,1"]
    assert "tea 1.5 l" in said and "5,5\xa0%" in said
    assert "5.5%" in words(orders.categories(named))


def test_levels_are_ordered_by_the_numbers_in_their_names() -> None:
    levels = ["100-124K", None, "15-24K", "250K+", "Under 15K"]
    spend = exploration.attribute_spend(pd.DataFrame({"status": "active", "monetary": 1.0, "income": levels}), FEATURES)
    shown = [label.get_text() for label in orders.attributes(spend, "EUR").axes[0].get_yticklabels()]
    assert [text.partition(" (1")[0] for text in shown] == ["Under 15K", "15-24K", "100-124K", "250K+", "(missing)"]


@pytest.mark.parametrize(("share", "text"), [(0.0, "0%"), (0.001, "<1%"), (0.124, "12%"), (0.999, ">99%"), (1.0, "100%")])
def test_a_share_never_rounds_to_nothing_or_all(share: float, text: str) -> None:
    assert style.percent(share) == text


@pytest.mark.parametrize("name", ["missingness", "outliers", "correlations"])
def test_without_active_customers_pictures_say_not_measured(name):
    figure = pictures(customers().assign(status="lapsed"))[name]()
    assert any(text.get_text().startswith("Not measured: ") for text in figure.texts)


def test_identical_customers_are_not_mapped(recwarn):
    figure = model.pca_map(np.ones((5, 2)), np.zeros(5, dtype=np.int64), ["All"], ["#000000"], 0)
    assert "are alike in the model's features" in " ".join(text.get_text() for text in figure.texts)
    assert not recwarn.list


@pytest.mark.parametrize(("other", "why"), [("former", "as nothing is known of who has left"), ("lapsed", "as they describe orders")])
def test_why_features_are_missing_for_other_customers_is_said(other, why):
    shares = {("income", "active"): 0.1, ("income", other): 1.0, ("balance", "active"): 0.0, ("balance", other): 1.0}
    table = pd.DataFrame([(*key, share, 10) for key, share in shares.items()], columns=["feature", "status", "missing_share", "customers"])
    figure = features.missingness(table)
    said = " ".join(text.get_text() for text in [*figure.texts, *(text for ax in figure.axes for text in ax.texts)])
    assert f"1 for all active customers and, {why}, for no others" in " ".join(said.split())


def test_a_picture_carries_its_title_for_those_who_do_not_see_it():
    figure = style.titled(2, "Half of all customers, \u00e9 \u4e2d $x$", "below")
    assert style.title_of(style.png(figure)) == "Half of all customers, \u00e9 \u4e2d $x$"
