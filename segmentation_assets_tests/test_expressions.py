"""Mapping expressions: scalar expressions are computed, and everything else is refused."""

import ibis
import pytest

from segmentation_assets.engines.duckdb import DuckDBEngine
from segmentation_assets.expressions import ExpressionError, mapped
from segmentation_assets.settings.source import Reading
from segmentation_assets.sources.cells import Cells

ENGINE = DuckDBEngine(threads=1)
TABLE = ibis.memtable(
    {
        "Quantity": ["2", "x", None],
        "Unit Price": ["3.5", "1", "2"],
        "status": ["paid", " Open ", ""],
        "day": ["2024-01-05", "2024-02-30", None],
        "Alter": ["51", "20", None],
    }
)


def values(expression: str) -> list[object]:
    return [row["v"] for row in ENGINE.rows(TABLE.select(v=mapped(expression, TABLE, Cells(Reading())).value))]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("Quantity", ["2", "x", None]),
        ("Unit Price", ["3.5", "1", "2"]),
        ('Quantity * "Unit Price"', [7.0, None, None]),
        ("quantity + 1", [3.0, None, None]),
        ("-Quantity / 0", [None, None, None]),
        ("CASE WHEN status = 'paid' THEN Quantity ELSE 0 END", [2.0, 0.0, 0.0]),
        ("COALESCE(Quantity, 0)", [2.0, 0.0, 0.0]),
        ("upper(trim(status)) || '!'", ["PAID!", "OPEN!", "!"]),
        ("status IN ('paid', 'sent')", [True, False, False]),
        ("split_part(day, '-', 2)", ["01", "02", None]),
        ("'web'", ["web", "web", "web"]),
        ('"Alter" + 1', [52.0, 21.0, None]),
        ("status LIKE 'p%'", [True, False, False]),
        ("status NOT LIKE 'p%'", [False, True, True]),
        ("NOT status LIKE 'p%'", [False, True, True]),
        ("status NOT ILIKE 'P%'", [False, True, True]),
        ("day NOT LIKE '2024-01%'", [False, True, None]),
        ('Quantity + 0 > "Unit Price" + 0', [False, None, None]),
    ],
)
def test_scalar_expressions_are_computed(expression: str, expected: list[object]) -> None:
    assert values(expression) == expected


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("SELECT 1", "a query"),
        ("(SELECT max(Quantity) FROM other)", "a query"),
        ("sum(Quantity)", "the aggregate SUM"),
        ("row_number() OVER ()", "WINDOW"),
        ("read_text('/etc/passwd')", "READ_TEXT"),
        ("getenv('HOME')", "GETENV"),
        ("getenv(x)", "Allowed: arithmetic.* SPLIT_PART, CONCAT[.]$"),
        ("Quantity; DROP TABLE t", "not one expression"),
        ("t.Quantity", "names a table"),
        ("*", "STAR"),
        ("Quantity AS q", "neither a column nor"),
        ("Quantty", "Did you mean 'Quantity'"),
        ("Quantity *", "neither a column nor"),
        ("alter + 1", 'begins with alter, a word of SQL. If a column is meant, quote it: "Alter"'),  # German for age
        ("Unit Prices", "neither a column nor an SQL expression. Did you mean 'Unit Price'?"),
        ("", "is empty"),
        ("?", "PLACEHOLDER"),
        ("Quantity + " * 2_000 + "1", "longer than"),
        ("(" * 200 + "1" + ")" * 200, "nested too deeply|neither a column"),
        ("status = NULL", "write IS NULL or IS NOT NULL"),
        ("NULL <> Quantity", "write IS NULL or IS NOT NULL"),
        ("left(status, -1)", "LEFT takes a length of 0 or more"),
        ("round(1, Quantity)", "whole numbers written out"),
    ],
)
def test_anything_else_is_refused_with_the_reason(expression: str, why: str) -> None:
    with pytest.raises(ExpressionError, match=why):
        mapped(expression, TABLE, Cells(Reading()))
