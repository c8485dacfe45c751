"""An engine of our own that reads files, and what it works out once for all files that are alike."""

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import duckdb
import ibis
import ibis.expr.types as ir
from sqlglot import exp

from segmentation_assets.settings_source import Files
from segmentation_assets.sources import files, guessing, number_forms
from segmentation_assets.sources.cells import Cells
from segmentation_assets.sources.kept import counted_rows
from segmentation_assets.sources.lookups import Lookup, joined, read_lookups
from segmentation_assets.sources.mapping import TIMES, UNTIL, Bounds, MappedColumns, canonical, resolve
from segmentation_assets.sources.number_forms import Forms
from segmentation_assets.sources.rows import FileRows, SourceRows

MEMORY = "1GB"  # of the engine while it reads a source, whatever the size of the file
TOLD = "told_numbers"  # the table of the numbers of one column of it
CURRENT = "current_file"  # the view of the file that is being read, which the statements for all files are over


def connect(zone: str = "UTC") -> Any:
    """A DuckDB of our own for reading sources; times are in the zone, whatever the machine's."""
    backend = ibis.duckdb.connect(":memory:")
    backend.raw_sql(f"SET TimeZone = {exp.Literal.string(zone).sql('duckdb')}").fetchall()
    backend.raw_sql("SET autoinstall_known_extensions = false").fetchall()  # nothing is downloaded at run time
    backend.raw_sql(f"SET memory_limit = '{MEMORY}'").fetchall()  # beyond it, DuckDB goes to disk
    backend.raw_sql(f"SET temp_directory = {exp.Literal.string(tempfile.gettempdir()).sql('duckdb')}").fetchall()
    return backend


@dataclass(frozen=True)
class Written:
    """What was found in a file whose rows were written: the columns that they are made of, and of the source what each column holds."""

    found: MappedColumns
    rows: int
    types: dict[str, str]
    flagged: dict[str, int]
    numbers: dict[str, Forms]


class FileReader:
    """Reads files one after the other on an engine of its own, and asks those that are alike by statements that are made once.

    Args:
        folder: where scratch folders are made, one for each file, for as long as it is open.
        zone: in which times are given.
    """

    def __init__(self, folder: Path | None = None, zone: str = "UTC") -> None:
        self.folder, self.zone = folder, zone
        self._open = contextlib.ExitStack()
        self._backend: Any = None
        self._views: dict[Any, ir.Table] = {}
        self._asked_of_numbers: dict[bool, list[ir.Table]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    @property
    def backend(self) -> Any:
        """The engine, which is opened when it is first needed: mostly all files were read before."""
        if self._backend is None:
            self._backend = connect(self.zone)
            self._open.callback(self._backend.disconnect)
        return self._backend

    @contextlib.contextmanager
    def opened(self, file: Path, settings: Files, careful: bool = False) -> Iterator[FileRows]:
        """The rows of one file, for as long as its scratch folder is there."""
        with tempfile.TemporaryDirectory(dir=self.folder, prefix=".reading-") as scratch:
            yield files.opened(self.backend, file, settings, Path(scratch), careful)

    def lasting(self) -> Path:
        """A scratch folder for as long as this reads."""
        return Path(self._open.enter_context(tempfile.TemporaryDirectory(dir=self.folder, prefix=".reading-")))

    def current(self, rows: FileRows) -> None:
        """Make these rows what the statements are about."""
        rows.relation.create_view(CURRENT, replace=True)

    def ask(self, rows: FileRows, what: Any, make: Callable[[SourceRows], ir.Table]) -> ir.Table:
        """A view over the current rows, made once for all files of their shape.

        Args:
            what: names the question; equal for equal questions.
            make: makes it from the current rows.
        """
        key = (what, rows.shape)
        if key not in self._views:
            made = make(SourceRows(self.backend.table(CURRENT), rows.columns, kind=rows.kind))
            self._views[key] = self.backend.create_view(ibis.util.gen_name("asked"), made)
        return self._views[key]

    def answers(self, rows: FileRows, what: Any, make: Callable[[SourceRows], ir.Table]) -> list[dict[str, Any]]:
        """What is found of the current rows; the arguments are those of `ask`."""
        found: list[dict[str, Any]] = self.backend.to_pyarrow(self.ask(rows, what, make)).to_pylist()
        return found

    def numbers(
        self, rows: FileRows, columns: Sequence[str], joined: Callable[[SourceRows], SourceRows] = lambda rows: rows
    ) -> dict[str, Forms]:
        """How the numbers of some columns of the current rows are written.

        Args:
            joined: adds columns to the rows.
        """
        return {column: self._forms(rows, column, joined) for column in columns}

    def _forms(self, rows: FileRows, column: str, joined: Callable[[SourceRows], SourceRows]) -> Forms:
        told = self.ask(rows, ("told", column), lambda current: number_forms.told(joined(current).table, column))
        self.backend.raw_sql(f"CREATE OR REPLACE TABLE {TOLD} AS FROM {told.get_name()}").fetchall()
        return number_forms.forms_of(*(self.backend.to_pyarrow(asked).to_pylist() for asked in self._questions(rows)))

    def _questions(self, rows: FileRows) -> list[ir.Table]:
        has_numbers = SourceRows(None, (), kind=rows.kind).has_numbers
        if has_numbers not in self._asked_of_numbers:
            asked = number_forms.questions(self.backend.table(TOLD), has_numbers)
            self._asked_of_numbers[has_numbers] = [self.backend.create_view(ibis.util.gen_name("asked"), one) for one in asked]
        return self._asked_of_numbers[has_numbers]


class TableReader(FileReader):
    """Reads the files of one table of the settings."""

    def __init__(self, folder: Path, entity: str, settings: Any, bounds: Bounds, zone: str = "UTC") -> None:
        super().__init__(folder, zone)
        self.entity, self.settings, self.bounds = entity, settings, bounds
        self._lookups: list[Lookup] | None = None
        self._found: dict[Any, tuple[MappedColumns, dict[str, str], list[str]]] = {}

    @property
    def lookups(self) -> list[Lookup]:
        """The table's lookups, read when they are first needed."""
        if self._lookups is None:
            self._lookups = read_lookups(self.backend, self.settings, self.lasting())
        return self._lookups

    def date_formats(self, rows: FileRows, file: Path) -> tuple[str, ...]:
        """The formats in which a file seems to write its dates."""
        table = joined(rows.viewed(self.backend), self.lookups, file)
        value = resolve(self.entity, self.settings, table, Cells(self.settings), str(file)).values[TIMES[self.entity]].value
        return guessing.date_formats(self.backend, value, self.settings)

    def write(self, rows: FileRows, file: Path, cells: Cells, target: Path, **writing: Any) -> Written:
        """Write the rows of one file under canonical names.

        Raises:
            SourceError: a mapped column is not there.
        """
        until = duckdb.ConstantExpression(self.bounds.of_file(self.entity, file).end).cast("TIMESTAMP").alias(UNTIL)
        self.current(replace(rows, relation=rows.relation.select(duckdb.StarExpression(), until)))
        how = (cells.formats, *sorted(cells.decimals.items()))

        def whole(current: SourceRows) -> SourceRows:
            return joined(current, self.lookups, file)

        def mapped(current: SourceRows) -> ir.Table:
            table = whole(current)
            found = resolve(self.entity, self.settings, table, cells, str(file))
            self._found[rows.shape, how] = found, guessing.kinds_of(table), number_forms.texts(table.table, found.numeric)
            return canonical(self.backend, self.entity, found, table, cells, self.bounds)

        self.backend.to_parquet(self.ask(rows, ("rows", how), mapped), target, **writing)
        found, kinds, numeric = self._found[rows.shape, how]
        counts = self.answers(rows, ("types", how), lambda current: guessing.type_counts(whole(current), cells))
        number, flagged = counted_rows(target)
        numbers = self.numbers(rows, numeric, whole) if flagged.get("odd_number") else {}
        return Written(found, number, guessing.types_of(kinds, counts), flagged, numbers)
