"""A printed rule is read by every engine as it was meant, to the last bit of a float; a missing value meets nothing."""

import duckdb
import ibis
import numpy as np
import pyarrow as pa
import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st

from segmentation_assets.cli.look import DIALECTS
from segmentation_assets.core.segments.predicates import STATUS_WORDS, Condition, Predicate, in_dialect
from segmentation_assets.expressions import Typed, mapped
from segmentation_assets.vocabulary import Status
from segmentation_assets_tests import hostile

NUMBERS = st.one_of(
    st.floats(allow_nan=False, width=64), st.integers(-(10**6), 10**6).map(float), st.sampled_from([0.1, 0.3, 1e15, 1e16, 5e-324, 1e-5])
)
FINITE = NUMBERS.filter(np.isfinite)
TEXTS = st.one_of(
    st.sampled_from([*hostile.ALL, "it's", "a\\b", "", "%", "TRUE"]),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8),
)
NAMED = {"recency_days": FINITE, "Annual Income": FINITE, "select": FINITE, "Home": TEXTS, "member": st.booleans()}
OPERATORS = {"recency_days": ("<=", ">"), "Annual Income": ("<=", ">"), "select": ("<=", ">"), "Home": ("=", "<>"), "member": ("=", "<>")}
CONDITIONS = st.sampled_from(list(NAMED)).flatmap(
    lambda name: st.builds(Condition, st.just(name), st.sampled_from(OPERATORS[name]), NAMED[name])
)
PREDICATES = st.builds(
    Predicate, st.just("active"), st.lists(st.lists(CONDITIONS, max_size=3).map(tuple), min_size=1, max_size=3).map(tuple)
)


@pytest.mark.parametrize("status", Status)
def test_every_status_has_words_and_those_of_active_customers_tell_of_no_orders(status):
    words = Predicate(status).words()
    assert words and not (status == Status.ACTIVE and "order" in words)


@st.composite
def cases(draw):
    """A predicate, and customers on, just below and just above its constants, or without a value."""
    predicate = draw(PREDICATES)
    constants = {name: [c.value for box in predicate.boxes for c in box if c.column == name] for name in NAMED}
    rows = {}
    for name, values in NAMED.items():
        near = [
            v for value in constants[name] if isinstance(value, float) for v in (np.nextafter(value, -np.inf), np.nextafter(value, np.inf))
        ]
        known = st.one_of(
            *([st.sampled_from([*constants[name], *near])] if constants[name] else []), NUMBERS if values is FINITE else values
        )
        rows[name] = draw(st.lists(st.one_of(st.none(), known), min_size=6, max_size=6))
    return predicate, rows


def as_table(rows):
    kinds = {"Home": pa.string(), "member": pa.bool_()}
    fields = {name: pa.array(values, kinds.get(name, pa.float64())) for name, values in rows.items()}
    return pa.table({"id": pa.array(range(6), pa.int64()), "status": pa.array(["active"] * 6), **fields})


def arrays(rows):
    return {
        name: np.array([np.nan if v is None else v for v in values]) if NAMED[name] is FINITE else np.array(values, dtype=object)
        for name, values in rows.items()
    }


@given(cases())
def test_the_printed_rule_returns_exactly_its_members(case):
    predicate, rows = case
    customers = as_table(rows)
    meant = np.flatnonzero(predicate.met(arrays(rows))).tolist()
    with duckdb.connect() as database:
        database.register("customers", customers)
        printed = [i for (i,) in database.execute(f"SELECT id FROM customers WHERE {predicate.sql()} ORDER BY id").fetchall()]
    assert printed == meant


@given(cases())
def test_the_rule_is_also_a_condition_of_an_own_segment(case):
    predicate, rows = case
    customers = ibis.memtable(as_table(rows))
    inside = customers.filter(mapped(predicate.sql(), customers, Typed()).value).order_by("id").to_pyarrow()["id"].to_pylist()
    assert inside == np.flatnonzero(predicate.met(arrays(rows))).tolist()


@given(PREDICATES, st.sampled_from(DIALECTS))
def test_each_dialect_reads_its_rule_as_the_same_conditions(predicate, dialect):
    written = in_dialect(predicate.sql(), dialect)
    again = sqlglot.transpile(written, read=dialect, write="duckdb")[0]
    assert sqlglot.parse_one(again, dialect="duckdb") == sqlglot.parse_one(predicate.sql(), dialect="duckdb")


def test_capitals_and_words_of_sql_are_quoted_as_each_dialect_does():
    rule = Predicate("active", ((Condition("Home", "=", "it's"), Condition("select", ">", 2.5)),)).sql()
    assert rule == """status = 'active' AND "Home" = 'it''s' AND "select" > 2.5"""
    assert in_dialect(rule, "bigquery") == "status = 'active' AND `Home` = 'it\\'s' AND `select` > 2.5"
    assert in_dialect(rule, "postgres") == rule
    assert in_dialect(rule, "snowflake") == rule.replace("it''s", "it\\'s")


@pytest.mark.parametrize(
    ("boxes", "words"),
    [
        ((), "are active"),
        ((("recency_days", "<=", 9.0), ("monetary", ">", 1200.0)), "came within the last 9 days and spent more than 1,200 EUR"),
        ((("frequency", ">", 3.0), ("frequency", "<=", 10.0)), "ordered more than 3 and at most 10 times"),
        ((("weekend_share", ">", 0.25),), "have weekend share above 0.25"),
        ((("Home", "=", "own"), ("member", "<>", True)), "have home own and have member other than True"),
    ],
)
def test_a_rule_in_words(boxes, words):
    assert Predicate("active", (tuple(Condition(*one) for one in boxes),)).words("EUR") == words


def test_boxes_are_alternatives_in_words_and_in_sql():
    either = Predicate(
        "active", ((Condition("monetary", ">", 9.0),), (Condition("frequency", ">", 2.0), Condition("recency_days", "<=", 1.5)))
    )
    assert either.words() == "spent more than 9 currency units; or ordered more than 2 times and came within the last 1.5 days"
    assert either.sql() == "status = 'active' AND (monetary > 9 OR (frequency > 2 AND recency_days <= 1.5))"


def test_a_missing_value_meets_no_condition():
    columns = {"x": np.array([np.nan]), "kind": np.array([None], dtype=object)}
    for one in (Condition("x", "<=", 1.0), Condition("x", ">", 1.0), Condition("kind", "=", "a"), Condition("kind", "<>", "a")):
        assert not one.met(columns).any()


def test_every_status_has_words():
    assert set(STATUS_WORDS) == set(Status)
