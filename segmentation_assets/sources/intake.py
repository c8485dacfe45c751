"""Intake: each source file is read once, and kept under canonical names as Parquet until the file or its settings change.

A snapshot then reads only its window of the kept rows. Memory stays bounded whatever the size of a file.
"""

import contextlib
import hashlib
import json
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import duckdb
import filelock
import ibis
from sqlglot import exp

from segmentation_assets.engines import WRITING
from segmentation_assets.settings_source import FileLookup, Files, SourceTable
from segmentation_assets.sources import files, guessing, number_forms, order_cells
from segmentation_assets.sources.attributes import read_attributes
from segmentation_assets.sources.base import SourceError
from segmentation_assets.sources.cells import ISO, Cells
from segmentation_assets.sources.files import ROW, SourceRows
from segmentation_assets.sources.kept import FLAGS, Kept
from segmentation_assets.sources.mapping import TIMES, Bounds, canonical, resolve
from segmentation_assets.sources.number_forms import Forms
from segmentation_assets.sources.numbers import POINT

VERSION = 10  # of what is kept; raise it when reading changes, so that files are read anew

MEMORY = "1GB"  # of the engine while it reads a source, whatever the size of the file


def connect(zone: str = "UTC") -> Any:
    """A DuckDB of our own for reading sources; times are in the zone, whatever the machine's."""
    backend = ibis.duckdb.connect(":memory:")
    backend.raw_sql(f"SET TimeZone = {exp.Literal.string(zone).sql('duckdb')}").fetchall()
    backend.raw_sql("SET autoinstall_known_extensions = false").fetchall()  # nothing is downloaded at run time
    backend.raw_sql(f"SET memory_limit = '{MEMORY}'").fetchall()  # beyond it, DuckDB goes to disk
    backend.raw_sql(f"SET temp_directory = {exp.Literal.string(tempfile.gettempdir()).sql('duckdb')}").fetchall()
    return backend


class Intake:
    """Keeps source files as Parquet in a folder.

    Args:
        folder: where they are kept; safe to delete, the files are then read again.
        bounds: dates outside are taken for errors.
        zone: in which times are kept, whatever they were written in.
    """

    def __init__(self, folder: Path, bounds: Bounds, zone: str = "UTC") -> None:
        self.folder, self.bounds, self.zone = folder, bounds, zone

    def take(self, entity: str, settings: SourceTable) -> list[Kept]:
        """Every file that the settings name, read now where it has changed.

        Raises:
            SourceError: a file cannot be read, or lacks a mapped column.
        """
        assert isinstance(settings, Files)  # noqa: S101  # databases are not kept
        found = files.matching_files(settings)
        formats = self._date_formats(entity, settings, found[0][0])
        kept = [self._kept(entity, settings, file, name, formats) for file, name in found]
        # How numbers are written is known when all files were read; those that were read otherwise are read once more.
        forms = number_forms.together(one.numbers for one in kept)
        decimals = number_forms.decimals(forms)
        if settings.decimal == "auto":
            again = {column: mark for column, mark in decimals.items() if mark != POINT}
            for position, (file, name) in enumerate(found):
                concerned = {c: mark for c, mark in again.items() if c in kept[position].numbers and kept[position].numbers[c].either}
                if concerned:
                    kept[position] = self._kept(entity, settings, file, name, formats, concerned)
        doubts = number_forms.doubts(forms, settings)
        return [replace(one, doubts=doubts) for one in kept]

    def with_attributes(self, kept: list[Kept], settings: SourceTable) -> Path:
        """Customer records of all files of a table, with their attributes read: a Parquet file."""
        parts = [
            VERSION,
            self.zone,
            [file.rows_file for file in kept],
            settings.model_dump(mode="json"),
            [Path(file.rows_file).stat().st_mtime_ns for file in kept],
        ]
        digest = hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:24]
        target = self.folder / "customers" / f"{digest}.attributes.parquet"
        with self._alone(digest):
            if not target.exists():
                with self._reading() as (backend, scratch):
                    unfinished = scratch / "attributes.parquet"
                    backend.to_parquet(read_attributes(backend, kept, settings, self.zone), unfinished, compression="zstd")
                    unfinished.replace(target)
        return target

    def fingerprints(self, settings: SourceTable) -> dict[str, str]:
        """Name of each file -> what changes when it does."""
        assert isinstance(settings, Files)  # noqa: S101
        places = (settings, *getattr(settings, "lookups", ()))
        return {f"{number} {name}": _state(file) for number, place in enumerate(places) for file, name in files.matching_files(place)}

    def _kept(
        self, entity: str, settings: Any, file: Path, name: str, formats: tuple[str, ...], decimals: Mapping[str, str] | None = None
    ) -> Kept:
        digest = self._digest(entity, settings, file, name, formats, decimals)
        rows_file, facts = self.folder / entity / f"{digest}.parquet", self.folder / entity / f"{digest}.json"
        with self._alone(digest):
            if not facts.exists() or not rows_file.exists():
                self._read(entity, settings, file, name, Cells(settings, formats, self.zone, decimals or {}), rows_file, facts)
        values = json.loads(facts.read_text(encoding="utf-8"))
        return Kept(
            **{
                **values,
                "rows_file": str(rows_file),
                "mapped": tuple(values["mapped"]),
                "strict": tuple(values["strict"]),
                "date_formats": tuple(values["date_formats"]),
                "numbers": {column: Forms(**facts) for column, facts in values["numbers"].items()},
            }
        )

    def _read(self, entity: str, settings: Any, file: Path, name: str, cells: Cells, rows_file: Path, facts: Path) -> None:
        state = _state(file)
        with self._reading() as (backend, scratch):
            rows = files.read_file(backend, file, settings, scratch)
            try:
                kept = self._write(backend, entity, settings, file, name, cells, rows, rows_file, scratch)
            except duckdb.Error as error:  # the engine's strict reader met a line that it refuses
                careful = files.reread_carefully(backend, file, settings, scratch)
                if careful is None:
                    raise SourceError(
                        f"{file}: cannot be read: {str(error).splitlines()[0][:200]}. Check the file and its format."
                    ) from error
                kept = self._write(backend, entity, settings, file, name, cells, careful, rows_file, scratch)
        if _state(file) != state:
            rows_file.unlink(missing_ok=True)
            raise SourceError(
                f"{file}: changed while it was read. Write new files under another name and rename them when they are complete; "
                "then run again."
            )
        _replace(facts, json.dumps(asdict(kept), ensure_ascii=False))

    def _write(
        self,
        backend: Any,
        entity: str,
        settings: Any,
        file: Path,
        name: str,
        cells: Cells,
        rows: SourceRows,
        target: Path,
        scratch: Path,
    ) -> Kept:
        rows = joined(backend, rows, settings, scratch, file)
        orders, told = order_cells.prepared(rows, settings, cells, str(file))
        found = resolve(entity, settings, orders, cells, str(file))
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_name(f".{uuid.uuid4().hex}.unfinished")
        try:
            written = canonical(backend, entity, found, orders, cells, self.bounds.of_file(entity, file))
            backend.to_parquet(written, unfinished, **WRITING)
            unfinished.replace(target)
        finally:
            unfinished.unlink(missing_ok=True)
        types = guessing.column_types(backend, rows, cells)
        count, flagged = counted_rows(backend, target)
        kind = files.format_of(file, settings)
        numbers = (
            number_forms.counted(backend, rows.table, found.numeric, points_are_decimal=kind in {"jsonl", "excel"})
            if flagged.get("odd_number")
            else {}
        )
        read = tuple(dict.fromkeys((*found.read, *told)))
        left = order_cells.left_out(rows, settings, cells, str(file))
        notes = {**rows.notes, **order_cells.notes(settings, int(backend.to_pyarrow(left).to_pylist()[0]["n"]) if left is not None else 0)}
        return Kept(str(target), name, count, types, read, found.strict, kind == "parquet", cells.formats, notes, numbers, flagged)

    def _date_formats(self, entity: str, settings: Any, first: Path) -> tuple[str, ...]:
        """The date formats in force. A guess is made from the first file, and holds for all of them."""
        column = settings.columns.get(TIMES[entity])
        if column is None or settings.date_formats != ("auto",):
            return guessing.date_formats(None, ibis.literal(""), settings) if settings.date_formats != ("auto",) else (ISO,)
        digest = self._digest(entity, settings, first, "guess", ())
        guess = self.folder / entity / f"{digest}.dates.json"
        with self._alone(digest):
            if not guess.exists():
                with self._reading() as (backend, scratch):
                    rows = files.read_file(backend, first, settings, scratch)
                    try:
                        formats = self._guess(backend, entity, settings, rows, first, scratch)
                    except duckdb.Error:
                        rows = files.reread_carefully(backend, first, settings, scratch) or rows
                        formats = self._guess(backend, entity, settings, rows, first, scratch)
                guess.parent.mkdir(parents=True, exist_ok=True)
                _replace(guess, json.dumps(formats))
            return tuple(json.loads(guess.read_text(encoding="utf-8")))

    def _guess(self, backend: Any, entity: str, settings: Any, rows: SourceRows, file: Path, scratch: Path) -> tuple[str, ...]:
        rows = joined(backend, rows, settings, scratch, file)
        value = resolve(entity, settings, rows, Cells(settings), str(file)).values[TIMES[entity]].value
        return guessing.date_formats(backend, value, settings)

    def _digest(
        self, entity: str, settings: Any, file: Path, name: str, formats: tuple[str, ...], decimals: Mapping[str, str] | None = None
    ) -> str:
        relevant = settings.model_dump(mode="json", exclude={"files", "attribute_types"})
        lookups = [_state(other) for lookup in getattr(settings, "lookups", ()) for other, _ in files.matching_files(lookup)]
        parts = [VERSION, self.zone, entity, relevant, lookups, name, str(file), _state(file), formats, str(self.bounds), decimals or {}]
        return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:24]

    @contextlib.contextmanager
    def _reading(self) -> Iterator[tuple[Any, Path]]:
        self.folder.mkdir(parents=True, exist_ok=True)
        backend = connect(self.zone)
        try:
            with tempfile.TemporaryDirectory(dir=self.folder, prefix=".reading-") as scratch:
                yield backend, Path(scratch)
        finally:
            backend.disconnect()

    @contextlib.contextmanager
    def _alone(self, digest: str) -> Iterator[None]:
        """Runs at the same time wait here for the one that reads the file."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(self.folder / f".{digest}.lock"):
            yield


def counted_rows(backend: Any, target: Path) -> tuple[int, dict[str, int]]:
    """How many rows were kept, and how many of them have which flag."""
    rows = backend.read_parquet(str(target))
    facts = backend.to_pyarrow(rows.agg(n=rows.count(), **{name: rows[name].sum() for name in FLAGS})).to_pylist()[0]
    return facts.pop("n"), {name: int(n) for name, n in facts.items() if n}


def joined(backend: Any, rows: SourceRows, settings: Any, scratch: Path, where: Path | str) -> SourceRows:
    """The rows with the columns that their lookups add; as many rows as before.

    Raises:
        SourceError: a key is missing on either side, or occurs more than once in the lookup.
    """
    for lookup in getattr(settings, "lookups", ()):
        rows = _with_lookup(backend, rows, lookup, scratch, where)
    return rows


def _with_lookup(backend: Any, rows: SourceRows, lookup: FileLookup, scratch: Path, where: Path | str) -> SourceRows:
    cells = Cells(lookup)
    left = rows.table.mutate(**{ROW: ibis.coalesce(rows.table[ROW], ibis.row_number() + 1)})  # a join keeps no order
    tables = []
    for file, _ in files.matching_files(lookup):
        other = files.read_file(backend, file, lookup, scratch)
        for key in lookup.keys:
            for columns, name in ((rows.columns, where), (other.columns, file)):
                if key not in columns:
                    raise SourceError(
                        f"{name}: lookup on {key!r}: there is no such column; it has {', '.join(columns[:30])}. Correct `on` in "
                        "the settings."
                    )
        added = lookup.columns or tuple(name for name in other.columns if name not in lookup.keys)
        absent = [name for name in added if name not in other.columns]
        if absent:
            raise SourceError(
                f"{file}: lookup column {', '.join(absent)} is not there; it has {', '.join(other.columns[:30])}. Correct "
                "`columns` in the settings."
            )
        tables.append(
            other.table.select(
                **{f"__key{i}": cells.text(other.table[key]) for i, key in enumerate(lookup.keys)},
                **{name: other.table[name] for name in added},
            )
        )
    right = ibis.union(*tables) if len(tables) > 1 else tables[0]
    keys = [f"__key{i}" for i in range(len(lookup.keys))]
    right = right.filter([right[key].notnull() for key in keys])
    repeated = backend.to_pyarrow(right.group_by(keys).agg(n=ibis._.count()).filter(ibis._.n > 1).limit(3)).to_pylist()
    if repeated:
        example = ", ".join(str(row["__key0"]) for row in repeated)
        raise SourceError(
            f"{', '.join(lookup.patterns)}: {' and '.join(lookup.keys)} occurs more than once (such as {example}), so rows "
            "would be doubled. Leave one row for each."
        )
    clash = [name for name in right.columns if name in rows.columns]
    if clash:
        right = right.drop(*clash)  # the row's own column comes first
    new = tuple(name for name in right.columns if name not in keys)
    marked = left.mutate(**{key: cells.text(left[name]) for key, name in zip(keys, lookup.keys, strict=True)})
    result = marked.left_join(right, keys).select(*left.columns, *new)
    return SourceRows(result, (*rows.columns, *new), rows.notes)


def _state(file: Path) -> str:
    facts = file.stat()
    return f"{facts.st_size}-{facts.st_mtime_ns}"


def _replace(file: Path, text: str) -> None:
    unfinished = file.with_name(f".{uuid.uuid4().hex}.unfinished")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(file)
