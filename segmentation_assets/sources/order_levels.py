"""Whether cells of an order file belong to a line or to the whole order, judged from orders with several rows."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import ibis
import ibis.expr.types as ir

from segmentation_assets.expressions import mapped
from segmentation_assets.sources import guessing, order_cells
from segmentation_assets.sources.cells import Cells
from segmentation_assets.sources.rows import ROW, SourceRows
from segmentation_assets.sources.statements import stored

NEARLY_ALL = 0.95  # of an order's first rows are filled where the others are not; of the rows that the fullest column fills
FREE = {"order_id": "string", "customer_id": "string", "product_id": "string", "quantity": "float64", "amount": "float64"}


def lines(rows: SourceRows, cells: Cells, found: Mapping[str, str]) -> ir.Table:
    """The rows with our columns order_id, customer_id, product_id, quantity, amount and ordered_at; null if not found."""
    values: dict[str, ir.Value] = {}
    for name, kind in FREE.items():
        if name not in found:
            values[name] = ibis.null(kind)
            continue
        value = mapped(found[name], rows.table, cells, rows.columns).value
        values[name] = cells.text(value).strip() if kind == "string" else cells.number(value)
    when = mapped(found["ordered_at"], rows.table, cells, rows.columns).value if "ordered_at" in found else None
    return cells.timed(rows.table, ibis.null("timestamp(6)") if when is None else when, **values).rename(ordered_at="time")


def filled_once(backend: Any, rows: SourceRows, cells: Cells, order: str, columns: Sequence[str]) -> tuple[str, ...]:
    """The columns whose cells are filled on an order's first row and empty on its others."""
    if not columns:
        return ()
    table = rows.table.limit(guessing.SAMPLE)
    table = table.mutate(**{ROW: ibis.coalesce(table[ROW], ibis.row_number() + 1)})
    key = cells.text(mapped(order, table, cells, rows.columns).value).strip()
    marked = table.select(
        key=key, number=table[ROW], **{f"some{i}": cells.text(table[name]).notnull() for i, name in enumerate(columns)}
    ).filter(ibis._.key.notnull())
    marked = stored(backend, marked)
    several = marked.group_by("key").agg(start=ibis._.number.min(), n=ibis._.count()).filter(ibis._.n > 1)
    both = marked.inner_join(several, "key")
    counts: dict[str, ir.Value] = {}
    for i in range(len(columns)):
        some, first = both[f"some{i}"], both.number == both.start
        counts |= {f"first{i}": (some & first).sum().fill_null(0), f"later{i}": (some & ~first).sum().fill_null(0)}
    facts = backend.to_pyarrow(both.agg(**counts)).to_pylist()[0]
    return tuple(
        name for i, name in enumerate(columns) if facts[f"first{i}"] and facts[f"later{i}"] <= (1 - NEARLY_ALL) * facts[f"first{i}"]
    )


def is_repeated(backend: Any, rows: SourceRows, cells: Cells, found: Mapping[str, str], column: str) -> bool:
    """Whether a column repeats the whole order's amount on each of its lines."""
    sample = replace(rows, table=rows.table.limit(guessing.SAMPLE))
    looked_at = lines(sample, cells, {**found, "amount": column})
    return order_cells.are_repeated(backend.to_pyarrow(order_cells.repeats(looked_at)).to_pylist()[0])


def fullest(backend: Any, rows: SourceRows, cells: Cells, options: Collection[str]) -> str | None:
    """The first of some columns that is filled in nearly as many rows as the one that is filled in most; None where none is."""
    names = list(options)
    if not names:
        return None
    table = rows.table.limit(guessing.SAMPLE)
    counts = backend.to_pyarrow(table.agg(**{f"n{i}": cells.text(table[name]).count() for i, name in enumerate(names)})).to_pylist()[0]
    most = max(counts.values())
    return next((name for i, name in enumerate(names) if most and counts[f"n{i}"] >= NEARLY_ALL * most), None)
