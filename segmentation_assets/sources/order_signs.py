"""Guesses from the rows of an order file: which cells belong to whole orders, and which rows are not orders or not products.

`first_settings` writes every guess down for the user to review.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ibis
import ibis.expr.types as ir

from segmentation_assets.engines.base import WRITING
from segmentation_assets.sources import exports, order_cells, order_levels
from segmentation_assets.sources.cells import Cells
from segmentation_assets.sources.exports import Export, columns_of
from segmentation_assets.sources.rows import SourceRows
from segmentation_assets.sources.statements import stored

STATUS = re.compile(r"(order|financial|payment|transaction|bestell|auftrags)?(status|state)", re.IGNORECASE)
MOST_STATUSES = 40  # a column with more distinct texts is not a status
NEARLY_ALL = 0.95
FEW = 0.05  # of the rows: if more have a product code without a digit, such codes are normal for products
SHORT = 4  # letters: a code without digits of at most this length is not a product
NO_PRODUCT = re.compile(
    r"post|ship|freight|deliver|carriage|porto|versand|livraison|envio|spediz|verzend|bank|charge|\bfee|fee$|gebuhr|commission|adjust|manual|"
    r"sample|discount|rabatt|voucher|gutschein|debt|\btest|\btip|rounding",
    re.IGNORECASE,
)  # fmt: skip


@dataclass(frozen=True)
class OrderSigns:
    """The guesses from the rows of an order file.

    Attributes:
        rows: number of rows.
        without_customer: number of them without a customer id.
        amount_is: `line` or `order`.
        fill: source columns that matter and that only an order's first row has.
        leave_out: condition for rows that are not orders.
        cancellations: a pattern of the ids of orders that are returns.
        no_products: product codes that do not seem to be products.
        perhaps: codes without a digit among codes with digits, which may be products.
        set_aside: largest share of a month's rows without a customer or a product.
    """

    rows: int = 0
    without_customer: int = 0
    amount_is: str = "line"
    fill: tuple[str, ...] = ()
    leave_out: str | None = None
    cancellations: str | None = None
    no_products: tuple[str, ...] = ()
    perhaps: tuple[str, ...] = ()
    set_aside: float = 0.0


def order_signs(
    backend: Any,
    rows: SourceRows,
    cells: Cells,
    found: Mapping[str, str],
    types: Mapping[str, str],
    export: Export | None,
    ids: Path | None,
) -> OrderSigns:
    """Guess from the rows of a file.

    Args:
        found: canonical column -> source column or expression.
        types: source column -> its type.
        export: the known export, if the file is one.
        ids: file to write, with the number of rows of each order id in each month, to compare files.
    """
    leave_out = export.leave_out(rows.columns) if export else _no_orders(backend, rows, cells, types)
    fill, amount_is = _levels(backend, rows, cells, found, leave_out, export)
    table = SimpleNamespace(columns=found, fill_from_order=fill, leave_out=leave_out, amount_is=amount_is)
    orders, _ = order_cells.prepared(rows, table, cells, "")
    lines = order_levels.lines(orders, cells, found)
    lines = stored(backend, lines.mutate(month=lines.ordered_at.truncate("M")))
    if ids is not None and "order_id" in found:
        known = lines.filter(lines.order_id.notnull())
        backend.to_parquet(known.group_by(["order_id", "month"]).agg(n=known.count()), ids, **WRITING)
    no_products, perhaps = _no_products(backend, lines)
    without = lines.customer_id.isnull()
    excluded = (lines.product_id.isin(no_products) if no_products else ibis.literal(False)).fill_null(False)
    bad = (without & ibis.literal("customer_id" in found)) | excluded
    counts = {"n": lines.count(), "bad": bad.cast("int64").sum(), "without": without.cast("int64").sum()}
    months = lines.group_by("month").agg(**counts)
    facts = backend.to_pyarrow(
        months.agg(n=months.n.sum(), without=months.without.sum(), worst=(months.bad / months.n).max(where=months.month.notnull()))
    ).to_pylist()[0]
    return OrderSigns(
        int(facts["n"] or 0), int(facts["without"] or 0), amount_is, fill, leave_out, _cancellations(backend, lines), no_products, perhaps,
        float(facts["worst"] or 0.0),
    )  # fmt: skip


def all_together(signs: Sequence[OrderSigns]) -> OrderSigns:
    """The guesses for all files of a folder together."""

    def every(name: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(code for one in signs for code in getattr(one, name)))

    return OrderSigns(
        sum(one.rows for one in signs),
        sum(one.without_customer for one in signs),
        "order" if any(one.amount_is == "order" for one in signs) else "line",
        every("fill"),
        next((one.leave_out for one in signs if one.leave_out), None),
        next((one.cancellations for one in signs if one.cancellations), None),
        every("no_products"),
        tuple(code for code in every("perhaps") if code not in every("no_products")),
        max(one.set_aside for one in signs),
    )


def _no_orders(backend: Any, rows: SourceRows, cells: Cells, types: Mapping[str, str]) -> str | None:
    """The condition for orders that were cancelled, failed or refunded, from a column named like a status with such words."""
    for column in (name for name, kind in types.items() if kind == "text" and STATUS.fullmatch(re.sub(r"[^A-Za-z]", "", name))):
        text = cells.text(rows.table[column]).strip().lower()
        words = backend.to_pyarrow(text.name("word").as_table().distinct().limit(MOST_STATUSES + 1)).column("word").to_pylist()
        seen = [word for word in words if word in exports.NO_ORDERS]
        if seen and len(words) <= MOST_STATUSES:
            return exports.is_no_order(column, list(dict.fromkeys((*exports.USUAL, *sorted(seen)))))
    return None


def _levels(
    backend: Any, rows: SourceRows, cells: Cells, found: Mapping[str, str], leave_out: str | None, export: Export | None
) -> tuple[tuple[str, ...], str]:
    """The columns that only an order's first row has, and whether the amount is the `line`'s or the `order`'s."""
    if "order_id" not in found:
        return (), "line"
    amounts = columns_of(found["amount"], rows.columns) if "amount" in found else []
    parts = [found[name] for name in ("customer_id", "ordered_at", "category") if name in found] + [leave_out or ""]
    others = [column for part in parts for column in columns_of(part, rows.columns) if column in rows.columns]
    wanted = [name for name in dict.fromkeys((*others, *amounts)) if name != found["order_id"]]
    seen = order_levels.filled_once(backend, rows, cells, found["order_id"], wanted)
    once = tuple(name for name in wanted if name in seen or (export and name in export.first_only))
    if not amounts or " * " in found["amount"]:
        return once, "line"
    of_order = (export is not None and export.amount_is == "order") or amounts[0] in once
    if of_order or order_levels.is_repeated(backend, rows, cells, found, amounts[0]):
        return tuple(name for name in once if name not in amounts), "order"
    return once, "line"


def _cancellations(backend: Any, lines: ir.Table) -> str | None:
    """The prefix of order ids that marks cancellations: nearly all rows with it have a negative amount or quantity."""
    given = lines.filter(lines.order_id.notnull()).mutate(letters=ibis._.order_id.re_extract(r"^([A-Za-z]{1,3})[0-9]+$", 1))
    back = ((given.quantity < 0) | (given.amount < 0)).fill_null(False).cast("int64")
    kinds = given.group_by("letters").agg(n=given.count(), back=back.sum())
    found = {row["letters"]: row for row in backend.to_pyarrow(kinds.order_by(ibis.desc("n")).limit(50)).to_pylist()}
    plain = found.pop("", None)
    if plain is None or plain["back"] > (1 - NEARLY_ALL) * plain["n"]:
        return None
    returned = [letters for letters, row in found.items() if row["back"] >= NEARLY_ALL * row["n"] and row["n"] < plain["n"]]
    return f"^{returned[0]}" if returned else None


def _no_products(backend: Any, lines: ir.Table) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Codes without a digit, if nearly all codes have one: those that are probably not products, and the others."""
    some = lines.filter(lines.product_id.notnull())
    codes = some.filter(~some.product_id.re_search("[0-9]")).group_by("product_id").agg(n=ibis._.count())
    total = int(backend.to_pyarrow(some.count()).as_py())
    rows = backend.to_pyarrow(codes.order_by(ibis.desc("n"), "product_id").limit(100)).to_pylist()
    if not rows or sum(row["n"] for row in rows) > FEW * total:
        return (), ()
    named = [row["product_id"] for row in rows]
    none = tuple(code for code in named if len(code) <= SHORT or NO_PRODUCT.search(code))
    return none, tuple(code for code in named if code not in none)
