"""Counting the rows of a source by window."""

import datetime as dt

import ibis
from hypothesis import given
from hypothesis import strategies as st

from segmentation_assets.engines.duckdb import DuckDBEngine
from segmentation_assets.sources.base import Window, counted, counted_by_day

ENGINE = DuckDBEngine()
FIRST, SECOND, THIRD = (dt.date(2024, month, 1) for month in (1, 2, 3))
WINDOWS = {"all before": Window(None, FIRST), "january": Window(FIRST, SECOND), "february": Window(SECOND, THIRD)}
EDGES = [dt.datetime.combine(day, dt.time()) for day in (FIRST, SECOND, THIRD)]
TIMES = st.none() | st.sampled_from([edge + step for edge in EDGES for step in (dt.timedelta(0), -dt.timedelta(microseconds=1))])


@given(st.lists(TIMES | st.datetimes(dt.datetime(2023, 12, 30), dt.datetime(2024, 3, 2)), max_size=8))
def test_rows_counted_by_day_are_those_counted_one_by_one(times: list[dt.datetime | None]) -> None:
    rows = ibis.memtable([{"at": at} for at in times], schema={"at": "timestamp(6)"})
    (one_by_one,), (by_day,) = (ENGINE.rows(count(rows, rows["at"], WINDOWS)) for count in (counted, counted_by_day))
    assert by_day == one_by_one
