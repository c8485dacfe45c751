"""As-of dates and their windows: every moment of history is in exactly one window."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from segmentation_assets.settings.snapshots import Snapshots, existing_keys, following
from segmentation_assets.sources.base import window_of

CADENCES = ("monthly", "weekly", "daily")
days = st.dates(dt.date(1990, 1, 1), dt.date(2020, 12, 31)).map(lambda day: day.replace(day=min(day.day, 28)))


def existing(cadence, first, now, last=None, timezone="UTC"):
    settings = Snapshots(first=first, last=last, cadence=cadence, timezone=timezone)
    return existing_keys(settings, dt.datetime.fromisoformat(now).replace(tzinfo=dt.UTC))


@pytest.mark.parametrize("last", [None, dt.date(2030, 1, 1)])
@pytest.mark.parametrize("cadence", CADENCES)
def test_a_snapshot_exists_from_the_first_moment_of_its_day(cadence, last):
    first = dt.date(2024, 1, 1)
    day = following(first, Snapshots(first=first, cadence=cadence), 3)
    assert existing(cadence, first, f"{day} 00:00", last)[-1] == day.isoformat()
    assert day.isoformat() not in existing(cadence, first, f"{day - dt.timedelta(days=1)} 23:59", last)


@pytest.mark.parametrize(
    ("timezone", "cadence", "first", "key", "moment"),  # moment: the start of the day in that zone, in UTC
    [
        ("Europe/Amsterdam", "monthly", dt.date(2023, 12, 1), "2024-02-01", "2024-01-31 23:00"),
        ("Europe/Amsterdam", "daily", dt.date(2024, 3, 28), "2024-04-01", "2024-03-31 22:00"),  # after a day of 23 hours
        ("Europe/Amsterdam", "daily", dt.date(2024, 10, 25), "2024-10-28", "2024-10-27 23:00"),  # after a day of 25 hours
        ("America/Los_Angeles", "monthly", dt.date(2023, 12, 1), "2024-02-01", "2024-02-01 08:00"),
        ("Pacific/Kiritimati", "weekly", dt.date(2024, 1, 7), "2024-01-21", "2024-01-20 10:00"),
        ("America/Sao_Paulo", "daily", dt.date(2018, 11, 1), "2018-11-04", "2018-11-04 03:00"),  # a day without midnight
        ("America/Sao_Paulo", "daily", dt.date(2019, 2, 14), "2019-02-17", "2019-02-17 03:00"),  # after a day whose last hour occurs twice
        ("Asia/Beirut", "weekly", dt.date(2022, 3, 13), "2022-03-27", "2022-03-26 22:00"),  # a day without midnight
        ("Asia/Beirut", "monthly", dt.date(2022, 1, 27), "2022-03-27", "2022-03-26 22:00"),
        ("America/Havana", "daily", dt.date(2024, 11, 1), "2024-11-03", "2024-11-03 04:00"),  # a day whose first hour occurs twice
    ],
)
def test_a_snapshot_exists_from_the_beginning_of_its_day_in_the_zone(timezone, cadence, first, key, moment):
    before = (dt.datetime.fromisoformat(moment) - dt.timedelta(seconds=1)).isoformat()
    assert existing(cadence, first, moment, timezone=timezone)[-1] == key
    assert key not in existing(cadence, first, before, timezone=timezone)


@pytest.mark.parametrize("cadence", CADENCES)
def test_there_are_no_snapshots_after_the_last(cadence):
    assert existing(cadence, dt.date(2024, 1, 1), "2025-01-01 00:00", last=dt.date(2024, 1, 1)) == ["2024-01-01"]


def test_there_are_no_snapshots_before_the_first():
    assert existing("monthly", dt.date(2024, 1, 1), "2023-12-31 23:59") == []


@given(st.sampled_from(CADENCES), days, st.integers(1, 30))
def test_windows_tile_time_without_gap_or_overlap(cadence, first, count):
    settings = Snapshots(first=first, cadence=cadence)
    settings = settings.model_copy(update={"last": following(first, settings, count)})
    windows = [window_of(key, settings) for key in existing_keys(settings)]
    assert len(windows) == count + 1
    assert windows[0].start is None
    assert [w.start for w in windows[1:]] == [w.end for w in windows[:-1]]


@given(st.sampled_from(CADENCES), days, st.integers(-60, 60))
def test_following_can_be_undone(cadence, day, steps):
    settings = Snapshots(first=day, cadence=cadence)
    assert following(following(day, settings, steps), settings, -steps) == day


@pytest.mark.parametrize("day", [29, 30, 31])
def test_a_monthly_day_above_28_is_refused(day):
    with pytest.raises(ValidationError, match="use a day from 1 to 28"):
        Snapshots(first=dt.date(2024, 1, day))
