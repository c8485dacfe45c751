"""Snapshots as Dagster's partitions: the same keys, and the partitions of a lookback."""

import datetime as dt
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentation_assets.defs.partitions import LOOKBACK, PREVIOUS, snapshot_partitions
from segmentation_assets.settings.snapshots import Snapshots, existing_keys, following
from segmentation_assets_tests.builders import LOADED

SNAPSHOTS = snapshot_partitions(LOADED.snapshots)
CADENCES = ("monthly", "weekly", "daily")
days = st.dates(dt.date(1990, 1, 1), dt.date(2020, 12, 31)).map(lambda day: day.replace(day=min(day.day, 28)))


def keys(cadence, first, last):
    return snapshot_partitions(Snapshots(first=first, last=last, cadence=cadence)).get_partition_keys()


def test_monthly_keys_are_the_same_day_of_every_month():
    assert keys("monthly", dt.date(2023, 12, 15), dt.date(2024, 2, 15)) == ["2023-12-15", "2024-01-15", "2024-02-15"]


def test_weekly_keys_are_seven_days_apart():
    assert keys("weekly", dt.date(2024, 2, 21), dt.date(2024, 3, 6)) == ["2024-02-21", "2024-02-28", "2024-03-06"]


def test_weekly_keys_may_be_sundays():
    assert keys("weekly", dt.date(2024, 3, 3), dt.date(2024, 3, 10)) == ["2024-03-03", "2024-03-10"]


def test_daily_keys_are_every_day():
    assert keys("daily", dt.date(2024, 2, 28), dt.date(2024, 3, 1)) == ["2024-02-28", "2024-02-29", "2024-03-01"]


@given(st.sampled_from(CADENCES), days, st.integers(0, 30))
def test_dagsters_keys_are_those_of_the_settings(cadence, first, count):
    settings = Snapshots(first=first, last=following(first, Snapshots(first=first, cadence=cadence), count), cadence=cadence)
    assert snapshot_partitions(settings).get_partition_keys() == existing_keys(settings)


@pytest.mark.parametrize(("timezone", "day"), [("America/Sao_Paulo", "2018-11-04"), ("Asia/Beirut", "2022-03-27")])
def test_a_day_without_midnight_has_the_right_neighbours(timezone, day):
    first = dt.date.fromisoformat(day) - dt.timedelta(days=3)
    partitions = snapshot_partitions(Snapshots(first=first, last=first + dt.timedelta(days=6), cadence="daily", timezone=timezone))
    days = [(first + dt.timedelta(days=n)).isoformat() for n in range(7)]
    assert partitions.get_partition_keys() == days
    for before, key in itertools.pairwise(days):
        assert partitions.has_partition_key(key)
        assert upstream(PREVIOUS, key, partitions) == [before]


@pytest.mark.parametrize("cadence", ["weekly", "daily"])
def test_weekly_and_daily_snapshots_can_start_on_any_day(cadence):
    assert keys(cadence, dt.date(2024, 1, 31), dt.date(2024, 1, 31)) == ["2024-01-31"]


def upstream(back, key, of=SNAPSHOTS):
    found = back.mapping(LOADED).get_upstream_mapped_partitions_result_for_partitions(of.subset_with_partition_keys([key]), of, of)
    return list(found.partitions_subset.get_partition_keys())


def test_the_lookback_ends_with_the_snapshot_itself():
    assert upstream(LOOKBACK, "2024-05-01") == ["2024-03-01", "2024-04-01", "2024-05-01"]


def test_an_early_snapshot_has_a_shorter_lookback():
    assert upstream(LOOKBACK, "2024-03-01") == ["2024-02-01", "2024-03-01"]


def test_the_first_snapshot_has_no_previous_one():
    assert upstream(PREVIOUS, "2024-02-01") == []
    assert upstream(PREVIOUS, "2024-03-01") == ["2024-02-01"]
