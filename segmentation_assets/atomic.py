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
CLONE = 0x40049409  # ioctl FICLONE of Linux
LEFT_AFTER = 600  # seconds without a write, if it is unknown whether the writer is alive


def beside(target: Path) -> Path:
    """A unique name for an unfinished file in the target's folder."""
    return target.with_name(f".{uuid.uuid4().hex}{_mark()}")


@contextmanager
def scratch(folder: Path | None) -> Iterator[Path]:
    """A temporary folder, in `folder` or in the system's own, that is removed when the block ends."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=".", suffix=_mark()) as made:
        yield Path(made)


def sweep(folder: Path, now: float) -> None:
    """Remove unfinished files and folders under this one that killed processes left, or that had no write for minutes."""
    for left in [*folder.rglob(f".*{UNFINISHED}*"), *folder.rglob(".reading-*")]:  # what earlier versions called scratch folders
        with suppress(OSError):  # it may be gone by now
            if is_left(left.name) or now - left.stat().st_mtime > LEFT_AFTER:
                _remove(left)


def _mark() -> str:
    """The end of an unfinished file's name, which identifies its process."""
    return f".{os.getpid()}.{_machine()}{UNFINISHED}"


def _machine() -> str:
    """The scope in which process numbers are unique: the host and, on Linux, its namespace, such as a container."""
    with suppress(OSError):  # not Linux
        return f"{socket.gethostname()}.{Path('/proc/self/ns/pid').stat().st_ino}"
    return socket.gethostname()


def is_left(name: str) -> bool:
    """Whether the name belongs to a process of this machine that no longer exists."""
    process, _, machine = name.removeprefix(".").partition(".")[2].partition(UNFINISHED)[0].partition(".")
    if machine != _machine() or not process.isdigit():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except OSError:  # the process of another user
        return False
    return False


def _remove(left: Path) -> None:
    if left.is_dir():
        shutil.rmtree(left)
    else:
        left.unlink(missing_ok=True)


def copied(source: Path, target: Path) -> None:
    """Copy a file. On a file system that can share blocks, such as XFS and Btrfs, only what is written later takes time and space."""
    with source.open("rb") as original, target.open("wb") as copy, suppress(OSError, ImportError):
        import fcntl  # not on Windows

        fcntl.ioctl(copy.fileno(), CLONE, original.fileno())
        return
    shutil.copyfile(source, target)


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A file to write that replaces the target when the block ends, and is removed if the block fails.

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
        for left in target.parent.glob(f"{unfinished.name}*"):  # and the files that a database keeps next to it
            left.unlink(missing_ok=True)
