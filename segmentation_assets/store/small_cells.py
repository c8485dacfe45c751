"""Which figures of few customers are hidden when a table is published.

A figure is hidden if it is of few customers (primary suppression), and so is the next smallest where a published total would give it
away (secondary suppression): Willenborg and de Waal (2001), Elements of Statistical Disclosure Control. What is of how many customers is in
the contracts (`cells`). Each table is protected by itself and with those that its contract names.
"""

from collections.abc import Callable, Iterable
from functools import cache

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from segmentation_assets.store.lake import Lake
from segmentation_assets.tables import BY_NAME
from segmentation_assets.tables.contract import Cells, Contract, HiddenWith, Of
from segmentation_assets.vocabulary import without_few

SMALL_CELL = "small_cell"  # the column that says which rows have hidden figures
HIDDEN = "hidden: few customers"
"""What it says, also of a figure that is hidden only so that another cannot be computed: else the two could be told apart."""
MEANING = "Not empty: figures of this row are hidden, because they are of few customers, or would tell another such figure."
SENTENCES = {"reason", "tier_reason", "sentence", "description", "verdict"}  # columns of them; those of customers' own words are none
Mask = NDArray[np.bool_]


def published_rows(lake: Lake, contract: Contract, key: str, smallest: int) -> pa.Table:
    """The rows of a snapshot's table with figures of fewer customers than `smallest` as null, and SMALL_CELL."""

    @cache
    def rows(name: str) -> pa.Table:
        return pq.ParquetFile(lake.file(name, key)).read()

    @cache
    def hidden(name: str) -> dict[str, Mask]:
        return hidden_figures(BY_NAME[name], rows(name).to_pandas(), smallest, lambda other: rows(other).to_pandas(), as_published)

    @cache
    def as_published(name: str) -> pd.DataFrame:
        return _without(rows(name), hidden(name)).to_pandas()

    masks = hidden(contract.name)
    anything = np.logical_or.reduce([np.zeros(len(rows(contract.name)), dtype=bool), *masks.values()])
    said = pa.array([HIDDEN if some else None for some in anything], pa.string())
    shown = _without(rows(contract.name), masks)
    for place, field in enumerate(shown.schema):
        if field.name in SENTENCES:
            texts = [without_few(text, smallest) if text else text for text in shown[field.name].to_pylist()]
            shown = shown.set_column(place, field, pa.array(texts, field.type))
    return shown.append_column(SMALL_CELL, said)


def hidden_figures(
    contract: Contract,
    rows: pd.DataFrame,
    smallest: int,
    others: Callable[[str], pd.DataFrame],
    published: Callable[[str], pd.DataFrame],
) -> dict[str, Mask]:
    """By column, in which rows (n,) its figure is hidden.

    Args:
        others: another table of the snapshot, by name; published: the same as it is published.
    """
    found: dict[str, Mask] = {}

    def hide(columns: Iterable[str], where: Mask) -> None:
        for column in columns:
            found[column] = found.get(column, np.zeros(len(rows), dtype=bool)) | where

    for cells in contract.cells if len(rows) else ():
        if isinstance(cells, HiddenWith):
            hide(cells.figures, cells.where(rows, published(cells.table)).to_numpy(dtype=bool))
            continue
        counts = _numbers(cells.count, rows)
        own = (cells.count,) if isinstance(cells.count, str) else ()
        before = np.logical_or.reduce([np.zeros(len(rows), dtype=bool), *(found[column] for column in own if column in found)])
        few, bare = _few(cells, rows, counts, before, smallest, others)
        hide((*own, *cells.figures), few)
        if bare:
            hide(cells.totals, np.ones(len(rows), dtype=bool))
    return found


def _few(
    cells: Cells, rows: pd.DataFrame, counts: NDArray[np.float64], before: Mask, smallest: int, others: Callable[[str], pd.DataFrame]
) -> tuple[Mask, bool]:
    """Which cells are hidden, in addition to those `before`, and whether a group has too few cells to hide them among."""
    if cells.steps:
        return between_steps(counts, smallest), False
    few = is_few(counts, smallest) | is_few(_whole(cells.whole, rows, others) - counts, smallest) | before
    if not cells.sums:
        return few, False
    cell = rows.groupby(list(cells.of), dropna=False, sort=False).ngroup().to_numpy() if cells.of else np.arange(len(rows))
    _, first = np.unique(cell, return_index=True)  # numbers of cells are 0, 1, ..., so cell i is the row first[i]
    groups = [pd.factorize(group(rows), use_na_sentinel=False)[0][first] for group in cells.sums]
    chosen, bare = with_company(counts[first], few[first], groups, smallest, cells.overlap)
    return chosen[cell], bare


def is_few(counts: NDArray[np.float64], smallest: int) -> Mask:
    """Whether a number of customers (n,) is small, but not zero; NaN is neither."""
    return np.asarray((counts > 0) & (counts < smallest))


def with_company(
    counts: NDArray[np.float64], hidden: Mask, groups: list[NDArray[np.int64]], smallest: int, overlap: bool = False
) -> tuple[Mask, bool]:
    """Hide further cells until no hidden one (n,) is told by a total: in each group of each grouping (n,), none or at least two are hidden,
    and together they have at least `smallest` customers, since their sum can be computed. A cell that is all there is in one group is
    told by that group's total, and does not count in its others. Cells alike in size are hidden together, so that the choice is the same
    in every table.

    Args:
        overlap: whether cells may have customers in common, so that one of those hidden must have `smallest` by itself.

    Returns:
        Which are hidden, and whether a group has too few cells for it.
    """
    hidden, some = hidden.copy(), counts > 0
    told = np.zeros(len(counts), dtype=bool)  # hidden in vain: alone in a group, so that its total tells it, and no company elsewhere
    settled, bare = False, False
    while not settled:
        settled = True
        for grouping in groups:
            for group in np.unique(grouping[hidden & some & ~told]):
                own = (grouping == group) & some
                company = own & hidden & ~told
                inside = counts[company]
                if len(inside) > 1 and (inside.max() if overlap else inside.sum()) >= smallest:
                    continue
                left = own & ~hidden
                if left.any():
                    hidden |= left & (counts == counts[left].min())
                    settled = False
                    continue
                bare = True
                if len(inside) == 1:
                    told |= company
                    settled = False
    return hidden, bare


def between_steps(counts: NDArray[np.float64], smallest: int) -> Mask:
    """Which of the numbers (n,), each of which includes the one before, to hide so that no two shown ones differ by few."""
    hidden, last, total = np.zeros(len(counts), dtype=bool), 0.0, counts[-1]
    for place, count in enumerate(counts):
        hidden[place] = 0 < count - last < smallest or 0 < total - count < smallest
        last = last if hidden[place] else count
    return hidden


def _whole(whole: str | Of, rows: pd.DataFrame, others: Callable[[str], pd.DataFrame]) -> NDArray[np.float64]:
    """The number of whom each cell is a part; NaN if it is of none."""
    table, _, column = whole.rpartition(".") if isinstance(whole, str) else ("", "", "")
    if table:
        return np.full(len(rows), others(table)[column].max(), dtype=np.float64)
    return _numbers(whole, rows) if whole else np.full(len(rows), np.nan)


def _numbers(count: str | Of, rows: pd.DataFrame) -> NDArray[np.float64]:
    found = rows[count] if isinstance(count, str) else count(rows)
    return pd.to_numeric(found).to_numpy(dtype=np.float64, na_value=np.nan)


def _without(rows: pa.Table, hidden: dict[str, Mask]) -> pa.Table:
    """The rows with hidden figures as null."""
    for column, where in hidden.items():
        place, kind = rows.schema.get_field_index(column), rows.schema.field(column).type
        shown = pc.if_else(pa.array(where), pa.scalar(None, kind), rows[column])
        rows = rows.set_column(place, pa.field(column, kind), shown)
    return rows
