"""Versions of a lake that several machines share: what each holds, and who made it.

Version 42 is the object `versions/00000042.json.gz`, which names every file of the lake and the object that holds it. It can be created
only once: whoever began when version 41 was the newest can only create 42, and if it is there, another machine has won. Nothing is
ever overwritten, so that who reads an earlier version is not disturbed, and no clock has a say. Files of the working copy do not belong
here: they are in `sharing`.
"""

import gzip
import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from segmentation_assets.atomic import replacing
from segmentation_assets.settings.lake import LakeSettings
from segmentation_assets.storage import NEEDS, bucket, download, in_words

if TYPE_CHECKING:
    from obstore.store import LocalStore, S3Store

FORMAT = 1  # of versions; raise it when their meaning changes, so that earlier ones of this package refuse them
FOLDER, ENDING = "versions", ".json.gz"


class SharedLakeError(RuntimeError):
    """The shared lake cannot be used, or another machine has changed it; the message says which, and what to do."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class SharedFile(_Record):
    """A file of the lake: the object that holds it, its digest, size, and time of the last change in nanoseconds."""

    object: str
    sha256: str
    size: int
    time: int


class SharedSnapshot(_Record):
    """What is recorded of a snapshot: its fingerprint if it was published, and the raw rows that it was made from."""

    fingerprint: str | None
    record: dict[str, Any]


class Maker(_Record):
    """Who made a version: the machine, Dagster's run, the snapshot, and when by the machine's clock, which decides nothing."""

    host: str
    run: str
    snapshot: str
    at: datetime

    def in_words(self) -> str:
        made = f"run {self.run}, snapshot {self.snapshot}" if self.run else "from what it had published before"
        return f"by {self.host}, {made}, at {self.at:%Y-%m-%d %H:%M:%S} UTC by its clock"


class Version(_Record):
    """A state of the lake.

    Attributes:
        id: its own, by which a machine knows a version that it made itself; lake: that of the lake, the same in all versions.
        files: path in the data folder -> file.
        snapshots: by key, what is recorded of those that were published, or whose features were made for later ones.
    """

    format: int = FORMAT
    id: str
    lake: str
    number: int
    maker: Maker
    files: dict[str, SharedFile]
    snapshots: dict[str, SharedSnapshot]


@dataclass(frozen=True)
class SharedLake:
    """The versions and objects at an address, and how many versions are kept."""

    url: str
    store: "LocalStore | S3Store"
    kept: int

    def newest(self, after: int = 0) -> int:
        """The number of the newest version; `after`, one that is known, if there is no later one."""
        with self._asking():
            listed = [one["path"] for page in self._list(FOLDER, offset=_name(after)) for one in page]
        return max((_number(path) for path in listed), default=after)

    def read(self, number: int) -> Version:
        """A version.

        Raises:
            SharedLakeError: it cannot be read, was removed since, or was written by a later version of this package.
        """
        import obstore

        with self._asking():
            packed = bytes(obstore.get(self.store, _name(number)).bytes())
        if not packed:
            raise SharedLakeError(
                f"{self.url}: version {number} is empty, as one is of which {self.kept} newer ones were made. Run the same command again; "
                "if it says the same, restore the shared lake from a backup."
            )
        try:
            found = Version.model_validate_json(gzip.decompress(packed))
        except (OSError, EOFError, ValidationError) as error:
            raise SharedLakeError(
                f"{self.url}/{_name(number)} cannot be read ({str(error).splitlines()[0][:100]}). Restore the shared lake from a backup."
            ) from error
        if found.format > FORMAT:
            raise SharedLakeError(
                f"{self.url}: version {number} has format {found.format}, and this version of the package knows up to {FORMAT}. Install "
                "the version that the other machines have."
            )
        return found

    def create(self, version: Version) -> bool:
        """Make this the newest version; false if there is one of its number already, and then nothing is changed."""
        import obstore

        packed = gzip.compress(version.model_dump_json().encode(), mtime=0)
        with self._asking():
            try:
                obstore.put(self.store, _name(version.number), packed, mode="create")
            except obstore.exceptions.AlreadyExistsError:
                return self.read(version.number).id == version.id  # it is this one if an answer was lost, and the request repeated
        return True

    def upload(self, path: str, file: Path) -> SharedFile:
        """Put a file of the working copy under a name of its own."""
        import obstore

        facts = file.stat()
        place = f"{Path(path).parent}/{uuid.uuid4().hex}{file.suffix}"
        with self._asking():
            obstore.put(self.store, place, file)
        return SharedFile(object=place, sha256=digest(file), size=facts.st_size, time=facts.st_mtime_ns)

    def download(self, shared: SharedFile, target: Path) -> None:
        """Replace `target` by the file, once it has arrived whole.

        Raises:
            SharedLakeError: it is damaged, or was removed since.
        """
        with replacing(target) as unfinished:
            with self._asking():
                download(self.store, shared.object, unfinished)
            if digest(unfinished) != shared.sha256:
                raise SharedLakeError(
                    f"{self.url}/{shared.object} is damaged: its digest is not that of the file that was put there. {target} was left as "
                    "it is. Restore the object from a backup, or make its snapshot again on a machine that has the file: segmentation "
                    "run --force --all"
                )

    def prune(self, newest: Version) -> None:
        """Remove what no kept version names: files of earlier ones, and of runs that lost or were killed.

        An object older than the newest version belongs to no run that can still win, because that would have begun after it. A version is
        emptied and not removed, so that its number is never given again.
        """
        import obstore

        with self._asking():
            objects = [one for page in self._list(None) for one in page]
        numbered = {_number(one["path"]): one for one in objects if one["path"].startswith(f"{FOLDER}/")}
        if newest.number not in numbered:
            return
        kept = [number for number, one in numbered.items() if one["size"] and number > newest.number - self.kept]
        named = {file.object for number in kept for file in (newest if number == newest.number else self.read(number)).files.values()}
        made = numbered[newest.number]["last_modified"]
        left = [one["path"] for one in objects if not one["path"].startswith(f"{FOLDER}/") and one["last_modified"] < made]
        with self._asking():
            for number, one in numbered.items():
                if one["size"] and number <= newest.number - self.kept:
                    obstore.put(self.store, _name(number), b"")
            if unnamed := [path for path in left if path not in named]:
                obstore.delete(self.store, unnamed)

    def _list(self, prefix: str | None, offset: str | None = None) -> Any:
        import obstore

        return obstore.list(self.store, prefix, offset=offset)

    def _asking(self) -> "_Asking":
        return _Asking(self.url)


class _Asking:
    """Errors of the storage in words, within a block that asks it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        import obstore

        if isinstance(error, FileNotFoundError | obstore.exceptions.BaseError):
            raise SharedLakeError(f"lake.url: {self.url}: {in_words(error)}") from error


def open_shared(settings: LakeSettings) -> SharedLake:
    """The shared lake of the settings.

    Raises:
        SharedLakeError: what it needs is not installed, or its folder is not there.
    """
    try:
        import obstore.store  # an extra
    except ImportError:
        raise SharedLakeError(f"lake.url {NEEDS}") from None
    url = str(settings.url)
    if not settings.in_bucket:
        if not Path(url).is_dir():
            raise SharedLakeError(f"lake.url: {url}: no such folder. Mount it, or create it: mkdir {url}")
        return SharedLake(url, obstore.store.LocalStore(url, mkdir=True), settings.versions)
    return SharedLake(url, bucket(url, settings.endpoint, settings.region), settings.versions)


def digest(file: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _name(number: int) -> str:
    return f"{FOLDER}/{number:08}{ENDING}"


def _number(path: str) -> int:
    return int(Path(path).name.removesuffix(ENDING))


def of_snapshot(files: dict[str, SharedFile], key: str) -> Iterator[tuple[str, str]]:
    """Path and digest of each file of a snapshot."""
    return ((path, file.sha256) for path, file in sorted(files.items()) if f"/snapshot_date={key}/" in path)
