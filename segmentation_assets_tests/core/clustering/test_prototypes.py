"""A customer's label depends only on the customer and the model."""

import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentation_assets.core.clustering.algorithm import fit_kmeans
from segmentation_assets.core.clustering.feature_columns import NumericColumn
from segmentation_assets.core.clustering.preprocessing import FeaturePreprocessor
from segmentation_assets.core.clustering.prototype_rows import prototypes_from_rows, prototypes_to_rows
from segmentation_assets.core.clustering.prototypes import NOISE, PrototypeModel, nearest
from segmentation_assets_tests.conftest import examples


def customers(n=400, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "recency_days": rng.integers(0, 365, n).astype(float),
            "frequency": rng.geometric(0.2, n),
            "monetary": rng.lognormal(4, 1, n),
            "age_years": np.where(rng.random(n) < 0.2, np.nan, rng.normal(40, 9, n)),
            "region": rng.choice(["north", "south", None, "(missing)"], n, p=[0.5, 0.3, 0.1, 0.1]),
        }
    )


def identity_model(prototypes, labels, radius=None):
    """A model with these prototypes and a preprocessor that changes nothing."""
    names = [f"x{i}" for i in range(np.shape(prototypes)[1])]
    columns = [NumericColumn(name, "none", 1.0, -1e9, 1e9, 0.0, 0.0, 1.0, 1.0) for name in names]
    labels = np.array(labels)
    return PrototypeModel(
        FeaturePreprocessor.from_columns(columns),
        np.array(prototypes, float),
        labels,
        np.ones(len(labels)),
        radius,
        "by hand",
        int(labels.max()) + 1,
        0,
    )


def test_nearest_prototype_wins_and_confidence_falls_to_zero_at_the_border():
    model = identity_model([[0.0], [10.0]], [0, 1])
    found = model.assign(pd.DataFrame({"x0": [0.0, 2.5, 5.0, 9.0]}))
    assert found.label.tolist() == [0, 0, 0, 1]  # a tie goes to the lowest cluster
    np.testing.assert_allclose(found.distance, [0, 2.5, 5, 1])
    np.testing.assert_allclose(found.confidence, [1, 1 - 2.5 / 7.5, 0, 1 - 1 / 9])


def test_confidence_compares_with_the_nearest_other_cluster_not_prototype():
    model = identity_model([[0.0], [1.0], [10.0]], [0, 0, 1])
    assert model.assign(pd.DataFrame({"x0": [0.5]})).confidence[0] == pytest.approx(1 - 0.5 / 9.5)


def test_beyond_the_radius_is_noise_and_on_it_is_not():
    found = identity_model([[0.0]], [0], radius=2.0).assign(pd.DataFrame({"x0": [2.0, 4.0]}))
    assert found.label.tolist() == [0, NOISE]
    assert found.confidence.tolist() == [1.0, 0.5]


def test_many_prototypes_give_the_same_as_a_plain_comparison_with_each():
    rng = np.random.default_rng(0)
    prototypes, labels, points = rng.normal(size=(300, 3)), np.sort(rng.integers(0, 2, 300)), rng.normal(size=(200, 3))
    distances = np.linalg.norm(points[:, None] - prototypes[None], axis=2)
    found = nearest(points, prototypes, labels)
    np.testing.assert_array_equal(found.label, labels[distances.argmin(axis=1)])
    np.testing.assert_allclose(found.distance, distances.min(axis=1))


@pytest.mark.parametrize("batch_size", [1, 7, 400, 10_000])
def test_labels_do_not_depend_on_row_order_or_batch_size(batch_size):
    frame = customers()
    model = fit_kmeans(frame, 4, seed=0)
    expected = pd.Series(model.assign(frame).label, index=frame.index)
    shuffled = frame.sample(frac=1, random_state=5)
    found = pd.Series(model.assign(shuffled, batch_size=batch_size).label, index=shuffled.index)
    pd.testing.assert_series_equal(found.sort_index(), expected)


def through_parquet(frame):
    buffer = io.BytesIO()
    frame.to_parquet(buffer)
    return pd.read_parquet(io.BytesIO(buffer.getvalue()))


@pytest.mark.parametrize("journey", [lambda f: f, lambda f: f.sample(frac=1, random_state=2), through_parquet])
def test_a_model_read_back_gives_the_same_labels_to_the_bit(journey):
    frame = customers()
    model = fit_kmeans(frame, 5, seed=2**32 - 1)
    back = prototypes_from_rows(journey(prototypes_to_rows(model)))
    for name in ("label", "distance", "confidence"):
        np.testing.assert_array_equal(getattr(back.assign(frame), name), getattr(model.assign(frame), name))
    assert back.preprocessor.columns_ == model.preprocessor.columns_
    assert (back.algorithm, back.k, back.seed, back.radius) == ("kmeans", 5, 2**32 - 1, None)


@examples(15)
@given(st.floats(1e-300, 1e300), st.integers(1, 80))
def test_any_radius_and_any_number_of_prototypes_survive_the_table(radius, m):
    model = identity_model(np.arange(m, dtype=float)[:, None] / 3, [0] * m, radius)
    back = prototypes_from_rows(prototypes_to_rows(model))
    assert back.radius == radius and np.array_equal(back.prototypes, model.prototypes)


def test_the_table_is_tidy():
    table = prototypes_to_rows(fit_kmeans(customers(), 3, seed=0))
    assert list(table.columns) == ["component", "position", "name", "field", "value", "text"]
    assert table["value"].dtype == np.float64 and table["position"].dtype == np.int64
    assert {type(text) for text in table["text"]} == {str, type(None)}
    assert not table.duplicated(["component", "position", "name", "field"]).any()


def test_a_table_with_lost_rows_is_refused():
    table = prototypes_to_rows(fit_kmeans(customers(), 3, seed=0))
    with pytest.raises(ValueError, match=r"lost coordinates.*restore it or train"):
        prototypes_from_rows(table.drop(table.index[-1]))
    with pytest.raises(ValueError, match="rows were lost"):
        prototypes_from_rows(table[table["component"] == "model"])
    with pytest.raises(ValueError, match="lacks columns"):
        prototypes_from_rows(table.drop(columns="text"))


def test_scoring_no_customers_gives_an_empty_assignment():
    assert len(identity_model([[0.0]], [0]).assign(pd.DataFrame({"x0": []})).label) == 0
