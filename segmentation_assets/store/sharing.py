"""The data folder as a working copy of a lake that several machines share.

`refresh` brings it to the newest version and publishes here what other machines published; `sharing` makes the next version of it, or
refuses because another machine has, before a snapshot is published here. Without `lake.url` in the settings, neither does anything. How
versions are stored, and who wins, is in `versions`.
"""

import datetime as dt
import hashlib
import os
import re
import socket
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock
from pydantic import BaseModel, ValidationError

from segmentation_assets.atomic import replacing
from segmentation_assets.settings.loading import Settings
from segmentation_assets.store import database_files, deliveries, layout, provenance, published
from segmentation_assets.store.lake import PART, Lake, opened
from segmentation_assets.store.provenance import SnapshotRecord
from segmentation_assets.store.versions import (
    Maker,
    SharedFile,
    SharedLake,
    SharedLakeError,
    SharedSnapshot,
    Version,
    digest,
    of_snapshot,
    open_shared,
)
from segmentation_assets.vocabulary import counted

FOLDER, STATE, GENERATION, LOCK = "shared", "state.json", "generation.txt", "lock"
SHARED = re.compile(
    rf"lake/\w+/snapshot_date=(?P<key>\d{{4}}-\d\d-\d\d)/{re.escape(PART)}|lake/layout\.json|models/\w[\w.-]*\.(json|parquet)"
    r"|\.?pseudonyms\.txt"
)
"""Files of the data folder that are shared. Everything else is made of them, or belongs to one machine."""
AT_ONCE = 8  # files that travel at the same time


class State(BaseModel):
    """What this machine knows of the shared lake.

    Attributes:
        url: its address; version: the one that the working copy was made of, or None while the lake is empty.
        taken_in: snapshot -> digest of its files as they are published here.
    """

    url: str
    version: Version | None
    taken_in: dict[str, str]


@dataclass(frozen=True)
class Refreshed:
    """What `refresh` did: the version that other machines made, if there was a new one, and the snapshots that it published here."""

    version: Version | None = None
    keys: tuple[str, ...] = ()


def refresh(settings: Settings) -> Refreshed:
    """Bring the working copy to the newest version, and publish the snapshots that it has and this machine has not, or has otherwise.

    What was made here since an earlier version and not published is discarded if there is a newer one. The first machine to come to an
    empty lake puts there what it has published.

    Raises:
        SharedLakeError: the lake cannot be used, or is not the one that the data folder was made of.
        LayoutError, PublishError: another version of this package, or another calendar, made it.
    """
    if not settings.lake.url:
        return Refreshed()
    shared, data_dir = open_shared(settings.lake), settings.data_dir
    with _alone(data_dir):
        state = _state(data_dir)
        newest = _newest(shared, state, data_dir)
        if newest is None:
            state = State(url=shared.url, version=None, taken_in={})
            _write(data_dir, state)
            _share_what_is_published(settings, shared, state)
            return Refreshed()
        is_new = state is None or state.version is None or newest.number > state.version.number
        taken_in = state.taken_in if state else {}
        if is_new:
            _begin_generation(data_dir)
        _bring(shared, data_dir, newest, discard=is_new)
        _write(data_dir, State(url=shared.url, version=newest, taken_in=taken_in))
        layout.require_current(data_dir)
        if is_new:
            provenance.take_over(data_dir / database_files.PRIVATE, _records(newest))
        keys = _publish(settings, newest, taken_in)
        if gone := [key for key in published.keys(data_dir) if _fingerprints(newest).get(key) is None]:
            published.take_out(data_dir, gone)
        published.require_calendar(data_dir, settings.snapshots)
        return Refreshed(newest if is_new else None, keys)


def generation(data_dir: Path) -> int:
    """A number that grows whenever the working copy is brought to a version that another machine made."""
    file = data_dir / FOLDER / GENERATION
    return int(file.read_text(encoding="utf-8")) if file.exists() else 0


def require_generation(settings: Settings, begun: int) -> None:
    """Stop a run that began before the working copy was brought to another version.

    Raises:
        SharedLakeError: it did.
    """
    state = _state(settings.data_dir)
    if generation(settings.data_dir) != begun and state is not None and state.version is not None:
        raise _lost(state.url, state.version)


@contextmanager
def sharing(settings: Settings, lake: Lake, key: str, fingerprint: str, run: str) -> Iterator[None]:
    """Make the next version of the shared lake, with the snapshot `key`, whose publication here is in the block. If that is cut off, the
    next `refresh` publishes it.

    Raises:
        SharedLakeError: another machine has made a version since the run began, or the storage fails. Then nothing is shared.
    """
    if not settings.lake.url:
        yield
        return
    shared, data_dir = open_shared(settings.lake), settings.data_dir
    with _alone(data_dir):
        lake.guard()
        state = _state(data_dir) or State(url=shared.url, version=None, taken_in={})
        records = provenance.with_published(lake, data_dir / database_files.PRIVATE, key)
        fingerprints = {**_fingerprints(state.version), key: fingerprint}
        made = _next(shared, data_dir, state.version, key, records, fingerprints, run)
        _make_newest(shared, data_dir, state, made)
    yield
    with _alone(data_dir):
        shown = _state(data_dir)
        if shown is not None and shown.version is not None:
            _write(data_dir, shown.model_copy(update={"taken_in": {**shown.taken_in, key: _contents(shown.version, key)}}))


def objects(settings: Settings) -> Callable[[Path], str | None]:
    """Where another engine can read a file of the working copy in the bucket of the shared lake: None if it is not there as it is here."""
    if not settings.lake.in_bucket:
        return lambda file: None
    state, data_dir = _state(settings.data_dir), settings.data_dir
    files = state.version.files if state and state.version else {}

    def address(file: Path) -> str | None:
        known = files.get(file.relative_to(data_dir).as_posix()) if file.is_relative_to(data_dir) else None
        return f"{settings.lake.url}/{known.object}" if known and _is_unchanged(file, known) else None

    return address


def behind(settings: Settings) -> tuple[int, int]:
    """The number of the version that this machine has, and that of the newest."""
    state = _state(settings.data_dir)
    mine = state.version.number if state and state.version else 0
    return mine, open_shared(settings.lake).newest(after=mine)


def _newest(shared: SharedLake, state: State | None, data_dir: Path) -> Version | None:
    """The newest version; None if the lake is empty.

    Raises:
        SharedLakeError: this working copy is not one of this lake.
    """
    if state is not None and state.url != shared.url:
        raise SharedLakeError(
            f"lake.url: is {shared.url}, and {data_dir} is a working copy of {state.url}. Name that again, or set another data_dir. If the "
            f"same lake was moved, write its new address into {data_dir / FOLDER / STATE}."
        )
    mine = state.version if state else None
    if state is not None and mine is not None and (alone := _made_alone(data_dir, state, mine)):
        raise SharedLakeError(
            f"lake.url: {data_dir} has published {', '.join(alone)} while lake.url was not set, which would be lost. Set another data_dir, "
            "and make them there: segmentation run --all"
        )
    known = mine.number if mine else 0
    number = shared.newest(after=max(known - 1, 0))
    if number < known:
        raise SharedLakeError(
            f"lake.url: the newest version in {shared.url} is older than {known}, which this machine has seen: the lake was restored from "
            f"a backup, or is another one. Restore version {known}, or set another data_dir."
        )
    if number == 0 or (mine is not None and number == known):
        return mine
    newest = shared.read(number)
    if mine is not None and newest.lake != mine.lake:
        raise SharedLakeError(f"lake.url: {shared.url} has another lake than the one that {data_dir} was made of. Set another data_dir.")
    if state is None and _has_history(data_dir):
        raise SharedLakeError(
            f"lake.url: {shared.url} has version {number} already, and {data_dir} has tables or models of its own, which would be lost. "
            "Set another data_dir, or an empty lake.url, into which this machine then puts what it has published."
        )
    return newest


def _made_alone(data_dir: Path, state: State, version: Version) -> list[str]:
    """Snapshots that are published here and are not those of the version, although it was published here."""
    theirs = _fingerprints(version)
    return [
        key
        for key, text in sorted(published.fingerprints(data_dir).items())
        if text and text != theirs.get(key) and (key not in theirs or state.taken_in.get(key) == _contents(version, key))
    ]


def _has_history(data_dir: Path) -> bool:
    return any(not path.endswith((layout.FILE, ".txt")) for path in _local(data_dir)) or (data_dir / database_files.DATABASE).exists()


def _share_what_is_published(settings: Settings, shared: SharedLake, state: State) -> None:
    data_dir = settings.data_dir
    if deliveries.recorded(data_dir):
        raise SharedLakeError(
            f"lake.url: {data_dir / deliveries.FOLDER} records who was contacted, and another machine would not know it and could contact "
            "them again. Remove lake.url, or set another data_dir."
        )
    fingerprints = published.fingerprints(data_dir)
    if not fingerprints:
        return
    records = provenance.recorded(data_dir / database_files.PRIVATE)
    made = _next(shared, data_dir, None, max(fingerprints), records, fingerprints, "")
    _make_newest(shared, data_dir, state, made)
    _write(data_dir, State(url=shared.url, version=made, taken_in={key: _contents(made, key) for key in fingerprints}))


def _next(
    shared: SharedLake,
    data_dir: Path,
    base: Version | None,
    key: str,
    records: Mapping[str, SnapshotRecord],
    fingerprints: Mapping[str, str | None],
    run: str,
) -> Version:
    """The version after `base`: with the files of snapshot `key`, those of earlier ones that no version has, and all models. Files that
    are new are uploaded. What was begun of other published snapshots stays here until these are published again."""
    known = base.files if base else {}
    theirs = {at for at, one in base.snapshots.items() if one.fingerprint is not None} if base else set()
    files = {path: file for path, file in _local(data_dir).items() if _counts(path, key, theirs)}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        entries = pool.map(lambda path: _entry(shared, path, files[path], known.get(path)), files)
        found = dict(zip(files, entries, strict=True))
    return Version(
        id=uuid.uuid4().hex,
        lake=base.lake if base else uuid.uuid4().hex,
        number=base.number + 1 if base else 1,
        maker=Maker(host=socket.gethostname(), run=run, snapshot=key if run else "", at=dt.datetime.now(dt.UTC)),
        files={**known, **found},
        snapshots={at: SharedSnapshot(fingerprint=fingerprints.get(at), record=asdict(one)) for at, one in records.items()},
    )


def _counts(path: str, key: str, published_by_now: set[str]) -> bool:
    at = _key(path)
    return at is None or at == key or (at < key and at not in published_by_now)


def _entry(shared: SharedLake, path: str, file: Path, known: SharedFile | None) -> SharedFile:
    if known is not None and _is_unchanged(file, known):
        return known
    if known is not None and digest(file) == known.sha256:
        return known.model_copy(update={"time": file.stat().st_mtime_ns})
    return shared.upload(path, file)


def _make_newest(shared: SharedLake, data_dir: Path, state: State, made: Version) -> None:
    """Make a version the newest, unless it is the same as the one before but for times.

    Raises:
        SharedLakeError: another machine was first.
    """
    if state.version is not None and _essence(made) == _essence(state.version):
        return
    if not shared.create(made):
        raise _lost(shared.url, shared.read(made.number))
    _write(data_dir, state.model_copy(update={"version": made}))
    shared.prune(made)


def _essence(version: Version) -> tuple[dict[str, str], dict[str, str | None]]:
    return {path: file.sha256 for path, file in version.files.items()}, _fingerprints(version)


def _fingerprints(version: Version | None) -> dict[str, str | None]:
    return {key: one.fingerprint for key, one in version.snapshots.items()} if version else {}


def _lost(url: str, other: Version) -> SharedLakeError:
    return SharedLakeError(
        f"Another machine has changed the shared lake {url} since this run began: version {other.number} was made "
        f"{other.maker.in_words()}. Nothing of this run was shared or published, and what the other machine made is whole. Run the same "
        "command again; it begins with that version."
    )


def _bring(shared: SharedLake, data_dir: Path, version: Version, discard: bool) -> None:
    """Fetch the files of a version that are missing here and, with `discard`, also those that differ; then remove what it does not have."""
    foreign = [path for path in version.files if not SHARED.fullmatch(path)]
    if foreign:
        raise SharedLakeError(f"{shared.url}: version {version.number} names {foreign[0]}, which is no file of a lake. Restore the lake.")

    def fetch(path: str) -> None:
        file, target = version.files[path], data_dir / path
        if not (target.exists() and target.stat().st_size == file.size and digest(target) == file.sha256):
            shared.download(file, target)
        os.utime(target, ns=(file.time, file.time))

    def is_wanted(path: str) -> bool:
        return not (_is_unchanged(data_dir / path, version.files[path]) if discard else (data_dir / path).exists())

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(fetch, filter(is_wanted, version.files)))
    for path, file in _local(data_dir).items() if discard else ():
        if path not in version.files:
            file.unlink()


def _publish(settings: Settings, version: Version, taken_in: Mapping[str, str]) -> tuple[str, ...]:
    """Publish here the snapshots of a version that are not, or not as they are in it; return their keys."""
    data_dir, contents = settings.data_dir, {key: _contents(version, key) for key in version.snapshots}
    fingerprints = {key: text for key, text in _fingerprints(version).items() if text is not None and contents[key] != taken_in.get(key)}
    if not fingerprints:
        return ()
    smallest, largest = settings.privacy.smallest_cell, settings.database.largest_copied
    with opened(data_dir, settings.engine.here()) as lake:
        published.take_over(lake, data_dir, fingerprints, _records(version), smallest, largest)
    now = {**taken_in, **{key: contents[key] for key in fingerprints}}
    _write(data_dir, State(url=str(settings.lake.url), version=version, taken_in=now))
    return tuple(sorted(fingerprints))


def _records(version: Version) -> dict[str, SnapshotRecord]:
    return {key: SnapshotRecord.of(one.record) for key, one in version.snapshots.items()}


def _contents(version: Version, key: str) -> str:
    """A digest of what a snapshot's publication is made of."""
    parts = [f"{path} {sha256}" for path, sha256 in of_snapshot(version.files, key)]
    return hashlib.sha256("\n".join([str(version.snapshots[key].fingerprint), *parts]).encode()).hexdigest()


def _local(data_dir: Path) -> dict[str, Path]:
    """Path in the data folder -> file, of the files that are shared."""
    places = (data_dir, data_dir / "models", data_dir / "lake")
    found = [*(file for place in places for file in place.glob("*")), *(data_dir / "lake").glob(f"*/snapshot_date=*/{PART}")]
    named = {file.relative_to(data_dir).as_posix(): file for file in sorted(found) if file.is_file()}
    return {path: file for path, file in named.items() if SHARED.fullmatch(path)}


def _key(path: str) -> str | None:
    """The snapshot that a file belongs to; None if it belongs to all."""
    found = SHARED.fullmatch(path)
    return found["key"] if found else None


def _is_unchanged(file: Path, shared: SharedFile) -> bool:
    try:
        facts = file.stat()
    except FileNotFoundError:
        return False
    return (facts.st_size, facts.st_mtime_ns) == (shared.size, shared.time)


def _alone(data_dir: Path) -> FileLock:
    (data_dir / FOLDER).mkdir(parents=True, exist_ok=True)
    return FileLock(data_dir / FOLDER / LOCK)


def _begin_generation(data_dir: Path) -> None:
    with replacing(data_dir / FOLDER / GENERATION) as unfinished:
        unfinished.write_text(str(generation(data_dir) + 1), encoding="utf-8")


def _state(data_dir: Path) -> State | None:
    file = data_dir / FOLDER / STATE
    try:
        return State.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise SharedLakeError(
            f"{file} cannot be read ({str(error).splitlines()[0]}). Restore it from a backup, or set another data_dir, into which the "
            "shared lake is then fetched."
        ) from error


def _write(data_dir: Path, state: State) -> None:
    with replacing(data_dir / FOLDER / STATE) as unfinished:
        unfinished.write_text(state.model_dump_json(), encoding="utf-8")


def in_words(refreshed: Refreshed) -> str:
    """What a refresh brought, as a sentence; empty if nothing."""
    number = counted(len(refreshed.keys), "snapshot was", "snapshots were")
    of_it = ": ".join(filter(None, [f"{number} published here from it", ", ".join(refreshed.keys)]))
    if refreshed.version is None:
        return f"This machine has the newest version of the shared lake; {of_it}." if refreshed.keys else ""
    made = refreshed.version
    return f"The shared lake is now at version {made.number}, made {made.maker.in_words()}; {of_it}."
