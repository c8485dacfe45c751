"""Cells that belong to a whole order, in sources that have a row for each of its lines.

Some exports fill them on an order's first row only, others repeat them on each row. Belongs here: filling them, counting
an order's amount once, leaving rows out that are no orders, and telling by the figures that an amount is the order's.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import ibis
import ibis.expr.types as ir

from segmentation_assets.sources.base import SourceError
from segmentation_assets.sources.cells import Cells
from segmentation_assets.sources.expressions import ExpressionError, Mapped, mapped
from segmentation_assets.sources.rows import PROBLEM, ROW, SourceRows
from segmentation_assets.vocabulary import counted

ONCE = ("amount", "discount", "coupon_discount")  # what `amount_is: order` counts once
FEWEST_ORDERS = 3  # of several rows, below which equal amounts tell nothing
NEARLY_ALL = 0.95  # of these orders, in which every row has the same amount
LEFT_OUT = "__left_out"
COMMONEST = 0.5  # of them may share one amount: where all things cost the same, equal amounts tell nothing


def prepared(rows: SourceRows, settings: Any, cells: Cells, where: str) -> tuple[SourceRows, tuple[str, ...]]:
    """The rows with their order's cells filled in and without those that are left out, and the source columns that told.

    Raises:
        SourceError: `fill_from_order` names a column that is not there, or `leave_out` is no condition over the columns.
    """
    fill, condition = getattr(settings, "fill_from_order", ()), getattr(settings, "leave_out", None)
    rows = _filled(rows, settings, cells, where) if fill else rows
    if condition is None:
        return rows, tuple(fill)
    table, columns = _marked(rows, condition, cells, where)
    return replace(rows, table=table.filter(~table[LEFT_OUT]).drop(LEFT_OUT)), tuple(dict.fromkeys((*fill, *columns)))


def left_out(rows: SourceRows, settings: Any, cells: Cells, where: str) -> ir.Table:
    """One row: `n`, how many rows `leave_out`, which must be set, leaves out."""
    rows = _filled(rows, settings, cells, where) if settings.fill_from_order else rows
    table, _ = _marked(rows, settings.leave_out, cells, where)
    return table.filter(table[LEFT_OUT]).agg(n=ibis._.count())


def notes(settings: Any, left: int = 0) -> dict[str, str]:
    """What is to be said of how orders are read; nothing where each row is a line of its own."""
    fill, condition = getattr(settings, "fill_from_order", ()), getattr(settings, "leave_out", None)
    return {
        **({"amounts": "of the order, counted once"} if getattr(settings, "amount_is", "line") == "order" else {}),
        **({"from the order's first row": ", ".join(fill)} if fill else {}),
        **({"left out": f"{counted(left, 'row')}, because {condition}"} if condition is not None else {}),
    }


def _marked(rows: SourceRows, condition: str, cells: Cells, where: str) -> tuple[ir.Table, tuple[str, ...]]:
    """The rows with LEFT_OUT, whether the condition holds, and the columns that told."""
    unwanted = _expression(condition, rows, cells, f"{where}: transactions.leave_out")
    flag = unwanted.value if unwanted.value.type().is_boolean() else cells.boolean(unwanted.value)
    marked = _numbered(rows.table).mutate(**{LEFT_OUT: flag.fill_null(False) & rows.table[PROBLEM].isnull()})
    return marked, unwanted.columns


def _filled(rows: SourceRows, settings: Any, cells: Cells, where: str) -> SourceRows:
    """Empty cells of these columns, from the first row of the same order that has one."""
    absent = [name for name in settings.fill_from_order if name not in rows.columns]
    if absent:
        raise SourceError(
            f"{where}: transactions.fill_from_order: {', '.join(absent)} is not a column; there are {', '.join(rows.columns[:30])}. "
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
    """With every row's number written down: once rows are grouped or left out, their place no longer tells it."""
    return table.mutate(**{ROW: ibis.coalesce(table[ROW], ibis.row_number() + 1)})


def _expression(expression: Any, rows: SourceRows, cells: Cells, where: str) -> Mapped:
    try:
        return mapped(expression, rows.table, cells, rows.columns)
    except ExpressionError as error:
        raise SourceError(f"{where}: {error}") from error


def counted_once(rows: ir.Table) -> ir.Table:
    """Canonical order lines whose amounts are their order's: each stays on the order's first row that has one, and is 0.00 on the others.

    An order is identified by its id and its customer. A negative amount, such as a refund under the same id, is counted once by
    itself. Rows without an order id stay as they are.
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
    """One row of counts that tell whether the amounts of order lines are their orders', repeated on each line; read it by `are_repeated`.

    Args:
        rows: order lines with `order_id`, `customer_id`, `product_id` and `amount`.
    """
    return repeats_of(rows.filter(rows.order_id.notnull()).group_by(["order_id", "customer_id"]).agg(**bought(rows)))


def bought(rows: ir.Table) -> dict[str, ir.Value]:
    """What `repeats_of` needs to know of an order: of its lines with an amount above zero, their number, amounts and products."""
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
    """The same counts, of one row for each order with what `bought` has."""
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
    """Whether the counts of `repeats` say that the amounts are the orders'."""
    orders, same = int(counts["orders"]), int(counts["same"])
    return orders >= FEWEST_ORDERS and same >= NEARLY_ALL * orders and counts["commonest"] <= COMMONEST * orders


def told(counts: Mapping[str, Any]) -> list[str]:
    """What to say of amounts that look like their orders', repeated on each line; nothing where they do not."""
    if not are_repeated(counts):
        return []
    return [
        f"warning: in {counts['same']:,} of {counts['orders']:,} orders of several lines, each line has the same amount. If it is the "
        f"order's, repeated on each line, {counts['surplus']:,.2f} would be counted too much: set amount_is: order. If the lines "
        "did cost the same, leave it."
    ]
