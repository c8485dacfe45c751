"""The original record of a row as JSON."""

from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir


def _one(value: Any) -> None:
    """Stands in for functions that DuckDB has and Ibis has not."""


def to_json(value: ir.Value) -> ir.StringValue:
    """A value as JSON; a struct is an object."""
    return _json(value).cast("string")


def plain(value: ir.Value) -> ir.Value:
    """A value as JSON has it: numbers and truth as they are, all else as text; JSON has no infinity."""
    if value.type().is_floating():
        return ibis.ifelse(value.isinf() | value.isnan(), _json(value.cast("string")), _json(value))
    return value if value.type().is_numeric() or value.type().is_boolean() else value.cast("string")


def _json(value: ir.Value) -> ir.Value:
    return ibis.udf.scalar.builtin(_one, name="to_json", signature=((value.type(),), dt.json))(value)
