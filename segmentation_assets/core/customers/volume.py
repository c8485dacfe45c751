"""Whether a source keeps delivering: the rows of a snapshot's window compared with earlier windows, and when they end.

Belongs here: the judgement and its sentence, for collected snapshots and for `segmentation check` alike. The caller counts the
rows of each day.
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import ibis.expr.types as ir
import pandas as pd

from segmentation_assets.settings import volume as settings
from segmentation_assets.settings.snapshots import DAYS_OF_WEEK, Snapshots, following, windows_to_compare
from segmentation_assets.vocabulary import Verdict, counted

QUIET = (Verdict.AS_USUAL, Verdict.NOT_MEASURED)  # those that warn of nothing
LOST = (Verdict.EMPTY, Verdict.LOW)  # a whole window's rows, or most of them
FEWEST = 3  # windows before, below which nothing is usual
ALWAYS = "transactions"  # the source that must have rows in every window
CHECKED = "Make sure that the source is complete; once it is, make the snapshot again"


@dataclass(frozen=True)
class Volume:
    """The volume that a source delivered for one snapshot.

    `rows` are dated in the window from `start` up to but not including `end`, the snapshot's date. `usual_rows` is the median of
    `windows` earlier windows. `silent_days` are full days without rows between the last one and `end`, `usual_silent_days` the
    most consecutive ones before. None if unknown.
    """

    source: str
    start: dt.date
    end: dt.date
    rows: int
    windows: int
    usual_rows: float | None
    last_day: dt.date | None
    silent_days: int | None
    usual_silent_days: int | None
    verdict: Verdict = Verdict.NOT_MEASURED

    @property
    def warns(self) -> bool:
        return self.verdict not in QUIET

    @property
    def sentence(self) -> str:
        """The finding in words, with what to do if it is unusual."""
        noun = self.source.removesuffix("s")
        usual = "" if not self.usual_rows else f"the usual {self.usual_rows:,.10g} (median of {counted(self.windows, 'window')} before)"
        again = f"{CHECKED}: segmentation run --from {self.end}"
        match self.verdict:
            case Verdict.EMPTY:
                last = "nor is any in earlier windows" if self.last_day is None else f"the last is dated {self.last_day}"
                instead = f", instead of {usual}" if usual else ""
                return f"No {noun} is dated in the window from {self.start} up to {self.end}{instead}; {last}. {again}."
            case Verdict.LOW:
                found = f"{counted(self.rows, f'{noun} is', f'{noun}s are')} dated in the window from {self.start} up to {self.end}"
                return f"Only {found}, {self.rows / (self.usual_rows or 1):.0%} of {usual}. {again}."
            case Verdict.ENDS_EARLY:
                longest = f"at most {self.usual_silent_days} in a row" if self.usual_silent_days else "none"
                return (
                    f"The last {noun} before {self.end} is dated {self.last_day}, followed by {counted(self.silent_days or 0, 'day')} "
                    f"without any; before, there were {longest}. Customers who have ordered since look less recent than they are. {again}."
                )
            case Verdict.AS_USUAL:
                return f"{counted(self.rows, noun)}, against {usual or 'a usual 0'}."
            case _:
                known = counted(self.windows, "earlier window is", "earlier windows are")
                return f"Not measured: {known} known for {self.source}; {FEWEST} are needed."


def rows_per_day(rows: ir.Table, time: str) -> ir.Table:
    """`day` and its number of `rows`; rows without a time are left out."""
    dated = rows.filter(rows[time].notnull())
    return dated.group_by(day=dated[time].date()).agg(rows=dated.count())


def judged(source: str, rows_on: Mapping[dt.date, int], as_of: dt.date, snapshots: Snapshots, rule: settings.Volume) -> Volume:
    """Whether a source's rows of each day are as usual at the snapshot `as_of`; `source` is `transactions` or `events`."""
    steps = windows_to_compare(snapshots, rule.windows) + 1
    return judge(source, rows_on, [following(as_of, snapshots, -step) for step in range(steps, -1, -1)], rule)


def judge(source: str, rows_on: Mapping[dt.date, int], bounds: Sequence[dt.date], rule: settings.Volume) -> Volume:
    """Whether the last window's rows are as usual.

    Args:
        source: `transactions`, or `events`.
        rows_on: number of rows of each day that has any; those outside the bounds are ignored.
        bounds: as-of dates in order, the snapshot's last; each two bound a window. Windows that end before the first row
            within the bounds count as unknown. One-day windows are compared with the same day of the week, once three of them are known.
    """
    known = {day: n for day, n in rows_on.items() if bounds[0] <= day < bounds[-1] and n}
    *before, (start, end) = pairwise(bounds)
    earlier = [(first, last) for first, last in before if known and last > min(known)]
    alike = earlier[::-1][DAYS_OF_WEEK - 1 :: DAYS_OF_WEEK] if (end - start).days == 1 else []
    weekly = len(alike) >= FEWEST
    compared = (alike if weekly else earlier[::-1])[: rule.windows]
    sizes = [_rows(known, window) for window in compared]
    usual = float(median(sizes)) if len(sizes) >= FEWEST else None
    last_day = max(known, default=None)
    sound = [window for window, n in zip(compared, sizes, strict=True) if usual is None or n >= rule.least_share * usual]
    gaps = [*(gap for window in sound for gap in _gaps(known, *window)), *_gaps(known, start, end, inner=True)]
    found = Volume(
        source, start, end, _rows(known, (start, end)), len(compared), usual, last_day,
        None if last_day is None else (end - last_day).days - 1, max(gaps, default=0) if len(known) > 1 else None,
    )  # fmt: skip
    return Volume(**(vars(found) | {"verdict": _verdict(found, rule, weekly)}))


def table(found: Sequence[Volume]) -> pd.DataFrame:
    """The table of volumes, one row per source."""
    names = ["source", "rows", "windows", "usual_rows", "last_day", "silent_days", "usual_silent_days", "verdict"]
    rows = [{name: getattr(one, name) for name in names} | {"sentence": one.sentence} for one in found]
    return pd.DataFrame(rows, columns=[*names, "sentence"]).astype(
        {"usual_rows": "float64", "silent_days": "Int64", "usual_silent_days": "Int64"}
    )


def _verdict(found: Volume, rule: settings.Volume, weekly: bool) -> Verdict:
    usual, silent, longest = found.usual_rows, found.silent_days, found.usual_silent_days
    if not found.rows:
        closed = weekly and usual == 0  # such as on Sundays
        if usual or (found.source == ALWAYS and not closed):
            return Verdict.EMPTY
        return Verdict.NOT_MEASURED if usual is None else Verdict.AS_USUAL
    if usual is not None and found.rows < rule.least_share * usual:
        return Verdict.LOW
    worth_telling = max(1, round((found.end - found.start).days / 10))
    if silent is not None and longest is not None and silent > longest and silent >= worth_telling:
        return Verdict.ENDS_EARLY
    return Verdict.NOT_MEASURED if usual is None else Verdict.AS_USUAL


def _rows(known: Mapping[dt.date, int], window: tuple[dt.date, dt.date]) -> int:
    return sum(known.get(day, 0) for day in _days(*window))


def _gaps(known: Mapping[dt.date, int], start: dt.date, end: dt.date, inner: bool = False) -> Iterator[int]:
    """Consecutive days without rows within a window, from the first row on; `inner`: without those after its last row."""
    run = 0
    for day in _days(max(start, min(known, default=end)), end):
        if day in known:
            yield run
        run = 0 if day in known else run + 1
    if not inner:
        yield run


def _days(start: dt.date, end: dt.date) -> Iterator[dt.date]:
    return (start + dt.timedelta(days=n) for n in range((end - start).days))
