"""Health of runs, queue and daemon in Dagster's instance, for `segmentation doctor`. It closes and repairs nothing."""

import datetime as dt
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import dagster as dg

from segmentation_assets.defs import heartbeats
from segmentation_assets.defs.instance import CONFIGURATION, home_of
from segmentation_assets.defs.order import MAKING
from segmentation_assets.defs.resources import PARTITION
from segmentation_assets.settings.loading import Settings
from segmentation_assets.store.health import Finding, State, looked
from segmentation_assets.vocabulary import counted

LOOKED_AT = 100  # latest runs
SILENT_AFTER = dt.timedelta(minutes=5)  # each part of the daemon sends a heartbeat every half minute
SIGN_OF_LIFE = dt.timedelta(minutes=2)  # a daemon without one for as long has been stopped
PATIENCE = dt.timedelta(minutes=2)  # within which the daemon starts a queued run


def findings(settings: Settings, now: dt.datetime) -> Iterator[Finding]:
    """Check runs, queue and daemon at `now`; without an instance, none is created."""
    home, subjects = home_of(settings), ("runs", "queue", "daemon")
    if not (home / CONFIGURATION).exists():
        yield from (Finding(subject, State.UNKNOWN, f"No run has been made yet: {home} has no instance.") for subject in subjects)
        return
    with ExitStack() as opened:
        instance = opened.enter_context(_instance(home))
        yield looked("runs", lambda: runs(instance, now))
        yield looked("queue", lambda: queue(instance, now))
        yield looked("daemon", lambda: daemon(instance, settings, now))


def _instance(home: Path) -> dg.DagsterInstance:
    os.environ["DAGSTER_HOME"] = str(home)
    return dg.DagsterInstance.from_config(str(home))


def using(settings: Settings, now: dt.datetime) -> str:
    """Which run or daemon uses the data folder, as a sentence; empty if none does."""
    home = home_of(settings)
    if not (home / CONFIGURATION).exists():
        return ""
    with _instance(home) as instance:
        return in_use(instance, now)


def in_use(instance: dg.DagsterInstance, now: dt.datetime) -> str:
    """The same of the instance."""
    dead = {run.run_id for run, _ in heartbeats.dead_runs(instance, now)}
    going_on = instance.get_runs(dg.RunsFilter(statuses=[*heartbeats.MAY_BE_DEAD, dg.DagsterRunStatus.QUEUED]))
    if alive := [run.run_id for run in going_on if run.run_id not in dead]:
        return f"Run {alive[0]} is in progress."
    last = max((sign.timestamp for sign in instance.get_daemon_heartbeats().values()), default=0.0)
    if now - dt.datetime.fromtimestamp(last, dt.UTC) <= SIGN_OF_LIFE:
        return f"Dagster's daemon (segmentation ui) gave a sign of life in the last {SIGN_OF_LIFE.seconds // 60} minutes."
    return ""


def runs(instance: dg.DagsterInstance, now: dt.datetime) -> tuple[State, str]:
    """Whether any run was killed, and how the last run of each snapshot ended."""
    dead = [run.run_id for run, _ in heartbeats.dead_runs(instance, now)]
    if dead:
        told = f"{counted(len(dead), 'run has', 'runs have')} ended without recording it: {', '.join(dead)}"
        return State.BROKEN, f"{told}. The daemon closes them, and so does the next segmentation run."
    last: dict[str, dg.DagsterRun] = {}
    for run in instance.get_runs(limit=LOOKED_AT):
        if run.job_name in MAKING and run.is_finished:
            last.setdefault(run.tags.get(PARTITION, ""), run)
    failed = sorted(key for key, run in last.items() if not run.is_success)
    if failed:
        return (
            State.WARNING,
            f"The last run of {', '.join(failed)} failed or was stopped. Look at run {last[failed[-1]].run_id}: segmentation ui",
        )
    if not last:
        return State.UNKNOWN, "No run has ended yet."
    return State.FINE, f"The last run of each snapshot succeeded ({counted(len(last), 'snapshot')})."


def queue(instance: dg.DagsterInstance, now: dt.datetime) -> tuple[State, str]:
    """Whether queued runs will start."""
    waiting = instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED]))
    if not waiting:
        return State.FINE, "No run waits."
    told = f"{counted(len(waiting), 'run waits', 'runs wait')}"
    going_on = instance.get_runs(dg.RunsFilter(statuses=heartbeats.MAY_BE_DEAD))
    if going_on:
        return State.FINE, f"{told} for run {going_on[0].run_id}, which is in progress."
    if min(record.create_timestamp for record in waiting).astimezone(dt.UTC) > now - PATIENCE:
        return State.FINE, f"{told} to start."
    return State.BROKEN, f"{told}, and nothing starts {'it' if len(waiting) == 1 else 'them'}. Start the daemon: segmentation ui"


def daemon(instance: dg.DagsterInstance, settings: Settings, now: dt.datetime) -> tuple[State, str]:
    """Whether all parts of the daemon have sent a recent heartbeat, without errors."""
    signs = instance.get_daemon_heartbeats()
    if not signs:
        return (State.BROKEN if settings.schedule.enabled else State.UNKNOWN), "No daemon has run yet. Start it: segmentation ui"
    last = dt.datetime.fromtimestamp(max(sign.timestamp for sign in signs.values()), dt.UTC)
    silent = sorted(name for name, sign in signs.items() if now - dt.datetime.fromtimestamp(sign.timestamp, dt.UTC) > SILENT_AFTER)
    if len(silent) == len(signs):
        told = f"Its last heartbeat was at {last:%Y-%m-%d %H:%M} UTC. Start it: segmentation ui"
        return (State.BROKEN, told) if settings.schedule.enabled else (State.WARNING, told)
    if silent:
        return State.BROKEN, f"It is alive, but its {', '.join(silent)} sent no heartbeat lately. Restart it."
    errors = [error.message.strip() for sign in signs.values() for error in sign.errors or ()]
    told = f"Its last heartbeat was {counted(max(int((now - last).total_seconds()), 0), 'second')} ago"
    return (State.WARNING, f"{told}, but it has errors, the first: {errors[0]}") if errors else (State.FINE, f"{told}.")
