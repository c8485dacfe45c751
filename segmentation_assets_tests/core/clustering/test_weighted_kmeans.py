"""Weighted k-means gives useless features low weights, and the model has these weights."""

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score

from segmentation_assets.core.clustering.algorithm import KMeans, canonical_order, fit_model
from segmentation_assets.core.clustering.preprocessing import FeaturePreprocessor
from segmentation_assets.core.clustering.prototype_rows import prototypes_from_rows, prototypes_to_rows
from segmentation_assets.core.clustering.weighted_kmeans import WeightedKMeans


def drowned(seed=0):
    """Four segments in two features, six features of noise."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(4), 150)
    signal = np.array([(0, 0), (6, 0), (0, 6), (6, 6)])[truth] + rng.normal(size=(600, 2))
    frame = pd.DataFrame(np.hstack([signal, rng.normal(size=(600, 6))]), columns=list("abcdefgh"))
    return frame, truth


def test_it_finds_segments_that_noise_features_hide_from_plain_kmeans():
    frame, truth = drowned()
    plain = FeaturePreprocessor("none")
    ours, usual = (
        adjusted_rand_score(truth, fit_model(frame, algorithm, 4, 0, plain).assign(frame).label)
        for algorithm in (WeightedKMeans(), KMeans())
    )
    assert ours > 0.98 and usual < ours - 0.01


def test_the_learnt_weights_are_in_the_model_and_survive_its_table():
    frame, _ = drowned()
    model = fit_model(frame, WeightedKMeans(), 4, 0, FeaturePreprocessor("none"))
    weights = {column.name: column.weight for column in model.preprocessor.columns_}
    assert min(weights["a"], weights["b"]) > 10 * max(weights[name] for name in "cdefgh")
    back = prototypes_from_rows(prototypes_to_rows(model))
    np.testing.assert_array_equal(back.assign(frame).label, model.assign(frame).label)


def test_a_category_can_be_weighted_too():
    frame, truth = drowned()
    frame = frame[list("abcd")].assign(region=np.array(["n", "s", "e", "w"])[truth])
    model = fit_model(frame, WeightedKMeans(), 4, 0, FeaturePreprocessor("none"))
    assert adjusted_rand_score(truth, model.assign(frame).label) == 1


def test_row_order_does_not_matter_and_a_constant_feature_does_no_harm():
    frame, _ = drowned()
    points = FeaturePreprocessor("none").fit_transform(frame.assign(dull=1.0))
    model, again = (WeightedKMeans().fit(canonical_order(p), [4], 0)[4] for p in (points, points[::-1]))
    np.testing.assert_array_equal(model.prototypes, again.prototypes)
    assert np.isfinite(model.stretch).all()
