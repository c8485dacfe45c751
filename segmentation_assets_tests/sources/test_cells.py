"""Cells: words for missing values, invisible blanks, and dates as shops and spreadsheets export them."""

import datetime as dt
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from segmentation_assets.settings.source import Reading
from segmentation_assets.sources import guessing
from segmentation_assets.sources.cells import DATE_FORMATS, Cells
from segmentation_assets.sources.intake_record import worth_a_look
from segmentation_assets.sources.reading import connect

BACKEND = connect()


def column(cells: Sequence[Any]) -> ibis.Table:
    return ibis.memtable({"cell": list(cells), "place": range(len(cells))})


def texts(cells: Sequence[str], **reading: Any) -> list[str | None]:
    table = column(cells)
    read = Cells(Reading.model_validate(reading)).text(table.cell)
    return [row["read"] for row in BACKEND.to_pyarrow(table.select("place", read=read).order_by("place")).to_pylist()]


def times(cells: Sequence[Any], **reading: Any) -> list[dt.datetime | None]:
    """The cells as times, in formats guessed from them."""
    table, settings = column(cells), Reading.model_validate(reading)
    formats = guessing.date_formats(BACKEND, table.cell, settings)
    read = Cells(settings, formats).timed(table, table.cell, place=table.place)
    return [row["time"] for row in BACKEND.to_pyarrow(read.order_by("place")).to_pylist()]


@pytest.mark.parametrize(
    "cell",
    ["None", r"\N", "n/a", "#N/A", "(null)", "[NULL]", "<NA>", "Null", "undefined", "-", "--", "?", "N.A.", "NIL", "missing", "unbekannt",
     "NA", "nan", "\u2013", "  none ", "\xa0-\xa0", "\u200b", "\u3000", "", " "],
)  # fmt: skip
def test_a_word_for_a_missing_value_is_missing(cell: str) -> None:
    assert texts([cell]) == [None]


def test_text_that_only_begins_like_a_missing_value_is_kept() -> None:
    cells = ["Missing Persons", "n123", "u1", "-5", "none of it", "Nora", "N", "na1", "?!", "(null) island", "\\Name", "Unbekannte"]
    assert texts(cells) == cells


def test_missing_values_in_the_settings_replace_the_list() -> None:
    assert texts(["NA", "gast", "GAST", "-"], missing_values=["Gast"]) == ["NA", None, None, "-"]


def test_invisible_blanks_around_a_text_are_removed() -> None:
    cells = [
        "\u200bann@example.org",
        "ann@example.org\xa0",
        "\ufeffann@example.org\u202f",
        "\u2060 ann@example.org \u200d",
        "\u3000ann@example.org",
    ]
    assert texts(cells) == ["ann@example.org"] * 5
    assert texts(["Zoë", "a\xa0b", "né "]) == ["Zoë", "a\xa0b", "né"]


AFTERNOON = dt.datetime(2024, 1, 5, 14, 30, 12)


@pytest.mark.parametrize(
    ("cell", "time"),
    [
        ("2024-01-05 14:30:12 -0500", AFTERNOON + dt.timedelta(hours=5)),
        ("2024-01-05 14:30:12 +01:00", AFTERNOON - dt.timedelta(hours=1)),
        ("2024-01-05T14:30:12-05:00", AFTERNOON + dt.timedelta(hours=5)),
        ("2024-01-05T14:30:12.123Z", AFTERNOON.replace(microsecond=123_000)),
        ("2024-01-05 14:30:12 UTC", AFTERNOON),
        ("Jan 5, 2024, 2:30 PM", AFTERNOON.replace(second=0)),
        ("Jan 5, 2024, 2:30\u202fPM", AFTERNOON.replace(second=0)),
        ("Jan 5, 2024, 2:30:12 PM", AFTERNOON),
        ("Jan 5, 2024 2:30:12 pm", AFTERNOON),
        ("Jan 5, 2024 at 2:30 PM", AFTERNOON.replace(second=0)),
        ("January 5, 2024 2:30 pm", AFTERNOON.replace(second=0)),
        ("January 25, 2024 at 2:30 PM", AFTERNOON.replace(day=25, second=0)),
        ("1/25/2024 2:30:12 PM", AFTERNOON.replace(day=25)),
        ("1/25/2024, 2:30:12 PM", AFTERNOON.replace(day=25)),
        ("25/01/2024, 14:30:12", AFTERNOON.replace(day=25)),
        ("25.1.2024, 14:30:12", AFTERNOON.replace(day=25)),
        ("25.01.24 14:30", AFTERNOON.replace(day=25, second=0)),
        ("5 Jan 2024 14:30", AFTERNOON.replace(second=0)),
        ("05-Jan-2024 14:30:12", AFTERNOON),
        ("Fri, 05 Jan 2024 14:30:12 +0100", AFTERNOON - dt.timedelta(hours=1)),
        ("Jan 5, 2024 2:30:12 PM PST", AFTERNOON + dt.timedelta(hours=8)),
        ("Jul 5, 2024 2:30:12 PM PDT", AFTERNOON.replace(month=7) + dt.timedelta(hours=7)),
        ("25.01.2024 14:30:12 UTC", AFTERNOON.replace(day=25)),
        ("9/25/2024 6:29:00", dt.datetime(2024, 9, 25, 6, 29)),
        ("25-01-24", dt.datetime(2024, 1, 25)),
        ("01-25-24", dt.datetime(2024, 1, 25)),
        ("25-1-24 14:30", dt.datetime(2024, 1, 25, 14, 30)),
        ("5/1/24", dt.datetime(2024, 1, 5)),
        ("05-01-99", dt.datetime(1999, 1, 5)),
        ("05/01/2024 02:30 p.m.", AFTERNOON.replace(second=0)),
        ("05/01/2024 2:30:12 P. M.", AFTERNOON),
        ("January 5th, 2024", dt.datetime(2024, 1, 5)),
        ("August 21st, 2024", dt.datetime(2024, 8, 21)),
        ("05.01.2024, 14:30 Uhr", AFTERNOON.replace(second=0)),
        ("05.01.2024 14:30:12 Uhr", AFTERNOON),
        ("20240105T143012", AFTERNOON),
        ("05-JAN-24 02.30.12.000000 PM", AFTERNOON),
        ("05-JAN-24 02.30.12.000000000 PM", AFTERNOON),
        ("Jan  5 2024  2:30PM", AFTERNOON.replace(second=0)),
        ("Fri Jan 05 2024 14:30:12 GMT+0100 (Central European Standard Time)", AFTERNOON - dt.timedelta(hours=1)),
        ("1704465012", AFTERNOON),
        ("1704465012.0", AFTERNOON),
        ("1704465012000", AFTERNOON),
        ("1704465012000000", AFTERNOON),
        ("45296,604305555556", AFTERNOON),
        ("20240105", dt.datetime(2024, 1, 5)),
        ("45296", dt.datetime(2024, 1, 5)),
        ("45296.604305555556", AFTERNOON),
    ],
)
def test_dates_are_read_as_exports_write_them(cell: str, time: dt.datetime) -> None:
    assert times([cell, cell]) == [time, time]


def test_every_date_format_fits_the_shape_of_its_own_output() -> None:
    formats = [written for written in DATE_FORMATS if "%" in written]
    texts = [AFTERNOON.replace(tzinfo=dt.UTC).strftime(written.replace("%n", "%f")) for written in formats]
    rows = column([*texts, *(re.sub(r"\b(0?5)\b", "5th", text).replace("PM", "p. m.") + " Uhr" for text in texts)])
    shapes = BACKEND.to_pyarrow(rows.select("place", shape=guessing._shape_of(rows.cell)).order_by("place"))["shape"].to_pylist()
    assert [w for w, shape in zip([*formats, *formats], shapes, strict=True) if not guessing._shape(w).fullmatch(shape)] == []


def test_day_numbers_of_a_spreadsheet_are_read_alone_or_among_dates() -> None:
    assert times(["45296", "45297.5"]) == [dt.datetime(2024, 1, 5), dt.datetime(2024, 1, 6, 12)]
    assert times([45296.0, 45297.5]) == [dt.datetime(2024, 1, 5), dt.datetime(2024, 1, 6, 12)]
    assert times(["2024-01-05"] * 9 + ["45297"])[-1] == dt.datetime(2024, 1, 6)
    assert times(["05.01.2024", "45297"], date_format="%d.%m.%Y") == [dt.datetime(2024, 1, 5), dt.datetime(2024, 1, 6)]
    assert times(["45297", "1704412800"], date_format="unix") == [dt.datetime(1970, 1, 1, 12, 34, 57), dt.datetime(2024, 1, 5)]
    assert times(["20240105", "2024", "453", "99999"]) == [dt.datetime(2024, 1, 5), None, None, None]


@pytest.mark.parametrize("mark", ["-", "/", "."])
def test_the_two_digits_that_vary_least_are_the_year(mark: str) -> None:
    days = [dt.datetime(2024, month, day) for month, day in ((1, 5), (1, 9), (2, 11))]
    assert times([f"{day:%y{mark}%m{mark}%d}" for day in days]) == days
    assert times([f"{day:%d{mark}%m{mark}%y}" for day in days]) == days


def test_years_of_two_and_four_digits_in_one_column_are_read() -> None:
    assert times(["05/01/24", "06/01/2024", "25/01/24"]) == [dt.datetime(2024, 1, day) for day in (5, 6, 25)]


def test_a_two_digit_year_is_not_in_the_first_century() -> None:
    assert times(["05-01-24", "05-01-24 10:00:00", "5-1-24", "0001-01-01"], date_format="ISO 8601") == [None] * 3 + [dt.datetime(1, 1, 1)]
    assert times(["05/01/24", "05/01/2024"], date_format="%d/%m/%Y") == [None, dt.datetime(2024, 1, 5)]


@pytest.mark.parametrize(
    ("written", "others"),
    [
        ("%Y-%m-%d", {}),
        ("%d/%m/%Y %H:%M", {"if day and month are the other way round": "%m/%d/%Y %H:%M"}),
        ("%d-%m-%y", {"if day and month are the other way round": "%m-%d-%y", "if the year comes first": "%y-%m-%d"}),
        ("%y.%m.%d %H:%M", {"if the year comes last": "%d.%m.%y %H:%M"}),
    ],
)
def test_other_readings_of_a_date_format_are_listed(written: str, others: dict[str, str]) -> None:
    assert guessing.other_readings([written]) == others


def test_times_with_a_zone_keep_it() -> None:
    read = times(
        ["2024-01-05 14:30:12", "2024-01-05 14:30:12 UTC", "2024-01-05T14:30:12-05:00", "2024-01-05 2:30 PM"], timezone="Europe/Berlin"
    )
    assert read == [AFTERNOON - dt.timedelta(hours=1), AFTERNOON, AFTERNOON + dt.timedelta(hours=5), dt.datetime(2024, 1, 5, 13, 30)]
    assert times(["45296", "45296.5"], timezone="Europe/Berlin") == [dt.datetime(2024, 1, 5), dt.datetime(2024, 1, 5, 11)]


COLUMNS = {"customer_id": "id", "ordered_at": "day", "amount": "paid"}


def test_day_numbers_are_reported_even_beyond_the_sample(opened: Any, tmp_path: Path) -> None:
    lines = "".join(f"c,{day},1\n" for day in ["2024-01-05"] * 10_100 + ["45297"])
    (tmp_path / "o.csv").write_text(f"id,day,paid\n{lines}")
    source = opened(transactions={"files": "o.csv", "columns": COLUMNS})
    assert source.rows()[-1]["ordered_at"] == dt.datetime(2024, 1, 6)
    assert worth_a_look(source.source.kept("transactions")) == [
        "Day numbers of Excel, such as 45300 for 2024-01-09, were read as dates in 1 row"
    ]


def test_ids_that_are_inexact_floats_are_reported(opened: Any, tmp_path: Path) -> None:
    ids = pa.array([2.0**53 - 1, 12345678901234567890.0, 17850.0], pa.float64())
    pq.write_table(pa.table({"id": ids, "day": [dt.date(2024, 1, 5)] * 3, "paid": [1.0] * 3}), tmp_path / "o.parquet")
    source = opened(transactions={"files": "o.parquet", "columns": COLUMNS})
    assert [row["customer_id"] for row in source.rows()][::2] == ["9007199254740991", "17850"]
    assert "ids were rounded in 1 row," in worth_a_look(source.source.kept("transactions"))[0]


def test_ids_rounded_by_a_spreadsheet_are_reported(opened: Any, tmp_path: Path) -> None:
    (tmp_path / "o.csv").write_text("id,day,paid\n7.10000E+12,2024-01-05,1\n7.1E+12,2024-01-05,1\n1E5,2024-01-05,1\n")
    source = opened(transactions={"files": "o.csv", "columns": COLUMNS})
    assert "ids were rounded in 2 rows," in worth_a_look(source.source.kept("transactions"))[0]


def test_an_empty_returned_order_id_is_not_unreadable(opened: Any, tmp_path: Path) -> None:
    (tmp_path / "o.csv").write_text("id,day,paid,no\nc1,2024-01-05,1,1001\nc1,2024-01-06,-1,C1001\n")
    columns = {**COLUMNS, "order_id": "no", "returned_order_id": "CASE WHEN no LIKE 'C%' THEN SUBSTRING(no, 2) END"}
    rows = opened(transactions={"files": "o.csv", "columns": columns}).rows()
    assert [(row["returned_order_id"], row["unread"]) for row in rows] == [(None, None), ("1001", None)]
