"""Cleaning: each rule on its own on a few rows; and for any rows: rows in = clean + rejected."""

import datetime as dt
import json
from functools import cache
from typing import Any

import duckdb
import ibis
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentation_assets.core.customers import cleaning
from segmentation_assets.engines.duckdb import DuckDBEngine
from segmentation_assets.settings.cleaning import Cleaning
from segmentation_assets.tables.cleaned import CUSTOMER_ORDERS, CUSTOMERS, EVENTS
from segmentation_assets.tables.contract import Contract
from segmentation_assets.tables.raw import RAW_CUSTOMERS, RAW_EVENTS, RAW_TRANSACTIONS
from segmentation_assets_tests.builders import table
from segmentation_assets_tests.conftest import examples

ENGINE = DuckDBEngine(threads=1)
CONNECTION = duckdb.connect(config={"threads": 1})
LINE = {
    "customer_id": "c1",
    "order_id": "o1",
    "ordered_at": dt.datetime(2024, 1, 5, 9),
    "amount": 10.0,
    "quantity": 2.0,
    "category": "food",
}
JUDGES = {"transactions": cleaning.judged_transactions, "customers": cleaning.judged_customers, "events": cleaning.judged_events}


def arrow(contract: Contract, rows: list[dict[str, Any]], **further: str) -> pa.Table:
    fields = [(c.name, ibis.dtype(c.type).to_pyarrow()) for c in contract.columns] + [
        (name, ibis.dtype(kind).to_pyarrow()) for name, kind in further.items()
    ]
    numbered = [{"row_number": number, "source_file": "f", **row} for number, row in enumerate(rows, start=1)]
    return pa.Table.from_pylist(numbered, schema=pa.schema(fields))


def raw(contract: Contract, rows: list[dict[str, Any]], **further: str) -> ibis.Table:
    return ibis.memtable(arrow(contract, rows, **further))


def lines(*changes: dict[str, Any]) -> ibis.Table:
    return raw(RAW_TRANSACTIONS, [{**LINE, **change} for change in changes])


def kept(judged: cleaning.Judged) -> list[dict[str, Any]]:
    return ENGINE.rows(judged.kept().order_by("row_number"))


def reasons(judged: cleaning.Judged) -> dict[int, str]:
    return {row["row_number"]: row["reason"] for row in ENGINE.rows(judged.rejected("x").order_by("row_number"))}


@pytest.mark.parametrize(
    ("change", "rules", "reason"),
    [
        ({"customer_id": "  "}, {}, "customer id is missing"),
        ({"customer_id": None}, {}, "customer id is missing"),
        ({"ordered_at": None}, {}, "order time is missing"),
        ({"ordered_at": None, "unread": "ordered_at"}, {}, "order time is not a date, or is out of bounds"),
        ({"amount": None}, {}, "amount is missing"),
        ({"amount": None, "unread": "amount"}, {}, "amount is not a number"),
        ({"quantity": None, "unread": "quantity"}, {}, "quantity is not a number"),
        ({"amount": float("nan")}, {}, "amount is not a number"),
        ({"quantity": float("nan")}, {}, "quantity is not a number"),
        ({"amount": float("inf")}, {}, "amount is larger than possible"),
        ({"amount": 501.0}, {"largest_amount": 500}, "amount is larger than possible"),
        ({"quantity": -501.0}, {"largest_amount": 500}, "quantity is larger than possible"),
        ({"product_id": "POST"}, {"product_exclusions": ["^POST$"]}, "line is not a product"),
        ({"category": "Bank charges"}, {"product_exclusions": ["^Bank"]}, "line is not a product"),
        ({"amount": 0.0}, {"zero_amounts": "reject"}, "amount is zero"),
        ({"amount": -5.0}, {"negative_prices": "reject"}, "price is negative"),
        ({"customer_id": None, "amount": None}, {}, "customer id is missing; amount is missing"),
        ({"customer_id": None, "problem": "it has 2 cells, its header 4"}, {}, "row cannot be read: it has 2 cells, its header 4"),
    ],
)
def test_each_reason_sets_only_its_line_aside(change: dict[str, Any], rules: dict[str, Any], reason: str) -> None:
    judged = cleaning.judged_transactions(lines({}, change), Cleaning.model_validate(rules))
    assert reasons(judged) == {2: reason}
    assert [row["row_number"] for row in kept(judged)] == [1]


@pytest.mark.parametrize(
    ("change", "rules", "expected", "rule"),
    [
        ({"customer_id": " 13085.0 "}, {}, {"customer_id": "13085"}, "ids written without decimals"),
        ({"customer_id": "17850,0"}, {}, {"customer_id": "17850"}, "ids written without decimals"),
        ({"customer_id": "-1.0"}, {}, {"customer_id": "-1"}, "ids written without decimals"),
        ({"customer_id": "17,850"}, {}, {"customer_id": "17,850"}, None),
        ({"customer_id": "1.50"}, {}, {"customer_id": "1.50"}, None),
        ({"customer_id": "13085.0"}, {"ids_without_decimals": False}, {"customer_id": "13085.0"}, None),
        (
            {"order_id": "C9"},
            {"cancellation_pattern": "^C"},
            {"amount": -10, "quantity": -2, "is_return": True},
            "cancellations netted as returns",
        ),
        (
            {"order_id": "C9", "amount": -10.0, "quantity": -2.0},
            {"cancellation_pattern": "^C"},
            {"amount": -10, "quantity": -2, "is_return": True},
            "cancellations netted as returns",
        ),
        ({"quantity": -2.0}, {}, {"amount": -10, "is_return": True}, "amounts turned negative because goods were given back"),
        ({"amount": -5.0}, {}, {"amount": -5, "is_return": True}, "negative prices netted as returns"),
        ({"amount": 0.0}, {}, {"amount": 0, "is_return": False}, "zero amounts kept"),
        ({"category": " FOOD "}, {"category_case": "lower"}, {"category": "food"}, "categories cased"),
        ({"category": "Fod"}, {"merge": {"category": {"Fod": "Food"}}}, {"category": "Food"}, "categories merged"),
        ({"category": None}, {}, {"category": "unknown"}, "categories missing, called unknown"),
        ({"order_id": None}, {}, {"order_id": "c1@2024-01-05"}, "orders without an id, made of customer and day"),
        ({"discount": None, "unread": "discount"}, {}, {"discount": 0}, "unreadable cells set to missing"),
    ],
)
def test_each_rule_changes_a_line_and_counts_it(
    change: dict[str, Any], rules: dict[str, Any], expected: dict[str, Any], rule: str | None
) -> None:
    judged = cleaning.judged_transactions(lines(change), Cleaning.model_validate(rules))
    (row,) = kept(judged)
    assert {name: row[name] for name in expected} == expected
    counts = ENGINE.rows(judged.counts())[0]
    assert counts["rows_in"] == counts["rows_clean"] == 1
    if rule:
        assert counts[rule] == 1
    assert ENGINE.rows(cleaning.judged_transactions(lines({}), Cleaning.model_validate(rules)).counts())[0].get(rule or "", 0) == 0


def test_exact_duplicates_are_kept_or_set_aside_except_the_first() -> None:
    table = lines({}, {}, {"amount": 11.0}, {})
    assert len(kept(cleaning.judged_transactions(table))) == 4
    assert reasons(cleaning.judged_transactions(table, Cleaning(exact_duplicates="drop"))) == dict.fromkeys(
        (2, 4), "line repeats an earlier one exactly"
    )


@pytest.mark.parametrize(
    ("one", "other", "rules"),
    [
        ({"customer_id": "17850"}, {"customer_id": " 17850.0"}, {}),
        ({"order_id": "9"}, {"order_id": "9.0 "}, {}),
        ({"order_id": None}, {"order_id": " "}, {}),
        ({"product_id": None}, {"product_id": ""}, {}),
        ({"category": "food"}, {"category": "FOOD "}, {"category_case": "lower"}),
        ({"category": "Fod"}, {"category": "Food"}, {"merge": {"category": {"Fod": "Food"}}}),
        ({"category": None}, {"category": "unknown"}, {}),
        ({"discount": None}, {"discount": 0.0}, {}),
        ({"amount": 0.3}, {"amount": 0.1 + 0.2}, {}),
        ({"order_id": "C9", "quantity": 2.0}, {"order_id": "C9", "amount": -10.0, "quantity": -2.0}, {"cancellation_pattern": "^C"}),
        ({"quantity": -2.0}, {"quantity": -2.0, "amount": -10.0}, {}),
    ],
)
def test_duplicates_are_found_after_all_rules_have_been_applied(one: dict[str, Any], other: dict[str, Any], rules: dict[str, Any]) -> None:
    judged = cleaning.judged_transactions(lines(one, other), Cleaning.model_validate({**rules, "exact_duplicates": "drop"}))
    assert reasons(judged) == {2: "line repeats an earlier one exactly"}


def test_a_line_is_kept_even_if_an_unusable_one_equals_it() -> None:
    table = lines({"quantity": None, "unread": "quantity"}, {"quantity": None}, {"quantity": None})
    judged = cleaning.judged_transactions(table, Cleaning(exact_duplicates="drop"))
    assert reasons(judged) == {1: "quantity is not a number", 3: "line repeats an earlier one exactly"}


def test_of_equal_lines_in_two_files_those_in_the_later_file_are_set_aside() -> None:
    table = raw(RAW_TRANSACTIONS, [{**LINE, "row_number": n, "source_file": f} for f, n in (("b", 1), ("a", 7))])
    judged = cleaning.judged_transactions(table, Cleaning(exact_duplicates="drop"))
    assert [row["source_file"] for row in kept(judged)] == ["a"]


def test_impossible_attributes_become_missing_and_spellings_are_merged() -> None:
    table = raw(
        RAW_CUSTOMERS,
        [
            {"customer_id": "1", "income": 666666.0, "born": 1893.0, "land": " DE"},
            {"customer_id": "2", "income": 5.0, "born": 1980.0, "land": ""},
        ],
        income="float64",
        born="float64",
        land="string",
    )
    rules = Cleaning.model_validate(
        {"impossible": {"income": {"values": [666666]}, "born": {"minimum": 1900}}, "merge": {"land": {"DE": "Germany"}}}
    )
    judged = cleaning.judged_customers(table, rules)
    assert [(row["income"], row["born"], row["land"]) for row in kept(judged)] == [(None, None, "Germany"), (5.0, 1980.0, None)]
    counts = ENGINE.rows(judged.counts())[0]
    assert (counts["income: impossible, set to missing"], counts["born: impossible, set to missing"], counts["land: merged"]) == (1, 1, 1)


def test_the_first_record_of_a_customer_is_kept_in_any_spelling_of_the_id() -> None:
    judged = cleaning.judged_customers(
        raw(RAW_CUSTOMERS, [{"customer_id": "7.0"}, {"customer_id": " 7"}, {"customer_id": None}, {"customer_id": "", "problem": "p"}])
    )
    assert [row["customer_id"] for row in kept(judged)] == ["7"]
    assert reasons(judged) == {2: "customer id repeats an earlier record", 3: "customer id is missing", 4: "row cannot be read: p"}


@pytest.mark.parametrize("blank", ["\x00", "\x1c\x1f", "\v", "\x7f", "\x85", "\xa0\u200b"])
def test_an_id_of_invisible_characters_is_missing(blank: str) -> None:
    judged = cleaning.judged_customers(raw(RAW_CUSTOMERS, [{"customer_id": blank}, {"customer_id": f"{blank}7{blank}"}]))
    assert [row["customer_id"] for row in kept(judged)] == ["7"]
    assert reasons(judged) == {1: "customer id is missing"}


def test_repeats_name_the_attributes_that_differ_after_cleaning() -> None:
    rows = [("DE", 1.0), (" DE", 1.0), ("FR", 1.0), (None, 2.0)]
    table = raw(RAW_CUSTOMERS, [{"customer_id": "a", "land": land, "age": age} for land, age in rows], land="string", age="float64")
    judged = cleaning.judged_customers(table)
    assert [row["land"] for row in kept(judged)] == ["DE"]
    repeats = "customer id repeats an earlier record"
    assert reasons(judged) == {2: repeats, 3: f"{repeats}, with other values: land", 4: f"{repeats}, with other values: land, age"}
    assert {row["n"] for row in ENGINE.rows(judged.rows.filter(cleaning.is_no_fault(judged.rows.reason)).agg(n=ibis._.count()))} == {3}


TEXT = st.one_of(st.none(), st.text(max_size=8), st.sampled_from(["C1", "1.0", " ", '"\\', "\x01\t\n", "POST"]))
NUMBER = st.one_of(st.none(), st.floats(), st.sampled_from([0.0, -1.0, 1e308, -5e-324]))
TIME = st.one_of(st.none(), st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1)))
ROWS = {
    "transactions": (
        RAW_TRANSACTIONS,
        {
            "customer_id": TEXT,
            "order_id": TEXT,
            "ordered_at": TIME,
            "amount": NUMBER,
            "quantity": NUMBER,
            "product_id": TEXT,
            "category": TEXT,
            "discount": NUMBER,
            "coupon_discount": NUMBER,
            "unread": st.sampled_from([None, "amount", "quantity,discount"]),
            "problem": st.sampled_from([None, None, "p"]),
        },
    ),
    "customers": (RAW_CUSTOMERS, {"customer_id": TEXT, "problem": st.sampled_from([None, None, "p"])}),
    "events": (RAW_EVENTS, {"customer_id": TEXT, "event_type": TEXT, "event_at": TIME, "subject": TEXT}),
}
STRICT = Cleaning(
    exact_duplicates="drop", zero_amounts="reject", negative_prices="reject", cancellation_pattern="^C", product_exclusions=("^POST",)
)
RULES = {"default": Cleaning(), "strict": STRICT}


@cache
def statements(entity: str, rules: str) -> list[str]:
    """The SQL for clean rows, rejected rows and counts of `raw_rows`, compiled once because that takes far longer than running it."""
    contract, _ = ROWS[entity]
    unbound = ibis.table({c.name: c.type for c in contract.columns}, name="raw_rows")
    judged = JUDGES[entity](unbound, RULES[rules])
    return [str(ibis.to_sql(table, dialect="duckdb")) for table in (judged.kept(), judged.rejected(entity), judged.counts())]


@pytest.mark.parametrize("entity", list(ROWS))
@pytest.mark.parametrize("rules", list(RULES))
@examples(8)
@given(data=st.data())
def test_every_row_is_clean_or_rejected_whatever_it_holds(entity: str, rules: str, data: st.DataObject) -> None:
    contract, cells = ROWS[entity]
    rows = data.draw(st.lists(st.fixed_dictionaries(cells), max_size=8))
    with CONNECTION.cursor() as connection:
        connection.register("raw_rows", arrow(contract, rows))
        good, bad, (counts,) = (connection.sql(query).to_arrow_table().to_pylist() for query in statements(entity, rules))
    assert sorted(row["row_number"] for row in [*good, *bad]) == list(range(1, len(rows) + 1))
    assert all(row["reason"] and isinstance(json.loads(row["record"]), dict) for row in bad)
    assert all(row["customer_id"].strip() for row in good)
    assert (counts["rows_in"], counts["rows_clean"]) == (len(rows), len(good))


@pytest.mark.parametrize(("tells", "has_left"), [
    (True, {"stays": False, "goes": True, "gone": True, "back": False, "guest": False, "new": False}),
    (False, dict.fromkeys(("stays", "goes", "gone", "back", "guest", "new"))),
])  # fmt: skip
def test_who_was_on_record_and_no_longer_is_has_left_if_the_source_tells(tells, has_left):
    was = {"stays": (True, False), "goes": (True, None), "gone": (False, True), "back": (False, True), "guest": (False, None)}
    previous = table(CUSTOMERS, *({"customer_id": c, "registered": on, "has_left": left} for c, (on, left) in was.items()))
    records = ibis.memtable({"customer_id": ["stays", "back", "new"]})
    nothing = {"customer_id": "string", "earlier_order_at": "timestamp(6)", "last_order_at": "timestamp(6)"}
    none = ibis.memtable([], schema=nothing)
    known = cleaning.known_customers(records, table(CUSTOMER_ORDERS), table(EVENTS), previous, none, none, tells_who_left=tells)
    assert {row["customer_id"]: row["has_left"] for row in ENGINE.rows(known)} == has_left
