"""What would come of each snapshot: whether a run of it would stop, and whether its window and its history are whole."""

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

NAMED = 3  # snapshots that are named of many
STEP = 20  # a proposed share is rounded up to a twentieth


def by_snapshot(days: Days, keys: Sequence[str]) -> list[int]:
    """How many rows each snapshot's window has; the first one also takes in all before, and rows without a day."""
    ends = [dt.date.fromisoformat(key) for key in keys]
    found = [0] * len(keys)
    for day, number in days.items():
        position = 0 if day is None else bisect_right(ends, day)
        if position < len(found):
            found[position] += number
    return found


def shares(rows: Days, rejected: Days, keys: Sequence[str]) -> dict[str, float]:
    """By snapshot, the share of its window's rows that are set aside; without rows there is none."""
    windows = zip(keys, by_snapshot(rows, keys), by_snapshot(rejected, keys), strict=True)
    return {key: bad / total for key, total, bad in windows if total}


def too_many_rejects(entity: str, seen: Counted, keys: Sequence[str], limit: float) -> list[str]:
    """The problem that a run of a snapshot would stop because too many rows are set aside, as `rejects_are_few` judges."""
    found = shares(seen.rows, seen.rejected, keys)
    over = {key: share for key, share in found.items() if share > limit}
    if not over:
        return []
    reasons = Counter({reason: sum(part for key, part in zip(keys, by_snapshot(days, keys), strict=True) if key in over)
                       for reason, days in seen.reasons.items()})  # fmt: skip
    return [stopping(entity, over, reasons, len(keys), limit)]


def stopping(entity: str, over: dict[str, float], reasons: Counter[str], snapshots: int, limit: float) -> str:
    """The snapshots that would stop, why, and what to do."""
    worst = max(over.values())
    named = sorted(over, key=lambda key: (-over[key], key))[:NAMED]
    shown = ", ".join(f"{key} ({over[key]:.1%})" for key in sorted(named)) + (f" and {len(over) - NAMED} more" if len(over) > NAMED else "")
    why = "; ".join(f"{number:,} {reason}" for reason, number in list(by_size(reasons))[:NAMED] if number)
    share = proposed(worst)
    rightly = f", or, if these rows are rightly set aside, set cleaning.largest_reject_share: {share}" if share < 1 else ""
    return (
        f"{entity}: {len(over)} of {counted(snapshots, 'snapshot')} would stop, because more than {limit:.1%} of "
        f"{'its' if len(over) == 1 else 'their'} rows would be rejected: {shown}: {why}. Correct the mapping or the data{rightly}."
    )


def proposed(share: float) -> float:
    """A round share that is above this one."""
    return min(ceil(share * STEP + 1e-9) / STEP, 1.0)


def customers_stop(
    total: Counted, sizes: dict[str, int], judged: Callable[[str], Counted], limit: float
) -> tuple[dict[str, float], Counter[str]]:
    """The snapshots that too many rejected customer records would stop, with their shares, and the reasons.

    Customers are known from some day on, so each snapshot has those of the one before and more. A record that is rejected at a
    snapshot is so at every later one; only where all rejects together would be too many are that snapshot's own counted.

    Args:
        total: the records of the last snapshot.
        sizes: how many records each snapshot has, or fewer.
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


def changed_kinds(entity: str, tables: dict[str, list[IntakeRecord]], used: dict[str, set[str]]) -> list[str]:
    """The problem that a mapped column can no longer be read as before, at which a run stops, as `columns_are_as_before` judges.

    Args:
        used: by snapshot, oldest first, the sources that its window has rows of.
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
    """That the first snapshots know less history than the lookback: their features grow with it, which looks like drift."""
    day, windows = dt.date.fromisoformat(keys[0]), settings.features.lookback
    if first is None or (known := _whole_windows(first.date(), day, settings)) >= windows:
        return []
    grown = following(day, settings.snapshots, windows - known)
    advice = [f"features.lookback: {known}"] if known else []
    advice += [f"snapshots.first: {grown}"] if grown <= dt.date.fromisoformat(keys[-1]) else []
    remedy = f" To avoid it, set {', or '.join(advice)}." if advice else ""
    lie = f"Before the first snapshot {'lies' if known == 1 else 'lie'} {known} of the {windows} windows of the lookback"
    if windows == 1:
        lie = f"Before the first snapshot, {day}, lies only a part of the one window of the lookback"
    return [f"{lie}: until {grown} history grows, which is reported as drift.{remedy}"]


def _whole_windows(first: dt.date, day: dt.date, settings: Settings) -> int:
    """How many windows before a day are there from the first order on; the first few days of one may lack."""
    known = 0
    while known < settings.features.lookback and following(day, settings.snapshots, -(known + 1)) + dt.timedelta(days=3) >= first:
        known += 1
    return known


@dataclass(frozen=True)
class Feed:
    """Whether a source goes on delivering up to each snapshot, as a run judges it.

    Attributes:
        found: by snapshot, oldest first, what its window delivered.
    """

    found: dict[str, Volume]

    @classmethod
    def of(cls, name: str, rows: Days, keys: Sequence[str], settings: Settings) -> "Feed":
        """Judge transactions or events by their rows of each day."""
        rows_on = {day: number for day, number in rows.items() if day is not None}
        return cls({key: judged(name, rows_on, dt.date.fromisoformat(key), settings.snapshots, settings.volume) for key in keys})

    def lines(self, name: str) -> Iterator[str]:
        """The windows with few rows, and that the rows stop before the last snapshot."""
        last = next(reversed(self.found))
        stops = name == ALWAYS and self.found[last].verdict in {Verdict.EMPTY, Verdict.ENDS_EARLY} and self.found[last].last_day is not None
        low = {key: volume for key, volume in self.found.items() if volume.warns and not (stops and key == last)}
        if low:
            shown = "; ".join(f"{key}: {_delivered(volume)}" for key, volume in list(low.items())[:NAMED])
            more = f"; and {len(low) - NAMED} more" if len(low) > NAMED else ""
            lack = counted(len(low), "snapshot lacks", "snapshots lack")
            yield f"{lack} {name} that would be usual: {shown}{more}. Make sure that the source is complete."
        if stops:
            yield self._early_end(last)

    def problems(self, name: str, when_low: str) -> Iterator[str]:
        """What would stop a run by volume.when_low."""
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
        remedy = f"Set snapshots.last: {whole[-1]}, or wait until the rest has come." if whole else "Wait until the rest has come."
        return (
            f"Orders end on {volume.last_day}, {counted(volume.silent_days or 0, 'day')} before the last snapshot, {last}: everyone would "
            f"seem to buy less, which is reported as drift. {remedy}"
        )


def _delivered(volume: Volume) -> str:
    if volume.verdict == Verdict.ENDS_EARLY:
        return f"none after {volume.last_day}"
    usual = f", {volume.usual_rows:,.10g} usual" if volume.usual_rows else ""
    return f"{volume.rows:,}{usual}" if volume.rows else f"none{usual}"
