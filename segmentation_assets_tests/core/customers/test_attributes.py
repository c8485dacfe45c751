"""Attributes as features: their transforms."""

import numpy as np
import pandas as pd
import pytest

from segmentation_assets.core.customers.attributes import attribute_features, suited_transform
from segmentation_assets.settings.customers import AttributeWords

EVEN = np.linspace(1, 100, 500)


@pytest.mark.parametrize(
    ("values", "transform"),
    [
        (EVEN, "none"),
        (np.append(EVEN, 666_666.0), "none"),
        (np.exp(EVEN / 20), "log"),
        (-np.exp(EVEN / 20), "yeo-johnson"),
        (np.repeat([0.0, 1.0], [900, 50]), "none"),
        (np.full(5, np.nan), "none"),
    ],
)
def test_the_transform_is_that_of_the_shape_whatever_a_single_value_is(values, transform):
    assert suited_transform(values) == transform


def test_numeric_attributes_are_features_in_their_own_words():
    frame = pd.DataFrame({"customer_id": ["a"], "status": ["active"], "events": [1.0], "Income_k": [3.0], "Plan": ["basic"]})
    (income,) = attribute_features(frame, {"events"})
    assert (income.name, income.high) == ("Income_k", "has higher income k")


def test_an_attribute_has_the_words_of_the_settings_and_an_answer_is_neither_high_nor_low():
    table = pd.DataFrame({"customer_id": ["a", "b"], "inc": [1.0, 2.0], "replied": [0.0, 1.0]})
    income, replied = attribute_features(table, (), {"inc": AttributeWords(label="annual income", unit="k$")})
    assert (income.unit, income.high, income.low) == ("k$", "has higher annual income", "has lower annual income")
    assert (replied.unit, replied.high, replied.low) == ("", "has replied more often", "has replied less often")


@pytest.mark.parametrize(
    ("name", "values", "unit"), [("Year_Birth", [1893, 1996], "year"), ("year", [1.0, 2.0], ""), ("Income", [1900, 1950], "")]
)
def test_years_are_no_amounts(name, values, unit):
    (feature,) = attribute_features(pd.DataFrame({name: values}, dtype="float64"), ())
    assert feature.unit == unit
