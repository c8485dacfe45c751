"""What each published snapshot was made from: settings, source, tables and version, and the raw rows of its window and earlier ones.

A run that is stopped may leave raw rows in the lake from which no published table was made, so these records are kept outside
the lake. `store.freshness` decides what must be made again.
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segmentation_assets.atomic import replacing
from segmentation_assets.settings.loading import Settings
from segmentation_assets.store.lake import Lake
from segmentation_assets.tables import CONTRACTS

if TYPE_CHECKING:
    from segmentation_assets.core.model.champion import Request

FILE = "collected.json"
ENTITIES = ("customers", "transactions", "events")
MADE_OF_THEM = (*ENTITIES, "customer_features")
NO_INPUT = {
    "data_dir",
    "schedule",
    "alerts",
    "owners",
    "retention",
    "engine",
    "database",
    "delivery",
    "lake",
    "report",
}  # settings that change no snapshot
# Sections that older records lack, and that count only where they are not the default.
ADDED = {
    "audiences",
    "privacy",
    "own_segments",
    "rules",
}


def _no_input(settings: Settings) -> set[str]:
    """The sections that do not count."""
    return NO_INPUT | {name for name in ADDED if getattr(settings, name) == Settings.model_fields[name].default}


def _requests(settings: Settings) -> "dict[str, Request]":
    """Requests on models, by snapshot."""
    from segmentation_assets.store import archive  # imports scikit-learn, which commands that only read need not wait for

    return archive.requests(settings.data_dir)


@dataclass(frozen=True)
class Fingerprint:
    """Everything a snapshot is made from except raw rows, each entry by name.

    Attributes:
        settings: section -> digest; source and version: one entry without a name.
        tables: contract -> digest of its columns, which changes when a feature is added.
        requests: snapshot -> the request on its model, up to the snapshot's own date.
    """

    settings: dict[str, str]
    source: dict[str, str]
    tables: dict[str, str]
    version: dict[str, str]
    requests: dict[str, str]

    @classmethod
    def now(cls, settings: Settings, source: str, key: str) -> "Fingerprint":
        """The fingerprint of snapshot `key` if it were made now from a source with the fingerprint `source`."""
        return cls(
            sections(settings),
            {"": _digest(source)},
            {contract.name: _digest([(column.name, column.type) for column in contract.columns]) for contract in CONTRACTS},
            {"": version("segmentation-assets")},
            {snapshot: asked.text() for snapshot, asked in _requests(settings).items() if snapshot <= key},
        )

    @classmethod
    def read(cls, text: str) -> "Fingerprint | None":
        """The fingerprint that `text` wrote; None if another version wrote it with other parts, such as 0.1.0, with one hash of all."""
        found = json.loads(text) if text.startswith("{") else {}
        return cls(**found) if found.keys() == cls.__dataclass_fields__.keys() else None

    def text(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)


def sections(settings: Settings) -> dict[str, str]:
    """Section of the settings that snapshots are made from -> digest. The last date makes none of them another one."""
    counting: dict[str, Any] = dict.fromkeys(_no_input(settings), True) | {"snapshots": {"last"}}
    return {
        name: _digest(settings.without_folder(json.dumps(section, sort_keys=True, ensure_ascii=False)))
        for name, section in settings.model_dump(mode="json", exclude=counting).items()
    }


def one_hash(settings: Settings, source: str, key: str) -> str:
    """The fingerprint in the format of version 0.1.0, to compare with those that it left."""
    columns = str([(contract.name, [(column.name, column.type) for column in contract.columns]) for contract in CONTRACTS])
    shared = "\n".join((settings.model_dump_json(exclude=_no_input(settings)), source, version("segmentation-assets"), columns))
    requests = sorted(_requests(settings).items())
    stamp = "".join(f"\n{snapshot} {asked.text()}" for snapshot, asked in requests if snapshot <= key)
    return hashlib.sha256((shared + stamp).encode()).hexdigest()


@dataclass(frozen=True)
class RawFile:
    """The raw rows of an entity in one window, as a file."""

    rows: int
    size: int
    time: int  # of the last change, in nanoseconds; if it and the size are unchanged, the digest need not be computed
    digest: str


@dataclass(frozen=True)
class SnapshotRecord:
    """One snapshot: whether it was published, the raw rows of its own window, and a digest of those of all earlier windows."""

    published: bool
    own: dict[str, RawFile]
    before: str

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> "SnapshotRecord":
        """The record that `asdict` wrote."""
        return cls(found["published"], {entity: RawFile(**raw) for entity, raw in found["own"].items()}, found["before"])


Windows = Mapping[str, Mapping[str, RawFile]]
"""Snapshot -> entity -> its raw rows."""


def remember(lake: Lake, folder: Path, key: str) -> None:
    """Record what the snapshot `key`, just published, was made from."""
    take_over(folder, with_published(lake, folder, key))


def with_published(lake: Lake, folder: Path, key: str) -> dict[str, SnapshotRecord]:
    """The records once the snapshot `key` is published, as the lake is now."""
    records = recorded(folder)
    for earlier in _keys(lake):
        # An unpublished earlier snapshot whose features are complete was made from the rows that the lake has now.
        if earlier < key and not (earlier in records and records[earlier].published) and is_complete(lake, earlier):
            records[earlier] = SnapshotRecord(False, _own(lake, earlier, records), "")
    own = _own(lake, key, records) if is_complete(lake, key) else {}
    records[key] = SnapshotRecord(True, own, before(key, {k: record.own for k, record in records.items()}))
    return records


def recorded(folder: Path) -> dict[str, SnapshotRecord]:
    """By snapshot, oldest first, what it was made from; including those whose features were made only for a later one. Empty if the
    file is damaged; it is rewritten when the next snapshot is published."""
    return _read(folder / FILE) or {}


def restore(lake: Lake, folder: Path, keys: Sequence[str]) -> None:
    """If the records are lost or damaged, record the published snapshots again, as if made from the rows that the lake has now."""
    if not keys or _read(folder / FILE) is not None:
        return
    own = {key: _own(lake, key, {}) for key in _keys(lake) if is_complete(lake, key)}
    take_over(folder, {key: SnapshotRecord(key in keys, rows, before(key, own)) for key, rows in own.items()})


def forget(folder: Path, keys: Collection[str]) -> None:
    """Remove the records of snapshots that are no longer published."""
    take_over(folder, {key: record for key, record in recorded(folder).items() if key not in keys})


def _read(file: Path) -> dict[str, SnapshotRecord] | None:
    """The records; None if there are none, or they cannot be read."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return {key: SnapshotRecord.of(one) for key, one in found.items()}
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None


def take_over(folder: Path, records: Mapping[str, SnapshotRecord]) -> None:
    """Replace the records."""
    with replacing(folder / FILE) as unfinished:
        unfinished.write_text(json.dumps({key: asdict(record) for key, record in sorted(records.items())}), encoding="utf-8")


def collected(lake: Lake, records: Mapping[str, SnapshotRecord]) -> dict[str, dict[str, RawFile]]:
    """The raw rows that the lake has now, for snapshots that were published or whose features are complete."""
    counting = [key for key in _keys(lake) if (key in records and records[key].published) or is_complete(lake, key)]
    return {key: _own(lake, key, records) for key in counting}


def before(key: str, windows: Windows) -> str:
    """A digest of the raw rows of all windows before that of snapshot `key`."""
    return _digest([(earlier, digests(own)) for earlier, own in sorted(windows.items()) if earlier < key])


def digests(own: Mapping[str, RawFile]) -> dict[str, str]:
    """Entity -> digest of its raw rows."""
    return {entity: raw.digest for entity, raw in own.items()}


def state(lake_root: Path, folder: Path) -> str:
    """A digest that changes whenever a partition is written or removed, or a snapshot is published; cheap to compute."""
    files = [*lake_root.glob("*/snapshot_date=*/*.parquet"), folder / FILE]
    return _digest([f"{file} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in sorted(files) if file.exists()])


def contents(lake: Lake, folder: Path) -> str:
    """A digest that changes with the raw rows in the lake and the records, but not if the same rows are collected again."""
    records = recorded(folder)
    made = {key: (digests(record.own), record.before) for key, record in records.items()}
    return _digest([made, {key: digests(_own(lake, key, records)) for key in _keys(lake)}])


def is_begun(lake: Lake, key: str) -> bool:
    """Whether raw rows of the snapshot were collected."""
    return any(lake.file(f"raw_{entity}", key).exists() for entity in ENTITIES)


def is_complete(lake: Lake, key: str) -> bool:
    """Whether the tables made from raw rows are newer than the raw rows, up to the features."""
    raw, made = ([lake.file(table, key) for table in tables] for tables in ([f"raw_{entity}" for entity in ENTITIES], MADE_OF_THEM))
    if not all(file.exists() for file in (*raw, *made)):
        return False
    return max(file.stat().st_mtime_ns for file in raw) <= min(file.stat().st_mtime_ns for file in made)


def _keys(lake: Lake) -> list[str]:
    return sorted({key for entity in ENTITIES for key in lake.keys(f"raw_{entity}")})


def _own(lake: Lake, key: str, records: Mapping[str, SnapshotRecord]) -> dict[str, RawFile]:
    return dict(_files(lake, key, records[key].own if key in records else {}))


def _files(lake: Lake, key: str, known: Mapping[str, RawFile]) -> Iterator[tuple[str, RawFile]]:
    for entity in ENTITIES:
        rows = lake.row_count(f"raw_{entity}", key)
        if rows is not None:
            file = lake.file(f"raw_{entity}", key)
            facts, earlier = file.stat(), known.get(entity)
            if earlier is not None and (earlier.size, earlier.time) == (facts.st_size, facts.st_mtime_ns):
                yield entity, earlier
            else:
                with file.open("rb") as opened:
                    digest = hashlib.file_digest(opened, "sha256").hexdigest()
                yield entity, RawFile(rows, facts.st_size, facts.st_mtime_ns, digest)


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
