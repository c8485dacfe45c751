"""Which snapshots are as their settings, source and code would make them now."""

import hashlib
from collections.abc import Sequence
from importlib.metadata import version

from segmentation_assets.settings.loading import Settings
from segmentation_assets.sources import Source
from segmentation_assets.store import archive
from segmentation_assets.tables import CONTRACTS


def fingerprints(settings: Settings, source: Source, keys: Sequence[str]) -> dict[str, str]:
    """By snapshot, what changes whenever it may come out differently: with the settings, the source, this package's version and the
    columns of its tables, such as a feature that was added, and where a person pointed back to an earlier model up to then."""
    columns = str([(contract.name, [(column.name, column.type) for column in contract.columns]) for contract in CONTRACTS])
    relevant = settings.model_dump_json(exclude={"data_dir", "schedule", "alerts"})
    shared = "\n".join((relevant, source.fingerprint(), version("segmentation-assets"), columns))
    rollbacks = sorted(archive.rollbacks(settings.data_dir).items())
    stamps = {key: "".join(f"\n{snapshot} {model}" for snapshot, model in rollbacks if snapshot <= key) for key in keys}
    return {key: hashlib.sha256((shared + stamp).encode()).hexdigest() for key, stamp in stamps.items()}
