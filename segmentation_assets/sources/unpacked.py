"""The real format of a file, by its first bytes, and the data packed in it, whatever its name says.

Compressed text is read directly (`text_files`). A zip with one data file is unpacked into a scratch folder, as
is a compressed workbook or Parquet file. For other files, the error says what they are.
"""

import functools
import lzma
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from segmentation_assets.settings.source import Files
from segmentation_assets.sources.base import NoRows, SourceError
from segmentation_assets.sources.located import COMPRESSED, ENDINGS, ending_of, format_of, has_known_ending
from segmentation_assets.sources.text_files import (
    CHUNK,
    COMPRESSIONS,
    UNSUSPECTED,
    compression_of,
    encoding_by_bytes,
    open_bytes,
    require_plausible,
)
from segmentation_assets.vocabulary import counted

ZIP, PARQUET, OLD_WORKBOOK, DUCKDB = b"PK\x03\x04", b"PAR1", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"DUCK"
TAR = (257, b"ustar")  # where a tar says that it is one
OTHERS = {
    b"SQLite format 3\0": "an SQLite database. Describe it by its address, url: sqlite:///FILE, and table",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive. Unpack it",
    b"Rar!": "a RAR archive. Unpack it",
    b"%PDF": "a PDF. Export the table as CSV, Parquet, JSON or a workbook",
}
MARKUP = (b"<!doctype", b"<html", b"<?xml", b"<table")
NO_DATA = re.compile(r"(?i)(read[ _-]?me|liesmich|li(re|sez)[ _-]?moi|licen[cs]e|copying|notice|changelog)\b.*")  # files next to data
DEEPEST = 3  # archives within archives
SHEET = re.compile(r"xl/worksheets/[^/]+\.xml")
CELL = re.compile(rb"""<(?:\w{1,40}:)?c\s[^>]*?\br\s*=\s*["']([A-Z]{1,3})([0-9]{1,7})["'][^>]*>""")
LONGEST_TAG = 1 << 16
MOST_CELLS, MOST_APART = 5_000_000, 20  # of the rectangle around the cells of a sheet; and for each cell, if it is larger
DEFLATED = 1032  # times its own size, the most that one compressed byte of a zip or workbook becomes


@dataclass(frozen=True)
class Content:
    """A file that can be read as `kind`, and if it came from a zip, its name there with the files skipped."""

    file: Path
    kind: str
    member: str | None = None


def content_of(file: Path, settings: Files, scratch: Path) -> Content:
    """The data in a file: the file itself, or the one data file packed in it.

    Raises:
        NoRows: it is empty.
        SourceError: it is of an unsupported format, or holds several files.
    """
    here, member = file, None
    for _ in range(DEEPEST):
        start = _first_bytes(here)
        if not start:
            raise NoRows(file, "is empty")
        if start.startswith((ZIP, b"PK\x05\x06")) and not compression_of(here):
            sizes = _sizes_in(here, file)
            if _is_workbook(sizes):
                _require_true_sizes(here, file)
                _require_near_cells(here, file)
                return Content(here, "excel", member)
            name, others = _only_member(file, sizes)
            here = _unpacked(here, file, name, scratch)
            member = f"{name} ({', '.join(others)} skipped)" if others else name
        elif compression_of(here) and (_kind_by_bytes(start) or start.startswith((ZIP, *COMPRESSIONS))):
            here = _decompressed(here, file, scratch)
        else:
            return Content(here, _kind(here, file, start, settings), member)
    raise SourceError(f"{file}: holds archives within archives. Unpack it, and name what is in it.")


def _first_bytes(file: Path) -> bytes:
    """The file's first bytes, uncompressed; empty if the file is."""
    try:
        with open_bytes(file) as stream:
            return stream.read(512)
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise SourceError(f"{file}: ends early or is damaged ({error}). Copy it again.") from error


def _kind_by_bytes(start: bytes) -> str | None:
    return "parquet" if start.startswith(PARQUET) else "excel" if start.startswith(OLD_WORKBOOK) else None


def _kind(here: Path, file: Path, start: bytes, settings: Files) -> str:
    if kind := _kind_by_bytes(start):
        return kind
    refused = next((what for mark, what in OTHERS.items() if start.startswith(mark)), None)
    if start[8:12] == DUCKDB:
        refused = "a DuckDB database. Describe it by its address, url: duckdb:///FILE, and table"
    if start[TAR[0] :].startswith(TAR[1]):
        refused = "a tar archive. Unpack it, and name what is in it"
    if start.removeprefix(b"\xef\xbb\xbf").lstrip().lower().startswith(MARKUP):
        refused = "a web page or XML, whatever its name says. Save it as CSV or as a workbook"
    if refused:
        raise SourceError(f"{file}: is {refused}.")
    kind = format_of(here, settings)
    if kind == "excel" and settings.format == "auto" and _is_text(start):
        return "csv"  # many shops call a text file .xls, so that a spreadsheet opens it
    return "jsonl" if kind == "csv" and settings.format == "auto" and _looks_like_json(start) else kind


def _is_text(start: bytes) -> bool:
    return b"\0" not in start or encoding_by_bytes(start) is not None


def _looks_like_json(start: bytes) -> bool:
    bare = b"".join(start.removeprefix(b"\xef\xbb\xbf").split())
    return bare.startswith((b'{"', b'[{"'))


def _is_workbook(names: Iterable[str]) -> bool:
    return any(name.startswith(("xl/", "Index/")) or name == "content.xml" for name in names)


def _sizes_in(archive: Path, file: Path) -> dict[str, int]:
    """The names of what is in a zip, with their bytes when unpacked."""
    try:
        with zipfile.ZipFile(archive) as packed:
            sizes = {entry.filename: entry.file_size for entry in packed.infolist() if not entry.is_dir()}
            require_plausible(file, file.stat().st_size, sum(sizes.values()))
            return sizes
    except (zipfile.BadZipFile, OSError) as error:
        raise SourceError(f"{file}: is a zip that ends early or is damaged ({error}). Copy it again.") from error


def _require_true_sizes(archive: Path, file: Path) -> None:
    """Refuse a workbook with parts that hold more than they say: its reader takes them into memory whole, and trusts nobody's sizes."""
    try:
        with zipfile.ZipFile(archive) as packed:
            for entry in packed.infolist():
                if entry.compress_size * DEFLATED > UNSUSPECTED:
                    with packed.open(entry) as part:
                        while part.read(CHUNK):  # ends at the size it says, where its checksum is compared
                            pass
    except (zipfile.BadZipFile, OSError, EOFError, zlib.error) as error:
        raise SourceError(f"{file}: is a workbook that ends early or is damaged ({error}). Copy it again.") from error


def _require_near_cells(archive: Path, file: Path) -> None:
    """Refuse a workbook (.xlsx, .xlsm) with few cells that are far apart: its reader keeps the whole rectangle around them in memory."""
    with zipfile.ZipFile(archive) as packed:
        for name in filter(SHEET.fullmatch, packed.namelist()):
            try:
                with packed.open(name) as sheet:
                    cells, rows, columns = _extent(sheet, file)
            except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, zlib.error):  # damaged or encrypted: its reader says so
                return
            if rows * columns > max(MOST_CELLS, MOST_APART * cells):
                raise SourceError(
                    f"{file}: the {counted(cells, 'cell')} of {name} are far apart, in a rectangle of {counted(rows, 'row')} and "
                    f"{counted(columns, 'column')}. Delete what is far from the table, or save the table as CSV."
                )


def _extent(sheet: IO[bytes], file: Path) -> tuple[int, int, int]:
    """How many cells of a sheet say where they are, and the rows and columns of the rectangle around these."""
    cells, rest, rows, columns = 0, b"", set[bytes](), set[bytes]()
    while chunk := sheet.read(CHUNK):
        found = CELL.findall(rest + chunk)
        cells += len(found)
        columns |= {column for column, _ in found}
        rows |= {row for _, row in found}
        rest = (rest + chunk)[(rest + chunk).rfind(b"<") :]
        if len(rest) > LONGEST_TAG:
            raise SourceError(f"{file}: is not a readable workbook. Save it again as .xlsx, or the table as CSV.")
    return cells, _span(map(int, rows)), _span(map(_number_of, columns))


def _span(places: Iterable[int]) -> int:
    """From the first to the last of the places, both included; 0 if there are none."""
    found = list(places)
    return max(found) - min(found) + 1 if found else 0


def _number_of(column: bytes) -> int:
    """The number of a column, such as 16,384 of XFD."""
    return functools.reduce(lambda number, letter: 26 * number + letter - 64, column, 0)


def _only_member(file: Path, sizes: Mapping[str, int]) -> tuple[str, list[str]]:
    """The only data file of a zip, and the others in it, which are empty or not data by name."""
    shown = [name for name in sizes if not name.startswith("__MACOSX/") and not Path(name).name.startswith(".")]
    if not shown:
        raise NoRows(file, "is a zip with nothing in it")
    filled = [name for name in shown if sizes[name]] or shown[:1]
    telling = [name for name in filled if not NO_DATA.fullmatch(Path(name).name)] or filled
    data = [name for name in telling if has_known_ending(Path(name))] or telling
    if len(data) > 1:
        listed = ", ".join(data[:5]) + (f" and {len(data) - 5} more" if len(data) > 5 else "")
        raise SourceError(f"{file}: is a zip that holds {len(data)} files: {listed}. Unpack it into a folder, and name the files to read.")
    return data[0], [name for name in shown if name != data[0]]


def _unpacked(archive: Path, file: Path, name: str, scratch: Path) -> Path:
    member = Path(name).name
    if ending_of(Path(name)) not in ENDINGS and ending_of(file) in ENDINGS:
        member += ending_of(file)  # orders.csv.zip that holds `orders`
    target = Path(tempfile.mkdtemp(dir=scratch)) / member
    try:
        with zipfile.ZipFile(archive) as packed, packed.open(name) as source, target.open("wb") as out:
            shutil.copyfileobj(source, out)
    except (RuntimeError, NotImplementedError) as error:  # raised by zipfile for passwords and unknown compression methods
        raise SourceError(f"{file}: its {name} cannot be unpacked ({error}). Unpack it, and name {member}.") from error
    except (zipfile.BadZipFile, OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise SourceError(f"{file}: is a zip that ends early or is damaged ({error}). Copy it again.") from error
    return target


def _decompressed(packed: Path, file: Path, scratch: Path) -> Path:
    name = packed.stem if packed.suffix.lower() in COMPRESSED else packed.name
    target = Path(tempfile.mkdtemp(dir=scratch)) / name
    try:
        with open_bytes(packed, file) as source, target.open("wb") as out:
            shutil.copyfileobj(source, out)
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise SourceError(f"{file}: ends early or is damaged ({error}). Copy it again.") from error
    return target
