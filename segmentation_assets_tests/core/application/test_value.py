"""What customers are worth, and what is at stake, is measured: by hand on a few customers."""

import datetime as dt
from typing import Any

import numpy as np
import pytest

from segmentation_assets.core.application import value
from segmentation_assets.core.application.next_category import LEAST_TOGETHER, next_categories, similarities
from segmentation_assets_tests.core.application.test_plays import table
from segmentation_assets_tests.core.history import lookback

NOW, THEN = lookback(dt.date(2017, 7, 1)), lookback(dt.date(2017, 4, 1))  # three windows each
FEATURES = {"customer_id": "string", "status": "string", "monetary": "float64", "top_category": "string"}
LONG_AGO = dt.datetime(2016, 1, 1)
DESCRIBED = table(
    FEATURES,
    ("a", "active", 300.0, "tea"), ("new", "active", 50.0, None), ("back", "active", -5.0, None),
    ("lapsed", "lapsed", 0.0, None), ("long gone", "lapsed", 0.0, None), ("nobody", "prospect", 0.0, None),
)  # fmt: skip
FIRST = table(
    {"customer_id": "string", "first_order_at": "timestamp(6)"},
    *((one, LONG_AGO) for one in ("a", "back", "lapsed", "long gone")), ("new", dt.datetime(2017, 6, 10)), ("nobody", None),
)  # fmt: skip
SEGMENTS = {"customer_id": "string", "segment_id": "int64"}
PLACED = table(SEGMENTS, ("a", 1), ("new", 1), ("back", 2), ("lapsed", -1), ("long gone", -1), ("nobody", -2))
BEFORE = table(
    SEGMENTS, *((f"b{one}", 1) for one in range(40)), *((f"c{one}", 2) for one in range(29)), *((f"d{one}", -1) for one in range(30))
)
ORDERED = table({"customer_id": "string", "orders": "int64"}, *((f"b{one}", 1) for one in range(30)), ("b39", 0))
DESCRIBED_THEN = table(FEATURES, ("lapsed", "active", 90.0, None), ("long gone", "lapsed", 0.0, None))


def values(features: Any = DESCRIBED, before: Any = BEFORE) -> dict[str, tuple[Any, ...]]:
    rows = value.customer_value(features, FIRST, PLACED, before, ORDERED, DESCRIBED_THEN, NOW, THEN).to_pyarrow().to_pylist()
    return {row["customer_id"]: (row["value_now"], row["value_at_stake"], row["usual_category"]) for row in rows}


def test_value_is_spend_per_window_and_at_stake_the_share_of_the_segment_who_stopped() -> None:
    assert values() == {
        "a": (100.0, 25.0, "tea"),  # three windows; 10 of 40 did not order since
        "new": (50.0, 12.5, None),  # a customer for one window
        "back": (0.0, None, None),  # returned more than bought; 29 customers tell no share
        "lapsed": (30.0, 30.0, None),  # as it was one lookback ago
        "long gone": (None, None, None),
        "nobody": (None, None, None),
    }


def test_nothing_is_at_stake_where_nothing_was_measured() -> None:
    assert {stake for _, stake, _ in values(before=table(SEGMENTS)).values()} == {None}
    assert set(values(features=DESCRIBED.drop("monetary")).values()) == {(None, None, None)}


BOUGHT = {"customer_id": "string", "category": "string", "bought_lines": "int64"}


def baskets(**of: tuple[int, str]) -> list[tuple[str, str, int]]:
    return [
        (f"{name}{one}", category, 1)
        for name, (number, categories) in of.items()
        for one in range(number)
        for category in categories.split()
    ]


ASKING = table({"customer_id": "string"}, ("asks",), ("has bread",), ("drinks",), ("nothing",))


def test_the_next_category_is_what_those_who_buy_the_same_also_buy() -> None:
    rows = baskets(
        both=(30, "milk bread"), more=(25, "milk honey"), bread=(9, "bread"), beer=(100, "beer"), rare=(LEAST_TOGETHER - 1, "milk tea")
    )
    rows += [("asks", "milk", 1), ("asks", "honey", 0), ("has bread", "milk", 1), ("has bread", "bread", 1), ("drinks", "beer", 1)]
    found = next_categories(ASKING, ASKING, table(BOUGHT, *rows)).to_pyarrow().to_pylist()
    assert {row["customer_id"]: row["next_category"] for row in found} == {"asks": "honey", "has bread": "honey"}


def test_what_nearly_everyone_buys_decides_nothing() -> None:
    rows = [*baskets(all=(200, "milk"), tea=(40, "milk tea cake"), beer=(60, "milk beer crisps")), ("asks", "milk", 1), ("asks", "tea", 1)]
    [found] = next_categories(ASKING, ASKING, table(BOUGHT, *rows)).to_pyarrow().to_pylist()
    assert found == {"customer_id": "asks", "next_category": "cake"}


def test_similarity_is_the_correlation_over_customers() -> None:
    of = baskets(both=(30, "a b"), a=(10, "a"), c=(40, "c"))
    rows = similarities(table({"customer_id": "string", "category": "string"}, *((one, category) for one, category, _ in of))).to_pyarrow()
    bought_a, bought_b = ([1.0] * 40 + [0.0] * 40, [1.0] * 30 + [0.0] * 50)
    expected = pytest.approx(float(np.corrcoef(bought_a, bought_b)[0, 1]))
    assert {(row["category"], row["other"]): row["similarity"] for row in rows.to_pylist()} == {("a", "b"): expected, ("b", "a"): expected}
