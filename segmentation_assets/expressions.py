"""Expressions in the settings: a scalar SQL expression over a table's columns, parsed and rebuilt as an Ibis expression.

No text of the settings ever reaches a database: the parsed tree is walked, and only the constructs named here are
supported. Columns have their own types, which is text for text files; arithmetic reads text as numbers.
"""

import difflib
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import ibis
import ibis.expr.types as ir
import sqlglot
from sqlglot import expressions as sql
from sqlglot.errors import SqlglotError

logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it warns of statements that are no expression; the errors here say so
LONGEST = 2_000  # characters; an expression is a line, not a program
DEEPEST = 60
LARGEST_WHOLE = 9e18  # an int64 goes no further

ARITHMETIC: dict[type, Callable[[Any, Any], Any]] = {
    sql.Add: lambda a, b: a + b, sql.Sub: lambda a, b: a - b, sql.Mul: lambda a, b: a * b,
    sql.Div: lambda a, b: a / b.nullif(0), sql.Mod: lambda a, b: a % b.nullif(0),
}  # fmt: skip
COMPARISON: dict[type, Callable[[Any, Any], Any]] = {
    sql.EQ: lambda a, b: a == b, sql.NEQ: lambda a, b: a != b, sql.GT: lambda a, b: a > b,
    sql.GTE: lambda a, b: a >= b, sql.LT: lambda a, b: a < b, sql.LTE: lambda a, b: a <= b,
}  # fmt: skip
ALLOWED = (
    "arithmetic, comparisons, AND, OR, NOT, CASE, IN, BETWEEN, LIKE, IS NULL, ||, CAST, COALESCE, NULLIF, ABS, "
    "ROUND, FLOOR, CEIL, GREATEST, LEAST, UPPER, LOWER, TRIM, LENGTH, LEFT, RIGHT, SUBSTRING, REPLACE, SPLIT_PART, CONCAT"
)


class ExpressionError(ValueError):
    """An expression cannot be used; the message says what was found, why it is refused, and what is allowed."""


class Reader(Protocol):
    """How a value is read as another type; null if it cannot be."""

    @property
    def zone(self) -> str:
        """The zone to which times are converted."""
        ...

    @property
    def unzoned(self) -> str:
        """The zone of times without an offset."""
        ...

    def text(self, value: ir.Value) -> ir.StringValue:
        """The value as text."""
        ...

    def number(self, value: ir.Value) -> ir.FloatingValue:
        """The value as a number."""
        ...

    def boolean(self, value: ir.Value) -> ir.BooleanValue:
        """The value as true or false."""
        ...

    def time(self, value: ir.Value) -> ir.TimestampValue:
        """The value as a time in `zone`."""
        ...


@dataclass(frozen=True)
class Typed:
    """Reads values of our own tables, whose columns have types; text is read as the engine reads it."""

    zone: str = "UTC"
    unzoned: str = "UTC"

    def text(self, value: ir.Value) -> ir.StringValue:
        """The value as text."""
        return value.cast("string")

    def number(self, value: ir.Value) -> ir.FloatingValue:
        """The value as a number."""
        return value.try_cast("float64")

    def boolean(self, value: ir.Value) -> ir.BooleanValue:
        """The value as true or false; a number is true unless it is 0."""
        return value != 0 if value.type().is_numeric() else value.try_cast("boolean")

    def time(self, value: ir.Value) -> ir.TimestampValue:
        """The value as a time."""
        return value.try_cast("timestamp")


@dataclass(frozen=True)
class Mapped:
    """An expression over a table: its value, and the columns that it uses."""

    value: ir.Value
    columns: tuple[str, ...]


def mapped(expression: str | int | float | bool, table: ir.Table, cells: Reader, columns: Sequence[str] | None = None) -> Mapped:
    """The value of an expression: a column by its exact name, a constant, or a scalar SQL expression over the columns.

    Args:
        expression: as in the settings.
        table: the rows.
        cells: how its cells are read if an expression needs a number or a time.
        columns: the columns that may be used; None: all of the table's.

    Raises:
        ExpressionError: it is not a scalar expression over these columns.
    """
    names = list(table.columns) if columns is None else list(columns)
    if not isinstance(expression, str):
        return Mapped(ibis.literal(expression), ())
    if expression in names:
        return Mapped(table[expression], (expression,))
    if not expression.strip():
        raise ExpressionError("is empty; name a column or write an expression.")
    walker = _Walker(expression, table, cells, names)
    try:
        return Mapped(walker.value(_parsed(expression, names)), tuple(dict.fromkeys(walker.used)))
    except ExpressionError:
        raise
    except Exception as error:  # Ibis refuses what does not fit together, such as a number AND a text
        raise ExpressionError(
            f"{expression!r} mixes types ({type(error).__name__}). Compare and combine values of one type; use CAST if they differ."
        ) from error


def identifier(column: str) -> str:
    """A column's name for use in an expression: quoted if it would be read as something else."""
    try:
        read = sqlglot.parse_one(f"{column} * 1", dialect="duckdb").this
        plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", column) is not None and type(read) is sql.Column
    except SqlglotError:
        plain = False
    return column if plain else '"' + column.replace('"', '""') + '"'


def _parsed(text: str, names: list[str]) -> sql.Expression:
    if len(text) > LONGEST:
        raise ExpressionError(f"{text[:40]!r}... is longer than {LONGEST} characters; prepare such a column in the source.")
    try:
        trees = sqlglot.parse(text, dialect="duckdb")
    except (SqlglotError, RecursionError):
        trees = []
    if trees and isinstance(trees[0], sql.Command):
        word = str(trees[0].this)
        column = next((name for name in names if name.lower() == word.lower()), word)
        raise ExpressionError(f'{text!r} begins with {word}, a word of SQL. If a column is meant, quote it: "{column}"')
    if not trees or isinstance(trees[0], sql.Alias):  # two words, which SQL takes for a value and another name for it
        raise ExpressionError(
            f"{text!r} is neither a column nor an SQL expression.{_nearest(text, names)} Columns: {_listed(names)}. Quote "
            'names with spaces in expressions: "Unit Price" * Quantity.'
        )
    if len(trees) != 1 or trees[0] is None:
        raise ExpressionError(f"{text!r} is not one expression; remove the semicolon.")
    return cast(sql.Expression, trees[0])


def _nearest(found: str, names: list[str]) -> str:
    begun = [name for name in names if name.startswith(f"{found}_")]
    close = begun or difflib.get_close_matches(found, names, n=1, cutoff=0.6)
    return f" Did you mean {close[0]!r}?" if close else ""


def _listed(names: list[str]) -> str:
    return ", ".join(names[:30]) + (", ..." if len(names) > 30 else "")


class _Walker:
    def __init__(self, text: str, table: ir.Table, cells: Reader, names: list[str]) -> None:
        self.text, self.table, self.cells, self.names = text, table, cells, names
        self.used: list[str] = []
        self.depth = 0

    def refuse(self, why: str) -> ExpressionError:
        return ExpressionError(f"{self.text!r} {why}")

    def value(self, node: sql.Expression) -> ir.Value:
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.refuse("is nested too deeply; prepare such a column in the source.")
        try:
            return self._value(node)
        finally:
            self.depth -= 1

    def _value(self, node: sql.Expression) -> ir.Value:
        kind = type(node)
        if kind is sql.Column:
            return self._column(cast(sql.Column, node))
        if kind is sql.Literal:
            return self._literal(cast(sql.Literal, node))
        if kind is sql.Paren:
            return self.value(node.this)
        if kind is sql.Null:
            return ibis.null("string")
        if kind is sql.Boolean:
            return ibis.literal(bool(node.this))
        if kind in ARITHMETIC:
            return ARITHMETIC[kind](self.number(node.this), self.number(node.expression))
        if kind is sql.Neg:
            return -self.number(node.this)
        if kind in COMPARISON:
            if isinstance(node.this, sql.Null) or isinstance(node.expression, sql.Null):
                raise self.refuse("is refused: a comparison with NULL is never met; write IS NULL or IS NOT NULL.")
            return COMPARISON[kind](*self.alike([node.this, node.expression]))
        if kind is sql.And:
            return self.condition(node.this) & self.condition(node.expression)
        if kind is sql.Or:
            return self.condition(node.this) | self.condition(node.expression)
        if kind is sql.Not:
            return ~self.condition(node.this)
        handler = getattr(self, f"_{kind.__name__.lower()}", None)
        if handler is None or kind.__name__ not in HANDLED:
            raise self.refuse(f"is refused: {self._named(node)} is not a scalar construct that is allowed here. Allowed: {ALLOWED}.")
        # Arguments that the handler ignores would otherwise be dropped silently.
        extra = [
            name for name, argument in node.args.items() if name not in HANDLED[kind.__name__] and argument not in (None, False, [], "")
        ]
        if extra:
            raise self.refuse(f"is refused: {kind.__name__.upper()} has an argument that is not supported here ({', '.join(extra)}).")
        result: ir.Value = handler(node)
        return result

    def _named(self, node: sql.Expression) -> str:
        if isinstance(node, sql.Anonymous):
            return f"the function {str(node.this).upper()}"
        if isinstance(node, sql.Query | sql.Subquery):
            return "a query"
        if isinstance(node, sql.AggFunc):
            return f"the aggregate {type(node).__name__.upper()}"
        return type(node).__name__.upper()

    def number(self, node: sql.Expression) -> ir.NumericValue:
        value = self.value(node)
        return value if value.type().is_numeric() else self.cells.number(value)

    def countable(self, node: sql.Expression) -> ir.NumericValue:
        """A number that can be converted to an integer; null if it is too large or infinite."""
        value = self.number(node)
        return value if value.type().is_integer() else ibis.ifelse(value.abs() < LARGEST_WHOLE, value, ibis.null(value.type()))

    def condition(self, node: sql.Expression) -> ir.BooleanValue:
        value = self.value(node)
        if not value.type().is_boolean():
            value = self.cells.boolean(value)
        return value

    def string(self, node: sql.Expression) -> ir.StringValue:
        value = self.value(node)
        return value if value.type().is_string() else self.cells.text(value)

    def whole(self, node: sql.Expression | None) -> int:
        sign = 1
        if isinstance(node, sql.Neg):
            sign, node = -1, node.this
        if not isinstance(node, sql.Literal) or node.is_string or not str(node.this).isdigit():
            raise self.refuse("is refused: positions and lengths must be whole numbers written out.")
        return sign * int(str(node.this))

    def alike(self, nodes: list[sql.Expression]) -> list[ir.Value]:
        """The values, all as numbers if one is a number, as times if one is a time, otherwise unchanged or as text."""
        values = [self.value(node) for node in nodes]
        if any(value.type().is_numeric() for value in values):
            return [value if value.type().is_numeric() else self.cells.number(value) for value in values]
        if any(value.type().is_timestamp() or value.type().is_date() for value in values):
            return [self.time(value) for value in values]
        if all(value.type().is_boolean() for value in values):
            return values
        return [value if value.type().is_string() else self.cells.text(value) for value in values]

    def time(self, value: ir.Value) -> ir.TimestampValue:
        """The value as a time. If the table's zone differs from ours, it carries an offset, so that it is not converted twice."""
        read = self.cells.time(value)
        return read if self.cells.unzoned == self.cells.zone else read.cast("timestamp('UTC')")

    def _column(self, node: sql.Column) -> ir.Value:
        if node.table and ".".join(part.name for part in node.parts) in self.names:  # a field of an object, customer.id
            name = ".".join(part.name for part in node.parts)
            self.used.append(name)
            return self.table[name]
        if node.table:
            raise self.refuse(f"is refused: {node.sql()} names a table; only columns can be used here, by their bare name.")
        if isinstance(node.this, sql.Star):
            raise self.refuse("is refused: * is not a column.")
        name = node.name
        if name not in self.names:
            folded = [known for known in self.names if known.lower() == name.lower()]
            if len(folded) != 1 or (isinstance(node.this, sql.Identifier) and node.this.quoted):
                raise self.refuse(
                    f"uses {name!r}, which is not a column here.{_nearest(name, self.names)} Columns: {_listed(self.names)}. "
                    f"Constants that are text need quotes: \"'{name}'\"."
                )
            name = folded[0]
        self.used.append(name)
        return self.table[name]

    def _literal(self, node: sql.Literal) -> ir.Value:
        if node.is_string:
            return ibis.literal(str(node.this))
        text = str(node.this)
        return ibis.literal(int(text) if text.isdigit() and len(text) < 18 else float(text))

    def _case(self, node: sql.Case) -> ir.Value:
        whens = node.args["ifs"]
        default = node.args.get("default") or sql.Null()
        if node.this is not None:
            tests = []
            for when in whens:
                left, right = self.alike([node.this, when.this])
                tests.append(left == right)
        else:
            tests = [self.condition(when.this) for when in whens]
        *results, otherwise = self.unified([*(when.args["true"] for when in whens), default])
        return ibis.cases(*zip(tests, results, strict=True), else_=otherwise)

    def _if(self, node: sql.If) -> ir.Value:
        true, false = self.unified([node.args["true"], node.args.get("false") or sql.Null()])
        return ibis.ifelse(self.condition(node.this), true, false)

    def unified(self, nodes: list[sql.Expression]) -> list[ir.Value]:
        """Like `alike`, but a literal NULL takes the type of the others."""
        given = [node for node in nodes if not isinstance(node, sql.Null)]
        values = iter(self.alike(given)) if given else iter(())
        kind = self.alike(given)[0].type() if given else "string"
        return [ibis.null(kind) if isinstance(node, sql.Null) else next(values) for node in nodes]

    def _coalesce(self, node: sql.Coalesce) -> ir.Value:
        return ibis.coalesce(*self.unified([node.this, *node.expressions]))

    def _nullif(self, node: sql.Nullif) -> ir.Value:
        left, right = self.alike([node.this, node.expression])
        return left.nullif(right)

    def _greatest(self, node: sql.Greatest) -> ir.Value:
        return ibis.greatest(*self.alike([node.this, *node.expressions]))

    def _least(self, node: sql.Least) -> ir.Value:
        return ibis.least(*self.alike([node.this, *node.expressions]))

    def _abs(self, node: sql.Abs) -> ir.Value:
        return self.number(node.this).abs()

    def _round(self, node: sql.Round) -> ir.Value:
        digits = node.args.get("decimals")
        places = self.whole(digits) if digits is not None else 0
        return self.number(node.this).round(places) if places else self.countable(node.this).round()

    def _floor(self, node: sql.Floor) -> ir.Value:
        return self.countable(node.this).floor()

    def _ceil(self, node: sql.Ceil) -> ir.Value:
        return self.countable(node.this).ceil()

    def _upper(self, node: sql.Upper) -> ir.Value:
        return self.string(node.this).upper()

    def _lower(self, node: sql.Lower) -> ir.Value:
        return self.string(node.this).lower()

    def _trim(self, node: sql.Trim) -> ir.Value:
        return self.string(node.this).strip()

    def _length(self, node: sql.Length) -> ir.Value:
        return self.string(node.this).length()

    def _left(self, node: sql.Left) -> ir.Value:
        length = self.whole(node.expression)
        if length < 0:
            raise self.refuse("is refused: LEFT takes a length of 0 or more.")
        return self.string(node.this).left(length)

    def _right(self, node: sql.Right) -> ir.Value:
        return self.string(node.this).right(self.whole(node.expression))

    def _substring(self, node: sql.Substring) -> ir.Value:
        start, length = self.whole(node.args.get("start")), node.args.get("length")
        if start < 1:
            raise self.refuse("is refused: SUBSTRING counts from 1.")
        text = self.string(node.this)
        return text.substr(start - 1, self.whole(length)) if length is not None else text.substr(start - 1)

    def _replace(self, node: sql.Replace) -> ir.Value:
        return self.string(node.this).replace(self.string(node.expression), self.string(node.args["replacement"]))

    def _splitpart(self, node: sql.SplitPart) -> ir.Value:
        position = self.whole(node.args["part_index"])
        if position < 1:
            raise self.refuse("is refused: SPLIT_PART counts from 1.")
        return self.string(node.this).split(self.string(node.args["delimiter"]))[position - 1]

    def _dpipe(self, node: sql.DPipe) -> ir.Value:
        return self.string(node.this) + self.string(node.expression)

    def _concat(self, node: sql.Concat) -> ir.Value:
        first, *others = [self.string(part) for part in node.expressions]
        return first.concat(*others) if others else first

    def _in(self, node: sql.In) -> ir.Value:
        first, *others = self.alike([node.this, *node.expressions])
        return first.isin(others)

    def _between(self, node: sql.Between) -> ir.Value:
        value, low, high = self.alike([node.this, node.args["low"], node.args["high"]])
        return value.between(low, high)

    def _is(self, node: sql.Is) -> ir.Value:
        if not isinstance(node.expression, sql.Null):
            raise self.refuse("is refused: only IS NULL and IS NOT NULL are supported.")
        value = self.value(node.this)
        return (self.cells.text(value) if value.type().is_string() else value).isnull()

    def _like(self, node: sql.Like) -> ir.Value:
        return self._negated(node, self.string(node.this).like(self._pattern(node)))

    def _ilike(self, node: sql.ILike) -> ir.Value:
        return self._negated(node, self.string(node.this).ilike(self._pattern(node)))

    def _negated(self, node: sql.Expression, found: ir.BooleanValue) -> ir.BooleanValue:
        return ~found if node.args.get("negate") else found  # NOT LIKE

    def _pattern(self, node: sql.Expression) -> str:
        if not (isinstance(node.expression, sql.Literal) and node.expression.is_string):
            raise self.refuse("is refused: the pattern of LIKE must be written out.")
        return str(node.expression.this)

    def _cast(self, node: sql.Cast) -> ir.Value:
        target = node.to.this
        if target in sql.DataType.TEXT_TYPES:
            return self.string(node.this)
        if target in sql.DataType.INTEGER_TYPES:
            return self.countable(node.this).round()
        if target in sql.DataType.NUMERIC_TYPES:
            return self.number(node.this)
        if target in sql.DataType.TEMPORAL_TYPES:
            time = self.time(self.value(node.this))
            return time.date() if target in {sql.DataType.Type.DATE, sql.DataType.Type.DATE32} else time
        if target == sql.DataType.Type.BOOLEAN:
            return self.condition(node.this)
        raise self.refuse(f"is refused: CAST to {node.to.sql()} is not supported; use VARCHAR, INTEGER, DOUBLE, TIMESTAMP or BOOLEAN.")

    _trycast = _cast


HANDLED: dict[str, frozenset[str]] = {
    "Case": frozenset({"this", "ifs", "default"}), "If": frozenset({"this", "true", "false"}),
    "Coalesce": frozenset({"this", "expressions"}), "Nullif": frozenset({"this", "expression"}),
    "Greatest": frozenset({"this", "expressions", "ignore_nulls"}), "Least": frozenset({"this", "expressions", "ignore_nulls"}),
    "Abs": frozenset({"this"}), "Round": frozenset({"this", "decimals"}), "Floor": frozenset({"this"}), "Ceil": frozenset({"this"}),
    "Upper": frozenset({"this"}), "Lower": frozenset({"this"}), "Trim": frozenset({"this"}), "Length": frozenset({"this"}),
    "Left": frozenset({"this", "expression"}), "Right": frozenset({"this", "expression"}),
    "Substring": frozenset({"this", "start", "length"}), "Replace": frozenset({"this", "expression", "replacement"}),
    "SplitPart": frozenset({"this", "delimiter", "part_index"}), "DPipe": frozenset({"this", "expression", "safe"}),
    "Concat": frozenset({"expressions", "safe", "coalesce"}), "In": frozenset({"this", "expressions"}),
    "Between": frozenset({"this", "low", "high"}), "Is": frozenset({"this", "expression"}),
    "Like": frozenset({"this", "expression", "negate"}), "ILike": frozenset({"this", "expression", "negate"}),
    "Cast": frozenset({"this", "to", "_type"}), "TryCast": frozenset({"this", "to", "safe", "requires_string"}),
}  # fmt: skip
"""Supported constructs, and the parts of each that are used."""
