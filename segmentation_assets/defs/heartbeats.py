"""Which runs are alive: each renews a file while it runs, and those that stop doing so are closed in Dagster's instance.

A killed run cannot report its end, and Dagster would show it in progress, and block the queue behind it, for ever.
The files are in the instance's folder, which all hosts that share an instance must share.
"""

import datetime as dt
import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import dagster as dg
from dagster._core.storage.tags import PARTITION_NAME_TAG

from segmentation_assets.atomic import replacing

FOLDER = "heartbeats"
INTERVAL = 15  # seconds between two beats
DEAD_AFTER = dt.timedelta(minutes=5)
MAY_BE_DEAD = [
    dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING,
]  # fmt: skip
NOT_BEGUN = {dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING}
GONE = "Its process ended without reporting it: it was killed, perhaps for lack of memory, or the machine was switched off."
SILENT = "It sent no heartbeat for {minutes} minutes: its process was killed, or its machine is gone."
NEVER_BEGAN = "It did not begin within {minutes} minutes: its process was killed or could not start, perhaps for lack of memory."
NEXT = "A snapshot is published whole or not at all, so nothing is left half done. To make it again: segmentation run --snapshot {key}"


@contextmanager
def beating(instance: dg.DagsterInstance, run_id: str, host: str = "") -> Iterator[None]:
    """Show that this process is making the run, until the block ends."""
    file, ended = _file(instance, run_id), threading.Event()
    text = _text(host or socket.gethostname(), os.getpid())

    def beat() -> None:
        while not ended.wait(INTERVAL):
            _renew(file, text)

    _renew(file, text)
    beats = threading.Thread(target=beat, name="heartbeat", daemon=True)
    beats.start()
    try:
        yield
    finally:
        ended.set()
        beats.join()
        file.unlink(missing_ok=True)


def close_dead_runs(instance: dg.DagsterInstance, now: dt.datetime, host: str = "") -> list[str]:
    """Close the runs whose process on this host is gone, or that sent no heartbeat for too long on any host; return their ids.

    Queued runs, which have not started yet, are left alone.
    """
    closed = []
    for run, why in dead_runs(instance, now, host):
        report = instance.report_run_canceled if run.status == dg.DagsterRunStatus.CANCELING else instance.report_run_failed
        report(run, why)
        closed.append(run.run_id)
    for file in _folder(instance).glob("*.json"):
        found = instance.get_run_by_id(file.stem)
        if found is None or found.is_finished:
            file.unlink(missing_ok=True)
    return closed


def dead_runs(instance: dg.DagsterInstance, now: dt.datetime, host: str = "") -> Iterator[tuple[dg.DagsterRun, str]]:
    """Runs that Dagster considers in progress but that are dead; for each, how it ended, and what to do."""
    for record in instance.get_run_records(dg.RunsFilter(statuses=MAY_BE_DEAD)):
        if why := _death(instance, record, now, host or socket.gethostname()):
            key = record.dagster_run.tags.get(PARTITION_NAME_TAG)
            yield record.dagster_run, f"{why} {NEXT.format(key=key)}" if key else why


def runs_of(instance: dg.DagsterInstance, process: int) -> list[dg.DagsterRun]:
    """The runs that a process on this host is making."""
    mine = _text(socket.gethostname(), process)
    ids = [file.stem for file in _folder(instance).glob("*.json") if file.read_text(encoding="utf-8") == mine]
    return list(instance.get_runs(dg.RunsFilter(run_ids=ids, statuses=MAY_BE_DEAD))) if ids else []


def _death(instance: dg.DagsterInstance, record: dg.RunRecord, now: dt.datetime, host: str) -> str | None:
    """Why the run is dead; None if it is not."""
    file = _file(instance, record.dagster_run.run_id)
    try:
        last_sign, maker = file.stat().st_mtime, json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        last_sign, maker = _last_event(instance, record), {}
    if maker.get("host") == host and not _is_alive(int(maker["pid"])):
        return GONE
    silence = now - dt.datetime.fromtimestamp(last_sign, dt.UTC)
    if silence <= DEAD_AFTER:
        return None
    return (NEVER_BEGAN if record.dagster_run.status in NOT_BEGUN else SILENT).format(minutes=silence // dt.timedelta(minutes=1))


def _last_event(instance: dg.DagsterInstance, record: dg.RunRecord) -> float:
    """The time of the run's last event in the log, in seconds since 1970; if it has none, the time it was requested."""
    last = instance.get_records_for_run(record.dagster_run.run_id, limit=1, ascending=False).records
    return last[0].event_log_entry.timestamp if last else record.create_timestamp.timestamp()


def _renew(file: Path, text: str) -> None:
    """Set the file's time to now, writing it if it is missing. A failure, such as on a full disk, is retried at the next beat."""
    with suppress(OSError):
        try:
            os.utime(file)
        except FileNotFoundError:
            with replacing(file) as unfinished:
                unfinished.write_text(text, encoding="utf-8")


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it belongs to another user
        return True
    return not _is_unburied(process)


def _is_unburied(process: int) -> bool:
    """Whether it is a zombie: ended, but not reaped, as in a container whose first process does not wait for others."""
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z"
    except OSError:  # not Linux
        return False


def _text(host: str, process: int) -> str:
    return json.dumps({"host": host, "pid": process})


def _folder(instance: dg.DagsterInstance) -> Path:
    return Path(instance.root_directory) / FOLDER


def _file(instance: dg.DagsterInstance, run_id: str) -> Path:
    return _folder(instance) / f"{run_id}.json"
