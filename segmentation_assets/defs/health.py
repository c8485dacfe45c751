"""How runs, the queue and the daemon are: what `segmentation doctor` says of Dagster's instance. It closes and mends nothing."""

import datetime as dt
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import dagster as dg

from segmentation_assets.defs import heartbeats
from segmentation_assets.defs.instance import CONFIGURATION, home_of
from segmentation_assets.defs.order import MAKING
from segmentation_assets.settings.loading import Settings
from segmentation_assets.store.health import Finding, State, looked
from segmentation_assets.vocabulary import counted

LOOKED_AT = 100  # latest runs
SILENT_AFTER = dt.timedelta(minutes=5)  # each part of the daemon gives a sign every half a minute
PATIENCE = dt.timedelta(minutes=2)  # within which the daemon starts what waits
PARTITION = "dagster/partition"


def findings(settings: Settings, now: dt.datetime) -> Iterator[Finding]:
    """What there is to say of runs, queue and daemon at the moment `now`; nothing is made where there is no instance yet."""
    home, subjects = home_of(settings), ("runs", "queue", "daemon")
    if not (home / CONFIGURATION).exists():
        yield from (Finding(subject, State.UNKNOWN, f"No run was made yet: {home} has no instance.") for subject in subjects)
        return
    with ExitStack() as opened:
        instance = opened.enter_context(_instance(home))
        yield looked("runs", lambda: runs(instance, now))
        yield looked("queue", lambda: queue(instance, now))
        yield looked("daemon", lambda: daemon(instance, settings, now))


def _instance(home: Path) -> dg.DagsterInstance:
    os.environ["DAGSTER_HOME"] = str(home)
    return dg.DagsterInstance.from_config(str(home))


def runs(instance: dg.DagsterInstance, now: dt.datetime) -> tuple[State, str]:
    """Whether any run hangs, and how the last run of each snapshot ended."""
    dead = [run.run_id for run, _ in heartbeats.dead_runs(instance, now)]
    if dead:
        told = f"{counted(len(dead), 'run has', 'runs have')} ended without a word: {', '.join(dead)}"
        return State.BROKEN, f"{told}. The daemon closes them, and so does the next segmentation run."
    last: dict[str, dg.DagsterRun] = {}
    for run in instance.get_runs(limit=LOOKED_AT):
        if run.job_name in MAKING and run.is_finished:
            last.setdefault(run.tags.get(PARTITION, ""), run)
    failed = sorted(key for key, run in last.items() if not run.is_success)
    if failed:
        return (
            State.WARNING,
            f"The last run of {', '.join(failed)} failed or was stopped; why: run {last[failed[-1]].run_id} in segmentation ui",
        )
    return (
        (State.FINE, f"The last run of {counted(len(last), 'snapshot')} ended well.") if last else (State.UNKNOWN, "No run has ended yet.")
    )


def queue(instance: dg.DagsterInstance, now: dt.datetime) -> tuple[State, str]:
    """Whether what waits will start."""
    waiting = instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED]))
    if not waiting:
        return State.FINE, "No run waits."
    told = f"{counted(len(waiting), 'run waits', 'runs wait')}"
    going_on = instance.get_runs(dg.RunsFilter(statuses=heartbeats.MAY_BE_DEAD))
    if going_on:
        return State.FINE, f"{told} for run {going_on[0].run_id}, which goes on."
    if min(record.create_timestamp for record in waiting).astimezone(dt.UTC) > now - PATIENCE:
        return State.FINE, f"{told} to be started."
    return State.BROKEN, f"{told}, and nothing starts {'it' if len(waiting) == 1 else 'them'}. Start the daemon: segmentation ui"


def daemon(instance: dg.DagsterInstance, settings: Settings, now: dt.datetime) -> tuple[State, str]:
    """Whether all parts of the daemon have lately given a sign of life, and none an error."""
    signs = instance.get_daemon_heartbeats()
    if not signs:
        return (State.BROKEN if settings.schedule.enabled else State.UNKNOWN), "No daemon has run yet: segmentation ui"
    last = dt.datetime.fromtimestamp(max(sign.timestamp for sign in signs.values()), dt.UTC)
    silent = sorted(name for name, sign in signs.items() if now - dt.datetime.fromtimestamp(sign.timestamp, dt.UTC) > SILENT_AFTER)
    if len(silent) == len(signs):
        told = f"Its last sign of life is of {last:%Y-%m-%d %H:%M} UTC. Start it: segmentation ui"
        return (State.BROKEN, told) if settings.schedule.enabled else (State.WARNING, told)
    if silent:
        return State.BROKEN, f"It is alive, but not {', '.join(silent)}. Start it again."
    errors = [error.message.strip() for sign in signs.values() for error in sign.errors or ()]
    told = f"It gave its last sign of life {counted(max(int((now - last).total_seconds()), 0), 'second')} ago"
    return (State.WARNING, f"{told}, and has errors, the first: {errors[0]}") if errors else (State.FINE, f"{told}.")
