"""The families of algorithms, and how much work each may take.

A new family is one file with its algorithm and one entry in `FAMILIES`.
"""

from dataclasses import dataclass

from segmentation_assets.core.clustering.algorithm import Algorithm, KMeans
from segmentation_assets.core.clustering.density import DBSCAN, HDBSCAN
from segmentation_assets.core.clustering.ward import Ward
from segmentation_assets.core.clustering.weighted_kmeans import WeightedKMeans
from segmentation_assets.settings.model import ModelSettings


@dataclass(frozen=True)
class Family:
    """An algorithm at three sizes of work: the sweep on the sample, the many resamples, the gate's many halves."""

    sweep: Algorithm
    resample: Algorithm
    gate: Algorithm


def _kmeans(settings: ModelSettings) -> Family:
    return Family(KMeans(fit_rows=settings.sample), KMeans(n_init=3), KMeans(n_init=3, fit_rows=1_500))


def _weighted(settings: ModelSettings) -> Family:
    # Learnt weights are part of the preprocessing: resamples keep them, the gate's halves relearn them.
    light = WeightedKMeans(rounds=4, n_init=3, fit_rows=1_000)
    return Family(WeightedKMeans(n_init=5, fit_rows=settings.stability_sample), KMeans(n_init=3), light)


def _ward(settings: ModelSettings) -> Family:
    # A resample or a half is compared with others, so a few rows near a border do not matter there.
    light, lighter = Ward(2_000, exact_limit=0, micro_clusters=300), Ward(1_000, exact_limit=0, micro_clusters=200)
    return Family(Ward(), light, lighter)


def _dbscan(settings: ModelSettings) -> Family:
    algorithm = DBSCAN(settings.eps, settings.min_samples)
    return Family(algorithm, algorithm, algorithm)


def _hdbscan(settings: ModelSettings) -> Family:
    algorithm = HDBSCAN(settings.min_share, settings.min_samples)
    return Family(algorithm, algorithm, algorithm)


FAMILIES = {"kmeans": _kmeans, "weighted_kmeans": _weighted, "ward": _ward, "dbscan": _dbscan, "hdbscan": _hdbscan}
