"""Intake: each source file is read once, and stored with canonical columns as Parquet until the file or its settings change.

A snapshot then reads only its window of the stored rows. Memory stays bounded whatever the size of a file.
"""

import contextlib
import datetime as dt
import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import duckdb
import filelock
import ibis
import pyarrow.parquet as pq

from segmentation_assets.atomic import replacing
from segmentation_assets.core.customers.cleaning import RULES
from segmentation_assets.engines import parquet
from segmentation_assets.settings.cleaning import Cleaning
from segmentation_assets.settings.source import Files, SourceTable
from segmentation_assets.sources import attributes, guessing, number_forms, progress
from segmentation_assets.sources.base import NoRows, SourceError
from segmentation_assets.sources.cells import ISO, Cells
from segmentation_assets.sources.intake_record import SKIPPED, IntakeRecord
from segmentation_assets.sources.located import folders_passed_over, matching_files
from segmentation_assets.sources.mapping import TIMES, Bounds, nothing
from segmentation_assets.sources.number_forms import Forms
from segmentation_assets.sources.numbers import POINT
from segmentation_assets.sources.pseudonyms import Pseudonyms
from segmentation_assets.sources.reading import TableReader, Written
from segmentation_assets.sources.rows import FileRows

VERSION = 15  # of the stored format; raise it when reading changes, so that files are read again

SMALL, FILES_AT_ONCE = 1 << 19, 32  # largest size in bytes of files that are read together, and how many at once


class Intake:
    """Stores source files as Parquet in a folder.

    Args:
        folder: where they are stored; safe to delete, the files are then read again.
        bounds: dates outside count as errors.
        zone: the zone to which all times are converted.
        pseudonyms: what customer ids are replaced with; None: nothing.
    """

    def __init__(self, folder: Path, bounds: Bounds, zone: str = "UTC", pseudonyms: Pseudonyms | None = None) -> None:
        self.folder, self.bounds, self.zone, self.pseudonyms = folder, bounds, zone, pseudonyms

    def take(self, entity: str, settings: SourceTable) -> list[IntakeRecord]:
        """The record of every file that the settings name, reading those that have changed; files without rows are marked as skipped.

        Raises:
            SourceError: a file cannot be read, or lacks a mapped column, or all of them are empty.
        """
        assert isinstance(settings, Files)  # noqa: S101  # databases are not kept
        found = matching_files(settings)
        with self._reading(entity, settings) as reading:
            formats = self._date_formats(reading, found)
            self._read_ahead(reading, found, formats, {})
            kept = [self._kept(reading, file, name, formats, {}) for file, name in progress.through(found, f"reading {entity}")]
            # How numbers are written is known only when all files have been read; files read differently are read again.
            forms = number_forms.together(one.numbers for one in kept)
            for concerned, places in _concerned(kept, forms).items() if settings.decimal == "auto" else ():
                self._read_ahead(reading, [found[place] for place in places], formats, dict(concerned))
                for place in places:
                    kept[place] = self._kept(reading, *found[place], formats, dict(concerned))
        if all(file.skipped for file in kept):
            raise _all_empty(settings, kept)
        passed_over = [self._passed_over(entity, folder, formats) for folder in folders_passed_over(settings)]
        doubts = number_forms.doubts(forms, settings)
        return [replace(one, doubts=doubts) for one in [*kept, *passed_over]]

    def with_attributes(
        self,
        kept: list[IntakeRecord],
        settings: SourceTable,
        dates: Collection[dt.date] | None = None,
        rules: Cleaning = RULES,
        before: Mapping[str, str] | None = None,
    ) -> Path:
        """Customer records of all files of a table, with their attributes read: a Parquet file.

        Args:
            dates: the as-of dates whose rows count; None: all rows do.
            rules: cleaning rules; ids that they make equal count as equal.
            before: types of attributes in files so far, for those of which these rows have no value.

        Raises:
            SourceError: customers are numbered by row, in several files.
        """
        kept = [file for file in kept if not file.skipped]
        parts = [
            VERSION,
            self.zone,
            [(file.rows_file, file.source) for file in kept],
            settings.model_dump(mode="json"),
            [Path(file.rows_file).stat().st_mtime_ns for file in kept],
            *([] if dates is None else [sorted(map(str, dates)), rules.ids_without_decimals, before]),
        ]
        digest = hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:24]
        target = self.folder / "customers" / f"{digest}.attributes.parquet"
        with self._alone(digest):
            if parquet.row_count(target) is not None:
                target.touch()  # when it was last used
            else:
                with self._reading("customers", settings) as reading, replacing(target) as unfinished:
                    records = attributes.read_attributes(reading.backend, kept, settings, self.zone, dates, rules, before)
                    reading.backend.to_parquet(records, unfinished, compression="zstd")
        return target

    def attribute_doubts(self, kept: list[IntakeRecord], settings: SourceTable) -> tuple[str, ...]:
        """Warnings on how the attributes of a table's customers are read, one line each."""
        with self._reading("customers", settings) as reading:
            return attributes.doubts(reading.backend, [file for file in kept if not file.skipped], settings, self.zone)

    def fingerprints(self, settings: SourceTable) -> dict[str, str]:
        """Name of each file -> its size and time."""
        assert isinstance(settings, Files)  # noqa: S101
        places = (settings, *getattr(settings, "lookups", ()))
        return {f"{number} {name}": _state(file) for number, place in enumerate(places) for file, name in matching_files(place)}

    def _read_ahead(
        self, reading: TableReader, found: Sequence[tuple[Path, str]], formats: tuple[str, ...], decimals: Mapping[str, str]
    ) -> None:
        """Read small files that are alike many at once. Files that fail are left to be read alone, which gives the reason."""
        if not reading.takes_several:
            return
        missing = [(file, name) for file, name in found if not self._place(reading, file, name, formats, decimals)[1].exists()]
        for batch in progress.through(_batches(missing), f"reading {reading.entity}, {FILES_AT_ONCE} files at once"):
            with contextlib.suppress(duckdb.Error, SourceError):
                self._read_together(reading, batch, Cells(reading.settings, formats, self.zone, decimals))

    def _read_together(self, reading: TableReader, batch: Sequence[tuple[Path, str]], cells: Cells) -> None:
        states = {file: _state(file) for file, _ in batch}
        with contextlib.ExitStack() as stack:
            alike: dict[Any, list[tuple[FileRows, Path, str]]] = {}
            for file, name in batch:
                with contextlib.suppress(NoRows):
                    rows = stack.enter_context(reading.opened(file, reading.settings))
                    alike.setdefault(rows.shape, []).append((rows, file, name))
            for group in alike.values():
                self._write_together(reading, group, cells, states)

    def _write_together(
        self, reading: TableReader, group: Sequence[tuple[FileRows, Path, str]], cells: Cells, states: Mapping[Path, str]
    ) -> None:
        places = [self._place(reading, file, name, cells.formats, cells.decimals) for _, file, name in group]
        with contextlib.ExitStack() as stack:
            unfinished = [stack.enter_context(replacing(rows_file)) for rows_file, _ in places]
            made = reading.write_together([(rows, file, to) for (rows, file, _), to in zip(group, unfinished, strict=True)], cells)
        for (rows, file, name), (rows_file, facts), one in zip(group, places, made, strict=True):
            if _state(file) == states[file]:
                _write_text(facts, json.dumps(asdict(_kept_as(rows_file, name, rows, cells, one)), ensure_ascii=False))

    def _place(
        self, reading: TableReader, file: Path, name: str, formats: tuple[str, ...], decimals: Mapping[str, str]
    ) -> tuple[Path, Path]:
        """The paths of a file's stored rows and of its record."""
        digest = self._digest(reading.entity, reading.settings, file, name, formats, decimals)
        return self.folder / reading.entity / f"{digest}.parquet", self.folder / reading.entity / f"{digest}.json"

    def _kept(self, reading: TableReader, file: Path, name: str, formats: tuple[str, ...], decimals: Mapping[str, str]) -> IntakeRecord:
        rows_file, facts = self._place(reading, file, name, formats, decimals)
        with self._alone(rows_file.stem):
            kept = _recorded(facts, rows_file)
            if kept is not None:
                facts.touch()  # when it was last used
            else:
                state = _state(file)
                kept = self._read(reading, file, name, Cells(reading.settings, formats, self.zone, decimals), rows_file)
                if _state(file) != state:
                    rows_file.unlink(missing_ok=True)
                    raise SourceError(
                        f"{file}: changed while it was read. Write new files under another name and rename them when they are complete; "
                        "then run again."
                    )
                _write_text(facts, json.dumps(asdict(kept), ensure_ascii=False))
        return replace(kept, rows_file=str(rows_file), doubts=())

    def _read(self, reading: TableReader, file: Path, name: str, cells: Cells, target: Path) -> IntakeRecord:
        try:
            return self._write(reading, file, name, cells, target)
        except NoRows as error:
            with replacing(target) as unfinished:
                pq.write_table(nothing(reading.entity), unfinished)
            return IntakeRecord(str(target), name, 0, {}, (), (), True, cells.formats, {SKIPPED: error.why})
        except duckdb.Error:  # the engine's strict reader refused a line
            try:
                return self._write(reading, file, name, cells, target, careful=True)
            except duckdb.Error as error:
                reason = str(error).splitlines()[0][:200]
                raise SourceError(f"{file}: cannot be read: {reason}. Check the file and its format.", reason) from error

    def _write(self, reading: TableReader, file: Path, name: str, cells: Cells, target: Path, careful: bool = False) -> IntakeRecord:
        with reading.opened(file, reading.settings, careful) as rows, replacing(target) as unfinished:
            return _kept_as(target, name, rows, cells, reading.write(rows, file, cells, unfinished))

    def _passed_over(self, entity: str, folder: Path, formats: tuple[str, ...]) -> IntakeRecord:
        """The record of a subfolder with data that is not read, so that it is reported."""
        target = self.folder / entity / "nothing.parquet"
        if parquet.row_count(target) is None:
            with replacing(target) as unfinished:
                pq.write_table(nothing(entity), unfinished)
        why = f"is a subfolder; to read it too, write `files: {folder.parent.name}/**/*.csv`, or list it"
        return IntakeRecord(str(target), f"{folder.name}/", 0, {}, (), (), True, formats, {SKIPPED: why})

    def _date_formats(self, reading: TableReader, found: Sequence[tuple[Path, str]]) -> tuple[str, ...]:
        """The date formats in force: guessed from the first file whose dates can be read only one way, else from the first with rows."""
        entity, settings = reading.entity, reading.settings
        if settings.date_formats != ("auto",):
            return guessing.date_formats(None, ibis.literal(""), settings)
        if settings.columns.get(TIMES[entity]) is None:
            return (ISO,)
        undecided: tuple[str, ...] = ()
        for file, _ in found:
            digest = self._digest(entity, settings, file, "guess", ())
            guess = self.folder / entity / f"{digest}.dates.json"
            with self._alone(digest):
                guessed = _read_json(guess)
                if guessed is None:
                    guessed = _guessed_formats(reading, file)
                    _write_text(guess, json.dumps(guessed))
            formats, either_way = guessed
            if formats and not either_way:
                return tuple(formats)
            undecided = undecided or tuple(formats)
        return undecided or (ISO,)

    def _digest(
        self, entity: str, settings: Any, file: Path, name: str, formats: tuple[str, ...], decimals: Mapping[str, str] | None = None
    ) -> str:
        relevant = settings.model_dump(mode="json", exclude={"files", "attribute_types"})
        lookups = [_state(other) for lookup in getattr(settings, "lookups", ()) for other, _ in matching_files(lookup)]
        parts = [VERSION, self.zone, entity, relevant, lookups, name, str(file), _state(file), formats, str(self.bounds), decimals or {}]
        parts += [self.pseudonyms.fingerprint, self.pseudonyms.rules.ids_without_decimals] if self.pseudonyms else []
        return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:24]

    def _reading(self, entity: str, settings: SourceTable) -> TableReader:
        self.folder.mkdir(parents=True, exist_ok=True)
        return TableReader(self.folder, entity, settings, self.bounds, self.zone, self.pseudonyms)

    @contextlib.contextmanager
    def _alone(self, digest: str) -> Iterator[None]:
        """A lock, so that concurrent runs wait for the one that reads the file. Files share a few locks, because lock files stay."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(self.folder / f".{digest[:1]}.lock"):
            yield


def unused(folder: Path, before: dt.datetime) -> list[Path]:
    """What is stored in `folder` of source files, or of earlier states of them, that no run has used since."""
    records = [file for file in folder.glob("*/*.json") if file.with_suffix(".parquet").exists()]
    old = [file for file in [*records, *folder.glob("*/*.attributes.parquet")] if file.stat().st_mtime < before.timestamp()]
    return [*old, *(file.with_suffix(".parquet") for file in old if file.suffix == ".json")]


def _batches(found: Sequence[tuple[Path, str]]) -> list[list[tuple[Path, str]]]:
    """The small files in batches; a batch of one is left out."""
    small = [(file, name) for file, name in found if file.stat().st_size <= SMALL]
    batches = [small[begin : begin + FILES_AT_ONCE] for begin in range(0, len(small), FILES_AT_ONCE)]
    return [batch for batch in batches if len(batch) > 1]


def _concerned(kept: Sequence[IntakeRecord], forms: Mapping[str, Forms]) -> dict[tuple[tuple[str, str], ...], list[int]]:
    """Columns with a decimal mark other than a point -> the files in which some of their cells can be read two ways.

    Args:
        forms: how the numbers of all files are written.
    """
    found: dict[tuple[tuple[str, str], ...], list[int]] = {}
    for place, one in enumerate(kept):
        marks = {column: mark for column, mark in number_forms.decimals_of_file(one.numbers, forms).items() if mark != POINT}
        concerned = tuple((column, mark) for column, mark in marks.items() if column in one.numbers and one.numbers[column].either)
        if concerned:
            found.setdefault(concerned, []).append(place)
    return found


def _kept_as(target: Path, name: str, rows: FileRows, cells: Cells, made: Written) -> IntakeRecord:
    read, notes = tuple(dict.fromkeys((*made.found.read, *made.told))), {**rows.notes, **made.notes}
    return IntakeRecord(
        str(target), name, made.rows, made.types, read, made.found.strict, rows.typed, cells.formats, notes, made.numbers, made.flagged,
    )  # fmt: skip


def _guessed_formats(reading: TableReader, file: Path) -> tuple[tuple[str, ...], bool]:
    """The date formats of a file, empty if it has no rows, and whether day and month could be the other way round."""
    try:
        with reading.opened(file, reading.settings) as rows:
            return reading.date_formats(rows, file)
    except NoRows:
        return (), False
    except duckdb.Error:
        with reading.opened(file, reading.settings, careful=True) as rows:
            return reading.date_formats(rows, file)


def _all_empty(settings: Files, kept: Sequence[IntakeRecord]) -> SourceError:
    where = ", ".join(settings.patterns)
    if len(kept) == 1:
        return NoRows(where, kept[0].notes[SKIPPED])
    return SourceError(
        f"{where}: all of its {len(kept)} files are empty, such as {kept[0].source}, which {kept[0].notes[SKIPPED]}. Export them again."
    )


def _recorded(facts: Path, rows_file: Path) -> IntakeRecord | None:
    """The record of a file read before; None if there is none, or a part of it is lost or damaged."""
    values = _read_json(facts)
    try:
        lists = {name: tuple(values[name]) for name in ("mapped", "strict", "date_formats")}
        numbers = {column: Forms(**form) for column, form in values["numbers"].items()}
        kept = IntakeRecord(**{**values, **lists, "numbers": numbers})
    except (KeyError, TypeError, AttributeError):
        return None
    return kept if parquet.row_count(rows_file) == kept.rows else None


def _read_json(file: Path) -> Any:
    """The content of a JSON file; None if it is missing or damaged."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None


def _state(file: Path) -> str:
    facts = file.stat()
    return f"{facts.st_size}-{facts.st_mtime_ns}"


def _write_text(file: Path, text: str) -> None:
    with replacing(file) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
