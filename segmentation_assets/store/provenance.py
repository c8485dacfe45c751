"""What each published snapshot was made from: the raw rows of its window and of all windows before, as they were then.

A run that is stopped may leave raw rows in the lake that no published table was made from. What is recorded here, against the
lake, tells which snapshots have to be made again. Comparing with the source is in `sources.arrivals`.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow.parquet as pq

from segmentation_assets.atomic import replacing
from segmentation_assets.store.lake import Lake

FILE = "collected.json"
ENTITIES = ("customers", "transactions", "events")
MADE_OF_THEM = (*ENTITIES, "customer_features")


@dataclass(frozen=True)
class Rows:
    """The raw rows of an entity in one window, as a file."""

    rows: int
    size: int
    time: int  # of the last change, in nanoseconds; with the size it tells cheaply that the digest need not be computed
    digest: str


@dataclass(frozen=True)
class Made:
    """One snapshot: whether it was published, the raw rows of its own window, and a digest of those of all windows before."""

    published: bool
    own: dict[str, Rows]
    before: str


def remember(lake: Lake, folder: Path, key: str) -> None:
    """Record what the snapshot `key`, which has just been published, was made from."""
    made = recorded(folder)
    for earlier in _keys(lake):
        # What an earlier snapshot that was only described is made from is what the lake had when its description was complete.
        if earlier < key and not (earlier in made and made[earlier].published) and _is_complete(lake, earlier):
            made[earlier] = Made(False, _own(lake, earlier, made), "")
    made[key] = Made(
        True, _own(lake, key, made) if _is_complete(lake, key) else {}, _chain({k: one.own for k, one in made.items() if k < key})
    )
    with replacing(folder / FILE) as unfinished:
        unfinished.write_text(json.dumps({k: asdict(one) for k, one in sorted(made.items())}), encoding="utf-8")


def recorded(folder: Path) -> dict[str, Made]:
    """By snapshot, oldest first, what it was made from; also those that were only described, for a later one."""
    file = folder / FILE
    if not file.exists():
        return {}
    found = json.loads(file.read_text(encoding="utf-8"))
    return {key: Made(one["published"], {e: Rows(**rows) for e, rows in one["own"].items()}, one["before"]) for key, one in found.items()}


def outdated(lake: Lake, folder: Path) -> list[str]:
    """Snapshots that were made from other raw rows than the lake has, of their own window or of one before, oldest first.

    One that was only described is among them where a run of it was stopped.
    """
    made = recorded(folder)
    there = _keys(lake)
    now = {key: _own(lake, key, made) for key in there if (key in made and made[key].published) or _is_complete(lake, key)}
    found = []
    for key, one in made.items():
        if one.published:
            replaced = _digests(one.own) != _digests(now.get(key, {}))
            if replaced or one.before != _chain({k: rows for k, rows in now.items() if k < key}):
                found.append(key)
        elif key not in now:
            found.append(key)
    return found


def state(lake_root: Path, folder: Path) -> str:
    """Changes whenever rows were collected or a snapshot was published; cheap."""
    files = [*(file for entity in ENTITIES for file in (lake_root / f"raw_{entity}").glob("snapshot_date=*/*.parquet")), folder / FILE]
    facts = [f"{file} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in sorted(files) if file.exists()]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()


def contents(lake: Lake, folder: Path) -> str:
    """Changes with the raw rows in the lake and what was made from them, and not by collecting the same rows again."""
    made = recorded(folder)
    before = {key: (_digests(one.own), one.before) for key, one in made.items()}
    parts = [before, {key: _digests(_own(lake, key, made)) for key in _keys(lake)}]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _keys(lake: Lake) -> list[str]:
    return sorted({key for entity in ENTITIES for key in lake.keys(f"raw_{entity}")})


def _is_complete(lake: Lake, key: str) -> bool:
    """Whether what is made of raw rows was made after they were collected."""
    collected, made = ([lake.file(table, key) for table in tables] for tables in ([f"raw_{entity}" for entity in ENTITIES], MADE_OF_THEM))
    if not all(file.exists() for file in (*collected, *made)):
        return False
    return max(file.stat().st_mtime_ns for file in collected) <= min(file.stat().st_mtime_ns for file in made)


def _own(lake: Lake, key: str, made: dict[str, Made]) -> dict[str, Rows]:
    known = made[key].own if key in made else {}
    return dict(_files(lake, key, known))


def _files(lake: Lake, key: str, known: dict[str, Rows]) -> Iterator[tuple[str, Rows]]:
    for entity in ENTITIES:
        file = lake.file(f"raw_{entity}", key)
        if file.exists():
            facts, before = file.stat(), known.get(entity)
            if before is not None and (before.size, before.time) == (facts.st_size, facts.st_mtime_ns):
                yield entity, before
            else:
                with file.open("rb") as opened:
                    digest = hashlib.file_digest(opened, "sha256").hexdigest()
                yield entity, Rows(pq.read_metadata(file).num_rows, facts.st_size, facts.st_mtime_ns, digest)


def _chain(windows: dict[str, dict[str, Rows]]) -> str:
    parts = [(key, _digests(own)) for key, own in sorted(windows.items())]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _digests(own: dict[str, Rows]) -> dict[str, str]:
    return {entity: rows.digest for entity, rows in own.items()}
