"""Numbers that are text: every form in which people write them, and what tells decimals from thousands."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ibis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segmentation_assets.settings.source import Reading
from segmentation_assets.sources import number_forms
from segmentation_assets.sources.cells import Cells
from segmentation_assets.sources.currencies import one_currency
from segmentation_assets.sources.kept import worth_a_look
from segmentation_assets.sources.reading import connect

BACKEND = connect()


def read(cells: Sequence[str], decimal: str = "auto", thousands: str = "auto", column: str | None = None) -> list[float | None]:
    """The cells of one column as numbers; `column` is the decimal mark that its cells tell."""
    table = ibis.memtable({"cell": list(cells), "place": range(len(cells))})
    reading = Reading.model_validate({"decimal": decimal, "thousands": thousands})
    number = Cells(reading, decimals={"cell": column} if column else {}).number(table.cell)
    return [row["n"] for row in BACKEND.to_pyarrow(table.select("place", n=number).order_by("place")).to_pylist()]


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        ("1,200", 1200), ("1,200.50", 1200.5), ("1.200,50", 1200.5), ("1.234.567", 1234567), ("1,234,567.8", 1234567.8), ("12,50", 12.5),
        ("12,5", 12.5), ("0,500", 0.5), ("1234,567", 1234.567), (",5", 0.5), ("12,34,567.00", 1234567), ("12,34,567", 1234567),
        ("1 234,50", 1234.5), ("1\xa0234,50 €", 1234.5), ("1\u202f234.50", 1234.5), ("1\u2009234\u2009567", 1234567),
        ("1'234.50", 1234.5), ("1\u2019234\u2019567,5", 1234567.5), ("$10.00", 10), ("-$4.50", -4.5), ("$-4.50", -4.5), ("(4.50)", -4.5),
        ("($4.50)", -4.5), ("$(4.50)", -4.5), ("( 1,204.50 )", -1204.5), ("4.50-", -4.5), ("4,50- €", -4.5), ("4.50 CR", -4.5),
        ("4.50cr", -4.5), ("USD 4.50 CR", -4.5), ("4.50 DR", 4.5), ("\u22124.50", -4.5), ("\u20134.50", -4.5), ("- 4,50 €", -4.5),
        ("+5.00", 5), ("¥1,200", 1200), ("\uffe51,200", 1200), ("₹ 12,34,567", 1234567), ("₩12,000", 12000), ("kr 1.200,50", 1200.5),
        ("12,50 kr.", 12.5), ("1 200 zł", 1200), ("R$ 1.200,50", 1200.5), ("CHF 1'200.-", 1200), ("Fr. 12.50", 12.5), ("Rs.1,200", 1200),
        ("EUR 12,50", 12.5), ("12.50 usd", 12.5), ("US $5.00", 5), ("CA$5", 5), ("€ 12,-", 12), ("12.\u2013", 12), ("1,5E+03", 1500),
        ("\u200b12.50\u200b", 12.5), ("\ufeff$1", 1),
    ],
)  # fmt: skip
def test_a_cell_is_read_by_its_form(cell: str, number: float) -> None:
    assert read([cell]) == [number]


@pytest.mark.parametrize(
    "cell",
    ["--5", "-5-", "5-3", "12 34", "1 2345", "1,2,3", "1.2.3", "1,20,0", "123,45,678", "12%", "ABC 12", "INV123", "12:30", "2024-01-05",
     "$", ".",     "|5|", "\ue0005\ue000", "5\ue000", "5 EUR EUR EUR", "((5))", "one", "12 apples"],
)  # fmt: skip
def test_what_is_no_number_is_none(cell: str) -> None:
    assert read([cell]) == read([cell], column=",") == [None]


@pytest.mark.parametrize(
    ("marks", "numbers"),
    [
        ({}, [1200, 1.2, 12.5, 12.5]),
        ({"column": ","}, [1.2, 1200, 12.5, 12.5]),
        ({"decimal": "."}, [1200, 1.2, None, 12.5]),
        ({"decimal": ","}, [1.2, 1200, 12.5, None]),
        ({"decimal": ".", "thousands": ""}, [None, 1.2, None, 12.5]),
        ({"thousands": ","}, [1200, 1.2, None, 12.5]),
        ({"thousands": "."}, [1.2, 1200, 12.5, None]),
        ({"decimal": ",", "column": "."}, [1.2, 1200, 12.5, None]),
    ],
)
def test_a_mark_that_is_given_wins(marks: dict[str, str], numbers: list[float | None]) -> None:
    assert read(["1,200", "1.200", "12,50", "12.50"], **marks) == numbers


FORMS: list[Callable[[str], str]] = [
    lambda n: n, lambda n: f"-{n}", lambda n: f"({n})", lambda n: f"{n}-", lambda n: f"{n} CR", lambda n: f"$ {n}", lambda n: f"-${n}",
    lambda n: f"$-{n}", lambda n: f"({n} €)", lambda n: f"EUR {n}", lambda n: f"{n} kr", lambda n: f"{n}\xa0zł", lambda n: f"\u2212{n}",
]  # fmt: skip
NEGATIVE = {1, 2, 3, 4, 6, 7, 8, 12}
MARKS = [(",", "."), (".", ","), (" ", ","), ("\u202f", ","), ("\u2019", "."), ("", "."), ("", ",")]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**11), st.sampled_from(MARKS), st.integers(0, len(FORMS) - 1)), min_size=1, max_size=60))
def test_an_amount_comes_back_in_whatever_form_it_is_written(amounts: list[tuple[int, tuple[str, str], int]]) -> None:
    cells = [FORMS[form](f"{amount // 100:,}".replace(",", marks[0]) + f"{marks[1]}{amount % 100:02d}") for amount, marks, form in amounts]
    wanted = [(-amount if form in NEGATIVE else amount) / 100 for amount, _, form in amounts]
    assert read(cells) == pytest.approx(wanted, rel=1e-15)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=50))
def test_plain_numbers_are_read_as_they_are(numbers: list[float]) -> None:
    assert read([repr(number) for number in numbers]) == numbers


def forms(*columns: Sequence[str], points_are_decimal: bool = False) -> dict[str, number_forms.Forms]:
    """The forms of columns c0, c1 and so on."""
    table = ibis.memtable({f"c{i}": list(cells) for i, cells in enumerate(columns)})
    return number_forms.counted(BACKEND, table, table.columns, points_are_decimal)


@pytest.mark.parametrize(
    ("columns", "decimals", "in_doubt"),
    [
        ([["1,200", "850"]], {"c0": "."}, ["c0"]),
        ([["1.200", "850"]], {"c0": ","}, ["c0"]),
        ([["¥1,200", "¥850"]], {"c0": "."}, ["c0"]),
        ([["1,200", "9.50"]], {"c0": "."}, []),
        ([["1,200", "12,50"]], {"c0": ","}, []),
        ([["1.234", "0.500", "12.5"]], {"c0": "."}, []),
        ([["1.250", "0.375"]], {"c0": "."}, []),
        ([["1,200", "1,234,567"]], {"c0": "."}, []),
        ([["1.200", "1 234,567"]], {"c0": ","}, []),
        ([["850", "12"]], {}, []),
        ([["1,200", "12,50"], ["1.5", "2.5", "0.5"]], {"c0": ",", "c1": "."}, []),
        ([["12.50", "9.99"], ["1.250", "2.000"]], {"c0": ".", "c1": "."}, ["c1"]),
        ([["12,50", "9,99"], ["1,250", "2,000"]], {"c0": ",", "c1": ","}, ["c1"]),
        ([["1.200"] * 99 + ["12.5"]], {"c0": "."}, ["c0"]),
    ],
)
def test_the_other_cells_tell_what_a_mark_means(columns: list[list[str]], decimals: dict[str, str], in_doubt: list[str]) -> None:
    width = max(map(len, columns))
    found = forms(*([*cells, *[""] * (width - len(cells))] for cells in columns))
    assert number_forms.decimals(found) == decimals
    assert [column for column, one in found.items() if one.in_doubt] == in_doubt


def test_numbers_of_a_file_with_types_have_a_decimal_point() -> None:
    assert number_forms.decimals(forms(["1.125", "12"], points_are_decimal=True)) == {"c0": "."}


@pytest.mark.parametrize(
    ("tokens", "one"),
    [
        (["€", "EUR"], True), (["$", "USD"], True), (["$", "€"], False), (["¥", "JPY"], True), (["JPY", "CNY"], False),
        (["KR", "DKK"], True), ([], True),
    ],
)  # fmt: skip
def test_signs_and_codes_of_one_currency(tokens: list[str], one: bool) -> None:
    assert one_currency(tokens) is one


COLUMNS = {"customer_id": "id", "ordered_at": "day", "amount": "paid"}


def orders(folder: Path, name: str, amounts: Sequence[str]) -> None:
    (folder / name).write_text(
        "id;day;paid\n" + "".join(f"c{i % 3};2024-01-05;{amount}\n" for i, amount in enumerate(amounts)), encoding="utf-8"
    )


def total(opened: Any, **table: Any) -> tuple[float, str]:
    """What the amounts of a table add up to, and what is worth a look."""
    source = opened(transactions={"columns": COLUMNS, **table})
    rows = source.rows()
    assert all(row["amount"] is not None for row in rows)
    return sum(row["amount"] for row in rows), "\n".join(worth_a_look(source.source.kept("transactions")))


def test_thousands_that_come_after_many_plain_numbers(opened: Any, tmp_path: Path) -> None:
    orders(tmp_path, "o.csv", ["850"] * 11_000 + ["1.200"])
    found, look = total(opened, files="o.csv")
    assert found == 850 * 11_000 + 1200
    assert "1 cell such as '1.200' can be read two ways" in look
    assert "9,351,200.00" in look and "9,350,001.20" in look and look.startswith("Warning")


def test_one_file_tells_how_the_others_are_written(opened: Any, tmp_path: Path) -> None:
    orders(tmp_path, "1.csv", ["1,200", "850"])
    orders(tmp_path, "2.csv", ["12,50"])
    assert total(opened, files=["1.csv", "2.csv"]) == (1.2 + 850 + 12.5, "")
    assert total(opened, files=["1.csv"])[0] == 2050


@pytest.mark.parametrize(("setting", "amount"), [({"thousands": ","}, 2050), ({"decimal": ","}, 851.2)])
def test_a_setting_settles_what_can_be_read_two_ways(opened: Any, tmp_path: Path, setting: dict[str, str], amount: float) -> None:
    orders(tmp_path, "o.csv", ["1,200", "850"])
    found, look = total(opened, files="o.csv", **setting)
    assert found == amount
    assert "Warning" not in look


def test_several_currencies_are_named(opened: Any, tmp_path: Path) -> None:
    orders(tmp_path, "o.csv", ["€10", "12,50 EUR", "$9.50", "GBP 3.00", "7.00"])
    _, look = total(opened, files="o.csv")
    assert "Warning: paid has several currencies: $ (1 cell), EUR (1 cell), GBP (1 cell), € (1 cell)" in look


def test_marks_of_an_expression_are_those_of_its_columns(opened: Any, tmp_path: Path) -> None:
    (tmp_path / "o.csv").write_text("id;day;qty;price\nc1;2024-01-05;2;1.200\nc1;2024-01-05;1;12,50\n")
    rows = opened(transactions={"files": "o.csv", "columns": COLUMNS | {"amount": "qty * COALESCE(price, '0')"}}).rows()
    assert [row["amount"] for row in rows] == [2400, 12.5]
