"""The output of every reader: the rows of one file as a relation of the engine, with row numbers and problems.

Belongs here: the shape that readers share, and how rows of text become a relation. Reading a format does not.
"""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq

from segmentation_assets.sources.text_files import Row

ROW, PROBLEM, LINE = "__row", "__problem", "__line"
UNMATCHED = "__unmatched"  # whether a lookup has no match for the row
BATCH_ROWS = 50_000
BATCH_TEXT = 1 << 25  # characters; whichever is reached first


@dataclass(frozen=True)
class FileRows:
    """The rows of one file: a relation of its columns, and ROW, PROBLEM and LINE (the text of a line that cannot be split).

    ROW counts from 1. It is null if the rows are in order, so that it follows from their place.
    """

    relation: Any
    columns: tuple[str, ...]
    notes: dict[str, str] = field(default_factory=dict)  # what was guessed, such as the delimiter
    kind: str = "csv"
    other_sheets: tuple[str, ...] = ()  # other sheets of the workbook with rows; empty if one sheet was chosen

    @property
    def shape(self) -> tuple[Any, ...]:
        """A key that is equal for files that can be read by the same statements."""
        return (self.columns, self.kind, *map(str, self.relation.types))

    @property
    def typed(self) -> bool:
        """Whether the file itself has types."""
        return self.kind == "parquet"

    def viewed(self, backend: Any, name: str | None = None) -> "SourceRows":
        """The same as a table of the Ibis backend to whose connection the relation belongs."""
        name = name or ibis.util.gen_name("file")
        self.relation.create_view(name, replace=True)
        return SourceRows(backend.table(name), self.columns, self.notes, self.kind, self.other_sheets)


@dataclass(frozen=True)
class SourceRows:
    """The rows of one file or query: its columns, and ROW, PROBLEM and LINE as in `FileRows`."""

    table: ir.Table
    columns: tuple[str, ...]
    notes: dict[str, str] = field(default_factory=dict)
    kind: str = "csv"
    other_sheets: tuple[str, ...] = ()


def named(relation: Any, names: Sequence[str], values: Sequence[Any], **extra: Any) -> Any:
    """The values under the given names, with ROW, PROBLEM and LINE, which are null unless given."""
    missing = {ROW: "BIGINT", PROBLEM: "VARCHAR", LINE: "VARCHAR"}
    marks = {name: extra[name] if name in extra else duckdb.ConstantExpression(None).cast(kind) for name, kind in missing.items()}
    columns = [value.alias(name) for name, value in zip(names, values, strict=True)]
    return relation.select(*columns, *(value.alias(name) for name, value in marks.items()))


def column(name: str) -> Any:
    """A column of a relation, by its exact name."""
    return duckdb.ColumnExpression(name)


def staged(backend: Any, rows: Iterable[Row], names: Sequence[str], scratch: Path) -> Any:
    """Rows of text as a relation, through a Parquet file, so that memory stays bounded."""
    places = [f"c{position}" for position in range(len(names))]
    schema = pa.schema([*((name, pa.string()) for name in places), (ROW, pa.int64()), (PROBLEM, pa.string()), (LINE, pa.string())])
    file = Path(tempfile.mkstemp(suffix=".parquet", dir=scratch)[1])
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        number = 0
        for batch in _batches(rows):
            numbers = list(range(number + 1, number + len(batch) + 1))
            number += len(batch)
            cells = [[row.cells[position] or None if row.cells else None for row in batch] for position in range(len(names))]
            marks = [pa.array([row.problem for row in batch], pa.string()), pa.array([row.text if row.problem else None for row in batch])]
            columns = [*(pa.array(values, pa.string()) for values in cells), pa.array(numbers, pa.int64()), *marks]
            writer.write_batch(
                pa.record_batch([values.cast(kind) for values, kind in zip(columns, schema.types, strict=True)], schema=schema)
            )
    relation = backend.con.read_parquet(str(file))
    return named(relation, names, [column(place) for place in places], **{mark: column(mark) for mark in (ROW, PROBLEM, LINE)})


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += len(row.text)
        if len(batch) == BATCH_ROWS or size >= BATCH_TEXT:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
