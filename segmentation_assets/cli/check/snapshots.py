"""How each snapshot would fare: whether its run would stop, and whether its window and its history are complete."""

import datetime as dt
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil

from segmentation_assets.cli.check.counts import Counted, Days, by_size
from segmentation_assets.core.customers.volume import ALWAYS, LOST, Volume, judged
from segmentation_assets.defs.checks.source import ColumnsRead
from segmentation_assets.settings.loading import Settings
from segmentation_assets.settings.snapshots import following
from segmentation_assets.sources.intake_record import IntakeRecord
from segmentation_assets.vocabulary import Verdict, counted

NAMED = 3  # most snapshots to name
STEP = 20  # a proposed share is rounded up to a twentieth


def by_snapshot(days: Days, keys: Sequence[str]) -> list[int]:
    """The number of rows in each snapshot's window; the first also includes all earlier rows, and those without a day."""
    ends = [dt.date.fromisoformat(key) for key in keys]
    found = [0] * len(keys)
    for day, number in days.items():
        position = 0 if day is None else bisect_right(ends, day)
        if position < len(found):
            found[position] += number
    return found


def shares(rows: Days, rejected: Days, keys: Sequence[str]) -> dict[str, float]:
    """By snapshot, the share of its window's rows that are set aside; windows without rows are left out."""
    windows = zip(keys, by_snapshot(rows, keys), by_snapshot(rejected, keys), strict=True)
    return {key: bad / total for key, total, bad in windows if total}


def too_many_rejects(entity: str, seen: Counted, keys: Sequence[str], limit: float) -> list[str]:
    """The problem that a snapshot's run would stop because too many rows are set aside, judged as in `rejects_are_few`."""
    found = shares(seen.rows, seen.rejected, keys)
    over = {key: share for key, share in found.items() if share > limit}
    if not over:
        return []
    reasons = Counter({reason: sum(part for key, part in zip(keys, by_snapshot(days, keys), strict=True) if key in over)
                       for reason, days in seen.reasons.items()})  # fmt: skip
    return [stopping(entity, over, reasons, len(keys), limit)]


def stopping(entity: str, over: dict[str, float], reasons: Counter[str], snapshots: int, limit: float) -> str:
    """A sentence on the snapshots that would stop, why, and what to do."""
    worst = max(over.values())
    named = sorted(over, key=lambda key: (-over[key], key))[:NAMED]
    shown = ", ".join(f"{key} ({over[key]:.1%})" for key in sorted(named)) + (f" and {len(over) - NAMED} more" if len(over) > NAMED else "")
    why = "; ".join(f"{number:,} {reason}" for reason, number in list(by_size(reasons))[:NAMED] if number)
    share = proposed(worst)
    rightly = f", or, if these rows should be set aside, set cleaning.largest_reject_share: {share}" if share < 1 else ""
    return (
        f"{entity}: {len(over)} of {counted(snapshots, 'snapshot')} would stop, because more than {limit:.1%} of "
        f"{'its' if len(over) == 1 else 'their'} rows would be rejected: {shown}: {why}. Correct the mapping or the data{rightly}."
    )


def proposed(share: float) -> float:
    """The next round share above this one, at most 1."""
    return min(ceil(share * STEP + 1e-9) / STEP, 1.0)


def customers_stop(
    total: Counted, sizes: dict[str, int], judged: Callable[[str], Counted], limit: float
) -> tuple[dict[str, float], Counter[str]]:
    """The snapshots that too many rejected customer records would stop, with their shares, and the reasons.

    Each snapshot has the customers of the one before and more, and a record that is rejected once is rejected at every later snapshot.
    So a snapshot's own rejects are counted only if the total would be too many for it.

    Args:
        total: the records of the last snapshot.
        sizes: a lower bound of the number of records at each snapshot.
        judged: counts the records of a snapshot.
    """
    over, reasons = dict[str, float](), Counter[str]()
    for key, size in sizes.items():
        if size and total.rejected_source_rows > limit * size:
            own = judged(key)
            share = own.rejected_source_rows / max(own.source_rows, 1)
            if share > limit:
                over[key] = share
                reasons = Counter({reason: sum(days.values()) for reason, days in own.reasons.items()})
    return over, reasons


def each_customers_stop(keys: Sequence[str], judged: Callable[[str], Counted], limit: float) -> tuple[dict[str, float], Counter[str]]:
    """The same for customers described anew at several dates, of which each snapshot has others."""
    over, reasons = dict[str, float](), Counter[str]()
    for key in keys:
        own = judged(key)
        share = own.rejected_source_rows / max(own.source_rows, 1)
        if share > limit:
            over[key] = share
            reasons = Counter({reason: sum(days.values()) for reason, days in own.reasons.items()})
    return over, reasons


def changed_kinds(entity: str, tables: dict[str, list[IntakeRecord]], used: dict[str, set[str]]) -> list[str]:
    """The problem that a mapped column can no longer be read as before, which stops a run, judged as in `columns_are_as_before`.

    Args:
        used: by snapshot, oldest first, the source files with rows in its window.
    """
    before: dict[str, dict[str, str]] = {}
    for key, sources in used.items():
        found = ColumnsRead.compared(tables, sources, before)
        before = found.remembered
        if found.stops:
            changes = "; ".join(f"{column} {found.changes[column]}" for column in found.stops)
            return [f"{entity}: the snapshot {key} would stop: {changes}. Correct the files of its window, or the mapping."]
    return []


def young(first: dt.datetime | None, keys: Sequence[str], settings: Settings) -> list[str]:
    """Say that the first snapshots have less history than the lookback, so that features grow with it, which looks like drift."""
    day, windows = dt.date.fromisoformat(keys[0]), settings.features.lookback
    if first is None or (known := _whole_windows(first.date(), day, settings)) >= windows:
        return []
    grown = following(day, settings.snapshots, windows - known)
    advice = [f"features.lookback: {known}"] if known else []
    advice += [f"snapshots.first: {grown}"] if grown <= dt.date.fromisoformat(keys[-1]) else []
    remedy = f" To avoid it, set {', or '.join(advice)}." if advice else ""
    lie = f"The source has {known} of the {windows} windows of the lookback before the first snapshot"
    if windows == 1:
        lie = f"The source has only part of the one window of the lookback before the first snapshot, {day}"
    return [f"{lie}: history grows until {grown}, which is reported as drift.{remedy}"]


def _whole_windows(first: dt.date, day: dt.date, settings: Settings) -> int:
    """The number of windows between the first order and a day; the oldest may lack its first few days."""
    known = 0
    while known < settings.features.lookback and following(day, settings.snapshots, -(known + 1)) + dt.timedelta(days=3) >= first:
        known += 1
    return known


@dataclass(frozen=True)
class Feed:
    """Whether a source keeps delivering up to each snapshot, judged as in a run.

    Attributes:
        found: by snapshot, oldest first, the volume of its window.
    """

    found: dict[str, Volume]

    @classmethod
    def of(cls, name: str, rows: Days, keys: Sequence[str], settings: Settings) -> "Feed":
        """Judge transactions or events by their number of rows per day."""
        rows_on = {day: number for day, number in rows.items() if day is not None}
        return cls({key: judged(name, rows_on, dt.date.fromisoformat(key), settings.snapshots, settings.volume) for key in keys})

    def lines(self, name: str) -> Iterator[str]:
        """Sentences on windows with few rows, and on rows that end before the last snapshot."""
        last = next(reversed(self.found))
        stops = name == ALWAYS and self.found[last].verdict in {Verdict.EMPTY, Verdict.ENDS_EARLY} and self.found[last].last_day is not None
        low = {key: volume for key, volume in self.found.items() if volume.warns and not (stops and key == last)}
        if low:
            shown = "; ".join(f"{key}: {_delivered(volume)}" for key, volume in list(low.items())[:NAMED])
            more = f"; and {len(low) - NAMED} more" if len(low) > NAMED else ""
            lack = counted(len(low), "snapshot has", "snapshots have")
            yield f"{lack} fewer {name} than usual: {shown}{more}. Make sure that the source is complete."
        if stops:
            yield self._early_end(last)

    def problems(self, name: str, when_low: str) -> Iterator[str]:
        """The problem that volume.when_low would stop a run."""
        lost = [key for key, volume in self.found.items() if volume.verdict in LOST]
        if lost and when_low == "stop":
            yield (
                f"{name}: {counted(len(lost), 'snapshot')} would stop, because volume.when_low is stop: {lost[0]}: "
                f"{_delivered(self.found[lost[0]])}. Complete the source, or set volume.when_low: warn."
            )

    def _early_end(self, last: str) -> str:
        volume = self.found[last]
        last_day = volume.last_day or volume.end
        whole = [key for key, one in self.found.items() if not one.warns and one.start <= last_day and key != last]
        remedy = f"Set snapshots.last: {whole[-1]}, or wait for the rest to arrive." if whole else "Wait for the rest to arrive."
        return (
            f"Orders end on {volume.last_day}, {counted(volume.silent_days or 0, 'day')} before the last snapshot, {last}: all customers "
            f"would seem to buy less, which is reported as drift. {remedy}"
        )


def _delivered(volume: Volume) -> str:
    if volume.verdict == Verdict.ENDS_EARLY:
        return f"none after {volume.last_day}"
    usual = f", {volume.usual_rows:,.10g} usual" if volume.usual_rows else ""
    return f"{volume.rows:,}{usual}" if volume.rows else f"none{usual}"
