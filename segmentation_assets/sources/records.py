"""The original record of a row as JSON."""

from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir


def _one(value: Any) -> None:
    """Placeholder for functions of DuckDB that Ibis lacks."""


def to_json(value: ir.Value) -> ir.StringValue:
    """A value as JSON; a struct is an object."""
    return _json(value).cast("string")


def plain(value: ir.Value) -> ir.Value:
    """A value for JSON: finite numbers and booleans unchanged, everything else as text."""
    if value.type().is_floating():
        return ibis.ifelse(is_finite(value), _json(value), _json(value.cast("string")))
    return value if value.type().is_numeric() or value.type().is_boolean() else value.cast("string")


def is_finite(value: ir.FloatingValue) -> ir.BooleanValue:
    """Whether a number is neither infinite nor NaN; the engine answers isnan() by a Parquet file's statistics, which leave NaN out."""
    return _is_finite(value)


_is_finite = ibis.udf.scalar.builtin(_one, name="isfinite", signature=((dt.float64,), dt.boolean))


def _json(value: ir.Value) -> ir.Value:
    return ibis.udf.scalar.builtin(_one, name="to_json", signature=((value.type(),), dt.json))(value)
