"""One record per customer from repeated rows, such as order lines: the newest values before the snapshot."""

import datetime as dt
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import ibis
import pyarrow as pa
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from segmentation_assets.core.customers import cleaning
from segmentation_assets.defs.checks.source import attribute_types, rejects_are_few
from segmentation_assets.engines.duckdb import DuckDBEngine
from segmentation_assets.settings.source import Tables
from segmentation_assets.sources.attributes import newest_records
from segmentation_assets.sources.base import Window
from segmentation_assets.sources.intake_record import PLACE
from segmentation_assets_tests.builders import D1, LOADED, put
from segmentation_assets_tests.conftest import examples
from segmentation_assets_tests.sources.conftest import Opened

DOCS = Path(__file__).parents[2] / "docs" / "bring-your-own-data.md"
CUSTOMERS = {
    "files": "orders.csv", "columns": {"customer_id": "id", "known_at": "day"}, "attributes": ["country", "age"],
    "attribute_types": {"age": "number"}, "repeats": "newest",
}  # fmt: skip
SCHEMA = pa.schema({
    **dict.fromkeys(("customer_id", "country", "unread", "record", "problem", "source_file"), pa.string()), "age": pa.float64(),
    "known_at": pa.timestamp("us"), "row_number": pa.int64(), PLACE: pa.int64(),
})  # fmt: skip
FOUND, ENGINE = ("country", "age", "record_rows"), DuckDBEngine(threads=1)
ORDERS = {"files": "orders.csv", "columns": {"customer_id": "id", "ordered_at": "day", "amount": "paid"}}


def until(month: int) -> Window:
    return Window(None, dt.date(2024, month, 1))


def records(source: Opened, window: Window) -> dict[str | None, dict[str, Any]]:
    return {row["customer_id"]: row for row in source.rows("customers", window)}


def opened_with(opened: Callable[..., Opened], folder: Path, *lines: str, **further: Any) -> Opened:
    (folder / "orders.csv").write_text("\n".join(["id,day,paid,country,age", *lines]) + "\n")
    return opened(transactions=ORDERS, customers={**CUSTOMERS, **further})


def test_the_example_in_the_docs_is_right(opened: Any, tmp_path: Path) -> None:
    text = DOCS.read_text(encoding="utf-8")
    described = next(block for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if "repeats: newest" in block)
    (tmp_path / "orders.csv").write_text(re.findall(r"```csv\n(order,buyer.*?)```", text, re.DOTALL)[0])
    source = opened(**{key: value for key, value in yaml.safe_load(described)["source"].items() if key != "kind"})
    seen = [{c: (row["country"], row["tier"]) for c, row in records(source, until(month)).items() if c} for month in (2, 3, 4)]
    assert seen == [
        {"Ann": ("DE", "basic"), "Bob": ("FR", "basic")},
        {"Ann": ("AT", "basic"), "Bob": ("FR", "basic")},
        {"Ann": ("AT", "basic"), "Bob": ("FR", "gold")},
    ]
    assert [row["record_rows"] for row in source.rows("customers", until(4))] == [1, 3, 2]  # lines without a customer, Ann's, Bob's


def test_the_newest_row_before_the_snapshot_counts_in_any_order_of_rows(opened: Any, tmp_path: Path) -> None:
    source = opened_with(opened, tmp_path, "a,2024-02-01,1,FR,3", "a,2024-01-31,1,DE,2", "a,2024-01-02,1,AT,1")
    assert records(source, until(2))["a"] | {"row_number": 2, "country": "DE", "age": 2.0} == records(source, until(2))["a"]
    assert records(source, until(3))["a"]["country"] == "FR"


def test_ids_and_values_that_cleaning_makes_equal_are_equal(opened: Any, tmp_path: Path) -> None:
    source = opened_with(opened, tmp_path, "7.0,2024-01-01,1,DE ,1", "7,2024-01-02,1,DE,1", " 7,2024-01-03,1,DE,2")
    (row,) = source.rows("customers", until(2))
    assert (row["record_rows"], row["record_changes"]) == (3, "age")


def test_customers_with_changed_values_are_counted_and_rows_tie_out(opened: Any, tmp_path: Path) -> None:
    lines = ["a,2024-01-01,1,DE,1", "a,2024-01-02,1,FR,1", "b,2024-01-01,1,DE,1", "c,2024-01-01,1,,", ",2024-01-01,1,DE,1", "d,soon,1,DE,1"]
    source = opened_with(opened, tmp_path, *lines, ",2024-01-09,1,AT,2", "e,2024-01-01,1,DE,1,more")
    judged = cleaning.judged_customers(source.source.customers(source.engine, until(2)))
    counts = source.engine.rows(judged.counts())[0]
    assert counts["country: changed over time, the newest value taken"] == 1
    assert counts["age: changed over time, the newest value taken"] == 0
    assert counts["combined into one record per customer"] == 8
    rejected = {row["reason"]: row for row in source.engine.rows(judged.rejected("customers"))}
    assert set(rejected) == {
        "customer id is missing, so no record is made of these rows",
        "row cannot be read: known_at is missing or is not a date",
        "row cannot be read: it has 6 cells, its header 5",
    }
    assert (counts["rows_in"], counts["rows_clean"]) == (6, 3)
    kept = source.engine.rows(judged.kept().order_by("customer_id"))
    assert [(row["customer_id"], row["country"]) for row in kept] == [("a", "FR"), ("b", "DE"), ("c", None)]
    assert list(attribute_types(judged.rows.select(*judged.columns))) == ["country", "age"]
    assert source.source.counts("customers", source.engine, {"x": until(2)}) == {"x": 6}


def test_an_unreadable_cell_is_listed_with_its_row(opened: Any, tmp_path: Path) -> None:
    source = opened_with(opened, tmp_path, "a,2024-01-01,1,DE,old", "a,2024-01-02,1,DE,")
    row = records(source, until(2))["a"]
    assert (row["age"], row["unread"], row["record"]) == (None, "age", '{"customer_id":"a","country":"DE","age":"old"}')


def test_the_newest_consent_counts(opened: Any, tmp_path: Path) -> None:
    columns = {**CUSTOMERS["columns"], "consent": "country"}  # type: ignore[dict-item]
    lines = ["a,2024-01-01,1,yes,", "a,2024-01-02,1,no,", "b,2024-01-01,1,yes,", "b,2024-01-02,1,,"]
    source = opened_with(opened, tmp_path, *lines, columns=columns, attributes=["age"])
    found = records(source, until(2))
    assert (found["a"]["consent"], found["a"]["record_changes"], found["b"]["consent"]) == (False, "consent", True)


def test_future_rows_change_nothing(opened: Any, tmp_path: Path) -> None:
    lines = ["a,2024-01-31,1,DE,1", "b,2024-01-02,1,,", ",2024-01-03,1,,"]
    before = opened_with(opened, tmp_path, *lines).rows("customers", until(2))
    after = opened_with(opened, tmp_path, *lines, "a,2024-02-01,1,FR,9", "c,2024-02-02,1,DE,1", ",2024-02-03,1,,")
    assert after.rows("customers", until(2)) == before
    assert after.rows("customers", until(3)) != before


LINE = st.fixed_dictionaries({
    "customer_id": st.sampled_from(["a", "7", "7.0", None]), "known_at": st.datetimes(dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 2)),
    "country": st.sampled_from(["DE", "FR", None]), "age": st.sampled_from([1.0, 2.0, None]),
})  # fmt: skip


@examples(15)
@given(lines=st.lists(LINE, max_size=12))
def test_records_equal_those_of_a_plain_loop_over_the_rows(lines: list[dict[str, Any]]) -> None:
    lines = sorted(lines, key=lambda line: line["known_at"])
    expected: dict[str | None, dict[str, Any]] = {}
    for line in lines:
        customer = line["customer_id"] and line["customer_id"].removesuffix(".0")
        record = expected.setdefault(customer, {"country": None, "age": None, "record_rows": 0})
        record["record_rows"] += 1
        if customer is not None:
            record |= {name: line[name] for name in ("country", "age") if line[name] is not None}
    texts = dict.fromkeys(("unread", "record", "problem"))
    own = [{**line, **texts, "source_file": "o", "row_number": n, PLACE: n} for n, line in enumerate(lines, start=1)]
    found = ENGINE.rows(newest_records(ibis.memtable(pa.Table.from_pylist(own, SCHEMA)), cleaning.RULES))
    assert {row["customer_id"] and row["customer_id"].removesuffix(".0"): {name: row[name] for name in FOUND} for row in found} == expected


def test_newest_needs_a_time_of_rows() -> None:
    table = {**CUSTOMERS, "columns": {"customer_id": "id"}}
    with pytest.raises(ValidationError, match="repeats: newest needs to know which row is newer; map known_at to a time"):
        Tables.model_validate({"kind": "tables", "transactions": ORDERS, "customers": table})


def share(lake: Any) -> dg.AssetCheckResult:
    strict = LOADED.model_copy(update={"cleaning": LOADED.cleaning.model_copy(update={"largest_reject_share": 0.05})})
    return rejects_are_few(dg.build_op_context(partition_key=D1), strict, lake)


def test_repeats_are_counted_and_do_not_stop_a_snapshot(lake: Any) -> None:
    put(lake, "raw_customers", D1, *[{}] * 10)
    repeats = [cleaning.REPEATED_CUSTOMER, f"{cleaning.REPEATED_CUSTOMER}, with other values: age"]
    put(lake, "rejected_rows", D1, *[{"source": "customers", "reason": reason} for reason in repeats * 3])
    found = share(lake)
    assert (found.passed, found.metadata["customers"].value) == (True, 0.0)
    assert {found.metadata[f"customers: {reason}"].value for reason in repeats} == {3}
    faults = [{"source": "customers", "reason": reason} for reason in (repeats[0], *["row cannot be read: x"] * 3)]
    put(lake, "rejected_rows", D1, *faults)
    found = share(lake)
    assert (found.passed, found.metadata["customers"].value) == (False, 0.3)


def test_the_share_of_rejects_is_one_of_rows_not_of_combined_records(lake: Any, opened: Any, tmp_path: Path) -> None:
    lines = [f"c{i % 3},2024-01-{i % 28 + 1:02},1,DE,1" for i in range(60)]
    source = opened_with(opened, tmp_path, *lines, "c1,soon,1,DE,1", *[",2024-01-01,1,DE,1"] * 40)
    raw = source.source.customers(source.engine, until(2))
    judged = cleaning.judged_customers(raw)
    for name, frame in (("raw_customers", raw), ("rejected_rows", judged.rejected("customers"))):
        put(lake, name, D1)
        target = lake.file(name, D1)
        source.engine.write(frame, target)
    found = share(lake)
    assert (found.passed, found.metadata["customers"].value) == (True, pytest.approx(1 / 101))
    assert found.metadata["customers: customer id is missing, so no record is made of these rows"].value == 40
