"""Why a customer is in a segment: what lies beyond the nearest border, and which features decide between the two.

Belongs here: the geometry of one customer. Squared distances are sums over features, so the difference between the distances to two
segments is a sum of what each feature contributes to it.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segmentation_assets.core.choice.grid_model import FREQUENCY, MONETARY, RECENCY, GridModel
from segmentation_assets.core.clustering.prototypes import PrototypeModel
from segmentation_assets.core.model.segment_model import SegmentModel

CUT = (RECENCY, FREQUENCY, MONETARY)  # by grids


@dataclass(frozen=True)
class Border:
    """The segment whose prototype is nearest but for the customer's own, and the squared distances to both.

    `pulls` has, by feature, what it adds to the difference of the squared distances: above 0 it speaks for the customer's own
    segment, below 0 for the other.
    """

    segment_id: int
    distance: float
    other_distance: float
    pulls: dict[str, float]


def border(model: SegmentModel, customer: pd.DataFrame, segment_id: int) -> Border | None:
    """The border nearest to a customer of `segment_id`; None if the model has no distances or no such segment, or only that one.

    Args:
        customer: one row of customer_features.
    """
    clusters, ids = model.clusters, [segment.segment_id for segment in model.segments]
    if not isinstance(clusters, PrototypeModel) or segment_id not in ids or len(ids) == 1:
        return None
    point = clusters.preprocessor.transform(customer)[0]
    squares = {one: _squares(clusters, point, cluster) for cluster, one in enumerate(ids)}
    other = min((one for one in ids if one != segment_id), key=lambda one: (squares[one].sum(), one))
    own, beyond = squares[segment_id], squares[other]
    return Border(other, float(np.sqrt(own.sum())), float(np.sqrt(beyond.sum())), _by_feature(clusters, beyond - own))


def moved_by(model: SegmentModel, before: pd.DataFrame, now: pd.DataFrame, from_id: int, to_id: int) -> dict[str, float]:
    """By feature, how much its change moved a customer from one segment of the model towards another, in squared distance; empty if
    the model has no distances, or lacks one of the two.

    Args:
        before, now: the customer's row of customer_features at both snapshots.
    """
    clusters, ids = model.clusters, [segment.segment_id for segment in model.segments]
    if not isinstance(clusters, PrototypeModel) or not {from_id, to_id} <= set(ids):
        return {}
    nearer = [_towards(clusters, row, ids.index(from_id), ids.index(to_id)) for row in (before, now)]
    return _by_feature(clusters, nearer[1] - nearer[0])


def shares(pulls: dict[str, float]) -> dict[str, float]:
    """Each pull as a share of all, with its sign, largest first; empty if none pulls.

    >>> shares({"frequency": 3.0, "monetary": -1.0, "age": 0.0})
    {'frequency': 0.75, 'monetary': -0.25, 'age': 0.0}
    """
    total = sum(map(abs, pulls.values()))
    ordered = sorted(pulls.items(), key=lambda pull: -abs(pull[1]))
    return {name: pull / total for name, pull in ordered} if total else {}


def bins(model: SegmentModel, customer: pd.DataFrame, segment_id: int) -> dict[str, tuple[float | None, float | None]]:
    """By feature of a grid, the cut points around a customer of `segment_id`; empty if the model is no grid, or has no such segment."""
    by_model = segment_id in {segment.segment_id for segment in model.segments}
    return model.clusters.bins_of(customer) if isinstance(model.clusters, GridModel) and by_model else {}


def features_of(model: SegmentModel) -> list[str]:
    """The features by which the model places customers."""
    if isinstance(model.clusters, GridModel):
        return list(CUT)
    return [column.name for column in model.clusters.preprocessor.columns_] if model.clusters is not None else []


def _towards(clusters: PrototypeModel, customer: pd.DataFrame, from_cluster: int, to_cluster: int) -> NDArray[np.float64]:
    """By dimension, how much farther the customer is from one cluster than from the other, squared."""
    point = clusters.preprocessor.transform(customer)[0]
    return _squares(clusters, point, from_cluster) - _squares(clusters, point, to_cluster)


def _squares(clusters: PrototypeModel, point: NDArray[np.float64], cluster: int) -> NDArray[np.float64]:
    """Squared differences (d,) from the nearest prototype of a cluster."""
    differences = (clusters.prototypes[clusters.labels == cluster] - point) ** 2
    nearest: NDArray[np.float64] = differences[differences.sum(axis=1).argmin()]
    return nearest


def _by_feature(clusters: PrototypeModel, values: NDArray[np.float64]) -> dict[str, float]:
    """The sums of `values` (d,) over the dimensions of each feature."""
    summed, start = {}, 0
    for column in clusters.preprocessor.columns_:
        stop = start + len(column.dimensions)
        summed[column.name] = float(values[start:stop].sum())
        start = stop
    return summed
