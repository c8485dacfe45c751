"""Source files in a bucket (`s3://...`): a copy of them is kept on this machine, and everything else reads that.

Belongs here: which objects the settings name, and fetching those that have changed. A copy has its object's time, so that a source has
the same fingerprint on every machine.
"""

import fnmatch
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from filelock import FileLock

from segmentation_assets.atomic import replacing
from segmentation_assets.settings.source import BUCKET, REQUIRED, Files, Tables
from segmentation_assets.sources.base import SourceError
from segmentation_assets.storage import NEEDS, bucket, download, in_words

FOLDER = "s3"  # below the folder of source rows; below it, the bucket's name and the objects' names
SIGN = re.compile(r"[*?\[]")  # of a pattern


@dataclass(frozen=True)
class Found:
    """An object that the settings name: its name in the bucket, its size, and the time of its last change in nanoseconds."""

    name: str
    size: int
    time: int


def fetched(source: Tables, folder: Path) -> Tables:
    """The source with its files in buckets replaced by copies in `folder`, which are brought up to date.

    Raises:
        SourceError: a bucket cannot be read, or has no such file.
    """
    if not any(_named(source)):
        return source
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f".{FOLDER}.lock"):
        return source.model_copy(update={name: tuple(_here(table, folder / FOLDER) for table in source.entity(name)) for name in REQUIRED})


def refuse_copies(source: Tables) -> None:
    """Refuse files in buckets where ids must not be kept as they are.

    Raises:
        SourceError: there are some.
    """
    if address := next(_named(source), None):
        raise SourceError(
            f"{address}: a copy of files in a bucket is kept in the data folder, with customer ids as they are, and privacy.pseudonyms is "
            "set. Mount the bucket, or copy the files to a place outside the data folder, and name that in `files`."
        )


def _named(source: Tables) -> Iterator[str]:
    """The addresses in buckets that the settings name."""
    for table in (table for name in REQUIRED for table in source.entity(name)):
        for place in (table, *getattr(table, "lookups", ())):
            yield from (pattern for pattern in getattr(place, "patterns", ()) if pattern.startswith(BUCKET))


def _here(table: Any, folder: Path) -> Any:
    """The table, and its lookups, with patterns of copies."""
    update: dict[str, Any] = {}
    if isinstance(table, Files):
        update["files"] = tuple(_copied(pattern, folder) if pattern.startswith(BUCKET) else pattern for pattern in table.patterns)
    if getattr(table, "lookups", ()):
        update["lookups"] = tuple(_here(lookup, folder) for lookup in table.lookups)
    return table.model_copy(update=update)


def _copied(address: str, folder: Path) -> str:
    """Bring the copies of the objects that an address names up to date, remove those of objects that are gone, and return the pattern that
    names the copies."""
    name, _, pattern = address.removeprefix(BUCKET).partition("/")
    try:
        import obstore  # an extra
    except ImportError:
        raise SourceError(f"{address} {NEEDS}") from None
    try:
        store = bucket(f"{BUCKET}{name}")
        objects = [one for one in _listed(store, pattern) if _is_meant(one.name, pattern)]
        for one in objects:
            _fetch(store, one, folder / name / one.name)
    except (FileNotFoundError, obstore.exceptions.BaseError) as error:
        raise SourceError(f"{address}: {in_words(error)}") from error
    if not objects:
        raise SourceError(f"{address}: no such file in the bucket, or no files in that folder of it. Correct `files` in the settings.")
    wanted, root = {folder / name / one.name for one in objects}, folder / name
    for file in root.rglob("*"):
        if file.is_file() and file not in wanted and _is_meant(file.relative_to(root).as_posix(), pattern):
            file.unlink()
    return str(folder / name / pattern)


def _listed(store: Any, pattern: str) -> Iterator[Found]:
    """The objects that a pattern may name: one, or those of a folder. Names that would lead out of a folder are left out."""
    import obstore

    sign, name = SIGN.search(pattern), pattern.rstrip("/")
    if sign is None:
        with suppress(FileNotFoundError):  # then it is a folder, or nothing
            yield _found(obstore.head(store, name))
            return
    folder = pattern[: sign.start()].rpartition("/")[0] if sign else name
    for page in obstore.list(store, folder or None):
        yield from (_found(one) for one in page if ".." not in PurePosixPath(one["path"]).parts)


def _found(one: Any) -> Found:
    return Found(one["path"], one["size"], int(one["last_modified"].timestamp()) * 1_000_000_000)


def _is_meant(name: str, pattern: str) -> bool:
    """Whether a pattern may name an object: which of the copies it names is decided where files are looked for."""
    folder = f"{pattern.rstrip('/')}/"
    return (
        name == pattern
        or name.startswith(folder)
        or (bool(SIGN.search(pattern)) and fnmatch.fnmatchcase(name, pattern.replace("**/", "*")))
    )


def _fetch(store: Any, one: Found, target: Path) -> None:
    if target.exists() and (target.stat().st_size, target.stat().st_mtime_ns) == (one.size, one.time):
        return
    with replacing(target) as unfinished:
        download(store, one.name, unfinished)
    os.utime(target, ns=(one.time, one.time))
