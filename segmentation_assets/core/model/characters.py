"""Who each segment is at a snapshot: its state, whether its customers are changing, and the name that says both."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from segmentation_assets.core.choice.grid_model import GridModel
from segmentation_assets.core.clustering.feature_columns import CategoricalColumn
from segmentation_assets.core.clustering.prototypes import PrototypeModel
from segmentation_assets.core.customers.columns import Customers
from segmentation_assets.core.model import attribute_names, naming, pace
from segmentation_assets.core.model.segment_model import Segment
from segmentation_assets.vocabulary import Character


def judged(
    segments: tuple[Segment, ...],
    clusters: PrototypeModel | GridModel | None,
    active: Customers,
    labels: Mapping[str, str],
    at_once: bool = False,
) -> tuple[Segment, ...]:
    """The segments as the customers show them who are in them now; one without customers stays as it was, and so does a grid's cell.

    Args:
        segments: that of each cluster; without a state where it was born just now, or comes from a model of version 0.1.0.
        active: rows of customer_features.
        labels: what the settings call attributes.
        at_once: take on another state when it is first shown, as after a change of model, which puts other customers into the segments.
    """
    if not isinstance(clusters, PrototypeModel) or active.empty:
        return segments
    placed = clusters.assign(active).label
    if naming.FREQUENCY not in active:
        return _by_attributes(segments, clusters, active, placed, labels)
    found = zip(segments, naming.standings(active, placed, clusters.k), pace.paces(clusters, active, placed), strict=True)
    seen = [segment.judged(at, its, at_once) if at is not None else replace(segment, pace=None) for segment, at, its in found]
    bases = [naming.base(segment.name, segment.character) for segment in segments]
    spend = active["monetary"].groupby(placed).median().reindex(range(clusters.k)).tolist()
    names = naming.names([segment.state for segment in seen], bases, spend)
    return tuple(replace(s, name=name + naming.CHANGES.get(s.character, "")) for s, name in zip(seen, names, strict=True))


def _by_attributes(
    segments: tuple[Segment, ...], clusters: PrototypeModel, active: Customers, placed: NDArray[np.int64], labels: Mapping[str, str]
) -> tuple[Segment, ...]:
    """The segments of customers without orders, of whom nothing is known but how they compare with others."""
    columns = [column for column in clusters.preprocessor.columns_ if column.weight > 0]
    inputs = [column.name for column in columns]
    codes = [column.name for column in columns if isinstance(column, CategoricalColumn)]
    marks = attribute_names.marks(active[inputs].reset_index(drop=True), placed, clusters.k, codes, labels)
    empty = set(range(clusters.k)) - set(placed.tolist())
    names = attribute_names.names(marks, inputs, [segment.name for segment in segments], empty, labels)
    kind = Character.DESCRIBED
    return tuple(replace(s, name=name, character=kind, state=kind, leaning="", pace=None) for s, name in zip(segments, names, strict=True))
