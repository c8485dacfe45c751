"""A command that is stopped or killed halfway: its message, the state of the data, and Dagster's record of the run."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from segmentation_assets.cli.terminal import STOPPED
from segmentation_assets.defs import heartbeats
from segmentation_assets.defs.instance import prepare_instance
from segmentation_assets.settings.loading import load_settings
from segmentation_assets_tests.conftest import ROOT, environment

pytestmark = pytest.mark.slow
PATIENCE, MOMENTS = 120, 30  # seconds to wait for a run to begin, and to end


@pytest.fixture
def running(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """A process of `segmentation run` with the test's arguments on a new data folder, after its first run has begun."""
    program = [Path(sys.executable).parent / "segmentation", "run", *request.param]
    process = subprocess.Popen(program, cwd=ROOT, env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + PATIENCE
    while not list((tmp_path / "dagster" / heartbeats.FOLDER).glob("*.json")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    yield process
    process.kill()
    process.communicate()


def statuses(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The statuses of all runs after a command has started on the folder."""
    for variable in ("DAGSTER_HOME", "DAGSTER_DISABLE_TELEMETRY"):  # set by prepare_instance; pytest restores them
        monkeypatch.setenv(variable, "")
    prepare_instance(load_settings().model_copy(update={"data_dir": data_dir}))
    with dg.DagsterInstance.get() as instance:
        return {run.status.value for run in instance.get_runs()}


@pytest.mark.parametrize(
    ("running", "stop"),
    [pytest.param(("--snapshot", "2017-04-01"), signal.SIGINT, marks=pytest.mark.full), (("--all",), signal.SIGTERM)],
    indirect=["running"],
    ids=["one snapshot", "two processes"],
)
def test_a_stopped_command_says_what_was_not_done_and_its_run_is_canceled(
    running: subprocess.Popen[str], stop: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running.send_signal(stop)
    said = running.communicate(timeout=MOMENTS)[1]
    assert running.returncode == STOPPED
    again = " ".join(str(part) for part in running.args[1:])  # type: ignore[union-attr,index]
    assert said == (f"Stopped by you. 2017-04-01 was not published; the database is unchanged. Continue with: segmentation {again}\n")
    assert statuses(tmp_path, monkeypatch) == {"CANCELED"}


@pytest.mark.parametrize(
    "running",
    [("--snapshot", "2017-04-01"), pytest.param(("--all",), marks=pytest.mark.full)],
    indirect=True,
    ids=["one snapshot", "two processes"],
)
def test_the_run_of_a_killed_command_is_closed_at_the_next_start(
    running: subprocess.Popen[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running.kill()
    running.communicate(timeout=MOMENTS)  # returns only once the second process has ended too
    assert statuses(tmp_path, monkeypatch) == {"FAILURE"}
