"""Customer attributes: nearly all cells over all files decide the type, and unreadable cells are listed."""

import datetime as dt
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from segmentation_assets_tests.conftest import examples
from segmentation_assets_tests.sources.conftest import opened_in

CUSTOMERS = {"files": "people", "columns": {"customer_id": "id"}}
ORDERS = {"files": "orders.csv", "columns": {"customer_id": "id", "ordered_at": "day", "amount": "paid"}}


def read(opened: Any, folder: Path, *files: list[str], **further: Any) -> list[dict[str, Any]]:
    """The customers in files with one attribute `x` and the given cells."""
    (folder / "people").mkdir()
    for number, cells in enumerate(files):
        rows = "".join(f"c{number}-{i:03},{cell}\n" for i, cell in enumerate(cells))
        (folder / "people" / f"{number}.csv").write_text("id,x\n" + rows)
    return opened(transactions=ORDERS, customers={**CUSTOMERS, **further}).rows("customers")


NUMBERS = [str(i) for i in range(1, 20)]


def test_one_bad_cell_is_missing_and_listed(opened: Any, tmp_path: Path) -> None:
    rows = read(opened, tmp_path, [*NUMBERS, "ask"])
    assert [row["x"] for row in rows] == [*map(float, NUMBERS), None]
    assert [(row["unread"], row["record"]) for row in rows if row["unread"]] == [("x", '{"id":"c0-019","x":"ask"}')]


def test_a_customer_who_may_be_set_aside_keeps_the_original_record(opened: Any, tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("id,x,name\n,07,Ann\nc1,08,Bo\n5.0,1,Cy\n5,2,Di\n")
    table = {"files": "people.csv", "columns": {"customer_id": "id"}, "attributes": ["x"]}
    rows = opened(transactions=ORDERS, customers=table).rows("customers")
    assert [row["record"] for row in rows] == [
        '{"id":null,"x":"07","name":"Ann"}', None, '{"id":"5.0","x":"1","name":"Cy"}', '{"id":"5","x":"2","name":"Di"}',
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        ([*NUMBERS, "ask", "ask"], str),  # 19 of 21
        ([*NUMBERS, "01234"], str),
        ([*NUMBERS, "0"], float),
        ([*NUMBERS, "0.5"], float),
        ([*NUMBERS, "", "NA"], float),
        (["2024-01-05"] * 19 + ["soon"], dt.date),
        (["2024-01-05"] * 10 + ["soon"] * 10, str),
    ],
)
def test_nearly_all_cells_decide_the_type_of_an_attribute(opened: Any, tmp_path: Path, cells: list[str], kind: type) -> None:
    assert {type(row["x"]) for row in read(opened, tmp_path, cells) if row["x"] is not None} == {kind}


def test_all_files_decide_the_type(opened: Any, tmp_path: Path) -> None:
    rows = read(opened, tmp_path, ["ask"], NUMBERS)
    assert [row["x"] for row in rows] == [None, *map(float, NUMBERS)]


def test_a_type_in_the_settings_is_used(opened: Any, tmp_path: Path) -> None:
    rows = read(opened, tmp_path, [*NUMBERS, "01234"], attribute_types={"x": "number"})
    assert rows[-1]["x"] == 1234.0


def test_dates_of_a_typed_file_are_dates(opened: Any, tmp_path: Path) -> None:
    (tmp_path / "people").mkdir()
    when = dt.datetime(1980, 2, 3, 4, 5)
    pq.write_table(pa.table({"id": ["c"], "born": [when.date()], "seen": [when]}), tmp_path / "people" / "1.parquet")
    (row,) = opened(transactions=ORDERS, customers=CUSTOMERS).rows("customers")
    assert (row["born"], row["seen"]) == (when.date(), when.date())


@examples(8, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(
    cells=st.lists(
        st.one_of(st.text(max_size=8), st.sampled_from(["1", "2.5", "01", "1e999", "nan", "NA", "2024-01-05", "-0", "9" * 400])),
        min_size=1,
        max_size=12,
    )
)
def test_every_customer_is_kept_whatever_the_cells(tmp_path_factory: Any, cells: list[str]) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "people").mkdir()
    quoted = (cell.encode("utf-8", "replace").decode().replace('"', '""') for cell in cells)
    text = "".join(f'"{i}","{cell}"\n' for i, cell in enumerate(quoted))
    (folder / "people" / "1.csv").write_bytes(('"id","x"\n' + text).encode())
    with opened_in(folder) as opened:
        rows = opened(transactions=ORDERS, customers={**CUSTOMERS, "delimiter": ","}).rows("customers")
    assert [row["customer_id"] for row in rows] == [str(i) for i in range(len(cells))]


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1.200", "850", "-"], [1200.0, 850.0, None]),
        (["1.200", "12.5", "N/A"], [1.2, 12.5, None]),
        (["R12", "R7", "none"], ["R12", "R7", None]),
        (["USD", "EUR", "kr"], ["USD", "EUR", "kr"]),
        (["R", "FT", "lei"], ["R", "FT", "lei"]),
        (["USD 5", "EUR 6", "kr"], ["USD 5", "EUR 6", "kr"]),
        (["1_000", "1_001", "1_002"], ["1_000", "1_001", "1_002"]),
        (["+49 170 123 456", "+49 170 123 457", "?"], ["+49 170 123 456", "+49 170 123 457", None]),
        (["(1)", "(2)", "(3)"], ["(1)", "(2)", "(3)"]),
        (["45296", "45297", "45298"], [45296.0, 45297.0, 45298.0]),
        (["Missing Persons", "-x", "Nil"], ["Missing Persons", "-x", None]),
    ],
)
def test_attributes_of_codes_are_not_mistaken_for_numbers(opened: Any, tmp_path: Path, cells: list[str], values: list[Any]) -> None:
    assert [row["x"] for row in read(opened, tmp_path, cells)] == values


def test_customer_files_with_the_same_name_are_distinguished(opened: Any, tmp_path: Path) -> None:
    for folder in ("shop", "web"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "people.csv").write_text(f"id,x\n{folder},1\n")
    tables = [{**CUSTOMERS, "files": f"{folder}/people.csv"} for folder in ("shop", "web")]
    rows = opened(transactions=ORDERS, customers=tables).rows("customers")
    assert [(row["source_file"], row["customer_id"]) for row in rows] == [("people.csv", "shop"), ("people.csv (table 2)", "web")]
