"""Views and temporary tables of the connection that reads a source, made of Ibis expressions.

Belongs here: what Ibis also does, without asking DuckDB for types that the expression knows. For a small file, binding nested views only
to list their columns took a quarter of the time of reading it.
"""

from typing import Any

import ibis
import ibis.expr.types as ir


def view(backend: Any, table: ir.Table) -> ir.Table:
    """A view of `table`, to be asked often: its statement is compiled once."""
    return _made(backend, "VIEW", table)


def stored(backend: Any, table: ir.Table) -> ir.Table:
    """The rows of `table`, kept until the connection is closed."""
    return _made(backend, "TEMP TABLE", table)


def _made(backend: Any, kind: str, table: ir.Table) -> ir.Table:
    backend._run_pre_execute_hooks(table)
    name = ibis.util.gen_name("made")
    backend.raw_sql(f"CREATE {kind} {name} AS {backend.compile(table)}").fetchall()  # kind and name are our own
    return ibis.table(table.schema(), name=name)
