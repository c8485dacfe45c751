"""Own segments are as large as plain SQL says, and each customer who enters or leaves one has a cause."""

import duckdb
import ibis
import pandas as pd
import pytest

from segmentation_assets.core.segments import own
from segmentation_assets.expressions import ExpressionError
from segmentation_assets.settings.own_segments import OwnSegment

FEATURES = pd.DataFrame(
    {
        "customer_id": ["a", "b", "c", "d", "e"],
        "recency_days": [70.0, 80.0, 5.0, 90.0, None],
        "monetary": [1500.0, 900.0, 2000.0, 1200.0, None],
        "country": ["DE", "DE", "DE", None, "FR"],
        "segment_name": ["x"] * 5,  # an attribute that takes no part
    }
)
SEGMENTS = pd.DataFrame(
    {
        "customer_id": ["a", "b", "c", "d", "e"],
        "segment_id": [1, 2, 1, 2, -2],
        "segment_name": ["Loyal", "Rare", "Loyal", "Rare", "Prospects"],
    }
)
CONDITIONS = {
    "lapsing_vips": "monetary > 1000 and recency_days > 60 and country = 'DE'",
    "not_german": "not country = 'DE'",
    "loyal": "segment_name = 'Loyal'",
    "nobody": "monetary > 9999",
}
OWN = {name: OwnSegment(condition=condition) for name, condition in CONDITIONS.items()}
KNOWN = ibis.memtable(FEATURES), ibis.memtable(SEGMENTS)
CUSTOMERS = own.placed(*KNOWN)


def inside(**who: list[str]) -> ibis.Table:
    rows = [(name, customer) for name, customers in who.items() for customer in customers]
    return ibis.memtable(pd.DataFrame(rows, columns=["own_segment", "customer_id"], dtype="str"))


def test_answers_and_consent_are_conditions_by_themselves_before_any_customer_is_read():
    asked = {name: OwnSegment(condition=name) for name in ("consent", "replied", "town")}
    problems = own.unusable(asked, {"monetary": "float64"}, {"replied": "boolean", "town": "text"}, True, ())
    assert problems == ["own_segments.town: 'town' is a value, not a condition; compare it with something, such as monetary > 1000."]
    assert "is not a column" in own.unusable(asked, {}, {"replied": "boolean", "town": "text"}, False, ())[0]


def test_members_and_figures_are_those_of_plain_sql():
    found = own.summary(OWN, own.members(OWN, CUSTOMERS), *KNOWN, inside(), set()).set_index("own_segment")
    database = duckdb.connect()
    database.register("known", FEATURES.drop(columns="segment_name").merge(SEGMENTS))
    for name, condition in CONDITIONS.items():
        size, revenue = database.execute(f"SELECT count(*), coalesce(sum(monetary), 0) FROM known WHERE {condition}").fetchall()[0]
        assert (found.at[name, "customers"], found.at[name, "revenue"]) == (size, revenue), name
    assert found.at["lapsing_vips", "share"] == 1 / 5
    assert found.at["loyal", "revenue_share"] == 3500 / 5600


def test_the_largest_overlap_is_the_segment_of_most_members():
    dormant = {"dormant": OwnSegment(condition="recency_days > 60")}
    (row,) = own.summary(dormant, own.members(dormant, CUSTOMERS), *KNOWN, inside(), set()).to_dict("records")
    assert [row[f"largest_overlap{what}"] for what in ("_segment_id", "_segment_name", "")] == [2, "Rare", 2 / 3]


def test_who_entered_and_left_is_counted_only_where_the_segment_was_set_before():
    before, now = inside(loyal=["a", "b", "d"]), inside(loyal=["a", "c"])
    found = own.summary(OWN, now, *KNOWN, before, {"loyal", "nobody"}).set_index("own_segment")
    assert found.loc[["loyal", "nobody"], ["customers_entered", "customers_left"]].values.tolist() == [[1, 2], [0, 0]]
    assert found.loc["not_german", ["customers_entered", "customers_left"]].isna().all()


def test_without_own_segments_the_tables_are_empty():
    none = own.members({}, CUSTOMERS)
    assert none.to_pandas().empty
    assert own.summary({}, none, *KNOWN, inside(), set()).empty
    assert own.changes(inside(), inside(), []).to_pandas().empty


def test_each_change_has_its_cause():
    before, now = inside(loyal=["stays", "put_out", "leaves"], big=["leaves"]), inside(loyal=["stays", "put_in", "enters"], big=["enters"])
    changed = own.changes(before, now, ["big"], ["loyal"], inside(loyal=["stays", "put_out", "enters"]))
    assert sorted(changed.select("own_segment", "customer_id", "change", "cause").to_pandas().itertuples(index=False, name=None)) == [
        ("big", "enters", "entered", "definition"),
        ("big", "leaves", "left", "definition"),
        ("loyal", "enters", "entered", "behaviour"),
        ("loyal", "leaves", "left", "behaviour"),
        ("loyal", "put_in", "entered", "model"),
        ("loyal", "put_out", "left", "model"),
    ]


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        ("recency > 60", "^own_segments.mine: 'recency > 60' uses 'recency', which is not a column here. Did you mean 'recency_days'"),
        ("monetary", "is a value, not a condition"),
        ("monetary > (select avg(monetary) from customers)", "is refused: a query"),
        ("country = 'DE' and monetary > 1", "country, which is in privacy.sensitive"),
    ],
)
def test_what_is_no_condition_is_refused_with_the_name_of_the_setting(condition, why):
    with pytest.raises(ExpressionError, match=why):
        own.members({"mine": OwnSegment(condition=condition)}, CUSTOMERS, ["country"])
