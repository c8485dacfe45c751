"""Files that are written whole or not at all."""

import os
import shutil
import socket
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

UNFINISHED = ".unfinished"
LEFT_AFTER = 600  # seconds without a write, where it cannot be told whether the writer is alive


def beside(target: Path) -> Path:
    """A name for an unfinished file in the target's folder, which no other process uses."""
    return target.with_name(f".{uuid.uuid4().hex}{_mark()}")


@contextmanager
def scratch(folder: Path | None) -> Iterator[Path]:
    """A folder to work in, within `folder` or that of the system, which is gone when the block ends."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=".", suffix=_mark()) as made:
        yield Path(made)


def sweep(folder: Path, now: float) -> None:
    """Remove what is left of unfinished files and folders under this one: their process is gone, or nobody has written for minutes."""
    for left in [*folder.rglob(f".*{UNFINISHED}*"), *folder.rglob(".reading-*")]:  # as former versions called what is scratch now
        with suppress(OSError):  # such as one that is gone by now
            if _is_left(left.name) or now - left.stat().st_mtime > LEFT_AFTER:
                _remove(left)


def _mark() -> str:
    """The end of the name of what is unfinished: whose it is."""
    return f".{os.getpid()}.{_machine()}{UNFINISHED}"


def _machine() -> str:
    """Within which the number of a process has a meaning: a host and, in containers, a part of it."""
    with suppress(OSError):  # not Linux
        return f"{socket.gethostname()}.{Path('/proc/self/ns/pid').stat().st_ino}"
    return socket.gethostname()


def _is_left(name: str) -> bool:
    """Whether it is of a process of this machine that is gone."""
    process, _, machine = name.removeprefix(".").partition(".")[2].partition(UNFINISHED)[0].partition(".")
    if machine != _machine() or not process.isdigit():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except OSError:  # another person's
        return False
    return False


def _remove(left: Path) -> None:
    if left.is_dir():
        shutil.rmtree(left)
    else:
        left.unlink(missing_ok=True)


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A file to write, which takes the target's place when the block ends, and is gone where it fails.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "told" / "once.txt"
    >>> with replacing(file) as unfinished:
    ...     _ = unfinished.write_text("whole")
    >>> file.read_text()
    'whole'
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = beside(target)
    try:
        yield unfinished
        unfinished.replace(target)
    finally:
        for left in target.parent.glob(f"{unfinished.name}*"):  # and what a database keeps beside it
            left.unlink(missing_ok=True)
