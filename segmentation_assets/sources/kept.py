"""What was taken in from one file or query, as a record of facts."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kept:
    """A source file as it was taken in: where its rows are, and what was found in it."""

    rows_file: str
    source: str  # name that its rows carry
    rows: int
    columns: dict[str, str]  # source column -> what it holds
    mapped: tuple[str, ...]
    strict: tuple[str, ...]  # mapped columns that are read as numbers or times, so that another type is an error
    typed: bool  # whether the file itself has types
    date_formats: tuple[str, ...]
    notes: dict[str, str]
