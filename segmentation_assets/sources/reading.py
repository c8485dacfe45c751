"""A dedicated engine for reading files, which prepares its statements once for all files that are alike."""

import contextlib
import functools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import duckdb
import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow.parquet as pq
from sqlglot import exp

from segmentation_assets import atomic
from segmentation_assets.engines.base import WRITING
from segmentation_assets.settings.source import Files
from segmentation_assets.sources import files, guessing, number_forms, order_cells, statements
from segmentation_assets.sources.cells import Cells
from segmentation_assets.sources.currencies import column_of
from segmentation_assets.sources.intake_record import counted_rows
from segmentation_assets.sources.lookups import Lookup, joined, read_lookups
from segmentation_assets.sources.mapping import TIMES, UNTIL, Bounds, MappedColumns, canonical, resolve
from segmentation_assets.sources.number_forms import Forms
from segmentation_assets.sources.pseudonyms import Pseudonyms
from segmentation_assets.sources.rows import FileRows, SourceRows

MEMORY = "1GB"  # of the engine while it reads a source, whatever the size of the file
TOLD = "told_numbers"  # the table of the numbers of one column of it
PART = "__part"  # which of several files a row is of
SAMPLE_OF_EACH = 500  # rows of each of several files that show what columns hold; of one file, guessing.SAMPLE
CURRENT = "current_file"  # the view of the file that is being read, which the statements for all files are over


def connect(zone: str = "UTC", pseudonyms: Pseudonyms | None = None) -> Any:
    """A dedicated DuckDB for reading sources, with times in the given zone, whatever the machine's, and the means to make pseudonyms."""
    backend = ibis.duckdb.connect(":memory:")
    backend.raw_sql(f"SET TimeZone = {exp.Literal.string(zone).sql('duckdb')}").fetchall()
    backend.raw_sql("SET autoinstall_known_extensions = false").fetchall()  # nothing is downloaded at run time
    backend.raw_sql(f"SET memory_limit = '{MEMORY}'").fetchall()  # beyond it, DuckDB spills to disk
    backend.raw_sql(f"SET temp_directory = {exp.Literal.string(tempfile.gettempdir()).sql('duckdb')}").fetchall()
    if pseudonyms:
        pseudonyms.prepare(backend)
    return backend


Joined = Callable[[SourceRows], SourceRows]


@dataclass(frozen=True)
class Written:
    """What was found in a file whose rows were written: the columns they are made from, and the type of each source column.

    `told` are the columns used to fill cells of whole orders and to leave out rows; `notes` describe this.
    """

    found: MappedColumns
    rows: int
    types: dict[str, str]
    flagged: dict[str, int]
    numbers: dict[str, Forms]
    told: tuple[str, ...] = ()
    notes: dict[str, str] = field(default_factory=dict)


class FileReader:
    """Reads files one by one on its own engine, with statements prepared once for all files that are alike.

    Args:
        folder: where scratch folders are made, one for each file while it is open.
        zone: the zone to which times are converted.
        pseudonyms: what customer ids are replaced with; None: nothing.
    """

    def __init__(self, folder: Path | None = None, zone: str = "UTC", pseudonyms: Pseudonyms | None = None) -> None:
        self.folder, self.zone, self.pseudonyms = folder, zone, pseudonyms
        self._open = contextlib.ExitStack()
        self._backend: Any = None
        self._shape: Any = None
        self._tables: dict[Any, ir.Table] = {}
        self._views: dict[Any, ir.Table] = {}
        self._asked_of_numbers: dict[Any, list[ir.Table]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    @property
    def backend(self) -> Any:
        """The engine, opened on first use: usually all files were read before, and it is not needed."""
        if self._backend is None:
            self._backend = connect(self.zone, self.pseudonyms)
            self._open.callback(self._backend.disconnect)
        return self._backend

    @contextlib.contextmanager
    def opened(self, file: Path, settings: Files, careful: bool = False) -> Iterator[FileRows]:
        """The rows of one file, until its scratch folder is removed at the end of the block."""
        with atomic.scratch(self.folder) as scratch:
            yield files.opened(self.backend, file, settings, scratch, careful)

    def lasting(self) -> Path:
        """A scratch folder that exists as long as this reader."""
        return self._open.enter_context(atomic.scratch(self.folder))

    def current(self, rows: FileRows) -> None:
        """Make these the current rows, to which the statements apply."""
        rows.relation.create_view(CURRENT, replace=True)
        self._shape = rows.shape

    @property
    def table(self) -> ir.Table:
        """The current rows; their types are looked up once for all files of one shape."""
        if self._shape not in self._tables:
            self._tables[self._shape] = self.backend.table(CURRENT)
        return self._tables[self._shape]

    def ask(self, rows: FileRows, what: Any, make: Callable[[SourceRows], ir.Table]) -> ir.Table:
        """A view over the current rows, made once for all files of their shape.

        Args:
            what: names the question; equal for equal questions.
            make: makes it from the current rows.
        """
        key = (what, rows.shape)
        if key not in self._views:
            made = make(SourceRows(self.table, rows.columns, kind=rows.kind))
            self._views[key] = statements.view(self.backend, made)
        return self._views[key]

    def answers(self, rows: FileRows, what: Any, make: Callable[[SourceRows], ir.Table]) -> list[dict[str, Any]]:
        """The result of a query on the current rows; the arguments are those of `ask`."""
        found: list[dict[str, Any]] = self.backend.to_pyarrow(self.ask(rows, what, make)).to_pylist()
        return found

    def numbers(self, rows: FileRows, columns: Sequence[str], joined: Joined = lambda rows: rows) -> dict[str, Forms]:
        """How numbers are written in the given columns of the current rows.

        Args:
            joined: adds columns to the rows.
        """
        return {column: number_forms.forms_of(*self._told(rows, column, joined, ())) for column in columns}

    def currencies(self, rows: FileRows, column: str, cells: Cells) -> dict[str, Forms]:
        """The currencies in a column of the current rows."""
        found = self.answers(rows, ("currencies", column), lambda current: number_forms.currency_cells(current.table, column, cells))
        return {column: number_forms.of_amounts(found)}

    def _told(self, rows: FileRows, column: str, joined: Joined, by: tuple[str, ...]) -> list[list[dict[str, Any]]]:
        told = self.ask(rows, ("told", column, by), lambda current: number_forms.told(joined(current).table, column, by))
        self.backend.raw_sql(f"CREATE OR REPLACE TABLE {TOLD} AS FROM {told.get_name()}").fetchall()
        key = rows.kind, by
        if key not in self._asked_of_numbers:
            asked = number_forms.questions(self.backend.table(TOLD), *key)
            self._asked_of_numbers[key] = [statements.view(self.backend, one) for one in asked]
        return [self.backend.to_pyarrow(asked).to_pylist() for asked in self._asked_of_numbers[key]]


class TableReader(FileReader):
    """Reads the files of one table of the settings."""

    def __init__(
        self, folder: Path, entity: str, settings: Any, bounds: Bounds, zone: str = "UTC", pseudonyms: Pseudonyms | None = None
    ) -> None:
        super().__init__(folder, zone, pseudonyms)
        self.entity, self.settings, self.bounds = entity, settings, bounds
        self._lookups: list[Lookup] | None = None
        self.facts: dict[Any, tuple[MappedColumns, dict[str, str], list[str], tuple[str, ...]]] = {}

    @property
    def lookups(self) -> list[Lookup]:
        """The table's lookups, read on first use."""
        if self._lookups is None:
            self._lookups = read_lookups(self.backend, self.settings, self.lasting())
        return self._lookups

    def date_formats(self, rows: FileRows, file: Path) -> tuple[tuple[str, ...], bool]:
        """The likely date formats of a file, and whether day and month could be the other way round."""
        table = joined(rows.viewed(self.backend), self.lookups, file)
        value = resolve(self.entity, self.settings, table, Cells(self.settings), str(file)).values[TIMES[self.entity]].value
        formats = guessing.date_formats(self.backend, value, self.settings)
        return formats, guessing.reads_either_way(self.backend, value, formats, self.settings)

    @property
    def takes_several(self) -> bool:
        """Whether rows of several files may be read together; not if rows of one file depend on each other."""
        return not any(getattr(self.settings, name, None) for name in ("lookups", "fill_from_order", "leave_out"))

    def write(self, rows: FileRows, file: Path, cells: Cells, target: Path) -> Written:
        """Write the rows of one file under canonical names.

        Raises:
            SourceError: a mapped column is missing.
        """
        self.current(replace(rows, relation=rows.relation.select(duckdb.StarExpression(), self._until(file))))
        asked = _Asked(self, rows, file, cells, ())
        self.backend.to_parquet(asked.rows, target, **WRITING)
        types = guessing.types_of(asked.kinds, self.backend.to_pyarrow(asked.types).to_pylist())
        number, flagged = counted_rows(target)
        numbers = self.numbers(rows, asked.numeric, asked.joined) if flagged.get("odd_number") else {}
        if asked.currencies is not None:
            numbers[asked.currency] = number_forms.of_amounts(self.backend.to_pyarrow(asked.currencies).to_pylist())
        left = self.backend.to_pyarrow(asked.left_out).to_pylist()[0]["n"] if asked.left_out is not None else 0
        return Written(asked.found, number, types, flagged, numbers, asked.told, order_cells.notes(self.settings, int(left)))

    def write_together(self, batch: Sequence[tuple[FileRows, Path, Path]], cells: Cells) -> list[Written]:
        """The same for several small files of one shape, each to its own target: planning a statement takes longer than reading their rows.

        Args:
            batch: rows, file and target of each.
        """
        parts = [
            rows.relation.select(duckdb.StarExpression(), self._until(file), duckdb.ConstantExpression(place).cast("BIGINT").alias(PART))
            for place, (rows, file, _) in enumerate(batch)
        ]
        first, file, _ = batch[0]
        self.current(replace(first, relation=functools.reduce(_union, (part.limit(SAMPLE_OF_EACH) for part in parts))))
        asked = _Asked(self, first, file, cells, (PART,))
        types = _by_part(self.backend.to_pyarrow(asked.types).to_pylist())
        self.current(replace(first, relation=functools.reduce(_union, parts)))
        made = self.backend.to_pyarrow(asked.rows)
        places = made[PART].to_numpy()
        for place, (_, _, target) in enumerate(batch):  # in the order of the parts, each in the order of its file
            begin, end = np.searchsorted(places, [place, place + 1])
            pq.write_table(made.slice(begin, end - begin).drop_columns([PART]), target, compression="zstd", compression_level=1)
        counted = [counted_rows(target) for _, _, target in batch]
        odd = any("odd_number" in flagged for _, flagged in counted)
        told = {column: [_by_part(one) for one in self._told(first, column, asked.joined, (PART,))] for column in asked.numeric if odd}
        currencies = _by_part(self.backend.to_pyarrow(asked.currencies).to_pylist()) if asked.currencies is not None else {}
        return [
            Written(
                asked.found,
                number,
                guessing.types_of(asked.kinds, types.get(place, [])),
                flagged,
                {
                    **{
                        column: number_forms.forms_of(facts[place], tokens.get(place, [])) if place in facts else Forms()
                        for column, (facts, tokens) in told.items()
                        if "odd_number" in flagged
                    },
                    **({asked.currency: number_forms.of_amounts(currencies.get(place, []))} if asked.currencies is not None else {}),
                },
                notes=order_cells.notes(self.settings),
            )
            for place, (number, flagged) in enumerate(counted)
        ]

    def _until(self, file: Path) -> Any:
        return duckdb.ConstantExpression(self.bounds.of_file(self.entity, file).end).cast("TIMESTAMP").alias(UNTIL)

    def found(self, rows: FileRows, file: Path, cells: Cells) -> tuple[SourceRows, MappedColumns, tuple[str, ...]]:
        """The current rows with lookups joined, the mapping of their canonical columns, and the columns used for whole orders."""
        table = joined(SourceRows(self.table, rows.columns, kind=rows.kind), self.lookups, file)
        orders, told = order_cells.prepared(table, self.settings, cells, str(file))
        return table, resolve(self.entity, self.settings, orders, cells, str(file)), told


class _Asked:
    """The queries on files of one shape: rows with canonical columns, and the types of source columns."""

    def __init__(self, reader: TableReader, rows: FileRows, file: Path, cells: Cells, by: tuple[str, ...]) -> None:
        how = (cells.formats, *sorted(cells.decimals.items()), by)
        self.joined: Joined = lambda current: joined(current, reader.lookups, file)
        if (rows.shape, how) not in reader.facts:
            table, found, told = reader.found(rows, file, cells)
            reader.facts[rows.shape, how] = found, guessing.kinds_of(table), number_forms.texts(table.table, found.numeric), told
        self.found, self.kinds, self.numeric, self.told = reader.facts[rows.shape, how]
        self.orders: Joined = lambda current: order_cells.prepared(self.joined(current), reader.settings, cells, str(file))[0]
        self.rows = reader.ask(rows, ("rows", how), lambda current: canonical(
            reader.entity, self.found, self.orders(current), cells, reader.bounds, by, reader.pseudonyms))  # fmt: skip
        self.left_out: ir.Table | None = None
        if getattr(reader.settings, "leave_out", None) is not None:
            self.left_out = reader.ask(
                rows, ("left out", how), lambda current: order_cells.left_out(self.joined(current), reader.settings, cells, str(file))
            )
        self.currency = column_of(list(self.kinds), self.found.amounts) or ""
        self.currencies: ir.Table | None = None
        if self.currency and self.found.amounts:
            self.currencies = reader.ask(
                rows, ("currencies", how), lambda current: number_forms.currency_cells(self.orders(current).table, self.currency, cells, by)
            )
        self.types = reader.ask(rows, ("types", how), lambda current: guessing.type_counts(self.joined(current), cells, by))


def _union(one: Any, other: Any) -> Any:
    return one.union(other)


def _by_part(rows: list[dict[str, Any]]) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row[PART], []).append(row)
    return found
