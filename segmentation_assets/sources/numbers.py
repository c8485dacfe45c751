"""Numbers stored as text: reading each cell by its form, and the decimal mark of a column.

A cell is read on its own if its form is unambiguous: `1.234,50`, `12,5`, `1 234.50 €`, `12,34,567`, `(4.50)`. One form
is ambiguous: one to three digits, one mark, three digits, as in `1,200`. There the column decides what the mark means.
"""

import re
from dataclasses import dataclass

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from segmentation_assets.sources.currencies import HUNDREDTHS, TOKENS

POINT, COMMA = ".", ","
BLANKS = (
    "\t\n\v\f\r\x1c\x1d\x1e\x1f\x85\xa0"
    "\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
NOTHING = "\u180e\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u00ad"  # characters without width
APOSTROPHES, DASHES = "\u2018\u2019\u02bc\u00b4`\u2032", "\u2010\u2011\u2012\u2013\u2014\u2212\ufe63\uff0d"
CUT = "\ue000"  # a private character, which no text keeps

# Signs before and behind, digits with their marks, and what may be a currency before and behind; "12,-" is twelve.
TOKEN = rf"(?:[A-Za-z]{{1,3}}\.? ?\p{{Sc}}|[^0-9.,'()+\- {CUT}][^0-9,'()+\- {CUT}]{{0,5}})?"
DIGITS = r"[0-9](?:[0-9., ']*[0-9])?(?:[eE][-+]?[0-9]+)?|[.,][0-9]+"
PARTS = rf"^ *([-+(]?) *({TOKEN}) *([-+(]?) *({DIGITS})(?:[.,]-{{0,2}})? *({TOKEN}) *([-)]?) *({TOKEN}) *(\)?) *$"
IN_PARTS = CUT.join((r"\1\3\6\8", r"\4", r"\2", r"\5", r"\7"))
NEGATIVE = rf"^(?:(?:-|\(\)){CUT}([^{CUT}]+){CUT}.*|{CUT}([^{CUT}]+){CUT}(?:.*{CUT})?(?i:CR)\.?(?: ?\p{{Sc}})?(?:{CUT}.*)?)$"
POSITIVE = rf"^\+?{CUT}([^{CUT}]+){CUT}.*$"
BARE = rf"[-+()0-9.,' {BLANKS}{APOSTROPHES}{DASHES}{NOTHING}]*"
SIGN = rf"[^\P{{Sc}}{HUNDREDTHS}]"  # a currency's
WORDS = "|".join(["[0-9]E[-+]?[0-9]", "CR", "DR", *(re.escape(token) for token in TOKENS), f"[A-Z]{{0,3}} ?{SIGN}"])
KNOWN = rf"(?i)^{BARE}(?:(?:{WORDS}){BARE})*$"
SIGNS, BLANK_SIGNS = "$€£¥₹₩", " \xa0\u202f\u2009"  # what stands around and in most numbers that are not plain

COMMA_GROUPS = r"[1-9][0-9]{0,2}(?:,[0-9]{3})+|[1-9][0-9]?(?:,[0-9]{2})+,[0-9]{3}"  # 1,234,567 and 12,34,567
POINT_GROUPS = r"[1-9][0-9]{0,2}(?:\.[0-9]{3})+"
EITHER = r"[1-9][0-9]{0,2}[.,][0-9]{3}"  # thousands or a decimal
EXPONENT = r"(?:[eE][-+]?[0-9]+)?"
SEVERAL_GROUPS = {
    COMMA: r"[1-9][0-9]{0,2}(?:,[0-9]{3}){2,}|[1-9][0-9]?(?:,[0-9]{2})+,[0-9]{3}",
    POINT: r"[1-9][0-9]{0,2}(?:\.[0-9]{3}){2,}",
}
_SPACE = rf"[ '{BLANKS}{APOSTROPHES}]"
_WHOLE = rf"[0-9]+|{COMMA_GROUPS}|{POINT_GROUPS}|[0-9]{{1,3}}(?:{_SPACE}[0-9]{{3}})+"
_DIGITS = rf"(?:(?:{_WHOLE})(?:[.,][0-9]*)?|[.,][0-9]+)"
LIKELY = rf"^[^0-9.,]*(?:[^0-9 ]+[.]{_SPACE}*)?{_DIGITS}{EXPONENT}[^0-9]*$"  # a number, and no digits beside it
GROUPS = {COMMA: COMMA_GROUPS, POINT: POINT_GROUPS}
OTHER = {COMMA: POINT, POINT: COMMA}


def _one(text: str, some: str, others: str) -> None:
    """Placeholder for a function of DuckDB that Ibis lacks."""


def _two(text: str, mark: str, place: int) -> None:
    """Placeholder for a function of DuckDB that Ibis lacks."""


_split_part = ibis.udf.scalar.builtin(_two, name="split_part", signature=((dt.string, dt.string, dt.int64), dt.string))
_translate = ibis.udf.scalar.builtin(_one, name="translate", signature=((dt.string, dt.string, dt.string), dt.string))


@dataclass(frozen=True)
class Marks:
    """How the numbers of a column are written.

    Attributes:
        decimal: the decimal mark, which decides how ambiguous cells are read.
        given: whether it comes from the settings: then the other mark is never a decimal mark.
        thousands: the only mark allowed between thousands; None allows any, an empty text none.
    """

    decimal: str = POINT
    given: bool = False
    thousands: str | None = None


def tidy(text: ir.StringValue) -> ir.StringValue:
    """The text with a single kind of space, apostrophe and minus, and without zero-width characters."""
    return _translate(text, BLANKS + APOSTROPHES + DASHES + NOTHING + CUT, " " * len(BLANKS) + "'" * len(APOSTROPHES) + "-" * len(DASHES))


def read_number(text: ir.StringValue, marks: Marks) -> ir.FloatingValue:
    """Numbers in any form; null for texts that are not numbers.

    Most cells are plain numbers, which the engine reads itself at a tenth of the cost; most others have groups of thousands
    or a currency sign. No computed value is used twice, because the engine would compute it for every cell in advance.
    """
    plain = plain_number(text if marks.decimal == POINT else ibis.ifelse(text.contains(POINT), ibis.null("string"), text))
    attempts = [_usual(text, marks), *([] if marks.given else [_other(text, marks)]), _unusual(text, marks)]
    return ibis.coalesce(plain, *(one.try_cast("float64") for one in attempts))


def plain_number(text: ir.StringValue) -> ir.FloatingValue:
    """The number as the engine reads it; null for `1_000`, which it would read as 1000 but which may be a code."""
    return ibis.ifelse(text.contains("_"), ibis.null("string"), text).try_cast("float64")


def _usual(text: ir.StringValue, marks: Marks) -> ir.StringValue:
    """Groups of thousands and signs of currency, with the decimal mark of the column."""
    groups = [GROUPS[OTHER[marks.decimal]]] if marks.thousands in {None, OTHER[marks.decimal]} else []
    groups += [rf"[0-9]{{1,3}}(?:[{BLANK_SIGNS}][0-9]{{3}})+"] if marks.thousands in {None, " "} else []
    return _common(text, rf"(?:{'|'.join(['[0-9]+', *groups])})(?:[{marks.decimal}][0-9]*)?", marks.decimal)


def _other(text: ir.StringValue, marks: Marks) -> ir.StringValue:
    """The same with the other decimal mark, if it can only be one."""
    decimal = OTHER[marks.decimal]
    certain = [rf"[0-9]+[{decimal}](?:[0-9]{{1,2}}|[0-9]{{4,}})"]
    certain += [rf"(?:{GROUPS[marks.decimal]})[{decimal}][0-9]*"] if marks.thousands in {None, marks.decimal} else []
    return _common(text, f"(?:{'|'.join(certain)})", decimal)


def _common(text: ir.StringValue, form: str, decimal: str) -> ir.StringValue:
    plain = _translate(text, f"{decimal}{OTHER[decimal]}{SIGNS}{BLANK_SIGNS}", POINT)
    common = rf"^-?[{SIGNS}{BLANK_SIGNS}]*-?{form}[{SIGNS}{BLANK_SIGNS}]*$"
    return ibis.ifelse(text.re_search(common), plain, ibis.null("string"))


def _unusual(text: ir.StringValue, marks: Marks) -> ir.StringValue:
    return ibis.ifelse(is_number(text), _plain(signed(in_parts(text)), marks), ibis.null("string"))


def is_number(text: ir.StringValue) -> ir.BooleanValue:
    """Whether the text has only digits, marks, signs and names of currencies."""
    return text.re_search(KNOWN)


def in_parts(text: ir.StringValue) -> ir.StringValue:
    """Signs, digits, and the texts before and after them, separated by CUT; the text itself if it is not a number."""
    return tidy(text).re_replace(PARTS, IN_PARTS)


def signed(parts: ir.StringValue) -> ir.StringValue:
    """The digits with their marks, with a leading minus if negative."""
    return parts.re_replace(NEGATIVE, r"-\1\2").re_replace(POSITIVE, r"\1")


def part(parts: ir.StringValue, place: int) -> ir.StringValue:
    """One of the parts, counted from 1: signs, digits, the text before, and two texts after."""
    return _split_part(parts, CUT, place)


def _plain(digits: ir.StringValue, marks: Marks) -> ir.StringValue:
    """The number in plain form: without marks between thousands, with a decimal point; empty if no form matches."""
    wholes, fractions, patterns, group = "", "", [], 0
    for whole, decimals in _forms(marks):
        patterns.append(f"(-?(?:{whole})){decimals}")
        wholes, group = rf"{wholes}\{group + 1}", group + 1
        if decimals:
            fractions, group = rf"{fractions}\{group + 1}", group + 1  # no more than 9 in all, which is as far as \9 goes
    cut = digits.re_replace(f"^(?:{'|'.join(patterns)})$", f"{wholes}{CUT}{fractions}").re_replace(rf"^[^{CUT}]*$", "")
    return _translate(cut, f"{CUT}{POINT}{COMMA} '", POINT)


def _forms(marks: Marks) -> list[tuple[str, str]]:
    """Whole part and decimals in each form, as patterns; decimals have one group for their digits."""
    decimals = marks.decimal if marks.given else POINT + COMMA
    own, other = OTHER[marks.decimal], marks.decimal  # between thousands, as the column has it, and not
    forms = []
    if marks.thousands in {None, own}:
        forms.append((GROUPS[own], f"(?:[{marks.decimal}]([0-9]*))?"))
    if marks.thousands in {None, other} and not marks.given:  # without what can be read two ways
        forms += [(SEVERAL_GROUPS[other], ""), (GROUPS[other], f"[{own}]([0-9]*)")]
    if marks.thousands in {None, " ", "'"}:
        between = marks.thousands or " '"
        forms.append((f"[0-9]{{1,3}}(?:[{between}][0-9]{{3}})+", f"(?:[{decimals}]([0-9]*))?"))
    return [*forms, ("[0-9]*", f"[{decimals}]?([0-9]*{EXPONENT})")]
