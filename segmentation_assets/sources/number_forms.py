"""What the cells of a table's number columns tell of how they are written: the decimal mark, what can be read two ways, currencies.

Counted over every row of every file, because a single cell such as 1,200 may come after a million plain ones.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import ibis

from segmentation_assets import vocabulary
from segmentation_assets.settings.source import Reading
from segmentation_assets.sources.cells import Cells
from segmentation_assets.sources.currencies import one_currency
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

GROUPED = {COMMA: r",[0-9]{3}(?:$|[.,])", POINT: r"\.[0-9]{3}(?:$|[.,])", " ": "[0-9] [0-9]", "'": "[0-9]'[0-9]"}
FEW = 0.05  # of the cells that a mark occurs in: where fewer tell what it means, the column is still in doubt
CURRENCIES = 20  # of a column that are named


@dataclass(frozen=True)
class Forms:
    """The cells of one column.

    Attributes:
        point, comma: cells in which the decimal mark can only be that one.
        either_point, either_comma: cells such as 1.200 and 1,200.
        sum_point, sum_comma: of all cells, with the one or the other as decimal mark.
        example: a cell that can be read two ways.
        currencies: sign or code -> cells.
        groups: mark that can only stand between thousands -> cells.
    """

    point: int = 0
    comma: int = 0
    either_point: int = 0
    either_comma: int = 0
    sum_point: float = 0.0
    sum_comma: float = 0.0
    example: str = ""
    currencies: dict[str, int] = field(default_factory=dict)
    groups: dict[str, int] = field(default_factory=dict)

    def __add__(self, other: "Forms") -> "Forms":
        numbers = ("point", "comma", "either_point", "either_comma", "sum_point", "sum_comma")
        return Forms(
            **{name: getattr(self, name) + getattr(other, name) for name in numbers},
            example=self.example or other.example,
            currencies=dict(Counter(self.currencies) + Counter(other.currencies)),
            groups=dict(Counter(self.groups) + Counter(other.groups)),
        )

    @property
    def certain(self) -> int:
        """Cells that tell the decimal mark."""
        return self.point + self.comma

    @property
    def either(self) -> int:
        """Cells that can be read two ways."""
        return self.either_point + self.either_comma

    @property
    def in_doubt(self) -> int:
        """Cells that can be read two ways, where too few others tell which is meant."""
        return self.either if self.certain < FEW * (self.either + self.certain) else 0


def counted(backend: Any, rows: ibis.Table, columns: Sequence[str], points_are_decimal: bool) -> dict[str, Forms]:
    """The forms of the columns that are text, over all rows.

    Args:
        points_are_decimal: a file has numbers with a type, which are text here only because we wrote them, with a decimal point.
    """
    result = {}
    for column in texts(rows, columns):
        found = backend.create_table(ibis.util.gen_name("numbers"), told(rows, column), temp=True)
        result[column] = forms_of(*(backend.to_pyarrow(asked).to_pylist() for asked in questions(found, points_are_decimal)))
    return result


def texts(rows: ibis.Table, columns: Sequence[str]) -> list[str]:
    """Those of the columns that are text."""
    return [column for column in columns if column in rows.columns and rows[column].type().is_string()]


def told(rows: ibis.Table, column: str, by: Sequence[str] = ()) -> ibis.Table:
    """The different numbers of a column, how many cells have each, its parts, and what it is with either decimal mark.

    Args:
        by: columns that tell rows apart whose numbers are asked for by themselves.
    """
    there = rows.filter(rows[column].notnull())
    different = there.group_by(text=there[column], **{name: there[name] for name in by}).agg(n=ibis._.count())
    numbers = different.filter(is_number(different.text)).mutate(parts=in_parts(ibis._.text)).filter(ibis._.parts.contains(CUT))
    sums = {f"sum_{name}": read_number(numbers.text, Marks(mark)) for name, mark in (("point", POINT), ("comma", COMMA))}
    found = numbers.mutate(digits=signed(numbers.parts).re_replace("^-", ""), token=_token(numbers), **sums)
    return found.filter(found.sum_point.abs() < 1e15)


def questions(told: ibis.Table, points_are_decimal: bool, by: Sequence[str] = ()) -> tuple[ibis.Table, ibis.Table, ibis.Table]:
    """What is asked of the numbers of a column that were written down: facts, cells by mark between thousands, and by currency."""
    either = {mark: told.digits.re_search(f"^{EITHER}$") & told.digits.contains(mark) for mark in (POINT, COMMA)}
    certain = {mark: _certain(told, mark) for mark in (POINT, COMMA)}
    if points_are_decimal:
        certain[POINT], either[POINT] = certain[POINT] | either[POINT], ibis.literal(False)
    is_either = either[POINT] | either[COMMA]
    grouping = told.group_by(list(by)) if by else told
    facts = grouping.agg(
        **{name: ibis.ifelse(flag, told.n, 0).sum().fill_null(0) for name, flag in (
            ("point", certain[POINT]), ("comma", certain[COMMA]), ("either_point", either[POINT]), ("either_comma", either[COMMA]))},
        **{name: (told[name] * told.n).sum().fill_null(0.0) for name in ("sum_point", "sum_comma")},
        example=ibis.ifelse(is_either, told.text, ibis.null("string")).min().fill_null(""),
    )  # fmt: skip
    grouped = {mark: told.digits.re_search(form) & ~is_either for mark, form in GROUPED.items()}
    marks = grouping.agg(**{mark: ibis.ifelse(flag, told.n, 0).sum().fill_null(0) for mark, flag in grouped.items()})
    tokens = told.filter(told.token != "").group_by([*by, "token"]).agg(n=told.n.sum()).order_by(ibis.desc("n"), "token")
    return facts, marks, tokens


def forms_of(facts: list[dict[str, Any]], marks: list[dict[str, Any]], tokens: list[dict[str, Any]]) -> Forms:
    """The answers to the `questions`."""
    groups = {mark: int(marks[0][mark]) for mark in GROUPED if marks[0][mark]}
    # The engine counts in numbers that are larger than JSON knows.
    counts = {name: int(facts[0][name]) for name in ("point", "comma", "either_point", "either_comma")}
    return Forms(
        **counts,
        sum_point=float(facts[0]["sum_point"]),
        sum_comma=float(facts[0]["sum_comma"]),
        example=str(facts[0]["example"]),
        currencies={row["token"]: int(row["n"]) for row in tokens[:CURRENCIES]},
        groups=groups,
    )


def _token(numbers: ibis.Table) -> ibis.Value:
    """The currency of a cell: what stands behind, else before."""
    before, behind, last = (part(numbers.parts, place).upper() for place in (3, 4, 5))
    after = ibis.ifelse((behind == "") | behind.isin(["CR", "DR"]), last, behind)
    return ibis.ifelse((after == "") | after.isin(["CR", "DR"]), before, after).replace(" ", "")


def _certain(told: ibis.Table, mark: str) -> ibis.Value:
    """Whether the decimal mark can only be this one: decimals that are not three, groups by another mark, or several groups of them."""
    groups, other = (COMMA_GROUPS, COMMA) if mark == POINT else (POINT_GROUPS, POINT)
    decimal = told.digits.re_search(rf"^[0-9]*[{mark}][0-9]+{EXPONENT}$") & ~told.digits.re_search(f"^{EITHER}$")
    grouped = told.digits.re_search(
        rf"^(?:(?:{groups})[{mark}][0-9]*|{SEVERAL_GROUPS[other]}|[0-9]{{1,3}}(?:[ '][0-9]{{3}})+[{mark}][0-9]*)$"
    )
    return decimal | grouped


def together(forms: Iterable[Mapping[str, Forms]]) -> dict[str, Forms]:
    """The forms of each column over several files."""
    total: dict[str, Forms] = {}
    for one in forms:
        for column, found in one.items():
            total[column] = total.get(column, Forms()) + found
    return total


def decimals(forms: Mapping[str, Forms]) -> dict[str, str]:
    """Column -> its decimal mark, where its cells or those of other columns tell; else what makes the marks of 1,200 thousands."""
    point, comma = (sum(getattr(found, name) for found in forms.values()) for name in ("point", "comma"))
    table = None if point == comma else POINT if point > comma else COMMA
    result = {}
    for column, found in forms.items():
        if found.certain:
            result[column] = POINT if found.point >= found.comma else COMMA
        elif found.in_doubt:
            result[column] = table or (POINT if found.either_comma >= found.either_point else COMMA)
    return result


def thousands(forms: Mapping[str, Forms]) -> str | None:
    """The one mark that stands between thousands in the columns; None where there is none, or several."""
    told, marks = decimals(forms), set[str]()
    for column, found in forms.items():
        marks |= found.groups.keys()
        for mark, cells in ((POINT, found.either_point), (COMMA, found.either_comma)):
            marks |= {mark} if cells and told.get(column) != mark else set()
    return marks.pop() if len(marks) == 1 else None


def doubts(forms: Mapping[str, Forms], reading: Reading) -> tuple[str, ...]:
    """What a person should look at, a line for each: cells that can be read two ways, and several currencies in one column."""
    cells = Cells(reading, decimals=decimals(forms))
    found = [_two_ways(column, one, cells, column_marks(cells, column)) for column, one in forms.items() if one.in_doubt]
    for column, one in forms.items():
        if not one_currency(one.currencies):
            named = ", ".join(f"{token} ({vocabulary.counted(n, 'cell')})" for token, n in one.currencies.items())
            found.append(
                f"Warning: {column} has several currencies: {named}. Amounts are added up as they are: convert them first, or take in one "
                "currency."
            )
    return tuple(found)


def column_marks(cells: Cells, column: str) -> Marks:
    """How a column of text is written."""
    return cells.marks(ibis.table({column: "string"}, name="column")[column])


def _two_ways(column: str, one: Forms, cells: Cells, marks: Marks) -> str:
    mark = COMMA if one.either_comma >= one.either_point else POINT
    as_thousands, as_decimals = (one.sum_point, one.sum_comma) if mark == COMMA else (one.sum_comma, one.sum_point)
    is_thousands = marks.decimal != mark
    used, other = (as_thousands, as_decimals) if is_thousands else (as_decimals, as_thousands)
    what = f"{vocabulary.counted(one.in_doubt, 'cell')} such as {one.example!r} can be read two ways"
    ways = ("with thousands", "with decimals") if is_thousands else ("with decimals", "with thousands")
    sums = f"{ways[0]}, as they are read, the column adds up to {used:,.2f}; {ways[1]} to {other:,.2f}"
    if marks.given:
        return f"{column}: {what}; {sums}. That is how the settings have it"
    return f"Warning: {column}: {what}; {sums}. Say in the settings which is right: thousands: {mark!r} or decimal: {mark!r}"
