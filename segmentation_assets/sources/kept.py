"""What was taken in from one file or query: a record of facts, and its rows."""

from dataclasses import dataclass

import ibis
import ibis.expr.types as ir

PLACE = "file_row_number"  # what the engine calls the place of a row in its file, from 0


@dataclass(frozen=True)
class Kept:
    """A source file as it was taken in: where its rows are, and what was found in it."""

    rows_file: str
    source: str  # name that its rows carry
    rows: int
    columns: dict[str, str]  # source column -> what it holds
    mapped: tuple[str, ...]
    strict: tuple[str, ...]  # mapped columns that are read as numbers or times, so that another type is an error
    typed: bool  # whether the file itself has types
    date_formats: tuple[str, ...]
    notes: dict[str, str]


def numbered(rows: ir.Table) -> ir.Table:
    """Kept rows, read with their PLACE, each with its row number: where none is kept, the place is the number."""
    return rows.mutate(row_number=ibis.coalesce(rows.row_number, rows[PLACE] + 1)).drop(PLACE)
