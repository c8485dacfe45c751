"""The engine on DuckDB."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir
import pyarrow as pa
from sqlglot import exp

from segmentation_assets.engines.base import WRITING
from segmentation_assets.engines.parquet import state_of


class DuckDBEngine:
    """DuckDB in this process. Rows keep their order. The machine's zone does not matter; times of rows have none (see `sources`).

    Args:
        threads: most threads used at once; None: DuckDB's default (one per core).
        memory: most memory, such as 2GB, beyond which DuckDB spills; None: DuckDB's default.
        temp_folder: where it spills to; None: the system's temporary folder.
    """

    def __init__(self, threads: int | None = None, memory: str | None = None, temp_folder: Path | None = None) -> None:
        self._scans: dict[tuple[Any, ...], ir.Table] = {}
        self._kept: tuple[ops.Node, ir.Table] | None = None  # what was computed, and its rows
        self.backend = ibis.duckdb.connect(":memory:", **({"threads": threads} if threads else {}))
        self.backend.raw_sql("SET TimeZone = 'UTC'").fetchall()  # drained: an open result breaks later table look-ups
        if memory:
            self.backend.raw_sql(f"SET memory_limit = '{memory}'").fetchall()
            # Gives freed memory back within a second; otherwise some 150 MB stay for good.
            self.backend.raw_sql("SET allocator_background_threads = true").fetchall()
        spilled = exp.Literal.string(str(temp_folder or tempfile.gettempdir())).sql("duckdb")
        self.backend.raw_sql(f"SET temp_directory = {spilled}").fetchall()

    @property
    def driver(self) -> "DuckDBEngine":
        return self

    def owner(self, table: ir.Table) -> "DuckDBEngine":
        return self

    def scan(self, files: Sequence[Path], **options: Any) -> ir.Table:
        # Many assets read the same partition, and making a view and asking for its columns costs 10 ms each time.
        read = (tuple(map(state_of, files)), *options.items())
        if read not in self._scans:
            self._scans[read] = self.backend.read_parquet([str(file) for file in files], union_by_name=True, **options)
        return self._scans[read]

    def kept(self, table: ir.Table) -> ir.Table:
        # Equal expressions are of the same files, because a file that was replaced is another scan. DuckDB spills temporary tables.
        if self._kept is None or self._kept[0] != table.op():
            self.forget()
            rows = self.backend.create_table(ibis.util.gen_name("kept"), table, temp=True)
            self._kept = table.op(), rows
        return self._kept[1]

    def forget(self) -> None:
        """Drop the table that is kept, if any."""
        if self._kept is not None:
            self.backend.drop_table(self._kept[1].op().name, database=("temp", "main"))
            self._kept = None

    def write(self, table: ir.Table, file: Path, by: Sequence[str] = ()) -> None:
        # Version 2 stores ids and counts as differences, which halves reading time; Spark's reader only knows version 1 for floats.
        version = "V1" if any(kind.is_floating() for kind in table.schema().values()) else "V2"
        self.backend.to_parquet(table.order_by(by) if by else table, file, parquet_version=version, **WRITING)

    def rows(self, table: ir.Table) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.backend.to_pyarrow(table).to_pylist()
        return found

    def batches(self, table: ir.Table, rows: int) -> Iterator[pa.RecordBatch]:
        # Not Ibis's own `to_pyarrow_batches`, which calls what DuckDB 2 no longer has.
        self.backend._run_pre_execute_hooks(table)
        with self.backend.con.sql(self.backend.compile(table)).to_arrow_reader(rows) as reader:
            yield from reader

    def close(self) -> None:
        self.backend.disconnect()
