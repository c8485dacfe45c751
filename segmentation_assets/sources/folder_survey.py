"""A first look at a folder's files: which of them have rows, their columns, and the dates of their rows.

Every file is opened and a few are examined in full; the others are only queried for columns and dates, with one statement
for all files that are alike.
"""

import contextlib
import functools
import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import ibis
import ibis.expr.types as ir

from segmentation_assets.settings.source import Files
from segmentation_assets.sources import dated_rows, number_forms, progress
from segmentation_assets.sources.base import NoRows, SourceError
from segmentation_assets.sources.cells import Cells
from segmentation_assets.sources.dated_rows import DatedRows
from segmentation_assets.sources.located import matching_files
from segmentation_assets.sources.number_forms import Forms
from segmentation_assets.sources.reading import FileReader
from segmentation_assets.sources.rows import FileRows, SourceRows

FILES_AT_ONCE = 32  # queried together for their dates and numbers
FULL_LOOKS = 3  # files of a folder that are examined in full: the first, one in the middle, the last


@dataclass(frozen=True)
class Folder:
    """The files of a folder that have rows, with their columns, and those without rows, with the reason."""

    columns: dict[Path, tuple[str, ...]]
    skipped: dict[str, str]

    @property
    def alike(self) -> bool:
        """Whether all files have the same columns, in any order."""
        return len({frozenset(columns) for columns in self.columns.values()}) == 1

    @property
    def some(self) -> list[Path]:
        """A few of the files, spread over the folder."""
        files = list(self.columns)
        last = len(files) - 1
        return files if len(files) <= FULL_LOOKS else [files[last * step // (FULL_LOOKS - 1)] for step in range(FULL_LOOKS)]

    @property
    def notes(self) -> dict[str, str]:
        """A note on the skipped files."""
        return {"skipped": ", ".join(f"{name}, which {why}" for name, why in self.skipped.items())} if self.skipped else {}


def opened(folder: Path) -> Folder:
    """The files of a folder and their columns.

    Raises:
        SourceError: a file cannot be read, or there is none, or all are empty.
    """
    settings, columns, skipped = Files(files=str(folder)), dict[Path, tuple[str, ...]](), dict[str, str]()
    with FileReader() as reader:
        for file, name in progress.through(matching_files(settings), f"opening {folder.name}"):
            try:
                with reader.opened(file, settings) as rows:
                    columns[file] = rows.columns
            except NoRows as error:
                skipped[name] = error.why
    if not columns:
        raise SourceError(f"{folder}: all of its {len(skipped)} files are empty. Export them again.")
    return Folder(columns, skipped)


def over_all(
    files: Sequence[Path], when: str | None, formats: tuple[str, ...], numeric: Sequence[str], currency: str | None
) -> tuple[DatedRows, dict[str, Forms]]:
    """The dates of the rows of files with the same columns, and how their numbers are written.

    Args:
        when: the column of times.
        formats: its date formats.
        numeric: columns of numbers.
        currency: the column with the currency of an amount.
    """
    dated, forms, reading = list[DatedRows](), list[dict[str, Forms]](), Files(files="")
    cells, until = Cells(reading, formats), dated_rows.until(files)

    def asked(rows: SourceRows) -> ir.Table:
        table, columns = rows.table, number_forms.texts(rows.table, numeric)
        odd = functools.reduce(operator.or_, (cells.is_odd(table[column]) for column in columns), ibis.literal(False))
        timed = cells.timed(table, table[when] if when else ibis.null("timestamp(6)"), odd=odd)
        return dated_rows.by_month(timed.select("odd", **dated_rows.counts(timed.time, until)), odd=ibis._.odd.any())

    def look(group: Sequence[FileRows]) -> tuple[DatedRows, dict[str, Forms]]:
        rows = replace(group[0], relation=functools.reduce(lambda one, other: one.union(other), (one.relation for one in group)))
        reader.current(rows)
        found = reader.answers(rows, "all", asked)
        told = reader.numbers(rows, _texts(rows, numeric)) if any(row["odd"] for row in found) else {}
        told |= reader.currencies(rows, currency, cells) if currency else {}
        return dated_rows.found(found), told

    def together(batch: Sequence[Path]) -> Iterator[tuple[DatedRows, dict[str, Forms]]]:
        with contextlib.ExitStack() as stack:
            rows = [stack.enter_context(reader.opened(file, reading)) for file in batch]
            for shape in dict.fromkeys(one.shape for one in rows):
                yield look([one for one in rows if one.shape == shape])

    def by_line(batch: Sequence[Path]) -> Iterator[tuple[DatedRows, dict[str, Forms]]]:
        for file in batch:
            with reader.opened(file, reading, careful=True) as rows:
                yield look([rows])

    batches = [files[begin : begin + FILES_AT_ONCE] for begin in range(0, len(files), FILES_AT_ONCE)]
    with FileReader() as reader:
        for batch in progress.through(batches, f"reading dates and numbers, {FILES_AT_ONCE} files at once"):
            try:
                found = list(together(batch))
            except duckdb.Error:  # the engine's strict reader refuses a line
                found = list(by_line(batch))
            for days, told in found:
                dated.append(days)
                forms.append(told)
    return dated_rows.all_together(dated), number_forms.together(forms)


def _texts(rows: FileRows, columns: Sequence[str]) -> list[str]:
    kinds = dict(zip(rows.relation.columns, map(str, rows.relation.types), strict=True))
    return [column for column in columns if kinds.get(column) == "VARCHAR"]
