"""A feed that stops, thins out or ends early is recognised; without enough history, nothing is measured."""

import datetime as dt

import ibis
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentation_assets.core.customers.volume import judge, rows_per_day, table
from segmentation_assets.engines.duckdb import DuckDBEngine
from segmentation_assets.settings.volume import Volume

USUAL = Volume()
MONTHS = [dt.date(2024, month, 1) for month in range(1, 9)]  # the last window is July


def monthly(*rows: int, last_day: int = 31) -> dict[dt.date, int]:
    """The given number of rows on every day of each month from January 2024; the last month ends on `last_day`."""
    days = [dt.date(2024, 1, 1) + dt.timedelta(days=n) for n in range(213)]
    found = {day: rows[day.month - 1] for day in days if day.month <= len(rows)}
    return {day: n for day, n in found.items() if n and (day.month < len(rows) or day.day <= last_day)}


@pytest.mark.parametrize(("july", "verdict"), [(0, "empty"), (3, "low"), (4, "as usual"), (5, "as usual"), (100, "as usual")])
def test_a_window_is_judged_by_the_median_of_the_previous_six(july, verdict):
    found = judge("transactions", monthly(10, 10, 10, 10, 90, 10, july), MONTHS, USUAL)
    assert (found.verdict, found.windows, found.rows) == (verdict, 6, 31 * july)


def test_missing_rows_are_reported_with_the_usual_number_and_what_to_do():
    assert judge("transactions", monthly(10, 10, 10, 10, 10, 10, 0), MONTHS, USUAL).sentence == (
        "No transaction is dated in the window from 2024-07-01 up to 2024-08-01, instead of the usual 305 (median of 6 windows before); "
        "the last is dated 2024-06-30. Make sure that the source is complete; once it is, make the snapshot again: segmentation run --from "
        "2024-08-01."
    )
    low = judge("transactions", {**monthly(10, 10, 10, 10, 10, 10), dt.date(2024, 7, 31): 1}, MONTHS, USUAL).sentence
    assert low.startswith(
        "Only 1 transaction is dated in the window from 2024-07-01 up to 2024-08-01, 0% of the usual 305 (median of 6 windows before). "
    )


@pytest.mark.parametrize(("before", "verdict"), [((10, 10), "not measured"), ((10, 10, 10), "low")])
def test_with_fewer_than_three_earlier_windows_nothing_is_low(before, verdict):
    days = {dt.date(2024, 7 - len(before) + i, day): n for i, n in enumerate((*before, 1)) for day in range(1, 29)}
    found = judge("transactions", {**days, dt.date(2024, 7, 31): 1}, MONTHS, USUAL)
    assert (found.verdict, found.windows) == (verdict, len(before))
    assert (found.usual_rows is None) == (verdict == "not measured")


def test_the_first_snapshot_is_judged_by_its_own_window_not_by_all_earlier_history():
    """July's snapshot is the first, and includes half a year of history."""
    assert judge("transactions", monthly(10, 10, 10, 10, 10, 10, 10), MONTHS, USUAL).usual_rows == 305.0


def test_a_window_without_orders_is_reported_even_with_little_history():
    assert judge("transactions", {}, MONTHS, USUAL).sentence.startswith(
        "No transaction is dated in the window from 2024-07-01 up to 2024-08-01; nor is any in earlier windows."
    )
    assert judge("transactions", {dt.date(2024, 6, 1): 5}, MONTHS, USUAL).verdict == "empty"


def test_an_empty_window_is_reported_even_after_half_a_year_of_silence():
    assert judge("transactions", monthly(10, 0, 0, 0, 0, 0, 0), MONTHS, USUAL).verdict == "empty"


def test_a_source_without_events_is_missing_none():
    assert judge("events", {}, MONTHS, USUAL).verdict == "not measured"
    assert judge("events", monthly(1, 0, 0, 0, 0, 0, 0), MONTHS, USUAL).verdict == "as usual"
    assert judge("events", monthly(5, 5, 5, 5, 5, 5, 0), MONTHS, USUAL).verdict == "empty"


@pytest.mark.parametrize(("last_day", "verdict"), [(31, "as usual"), (29, "as usual"), (28, "ends early"), (13, "ends early")])
def test_a_feed_that_ends_well_before_the_date_is_reported(last_day, verdict):
    assert judge("transactions", monthly(10, 10, 10, 10, 10, 10, 10, last_day=last_day), MONTHS, USUAL).verdict == verdict


def test_the_present_silence_is_reported_with_the_longest_earlier_one():
    found = judge("transactions", monthly(10, 10, 10, 10, 10, 10, 10, last_day=20), MONTHS, USUAL)
    assert (found.last_day, found.silent_days, found.usual_silent_days) == (dt.date(2024, 7, 20), 11, 0)
    assert found.sentence.startswith(
        "The last transaction before 2024-08-01 is dated 2024-07-20, followed by 11 days without any; before, there were none. "
    )


def test_six_days_without_orders_are_usual_for_a_shop_with_weekly_orders():
    weekly = {dt.date(2024, 1, 4) + dt.timedelta(weeks=n): 1 for n in range(30)}  # the last on 25 July
    assert judge("transactions", weekly, MONTHS, USUAL).verdict == "as usual"
    assert judge("transactions", {day: 1 for day in weekly if day < dt.date(2024, 7, 25)}, MONTHS, USUAL).verdict == "ends early"


def test_a_window_without_rows_does_not_make_silence_usual():
    days = monthly(10, 10, 10, 0, 10, 10, 10, last_day=20)
    assert judge("transactions", days, MONTHS, USUAL).usual_silent_days == 0


def test_all_rows_on_one_day_have_no_usual_silence():
    found = judge("transactions", {dt.date(2024, 7, 15): 80}, MONTHS, USUAL)
    assert (found.verdict, found.usual_silent_days) == ("not measured", None)


WEEKS = [dt.date(2024, 1, 1) + dt.timedelta(weeks=n) for n in range(8)]


@pytest.mark.parametrize(("days", "verdict"), [(7, "as usual"), (6, "ends early"), (2, "low"), (0, "empty")])
def test_weekly_windows_are_judged_too(days, verdict):
    rows = {WEEKS[0] + dt.timedelta(days=n): 10 for n in range(42 + days)}
    assert judge("transactions", rows, WEEKS, USUAL).verdict == verdict


@pytest.mark.parametrize(
    ("end", "rows", "verdict"),
    [
        ("2024-03-04", None, "as usual"),  # the window is a Sunday, on which the shop is closed
        ("2024-03-05", None, "as usual"),
        ("2024-03-05", 0, "empty"),
        ("2024-03-05", 3, "low"),
        ("2024-03-03", 2, "as usual"),  # a Saturday, which always has few orders
    ],
)
def test_a_day_is_compared_with_the_same_day_of_the_week(end, rows, verdict):
    end = dt.date.fromisoformat(end)
    bounds = [end - dt.timedelta(days=n) for n in range(43, -1, -1)]
    usual = {day: {5: 2, 6: 0}.get(day.weekday(), 10) for day in bounds}
    found = usual if rows is None else usual | {end - dt.timedelta(days=1): rows}
    assert judge("transactions", found, bounds, USUAL).verdict == verdict


def test_the_bounds_of_the_rule_are_settings():
    days = monthly(10, 10, 10, 10, 2, 2, 4)
    assert judge("transactions", days, MONTHS, Volume(least_share=0.5)).verdict == "low"
    assert judge("transactions", days, MONTHS, Volume(least_share=0.5, windows=3)).verdict == "as usual"
    assert judge("transactions", monthly(*[10] * 6, 1), MONTHS, Volume(least_share=0)).verdict == "as usual"


DAYS = st.dictionaries(st.dates(dt.date(2023, 1, 1), dt.date(2024, 12, 31)), st.integers(1, 1000), max_size=60)


@given(DAYS, st.dictionaries(st.dates(dt.date(2024, 8, 1), dt.date(2025, 1, 1)), st.integers(1, 9), max_size=9))
def test_later_rows_and_older_ones_do_not_change_the_verdict(days, later):
    before = {day: n for day, n in days.items() if day < MONTHS[-1]}
    found = judge("transactions", before, MONTHS, USUAL)
    assert judge("transactions", before | later, MONTHS, USUAL) == found
    within = {day: n for day, n in before.items() if day >= MONTHS[0]}
    assert judge("transactions", within, MONTHS, USUAL) == found  # `check` sees all history, a run only the windows that it compares
    assert (found.verdict == "empty") == (found.rows == 0)


def test_rows_are_counted_by_day_without_those_that_have_no_time():
    times = pd.to_datetime(["2024-07-01 00:00", "2024-07-01 23:59", "2024-07-02 00:00", None])
    engine = DuckDBEngine(threads=1)
    found = engine.rows(rows_per_day(ibis.memtable(pd.DataFrame({"ordered_at": times})), "ordered_at"))
    engine.close()
    assert {row["day"]: row["rows"] for row in found} == {dt.date(2024, 7, 1): 2, dt.date(2024, 7, 2): 1}


def test_one_row_per_source():
    found = table([judge("transactions", {}, MONTHS, USUAL), judge("events", {}, MONTHS, USUAL)])
    assert found[["source", "rows", "verdict"]].values.tolist() == [["transactions", 0, "empty"], ["events", 0, "not measured"]]
