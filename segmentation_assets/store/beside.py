"""What the published tables have beside the columns of the lake: names beside ids, and the figures of the snapshot before.

Belongs here: values that are read off what is published already. They are not in the lake, because a name is a fact of `segments`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import duckdb

from segmentation_assets.store.quoting import quoted
from segmentation_assets.store.small_cells import HIDDEN
from segmentation_assets.tables.contract import ACTION_TITLE, BEFORE, Contract, name_of

FIRST_SNAPSHOT, NEW = "there is no snapshot before", "the segment is new"


@dataclass(frozen=True)
class Names:
    """Names of segments by id, at a snapshot and before it, and what actions do in words, by key."""

    now: Mapping[int, str] = field(default_factory=dict)
    before: Mapping[int, str] = field(default_factory=dict)
    actions: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def at(cls, connection: duckdb.DuckDBPyConnection, key: str) -> "Names":
        """The names at a snapshot whose segments and actions are in the database."""

        def newest(of_this: bool) -> dict[int, str]:
            return dict(connection.execute(_NEWEST, [key, of_this, key]).fetchall())

        actions = connection.execute(_ACTIONS, [key]).fetchall()
        return cls(newest(True), newest(False), dict(actions))


_ACTIONS = "SELECT play, any_value(action) FROM segment_actions WHERE snapshot_date = ? AND play IS NOT NULL GROUP BY play"
_NEWEST = """
    SELECT segment_id, arg_max(segment_name, snapshot_date) FROM segments
    WHERE snapshot_date < ? OR (? AND snapshot_date = ?) GROUP BY segment_id
"""


def name_columns(contract: Contract) -> dict[str, str]:
    """The columns of ids that the lake has without names, each with the column of names that is published."""
    there = {column.name for column in contract.columns}
    named = {column.name: name_of(column.name, contract) for column in contract.columns}
    return {ids: name for ids, name in named.items() if name is not None and name not in there}


def names_beside(contract: Contract, names: Names) -> tuple[str, list[Any]]:
    """Further columns of a SELECT from a table of the lake, each after a comma, and the values of their parameters.

    An id is looked up in a list, not joined, so that rows keep their order.
    """
    parts, values = "", []
    for column, name in name_columns(contract).items():
        known: Mapping[Any, str] = names.actions if name == ACTION_TITLE else names.before if column in BEFORE else names.now
        ids, kind = quoted(column), "VARCHAR[]" if name == ACTION_TITLE else "BIGINT[]"
        found = f"list_extract(CAST(? AS VARCHAR[]), list_position(CAST(? AS {kind}), {{}}))"
        if column.endswith("_ids"):
            each = found.format("TRY_CAST(one AS BIGINT)")
            found = f"array_to_string(list_transform(string_split({ids}, ', '), lambda one: {each}), ', ')"
        parts += f", {found.format(ids)} AS {quoted(name)}"
        values += [list(known.values()), list(known)]
    return parts, values


def names_joined(contract: Contract) -> tuple[str, str]:
    """Further columns of a SELECT from `rows`, those of a table that is left in files, and the joins that they need."""
    parts, joins = "", ""
    for place, (column, name) in enumerate(name_columns(contract).items()):
        ids, names = quoted(column), f"names_{place}"
        if name == ACTION_TITLE:
            parts += f", {names}.title AS {quoted(name)}"
            joins += (
                " LEFT JOIN (SELECT snapshot_date, play, any_value(action) AS title FROM segment_actions GROUP BY snapshot_date, play) "
                f"AS {names} ON {names}.play = rows.{ids} AND {names}.snapshot_date = rows.snapshot_date"
            )
        else:
            parts += f", {names}.segment_name AS {quoted(name)}"
            until = f"{names}.snapshot_date {'<' if column in BEFORE else '<='} rows.snapshot_date"
            joins += f" ASOF LEFT JOIN segments AS {names} ON {names}.segment_id = rows.{ids} AND {until}"
    return parts, joins


def compare_segments(connection: duckdb.DuckDBPyConnection, key: str) -> None:
    """Give the segments of a snapshot the figures that they have at the snapshot before, as published, or why there are none."""
    (is_first,) = connection.execute("SELECT count(*) = 0 FROM segments WHERE snapshot_date < ?", [key]).fetchall()[0]
    connection.execute("UPDATE segments SET previous_missing = ? WHERE snapshot_date = ?", [FIRST_SNAPSHOT if is_first else NEW, key])
    connection.execute(_COMPARE, {"key": key, "hidden": HIDDEN})


_COMPARE = """
    UPDATE segments SET customers_previous = before.customers, share_previous = before.share, revenue_previous = before.revenue,
        previous_missing = if(before.customers IS NULL, $hidden, NULL)
    FROM segments AS before WHERE segments.snapshot_date = $key AND before.segment_id = segments.segment_id
        AND before.snapshot_date = (SELECT max(snapshot_date) FROM segments WHERE snapshot_date < $key)
"""
