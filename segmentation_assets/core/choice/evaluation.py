"""The chosen model measured on one snapshot's customers: overall, per segment, and against a single segment of everyone.

Belongs here: figures for the snapshot itself. `forward_validity` measures what segments say about the next window.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segmentation_assets.core.choice.candidates import fixed
from segmentation_assets.core.choice.readings import reading
from segmentation_assets.core.clustering.algorithm import Indices, canonical_order, internal_indices, silhouettes, without_noise
from segmentation_assets.core.clustering.prototypes import Assignment, PrototypeModel
from segmentation_assets.core.customers.columns import Customers
from segmentation_assets.settings.model import ModelSettings


@dataclass(frozen=True, eq=False)
class ModelEvaluation:
    """`indices`; `explained`, the share of the squared distance to the common centre that segments account for (0 for the
    k = 1 baseline; without noise); and per cluster (k,) `customers` and `silhouette`."""

    indices: Indices
    explained: float
    noise_share: float
    customers: NDArray[np.int64]
    silhouette: NDArray[np.float64]


def evaluate_model(model: PrototypeModel, features: Customers, settings: ModelSettings) -> ModelEvaluation:
    """Measure `model` on `features` (n customers) in its own preprocessed space."""
    points = canonical_order(model.points(features))
    labels = fixed(model).assign(points).label
    rows, values = silhouettes(points, labels, settings.seed)
    return ModelEvaluation(
        indices=internal_indices(points, labels, values),
        explained=explained(*without_noise(points, labels)),
        noise_share=float((labels < 0).mean()),
        customers=np.bincount(labels[labels >= 0], minlength=model.k),
        silhouette=_by_cluster(labels[rows], values, model.k),
    )


def sizes(found: Assignment, k: int) -> dict[str, float]:
    """Shares of the smallest and largest of k segments, and mean confidence and distance."""
    shares = np.bincount(found.label[found.label >= 0], minlength=k) / len(found.label)
    measured = {"smallest_share": float(shares.min()), "largest_share": float(shares.max())}
    if np.isfinite(found.distance).all():  # a grid has no distances
        measured |= {"mean_confidence": float(found.confidence.mean()), "mean_distance": float(found.distance.mean())}
    return measured


def named_metrics(judged: ModelEvaluation, names: Sequence[str]) -> dict[str, float]:
    """`judged` as metrics by name; a segment's metrics have its name after a colon."""
    overall = {
        "silhouette": judged.indices.silhouette, "calinski_harabasz": judged.indices.calinski_harabasz,
        "davies_bouldin": judged.indices.davies_bouldin, "explained": judged.explained, "noise_share": judged.noise_share,
    }  # fmt: skip
    each = {"customers": judged.customers, "silhouette": judged.silhouette}
    return overall | {f"{what}: {name}": float(v) for what, values in each.items() for name, v in zip(names, values, strict=True)}


def stability_metrics(segments: Sequence[tuple[str, float, float]]) -> dict[str, float]:
    """Stability of each segment (name, bootstrap Jaccard, its standard error) and of the weakest, as metrics by name."""
    if not segments:
        return {}
    _, weakest, error = min(segments, key=lambda segment: segment[1])
    each = {f"{what}: {name}": value for name, *both in segments for what, value in zip(("jaccard", "jaccard_error"), both, strict=True)}
    return {"weakest_jaccard": weakest, "weakest_jaccard_error": error} | each


def stability_in_words(metrics: Mapping[str, float]) -> str:
    """Hennig's (2007) word for each segment's bootstrap Jaccard: whether clustering today's customers again finds it."""
    words = [f"{name.removeprefix('jaccard: ')}: {reading(value)}" for name, value in metrics.items() if name.startswith("jaccard: ")]
    return "; ".join(words) or "not measured"


def _by_cluster(labels: NDArray[np.int64], values: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """The mean of the values (s,) with each of the labels (s,) from 0 to k - 1; NaN for one without values."""
    sizes = np.bincount(labels, minlength=k)
    sums = np.bincount(labels, weights=values, minlength=k)
    return np.asarray(np.divide(sums, sizes, out=np.full(k, np.nan), where=sizes > 0), dtype=np.float64)


def explained(points: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Share of the squared distance of points (n, d) to their centre that lies between labels (n,); NaN if all are alike."""
    total = _around_centre(points) if len(points) else 0.0
    if total <= 0:
        return np.nan
    return 1.0 - sum(_around_centre(points[labels == c]) for c in np.unique(labels)) / total


def _around_centre(points: NDArray[np.float64]) -> float:
    """Sum of the squared distances of points (n, d) to their centre."""
    away = points - points.mean(axis=0)
    return float(np.square(away, out=away).sum())
