"""Which runs wait for others: each snapshot builds on the one before, so only one run makes a snapshot at a time.

Runs started by the page, the schedule or the sensors wait in Dagster's queue; runs of the command line wait before their
first step. Only the first halves of `segmentation run --all` go ahead of the second ones.
"""

import datetime as dt
import time
from pathlib import Path

import dagster as dg
from dagster._core.definitions.assets.job.asset_job import IMPLICIT_ASSET_JOB_NAME
from dagster._core.run_coordinator import SubmitRunContext
from filelock import FileLock

from segmentation_assets.defs import heartbeats

ONE_AT_A_TIME = "segmentation/order"
IN_ORDER = {ONE_AT_A_TIME: "one after the other"}  # tag of runs that Dagster's queue starts one at a time
TURN = "segmentation/turn"  # tag of a run that has begun on the data folder or shared lake it names, however it was started
SNAPSHOT, FEATURES, SEGMENT, PICTURES = "snapshot", "features", "segment", "pictures"  # names of the jobs
MAKING = {SNAPSHOT, FEATURES, SEGMENT, PICTURES, IMPLICIT_ASSET_JOB_NAME}  # the last is for "Materialize all" and any selection of assets
LOCK, WAITING = "turn.lock", "Waiting for run"
BETWEEN_LOOKS = 2  # seconds


class InOrderRunCoordinator(dg.QueuedRunCoordinator):
    """Dagster's queue, in which every run waits for the one before, also runs of the asset graph, which lack a job's tags."""

    def submit_run(self, context: SubmitRunContext) -> dg.DagsterRun:
        self._instance.add_run_tags(context.dagster_run.run_id, IN_ORDER)
        return super().submit_run(context)


def take_turn(instance: dg.DagsterInstance, run: dg.DagsterRun, place: Path | str, log: dg.DagsterLogManager | None) -> None:
    """Wait until no other run makes a snapshot in the same data folder, or shared lake. A turn ends with its run, and here if the run was
    killed.

    A first half does not wait, because it needs nothing from other runs' second halves.
    """
    if run.job_name == FEATURES:
        return
    mine, waiting = {TURN: str(place)}, False
    while True:
        with FileLock(Path(instance.root_directory) / LOCK):
            others = [
                other
                for other in instance.get_runs(dg.RunsFilter(tags=mine, statuses=heartbeats.MAY_BE_DEAD))
                if other.run_id != run.run_id
            ]
            if not others:
                instance.add_run_tags(run.run_id, mine)
                return
        if log is not None and not waiting:
            log.info(f"{WAITING} {others[0].run_id}, which is making a snapshot of the same lake.")
        waiting = True
        heartbeats.close_dead_runs(instance, dt.datetime.now(dt.UTC))
        time.sleep(BETWEEN_LOOKS)


def is_being_made(instance: dg.DagsterInstance) -> bool:
    """Whether a run of a snapshot is running or queued, after closing those that were killed."""
    heartbeats.close_dead_runs(instance, dt.datetime.now(dt.UTC))
    unfinished = [dg.DagsterRunStatus.QUEUED, *heartbeats.MAY_BE_DEAD]
    return any(run.job_name in MAKING for run in instance.get_runs(dg.RunsFilter(statuses=unfinished)))
