"""Names, text and types as parts of DuckDB's statements."""

import functools

import ibis
from sqlglot import exp


def quoted(column: str) -> str:
    """The name of a table or column, quoted."""
    return exp.to_identifier(column, quoted=True).sql(dialect="duckdb")


def folded(name: str) -> str:
    """The name as DuckDB compares it: only ASCII letters lose their case."""
    return name.encode().lower().decode()


def literal(value: str) -> str:
    """The text as a literal."""
    return exp.Literal.string(value).sql(dialect="duckdb")


@functools.cache  # each publication asks for the same few, 500 times
def column_type(ibis_type: str) -> str:
    """DuckDB's name of a type of Ibis."""
    return ibis.backends.sql.datatypes.DuckDBType.to_string(ibis.dtype(ibis_type))
