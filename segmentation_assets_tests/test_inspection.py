"""What `segmentation check` says of a source before any run."""

from pathlib import Path
from typing import Any

from segmentation_assets.inspection import inspect
from segmentation_assets.settings import Settings

ORDERS = {"files": "orders.csv", "columns": {"customer_id": "id", "ordered_at": "day", "amount": "paid", "discount": "off"}}
CUSTOMERS = {"files": "people.csv", "columns": {"customer_id": "id", "consent": "OptIn"}}


def lines(folder: Path, people: str, orders: str = "c1,2024-01-05,3,\n", header: str = "id,OptIn") -> list[str]:
    (folder / "orders.csv").write_text("id,day,paid,off\n" + orders, encoding="utf-8")
    (folder / "people.csv").write_text(f"{header}\n{people}", encoding="utf-8")
    source: dict[str, Any] = {"kind": "tables"} | {
        entity: {**table, "files": str(folder / table["files"])} for entity, table in (("transactions", ORDERS), ("customers", CUSTOMERS))
    }
    snapshots = {"first": "2024-02-01", "last": "2024-05-01"}
    return inspect(Settings(**{"data_dir": str(folder / "data"), "snapshots": snapshots, "source": source})).lines


def test_unreadable_cells_are_counted_by_column_with_an_example(tmp_path: Path) -> None:
    found = lines(tmp_path, "c1,jawohl\nc2,ja\nc3,eh\nc4,\n", "c1,2024-01-05,3,half\n")
    assert "    consent: 2 cells unreadable, such as 'jawohl'" in found
    assert "    discount: 1 cell unreadable, such as 'half'" in found


def test_less_history_than_the_lookback_is_told_before_it_looks_like_drift(tmp_path: Path) -> None:
    told = "Before the first snapshot lie 1 of the 12 windows of the lookback: until 2025-01-01 history grows, which is reported as drift. "
    assert told + "To avoid it, set features.lookback: 1, or a later snapshots.first." in lines(tmp_path, "c1,ja\n", "c1,2024-01-02,3,\n")
    assert not [line for line in lines(tmp_path, "c1,ja\n", "c1,2023-02-01,3,\n") if "lookback: " in line]


def test_yes_and_no_in_six_languages(tmp_path: Path) -> None:
    words = ["ja", "nein", "oui", "non", "si", "sí", "sì", "no", "JA", "nee", "y", "N", "t", "f", "on", "off", "Wahr", "falsch"]
    found = lines(tmp_path, "".join(f"c{i},{word}\n" for i, word in enumerate(words)))
    assert not [line for line in found if "unreadable" in line]


def test_attributes_are_shown_as_they_are_read_with_what_could_not_be(tmp_path: Path) -> None:
    people = "".join(f"c{i},ja,{i + 20},5{i}\n" for i in range(30)) + "c30,ja,old,01234\n"
    found = lines(tmp_path, people, header="id,OptIn,age,plz")
    assert "    attributes: age (number), plz (text)" in found
    assert "    age: 1 cell unreadable, such as 'old'" in found


def test_amounts_that_repeat_on_each_line_of_an_order_are_told(tmp_path: Path) -> None:
    orders = "".join(f"c{o},2024-01-05,{10 + o},{line},#{o}\n" for o in range(4) for line in range(2))
    (tmp_path / "orders.csv").write_text("id,day,paid,sku,order\n" + orders)
    columns = {"customer_id": "id", "ordered_at": "day", "amount": "paid", "product_id": "sku", "order_id": "order"}
    table = {"files": str(tmp_path / "orders.csv"), "columns": columns}
    settings = {"data_dir": str(tmp_path / "data"), "snapshots": {"first": "2024-02-01", "last": "2024-02-01"}}
    by_line = inspect(Settings(**settings, source={"kind": "tables", "transactions": table})).lines
    assert any("in 4 of 4 orders of several lines, each line has the same amount" in line and "46.00" in line for line in by_line)
    by_order = inspect(Settings(**settings, source={"kind": "tables", "transactions": {**table, "amount_is": "order"}})).lines
    assert not any("same amount" in line for line in by_order)
    assert any("amounts of the order, counted once" in line for line in by_order)
