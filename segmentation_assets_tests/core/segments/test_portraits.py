"""Shares, lifts and their intervals by hand and by simulation; examples are medoids."""

import datetime as dt

import ibis
import numpy as np
import pandas as pd
import pytest

from segmentation_assets.core.customers.activity import purchases_by_category
from segmentation_assets.core.customers.calendar import Lookback
from segmentation_assets.core.customers.columns import CustomerColumns
from segmentation_assets.core.model.training import ModelSpec, train
from segmentation_assets.core.segments import portraits
from segmentation_assets.core.segments.portraits import attributes, categories, examples, lifts, medoids
from segmentation_assets.settings.model import ModelSettings
from segmentation_assets.tables.features import CUSTOMER_CATEGORY_ACTIVITY
from segmentation_assets_tests.builders import LOADED, features, table

WHO = pd.DataFrame({
    "customer_id": list("abcdef"), "status": "active", "segment_id": [1, 1, 1, 2, 2, 2], "monetary": [1.0] * 6,
    "home": ["own", "own", None, "rent", "own", "rent"], "kids": [0.0, 2.0, 2.0, 0.0, None, 0.0], "same": "x",
    "income": [10.0, 20.0, 30.0, 40.0, 50.0, 60.0],
})  # fmt: skip


def rows_of(attribute, who=WHO):
    found = attributes(ibis.memtable(who), {"monetary"})
    return found[found["attribute"] == attribute].set_index(["segment_id", "level"])


def test_shares_are_of_those_who_are_known_and_by_hand():
    home = rows_of("home")
    columns = ["customers", "of_customers", "share", "active_customers", "active_share", "lift"]
    assert home.loc[(1, "own"), columns].tolist() == pytest.approx([2, 2, 1, 3, 3 / 5, 5 / 3])
    assert home.loc[(2, "own"), columns].tolist() == pytest.approx([1, 3, 1 / 3, 3, 3 / 5, 5 / 9])
    assert home.loc[(1, "rent"), ["customers", "share", "lift", "lift_low"]].tolist() == [0, 0, 0, 0]
    assert home.loc[(1, "(missing)"), columns].tolist() == pytest.approx([1, 3, 1 / 3, 1, 1 / 6, 2])


def test_few_numbers_are_categories_and_many_are_bands_between_quartiles():
    assert {level for _, level in rows_of("kids").index} == {"0", "2", "(missing)"}
    bands = rows_of("income")
    assert bands["customers"].groupby("level").sum().to_dict() == {
        "up to 22.5": 2, "above 22.5 to 35": 1, "above 35 to 47.5": 1, "above 47.5": 2,
    }  # fmt: skip


def test_bands_have_their_order_also_where_a_decimal_point_could_mark_thousands():
    bands = rows_of("income", WHO.assign(income=[0.125, 0.5, 1.125, 2.5, 900.0, 1e4])).reset_index("level")
    assert bands.sort_values("level_order")["level"].unique().tolist() == [
        "up to 0.6562", "above 0.6562 to 1.812", "above 1.812 to 675.6", "above 675.6",
    ]  # fmt: skip


def test_levels_have_the_order_that_is_declared():
    found = attributes(ibis.memtable(WHO), {"monetary"}, {"home": ("rent", "own")})
    home = found[found["attribute"] == "home"].drop_duplicates("level").set_index("level")["level_order"]
    assert home.dropna().to_dict() == {"rent": 1, "own": 2}


def test_names_and_dates_are_no_groups_to_compare():
    many = pd.DataFrame(
        {"customer_id": [str(i) for i in range(40)], "segment_id": 1, "email": [f"{i}@x" for i in range(40)], "born": dt.date(2000, 1, 1)}
    )
    assert attributes(ibis.memtable(many), ()).empty


def test_without_attributes_there_are_no_rows():
    assert attributes(ibis.memtable(WHO[["customer_id", "segment_id"]]), ()).empty


def test_a_segment_of_all_customers_has_no_lift_at_all():
    assert [values.item() for values in lifts(*(np.array([n]) for n in (30.0, 100.0, 30.0, 100.0)))] == [1, 1, 1]


@pytest.mark.parametrize(
    ("inside", "with_it", "more", "least", "most"),
    [
        (0.3, 0.2, 1.6, 0.94, 0.96), (0.8, 0.3, 1.1, 0.94, 0.96), (0.1, 0.1, 0.5, 0.94, 0.97),
        (0.2, 0.95, 1.0, 0.94, 0.96), (0.3, 0.003, 2.0, 0.94, 0.99),  # six customers have it, and often all of them are inside
    ],
)  # fmt: skip
def test_the_interval_of_the_lift_covers_the_truth_as_often_as_it_says(inside, with_it, more, least, most):
    """Of 4,000 shops of 2,000 customers each."""
    both = with_it * inside * more
    cells = [both, inside - both, with_it - both, 1 - inside - with_it + both]
    drawn = np.random.default_rng(5).multinomial(2_000, cells, 4_000).astype(float).T
    drawn = drawn[:, drawn[0] + drawn[2] > 0]
    _, low, high = lifts(drawn[0], drawn[0] + drawn[1], drawn[0] + drawn[2], np.full(drawn.shape[1], 2_000.0))
    assert least <= np.mean((low <= more) & (more <= high)) <= most


def test_one_customer_proves_nothing_and_nobody_is_no_certainty():
    lift, low, high = lifts(np.array([1.0, 0.0]), np.array([500.0, 500.0]), np.array([1.0, 3.0]), np.array([2000.0, 2000.0]))
    assert lift.tolist() == [4, 0]
    assert low[0] < 1 < high[0]
    assert (low[1], high[1] > 1) == (0, True)


def bought(customer, category, purchases, window=dt.date(2024, 1, 1), lines=1):
    return {
        "customer_id": customer,
        "category": category,
        "purchases": purchases,
        "window_start": window,
        "bought_lines": lines,
        "lines": 1,
    }


def test_categories_by_hand_within_the_lookback():
    lookback = Lookback.of(dt.date(2024, 2, 1), LOADED.snapshots, LOADED.features)
    before = lookback.start - dt.timedelta(days=1)
    activity = table(
        CUSTOMER_CATEGORY_ACTIVITY,
        bought("a", "tea", 30), bought("a", "tea", 10, lookback.start), bought("b", "tea", 10), bought("b", "rice", 50),
        bought("d", "rice", 100), bought("c", "rice", 5, before), bought("c", "rice", 0, lines=0), bought("unknown", "tea", 999),
    )  # fmt: skip
    found = categories(purchases_by_category(activity, lookback), ibis.memtable(WHO)).set_index(["category", "segment_id"])
    columns = [
        "customers",
        "of_customers",
        "share",
        "active_customers",
        "active_share",
        "lift",
        "purchases",
        "purchase_share",
        "active_purchase_share",
    ]
    assert found.loc[("tea", 1), columns].tolist() == pytest.approx([2, 3, 2 / 3, 2, 1 / 3, 2, 50, 0.5, 0.25])
    assert found.loc[("tea", 2), ["customers", "lift", "purchases", "purchase_lift"]].tolist() == [0, 0, 0, 0]
    assert found.loc[("rice", 2), ["purchase_share", "purchase_lift"]].tolist() == pytest.approx([1, 4 / 3])


def test_the_first_example_is_the_medoid_and_the_others_lie_elsewhere():
    line = np.array([[0.0], [0.1], [0.2], [5.0], [5.1], [5.2], [5.3], [9.0]])
    totals = np.abs(line - line.T).sum(axis=1)
    first, second, third = medoids(line, 3)
    assert totals[first] == totals.min()
    assert {second, third} == {1, 7}


def test_customers_who_are_all_alike_need_one_example():
    assert medoids(np.zeros((5, 2)), 3) == [0]


ASK = ModelSettings(
    features=("recency_days", "monetary"), algorithms=("kmeans",), k_max=2, k=2, fallback_k=2, resamples=10, splits=1, seed=1
)
ACTIVE = features((1, 9, 90.4), (2, 8, 1234.5), (60, 1, 10), (61, 2, 10), top_category=["tea", "rice", None, "tea"])
MODEL = train(ACTIVE, None, ModelSpec(ASK, "digest"), dt.date(2024, 2, 1), "There is none.").model


def test_examples_have_rounded_figures_and_leave_out_what_is_sensitive():
    placed = CustomerColumns.of(ACTIVE.merge(MODEL.assign(ACTIVE)[["customer_id", "segment_id"]]))
    found = examples(placed, MODEL, ["top_category"])
    assert set(found["customer_id"]) == {"c0", "c1", "c2", "c3"}
    assert set(found["example"]) == {"customer A", "customer B"}
    assert "top_category" not in set(found["feature"])
    shown = examples(placed, MODEL).set_index(["customer_id", "feature"])
    assert shown.at[("c1", "monetary"), "value"] == 1200
    assert shown.at[("c1", "top_category"), "text"] == "rice"
    assert set(portraits.needed(MODEL, ACTIVE.columns)) == {"recency_days", "frequency", "monetary", "tenure_days", "top_category"}
