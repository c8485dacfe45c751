"""The evaluation of a model on its own customers, and of an old model on later ones."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import silhouette_score

from segmentation_assets.core.choice.candidates import measured_again
from segmentation_assets.core.choice.evaluation import evaluate_model
from segmentation_assets.core.clustering.algorithm import fit_kmeans
from segmentation_assets.core.clustering.preprocessing import FeaturePreprocessor
from segmentation_assets.settings.model import ModelSettings

SETTINGS = ModelSettings(resamples=10, seed=0)


def groups(*centers, n=100, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(np.vstack([rng.normal(center, 1, (n, 2)) for center in centers]), columns=["a", "b"])


def test_a_model_fits_its_own_customers():
    frame = groups((0, 0), (12, 0), (0, 12))
    found = evaluate_model(fit_kmeans(frame, 3, 0, FeaturePreprocessor("none")), frame, SETTINGS)
    assert found.explained > 0.9 and found.noise_share == 0
    assert found.customers.tolist() == [100, 100, 100]
    assert found.silhouette.mean() == pytest.approx(found.indices.silhouette)


def test_a_model_whose_segments_have_moved_is_unstable():
    model = fit_kmeans(groups((0, 0), (12, 0), (0, 12)), 3, 0, FeaturePreprocessor("none", winsorize=(0, 1)))
    moved = groups((0, 0), (3, 0), (12, 12))
    assert measured_again(model, moved, SETTINGS).weakest_jaccard < 0.6


def test_one_segment_explains_nothing():
    frame = groups((0, 0), (12, 0))
    found = evaluate_model(fit_kmeans(frame, 1, 0, FeaturePreprocessor("none")), frame, SETTINGS)
    assert found.explained == pytest.approx(0) and np.isnan(found.silhouette).all()


def test_silhouettes_of_clusters_average_to_the_total():
    frame = groups((0, 0), (6, 0))
    model = fit_kmeans(frame, 2, 0, FeaturePreprocessor("none"))
    found = evaluate_model(model, frame, SETTINGS)
    overall = silhouette_score(model.preprocessor.transform(frame), model.assign(frame).label)
    assert found.silhouette @ found.customers / len(frame) == pytest.approx(overall)
    assert found.indices.silhouette == pytest.approx(overall)
