"""A backfill stops at a snapshot that failed."""

from collections.abc import Iterator

import dagster as dg
import pytest

from segmentation_assets.defs.resources import BACKFILL, PARTITION, LakeResource
from segmentation_assets_tests.builders import D1, D2, D3, LOADED

FAILURE, SUCCESS, CANCELED = dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.CANCELED


@pytest.fixture
def instance(tmp_path) -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test(temp_dir=str(tmp_path)) as made:
        yield made


def run(instance, tmp_path, backfill="b1"):
    """Run a step that needs the lake, for the second snapshot."""

    @dg.op
    def step(lake: dg.ResourceParam[object]) -> None:
        pass

    @dg.job(resource_defs={"lake": LakeResource(settings=LOADED.model_copy(update={"data_dir": tmp_path / "data"}))})
    def job() -> None:
        step()

    return job.execute_in_process(instance=instance, tags={BACKFILL: backfill, PARTITION: D2}, raise_on_error=False)


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
