"""How the data folder and the source are, without reading either whole: what `segmentation doctor` says of them.

Belongs here: looks that write nothing. Those at runs and the daemon are in `defs.health`.
"""

import datetime as dt
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from segmentation_assets.settings.loading import Settings
from segmentation_assets.settings.snapshots import existing_keys, tick
from segmentation_assets.sources import open_source
from segmentation_assets.store import freshness, published
from segmentation_assets.store.freshness import Cause
from segmentation_assets.store.lake import opened
from segmentation_assets.store.provenance import Fingerprint
from segmentation_assets.vocabulary import counted

COPIES = 3  # of what a snapshot writes that fit into the room that is left, from which on it is enough
LATE_AFTER = dt.timedelta(hours=6)  # from the tick of the schedule on, which catching up needs
FROM_THE_LAKE = frozenset({Cause.STOPPED, Cause.DAMAGED, Cause.EARLIER})


class State(StrEnum):
    """How something is; nothing is fine that was not looked at."""

    FINE = "fine"
    WARNING = "warning"
    BROKEN = "broken"
    UNKNOWN = "not looked at"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: how it is, in a sentence that names what to do where it is not fine."""

    subject: str
    state: State
    told: str


def looked(subject: str, look: Callable[[], tuple[State, str]]) -> Finding:
    """What a look found. One that fails is a finding itself: whatever it is about cannot be used either."""
    try:
        return Finding(subject, *look())
    except Exception as error:
        return Finding(subject, State.BROKEN, f"{error or type(error).__name__}")


def findings(settings: Settings, now: dt.datetime) -> Iterator[Finding]:
    """What there is to say of snapshots, published database, disk and source at the moment `now`."""
    yield looked("newest snapshot", lambda: newest_snapshot(settings, now))
    yield looked("database", lambda: database(settings))
    yield looked("disk", lambda: disk(settings.data_dir))
    yield looked("source", lambda: source(settings))


def newest_snapshot(settings: Settings, now: dt.datetime) -> tuple[State, str]:
    """Whether the newest snapshot that exists is published."""
    made, due = published.keys(settings.data_dir), existing_keys(settings.snapshots, now)
    if not due:
        return State.FINE, f"The first one, {settings.snapshots.first}, is still to come."
    if not made:
        return State.WARNING, "None was published yet: segmentation run --all"
    missing = [key for key in due if key > made[-1]]
    if not missing:
        return State.FINE, f"{made[-1]} is published, and no later one exists yet."
    told = f"{made[-1]} is the last one published; {counted(len(missing), 'later one exists', 'later ones exist')}, first {missing[0]}"
    if not settings.schedule.enabled:
        return State.WARNING, f"{told}. No schedule makes it: segmentation run --all"
    if now < tick(missing[0], settings.snapshots, settings.schedule) + LATE_AFTER:
        return State.FINE, f"{told}, whose turn is on that day at {settings.schedule.hour:02}:{settings.schedule.minute:02}."
    return State.BROKEN, f"{told}, which is overdue. Look at the runs that failed: segmentation ui"


def database(settings: Settings) -> tuple[State, str]:
    """Whether the published database can be read, and is what the lake would give now."""
    made = published.keys(settings.data_dir)
    if not made:
        return State.UNKNOWN, "Nothing was published yet."
    with opened(settings.data_dir) as lake:
        found = freshness.stale(settings, lake, made, FROM_THE_LAKE)
    if not found:
        return State.FINE, f"It has {counted(len(made), 'snapshot')}, as the lake has them."
    damaged = any(one.cause == Cause.DAMAGED for one in found)
    told = "; ".join(freshness.sentences(found))
    return State.BROKEN if damaged else State.WARNING, f"It is not what the lake would give now. {told}. Remedy: segmentation run --all"


def disk(data_dir: Path) -> tuple[State, str]:
    """Whether the room that is left takes another snapshot."""
    there = next(place for place in (data_dir.resolve(), *data_dir.resolve().parents) if place.exists())
    free, database = shutil.disk_usage(there).free, data_dir / published.DATABASE
    if not database.exists():
        return State.UNKNOWN, f"{free / 1e6:,.0f} MB are free. What a snapshot takes is known after the first."
    newest = published.keys(data_dir)[-1]
    written = sum(file.stat().st_size for file in (data_dir / "lake").glob(f"*/snapshot_date={newest}/*"))
    needed = 2 * database.stat().st_size + written  # the database is written twice: privately, and as the copy that takes its place
    told = f"{free / 1e6:,.0f} MB are free, and a snapshot writes some {needed / 1e6:,.0f} MB"
    if free < needed:
        return State.BROKEN, f"{told}: make room on the disk of {there}."
    return (State.FINE, f"{told}.") if free > COPIES * needed else (State.WARNING, f"{told}: make room on the disk of {there} soon.")


def source(settings: Settings) -> tuple[State, str]:
    """Whether the source is there, and as it was when the newest snapshot was made. Its rows are not read."""
    state = open_source(settings).fingerprint()
    made = published.fingerprints(settings.data_dir)
    then = Fingerprint.read(made[max(made)]) if made else None
    if then is None:
        return State.FINE, "It is there. Its rows were not read: segmentation check"
    same = then.source == Fingerprint.now(settings, state, max(made)).source
    told = "as it was" if same else "and has changed"
    return State.FINE, f"It is there, {told} since {max(made)} was made. Its rows were not read: segmentation check"
