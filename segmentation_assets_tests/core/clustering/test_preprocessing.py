"""Features become points; unusual data stays finite and bounded."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.estimator_checks import parametrize_with_checks

from segmentation_assets.core.clustering.feature_columns import NumericColumn
from segmentation_assets.core.clustering.preprocessing import FeaturePreprocessor
from segmentation_assets.core.customers.features import declared
from segmentation_assets.settings.customers import Features
from segmentation_assets.settings.model import ModelSettings
from segmentation_assets_tests.conftest import examples

BY_NAME = {"check_dataframe_column_names_consistency": "features are picked by name, in any order and among others"}


@parametrize_with_checks([FeaturePreprocessor()], expected_failed_checks=lambda _: BY_NAME)
def test_is_a_scikit_learn_transformer(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    ("method", "scaling", "expected"),
    [
        ("none", "range", [-0.5, -0.25, 0.0, 0.25, 0.5]),
        ("none", "standard", [-np.sqrt(2), -np.sqrt(0.5), 0.0, np.sqrt(0.5), np.sqrt(2)]),
        ("none", "robust", [-1.349, -0.6745, 0.0, 0.6745, 1.349]),
        ("log", "range", np.log([1, 2, 3, 4, 5]) / np.log(5) - np.log([1, 2, 3, 4, 5]).mean() / np.log(5)),
    ],
)
def test_numbers_are_transformed_centred_and_scaled(method, scaling, expected):
    frame = pd.DataFrame({"spend": [0.0, 1.0, 2.0, 3.0, 4.0]})
    fitted = FeaturePreprocessor(numeric_transform=method, scaling=scaling, winsorize=(0, 1))
    np.testing.assert_allclose(fitted.fit_transform(frame)[:, 0], expected, rtol=1e-9, atol=1e-9)


def test_a_category_is_scaled_by_the_root_of_its_share():
    frame = pd.DataFrame({"region": ["north"] * 3 + ["south"]})
    fitted = FeaturePreprocessor().fit(frame)
    np.testing.assert_allclose(fitted.transform(frame)[[0, 3]], [[1 / np.sqrt(0.75), 0], [0, 2]])


def test_missing_numbers_become_the_median_and_an_indicator_and_missing_categories_a_level():
    frame = pd.DataFrame({"spend": [1.0, 2.0, 9.0, np.nan], "region": ["a", "a", "b", None]})
    fitted = FeaturePreprocessor(weights={"spend": 9}).fit(frame)
    points = fitted.transform(frame)
    assert list(fitted.get_feature_names_out()) == ["spend", "spend=(missing)", "region=a", "region=b", "region=(missing)"]
    assert points[3, 0] == points[1, 0]
    assert points[:, 1].tolist() == [0, 0, 0, 3]  # a standard deviation, times the root of the weight
    assert points[3, 2:].tolist() == [0, 0, 2]


def test_features_imputed_by_the_median_are_listed_for_each_customer():
    frame = pd.DataFrame({"age": [1.0, 2, 3], "kids": [0.0, 1, 2], "muted": [1.0, 2, 3]})
    fitted = FeaturePreprocessor(winsorize=(0, 1), weights={"muted": 0}).fit(frame)
    later = pd.DataFrame({"age": [np.nan, 2, np.nan], "kids": [np.nan, 1, 5], "muted": [np.nan] * 3}, index=[7, 8, 9])
    assert fitted.transform(later).shape == (3, 3)  # nothing was missing when fitted: no indicator, but the imputation is listed
    assert fitted.imputed(later).to_dict() == {7: "age, kids", 8: None, 9: "age"}


def test_stretch_multiplies_every_dimension():
    frame = pd.DataFrame({"age": [20.0, 30, 40, np.nan], "region": ["a", "b", "a", None]})
    fitted = FeaturePreprocessor(weights={"age": 2}).fit(frame)
    stretch = np.array([2.0, 3.0, 5.0, 7.0, 11.0])
    np.testing.assert_allclose(fitted.stretched(stretch).transform(frame), fitted.transform(frame) * stretch)


def test_a_thousand_levels_are_pooled_together_with_unseen_ones():
    levels = ["big"] * 1000 + [f"rare {i}" for i in range(1000)]
    fitted = FeaturePreprocessor(max_levels=5).fit(pd.DataFrame({"city": levels}))
    assert list(fitted.get_feature_names_out()) == ["city=big", "city=(other)"]
    rare, unseen = fitted.transform(pd.DataFrame({"city": ["rare 7", "new town"]}))
    np.testing.assert_array_equal(rare, unseen)


def test_a_very_rare_level_does_not_outweigh_the_numbers():
    fitted = FeaturePreprocessor(min_share=0.02).fit(pd.DataFrame({"city": ["big"] * 999 + ["tiny"]}))
    assert np.abs(fitted.transform(pd.DataFrame({"city": ["tiny"]}))).max() == pytest.approx(1 / np.sqrt(0.02))


@pytest.mark.parametrize("values", [[5.0] * 20, [np.nan] * 20, [1e9 + 1e-9] * 20, [None] * 20, ["same"] * 20])
def test_a_feature_without_spread_contributes_nothing(values):
    frame = pd.DataFrame({"dull": values, "spend": np.arange(20.0)})
    points = FeaturePreprocessor().fit(frame).transform(frame)
    assert np.all(points[:, :-1] == 0) and points[:, -1].std() > 0


def test_one_dominant_outlier_does_not_stretch_the_axis():
    spend = np.append(np.arange(1.0, 200.0), 1e12)
    points = FeaturePreprocessor(numeric_transform="none").fit(pd.DataFrame({"spend": spend})).transform(pd.DataFrame({"spend": spend}))
    assert points.max() < 2 and points[-1, 0] == points[-2, 0]


@pytest.mark.parametrize(("customers", "winsorize", "kept"), [
    (3, (0.005, 0.995), (1, 3)), (199, (0.005, 0.995), (1, 199)), (200, (0.005, 0.995), (2, 199)), (2_469, (0.005, 0.995), (14, 2_456)),
    (10, (0.1, 0.9), (2, 9)), (9, (0.1, 0.9), (1, 9)), (2, (0.2, 0.8), (1, 2)), (100, (0.0, 0.99), (1, 99)), (100, (0.01, 1.0), (2, 100)),
])  # fmt: skip
def test_winsorising_moves_nobody_if_less_than_one_customer_is_beyond_the_quantile(customers, winsorize, kept):
    column = NumericColumn.fit("spend", np.arange(1.0, customers + 1), "none", winsorize, "standard", 1.0)
    assert (column.low, column.high) == kept


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=60, unique=True), st.floats(0, 0.2))
def test_winsorising_moves_at_most_its_share_plus_one_customer_at_either_end(values, share):
    column = NumericColumn.fit("x", np.array(values), "none", (share, 1 - share), "standard", 1.0)
    moved = [sum(v < column.low for v in values), sum(v > column.high for v in values)]
    assert max(moved) <= (share * len(values) + 1 if share * len(values) >= 1 - 1e-6 else 0)


def test_a_weight_multiplies_the_squared_distance():
    frame = pd.DataFrame({"a": [1.0, 2.0, 4.0], "b": [1.0, 2.0, 4.0]})
    points = FeaturePreprocessor(weights={"a": 9}).fit(frame).transform(frame)
    np.testing.assert_allclose(points[:, 0], 3 * points[:, 1])


def test_scoring_uses_the_fitted_columns_only():
    fitted = FeaturePreprocessor(winsorize=(0, 1)).fit(pd.DataFrame({"spend": [0.0, 10.0]}))
    shifted = pd.DataFrame({"customer_id": ["x"], "spend": [10.0]})
    assert fitted.transform(shifted)[0, 0] == pytest.approx(1.0)


def test_errors_name_the_feature_and_the_remedy():
    frame = pd.DataFrame({"spend": [1.0, 2.0]})
    with pytest.raises(ValueError, match=r"recency.*correct the names"):
        FeaturePreprocessor(weights={"recency": 1}).fit(frame)
    with pytest.raises(ValueError, match=r"spend.*train a new model"):
        FeaturePreprocessor().fit(frame).transform(frame.rename(columns={"spend": "money"}))
    with pytest.raises(ValueError, match=r"'day' is a date.*days before"):
        FeaturePreprocessor().fit(pd.DataFrame({"day": pd.to_datetime(["2017-01-01"])}))


@examples(20)
@given(
    st.lists(st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True)), min_size=1, max_size=30),
    st.sampled_from(["log", "yeo-johnson", "none"]),
)
def test_points_are_finite_whatever_the_numbers(values, method):
    frame = pd.DataFrame({"x": pd.Series(values, dtype="float64").clip(-1e100, 1e100)})
    assert np.isfinite(FeaturePreprocessor(numeric_transform=method).fit(frame).transform(frame)).all()


@pytest.mark.parametrize(
    ("asked", "transforms"),
    [
        ({}, ["log", "none", "log", "log"]),  # money and counts as declared, a trend in [-1, 1] unchanged, attributes by log
        ({"transform": "yeo-johnson"}, ["yeo-johnson"] * 4),
    ],
)
def test_features_use_their_declared_transforms_unless_the_settings_give_one_for_all(asked, transforms):
    by_name = {feature.name: feature.transform for feature in declared(Features(event_types=("coupon_redeemed",)))}
    frame = pd.DataFrame(np.random.default_rng(3).random((50, 4)), columns=["monetary", "spend_trend", "coupon_redeemed_count", "Income"])
    fitted = FeaturePreprocessor.from_settings(ModelSettings(features=tuple(frame.columns), **asked), by_name).fit(frame)
    assert [column.transform for column in fitted.columns_] == transforms


def test_the_other_settings_of_preprocessing_are_used_unchanged():
    settings = ModelSettings(scaling="robust", winsorize=0.1, weights={"monetary": 2.0}, categorical=("frequency",))
    found = FeaturePreprocessor.from_settings(settings, {})
    assert (found.scaling, found.winsorize, found.weights, found.categorical) == ("robust", (0.1, 0.9), {"monetary": 2.0}, ("frequency",))
