"""A backfill stops at a snapshot that failed; a run begins with the newest version of a shared lake."""

import datetime as dt
from collections.abc import Iterator

import dagster as dg
import pytest

from segmentation_assets.defs.order import SEGMENT, SNAPSHOT
from segmentation_assets.defs.resources import BACKFILL, GENERATION, PARTITION, LakeResource
from segmentation_assets.settings.lake import LakeSettings
from segmentation_assets.store import sharing
from segmentation_assets.store.sharing import Refreshed
from segmentation_assets.store.versions import Maker, Version
from segmentation_assets_tests.builders import D1, D2, D3, LOADED

FAILURE, SUCCESS, CANCELED = dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.CANCELED


@pytest.fixture
def instance(tmp_path) -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test(temp_dir=str(tmp_path)) as made:
        yield made


def run(instance, tmp_path, backfill="b1", name="job", url=None, tags=None):
    """Run a step that needs the lake, for the second snapshot."""
    settings = LOADED.model_copy(update={"data_dir": tmp_path / "data", "lake": LakeSettings(url=url)})

    @dg.op
    def step(lake: dg.ResourceParam[object]) -> None:
        pass

    @dg.job(name=name, resource_defs={"lake": LakeResource(settings=settings)})
    def job() -> None:
        step()

    return job.execute_in_process(instance=instance, tags={BACKFILL: backfill, PARTITION: D2, **(tags or {})}, raise_on_error=False)


def ended(instance, snapshot, *statuses):
    for status in statuses:
        instance.add_run(dg.DagsterRun("snapshot", tags={BACKFILL: "b1", PARTITION: snapshot}, status=status))


@pytest.mark.parametrize("status", [FAILURE, CANCELED])
def test_no_run_of_a_backfill_starts_after_a_failed_snapshot(instance, tmp_path, status):
    ended(instance, D1, status)
    stopped = run(instance, tmp_path)
    assert not stopped.success and not [event for event in stopped.all_events if event.is_step_start]
    said = f"{D1}, from the same backfill, failed, and {D2} would build on it"
    assert any(said in str(event.event_specific_data) for event in stopped.all_events)
    assert run(instance, tmp_path, backfill="b2").success


@pytest.mark.parametrize(("snapshot", "statuses"), [(D1, [FAILURE, SUCCESS]), (D3, [FAILURE])])
def test_a_snapshot_that_succeeded_on_retry_or_comes_later_stops_nothing(instance, tmp_path, snapshot, statuses):
    ended(instance, snapshot, *statuses)
    assert run(instance, tmp_path).success


@pytest.fixture
def brought(monkeypatch):
    """Stands for a version that another machine made since; returns the runs that fetched it."""
    at = dt.datetime(2024, 2, 1, tzinfo=dt.UTC)
    made = Version(id="v", lake="l", number=7, maker=Maker(host="north", run="r", snapshot=D1, at=at), files={}, snapshots={})
    fetched = []
    monkeypatch.setattr(sharing, "refresh", lambda settings: fetched.append(settings.lake.url) or Refreshed(made, (D1,)))
    return fetched


def test_a_run_fetches_the_newest_version_once_and_records_where_it_began(instance, tmp_path, brought):
    found = run(instance, tmp_path, name=SNAPSHOT, url="/shared")
    assert found.success and brought == ["/shared"]
    assert instance.get_run_by_id(found.run_id).tags[GENERATION] == f"{found.run_id} 0"
    again = run(instance, tmp_path, name=SNAPSHOT, url="/shared", tags={GENERATION: f"{found.run_id} 0"})  # which a retry inherits
    assert again.success and len(brought) == 2


def test_a_second_half_stops_if_its_first_half_was_discarded(instance, tmp_path, brought):
    found = run(instance, tmp_path, name=SEGMENT, url="/shared")
    assert not found.success
    (told,) = [event.job_failure_data.error.to_string() for event in found.all_events if event.is_job_failure]
    assert "is now at version 7, made by north, run r" in told and "was discarded. Run the same command again." in told


def test_a_lake_of_ones_own_is_not_fetched(instance, tmp_path, brought):
    assert run(instance, tmp_path, name=SNAPSHOT).success and brought == []
