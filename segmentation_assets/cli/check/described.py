"""Sentences on the files of an entity: what was found in each, what could not be read, and which are equal."""

import json
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from segmentation_assets.cli.check.counts import Counted, Place, by_size
from segmentation_assets.settings.loading import Settings
from segmentation_assets.settings.source import Files, Tables
from segmentation_assets.sources import guessing, located, shared_orders
from segmentation_assets.sources.intake_record import IntakeRecord
from segmentation_assets.sources.mapping import KINDS
from segmentation_assets.sources.reading import connect
from segmentation_assets.vocabulary import counted

LONGEST = 160  # characters shown of a record


def described(kept: list[IntakeRecord]) -> Iterator[str]:
    """What was found in each file of an entity, once for files that are alike."""
    alike: dict[str, list[IntakeRecord]] = {}
    for file in kept:
        alike.setdefault(str((file.columns, file.mapped, file.date_formats, file.notes)), []).append(file)
    for group in alike.values():
        one = group[0]
        names = one.source if len(group) == 1 else f"{one.source} and {len(group) - 1} more"
        if one.skipped:
            yield f"skipped: {', '.join(file.source for file in group)}, which {one.skipped}"
            continue
        notes = "".join(f"; {what} {value}" for what, value in one.notes.items())
        yield f"{names}: {counted(sum(file.rows for file in group), 'row')}{notes}"
        yield f"    mapped: {_listed(one, [column for column in one.mapped if column in one.columns]) or 'none'}"
        unmapped = [column for column in one.columns if column not in one.mapped]
        if unmapped:
            yield f"    not mapped: {_listed(one, unmapped)}"
        if one.date_formats:
            doubts = "".join(f"; {when}, set date_format: '{other}'" for when, other in guessing.other_readings(one.date_formats).items())
            yield f"    dates read as {' or '.join(one.date_formats)}{doubts}"


def _listed(one: IntakeRecord, columns: list[str]) -> str:
    return ", ".join(f"{column} ({one.columns[column]})".replace("\n", r"\n") for column in columns)


def rejects(seen: Counted, records: dict[Place, str]) -> Iterator[str]:
    """Each reason with its number of rows, most frequent first, and a few examples."""
    totals = {reason: sum(days.values()) for reason, days in seen.reasons.items()}
    for reason in sorted(totals, key=lambda reason: (-totals[reason], reason)):
        yield f"{totals[reason]:,} rejected: {reason}"
        for place in seen.examples[reason]:
            yield f"    {place.source_file}, row {place.row_number}: {_short(records.get(place, ''))}"


def unreadable(
    seen: Counted, records: dict[Place, str], name: str, settings: Settings, unread: Callable[[str], list[str]], known: Collection[str]
) -> Iterator[str]:
    """The columns with filled cells that were read as missing, each with an example.

    Args:
        unread: column -> the first records in which it could not be read.
        known: the date formats in use.
    """
    for column, number in by_size(seen.unread):
        cell = _cell(column, records.get(seen.unread_examples[column]), name, settings)
        cells = counted(number, "cell")
        what = f"{cells} made missing by the mapping" if KINDS.get(column) == "text" else f"{cells} unreadable"
        example = f", such as {cell!r}" if cell is not None else ""
        others = _other_dates(column, unread(column), name, settings, known) if KINDS.get(column) == "time" else ""
        yield f"{column}: {what}{example}{others}"


def _other_dates(column: str, records: list[str], name: str, settings: Settings, known: Collection[str]) -> str:
    """How many of the unreadable dates another format would read, which can be added to date_format."""
    cells = [cell for record in records if (cell := _cell(column, record, name, settings)) is not None]
    if not cells:
        return ""
    backend = connect()
    try:
        fits = guessing.fitting(backend, cells, known)
    finally:
        backend.disconnect()
    return "".join(f"; {count:,} of {len(cells):,} fit date_format: '{written}'" for written, count in fits.items())


def equal_files(settings: Settings, name: str, with_rows: Collection[str]) -> list[tuple[str, ...]]:
    """Groups of files of an entity that are equal, byte for byte, by the names that their rows carry.

    Args:
        with_rows: names of the files that have rows; others are ignored.
    """
    tables = settings.source.entity(name) if isinstance(settings.source, Tables) else ()
    found = dict(pair for table in tables if isinstance(table, Files) for pair in located.matching_files(table) if pair[1] in with_rows)
    return [_names(alike, found) for alike in shared_orders.equal_files(list(found))]


def _names(alike: list[Path], found: dict[Path, str]) -> tuple[str, ...]:
    """The names of files, or their paths if names are ambiguous."""
    names = {found[file] for file in alike}
    return tuple(sorted(names if len(names) == len(alike) else map(str, alike)))


def _cell(column: str, record: str | None, name: str, settings: Settings) -> str | None:
    """The source's cell that one of our columns is mapped to; for an expression, the cells of all columns it could name."""
    values = json.loads(record or "{}")
    tables = settings.source.entity(name) if isinstance(settings.source, Tables) else ()
    for table in tables:
        named = getattr(table, "attributes", {})
        mapping = {**(named if isinstance(named, dict) else {}), **table.columns}
        source = mapping.get(column, column)
        if source in values:
            return str(values[source])
        used = [value for key, value in values.items() if key in str(source)]
        if used:
            return ", ".join(map(str, used))
    return None


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
