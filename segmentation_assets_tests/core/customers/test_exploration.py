"""The numbers behind the pictures."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from segmentation_assets.core.customers import exploration
from segmentation_assets.core.customers.feature_catalog import FEATURES


def customers(n: int, **columns: object) -> pd.DataFrame:
    return pd.DataFrame({"customer_id": [f"c{i:04d}" for i in range(n)], "status": "active", "monetary": 1.0} | columns)


def test_summary_counts_missing_values_of_active_customers_only() -> None:
    frame = customers(4, recency_days=[1.0, 3.0, np.nan, np.nan], status=["active", "active", "active", "lapsed"])
    row = exploration.feature_summary(frame, FEATURES).set_index("feature").loc["recency_days"]
    assert (row["customers"], row["missing"], row["median"], row["maximum"]) == (3, 1, 2.0, 3.0)


def test_outliers_are_judged_on_the_transformed_scale() -> None:
    spend = np.exp(np.random.default_rng(1).normal(5, 1, 2_000))  # log-normal: long-tailed but without outliers
    spend[0] = 1e9
    found = exploration.feature_outliers(customers(2_000, monetary=spend), FEATURES)
    assert found.loc[0, ["feature", "customer_id", "rank"]].tolist() == ["monetary", "c0000", 1]
    assert exploration.feature_summary(customers(2_000, monetary=spend), FEATURES).set_index("feature").loc["monetary", "outliers"] <= 5


def test_a_histogram_counts_every_customer_with_a_value() -> None:
    frame = customers(500, recency_days=np.random.default_rng(2).exponential(30, 500), frequency=np.arange(500) % 4.0)
    frame.loc[:9, "recency_days"] = np.nan
    bins = exploration.feature_distributions(frame, FEATURES)
    assert bins.groupby(["feature", "scale"])["customers"].sum().loc["recency_days"].tolist() == [490, 490]
    assert bins[(bins["feature"] == "frequency") & (bins["scale"] == "raw")]["customers"].tolist() == [125] * 4  # one bin per number


def test_redundant_pairs_are_named_with_the_remedy() -> None:
    x = np.random.default_rng(3).random(200)
    frame = customers(200, frequency=x, monetary=x**3, recency_days=np.random.default_rng(4).random(200), tenure_days=7.0)
    pairs = exploration.feature_correlations(frame, FEATURES).set_index(["feature_a", "feature_b"])
    assert pairs.loc[("frequency", "monetary"), "spearman"] == pytest.approx(1.0)  # monotone but not linear
    assert pairs["redundant"].sum() == 1
    assert not any("tenure_days" in pair for pair in pairs.index)  # constant
    assert pairs.loc[("frequency", "monetary"), "take_out"] == "monetary"  # equal otherwise, so the one declared later
    assert exploration.redundancies(pairs.reset_index()) == {
        "frequency, monetary": "frequency and monetary are redundant (Spearman +1.00). They are not both in model.features; "
        "if you add both, remove monetary and keep frequency."
    }
    both = exploration.feature_correlations(frame, FEATURES, in_model=("frequency", "monetary"))
    assert list(exploration.redundancies(both).values()) == [
        "frequency and monetary are redundant (Spearman +1.00) and count twice in the clustering: "
        "in model.features, remove monetary and keep frequency."
    ]


def test_of_a_redundant_pair_the_feature_in_the_model_is_kept_else_the_less_correlated_one() -> None:
    x = np.arange(100.0)
    swapped = np.where(x < 10, 9 - x, x)  # the first ten reversed: nearly x, but less correlated with the third
    frame = customers(100, frequency=x, monetary=swapped, tenure_days=x + 5 * np.sin(x))
    found = exploration.feature_correlations(frame, FEATURES)
    assert found["redundant"].all()
    assert set(found["take_out"]) == {"frequency", "monetary"}  # two of three, so that no redundant pair is left
    only = exploration.feature_correlations(frame, FEATURES, in_model=("frequency",)).set_index(["feature_a", "feature_b"])
    assert only.loc[("frequency", "monetary"), "take_out"] == "monetary"


def test_one_feature_redundant_with_two_others_is_removed_instead_of_both() -> None:
    pairs = pd.DataFrame([("a", "b", 0.99), ("b", "c", 0.97), ("a", "c", 0.94)], columns=["feature_a", "feature_b", "spearman"]).assign(
        redundant=[True, True, False]
    )
    assert exploration._to_take_out(pairs, ["a", "b", "c"], []) == ["b", "b", None]


def test_features_of_few_customers_are_not_called_redundant() -> None:
    few = exploration.feature_correlations(customers(9, frequency=np.arange(9.0), tenure_days=np.arange(9.0)), FEATURES)
    assert few[["spearman", "redundant"]].to_numpy().tolist() == [[pytest.approx(1.0), False]]


def test_correlations_of_many_customers_use_a_reproducible_sample() -> None:
    frame = customers(2_000, frequency=np.random.default_rng(1).random(2_000), tenure_days=np.random.default_rng(2).random(2_000))
    first, again = (exploration.feature_correlations(frame, FEATURES, seed=7, most=500) for _ in range(2))
    assert first["customers"].tolist() == [500]
    pd.testing.assert_frame_equal(first, again)


def test_bins_of_whole_numbers_have_equal_counts() -> None:
    bins = exploration.feature_distributions(customers(90, tenure_days=np.arange(90.0)), FEATURES)
    own = bins[(bins["feature"] == "tenure_days") & (bins["scale"] == "raw")]
    assert set(own["bin_to"] - own["bin_from"]) == {3.0}
    assert own["customers"].iloc[1:-1].eq(3).all()


def test_concentration_of_revenue_by_hand() -> None:
    curve = exploration.revenue_concentration(customers(10, monetary=[100.0, *[0.0] * 4, *[20.0] * 5]))
    assert curve.loc[curve["percentile"] == 100, ["customers", "revenue_share"]].to_numpy().tolist() == [[6, 1.0]]  # buyers only
    assert curve.loc[curve["percentile"] == 20, "revenue_share"].item() == 0.6  # 2 of 6, rounded up: 100 and 20 of 200
    assert exploration.gini(exploration.revenue_concentration(customers(50, monetary=3.0))) == pytest.approx(0.0, abs=0.02)
    assert exploration.gini(exploration.revenue_concentration(customers(1000, monetary=[1e9, *[1e-9] * 999]))) > 0.98


def test_attributes_are_judged_by_customers_with_a_value() -> None:
    frame = customers(
        30, monetary=[10.0] * 10 + [1000.0] * 10 + [1.0] * 10, region=["north"] * 10 + ["south"] * 10 + [None] * 10, id_like=range(30)
    )
    found = exploration.attribute_spend(frame, FEATURES).set_index(["attribute", "level"])
    assert found.loc[("region", "(missing)"), "customers"] == 10
    assert found.loc[("region", "south"), ["median_spend", "eta_squared", "epsilon_squared"]].tolist() == pytest.approx([1000.0, 1.0, 1.0])
    assert exploration.attribute_spend(customers(40, number=range(40)), FEATURES).empty  # as many levels as customers


def test_many_levels_of_few_customers_explain_nothing_beyond_chance() -> None:
    spend = np.random.default_rng(6).lognormal(3, 1, 40)
    frame = customers(40, monetary=spend, region=[f"r{i % 20}" for i in range(40)], children=[float(i % 2) for i in range(40)])
    found = exploration.attribute_spend(frame, FEATURES).set_index(["attribute", "level"])
    assert found.loc[("region", "r0"), ["eta_squared", "epsilon_squared"]].tolist() == [pytest.approx(0.19, abs=0.01), 0.0]
    assert list(found.loc["children"].index) == ["0", "1"]  # counts are written without decimals


def test_levels_have_the_order_that_is_declared_or_that_their_numbers_say() -> None:
    frame = customers(
        4, income=["250K+", "Under 15K", "15-24K", None], home=["rent", "own", "rent", "own"], tier=["gold", "tin", "iron", "tin"]
    )
    found = exploration.attribute_spend(frame, FEATURES, {"tier": ["tin", "gold"]}).set_index(["attribute", "level"])["level_order"]
    assert found["income"].dropna().to_dict() == {"Under 15K": 1, "15-24K": 2, "250K+": 3}
    assert found["home"].isna().all()
    assert found["tier"].dropna().to_dict() == {"tin": 1, "gold": 2}


def test_missing_values_are_counted_by_status() -> None:
    frame = customers(3, status=["active", "active", "lapsed"], recency_days=[1.0, np.nan, np.nan], region=["north", "north", None])
    found = exploration.feature_missingness(frame, FEATURES).set_index(["feature", "status"])["missing_share"]
    assert found.loc[[("recency_days", "active"), ("recency_days", "lapsed"), ("region", "active")]].tolist() == [0.5, 1.0, 0.0]


@pytest.mark.parametrize("rows", [0, 1])
def test_zero_customers_or_one_can_be_explored(rows: int) -> None:
    frame = customers(2, recency_days=1.0, region="north").head(rows)
    assert exploration.feature_summary(frame, FEATURES)["customers"].tolist() == [rows, rows]
    assert exploration.feature_correlations(frame, FEATURES).empty
    assert exploration.attribute_spend(frame, FEATURES).empty
    assert len(exploration.revenue_concentration(frame)) == (101 if rows else 0)
    assert len(exploration.feature_missingness(frame, FEATURES)) == (3 if rows else 0)


@given(arrays(float, st.tuples(st.integers(1, 12), st.integers(1, 6)), elements=st.sampled_from([0.0, 1.0, 2.5, -3.0, float("nan")])))
def test_pairs_correlate_as_pandas_says(values):
    expected = pd.DataFrame(values).corr(method="spearman", min_periods=3).to_numpy()
    found = exploration.spearman(values)
    apart = ~np.eye(values.shape[1], dtype=bool)
    np.testing.assert_allclose(found[apart], expected[apart], atol=1e-12)
