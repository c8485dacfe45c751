"""Conversion of typed columns, as in Parquet files and databases, to the types that the rest of intake supports.

These are text, integers, decimals, floats other than NaN, booleans, dates, and times to the microsecond. Fields of
objects become columns such as `customer.id`. Everything else, such as lists, maps, times of day or bytes, becomes text, so that
an unmapped column never stops a file.
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
DEEPEST = 6  # levels of nested objects that are expanded


def plain_columns(relation: Any, names: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Name and converted value of each column.

    Args:
        names: the names of the relation's columns, in order.
    """
    for name, own, kind in zip(names, relation.columns, relation.types, strict=False):
        yield from _plain(name, column(own), kind, DEEPEST)


def _plain(name: str, value: Any, kind: Any, depth: int) -> Iterator[tuple[str, Any]]:
    if kind.id == "struct" and depth:
        for field, inner in kind.children:
            part = duckdb.FunctionExpression("struct_extract", value, duckdb.ConstantExpression(field))
            yield from _plain(f"{name}.{field}", part, inner, depth - 1)
    elif kind.id in {"double", "float"}:
        # Converted through text, a 32-bit float is the number as written: 9.99, not 9.989999771118164.
        number = value.cast("VARCHAR").cast("DOUBLE") if kind.id == "float" else value
        # Compared as text, because the engine relies on a file's statistics, which omit NaN: isnan() of a column with NaN is false.
        missing = value.cast("VARCHAR") == duckdb.ConstantExpression("nan")
        yield name, duckdb.CaseExpression(missing, duckdb.ConstantExpression(None).cast("DOUBLE")).otherwise(number)
    elif kind.id in AS_THEY_ARE:
        yield name, value
    else:
        yield name, value.cast(AS.get(kind.id, "VARCHAR"))
