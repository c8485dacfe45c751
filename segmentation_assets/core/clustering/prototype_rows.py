"""A PrototypeModel as rows of a table, and back, without pickle: (component, position, name, field, value, text).

Numbers are float64 and are preserved bit for bit; text is for names. Parquet, DuckDB and CSV with 17 digits all preserve a model.
"""

import math
from dataclasses import fields

import numpy as np
import pandas as pd

from segmentation_assets.core.clustering.feature_columns import CategoricalColumn, Column, NumericColumn
from segmentation_assets.core.clustering.prototypes import PrototypeModel

COLUMNS = ("component", "position", "name", "field", "value", "text")
Row = tuple[str, int, str, str, float, str | None]
_NUMERIC_FIELDS = tuple(f.name for f in fields(NumericColumn) if f.name not in ("name", "transform"))


def prototypes_to_rows(model: PrototypeModel) -> pd.DataFrame:
    """The rows of `model`, ordered by component and position."""
    rows: list[Row] = [
        ("model", 0, model.algorithm, "algorithm", math.nan, model.algorithm),
        ("model", 0, model.algorithm, "k", float(model.k), None),
        ("model", 0, model.algorithm, "seed", math.nan, str(model.seed)),
    ]
    if model.radius is not None:
        rows.append(("model", 0, model.algorithm, "radius", model.radius, None))
    for position, column in enumerate(model.preprocessor.columns_):
        rows.extend(_column_rows(position, column))
    names = model.preprocessor.get_feature_names_out()
    for position, (point, label, weight) in enumerate(zip(model.prototypes, model.labels, model.weights, strict=True)):
        rows.append(("prototype", position, "", "label", float(label), None))
        rows.append(("prototype", position, "", "weight", float(weight), None))
        # `field` counts the dimensions: two levels may share a display name, a number cannot be mistaken.
        rows.extend(
            ("coordinate", position, str(name), str(i), float(value), None)
            for i, (name, value) in enumerate(zip(names, point, strict=True))
        )
    frame = pd.DataFrame(rows, columns=list(COLUMNS)).astype({"position": "int64", "value": "float64"})
    frame["text"] = pd.Series([row[-1] for row in rows], dtype=object)  # None where absent, also under pandas' text type
    return frame


def prototypes_from_rows(frame: pd.DataFrame) -> PrototypeModel:
    """The model in `frame`, whatever the order of its rows. Raises ValueError if something is missing."""
    from segmentation_assets.core.clustering.preprocessing import FeaturePreprocessor

    absent = sorted(set(COLUMNS) - set(frame.columns))
    if absent:
        raise ValueError(f"the model table lacks columns {absent}; read it from where it was written, or train a new model")
    parts = {str(component): rows for component, rows in frame.groupby("component")}
    if not {"model", "feature", "prototype", "coordinate"} <= set(parts):
        raise ValueError(f"the model table has only {sorted(parts)}; rows were lost, so restore it or train a new model")
    head = parts["model"].set_index("field")
    columns = [_read_column(rows) for _, rows in parts["feature"].groupby("position", sort=True)]
    about = parts["prototype"].pivot(index="position", columns="field", values="value").sort_index()
    flat = parts["coordinate"].assign(dimension=parts["coordinate"]["field"].astype(int))
    points = flat.pivot(index="position", columns="dimension", values="value").sort_index().sort_index(axis=1)
    coordinates = np.ascontiguousarray(points.to_numpy(dtype=np.float64))
    if len(points) != len(about) or np.isnan(coordinates).any():
        raise ValueError("the model table has lost coordinates of a prototype; restore it or train a new model")
    return PrototypeModel(
        preprocessor=FeaturePreprocessor.from_columns(columns),
        prototypes=coordinates,
        labels=about["label"].to_numpy().astype(np.int64),
        weights=about["weight"].to_numpy(dtype=np.float64),
        radius=float(head.at["radius", "value"]) if "radius" in head.index else None,
        algorithm=str(head.at["algorithm", "text"]),
        k=int(head.at["k", "value"]),
        seed=int(head.at["seed", "text"]),
    )


def _column_rows(position: int, column: Column) -> list[Row]:
    if isinstance(column, NumericColumn):
        numbers: list[Row] = [("feature", position, column.name, f, float(getattr(column, f)), None) for f in _NUMERIC_FIELDS]
        return [("feature", position, column.name, "transform", math.nan, column.transform), *numbers]
    rows: list[Row] = [
        ("feature", position, column.name, "transform", math.nan, "categorical"),
        ("feature", position, column.name, "weight", column.weight, None),
    ]
    for i, scale in enumerate(column.scales):
        kind = "pooled" if i == len(column.levels) else "missing" if column.levels[i] is None else "level"
        rows.append(("feature", position, column.name, f"{kind} {i}", scale, column.levels[i] if kind == "level" else None))
    return rows


def _read_column(rows: pd.DataFrame) -> Column:
    name = str(rows["name"].iloc[0])
    by_field = rows.set_index("field")
    kind = by_field.at["transform", "text"]
    if kind != "categorical":
        return NumericColumn(name=name, transform=kind, **{f: float(by_field.at[f, "value"]) for f in _NUMERIC_FIELDS})
    entries = []
    for field, value, text in zip(rows["field"], rows["value"], rows["text"], strict=True):
        what, _, index = str(field).partition(" ")
        if index:
            entries.append((int(index), what, float(value), text if what == "level" else None))
    entries.sort(key=lambda entry: entry[0])
    return CategoricalColumn(
        name=name,
        levels=tuple(None if text is None else str(text) for _, what, _, text in entries if what != "pooled"),
        pooled=any(what == "pooled" for _, what, _, _ in entries),
        scales=tuple(value for _, _, value, _ in entries),
        weight=float(by_field.at["weight", "value"]),
    )
