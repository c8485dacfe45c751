"""The archive of every model ever trained, with the population it was trained on, and users' requests on models.

Belongs here: model files outside the lake, whose partitions hold only the model in force. Dates are snapshots' as-of dates.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
from filelock import FileLock

from segmentation_assets.atomic import replacing
from segmentation_assets.core.model.champion import Request
from segmentation_assets.core.model.population import TrainingPopulation, training_population
from segmentation_assets.core.model.rows import model_from_rows, model_to_rows, population_from_rows, population_to_rows
from segmentation_assets.core.model.segment_model import SegmentModel
from segmentation_assets.settings.model import ModelSettings
from segmentation_assets.store.lake import Lake, to_frame
from segmentation_assets.tables.features import CUSTOMER_FEATURES
from segmentation_assets.tables.model import SEGMENTATION_MODEL
from segmentation_assets.vocabulary import Status

FOLDER = "models"
REQUESTS = "requests.json"
ROLLBACKS = "rollbacks.json"  # of version 0.1.0: snapshot -> version


class ArchiveError(RuntimeError):
    """A model, or the population it was trained on, is missing; the message says what to do."""


def keep(data_dir: Path, model: SegmentModel, population: TrainingPopulation) -> None:
    """Store a model under its version, replacing what an earlier run of its snapshot stored, which may have had other columns."""
    version = model.provenance.model_version
    rows = pd.concat([model_to_rows(model), population_to_rows(population)], ignore_index=True)
    with replacing(_file(data_dir, version)) as unfinished:
        rows.assign(model_version=version).to_parquet(unfinished, index=False)


def versions(data_dir: Path) -> list[str]:
    """Versions of all archived models, oldest first."""
    return sorted(file.stem for file in (data_dir / FOLDER).glob("*.parquet"))


def load(data_dir: Path, version: str) -> SegmentModel:
    """The archived model of a version; if its file is damaged, the copy in a partition of the lake where it is in force.

    Raises:
        ArchiveError: there is none, or no partition has it either.
    """
    file = _file(data_dir, version)
    if version not in versions(data_dir):
        raise ArchiveError(
            f"There is no model {version} that was ever in force. Models: {', '.join(versions(data_dir)) or 'none yet'}. A refused "
            "challenger is not kept; to train it again and promote it: segmentation retrain --force"
        )
    rows = _rows(file)
    if rows is None:
        rows = next((frame for found, frame in _in_lake(data_dir) if found == version), None)
    if rows is None:
        raise ArchiveError(
            f"{file} cannot be read, and no partition of the lake has that model. Restore the file from a backup, or remove it; then "
            "the model is lost, and cannot be restored by a rollback."
        )
    return model_from_rows(rows)


def population(data_dir: Path, lake: Lake, model: SegmentModel, settings: ModelSettings) -> TrainingPopulation:
    """The population that a model was trained on. If its file is lost or damaged, it is rebuilt and stored, identical because all draws
    are seeded.

    Raises:
        ArchiveError: the customers of that snapshot are gone too.
    """
    about = model.provenance
    file = _file(data_dir, about.model_version)
    rows = _rows(file)
    kept = population_from_rows(rows) if rows is not None else None
    if kept is not None:
        return kept
    snapshot, active = about.fitted_snapshot, trained_on(lake, model)
    if active is None:
        raise ArchiveError(
            f"{file} is lost or damaged, and so are the rows of customer_features of {snapshot}, from which it could be rebuilt. Restore "
            f"one of them from a backup, or retrain from there: segmentation run --from {snapshot} --force"
        )
    found = training_population(model, active, settings)
    keep(data_dir, model, found)
    return found


def trained_on(lake: Lake, model: SegmentModel) -> pd.DataFrame | None:
    """The customers who were active at the snapshot that a model was trained on, as that snapshot has them; None if it is not kept."""
    snapshot = model.provenance.fitted_snapshot
    if lake.row_count(CUSTOMER_FEATURES.name, snapshot) is None:
        return None
    rows = lake.read(CUSTOMER_FEATURES, [snapshot])
    return to_frame(rows.filter(rows.status == Status.ACTIVE))


def fill(data_dir: Path) -> list[str]:
    """Add models to the archive that are only in partitions of the lake, as version 0.1.0 wrote them; return their versions."""
    found = []
    for version, rows in _in_lake(data_dir):
        kept = None if _file(data_dir, version).exists() else population_from_rows(rows)
        if kept is not None:
            keep(data_dir, model_from_rows(rows), kept)
            found.append(version)
    return found


def highest_segment_id(data_dir: Path, until: str) -> int:
    """The highest segment id that any model fitted up to the snapshot `until` has used."""
    known = [load(data_dir, version).provenance for version in versions(data_dir)]
    return max((about.highest_segment_id for about in known if about.fitted_snapshot <= until), default=0)


def requests(data_dir: Path) -> dict[str, Request]:
    """Snapshot -> the request on its model.

    Raises:
        ArchiveError: they cannot be read.
    """
    file, former = (data_dir / FOLDER / name for name in (REQUESTS, ROLLBACKS))
    file = file if file.exists() else former
    try:
        found = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        return {key: Request(asked) if isinstance(asked, str) else Request(**asked) for key, asked in found.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise ArchiveError(
            f"{file}, which records requests on models, cannot be read ({error}). Restore it from a backup, or remove it and repeat the "
            "requests listed by segmentation models: segmentation rollback VERSION --snapshot DATE, or segmentation retrain --snapshot DATE"
        ) from error


def ask(data_dir: Path, snapshot: str, request: Request | None) -> None:
    """Record a request on the model of `snapshot`, replacing any earlier one; None withdraws it.

    Raises:
        ArchiveError: the version to go back to is not archived, or was fitted after the snapshot.
    """
    if request is not None:
        rollback_target(data_dir, snapshot, request)
    file = data_dir / FOLDER / REQUESTS
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.with_suffix(".lock")):
        known = {key: asked for key, asked in requests(data_dir).items() if key != snapshot}
        recorded = known if request is None else {**known, snapshot: request}
        with replacing(file) as unfinished:
            unfinished.write_text(json.dumps({k: asdict(r) for k, r in recorded.items()}, indent=1, sort_keys=True), encoding="utf-8")


def rollback_target(data_dir: Path, snapshot: str, request: Request | None) -> SegmentModel | None:
    """The model that a request puts in force from this snapshot on; None if it names none.

    Raises:
        ArchiveError: it is not archived, or was fitted after the snapshot.
    """
    if request is None or not request.model_version:
        return None
    model = load(data_dir, request.model_version)
    if model.provenance.fitted_snapshot > snapshot:
        raise ArchiveError(
            f"Model {request.model_version} was fitted after {snapshot}: a snapshot cannot know the future. Name an earlier model."
        )
    highest = highest_segment_id(data_dir, snapshot)  # a replaced model may have used further ids up to this snapshot
    return replace(model, provenance=replace(model.provenance, highest_segment_id=highest))


def _rows(file: Path) -> pd.DataFrame | None:
    """The rows of a model's file; None if it is missing or damaged."""
    try:
        return pd.read_parquet(file)
    except (OSError, pa.ArrowInvalid):
        return None


def _in_lake(data_dir: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    """Versions and rows of the models in force, from every readable partition, oldest first."""
    for file in sorted((data_dir / "lake" / SEGMENTATION_MODEL.name).glob("*/*.parquet")):
        rows = _rows(file)
        if rows is not None:
            yield rows["model_version"].iloc[0], rows


def _file(data_dir: Path, version: str) -> Path:
    return data_dir / FOLDER / f"{version}.parquet"
