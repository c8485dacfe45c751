"""JSON as rows: an object on each line, a list of objects, an object that wraps one list of them, or objects one after the other.

The text of each object is cut out unchanged, and its values are taken from that text, so that long ids and prices stay exact.
Lists are cut in parts, so that memory stays bounded whatever the size of the file.
"""

import itertools
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import duckdb

from segmentation_assets.settings.source import Files
from segmentation_assets.sources import text_files
from segmentation_assets.sources.base import NoRows, SourceError
from segmentation_assets.sources.dialects import unique_names
from segmentation_assets.sources.json_text import DEEPEST, JsonText, Keys, is_whole
from segmentation_assets.sources.located import ending_of
from segmentation_assets.sources.rows import LINE, PROBLEM, ROW, FileRows, column, named, staged
from segmentation_assets.sources.text_files import Row

LINE_TEXT = "__json"
LINE_BY_LINE = {".jsonl", ".ndjson"}
NO_OBJECT = "it is not a JSON object"
HALF_A_PAIR = "a text has half of a surrogate pair, such as \\ud800, which is no character"
SURROGATE = r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
MOST_NESTED = 100  # objects and lists within each other, in one row; the engine takes 128
TEXT_IN_JSON = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
MOST_FIELDS = 100  # of an object within an object; one with more holds keys that are data, such as dates


def read_json(backend: Any, file: Path, settings: Files, scratch: Path) -> FileRows:
    """The rows of a JSON file: a column for each field, such as `customer.id` for one of a nested object; lists stay text.

    Raises:
        NoRows: it holds no object.
        SourceError: it is not JSON, or it is unclear which of its lists holds the rows.
    """
    encoding, _ = text_files.encoding_of(file, settings)
    values, notes = _values(file, encoding, settings)
    lines = staged(backend, (Row((text,), text, 1) for text in _flat_enough(file, values)), (LINE_TEXT,), scratch)
    return _as_columns(backend, lines, file, {"encoding": encoding, **notes})


def _flat_enough(file: Path, values: Iterable[str]) -> Iterator[str]:
    """The same rows; one that is nested too deeply is refused."""
    for number, text in enumerate(values, 1):
        if text.count("{") + text.count("[") > MOST_NESTED and _depth(text) > MOST_NESTED:
            raise SourceError(f"{file}: row {number} is nested more than {MOST_NESTED} deep, as no table is. Remove it, or write it flat.")
        yield text


def _depth(text: str) -> int:
    """How deep objects and lists are nested in a text, brackets in its strings apart."""
    steps = ((sign in "{[") - (sign in "}]") for sign in TEXT_IN_JSON.sub("", text))
    return max(itertools.accumulate(steps), default=0)


def _values(file: Path, encoding: str, settings: Files) -> tuple[Iterable[str], dict[str, str]]:
    """The text of each row, and where the rows were found."""
    text = JsonText(file, encoding)
    start = text.peek()
    if not start:
        raise NoRows(file, "is empty")
    first, more = text.first_line()
    if start not in "{[" or (more and is_whole(first)):
        return _lines(file, encoding), {}
    if start == "[":
        return JsonText(file, encoding).elements(), {}
    try:
        lists = text.lists_within()
        several = bool(text.peek())
    except SourceError:
        return _lines(file, encoding), {}  # each line that is no object is a row that says so
    path = None if several or settings.format == "jsonl" or ending_of(file) in LINE_BY_LINE else _list_of_rows(file, lists)
    if path is None:
        return JsonText(file, encoding).one_after_the_other(), {}
    return JsonText(file, encoding).elements(path), {"list": ".".join(path)}


def _list_of_rows(file: Path, lists: dict[Keys, int]) -> Keys | None:
    """Where the rows are in a file that is one object: its only list of objects; None if it has none."""
    held = [path for path, number in lists.items() if number]
    if len(held) > 1:
        shown = ", ".join(".".join(path) for path in held[:5])
        raise SourceError(f"{file}: is one object with several lists of objects: {shown}. Write the list with the rows to a separate file.")
    if not held and len(lists) == 1:
        raise NoRows(file, f"is one object whose list, {'.'.join(next(iter(lists)))}, is empty")
    return held[0] if held else None


def _as_columns(backend: Any, lines: Any, file: Path, notes: dict[str, str]) -> FileRows:
    """Lines of JSON as columns, one for each field that an object has."""
    text, null = column(LINE_TEXT), duckdb.ConstantExpression(None).cast("VARCHAR")
    kind = _function("json_type", _case(_function("json_valid", text), text, duckdb.ConstantExpression("null")))
    is_object = kind == duckdb.ConstantExpression("OBJECT")
    unpaired = _function("regexp_replace", text, *map(duckdb.ConstantExpression, (2 * SURROGATE, "", "g")))
    half = _function("regexp_matches", unpaired, duckdb.ConstantExpression(SURROGATE))
    marked = lines.select(
        column(ROW),
        _case(is_object, null, _case(half, duckdb.ConstantExpression(HALF_A_PAIR), duckdb.ConstantExpression(NO_OBJECT))).alias(PROBLEM),
        text.alias(LINE),
        _case(is_object, text, duckdb.ConstantExpression("{}")).alias(LINE_TEXT),
    )
    found = marked.select(_function("json_structure", text).cast("VARCHAR").alias("found")).distinct().fetchall()
    fields = _Fields()
    for [structure] in found:
        fields.add(json.loads(structure))
    leaves = sorted(fields.leaves())
    if not leaves:
        raise _without_objects(file, marked)
    pointers = ["".join("/" + key.replace("~", "~0").replace("/", "~1") for key in path) for path, _ in leaves]
    cells = marked.select(column(ROW), column(PROBLEM), column(LINE), text, _extracted(text, pointers).alias("cells"))
    values = []
    for position, (pointer, (_, mixed)) in enumerate(zip(pointers, leaves, strict=True), start=1):
        value = _function("list_extract", column("cells"), duckdb.ConstantExpression(position))
        whole = _function("json_type", text, duckdb.ConstantExpression(pointer)) == duckdb.ConstantExpression("OBJECT")
        values.append(_case(whole, null, value) if mixed else value)
    names = unique_names(".".join(path) for path, _ in leaves)
    return FileRows(named(cells, names, values, **{mark: column(mark) for mark in (ROW, PROBLEM, LINE)}), names, notes)


def _without_objects(file: Path, marked: Any) -> SourceError:
    if not marked.limit(1).fetchall():
        return NoRows(file, "is an empty list")
    if marked.filter(column(PROBLEM) == duckdb.ConstantExpression(HALF_A_PAIR)).limit(1).fetchall():
        return SourceError(f"{file}: no row can be read; in the first, {HALF_A_PAIR}. Export it again.")
    return SourceError(f"{file}: no line is a JSON object, and it is not a list of objects. Write one object per line, or set format.")


def _extracted(text: Any, pointers: list[str]) -> Any:
    return _function("json_extract_string", text, duckdb.ConstantExpression(pointers))


def _function(name: str, *arguments: Any) -> Any:
    return duckdb.FunctionExpression(name, *arguments)


def _case(condition: Any, value: Any, otherwise: Any) -> Any:
    return duckdb.CaseExpression(condition, value).otherwise(otherwise)


class _Fields:
    """The fields of objects, collected from the structures that the engine finds."""

    def __init__(self) -> None:
        self.within: dict[str, _Fields] = {}
        self.plain = self.seen = False

    def add(self, structure: Any) -> None:
        """Add the keys of one object, or the type of a value."""
        self.seen = True
        if isinstance(structure, dict):
            for key, value in structure.items():
                self.within.setdefault(key, _Fields()).add(value)
        elif structure not in ("NULL", "JSON"):  # JSON: an object without keys
            self.plain = True

    def leaves(self, path: Keys = ()) -> Iterator[tuple[Keys, bool]]:
        """Path of each value, and whether some objects have an object there instead."""
        apart = bool(self.within) and (not path or (len(path) < DEEPEST and len(self.within) <= MOST_FIELDS))
        if path and (self.plain or not apart):
            yield path, apart
        if apart:
            for key, field in self.within.items():
                yield from field.leaves((*path, key))


def _lines(file: Path, encoding: str) -> Iterator[str]:
    return (line.rstrip("\n") for line in text_files.lines_of(file, encoding) if line.strip())
