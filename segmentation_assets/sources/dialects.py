"""The dialect of a text file: its delimiter, its column names, and where its rows begin."""

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from segmentation_assets.settings.source import Files
from segmentation_assets.sources.base import NoRows, SourceError
from segmentation_assets.sources.text_files import VISIBLE_NUL, Row, lines_of, records

SAMPLE_RECORDS = 100
MOST_SURPLUS = 100  # cells
MOST_TITLES, WIDEST_TITLE = 3, 2  # rows above a header, and cells of one: a name and a value
AS_WIDE = 0.8  # share of the rows that have as many cells as their header
FIGURE = re.compile(r"[-+]?[\d.,:/ -]+")  # a number or a date, which is not a column name
DELIMITERS = (",", ";", "\t", "|")
SEPARATOR = re.compile(r"""["']?sep=(\\t|.)\1*["']?""", re.IGNORECASE)  # the line that sets the delimiter for Excel
NO_TEXT = re.compile(rf"[{VISIBLE_NUL}\x01-\x08\x0e-\x1f]")


@dataclass(frozen=True)
class Dialect:
    """The dialect of a text file. `lines_before_rows` counts the lines up to and including the header.

    `surplus` is the number of empty cells that each row has beyond its header: one if lines end in a delimiter. `title` is the
    number of lines above the header that were recognised as a title.
    """

    encoding: str
    delimiter: str
    quote: str
    names: tuple[str, ...]
    lines_before_rows: int
    surplus: int = 0
    title: int = 0


def dialect_of(file: Path, settings: Files, encoding: str) -> Dialect:
    """The delimiter and the column names, from the settings or guessed from the first records.

    Raises:
        NoRows: the file is empty, or has a header only.
        SourceError: no delimiter splits it.
    """
    sample, skipped = _sample(file, settings, encoding), settings.skip_lines
    said = None if skipped or not sample else SEPARATOR.fullmatch(sample[0].strip(" \n"))
    if said:
        skipped += 1
    body = sample[skipped:]
    full = sum(bool(line.strip()) for line in body)
    if not full:
        raise NoRows(file, "is empty")
    if settings.header and full == 1 and len(sample) < _most_lines(settings):
        raise NoRows(file, "has a header and no rows")
    title = _title_lines(body, settings) if settings.header and not settings.skip_lines else 0
    skipped, body = skipped + title, body[title:]
    delimiter = _delimiter(file, settings, said[1] if said else None, body)
    if not settings.header:
        names, surplus = _without_trailing_delimiter(settings.names, list(records(body, delimiter, settings.quote)))
        return Dialect(encoding, delimiter, settings.quote, unique_names(names), skipped, surplus)
    blank = next(position for position, line in enumerate(body) if line.strip())
    header, *rows = records(body, delimiter, settings.quote)
    if header.problem:
        raise SourceError(
            f"{file}: line {skipped + blank + 1}, read as the header, cannot be split: {header.problem}. Set "
            "skip_lines, delimiter or quote."
        )
    if any(NO_TEXT.search(name) for name in header.cells):
        shown = ascii(header.text[:60])
        raise SourceError(
            f"{file}: its header has characters that are not text: {shown}. Set encoding to that of the file (utf-16, "
            "cp1252, ...), or export it again as text.",
            shown,
        )
    if not rows:
        raise NoRows(file, "has a header and no rows")
    names, surplus = _without_trailing_delimiter(settings.names or tuple(cell.strip() for cell in header.cells), rows)
    return Dialect(encoding, delimiter, settings.quote, unique_names(names), skipped + blank + header.lines, surplus, title)


def titles_above(rows: Sequence[Sequence[str]]) -> int:
    """The number of first rows that are a title: one or two filled cells each, followed by twice as many names, and rows as wide."""
    filled = [[cell.strip() for cell in row if cell.strip()] for row in rows[: MOST_TITLES + 1]]
    for above in range(1, len(filled)):
        most = max(map(len, filled[:above]))
        is_header = len(filled[above]) >= 2 * max(most, 1) and not any(FIGURE.fullmatch(cell) for cell in filled[above])
        if most <= WIDEST_TITLE and is_header and _are_as_wide(rows[above + 1 :], len(rows[above])):
            return above
    return 0


def _are_as_wide(rows: Sequence[Sequence[str]], width: int) -> bool:
    return bool(rows) and sum(len(row) == width for row in rows) >= AS_WIDE * len(rows)


def _title_lines(body: list[str], settings: Files) -> int:
    """The number of lines above the header, whatever the delimiter; 0 if a delimiter splits the first line like the others."""
    found = 0
    for delimiter in DELIMITERS if settings.delimiter == "auto" else (settings.delimiter,):
        rows = [row.cells for row in _first(body, delimiter, settings.quote)]
        title = titles_above(rows)
        if not title and rows and len(rows[0]) > 1 and _are_as_wide(rows, len(rows[0])):
            return 0
        found = found or title
    return [position for position, line in enumerate(body) if line.strip()][found] if found else 0


def _most_lines(settings: Files) -> int:
    return settings.skip_lines + SAMPLE_RECORDS * 4


def _sample(file: Path, settings: Files, encoding: str) -> list[str]:
    return list(itertools.islice(lines_of(file, encoding), _most_lines(settings)))


def _delimiter(file: Path, settings: Files, said: str | None, body: list[str]) -> str:
    """The delimiter: from the settings, else from the file's `sep=` line, else the one that fits."""
    if settings.delimiter != "auto":
        return settings.delimiter
    said = "\t" if said == r"\t" else said
    first = next(line for line in body if line.strip())
    return said if said and said in first else _guessed_delimiter(body, settings.quote, file)


def _without_trailing_delimiter(names: tuple[str, ...], rows: Sequence[Row]) -> tuple[tuple[str, ...], int]:
    """The names of the columns, and the number of empty cells beyond them if lines end in a delimiter.

    A nameless last column does not count if most rows have no cell for it; a cell of rows beyond the header must be empty.
    """
    widths = Counter(len(row.cells) for row in rows if not row.problem)
    usual = widths.most_common(1)[0][0] if widths else len(names)
    while len(names) > max(usual, 1) and not names[-1]:
        names = names[:-1]
    surplus = usual - len(names)
    empty = all(not cell.strip() for row in rows for cell in row.cells[len(names) :])
    return names, surplus if 0 < surplus <= MOST_SURPLUS and empty else 0


def _guessed_delimiter(body: list[str], quote: str, file: Path) -> str:
    best, best_score = None, (0.0, 0)
    for delimiter in DELIMITERS:
        widths = [len(row.cells) for row in _first(body, delimiter, quote)]
        if widths and widths[0] > 1:
            score = (sum(width == widths[0] for width in widths) / len(widths), widths[0])
            if score > best_score:
                best, best_score = delimiter, score
    if best is not None:
        return best
    widths = [len(row.cells) for row in _first(body, "whitespace", "")]
    if widths[0] > 1:
        return "whitespace"
    first = repr(body[0].strip()[:60])
    raise SourceError(f"{file}: its delimiter cannot be guessed; its first line is {first}. Set delimiter.", first)


def _first(body: list[str], delimiter: str, quote: str) -> list[Row]:
    return list(itertools.islice((row for row in records(body, delimiter, quote) if not row.problem), SAMPLE_RECORDS))


def unique_names(names: Iterable[str]) -> tuple[str, ...]:
    """Column names made unique regardless of case: `id, ID` becomes `id, ID_2`, and a nameless column is named by its position."""
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
