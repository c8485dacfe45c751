"""Text files of any quality: their encoding, and every line as a row or a problem.

A well-formed file is left to the engine's own reader, which is fast and strict. A file it refuses is split here, line by
line: a line that cannot be split becomes a problem with its text, and reading continues after it.
"""

import bz2
import codecs
import csv
import gzip
import io
import lzma
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa

from segmentation_assets.settings.source import Files
from segmentation_assets.sources.base import SourceError

CHUNK, LOOK = 1 << 20, 512  # bytes
UNSUSPECTED = 1 << 28  # bytes; a compressed file that holds more than these, and more than MOST_TIMES its own, is made to fill a disk
MOST_TIMES = 300  # tables of orders take a tenth to a fiftieth of their bytes when compressed
LONGEST_RECORD_LINES = 1_000  # an unclosed quote would otherwise swallow the rest of the file
LONGEST_RECORD = 1 << 20  # characters
NUL, VISIBLE_NUL = "\0", "\u2400"  # databases and JSON cannot store NUL; its visible symbol keeps the row readable
COMPRESSIONS = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ": "xz", b"(\xb5/\xfd": "zstd"}
MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))

csv.field_size_limit(1 << 24)


@dataclass(frozen=True)
class Row:
    """One record: its cells, or the problem with it as a whole; `lines` is its number of lines in the file."""

    cells: tuple[str, ...]
    text: str
    lines: int
    problem: str | None = None


def compression_of(file: Path) -> str | None:
    """How the file is compressed, by its first bytes."""
    with file.open("rb") as stream:
        start = stream.read(8)
    return next((name for mark, name in COMPRESSIONS.items() if start.startswith(mark)), None)


class _Unpacking(io.BufferedIOBase):
    """The bytes of a compressed file while they stay within the limits of `require_plausible`."""

    def __init__(self, file: Path, packed: int, stream: IO[bytes]) -> None:
        self.file, self.packed, self.stream, self.unpacked = file, packed, stream, 0

    def read(self, size: int | None = -1) -> bytes:
        part = self.stream.read(-1 if size is None else size)
        self.unpacked += len(part)
        require_plausible(self.file, self.packed, self.unpacked)
        return part

    def close(self) -> None:
        self.stream.close()
        super().close()


def require_plausible(file: Path, packed: int, unpacked: int) -> None:
    """Refuse a file that unpacks to far more than tables do.

    Raises:
        SourceError: it does.
    """
    if unpacked > max(UNSUSPECTED, MOST_TIMES * packed):
        raise SourceError(
            f"{file}: holds more than {MOST_TIMES} times its own {packed:,} bytes, as files do that are made to fill a disk. If it is a "
            "table nevertheless, unpack it, and name what is in it."
        )


def open_bytes(file: Path, origin: Path | None = None) -> IO[bytes]:
    """The file's bytes, uncompressed; reading them raises a SourceError if they are implausibly many.

    Args:
        origin: the archive that it came from, if any, whose size they are compared with.
    """
    compression = compression_of(file)
    if compression is None:
        return file.open("rb")
    opener: Any = {"gzip": gzip.open, "bz2": bz2.open, "xz": lzma.open, "zstd": _open_zstd}[compression]
    named = origin or file
    return cast(IO[bytes], _Unpacking(named, named.stat().st_size, opener(file, "rb")))


def _open_zstd(file: Path, _mode: str) -> IO[bytes]:
    return cast(IO[bytes], pa.input_stream(file, compression="zstd"))


def encoding_of(file: Path, settings: Files) -> tuple[str, bool]:
    """The encoding in force, and whether the engine can read the bytes unchanged (UTF-8 without a byte order mark or NUL).

    Raises:
        SourceError: the encoding in the settings does not fit the file.
    """
    try:
        with _reading(file) as stream:
            start = stream.read(LOOK)
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise SourceError(f"{file}: ends early or is damaged ({error}). Copy it again.") from error
    marked = encoding_by_bytes(start)
    wanted = settings.encoding if settings.encoding != "auto" else (marked or "utf-8")
    wanted = "utf-8-sig" if marked == "utf-8-sig" and codecs.lookup(wanted).name == "utf-8" else wanted
    try:
        plain = _decodes(file, wanted)
    except UnicodeDecodeError as error:
        if settings.encoding != "auto":
            raise SourceError(
                f"{file}: is not {settings.encoding}: byte {error.object[error.start]:#04x} cannot be read. Set encoding to "
                "auto, or to the file's encoding (latin-1, cp1252, utf-16, ...)."
            ) from error
        try:
            _decodes(file, "cp1252")
            return "cp1252", False
        except UnicodeDecodeError:
            return "latin-1", False  # every byte is a character
    return wanted, plain and codecs.lookup(wanted).name in {"utf-8", "ascii"}


def encoding_by_bytes(start: bytes) -> str | None:
    """The encoding that the beginning of a text shows: by its mark or, for UTF-16 without one, by every other byte being mostly 0."""
    marked = next((name for mark, name in MARKS if start.startswith(mark)), None)
    if marked:
        return marked
    first, second = start[::2], start[1::2]
    if 0 not in first and 2 * second.count(0) > len(second):
        return "utf-16-le"
    return "utf-16-be" if 0 not in second and 2 * first.count(0) > len(first) else None


def _reading(file: Path) -> IO[bytes]:
    try:
        return open_bytes(file)
    except OSError as error:
        raise SourceError(f"{file}: cannot be read ({error.strerror or error}). Check that it exists, is complete and readable.") from error


def _decodes(file: Path, encoding: str) -> bool:
    """Read the whole file as text, and return whether it is free of NULs."""
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


def chunks_of(file: Path, encoding: str) -> Iterator[str]:
    """The file's text in parts, NULs made visible, lines ended by line feeds."""
    decoder = codecs.getincrementaldecoder(encoding)()
    held = ""
    with _reading(file) as stream:
        while True:
            chunk = stream.read(CHUNK)
            text = held + decoder.decode(chunk, not chunk).replace(NUL, VISIBLE_NUL)
            held = "\r" if chunk and text.endswith("\r") else ""  # it may be half of \r\n
            yield text[: len(text) - len(held)].replace("\r\n", "\n").replace("\r", "\n")
            if not chunk:
                break


def lines_of(file: Path, encoding: str) -> Iterator[str]:
    """The file's lines with their ends, NULs made visible. Only line feeds and carriage returns end a line."""
    pending: list[str] = []
    for text in chunks_of(file, encoding):
        first, *others = text.split("\n")
        pending.append(first)
        for line in others:
            yield "".join(pending) + "\n"
            pending = [line]
    if rest := "".join(pending):
        yield rest


def records(lines: Iterable[str], delimiter: str, quote: str) -> Iterator[Row]:
    """Split lines into records, without blank lines. A record with unbalanced quotes is a problem."""
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
    """Lines that can be pushed back after reading."""

    def __init__(self, lines: Iterator[str]) -> None:
        self.lines, self.returned = lines, list[str]()

    def __iter__(self) -> "_Lookahead":
        return self

    def __next__(self) -> str:
        return self.returned.pop() if self.returned else next(self.lines)


def _quoted(line: str, source: _Lookahead, delimiter: str, quote: str) -> Row:
    """A record with quotes, which may span several lines."""
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
