"""Each rule of the features that is easy to get wrong, on a few lines."""

import datetime as dt

import ibis
import pandas as pd
import pytest

from segmentation_assets_tests.core.history import MONTHLY, History, back, event, events, line, ordered, transactions
from segmentation_assets_tests.core.stepwise import features_of

AS_OF = dt.date(2017, 7, 1)
MONTHS = [dt.date(2017, month, 1) for month in (4, 5, 6)]


def features(*lines: dict[str, object], happened: tuple[dict[str, object], ...] = (), records: pd.DataFrame | None = None) -> pd.DataFrame:
    if records is None:
        return features_of(list(lines), list(happened), MONTHLY, splits=MONTHS).set_index("customer_id")
    return ordered(History(transactions(lines), events(happened), ibis.memtable(records)).features(AS_OF))


def test_a_gap_spans_the_border_of_windows_and_ignores_returns() -> None:
    found = features(line("a", "2017-05-28"), line("a", "2017-06-03", "-1.00"), line("a", "2017-06-07"), line("a", "2017-06-07 18:00")).loc[
        "a"
    ]
    assert (found["mean_gap_days"], found["overdue_ratio"]) == (10.0, 2.4)  # 24 days since the last order, over a mean gap of 10


def test_the_pause_at_the_start_of_the_lookback_is_that_of_customers_who_had_ordered_before_it() -> None:
    known = [line("known", "2017-03-01"), line("known", "2017-04-11"), line("known", "2017-06-11")]
    undone = [line("back", "2017-03-31"), line("back", "2017-04-02", order_id="x"), back("back", "2017-04-03", "-10.00", "x")]
    found = features(*known, *undone, line("back", "2017-05-01"), line("new", "2017-04-01"), line("lapsed", "2017-03-31"))
    assert found["opening_pause_days"].fillna(-1).to_dict() == {"known": 10.0, "back": 30.0, "new": -1.0, "lapsed": -1.0}


def test_equal_orders_and_even_gaps_have_a_spread_of_exactly_zero() -> None:
    found = features(*(line("a", f"2017-06-{day:02d}", "33.3333") for day in (1, 8, 15, 22, 29))).loc["a"]
    assert (found["order_value_spread"], found["sd_gap_days"]) == (0.0, 0.0)


def test_trend_is_empty_for_new_customers() -> None:
    found = features(line("new", "2017-06-02"), line("gone", "2017-04-02"), line("both", "2017-05-02"), line("both", "2017-06-02"))
    assert pd.isna(found.loc["new", "spend_trend"])
    # "both" was known for one of the two windows before the last: one order in each, so no trend.
    assert found.loc[["gone", "both"], "order_trend"].tolist() == [-1.0, 0.0]


def test_lapsed_customers_keep_their_recency_and_prospects_have_none() -> None:
    found = features(line("lapsed", "2017-03-31"), happened=(event("prospect", "2017-06-01"),))
    assert found["status"].to_dict() == {"lapsed": "lapsed", "prospect": "prospect"}
    assert found.loc["lapsed", ["recency_days", "frequency", "active_window_share"]].tolist() == [92.0, 0.0, 0.0]
    assert found.loc["prospect", ["recency_days", "active_window_share"]].isna().all()


def test_a_response_counts_only_for_a_campaign_received_in_the_lookback() -> None:
    happened = (
        event("a", "2017-03-01", subject="old"), event("a", "2017-05-01", "coupon_redeemed", "old"),
        event("a", "2017-05-01", subject="new"), event("a", "2017-06-20", "coupon_redeemed", "new"), event("a", "2017-05-01", subject="other"),
    )  # fmt: skip
    found = features(line("a", "2017-06-01"), happened=happened).loc["a"]
    assert (found["campaigns_received"], found["campaign_response_share"], found["coupon_redeemed_count"]) == (2.0, 0.5, 2.0)


def test_age_is_in_completed_years() -> None:
    born = pd.DataFrame({"customer_id": ["today", "tomorrow"], "birth_date": [dt.date(1980, 7, 1), dt.date(1980, 7, 2)]})
    found = features(line("today", "2017-06-01"), records=born)
    assert found["age_years"].to_dict() == {"today": 37.0, "tomorrow": 36.0}
    assert "birth_date" not in found


def test_an_attribute_with_the_name_of_a_feature_does_not_replace_it() -> None:
    records = pd.DataFrame({"customer_id": ["a"], "frequency": ["weekly"], "orders": ["many"], "region": ["north"]})
    found = features(line("a", "2017-06-01"), records=records).loc["a"]
    assert (found["frequency"], found["attribute_frequency"], found["orders"], found["region"]) == (1.0, "weekly", "many", "north")


def test_orders_at_exactly_midnight_count_for_no_part_of_the_day() -> None:
    found = features(line("dates only", "2017-06-01"), line("timed", "2017-06-01 00:00:01"))
    assert pd.isna(found.loc["dates only", "night_share"])
    assert found.loc["timed", "night_share"] == 1.0


@pytest.mark.parametrize(("when", "share"), [("2017-06-02", 0.0), ("2017-06-03", 1.0), ("2017-06-04", 1.0), ("2017-06-05", 0.0)])
def test_the_weekend_is_saturday_and_sunday(when: str, share: float) -> None:
    assert features(line("a", when)).loc["a", "weekend_share"] == share
