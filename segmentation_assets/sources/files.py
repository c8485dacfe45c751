"""One file as rows, in any format: text, Parquet, JSON or a worksheet, packed or not.

Belongs here: which reader reads which file, and the readers of text tables and worksheets. Belongs elsewhere: which files there
are (`located`), what is packed in them (`unpacked`), and what the cells mean (`mapping`).
"""

import datetime as dt
import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from segmentation_assets.settings.source import Files
from segmentation_assets.sources import text_files
from segmentation_assets.sources.base import NoRows, SourceError
from segmentation_assets.sources.dialects import Dialect, dialect_of, titles_above, unique_names
from segmentation_assets.sources.json_files import read_json
from segmentation_assets.sources.located import partitions_of, require_readable_name
from segmentation_assets.sources.rows import ROW, FileRows, SourceRows, column, named, staged
from segmentation_assets.sources.typed_columns import plain_columns
from segmentation_assets.sources.unpacked import content_of
from segmentation_assets.vocabulary import counted

LONGEST_LINE = 1 << 25  # bytes of a line that the engine's reader holds
BUFFER = 1 << 25  # bytes that it reads at once; else 16 longest lines, of which a look at the first rows reads one too


def read_file(backend: Any, file: Path, settings: Files, scratch: Path, careful: bool = False) -> SourceRows:
    """The file's rows as a table of a DuckDB backend; the arguments are those of `opened`."""
    return opened(backend, file, settings, scratch, careful).viewed(backend)


def opened(backend: Any, file: Path, settings: Files, scratch: Path, careful: bool = False) -> FileRows:
    """The file's rows on a DuckDB backend.

    Args:
        scratch: folder for files that have to be unpacked or rewritten first.
        careful: split text line by line, for a file that the engine's strict reader refuses.

    Raises:
        NoRows: the file has no rows.
        SourceError: the file cannot be read at all.
    """
    if not file.is_file():
        raise SourceError(f"{file}: no such file. Correct `files` in the settings.")
    require_readable_name(file)
    content = content_of(file, settings, scratch)
    try:
        if content.kind == "csv":
            rows = _read_csv(backend, content.file, settings, scratch, careful)
        else:
            rows = {"parquet": _read_parquet, "jsonl": read_json, "excel": _read_excel}[content.kind](
                backend, content.file, settings, scratch
            )
    except NoRows as error:
        raise NoRows(file, error.why) from error
    except SourceError as error:  # of what was unpacked, the message names where it is from
        raise SourceError(str(error).replace(str(content.file), str(file)), error.quoted) from error
    notes = {**({"unpacked": content.member} if content.member else {}), **rows.notes}
    return _with_folders(replace(rows, notes=notes, kind=content.kind), file)


def _with_folders(rows: FileRows, file: Path) -> FileRows:
    """The rows with the values of partition folders, such as year=2024, as columns; the file's own columns win."""
    taken = {name.lower() for name in rows.columns}
    said = {name: value for name, value in partitions_of(file).items() if name.lower() not in taken}
    if not said:
        return rows
    values = [duckdb.ConstantExpression(value).cast("VARCHAR").alias(name) for name, value in said.items()]
    return replace(rows, relation=rows.relation.select(duckdb.StarExpression(), *values), columns=(*rows.columns, *said))


def _read_csv(backend: Any, file: Path, settings: Files, scratch: Path, careful: bool) -> FileRows:
    encoding, plain = text_files.encoding_of(file, settings)
    dialect = dialect_of(file, settings, encoding)
    notes = {"encoding": encoding, "delimiter": {"\t": "tab"}.get(dialect.delimiter, dialect.delimiter)}
    notes |= _title_note(dialect.title, "line")
    quick = plain and not careful and dialect.delimiter != "whitespace" and text_files.compression_of(file) in {None, "gzip"}
    relation = _engine_csv(backend, file, dialect) if quick else None
    if relation is None:
        relation = _careful_csv(backend, file, dialect, scratch)
        notes["reader"] = "line by line"
    return FileRows(relation, dialect.names, notes)


def _engine_csv(backend: Any, file: Path, dialect: Dialect) -> Any:
    """The file, read by the engine's strict reader; None if it refuses the file on the first pass."""
    places = [f"c{position}" for position in range(len(dialect.names) + dialect.surplus)]
    try:
        relation = backend.con.read_csv(
            str(file),
            header=False,
            skiprows=dialect.lines_before_rows,
            auto_detect=False,
            delimiter=dialect.delimiter,
            quotechar=dialect.quote,
            escapechar=dialect.quote,
            columns=dict.fromkeys(places, "VARCHAR"),
            strict_mode=True,
            null_padding=False,
            max_line_size=LONGEST_LINE,
            buffer_size=BUFFER,
            compression=text_files.compression_of(file) or "none",
        )
    except Exception:  # not only duckdb.Error: the careful reader says what is wrong, line by line
        return None
    # Counting the rows here would keep the engine from reading parts of the file at the same time.
    return named(
        _without_surplus(relation, places[len(dialect.names) :]), dialect.names, [column(place) for place in places[: len(dialect.names)]]
    )


def _without_surplus(relation: Any, surplus: list[str]) -> Any:
    """The relation without its surplus cells, which must be empty; if one is not, the careful reader reports it."""
    for place in surplus:
        filled = duckdb.FunctionExpression("trim", column(place)) != duckdb.ConstantExpression("")
        refused = duckdb.FunctionExpression("error", duckdb.ConstantExpression("a cell beyond the header"))
        checked = duckdb.CaseExpression(filled, refused.cast("BOOLEAN")).otherwise(duckdb.ConstantExpression(True))
        relation = relation.filter(checked)
    return relation


def _careful_csv(backend: Any, file: Path, dialect: Dialect, scratch: Path) -> Any:
    lines = text_files.lines_of(file, dialect.encoding)
    for _ in range(dialect.lines_before_rows):
        next(lines, None)
    rows = _checked_widths(text_files.records(lines, dialect.delimiter, dialect.quote), len(dialect.names))
    return staged(backend, rows, dialect.names, scratch)


def _checked_widths(rows: Iterable[text_files.Row], width: int) -> Iterator[text_files.Row]:
    for row in rows:
        surplus = [cell for cell in row.cells[width:] if cell.strip()]
        if row.problem or (len(row.cells) >= width and not surplus):
            yield row
        else:  # which cell is missing or surplus cannot be known, so none of them can be trusted
            yield text_files.Row((), row.text, row.lines, f"it has {counted(len(row.cells), 'cell')}, its header {width}")


def _read_parquet(backend: Any, file: Path, settings: Files, scratch: Path) -> FileRows:
    try:
        facts = pq.read_metadata(file)
    except (pa.ArrowInvalid, OSError) as error:
        raise SourceError(
            f"{file}: is not a readable Parquet file ({str(error).splitlines()[0][:120]}). Copy it again, or set format."
        ) from error
    if not facts.num_rows:
        raise NoRows(file, "has columns and no rows")
    try:
        relation = backend.con.read_parquet(str(file), file_row_number=True, hive_partitioning=False)
    except duckdb.Error as error:
        reason = str(error).splitlines()[0][:200]
        raise SourceError(f"{file}: cannot be read: {reason}. Check the file and its format.", reason) from error
    return from_parquet(relation, unique_names(facts.schema.to_arrow_schema().names))


def from_parquet(relation: Any, names: tuple[str, ...]) -> FileRows:
    """The rows of a typed relation, whose last column is the place of each row from 0."""
    place = relation.columns[-1]
    columns = list(plain_columns(relation, names))
    names = unique_names(name for name, _ in columns)
    number = (column(place) + duckdb.ConstantExpression(1)).cast("BIGINT")
    return FileRows(named(relation, names, [value for _, value in columns], **{ROW: number}), names, kind="parquet")


def _read_excel(backend: Any, file: Path, settings: Files, scratch: Path) -> FileRows:
    import python_calamine as calamine  # only where there is a workbook

    try:
        workbook = calamine.CalamineWorkbook.from_path(str(file))
        names = workbook.sheet_names
        if settings.sheet is not None and settings.sheet not in names:
            raise SourceError(f"{file}: has no sheet {settings.sheet!r}; it has {', '.join(names)}. Correct `sheet`.")
        wanted = names if settings.sheet is None else [settings.sheet]
        sheets = {name: workbook.get_sheet_by_name(name).to_python(skip_empty_area=False) for name in wanted}
    except SourceError:
        raise
    except Exception as error:
        raise SourceError(
            f"{file}: is not a readable workbook ({str(error).splitlines()[0][:120]}). Save it again as .xlsx, or set format."
        ) from error
    filled = {name: body for name, rows in sheets.items() if len(body := _filled(rows[settings.skip_lines :])) > settings.header}
    sheet = settings.sheet or next(iter(filled), names[0])
    if sheet not in filled:
        more = ", but for a header" * bool(_filled(sheets[sheet][settings.skip_lines :]))
        raise NoRows(file, f"has a sheet {sheet!r} that is empty{more}")
    body = filled[sheet]
    title = titles_above(body) if settings.header and not settings.skip_lines else 0
    body = body[title:]
    header = unique_names(settings.names or tuple(cell.strip() for cell in body[0]))
    body = body[1:] if settings.header else body
    relation = staged(
        backend,
        _checked_widths((text_files.Row(tuple(row), json.dumps(row, ensure_ascii=False), 1) for row in body), len(header)),
        header,
        scratch,
    )
    others = tuple(name for name in filled if name != sheet)
    unread = {"not read": f"{counted(len(others), 'sheet')}: {', '.join(others)}"} if others else {}
    return FileRows(relation, header, {"sheet": sheet, **unread, **_title_note(title, "row")}, other_sheets=others)


def _filled(rows: Iterable[Iterable[Any]]) -> list[list[str]]:
    texts = ([_cell_text(cell) for cell in row] for row in rows)
    return [row for row in texts if any(cell.strip() for cell in row)]


def _title_note(title: int, unit: str) -> dict[str, str]:
    return {"header": f"below a title of {counted(title, unit)}"} if title else {}


def _cell_text(cell: Any) -> str:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else repr(cell)
    if isinstance(cell, dt.datetime):
        return cell.isoformat(sep=" ") if cell.time() != dt.time() else cell.date().isoformat()
    return str(cell)
