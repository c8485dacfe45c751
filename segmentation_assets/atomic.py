"""Files that are written whole or not at all."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

UNFINISHED = ".unfinished"
LEFT_AFTER = 600  # seconds without a write


def beside(target: Path) -> Path:
    """A unique name for an unfinished file in the target's folder."""
    return target.with_name(f".{uuid.uuid4().hex}{UNFINISHED}")


def sweep(folder: Path, now: float) -> None:
    """Remove unfinished files that killed processes left under the folder: those without a write for minutes."""
    for file in folder.rglob(f".*{UNFINISHED}"):
        with suppress(OSError):  # it may be gone by now
            if now - file.stat().st_mtime > LEFT_AFTER:
                file.unlink()


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
        unfinished.unlink(missing_ok=True)
