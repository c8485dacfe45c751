"""The schedule requests each new snapshot, and the sensor catch_up the missed ones."""

import datetime as dt

import dagster as dg
import pytest

from segmentation_assets.definitions import defs
from segmentation_assets.defs.automation import cron, newest_snapshot_schedule, next_to_catch_up
from segmentation_assets.defs.order import IN_ORDER
from segmentation_assets.settings.lake import LakeSettings
from segmentation_assets.settings.snapshots import Schedule, Snapshots
from segmentation_assets.store import sharing
from segmentation_assets_tests.builders import LOADED


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
def test_each_cadence_has_its_cron_line(cadence, first, expected):
    assert cron(settings(hour=4, cadence=cadence, first=first)) == expected


def test_the_schedule_uses_the_time_zone_of_the_settings():
    schedule = newest_snapshot_schedule(settings(first=dt.date(2024, 1, 1), timezone="America/New_York"))
    assert (schedule.execution_timezone, schedule.cron_schedule) == ("America/New_York", "0 6 1 * *")


@pytest.mark.parametrize(
    ("moment", "key"), [("2024-03-01 06:00", "2024-03-01"), ("2024-03-31 06:00", "2024-03-01"), ("2024-04-01 06:00", "2024-04-01")]
)
def test_a_tick_requests_the_newest_snapshot(moment, key):
    assert [request.partition_key for request in tick(moment).run_requests] == [key]


def test_a_tick_before_the_first_snapshot_is_skipped_and_says_why():
    found = tick("2024-01-31 06:00")
    assert found.run_requests == []
    assert "2024-02-01, is in the future" in found.skip_message


def test_the_schedule_is_on_by_default_only_if_the_settings_enable_it():
    status = {enabled: newest_snapshot_schedule(settings(enabled=enabled)).default_status for enabled in (True, False)}
    assert status == {True: dg.DefaultScheduleStatus.RUNNING, False: dg.DefaultScheduleStatus.STOPPED}


def test_the_jobs_features_and_segment_together_make_a_snapshot():
    graph = defs.resolve_asset_graph()
    first, second = (set(defs.resolve_job_def(job).asset_layer.executable_asset_keys) for job in ("features", "segment"))
    assert first | second == set(graph.get_all_asset_keys())
    assert not first & second
    assert {parent for key in first for parent in graph.get(key).parent_keys} <= first


def test_the_snapshot_job_has_every_asset():
    made = defs.resolve_job_def("snapshot").asset_layer.executable_asset_keys
    assert set(made) == set(defs.resolve_asset_graph().get_all_asset_keys())


MARCH, APRIL = (dt.datetime(2024, month, 1, 7, tzinfo=dt.UTC) for month in (3, 4))  # an hour after the ticks


@pytest.fixture
def published(monkeypatch):
    """Sets which snapshots are published."""

    def say(*keys):
        monkeypatch.setattr("segmentation_assets.store.published.fingerprints", lambda _: dict.fromkeys(keys, "x"))

    return say


def failed_run(instance, key):
    run = dg.DagsterRun(job_name="snapshot", tags={"dagster/partition": key, **IN_ORDER}, status=dg.DagsterRunStatus.NOT_STARTED)
    instance.add_run(run)
    instance.report_run_failed(run)


def asked(instance, now, **changed):
    found = next_to_catch_up(settings(**changed), instance, now)
    return found.partition_key if isinstance(found, dg.RunRequest) else found.skip_message


def test_the_oldest_missed_snapshot_is_requested_first(published):
    published("2024-02-01")
    with dg.DagsterInstance.ephemeral() as instance:
        assert asked(instance, APRIL) == "2024-03-01"
    published("2024-02-01", "2024-03-01")
    with dg.DagsterInstance.ephemeral() as instance:
        assert asked(instance, APRIL) == "2024-04-01"


def test_nothing_counts_as_missed_before_its_tick_or_before_the_first_publication(published):
    with dg.DagsterInstance.ephemeral() as instance:
        published("2024-02-01")
        assert asked(instance, MARCH.replace(hour=5)) == "Nothing was missed."
        published()
        assert asked(instance, APRIL) == "Nothing was missed."


def test_missed_ticks_follow_the_time_zone(published):
    published("2024-02-01")
    new_york = {"hour": 2, "first": dt.date(2024, 2, 1), "timezone": "America/New_York"}  # 7:00 UTC in winter
    with dg.DagsterInstance.ephemeral() as instance:
        assert asked(instance, MARCH.replace(minute=4), **new_york) == "Nothing was missed."
        assert asked(instance, MARCH.replace(minute=5), **new_york) == "2024-03-01"


@pytest.mark.parametrize("job", ["segment", "__ASSET_JOB"], ids=["a job", "Materialize all"])
def test_nothing_is_requested_while_a_snapshot_is_being_made(published, job):
    published("2024-02-01")
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_run(dg.DagsterRun(job_name=job, status=dg.DagsterRunStatus.STARTED))
        assert asked(instance, APRIL) == "A snapshot is being made."


def test_a_failed_snapshot_is_retried_after_a_delay_and_at_most_twice(published):
    published("2024-02-01")
    with dg.DagsterInstance.ephemeral() as instance:
        failed_run(instance, "2024-03-01")
        now = dt.datetime.now(dt.UTC)
        assert "2024-03-01 failed; it will be tried again after" in asked(instance, now)
        words = asked(instance, now, first=dt.date(2024, 2, 1), timezone="Asia/Tokyo").split()
        again = dt.datetime.fromisoformat(f"{words[-3]} {words[-2]}+09:00")
        assert words[-1] == "Asia/Tokyo."
        assert dt.timedelta(minutes=8) < again - now <= dt.timedelta(minutes=10)
        assert asked(instance, now + dt.timedelta(minutes=11)) == "2024-03-01"
        failed_run(instance, "2024-03-01")
        assert "it will be tried again after" in asked(instance, now + dt.timedelta(minutes=15))
        failed_run(instance, "2024-03-01")
        later = now + dt.timedelta(days=1)
        assert asked(instance, later) == "2024-03-01 failed 3 times. Remove the cause, then: segmentation run --snapshot 2024-03-01"


def test_a_tick_leaves_missed_snapshots_to_be_made_in_order(published):
    published("2024-02-01")
    assert tick("2024-04-01 06:00").skip_message == "2024-03-01: it was never made. The sensor catch_up makes what was missed, in order."
    assert [request.partition_key for request in tick("2024-03-01 06:00").run_requests] == ["2024-03-01"]


def test_sensors_fetch_what_other_machines_made_unless_a_run_is_at_work(published, monkeypatch):
    fetched, shared = [], settings().model_copy(update={"lake": LakeSettings(url="/shared")})
    monkeypatch.setattr(sharing, "refresh", lambda settings: fetched.append(settings.lake.url) or sharing.Refreshed())
    published("2024-02-01")
    with dg.DagsterInstance.ephemeral() as instance:
        asked(instance, APRIL)
        next_to_catch_up(shared, instance, APRIL)
        instance.add_run(dg.DagsterRun(job_name="snapshot", status=dg.DagsterRunStatus.STARTED))
        next_to_catch_up(shared, instance, APRIL)
    assert fetched == ["/shared"]
