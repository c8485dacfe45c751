"""Properties of any history: the future changes nothing, and the division into windows makes no difference."""

import datetime as dt
from typing import Any

import hypothesis.strategies as st
import pandas as pd
import pytest
from hypothesis import given

from segmentation_assets.settings.snapshots import Snapshots
from segmentation_assets_tests.conftest import examples
from segmentation_assets_tests.core.history import MONTHLY, event, line
from segmentation_assets_tests.core.stepwise import DAILY, MID_MONTH, WEEKLY, Rows, features_of

EXAMPLES = examples(8)
ON = st.sampled_from([MONTHLY, WEEKLY, DAILY, MID_MONTH])
customers = st.sampled_from(["a", "b", "c"])
# Few customers with many orders near window borders, midnight and each other, where merging is most likely to fail.
instants = st.one_of(
    st.datetimes(dt.datetime(2017, 3, 1), dt.datetime(2017, 6, 14, 23, 59, 59)),
    st.sampled_from([dt.datetime(2017, month, 1) + dt.timedelta(microseconds=us) for month in (4, 5, 6) for us in (-1, 0)]),
)
future = st.datetimes(dt.datetime(2017, 7, 1), dt.datetime(2018, 7, 1))


def lines_at(when: st.SearchStrategy[dt.datetime], **bounds: Any) -> st.SearchStrategy[Rows]:
    bought = st.integers(0, 50_000).map(lambda cents: f"{cents / 100:.2f}")
    one = st.builds(
        lambda customer, at, amount, category, order, coupon: line(customer, str(at), amount, category=category, order_id=order, coupon_discount=coupon),
        customers, when, bought, st.sampled_from(["bakery", "wine"]), st.sampled_from(["o1", "o2"]), st.sampled_from(["0", "1.50"]),
    )  # fmt: skip
    # About half of the returns return a whole order.
    returned = st.builds(
        lambda customer, at, amount, order: line(customer, str(at), amount, order_id="r", returned_order_id=order),
        customers, when, st.sampled_from(["-5.00", "-1000.00"]), st.sampled_from(["o1", "o2", None]),
    )  # fmt: skip
    return st.lists(st.one_of(one, one, returned), **bounds)


def events_at(when: st.SearchStrategy[dt.datetime]) -> st.SearchStrategy[Rows]:
    kinds, subjects = st.sampled_from(["campaign_received", "coupon_redeemed", "visit"]), st.sampled_from(["c1", "c2", None])
    one = st.builds(lambda customer, at, kind, subject: event(customer, str(at), kind, subject), customers, when, kinds, subjects)
    return st.lists(one, max_size=6)


@EXAMPLES
@given(ON, lines_at(instants, min_size=1, max_size=12), lines_at(future, min_size=1, max_size=12), events_at(instants), events_at(future))
def test_the_future_changes_no_earlier_snapshot(on: Snapshots, past: Rows, later: Rows, happened: Rows, will_happen: Rows) -> None:
    before = features_of(past, happened, on)
    after = features_of([*later, *past], [*will_happen, *happened], on)
    pd.testing.assert_frame_equal(after, before, check_exact=True)


# Any day can be a border, not only those of the cadence's windows.
@EXAMPLES
@given(
    ON,
    lines_at(instants, min_size=1, max_size=15),
    events_at(instants),
    st.lists(st.dates(dt.date(2017, 3, 1), dt.date(2017, 7, 1)), min_size=1, max_size=3),
)
def test_merged_windows_equal_a_single_computation(on: Snapshots, lines: Rows, happened: Rows, splits: list[dt.date]) -> None:
    pd.testing.assert_frame_equal(features_of(lines, happened, on, splits=splits), features_of(lines, happened, on), check_exact=True)


@EXAMPLES
@given(lines_at(instants, min_size=2, max_size=15), st.randoms(use_true_random=False))
def test_rows_in_any_order_give_the_same(lines: Rows, random: Any) -> None:
    shuffled = random.sample(lines, len(lines))
    pd.testing.assert_frame_equal(features_of(shuffled, [], MONTHLY), features_of(lines, [], MONTHLY), check_exact=True)


@pytest.mark.parametrize("windows", [1, 3])
def test_the_compared_statements_compute_features(windows: int) -> None:
    """Within the lookback and no further."""
    lines = [line("a", "2017-04-30", "5.00"), line("a", "2017-06-01", "7.00"), line("a", "2017-07-01", "11.00")]
    assert features_of(lines, [], MONTHLY, windows).loc[0, ["frequency", "monetary"]].tolist() == ([1, 7.0] if windows == 1 else [2, 12.0])
