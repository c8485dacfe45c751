"""PrototypeModel: a clustering by any algorithm as labelled points. A customer belongs to the nearest.

Belongs here: assigning customers. Prototypes are found in `algorithm.py` and its neighbours; a model is
written as rows and read back in `prototype_rows.py`. Nothing here is fitted, so scoring cannot change a model.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segmentation_assets.core.customers.columns import AT_ONCE, Customers

if TYPE_CHECKING:
    from segmentation_assets.core.clustering.preprocessing import FeaturePreprocessor


NOISE = -1
# Up to this many prototypes per cluster, comparing with each is faster than building and searching a tree.
_TREE_FROM = 64


@dataclass(frozen=True)
class Assignment:
    """Per customer (n,): cluster `label` (-1 noise), `distance` to the nearest prototype in preprocessed units, and
    `confidence` in [0, 1]: the simplified silhouette (b - a) / b of Hruschka et al. (2004), with a the distance to the
    nearest prototype of its own cluster and b to the nearest of another: 1 at a prototype, 0 on a border. With one cluster
    it is 1. For noise it is 1 - radius / distance: how far outside the radius."""

    label: NDArray[np.int64]
    distance: NDArray[np.float64]
    confidence: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PrototypeModel:
    """Preprocessing, `prototypes` (m, d), their cluster `labels` (m,) in 0..k-1, the number of customers that each represents
    (`weights` (m,)), and for density clusters the `radius` beyond which a customer is noise (None: no noise)."""

    preprocessor: "FeaturePreprocessor"
    prototypes: NDArray[np.float64]
    labels: NDArray[np.int64]
    weights: NDArray[np.float64]
    radius: float | None
    algorithm: str
    k: int
    seed: int

    def __post_init__(self) -> None:
        m = len(self.prototypes)
        if m == 0 or self.labels.shape != (m,) or self.weights.shape != (m,):
            raise ValueError(f"a model needs as many labels and weights as prototypes, at least one; it has {m} prototypes")
        if not np.array_equal(np.unique(self.labels), np.arange(self.k)):
            raise ValueError(f"prototype labels must be exactly 0..{self.k - 1}, not {np.unique(self.labels).tolist()}")

    def inputs(self, features: Customers) -> pd.DataFrame:
        """The columns that the model reads; to copy all takes longer than to assign customers."""
        return features[[column.name for column in self.preprocessor.columns_ if column.name in features.columns]]

    def points(self, features: Customers) -> NDArray[np.float64]:
        """The customers in the space of the prototypes (n, d)."""
        return self.preprocessor.transform(self.inputs(features))

    def assign(self, features: Customers, batch_size: int = AT_ONCE) -> Assignment:
        """Label `features` (n customers, at least the fitted columns), `batch_size` rows at a time to bound memory."""
        inputs = self.inputs(features)
        found = Assignment(np.empty(len(inputs), np.int64), np.empty(len(inputs)), np.empty(len(inputs)))
        for start in range(0, len(inputs), batch_size):
            own = slice(start, start + batch_size)
            part = nearest(self.preprocessor.transform(inputs.iloc[own]), self.prototypes, self.labels, self.radius)
            found.label[own], found.distance[own], found.confidence[own] = part.label, part.distance, part.confidence
        return found


def nearest(
    points: NDArray[np.float64], prototypes: NDArray[np.float64], labels: NDArray[np.int64], radius: float | None = None
) -> Assignment:
    """Assign `points` (n, d) to labelled `prototypes` (m, d).

    A tie goes to the lowest cluster index. Distances are computed pair by pair, because the rounding of a matrix product
    depends on the shape of the batch; so a customer's label never depends on who else is scored.
    """
    n, k = len(points), int(labels.max()) + 1
    if n == 0:
        return Assignment(np.empty(0, np.int64), np.empty(0), np.empty(0))
    to_cluster = np.empty((n, k))
    for cluster in range(k):
        to_cluster[:, cluster] = nearest_distance(points, prototypes[labels == cluster])
    label = np.argmin(to_cluster, axis=1).astype(np.int64)
    distance = to_cluster[np.arange(n), label]
    if k == 1:
        confidence = np.ones(n)
    else:
        other = np.partition(to_cluster, 1, axis=1)[:, 1]
        confidence = np.divide(other - distance, other, out=np.zeros(n), where=other > 0)
    if radius is not None:
        noise = distance > radius
        label[noise] = NOISE
        confidence[noise] = 1.0 - radius / distance[noise]
    return Assignment(label, distance, confidence)


def nearest_distance(points: NDArray[np.float64], prototypes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance (n,) of each of `points` (n, d) to the nearest of `prototypes` (m, d)."""
    if len(prototypes) >= _TREE_FROM:
        from scipy.spatial import cKDTree

        return np.asarray(cKDTree(prototypes).query(points, k=1)[0], dtype=np.float64)
    best = np.full(len(points), np.inf)
    for prototype in prototypes:
        squared = np.zeros(len(points))
        for dimension, coordinate in enumerate(prototype):  # column by column: the same sums in any batch
            squared += (points[:, dimension] - coordinate) ** 2
        np.minimum(best, squared, out=best)
    return np.asarray(np.sqrt(best), dtype=np.float64)
