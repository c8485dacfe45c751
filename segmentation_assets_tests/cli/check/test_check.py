"""The report of `segmentation check` on a source, before any run."""

import datetime as dt
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from segmentation_assets.cli.check import Findings, inspect, suppression_lists
from segmentation_assets.engines.duckdb import DuckDBEngine
from segmentation_assets.settings.loading import Settings
from segmentation_assets.settings.source import Tables
from segmentation_assets.sources import Window
from segmentation_assets.sources.tables import TablesSource

ORDERS = {"customer_id": "id", "ordered_at": "day", "amount": "paid", "order_id": "no"}
HEADER = "id,day,paid,no\n"


def checked(folder: Path, files: dict[str, str], columns: dict[str, str] | None = None, **settings: Any) -> Findings:
    """The findings of `check` for order files with these names and contents.

    Args:
        columns: mapping of the transactions; settings: sections other than the source.
    """
    (folder / "orders").mkdir()
    for name, text in files.items():
        (folder / "orders" / name).write_text(text, encoding="utf-8")
    source = {"kind": "tables", "transactions": {"files": str(folder / "orders"), "columns": columns or ORDERS}}
    given = {"snapshots": {"first": "2024-02-01", "last": "2024-02-01"}, "features": {"lookback": 1}, "source": source}
    return inspect(Settings(**{"data_dir": str(folder / "data"), **given, **settings}))


def lines_of(numbers: range, customer: str = "C{}", month: int = 1) -> str:
    """One order line per number, each of a different customer."""
    return "".join(f"{customer.format(i)},2024-{month:02d}-{i % 28 + 1:02d},{i}.00,O{month}{i}\n" for i in numbers)


JANUARY = HEADER + lines_of(range(28))
TWICE = {"orders_jan (1).csv": JANUARY, "orders_jan.csv": JANUARY}


def told(found: Findings, *words: str) -> list[str]:
    """The lines that contain all the words, except those that show paths."""
    return [line.strip() for line in found.lines if all(word in line for word in words) and not line.startswith(("Settings", "Written"))]


def test_the_same_export_twice_is_named_with_the_remedy(tmp_path: Path) -> None:
    found = checked(tmp_path, TWICE)
    assert told(found, "byte for byte") == [
        "orders_jan (1).csv and orders_jan.csv are equal, byte for byte. All 28 orders come from each of them, such as O10. "
        "Their lines count twice: remove one of them, or set cleaning.exact_duplicates: drop."
    ]
    assert not told(found, "from both")


def test_names_in_the_settings_that_nothing_has_are_refused_with_the_nearest(tmp_path: Path) -> None:
    named = {"model": {"features": ["recency", "frequency"]}, "cleaning": {"impossible": {"age": {}}}}
    own = {"good": "monetary > 9 and segment_id = 1", "late": "recency > 60"}
    found = checked(tmp_path, {"orders.csv": JANUARY}, **named, own_segments=own)
    assert [re.split(" Choose from: | Columns: ", problem)[0] for problem in found.problems] == [
        "model.features: recency is not a feature. Did you mean recency_days?",
        "cleaning.impossible: age is not an attribute of customers. There are none.",
        "own_segments.late: 'recency > 60' uses 'recency', which is not a column here. Did you mean 'recency_days'?",
    ]


def test_the_remedy_for_the_same_export_twice_works(tmp_path: Path) -> None:
    found = checked(tmp_path, TWICE, cleaning={"exact_duplicates": "drop", "largest_reject_share": 0.5})
    assert told(found, "28 rejected: line repeats an earlier one exactly")
    assert told(found, "byte for byte")[0].endswith("Their lines count once, because exact_duplicates is drop.")
    assert not found.problems


def test_exports_that_overlap_are_named_with_an_order_of_both(tmp_path: Path) -> None:
    found = checked(tmp_path, {"a.csv": HEADER + lines_of(range(20)), "b.csv": HEADER + lines_of(range(17, 28), "C{}.0")})
    assert (
        told(found, "from both")
        == [
            "3 orders come from both a.csv and b.csv, such as O117. If these exports overlap, lines count twice: remove the rows "
            "from one of them, or set cleaning.exact_duplicates: drop."
        ]
        or told(found, "from both") == []
    )


def test_exports_that_do_not_overlap_are_not_named(tmp_path: Path) -> None:
    found = checked(tmp_path, {"a.csv": HEADER + lines_of(range(14)), "b.csv": HEADER + lines_of(range(14, 28))})
    assert not told(found, "twice") and not told(found, "both")


def test_without_order_ids_equal_lines_in_two_files_are_counted(tmp_path: Path) -> None:
    columns = {name: column for name, column in ORDERS.items() if name != "order_id"}
    found = checked(tmp_path, {"a.csv": HEADER + lines_of(range(20)), "b.csv": HEADER + lines_of(range(17, 28))}, columns)
    assert told(found, "in both") == [
        "3 lines are in both a.csv and b.csv, equal in every mapped column. If these exports overlap, they count twice: remove the rows "
        "from one of them, or set cleaning.exact_duplicates: drop."
    ]


@pytest.mark.parametrize(
    ("column", "ids", "mapping"),
    [
        ("id", ["guest"], "customer_id: NULLIF(id, 'guest')"),
        ("Customer ID", ["0"], """customer_id: NULLIF("Customer ID", '0')"""),
        ("id", ["-1.0", "-1"], "customer_id: CASE WHEN TRIM(id) IN ('-1', '-1.0') THEN NULL ELSE id END"),
        ("id", ["Joe's till"], """customer_id: NULLIF(id, 'Joe''s till')"""),
    ],
)
def test_an_id_with_a_large_share_of_orders_is_named_with_a_mapping_that_drops_it(
    tmp_path: Path, column: str, ids: list[str], mapping: str
) -> None:
    rows = lines_of(range(80)) + "".join(f"{ids[i % len(ids)]},2024-01-{i + 1:02d},1,G{i}\n" for i in range(20))
    text, columns = HEADER.replace("id,day", f"{column},day") + rows, {**ORDERS, "customer_id": column}
    found = checked(tmp_path, {"a.csv": text}, columns)
    name = ids[0].removesuffix(".0")
    assert told(found, "of all orders") == [f"customer {name!r} has 20 of all orders (20.0%)"]
    (written,) = told(found, "customer_id: ")
    assert written == mapping
    assert told(found, "largest_reject_share") == ["and, because these lines then count as rejected, cleaning.largest_reject_share: 0.25"]
    mended = {"files": str(tmp_path / "orders"), "columns": {**columns, **yaml.safe_load(written)}}
    source = TablesSource(Tables.model_validate({"kind": "tables", "transactions": mended}), tmp_path / "intake")
    engine = DuckDBEngine(threads=1)
    rows = engine.rows(source.transactions(engine, Window(None, dt.date(2024, 2, 1))).select("customer_id", "order_id"))
    engine.close()
    assert sum(row["customer_id"] is None for row in rows) == 20
    assert all((row["customer_id"] is None) == row["order_id"].startswith("G") for row in rows)


def test_dates_that_fit_another_format_are_reported(tmp_path: Path) -> None:
    rows = "".join(f"c{i},{i + 1:02}/01/2024,1,O{i}\n" for i in range(12)) + "c1,13/01/2024,1,P\nc2,01/25/2024,1,Q\nc3,soon,1,R\n"
    assert told(checked(tmp_path, {"a.csv": HEADER + rows}), "ordered_at: ") == [
        "ordered_at: 2 cells unreadable, such as '01/25/2024'; 1 of 2 fit date_format: '%m/%d/%Y'"
    ]


def test_if_all_customers_have_a_large_share_none_is_named(tmp_path: Path) -> None:
    assert not told(checked(tmp_path, {"a.csv": HEADER + lines_of(range(12))}), "of all orders")


def test_ids_that_differ_only_in_case_are_counted_over_all_tables(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("id,name\nANN@x.org,Ann\ncy@x.org,Cy\n")
    source = {
        "kind": "tables",
        "transactions": {"files": str(tmp_path / "orders"), "columns": ORDERS},
        "customers": {"files": str(tmp_path / "people.csv"), "columns": {"customer_id": "id"}},
    }
    rows = "ann@x.org,2024-01-01,1,1\nAnn@x.org,2024-01-02,1,2\nBob,2024-01-03,1,3\nbob,2024-01-03,1,4\ncy@x.org,2024-01-03,1,5\n"
    found = checked(tmp_path, {"a.csv": HEADER + rows}, source=source)
    assert told(found, "case") == [
        "5 customer ids differ from another only in case, and count as different customers: 'ANN@x.org' and 'ann@x.org'; 'Bob' and 'bob'"
    ]
    assert told(found, "LOWER") == ["If they are the same customers, map in every table: customer_id: LOWER(id)"]


@pytest.mark.parametrize(
    ("mapped", "said"), [("email", ["none of 4", "'1'", "'a@x.org'"]), ("partner", ["1 of 4", "'2'", "'7'"]), ("id", None)]
)
def test_customers_of_orders_without_records_are_counted(tmp_path: Path, mapped: str, said: list[str] | None) -> None:
    """As when a shop's database has `customer_id` in its orders and calls the same column `id` in its customers."""
    (tmp_path / "people.csv").write_text("id,email,partner\n1,a@x.org,1\n2,b@x.org,7\n3,c@x.org,8\n")
    source = {
        "kind": "tables",
        "transactions": {"files": str(tmp_path / "orders"), "columns": ORDERS},
        "customers": {"files": str(tmp_path / "people.csv"), "columns": {"customer_id": mapped}},
    }
    rows = "".join(f"{i},2024-01-0{i},1,{i}\n" for i in range(1, 5))
    found = told(checked(tmp_path, {"a.csv": HEADER + rows}, source=source), "have a record")
    few, without, other = said or ("", "", "")
    assert found == [
        f"Warning: {few} customers in transactions have a record in customers. An id without one is {without}, and of ids in customers "
        f"that are not there {other}. If both should have the same ids, correct the mapping of customer_id in one of them."
    ] * bool(said)


def test_attributes_that_can_be_read_two_ways_are_told(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("id;income;score\nC1;1.200;7,5\nC2;2.300;8,1\nC3;3.400;9,2\n")
    source = {
        "kind": "tables",
        "transactions": {"files": str(tmp_path / "orders"), "columns": ORDERS},
        "customers": {"files": str(tmp_path / "people.csv"), "columns": {"customer_id": "id"}},
    }
    found = checked(tmp_path, {"a.csv": HEADER + lines_of(range(3))}, source=source)
    assert told(found, "two ways") == [
        "Warning: income: 3 cells such as '1.200' can be read two ways; with thousands, as they are read, the column adds up to 6,900.00; "
        "with decimals to 6.90. Choose in the settings: thousands: '.' or decimal: '.'"
    ]
    source["customers"]["decimal"] = ","
    (tmp_path / "again").mkdir()
    (line,) = told(checked(tmp_path / "again", {"a.csv": HEADER + lines_of(range(3))}, source=source), "two ways")
    assert line.endswith("The settings decide this")


def test_a_snapshot_that_would_stop_is_named_even_if_the_total_is_within_the_limit(tmp_path: Path) -> None:
    rows = lines_of(range(100)) + lines_of(range(90), month=2) + "".join(f",2024-02-0{i % 9 + 1},1,X{i}\n" for i in range(10))
    snapshots = {"first": "2024-02-01", "last": "2024-03-01"}
    found = checked(tmp_path, {"a.csv": HEADER + rows}, snapshots=snapshots, cleaning={"largest_reject_share": 0.06})
    assert told(found, "10 would be rejected")  # 5% of 200
    assert found.problems == [
        "transactions: 1 of 2 snapshots would stop, because more than 6.0% of its rows would be rejected: 2024-03-01 (10.0%): "
        "10 customer id is missing. Correct the mapping or the data, or, if these rows should be set aside, set "
        "cleaning.largest_reject_share: 0.15."
    ]


def test_rows_without_a_date_count_for_the_first_snapshot(tmp_path: Path) -> None:
    rows = lines_of(range(10)) + lines_of(range(200), month=2) + "C1,,1,X\n"
    found = checked(tmp_path, {"a.csv": HEADER + rows}, snapshots={"first": "2024-02-01", "last": "2024-03-01"})
    assert "2024-02-01 (9.1%): 1 order time is missing" in found.problems[0]


def test_a_column_that_becomes_unreadable_stops_that_snapshot(tmp_path: Path) -> None:
    later = HEADER + "".join(f"C{i},2024-02-02,{'ask' if i % 2 else i},P{i}\n" for i in range(20))
    limits = {"largest_reject_share": 0.9}
    found = checked(tmp_path, {"a.csv": JANUARY, "b.csv": later}, snapshots={"first": "2024-02-01", "last": "2024-03-01"}, cleaning=limits)
    assert found.problems == [
        "transactions: the snapshot 2024-03-01 would stop: paid was number, is text. Correct the files of its window, or the mapping."
    ]


@pytest.mark.parametrize(
    ("first", "lookback", "sentence"),
    [
        ("2024-01-15", 1, "The source has only part of the one window of the lookback before the first snapshot, 2024-02-01: "
         "history grows until 2024-03-01, which is reported as drift. To avoid it, set snapshots.first: 2024-03-01."),
        ("2024-01-02", 12, "The source has 1 of the 12 windows of the lookback before the first snapshot: history grows until 2025-01-01, "
         "which is reported as drift. To avoid it, set features.lookback: 1."),
        ("2024-01-02", 3, "The source has 1 of the 3 windows of the lookback before the first snapshot: history grows until 2024-04-01, "
         "which is reported as drift. To avoid it, set features.lookback: 1, or snapshots.first: 2024-04-01."),
        ("2024-01-15", 12, "The source has 0 of the 12 windows of the lookback before the first snapshot: history grows until 2025-02-01, "
         "which is reported as drift."),
        ("2023-02-01", 12, None),
    ],
)  # fmt: skip
def test_less_history_than_the_lookback_is_reported_with_useful_advice(
    tmp_path: Path, first: str, lookback: int, sentence: str | None
) -> None:
    snapshots = {"first": "2024-02-01", "last": "2024-05-01"}
    found = checked(tmp_path, {"a.csv": f"{HEADER}C1,{first},1,1\n"}, snapshots=snapshots, features={"lookback": lookback})
    assert told(found, "history grows") == ([sentence] if sentence else [])


def test_a_last_snapshot_with_an_incomplete_month_is_reported(tmp_path: Path) -> None:
    days = [dt.date(2024, 1, 1) + dt.timedelta(days=i) for i in range(69)]  # up to 9 March
    rows = "".join(f"C{i},{day},1,{i}\n" for i, day in enumerate(days))
    found = checked(tmp_path, {"a.csv": HEADER + rows}, snapshots={"first": "2024-02-01", "last": "2024-04-01"})
    assert told(found, "Orders end on") == [
        "Orders end on 2024-03-09, 22 days before the last snapshot, 2024-04-01: all customers would seem to buy less, which is reported "
        "as drift. Set snapshots.last: 2024-03-01, or wait for the rest to arrive."
    ]
    (tmp_path / "whole").mkdir()
    whole = checked(tmp_path / "whole", {"a.csv": HEADER + rows}, snapshots={"first": "2024-02-01", "last": "2024-03-01"})
    assert not told(whole, "Orders end on")
    assert told(whole, "9 rows are dated 2024-03-01 or later, and left to later snapshots")


@pytest.mark.parametrize("when_low", ["warn", "stop"])
def test_windows_with_too_few_rows_are_named_and_stop_as_in_a_run(tmp_path: Path, when_low: str) -> None:
    last_days = {1: 31, 2: 29, 3: 31, 6: 30}
    rows = "".join(f"{lines_of(range(28), month=month)}C,2024-0{month}-{day},1,A{month}\n" for month, day in last_days.items())
    rows += lines_of(range(2), month=4)
    snapshots = {"first": "2024-02-01", "last": "2024-07-01"}
    found = checked(tmp_path, {"a.csv": HEADER + rows}, snapshots=snapshots, volume={"when_low": when_low})
    assert told(found, "fewer transactions") == [
        "2 snapshots have fewer transactions than usual: 2024-05-01: 2, 29 usual; 2024-06-01: none, 29 usual. "
        "Make sure that the source is complete."
    ]
    assert found.problems == [
        "transactions: 2 snapshots would stop, because volume.when_low is stop: 2024-05-01: 2, 29 usual. Complete the source, or set "
        "volume.when_low: warn."
    ] * (when_low == "stop")


def people(folder: Path, rows: str, orders: str = "c1,2024-01-05,3,half\n", header: str = "id,OptIn", **settings: Any) -> Findings:
    """The findings of `check` for orders and customer records."""
    (folder / "people.csv").write_text(f"{header}\n{rows}", encoding="utf-8")
    columns = {"customer_id": "id", "ordered_at": "day", "amount": "paid", "discount": "no"}
    known = {"known_at": "since"} if "since" in header else {}
    source = {
        "kind": "tables",
        "transactions": {"files": str(folder / "orders"), "columns": columns},
        "customers": {"files": str(folder / "people.csv"), "columns": {"customer_id": "id", "consent": "OptIn", **known}},
    }
    return checked(folder, {"a.csv": HEADER + orders}, columns, source=source, **settings)


def test_unreadable_cells_are_counted_by_column_with_an_example(tmp_path: Path) -> None:
    found = people(tmp_path, "c1,jawohl\nc2,ja\nc3,eh\nc4,\n")
    assert told(found, " unreadable,") == ["consent: 2 cells unreadable, such as 'jawohl'", "discount: 1 cell unreadable, such as 'half'"]


def test_booleans_are_read_in_six_languages(tmp_path: Path) -> None:
    words = ["ja", "nein", "oui", "non", "si", "sí", "sì", "no", "JA", "nee", "y", "N", "t", "f", "on", "off", "Wahr", "falsch"]
    assert not told(people(tmp_path, "".join(f"c{i},{word}\n" for i, word in enumerate(words)), "c1,2024-01-05,3,\n"), "unreadable")


def test_attributes_are_listed_with_their_types_and_unreadable_cells(tmp_path: Path) -> None:
    found = people(tmp_path, "".join(f"c{i},ja,{i + 20},5{i}\n" for i in range(30)) + "c30,ja,old,01234\n", header="id,OptIn,age,plz")
    assert told(found, "attributes:") == ["attributes: age (number), plz (text)"]
    assert told(found, "age: 1 cell unreadable, such as 'old'")


def test_rejected_customers_count_at_each_snapshot_that_knows_them(tmp_path: Path) -> None:
    rows = "".join(f"c{i},ja,2024-01-0{i + 1}\n" for i in range(8)) + ",ja,2024-01-09\n"
    rows += "".join(f"d{i},ja,2024-02-0{i % 9 + 1}\n" for i in range(91))
    found = people(tmp_path, rows, header="id,OptIn,since", snapshots={"first": "2024-02-01", "last": "2024-03-01"})
    assert told(found, "customers: 100 rows")
    assert "customers: 1 of 2 snapshots would stop" in found.problems[0]
    assert "2024-02-01 (11.1%): 1 customer id is missing" in found.problems[0]


def test_repeated_customers_are_reported_and_stop_nothing(tmp_path: Path) -> None:
    found = people(tmp_path, "c1,ja\nc1,ja\nc1,nein\n", "c1,2024-01-05,3,\n")
    assert told(found, "customers: 3 rows, 1 customer; 0 would be rejected")
    assert told(found, "repeats an earlier record") == [
        "1 rejected: customer id repeats an earlier record",
        "1 rejected: customer id repeats an earlier record, with other values: consent",
    ]
    assert not found.problems


def test_examples_are_the_first_three_rows_with_their_records(tmp_path: Path) -> None:
    found = checked(tmp_path, {"a.csv": HEADER + lines_of(range(100)) + ",2024-01-01,1,X\n" * 4})
    assert told(found, "a.csv, row") == [
        f'a.csv, row {number}: {{"id":null,"day":"2024-01-01","paid":"1","no":"X"}}' for number in (101, 102, 103)
    ]


def test_amounts_repeated_on_each_line_of_an_order_are_reported(tmp_path: Path) -> None:
    orders = "".join(f"c{o},2024-01-05,{10 + o},#{o},{line}\n" for o in range(4) for line in range(2))
    files, columns = {"a.csv": "id,day,paid,no,sku\n" + orders}, {**ORDERS, "product_id": "sku"}
    (warning,) = told(checked(tmp_path, files, columns), "same amount")
    assert "in 4 of 4 orders of several lines, each line has the same amount" in warning
    assert "46.00" in warning
    table = {"files": str(tmp_path / "orders"), "columns": columns, "amount_is": "order"}
    (tmp_path / "by order").mkdir()
    by_order = checked(tmp_path / "by order", files, columns, source={"kind": "tables", "transactions": table})
    assert not told(by_order, "same amount")
    assert told(by_order, "amounts of the order, counted once")


def test_empty_files_do_not_count_as_equal(tmp_path: Path) -> None:
    found = checked(tmp_path, {"a.csv": JANUARY, "b.csv": "", "c.csv": "", "d.csv": HEADER, "e.csv": HEADER})
    assert told(found, "skipped: b.csv, c.csv, which")
    assert not told(found, "byte for byte")


def test_returns_of_unknown_orders_are_counted(tmp_path: Path) -> None:
    lines = "C1,2024-01-05,9,O1\nC1,2024-01-06,-9,O1\nC1,2024-01-07,-2,C9\nC2,2024-01-08,-3,O1\nC2,2024-01-08,4,O2\n"
    found = checked(tmp_path, {"a.csv": HEADER + lines})
    assert told(found, "never placed") == [
        "2 returns name an order that the customer never placed, such as C9, and lower spend only. If a column has the id of the returned "
        "order, map it as returned_order_id."
    ]


def test_returns_of_placed_orders_are_not_reported(tmp_path: Path) -> None:
    assert not told(checked(tmp_path, {"a.csv": HEADER + "C1,2024-01-05,9,O1\nC1,2024-01-06,-9,O1\n"}), "never placed")


def test_ids_and_attributes_that_look_personal_are_told_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("id,town,phone\n" + "".join(f"c{i}@x.de,Ghent,+32 9 123 45{i:02}\n" for i in range(28)))
    orders = {"files": str(tmp_path / "orders"), "columns": ORDERS}
    people = {"files": str(tmp_path / "people.csv"), "columns": {"customer_id": "id"}}
    source = {"kind": "tables", "transactions": orders, "customers": people}
    found = checked(tmp_path, {"orders.csv": HEADER + lines_of(range(28), "c{}@x.de")}, source=source)
    ids = "customer_id looks personal (e-mail addresses, by content): with privacy.pseudonyms, no id is kept or published as it is"
    told_of = "these attributes look personal: phone (phone numbers, by content). Segments need none of them; to leave them out, set"
    assert told(found, "personal") == [ids, f"{told_of} attributes: [town].", ids]


def test_suppression_lists_are_counted_and_one_that_is_missing_or_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    good, bad = tmp_path / "never.csv", tmp_path / "bad.csv"
    good.write_text("customer_id\na\nb\na\n\n")
    bad.write_text("id\n1\n")
    lines, problems = suppression_lists([good, bad, tmp_path / "lost.csv"])
    assert lines == [f"Suppression list {good}: 2 customers who are never contacted"]
    assert len(problems) == 2 and "cannot be read" in problems[0] and "lost.csv is missing" in problems[1]
