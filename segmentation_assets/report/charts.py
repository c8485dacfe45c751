"""Lines over the snapshots that the reader may hover: their figures as a table, from which the page draws them.

Belongs here: what a chart shows. The page draws it with uPlot (templates/uPlot.js), which is small and needs no network; without
scripts, the table is there.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pandas as pd

from segmentation_assets.core.pictures.style import SEGMENT_COLOURS, segment_colours
from segmentation_assets.report.sheets import Cell
from segmentation_assets.report.words import HIDDEN, Words, said

ENDED = 0
"""The colour of the line of all segments that are not at the last snapshot any more."""


@dataclass(frozen=True)
class Line:
    """A segment over time; `colour` is its place among the colours of segments, from 1, or ENDED."""

    name: str
    colour: int
    figures: tuple[Cell, ...]


@dataclass(frozen=True)
class Day:
    """A snapshot, in full and as short as an axis needs it."""

    long: str
    short: str


@dataclass(frozen=True)
class Chart:
    """Lines over the same days, oldest first."""

    lines: tuple[Line, ...]
    days: tuple[Day, ...]


def over_time(
    history: pd.DataFrame, column: str, names: Mapping[int, str], words: Words, written: Callable[[float], str]
) -> Chart | None:  # fmt: skip
    """A figure of the segments at every snapshot; None if there are fewer than two, or none is known.

    Args:
        history: rows of `segments`; column: the figure; names: of the segments to show, by id, in their order;
            the others are one line, their sum.
        written: writes a figure.
    """
    wide = history.pivot(index="snapshot_date", columns="segment_id", values=column).sort_index()
    if len(wide) < 2 or wide.isna().all(axis=None):
        return None
    hidden = {(row.snapshot_date, row.segment_id) for row in history[history["small_cell"].notna()].itertuples()}
    colours = segment_colours(int(segment_id) for segment_id in wide.columns)

    def cell(day: pd.Timestamp, segment_id: int) -> Cell:
        value = float(wide.loc[day, segment_id])
        if pd.isna(value):
            return Cell(words.number(value, "hidden" if (day, segment_id) in hidden else None), "")
        return Cell(written(value), f"{value:g}")

    ended = [segment_id for segment_id in wide.columns if segment_id not in names]
    sums = wide[ended].sum(axis=1, min_count=1)

    def sum_cell(day: pd.Timestamp) -> Cell:
        if any((day, segment_id) in hidden for segment_id in ended):
            return Cell(HIDDEN, "")
        return Cell(words.number(None) if pd.isna(sums[day]) else written(sums[day]), "" if pd.isna(sums[day]) else f"{sums[day]:g}")

    rest = [Line("segments that have ended", ENDED, tuple(sum_cell(day) for day in wide.index))] if ended else []
    return Chart(
        (
            *(
                Line(said(name), SEGMENT_COLOURS.index(colours[segment_id]) + 1, tuple(cell(day, segment_id) for day in wide.index))
                for segment_id, name in names.items()
            ),
            *rest,
        ),
        tuple(Day(words.date(day.date()), words.short_date(day.date())) for day in wide.index),
    )
