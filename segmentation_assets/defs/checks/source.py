"""Checks of what sources deliver: too many rejects, changed columns, and late rows.

Belongs here: comparing a snapshot's collected rows with its source and with the snapshot before. Sums that must tie out
within a snapshot are in `checks.snapshot`.
"""

import datetime
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from segmentation_assets.core.customers import cleaning
from segmentation_assets.defs.declared import Check, check
from segmentation_assets.settings.loading import Settings
from segmentation_assets.settings.snapshots import following
from segmentation_assets.sources import Source
from segmentation_assets.sources.base import window_of
from segmentation_assets.sources.guessing import combined_types
from segmentation_assets.sources.intake_record import IntakeRecord
from segmentation_assets.sources.tables import TablesSource
from segmentation_assets.store import freshness, provenance
from segmentation_assets.store.database_files import PRIVATE
from segmentation_assets.store.freshness import Cause
from segmentation_assets.store.lake import PART, Lake
from segmentation_assets.store.provenance import ENTITIES
from segmentation_assets.tables import BY_NAME
from segmentation_assets.vocabulary import counted


@check(
    asset="rejected_rows", blocking=True,
    description="No source has a larger share of rejected rows than cleaning.largest_reject_share. Repeats of a customer's record do not "
    "count.",
)  # fmt: skip
def rejects_are_few(
    context: dg.AssetCheckExecutionContext, settings: dg.ResourceParam[Settings], lake: dg.ResourceParam[Lake]
) -> dg.AssetCheckResult:
    """Stop a snapshot whose source is broken or was misread."""
    key, limit = context.partition_key, settings.cleaning.largest_reject_share
    problems, shares = [], {}
    no_faults: dict[str, int] = {}
    for entity in ENTITIES:
        total, reasons = set_aside(lake, entity, key)
        if not total:
            continue
        no_faults |= {f"{entity}: {reason['reason']}": reason["n"] for reason in reasons if reason["no_fault"]}
        faults = [reason for reason in reasons if not reason["no_fault"]]
        bad = sum(reason["n"] for reason in faults)
        shares[entity] = bad / total
        if shares[entity] > limit:
            why = "; ".join(f"{reason['n']:,} {reason['reason']}" for reason in faults)
            problems.append(
                f"{entity}: {bad:,} of {counted(total, 'row')} rejected ({shares[entity]:.1%}; {limit:.1%} is allowed): {why}. "
                "See them with `segmentation check`; correct the source or its mapping, or raise cleaning.largest_reject_share."
            )
    nothing = None if shares else "Not measured: no rows were collected."
    return dg.AssetCheckResult(passed=not problems, description=" ".join(problems) or nothing, metadata=shares | no_faults)


def set_aside(lake: Lake, entity: str, key: str) -> tuple[int, list[dict[str, Any]]]:
    """The number of rows of a source in a snapshot, and for each `reason`, how many were set aside (`n`) and whether it is `no_fault`.

    A record made from several rows counts as all of them, so that the share does not depend on how many rows a customer has.
    """
    rows = lake.read(BY_NAME[f"raw_{entity}"], [key])
    rejected = lake.read(BY_NAME["rejected_rows"], [key])
    rejected = rejected.filter(rejected.source == entity)
    total, number = rows.count(), ibis._.count()
    if "record_rows" in rows.columns:
        rows = rows.select("source_file", "row_number", made_of=rows.record_rows.fill_null(1))
        rejected = rejected.join(rows, ["source_file", "row_number"])
        total, number = rows.made_of.sum().fill_null(0), rejected.made_of.sum()
    reasons = rejected.group_by("reason").agg(n=number)
    reasons = reasons.mutate(no_fault=cleaning.is_no_fault(reasons.reason)).order_by(ibis.desc("n"), "reason")
    found = [{**row, "n": int(row["n"])} for row in lake.engine.rows(reasons)]
    return int(lake.engine.rows(rows.agg(n=total))[0]["n"]), found


def columns_check(entity: str) -> Check[...]:
    """The check that a source's columns are the same as at the snapshot before."""

    @check(
        asset=f"raw_{entity}", name="columns_are_as_before", blocking=True,
        description="No column of the source appeared, vanished or changed its type since the previous snapshot; an error if a "
        "mapped one was read as numbers or dates and no longer can be.",
    )  # fmt: skip
    def columns_are_as_before(
        context: dg.AssetCheckExecutionContext,
        settings: dg.ResourceParam[Settings],
        source: dg.ResourceParam[Source],
        lake: dg.ResourceParam[Lake],
    ) -> dg.AssetCheckResult:
        if not isinstance(source, TablesSource):
            return dg.AssetCheckResult(passed=True, description="Not measured: this source always has the same columns.")
        window = window_of(context.partition_key, settings.snapshots)
        rows = lake.read(BY_NAME[f"raw_{entity}"], [context.partition_key])
        used = {row["source_file"] for row in lake.engine.rows(rows.select("source_file").distinct())}
        tables = source.kept_by_table(entity, None if entity == "customers" else window)
        folder = settings.data_dir / "intake" / entity / "columns"
        before = remembered_columns(folder, following(window.end, settings.snapshots, -1).isoformat(), list(tables))
        found = ColumnsRead.compared(tables, used, before)
        if found.remembered:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{context.partition_key}.json").write_text(
                json.dumps({"tables": found.remembered}, ensure_ascii=False), encoding="utf-8"
            )
        changes, stops = found.changes, found.stops
        measured = found.measured
        if entity == "customers":
            read, read_before = attribute_types(rows), _attributes_before(lake, settings, context.partition_key)
            changes |= changed_columns(read_before, read)
            measured |= read_before is not None
            chosen = {name for table in source.settings.customers for name in table.attribute_types}
            stops += [name for name in no_longer_read(read_before, read) if name not in {*stops, *chosen}]
        text = "; ".join(f"{column} {change}" for column, change in changes.items())
        if stops:
            verb = "is" if len(stops) == 1 else "are"
            text += f". {', '.join(stops)} {verb} mapped: correct the source, or the mapping, then run the snapshot again."
            if entity == "customers":
                text += f" To keep or change the type of an attribute: attribute_types: {{{stops[-1]}: number}}, or text."
        if not measured:
            text = f"Not measured: {'no earlier snapshot has columns to compare with' if used else 'no rows were collected'}."
        severity = dg.AssetCheckSeverity.ERROR if stops else dg.AssetCheckSeverity.WARN
        return dg.AssetCheckResult(
            passed=not changes, severity=severity, description=text or None, metadata={"columns": found.now, "changes": changes}
        )

    return columns_are_as_before


customers_check, transactions_check, events_check = (columns_check(entity) for entity in ENTITIES)


@dataclass(frozen=True)
class ColumnsRead:
    """The types of the columns of an entity's tables in a snapshot's window, compared with the last time each table had rows.

    Attributes:
        now: column -> type, over all tables with rows in the window.
        remembered: the same by table, including tables that only had rows earlier.
        changes: column -> its change. A table without rows in the window changes nothing.
        stops: mapped columns that can no longer be read as numbers or dates.
        measured: whether any table was compared.
    """

    now: dict[str, str]
    remembered: dict[str, dict[str, str]]
    changes: dict[str, str]
    stops: list[str]
    measured: bool

    @classmethod
    def compared(cls, tables: Mapping[str, list[IntakeRecord]], used: Collection[str], before: dict[str, dict[str, str]]) -> "ColumnsRead":
        """Compare, table by table.

        Args:
            used: source files with rows in the window.
            before: `remembered` of the snapshot before.
        """
        now = {name: combined_types(files) for name, kept in tables.items() if (files := [file for file in kept if file.source in used])}
        mapped = {column for kept in tables.values() for file in kept if file.source in used for column in file.strict}
        changes, stops = dict[str, str](), dict[str, None]()
        for name, columns in now.items():
            changes |= changed_columns(before.get(name), columns)
            stops |= dict.fromkeys(column for column in no_longer_read(before.get(name), columns) if column in mapped)
        together = {column: kind for columns in now.values() for column, kind in columns.items()}
        return cls(together, {**before, **now}, changes, list(stops), bool(before.keys() & now.keys()))


def attribute_types(rows: ir.Table) -> dict[str, str]:
    """The type as which each customer attribute was read: boolean, number, date or text."""
    ours = cleaning.NOT_ATTRIBUTES | {"consent"}
    return {name: _kind(kind) for name, kind in rows.schema().items() if name not in ours}


def _kind(kind: dt.DataType) -> str:
    if kind.is_boolean():
        return "boolean"
    return "number" if kind.is_numeric() else "date" if kind.is_date() or kind.is_timestamp() else "text"


def _attributes_before(lake: Lake, settings: Settings, key: str) -> dict[str, str] | None:
    """The types of attributes when the snapshot was last published; if it never was, those of the snapshot before."""
    published = settings.data_dir / PRIVATE / "raw_customers" / f"snapshot_date={key}" / PART
    before = following(datetime.date.fromisoformat(key), settings.snapshots, -1).isoformat()
    files = [file for file in (published, lake.file("raw_customers", before)) if file.exists()]
    return attribute_types(lake.engine.scan(files[:1], hive_partitioning=False)) if files else None


def changed_columns(before: dict[str, str] | None, now: dict[str, str]) -> dict[str, str]:
    """The change of each column that differs; empty if there is nothing to compare with."""
    if before is None:
        return {}
    changes = {column: f"appeared ({kind})" for column, kind in now.items() if column not in before}
    changes |= {column: "vanished" for column in before if column not in now}
    changes |= {
        column: f"was {before[column]}, is {kind}"
        for column, kind in now.items()
        if column in before and before[column] != kind and "empty" not in {before[column], kind}
    }
    return changes


def no_longer_read(before: dict[str, str] | None, now: dict[str, str]) -> list[str]:
    """Columns that held numbers or dates and now hold something else; empty columns do not count."""
    return [
        column
        for column, kind in now.items()
        if before is not None and before.get(column) in {"number", "date"} and kind not in {before[column], "empty"}
    ]


def remembered_columns(folder: Path, key: str, tables: Sequence[str]) -> dict[str, dict[str, str]]:
    """The types of each table's columns at a snapshot; empty if it has no rows or was never made."""
    file = folder / f"{key}.json"
    found = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    if "tables" in found and isinstance(found["tables"], dict):
        return dict(found["tables"])
    return {tables[0]: found} if found and len(tables) == 1 else {}  # the older format, for all tables together


@check(
    asset="raw_customers", name="customers_have_a_new_date",
    description="Customers who are described anew at several dates (each_date) have a new date in the snapshot's window; if not, those of "
    "the date before count again.",
)  # fmt: skip
def customers_have_a_new_date(
    context: dg.AssetCheckExecutionContext,
    settings: dg.ResourceParam[Settings],
    source: dg.ResourceParam[Source],
    lake: dg.ResourceParam[Lake],
) -> dg.AssetCheckResult:
    """Warn of an export that did not come: without it, nobody seems to have moved or left."""
    window = window_of(context.partition_key, settings.snapshots)
    newest = source.newest_dates(lake.engine.driver, window.end) if isinstance(source, TablesSource) else {}
    if not newest:
        return dg.AssetCheckResult(passed=True, description="Not measured: no table describes customers anew at several dates.")
    old = {name: day for name, day in newest.items() if day is None or (window.start is not None and day <= window.start)}
    told = [
        f"{name} has no date on or before {window.end}, so no customers"
        if day is None
        else f"{name} has no date after {window.start}, so its customers of {day} count again"
        for name, day in old.items()
    ]
    remedy = f". Deliver it, then: segmentation run --from {context.partition_key}" if told else ""
    return dg.AssetCheckResult(
        passed=not told, severity=dg.AssetCheckSeverity.WARN, description="; ".join(told) + remedy or None,
        metadata={name: str(day) for name, day in newest.items()},
    )  # fmt: skip


@check(
    asset="published_database", name="no_rows_came_late",
    description="The published snapshots up to this one have as many rows as their windows have at the source, and each was made "
    "from the rows collected last.",
)  # fmt: skip
def no_rows_came_late(
    context: dg.AssetCheckExecutionContext,
    settings: dg.ResourceParam[Settings],
    source: dg.ResourceParam[Source],
    lake: dg.ResourceParam[Lake],
) -> dg.AssetCheckResult:
    """Warn with the rows of each window, and the command to run."""
    records = provenance.recorded(settings.data_dir / PRIVATE)
    up_to = {key: record for key, record in records.items() if key <= context.partition_key}
    late = freshness.late_rows(settings, source, lake, up_to)
    causes = {Cause.LATE_ROWS, Cause.STOPPED, Cause.EARLIER}
    found = freshness.stale(settings, lake, list(up_to), causes, late.found)
    text = "; ".join(freshness.sentences(found))
    if not found and len(late.not_compared) == len(ENTITIES):
        text = "Not measured: nothing could be compared with the source."
    remedy = f". Make them again: segmentation run --from {found[0].snapshot} --force" if found else ""
    return dg.AssetCheckResult(
        passed=not found,
        severity=dg.AssetCheckSeverity.WARN,
        description=text + remedy or None,
        metadata=late.found | {f"{entity}, not compared": why for entity, why in late.not_compared.items()},
    )
