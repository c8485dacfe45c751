"""How the numbers of a table's columns are written, judged from their cells: decimal mark, ambiguous cells, currencies.

Counted over every row of every file, because a single cell such as 1,200 may come after a million plain ones.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import ibis
import ibis.expr.types as ir

from segmentation_assets import vocabulary
from segmentation_assets.expressions import identifier
from segmentation_assets.settings.source import Reading
from segmentation_assets.sources.cells import Cells
from segmentation_assets.sources.currencies import TOKENS, column_of, one_currency
from segmentation_assets.sources.numbers import (  # fmt: skip
    COMMA,
    COMMA_GROUPS,
    CUT,
    EITHER,
    EXPONENT,
    POINT,
    POINT_GROUPS,
    SEVERAL_GROUPS,
    Marks,
    in_parts,
    is_number,
    part,
    read_number,
    signed,
)
from segmentation_assets.sources.statements import stored

GROUPED = {COMMA: r",[0-9]{3}(?:$|[.,])", POINT: r"\.[0-9]{3}(?:$|[.,])", " ": "[0-9] [0-9]", "'": "[0-9]'[0-9]"}
FEW = 0.05  # of the cells with a mark: if fewer determine its meaning, the column stays ambiguous
CURRENCIES = 20  # most currencies of a column to name
NEARLY_ALL = 0.95  # of a column's cells, for it to hold currencies
BOOKED = r"^[CD]R\.? ?(\p{Sc}?)$"  # credit and debit, which are not currencies
COUNTS = ("point", "comma", "typed", "either_point", "either_comma")


@dataclass(frozen=True)
class Forms:
    """The cells of one column.

    Attributes:
        point, comma: cells in which only this can be the decimal mark.
        typed: cells with a decimal point that are numbers by type, and so say nothing about how text is written.
        either_point, either_comma: cells such as 1.200 and 1,200.
        sum_point, sum_comma: sum of all cells with either decimal mark.
        example: a cell that can be read two ways.
        currencies: sign or code -> cells.
        groups: mark that can only stand between thousands -> cells.
        of_amounts: whether the column only has the currencies of amounts in another column.
    """

    point: int = 0
    comma: int = 0
    typed: int = 0
    either_point: int = 0
    either_comma: int = 0
    sum_point: float = 0.0
    sum_comma: float = 0.0
    example: str = ""
    currencies: dict[str, int] = field(default_factory=dict)
    groups: dict[str, int] = field(default_factory=dict)
    of_amounts: bool = False

    def __add__(self, other: "Forms") -> "Forms":
        return Forms(
            **{name: getattr(self, name) + getattr(other, name) for name in (*COUNTS, "sum_point", "sum_comma")},
            example=self.example or other.example,
            currencies=dict(Counter(self.currencies) + Counter(other.currencies)),
            groups=dict(Counter(self.groups) + Counter(other.groups)),
            of_amounts=self.of_amounts or other.of_amounts,
        )

    @property
    def certain(self) -> int:
        """Number of text cells that determine the decimal mark."""
        return self.point + self.comma

    @property
    def is_mixed(self) -> bool:
        """Whether some cells can only have a decimal point, and others only a decimal comma."""
        return bool(self.comma and (self.point or self.typed))

    @property
    def either(self) -> int:
        """Number of cells that can be read two ways."""
        return self.either_point + self.either_comma

    @property
    def is_settled(self) -> bool:
        """Whether the cells agree on a decimal mark, and at least as many cells determine it as can be read two ways."""
        return bool(self.certain) and not self.is_mixed and self.certain >= self.either

    @property
    def settled(self) -> "Forms":
        """A copy without ambiguous cells if the decimal mark is settled."""
        if not self.is_settled:
            return self
        read = self.sum_comma if self.comma else self.sum_point
        return replace(self, either_point=0, either_comma=0, sum_point=read, sum_comma=read, example="")

    @property
    def is_plain(self) -> bool:
        """Whether the engine can read all cells itself, and none can be read two ways."""
        return not (self.comma or self.either or self.groups or self.currencies)

    @property
    def in_doubt(self) -> int:
        """Number of ambiguous cells, if too few other cells decide, or these contradict each other."""
        return self.either if self.is_mixed or self.certain < FEW * (self.either + self.certain) else 0


def counted(backend: Any, rows: ibis.Table, columns: Sequence[str], kind: str = "csv") -> dict[str, Forms]:
    """The forms of the text columns, over all rows.

    Args:
        kind: of file. JSON and workbooks have typed numbers, which are text here only because we wrote them so, with a decimal point.
    """
    asked = texts(rows, columns)
    if not asked:
        return {}
    found = stored(backend, ibis.union(*(told(rows, column).mutate(column=ibis.literal(column)) for column in asked)))
    facts, tokens = (backend.to_pyarrow(question).to_pylist() for question in questions(found, kind, ("column",)))
    by_column = {row["column"]: row for row in facts}  # a column without numbers has none
    return {
        column: forms_of([by_column[column]], [row for row in tokens if row["column"] == column]) if column in by_column else Forms()
        for column in asked
    }


def texts(rows: ibis.Table, columns: Sequence[str]) -> list[str]:
    """Those of the columns that are text."""
    return [column for column in columns if column in rows.columns and rows[column].type().is_string()]


def told(rows: ibis.Table, column: str, by: Sequence[str] = ()) -> ibis.Table:
    """The distinct numbers of a column, with the number of cells, the parts, and the value with either decimal mark.

    Args:
        by: columns to group by.
    """
    there = rows.filter(rows[column].notnull())
    different = there.group_by(text=there[column], **{name: there[name] for name in by}).agg(n=ibis._.count())
    numbers = different.filter(is_number(different.text)).mutate(parts=in_parts(ibis._.text)).filter(ibis._.parts.contains(CUT))
    sums = {f"sum_{name}": read_number(numbers.text, Marks(mark)) for name, mark in (("point", POINT), ("comma", COMMA))}
    found = numbers.mutate(digits=signed(numbers.parts).re_replace("^-", ""), token=_token(numbers), **sums)
    return found.filter(found.sum_point.abs() < 1e15)


def questions(told: ibis.Table, kind: str, by: Sequence[str] = ()) -> tuple[ibis.Table, ibis.Table]:
    """Queries on a column's distinct numbers: facts, with cells by mark between thousands; and cells by currency.

    Args:
        kind: of file, as in `counted`.
        by: columns to group by.
    """
    typed = _typed(told, kind)
    either = {mark: told.digits.re_search(f"^{EITHER}$") & told.digits.contains(mark) & ~typed for mark in (POINT, COMMA)}
    certain = {mark: _certain(told, mark) & ~typed for mark in (POINT, COMMA)}
    is_either = either[POINT] | either[COMMA]
    flags = (certain[POINT], certain[COMMA], typed, either[POINT], either[COMMA])
    sums = {"sum_point": told.sum_point, "sum_comma": ibis.ifelse(typed, told.sum_point, told.sum_comma)}
    grouping = told.group_by(list(by)) if by else told
    grouped = {mark: told.digits.re_search(form) & ~is_either & ~typed for mark, form in GROUPED.items()}
    facts = grouping.agg(
        **{name: ibis.ifelse(flag, told.n, 0).sum().fill_null(0) for name, flag in zip(COUNTS, flags, strict=True)},
        **{name: (value * told.n).sum().fill_null(0.0) for name, value in sums.items()},
        **{mark: ibis.ifelse(flag, told.n, 0).sum().fill_null(0) for mark, flag in grouped.items()},
        example=ibis.ifelse(is_either, told.text, ibis.null("string")).min().fill_null(""),
    )
    tokens = told.filter(told.token != "").group_by([*by, "token"]).agg(n=told.n.sum()).order_by(ibis.desc("n"), "token")
    return facts, tokens


def _typed(told: ibis.Table, kind: str) -> ir.BooleanValue:
    """Whether a point is decimal because the file's numbers are typed.

    JSON may also have numbers in quotes, so only ambiguous ones are assumed to be typed. A workbook stores a number 1.200 as 1.2:
    with the zeros it is text.
    """
    forms = {"jsonl": r"^[1-9][0-9]{0,2}\.[0-9]{3}$", "excel": rf"^[0-9]*\.[0-9]*[1-9]{EXPONENT}$"}
    return told.digits.re_search(forms[kind]) if kind in forms else ibis.literal(False)


def forms_of(facts: list[dict[str, Any]], tokens: list[dict[str, Any]]) -> Forms:
    """The answers to the `questions`."""
    groups = {mark: int(facts[0][mark]) for mark in GROUPED if facts[0][mark]}
    # The engine counts in numbers that are larger than JSON knows.
    counts: dict[str, Any] = {name: int(facts[0][name]) for name in COUNTS}
    return Forms(
        **counts,
        sum_point=float(facts[0]["sum_point"]),
        sum_comma=float(facts[0]["sum_comma"]),
        example=str(facts[0]["example"]),
        currencies={row["token"]: int(row["n"]) for row in tokens[:CURRENCIES]},
        groups=groups,
    )


def _token(numbers: ibis.Table) -> ibis.Value:
    """The currency of a cell: the text after the number, else the text before it."""
    beside = (part(numbers.parts, place).upper().re_replace(BOOKED, r"\1") for place in (4, 5, 3))
    return ibis.coalesce(*(one.nullif("") for one in beside), "").replace(" ", "")


def _certain(told: ibis.Table, mark: str) -> ibis.Value:
    """Whether only this can be the decimal mark: other than three decimals, groups with another mark, or several such groups."""
    groups, other = (COMMA_GROUPS, COMMA) if mark == POINT else (POINT_GROUPS, POINT)
    decimal = told.digits.re_search(rf"^[0-9]*[{mark}][0-9]+{EXPONENT}$") & ~told.digits.re_search(f"^{EITHER}$")
    grouped = told.digits.re_search(
        rf"^(?:(?:{groups})[{mark}][0-9]*|{SEVERAL_GROUPS[other]}|[0-9]{{1,3}}(?:[ '][0-9]{{3}})+[{mark}][0-9]*)$"
    )
    return decimal | grouped


def currencies_beside(backend: Any, rows: ibis.Table, names: Sequence[str], amounts: Sequence[str], cells: Cells) -> dict[str, Forms]:
    """The column with the currency of amounts, and its cells; empty if there is none.

    Args:
        names: the columns of the source.
        amounts: those from which the amount is computed.
    """
    column = column_of(names, amounts)
    return {column: of_amounts(backend.to_pyarrow(currency_cells(rows, column, cells)).to_pylist())} if column else {}


def currency_cells(rows: ibis.Table, column: str, cells: Cells, by: Sequence[str] = ()) -> ibis.Table:
    """The number of cells of a column by currency (`token`, `n`), most first; the token is empty for cells without one.

    Args:
        by: columns to group by.
    """
    there = rows.select(*by, text=cells.text(rows[column]).upper()).filter(ibis._.text.notnull())
    named = there.mutate(token=ibis.ifelse(there.text.isin(TOKENS), there.text, ""))
    return named.group_by([*by, "token"]).agg(n=ibis._.count()).order_by(ibis.desc("n"), "token")


def of_amounts(tokens: Sequence[dict[str, Any]]) -> Forms:
    """The result of `currency_cells`; without currencies if some cells are something else."""
    named = {row["token"]: int(row["n"]) for row in tokens if row["token"]}
    holds_currencies = sum(named.values()) >= NEARLY_ALL * sum(int(row["n"]) for row in tokens)
    return Forms(currencies=dict(list(named.items())[:CURRENCIES]) if holds_currencies else {}, of_amounts=True)


def together(forms: Iterable[Mapping[str, Forms]]) -> dict[str, Forms]:
    """The forms of each column over several files. Files with only plain numbers, which intake does not query, do not count.

    If files contradict each other, files that decide on their own have no ambiguous cells.
    """
    asked = [_asked(one) for one in forms]
    total = _summed(asked)
    mixed = {column for column, found in total.items() if found.is_mixed}
    own = ({column: found.settled if column in mixed else found for column, found in one.items()} for one in asked)
    return _summed(own) if mixed else total


def _asked(forms: Mapping[str, Forms]) -> dict[str, Forms]:
    plain = all(found.is_plain for found in forms.values() if not found.of_amounts)
    return {column: found for column, found in forms.items() if found.of_amounts or not plain}


def _summed(forms: Iterable[Mapping[str, Forms]]) -> dict[str, Forms]:
    total: dict[str, Forms] = {}
    for one in forms:
        for column, found in one.items():
            total[column] = total.get(column, Forms()) + found
    return total


def decimals_of_file(forms: Mapping[str, Forms], total: Mapping[str, Forms]) -> dict[str, str]:
    """Column of a file -> its decimal mark: by its own cells if those of all files contradict each other, otherwise by all.

    Args:
        total: the forms over all files of the table, by `together`.
    """
    own = {column for column, found in forms.items() if column in total and total[column].is_mixed and found.is_settled}
    return {**decimals(total), **decimals({column: forms[column] for column in own})}


def decimals(forms: Mapping[str, Forms]) -> dict[str, str]:
    """Column -> its decimal mark, if its cells or other columns decide; otherwise the one that makes the mark in 1,200 a thousands one."""
    point, comma = (sum(getattr(found, name) for found in forms.values()) for name in ("point", "comma"))
    table = None if point == comma else POINT if point > comma else COMMA
    result = {}
    for column, found in forms.items():
        if found.certain or found.typed:
            result[column] = POINT if found.typed or found.point >= found.comma else COMMA
        elif found.in_doubt:
            result[column] = table or (POINT if found.either_comma >= found.either_point else COMMA)
    return result


def thousands(forms: Mapping[str, Forms]) -> str | None:
    """The single mark between thousands in the columns; None if there is none, or several."""
    told, marks = decimals(forms), set[str]()
    for column, found in forms.items():
        marks |= found.groups.keys()
        for mark, cells in ((POINT, found.either_point), (COMMA, found.either_comma)):
            marks |= {mark} if cells and told.get(column) != mark else set()
    return marks.pop() if len(marks) == 1 else None


def doubts(forms: Mapping[str, Forms], reading: Reading) -> tuple[str, ...]:
    """Warnings, one line each: cells that can be read two ways, and several currencies."""
    cells = Cells(reading, decimals=decimals(forms))
    two_ways = [_two_ways(column, one, column_marks(cells, column)) for column, one in forms.items() if one.in_doubt]
    return (*two_ways, *(_several_currencies(column, one) for column, one in forms.items() if not one_currency(one.currencies)))


def column_marks(cells: Cells, column: str) -> Marks:
    """How a column of text is written."""
    return cells.marks(ibis.table({column: "string"}, name="column")[column])


def _two_ways(column: str, one: Forms, marks: Marks) -> str:
    mark = COMMA if one.either_comma >= one.either_point else POINT
    as_thousands, as_decimals = (one.sum_point, one.sum_comma) if mark == COMMA else (one.sum_comma, one.sum_point)
    is_thousands = marks.decimal != mark
    used, other = (as_thousands, as_decimals) if is_thousands else (as_decimals, as_thousands)
    what = f"{vocabulary.counted(one.in_doubt, 'cell')} such as {one.example!r} can be read two ways"
    ways = ("with thousands", "with decimals") if is_thousands else ("with decimals", "with thousands")
    sums = f"{ways[0]}, as they are read, the column adds up to {used:,.2f}; {ways[1]} to {other:,.2f}"
    if marks.given:
        return f"{column}: {what}; {sums}. The settings decide this"
    return f"Warning: {column}: {what}; {sums}. {_remedy(one, mark)}"


def _remedy(one: Forms, mark: str) -> str:
    """How to resolve ambiguous cells; not by a setting if that would make other cells unreadable."""
    if one.is_mixed:
        points, commas = (vocabulary.counted(n, "cell") for n in (one.point + one.typed, one.comma))
        return (
            f"The column has both decimal marks: {points} with a point, {commas} with a comma. Write it with one; if the files differ, "
            "list those of each kind in a separate table, with its own `decimal`"
        )
    if one.typed:
        return "The others are numbers by type: make these numbers too"
    return f"Choose in the settings: thousands: {mark!r} or decimal: {mark!r}"


def _several_currencies(column: str, one: Forms) -> str:
    named = ", ".join(f"{token} ({vocabulary.counted(n, 'row' if one.of_amounts else 'cell')})" for token, n in one.currencies.items())
    if not one.of_amounts:
        return (
            f"Warning: {column} has several currencies: {named}. Amounts are added up unconverted: convert them first, or keep only one "
            "currency."
        )
    (first, *_) = one.currencies
    return (
        f"Warning: amounts are in several currencies, as {column} says: {named}. They are added up unconverted: convert them first, or "
        f"keep only one currency with leave_out: UPPER({identifier(column)}) <> {first!r}"
    )
