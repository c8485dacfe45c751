"""Reading cells as text, numbers, times or booleans, in the forms that the settings describe.

Every reader returns null for a cell that is empty or unreadable; `unreadable` distinguishes the two. The
readers run on DuckDB, which reads sources whatever engine computes the tables.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import ibis.expr.types as ir

from segmentation_assets.settings.source import Reading
from segmentation_assets.sources.numbers import BLANKS, COMMA, KNOWN, LIKELY, NOTHING, OTHER, POINT, Marks, plain_number, read_number, tidy

EXCEL = "excel"  # days since 30 December 1899
ZONES = {
    "PST": "-0800", "PDT": "-0700", "MST": "-0700", "MDT": "-0600", "CST": "-0600", "CDT": "-0500", "EST": "-0500", "EDT": "-0400",
    "BST": "+0100", "CET": "+0100", "CEST": "+0200", "JST": "+0900", "AEST": "+1000", "AEDT": "+1100",
}  # fmt: skip
SERIAL_DAY, SERIAL_TIME = r"^[2-7][0-9]{4}(?:[.,]0*)?$", r"^[2-7][0-9]{4}[.,][0-9]*[1-9][0-9]*$"  # from October 1954 to January 2119
TIMES = (
    "", " %H:%M", " %H:%M:%S", ", %H:%M:%S", ", %H:%M", " %I:%M %p", " %I:%M:%S %p", ", %I:%M %p", ", %I:%M:%S %p", " at %I:%M %p",
    " at %I:%M:%S %p", " at %H:%M", " %I:%M%p", " %H:%M:%S %z", " %H:%M %z", " %I:%M:%S %p %z", " %I:%M:%S %p %Z", " %H:%M:%S %Z",
)  # fmt: skip
DATE_FORMATS = (
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d %H:%M:%S %z",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d %H:%M %z",
    "%Y-%m-%d %H:%M:%S.%f",
    "%Y-%m-%d %H:%M:%S.%f %z",
    "%Y-%m-%dT%H:%M:%S.%f",
    "%Y-%m-%d %I:%M %p",
    "%Y-%m-%d %I:%M:%S %p",
    "%Y-%m-%d, %H:%M:%S",
    "%Y%m%d",
    *(
        f"{day}{time}"
        for day, times in (
            ("%d/%m/%Y", TIMES),
            ("%m/%d/%Y", TIMES),
            ("%d.%m.%Y", TIMES),
            ("%d-%m-%Y", TIMES),
            ("%m-%d-%Y", TIMES),
            ("%Y/%m/%d", TIMES),
            ("%Y.%m.%d", TIMES[:3]),
            ("%d/%m/%y", TIMES[:5]),
            ("%m/%d/%y", TIMES[:7]),
            ("%d.%m.%y", TIMES[:5]),
            ("%d-%m-%y", TIMES[:5]),
            ("%m-%d-%y", TIMES[:7]),
            ("%y-%m-%d", TIMES[:3]),
            ("%y/%m/%d", TIMES[:3]),
            ("%y.%m.%d", TIMES[:3]),
            ("%d-%b-%Y", TIMES),
            ("%d %b %Y", TIMES),
            ("%d-%b-%y", (*TIMES[:7], " %I.%M.%S.%f %p", " %I.%M.%S.%n %p", " %I.%M.%S %p")),
            ("%b %d, %Y", TIMES),
            ("%b %d %Y", (*TIMES[:7], " %I:%M%p")),
            ("%d %B %Y", TIMES),
            ("%B %d, %Y", TIMES),
            ("%a, %d %b %Y", (" %H:%M:%S %z", " %H:%M:%S %Z")),
            ("%a %b %d", (" %H:%M:%S %Y", " %H:%M:%S %z %Y", " %Y %H:%M:%S", " %Y %H:%M:%S %z")),
            ("%A, %B %d, %Y", TIMES[:7]),
        )
        for time in times
    ),
    "%Y%m%d%H%M%S",
    "%Y%m%dT%H%M%S",
    EXCEL,
)
"""Formats to try for `auto`, likelier ones first: day first if ambiguous."""
ISO = "ISO 8601"
UNIX = {"unix": 1_000.0, "unix_ms": 1.0, "unix_us": 0.001}  # milliseconds that one is
TRUE = ("true", "t", "yes", "y", "1", "1.0", "on", "ja", "wahr", "oui", "vrai", "si", "sí", "sì", "verdadero", "vero", "waar")
FALSE = ("false", "f", "no", "n", "0", "0.0", "off", "nein", "falsch", "non", "faux", "falso", "nee", "onwaar")
"""Yes and no in English, German, French, Spanish, Italian and Dutch, in any case."""
OFFSET = r"[A-Za-z+-]"  # after the day, which is in a time of day only as part of an offset or zone
FIRST_LOW, FIRST_HIGH = 33, 96  # codes of characters from which on 63 of them are bits of a number
LONG = len("onbekend")  # characters of the longer missing values; short ids cannot be one of these
LARGEST_WHOLE = 9.2e18  # that an int64 holds
AROUND = rf"[\s{BLANKS}{NOTHING}]"  # whitespace of every kind, and zero-width characters


def _signature(first: Any, second: Any) -> None:
    """Placeholder for functions of DuckDB that Ibis lacks."""


def _of_one(text: Any) -> None:
    """Placeholder for functions of DuckDB that Ibis lacks."""


_try_strptime = ibis.udf.scalar.builtin(_signature, name="try_strptime", signature=((dt.string, dt.string), dt.timestamp))
_try_strptime_with_offset = ibis.udf.scalar.builtin(
    _signature, name="try_strptime", signature=((dt.string, dt.string), dt.Timestamp("UTC"))
)
_position = ibis.udf.scalar.builtin(_signature, name="strpos", signature=((dt.string, dt.string), dt.int64))
_bytes = ibis.udf.scalar.builtin(_of_one, name="strlen", signature=((dt.string,), dt.int64))
_in_zone = ibis.udf.scalar.builtin(_signature, name="timezone", signature=((dt.string, dt.timestamp), dt.Timestamp("UTC")))


def _of_serial(text: ir.StringValue, form: str) -> ir.TimestampValue:
    """The time, to the second, that a spreadsheet stores as days since the end of 1899."""
    number = ibis.ifelse(text.re_search(form), text.replace(COMMA, POINT), ibis.null("string")).try_cast("float64")
    return ibis.timestamp("1970-01-01 00:00:00") + ((number - 25_569) * 86_400).round().cast("int64").as_interval("s")


def _with_offset(text: ir.StringValue) -> ir.StringValue:
    """The text with an offset in place of a zone abbreviation that the engine does not know, or reads as a place with summer time."""
    for name, offset in ZONES.items():
        text = text.re_replace(f" {name}$", f" {offset}")
    return text


def _year_of(written: str) -> str:
    """What a text has that such a format may read: to strptime, 05/01/24 is of the year 24, and "infinity" of 1900."""
    if "%Y" not in written:
        return r"\d"
    return r"^\d{4}" if written.startswith("%Y") else r"\d{4}"


def _without_words(text: ir.StringValue, written: str) -> ir.StringValue:
    """The text as the engine reads such a format: am for a.m., 5 for 5th, no Uhr behind a time, and of JavaScript's zone the offset."""
    if "%p" in written:
        text = ibis.ifelse(text.re_search(r"(?i)[ap]\. ?m"), text.re_replace(r"(?i)\b([ap])\. ?m\b\.?", r"\1m"), text)
    if "%d" in written and re.search("%[bB]", written):
        text = ibis.ifelse(text.re_search(r"(?i)\d(?:st|nd|rd|th)\b"), text.re_replace(r"(?i)(\d)(?:st|nd|rd|th)\b", r"\1"), text)
    if "%H" in written:
        text = ibis.ifelse(text.endswith(" Uhr"), text.replace(" Uhr", ""), text)
    if written.startswith("%a") and written.endswith("%z"):
        text = text.re_replace(r" GMT([+-]\d{4})(?: \(.*\))?$", r" \1")
    return text


def _is_tight(text: ir.StringValue) -> ir.BooleanValue:
    """Whether it begins with a character that is seen, and all are of ASCII, so that no blank of another kind ends it."""
    return (text.ascii_str() > ord(" ")) & (_bytes(text) == text.length())


def _begins_with(text: ir.StringValue, characters: set[str]) -> ir.BooleanValue:
    """Whether a text begins with one of some characters of ASCII, by bits of two numbers: to compare with each costs ten times as much."""
    codes, first = {ord(character) for character in characters}, text.ascii_str().cast("int64")
    low, high = (sum(1 << (code - start) for code in codes if start <= code < start + 63) for start in (FIRST_LOW, FIRST_HIGH))
    bits = (ibis.literal(low, "int64") >> (first - FIRST_LOW)) | (ibis.literal(high, "int64") >> (first - FIRST_HIGH))
    return (bits & 1) == 1


def _bare(text: ir.StringValue) -> ir.StringValue:
    """The text without surrounding whitespace of any kind."""
    return text.re_replace(rf"^{AROUND}+|{AROUND}+$", "")


@dataclass(frozen=True)
class Cells:
    """How the cells of one table are written.

    Attributes:
        formats: the date formats in force: given, or guessed by the caller.
        zone: the zone to which times are converted; also the TimeZone of the connection that computes them.
        decimals: source column -> its decimal mark, if known.
        serials: whether a number that no format reads as a time may be a spreadsheet's day number; off when guessing
            whether a column holds times at all.
    """

    reading: Reading
    formats: tuple[str, ...] = (ISO,)
    zone: str = "UTC"
    decimals: Mapping[str, str] = field(default_factory=dict)
    serials: bool = True

    @property
    def unzoned(self) -> str:
        """The zone of times without an offset."""
        return self.reading.timezone or self.zone

    @property
    def guessing(self) -> "Cells":
        """A copy for guessing the type of a column: only its name can tell that five-digit numbers are dates."""
        return replace(self, formats=tuple(written for written in self.formats if written != EXCEL) or (ISO,), serials=False)

    def text(self, value: ir.Value) -> ir.StringValue:
        """The cell as text without surrounding whitespace, or null if it is empty or stands for a missing value."""
        if value.type().is_string():
            kept = value
        elif value.type().is_floating() or value.type().is_decimal():  # 13085.0 is an id that a spreadsheet made a number
            whole = (value % 1 == 0) & (value.abs() < LARGEST_WHOLE)
            kept = ibis.ifelse(whole, ibis.ifelse(whole, value, 0).cast("int64").cast("string"), value.cast("string"))
        else:
            kept = value.cast("string")
        rest = ibis.ifelse(self._absent(kept), ibis.null("string"), ibis.ifelse(_is_tight(kept), kept, _bare(kept)))
        return ibis.ifelse(self._plainly_there(kept), kept, rest)

    def is_there(self, value: ir.Value) -> ir.BooleanValue:
        """Whether the cell is filled: the same as whether its text is not null, but cheaper for few cells."""
        return value.notnull() & ~self._absent(value if value.type().is_string() else value.cast("string"))

    def _plainly_there(self, text: ir.StringValue) -> ir.BooleanValue:
        """Whether the text's ends show that it is no missing value and needs no trimming; true for most cells, at a tenth of the cost."""
        short, long = set[str](), set[str]()  # first characters of missing values
        for missing in filter(None, self.reading.missing_values):
            (short if len(missing) < LONG else long).update({missing[0].lower(), missing[0].upper()})
        return _is_tight(text) & ~(_begins_with(text, short) | (_begins_with(text, long) & (_bytes(text) >= LONG)))

    def _absent(self, text: ir.StringValue) -> ir.BooleanValue:
        """Whether the text is blank or stands for a missing value."""
        missing = "|".join(re.escape(text) for text in self.reading.missing_values)
        # One look, because the engine makes a join of each list, and computes beforehand what is used twice.
        return text.re_search(rf"(?i)^{AROUND}*(?:{missing})?{AROUND}*$")

    def read(self, kind: str, value: ir.Value) -> ir.Value:
        """The result of `prepared`, read as text, number, time or boolean."""
        if not value.type().is_string():
            reader: Callable[[ir.Value], ir.Value] = getattr(self, kind)
            return reader(value)
        if kind == "time":
            return self._time_of_text(value).cast("timestamp(6)")
        return self.boolean(value) if kind == "boolean" else value

    def prepared(self, kind: str, value: ir.Value) -> ir.Value:
        """The first half of reading: text with missing values as null; typed values are unchanged."""
        if not value.type().is_string():
            return value
        if kind == "number":  # texts for missing values are not numbers either
            return self.number(value)
        if kind != "time":
            return self.text(value)
        bare = ibis.ifelse(self._absent(value), ibis.null("string"), tidy(value).strip())
        return ibis.ifelse(self._plainly_there(value) & (value.right(1) > " "), value, bare)

    def number(self, value: ir.Value) -> ir.FloatingValue:
        """The cell as a number, in any form."""
        if value.type().is_numeric() or value.type().is_boolean():
            return value.cast("float64")
        return read_number(value, self.marks(value)) if value.type().is_string() else ibis.null("float64")

    def is_number(self, value: ir.Value) -> ir.BooleanValue:
        """Whether a text looks like a number, without fully reading it: for guessing the type of a column.

        A number has a digit: `USD` alone is not one, nor is `infinity`, which the engine would read.
        """
        if self.marks(value).given:
            return self.number(value).notnull() & value.re_search("[0-9]")
        return (plain_number(value).notnull() & value.re_search("[0-9]")) | (value.re_search(LIKELY) & value.re_search(KNOWN))

    def marks(self, value: ir.Value) -> Marks:
        """How numbers are written in a column, or in an expression over columns that agree."""
        reading = self.reading
        thousands = None if reading.thousands == "auto" else reading.thousands
        given = reading.decimal if reading.decimal != "auto" else OTHER.get(reading.thousands)
        if given:
            return Marks(given, True, thousands)
        columns = (found.name for found in value.op().find(ops.Field, filter=ops.Value))
        told = {self.decimals[name] for name in columns if name in self.decimals}
        return Marks(told.pop() if len(told) == 1 else POINT, False, thousands)

    def time(self, value: ir.Value) -> ir.TimestampValue:
        """The cell as a time in `zone`; without an offset, it is assumed to be in the table's zone."""
        kind = value.type()
        if kind.is_timestamp():
            read = value.cast("timestamp") if kind.timezone else self._converted(value.cast("timestamp"), self.unzoned)
        elif kind.is_date():  # a day without a time of day is that day in every zone
            read = value.cast("timestamp")
        elif kind.is_numeric() and set(self.formats) & set(UNIX):
            read = self._time_of_seconds(value.cast("float64"))
        elif kind.is_numeric() or kind.is_string():
            read = self._time_of_text(tidy(self.text(value)).strip() if kind.is_string() else self.text(value))
        else:
            return ibis.null("timestamp(6)")
        return read.cast("timestamp(6)")

    def timed(self, table: ir.Table, value: ir.Value, **others: ir.Value) -> ir.Table:
        """The given values of a table, and another read as `time`, in two steps: in one, each attempt would repeat the expression."""
        first = table.select(**others, time=self.prepared("time", value))
        return first.mutate(time=self.read("time", first.time))

    def is_odd(self, value: ir.Value) -> ir.BooleanValue:
        """Whether a number stored as text is not in plain form, or can be read two ways."""
        place = _position(value, POINT)
        three_decimals = (place > 0) & (_bytes(value) - place == len("200"))
        return value.notnull() & (value.try_cast("float64").isnull() | three_decimals)

    def is_serial(self, value: ir.Value) -> ir.BooleanValue:
        """Whether a time stored as text is a spreadsheet's day number, and is read as one."""
        if not value.type().is_string() or set(self.formats) & set(UNIX):
            return ibis.literal(False)
        short = (value.length() == len("45300")) | value.substr(len("45300"), 1).isin((POINT, COMMA))  # at a tenth of the cost
        return ibis.ifelse(short, value.re_search(f"{SERIAL_DAY}|{SERIAL_TIME}"), False).fill_null(False)

    def boolean(self, value: ir.Value) -> ir.BooleanValue:
        """The cell as a boolean."""
        if value.type().is_boolean():
            return value
        word = self.text(value).strip().lower()
        return ibis.cases((word.isin(TRUE), True), (word.isin(FALSE), False), else_=ibis.null("boolean"))

    def unreadable(self, value: ir.Value, read: ir.Value) -> ir.BooleanValue:
        """Whether the cell is filled but could not be read."""
        return read.isnull() & self.text(value).notnull()

    def _time_of_text(self, text: ir.StringValue) -> ir.TimestampValue:
        if set(self.formats) & set(UNIX):
            return self._time_of_seconds(text.try_cast("float64"))
        attempts = []
        for written in self.formats:
            if written == ISO:
                attempts.append(self._iso_time(text))
            elif written == EXCEL:
                attempts += self._of_spreadsheet(text)
            else:
                dated = ibis.ifelse(text.re_search(_year_of(written)), text, ibis.null("string"))
                attempts += self._as_written(_without_words(dated, written), written)
        attempts += self._of_spreadsheet(text) if self.serials and EXCEL not in self.formats else []
        return ibis.coalesce(*attempts)

    def _as_written(self, text: ir.StringValue, written: str) -> list[ir.TimestampValue]:
        if "%Z" in written:
            with_offset = _with_offset(text), written.replace("%Z", "%z")
            return [_try_strptime_with_offset(*each).cast("timestamp") for each in (with_offset, (text, written))]
        if "%z" in written:
            return [_try_strptime_with_offset(text, written).cast("timestamp")]
        if re.search(r"%[HIcXT]", written):
            return [self._converted(_try_strptime(text, written), self.unzoned)]
        return [_try_strptime(text, written)]

    def _of_spreadsheet(self, text: ir.StringValue) -> list[ir.TimestampValue]:
        return [_of_serial(text, SERIAL_DAY), self._converted(_of_serial(text, SERIAL_TIME), self.unzoned)]

    def _time_of_seconds(self, number: ir.FloatingValue) -> ir.TimestampValue:
        milliseconds = number * next(length for name, length in UNIX.items() if name in self.formats)
        likely = ibis.ifelse(milliseconds.abs() < 1e14, milliseconds, ibis.null("float64"))  # infinity cannot be rounded
        return self._converted(likely.round().as_timestamp("ms").cast("timestamp"), "UTC")

    def _iso_time(self, text: ir.StringValue) -> ir.TimestampValue:
        # What is written as usual, or is a day, has no offset; to look for one costs four times as much. Longer than with a year of two
        # digits, it has one of four; of other texts the first three characters are asked, because 05-01-24 is not of the year 5.
        numeric = (text >= "0") & (text < ":")  # not "infinity" or "epoch"
        long = ibis.ifelse(numeric & (_bytes(text) > len("24-01-05 10:00:00")), text, ibis.null("string"))
        usual = self._converted(_try_strptime(long, "%Y-%m-%d %H:%M:%S"), self.unzoned)
        dated = ibis.ifelse(numeric & (text.substr(1, 1) >= "0") & (text.substr(2, 1) >= "0"), text, ibis.null("string"))
        day, without = text.length() <= len("2020-01-01"), dated.try_cast("timestamp")
        rest = dated.try_cast("timestamp('UTC')").cast("timestamp")
        if {self.unzoned, self.zone} != {"UTC"}:  # where both are UTC, the cast takes what has no offset to be in it, at any hour
            with_offset = text.substr(len("2020-01-01T")).re_search(OFFSET)
            rest = ibis.ifelse(with_offset, rest, self._converted(without, self.unzoned))
        return ibis.coalesce(usual, ibis.ifelse(day, without, rest))

    def _converted(self, time: ir.TimestampValue, zone: str) -> ir.TimestampValue:
        """A time converted from another zone to ours; a time in ours is unchanged, even in an hour that the clocks skip."""
        return time if zone == self.zone else _in_zone(zone, time).cast("timestamp")
