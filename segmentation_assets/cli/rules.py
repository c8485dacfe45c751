"""The rules of a snapshot's segments, for another system: as SQL in its dialect, and in words. Read from the published database."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from segmentation_assets.core.segments.predicates import in_dialect
from segmentation_assets.store import database_files, published, small_cells
from segmentation_assets.visible import visible
from segmentation_assets.vocabulary import counted

NEEDED = "segment_rules"
COLUMNS = (
    "segment_id", "segment_name", "customers", "rule", "words", "rule_customers", "rule_found", "precision", "recall", "reason",
)  # fmt: skip


def read(data_dir: Path, key: str, dialect: str) -> list[dict[str, Any]]:
    """The row of each segment at the published snapshot `key`, largest first, with its rule in the dialect; hidden figures are None.

    Raises:
        PublishError: nothing was published yet, or an earlier version published the snapshot.
    """
    with published.reading(data_dir) as database:
        there = database.execute("SELECT column_name FROM duckdb_columns() WHERE table_name = ?", [NEEDED]).fetchall()
        columns = [*COLUMNS, *({small_cells.SMALL_CELL} & {name for (name,) in there})]
        query = f"SELECT {', '.join(columns)} FROM {NEEDED} WHERE snapshot_date = CAST(? AS DATE) {_ORDER}"  # noqa: S608  # of ours
        found = database.execute(query, [key]).fetchall() if there else []
    if not found:
        raise database_files.PublishError(
            f"Snapshot {key} has no rules: an earlier version made it, or it has no customers. Make it again: "
            f"segmentation run --snapshot {key}"
        )
    rows = [dict(zip(columns, row, strict=True)) for row in found]
    return [{**row, "rule": in_dialect(row["rule"], dialect) if row["rule"] else None} for row in rows]


def _of_them(row: dict[str, Any]) -> str:
    return "" if row["rule_found"] is None else f", {row['rule_found']:,} of them in the segment"


_ORDER = "ORDER BY customers DESC NULLS LAST, segment_id"


def as_json(rows: list[dict[str, Any]]) -> str:
    """The rows for programs."""
    return json.dumps(rows, indent=2, ensure_ascii=False)


def lines(rows: list[dict[str, Any]]) -> Iterator[str]:
    """The rows for people: each rule on a line of its own, to copy."""
    for row in rows:
        size = row[small_cells.SMALL_CELL] if row["customers"] is None else counted(row["customers"], "customer")
        yield visible(f"{row['segment_name']} ({row['segment_id']}), {size}")
        if row["rule"]:
            meets = (
                ""
                if row["rule_customers"] is None
                else f" {counted(row['rule_customers'], 'customer meets', 'customers meet')} it{_of_them(row)}."
            )
            yield visible(f"  {row['rule']}")
            yield visible(f"  Customers who {row['words']}.{meets}")
        if row["reason"]:
            yield visible(f"  {row['reason']}")
