"""The record of one file or query that was read, and its rows."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from segmentation_assets.engines.base import Engine
from segmentation_assets.sources.number_forms import Forms
from segmentation_assets.vocabulary import counted

FLAGS = {
    "odd_number": "",  # a number in other than plain form
    "serial_date": "Day numbers of Excel, such as 45300 for 2024-01-09, were read as dates in {rows}",
    "unmatched": "{rows} ({share:.0%}) had no match in a lookup: compare the key in both files",
    "rounded_id": "Warning: ids were rounded in {rows}, because a program treated them as numbers: floats beyond 2^53, or written like "
    "7.1E+12. Different ids may have become equal. Export ids as text",
}
"""Columns of stored rows that flag noteworthy ones -> what `check` says about them."""

SKIPPED = "skipped"  # the note that says why a file was skipped
FILE, PLACE = "filename", "file_row_number"  # the engine's names for the file of a row, and its place in it from 0


@dataclass(frozen=True)
class IntakeRecord:
    """A source file that was read: where its rows are, and what was found in it."""

    rows_file: str
    source: str  # the `source_file` of its rows
    rows: int
    columns: dict[str, str]  # source column -> what it holds
    mapped: tuple[str, ...]
    strict: tuple[str, ...]  # mapped columns read as numbers or times, for which another type is an error
    typed: bool  # whether the file itself has types
    date_formats: tuple[str, ...]
    notes: dict[str, str]
    numbers: dict[str, Forms] = field(default_factory=dict)  # source column -> how its numbers are written
    flagged: dict[str, int] = field(default_factory=dict)  # flag -> number of rows, see FLAGS
    doubts: tuple[str, ...] = ()  # warnings for the user; the same for all files of a table

    @property
    def skipped(self) -> str | None:
        """Why the file was skipped, to follow its name: "is empty"; None if it was not."""
        return self.notes.get(SKIPPED)


def counted_rows(rows_file: Path) -> tuple[int, dict[str, int]]:
    """The number of stored rows, and of those with each flag; mostly none, as the file's own statistics show."""
    with pq.ParquetFile(rows_file) as file:
        groups = [file.metadata.row_group(position) for position in range(file.num_row_groups)]
        places = {name: file.schema_arrow.get_field_index(name) for name in FLAGS}
        raised = [name for name, place in places.items() if not all(_never_true(group.column(place)) for group in groups)]
        flags = file.read(columns=raised) if raised else None
        found = {name: int(pc.sum(flags[name]).as_py() or 0) for name in raised} if flags is not None else {}
        return file.metadata.num_rows, {name: n for name, n in found.items() if n}


def _never_true(column: Any) -> bool:
    facts = column.statistics
    return facts is not None and facts.has_min_max and facts.max is False


def worth_a_look(kept: Sequence[IntakeRecord]) -> list[str]:
    """Warnings on the files of an entity, one line each."""
    total = sum(file.rows for file in kept)
    rows = {name: n for name in FLAGS if (n := sum(file.flagged.get(name, 0) for file in kept))}
    flagged = [
        text.format(rows=counted(rows[name], "row"), share=rows[name] / total) for name, text in FLAGS.items() if text and name in rows
    ]
    return [*dict.fromkeys(doubt for file in kept for doubt in file.doubts), *flagged]


def scanned(engine: Engine, kept: Sequence[IntakeRecord]) -> ir.Table:
    """The rows of the files, each with its source and row number, which follow from where it is stored."""
    sources = pa.table({FILE: [file.rows_file for file in kept], "source_file": [file.source for file in kept]})
    rows = numbered(engine.scan([Path(file.rows_file) for file in kept], hive_partitioning=False, **{FILE: True, PLACE: True}))
    return rows.left_join(ibis.memtable(sources), FILE).drop(FILE, f"{FILE}_right")


def numbered(rows: ir.Table) -> ir.Table:
    """Stored rows, read with their PLACE, each with its row number: if none is stored, it follows from the place."""
    return rows.mutate(row_number=ibis.coalesce(rows.row_number, rows[PLACE] + 1)).drop(PLACE)
