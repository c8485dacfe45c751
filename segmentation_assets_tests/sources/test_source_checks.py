"""Checks of a source: a wrong cell passes, and a column that becomes unreadable stops the snapshot."""

import dataclasses
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest

from segmentation_assets.defs.checks.source import ColumnsRead, changed_columns, columns_check, no_longer_read, remembered_columns
from segmentation_assets.settings.loading import Settings
from segmentation_assets.sources.guessing import combined_types
from segmentation_assets.sources.intake_record import IntakeRecord
from segmentation_assets_tests.builders import put

COLUMNS = {"customer_id": "id", "ordered_at": "day", "amount": "paid"}


def write(folder: Path, name: str, month: int, prices: list[str]) -> None:
    rows = "".join(f"c{i},2024-{month:02d}-{i % 28 + 1:02d},{price}\n" for i, price in enumerate(prices))
    (folder / name).write_text("id,day,paid\n" + rows)


def checked(opened: Any, lake: Any, tmp_path: Path, files: dict[str, tuple[int, list[str]]]) -> dg.AssetCheckResult:
    """The column check of March's snapshot, after that of February's."""
    (tmp_path / "orders").mkdir()
    for name, (month, prices) in files.items():
        write(tmp_path / "orders", name, month, prices)
    snapshots = {"first": "2024-02-01", "last": "2024-03-01", "cadence": "monthly"}
    source = {"kind": "tables", "transactions": {"files": str(tmp_path / "orders"), "columns": COLUMNS}}
    settings = Settings(**{"data_dir": str(tmp_path), "snapshots": snapshots, "source": source})
    check = columns_check("transactions")
    tables = opened(transactions=source["transactions"]).source
    for key, month in (("2024-02-01", 1), ("2024-03-01", 2)):
        put(lake, "raw_transactions", key, *[{"source_file": name} for name, (its, _) in files.items() if its == month])
        result = check(dg.build_op_context(partition_key=key), settings, tables, lake)
    return result


GOOD = ["1.5"] * 100


def test_one_unreadable_cell_stops_nothing(opened: Any, lake: Any, tmp_path: Path) -> None:
    found = checked(opened, lake, tmp_path, {"1.csv": (1, GOOD), "2.csv": (2, [*GOOD, "ask"])})
    assert (found.passed, found.metadata["columns"].value["paid"]) == (True, "number")


def test_a_column_that_becomes_unreadable_stops_the_snapshot(opened: Any, lake: Any, tmp_path: Path) -> None:
    found = checked(opened, lake, tmp_path, {"1.csv": (1, GOOD), "2.csv": (2, ["ask", "1"] * 50)})
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert "paid was number, is text. paid is mapped" in (found.description or "")


def test_a_column_that_becomes_readable_is_a_warning(opened: Any, lake: Any, tmp_path: Path) -> None:
    found = checked(opened, lake, tmp_path, {"1.csv": (1, ["ask", "1"] * 50), "2.csv": (2, GOOD)})
    assert (found.passed, found.severity, found.description) == (False, dg.AssetCheckSeverity.WARN, "paid was text, is number")


@pytest.mark.parametrize(("last", "kind"), [(2, "number"), (50, "text")])
def test_all_files_decide_the_types_not_only_the_last(opened: Any, tmp_path: Path, last: int, kind: str) -> None:
    (tmp_path / "orders").mkdir()
    write(tmp_path / "orders", "1.csv", 1, GOOD)
    write(tmp_path / "orders", "2.csv", 1, ["ask"] * last)
    kept = opened(transactions={"files": "orders", "columns": COLUMNS}).source.kept("transactions")
    assert combined_types(kept)["paid"] == kind
    assert combined_types([dataclasses.replace(file, columns={"paid": "empty"}) for file in kept]) == {"paid": "empty"}


def compared(tables: list[tuple[str, str]], windows: list[set[str]]) -> list[tuple[dict[str, str], list[str]]]:
    """The changes and stops in each window, for tables given by the name and type of a column, with one file each."""
    kept = {
        name: [IntakeRecord("", f"{name}.csv", 1, {"id": "text", column: kind}, (), (column,), False, (), {})]
        for name, (column, kind) in zip(("2023", "2024"), tables, strict=True)
    }
    before: dict[str, dict[str, str]] = {}
    results = []
    for used in windows:
        found = ColumnsRead.compared(kept, {f"{name}.csv" for name in used}, before)
        before = found.remembered
        results.append((found.changes, found.stops))
    return results


def test_a_table_without_rows_in_a_window_changes_no_columns_of_another() -> None:
    assert compared([("paid", "number"), ("total", "text")], [{"2023"}, {"2023", "2024"}, {"2024"}]) == [({}, [])] * 3


def test_columns_are_compared_across_a_window_without_rows() -> None:
    kinds = {"a": "number", "b": "text"}
    files = {"orders": [IntakeRecord("", name, 1, {"paid": kind}, (), ("paid",), False, (), {}) for name, kind in kinds.items()]}
    first = ColumnsRead.compared(files, {"a"}, {})
    silent = ColumnsRead.compared(files, set(), first.remembered)
    last = ColumnsRead.compared(files, {"b"}, silent.remembered)
    assert (silent.now, silent.changes, silent.stops) == ({}, {}, [])
    assert (last.changes, last.stops) == ({"paid": "was number, is text"}, ["paid"])


def test_types_stored_for_all_tables_together_are_used_if_there_is_only_one(tmp_path: Path) -> None:
    (tmp_path / "2024-02-01.json").write_text('{"paid": "number"}')
    assert remembered_columns(tmp_path, "2024-02-01", ["orders"]) == {"orders": {"paid": "number"}}
    assert remembered_columns(tmp_path, "2024-02-01", ["orders", "more"]) == {}
    assert remembered_columns(tmp_path, "2024-01-01", ["orders"]) == {}


def test_files_with_the_same_name_in_two_tables_are_distinguished(opened: Any, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder, "orders.csv", 1, ["1"])
    source = opened(transactions=[{"files": f"{folder}/orders.csv", "columns": COLUMNS} for folder in ("a", "b")])
    assert {(row["source_file"], row["row_number"]) for row in source.rows("transactions")} == {
        ("orders.csv", 1), ("orders.csv (table 2)", 1)
    }  # fmt: skip


def test_only_columns_that_become_unreadable_stop() -> None:
    before = {"a": "number", "b": "date", "c": "text", "d": "number", "e": "number"}
    now = {"a": "text", "b": "number", "c": "number", "d": "empty", "e": "number"}
    assert no_longer_read(before, now) == ["a", "b"]
    assert no_longer_read(None, now) == []
    assert sorted(changed_columns(before, now)) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("before", "now", "types", "severity"),
    [
        (pa.float64(), pa.string(), {}, dg.AssetCheckSeverity.ERROR),
        (pa.date32(), pa.string(), {}, dg.AssetCheckSeverity.ERROR),
        (pa.float64(), pa.string(), {"x": "text"}, dg.AssetCheckSeverity.WARN),
        (pa.string(), pa.float64(), {}, dg.AssetCheckSeverity.WARN),
    ],
)
def test_a_changed_type_of_an_attribute_is_always_reported(
    opened: Any, lake: Any, tmp_path: Path, before: pa.DataType, now: pa.DataType, types: dict[str, str], severity: dg.AssetCheckSeverity
) -> None:
    (tmp_path / "p.csv").write_text("id,x\nc,1\n")
    customers = {"files": str(tmp_path / "p.csv"), "columns": {"customer_id": "id"}, "attribute_types": types}
    source = {"kind": "tables", "customers": customers, "transactions": {"files": "none.csv", "columns": COLUMNS}}
    snapshots = {"first": "2024-02-01", "last": "2024-03-01", "cadence": "monthly"}
    settings = Settings(**{"data_dir": str(tmp_path), "snapshots": snapshots, "source": source})
    check = columns_check("customers")
    tables = opened(transactions=source["transactions"], customers=customers).source
    put(lake, "raw_customers", "2024-02-01", {"x": None}, x=before)
    put(lake, "raw_customers", "2024-03-01", {"x": None}, x=now)
    found = check(dg.build_op_context(partition_key="2024-03-01"), settings, tables, lake)
    assert (found.passed, found.severity) == (False, severity)
    assert found.description.startswith("x was")
    assert ("attribute_types: {x: number}" in found.description) == (severity == dg.AssetCheckSeverity.ERROR)
