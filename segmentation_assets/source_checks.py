"""Checks of what sources deliver: too many rejects, columns that change, and rows that came late.

Belongs here: comparing a snapshot's collected rows with its source and with the snapshot before. Sums that must tie out
within a snapshot are in `checks`.
"""

import json
from pathlib import Path
from typing import Any

import dagster as dg
import ibis

from segmentation_assets.contracts import BY_NAME
from segmentation_assets.lake import Lake
from segmentation_assets.partitions import following, snapshots, window_of
from segmentation_assets.settings import Settings
from segmentation_assets.sources import Source, Window
from segmentation_assets.sources.guessing import combined_types
from segmentation_assets.sources.tables import TablesSource

ENTITIES = ("customers", "transactions", "events")
TIMES = {"transactions": "ordered_at", "events": "event_at"}


@dg.asset_check(
    asset="rejected_rows", blocking=True, partitions_def=snapshots,
    description="No source has a larger share of rejected rows than cleaning.largest_reject_share.",
)  # fmt: skip
def rejects_are_few(
    context: dg.AssetCheckExecutionContext, settings: dg.ResourceParam[Settings], lake: dg.ResourceParam[Lake]
) -> dg.AssetCheckResult:
    """Stop a snapshot whose source was misread or broken."""
    key, limit = context.partition_key, settings.cleaning.largest_reject_share
    rejected = lake.read(BY_NAME["rejected_rows"], [key])
    reasons = lake.engine.rows(rejected.group_by("source", "reason").agg(n=ibis._.count()).order_by("source", ibis.desc("n"), "reason"))
    problems, shares = [], {}
    for entity in ENTITIES:
        rows = lake.read(BY_NAME[f"raw_{entity}"], [key])
        total = lake.engine.rows(rows.agg(n=rows.count()))[0]["n"]
        bad = sum(reason["n"] for reason in reasons if reason["source"] == entity)
        shares[entity] = bad / total if total else 0.0
        if shares[entity] > limit:
            why = "; ".join(f"{reason['n']:,} {reason['reason']}" for reason in reasons if reason["source"] == entity)
            problems.append(
                f"{entity}: {bad:,} of {total:,} rows rejected ({shares[entity]:.1%}, allowed are {limit:.1%}): {why}. "
                "Look at them with `segmentation check`; correct the source or its mapping, or raise cleaning.largest_reject_share."
            )
    return dg.AssetCheckResult(passed=not problems, description=" ".join(problems) or None, metadata=shares)


def columns_check(entity: str) -> dg.AssetChecksDefinition:
    """The check that a source's columns are those of the snapshot before."""

    @dg.asset_check(
        asset=f"raw_{entity}", name="columns_are_as_before", blocking=True, partitions_def=snapshots,
        description="No column of the source appeared, vanished or changed its type since the previous snapshot; an error where a "
        "mapped one was read as numbers or dates and no longer is.",
    )  # fmt: skip
    def check(
        context: dg.AssetCheckExecutionContext,
        settings: dg.ResourceParam[Settings],
        source: dg.ResourceParam[Source],
        lake: dg.ResourceParam[Lake],
    ) -> dg.AssetCheckResult:
        if not isinstance(source, TablesSource):
            return dg.AssetCheckResult(passed=True)
        window = window_of(context.partition_key, settings.snapshots)
        rows = lake.read(BY_NAME[f"raw_{entity}"], [context.partition_key])
        used = {row["source_file"] for row in lake.engine.rows(rows.select("source_file").distinct())}
        kept = [file for file in source.kept(entity, None if entity == "customers" else window) if file.source in used]
        now = combined_types(kept)
        mapped = {column for file in kept for column in file.strict}
        folder = settings.data_dir / "intake" / entity / "columns"
        before = _remembered(folder, following(window.end, settings.snapshots, -1).isoformat()) if now else None
        changes = changed_columns(before, now)
        if now:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{context.partition_key}.json").write_text(json.dumps(now, ensure_ascii=False), encoding="utf-8")
        stops = [column for column in no_longer_read(before, now) if column in mapped]
        text = "; ".join(f"{column} {change}" for column, change in changes.items())
        if stops:
            verb = "is" if len(stops) == 1 else "are"
            text += f". {', '.join(stops)} {verb} mapped: correct the source, or the mapping, then run the snapshot again."
        severity = dg.AssetCheckSeverity.ERROR if stops else dg.AssetCheckSeverity.WARN
        return dg.AssetCheckResult(
            passed=not changes, severity=severity, description=text or None, metadata={"columns": now, "changes": changes}
        )

    return check


def changed_columns(before: dict[str, str] | None, now: dict[str, str]) -> dict[str, str]:
    """What became of each column that is not as it was; nothing where there is nothing to compare with."""
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
    """Columns that held numbers or dates and hold something else now; what is empty is not told."""
    return [
        column
        for column, kind in now.items()
        if before is not None and before.get(column) in {"number", "date"} and kind not in {before[column], "empty"}
    ]


def _remembered(folder: Path, key: str) -> dict[str, str] | None:
    file = folder / f"{key}.json"
    found: dict[str, str] | None = json.loads(file.read_text(encoding="utf-8")) if file.exists() else None
    return found


def late_rows_check(entity: str) -> dg.AssetChecksDefinition:
    """The warning that earlier windows have other rows at the source than were collected."""

    @dg.asset_check(
        asset=f"raw_{entity}", name="no_rows_came_late", partitions_def=snapshots,
        description="The windows of earlier snapshots still have as many rows at the source as were collected (files only).",
    )  # fmt: skip
    def check(
        context: dg.AssetCheckExecutionContext,
        settings: dg.ResourceParam[Settings],
        source: dg.ResourceParam[Source],
        lake: dg.ResourceParam[Lake],
    ) -> dg.AssetCheckResult:
        if isinstance(source, TablesSource) and source.has_databases(entity):
            return dg.AssetCheckResult(passed=True, metadata={"not compared": "a database would have to be read whole"})
        earlier = [key for key in lake.keys(f"raw_{entity}") if key < context.partition_key]
        late = late_rows(source, lake, entity, {key: window_of(key, settings.snapshots) for key in earlier})
        text = "; ".join(f"{key}: {number:+,} rows" for key, number in late.items())
        remedy = f". Run them and what builds on them again: segmentation run --from {min(late)} --force" if late else ""
        return dg.AssetCheckResult(passed=not late, severity=dg.AssetCheckSeverity.WARN, description=text + remedy or None, metadata=late)

    return check


def late_rows(source: Source, lake: Lake, entity: str, windows: dict[str, Window]) -> dict[str, int]:
    """Snapshot -> rows that its window has at the source now beyond those collected (fewer: negative); only where they differ."""
    if not windows:
        return {}
    rows = getattr(source, entity)(lake.engine, Window(None, max(window.end for window in windows.values())))
    time = rows[TIMES[entity]]
    tests: dict[str, Any] = {}
    for key, window in windows.items():
        inside = time < ibis.timestamp(f"{window.end} 00:00:00")
        inside = inside | time.isnull() if window.start is None else inside & (time >= ibis.timestamp(f"{window.start} 00:00:00"))
        tests[key] = inside.fill_null(False).cast("int64").sum().fill_null(0)
    now = lake.engine.rows(rows.agg(**tests))[0]
    collected = {key: lake.read(BY_NAME[f"raw_{entity}"], [key]) for key in windows}
    before = {key: lake.engine.rows(table.agg(n=table.count()))[0]["n"] for key, table in collected.items()}
    return {key: int(now[key] - before[key]) for key in windows if now[key] != before[key]}


SOURCE_CHECKS: tuple[dg.AssetChecksDefinition, ...] = (
    rejects_are_few,
    *(columns_check(entity) for entity in ENTITIES),
    *(late_rows_check(entity) for entity in TIMES),
)
