"""Customers described anew at several dates: which rows a snapshot has, whatever came later, and what is refused."""

import datetime as dt
from pathlib import Path
from typing import Any

import dagster as dg
import ibis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from segmentation_assets.defs.checks.source import customers_have_a_new_date
from segmentation_assets.engines.duckdb import DuckDBEngine
from segmentation_assets.settings.snapshots import Snapshots, keys_until
from segmentation_assets.settings.source import Tables
from segmentation_assets.sources import customer_dates, first_snapshots
from segmentation_assets.sources.base import SourceError, Window
from segmentation_assets.sources.customer_dates import OnDate
from segmentation_assets.sources.names_of_days import date_in_name
from segmentation_assets_tests.builders import D1, D2, D3, LOADED
from segmentation_assets_tests.conftest import examples

BY_NAME = {"files": "cards", "columns": {"customer_id": "id", "known_at": "file name"}, "each_date": "complete"}
BY_COLUMN = {"files": "cards.csv", "columns": {"customer_id": "id", "known_at": "day"}, "each_date": "complete"}
DAYS = st.lists(st.dates(dt.date(2020, 1, 1), dt.date(2024, 12, 31)), min_size=1, max_size=12, unique=True)


def day(text: str) -> Window:
    return Window(None, dt.date.fromisoformat(text))


def put(folder: Path, **files: str) -> None:
    (folder / "cards").mkdir(exist_ok=True)
    for name, rows in files.items():
        (folder / "cards" / f"{name}.csv").write_text("id,income\n" + rows.replace(" ", "\n") + "\n")


def incomes(source: Any, window: Window) -> dict[str | None, float | None]:
    return {row["customer_id"]: row["income"] for row in source.rows("customers", window)}


def test_of_complete_files_a_snapshot_has_the_newest_dated_on_or_before_it(opened: Any, tmp_path: Path) -> None:
    put(tmp_path, c20240131="a,1 b,2", c20240301="b,3 c,4")
    source = opened(customers=BY_NAME)
    seen = {on: incomes(source, day(on)) for on in ("2024-01-30", "2024-01-31", "2024-02-01", "2024-02-29", "2024-03-01", "2024-09-01")}
    january, march = {"a": 1, "b": 2}, {"b": 3, "c": 4}
    assert list(seen.values()) == [{}, january, january, january, march, march]


def test_a_month_without_a_day_is_known_when_it_is_over(opened: Any, tmp_path: Path) -> None:
    put(tmp_path, cards_202402="a,1")
    source = opened(customers=BY_NAME)
    assert (incomes(source, day("2024-02-29")), incomes(source, day("2024-03-01"))) == ({}, {"a": 1})
    (tmp_path / "cards.csv").write_text("id,day,income\na,2024-02,1\n")
    source = opened(customers={**BY_COLUMN, "date_format": "%Y-%m"})
    assert (incomes(source, day("2024-02-29")), incomes(source, day("2024-03-01"))) == ({}, {"a": 1})


def test_a_row_with_a_time_of_day_is_known_from_the_day_after(opened: Any, tmp_path: Path) -> None:
    (tmp_path / "cards.csv").write_text("id,day,income\na,2024-03-01 00:00:00,1\nb,2024-03-01 00:00:01,2\n")
    source = opened(customers={**BY_COLUMN, "each_date": "changes"})
    assert [set(incomes(source, day(on))) for on in ("2024-02-29", "2024-03-01", "2024-03-02")] == [set(), {"a"}, {"a", "b"}]


def test_of_changes_the_newest_row_of_a_customer_stands_whole_for_some_windows(opened: Any, tmp_path: Path) -> None:
    put(tmp_path, **{"2024-01-01": "a,1 b,2", "2024-02-01": "b, c,4", "2024-04-01": "c,5"})
    source = opened(customers={**BY_NAME, "each_date": "changes", "stands": 3})
    seen = [incomes(source, day(f"2024-0{month}-01")) for month in range(1, 7)]
    assert seen == [
        {"a": 1, "b": 2}, {"a": 1, "b": None, "c": 4}, {"a": 1, "b": None, "c": 4}, {"b": None, "c": 5}, {"c": 5}, {"c": 5},
    ]  # fmt: skip


def test_later_files_change_no_earlier_snapshot_even_with_other_columns_and_types(opened: Any, tmp_path: Path) -> None:
    put(tmp_path, **{"2024-01-01": "a,1 b,2", "2024-02-01": "a,3 b,4"})
    for settings in (BY_NAME, {**BY_NAME, "each_date": "changes"}):
        (tmp_path / "cards" / "2024-03-01.csv").unlink(missing_ok=True)
        source = opened(customers=settings)
        before = [source.rows("customers", day(on)) for on in ("2024-01-01", "2024-02-01")]
        (tmp_path / "cards" / "2024-03-01.csv").write_text("id,income,points\na,none at all,7\nb,lots,8\nz,unclear,9\n")
        assert [source.rows("customers", day(on)) for on in ("2024-01-01", "2024-02-01")] == before
        assert {row["points"] for row in source.rows("customers", day("2024-03-01"))} == {7, 8, 9}


def test_a_column_without_a_value_on_a_date_keeps_its_type(opened: Any, tmp_path: Path) -> None:
    put(tmp_path, **{"2024-01-01": "a,1 b,2", "2024-02-01": "a, b,"})
    source = opened(customers=BY_NAME)
    tables = [source.source.customers(source.engine, day(on)) for on in ("2024-01-01", "2024-02-01")]
    assert [str(table.income.type()) for table in tables] == ["float64", "float64"]


def test_a_file_issued_anew_for_an_old_date_changes_the_fingerprint_and_its_snapshots_rows(opened: Any, tmp_path: Path) -> None:
    put(tmp_path, **{"2024-01-01": "a,1 b,2", "2024-02-01": "a,3 b,4"})
    source = opened(customers=BY_NAME)
    fingerprint, before = source.source.fingerprint(), incomes(source, day("2024-01-01"))
    put(tmp_path, **{"2024-01-01": "a,1 b,2 late,9"})
    assert source.source.fingerprint() != fingerprint
    assert incomes(source, day("2024-01-01")) == {**before, "late": 9}
    assert source.source.counts("customers", source.engine, {"x": day("2024-01-01"), "y": day("2024-02-01")}) == {"x": 3, "y": 2}


def test_rows_without_a_date_are_kept_to_be_set_aside(opened: Any, tmp_path: Path) -> None:
    (tmp_path / "cards.csv").write_text("id,day,income\na,2024-01-01,1\nb,,2\nc,2024-02-01,3\n")
    rows = opened(customers=BY_COLUMN).rows("customers", day("2024-02-01"))
    assert {row["customer_id"]: row["problem"] for row in rows} == {"b": "known_at is missing or is not a date", "c": None}


def test_a_file_without_a_date_in_its_name_is_named_with_the_remedy(opened: Any, tmp_path: Path) -> None:
    put(tmp_path, **{"2024-01-01": "a,1", "final": "a,2"})
    with pytest.raises(SourceError, match=r"final\.csv: its name has no date.*leave the file out of `files`"):
        opened(customers=BY_NAME).rows("customers")


def test_row_numbers_of_several_files_are_refused(opened: Any, tmp_path: Path) -> None:
    put(tmp_path, one="a,1", two="b,2")
    with pytest.raises(SourceError, match="rows of these files have the same numbers"):
        opened(customers={"files": "cards", "columns": {"customer_id": "row number"}}).rows("customers")


@pytest.mark.parametrize(("wrong", "told"), [
    ({"each_date": None}, "set each_date to complete"),
    ({"columns": {"customer_id": "id"}}, "needs the dates; map known_at"),
    ({"columns": {"customer_id": "row number", "known_at": "file name"}}, "needs ids"),
    ({"repeats": "newest"}, "set one of them"),
])  # fmt: skip
def test_contradictions_are_refused_with_a_remedy(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Tables.model_validate({"kind": "tables", "customers": {**BY_NAME, **wrong}})


def test_what_needs_files_is_refused_for_databases_and_row_numbers_for_two_tables() -> None:
    place = {"url": "sqlite:///shop.db", "table": "cards"}
    with pytest.raises(ValidationError, match="known_at: file name is for files"):
        Tables.model_validate({"kind": "tables", "customers": {**place, "columns": BY_NAME["columns"], "each_date": "complete"}})
    numbered = {"files": "a.csv", "columns": {"customer_id": "row number"}}
    with pytest.raises(ValidationError, match="rows of two have the same numbers"):
        Tables.model_validate({"kind": "tables", "customers": [numbered, {**numbered, "files": "b.csv"}]})


@pytest.mark.parametrize(("name", "found"), [
    ("customers_2024-03-01.csv", "2024-03-01"), ("20240301020000.csv", "2024-03-01"), ("a_2024-01-01_2024-01-31.csv", "2024-01-31"),
    ("customers-202412.csv.gz", "2025-01-01"), ("cards March 2024.xlsx", "2024-04-01"), ("2024_Feb.csv", "2024-03-01"),
    ("date=2024-03-01/part-0.parquet", "2024-03-01"), ("year=2024/month=3/day=5/p.csv", "2024-03-05"), ("2024-02/all.csv", "2024-03-01"),
    ("a_2024-01-01_2024-02-29.csv", "2024-02-29"), ("2024-03-01T02-30-00.csv", "2024-03-01"),
    ("2024-02-30.csv", None), ("order_123456789.csv", None), ("customers.csv", None), ("summary2024.csv", None), ("v1999132.csv", None),
])  # fmt: skip
def test_dates_in_names(name: str, found: str | None) -> None:
    assert date_in_name(name) == (None if found is None else dt.date.fromisoformat(found))


def test_customers_are_counted_by_date_with_those_of_the_date_before() -> None:
    rows = [("a", 1), ("b", 1), ("b", 1), ("b", 2), ("c", 2), ("a", 3), ("c", 3), (None, 3), ("d", None)]
    table = ibis.memtable(
        [{"customer_id": one, "day": on and dt.date(2024, on, 1)} for one, on in rows], schema={"customer_id": "string", "day": "date"}
    )
    engine = DuckDBEngine(threads=1)
    days = customer_dates.by_date(engine, table)
    engine.close()
    first, second, third = (dt.date(2024, month, 1) for month in (1, 2, 3))
    assert days == [OnDate(first, 2), OnDate(second, 2, 1, 1), OnDate(third, 2, 1, 1)]
    assert [(on.came, customer_dates.overlap(days)) for on in days[1:]] == [(1, 0.5), (1, 0.5)]
    assert customer_dates.likely(days) == "complete"
    assert customer_dates.likely([OnDate(first, 100), OnDate(second, 10, 10, 90)]) == "changes"


@examples(60)
@given(days=DAYS)
def test_each_date_is_in_the_first_proposed_snapshot_on_or_after_it(days: list[dt.date]) -> None:
    proposal = first_snapshots.of_dates(days)
    keys = keys_until(proposal, proposal.last or proposal.first)
    assert dt.date.fromisoformat(keys[0]) >= min(days)
    assert dt.date.fromisoformat(keys[-1]) >= max(days)
    found = customer_dates.snapshots_of(days, keys)
    assert found[max(days)] is not None
    assert all(key is None or dt.date.fromisoformat(key) >= on for on, key in found.items())


@pytest.mark.parametrize(("days", "proposed"), [
    (["2024-01-01", "2024-02-01", "2024-03-01"], ("2024-01-01", "2024-03-01", "monthly")),
    (["2024-01-31", "2024-02-29", "2024-03-31"], ("2024-02-01", "2024-04-01", "monthly")),
    (["2024-01-03", "2024-02-01", "2024-03-05"], ("2024-01-05", "2024-03-05", "monthly")),
    (["2024-01-01", "2024-01-08", "2024-01-15"], ("2024-01-01", "2024-01-15", "weekly")),
    (["2024-01-01", "2024-01-02", "2024-01-04"], ("2024-01-01", "2024-01-04", "daily")),
    (["2024-03-31", "2024-06-30", "2024-09-30"], ("2024-04-01", "2024-10-01", "monthly")),
    (["2024-03-15"], ("2024-03-15", "2024-03-15", "monthly")),
])  # fmt: skip
def test_proposed_snapshots_follow_the_dates(days: list[str], proposed: tuple[str, str, str]) -> None:
    found = first_snapshots.of_dates([dt.date.fromisoformat(one) for one in days])
    assert (str(found.first), str(found.last), found.cadence) == proposed


def test_a_weekly_snapshots_rows_stand_for_weeks() -> None:
    settings = Tables.model_validate({"kind": "tables", "customers": {**BY_NAME, "each_date": "changes", "stands": 2}}).customers[0]
    days = {"a": {dt.date(2024, 1, on): 1 for on in (1, 8, 15, 22)}}
    weekly = Snapshots(first=dt.date(2024, 1, 1), cadence="weekly")
    assert customer_dates.standing(days, settings, dt.date(2024, 1, 15), weekly) == {dt.date(2024, 1, 8), dt.date(2024, 1, 15)}


def test_an_export_that_did_not_come_is_a_warning_with_the_remedy(opened: Any, lake: Any, tmp_path: Path) -> None:
    put(tmp_path, **{D1: "a,1", D3: "b,2"})
    source = opened(customers=BY_NAME).source
    found = [customers_have_a_new_date(dg.build_op_context(partition_key=key), LOADED, source, lake) for key in (D1, D2, D3)]
    assert [one.passed for one in found] == [True, False, True]
    assert found[1].severity == dg.AssetCheckSeverity.WARN
    assert found[1].description == (
        f"cards has no date after {D1}, so its customers of {D1} count again. Deliver it, then: segmentation run --from {D2}"
    )
    none = opened(customers={"files": "cards", "columns": {"customer_id": "id"}}).source
    told = customers_have_a_new_date(dg.build_op_context(partition_key=D1), LOADED, none, lake)
    assert told.passed and str(told.description).startswith("Not measured")
