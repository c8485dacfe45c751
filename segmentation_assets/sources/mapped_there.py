"""Mapping by the engine that has the rows, so that only canonical columns of a window's rows leave it.

It maps columns that have types there. Text to be read as a number or a time is read by DuckDB alone (see `cells`), which knows every form
in which people write them: such rows leave the engine as they are, and are mapped here.
"""

from dataclasses import dataclass
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import ibis.expr.types as ir

from segmentation_assets.settings.source import SourceTable
from segmentation_assets.sources import order_cells
from segmentation_assets.sources.cells import ISO, Cells
from segmentation_assets.sources.mapping import KINDS, Bounds, MappedColumns, canonical, resolve
from segmentation_assets.sources.rows import LINE, PROBLEM, ROW, SourceRows

KNOWN = frozenset({"strlen", "isfinite", "to_json", "convert_timezone"})  # functions that the engine has, or has by another name
FORMS = {"time": ("timestamp", "date"), "number": ("numeric", "boolean")}  # types that are read alike everywhere
UTC = "UTC"
BUCKETS = 2  # hexadecimal digits of the digest by which rows are numbered, so that no machine has to sort all of them


def _three(one: Any, other: Any, third: Any) -> None:
    """Placeholder for functions of the engine that Ibis lacks."""


_convert_timezone = ibis.udf.scalar.builtin(_three, name="convert_timezone", signature=((dt.string, dt.string, dt.timestamp), dt.timestamp))


@dataclass(frozen=True)
class MappedThere:
    """Rows that the engine maps.

    Attributes:
        rows: the canonical rows; source: the rows of which they are made, and some of which are left out; cells: how these are read.
        found: the mapping; told: further source columns that it uses.
    """

    rows: ir.Table
    source: SourceRows
    cells: Cells
    found: MappedColumns
    told: tuple[str, ...]


class _Cells(Cells):
    """Cells whose times the engine converts; the zone of its session is UTC."""

    def time(self, value: ir.Value) -> ir.TimestampValue:
        """The cell as a time in `zone`."""
        if value.type().is_timestamp() and value.type().timezone:
            return self._converted(value.cast("timestamp"), UTC).cast("timestamp(6)")
        return super().time(value)

    def _converted(self, time: ir.TimestampValue, zone: str) -> ir.TimestampValue:
        if zone == self.zone:
            return time
        moment = _convert_timezone(zone, UTC, time)
        if zone != UTC:  # of an hour that clocks have twice, DuckDB takes the second, and engines the first
            second = moment + ibis.interval(hours=1)
            moment = ibis.ifelse(_convert_timezone(UTC, zone, second) == time, second, moment)
        return _convert_timezone(UTC, self.zone, moment)


def mapped_there(entity: str, settings: SourceTable, wanted: ir.Table, bounds: Bounds, zone: str, where: str) -> MappedThere | str:
    """The canonical rows of those that are wanted, or why only DuckDB can map them.

    Args:
        zone: the zone to which times are converted.

    Raises:
        SourceError: a mapping names a missing column, or is not a scalar expression.
    """
    for needed, why in (
        ("lookups", "its lookups are files of this machine"),
        ("fill_from_order", "fill_from_order needs an order of rows"),
    ):
        if getattr(settings, needed, ()):
            return why
    cells, kinds = _Cells(settings, (ISO,), zone), wanted.schema()
    columns = tuple(wanted.columns)
    for name in resolve(entity, settings, SourceRows(wanted, columns), cells, where).read:
        if kinds[name].is_nested() or kinds[name].is_binary():
            return f"{name} is {kinds[name]} there, of which text is made here"
    # Other bytes are not in records of rows, because they may be no text.
    source = SourceRows(_numbered(wanted, settings), tuple(name for name in columns if not kinds[name].is_binary()))
    orders, told = order_cells.prepared(source, settings, cells, where)
    found = resolve(entity, settings, orders, cells, where)
    for name, value in found.values.items():
        kind = value.value.type()
        if value.columns and KINDS[name] in FORMS and not any(getattr(kind, f"is_{form}")() for form in FORMS[KINDS[name]]):
            return f"{name} is {kind} there, not {FORMS[KINDS[name]][0]}"
    rows = canonical(entity, found, orders, cells, bounds)
    if not {type(function).__func_name__ for function in rows.op().find(ops.ScalarUDF)} <= KNOWN:
        return "an expression reads text as numbers or times"
    return MappedThere(rows, source, cells, found, told)


def _numbered(wanted: ir.Table, settings: Any) -> ir.Table:
    """The rows numbered from 1, because a table has no order: by a digest of the customer, then by all columns that can be compared."""
    customer = settings.columns["customer_id"]
    by = wanted[customer] if customer in wanted.columns else wanted[wanted.columns[0]]
    digest = by.cast("string").fill_null("").hexdigest("md5").substr(0, BUCKETS)
    rows = wanted.mutate(__bucket=digest)
    sizes = rows.group_by("__bucket").agg(__size=ibis._.count())
    upto = sizes["__size"].sum().over(ibis.window(order_by=sizes["__bucket"], preceding=None, following=0))
    before = sizes.select("__bucket", __before=upto - sizes["__size"])
    order = [rows[name] for name, kind in wanted.schema().items() if not kind.is_nested()]
    placed = rows.mutate(__place=ibis.row_number().over(ibis.window(group_by=rows["__bucket"], order_by=order)))
    joined = placed.join(before, "__bucket")
    missing = {name: ibis.null("string") for name in (PROBLEM, LINE)}
    return joined.select(*wanted.columns, **{ROW: joined["__place"] + joined["__before"] + 1}, **missing)
