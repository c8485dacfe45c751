"""The profile of a user's file: how its cells are written, what each column holds, and which canonical column it may be.

Everything here is a guess that `first_settings` writes down for the user to review.
"""

import glob
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from pathlib import Path
from typing import Any

import duckdb
import ibis
import ibis.expr.types as ir

from segmentation_assets.expressions import identifier
from segmentation_assets.settings.source import FILE_NAME, ROW_NUMBER, Files
from segmentation_assets.sources import (
    column_names,
    dated_rows,
    exports,
    files,
    first_dates,
    folder_survey,
    guessing,
    number_forms,
    order_levels,
    personal,
    progress,
    special_categories,
)
from segmentation_assets.sources.cells import ISO, UNIX, Cells
from segmentation_assets.sources.customer_columns import ColumnLook, id_column, look_at_columns, named_as_id
from segmentation_assets.sources.customer_dates import OnDate
from segmentation_assets.sources.dated_rows import DatedRows
from segmentation_assets.sources.exports import Export, columns_of
from segmentation_assets.sources.first_dates import AsOf, History
from segmentation_assets.sources.names_of_days import date_in_name
from segmentation_assets.sources.number_forms import Forms
from segmentation_assets.sources.order_signs import OrderSigns, all_together, order_signs
from segmentation_assets.sources.personal import Personal
from segmentation_assets.sources.reading import connect
from segmentation_assets.sources.rows import SourceRows
from segmentation_assets.sources.same_ids import Ids
from segmentation_assets.sources.shared_orders import Shared, equal_names, shared_orders

NEEDED_TYPES = {
    "ordered_at": {"date"}, "amount": {"number"}, "price": {"number"}, "quantity": {"number"}, "discount": {"number"},
    "event_type": {"text"},
}  # fmt: skip
NUMBERS = ("amount", "price", "quantity", "discount")
FEW_NUMBERS = 2  # columns of an order without a date: a table of more is one of customers, even if one is called an amount
MOST_IDS = 6  # columns of a file that are compared with the customers of orders
FEWEST = 0.1  # share of these that a table of customers has at least, such as one of several
MOST_FULL_LOOKS = 24  # most files of a folder that are all examined in full, and so are compared by order; `check` compares any number
NO_SIGNS, NOTHING_SHARED = OrderSigns(), Shared()


@dataclass(frozen=True)
class FileProfile:
    """The guesses about one file."""

    file: Path
    columns: dict[str, str]
    notes: dict[str, str]
    found: dict[str, str]  # canonical column -> source column
    formats: tuple[str, ...]
    dated: DatedRows
    numbers: dict[str, Forms]
    ids_repeat: bool  # so that it has no customer records, which have one row per id
    export: Export | None = None  # the known export, if it is one
    signs: OrderSigns = NO_SIGNS  # of the rows, where they are orders
    shared: Shared = NOTHING_SHARED  # with other files of the folder
    sheet: str | None = None  # of a workbook that has several with rows
    other_sheets: tuple[str, ...] = ()
    either_way: bool = False  # whether each of its dates can be read both day first and month first
    undated: tuple[str, str] | None = None  # a column named like the time of orders, and one of its cells, which no format reads
    personal: dict[str, Personal] = field(default_factory=dict)  # columns that look personal
    answers: dict[str, str] = field(default_factory=dict)  # columns with a word that reads as missing, but may be an answer
    customers: dict[str, ColumnLook] = field(default_factory=dict)  # the columns, if it has one row per customer (and date) and no orders
    history: History | None = None  # if it describes customers anew at several dates
    as_of: AsOf | None = None  # the column with the only date of a table of customers
    not_in_all: tuple[str, ...] = ()  # columns that some of its files lack
    ids: dict[str, Ids] = field(default_factory=dict)  # of the customer's column and, without purchases, of others that are named as ids
    same_as: str = ""  # of which orders its customer's column has the ids, in words, if that is how it was recognised

    @property
    def name(self) -> str:
        """Its name in sentences."""
        return f"{self.file.name}, sheet {self.sheet}" if self.sheet else self.file.name

    @property
    def id_of_customers(self) -> str:
        """The column of ids in a table of customers without orders, or ROW_NUMBER."""
        named, held = self.found.get("customer_id"), id_column(self.customers)
        if named is None or (held and column_names.is_for_want_of(named, "customer_id")):
            named = held
        return named or ROW_NUMBER

    @property
    def has_events(self) -> bool:
        told = {"customer_id", "ordered_at", "event_type"} <= set(self.found)
        return told and self.ids_repeat and not self.has_orders and self.history is None

    @property
    def has_orders(self) -> bool:
        return "customer_id" in self.found and self.has_purchases

    @property
    def has_purchases(self) -> bool:
        """Whether it has an amount and a time, though perhaps no customer."""
        return {"ordered_at", "amount"} <= set(self.found) and not self.customers


def look_at(paths: Sequence[Path]) -> list[FileProfile]:
    """The profile of each file, and of each folder whose files have the same columns.

    Raises:
        SourceError: a file cannot be read, or a folder has no data files.
    """
    found: list[FileProfile] = []
    for path in paths:
        found += _look_at_folder(path) if path.is_dir() else _look_at_sheets(path)
    return _with_ids_of_orders(_dated_together(found))


def _with_ids_of_orders(looks: list[FileProfile]) -> list[FileProfile]:
    """The profiles, in which tables of customers are recognised by the ids that orders have, rather than by a name such as `email`."""
    orders = [one for one in looks if one.has_orders and one.found["customer_id"] in one.ids]
    return [one if one.has_purchases or one.history or one.export else _matched_to(one, orders) for one in looks]


def _matched_to(one: FileProfile, orders: Sequence[FileProfile]) -> FileProfile:
    named = one.found.get("customer_id")
    if named is not None and not column_names.is_for_want_of(named, "customer_id"):
        return one
    unique = [name for name, ids in one.ids.items() if not ids.repeat]
    shares = [(of.ids[of.found["customer_id"]].share_in(one.ids[name]), name == named, name, of.name) for of in orders for name in unique]
    share, is_named, best, where = max(shares, default=(0.0, True, "", ""))
    if share < FEWEST or is_named or not _may_be_of_customers(one, best):
        return one
    told = f"{share:.0%} of the customers in {where} are in it"
    return replace(one, found={**one.found, "customer_id": best}, ids_repeat=False, same_as=told)


def _may_be_of_customers(one: FileProfile, ids: str) -> bool:
    """Whether a table describes customers: numbers from 1 are the ids of products too."""
    named = column_names.rank(f"{one.file.stem}_id", "customer_id") is not None
    return named or "customer_id" in one.found or bool(one.personal) or one.columns[ids] == "text"


def _look_at_sheets(file: Path) -> list[FileProfile]:
    """The profile of a file, or of each sheet with rows if it is a workbook with several."""
    first = look(file)
    looks = [first, *(look(file, sheet=sheet) for sheet in first.other_sheets)]
    return [replace(one, notes={what: value for what, value in one.notes.items() if what not in {"sheet", "not read"}}) for one in looks]


def _look_at_folder(folder: Path) -> list[FileProfile]:
    inside = folder_survey.opened(folder)
    every = list(inside.columns)
    if not inside.alike or len(every) <= MOST_FULL_LOOKS:
        return _looked_at_in_full(folder, every, inside)
    looks = _days_and_months_alike([look(file) for file in progress.through(inside.some, f"looking at {folder.name}")])
    if together := _as_history(folder, every, looks, inside.notes):
        return [together]
    one = looks[0]
    numeric = [column for name in NUMBERS if name in one.found for column in columns_of(one.found[name], list(one.columns))]
    currency = next((column for column, forms in one.numbers.items() if forms.of_amounts), None)
    dated, numbers = folder_survey.over_all(every, one.found.get("ordered_at"), one.formats, list(dict.fromkeys(numeric)), currency)
    together = _together(folder, looks, Shared(equal_names(every)), inside.notes)
    return [replace(together, dated=dated, numbers=numbers)]


def _looked_at_in_full(folder: Path, inside: Sequence[Path], survey: folder_survey.Folder) -> list[FileProfile]:
    with tempfile.TemporaryDirectory() as scratch:
        ids = [Path(scratch) / f"{number}.parquet" for number in range(len(inside))]
        pairs = progress.through(list(zip(inside, ids, strict=True)), f"looking at {folder.name}")
        looks = _days_and_months_alike([look(file, place) for file, place in pairs])
        if together := _as_history(folder, inside, looks, survey.notes):
            return [together]
        return [_together(folder, looks, shared_orders(inside, ids), survey.notes)] if survey.alike else looks


def _dated_together(looks: list[FileProfile]) -> list[FileProfile]:
    """The profiles, in which files of one folder that describe customers at different dates are one."""
    alone = [one for one in looks if one.customers and not one.history and not one.sheet and one.file.is_file()]
    folders = {one.file.parent for one in alone}
    if len(alone) < 2 or len(folders) > 1 or len({one.id_of_customers for one in alone}) > 1:
        return looks
    every = [one.file for one in alone]
    pattern = _pattern_of(every)
    together = _as_history(pattern, every, alone, {}) if pattern else None
    return [together, *(one for one in looks if one not in alone)] if together else looks


def _pattern_of(every: Sequence[Path]) -> Path | None:
    """A glob that names these files of one folder and no others; None if there is none."""
    names = [file.name for file in every]
    begin = _common_beginning(names)
    end = _common_beginning([name[len(begin) :][::-1] for name in names])[::-1]
    # Of dates, a part may be common, such as the year, which later files do not share.
    parts = ((re.sub(r"(\d+[-_. ]?)+$", "", begin), re.sub(r"^([-_. ]?\d+)+", "", end)), (begin, end))
    patterns = (f"{glob.escape(first)}*{glob.escape(last)}" for first, last in parts)
    folder, files = every[0].parent, {file.name for file in every}
    return next((folder / pattern for pattern in patterns if {file.name for file in folder.glob(pattern)} == files), None)


def _common_beginning(names: Sequence[str]) -> str:
    alike = takewhile(lambda letters: letters[0] == letters[1], zip(min(names), max(names), strict=False))
    return "".join(one for one, _ in alike)


def _as_history(place: Path, every: Sequence[Path], looks: Sequence[FileProfile], notes: dict[str, str]) -> FileProfile | None:
    """The profile of files that together describe customers at several dates; None if they do not.

    Args:
        place: the folder or the glob that names them.
        looks: profiles of some of them, or of all.
    """
    if not all(one.customers for one in looks) or len({one.id_of_customers for one in looks}) > 1:
        return None
    one = looks[0]
    columns = {one.as_of.column if one.as_of else one.history.dated_by if one.history else None for one in looks}
    named = {day for file in every if (day := date_in_name(file.name))}
    formats: tuple[str, ...] = (ISO,)
    if all(date_in_name(file.name) for file in every):
        dated_by = FILE_NAME
    elif len(columns) == 1 and (dated := looks[0].as_of or looks[0].history):
        dated_by, formats = next(iter(columns)) or "", dated.formats
    else:
        return None
    found = None if one.id_of_customers == ROW_NUMBER else first_dates.history(every, one.id_of_customers, dated_by, formats)
    days = tuple(OnDate(day, 0) for day in sorted(named)) if found is None else ()
    common = [name for name in one.columns if all(name in other.columns for other in looks)]
    return replace(
        one,
        file=place,
        notes={**one.notes, **notes},
        columns={name: one.columns[name] for name in common},
        customers={name: seen for name, seen in one.customers.items() if name in common},
        not_in_all=tuple(dict.fromkeys(name for other in looks for name in other.columns if name not in common)),
        numbers=number_forms.together(one.numbers for one in looks),
        formats=formats,
        history=found or History(dated_by, days, formats),
        as_of=None,
    )


def _days_and_months_alike(looks: list[FileProfile]) -> list[FileProfile]:
    """Read ambiguous dates like those of the first file that shows whether the day or the month comes first."""
    decided = next((one.formats for one in looks if guessing.ambiguous(one.formats) and not one.either_way), None)
    if decided is None:
        return looks
    return [look(one.file, formats=decided) if one.either_way and one.formats != decided else one for one in looks]


def _together(folder: Path, looks: Sequence[FileProfile], shared: Shared, notes: dict[str, str]) -> FileProfile:
    return replace(
        looks[0],
        file=folder,
        notes={**looks[0].notes, **notes},
        dated=dated_rows.all_together(one.dated for one in looks),
        numbers=number_forms.together(one.numbers for one in looks),
        ids_repeat=any(one.ids_repeat for one in looks),
        ids={name: Ids.together([one.ids[name] for one in looks]) for name in looks[0].ids if all(name in one.ids for one in looks)},
        signs=all_together([one.signs for one in looks]),
        shared=shared,
    )


def look(file: Path, order_ids: Path | None = None, formats: Sequence[str] = ("auto",), sheet: str | None = None) -> FileProfile:
    """Read a file and guess what its columns are.

    Args:
        order_ids: file to write with the ids of orders, if it holds orders.
        formats: the date formats.
        sheet: sheet of a workbook; None: the first that has rows.

    Raises:
        SourceError: the file cannot be read.
    """
    settings = Files(files=str(file), date_format=[one for one in formats if one != ISO] or ISO, sheet=sheet)
    backend = connect()
    try:
        with tempfile.TemporaryDirectory() as scratch:
            rows = files.read_file(backend, file, settings, Path(scratch))
            export = exports.known(rows.columns)
            try:
                types, written, found = _recognised(backend, rows, settings, export)
            except duckdb.Error:
                rows = files.read_file(backend, file, settings, Path(scratch), careful=True)
                types, written, found = _recognised(backend, rows, settings, export)
            numeric = [column for name in NUMBERS if name in found for column in columns_of(found[name], rows.columns)]
            numbers = number_forms.counted(backend, rows.table, list(dict.fromkeys(numeric)), rows.kind)
            ids = found.get("customer_id")
            if ids is None and not export and (ids := _id_beside_dates(backend, rows, Cells(settings), types, written, found)):
                found = {**found, "customer_id": ids}
            repeat = ids is not None and _repeat(backend, Cells(settings).text(rows.table[ids]))
            told = _ids(backend, rows, Cells(settings), types, found)
            when = found.get("ordered_at")
            dates = when or next((column for column in written if types[column] == "date"), None)  # such as a date of birth
            dated = DatedRows()
            if when:
                times = Cells(settings, written.get(when, (ISO,))).timed(rows.table, rows.table[when])
                days = times.select(**dated_rows.counts(times.time, dated_rows.until([file])))
                dated = dated_rows.found(backend.to_pyarrow(dated_rows.by_month(days)).to_pylist())
            cells = Cells(settings, written.get(when or "", (ISO,)), decimals=number_forms.decimals(numbers))
            undated = _undated(backend, rows, Cells(settings), found, types)
            possible = {} if export else _dates_of_customers(backend, rows, types, written, found, repeat)
            panel = first_dates.panel(backend, rows, ids, possible, "event_type" in found) if ids and repeat else None
            only = first_dates.only_date(backend, rows, possible) if not repeat else None
            dated_by = panel[0] if panel else only.column if only else None
            of_customers = bool(panel or only) or (not export and not undated and not repeat and _is_of_customers(found, types))
            if of_customers:
                numeric = [name for name, kind in types.items() if kind == "number"]
                numbers = number_forms.counted(backend, rows.table, numeric, rows.kind)
                cells = replace(cells, decimals=number_forms.decimals(numbers))
            of_one_date = first_dates.newest(backend, rows, *panel) if panel else rows.table
            customers = _customer_columns(backend, of_one_date, rows.columns, cells, types) if of_customers else {}
            if customers and dated_by:
                dates, written, undated = dated_by, {**written, dated_by: possible[dated_by]}, None
            orders = {"ordered_at", "amount"} <= set(found) and not customers
            signs = order_signs(backend, rows, cells, found, types, export, order_ids) if orders else NO_SIGNS
            if orders:
                amounts = columns_of(found["amount"], rows.columns)
                numbers |= number_forms.currencies_beside(backend, rows.table, rows.columns, amounts, cells)
            sample = backend.to_pyarrow(personal.sampled(rows.table, rows.columns)).to_pydict()
            about_people = personal.found(sample)
            either_way = dates is not None and guessing.reads_either_way(backend, rows.table[dates], written[dates], settings)
    finally:
        backend.disconnect()
    described = first_dates.history([file], ids, *panel) if customers and panel and ids else None
    return FileProfile(
        file,
        types,
        rows.notes,
        found,
        written.get(dates, ()) if dates else (),
        dated,
        numbers,
        repeat,
        export,
        signs,
        sheet=sheet or (rows.notes["sheet"] if rows.other_sheets else None),
        other_sheets=rows.other_sheets,
        either_way=either_way,
        undated=undated,
        personal=about_people,
        answers=special_categories.answers({name: sample[name] for name, kind in types.items() if kind == "text"}, settings.missing_values),
        customers=customers,
        history=described,
        as_of=only if customers else None,
        ids=told,
    )


def _ids(backend: Any, rows: SourceRows, cells: Cells, types: dict[str, str], found: dict[str, str]) -> dict[str, Ids]:
    """The ids of the customer's column and, without purchases, of further columns that are named as ids."""
    named = [found["customer_id"]] if found.get("customer_id") in rows.columns else []
    if not {"ordered_at", "amount"} <= set(found):
        named += [name for name, kind in types.items() if kind in {"text", "number"} and named_as_id(name)]
    return {name: Ids.of(backend, cells.text(rows.table[name])) for name in [*dict.fromkeys(named)][:MOST_IDS]}


def _id_beside_dates(
    backend: Any, rows: SourceRows, cells: Cells, types: dict[str, str], written: dict[str, tuple[str, ...]], found: dict[str, str]
) -> str | None:
    """The first column that is named as an id and has each of its values once per date, but not once in all; None if there is none."""
    others = set(column_names.NOT["customer_id"].split())
    for name, kind in types.items():
        if kind not in {"text", "number"} or not named_as_id(name) or column_names.folded(name)[1] & others:
            continue
        if not _repeat(backend, cells.text(rows.table[name])):
            continue
        dates = _dates_of_customers(backend, rows, types, written, {**found, "customer_id": name}, repeat=True)
        if first_dates.panel(backend, rows, name, dates, "event_type" in found):
            return name
    return None


def _dates_of_customers(
    backend: Any, rows: SourceRows, types: dict[str, str], written: dict[str, tuple[str, ...]], found: dict[str, str], repeat: bool
) -> dict[str, tuple[str, ...]]:
    """Columns of dates -> formats, likelier ones first, by which a table may describe customers.

    Args:
        repeat: whether ids repeat.
    """
    dates = {name: written.get(name, (ISO,)) for name, kind in types.items() if kind == "date"}
    every = {**dates, **first_dates.months_without_days(backend, rows, types)}
    fit = {name: formats for name, formats in every.items() if _is_of_customers(found, types, name, repeat)}
    return dict(sorted(fit.items(), key=lambda one: (one[0] != found.get("ordered_at"), not _named_like(one[0], "ordered_at"))))


def _surely(found: Mapping[str, str], canonical: str) -> bool:
    """Whether a column's name leaves no doubt that it is a canonical column, or an expression stands for it."""
    if canonical not in found:
        return False
    fit = column_names.rank(found[canonical], canonical)
    return fit is None or fit[1] == 0


def _is_of_customers(found: dict[str, str], types: dict[str, str], dated_by: str | None = None, repeat: bool = False) -> bool:
    """Whether the columns are those of customers: none is an order's id or time, or surely its amount.

    Args:
        dated_by: a column of dates that may say when a row describes a customer.
        repeat: whether ids repeat.
    """
    if dated_by and (repeat or dated_by == found.get("ordered_at")):
        if any(_surely(found, name) for name in ("ordered_at", "amount", "order_id", "quantity", "price", "product_id", "discount")):
            return False
        return len([name for name, kind in types.items() if kind == "number" and name != found.get("customer_id")]) > FEW_NUMBERS
    if "order_id" in found or ("ordered_at" in found and _named_like(found["ordered_at"], "ordered_at")):
        return False
    fit = column_names.rank(found["amount"], "amount") if "customer_id" in found and "amount" in found else None
    numbers = [name for name, kind in types.items() if kind == "number" and name != found.get("customer_id")]
    return fit is None or fit[1] > 0 or ("ordered_at" not in found and len(numbers) > FEW_NUMBERS)


def _customer_columns(backend: Any, rows: ir.Table, names: Sequence[str], cells: Cells, types: dict[str, str]) -> dict[str, ColumnLook]:
    """The look of each of the named columns of a table of customers; empty if there is nothing to compare them by."""
    sample = rows.limit(guessing.SAMPLE)
    read = {name: cells.number(sample[name]) if types[name] == "number" else cells.text(sample[name]) for name in names}
    looks = look_at_columns(backend.to_pyarrow(sample.select(**read)).to_pandas(), types)
    return looks if any(look.enters for look in looks.values()) else {}


def _recognised(
    backend: Any, rows: SourceRows, settings: Files, export: Export | None
) -> tuple[dict[str, str], dict[str, tuple[str, ...]], dict[str, str]]:
    """The type of each column, the formats of possible dates, and canonical column -> source column.

    A time and an amount with many unreadable cells are found too, if no other column qualifies: `check` reports what is wrong.
    """
    types, written = _columns(backend, rows, settings, guessing.READABLE, {})
    if export:
        return types, written, _of_export(backend, rows, Cells(settings), export, types)
    found = _of_names(types)
    if not {"ordered_at", "amount"} <= set(found):
        others, formats = _columns(backend, rows, settings, guessing.BARELY_READABLE, written)
        likely = _of_names(others)
        if {"ordered_at", "amount"} <= set(likely):
            used = {column for one in likely.values() for column in columns_of(one, rows.columns)}
            return {name: others[name] if name in used else kind for name, kind in types.items()}, {**written, **formats}, likely
    return types, written, found


def _columns(
    backend: Any, rows: SourceRows, settings: Files, readable: float, known: dict[str, tuple[str, ...]]
) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """The type of each column, and the formats of possible dates if they are not known."""
    types = guessing.column_types(backend, rows, Cells(settings), readable)
    written = {
        column: known.get(column) or guessing.date_formats(backend, rows.table[column], settings)
        for column in _perhaps_dates(backend, rows, types, readable)
    }
    dates = {column for column, formats in written.items() if _reads_dates(backend, rows, column, formats, settings, readable)}
    named = {column for column in dates if types[column] == "text" or _named_like(column, "ordered_at")}
    return {column: "date" if column in named else kind for column, kind in types.items()}, written


def _perhaps_dates(backend: Any, rows: SourceRows, types: dict[str, str], readable: float) -> list[str]:
    """The columns in which to look for date formats, which takes a second each: neither numbers, nor text without digits."""
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
    return [column for position, column in enumerate(columns) if found[f"digits{position}"] >= readable * found[f"some{position}"]]


def _repeat(backend: Any, ids: ir.Value) -> bool:
    """Whether more than a few ids repeat; a few may be customers recorded twice."""
    facts = backend.to_pyarrow(ids.name("id").as_table().agg(n=ibis._.id.count(), different=ibis._.id.nunique())).to_pylist()[0]
    return bool(facts["different"] < guessing.READABLE * facts["n"])


def _reads_dates(backend: Any, rows: SourceRows, column: str, formats: tuple[str, ...], settings: Files, readable: float) -> bool:
    cells, value = Cells(settings, formats), rows.table[column]
    sample = rows.table.limit(guessing.SAMPLE)
    read = cells.timed(sample, sample[column], text=cells.text(sample[column]))
    facts = backend.to_pyarrow(read.agg(some=read.text.count(), dates=read.time.count())).to_pylist()[0]
    return (
        bool(facts["some"]) and facts["dates"] >= readable * facts["some"] and (not value.type().is_floating() or set(formats) <= set(UNIX))
    )


def _of_names(types: dict[str, str]) -> dict[str, str]:
    return _with_order_id(_with_only_date(_with_amount(_matched(types)), types), types)


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


def _with_amount(found: dict[str, str]) -> dict[str, str]:
    """Add quantity times price as the amount, if no column is the amount."""
    if "amount" in found or not {"price", "quantity"} <= set(found):
        return found
    return {**found, "amount": f"{identifier(found['quantity'])} * {identifier(found['price'])}"}


def _with_only_date(found: dict[str, str], types: dict[str, str]) -> dict[str, str]:
    """Add the only column of dates as the order's time, whatever its name, if there is an amount."""
    if "ordered_at" in found or "amount" not in found:
        return found
    dates = [name for name, kind in types.items() if kind == "date" and not column_names.says_other(name, "ordered_at")]
    return {**found, "ordered_at": dates[0]} if len(dates) == 1 else found


def _undated(backend: Any, rows: SourceRows, cells: Cells, found: dict[str, str], types: dict[str, str]) -> tuple[str, str] | None:
    """If no time of orders was found, the column that is named like one, and its first cell."""
    named = [(rank, name) for name in types if name not in found.values() and (rank := column_names.rank(name, "ordered_at")) is not None]
    if "ordered_at" in found or "amount" not in found or not named:
        return None
    column = min(named)[1]
    text = cells.text(rows.table[column]).name("text").as_table()
    some = backend.to_pyarrow(text.filter(text.text.notnull()).limit(1)).to_pylist()
    return (column, some[0]["text"]) if some else None


def _with_order_id(found: dict[str, str], types: dict[str, str]) -> dict[str, str]:
    """Add `id` as the order id if rows seem to be whole orders; for order lines, `id` would be the line's."""
    if "order_id" in found or not {"customer_id", "ordered_at", "amount"} <= set(found) or {"product_id", "quantity"} & set(found):
        return found
    free = [name for name in types if name.casefold() == "id" and name not in found.values() and types[name] != "empty"]
    return {**found, "order_id": free[0]} if free else found


def _of_export(backend: Any, rows: SourceRows, cells: Cells, export: Export, types: dict[str, str]) -> dict[str, str]:
    """Canonical column -> its column or expression in a known export; of several candidates, the first that is well filled."""
    found = export.found(rows.columns)
    for name in ("customer_id", "ordered_at", "product_id"):
        best = order_levels.fullest(backend, rows, cells, [one for one in export.columns.get(name, ()) if one in rows.columns])
        found.pop(name, None)
        found |= {name: best} if best else {}
    return {name: one for name, one in found.items() if types.get(one) != "empty"}


def _named_like(column: str, canonical: str) -> bool:
    return column_names.rank(column, canonical) is not None
