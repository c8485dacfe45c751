"""One file as a table of its cells, whatever its format: text, Parquet, JSON lines or a worksheet.

Belongs here: which reader takes which file. Belongs elsewhere: what the cells mean (`mapping`), and splitting lines of
text (`text_files`).
"""

import datetime as dt
import json
import re
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.datatypes as idt
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq

from segmentation_assets.core.wording import counted
from segmentation_assets.settings_source import Files
from segmentation_assets.sources import text_files
from segmentation_assets.sources.base import SourceError

ENDINGS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".tab": "csv",
    ".txt": "csv",
    ".dat": "csv",
    ".psv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".xlsx": "excel",
    ".xls": "excel",
    ".xlsm": "excel",
    ".xlsb": "excel",
    ".ods": "excel",
}
TYPED_AS_TEXT = frozenset({"jsonl", "excel"})  # their numbers have a type, but are text here, written by us with a decimal point
COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
ROW, PROBLEM, LINE = "__row", "__problem", "__line"
BATCH_ROWS = 50_000
LONGEST_LINE = 1 << 25  # bytes of a line that the engine's reader holds
BUFFER = 1 << 25  # bytes that it reads at once; else 16 longest lines, of which a look at the first rows reads one too


@dataclass(frozen=True)
class SourceRows:
    """The rows of one file or query: its columns, and ROW, PROBLEM and LINE (where it cannot be split).

    ROW counts from 1. It is null where the rows come in their order, so that their place tells it.
    """

    table: ir.Table
    columns: tuple[str, ...]
    notes: dict[str, str] = field(default_factory=dict)  # what was guessed, such as the delimiter


def plain(value: ir.Value) -> ir.Value:
    """A value as JSON has it: numbers and truth as they are, all else as text."""
    return value if value.type().is_numeric() or value.type().is_boolean() else value.cast("string")


def _one(value: Any) -> None:
    """Stands in for functions that DuckDB has and Ibis has not."""


def _two(value: Any, other: Any) -> None:
    """Stands in for functions that DuckDB has and Ibis has not."""


def to_json(value: ir.StructValue) -> ir.StringValue:
    """The values as one JSON object."""
    return ibis.udf.scalar.builtin(_one, name="to_json", signature=((value.type(),), idt.json))(value).cast("string")


_is_json_object = ibis.udf.scalar.builtin(_one, name="json_type", signature=((idt.string,), idt.string))
_json_valid = ibis.udf.scalar.builtin(_one, name="json_valid", signature=((idt.string,), idt.boolean))
_json_keys = ibis.udf.scalar.builtin(_one, name="json_keys", signature=((idt.string,), idt.Array(idt.string)))
_json_text = ibis.udf.scalar.builtin(_two, name="json_extract_string", signature=((idt.string, idt.string), idt.string))


def format_of(file: Path, settings: Files) -> str:
    """The file's format, from the settings or its ending.

    Raises:
        SourceError: the ending says nothing.
    """
    if settings.format != "auto":
        return settings.format
    ending = Path(file.stem).suffix.lower() if file.suffix.lower() in COMPRESSED else file.suffix.lower()
    if ending not in ENDINGS:
        raise SourceError(f"{file}: its ending {ending or '(none)'} does not tell its format. Set format to csv, parquet, jsonl or excel.")
    return ENDINGS[ending]


def matching_files(settings: Files) -> list[tuple[Path, str]]:
    """The files that the settings name, in order of name, each with the name its rows are known by.

    Raises:
        SourceError: nothing is there.
    """
    found: dict[Path, str] = {}
    for pattern in settings.patterns:
        path = Path(pattern)
        if path.is_dir():
            matches = [(file, path) for file in path.iterdir() if file.is_file() and _known_ending(file, settings)]
        elif re.search(r"[*?\[]", pattern):
            root = Path(*_fixed_part(path))
            matches = [(file, root) for file in root.glob(str(path.relative_to(root))) if file.is_file()]
        else:
            matches = [(path, path.parent)] if path.is_file() else []
        if not matches:
            raise SourceError(
                f"{pattern}: no such file, or no data files in it. Correct `files` in the settings; paths are relative to the "
                "settings file."
            )
        for file, root in matches:
            if not file.name.startswith((".", "~$")):
                found[file] = file.relative_to(root).as_posix()
    names = list(found.values())
    return sorted(((file, name if names.count(name) == 1 else str(file)) for file, name in found.items()), key=lambda pair: pair[1])


def _known_ending(file: Path, settings: Files) -> bool:
    ending = Path(file.stem).suffix.lower() if file.suffix.lower() in COMPRESSED else file.suffix.lower()
    return settings.format != "auto" or ending in ENDINGS


def _fixed_part(path: Path) -> list[str]:
    parts = []
    for part in path.parts:
        if re.search(r"[*?\[]", part):
            break
        parts.append(part)
    return parts or ["."]


def read_file(backend: Any, file: Path, settings: Files, scratch: Path) -> SourceRows:
    """The file's rows on a DuckDB backend; `scratch` takes what has to be rewritten first.

    Raises:
        SourceError: the file cannot be read at all.
    """
    readers = {"csv": _read_csv, "parquet": _read_parquet, "jsonl": _read_json_lines, "excel": _read_excel}
    if not file.is_file():
        raise SourceError(f"{file}: no such file. Correct `files` in the settings.")
    return readers[format_of(file, settings)](backend, file, settings, scratch)


def _read_csv(backend: Any, file: Path, settings: Files, scratch: Path) -> SourceRows:
    encoding, plain = text_files.encoding_of(file, settings)
    dialect = text_files.dialect_of(file, settings, encoding)
    notes = {"encoding": encoding, "delimiter": {"\t": "tab"}.get(dialect.delimiter, dialect.delimiter)}
    quick = plain and dialect.delimiter != "whitespace" and text_files.compression_of(file) in {None, "gzip"}
    table = _engine_csv(backend, file, dialect) if quick else None
    if table is None:
        table = _careful_csv(backend, file, dialect, scratch)
        notes["reader"] = "line by line"
    return SourceRows(table, dialect.names, notes)


def _engine_csv(backend: Any, file: Path, dialect: text_files.Dialect) -> ir.Table | None:
    """The file by the engine's strict reader; None where that refuses it, which the first pass over it tells."""
    plain = {f"c{position}": "VARCHAR" for position in range(len(dialect.names))}
    try:
        table = backend.read_csv(
            str(file),
            header=False,
            skip=dialect.lines_before_rows,
            auto_detect=False,
            delim=dialect.delimiter,
            quote=dialect.quote,
            escape=dialect.quote,
            columns=plain,
            strict_mode=True,
            null_padding=False,
            max_line_size=LONGEST_LINE,
            buffer_size=BUFFER,
            compression=text_files.compression_of(file) or "none",
        )
    except Exception:  # not only duckdb.Error: the careful reader says what is wrong, line by line
        return None
    named = {name: table[f"c{position}"] for position, name in enumerate(dialect.names)}
    # Counting the rows here would keep the engine from reading parts of the file at the same time.
    return table.select(**named, **{ROW: ibis.null("int64"), PROBLEM: ibis.null("string"), LINE: ibis.null("string")})


def _careful_csv(backend: Any, file: Path, dialect: text_files.Dialect, scratch: Path) -> ir.Table:
    lines = text_files.lines_of(file, dialect.encoding)
    for _ in range(dialect.lines_before_rows):
        next(lines, None)
    return _staged(
        backend, _checked_widths(text_files.records(lines, dialect.delimiter, dialect.quote), len(dialect.names)), dialect.names, scratch
    )


def _checked_widths(rows: Iterable[text_files.Row], width: int) -> Iterator[text_files.Row]:
    for row in rows:
        surplus = [cell for cell in row.cells[width:] if cell.strip()]
        if row.problem or (len(row.cells) >= width and not surplus):
            yield row
        else:  # which cell is missing or surplus cannot be known, so none of them can be trusted
            yield text_files.Row((), row.text, row.lines, f"it has {counted(len(row.cells), 'cell')}, its header {width}")


def reread_carefully(backend: Any, file: Path, settings: Files, scratch: Path) -> SourceRows | None:
    """The rows of a text file that the engine's reader gave up on; None for other formats."""
    kind = format_of(file, settings)
    if kind == "csv":
        encoding, _ = text_files.encoding_of(file, settings)
        dialect = text_files.dialect_of(file, settings, encoding)
        notes = {"encoding": encoding, "delimiter": {"\t": "tab"}.get(dialect.delimiter, dialect.delimiter), "reader": "line by line"}
        return SourceRows(_careful_csv(backend, file, dialect, scratch), dialect.names, notes)
    return None


def _staged(backend: Any, rows: Iterable[text_files.Row], names: tuple[str, ...], scratch: Path) -> ir.Table:
    """Rows of text as a table, by way of a Parquet file, so that memory stays bounded."""
    schema = pa.schema([*((name, pa.string()) for name in names), (ROW, pa.int64()), (PROBLEM, pa.string()), (LINE, pa.string())])
    file = Path(tempfile.mkstemp(suffix=".parquet", dir=scratch)[1])
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        number = 0
        for batch in _batches(rows):
            numbers = list(range(number + 1, number + len(batch) + 1))
            number += len(batch)
            columns = [[row.cells[position] or None if row.cells else None for row in batch] for position in range(len(names))]
            lines = [row.text if row.problem else None for row in batch]
            writer.write_batch(
                pa.record_batch(
                    [
                        *(pa.array(column, pa.string()) for column in columns),
                        pa.array(numbers, pa.int64()),
                        pa.array([row.problem for row in batch], pa.string()),
                        pa.array(lines, pa.string()),
                    ],
                    schema=schema,
                )
            )
    return backend.read_parquet(str(file))


def _batches(rows: Iterable[text_files.Row]) -> Iterator[list[text_files.Row]]:
    batch: list[text_files.Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH_ROWS:
            yield batch
            batch = []
    if batch:
        yield batch


def _read_parquet(backend: Any, file: Path, settings: Files, scratch: Path) -> SourceRows:
    try:
        names = pq.read_schema(file).names
    except (pa.ArrowInvalid, OSError) as error:
        raise SourceError(
            f"{file}: is not a readable Parquet file ({str(error).splitlines()[0][:120]}). Copy it again, or set format."
        ) from error
    table = backend.read_parquet(str(file), file_row_number=True)
    renamed = dict(zip(text_files.unique_names(names), names, strict=True))
    return SourceRows(
        table.select(
            **{new: table[old] for new, old in renamed.items()},
            **{ROW: table.file_row_number + 1, PROBLEM: ibis.null("string"), LINE: ibis.null("string")},
        ),
        tuple(renamed),
    )


def _read_json_lines(backend: Any, file: Path, settings: Files, scratch: Path) -> SourceRows:
    encoding, _ = text_files.encoding_of(file, settings)
    lines = (text_files.Row((line.rstrip("\n"),), line, 1) for line in text_files.lines_of(file, encoding) if line.strip())
    table = _staged(backend, lines, (LINE + "_text",), scratch)
    text = table[LINE + "_text"]
    valid = _json_valid(text).fill_null(False)
    is_object = valid & (_is_json_object(ibis.ifelse(valid, text, "null")) == "OBJECT")
    marked = table.mutate(**{PROBLEM: ibis.ifelse(is_object, ibis.null("string"), "it is not a JSON object"), LINE: text})
    keys = marked.filter(marked[PROBLEM].isnull()).select(key=_json_keys(text).unnest()).distinct().order_by("key")
    found = [row for row in backend.to_pyarrow(keys)["key"].to_pylist() if row]
    if not found:
        raise SourceError(f"{file}: no line of it is a JSON object. Write one object per line, or set format.")
    names = dict(zip(text_files.unique_names(found), found, strict=True))
    sound = ibis.ifelse(marked[PROBLEM].isnull(), marked[LINE], "{}")
    cells = {name: _json_text(sound, f"$.{json.dumps(key, ensure_ascii=False)}") for name, key in names.items()}
    return SourceRows(marked.select(**cells, **{name: marked[name] for name in (ROW, PROBLEM, LINE)}), tuple(names), {"encoding": encoding})


def _read_excel(backend: Any, file: Path, settings: Files, scratch: Path) -> SourceRows:
    import python_calamine as calamine  # only where there is a workbook

    try:
        workbook = calamine.CalamineWorkbook.from_path(str(file))
        names = workbook.sheet_names
        if settings.sheet is not None and settings.sheet not in names:
            raise SourceError(f"{file}: has no sheet {settings.sheet!r}; it has {', '.join(names)}. Correct `sheet`.")
        rows = workbook.get_sheet_by_name(settings.sheet or names[0]).to_python(skip_empty_area=False)
    except SourceError:
        raise
    except Exception as error:
        raise SourceError(
            f"{file}: is not a readable workbook ({str(error).splitlines()[0][:120]}). Save it again as .xlsx, or set format."
        ) from error
    body = [[_cell_text(cell) for cell in row] for row in rows[settings.skip_lines :]]
    body = [row for row in body if any(cell.strip() for cell in row)]
    if not body:
        raise SourceError(
            f"{file}: its sheet {settings.sheet or names[0]!r} is empty. Name another in `sheet`, or take the file out of the settings."
        )
    header = text_files.unique_names(settings.names or tuple(cell.strip() for cell in body[0]))
    body = body[1:] if settings.header else body
    table = _staged(
        backend,
        _checked_widths((text_files.Row(tuple(row), json.dumps(row, ensure_ascii=False), 1) for row in body), len(header)),
        header,
        scratch,
    )
    return SourceRows(table, header, {"sheet": settings.sheet or names[0]})


def _cell_text(cell: Any) -> str:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else repr(cell)
    if isinstance(cell, dt.datetime):
        return cell.isoformat(sep=" ") if cell.time() != dt.time() else cell.date().isoformat()
    return str(cell)
