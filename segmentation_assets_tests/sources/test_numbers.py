"""Numbers stored as text: every form in use, and how decimals are distinguished from thousands."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ibis
import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentation_assets.settings.source import Reading
from segmentation_assets.sources import number_forms
from segmentation_assets.sources.cells import Cells
from segmentation_assets.sources.currencies import column_of, one_currency
from segmentation_assets.sources.intake_record import worth_a_look
from segmentation_assets.sources.reading import connect
from segmentation_assets_tests.conftest import examples

BACKEND = connect()


def read(cells: Sequence[str], decimal: str = "auto", thousands: str = "auto", column: str | None = None) -> list[float | None]:
    """The cells of one column as numbers; `column` is the decimal mark found from all of its cells."""
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
        ("4.50cr", -4.5), ("USD 4.50 CR", -4.5), ("4.50 DR", 4.5), ("4.50 Cr.", -4.5), ("CR 4.50", -4.5), ("Cr. 4,50 EUR", -4.5),
        ("Dr. 4.50", 4.5), ("₡ 4.50 CRC", 4.5), ("4.50 ₡ CRC", 4.5), ("CR $4.50", -4.5), ("Cr. $4.50", -4.5), ("4.50 CR €", -4.5),
        ("\u22124.50", -4.5), ("\u20134.50", -4.5), ("- 4,50 €", -4.5),
        ("+5.00", 5), ("¥1,200", 1200), ("\uffe51,200", 1200), ("₹ 12,34,567", 1234567), ("₩12,000", 12000), ("kr 1.200,50", 1200.5),
        ("12,50 kr.", 12.5), ("1 200 zł", 1200), ("R$ 1.200,50", 1200.5), ("CHF 1'200.-", 1200), ("Fr. 12.50", 12.5), ("Rs.1,200", 1200),
        ("EUR 12,50", 12.5), ("12.50 usd", 12.5), ("US $5.00", 5), ("CA$5", 5), ("€ 12,-", 12), ("12.\u2013", 12), ("1,5E+03", 1500),
        ("\u200b12.50\u200b", 12.5), ("\ufeff$1", 1),
    ],
)  # fmt: skip
def test_a_cell_is_read_in_its_own_form(cell: str, number: float) -> None:
    assert read([cell]) == [number]


@pytest.mark.parametrize(
    "cell",
    ["--5", "-5-", "5-3", "12 34", "1 2345", "1,2,3", "1.2.3", "1,20,0", "123,45,678", "12%", "ABC 12", "INV123", "12:30", "2024-01-05",
     "$", ".",     "|5|", "\ue0005\ue000", "5\ue000", "5 EUR EUR EUR", "((5))", "one", "12 apples",
     "99¢", "99 ¢", "99\uffe0", "1_000", "1_0.5", "USD", "kr", "R", "CR"],
)  # fmt: skip
def test_text_that_is_not_a_number_is_missing(cell: str) -> None:
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
def test_a_decimal_mark_in_the_settings_wins(marks: dict[str, str], numbers: list[float | None]) -> None:
    assert read(["1,200", "1.200", "12,50", "12.50"], **marks) == numbers


FORMS: list[Callable[[str], str]] = [
    lambda n: n, lambda n: f"-{n}", lambda n: f"({n})", lambda n: f"{n}-", lambda n: f"{n} CR", lambda n: f"$ {n}", lambda n: f"-${n}",
    lambda n: f"$-{n}", lambda n: f"({n} €)", lambda n: f"EUR {n}", lambda n: f"{n} kr", lambda n: f"{n}\xa0zł", lambda n: f"\u2212{n}",
]  # fmt: skip
NEGATIVE = {1, 2, 3, 4, 6, 7, 8, 12}
MARKS = [(",", "."), (".", ","), (" ", ","), ("\u202f", ","), ("\u2019", "."), ("", "."), ("", ",")]


@examples(15)
@given(st.lists(st.tuples(st.integers(0, 10**11), st.sampled_from(MARKS), st.integers(0, len(FORMS) - 1)), min_size=1, max_size=60))
def test_an_amount_is_read_back_from_any_form(amounts: list[tuple[int, tuple[str, str], int]]) -> None:
    cells = [FORMS[form](f"{amount // 100:,}".replace(",", marks[0]) + f"{marks[1]}{amount % 100:02d}") for amount, marks, form in amounts]
    wanted = [(-amount if form in NEGATIVE else amount) / 100 for amount, _, form in amounts]
    assert read(cells) == pytest.approx(wanted, rel=1e-15)


@examples(15)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=50))
def test_plain_numbers_are_read_exactly(numbers: list[float]) -> None:
    assert read([repr(number) for number in numbers]) == numbers


def forms(*columns: Sequence[str], kind: str = "csv") -> dict[str, number_forms.Forms]:
    """The forms of columns c0, c1 and so on."""
    table = ibis.memtable({f"c{i}": list(cells) for i, cells in enumerate(columns)})
    return number_forms.counted(BACKEND, table, table.columns, kind)


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
        ([["950,50", "1.200", "12.50", "13.75"]], {"c0": "."}, ["c0"]),
        ([["950,50", "88,10", "1,200", "12.50"]], {"c0": ","}, ["c0"]),
        ([["950,50", "12.50"]], {"c0": "."}, []),
    ],
)
def test_other_cells_decide_the_meaning_of_a_mark(columns: list[list[str]], decimals: dict[str, str], in_doubt: list[str]) -> None:
    width = max(map(len, columns))
    found = forms(*([*cells, *[""] * (width - len(cells))] for cells in columns))
    assert number_forms.decimals(found) == decimals
    assert [column for column, one in found.items() if one.in_doubt] == in_doubt


@pytest.mark.parametrize(
    ("kind", "cells", "decimal", "in_doubt"),
    [
        ("jsonl", ["1.125", "12"], ".", 0),
        ("jsonl", ["1.200", "12,5"], ".", 0),
        ("jsonl", ["1,200", "12.50"], ".", 0),
        ("excel", ["1.125", "12.5"], ".", 0),
        ("excel", ["12.5"] * 29 + ["1.200"], ".", 1),
        ("excel", ["12.5"] * 29 + ["1,200"], ".", 1),
        ("excel", ["12.5", "950,50", "1.200"], ".", 1),
        ("excel", ["850", "1.200"], ",", 1),
        ("excel", ["12.5", "12.50", "1,200"], ".", 0),
    ],
)
def test_typed_numbers_do_not_decide_the_form_of_text_next_to_them(kind: str, cells: list[str], decimal: str, in_doubt: int) -> None:
    found = forms(cells, kind=kind)
    assert number_forms.decimals(found) == {"c0": decimal}
    assert found["c0"].in_doubt == in_doubt


def test_both_sums_use_typed_numbers_unchanged() -> None:
    found = forms(["1.125", "1.200"], kind="excel")["c0"]
    assert (found.sum_point, found.sum_comma) == (pytest.approx(2.325), 1201.125)


@pytest.mark.parametrize(
    ("tokens", "one"),
    [
        (["€", "EUR"], True), (["$", "USD"], True), (["$", "€"], False), (["¥", "JPY"], True), (["JPY", "CNY"], False),
        (["KR", "DKK"], True), ([], True),
    ],
)  # fmt: skip
def test_signs_and_codes_of_one_currency_count_as_one(tokens: list[str], one: bool) -> None:
    assert one_currency(tokens) is one


@pytest.mark.parametrize("cell", ["USD", "kr", "lei", "R", "ALL", "()", "+", "$", "infinity", "1_000", "99¢"])
def test_text_without_a_digit_is_not_a_number(cell: str) -> None:
    table = ibis.memtable({"cell": [cell, "USD 1"]})
    for reading in (Reading(), Reading(decimal=",")):
        flags = BACKEND.to_pyarrow(table.select(is_number=Cells(reading).is_number(table.cell))).to_pylist()
        assert [row["is_number"] for row in flags] == [False, True]


@pytest.mark.parametrize(
    ("columns", "amounts", "found"),
    [
        (["id", "Currency"], ["Total"], "Currency"),
        (["Amount", "Currency", "Converted Amount", "Converted Currency"], ["Converted Amount"], "Converted Currency"),
        (["Amount", "Currency", "Converted Amount", "Converted Currency"], ["Amount"], "Currency"),
        (["Amount", "Currency", "Converted Amount"], ["Converted Amount"], None),
        (["amount_eur", "currency"], ["amount_eur"], None),
        (["amount", "currency", "exchange_rate"], ["amount", "exchange_rate"], None),
        (["amount", "currency"], ["amount", "currency"], None),
        (["amount", "currency_rate"], ["amount"], None),
        (["Betrag", "Währung"], ["Betrag"], "Währung"),
        (["amount", "currencyCode"], ["amount"], "currencyCode"),
        (["amount", "order_currency", "ccy"], ["amount"], "ccy"),
        (["amount", "country"], ["amount"], None),
    ],
)
def test_the_currency_column_of_an_amount_is_found(columns: list[str], amounts: list[str], found: str | None) -> None:
    assert column_of(columns, amounts) == found


COLUMNS = {"customer_id": "id", "ordered_at": "day", "amount": "paid"}


def orders(folder: Path, name: str, amounts: Sequence[str]) -> None:
    (folder / name).write_text(
        "id;day;paid\n" + "".join(f"c{i % 3};2024-01-05;{amount}\n" for i, amount in enumerate(amounts)), encoding="utf-8"
    )


def total(opened: Any, **table: Any) -> tuple[float, str]:
    """The sum of the amounts of a table, and the warnings."""
    source = opened(transactions={"columns": COLUMNS, **table})
    rows = source.rows()
    assert all(row["amount"] is not None for row in rows)
    return sum(row["amount"] for row in rows), "\n".join(worth_a_look(source.source.kept("transactions")))


def test_thousands_after_many_plain_numbers_are_found(opened: Any, tmp_path: Path) -> None:
    orders(tmp_path, "o.csv", ["850"] * 11_000 + ["1.200"])
    found, look = total(opened, files="o.csv")
    assert found == 850 * 11_000 + 1200
    assert "1 cell such as '1.200' can be read two ways" in look
    assert "9,351,200.00" in look and "9,350,001.20" in look and look.startswith("Warning")


def test_one_file_can_decide_the_form_of_the_others(opened: Any, tmp_path: Path) -> None:
    orders(tmp_path, "1.csv", ["1,200", "850"])
    orders(tmp_path, "2.csv", ["12,50"])
    assert total(opened, files=["1.csv", "2.csv"]) == (1.2 + 850 + 12.5, "")
    assert total(opened, files=["1.csv"])[0] == 2050


@pytest.mark.parametrize(("setting", "amount"), [({"thousands": ","}, 2050), ({"decimal": ","}, 851.2)])
def test_a_setting_decides_ambiguous_numbers(opened: Any, tmp_path: Path, setting: dict[str, str], amount: float) -> None:
    orders(tmp_path, "o.csv", ["1,200", "850"])
    found, look = total(opened, files="o.csv", **setting)
    assert found == amount
    assert "Warning" not in look


def test_several_currencies_are_named(opened: Any, tmp_path: Path) -> None:
    orders(tmp_path, "o.csv", ["€10", "12,50 EUR", "$9.50", "GBP 3.00", "7.00"])
    _, look = total(opened, files="o.csv")
    assert "Warning: paid has several currencies: $ (1 cell), EUR (1 cell), GBP (1 cell), € (1 cell)" in look


def test_credit_is_not_a_currency(opened: Any, tmp_path: Path) -> None:
    orders(tmp_path, "o.csv", ["$10", "$4.50 CR", "CR $4.50", "2.50 Cr.", "2.50 DR"])
    assert total(opened, files="o.csv") == (10 - 4.5 - 4.5 - 2.5 + 2.5, "")


def test_ambiguous_numbers_stay_in_doubt_if_a_column_has_both_decimal_marks(opened: Any, tmp_path: Path) -> None:
    orders(tmp_path, "o.csv", ["950,50", "1.200", "88,10", "12.50", "13.75", "14.25"])
    found, look = total(opened, files="o.csv")
    assert found == pytest.approx(950.5 + 1.2 + 88.1 + 12.5 + 13.75 + 14.25)
    assert look.startswith("Warning: paid: 1 cell such as '1.200' can be read two ways")
    assert "1,080.30" in look and "2,279.10" in look
    assert "both decimal marks: 3 cells with a point, 2 cells with a comma" in look


def test_files_with_different_forms_are_read_separately(opened: Any, tmp_path: Path) -> None:
    orders(tmp_path, "eu.csv", ["950,50", "1.200", "88,10"])
    orders(tmp_path, "us.csv", ["1,200", "950.25", "1,310.00"])
    assert total(opened, files=["eu.csv", "us.csv"]) == (950.5 + 1200 + 88.1 + 1200 + 950.25 + 1310, "")


def test_files_with_different_forms_leave_a_third_in_doubt(opened: Any, tmp_path: Path) -> None:
    orders(tmp_path, "eu.csv", ["950,50", "1.200", "88,10"])
    orders(tmp_path, "us.csv", ["1,310.00", "950.25", "1,200.50"])
    orders(tmp_path, "which.csv", ["1.300", "850"])
    found, look = total(opened, files=["eu.csv", "us.csv", "which.csv"])
    known = 950.5 + 1200 + 88.1 + 1310 + 950.25 + 1200.5
    assert found == pytest.approx(known + 1.3 + 850)
    assert "1 cell such as '1.300'" in look and f"{known + 851.3:,.2f}" in look and f"{known + 2150:,.2f}" in look


def test_text_among_the_numbers_of_a_workbook_is_in_doubt(opened: Any, tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in (["id", "day", "paid"], *([f"c{i}", "2024-01-05", 12.5] for i in range(29)), ["c29", "2024-01-05", "1.200"]):
        book.active.append(row)
    book.save(tmp_path / "o.xlsx")
    found, look = total(opened, files="o.xlsx")
    assert found == pytest.approx(29 * 12.5 + 1.2)
    assert "1 cell such as '1.200' can be read two ways" in look and "363.70" in look and "1,562.50" in look


CURRENCIES = "Warning: amounts are in several currencies, as ccy says: EUR (3 rows), USD (2 rows)"


def with_currency(folder: Path, name: str, currencies: Sequence[str]) -> None:
    rows = "".join(f"c{i};2024-01-05;{i}.50;{currency}\n" for i, currency in enumerate(currencies))
    (folder / name).write_text(f"id;day;paid;ccy\n{rows}")


@pytest.mark.parametrize("files", [["EUR", "USD", "eur", "", "usd", "EUR"], ["EUR", "EUR", "EUR"], ["USD"] * 5])
def test_currencies_in_their_own_column_are_counted(opened: Any, tmp_path: Path, files: list[str]) -> None:
    with_currency(tmp_path, "o.csv", files)
    _, look = total(opened, files="o.csv")
    assert look.startswith(CURRENCIES) is (len(set(files)) > 1) and bool(look) is (len(set(files)) > 1)


def test_currencies_are_counted_over_all_files(opened: Any, tmp_path: Path) -> None:
    with_currency(tmp_path, "1.csv", ["EUR"] * 3)
    with_currency(tmp_path, "2.csv", ["USD"] * 2)
    _, look = total(opened, files=["1.csv", "2.csv"])
    assert look.startswith(CURRENCIES) and look.endswith("with leave_out: UPPER(ccy) <> 'EUR'")


CONVERTED = "CASE WHEN ccy = 'USD' THEN paid * 0.9 ELSE paid END"


@pytest.mark.parametrize("settings", [{"leave_out": "UPPER(ccy) <> 'EUR'"}, {"columns": COLUMNS | {"amount": CONVERTED}}])
def test_currencies_left_out_or_converted_are_not_reported(opened: Any, tmp_path: Path, settings: dict[str, Any]) -> None:
    with_currency(tmp_path, "o.csv", ["EUR", "EUR", "USD"])
    assert total(opened, files="o.csv", **settings)[1] == ""


def test_a_currency_column_without_currencies_is_not_reported(opened: Any, tmp_path: Path) -> None:
    with_currency(tmp_path, "o.csv", ["coin", "note", "EUR", "USD"])
    assert total(opened, files="o.csv")[1] == ""


def test_the_decimal_mark_of_an_expression_is_that_of_its_columns(opened: Any, tmp_path: Path) -> None:
    (tmp_path / "o.csv").write_text("id;day;qty;price\nc1;2024-01-05;2;1.200\nc1;2024-01-05;1;12,50\n")
    rows = opened(transactions={"files": "o.csv", "columns": COLUMNS | {"amount": "qty * COALESCE(price, '0')"}}).rows()
    assert [row["amount"] for row in rows] == [2400, 12.5]
