"""Columns that have types, as those of Parquet files and databases, as what the rest of intake knows.

That is text, whole numbers, decimals, floats that are numbers, yes and no, days, and times to the microsecond. The fields of
an object become columns, `customer.id`. Whatever else there is, such as lists, maps, times of day or bytes, becomes text, so that
a column that nobody mapped never stops a file.
"""

from collections.abc import Iterator
from typing import Any

import duckdb

from segmentation_assets.sources.rows import column

AS_THEY_ARE = {"varchar", "boolean", "date", "timestamp", "timestamp with time zone", "decimal", "bigint", "ubigint", "double"}
AS = {
    **dict.fromkeys(("tinyint", "smallint", "integer", "utinyint", "usmallint", "uinteger"), "BIGINT"),
    **dict.fromkeys(("timestamp_s", "timestamp_ms", "timestamp_ns"), "TIMESTAMP"),
    "timestamptz_ns": "TIMESTAMP WITH TIME ZONE",
}
DEEPEST = 6  # objects within objects that are taken apart


def plain_columns(relation: Any, names: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Name and value of each column as intake knows it.

    Args:
        names: what the relation's columns are called, from the first on.
    """
    for name, own, kind in zip(names, relation.columns, relation.types, strict=False):
        yield from _plain(name, column(own), kind, DEEPEST)


def _plain(name: str, value: Any, kind: Any, depth: int) -> Iterator[tuple[str, Any]]:
    if kind.id == "struct" and depth:
        for field, inner in kind.children:
            part = duckdb.FunctionExpression("struct_extract", value, duckdb.ConstantExpression(field))
            yield from _plain(f"{name}.{field}", part, inner, depth - 1)
    elif kind.id in {"double", "float"}:
        # By way of text, a short float is the number that was written: 9.99, not 9.989999771118164.
        number = value.cast("VARCHAR").cast("DOUBLE") if kind.id == "float" else value
        # Asked as text, because the engine goes by a file's statistics, which leave NaN out: isnan() of a column with NaN is false.
        missing = value.cast("VARCHAR") == duckdb.ConstantExpression("nan")
        yield name, duckdb.CaseExpression(missing, duckdb.ConstantExpression(None).cast("DOUBLE")).otherwise(number)
    elif kind.id in AS_THEY_ARE:
        yield name, value
    else:
        yield name, value.cast(AS.get(kind.id, "VARCHAR"))
