"""Which snapshots must be made, and why.

Belongs here: comparing the records of each snapshot with the current settings, source and lake. Code that makes
snapshots, or warns that they are out of date, calls `stale` and puts its findings into words with `sentences`.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby

from segmentation_assets.settings.loading import Settings
from segmentation_assets.sources import Source, open_source, windows
from segmentation_assets.sources.base import window_of
from segmentation_assets.sources.tables import TablesSource
from segmentation_assets.sources.windows import Difference
from segmentation_assets.store import database_files, provenance, published
from segmentation_assets.store.lake import Lake
from segmentation_assets.store.provenance import ENTITIES, Fingerprint, SnapshotRecord
from segmentation_assets.tables import BY_NAME
from segmentation_assets.vocabulary import counted


class Cause(StrEnum):
    """Why a snapshot must be made. Causes that compare fingerprints are named after their part of a `Fingerprint`."""

    NEVER_MADE = "never made"
    STOPPED = "stopped"
    SETTINGS = "settings"
    SOURCE = "source"
    TABLES = "tables"
    VERSION = "version"
    REQUESTS = "requests"
    UNKNOWN = "unknown"
    DAMAGED = "damaged"
    LATE_ROWS = "late rows"
    EARLIER = "earlier"


SENTENCES = {
    Cause.NEVER_MADE: "it was never made",
    Cause.STOPPED: "its run failed or was stopped",
    Cause.SETTINGS: "the settings have changed",
    Cause.SOURCE: "the source has changed",
    Cause.TABLES: "the columns of tables have changed",
    Cause.VERSION: "the version of this package has changed",
    Cause.REQUESTS: "another model was requested, or a request withdrawn",
    Cause.UNKNOWN: "the settings, the source or this package have changed",
    Cause.DAMAGED: "tables are missing from the lake or cannot be read",
    Cause.LATE_ROWS: "the source now has other rows in its window",
    Cause.EARLIER: "an earlier snapshot is to be made, or was made again",
}
CHANGES = (Cause.SETTINGS, Cause.SOURCE, Cause.TABLES, Cause.VERSION, Cause.REQUESTS)
UNASKED = frozenset({Cause.STOPPED, Cause.DAMAGED, Cause.LATE_ROWS, Cause.EARLIER})
"""Causes for which snapshots are made again automatically."""


@dataclass(frozen=True)
class Stale:
    """A snapshot that must be made, and a cause; the detail says what has changed, if known."""

    snapshot: str
    cause: Cause
    detail: str = ""


def stale(
    settings: Settings,
    lake: Lake,
    keys: Sequence[str],
    causes: Collection[Cause] = frozenset(Cause),
    late: Mapping[str, str] | None = None,
    fingerprint: Callable[[], str] | None = None,
) -> list[Stale]:
    """Which of the snapshots must be made, and why: a row for each cause, oldest snapshot first.

    Each snapshot builds on those before it, so all snapshots after the first that must be made are included.

    Args:
        keys: snapshots to judge, oldest first.
        causes: the causes to look for; others are not checked.
        late: the findings of `late_rows`, if it was called.
        fingerprint: asks the source for its fingerprint; called only if fingerprints are compared. Default: the source in the settings.

    Raises:
        SourceError: the source cannot be read.
    """
    made = published.fingerprints(settings.data_dir)
    records = provenance.recorded(settings.data_dir / database_files.PRIVATE)
    known = {key: made[key] for key in keys if key in made}
    looks: tuple[tuple[Collection[Cause], Callable[[], Iterator[Stale]]], ...] = (
        ({Cause.NEVER_MADE, Cause.STOPPED}, lambda: _unmade(lake, records, [key for key in keys if key not in made])),
        ({*CHANGES, Cause.UNKNOWN}, lambda: _changed(settings, fingerprint, known)),
        ({Cause.DAMAGED}, lambda: _damaged(lake, known)),
        ({Cause.LATE_ROWS}, lambda: (Stale(key, Cause.LATE_ROWS, detail) for key, detail in (late or {}).items() if key in keys)),
        ({Cause.STOPPED, Cause.EARLIER}, lambda: _collected_again(lake, records, known)),
    )
    asked = set(causes)
    found = [one for finds, look in looks if asked & set(finds) for one in look() if one.cause in asked]
    return sorted(_with_later_ones(found, keys) if Cause.EARLIER in asked else found, key=lambda one: one.snapshot)


def _unmade(lake: Lake, records: Mapping[str, SnapshotRecord], keys: Sequence[str]) -> Iterator[Stale]:
    """Snapshots that were never published; one whose features were made only for a later one does not count as stopped."""
    for key in keys:
        described = key in records and provenance.is_complete(lake, key)
        begun = key in records or provenance.is_begun(lake, key)
        yield Stale(key, Cause.STOPPED if begun and not described else Cause.NEVER_MADE)


def _changed(settings: Settings, fingerprint: Callable[[], str] | None, made: Mapping[str, str]) -> Iterator[Stale]:
    state = (fingerprint or open_source(settings).fingerprint)() if made else ""
    for key, text in made.items():
        then, now = Fingerprint.read(text), Fingerprint.now(settings, state, key)
        if then is None and text != provenance.one_hash(settings, state, key):
            yield Stale(key, Cause.UNKNOWN)
        elif then is not None:
            yield from (Stale(key, cause, ", ".join(names)) for cause in CHANGES if (names := _different(then, now, cause)))


def _different(then: Fingerprint, now: Fingerprint, part: Cause) -> list[str]:
    """Names of the entries of a part that have changed."""
    before, after = (getattr(fingerprint, part) for fingerprint in (then, now))
    return sorted(name for name in {**before, **after} if before.get(name) != after.get(name))


def _damaged(lake: Lake, made: Mapping[str, str]) -> Iterator[Stale]:
    """Snapshots with a table that is missing, though it was published, or whose file is truncated."""
    for key, text in made.items():
        then = Fingerprint.read(text)
        there = {name for name in BY_NAME if lake.file(name, key).exists()}
        tables = there | (then.tables.keys() & BY_NAME.keys() if then else set())
        if lost := sorted(name for name in tables if lake.row_count(name, key) is None):
            yield Stale(key, Cause.DAMAGED, ", ".join(lost))


def _collected_again(lake: Lake, records: Mapping[str, SnapshotRecord], made: Collection[str]) -> Iterator[Stale]:
    """Snapshots made from other raw rows than the lake has now, in their own window or an earlier one. Missing rows count as damage."""
    now = provenance.collected(lake, records)
    for key in made:
        if key not in records:
            continue
        then, there = (provenance.digests(own) for own in (records[key].own, now.get(key, {})))
        if any(then.get(entity) != digest for entity, digest in there.items()):
            yield Stale(key, Cause.STOPPED)
        elif records[key].before != provenance.before(key, now):
            yield Stale(key, Cause.EARLIER)


def _with_later_ones(found: Sequence[Stale], keys: Sequence[str]) -> list[Stale]:
    """The findings other than EARLIER, and an EARLIER one for every later snapshot that has no other."""
    first = min((one.snapshot for one in found), default=None)
    if first is None:
        return []
    own = [one for one in found if one.cause != Cause.EARLIER]
    told = {one.snapshot for one in own}
    detail = first if first in told else ""
    return [*own, *(Stale(key, Cause.EARLIER, detail) for key in keys if key >= first and key not in told)]


@dataclass(frozen=True)
class LateRows:
    """Differences between the source's current rows in each window and those that the snapshots were made from.

    Attributes:
        found: snapshot -> rows added and removed, in words; only if they differ.
        not_compared: entity that could not be compared -> why.
    """

    found: dict[str, str] = field(default_factory=dict)
    not_compared: dict[str, str] = field(default_factory=dict)


def late_rows(settings: Settings, source: Source, lake: Lake, records: Mapping[str, SnapshotRecord], by_content: bool = False) -> LateRows:
    """Compare the windows of recorded snapshots with the source.

    Args:
        by_content: read rows of files and compare them with the lake, which notices rows changed in place; otherwise
            rows are only counted, if the source can do so without being read completely.

    Raises:
        SourceError: the source cannot be read.
    """
    found: dict[str, list[str]] = {}
    not_compared = {}
    for entity in ENTITIES:
        made = {key: record for key, record in records.items() if entity in record.own}
        compared = _by_content(settings, source, lake, made, entity) if by_content else _counted(settings, source, lake, made, entity)
        if isinstance(compared, str):
            not_compared[entity] = compared
            continue
        for key, difference in compared.items():
            found.setdefault(key, []).extend(_rows_in_words(difference, entity))
    return LateRows({key: ", ".join(words) for key, words in sorted(found.items())}, not_compared)


def _counted(
    settings: Settings, source: Source, lake: Lake, made: Mapping[str, SnapshotRecord], entity: str
) -> dict[str, Difference] | str:
    """Differences in the number of rows; or, if the source cannot count them, the reason."""
    if isinstance(source, TablesSource) and not source.is_dated(entity):
        return "known_at is not mapped, so a new record may always have been there"
    now = windows.counts(source, lake.engine.driver, entity, {key: window_of(key, settings.snapshots) for key in made})
    if now is None:
        return "it would have to be read completely"
    more = {key: now[key] - record.own[entity].rows for key, record in made.items()}
    return {key: Difference(max(n, 0), max(-n, 0)) for key, n in more.items() if n}


def _by_content(settings: Settings, source: Source, lake: Lake, made: Mapping[str, SnapshotRecord], entity: str) -> dict[str, Difference]:
    """Differences in rows; for databases that can count them, only in their number."""
    if isinstance(source, TablesSource) and source.has_databases(entity):
        found = _counted(settings, source, lake, made, entity)
        if not isinstance(found, str):
            return found
    contract = BY_NAME[f"raw_{entity}"]
    there = [key for key in made if lake.row_count(contract.name, key) is not None]
    times = {key: window_of(key, settings.snapshots) for key in there}
    collected = {key: lake.read(contract, [key], here=True) for key in there}  # where the source is read
    return windows.differences(source, lake.engine.driver, entity, times, collected)


def _rows_in_words(difference: Difference, entity: str) -> Iterator[str]:
    noun = entity.removesuffix("s")
    for sign, number in (("+", difference.came), ("-", difference.gone)):
        if number:
            yield f"{sign}{counted(number, noun)}"


def sentences(found: Sequence[Stale]) -> list[str]:
    """A sentence for each stretch of snapshots with the same causes.

    >>> sentences([Stale("2024-02-01", Cause.SETTINGS, "model"), Stale("2024-03-01", Cause.SETTINGS, "model")])
    ['2024-02-01 to 2024-03-01: the settings have changed (model)']
    """
    causes = {key: "; ".join(map(_sentence, rows)) for key, rows in groupby(found, key=lambda one: one.snapshot)}
    spans = [(text, [key for key, _ in group]) for text, group in groupby(causes.items(), key=lambda item: item[1])]
    return [f"{keys[0] if len(keys) == 1 else f'{keys[0]} to {keys[-1]}'}: {text}" for text, keys in spans]


def _sentence(one: Stale) -> str:
    return f"{SENTENCES[one.cause]} ({one.detail})" if one.detail else SENTENCES[one.cause]
