"""The files of the published database: their names, and what state each is in.

The private master takes a snapshot in one transaction; a copy of it is the public file. Order lines, and tables of very many customers,
are links next to the master.
"""

import re
from pathlib import Path

import duckdb

from segmentation_assets.store.quoting import quoted
from segmentation_assets.tables import CONTRACTS
from segmentation_assets.tables.contract import Contract

DATABASE = "segmentation.duckdb"
PRIVATE, MASTER, LOCK = "publishing", "master.duckdb", "lock"
AS_PUBLISHED = "as_published"  # size and time of the public file when published
PLACE = "place"  # path of the data folder when the views were made, because they hold absolute paths
MAGIC = b"DUCK"  # in every DuckDB file, after a checksum of 8 bytes
DAMAGED_PAGE = re.compile("checksum|[Cc]orrupt")
SNAPSHOTS = "published_snapshots"


class PublishError(RuntimeError):
    """A snapshot cannot be published, or the database cannot be read; the message says what to do."""


def in_files(data_dir: Path) -> list[Contract]:
    """The tables that the database shows as views over links: order lines, and those that have become large."""
    return [contract for contract in CONTRACTS if contract.bulky or (data_dir / PRIVATE / contract.name).is_dir()]


def native(data_dir: Path) -> list[Contract]:
    """The tables that are in the database itself."""
    shown = in_files(data_dir)
    return [contract for contract in CONTRACTS if contract not in shown]


def link_of(data_dir: Path, table: str, key: str) -> Path:
    """The link to a snapshot's rows, as published, of a table that is left in files."""
    return data_dir / PRIVATE / table / f"snapshot_date={key}" / "part-0.parquet"


def log_of(database: Path) -> Path:
    """DuckDB's write-ahead log of a database."""
    return database.with_name(f"{database.name}.wal")


def text_of(file: Path) -> str:
    """The text of a file; empty if it is missing or damaged."""
    try:
        return file.read_text(encoding="utf-8")
    except (FileNotFoundError, UnicodeDecodeError):
        return ""


def stamp_of(file: Path) -> str:
    """Size and time of the file, which change when it is written to."""
    return f"{file.stat().st_size} {file.stat().st_mtime_ns}"


def is_database(file: Path) -> bool:
    """Whether the file is there and was written by DuckDB, as far as it may be read; without connecting, as another program may hold it."""
    try:
        with file.open("rb") as opened_file:
            return opened_file.read(12)[8:] == MAGIC
    except FileNotFoundError:
        return False
    except OSError:
        return True


def is_cut(file: Path, private: Path) -> bool:
    """Whether the master or the public file, its copy, is smaller than when it was published: a truncated database can still be
    opened."""
    published_size = text_of(private / AS_PUBLISHED).partition(" ")[0]
    return file.exists() and published_size.isdigit() and file.stat().st_size < int(published_size)


def keys_in(file: Path) -> list[str] | None:
    """Keys of the snapshots in a database; None if it is missing or damaged.

    Raises:
        PublishError: another program has locked it.
    """
    if not file.exists():
        return None
    try:
        with duckdb.connect(str(file), read_only=True) as connection:
            found = connection.execute(f"SELECT CAST(snapshot_date AS VARCHAR) FROM {SNAPSHOTS} ORDER BY ALL").fetchall()
            return [key for (key,) in found]
    except duckdb.Error as error:
        if file.name == MASTER and "lock" in str(error):
            raise PublishError(f"{file} is open in another program. Close it, and try again. ({error})") from error
        return None


def shown_in(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """The names of the tables that a database has, and of those that it shows from files."""
    return {name for (name,) in connection.execute("SELECT table_name FROM information_schema.tables").fetchall()}


def first_damage(file: Path) -> str:
    """DuckDB's message on the first damaged page of a database, all pages of which are read; empty if there is none."""
    try:
        with duckdb.connect(str(file), read_only=True) as connection:
            for (table,) in connection.execute("SELECT table_name FROM duckdb_tables() WHERE NOT internal").fetchall():
                connection.execute(f"SELECT bit_xor(hash(t)) FROM {quoted(table)} AS t").fetchall()
    except duckdb.Error as error:
        return str(error) if DAMAGED_PAGE.search(str(error)) else ""
    return ""
