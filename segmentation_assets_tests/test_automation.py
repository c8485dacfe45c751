"""The schedule ticks when a snapshot begins to exist, and asks for that one."""

import datetime as dt

import dagster as dg
import pytest

from segmentation_assets.automation import cron, newest_snapshot_schedule
from segmentation_assets.definitions import defs
from segmentation_assets.partitions import LOADED
from segmentation_assets.settings import Schedule, Snapshots


def settings(enabled=False, hour=6, **snapshots):
    changed = {"schedule": Schedule(enabled=enabled, hour=hour)}
    return LOADED.model_copy(update=changed | ({"snapshots": Snapshots(**snapshots)} if snapshots else {}))


def tick(moment):
    schedule = newest_snapshot_schedule(settings())
    at = dt.datetime.fromisoformat(moment).replace(tzinfo=dt.UTC)
    return schedule.evaluate_tick(dg.build_schedule_context(scheduled_execution_time=at, repository_def=defs.get_repository_def()))


@pytest.mark.parametrize(
    ("cadence", "first", "expected"),
    [
        ("monthly", dt.date(2024, 1, 15), "0 4 15 * *"),
        ("weekly", dt.date(2024, 3, 4), "0 4 * * 1"),  # a Monday
        ("weekly", dt.date(2024, 3, 3), "0 4 * * 0"),  # a Sunday
        ("daily", dt.date(2024, 1, 15), "0 4 * * *"),
    ],
)
def test_cron_line_of_each_cadence(cadence, first, expected):
    assert cron(settings(hour=4, cadence=cadence, first=first)) == expected


@pytest.mark.parametrize(
    ("moment", "key"), [("2024-03-01 06:00", "2024-03-01"), ("2024-03-31 06:00", "2024-03-01"), ("2024-04-01 06:00", "2024-04-01")]
)
def test_a_tick_asks_for_the_newest_snapshot(moment, key):
    assert [request.partition_key for request in tick(moment).run_requests] == [key]


def test_a_tick_before_the_first_snapshot_is_skipped_and_says_why():
    found = tick("2024-01-31 06:00")
    assert found.run_requests == []
    assert "2024-02-01, is still to come" in found.skip_message


def test_the_schedule_runs_by_itself_only_where_the_settings_say_so():
    status = {enabled: newest_snapshot_schedule(settings(enabled=enabled)).default_status for enabled in (True, False)}
    assert status == {True: dg.DefaultScheduleStatus.RUNNING, False: dg.DefaultScheduleStatus.STOPPED}


def test_the_two_halves_make_a_snapshot_and_the_first_needs_nothing_of_the_second():
    graph = defs.resolve_asset_graph()
    first, second = (set(defs.resolve_job_def(job).asset_layer.executable_asset_keys) for job in ("describe", "segment"))
    assert first | second == set(graph.get_all_asset_keys())
    assert not first & second
    assert {parent for key in first for parent in graph.get(key).parent_keys} <= first


def test_a_snapshot_is_made_of_every_asset():
    made = defs.resolve_job_def("snapshot").asset_layer.executable_asset_keys
    assert set(made) == set(defs.resolve_asset_graph().get_all_asset_keys())
