"""What the lake and the sources need from an engine.

Belongs here: the few lines that differ between engines. SQL of our own does not, and neither do paths (see `store.lake`).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import ibis.expr.types as ir

WRITING = {"compression": "zstd", "compression_level": 1, "write_bloom_filter": False}  # of Parquet; nobody looks up single values


class Engine(Protocol):
    """What the lake and the sources need from an engine."""

    def scan(self, files: Sequence[Path], **options: Any) -> ir.Table:
        """Lazily read Parquet files as one table, columns matched by name."""
        ...

    def write(self, table: ir.Table, file: Path) -> None:
        """Compute `table` and write it, in its order, as one Parquet file."""
        ...

    def rows(self, table: ir.Table) -> list[dict[str, Any]]:
        """Compute a small table, such as counts, as one dictionary per row."""
        ...

    def close(self) -> None:
        """Give back what the engine holds."""
        ...
