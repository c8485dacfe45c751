"""Matching of returns to orders, when an order stops counting, and large amounts."""

import datetime as dt
from fractions import Fraction
from typing import Any

import hypothesis.strategies as st
import ibis
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given

from segmentation_assets.core.customers import activity, feature_catalog, orders
from segmentation_assets.store.lake import conformed
from segmentation_assets.tables.audit import violations
from segmentation_assets.tables.cleaned import CUSTOMER_ORDERS, CUSTOMERS, ORDER_RETURNS
from segmentation_assets_tests.core.history import MONTHLY, arrow, back, in_memory, line, transactions
from segmentation_assets_tests.core.stepwise import CONNECTION, features_of


def features(*lines: dict[str, Any], as_of: dt.date = dt.date(2017, 7, 1)) -> pd.DataFrame:
    months = [dt.date(2017, month, 1) for month in (4, 5, 6)]
    return features_of(list(lines), [], MONTHLY, splits=months, as_of=as_of).set_index("customer_id")


def returns(*lines: dict[str, Any]) -> list[dict[str, Any]]:
    rows = transactions(lines)
    placed = orders.customer_orders(rows)
    return conformed(ORDER_RETURNS, orders.order_returns(rows, placed, ibis.memtable(arrow(ORDER_RETURNS, [])))).to_pyarrow().to_pylist()


def test_a_fully_returned_order_stops_counting_from_the_return_on() -> None:
    lines = [line("a", "2017-05-02"), line("a", "2017-05-20", order_id="o"), back("a", "2017-06-10", "-10.00", "o")]
    before = features(*lines, as_of=dt.date(2017, 6, 1)).loc["a"]
    after = features(*lines).loc["a"]
    assert before[["frequency", "recency_days", "monetary"]].tolist() == [2, 12, 20]
    assert after[["frequency", "recency_days", "monetary"]].tolist() == [1, 60, 10]


def test_a_partly_returned_order_still_counts() -> None:
    assert features(line("a", "2017-05-20", order_id="o"), back("a", "2017-06-10", "-9.99", "o")).loc["a", "frequency"] == 1


def test_a_return_without_an_order_id_lowers_spend_only() -> None:
    found = features(line("a", "2017-05-20"), line("a", "2017-06-10", "-10.00", order_id="r")).loc["a"]
    assert found[["frequency", "recency_days", "monetary"]].tolist() == [1, 42, 0]


def test_customers_who_returned_everything_have_their_own_status() -> None:
    found = features(
        line("all", "2017-05-20", order_id="o"), back("all", "2017-06-10", "-10.00", "o"), line("only", "2017-06-10", "-10.00"),
        line("before", "2016-05-20"), back("before", "2017-06-10", "-1.00", "x"),
    )  # fmt: skip
    assert found["status"].to_dict() == {"all": "returned", "only": "returned", "before": "lapsed"}
    assert found.loc["all", ["average_order_value", "categories", "weekend_share", "recency_days"]].isna().all()
    assert found["monetary"].to_dict() == {"all": 0.0, "only": -10.0, "before": -1.0}


def test_a_return_belongs_to_the_latest_earlier_order_of_its_id() -> None:
    twice = [line("a", "2017-04-10", "4.00", order_id="s"), line("a", "2017-05-10", "6.00", order_id="s")]
    assert [str(row["order_day"]) for row in returns(*twice, back("a", "2017-05-20", "-6.00", "s"))] == ["2017-05-10"]
    assert [str(row["order_day"]) for row in returns(*twice, back("a", "2017-05-09", "-6.00", "s"))] == ["2017-04-10"]


def test_returns_of_one_order_on_several_days_are_added_up() -> None:
    (row,) = returns(line("a", "2017-05-01", order_id="o"), *(back("a", f"2017-05-0{day}", "-5.00", "o") for day in (2, 3)))
    assert (float(row["taken_back"]), row["undone"]) == (10.0, True)


def test_the_last_order_before_the_lookback_counts_again_if_all_later_ones_are_undone() -> None:
    lines = [line("a", "2017-03-05", order_id="kept"), line("a", "2017-03-09", order_id="gone"), line("a", "2017-06-05", order_id="later")]
    taken = [back("a", "2017-04-01", "-10.00", "gone"), back("a", "2017-06-20", "-10.00", "later")]
    everything = in_memory(conformed(CUSTOMER_ORDERS, orders.customer_orders(transactions([*lines, *taken]))))
    undone = ibis.memtable(pa.Table.from_pylist(returns(*lines, *taken)))
    left, within = everything.filter(everything.order_day < "2017-04-01"), everything.filter(everything.order_day >= "2017-04-01")
    earlier = in_memory(orders.earlier_orders(left, undone, ibis.memtable(arrow(CUSTOMERS, []))))
    assert [str(row["earlier_order_at"].date()) for row in earlier.to_pyarrow().to_pylist()] == ["2017-03-05"]
    (found,) = orders.last_orders(undone.select("customer_id").distinct(), within, undone, earlier).to_pyarrow().to_pylist()
    assert found == {"customer_id": "a", "last_order_at": dt.datetime(2017, 3, 5)}


@pytest.mark.parametrize(("count", "placed"), [(True, 2), (False, 1)])
def test_free_orders_count_as_set(count: bool, placed: int) -> None:
    lines = transactions([line("a", "2017-05-01", "0.00"), line("a", "2017-05-02")])
    made = conformed(CUSTOMER_ORDERS, orders.customer_orders(lines, free_orders_count=count))
    assert made.ordered_at.count().execute() == placed
    assert made.count().execute() == 2  # their lines are kept


# --- large amounts

AMOUNTS = st.one_of(st.decimals("0.01", "1000000000", places=2), st.sampled_from(["100000", "128000", "1000000000", "999999999.99"]))


def _statement() -> str:
    """The SQL for spend and spread per customer from a table of orders, compiled once."""
    o = ibis.table({c.name: c.type for c in CUSTOMER_ORDERS.columns}, name="o")
    sums = o.group_by("customer_id").agg(**activity.order_sums(o), spend=orders.exact_sum(o.spend))
    return str(ibis.to_sql(sums.mutate(spread=feature_catalog.order_value_cv(sums)).select("spend", "spread"), dialect="duckdb"))


STATEMENT = _statement()


def spread_of(amounts: list[Any]) -> dict[str, Any]:
    with CONNECTION.cursor() as connection:
        rows = [
            {"customer_id": "a", "order_id": str(n), "order_day": dt.date(2017, 5, 1), "ordered_at": dt.datetime(2017, 5, 1, 1), "lines": 1,
             "bought_lines": 1, "spend": str(amount), "purchases": str(amount), "units": "1", "discount": "0", "coupon_discount": "0"}
            for n, amount in enumerate(amounts)
        ]  # fmt: skip
        connection.register("o", arrow(CUSTOMER_ORDERS, rows))
        return connection.execute(STATEMENT).to_arrow_table().to_pylist()[0]


@given(st.lists(AMOUNTS, min_size=2, max_size=30))
def test_sums_are_exact_and_spread_is_right_up_to_a_billion_per_line(amounts: list[Any]) -> None:
    found, exact = spread_of(amounts), [Fraction(str(amount)) for amount in amounts]
    assert Fraction(str(found["spend"])) == sum(exact)
    mean = sum(exact) / len(exact)
    variance = sum((x - mean) ** 2 for x in exact) / (len(exact) - 1)
    assert found["spread"] == pytest.approx(float(variance) ** 0.5 / float(mean), rel=1e-9, abs=1e-300)
    assert spread_of(amounts[::-1]) == found


@pytest.mark.parametrize("largest", ["100000", "128000", "1000000000", "1000000000000"])
def test_squares_of_large_orders_do_not_overflow(largest: str) -> None:
    found = spread_of([largest, largest, "1"])
    assert found["spread"] > 0.8


def test_a_customer_with_impossible_sums_is_named_with_the_remedy() -> None:
    lines = [line("guest", f"2017-05-01 00:00:{n:02}", "900000000000", order_id="o") for n in range(3)]
    many = in_memory(conformed(CUSTOMER_ORDERS, orders.customer_orders(transactions([*lines * 50, line("a", "2017-05-02")]))))
    (broken, *_) = [text for text in violations(CUSTOMER_ORDERS, many) if text.startswith("spend")]
    assert "customer_id guest" in broken
    assert "lower cleaning.largest_amount" in broken


@given(st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=30), st.randoms())
def test_floats_add_up_to_the_same_sum_in_any_order(values: list[float], turn: Any) -> None:
    turned = turn.sample(values, len(values))
    one, other = (ibis.memtable(pa.table({"v": found})) for found in (values, turned))
    sums = [table.agg(total=orders.summed(table.v)).to_pyarrow()["total"][0].as_py() for table in (one, other)]
    assert sums[0] == sums[1] == pytest.approx(float(sum(map(Fraction, values))), abs=1e-13, rel=1e-13)
