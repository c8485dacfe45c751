"""Ids that may not be real customers, ids that are nearly equal, and orders that come from two files.

Belongs here: counts by customer and by order. `advice` says which mapping or setting would help.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir

from segmentation_assets.cli.check import counts
from segmentation_assets.cli.check.counts import Days
from segmentation_assets.core.customers import cleaning
from segmentation_assets.core.customers.cleaning import ORIGIN, Judged
from segmentation_assets.engines.base import Engine
from segmentation_assets.settings.cleaning import Cleaning
from segmentation_assets.sources import order_cells

LARGE_SHARE = 0.05  # of all orders, above which an id may not be a real customer
TIMES_OTHERS = 10  # orders of such an id relative to the average of the others: in a small shop, real customers can have 5%
FOR_NOBODY = frozenset(
    ("0", "-1", "99999", "999999", "guest", "guests", "anonymous", "anonym", "unknown", "walk-in", "walkin", "cash", "default", "test")
)  # reported however many orders the others have
SEVERAL = 3


@dataclass(frozen=True)
class LargeId:
    """An id with a large share of all orders, its spellings, and its rows by day."""

    customer_id: str
    orders: int
    share: float
    written: tuple[str, ...] = ()
    rows: Days = field(default_factory=Days)


@dataclass(frozen=True)
class SharedOrders:
    """Orders with lines in two files."""

    one: str
    other: str
    orders: int
    example: str


@dataclass(frozen=True)
class EqualLines:
    """The number of distinct lines that are in both of two files."""

    one: str
    other: str
    lines: int


@dataclass(frozen=True)
class Orders:
    """The orders of clean lines.

    Attributes:
        lines: the lines, with hashes of their `customer`, order `number` and `file`; `file` is null if the order id was made from
            customer and day, because such an order may well be in two files.
        table: one row for each customer and order, by these hashes, with its `first` and `last` file, what was bought, and whether it was
            `placed` or has returns only. Whole numbers take a tenth of the memory and time of texts.
        total, customers: number of orders and of customers; returns: number of lines that are returns.
    """

    lines: ir.Table
    table: ir.Table
    total: int
    customers: int
    returns: int


def collect_orders(engine: Engine, judged: Judged, file: Path) -> Orders:
    """Write every order with the files that its lines come from, so that later checks need not read all lines again."""
    rows = judged.rows
    made = judged.touched[cleaning.MADE_ORDER_ID]
    none = ibis.null("int64")
    lines = rows.filter(rows.reason.isnull()).mutate(
        customer=rows.customer_id.hash(),
        number=rows.order_id.hash(),
        file=ibis.ifelse(made, none, rows.source_file.hash()),
        product=ibis.ifelse(rows.product_id.isnull(), none, rows.product_id.hash()),
    )
    hashed = lines.select("customer", "number", "file", "amount", "is_return", product_id=lines.product)
    files = {"first": hashed.file.min(), "last": hashed.file.max(), "placed": (~hashed.is_return).any(), "returns": hashed.is_return.sum()}
    engine.write(hashed.group_by("customer", "number").agg(**files, **order_cells.bought(hashed)), file)
    table = engine.scan([file])
    facts = engine.rows(table.agg(total=table.count(), customers=table.customer.nunique(), returns=table.returns.sum().fill_null(0)))[0]
    return Orders(lines, table, int(facts["total"]), int(facts["customers"]), int(facts["returns"]))


def collect_ids(engine: Engine, judged: Judged, file: Path) -> ir.Table:
    """Write the distinct customer ids of the rows to `file`, and scan it."""
    rows = judged.rows
    engine.write(rows.filter(rows.customer_id.notnull() & (rows.customer_id != "")).select("customer_id").distinct(), file)
    return engine.scan([file])


def large_ids(engine: Engine, orders: Orders, raw: ir.Table, rules: Cleaning) -> list[LargeId]:
    """The ids with far more orders than others, most orders first."""
    if orders.customers < 2:
        return []
    by_customer = orders.table.group_by("customer").agg(orders=ibis._.count())
    large = {row["customer"]: row["orders"] for row in engine.rows(by_customer.filter(by_customer.orders > LARGE_SHARE * orders.total))}
    found = [_as_written(lines, large[customer], orders) for customer, lines in _lines_of(engine, list(large), raw, rules).items()]
    told = [one for one in found if one.customer_id.lower() in FOR_NOBODY or one.orders > TIMES_OTHERS * _others(one, orders)]
    return sorted(told, key=lambda one: (-one.orders, one.customer_id))[:SEVERAL]


def _others(one: LargeId, orders: Orders) -> float:
    """Mean orders of all other customers."""
    return (orders.total - one.orders) / (orders.customers - 1)


def _lines_of(engine: Engine, customers: list[int], raw: ir.Table, rules: Cleaning) -> dict[int, list[dict[str, Any]]]:
    """By customer, the number of raw lines for each day and spelling of the id."""
    if not customers:
        return {}
    known = raw.mutate(called=cleaning.identifier(raw.customer_id, rules)[0]).view()
    lines = known.filter(known.called.hash().isin(customers))
    groups = engine.rows(
        lines.group_by("called", "customer_id", customer=lines.called.hash(), day=lines.ordered_at.date()).agg(n=lines.count())
    )
    found: dict[int, list[dict[str, Any]]] = {}
    for group in groups:
        found.setdefault(group["customer"], []).append(group)
    return found


def _as_written(lines: list[dict[str, Any]], number: int, orders: Orders) -> LargeId:
    days = Days()
    for group in lines:
        days[group["day"]] += group["n"]
    written = tuple(sorted({group["customer_id"] for group in lines}))
    return LargeId(lines[0]["called"], number, number / orders.total, written, days)


def equal_but_for_case(engine: Engine, tables: Sequence[ir.Table]) -> tuple[int, list[tuple[str, str]]]:
    """How many ids, over all tables, differ from another only in case; and two examples."""
    pooled = ibis.union(*tables, distinct=True) if len(tables) > 1 else tables[0]
    folded = pooled.group_by(folded=pooled.customer_id.lower()).agg(
        n=ibis._.count(), one=ibis._.customer_id.min(), other=ibis._.customer_id.max()
    )
    alike = folded.filter(folded.n > 1)
    total = engine.rows(alike.agg(n=alike.n.sum().fill_null(0)))[0]["n"]
    examples = engine.rows(alike.order_by("folded").limit(2)) if total else []
    return int(total), [(row["one"], row["other"]) for row in examples]


@dataclass(frozen=True)
class Recorded:
    """Of the ids of transactions or events, how many have a record among customers, and one that has none beside an id of a record."""

    ids: int
    recorded: int
    without: str
    other: str


def recorded(engine: Engine, ids: ir.Table, records: ir.Table) -> Recorded:
    """Compare the ids of an entity with those of customers."""
    without = ids.anti_join(records, "customer_id")
    (facts,) = engine.rows(without.agg(n=ibis._.count(), one=ibis._.customer_id.min()))
    (others,) = engine.rows(records.anti_join(ids, "customer_id").agg(one=ibis._.customer_id.min()))
    total = counts.size(engine, ids)
    return Recorded(total, total - int(facts["n"]), facts["one"] or "", others["one"] or "")


def shared_orders(engine: Engine, orders: Orders) -> list[SharedOrders]:
    """The orders that come from two files, by pair of files, most orders first."""
    both = orders.table.filter(orders.table.first < orders.table.last)
    pairs = {(row["first"], row["last"]): row["n"] for row in engine.rows(both.group_by("first", "last").agg(n=both.count()))}
    if not pairs:
        return []
    lines = orders.lines.select("customer", "number", "order_id", "source_file", "file").inner_join(both, ["customer", "number"])
    examples = lines.group_by("first", "last").agg(
        example=lines.order_id.min(),
        one=lines.source_file.min(where=lines.file == lines.first),
        other=lines.source_file.min(where=lines.file == lines.last),
    )
    found = []
    for row in engine.rows(examples):
        one, other = sorted((row["one"], row["other"]))
        found.append(SharedOrders(one, other, pairs[row["first"], row["last"]], row["example"]))
    return sorted(found, key=lambda pair: (-pair.orders, pair.one, pair.other))


def returns_without_order(engine: Engine, orders: Orders) -> tuple[int, str]:
    """How many lines return an order that the customer never placed, and the id of one."""
    if not orders.returns:
        return 0, ""  # saves judging all lines once more
    lines = orders.lines.filter(orders.lines.is_return & orders.lines.returned_order_id.notnull())
    named = lines.group_by("customer", number=lines.returned_order_id.hash()).agg(n=lines.count(), example=lines.returned_order_id.min())
    unknown = named.anti_join(orders.table.filter(orders.table.placed), ["customer", "number"])
    found = engine.rows(unknown.agg(n=unknown.n.sum().fill_null(0), example=unknown.example.min()))[0]
    return int(found["n"]), found["example"] or ""


def repeated_amounts(engine: Engine, orders: Orders) -> dict[str, Any]:
    """Counts for `order_cells.are_repeated`, which judges whether amounts are those of whole orders; only orders from one file count."""
    return engine.rows(order_cells.repeats_of(orders.table.filter(orders.table.first == orders.table.last)))[0]


def equal_lines(engine: Engine, judged: Judged) -> list[EqualLines]:
    """Clean lines that are equal in every column and come from two files, for sources without order ids."""
    rows = judged.rows
    content = [name for name in judged.columns if name not in ORIGIN]
    fit = rows.filter(rows.reason.isnull()).select("source_file", *content)
    same = fit.group_by(content).agg(one=fit.source_file.min(), other=fit.source_file.max())
    both = same.filter(same.one < same.other)
    pairs = engine.rows(both.group_by("one", "other").agg(n=both.count()).order_by(ibis.desc("n"), "one", "other"))
    return [EqualLines(row["one"], row["other"], int(row["n"])) for row in pairs]
