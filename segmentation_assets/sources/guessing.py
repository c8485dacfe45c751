"""Guesses from a sample of rows: date formats, and the types of columns. Every guess is shown to the user."""

import datetime as dt
import functools
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import ibis
import ibis.expr.types as ir

from segmentation_assets.settings.source import Reading
from segmentation_assets.sources.base import midnight
from segmentation_assets.sources.cells import DATE_FORMATS, EXCEL, ISO, UNIX, Cells
from segmentation_assets.sources.intake_record import IntakeRecord
from segmentation_assets.sources.numbers import tidy
from segmentation_assets.sources.rows import PROBLEM, SourceRows
from segmentation_assets.sources.statements import stored

SAMPLE = 10_000  # rows
DATES_FROM, DATES_UNTIL = dt.date(1900, 1, 1), dt.date(2100, 1, 1)
UNIX_FROM = dt.date(2000, 1, 1)  # smaller numbers are days, years or ids
LONGEST_SHAPE, MOST_SHAPES = 40, 1_000  # characters; different ones, the most frequent
SEVERAL = 3  # most formats mixed in one column
READABLE = 0.95  # of a column's cells, for it to count as numbers or dates: a single wrong cell does not make a column text
BARELY_READABLE = 0.5  # the same if the column's name says so, and no other column qualifies


def date_formats(backend: Any, value: ir.Value, reading: Reading) -> tuple[str, ...]:
    """The formats that read the dates of a column: those in the settings, else those that read most of a sample.

    If a day-first and a month-first format read equally many, day first is taken; the two are never mixed.
    """
    if reading.date_formats != ("auto",):
        return (*reading.date_formats, *(() if set(reading.date_formats) & set(UNIX) else (ISO,)))
    if not (value.type().is_string() or value.type().is_numeric()):
        return (ISO,)
    sample = value.name("value").as_table().filter(ibis._.value.notnull()).limit(SAMPLE)
    text = tidy(Cells(reading).text(sample.value)).strip()
    sample = sample.select(text=text)
    sample = stored(backend, sample)
    some, iso = _counts(backend, sample, (ISO,), reading)
    if iso == some:  # as for most columns; trying all others takes far longer
        return (ISO,)
    candidates = (ISO, *_possible(backend, sample))
    tried = _tried(sample, candidates, reading)
    remaining = stored(backend, tried)  # each format is tried once: that takes long
    chosen: list[str] = []
    while len(chosen) < SEVERAL:
        some, *counts = backend.to_pyarrow(_counted(remaining, len(candidates))).to_pylist()[0].values()
        allowed = [i for i, written in enumerate(candidates) if not any(_contradict(written, other) for other in chosen)]
        most = max((counts[i] for i in allowed), default=0)  # none is left beside seconds since 1970
        if not most:
            break
        best = _likeliest(backend, remaining, {i: candidates[i] for i in allowed if counts[i] == most})
        chosen.append(candidates[best])
        if most == some:
            break
        remaining = remaining.filter(remaining[f"n{best}"].isnull())
    return tuple(chosen) or (ISO,)


def fitting(backend: Any, cells: Sequence[str], known: Collection[str]) -> dict[str, int]:
    """Other formats that read some of the cells as dates -> how many."""
    table = ibis.memtable({"text": cells}, schema={"text": "string"})
    others = [written for written in date_formats(backend, table.text, Reading()) if written not in {*known, ISO, EXCEL}]
    _, *counts = _counts(backend, table, others, Reading())
    return {written: count for written, count in zip(others, counts, strict=True) if count}


def _likeliest(backend: Any, tried: ir.Table, candidates: Mapping[int, str]) -> int:
    """Of formats that read equally many, the first; with two-digit years, the first of those that give the fewest distinct years."""
    first, *_ = candidates
    if len({_year_first(written) for written in candidates.values()} - {None}) < 2:
        return first
    years = backend.to_pyarrow(tried.agg(**{f"n{i}": tried[f"n{i}"].year().nunique() for i in candidates})).to_pylist()[0]
    return min(candidates, key=lambda i: years[f"n{i}"])


def reads_either_way(backend: Any, value: ir.Value, formats: Sequence[str], reading: Reading) -> bool:
    """Whether every date of a sample can be read both day first and month first, so that only another file can decide."""
    other = ambiguous(formats)
    if reading.date_formats != ("auto",) or other is None:
        return False
    text = tidy(Cells(reading).text(value)).strip().name("text").as_table().filter(ibis._.text.notnull()).limit(SAMPLE)
    mirrored = tuple(_mirrored(written) if _day_first(written) is not None else written for written in formats)
    (_, *counts) = _counts(backend, text, (*formats, *mirrored), reading)
    return counts[: len(formats)] == counts[len(formats) :]


def _possible(backend: Any, sample: ir.Table) -> list[str]:
    """The formats that match the shape of a text; trying the others would take long."""
    shapes = sample.select(shape=_shape_of(sample.text)).filter(ibis._.shape.length() <= LONGEST_SHAPE)
    counted = shapes.group_by("shape").agg(n=ibis._.count()).order_by(ibis.desc("n"), "shape").limit(MOST_SHAPES)
    there = backend.to_pyarrow(counted)["shape"].to_pylist()
    return [written for written in (*DATE_FORMATS, *UNIX) if "%" not in written or any(map(_shape(written).fullmatch, there))]


def _shape_of(text: ir.StringValue) -> ir.StringValue:
    """The text without its blanks and the letters of 5th, with 9 for each number and `a` for each word."""
    marked = text.re_replace("[0-9]+", "9").re_replace(r"9(?i:st|nd|rd|th)\b", "9").re_replace(r"\pL+", "a")
    return marked.re_replace(r"\s+", "").re_replace("9+", "9").re_replace("a+", "a")


@functools.cache
def _shape(written: str) -> re.Pattern[str]:
    """The shapes of texts that the engine reads by a format."""
    parts = {"p": "[a.]*", "z": "[-+:9a]*", "Z": "[-+:9a/_]*", **dict.fromkeys("aAbB", "a")}
    pieces = re.findall("%.|[^ ]", written)
    pattern = "".join(parts.get(piece[1], "9") if piece[0] == "%" else "a" if piece.isalpha() else re.escape(piece) for piece in pieces)
    behind = r"(?:\(.*\))?" if written.endswith("%z") else "a?"  # JavaScript's name of a zone, or Uhr
    return re.compile(re.sub("a+", "a", re.sub("9+", "9", pattern)) + behind)


def _counts(backend: Any, rows: ir.Table, candidates: Sequence[str], reading: Reading) -> list[int]:
    """How many texts there are, and how many of them each format reads as a likely time."""
    counts = _counted(_tried(rows, candidates, reading), len(candidates))
    return [int(count) for count in backend.to_pyarrow(counts).to_pylist()[0].values()]


def _counted(tried: ir.Table, formats: int) -> ir.Table:
    return tried.agg(some=tried.text.count(), **{f"n{i}": tried[f"n{i}"].count() for i in range(formats)})


def _tried(rows: ir.Table, candidates: Sequence[str], reading: Reading) -> ir.Table:
    """The texts, and the time that each format reads (n0, n1 and so on), or null if it is unlikely.

    It takes two steps, because in one, the long expression for reading would be repeated for each bound.
    """
    read = {f"n{i}": Cells(reading, (written,), serials=False).read("time", rows.text) for i, written in enumerate(candidates)}
    times = rows.select("text", **read)
    return times.mutate(**{f"n{i}": _likely(times[f"n{i}"], written) for i, written in enumerate(candidates)})


def _likely(time: ir.TimestampValue, written: str) -> ir.TimestampValue:
    first, end = midnight(UNIX_FROM if written in UNIX else DATES_FROM), midnight(DATES_UNTIL)
    return ibis.ifelse((time >= first) & (time < end), time, ibis.null("timestamp"))


def _contradict(one: str, other: str) -> bool:
    return other in UNIX or one in UNIX or any({told(one), told(other)} == {True, False} for told in (_day_first, _year_first))


def _day_first(written: str) -> bool | None:
    day, month = written.find("%d"), written.find("%m")
    return None if day < 0 or month < 0 or written.lower().startswith("%y") else day < month


def _year_first(written: str) -> bool | None:
    """Whether a two-digit year comes before the day; None if its position is unambiguous."""
    return written.startswith("%y") if "%y" in written and "%m" in written else None


def ambiguous(formats: Sequence[str]) -> str | None:
    """The other reading of a day-first or month-first format, for the user to review."""
    for written in formats:
        if _day_first(written) is not None:
            return _mirrored(written)
    return None


def other_readings(formats: Sequence[str]) -> dict[str, str]:
    """Other readings of dates, for the user to review: "if day and month are the other way round" -> format."""
    other = ambiguous(formats)
    readings = {"if day and month are the other way round": other} if other else {}
    for written in formats:
        first = _year_first(written)
        if first is not None:
            mark, time = written[2], written[len("%d-%m-%y") :]
            swapped = ("%d", "%m", "%y") if first else ("%y", "%m", "%d")
            return {**readings, f"if the year comes {'last' if first else 'first'}": mark.join(swapped) + time}
    return readings


def _mirrored(written: str) -> str:
    return written.replace("%d", "%\0").replace("%m", "%d").replace("%\0", "%m")


def column_types(backend: Any, rows: SourceRows, cells: Cells, readable: float = READABLE) -> dict[str, str]:
    """The type of each source column in a sample: text, number, date, boolean, list (or an object), or empty.

    Args:
        readable: share of a column's cells that must be readable as a type.
    """
    return types_of(kinds_of(rows), backend.to_pyarrow(type_counts(rows, cells)).to_pylist(), readable)


def type_counts(rows: SourceRows, cells: Cells, by: Sequence[str] = ()) -> ir.Table:
    """One row per column and its `position`: the number of filled cells in a sample, and of numbers and dates among them.

    All cells are stacked into one column first, so that the statement stays short whatever the number of columns.

    Args:
        by: columns to group by; for each of their values there are such rows.
    """
    cells = cells.guessing
    table = rows.table.filter(rows.table[PROBLEM].isnull())
    table = table if by else table.limit(SAMPLE)
    texts = [table[name] if table[name].type().is_string() else table[name].cast("string") for name in rows.columns]
    long = table.select(*by, position=ibis.array(list(range(len(texts)))).unnest(), cell=ibis.array(texts).unnest())
    long = long.mutate(text=cells.text(long.cell))
    number = cells.is_number(long.text) & ~long.text.re_search(r"^\s*0\d")
    date = cells.read("time", tidy(long.text).strip())
    several = long.text.re_search(r"^[\[{].*[\]}]$")
    return long.group_by([*by, "position"]).agg(
        some=long.text.count(), number=number.cast("int64").sum(), date=date.count(), list=several.cast("int64").sum()
    )


def types_of(kinds: dict[str, str], counts: Sequence[dict[str, Any]], readable: float = READABLE) -> dict[str, str]:
    """The type of each column.

    Args:
        kinds: types from the columns' own types, by `kinds_of`.
        counts: the rows of `type_counts`.
        readable: share of a column's cells that must be readable as a type.
    """
    found = {count["position"]: count for count in counts}
    return {name: _type_of(kind, found.get(position, {}), readable) for position, (name, kind) in enumerate(kinds.items())}


def kinds_of(rows: SourceRows) -> dict[str, str]:
    """The type of each column from its own type; text if only its cells can tell."""
    return {name: _kind(rows.table[name].type()) for name in rows.columns}


def combined_types(files: Sequence[IntakeRecord]) -> dict[str, str]:
    """The type of each column over all files: that of the files with nearly all rows, otherwise text."""
    rows: dict[str, dict[str, int]] = {}
    for file in files:
        for column, kind in file.columns.items():
            kinds = rows.setdefault(column, {})
            kinds[kind] = kinds.get(kind, 0) + file.rows
    return {column: _prevailing(kinds) for column, kinds in rows.items()}


def _prevailing(kinds: dict[str, int]) -> str:
    known = {kind: n for kind, n in kinds.items() if kind != "empty"}
    if not known:
        return "empty"
    kind = max(known, key=lambda k: known[k])
    return kind if known[kind] >= READABLE * sum(known.values()) else "text"


def _kind(kind: Any) -> str:
    if kind.is_boolean():
        return "boolean"
    if kind.is_numeric():
        return "number"
    return "date" if kind.is_timestamp() or kind.is_date() else "text"


def _type_of(kind: str, counts: dict[str, Any], readable: float) -> str:
    some = counts.get("some") or 0
    if not some or kind != "text":
        return kind if some else "empty"
    return next((kind for kind in ("date", "number", "list") if (counts[kind] or 0) >= readable * some), "text")
