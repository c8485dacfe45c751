"""`segmentation doctor` on runs, queue and daemon."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._daemon.types import DaemonHeartbeat
from dagster._utils.error import SerializableErrorInfo

from segmentation_assets.defs import health
from segmentation_assets.settings.snapshots import Schedule
from segmentation_assets.store.health import State
from segmentation_assets_tests.builders import D1, D2, LOADED

Status = dg.DagsterRunStatus
MINUTE = dt.timedelta(minutes=1)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def run(instance: dg.DagsterInstance, status: Status, key: str = D1) -> dg.DagsterRun:
    repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("ours"), "x")
    origin = RemoteJobOrigin(repository_origin=repository, job_name="snapshot")  # a queued run needs one
    return instance.add_run(dg.DagsterRun(job_name="snapshot", tags={"dagster/partition": key}, status=status, remote_job_origin=origin))


def test_the_last_run_of_each_snapshot_counts(instance: dg.DagsterInstance) -> None:
    assert health.runs(instance, now())[0] == State.UNKNOWN
    for status in (Status.FAILURE, Status.SUCCESS):
        run(instance, status)
    assert health.runs(instance, now()) == (State.FINE, "The last run of each snapshot succeeded (1 snapshot).")
    failed = run(instance, Status.FAILURE, D2)
    found = health.runs(instance, now())
    assert found[0] == State.WARNING and found[1].startswith(f"The last run of {D2} failed") and failed.run_id in found[1]


def test_a_silent_run_is_reported_and_not_closed(instance: dg.DagsterInstance) -> None:
    silent = run(instance, Status.STARTED)
    assert health.runs(instance, now())[0] == State.UNKNOWN
    assert health.runs(instance, now() + 10 * MINUTE)[0] == State.BROKEN
    assert [one.status for one in instance.get_runs()] == [Status.STARTED] and silent.status == Status.STARTED


def test_a_queue_is_blocked_if_runs_wait_although_none_is_running(instance: dg.DagsterInstance) -> None:
    assert health.queue(instance, now()) == (State.FINE, "No run waits.")
    run(instance, Status.QUEUED)
    assert health.queue(instance, now())[0] == State.FINE
    assert health.queue(instance, now() + 10 * MINUTE)[0] == State.BROKEN
    run(instance, Status.STARTED, D2)
    assert health.queue(instance, now() + 10 * MINUTE)[0] == State.FINE


def sign(instance: dg.DagsterInstance, kind: str, ago: dt.timedelta, *errors: str) -> None:
    told = [SerializableErrorInfo(error, [], None) for error in errors]
    instance.run_storage.add_daemon_heartbeat(DaemonHeartbeat((now() - ago).timestamp(), kind, "id", told))


@pytest.mark.parametrize(
    ("ago", "errors", "enabled", "state"),
    [
        ((), (), False, State.UNKNOWN),
        ((), (), True, State.BROKEN),
        ((0, 0), (), True, State.FINE),
        ((0, 9), (), True, State.BROKEN),
        ((9, 9), (), True, State.BROKEN),
        ((9, 9), (), False, State.WARNING),
        ((0, 0), ("no",), True, State.WARNING),
    ],
)
def test_the_daemon_is_well_only_if_all_its_parts_are(
    instance: dg.DagsterInstance, ago: tuple[int, ...], errors: tuple[str, ...], enabled: bool, state: State
) -> None:
    for kind, minutes in zip(("SENSOR", "SCHEDULER"), ago, strict=False):
        sign(instance, kind, minutes * MINUTE, *errors)
    changed = LOADED.model_copy(update={"schedule": Schedule(enabled=enabled)})
    assert health.daemon(instance, changed, now())[0] == state


def test_without_an_instance_nothing_is_created(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    found: list[Any] = list(health.findings(LOADED.model_copy(update={"data_dir": tmp_path}), now()))
    assert {one.state for one in found} == {State.UNKNOWN} and len(found) == 3
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_in_use_while_a_run_or_the_daemon_is_alive(instance: dg.DagsterInstance) -> None:
    assert health.in_use(instance, now()) == ""
    sign(instance, "SENSOR", 3 * MINUTE)
    assert health.in_use(instance, now()) == ""
    sign(instance, "SENSOR", 0 * MINUTE)
    assert "daemon (segmentation ui) gave a sign of life" in health.in_use(instance, now())
    alive = run(instance, Status.STARTED)
    assert health.in_use(instance, now()) == f"Run {alive.run_id} is in progress."
    assert health.in_use(instance, now() + 10 * MINUTE) == ""  # it has sent no heartbeat since
