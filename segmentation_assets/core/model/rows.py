"""A model as rows (component, position, name, field, value, text), so that SQL can read it and no pickle is needed.

A model's rows are published with each snapshot; those of its training population are kept only in the archive. Up to version 0.1.0,
both were in every partition, together with candidates and drift, so readers here ignore components that are not theirs.
"""

import math
from collections.abc import Iterator
from dataclasses import asdict, fields
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segmentation_assets.core.choice.grid_model import COMPONENT, GridModel
from segmentation_assets.core.clustering.prototype_rows import prototypes_from_rows, prototypes_to_rows
from segmentation_assets.core.clustering.prototypes import PrototypeModel
from segmentation_assets.core.model import drift
from segmentation_assets.core.model.pace import Pace
from segmentation_assets.core.model.population import TrainingPopulation, no_points
from segmentation_assets.core.model.segment_model import Provenance, Segment, SegmentModel

COLUMNS = ("component", "position", "name", "field", "value", "text")
REFERENCE, REFERENCE_PROTOTYPE, SAMPLE = "training", "yardstick", "training sample"
Row = tuple[str, int, str, str, float, str | None]


def model_to_rows(model: SegmentModel) -> pd.DataFrame:
    """Clusters, preprocessing, segments and provenance as rows."""
    rows = _provenance_rows(model.provenance)
    for position, segment in enumerate(model.segments):
        rows.append(("segment", position, segment.name, "segment_id", float(segment.segment_id), segment.name))
        rows.append(("segment", position, segment.name, "character", math.nan, segment.character))
        rows.append(("segment", position, segment.name, "leaning", math.nan, segment.leaning))
        rows.append(("segment", position, segment.name, "state", math.nan, segment.state))
        measured = {"jaccard": segment.jaccard, "jaccard_error": segment.jaccard_error} | (asdict(segment.pace) if segment.pace else {})
        rows += [("segment", position, segment.name, name, value, None) for name, value in measured.items() if value is not None]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    parts = [frame] if model.clusters is None else [frame, _cluster_rows(model.clusters)]
    return pd.concat(parts, ignore_index=True).assign(model_version=model.provenance.model_version)


def model_from_rows(frame: pd.DataFrame) -> SegmentModel:
    """The model that `model_to_rows` wrote, in any row order. ValueError if its provenance is missing."""
    provenance = frame[frame["component"] == "provenance"]
    if provenance.empty:
        raise ValueError("segmentation_model has lost its provenance rows; train a new model by running the snapshot again")
    return SegmentModel(
        clusters=_clusters(frame, set(frame["component"])),
        segments=tuple(map(_segment, _each(frame, "segment"))),
        provenance=_provenance(provenance),
    )


def population_to_rows(population: TrainingPopulation) -> pd.DataFrame:
    """References, reference prototypes and sample as rows."""
    rows = [row for position, reference in enumerate(population.references) for row in _reference_rows(position, reference)]
    rows += [*_point_rows(REFERENCE_PROTOTYPE, population.reference_prototypes), *_point_rows(SAMPLE, population.sample)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def population_from_rows(frame: pd.DataFrame) -> TrainingPopulation | None:
    """The population that `population_to_rows` wrote, in any row order; None if the frame has none."""
    references = tuple(map(_reference, _each(frame, REFERENCE)))
    return TrainingPopulation(references, _points(frame, REFERENCE_PROTOTYPE), _points(frame, SAMPLE)) if references else None


def _each(frame: pd.DataFrame, component: str) -> Iterator[pd.DataFrame]:
    """The rows of each item of the component, in order."""
    return (rows for _, rows in frame[frame["component"] == component].groupby("position"))


def _provenance_rows(about: Provenance) -> list[Row]:
    return [("provenance", 0, "model", name, math.nan, str(value)) for name, value in asdict(about).items()]


def _reference_rows(position: int, reference: drift.Reference) -> list[Row]:
    def row(name: str, value: float, text: str | None = None) -> Row:
        return (REFERENCE, position, reference.subject, name, value, text)

    return [
        row("kind", math.nan, reference.kind),
        row("customers", float(reference.customers)),
        row("categorical", float(reference.categorical)),
        *(row(f"edge {i}", edge) for i, edge in enumerate(reference.edges)),
        *(row(f"level {i}", math.nan, level) for i, level in enumerate(reference.levels)),
        *(row(f"share {i}", share) for i, share in enumerate(reference.shares)),
    ]


def _point_rows(component: str, points: NDArray[np.float64]) -> list[Row]:
    return [
        (component, position, "", f"coordinate {d}", value, None)
        for position, point in enumerate(points.tolist())
        for d, value in enumerate(point)
    ]


def _provenance(rows: pd.DataFrame) -> Provenance:
    text = dict(zip(rows["field"], rows["text"], strict=True))
    kinds = {f.name: f.type for f in fields(Provenance)}
    values: dict[str, Any] = {name: int(text[name]) if kind is int else text[name] for name, kind in kinds.items() if name in text}
    return Provenance(**values)


def _cluster_rows(clusters: PrototypeModel | GridModel) -> pd.DataFrame:
    return clusters.to_frame() if isinstance(clusters, GridModel) else prototypes_to_rows(clusters)


def _clusters(frame: pd.DataFrame, components: set[str]) -> PrototypeModel | GridModel | None:
    if COMPONENT in components:
        return GridModel.from_frame(frame)
    return prototypes_from_rows(frame) if "prototype" in components else None


def _segment(rows: pd.DataFrame) -> Segment:
    by_field = rows.set_index("field")
    texts, values = by_field["text"], by_field["value"].dropna().to_dict()
    paces = [values[f.name] for f in fields(Pace) if f.name in values]
    return Segment(
        int(values["segment_id"]), texts["segment_id"], texts["character"], texts["leaning"], values.get("jaccard"),
        values.get("jaccard_error"), texts.get("state", ""), Pace(*paces) if paces else None,
    )  # fmt: skip


def _reference(rows: pd.DataFrame) -> drift.Reference:
    """Read in one pass over the rows, because a population has forty references."""
    single: dict[str, Any] = {}
    numbered: dict[str, dict[int, Any]] = {"edge": {}, "level": {}, "share": {}}
    for name, value, text in zip(rows["field"].tolist(), rows["value"].tolist(), rows["text"].tolist(), strict=True):
        kind, _, place = name.partition(" ")
        if place:
            numbered[kind][int(place)] = text if kind == "level" else value
        else:
            single[name] = text if name == "kind" else value
    edges, levels, shares = (tuple(found[place] for place in sorted(found)) for found in numbered.values())
    return drift.Reference(
        kind=single["kind"], subject=str(rows["name"].iloc[0]), customers=int(single["customers"]), shares=shares, edges=edges,
        levels=levels, categorical=bool(single["categorical"]),
    )  # fmt: skip


def _points(frame: pd.DataFrame, component: str) -> NDArray[np.float64]:
    rows = frame[frame["component"] == component]
    if rows.empty:
        return no_points()
    dimension = rows["field"].str.removeprefix("coordinate ").astype(int)
    points = np.empty((int(rows["position"].max()) + 1, int(dimension.max()) + 1))
    points[rows["position"].to_numpy(), dimension.to_numpy()] = rows["value"].to_numpy()
    return points
