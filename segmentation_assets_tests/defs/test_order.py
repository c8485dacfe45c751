"""Runs that make snapshots take turns, however they were started."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.run_coordinator import SubmitRunContext

from segmentation_assets.defs import order
from segmentation_assets.defs.order import InOrderRunCoordinator, take_turn

Instance = dg.DagsterInstance


@pytest.fixture
def instance() -> Any:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def begun(instance: Instance, job: str) -> dg.DagsterRun:
    return instance.add_run(dg.DagsterRun(job_name=job, status=dg.DagsterRunStatus.STARTED))


def tags(instance: Instance, run: dg.DagsterRun) -> Any:
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    return found.tags


def test_a_run_waits_only_for_an_earlier_run_on_its_folder(instance: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, elsewhere = (begun(instance, job) for job in ("segment", "__ASSET_JOB", "snapshot"))
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        assert order.TURN not in tags(instance, second)
        instance.report_run_canceled(first)

    monkeypatch.setattr("segmentation_assets.defs.order.time.sleep", sleep)
    take_turn(instance, first, tmp_path, None)
    take_turn(instance, first, tmp_path, None)  # as in a run of several processes
    take_turn(instance, elsewhere, tmp_path / "another", None)
    take_turn(instance, begun(instance, "features"), tmp_path, None)
    take_turn(instance, begun(instance, "snapshot"), "s3://bucket/lake", None)  # which another machine may share
    assert waited == []
    take_turn(instance, second, tmp_path, None)
    assert waited == [order.BETWEEN_LOOKS]
    assert tags(instance, second)[order.TURN] == str(tmp_path)


def test_runs_started_on_the_page_are_queued_in_order(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dg.QueuedRunCoordinator, "submit_run", lambda _, context: context.dagster_run)  # it needs a code location
    queue = InOrderRunCoordinator()
    queue.register_instance(instance)
    run = instance.add_run(dg.DagsterRun(job_name="__ASSET_JOB"))
    queue.submit_run(SubmitRunContext(run, workspace=None))  # type: ignore[arg-type]  # not used
    assert tags(instance, run).items() >= order.IN_ORDER.items()
