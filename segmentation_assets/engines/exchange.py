"""Where this machine and the machines of an engine exchange files: a folder that all of them see, or a bucket.

Belongs here: giving the engine a file of this machine, and bringing what it has written. What is in the files does not.
"""

import datetime as dt
import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Protocol

from segmentation_assets.atomic import beside, is_left
from segmentation_assets.engines.base import EngineError
from segmentation_assets.engines.parquet import State, state_of
from segmentation_assets.storage import NEEDS, bucket, download, in_words

S3 = "s3://"
SESSIONS = "segmentation-exchange"  # below the prefix; in it, a folder for each session
LEFT_AFTER = dt.timedelta(days=2)  # after which a session of another machine, whose process may have been killed, is removed
AT_ONCE = 8  # files that travel at the same time


class Exchange(Protocol):
    """Files that travel between this machine and an engine's.

    Attributes:
        folder: on this machine, for files that are written to be given to the engine; removed by its owner.
        setting, place: the setting that says where they travel, and where that is, for messages.
        remedy: what to do if the engine does not read and write there.
    """

    folder: Path
    setting: str
    place: str
    remedy: str

    def addresses(self, files: Sequence[Path]) -> list[str]:
        """Where the engine reads these files, in their order."""
        ...

    @contextmanager
    def incoming(self, near: Path) -> Iterator[tuple[str, Callable[[], list[Path]]]]:
        """A folder that the engine writes, and a function that brings its Parquet files to this machine, until the block ends.

        Args:
            near: the file that will be made of them.
        """
        ...

    def close(self) -> None:
        """Remove what was given to the engine."""
        ...


class SharedFolder:
    """A folder that this machine and the engine's see under the same path, as they do all files that are read."""

    setting = "engine.url"
    remedy = (
        "Let its machines see the data folder under the same path, as on a shared file system, or name a bucket in engine.exchange "
        "(docs/scaling.md)."
    )

    def __init__(self, folder: Path) -> None:
        self.folder, self.place = folder, str(folder.parent)

    def addresses(self, files: Sequence[Path]) -> list[str]:
        return [str(self._visible(file)) for file in files]

    def _visible(self, file: Path) -> Path:
        """The file under a name that Spark does not pass over, as it does those of unfinished files, which begin with a point."""
        if not file.name.startswith((".", "_")):
            return file
        link = self.folder / f"{uuid.uuid4().hex}.parquet"
        link.hardlink_to(file)
        return link

    @contextmanager
    def incoming(self, near: Path) -> Iterator[tuple[str, Callable[[], list[Path]]]]:
        parts = _parts_of(near)
        with _removed(parts):
            yield str(parts), lambda: sorted(parts.rglob("*.parquet"))

    def close(self) -> None: ...


class Bucket:
    """A prefix in a bucket, `s3://` or `s3a://`, which the engine reads and writes with rights of its own.

    Args:
        url: its address, in the form that the engine knows.
        folder: see `Exchange`.
        known: where the engine can read a file already, as in a shared lake; None: nowhere.

    Raises:
        EngineError: what it needs is not installed, or the bucket cannot be read and written.
    """

    setting = "engine.exchange"
    remedy = (
        "Give its machines the right to list, read, write and delete there, and their own keys; a server that is not Amazon's must be set "
        "up there too (docs/scaling.md)."
    )

    def __init__(self, url: str, folder: Path, known: Callable[[Path], str | None] = lambda file: None) -> None:
        self.place, self.folder, self.known = url.rstrip("/"), folder, known
        self._session = f"{SESSIONS}/{beside(folder).name.removeprefix('.')}"  # which tells whose it is
        self._sent: dict[State, str] = {}
        try:
            import obstore  # an extra
        except ImportError:
            raise EngineError(f"engine.exchange {NEEDS}") from None
        self._errors = (FileNotFoundError, obstore.exceptions.BaseError)
        scheme, _, rest = url.rstrip("/").partition("://")
        self._scheme = f"{scheme}://"  # Spark without Amazon's or Databricks' additions knows s3a only
        with self._asking():
            self._store = bucket(S3 + rest)
            self._remove_what_was_left()
        _OPEN.add(self)

    def addresses(self, files: Sequence[Path]) -> list[str]:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(self._given, files))

    def _given(self, file: Path) -> str:
        state = state_of(file)
        known = self.known(file)
        address = self._sent.get(state) or (known and self._scheme + known.removeprefix(S3)) or self._put(file)
        self._sent[state] = address
        return address

    def _put(self, file: Path) -> str:
        import obstore

        name = f"{self._session}/{uuid.uuid4().hex}.parquet"
        with self._asking():
            obstore.put(self._store, name, file)
        return f"{self.place}/{name}"

    @contextmanager
    def incoming(self, near: Path) -> Iterator[tuple[str, Callable[[], list[Path]]]]:
        parts, name = _parts_of(near), f"{self._session}/{uuid.uuid4().hex}"
        with _removed(parts):
            yield f"{self.place}/{name}", lambda: self._brought(name, parts)
            self._remove(name)

    def _brought(self, name: str, parts: Path) -> list[Path]:
        """The files below a name, on this machine."""
        parts.mkdir()
        with self._asking(), ThreadPoolExecutor(AT_ONCE) as pool:
            names = sorted(one for one in self._below(name) if one.endswith(".parquet"))
            files = [parts / f"{number:06}.parquet" for number in range(len(names))]
            list(pool.map(partial(download, self._store), names, files))
        return files

    def _below(self, name: str) -> list[str]:
        import obstore

        return [one["path"] for page in obstore.list(self._store, f"{name}/") for one in page]

    def _remove(self, name: str) -> None:
        import obstore

        with self._asking():
            if names := self._below(name):
                obstore.delete(self._store, names)

    def _remove_what_was_left(self) -> None:
        """Remove sessions of processes that were killed."""
        import obstore

        newest: dict[str, dt.datetime] = {}
        for page in obstore.list(self._store, f"{SESSIONS}/"):
            for one in page:
                session = "/".join(one["path"].split("/")[:2])
                newest[session] = max(one["last_modified"], newest.get(session, one["last_modified"]))
        for session, at in newest.items():
            if is_left(f".{session.partition('/')[2]}") or at < dt.datetime.now(dt.UTC) - LEFT_AFTER:
                self._remove(session)

    def close(self) -> None:
        _OPEN.discard(self)
        with suppress(EngineError):  # then the next session removes it
            self._remove(self._session)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Errors of the storage in words, within a block that asks it."""
        try:
            yield
        except self._errors as error:
            raise EngineError(f"{self.setting}: {self.place}: {in_words(error)}") from None


_OPEN: set[Bucket] = set()


def remove_left(url: str, folder: Path) -> None:
    """Remove what processes of this machine that have ended gave to engines through a bucket."""
    with suppress(EngineError):  # then the next session removes it
        Bucket(url, folder).close()


def close_all() -> None:
    """Remove what this process has given to engines, before it ends without closing them."""
    for one in list(_OPEN):
        one.close()


def _parts_of(file: Path) -> Path:
    return file.with_name(f"{file.name}.parts")  # which `atomic.sweep` removes if this process is killed


@contextmanager
def _removed(folder: Path) -> Iterator[None]:
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)
