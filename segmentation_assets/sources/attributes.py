"""Customer attributes as numbers, dates, booleans or text; and the combination of several rows into one record."""

import datetime as dt
import functools
import operator
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir

from segmentation_assets.core.customers.cleaning import RULES, cleaned_attribute, identifier
from segmentation_assets.settings.cleaning import Cleaning
from segmentation_assets.settings.source import ROW_NUMBER, CustomerTable, Files, SourceTable
from segmentation_assets.sources import customer_dates, number_forms
from segmentation_assets.sources.base import SourceError
from segmentation_assets.sources.cells import Cells
from segmentation_assets.sources.guessing import READABLE
from segmentation_assets.sources.intake_record import FLAGS, PLACE, IntakeRecord, numbered
from segmentation_assets.sources.located import ENDINGS, ending_of
from segmentation_assets.sources.number_forms import Forms
from segmentation_assets.sources.records import to_json

OURS = ("row_number", "source_file", "customer_id", "known_at", "consent", "unread", "problem", "record")
EMPTY = "empty"  # the type of an attribute without a value
NO_TIME = "known_at is missing or is not a date"
ENUMERATED = r"^\s*\(\d+\)\s*$"  # (1) and the like, which are negative numbers only among others
DROPPED = (*OURS, *FLAGS)
CODE = r"^\s*(0\d+|\pL+\d+|\+[\d ]{7,})\s*$"  # a postcode, a code such as R12, a telephone; not 0 itself


def read_attributes(
    backend: Any,
    kept: list[IntakeRecord],
    settings: SourceTable,
    zone: str = "UTC",
    dates: Collection[dt.date] | None = None,
    rules: Cleaning = RULES,
    before: Mapping[str, str] | None = None,
) -> ir.Table:
    """The customer records of several files with their attributes read by type, on DuckDB.

    An attribute of a text file is a number or a date if nearly all of its values over all files are; the others are set to
    missing and listed in `unread`. It is text if any value is a whole number that starts with 0, because a code such as a
    postcode would lose the zero. `attribute_types` overrides this. If the newest rows count, records are in the order of their times.

    Args:
        dates: the as-of dates whose rows count, if customers are described anew at several (`each_date`).
        rules: cleaning rules; ids that they make equal count as equal.
        before: types of attributes in files so far, for those of which these rows have no value.

    Raises:
        SourceError: customers are numbered by row, in several files.
    """
    told = _told(backend, kept, settings, zone, dates, rules, before)
    rows, names, wanted, cells = told.rows, told.names, told.types, told.cells
    read: dict[str, ir.Value] = {name: _read(rows[name], wanted.get(name), cells) for name in names}
    unread = [ibis.ifelse(rows[name].notnull() & read[name].isnull(), f",{name}", "") for name in names]
    listed = functools.reduce(operator.add, [ibis.ifelse(rows.unread.isnull(), "", ibis.literal(",") + rows.unread), *unread])
    broken = (listed != "") | rows.problem.notnull() | rows.customer_id.isnull()
    record, newest = rows.record, getattr(settings, "repeats", "first") == "newest"
    if newest:
        record = ibis.coalesce(record, to_json(ibis.struct({"customer_id": rows.customer_id, **{name: rows[name] for name in names}})))
    else:  # keep the original of records that cleaning may set aside, including those whose id occurs again in any spelling
        same_id, _ = identifier(rows.customer_id, RULES)
        broken = broken | (rows.count().over(group_by=same_id) > 1)
    consent = {"consent": rows.consent} if "consent" in settings.columns else {}
    result = rows.select(
        "row_number",
        "source_file",
        "customer_id",
        "known_at",
        "problem",
        unread=listed.substr(1).nullif(""),
        record=ibis.ifelse(broken, record, ibis.null("string")),
        **consent,
        **read,
    )
    return result.order_by("known_at", "source_file", "row_number") if newest else result


def doubts(backend: Any, kept: list[IntakeRecord], settings: SourceTable, zone: str = "UTC") -> tuple[str, ...]:
    """Warnings, one line each: attributes with cells that can be read two ways, or in several currencies."""
    return number_forms.doubts(_told(backend, kept, settings, zone, None, RULES, None).forms, settings)


@dataclass(frozen=True)
class _Told:
    """The rows of files with attributes as they are written; the types as which these are read, and how their numbers are written."""

    rows: ir.Table
    names: list[str]
    types: dict[str, str]
    forms: dict[str, Forms]
    cells: Cells


def _told(
    backend: Any,
    kept: list[IntakeRecord],
    settings: SourceTable,
    zone: str,
    dates: Collection[dt.date] | None,
    rules: Cleaning,
    before: Mapping[str, str] | None,
) -> _Told:
    parts = [numbered(backend.read_parquet(file.rows_file, **{PLACE: True})).mutate(source_file=ibis.literal(file.source)) for file in kept]
    if isinstance(settings, CustomerTable) and settings.each_date and dates is not None:
        timed = [customer_dates.with_time(part, file.source, settings) for part, file in zip(parts, kept, strict=True)]
        parts = [
            part.mutate(problem=ibis.coalesce(part.problem, ibis.ifelse(part.known_at.isnull(), NO_TIME, ibis.null("string"))))
            for part in timed
        ]
    if settings.columns["customer_id"] == ROW_NUMBER:
        if len(parts) > 1:
            raise SourceError(
                f"{kept[0].source} and {len(kept) - 1} more: customers are numbered by row, and the rows of these files have the same "
                "numbers. Map customer_id to a column of ids, or put all rows into one file."
            )
        parts = [part.mutate(customer_id=ibis.coalesce(part.customer_id, part.row_number.cast("string"))) for part in parts]
    names = list(dict.fromkeys(name for part in parts for name in part.columns if name not in DROPPED))
    types = {name: {str(part[name].type()) for part in parts if name in part.columns} for name in names}
    aligned = [part.select(*OURS, **{name: _as_one(part, name, types[name]) for name in names}) for part in parts]
    rows = functools.reduce(lambda one, other: one.union(other), aligned)
    if isinstance(settings, CustomerTable) and settings.each_date and dates is not None:
        rows = customer_dates.chosen(rows, dates, settings, rules)
    cells = Cells(settings, kept[0].date_formats, zone)
    wanted: dict[str, str] = {} if all(file.typed for file in kept) else _guessed(backend, rows, names, cells)
    wanted = {name: (before or {}).get(name, "text") if kind == EMPTY else kind for name, kind in wanted.items()}
    wanted = {**wanted, **getattr(settings, "attribute_types", {})}
    numbers = [name for name in names if wanted.get(name) == "number"]
    forms = number_forms.counted(backend, rows, numbers, _kind(kept[0], settings))
    return _Told(rows, names, wanted, forms, replace(cells, decimals=number_forms.decimals(forms)))


def newest_records(rows: ir.Table, rules: Cleaning) -> ir.Table:
    """One record for each customer, from rows in the order of their times, with the newest known value of each attribute.

    Rows without an id are combined into one record, and so are those without a time, which belong to no snapshot; cleaning
    sets both aside. An unreadable row stays a record of its own.

    Args:
        rows: those known before the snapshot, with their PLACE.
        rules: cleaning rules; values that they make equal count as equal.

    Returns:
        The records with `record_rows`, the number of rows of each, and `record_changes`, the attributes with several values.
    """
    names = [name for name in rows.columns if name not in {*OURS, PLACE}]
    values = [*names, *(["consent"] if "consent" in rows.columns else [])]
    broken = rows.filter(rows.problem.notnull()).drop(PLACE)
    broken = broken.mutate(known_at=ibis.null("timestamp(6)"), record_rows=ibis.literal(1, "int64"), record_changes=ibis.null("string"))
    sound = rows.filter(rows.problem.isnull())
    timed = sound.known_at.notnull()
    sound = sound.mutate(__id=ibis.ifelse(timed, identifier(sound.customer_id, rules)[0].nullif(""), ibis.null("string")), __timed=timed)
    changes = [ibis.ifelse(_differs(cleaned_attribute(sound[name], name, rules)), f",{name}", "") for name in values]
    of_customer = functools.reduce(operator.add, changes, ibis.literal("")).substr(1).nullif("")
    taken = ("row_number", "source_file", "customer_id", "unread", "record", *values)
    newest = {name: sound[name].argmax(sound[PLACE], where=sound[name].notnull()) for name in taken}
    made = sound.group_by("__id", "__timed").agg(record_rows=sound.count(), record_changes=of_customer, **newest)
    nobody = made.__id.isnull()
    made = made.mutate(
        customer_id=ibis.ifelse(nobody, ibis.null("string"), made.customer_id),
        problem=ibis.ifelse(made.__timed, ibis.null("string"), NO_TIME),
        record_changes=ibis.ifelse(nobody, ibis.null("string"), made.record_changes),
        known_at=ibis.null("timestamp(6)"),
        **{name: ibis.ifelse(nobody, ibis.null(made[name].type()), made[name]) for name in values},
    )
    return made.select(*broken.columns).union(broken)


def _differs(value: ir.Value) -> ir.BooleanValue:
    comparable = value.cast("int8") if value.type().is_boolean() else value
    return (comparable.min() != comparable.max()).fill_null(False)


def _kind(file: IntakeRecord, settings: SourceTable) -> str:
    """The kind of a stored file; for rows of a database, that of text."""
    if not isinstance(settings, Files):
        return "csv"
    return ENDINGS.get(ending_of(Path(file.source)), "csv") if settings.format == "auto" else settings.format


def _as_one(part: ir.Table, name: str, types: set[str]) -> ir.Value:
    if name not in part.columns:
        return ibis.null(next(iter(types)) if len(types) == 1 else "string")
    return part[name] if len(types) == 1 else part[name].cast("string")


def _guessed(backend: Any, rows: ir.Table, names: list[str], cells: Cells) -> dict[str, str]:
    texts = [name for name in names if rows[name].type().is_string()]
    if not texts:
        return {}
    counts: dict[str, Any] = {}
    cells = cells.guessing
    rows = rows.select(*texts, **{f"__date{position}": cells.prepared("time", rows[name]) for position, name in enumerate(texts)})
    for position, name in enumerate(texts):
        value = rows[name]
        counts[f"some{position}"] = value.notnull().cast("int64").sum()
        counts[f"code{position}"] = (cells.is_number(value) & value.re_search(CODE)).cast("int64").sum()
        counts[f"number{position}"] = (cells.is_number(value) & ~value.re_search(ENUMERATED)).cast("int64").sum()
        counts[f"date{position}"] = cells.read("time", rows[f"__date{position}"]).count()
    found = backend.to_pyarrow(rows.agg(**counts)).to_pylist()[0]
    guesses = {}
    for position, name in enumerate(texts):
        some = found[f"some{position}"] or 0
        number, date, code = (found[f"{kind}{position}"] or 0 for kind in ("number", "date", "code"))
        if not some:
            guesses[name] = EMPTY
        elif number >= READABLE * some and not code:
            guesses[name] = "number"
        elif date >= READABLE * some:
            guesses[name] = "date"
    return guesses


def _read(value: ir.Value, kind: str | None, cells: Cells) -> ir.Value:
    if kind == "number":
        return cells.number(value)
    if kind == "date":
        return cells.time(value).date()
    if kind == "boolean":
        return cells.boolean(value)
    return cells.text(value) if kind == "text" and not value.type().is_string() else value
