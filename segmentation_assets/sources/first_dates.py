"""Whether a user's files describe customers anew at several dates, and which column or name has these dates.

Belongs here: guesses, which `first_settings` writes down for the user to review. What a run does with dates is in `customer_dates`.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import ibis
import ibis.expr.types as ir

from segmentation_assets.engines.duckdb import DuckDBEngine
from segmentation_assets.settings.source import FILE_NAME, Files
from segmentation_assets.sources import column_names, customer_dates
from segmentation_assets.sources.cells import ISO, Cells
from segmentation_assets.sources.customer_dates import OnDate
from segmentation_assets.sources.names_of_days import date_in_name
from segmentation_assets.sources.reading import FileReader
from segmentation_assets.sources.rows import SourceRows

MEMORY = "1GB"
MONTHS = {"%Y-%m": r"^\s*(19|20)\d\d-(0[1-9]|1[0-2])\s*$", "%Y%m": r"^\s*(19|20)\d\d(0[1-9]|1[0-2])\s*$"}
MONTH_WORDS = {"month", "yearmonth", "yyyymm", "period", "monat", "mois", "mes", "mese", "maand", "snapshot", "date"}
NEARLY_ALL = 0.98  # share of rows that must be the only one of their customer and date
FEWEST_ON_A_DATE = 5  # rows on an average date
LEAST_SHARE = 0.05  # of all customers, who have a row on an average date
LEAST_SHARE_OF_EVENTS = 0.5  # the same where a column may say what happened


@dataclass(frozen=True)
class History:
    """The dates at which files describe customers; `dated_by` is the column that has them, or FILE_NAME."""

    dated_by: str
    days: tuple[OnDate, ...]
    formats: tuple[str, ...] = (ISO,)


@dataclass(frozen=True)
class AsOf:
    """A column whose only date says as of when a file describes customers."""

    column: str
    day: dt.date
    formats: tuple[str, ...] = (ISO,)


def months_without_days(backend: Any, rows: SourceRows, types: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Columns of months such as 2024-03 or 202403, by their name and cells, each with its format."""
    named = [name for name in types if types[name] in {"text", "number"} and column_names.folded(name)[1] & MONTH_WORDS]
    if not named:
        return {}
    texts = {name: Cells(Files(files="")).text(rows.table[name]) for name in named}
    tests = {
        f"{place} {written}": (~text.re_search(pattern)).any()
        for place, text in enumerate(texts.values())
        for written, pattern in MONTHS.items()
    }
    found = backend.to_pyarrow(rows.table.agg(**tests)).to_pylist()[0]
    return {name: (written,) for place, name in enumerate(named) for written in MONTHS if found[f"{place} {written}"] is False}


def days_of(rows: SourceRows, column: str, formats: tuple[str, ...]) -> ir.DateValue:
    """The as-of date of each row by a column of dates."""
    settings = Files(files="", date_format=[one for one in formats if one != ISO] or ISO)
    time = Cells(settings, formats).time(rows.table[column])
    return customer_dates.as_of(time, customer_dates.whole_months(settings))


def panel(
    backend: Any, rows: SourceRows, ids: str, columns: Mapping[str, tuple[str, ...]], maybe_events: bool
) -> tuple[str, tuple[str, ...]] | None:
    """The column of dates, and its formats, by which a table whose ids repeat has one row per customer and date; None if none does.

    Args:
        columns: columns of dates -> formats, likelier ones first.
        maybe_events: whether a column may say what happened, so that the rows may be events.
    """
    customer = Cells(Files(files="")).text(rows.table[ids])
    for column, formats in columns.items():
        dated = rows.table.select(customer=customer, day=days_of(rows, column, formats))
        known = dated.filter(dated.customer.notnull() & dated.day.notnull())
        pairs = known.group_by("customer", "day").agg(rows=known.count())
        facts = backend.to_pyarrow(
            pairs.agg(rows=pairs.rows.sum(), alone=(pairs.rows == 1).sum(), days=pairs.day.nunique(), customers=pairs.customer.nunique())
        ).to_pylist()[0]
        number, days = facts["rows"] or 0, facts["days"] or 0
        if days < 2 or facts["alone"] < NEARLY_ALL * number or number < FEWEST_ON_A_DATE * days:
            continue
        if number / days / facts["customers"] >= (LEAST_SHARE_OF_EVENTS if maybe_events else LEAST_SHARE):
            return column, formats
    return None


def newest(backend: Any, rows: SourceRows, column: str, formats: tuple[str, ...]) -> ir.Table:
    """The rows of the newest date."""
    dated = rows.table.mutate(__day=days_of(rows, column, formats))
    last = backend.to_pyarrow(dated.agg(last=dated["__day"].max())).to_pylist()[0]["last"]
    return dated.filter(dated["__day"] == ibis.date(last.isoformat())).drop("__day")


def only_date(backend: Any, rows: SourceRows, columns: Mapping[str, tuple[str, ...]]) -> AsOf | None:
    """The first column of dates in which all rows have the same one."""
    for column, formats in columns.items():
        dated = rows.table.select(day=days_of(rows, column, formats))
        facts = backend.to_pyarrow(
            dated.agg(first=dated.day.min(), last=dated.day.max(), known=dated.day.count(), rows=dated.count())
        ).to_pylist()[0]
        if facts["known"] == facts["rows"] and facts["first"] == facts["last"]:
            return AsOf(column, facts["first"], formats)
    return None


def history(files: Sequence[Path], ids: str, dated_by: str, formats: tuple[str, ...] = (ISO,)) -> History:
    """The customers of each date of files with the same columns.

    Args:
        ids: the column of ids.
        dated_by: the column of dates, with the formats; or FILE_NAME.
    """
    engine = DuckDBEngine(memory=MEMORY)
    try:
        with FileReader() as reader:
            folder = reader.lasting()
            parts = [folder / f"{place}.parquet" for place in range(len(files))]
            for file, part in zip(files, parts, strict=True):
                _write_ids(reader, file, ids, dated_by, formats, part)
            days = customer_dates.by_date(engine, engine.scan(parts))
    finally:
        engine.close()
    return History(dated_by, tuple(days), formats)


def _write_ids(reader: FileReader, file: Path, ids: str, dated_by: str, formats: tuple[str, ...], target: Path) -> None:
    settings = Files(files="")

    def asked(rows: SourceRows) -> ir.Table:
        day = ibis.null("date") if dated_by == FILE_NAME else days_of(rows, dated_by, formats)
        return rows.table.select(customer_id=Cells(settings).text(rows.table[ids]), day=day)

    def write(careful: bool) -> None:
        with reader.opened(file, settings, careful) as rows:
            reader.current(rows)
            found = reader.ask(rows, ("ids", ids, dated_by, formats), asked)
            named = date_in_name(file.name) if dated_by == FILE_NAME else None
            reader.backend.to_parquet(found.mutate(day=ibis.date(named.isoformat())) if named else found, target)

    try:
        write(careful=False)
    except duckdb.Error:  # the engine's strict reader refuses a line
        write(careful=True)
