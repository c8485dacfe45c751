"""Lookups: columns that other files add to each row, such as a product's category."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import ibis
import ibis.expr.types as ir

from segmentation_assets.settings.source import FileLookup
from segmentation_assets.sources import files
from segmentation_assets.sources.base import NoRows, SourceError
from segmentation_assets.sources.cells import Cells
from segmentation_assets.sources.located import matching_files
from segmentation_assets.sources.rows import PROBLEM, ROW, UNMATCHED, SourceRows
from segmentation_assets.sources.statements import stored


@dataclass(frozen=True)
class Lookup:
    """The files of a lookup as a table of the engine: keys as text, each once, and the columns to add."""

    settings: FileLookup
    table: ir.Table

    @property
    def keys(self) -> list[str]:
        return [f"__key{position}" for position in range(len(self.settings.keys))]

    @property
    def added(self) -> list[str]:
        return [name for name in self.table.columns if name not in self.keys]


def read_lookups(backend: Any, settings: Any, scratch: Path) -> list[Lookup]:
    """The lookups of a table, read once for all of its files.

    Raises:
        SourceError: a file cannot be read or lacks a key or column, or a key value occurs more than once.
    """
    return [_read(backend, lookup, scratch) for lookup in getattr(settings, "lookups", ())]


def joined(rows: SourceRows, lookups: Sequence[Lookup], where: Path | str) -> SourceRows:
    """The rows with the columns that the lookups add; the number of rows stays the same. A key may come from an earlier lookup.

    Raises:
        SourceError: the rows lack a key.
    """
    for lookup in lookups:
        rows = _with_lookup(rows, lookup, where)
    return rows


def _read(backend: Any, lookup: FileLookup, scratch: Path) -> Lookup:
    cells, tables = Cells(lookup), []
    for file, _ in matching_files(lookup):
        try:
            other = files.read_file(backend, file, lookup, scratch)
            tables.append(stored(backend, _selected(other, lookup, cells, file)))
        except NoRows:
            continue
        except duckdb.Error:
            other = files.read_file(backend, file, lookup, scratch, careful=True)
            tables.append(stored(backend, _selected(other, lookup, cells, file)))
    if not tables:
        raise SourceError(f"{', '.join(lookup.patterns)}: the lookup's files have no rows. Correct `files`, or remove the lookup.")
    table = ibis.union(*tables) if len(tables) > 1 else tables[0]
    found = Lookup(lookup, table)
    table = table.filter([table[key].notnull() for key in found.keys])
    repeated = backend.to_pyarrow(table.group_by(found.keys).agg(n=ibis._.count()).filter(ibis._.n > 1).limit(3)).to_pylist()
    if repeated:
        example = ", ".join(str(row["__key0"]) for row in repeated)
        raise SourceError(
            f"{', '.join(lookup.patterns)}: {' and '.join(lookup.keys)} occurs more than once (such as {example}), so rows "
            "would be doubled. Keep one row for each."
        )
    return Lookup(lookup, table)


def _selected(other: SourceRows, lookup: FileLookup, cells: Cells, file: Path) -> ir.Table:
    for key in lookup.keys:
        _require(key, other.columns, file)
    added = lookup.added or {name: name for name in other.columns if name not in lookup.keys}
    absent = [name for name in added.values() if name not in other.columns]
    if absent:
        raise SourceError(
            f"{file}: lookup column {', '.join(absent)} is missing; the file has {', '.join(other.columns[:30])}. Correct `columns` "
            "in the settings."
        )
    keys = {f"__key{position}": cells.text(other.table[key]) for position, key in enumerate(lookup.keys)}
    return other.table.select(**keys, **{name: other.table[theirs] for name, theirs in added.items()})


def _require(key: str, columns: Sequence[str], where: Path | str) -> None:
    if key not in columns:
        raise SourceError(
            f"{where}: lookup by {key!r}: no such column; there are {', '.join(columns[:30])}. Correct `key` of the lookup in the settings."
        )


def _with_lookup(rows: SourceRows, lookup: Lookup, where: Path | str) -> SourceRows:
    cells = Cells(lookup.settings)
    left = rows.table.mutate(**{ROW: ibis.coalesce(rows.table[ROW], ibis.row_number() + 1)})  # a join keeps no order
    for key in lookup.settings.keys:
        _require(key, rows.columns, where)
    if doubled := [name for name in lookup.settings.added if name in rows.columns]:
        raise SourceError(
            f"{where}: already has the column {doubled[0]}, which a lookup adds. Rename the lookup's column: "
            f"columns: {{other_{doubled[0]}: {lookup.settings.added[doubled[0]]}}}, or leave it out."
        )
    new = tuple(name for name in lookup.added if name not in rows.columns)  # if all are added, the row's own column wins
    right = lookup.table.select(*lookup.keys, *new, __found=True)
    marked = left.mutate(**{key: cells.text(left[name]) for key, name in zip(lookup.keys, lookup.settings.keys, strict=True)})
    result = marked.left_join(right, lookup.keys)
    missed = ibis.and_(result["__found"].isnull(), result[PROBLEM].isnull(), *(result[key].notnull() for key in lookup.keys))
    missed = (missed | result[UNMATCHED]) if UNMATCHED in left.columns else missed
    result = result.mutate(**{UNMATCHED: missed}).select(*dict.fromkeys((*left.columns, *new, UNMATCHED)))
    return replace(rows, table=result, columns=(*rows.columns, *new))
