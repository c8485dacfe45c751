"""The settings in the words of the model's core: what may be tried, and how features enter the geometry.

Belongs here: translation only, so that the assets that choose and judge a model ask for the same.
"""

from segmentation_assets.core.clustering.families import SelectionSettings
from segmentation_assets.core.clustering.preprocessing import FeaturePreprocessor
from segmentation_assets.core.customers.features import declared
from segmentation_assets.core.model.champion import Retraining
from segmentation_assets.core.model.drift import DriftRule
from segmentation_assets.core.model.training import Wanted
from segmentation_assets.settings.loading import Settings


def selection_settings(settings: Settings) -> SelectionSettings:
    """What the choice may try, what counts as distinct, and how much work it may take."""
    model = settings.model
    return SelectionSettings(
        algorithms=model.algorithms, k_min=model.k_min, k_max=model.k_max, business_k=model.k, fallback_k=model.fallback_k,
        min_share=model.min_share, min_count=model.min_count, stable_jaccard=model.stable_jaccard,
        dissolved_jaccard=model.dissolved_jaccard, valley_level=model.valley_level, bootstraps=model.resamples, splits=model.splits,
        sample_rows=model.sample, stability_rows=model.stability_sample, gate_rows=model.gate_sample, eps=model.eps,
        min_samples=model.min_samples, seed=model.seed,
    )  # fmt: skip


def wanted(settings: Settings) -> Wanted:
    """What the settings ask of a model."""
    model = settings.model
    preprocessor = FeaturePreprocessor(
        numeric_transform={feature.name: feature.transform for feature in declared(settings.features)}
        if model.transform == "declared"
        else model.transform,
        scaling=model.scaling,
        winsorize=(model.winsorize, 1 - model.winsorize),
        weights=dict(model.weights),
        categorical=model.categorical,
    )
    return Wanted(model.features, selection_settings(settings), settings.model_digest(), preprocessor)


def retraining(settings: Settings) -> Retraining:
    """When a challenger is trained, and its gates."""
    retrain = settings.retrain
    return Retraining(
        policy=retrain.policy, max_age=retrain.max_age, trusted_jaccard=settings.model.dissolved_jaccard,
        largest_reassigned=retrain.largest_reassigned, least_fit_gain=retrain.least_fit_gain,
        largest_forward_loss=retrain.largest_forward_loss,
    )  # fmt: skip


def drift_rule(settings: Settings) -> DriftRule:
    """What is an alarm."""
    drift = settings.drift
    return DriftRule(drift.alpha, drift.psi_threshold, drift.auc_threshold, seed=settings.model.seed)
