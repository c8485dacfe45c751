"""The current rows of a source in the windows of snapshots: how many, and which were added or removed since they were collected.

Belongs here: querying the source. `store.freshness` judges what follows for the snapshots.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir

from segmentation_assets.engines.base import Engine
from segmentation_assets.sources.base import Source, Window, counted_by_day
from segmentation_assets.sources.mapping import TIMES
from segmentation_assets.sources.tables import TablesSource

WINDOWS_AT_ONCE = 200  # counted in one query: databases allow some 1,600 columns
NOT_CONTENT = frozenset({"row_number", "source_file", "record", "problem", "unread"})


def counts(source: Source, engine: Engine, entity: str, windows: Mapping[str, Window]) -> dict[str, int] | None:
    """The current number of rows in each window; None if the source would have to be read completely.

    Args:
        windows: by the snapshot that adds them.
    """
    found: dict[str, int] = {}
    # Customers do not belong to one window: a snapshot has all who are known by then.
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
    if entity == "customers":  # only a TablesSource can say since when they are known
        return None
    rows = getattr(source, entity)(engine, Window(None, max(window.end for window in windows.values())))
    return {key: int(number) for key, number in engine.rows(counted_by_day(rows, rows[TIMES[entity]], windows))[0].items()}


@dataclass(frozen=True)
class Difference:
    """The number of rows of a window that were added at the source since it was collected, and of those removed."""

    came: int
    gone: int


def differences(
    source: Source, engine: Engine, entity: str, windows: Mapping[str, Window], collected: Mapping[str, ir.Table]
) -> dict[str, Difference]:
    """By snapshot, how its window differs from the rows collected; only if it does.

    Rows are compared by content and number of occurrences, so that a row inserted in the middle of a file, which
    shifts the numbers of all rows after it, counts as one added row.

    Args:
        windows: by the snapshot that adds them.
        collected: by snapshot, its raw rows.
    """
    found = {key: _difference(engine, getattr(source, entity)(engine, window), collected[key]) for key, window in windows.items()}
    return {key: one for key, one in found.items() if one.came or one.gone}


def _difference(engine: Engine, now: ir.Table, before: ir.Table) -> Difference:
    if set(now.columns) != set(before.columns):  # customers with other attributes: every record differs
        return Difference(*(engine.rows(table.agg(n=table.count()))[0]["n"] for table in (now, before)))
    counted = _occurrences(now, 1).union(_occurrences(before.select(*now.columns), -1))
    content = [name for name in counted.columns if name != "times"]
    times = counted.group_by(content).agg(times=counted.times.sum()).times
    totals = engine.rows(times.as_table().agg(came=_above_zero(times), gone=_above_zero(-times)))[0]
    return Difference(int(totals["came"]), int(totals["gone"]))


def _above_zero(numbers: ir.IntegerValue) -> ir.IntegerScalar:
    """The sum of the positive numbers."""
    return ibis.ifelse(numbers > 0, numbers, 0).sum().fill_null(0)


def _occurrences(rows: ir.Table, sign: int) -> ir.Table:
    content = [name for name in rows.columns if name not in NOT_CONTENT]
    # The only content of an unreadable row is its record.
    told = ibis.ifelse(rows.problem.notnull(), rows.record, ibis.null("string"))
    return rows.select(**{name: rows[name] for name in content}, told=told, times=ibis.literal(sign, "int64"))
