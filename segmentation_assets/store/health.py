"""Health of the data folder and the source, without reading either in full, for `segmentation doctor`.

Belongs here: checks that write nothing. `defs.health` checks runs and the daemon.
"""

import datetime as dt
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

from segmentation_assets.settings.loading import Settings
from segmentation_assets.settings.snapshots import existing_keys, following, tick
from segmentation_assets.sources import open_source
from segmentation_assets.store import database_files, freshness, published, restoring, sharing
from segmentation_assets.store.freshness import Cause
from segmentation_assets.store.lake import opened, partition_keys
from segmentation_assets.store.provenance import Fingerprint
from segmentation_assets.vocabulary import counted

COPIES = 3  # of what a snapshot writes; free space for fewer is a warning
NOTHING_YET = "Nothing has been published yet."
UNREADABLE = "It is known once the database is rebuilt."
LATE_AFTER = dt.timedelta(hours=6)  # after the schedule's tick, to leave time for catching up
FROM_THE_LAKE = frozenset({Cause.STOPPED, Cause.DAMAGED, Cause.EARLIER})
FROM_FINGERPRINTS = frozenset({*freshness.CHANGES, Cause.UNKNOWN})


class State(StrEnum):
    """The state of a subject; one that was not looked at is never fine."""

    FINE = "fine"
    WARNING = "warning"
    BROKEN = "broken"
    UNKNOWN = "not looked at"


@dataclass(frozen=True)
class Finding:
    """The state of one subject, with a sentence that says what to do if it is not fine."""

    subject: str
    state: State
    message: str


def looked(subject: str, look: Callable[[], tuple[State, str]]) -> Finding:
    """The finding of a check. If the check fails, its subject counts as broken: it cannot be used either."""
    try:
        return Finding(subject, *look())
    except Exception as error:
        return Finding(subject, State.BROKEN, f"{error or type(error).__name__}")


def findings(settings: Settings, now: dt.datetime) -> Iterator[Finding]:
    """Check the newest snapshot, the published database, the next run, the disk and the source at `now`.

    Reading the database would rebuild what is lost or damaged of it; then what needs it is not looked at.
    """
    fingerprint = _asked_once(settings)
    lost, remedy = restoring.unsettled(settings.data_dir), "The next command that reads it rebuilds this: segmentation show"
    if not lost:
        lost, remedy = _damaged(settings.data_dir, published.stamp(settings.data_dir)), "To rebuild this: segmentation run --all"
    if lost:
        yield Finding("newest snapshot", State.UNKNOWN, UNREADABLE)
        yield Finding("database", State.BROKEN, f"{'; '.join(lost)}. {remedy}")
        yield Finding("next run", State.UNKNOWN, UNREADABLE)
    else:
        yield looked("newest snapshot", lambda: newest_snapshot(settings, now))
        yield looked("database", lambda: database(settings))
        yield looked("next run", lambda: next_run(settings, fingerprint))
    if settings.lake.url:
        yield looked("shared lake", lambda: shared_lake(settings))
    yield looked("disk", lambda: disk(settings.data_dir))
    yield looked("source", lambda: source(settings, fingerprint, readable=not lost))


@lru_cache(maxsize=1)
def _damaged(data_dir: Path, _: str) -> list[str]:
    """The databases that have a damaged page. `doctor --port` answers often, and large ones take long to read: so only once for each
    state that was published, known by its stamp."""
    return restoring.damaged(data_dir)


def _asked_once(settings: Settings) -> Callable[[], str]:
    """Ask the source for its fingerprint, which can take long; what is returned gives the answer, or raises the error, each time."""
    answer: Future[str] = Future()
    try:
        answer.set_result(open_source(settings).fingerprint())
    except Exception as error:
        answer.set_exception(error)
    return answer.result


def newest_snapshot(settings: Settings, now: dt.datetime) -> tuple[State, str]:
    """Whether the newest snapshot that exists is published."""
    made, due = published.keys(settings.data_dir), existing_keys(settings.snapshots, now)
    if not due:
        return State.FINE, f"The first one, {settings.snapshots.first}, is in the future."
    if not made:
        return State.WARNING, "None is published: segmentation run --all"
    missing = [key for key in due if key > made[-1]]
    if not missing:
        last = settings.snapshots.last
        ended = last is not None and following(dt.date.fromisoformat(made[-1]), settings.snapshots) > last
        return State.FINE, f"{made[-1]} is published, {'the last one (snapshots.last)' if ended else 'and no later one exists yet'}."
    told = f"{made[-1]} is the last one published; {counted(len(missing), 'later one exists', 'later ones exist')}, first {missing[0]}"
    if not settings.schedule.enabled:
        return State.WARNING, f"{told}. No schedule makes it: segmentation run --all"
    if now < tick(missing[0], settings.snapshots, settings.schedule) + LATE_AFTER:
        return State.FINE, f"{told}, scheduled on that day at {settings.schedule.hour:02}:{settings.schedule.minute:02}."
    return State.BROKEN, f"{told}, which is overdue. Look at the failed runs: segmentation ui"


def database(settings: Settings) -> tuple[State, str]:
    """Whether the published database can be read and is up to date with the lake."""
    made = published.keys(settings.data_dir)
    if not made:
        told = published.in_lake_only(settings.data_dir)
        return (State.BROKEN, told) if told else (State.UNKNOWN, NOTHING_YET)
    with opened(settings.data_dir) as lake:
        found = freshness.stale(settings, lake, made, FROM_THE_LAKE)
    if not found:
        return State.FINE, f"It has {counted(len(made), 'snapshot')}, and matches the lake."
    damaged = any(one.cause == Cause.DAMAGED for one in found)
    told = "; ".join(freshness.sentences(found))
    return State.BROKEN if damaged else State.WARNING, f"It does not match the lake. {told}. To update it: segmentation run --all"


def next_run(settings: Settings, fingerprint: Callable[[], str]) -> tuple[State, str]:
    """Whether `segmentation run --all` would accept the calendar, and leave the published snapshots as they are. The source's rows
    are not read, so that late ones are not noticed.

    Raises:
        PublishError: the calendar would be refused.
        SourceError: the source cannot be read.
    """
    made = published.keys(settings.data_dir)
    if not made:
        return State.UNKNOWN, NOTHING_YET
    published.require_calendar(settings.data_dir, settings.snapshots)
    with opened(settings.data_dir) as lake:
        found = freshness.stale(settings, lake, made, FROM_FINGERPRINTS, fingerprint=fingerprint)
    if not found:
        return State.FINE, "Settings, source and package are those that the published snapshots were made with."
    told = "; ".join(freshness.sentences(found))
    return State.WARNING, f"It makes published snapshots again. {told}. To make them: segmentation run --all"


def shared_lake(settings: Settings) -> tuple[State, str]:
    """Whether this machine has the newest version of the lake that it shares.

    Raises:
        SharedLakeError: the lake cannot be reached.
    """
    mine, newest = sharing.behind(settings)
    if mine == newest:
        return State.FINE, f"This machine has its newest version, {newest}."
    return State.WARNING, f"This machine has version {mine}, and the newest is {newest}. To fetch it: segmentation refresh"


def disk(data_dir: Path) -> tuple[State, str]:
    """Whether there is room for another snapshot."""
    there = next(place for place in (data_dir.resolve(), *data_dir.resolve().parents) if place.exists())
    free = shutil.disk_usage(there).free
    databases = [
        file for file in (data_dir / database_files.DATABASE, data_dir / database_files.PRIVATE / database_files.MASTER) if file.exists()
    ]
    if not databases:
        return State.UNKNOWN, f"{free / 1e6:,.0f} MB are free. The size of a snapshot is known after the first."
    newest = max(partition_keys(data_dir / "lake", "customer_features"), default="")
    written = sum(file.stat().st_size for file in (data_dir / "lake").glob(f"*/snapshot_date={newest}/*"))
    needed = 2 * max(file.stat().st_size for file in databases) + written  # the database is written twice: the master, and the public copy
    told = f"{free / 1e6:,.0f} MB are free, and a snapshot writes about {needed / 1e6:,.0f} MB"
    if free < needed:
        return State.BROKEN, f"{told}. Free some space on the disk of {there}."
    return (State.FINE, f"{told}.") if free > COPIES * needed else (State.WARNING, f"{told}. Free some space on the disk of {there} soon.")


def source(settings: Settings, fingerprint: Callable[[], str], readable: bool) -> tuple[State, str]:
    """Whether the source is there, and, if the database is readable, whether it has changed since the newest snapshot. Its rows are
    not read."""
    state = fingerprint()
    made = published.fingerprints(settings.data_dir) if readable else {}
    then = Fingerprint.read(made[max(made)]) if made else None
    if then is None:
        return State.FINE, "The source is present. To read its rows: segmentation check"
    same = then.source == Fingerprint.now(settings, state, max(made)).source
    told = "is present and unchanged" if same else "is present, and has changed"
    return State.FINE, f"The source {told} since {max(made)} was made. To read its rows: segmentation check"
