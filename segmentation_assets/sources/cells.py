"""What a cell says: text, number, time or yes and no, read as the settings say it is written.

Every reader gives null where the cell is empty or cannot be read; `unreadable` tells the second from the first. The
readers run on DuckDB, in which sources are taken in whatever engine computes the tables.
"""

import functools
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from segmentation_assets.settings_source import Reading

DATE_FORMATS = (
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d %H:%M:%S.%f",
    "%Y-%m-%dT%H:%M:%S.%f",
    "%Y%m%d",
    "%d/%m/%Y",
    "%d/%m/%Y %H:%M",
    "%d/%m/%Y %H:%M:%S",
    "%m/%d/%Y",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %I:%M %p",
    "%m/%d/%Y %I:%M:%S %p",
    "%d.%m.%Y",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%d-%m-%Y",
    "%d-%m-%Y %H:%M",
    "%d-%m-%Y %H:%M:%S",
    "%m-%d-%Y",
    "%Y/%m/%d",
    "%Y/%m/%d %H:%M",
    "%Y/%m/%d %H:%M:%S",
    "%d/%m/%y",
    "%m/%d/%y",
    "%m/%d/%y %H:%M",
    "%d/%m/%y %H:%M",
    "%d.%m.%y",
    "%d-%b-%Y",
    "%d %b %Y",
    "%d-%b-%y",
    "%b %d, %Y",
    "%d %B %Y",
    "%B %d, %Y",
    "%Y%m%d%H%M%S",
)
"""Formats that are tried when the settings say `auto`, likelier ones first: day first where nothing tells."""
ISO = "ISO 8601"
UNIX = {"unix": "s", "unix_ms": "ms"}
TRUE = ("true", "t", "yes", "y", "1", "1.0", "on", "ja", "wahr", "oui", "vrai", "si", "sí", "sì", "verdadero", "vero", "waar")
FALSE = ("false", "f", "no", "n", "0", "0.0", "off", "nein", "falsch", "non", "faux", "falso", "nee", "onwaar")
"""Yes and no in English, German, French, Spanish, Italian and Dutch, in any case."""
OFFSET = r"(Z|UTC|[+-]\d{2}(:?\d{2})?)\s*$"  # after the day


def _signature(first: Any, second: Any) -> None:
    """Stands in for functions that DuckDB has and Ibis has not."""


_try_strptime = ibis.udf.scalar.builtin(_signature, name="try_strptime", signature=((dt.string, dt.string), dt.timestamp))
_try_strptime_with_offset = ibis.udf.scalar.builtin(
    _signature, name="try_strptime", signature=((dt.string, dt.string), dt.Timestamp("UTC"))
)
_in_zone = ibis.udf.scalar.builtin(_signature, name="timezone", signature=((dt.string, dt.timestamp), dt.Timestamp("UTC")))


@dataclass(frozen=True)
class Cells:
    """How the cells of one table are written.

    Args:
        formats: the date formats in force: given, or guessed by the caller.
        zone: in which times are given; the TimeZone of the connection that computes them.
    """

    reading: Reading
    formats: tuple[str, ...] = (ISO,)
    zone: str = "UTC"

    @property
    def unzoned(self) -> str:
        """The zone of times that carry no offset."""
        return self.reading.timezone or self.zone

    def text(self, value: ir.Value) -> ir.StringValue:
        """The cell as text, null where it is empty or stands for a missing value."""
        if value.type().is_string():
            kept = value
        elif value.type().is_floating() or value.type().is_decimal():  # 13085.0 is an id that a spreadsheet made a number
            whole = (value == value.floor()) & (value.abs() < 1e15)
            kept = ibis.ifelse(whole, ibis.ifelse(whole, value, 0).cast("int64").cast("string"), value.cast("string"))
        else:
            kept = value.cast("string")
        return ibis.ifelse(self._plainly_there(kept), kept, ibis.ifelse(self._absent(kept), ibis.null("string"), kept))

    def _plainly_there(self, text: ir.StringValue) -> ir.BooleanValue:
        """Whether its first character tells that the text is no missing value; most cells end here, at a tenth of the cost."""
        first = text.ascii_str()  # its code, 0 of an empty text
        others = [first != code for code in sorted({ord(missing[0]) for missing in self.reading.missing_values if missing})]
        return functools.reduce(operator.and_, others, first > ord(" "))

    def _absent(self, text: ir.StringValue) -> ir.BooleanValue:
        """Whether it is blank, or one of the texts that stand for a missing value."""
        bare = text.strip()
        blank = bare == ""
        # Comparisons one by one, because DuckDB makes a join of each IN list, which costs ten times as much.
        named = [bare == missing for missing in self.reading.missing_values]
        return functools.reduce(operator.or_, named, blank)

    def read(self, kind: str, value: ir.Value) -> ir.Value:
        """A value that `prepared` gave, read as text, number, time or boolean."""
        if not value.type().is_string():
            reader: Callable[[ir.Value], ir.Value] = getattr(self, kind)
            return reader(value)
        if kind == "time":
            return self._time_of_text(value).cast("timestamp(6)")
        return self.boolean(value) if kind == "boolean" else value

    def prepared(self, kind: str, value: ir.Value) -> ir.Value:
        """The first half of reading: text without what stands for nothing; a value that has a type is left as it is."""
        if not value.type().is_string():
            return value
        if kind == "number":  # what stands for nothing is no number either
            return self.number(value)
        if kind != "time":
            return self.text(value)
        bare = ibis.ifelse(self._absent(value), ibis.null("string"), value.strip())
        return ibis.ifelse(self._plainly_there(value) & (value.right(1) > " "), value, bare)

    def number(self, value: ir.Value) -> ir.FloatingValue:
        """The cell as a number; currency signs around it are passed over."""
        if value.type().is_numeric() or value.type().is_boolean():
            return value.cast("float64")
        if not value.type().is_string():
            return ibis.null("float64")
        if self.reading.decimal == "." and not self.reading.thousands:
            # Most cells are plain numbers; only the others pay for a look at currency signs.
            return ibis.coalesce(value.try_cast("float64"), self._bare(value).try_cast("float64"))
        thousands, decimal = re.escape(self.reading.thousands), re.escape(self.reading.decimal)
        bare = self._bare(value)
        if self.reading.thousands:
            grouped = bare.re_search(rf"^[+-]?\d{{1,3}}({thousands}\d{{3}})+({decimal}\d*)?$")
            bare = ibis.ifelse(grouped, bare.replace(self.reading.thousands, ""), bare)
        written = rf"^[+-]?(\d+{decimal}?\d*|{decimal}\d+)([eE][+-]?\d+)?$"
        return ibis.ifelse(bare.re_search(written), bare.replace(self.reading.decimal, "."), ibis.null("string")).try_cast("float64")

    def _bare(self, value: ir.StringValue) -> ir.StringValue:
        """Without the space and currency signs around it."""
        return value.re_replace(r"^[\s$€£¥]+|[\s$€£¥\x{00A0}]+$", "")

    def time(self, value: ir.Value) -> ir.TimestampValue:
        """The cell as a time in `zone`; without an offset it is taken to be in the settings' zone."""
        kind = value.type()
        if kind.is_timestamp():
            read = value.cast("timestamp") if kind.timezone else self._converted(value.cast("timestamp"), self.unzoned)
        elif kind.is_date():  # a day without a time of day is that day in every zone
            read = value.cast("timestamp")
        elif kind.is_numeric() and set(self.formats) & set(UNIX):
            read = self._time_of_seconds(value.cast("float64"))
        elif kind.is_numeric() or kind.is_string():
            read = self._time_of_text(self.text(value).strip())
        else:
            return ibis.null("timestamp(6)")
        return read.cast("timestamp(6)")

    def boolean(self, value: ir.Value) -> ir.BooleanValue:
        """The cell as yes or no."""
        if value.type().is_boolean():
            return value
        word = self.text(value).strip().lower()
        return ibis.cases((word.isin(TRUE), True), (word.isin(FALSE), False), else_=ibis.null("boolean"))

    def unreadable(self, value: ir.Value, read: ir.Value) -> ir.BooleanValue:
        """Whether there is something in the cell that could not be read."""
        return read.isnull() & self.text(value).notnull()

    def _time_of_text(self, text: ir.StringValue) -> ir.TimestampValue:
        if set(self.formats) & set(UNIX):
            return self._time_of_seconds(text.try_cast("float64"))
        dated = ibis.ifelse(text.re_search(r"\d"), text, ibis.null("string"))  # strptime reads "infinity" as 1900-01-01
        attempts = []
        for written in self.formats:
            if written == ISO:
                attempts.append(self._iso_time(text))
            elif "%z" in written or "%Z" in written:
                attempts.append(_try_strptime_with_offset(dated, written).cast("timestamp"))
            elif re.search(r"%[HIcXT]", written):
                attempts.append(self._converted(_try_strptime(dated, written), self.unzoned))
            else:
                attempts.append(_try_strptime(dated, written))
        return ibis.coalesce(*attempts)

    def _time_of_seconds(self, number: ir.FloatingValue) -> ir.TimestampValue:
        milliseconds = number * (1_000 if "unix" in self.formats else 1)
        likely = ibis.ifelse(milliseconds.abs() < 1e14, milliseconds, ibis.null("float64"))  # infinity cannot be rounded
        return self._converted(likely.round().as_timestamp("ms").cast("timestamp"), "UTC")

    def _iso_time(self, text: ir.StringValue) -> ir.TimestampValue:
        dated = ibis.ifelse((text >= "0") & (text < ":"), text, ibis.null("string"))  # not "infinity" or "epoch"
        # What is written as usual, or is a day, has no offset; to look for one costs four times as much.
        usual = self._converted(_try_strptime(dated, "%Y-%m-%d %H:%M:%S"), self.unzoned)
        day, without = text.length() <= len("2020-01-01"), dated.try_cast("timestamp")
        rest = dated.try_cast("timestamp('UTC')").cast("timestamp")
        if {self.unzoned, self.zone} != {"UTC"}:  # where both are UTC, the cast takes what has no offset to be in it, at any hour
            with_offset = text.substr(len("2020-01-01")).re_search(OFFSET)
            rest = ibis.ifelse(with_offset, rest, self._converted(without, self.unzoned))
        return ibis.coalesce(usual, ibis.ifelse(day, without, rest))

    def _converted(self, time: ir.TimestampValue, zone: str) -> ir.TimestampValue:
        """A time of another zone in our own; one of our own is left as it is written, also in an hour that the clocks skip."""
        return time if zone == self.zone else _in_zone(zone, time).cast("timestamp")
