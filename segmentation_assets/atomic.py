"""Files that are written whole or not at all."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def beside(target: Path) -> Path:
    """A name for an unfinished file in the target's folder, which no other process uses."""
    return target.with_name(f".{uuid.uuid4().hex}.unfinished")


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
        unfinished.unlink(missing_ok=True)
