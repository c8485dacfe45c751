"""The model in force as rows (component, position, name, field, value, text), so that SQL can read it and no pickle is needed."""

import math
from collections.abc import Iterator
from dataclasses import asdict, fields
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segmentation_assets.core.choice.candidates import Candidate
from segmentation_assets.core.choice.grid_model import COMPONENT, GridModel
from segmentation_assets.core.clustering.prototype_rows import prototypes_from_rows, prototypes_to_rows
from segmentation_assets.core.clustering.prototypes import PrototypeModel
from segmentation_assets.core.model import drift
from segmentation_assets.core.model.segment_model import Provenance, Segment, SegmentModel, no_sample

COLUMNS = ("component", "position", "name", "field", "value", "text")
DRIFT_TEXTS, DRIFT_FLAGS = ("kind", "subject", "statistic"), ("flagged", "in_model")
Row = tuple[str, int, str, str, float, str | None]


def model_to_rows(model: SegmentModel) -> pd.DataFrame:
    """Every part of the model as rows."""
    rows = [*_provenance_rows("provenance", model.provenance)]
    if model.refused is not None:
        rows += _provenance_rows("refused challenger", model.refused)
    for position, segment in enumerate(model.segments):
        rows.append(("segment", position, segment.name, "segment_id", float(segment.segment_id), segment.name))
        rows.append(("segment", position, segment.name, "character", math.nan, segment.character))
        rows.append(("segment", position, segment.name, "leaning", math.nan, segment.leaning))
    for position, reference in enumerate(model.references):
        rows += _reference_rows(position, reference)
    rows += [*_point_rows("yardstick", model.yardstick), *_point_rows("training sample", model.sample)]
    for position, candidate in enumerate(model.candidates):
        rows += _candidate_rows(position, candidate)
    for position, found in enumerate(model.drifted.to_dict("records")):
        texts = {name: found.pop(name) for name in DRIFT_TEXTS}
        rows += [("drift", position, texts["subject"], name, math.nan, text) for name, text in texts.items()]
        rows += [
            ("drift", position, texts["subject"], str(name), math.nan if pd.isna(value) else float(value), None)
            for name, value in found.items()
        ]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    parts = [frame] if model.clusters is None else [frame, _cluster_rows(model.clusters)]
    return pd.concat(parts, ignore_index=True).assign(model_version=model.provenance.model_version)


def model_from_rows(frame: pd.DataFrame) -> SegmentModel:
    """The model that `write` wrote, whatever the order of its rows. ValueError where its provenance is missing."""
    parts = {str(name): rows for name, rows in frame.groupby("component")}
    if "provenance" not in parts:
        raise ValueError("segmentation_model has lost its provenance rows; train a new model by running the snapshot again")

    def each(component: str) -> Iterator[pd.DataFrame]:
        """The rows of each item of the component, in order."""
        return (rows for _, rows in parts[component].groupby("position")) if component in parts else iter(())

    return SegmentModel(
        clusters=_clusters(frame, set(parts)),
        segments=tuple(map(_segment, each("segment"))),
        provenance=_provenance(parts["provenance"]),
        references=tuple(map(_reference, each("training"))),
        yardstick=_points(parts["yardstick"]) if "yardstick" in parts else no_sample(),
        sample=_points(parts["training sample"]) if "training sample" in parts else no_sample(),
        candidates=tuple(map(_candidate, each("candidate"))),
        refused=_provenance(parts["refused challenger"]) if "refused challenger" in parts else None,
        drifted=pd.DataFrame(list(map(_drifted, each("drift"))), columns=list(drift.COLUMNS)).astype({"flagged": "boolean"}),
    )


def _provenance_rows(component: str, about: Provenance) -> list[Row]:
    return [(component, 0, "model", name, math.nan, str(value)) for name, value in asdict(about).items()]


def _reference_rows(position: int, reference: drift.Reference) -> list[Row]:
    def row(name: str, value: float, text: str | None = None) -> Row:
        return ("training", position, reference.subject, name, value, text)

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


def _candidate_rows(position: int, candidate: Candidate) -> list[Row]:
    values = asdict(candidate) | {f"jaccard {i}": j for i, j in enumerate(candidate.jaccard)}
    del values["jaccard"]
    return [
        ("candidate", position, candidate.algorithm, name, math.nan, value)
        if isinstance(value, str)
        else ("candidate", position, candidate.algorithm, name, float(value), None)
        for name, value in values.items()
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
    texts = by_field["text"]
    return Segment(int(by_field.at["segment_id", "value"]), texts["segment_id"], texts["character"], texts["leaning"])


def _reference(rows: pd.DataFrame) -> drift.Reference:
    """In one pass: a model has forty of them, and every asset downstream reads the model."""
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


def _points(rows: pd.DataFrame) -> NDArray[np.float64]:
    dimension = rows["field"].str.removeprefix("coordinate ").astype(int)
    points = np.empty((int(rows["position"].max()) + 1, int(dimension.max()) + 1))
    points[rows["position"].to_numpy(), dimension.to_numpy()] = rows["value"].to_numpy()
    return points


def _candidate(rows: pd.DataFrame) -> Candidate:
    numbers = dict(zip(rows["field"], rows["value"], strict=True))
    text = dict(zip(rows["field"], rows["text"], strict=True))
    values: dict[str, Any] = {}
    for part in fields(Candidate):
        if part.name != "jaccard":
            values[part.name] = text[part.name] if part.type is str else part.type(numbers[part.name])  # type: ignore[operator]
    jaccard = sorted((int(name.split()[1]), float(value)) for name, value in numbers.items() if name.startswith("jaccard "))
    return Candidate(**values, jaccard=tuple(value for _, value in jaccard))


def _drifted(rows: pd.DataFrame) -> dict[str, Any]:
    by_field = rows.set_index("field")
    found = {name: by_field.at[name, "text" if name in DRIFT_TEXTS else "value"] for name in drift.COLUMNS}
    return found | {name: None if pd.isna(found[name]) else bool(found[name]) for name in DRIFT_FLAGS}
