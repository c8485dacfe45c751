"""A first settings file for someone's own files: what each column seems to be, with every guess said in a comment."""

import datetime as dt
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import ibis
import ibis.expr.types as ir

from segmentation_assets.settings_source import Files, Reading
from segmentation_assets.sources import column_names, files, folder_survey, guessing, number_forms, progress
from segmentation_assets.sources.cells import Cells
from segmentation_assets.sources.guessing import ambiguous
from segmentation_assets.sources.number_forms import Forms
from segmentation_assets.sources.numbers import POINT
from segmentation_assets.sources.reading import connect
from segmentation_assets.sources.rows import SourceRows

NEEDED_TYPES = {
    "ordered_at": {"date"}, "amount": {"number"}, "price": {"number"}, "quantity": {"number"}, "discount": {"number"},
    "event_type": {"text"},
}  # fmt: skip
NUMBERS = ("amount", "price", "quantity", "discount")
EVENT_COLUMNS = ("customer_id", "event_type", "event_at", "subject")
NEEDED = {"customer_id": "the customer's id", "ordered_at": "when it was bought", "amount": "what was paid: a column or quantity * price"}
ORDER_COLUMNS = ("customer_id", "ordered_at", "amount", "order_id", "quantity", "product_id", "category", "discount")


@dataclass(frozen=True)
class Look:
    """What a file seems to hold."""

    file: Path
    columns: dict[str, str]
    notes: dict[str, str]
    found: dict[str, str]  # canonical column -> source column
    formats: tuple[str, ...]
    first: dt.date | None
    last: dt.date | None
    numbers: dict[str, Forms]
    ids_repeat: bool  # so that it has no customer records, which are one for each id

    @property
    def has_events(self) -> bool:
        return not self.has_orders and self.ids_repeat and {"customer_id", "ordered_at", "event_type"} <= set(self.found)

    @property
    def has_orders(self) -> bool:
        return (
            "customer_id" in self.found
            and "ordered_at" in self.found
            and ("amount" in self.found or {"price", "quantity"} <= set(self.found))
        )


def look_at(paths: Sequence[Path]) -> list[Look]:
    """A look at each file, and one at each folder whose files have the same columns.

    Raises:
        SourceError: one cannot be read, or a folder has no data files.
    """
    found: list[Look] = []
    for path in paths:
        found += _look_at_folder(path) if path.is_dir() else [look(path)]
    return found


def _look_at_folder(folder: Path) -> list[Look]:
    inside = folder_survey.opened(folder)
    if not inside.alike:
        return [look(file) for file in progress.through(list(inside.columns), f"looking at {folder.name}")]
    looks = [look(file) for file in progress.through(inside.some, f"looking at {folder.name}")]
    one = looks[0]
    numeric = [one.found[name] for name in NUMBERS if name in one.found]
    first, last, numbers = folder_survey.over_all(list(inside.columns), one.found.get("ordered_at"), one.formats, numeric)
    repeat = any(one.ids_repeat for one in looks)
    return [replace(one, file=folder, first=first, last=last, numbers=numbers, ids_repeat=repeat, notes={**one.notes, **inside.notes})]


def look(file: Path) -> Look:
    """Read the first rows of a file and guess what its columns are.

    Raises:
        SourceError: it cannot be read.
    """
    settings = Files(files=str(file))
    backend = connect()
    try:
        with tempfile.TemporaryDirectory() as scratch:
            rows = files.read_file(backend, file, settings, Path(scratch))
            try:
                types = guessing.column_types(backend, rows, Cells(settings))
            except duckdb.Error:
                rows = files.read_file(backend, file, settings, Path(scratch), careful=True)
                types = guessing.column_types(backend, rows, Cells(settings))
            likely = _perhaps_dates(backend, rows, types)
            formats = {column: guessing.date_formats(backend, rows.table[column], settings) for column in likely}
            dates = {column for column in likely if _reads_dates(backend, rows, column, formats[column], settings)}
            types = {
                column: "date" if column in dates and (kind == "text" or _named_like(column, "ordered_at")) else kind
                for column, kind in types.items()
            }
            found = _matched(types)
            numeric = [found[name] for name in NUMBERS if name in found]
            numbers = number_forms.counted(backend, rows.table, numeric, points_are_decimal=rows.has_numbers)
            ids = found.get("customer_id")
            repeat = ids is not None and _repeat(backend, Cells(settings).text(rows.table[ids]))
            when = found.get("ordered_at")
            dated = when or next((column for column in likely if types[column] == "date"), None)  # such as a date of birth
            span: dict[str, dt.datetime | None] = {"first": None, "last": None}
            if when:
                time = Cells(settings, formats[when]).time(rows.table[when])
                span = backend.to_pyarrow(rows.table.agg(first=time.min(), last=time.max())).to_pylist()[0]
    finally:
        backend.disconnect()
    first, last = span["first"], span["last"]
    return Look(
        file,
        types,
        rows.notes,
        found,
        formats[dated] if dated else (),
        first.date() if first else None,
        last.date() if last else None,
        numbers,
        repeat,
    )


def _perhaps_dates(backend: Any, rows: SourceRows, types: dict[str, str]) -> list[str]:
    """The columns worth a look for how dates are written, which takes a second for each: not numbers, nor text without digits."""
    columns = [
        column for column, kind in types.items() if kind in {"text", "date"} or (kind != "empty" and _named_like(column, "ordered_at"))
    ]
    if not columns:
        return []
    sample = rows.table.limit(guessing.SAMPLE)
    counts = {}
    for position, column in enumerate(columns):
        text = Cells(Files(files="")).text(sample[column])
        counts[f"some{position}"] = text.count()
        counts[f"digits{position}"] = ibis.ifelse(text.re_search(r"\d.*\d"), 1, 0).sum().fill_null(0)
    found = backend.to_pyarrow(sample.agg(**counts)).to_pylist()[0]
    return [column for position, column in enumerate(columns) if found[f"digits{position}"] >= guessing.READABLE * found[f"some{position}"]]


def _repeat(backend: Any, ids: ir.Value) -> bool:
    """Whether more than a few ids occur again: a few are customers recorded twice."""
    facts = backend.to_pyarrow(ids.name("id").as_table().agg(n=ibis._.id.count(), different=ibis._.id.nunique())).to_pylist()[0]
    return bool(facts["different"] < guessing.READABLE * facts["n"])


def _reads_dates(backend: Any, rows: SourceRows, column: str, formats: tuple[str, ...], settings: Files) -> bool:
    cells, value = Cells(settings, formats), rows.table[column]
    sample = rows.table.limit(guessing.SAMPLE)
    counts = sample.agg(
        some=cells.text(sample[column]).notnull().cast("int64").sum(), dates=cells.time(sample[column]).notnull().cast("int64").sum()
    )
    facts = backend.to_pyarrow(counts).to_pylist()[0]
    return (
        bool(facts["some"])
        and facts["dates"] >= guessing.READABLE * facts["some"]
        and (value.type().is_string() or not value.type().is_floating())
    )


def _matched(types: dict[str, str]) -> dict[str, str]:
    """Canonical column -> source column, by name and type; each source column once."""
    taken: dict[str, str] = {}
    for canonical in column_names.ENGLISH:
        free = [
            column
            for column in types
            if column not in taken.values() and types[column] in NEEDED_TYPES.get(canonical, {"text", "number", "boolean"})
        ]
        ranked = [(fit, place, column) for place, column in enumerate(free) if (fit := column_names.rank(column, canonical)) is not None]
        if ranked:
            taken[canonical] = min(ranked)[2]
    return taken


def _named_like(column: str, canonical: str) -> bool:
    return column_names.rank(column, canonical) is not None


def write(looks: Sequence[Look], base: Path) -> str:
    """The text of a first settings file, paths relative to `base`; with TODO where no file seems to hold orders."""
    orders = [one for one in looks if one.has_orders] or [max(looks, key=lambda one: len(NEEDED.keys() & one.found.keys()))]
    others = [one for one in looks if one not in orders]
    events = [one for one in others if one.has_events]
    customers = [one for one in others if "customer_id" in one.found and not one.ids_repeat]
    last = max((one.last for one in orders if one.last), default=None)
    first = min((one.first for one in orders if one.first), default=None)
    lines = [
        "# A first settings file, guessed from your files. Read each line, correct what is wrong, then: segmentation check",
        "", "data_dir: data", "", "snapshots:", *_snapshots(first, last), "", "source:", "  kind: tables", "  transactions:",
    ]  # fmt: skip
    for one in orders:
        lines += _item(_table(one, base, ORDER_COLUMNS))
    for entity, these, wanted in (("customers", customers, ("customer_id", "consent")), ("events", events, EVENT_COLUMNS)):
        lines += [f"  {entity}:"] if these else []
        for one in these:
            named = {**one.found, "event_at": one.found["ordered_at"]} if entity == "events" else one.found
            lines += _item(_table(replace(one, found=named), base, wanted))
    for one in others:
        if one not in events and one not in customers:
            lines.append(f"# Not used: {_shown(one.file.name)}, because {_unused_because(one)}")
    lines += ["", "cleaning:", "  exact_duplicates: keep        # drop: set aside lines that are equal in every mapped column", ""]
    return "\n".join(lines)


def _item(table: list[str]) -> list[str]:
    return [f"    - {line}" if position == 0 else f"      {line}" for position, line in enumerate(table)]


def _unused_because(one: Look) -> str:
    if "customer_id" not in one.found:
        return "no column seems to be the customer's id"
    return "the customer's ids repeat, and no column seems to say what happened when. If it holds events, write it under `events:`"


def _snapshots(first: dt.date | None, last: dt.date | None) -> list[str]:
    if first is None or last is None:
        return ["  first: 2024-01-01             # no dates were found: set the date of the first snapshot", "  cadence: monthly"]
    after = dt.date(last.year + last.month // 12, last.month % 12 + 1, 1)
    months = (after.year - first.year) * 12 + after.month - first.month
    back = min(max(months // 2, 1), 12)
    start = after.year * 12 + after.month - 1 - (back - 1)
    beginning = dt.date(start // 12, start % 12 + 1, 1)
    return [
        f"  first: {beginning}             # orders are dated {first} to {last}; the first snapshot takes in all earlier history",
        f"  last: {after}              # leave out to go on up to today",
        "  cadence: monthly              # monthly, weekly or daily",
    ]


def _table(one: Look, base: Path, wanted: Sequence[str]) -> list[str]:
    try:
        path = one.file.resolve().relative_to(base.resolve()).as_posix()
    except ValueError:
        path = str(one.file.resolve())
    lines = [f"files: {_quoted(path)}"]
    if one.notes:
        lines.append(_shown(f"# found: {', '.join(f'{what} {value}' for what, value in one.notes.items())}"))
    ours = [written for written in one.formats if written != "ISO 8601"]
    if ours:
        other = ambiguous(ours)
        doubt = f"    # guessed; if day and month are the other way round: {other}" if other else "    # guessed"
        lines.append(f"date_format: {_list(ours)}{doubt}")
    lines += _marks(one)
    lines.append("columns:")
    used = set()
    for canonical in wanted:
        if canonical in one.found:
            column = one.found[canonical]
            used.add(column)
            lines.append(f"  {canonical}: {_quoted(column)}    # guessed from its name; it holds {one.columns[column]}")
        elif canonical == "amount" and {"price", "quantity"} <= set(one.found):
            used |= {one.found["price"], one.found["quantity"]}
            product = f"{_identifier(one.found['quantity'])} * {_identifier(one.found['price'])}"
            lines.append(f"  amount: {_quoted(product)}    # guessed: no column is the line's total")
        elif "amount" in wanted and canonical in NEEDED:
            lines.append(f"  {canonical}: TODO    # TODO: no column was recognised as {NEEDED[canonical]}; name it")
    unused = [f"{column} ({kind})" for column, kind in one.columns.items() if column not in used]
    if unused:
        lines.append(f"# {'attributes' if 'consent' in wanted else 'not mapped'}: {_shown(', '.join(unused))}")
    return lines


def _marks(one: Look) -> list[str]:
    """How numbers are written, where not everything is plain, and what is to be looked at."""
    told = number_forms.decimals(one.numbers)
    if len(set(told.values())) > 1:
        named = ", ".join(f"{column} {mark}" for column, mark in told.items())
        lines = [f"# decimal marks differ, so each column is read by its own: {_shown(named)}"]
    elif told:
        (mark,) = set(told.values())
        thousands = number_forms.thousands(one.numbers)
        lines = [f"decimal: '{mark}'    # guessed: numbers are written with it"] if mark != POINT else []
        lines += (
            [f"thousands: {_quoted(thousands)}    # guessed: some numbers are written with it"] if thousands not in {None, mark} else []
        )
    else:
        lines = []
    return [*lines, *(f"# {_shown(doubt)}" for doubt in number_forms.doubts(one.numbers, Reading()))]


def _identifier(column: str) -> str:
    return column if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", column) else '"' + column.replace('"', '""') + '"'


def _list(formats: Sequence[str]) -> str:
    quoted = [f'"{written}"' for written in formats]
    return quoted[0] if len(quoted) == 1 else f"[{', '.join(quoted)}]"


def _shown(text: str) -> str:
    """The text as a comment may hold it."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def _quoted(text: str) -> str:
    """A YAML scalar that is this text whatever is in it."""
    if not text.isprintable():  # YAML takes control characters only as escapes
        escaped = "".join(f"\\U{ord(c):08x}" if not c.isprintable() or c in '"\\' else c for c in text)
        return f'"{escaped}"'
    return (
        text
        if re.fullmatch(r"[A-Za-z_./][A-Za-z0-9_./*-]*( \* [A-Za-z_][A-Za-z0-9_]*)?", text)
        and text.lower() not in {"yes", "no", "true", "false", "null", "on", "off", "y", "n"}
        else "'" + text.replace("'", "''") + "'"
    )
