"""Customers of whom a column is read when it is asked for: with the values of those in memory, and never all at once."""

import weakref

import numpy as np
import pandas as pd
import pytest

from segmentation_assets.core.customers import exploration
from segmentation_assets.core.customers.columns import CustomerColumns
from segmentation_assets.core.customers.exploration import active_only
from segmentation_assets.core.customers.feature_catalog import FEATURES
from segmentation_assets.core.customers.matching import together
from segmentation_assets.vocabulary import Status

RNG = np.random.default_rng(5)


def shop(customers: int) -> pd.DataFrame:
    """Customers with ties, missing values, an attribute of text and one of numbers."""
    spend = np.round(RNG.lognormal(3, 1, customers), 1)
    return pd.DataFrame({
        "customer_id": [f"c{i:04d}" for i in range(customers)],
        "status": RNG.choice([Status.ACTIVE, Status.LAPSED, Status.PROSPECT], customers, p=[0.7, 0.2, 0.1]).astype(str),
        "recency_days": RNG.integers(0, 90, customers).astype(float), "frequency": RNG.integers(1, 4, customers).astype(float),
        "monetary": np.where(RNG.random(customers) < 0.1, np.nan, spend), "tenure_days": 30.0,
        "region": RNG.choice(["north", "south", None], customers), "cars": RNG.choice([0.0, 1.0, 2.0, np.nan], customers),
    })  # fmt: skip


@pytest.mark.parametrize("customers", [0, 1, 2, 700])
@pytest.mark.parametrize(
    "described",
    [
        exploration.feature_summary, exploration.feature_distributions, exploration.feature_missingness, exploration.feature_outliers,
        exploration.attribute_spend, lambda features, known: exploration.feature_correlations(features, known, most=300),
    ],
    ids=["summary", "distributions", "missingness", "outliers", "spend", "correlations of a sample"],
)  # fmt: skip
def test_customers_are_described_as_from_memory(described, customers):
    frame = shop(customers)
    pd.testing.assert_frame_equal(described(CustomerColumns.of(frame), FEATURES), described(frame, FEATURES), check_exact=True)


def test_some_rows_are_those_of_pandas():
    frame = shop(50)
    columns = CustomerColumns.of(frame)
    active = active_only(frame).reset_index(drop=True)
    found = active_only(columns)
    assert (len(found), found.empty, "region" in found, "size" in found) == (len(active), False, True, False)
    pd.testing.assert_frame_equal(found[list(frame.columns)], active)
    pd.testing.assert_frame_equal(found.sample(5, random_state=3), active.sample(5, random_state=3))
    pd.testing.assert_frame_equal(found.at(np.array([3, 1]))[["monetary"]], active[["monetary"]].iloc[[3, 1]].reset_index(drop=True))
    assert list(found.select_dtypes("number").columns) == list(active.select_dtypes("number").columns)
    assert found.assign(monetary=pd.Series(1.0, active.index))["monetary"].eq(1).all()


@pytest.mark.parametrize("order", [["a", "b", "c"], ["c", "a", "x"]])
def test_two_tables_side_by_side_have_the_customers_of_both(order):
    left = pd.DataFrame({"customer_id": ["a", "b", "c"], "x": [1, 2, 3]})
    right = pd.DataFrame({"customer_id": order, "y": [7, 8, 9]})
    found = together(CustomerColumns.of(left), CustomerColumns.of(right))
    pd.testing.assert_frame_equal(found[["customer_id", "x", "y"]], left.merge(right, on="customer_id"))


@pytest.mark.parametrize(("ours", "theirs"), [(["a", "a"], ["a", "a"]), (["a", "b"], ["b", "b"])])
def test_a_customer_twice_is_refused(ours, theirs):
    with pytest.raises(pd.errors.MergeError):
        together(*(CustomerColumns.of(pd.DataFrame({"customer_id": ids})) for ids in (ours, theirs)))


@pytest.mark.parametrize("described", [exploration.feature_summary, exploration.feature_missingness, exploration.attribute_spend])
def test_a_description_keeps_no_more_than_a_few_columns(described):
    frame, given, most = shop(100), list[weakref.ref[pd.Series]](), 0

    def read(name: str) -> pd.Series:
        nonlocal most
        values = frame[name].copy()
        given.append(weakref.ref(values))
        most = max(most, sum(reference() is not None for reference in given))
        return values

    described(CustomerColumns(dict(frame.dtypes), read, len(frame)), FEATURES)
    assert len(given) > 2 * most
    assert most <= 3
