"""What the choice may try, and how much work each family of algorithms may take at it.

A new family is one file with its algorithm and one entry in `FAMILIES`.
"""

from dataclasses import dataclass

from segmentation_assets.core.clustering.algorithm import Algorithm, KMeans
from segmentation_assets.core.clustering.density import DBSCAN, HDBSCAN
from segmentation_assets.core.clustering.ward import Ward
from segmentation_assets.core.clustering.weighted_kmeans import WeightedKMeans


@dataclass(frozen=True)
class SelectionSettings:
    """What may be tried, what counts as distinct, and how much work it may take. Rows are customers; shares are of them."""

    algorithms: tuple[str, ...] = ("kmeans", "weighted_kmeans", "ward", "dbscan")
    k_min: int = 2
    k_max: int = 10
    business_k: int = 5
    fallback_k: int = 3
    min_share: float = 0.02
    min_count: int = 30
    stable_jaccard: float = 0.75
    dissolved_jaccard: float = 0.60
    valley_level: float = 0.05
    bootstraps: int = 100
    splits: int = 5
    sample_rows: int = 10_000
    stability_rows: int = 2_000
    gate_rows: int = 10_000
    eps: float | None = None
    min_samples: int | None = None
    seed: int = 0
    recency: str = "recency_days"
    frequency: str = "frequency"
    # False computes only what the decision needs, for simulations: no gap, prediction strength, seeds or density.
    diagnostics: bool = True

    def __post_init__(self) -> None:
        unknown = sorted(set(self.algorithms) - set(FAMILIES))
        if unknown or "kmeans" not in self.algorithms:
            raise ValueError(f"algorithms must be kmeans and any of {sorted(FAMILIES)}, not {self.algorithms}")
        if not 2 <= self.k_min <= self.k_max or min(self.business_k, self.fallback_k) < 2:
            raise ValueError(f"k must be 2 or more and k_min at most k_max, not {self.k_min} to {self.k_max}")


@dataclass(frozen=True)
class Family:
    """An algorithm at three sizes of work: the sweep on the sample, the many resamples, the gate's many halves."""

    sweep: Algorithm
    resample: Algorithm
    gate: Algorithm


def _kmeans(settings: SelectionSettings) -> Family:
    return Family(KMeans(fit_rows=settings.sample_rows), KMeans(n_init=3), KMeans(n_init=3, fit_rows=1_500))


def _weighted(settings: SelectionSettings) -> Family:
    # Learnt weights are part of the preprocessing: resamples keep them, the gate's halves learn them anew.
    light = WeightedKMeans(rounds=4, n_init=3, fit_rows=1_000)
    return Family(WeightedKMeans(n_init=5, fit_rows=settings.stability_rows), KMeans(n_init=3), light)


def _ward(settings: SelectionSettings) -> Family:
    return Family(Ward(), Ward(direct_limit=2_000, micro_clusters=300), Ward(direct_limit=1_000, micro_clusters=200))


def _dbscan(settings: SelectionSettings) -> Family:
    algorithm = DBSCAN(settings.eps, settings.min_samples)
    return Family(algorithm, algorithm, algorithm)


def _hdbscan(settings: SelectionSettings) -> Family:
    algorithm = HDBSCAN(settings.min_share, settings.min_samples)
    return Family(algorithm, algorithm, algorithm)


FAMILIES = {"kmeans": _kmeans, "weighted_kmeans": _weighted, "ward": _ward, "dbscan": _dbscan, "hdbscan": _hdbscan}
