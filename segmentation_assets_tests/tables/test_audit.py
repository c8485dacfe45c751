"""Every breach of a contract is found and counted."""

import ibis
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentation_assets.tables.audit import violations
from segmentation_assets.tables.contract import Column, Contract, required

FRUIT = Contract(
    "fruit", "fruit",
    (
        required("name", "string", "Name."),
        Column("weight", "float64", "Weight in kg.", minimum=0.0, maximum=2.0),
        Column("colour", "string", "Colour.", allowed=("red", "green")),
    ),
    key=("name",),
)  # fmt: skip
COLUMNS = ("name", "weight", "colour")
SCHEMA = pa.schema({"name": pa.string(), "weight": pa.float64(), "colour": pa.string()})


def found(*rows, contract=FRUIT, schema=SCHEMA):
    """The broken rules, without their examples."""
    told = violations(contract, table(*rows, schema=schema))
    return {text.partition(", such as ")[0]: number for text, number in told.items()}


def table(*rows, schema=SCHEMA):
    return ibis.memtable(pa.Table.from_pylist([dict(zip(COLUMNS, row, strict=True)) for row in rows], schema=schema))


def test_the_first_bad_row_is_named_by_its_key_with_the_remedy():
    heavy = Contract(
        "fruit", "fruit", (FRUIT.columns[0], Column("weight", "float64", "kg", maximum=2.0, remedy="weigh it again")), key=("name",)
    )
    told = violations(heavy, table(("b", 3.0, None), ("a", 4.0, None)).select("name", "weight"))
    assert told == {"weight is above 2, such as name a: weigh it again": 2}


def test_a_clean_table_breaks_nothing():
    assert found(("apple", 0.2, "red"), ("melon", 2.0, "green"), ("air", 0.0, None), ("pear", None, "green")) == {}


def test_a_table_without_rows_breaks_nothing_but_its_types():
    assert found() == {}
    wrong = pa.schema({**dict(zip(COLUMNS, SCHEMA.types, strict=True)), "weight": pa.int64()})
    assert violations(FRUIT, table(schema=wrong), empty=True) == {"weight is int64, not float64": 1}
    assert violations(FRUIT, table(), empty=True) == {}


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        ((None, 1.0, "red"), "name is missing"),
        (("bad", -0.1, "red"), "weight is below 0"),
        (("bad", 2.1, "red"), "weight is above 2"),
        (("bad", float("inf"), "red"), "weight is above 2"),
        (("bad", 1.0, "blue"), "colour is not one of red, green"),
    ],
)
def test_a_bad_row_is_counted(row, rule):
    assert found(("apple", 0.2, "red"), row) == {rule: 1}


def test_every_bad_row_is_counted():
    assert found(("a", -1.0, "red"), ("b", -2.0, "red"), ("c", 1.0, "red")) == {"weight is below 0": 2}


def test_every_broken_rule_is_named():
    assert found(("a", -1.0, "blue")) == {"weight is below 0": 1, "colour is not one of red, green": 1}


def test_a_key_that_repeats_several_times_is_counted_once():
    assert found(("a", 1.0, "red"), ("a", 1.5, "red"), ("a", 1.5, "red"), ("b", 1.0, "red")) == {"key (name) is not unique": 1}


def test_missing_values_in_a_key_are_equal():
    optional = Contract("fruit", "fruit", (Column("name", "string", "Name."), *FRUIT.columns[1:]), key=("name",))
    assert found((None, 1.0, "red"), ("a", 1.0, "red"), contract=optional) == {}
    assert found((None, 1.0, "red"), (None, 1.0, "red"), contract=optional) == {"key (name) is not unique": 1}


def test_a_column_of_another_type_is_found_even_without_rows():
    other = SCHEMA.set(1, pa.field("weight", pa.int64()))
    assert found(schema=other) == {"weight is int64, not float64": 1}


ROW = st.tuples(st.text(max_size=3), st.none() | st.floats(0, 2), st.sampled_from([None, "red", "green"]))


@given(st.lists(ROW, unique_by=lambda row: row[0], max_size=5))
def test_valid_rows_break_nothing(rows):
    assert found(*rows) == {}


@given(st.lists(ROW, unique_by=lambda row: row[0], min_size=1, max_size=5), st.data())
def test_each_row_that_is_too_heavy_is_counted(rows, data):
    heavy = data.draw(st.sets(st.integers(0, len(rows) - 1), min_size=1))
    assert found(*((n, 3.0 if i in heavy else w, c) for i, (n, w, c) in enumerate(rows))) == {"weight is above 2": len(heavy)}
