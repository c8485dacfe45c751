"""Tables for files that people open in a spreadsheet, which would run a text like `=cmd|...` as a formula."""

import re

import duckdb

BLANK = r"[\x00-\x20\x7f-\xa0\u2000-\u200f\u2028-\u202f\u2060\u3000\ufeff]"  # what a spreadsheet may leave out before a sign
# Also after a semicolon, tab or line end, where a spreadsheet that does not take commas for separators begins another cell.
FORMULA = rf"(^|[;\t\r\n])({BLANK}*[=+@\x2d\uff0b\uff0d\uff1d\uff20])"
NUMBER = r"^[-+]?[0-9][0-9., ]*([eE][-+]?[0-9]+)?%?$"
APOSTROPHE = r"\1'\2"
# Types whose values are no formulas
FREE = re.compile("(DECIMAL|U?(TINY|SMALL|BIG|HUGE)?INT|FLOAT|DOUBLE|BOOLEAN|DATE|TIME|INTERVAL|UUID)")


def harmless(text: str) -> str:
    """The text with an apostrophe where a formula would begin, which makes it text to a spreadsheet; numbers stay numbers.

    >>> harmless("=1+1"), harmless("-5"), harmless("a;=1+1")
    ("'=1+1", '-5', "a;'=1+1")
    """
    return text if re.search(NUMBER, text) else re.sub(FORMULA, APOSTROPHE, text)


def without_formulas(relation: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """The rows with names and texts as by `harmless`."""
    columns = zip(relation.columns, relation.types, strict=True)
    return relation.select(*(_cell(place, str(kind)).alias(harmless(name)) for place, (name, kind) in enumerate(columns, 1)))


def _cell(place: int, kind: str) -> duckdb.Expression:
    value = duckdb.SQLExpression(f"#{place}")  # by its place, because a query may give two columns one name
    if FREE.match(kind):
        return value
    text = value.cast("VARCHAR")
    escaped = duckdb.FunctionExpression("regexp_replace", text, *map(duckdb.ConstantExpression, (_for_engine(FORMULA), APOSTROPHE, "g")))
    is_number = duckdb.FunctionExpression("regexp_matches", text, duckdb.ConstantExpression(NUMBER))
    return duckdb.CaseExpression(is_number, text).otherwise(escaped)


def _for_engine(pattern: str) -> str:
    r"""The pattern as DuckDB writes it: \x{2000} for \u2000."""
    return re.sub(r"\\u([0-9a-f]{4})", r"\\x{\1}", pattern)
