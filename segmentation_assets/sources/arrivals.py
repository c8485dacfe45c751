"""Rows that came late: what the source has in a snapshot's window now, against what was collected when it was made."""

from collections.abc import Sequence
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir

from segmentation_assets.engines import Engine
from segmentation_assets.sources.base import Source, Window

NOT_CONTENT = frozenset({"row_number", "source_file", "record", "problem", "unread"})


@dataclass(frozen=True)
class Arrival:
    """A snapshot whose window has changed at its source since it was collected."""

    key: str
    entity: str
    came: int  # rows in the source now that were not collected
    gone: int  # rows collected that the source no longer has


def changed(
    source: Source, engine: Engine, entity: str, windows: Sequence[tuple[str, Window]], collected: dict[str, ir.Table]
) -> list[Arrival]:
    """The snapshots whose windows differ from what was collected, oldest first.

    Rows are compared by their content, each as often as it occurs, so that a row inserted in the middle of a file, which
    moves the numbers of those after it, is one row that came.

    Args:
        windows: snapshots that were collected, with their windows.
        collected: their raw rows.
    """
    found = []
    for key, window in windows:
        now, before = getattr(source, entity)(engine, window), collected[key]
        if set(now.columns) != set(before.columns):  # customers with other attributes: every one of them is another record
            sizes = [engine.rows(table.agg(n=table.count()))[0]["n"] for table in (now, before)]
            found.append(Arrival(key, entity, *sizes))
            continue
        counted = _occurrences(now, 1).union(_occurrences(before.select(*now.columns), -1))
        content = [name for name in counted.columns if name != "times"]
        difference = counted.group_by(content).agg(times=counted.times.sum())
        totals = engine.rows(
            difference.agg(
                came=ibis.ifelse(difference.times > 0, difference.times, 0).sum().fill_null(0),
                gone=ibis.ifelse(difference.times < 0, -difference.times, 0).sum().fill_null(0),
            )
        )[0]
        if totals["came"] or totals["gone"]:
            found.append(Arrival(key, entity, int(totals["came"]), int(totals["gone"])))
    return found


def _occurrences(rows: ir.Table, sign: int) -> ir.Table:
    content = [name for name in rows.columns if name not in NOT_CONTENT]
    # A row that cannot be read has no content of its own but its record.
    told = ibis.ifelse(rows.problem.notnull(), rows.record, ibis.null("string"))
    return rows.select(**{name: rows[name] for name in content}, told=told, times=ibis.literal(sign, "int64"))


def to_run_again(arrivals: Sequence[Arrival], made: Sequence[str]) -> list[str]:
    """The snapshots to run again: from the earliest that changed, because each one knows all that came before it."""
    return sorted(key for key in made if arrivals and key >= min(arrival.key for arrival in arrivals))
