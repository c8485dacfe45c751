"""Every model that was ever trained, kept as rows for good, and where a person pointed back to one of them.

Belongs here: files of models beside the lake, whose partitions hold only the model in force. Dates are snapshots' as-of dates.
"""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
from filelock import FileLock

from segmentation_assets.atomic import replacing
from segmentation_assets.core.model.rows import model_from_rows, model_to_rows
from segmentation_assets.core.model.segment_model import SegmentModel

FOLDER = "models"
ROLLBACKS = "rollbacks.json"


class ArchiveError(RuntimeError):
    """A model is not there; the message says which ones are."""


def keep(data_dir: Path, model: SegmentModel) -> None:
    """Keep a model under its version; one that is there already is the same and stays."""
    file = _file(data_dir, model.provenance.model_version)
    if not file.exists():
        with replacing(file) as unfinished:
            model_to_rows(model).to_parquet(unfinished, index=False)


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


def highest_segment_id(data_dir: Path, until: str) -> int:
    """The highest id that any model fitted up to the snapshot `until` has given."""
    known = [load(data_dir, version).provenance for version in versions(data_dir)]
    return max((about.highest_segment_id for about in known if about.fitted_snapshot <= until), default=0)


def rollbacks(data_dir: Path) -> dict[str, str]:
    """Snapshot -> version that a person put in force from there on."""
    file = data_dir / FOLDER / ROLLBACKS
    found: dict[str, str] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
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


def pointed_back(data_dir: Path, snapshot: str) -> SegmentModel | None:
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
