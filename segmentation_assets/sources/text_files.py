"""Text files as they come: their encoding, their delimiter, and every line of them as a row or a problem.

A well-formed file is left to the engine's own reader, which is fast and strict. A file it refuses is split here, line by
line: a line that cannot be split is given as a problem with its text, and reading goes on after it.
"""

import bz2
import codecs
import csv
import gzip
import lzma
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from segmentation_assets.settings_source import Files
from segmentation_assets.sources.base import SourceError

CHUNK = 1 << 20
LONGEST_RECORD_LINES = 1_000  # an unclosed quote would otherwise swallow the rest of the file
LONGEST_RECORD = 1 << 20  # characters
SAMPLE_RECORDS = 100
DELIMITERS = (",", ";", "\t", "|")
NUL, VISIBLE_NUL = "\0", "\u2400"  # databases and JSON have no NUL; its picture keeps the row readable
COMPRESSIONS = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ": "xz", b"(\xb5/\xfd": "zstd"}
MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))

csv.field_size_limit(1 << 24)


@dataclass(frozen=True)
class Row:
    """One record: its cells, or what is wrong with it as a whole; `lines` is how many lines of the file it takes."""

    cells: tuple[str, ...]
    text: str
    lines: int
    problem: str | None = None


@dataclass(frozen=True)
class Dialect:
    """How a text file is written. `lines_before_rows` are those up to and including the header."""

    encoding: str
    delimiter: str
    quote: str
    names: tuple[str, ...]
    lines_before_rows: int


def compression_of(file: Path) -> str | None:
    """How the file is compressed, by its first bytes."""
    with file.open("rb") as stream:
        start = stream.read(8)
    return next((name for mark, name in COMPRESSIONS.items() if start.startswith(mark)), None)


def open_bytes(file: Path) -> IO[bytes]:
    """The file's bytes, uncompressed.

    Raises:
        SourceError: it is compressed in a way that cannot be read here.
    """
    compression = compression_of(file)
    if compression == "zstd":
        raise SourceError(f"{file}: is compressed with zstd, which is not read here. Decompress it, or use gzip.")
    opener: Any = {"gzip": gzip.open, "bz2": bz2.open, "xz": lzma.open, None: open}[compression]
    return cast(IO[bytes], opener(file, "rb"))


def encoding_of(file: Path, settings: Files) -> tuple[str, bool]:
    """The encoding in force, and whether the bytes can be given to the engine as they are (UTF-8 without mark or NUL).

    Raises:
        SourceError: the encoding that the settings name does not fit the file.
    """
    try:
        with _reading(file) as stream:
            start = stream.read(4)
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise SourceError(f"{file}: ends early or is damaged ({error}). Copy it again.") from error
    marked = next((name for mark, name in MARKS if start.startswith(mark)), None)
    wanted = settings.encoding if settings.encoding != "auto" else (marked or "utf-8")
    wanted = "utf-8-sig" if marked == "utf-8-sig" and codecs.lookup(wanted).name == "utf-8" else wanted
    try:
        plain = _decodes(file, wanted)
    except UnicodeDecodeError as error:
        if settings.encoding != "auto":
            raise SourceError(
                f"{file}: is not {settings.encoding}: byte {error.object[error.start]:#04x} cannot be read. Set encoding to "
                "auto, or to what wrote the file (latin-1, cp1252, utf-16, ...)."
            ) from error
        try:
            _decodes(file, "cp1252")
            return "cp1252", False
        except UnicodeDecodeError:
            return "latin-1", False  # every byte is a character
    return wanted, plain and codecs.lookup(wanted).name in {"utf-8", "ascii"}


def _reading(file: Path) -> IO[bytes]:
    try:
        return open_bytes(file)
    except OSError as error:
        raise SourceError(
            f"{file}: cannot be read ({error.strerror or error}). Check that it exists, is complete and may be read."
        ) from error


def _decodes(file: Path, encoding: str) -> bool:
    """Read the whole file as text; whether it is free of NULs."""
    decoder = codecs.getincrementaldecoder(encoding)()
    clean = True
    try:
        with _reading(file) as stream:
            while chunk := stream.read(CHUNK):
                clean = clean and NUL not in decoder.decode(chunk)
            decoder.decode(b"", True)
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise SourceError(f"{file}: ends early or is damaged ({error}). Copy it again.") from error
    return clean


def lines_of(file: Path, encoding: str) -> Iterator[str]:
    """The file's lines with their ends, NULs made visible. Only line feeds and carriage returns end a line."""
    decoder = codecs.getincrementaldecoder(encoding)()
    pending = ""
    with _reading(file) as stream:
        while True:
            chunk = stream.read(CHUNK)
            text = pending + decoder.decode(chunk, not chunk).replace(NUL, VISIBLE_NUL)
            held = "\r" if chunk and text.endswith("\r") else ""  # it may be half of \r\n
            complete = text[: len(text) - len(held)].replace("\r\n", "\n").replace("\r", "\n")
            *lines, pending = complete.split("\n")
            pending += held
            for line in lines:
                yield line + "\n"
            if not chunk:
                break
    if pending:
        yield pending


def records(lines: Iterable[str], delimiter: str, quote: str) -> Iterator[Row]:
    """Split lines into records; blank lines are none. A record with quotes that do not pair up is a problem."""
    source = _Lookahead(iter(lines))
    for line in source:
        bare = line.rstrip("\n")
        if not bare.strip():
            continue
        if delimiter == "whitespace":
            yield Row(tuple(bare.split()), bare, 1)
        elif not quote or quote not in bare:
            yield Row(tuple(bare.split(delimiter)), bare, 1)
        else:
            yield _quoted(line, source, delimiter, quote)


class _Lookahead:
    """Lines that can be looked at and given back."""

    def __init__(self, lines: Iterator[str]) -> None:
        self.lines, self.returned = lines, list[str]()

    def __iter__(self) -> "_Lookahead":
        return self

    def __next__(self) -> str:
        return self.returned.pop() if self.returned else next(self.lines)


def _quoted(line: str, source: _Lookahead, delimiter: str, quote: str) -> Row:
    """A record that has quotes, and may go on over several lines."""
    taken = [line]
    while True:
        try:
            cells = next(csv.reader(taken, delimiter=delimiter, quotechar=quote, strict=True))
            text = "".join(taken)
            return Row(tuple(cells), text.rstrip("\n"), len(taken))
        except (csv.Error, StopIteration) as error:
            unfinished = "unexpected end of data" in str(error)
            further = (
                next(source, None) if unfinished and len(taken) < LONGEST_RECORD_LINES and sum(map(len, taken)) < LONGEST_RECORD else None
            )
            if further is not None:
                taken.append(further)
                continue
            source.returned.extend(reversed(taken[1:]))
            return Row((), line.rstrip("\n"), 1, "its quotes do not pair up")


def dialect_of(file: Path, settings: Files, encoding: str) -> Dialect:
    """The delimiter and the column names, from the settings or guessed from the first records.

    Raises:
        SourceError: the file is empty, or no delimiter splits it.
    """
    sample: list[str] = []
    for line in lines_of(file, encoding):
        sample.append(line)
        if len(sample) >= settings.skip_lines + SAMPLE_RECORDS * 4:
            break
    body = sample[settings.skip_lines :]
    if not any(line.strip() for line in body):
        raise SourceError(f"{file}: is empty. Give a file with a header and rows, or take it out of the settings.")
    delimiter = settings.delimiter if settings.delimiter != "auto" else _guessed_delimiter(body, settings.quote, file)
    if not settings.header:
        return Dialect(encoding, delimiter, settings.quote, unique_names(settings.names), settings.skip_lines)
    blank = next(position for position, line in enumerate(body) if line.strip())
    header = next(records(body, delimiter, settings.quote))
    if header.problem:
        raise SourceError(
            f"{file}: line {settings.skip_lines + blank + 1}, taken for the header, cannot be split: {header.problem}. Set "
            "skip_lines, delimiter or quote."
        )
    names = settings.names or tuple(cell.strip() for cell in header.cells)
    return Dialect(encoding, delimiter, settings.quote, unique_names(names), settings.skip_lines + blank + header.lines)


def _guessed_delimiter(body: list[str], quote: str, file: Path) -> str:
    best, best_score = None, (0.0, 0)
    for delimiter in DELIMITERS:
        widths = [len(row.cells) for row in records(body, delimiter, quote) if not row.problem][:SAMPLE_RECORDS]
        if widths and widths[0] > 1:
            score = (sum(width == widths[0] for width in widths) / len(widths), widths[0])
            if score > best_score:
                best, best_score = delimiter, score
    if best is not None:
        return best
    widths = [len(row.cells) for row in records(body, "whitespace", "")][:SAMPLE_RECORDS]
    if widths[0] > 1:
        return "whitespace"
    raise SourceError(f"{file}: has no delimiter that can be guessed: its first line is {body[0].strip()[:60]!r}. Set delimiter.")


def unique_names(names: Iterable[str]) -> tuple[str, ...]:
    """Column names made unique whatever their case: `id, ID` becomes `id, ID_2`, and a column without a name gets its position."""
    taken: set[str] = set()
    result = []
    for position, name in enumerate(names, start=1):
        base = name or f"column_{position}"
        unique, number = base, 2
        while unique.lower() in taken:
            unique, number = f"{base}_{number}", number + 1
        taken.add(unique.lower())
        result.append(unique)
    return tuple(result)
