import datetime as dt

import ibis
import pandas as pd
import pytest
from scipy.stats import binomtest

from segmentation_assets.core.application.campaigns import COLUMNS, campaign_response
from segmentation_assets.tables.campaigns import CAMPAIGN_RESPONSE

MARCH, APRIL, MAY = (dt.date(2024, month, 1) for month in (3, 4, 5))
GOT, USED = "campaign_received", "coupon_redeemed"


def events(*rows):
    frame = pd.DataFrame(rows, columns=["customer_id", "event_type", "subject", "window_start"])
    return ibis.memtable(frame.assign(window_start=pd.to_datetime(frame["window_start"]))).mutate(
        window_start=lambda t: t.window_start.cast("date")
    )


SEGMENTS = ibis.memtable(
    pd.DataFrame(
        [
            ("a", MARCH, 1, "Loyal"),
            ("b", MARCH, 1, "Loyal"),
            ("c", MARCH, 2, "Rare"),
            ("a", APRIL, 2, "Rare"),
            ("d", APRIL, 1, "Regulars"),
        ],
        columns=["customer_id", "snapshot_date", "segment_id", "segment_name"],
    ).assign(snapshot_date=lambda frame: pd.to_datetime(frame["snapshot_date"]))
).mutate(snapshot_date=lambda t: t.snapshot_date.cast("date"))


def response(*rows):
    found = campaign_response(events(*rows), SEGMENTS, GOT, [USED])
    return {(row.campaign, None if pd.isna(row.segment_id) else row.segment_id): row for row in found.itertuples()}


def test_response_is_by_the_segment_in_which_customers_were_before():
    found = response(
        ("a", GOT, "8", MARCH), ("b", GOT, "8", MARCH), ("c", GOT, "8", MARCH), ("a", USED, "8", APRIL), ("a", GOT, "9", APRIL),
        ("c", USED, "9", APRIL),  # without having received it
    )  # fmt: skip
    assert {key: (row.received, row.responded, row.first_window.date()) for key, row in found.items()} == {
        ("8", 1): (2, 1, MARCH),
        ("8", 2): (1, 0, MARCH),
        ("9", 2): (1, 0, APRIL),
    }
    assert found["8", 1].share == 0.5


def test_several_responses_count_once_and_earlier_ones_not_at_all():
    found = response(
        ("a", GOT, "8", APRIL), ("a", USED, "8", MARCH), ("d", GOT, "8", APRIL), ("d", USED, "8", APRIL), ("d", USED, "8", MAY)
    )
    assert (found["8", 2].responded, found["8", 1].responded) == (0, 1)


def test_who_was_not_known_before_counts_without_a_segment():
    found = response(("new", GOT, "8", MARCH), ("a", GOT, "8", MARCH))
    assert found["8", None].received == 1
    assert pd.isna(found["8", None].segment_name)


def test_a_segment_that_was_renamed_has_its_last_name():
    assert response(("a", GOT, "8", MARCH), ("d", GOT, "8", APRIL))["8", 1].segment_name == "Regulars"


def test_events_without_a_campaign_are_none():
    assert response(("a", GOT, None, MARCH), ("a", "visit", "8", MARCH)) == {}


def test_the_interval_is_wilsons():
    row = response(("a", GOT, "8", MARCH), ("b", GOT, "8", MARCH), ("b", USED, "8", MARCH))["8", 1]
    by_wilson = binomtest(1, 2).proportion_ci(method="wilson")
    assert (row.share_low, row.share_high) == (pytest.approx(by_wilson.low), pytest.approx(by_wilson.high))


def test_columns_are_those_of_the_table():
    assert set(COLUMNS) == {column.name for column in CAMPAIGN_RESPONSE.columns}
