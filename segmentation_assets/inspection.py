"""A look at the settings and sources before any run: what is there, what would be rejected and why, and what was guessed."""

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import ibis
import ibis.expr.types as ir

from segmentation_assets.core import cleaning
from segmentation_assets.core.wording import counted
from segmentation_assets.engines import DuckDBEngine
from segmentation_assets.partitions import existing_keys, following, snapshots, window_of
from segmentation_assets.settings import Settings, settings_file
from segmentation_assets.settings_source import Tables
from segmentation_assets.source_checks import attribute_types
from segmentation_assets.sources import Source, Window, open_source, order_cells
from segmentation_assets.sources.guessing import ambiguous
from segmentation_assets.sources.kept import Kept, worth_a_look
from segmentation_assets.sources.tables import TablesSource

EXAMPLES = 3  # records shown of each reason
LONGEST = 160  # characters of a record that are shown
ENTITIES = {"customers": None, "transactions": "ordered_at", "events": "event_at"}


@dataclass(frozen=True)
class Findings:
    """What was found, a line each, and the problems that would stop a run."""

    lines: list[str]
    problems: list[str]


def inspect(settings: Settings) -> Findings:
    """Files and columns, rows, dates, customers and rejects of each source up to the last snapshot.

    Raises:
        SourceError: a source cannot be read.
    """
    keys = existing_keys(snapshots)
    if not keys:
        return Findings([], ["The first snapshot is still to come; set snapshots.first to an earlier date."])
    everything = Window(start=None, end=window_of(keys[-1], settings.snapshots).end)
    source, engine = open_source(settings), DuckDBEngine()
    lookback = counted(settings.features.lookback, "window")
    lines = [
        f"Settings: {settings_file()}",
        f"Snapshots: {len(keys)} {settings.snapshots.cadence}, {keys[0]} to {keys[-1]}; lookback of {lookback}{_zone(settings)}",
        f"Written to: {settings.data_dir}",
    ]
    problems: list[str] = []
    found = 0
    young: list[str] = []
    try:
        for name in ENTITIES:
            facts = _look(source, engine, name, everything, settings)
            found += facts.rows
            lines += facts.lines
            problems += facts.problems
            young += _young(facts.first, keys, settings) if name == "transactions" else []
    finally:
        engine.close()
    lines += young
    if not found:
        problems.append(f"The source has no rows before {keys[-1]}. Check the source, or set snapshots.first and snapshots.last.")
    return Findings(lines, problems)


def _zone(settings: Settings) -> str:
    zone = settings.snapshots.timezone
    return "" if zone == "UTC" else f"; days end at midnight in {zone}"


@dataclass(frozen=True)
class _Facts:
    rows: int
    lines: list[str]
    problems: list[str]
    first: dt.datetime | None = None


def _look(source: Source, engine: DuckDBEngine, name: str, window: Window, settings: Settings) -> _Facts:
    judge = {"customers": cleaning.judged_customers, "transactions": cleaning.judged_transactions, "events": cleaning.judged_events}[name]
    time = ENTITIES[name]
    raw = getattr(source, name)(engine, window)
    judged = judge(raw, settings.cleaning)
    rows = judged.rows
    dates = {"first": rows[time].min(), "last": rows[time].max()} if time else {}
    faults = (rows.reason.notnull() & ~cleaning.is_no_fault(rows.reason)).cast("int64").sum()
    row = engine.rows(rows.agg(n=rows.count(), ids=rows.customer_id.nunique(), bad=faults, **dates))[0]
    span = f", {row['first']:%Y-%m-%d} to {row['last']:%Y-%m-%d}" if time and row["first"] else ""
    lines = [f"{name}: {counted(row['n'], 'row')}, {counted(row['ids'], 'customer')}{span}; {row['bad'] or 0:,} would be rejected"]
    if isinstance(source, TablesSource):
        described = source.kept(name, window)
        lines += [f"    {line}" for line in (*_described(described), *worth_a_look(described))]
        if name == "customers":
            kinds = [f"{attribute} ({kind})" for attribute, kind in attribute_types(rows.select(*judged.columns)).items()]
            lines += [f"    attributes: {', '.join(kinds)}"] if kinds else []
        later = _later(source, engine, name, time, window) if time else 0
        if later:
            lines.append(f"    {counted(later, 'row is', 'rows are')} dated {window.end} or later, to wait for later snapshots")
    reasons = engine.rows(rows.filter(rows.reason.notnull()).group_by("reason").agg(n=ibis._.count()).order_by(ibis.desc("n"), "reason"))
    for reason in reasons:
        lines.append(f"    {reason['n']:,} rejected: {reason['reason']}")
        chosen = rows.filter(rows.reason == reason["reason"]).order_by("source_file", "row_number").limit(EXAMPLES)
        for example in engine.rows(chosen.select("source_file", "row_number", "record")):
            lines.append(f"        {example['source_file']}, row {example['row_number']}: {_short(example['record'])}")
    if name == "transactions":
        lines += [f"    {line}" for line in order_cells.told(engine.rows(order_cells.repeats(raw))[0])]
    counts = engine.rows(judged.counts())[0]
    lines += [f"    {counted(number, 'row')}: {rule}" for rule, number in counts.items() if number and not rule.startswith("rows_")]
    lines += [f"    {line}" for line in _unreadable(engine, rows, name, settings)]
    share = (row["bad"] or 0) / row["n"] if row["n"] else 0.0
    limit = settings.cleaning.largest_reject_share
    problems = []
    if share > limit:
        problems.append(
            f"{name}: {share:.1%} of the rows would be rejected, more than {limit:.1%}. Correct the mapping or the data, or "
            "raise cleaning.largest_reject_share."
        )
    return _Facts(int(row["n"]), lines, problems, row.get("first"))


def _young(first: dt.datetime | None, keys: list[str], settings: Settings) -> list[str]:
    """That the first snapshots know less history than the lookback: their features grow with it, which looks like drift."""
    day, windows = dt.date.fromisoformat(keys[0]), settings.features.lookback
    if first is None or (known := _whole_windows(first.date(), day, settings)) >= windows:
        return []
    grown = following(day, settings.snapshots, windows - known)
    return [
        f"Before the first snapshot lie {known} of the {windows} windows of the lookback: until "
        f"{grown} history grows, which is reported as drift. To avoid it, set "
        f"features.lookback: {max(known, 1)}, or a later snapshots.first."
    ]


def _whole_windows(first: dt.date, day: dt.date, settings: Settings) -> int:
    """How many windows before a day are there from the first order on; the first few days of one may lack."""
    known = 0
    while known < settings.features.lookback and following(day, settings.snapshots, -(known + 1)) + dt.timedelta(days=3) >= first:
        known += 1
    return known


def _unreadable(engine: DuckDBEngine, rows: ir.Table, name: str, settings: Settings) -> Iterator[str]:
    """The columns with cells that hold something and were read as missing, each with an example."""
    if "unread" not in rows.columns:
        return
    cells = rows.filter(rows.unread.notnull()).mutate(column=rows.unread.split(",").unnest())
    first = cells.record.argmin(cells.row_number)
    for found in engine.rows(cells.group_by("column").agg(n=cells.count(), record=first).order_by(ibis.desc("n"), "column")):
        cell = _cell(found["column"], found["record"], name, settings)
        yield f"{found['column']}: {counted(found['n'], 'cell')} unreadable" + (f", such as {cell!r}" if cell is not None else "")


def _cell(column: str, record: str | None, name: str, settings: Settings) -> str | None:
    """What stood in the source's column that a column of ours is mapped to; of an expression, all columns that it could name."""
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


def _described(kept: list[Kept]) -> Iterator[str]:
    """The files of an entity: what was found in each, said once for those that are alike."""
    alike: dict[str, list[Kept]] = {}
    for file in kept:
        alike.setdefault(str((file.columns, file.mapped, file.date_formats, file.notes)), []).append(file)
    for files in alike.values():
        one = files[0]
        names = one.source if len(files) == 1 else f"{one.source} and {len(files) - 1} more"
        if one.skipped:
            yield f"skipped: {', '.join(file.source for file in files)}, which {one.skipped}"
            continue
        yield f"{names}: {counted(sum(file.rows for file in files), 'row')}" + "".join(
            f"; {what} {value}" for what, value in one.notes.items()
        )
        yield "    mapped: " + (", ".join(f"{column} ({one.columns[column]})" for column in one.mapped if column in one.columns) or "none")
        unmapped = [column for column in one.columns if column not in one.mapped]
        if unmapped:
            yield "    not mapped: " + ", ".join(f"{column} ({one.columns[column]})" for column in unmapped)
        if one.date_formats:
            other = ambiguous(one.date_formats)
            doubt = f"; if the day and month are the other way round, set date_format: '{other}'" if other else ""
            yield f"    dates read as {' or '.join(one.date_formats)}{doubt}"


def _later(source: TablesSource, engine: DuckDBEngine, name: str, time: str, window: Window) -> int:
    table = getattr(source, name)(engine, Window(window.end, dt.date.max))
    return int(engine.rows(table.agg(n=table.count()))[0]["n"])


def _short(record: Any) -> str:
    text = str(record)
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
