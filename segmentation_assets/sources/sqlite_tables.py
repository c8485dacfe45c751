"""SQLite, whose declared types are hints: any cell of a column may be a number, a text or bytes.

A column has the type of all its cells, over the whole table, so that it is the same in every window; if they differ, it is text,
and each cell is read as in a text file. Columns declared as dates or times are typed if all cells are in SQLite's own format.
"""

from collections.abc import Iterable
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa
from sqlglot import exp

DAYS, MOMENTS, FLAGS = "date", "timestamp", "boolean"
NUMBERS = {frozenset({"integer"}): "int64", frozenset({"real"}): "float64", frozenset({"integer", "real"}): "float64"}
AS_DECLARED = {  # whether a cell fits the column's declared type; adding '+0 days' turns 30 February into 1 March
    DAYS: "{c} IS date({c}, '+0 days') AND {c} >= '1000'",
    MOMENTS: "substr({c}, 1, 19) IS datetime({c}, '+0 days') AND {c} >= '1000' AND (length({c}) = 19 "
    "OR length({c}) <= 26 AND substr({c}, 20) GLOB '.[0-9]*' AND substr({c}, 21) NOT GLOB '*[^0-9]*')",
    FLAGS: "{c} IN (0, 1)",
}
STORED = {DAYS: {"text"}, MOMENTS: {"text"}, FLAGS: {"integer"}}


def typed_table(remote: Any, query: str, decimal: str, dates_are_typed: bool) -> ir.Table:
    """The rows of a query, each column with a type that fits all its cells.

    Args:
        remote: an Ibis backend of SQLite; it gets a temporary view, which works on a read-only file too.
        decimal: the decimal mark in the settings, with which numbers among texts are written; `auto` is a point.
        dates_are_typed: whether declared dates and times may be typed; not if the settings give their format.

    Raises:
        sqlite3.Error: the query is no SELECT, or names what is not there.
    """
    view = ibis.util.gen_name("asked")
    remote.con.execute(f"CREATE TEMP VIEW {view} AS {query}")
    declared = remote.con.execute("SELECT name, type FROM pragma_table_info(?)", [view]).fetchall()
    kinds = {name: _candidates(kind, dates_are_typed) for name, kind in declared}
    schema = _schema(remote, view, kinds)
    mixed = _as_text("{c}", "," if decimal == "," else ".")
    columns = (mixed.format(c=_quoted(name)) if kind == "string" else _quoted(name) for name, kind in schema.items())
    selected = ", ".join(f"{value} AS {_quoted(name)}" for value, name in zip(columns, schema, strict=True))
    remote.con.execute(f"CREATE TEMP VIEW {view}_typed AS SELECT {selected} FROM {view}")  # noqa: S608  # names are quoted
    return remote.sql(f"SELECT * FROM {view}_typed", schema=ibis.schema(schema))  # noqa: S608


def selecting_all(name: str, schema: str) -> str:
    """The query of all rows of a table, which may be in a schema."""
    return exp.select("*").from_(exp.table_(name, db=schema or None, quoted=True)).sql("sqlite")


def has_table(remote: Any, name: str, schema: str) -> bool:
    """Whether there is such a table or view; SQLite ignores case."""
    return remote.con.execute("SELECT 1 FROM pragma_table_info(?, ?)", [name, schema or None]).fetchone() is not None


def text_of(cell: bytes) -> str:
    """A text of the database, with bytes that are not UTF-8 written as `\\xe9`."""
    return cell.decode("utf-8", "backslashreplace")


def column_of(values: Iterable[Any], kind: pa.DataType) -> pa.Array:
    """The cells of one column, as the driver returns them, as an array of the type from `typed_table`."""
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return pa.array(values, pa.string()).cast(kind)
    if pa.types.is_string(kind):
        return pa.array([text_of(value) if isinstance(value, bytes) else value for value in values], kind)
    makes = {pa.bool_(): bool, pa.float64(): float}.get(kind, int)
    return pa.array([None if value is None else makes(value) for value in values], kind)


def _candidates(declared: str, dates_are_typed: bool) -> tuple[str, ...]:
    """The type, other than numbers and text, that a column's declaration suggests."""
    if "BOOL" in declared.upper():
        return (FLAGS,)
    is_time = "DATE" in declared.upper() or "TIMESTAMP" in declared.upper()
    return (MOMENTS, DAYS) if is_time and dates_are_typed else ()


def _schema(remote: Any, view: str, candidates: dict[str, tuple[str, ...]]) -> dict[str, str]:
    """The type of each column, from one pass over all its cells."""
    asked = [f"group_concat(DISTINCT typeof({_quoted(name)}))" for name in candidates]
    holds = [(name, kind) for name, kinds in candidates.items() for kind in kinds]
    asked += [f"min({AS_DECLARED[kind].format(c=_quoted(name))}) IS NOT 0" for name, kind in holds]
    facts = remote.con.execute(f"SELECT {', '.join(asked)} FROM {view}").fetchone()  # noqa: S608  # names are quoted
    stored = {name: frozenset((found or "").split(",")) - {"null", ""} for name, found in zip(candidates, facts, strict=False)}
    fits = {each for each, fit in zip(holds, facts[len(candidates) :], strict=True) if fit}
    return {
        name: next((kind for kind in kinds if (name, kind) in fits and stored[name] <= STORED[kind]), NUMBERS.get(stored[name], "string"))
        for name, kinds in candidates.items()
    }


def _as_text(cell: str, mark: str) -> str:
    """A cell as text. A fraction of three digits gets a zero, so that it is not read as thousands next to texts such as 2,50."""
    written = f"replace(CAST({cell} AS TEXT), '.', '{mark}')"
    unmistakable = f"{written} || CASE WHEN {written} GLOB '*{mark}[0-9][0-9][0-9]' THEN '0' ELSE '' END"
    return f"CASE typeof({cell}) WHEN 'text' THEN {cell} WHEN 'real' THEN {unmistakable} ELSE CAST({cell} AS TEXT) END"


def _quoted(name: str) -> str:
    return exp.to_identifier(name, quoted=True).sql("sqlite")
