"""Spark lines: small lines of a figure over the snapshots (Tufte 2006), as points of an SVG."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

WIDTH, HEIGHT, MARGIN = 72, 20, 2.5


@dataclass(frozen=True)
class Spark:
    """A spark line.

    Attributes:
        lines: points of its polylines, one for each run of known values of two or more.
        end: where its last known value is; None: none is known.
        text: what it shows, in words.
    """

    lines: tuple[str, ...]
    end: tuple[float, float] | None
    text: str


def spark(values: Sequence[float], written: Callable[[float], str]) -> Spark:
    """The line of `values` (n,), oldest first, NaN where unknown; `written` writes one.

    >>> spark([1.0, 3.0, float("nan"), 2.0], lambda value: f"{value:.0f}").text
    'from 1 to 2 over 4 snapshots, between 1 and 3'
    """
    known = [value for value in values if not pd.isna(value)]
    if not known:
        return Spark((), None, "not known")
    low, high = min(known), max(known)
    runs = list(_runs([_point(place, value, len(values), low, high) for place, value in enumerate(values)]))
    end = _point(max(place for place, value in enumerate(values) if not pd.isna(value)), known[-1], len(values), low, high)
    text = written(known[-1]) + ", at one snapshot"
    if len(known) > 1:
        text = f"from {written(known[0])} to {written(known[-1])} over {len(values)} snapshots, between {written(low)} and {written(high)}"
    return Spark(tuple(" ".join(f"{x:g},{y:g}" for x, y in run) for run in runs if len(run) > 1), end, text)


def _point(place: int, value: float, number: int, low: float, high: float) -> tuple[float, float] | None:
    if pd.isna(value):
        return None
    across = MARGIN + (WIDTH - 2 * MARGIN) * (place / (number - 1) if number > 1 else 1)
    up = (value - low) / (high - low) if high > low else 0.5
    return round(across, 1), round(HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * up, 1)


def _runs(points: Sequence[tuple[float, float] | None]) -> Iterator[list[tuple[float, float]]]:
    run: list[tuple[float, float]] = []
    for point in (*points, None):
        if point is None:
            yield run
            run = []
        else:
            run.append(point)
