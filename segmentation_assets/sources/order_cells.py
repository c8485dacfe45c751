"""Cells that belong to a whole order, in sources that have a row for each of its lines.

Some exports fill them on an order's first row only, others repeat them on each row. Belongs here: filling them, counting
an order's amount once, leaving out rows that are not orders, and detecting from the data that an amount is the order's.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import ibis
import ibis.expr.types as ir

from segmentation_assets.expressions import ExpressionError, Mapped, mapped
from segmentation_assets.sources.base import SourceError
from segmentation_assets.sources.cells import Cells
from segmentation_assets.sources.rows import PROBLEM, ROW, SourceRows
from segmentation_assets.vocabulary import counted

ONCE = ("amount", "discount", "coupon_discount")  # what `amount_is: order` counts once
FEWEST_ORDERS = 3  # of several rows; with fewer, equal amounts mean nothing
NEARLY_ALL = 0.95  # of these orders, in which every row has the same amount
LEFT_OUT = "__left_out"
COMMONEST = 0.5  # of them may share one amount: if everything costs the same, equal amounts mean nothing


def prepared(rows: SourceRows, settings: Any, cells: Cells, where: str) -> tuple[SourceRows, tuple[str, ...]]:
    """The rows with their order's cells filled in, without those to leave out; and the source columns used for that.

    Raises:
        SourceError: `fill_from_order` names a missing column, or `leave_out` is not a condition over the columns.
    """
    fill, condition = getattr(settings, "fill_from_order", ()), getattr(settings, "leave_out", None)
    rows = _filled(rows, settings, cells, where) if fill else rows
    if condition is None:
        return rows, tuple(fill)
    table, columns = _marked(rows, condition, cells, where)
    return replace(rows, table=table.filter(~table[LEFT_OUT]).drop(LEFT_OUT)), tuple(dict.fromkeys((*fill, *columns)))


def left_out(rows: SourceRows, settings: Any, cells: Cells, where: str) -> ir.Table:
    """One row: `n`, the number of rows that `leave_out`, which must be set, leaves out."""
    rows = _filled(rows, settings, cells, where) if settings.fill_from_order else rows
    table, _ = _marked(rows, settings.leave_out, cells, where)
    return table.filter(table[LEFT_OUT]).agg(n=ibis._.count())


def notes(settings: Any, left: int = 0) -> dict[str, str]:
    """Notes on how orders are read; empty if each row is a line of its own."""
    fill, condition = getattr(settings, "fill_from_order", ()), getattr(settings, "leave_out", None)
    return {
        **({"amounts": "of the order, counted once"} if getattr(settings, "amount_is", "line") == "order" else {}),
        **({"from the order's first row": ", ".join(fill)} if fill else {}),
        **({"left out": f"{counted(left, 'row')}, because {condition}"} if condition is not None else {}),
    }


def _marked(rows: SourceRows, condition: str, cells: Cells, where: str) -> tuple[ir.Table, tuple[str, ...]]:
    """The rows with LEFT_OUT, whether the condition holds, and the columns used for that."""
    unwanted = _expression(condition, rows, cells, f"{where}: transactions.leave_out")
    flag = unwanted.value if unwanted.value.type().is_boolean() else cells.boolean(unwanted.value)
    marked = _numbered(rows.table).mutate(**{LEFT_OUT: flag.fill_null(False) & rows.table[PROBLEM].isnull()})
    return marked, unwanted.columns


def _filled(rows: SourceRows, settings: Any, cells: Cells, where: str) -> SourceRows:
    """The rows with empty cells of the `fill_from_order` columns filled from the first row of the same order that has a value."""
    absent = [name for name in settings.fill_from_order if name not in rows.columns]
    if absent:
        raise SourceError(
            f"{where}: transactions.fill_from_order: {', '.join(absent)} is not a column; the columns are {', '.join(rows.columns[:30])}. "
            "Correct it in the settings."
        )
    order = _expression(settings.columns["order_id"], rows, cells, f"{where}: transactions.columns.order_id")
    table = _numbered(rows.table).mutate(__order=cells.text(order.value).strip())
    some = {f"__first{i}": cells.text(table[name]).notnull() for i, name in enumerate(settings.fill_from_order)}
    columns = dict(zip(some, settings.fill_from_order, strict=True))
    firsts = (
        table.filter(table["__order"].notnull())
        .group_by("__order")
        .agg(**{first: table[columns[first]].argmin(table[ROW], where=flag) for first, flag in some.items()})
    )
    both = table.left_join(firsts, "__order")
    filled = {name: ibis.ifelse(cells.text(both[name]).notnull(), both[name], both[first]) for first, name in columns.items()}
    return replace(rows, table=both.mutate(**filled).select(*table.drop("__order").columns))


def _numbered(table: ir.Table) -> ir.Table:
    """The table with explicit row numbers, because grouping and leaving out rows changes their places."""
    return table.mutate(**{ROW: ibis.coalesce(table[ROW], ibis.row_number() + 1)})


def _expression(expression: Any, rows: SourceRows, cells: Cells, where: str) -> Mapped:
    try:
        return mapped(expression, rows.table, cells, rows.columns)
    except ExpressionError as error:
        raise SourceError(f"{where}: {error}") from error


def counted_once(rows: ir.Table) -> ir.Table:
    """Canonical order lines with each order's amount only on the first row that has one, and 0.00 on the others.

    An order is identified by its id and its customer. A negative amount, such as a refund under the same id, is counted once
    separately. Rows without an order id stay unchanged.
    """
    known = rows.order_id.notnull() & (rows.order_id.strip() != "")
    once = {}
    for name in ONCE:
        value = rows[name]
        earlier = [value.isnull(), rows.ordered_at.isnull(), rows.ordered_at, rows.source_file, rows.row_number]
        first = ibis.row_number().over(
            ibis.window(group_by=[rows.order_id, rows.customer_id, (value < 0).fill_null(False)], order_by=earlier)
        )
        some = value.count().over(ibis.window(group_by=[rows.order_id, rows.customer_id])) > 0
        once[name] = ibis.ifelse(known & (first > 0) & some, ibis.literal(0.0), value)
    return rows.mutate(**once)


def repeats(rows: ir.Table) -> ir.Table:
    """One row of counts for `are_repeated`, which judges whether order lines repeat the amount of their whole order.

    Args:
        rows: order lines with `order_id`, `customer_id`, `product_id` and `amount`.
    """
    return repeats_of(rows.filter(rows.order_id.notnull()).group_by(["order_id", "customer_id"]).agg(**bought(rows)))


def bought(rows: ir.Table) -> dict[str, ir.Value]:
    """Aggregates of an order for `repeats_of`: number, amounts and products of its lines with an amount above zero."""
    paid = (rows.amount > 0).fill_null(False)
    return {
        "lines": paid.cast("int64").sum(),
        "least": rows.amount.min(where=paid),
        "most": rows.amount.max(where=paid),
        "first_product": rows.product_id.min(where=paid),
        "last_product": rows.product_id.max(where=paid),
        "without": (paid & rows.product_id.isnull()).cast("int64").sum(),
    }


def repeats_of(orders: ir.Table) -> ir.Table:
    """The same counts, from one row per order with the aggregates of `bought`."""
    several_products = (orders.first_product < orders.last_product).fill_null(False)
    several = orders.filter((orders.lines > 1) & (several_products | (orders.without == orders.lines)))
    amounts = several.group_by(amount=several.most).agg(
        orders=ibis._.count(), same=(ibis._.least == ibis._.most).cast("int64").sum(), surplus=((ibis._.lines - 1) * ibis._.least).sum()
    )
    return amounts.agg(
        orders=amounts.orders.sum().fill_null(0),
        same=amounts.same.sum().fill_null(0),
        commonest=amounts.same.max().fill_null(0),
        surplus=amounts.surplus.sum().fill_null(0.0),
    )


def are_repeated(counts: Mapping[str, Any]) -> bool:
    """Whether, by the counts of `repeats`, amounts are those of whole orders."""
    orders, same = int(counts["orders"]), int(counts["same"])
    return orders >= FEWEST_ORDERS and same >= NEARLY_ALL * orders and counts["commonest"] <= COMMONEST * orders


def told(counts: Mapping[str, Any]) -> list[str]:
    """A warning if lines seem to repeat the amount of their whole order; nothing otherwise."""
    if not are_repeated(counts):
        return []
    return [
        f"warning: in {counts['same']:,} of {counts['orders']:,} orders of several lines, each line has the same amount. If it is the "
        f"order's, repeated on each line, the total is {counts['surplus']:,.2f} too high: set amount_is: order. If the lines "
        "really cost the same, ignore this."
    ]
