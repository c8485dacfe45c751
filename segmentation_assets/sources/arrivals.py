"""Rows that came late: what the source has in a snapshot's window now, against what was collected when it was made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir

from segmentation_assets.engines.base import Engine
from segmentation_assets.sources.base import Source, Window, counted
from segmentation_assets.sources.mapping import TIMES
from segmentation_assets.sources.tables import TablesSource

WINDOWS_AT_ONCE = 200  # counted in one query: databases allow some 1,600 columns
NOT_CONTENT = frozenset({"row_number", "source_file", "record", "problem", "unread"})


def counts(source: Source, engine: Engine, entity: str, windows: Mapping[str, Window]) -> dict[str, int] | None:
    """How many rows the source has in each window now; None where it would have to be read whole to tell.

    Args:
        windows: by the snapshot that adds them.
    """
    found: dict[str, int] = {}
    # Customers are not of one window only: a snapshot has all who are known at it.
    asked = {key: Window(None, window.end) if entity == "customers" else window for key, window in windows.items()}
    keys = list(asked)
    for first in range(0, len(keys), WINDOWS_AT_ONCE):
        part = {key: asked[key] for key in keys[first : first + WINDOWS_AT_ONCE]}
        some = source.counts(entity, engine, part) if isinstance(source, TablesSource) else _counts(source, engine, entity, part)
        if some is None:
            return None
        found |= some
    return found


def _counts(source: Source, engine: Engine, entity: str, windows: Mapping[str, Window]) -> dict[str, int] | None:
    if entity == "customers":  # a source of any kind does not say since when they are known
        return None
    rows = getattr(source, entity)(engine, Window(None, max(window.end for window in windows.values())))
    return {key: int(number) for key, number in engine.rows(counted(rows, rows[TIMES[entity]], windows))[0].items()}


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
