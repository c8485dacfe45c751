"""A killed run is closed: at once if its process is known to have ended, else after a silence. A live run never is."""

import datetime as dt
import json
import os
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from segmentation_assets.defs import heartbeats
from segmentation_assets.defs.heartbeats import beating, close_dead_runs

REMEDY = "To make it again: segmentation run --snapshot 2024-02-01"
ENDED = 2**22 + 1  # no process has a higher number than 2**22


def in_minutes(number: int) -> dt.datetime:
    return dt.datetime.now(dt.UTC) + dt.timedelta(minutes=number)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def run_of(instance: dg.DagsterInstance, status: dg.DagsterRunStatus = dg.DagsterRunStatus.STARTED) -> str:
    run = dg.DagsterRun(job_name="snapshot", status=status, tags={"dagster/partition": "2024-02-01"})
    instance.add_run(run)
    return run.run_id


def status(instance: dg.DagsterInstance, run_id: str) -> str:
    return instance.get_runs(dg.RunsFilter(run_ids=[run_id]))[0].status.value


def told(instance: dg.DagsterInstance, run_id: str) -> str:
    """The last message in the run's log, which the page shows."""
    return instance.all_logs(run_id)[-1].dagster_event.message


def killed(instance: dg.DagsterInstance, run_id: str, host: str) -> None:
    """Write the last heartbeat of a killed process on `host`."""
    file = Path(instance.root_directory) / heartbeats.FOLDER / f"{run_id}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({"host": host, "pid": ENDED}))


def test_a_live_run_is_left_alone_and_leaves_no_heartbeat(instance: dg.DagsterInstance) -> None:
    run = run_of(instance)
    with beating(instance, run):
        assert close_dead_runs(instance, in_minutes(0)) == []
    assert list((Path(instance.root_directory) / heartbeats.FOLDER).iterdir()) == []


def test_a_dead_run_is_closed_at_once_on_this_host_and_after_a_silence_on_another(
    instance: dg.DagsterInstance,
) -> None:
    here, elsewhere = run_of(instance), run_of(instance)
    killed(instance, here, "here")
    killed(instance, elsewhere, "elsewhere")
    assert close_dead_runs(instance, in_minutes(0), host="here") == [here]
    assert (status(instance, here), status(instance, elsewhere)) == ("FAILURE", "STARTED")
    assert told(instance, here).startswith("Its process ended without reporting it") and told(instance, here).endswith(REMEDY)
    assert close_dead_runs(instance, in_minutes(6), host="here") == [elsewhere]
    assert not list((Path(instance.root_directory) / heartbeats.FOLDER).iterdir())


def test_a_live_run_on_another_host_is_left_alone(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeats, "INTERVAL", 0.01)
    run = run_of(instance)
    with beating(instance, run, host="elsewhere"):
        file = Path(instance.root_directory) / heartbeats.FOLDER / f"{run}.json"
        os.utime(file, (0, 0))
        while file.stat().st_mtime == 0:
            pass
        assert close_dead_runs(instance, in_minutes(0), host="here") == []


@pytest.mark.parametrize("begun", heartbeats.MAY_BE_DEAD, ids=lambda status: status.value)
def test_the_silence_of_a_run_without_heartbeat_counts_from_its_last_event(
    instance: dg.DagsterInstance, begun: dg.DagsterRunStatus
) -> None:
    run = run_of(instance, begun)
    assert close_dead_runs(instance, in_minutes(0)) == []
    assert close_dead_runs(instance, in_minutes(6)) == [run]
    assert status(instance, run) == ("CANCELED" if begun == dg.DagsterRunStatus.CANCELING else "FAILURE")
    how = "It did not begin within 6 minutes" if begun in heartbeats.NOT_BEGUN else "It sent no heartbeat for 6 minutes"
    assert told(instance, run).startswith(how) and told(instance, run).endswith(REMEDY)


def test_a_lost_heartbeat_is_written_again(tmp_path: Path) -> None:
    heartbeats._renew(tmp_path / "run.json", "{}")
    (tmp_path / "run.json").unlink()
    heartbeats._renew(tmp_path / "run.json", "{}")
    assert (tmp_path / "run.json").exists()
