"""The first settings file: what is proposed for whose files, and that the settings accept it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from segmentation_assets.settings_source import Tables
from segmentation_assets.sources.first_settings import look_at, write


def proposed(folder: Path, *names: str) -> tuple[dict[str, Any], str]:
    """The source section, accepted by the settings, and the whole text."""
    text = write(look_at([folder / name for name in names]), folder)
    source = yaml.safe_load(text)["source"]
    Tables.model_validate(source)
    return source, text


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    rows = "".join(f"c{i % 30},{i % 28 + 1:02d}.01.2024,{i},9.5\n" for i in range(100))
    (tmp_path / "orders.csv").write_text("customer_id,date,qty,price\n" + rows)
    return tmp_path


def test_a_wrong_date_and_a_wrong_price_refuse_no_file(orders: Path) -> None:
    with (orders / "orders.csv").open("a") as file:
        file.write("c1,soon,1,free\n")
    source, text = proposed(orders, "orders.csv")
    assert source["transactions"][0]["columns"] == {
        "customer_id": "customer_id",
        "ordered_at": "date",
        "amount": "qty * price",
        "quantity": "qty",
    }
    assert "TODO" not in text


def test_events_are_no_customers(orders: Path) -> None:
    rows = "".join(f"c{i % 5},visit,2024-01-{i % 28 + 1:02d},home\n" for i in range(20))
    (orders / "log.csv").write_text("customer_id,type,at,page\n" + rows)
    (orders / "people.csv").write_text("customer_id,city\nc1,Bonn\nc2,Ulm\n")
    source, _ = proposed(orders, "orders.csv", "log.csv", "people.csv")
    assert [table["columns"] for table in source["events"]] == [
        {"customer_id": "customer_id", "event_type": "type", "event_at": "at", "subject": "page"}
    ]
    assert [table["files"] for table in source["customers"]] == ["people.csv"]


def test_ids_that_repeat_are_no_customers_whatever_else_is_there(orders: Path) -> None:
    (orders / "log.csv").write_text("customer_id,remark\n" + "c1,hello\n" * 3)
    source, text = proposed(orders, "orders.csv", "log.csv")
    assert "customers" not in source
    assert "# Not used: log.csv, because the customer's ids repeat" in text


def test_a_folder_of_files_that_are_alike_is_one_table(tmp_path: Path) -> None:
    (tmp_path / "exports").mkdir()
    for month in (1, 2, 3):
        (tmp_path / "exports" / f"{month}.csv").write_text(f"customer_id,date,amount\nc1,2024-0{month}-05,3\n")
    source, text = proposed(tmp_path, "exports")
    assert [table["files"] for table in source["transactions"]] == ["exports"]
    assert "orders are dated 2024-01-05 to 2024-03-05" in text


def test_where_nothing_fits_a_skeleton_says_what_to_fill_in(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("customer_id,b\nc1,hello\n")
    source, _ = proposed(tmp_path, "x.csv")
    assert source["transactions"][0]["columns"] == {"customer_id": "customer_id", "ordered_at": "TODO", "amount": "TODO"}
