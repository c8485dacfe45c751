"""Mapping: the cells of a source as canonical columns, each read as the type of that column.

A row with an unreadable mapped cell, or that is unreadable as a whole, carries its original record. What happens to it
is decided in `core.customers.cleaning`.
"""

import datetime as dt
import functools
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from segmentation_assets.core.customers.cleaning import MADE
from segmentation_assets.expressions import ExpressionError, Mapped, mapped
from segmentation_assets.settings.source import FILE_NAME, OPTIONAL, REQUIRED, ROW_NUMBER, Expression, SourceTable
from segmentation_assets.sources.base import SourceError, midnight
from segmentation_assets.sources.cells import Cells
from segmentation_assets.sources.intake_record import FLAGS, PLACE
from segmentation_assets.sources.pseudonyms import WITHHELD, Pseudonyms
from segmentation_assets.sources.records import is_finite, plain, to_json
from segmentation_assets.sources.rows import LINE, PROBLEM, ROW, UNMATCHED, SourceRows
from segmentation_assets.tables.cleaned import CUSTOMERS
from segmentation_assets.tables.features import CUSTOMER_FEATURES
from segmentation_assets.tables.raw import RAW_CUSTOMERS

KINDS = {
    "customer_id": "text", "order_id": "text", "returned_order_id": "text",
    "product_id": "text", "category": "text", "event_type": "text", "subject": "text",
    "amount": "number", "quantity": "number", "discount": "number", "coupon_discount": "number",
    "ordered_at": "time", "event_at": "time", "known_at": "time", "consent": "boolean",
}  # fmt: skip
TYPES = {"text": "string", "number": "float64", "time": "timestamp(6)", "boolean": "boolean"}
TIMES = {"customers": "known_at", "transactions": "ordered_at", "events": "event_at"}
RESERVED = {c.name for contract in (CUSTOMERS, CUSTOMER_FEATURES, RAW_CUSTOMERS) for c in contract.columns} | {
    "reason",
    "snapshot_date",
    "known_at",
    "consent",
    *MADE,
    PLACE,
}
LARGEST_EXACT = 2**53  # from here on, neighbouring whole numbers are the same float
UNTIL = "__until"
EARLIEST_WRITTEN = dt.date(2000, 1, 1)  # archives made without times unpack to 1970 or 1980, which means nothing


@dataclass(frozen=True)
class Bounds:
    """Dates outside count as errors: valid are those from `first` up to but not including `end`, which is `given` if from the settings."""

    first: dt.date
    end: dt.date
    given: bool = True

    def of_file(self, entity: str, file: Path) -> "Bounds":
        """The bounds for a file: orders and events end when it was written, give or take the zones; customers may be known from later."""
        if self.given or entity == "customers":
            return self
        written = dt.datetime.fromtimestamp(file.stat().st_mtime, dt.UTC).date()
        if written < EARLIEST_WRITTEN:
            return self
        return Bounds(self.first, min(self.end, written + dt.timedelta(days=2)))

    def usable(self, time: ir.TimestampValue, end: ir.TimestampValue) -> ir.TimestampValue:
        """The time, or null if it is out of bounds."""
        return ibis.ifelse((time >= midnight(self.first)) & (time < end), time, ibis.null("timestamp(6)"))


@dataclass(frozen=True)
class MappedColumns:
    """The mapped columns of a table of rows, and the source columns that they use."""

    values: Mapping[str, Mapped]
    attributes: Mapping[str, Mapped]

    @property
    def used(self) -> tuple[str, ...]:
        """Source columns used by canonical columns."""
        return tuple(dict.fromkeys(column for value in self.values.values() for column in value.columns))

    @property
    def read(self) -> tuple[str, ...]:
        """Source columns used by canonical columns or attributes."""
        return tuple(dict.fromkeys((*self.used, *(column for value in self.attributes.values() for column in value.columns))))

    @property
    def numeric(self) -> tuple[str, ...]:
        """Source columns that are read as numbers."""
        return tuple(dict.fromkeys(column for name, value in self.values.items() if KINDS[name] == "number" for column in value.columns))

    @property
    def amounts(self) -> tuple[str, ...]:
        """Source columns used by the amount of an order line; empty for customers and events."""
        return self.values["amount"].columns if "amount" in self.values else ()

    @property
    def strict(self) -> tuple[str, ...]:
        """Source columns that are read as numbers or times."""
        return tuple(
            dict.fromkeys(column for name, value in self.values.items() if KINDS[name] in {"number", "time"} for column in value.columns)
        )


def resolve(entity: str, settings: SourceTable, rows: SourceRows, cells: Cells, where: str) -> MappedColumns:
    """Resolve the mapping of each canonical column.

    Args:
        where: the file or table, for messages.

    Raises:
        SourceError: a mapping names a missing column, or is not a scalar expression.
    """

    def one(key: str, expression: Expression) -> Mapped:
        if (entity, key, expression) == ("customers", "columns.customer_id", ROW_NUMBER) and expression not in rows.columns:
            return Mapped(ibis.null("string"), ())  # rows are numbered once all are read
        if (entity, key, expression) == ("customers", "columns.known_at", FILE_NAME) and expression not in rows.columns:
            return Mapped(ibis.null("timestamp(6)"), ())  # and dated, because files that are alike are read by the same statements
        try:
            return mapped(expression, rows.table, cells, rows.columns)
        except ExpressionError as error:
            raise SourceError(f"{where}: {entity}.{key}: {error}") from error

    values = {name: one(f"columns.{name}", expression) for name, expression in settings.columns.items()}
    wanted = getattr(settings, "attributes", "none")
    used = {column for value in values.values() for column in value.columns}
    if wanted == "none":
        named: dict[str, Expression] = {}
    elif wanted == "all":
        named = {attribute_name(name): name for name in rows.columns if name not in used}
    else:
        named = wanted if isinstance(wanted, dict) else {name: name for name in wanted}
        taken = sorted(name for name in named if name.lower() in RESERVED)
        if taken:
            raise SourceError(
                f"{where}: {entity}.attributes: {', '.join(taken)} is the name of one of our columns. Rename it: attributes: "
                f"{{customer_{taken[0]}: {taken[0]}}}."
            )
    return MappedColumns(values, {name: one(f"attributes.{name}", expression) for name, expression in named.items()})


def attribute_name(column: str) -> str:
    """The name of the attribute that a column becomes where it has none of its own."""
    return f"customer_{column}" if column.lower() in RESERVED else column


def canonical(
    entity: str, found: MappedColumns, rows: SourceRows, cells: Cells, bounds: Bounds, carried: Sequence[str] = (),
    pseudonyms: Pseudonyms | None = None,
) -> ir.Table:  # fmt: skip
    """The rows with canonical columns. Customers also have their attributes (not yet typed), and the record of every row.

    It takes four steps, each a select of its own: within one, a value that is used in several places would be computed
    in each of them. If `rows` have a column UNTIL, it replaces the end of the bounds, so that files that differ only in the
    day they were written can be read by the same statements. Columns in `carried` are passed through unchanged.

    With `pseudonyms`, neither the ids nor the records contain an id: records have only mapped columns, and lines that cannot be split
    are withheld.

    Raises:
        SourceError: with `pseudonyms`, another column is mapped to the source's column of ids.
    """
    if pseudonyms:
        _require_ids_alone(entity, found)
    table, names = rows.table, (*REQUIRED[entity], *OPTIONAL[entity])
    own = {
        ROW: table[ROW],
        PROBLEM: table[PROBLEM],
        LINE: table[LINE],
        UNTIL: table[UNTIL] if UNTIL in table.columns else midnight(bounds.end),
        **{f"__source{i}": table[name] for i, name in enumerate(rows.columns)},
        **{name: table[name] for name in carried},
    }
    values = {f"__value_{name}": cells.prepared(KINDS[name], found.values[name].value) for name in names if name in found.values}
    attributes = {f"__attribute{i}": _staged(value.value, cells) for i, value in enumerate(found.attributes.values())}
    flags = {f"__{name}": flag for name, flag in _flags(table, found, cells).items()}
    first = table.select(**own, **values, **attributes, **flags)

    read = {
        name: cells.read(KINDS[name], first[f"__value_{name}"]) if name in found.values else ibis.null(TYPES[KINDS[name]]) for name in names
    }
    second = first.mutate(**{f"__read_{name}": value.cast(TYPES[KINDS[name]]) for name, value in read.items()})

    columns = {name: _sound(second[f"__read_{name}"], KINDS[name], second, bounds) for name in names}
    third = second.mutate(**{f"__column_{name}": value for name, value in columns.items()})
    if pseudonyms:
        third = third.mutate(__column_customer_id=pseudonyms.made_of(third["__column_customer_id"]))

    place = {name: f"__source{i}" for i, name in enumerate(rows.columns)}
    unread = {}
    for name in names:
        if name in found.values and found.values[name].columns and name != "returned_order_id":  # most lines are rightly without
            # Evaluated only if nothing was read, which is rare.
            something = functools.reduce(operator.or_, (cells.is_there(third[place[column]]) for column in found.values[name].columns))
            nothing = third[f"__column_{name}"].isnull() & third[PROBLEM].isnull()
            unread[name] = ibis.ifelse(nothing, something, False)
    fourth = third.mutate(**{f"__unread_{name}": flag for name, flag in unread.items()})
    third, unread = fourth, {name: fourth[f"__unread_{name}"] for name in unread}
    broken = functools.reduce(operator.or_, unread.values(), ibis.literal(False))
    absent = functools.reduce(operator.or_, (third[f"__column_{name}"].isnull() for name in REQUIRED[entity]))
    listed = functools.reduce(operator.add, (ibis.ifelse(flag, f",{name}", "") for name, flag in unread.items()), ibis.literal("")).substr(
        1
    )
    record = _record_without_ids(third, rows.columns, found) if pseudonyms else _record(third, rows.columns)
    # Which rows of a customer count is known only once all are read; with many rows each, keeping their records costs too much.
    repeats = getattr(cells.reading, "repeats", "first") if entity == "customers" else None
    whole = repeats == "first"
    absent = absent | third["__column_known_at"].isnull() if repeats == "newest" else absent  # which of two is newer is then unknown
    kept = record if whole else ibis.ifelse(broken | absent | third[PROBLEM].notnull(), record, ibis.null("string"))
    return third.select(
        row_number=third[ROW], **{name: third[f"__column_{name}"] for name in names},
        unread=ibis.ifelse(broken, listed, ibis.null("string")), problem=third[PROBLEM], record=kept,
        **{name: third[f"__{name}"] for name in FLAGS},
        **{name: third[name] for name in carried},
        **({name: third[f"__attribute{i}"] for i, name in enumerate(found.attributes)} if entity == "customers" else {}),
    )  # fmt: skip


def _flags(table: ir.Table, found: MappedColumns, cells: Cells) -> dict[str, ir.BooleanValue]:
    """The flags of a row: see FLAGS."""
    values = {name: mapped.value for name, mapped in found.values.items()}
    ids = [value for name, value in values.items() if name.endswith("_id")]
    flags = {
        "odd_number": [cells.is_odd(table[column]) for column in found.numeric if table[column].type().is_string()],
        "serial_date": [cells.is_serial(value) for name, value in values.items() if KINDS[name] == "time"],
        "unmatched": [table[UNMATCHED]] if UNMATCHED in table.columns else [],
        "rounded_id": [_is_rounded(value) for value in ids if value.type().is_floating() or value.type().is_string()],
    }
    return {name: functools.reduce(operator.or_, these, ibis.literal(False)) for name, these in flags.items()}


def _is_rounded(value: ir.Value) -> ir.BooleanValue:
    if value.type().is_string():
        return (value.contains("E+") | value.contains("e+")).fill_null(False) & value.re_search(r"^\s*\d(\.\d+)?[eE]\+\d+\s*$")
    return (value.abs() >= LARGEST_EXACT).fill_null(False)


def nothing(entity: str) -> pa.Table:
    """The result of `canonical` for a file without rows."""
    names = {name: ibis.dtype(TYPES[KINDS[name]]).to_pyarrow() for name in (*REQUIRED[entity], *OPTIONAL[entity])}
    texts = dict.fromkeys(("unread", "problem", "record"), pa.string())
    return pa.schema({"row_number": pa.int64(), **names, **texts, **dict.fromkeys(FLAGS, pa.bool_())}).empty_table()


def _sound(read: ir.Value, kind: str, rows: ir.Table, bounds: Bounds) -> ir.Value:
    """The value if it is valid: a finite number or a time within bounds, in a readable row; otherwise null."""
    usable = rows[PROBLEM].isnull()
    if kind == "time":
        return ibis.ifelse(usable, bounds.usable(read, rows[UNTIL]), ibis.null(read.type()))
    if kind == "number":
        usable = usable & is_finite(read)
    return ibis.ifelse(usable, read, ibis.null(read.type()))


def _record(third: ir.Table, columns: tuple[str, ...]) -> ir.StringValue:
    """The original record as JSON."""
    values = ibis.struct({name: plain(third[f"__source{i}"]) for i, name in enumerate(columns)})
    return ibis.ifelse(third[PROBLEM].notnull(), to_json(ibis.struct({"line": third[LINE]})), to_json(values))


def _record_without_ids(third: ir.Table, columns: tuple[str, ...], found: MappedColumns) -> ir.StringValue:
    """The original record as JSON, of mapped columns only, with the pseudonym in place of the columns of the id."""
    told = {name: plain(third[f"__source{i}"]) for i, name in enumerate(columns) if name in found.read and name not in _id_columns(found)}
    values = ibis.struct({"customer_id": third["__column_customer_id"], **told})
    return ibis.ifelse(third[PROBLEM].notnull(), to_json(ibis.struct({"line": ibis.literal(WITHHELD)})), to_json(values))


def _require_ids_alone(entity: str, found: MappedColumns) -> None:
    """Check that the columns with the ids are mapped to nothing else, where ids would stay as they are."""
    for name, value in {**found.values, **found.attributes}.items():
        if name != "customer_id" and (shared := sorted(_id_columns(found) & set(value.columns))):
            raise SourceError(
                f"{entity}: {name} is made of {', '.join(shared)}, which is mapped to customer_id, so it would show ids that "
                f"privacy.pseudonyms hides. Map {name} to another column, or leave it out."
            )


def _id_columns(found: MappedColumns) -> set[str]:
    return set(found.values["customer_id"].columns)


def _staged(value: ir.Value, cells: Cells) -> ir.Value:
    if value.type().is_numeric():
        return value.cast("float64")
    if value.type().is_boolean() or value.type().is_date():
        return value
    return cells.time(value).date() if value.type().is_timestamp() else cells.text(value)
