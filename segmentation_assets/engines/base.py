"""What the lake and the sources need from an engine.

Belongs here: the few lines that differ between engines. Our own SQL does not, and neither do paths (see `store.lake`).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import ibis
import ibis.expr.types as ir
import pyarrow as pa

# Engines merge nested selects themselves. To have Ibis do it took a fifth of the time in which it compiles the statements of a snapshot,
# and computed a value of a source once for each place that uses it.
ibis.options.sql.fuse_selects = False

WRITING = {"compression": "zstd", "compression_level": 1, "write_bloom_filter": False}  # for Parquet; single values are never looked up


class EngineError(RuntimeError):
    """The engine of the settings cannot be used; the message names the setting, the problem and the remedy."""


class Engine(Protocol):
    """An engine that reads and writes Parquet and computes Ibis expressions."""

    @property
    def driver(self) -> "Engine":
        """The engine in this process, on which sources are read and small tables are kept; itself, if it is that one."""
        ...

    def owner(self, table: ir.Table) -> "Engine":
        """The engine that computes `table`: the driver, if it is made of nothing that is on this one."""
        ...

    def scan(self, files: Sequence[Path], **options: Any) -> ir.Table:
        """Read Parquet files lazily as one table, with columns matched by name."""
        ...

    def kept(self, table: ir.Table) -> ir.Table:
        """The rows of `table`, which this engine may keep for the next who asks for an equal one. It keeps one table at a time, so that
        memory is bounded; where nothing is kept, it is `table` itself."""
        ...

    def write(self, table: ir.Table, file: Path, by: Sequence[str] = ()) -> None:
        """Compute `table` and write it as one Parquet file, ordered by the columns `by`; if there are none, on DuckDB, in its own order."""
        ...

    def rows(self, table: ir.Table) -> list[dict[str, Any]]:
        """Compute a small table, such as counts, as one dictionary per row."""
        ...

    def batches(self, table: ir.Table, rows: int) -> Iterator[pa.RecordBatch]:
        """Compute a table that is read in this process, and give its rows, in its order if it has one, at most so many at a time. No more
        of them are in memory, and nothing else is computed until all are read."""
        ...

    def close(self) -> None:
        """Release the engine's connection and memory."""
        ...
