"""Every model that was ever trained, kept for good with the population it was trained on, and where a person pointed back to one.

Belongs here: files of models beside the lake, whose partitions hold only the model in force. Dates are snapshots' as-of dates.
"""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
from filelock import FileLock

from segmentation_assets.atomic import replacing
from segmentation_assets.core.model.population import TrainingPopulation, training_population
from segmentation_assets.core.model.rows import model_from_rows, model_to_rows, population_from_rows, population_to_rows
from segmentation_assets.core.model.segment_model import SegmentModel
from segmentation_assets.settings.model import ModelSettings
from segmentation_assets.store.lake import Lake, to_frame
from segmentation_assets.tables.features import CUSTOMER_FEATURES
from segmentation_assets.tables.model import SEGMENTATION_MODEL
from segmentation_assets.vocabulary import Status

FOLDER = "models"
ROLLBACKS = "rollbacks.json"


class ArchiveError(RuntimeError):
    """A model, or the population it was trained on, is not there; the message says what to do."""


def keep(data_dir: Path, model: SegmentModel, population: TrainingPopulation) -> None:
    """Keep a model under its version, in place of what an earlier run of its snapshot kept: other columns may be known by now."""
    version = model.provenance.model_version
    rows = pd.concat([model_to_rows(model), population_to_rows(population)], ignore_index=True)
    with replacing(_file(data_dir, version)) as unfinished:
        rows.assign(model_version=version).to_parquet(unfinished, index=False)


def versions(data_dir: Path) -> list[str]:
    """Versions of all models that are kept, oldest fitted first."""
    return sorted(file.stem for file in (data_dir / FOLDER).glob("*.parquet"))


def load(data_dir: Path, version: str) -> SegmentModel:
    """The model of that version.

    Raises:
        ArchiveError: it is not kept.
    """
    file = _file(data_dir, version)
    if version not in versions(data_dir):
        raise ArchiveError(f"There is no model {version}. Models: {', '.join(versions(data_dir)) or 'none yet'}.")
    return model_from_rows(pd.read_parquet(file))


def population(data_dir: Path, lake: Lake, model: SegmentModel, settings: ModelSettings) -> TrainingPopulation:
    """The population that a model was trained on. Where its file is lost, it is found and kept anew, the same since all draws are seeded.

    Raises:
        ArchiveError: the customers of that snapshot are gone too.
    """
    about = model.provenance
    file = _file(data_dir, about.model_version)
    kept = population_from_rows(pd.read_parquet(file)) if file.exists() else None
    if kept is not None:
        return kept
    snapshot = about.fitted_snapshot
    if snapshot not in lake.keys(CUSTOMER_FEATURES.name):
        raise ArchiveError(
            f"{file} is lost, and so are the rows of customer_features of {snapshot}, from which it could be made again. Restore one of "
            f"them from a backup, or train anew from there: segmentation run --from {snapshot} --force"
        )
    features = to_frame(lake.read(CUSTOMER_FEATURES, [snapshot]))
    found = training_population(model, features[features["status"] == Status.ACTIVE].reset_index(drop=True), settings)
    keep(data_dir, model, found)
    return found


def fill(data_dir: Path) -> list[str]:
    """Put models into the archive that are only in partitions of the lake, as version 0.1.0 wrote them; the versions that were put."""
    found = []
    for file in sorted((data_dir / "lake" / SEGMENTATION_MODEL.name).glob("*/*.parquet")):
        (version,) = pd.read_parquet(file, columns=["model_version"])["model_version"].unique()
        if _file(data_dir, version).exists():
            continue
        rows = pd.read_parquet(file)
        kept = population_from_rows(rows)
        if kept is not None:
            keep(data_dir, model_from_rows(rows), kept)
            found.append(version)
    return found


def highest_segment_id(data_dir: Path, until: str) -> int:
    """The highest id that any model fitted up to the snapshot `until` has given."""
    known = [load(data_dir, version).provenance for version in versions(data_dir)]
    return max((about.highest_segment_id for about in known if about.fitted_snapshot <= until), default=0)


def rollbacks(data_dir: Path) -> dict[str, str]:
    """Snapshot -> version that a person put in force from there on.

    Raises:
        ArchiveError: they cannot be read.
    """
    file = data_dir / FOLDER / ROLLBACKS
    try:
        found: dict[str, str] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    except ValueError as error:
        raise ArchiveError(
            f"{file}, which has the models that people put in force again, cannot be read ({error}). Restore it from a backup, or remove "
            "it and repeat what segmentation models lists: segmentation rollback VERSION --snapshot DATE"
        ) from error
    return found


def roll_back(data_dir: Path, snapshot: str, version: str | None) -> None:
    """Record that `version` is in force from `snapshot` on; None takes the record back.

    Raises:
        ArchiveError: the version is not kept, or was fitted after the snapshot.
    """
    if version is not None and load(data_dir, version).provenance.fitted_snapshot > snapshot:
        raise ArchiveError(f"Model {version} was fitted after {snapshot}: a snapshot cannot know the future. Name an earlier model.")
    file = data_dir / FOLDER / ROLLBACKS
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.with_suffix(".lock")):
        known = {key: v for key, v in rollbacks(data_dir).items() if key != snapshot}
        recorded = known if version is None else {**known, snapshot: version}
        with replacing(file) as unfinished:
            unfinished.write_text(json.dumps(recorded, indent=1, sort_keys=True), encoding="utf-8")


def rollback_target(data_dir: Path, snapshot: str) -> SegmentModel | None:
    """The model that a person put in force from this snapshot on; None where nobody did.

    Raises:
        ArchiveError: its file has been removed.
    """
    version = rollbacks(data_dir).get(snapshot)
    if version is None:
        return None
    model = load(data_dir, version)
    highest = highest_segment_id(data_dir, snapshot)  # a model that gave way may have given ids at this very snapshot
    return replace(model, provenance=replace(model.provenance, highest_segment_id=highest))


def _file(data_dir: Path, version: str) -> Path:
    return data_dir / FOLDER / f"{version}.parquet"
