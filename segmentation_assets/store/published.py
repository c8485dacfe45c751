"""Write, audit, publish: from checked partitions of the lake to the database that users query.

A private master database takes a snapshot in one transaction, under a file lock; a copy of it then replaces the public
file by renaming. So readers who have the old file open keep reading it, see no half-written snapshot, and
cannot block a run. Order lines are not copied: they are views over hard links to the partitions as published.
"""

import datetime as dt
import filecmp
import os
import re
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import duckdb
import ibis
from filelock import FileLock
from sqlglot import exp

from segmentation_assets.atomic import replacing
from segmentation_assets.engines import parquet
from segmentation_assets.settings.snapshots import Snapshots, keys_until
from segmentation_assets.store import provenance
from segmentation_assets.store.lake import Lake, opened, partition_keys
from segmentation_assets.tables import CONTRACTS
from segmentation_assets.tables.contract import SNAPSHOT_DATE, Contract
from segmentation_assets.vocabulary import counted, fewer_than

DATABASE = "segmentation.duckdb"
PRIVATE, MASTER, LOCK = "publishing", "master.duckdb", "lock"
AS_PUBLISHED = "as_published"  # size and time of the public file when published
PLACE = "place"  # path of the data folder when the views were made, because they hold absolute paths
NATIVE, BULKY = [c for c in CONTRACTS if not c.bulky], [c for c in CONTRACTS if c.bulky]
MAGIC = b"DUCK"  # in every DuckDB file, after a checksum of 8 bytes
DAMAGED_PAGE = re.compile("checksum|[Cc]orrupt")
DAMAGED_FILE = re.compile(
    r"""(?:Failed to read file|No magic bytes found at end of file|File) ["']([^"']*/(?:snapshot_date=|intake/)[^"']*\.parquet)["']"""
)  # DuckDB's messages
SNAPSHOTS = "published_snapshots"
SMALLEST_CELL = "smallest_cell"  # the setting with which the tables were published, for when they are rebuilt from the lake
SMALL_CELL = "small_cell"  # the column that says which rows have hidden figures
LATEST = {
    f"latest_{table}": table
    for table in ("segments", "customer_segments", "segment_attributes", "segment_categories", "segment_examples", "segment_rules")
}
VIEWS = {
    view: (f"FROM {table} WHERE snapshot_date = (SELECT max(snapshot_date) FROM {table})", f"{table} at the latest snapshot.")
    for view, table in LATEST.items()
} | {
    "named_segment_changes": (
        "SELECT c.*, f.segment_name AS from_segment_name, t.segment_name AS to_segment_name FROM segment_changes AS c "
        "ASOF LEFT JOIN segments AS f ON f.segment_id = c.from_segment_id AND f.snapshot_date < c.snapshot_date "
        "ASOF LEFT JOIN segments AS t ON t.segment_id = c.to_segment_id AND t.snapshot_date <= c.snapshot_date",
        "segment_changes with the names that the segments had before and at the snapshot.",
    )
}
"""View -> its query over the published tables, and its comment."""


class PublishError(RuntimeError):
    """A snapshot cannot be published, or the database cannot be read; the message says what to do."""


@dataclass(frozen=True)
class Published:
    """The result of publishing: rows of the snapshot by table, snapshots now in the database, and an old file that was set aside."""

    database: Path
    rows: dict[str, int]
    snapshots: int
    kept: Path | None


def publish_snapshot(lake: Lake, data_dir: Path, key: str, fingerprint: str, smallest_cell: int = 0) -> Published:
    """Copy the partitions of snapshot `key` into the public database, all or none.

    Args:
        fingerprint: of the settings and source that the snapshot was made from; stored, so that an up-to-date snapshot
            is not made again.
        smallest_cell: fewest customers whose figures are shown; in a row of fewer, but of some, they are null, and SMALL_CELL says so.

    Raises:
        PublishError: a partition is missing.
    """
    private = data_dir / PRIVATE
    private.mkdir(parents=True, exist_ok=True)
    missing = [c.name for c in CONTRACTS if not lake.file(c.name, key).exists()]
    if missing:
        raise PublishError(f"Snapshot {key} lacks {', '.join(missing)}. Run the whole snapshot: segmentation run --snapshot {key}")
    with FileLock(private / LOCK):
        (private / SMALLEST_CELL).write_text(str(smallest_cell))
        earlier = _restore(lake, data_dir, every_page=False)
        for contract in BULKY:
            _link(lake.file(contract.name, key), _link_of(data_dir, contract.name, key))
        try:
            rows = _take_in_snapshot(lake, data_dir, private / MASTER, key, fingerprint)
        except duckdb.Error as error:
            if not DAMAGED_PAGE.search(str(error)):
                raise
            _restore(lake, data_dir)
            rows = _take_in_snapshot(lake, data_dir, private / MASTER, key, fingerprint)
        kept = _replace(private / MASTER, data_dir / DATABASE)
        _write_place(data_dir)
        provenance.remember(lake, private, key)  # last: if stopped before, the snapshot is made again, and nothing is lost
    return Published(data_dir / DATABASE, rows, len({*earlier, key}), kept)


def _take_in_snapshot(lake: Lake, data_dir: Path, master: Path, key: str, fingerprint: str) -> dict[str, int]:
    """Copy the tables of a snapshot into the master, all or none; return rows by table."""
    with _writing(master) as connection:
        connection.begin()
        smallest = int(_read(data_dir / PRIVATE / SMALLEST_CELL) or 0)
        rows = {c.name: _take_in(connection, c, key, lake, smallest) for c in NATIVE}
        _show_order_lines(connection, data_dir)
        _remember(connection, key, fingerprint)
        for view, (query, comment) in VIEWS.items():
            connection.execute(f"CREATE OR REPLACE VIEW {view} AS {query}")
            connection.execute(f"COMMENT ON VIEW {view} IS {_text(comment)}")
        connection.commit()
    return rows


@contextmanager
def _writing(master: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The master, for writing; while another program reads it, a copy that then replaces it."""
    try:
        alone = duckdb.connect(str(master))
    except duckdb.IOException as error:
        if "lock" not in str(error):
            raise
        with replacing(master) as unfinished:
            shutil.copyfile(master, unfinished)
            with duckdb.connect(str(unfinished)) as copy:
                yield copy
                copy.execute("CHECKPOINT")
        return
    with alone:
        yield alone
        alone.execute("CHECKPOINT")


def _restore(lake: Lake, data_dir: Path, every_page: bool = True) -> list[str]:
    """Rebuild missing, damaged or outdated parts of the private folder from the public file and the lake; return the keys in it.

    Args:
        every_page: read all of the master, to find a damaged page before its copy replaces the public file. Otherwise it is read only
            if the lake lacks a table of what was published, so that the public file may be the only good one: whoever comes upon a
            damaged page gets it rebuilt, and publishing should not take longer with every snapshot.

    Raises:
        PublishError: neither the master nor the public file can be read, and the lake lacks tables of what they held.
    """
    private, public = data_dir / PRIVATE, data_dir / DATABASE
    master = private / MASTER
    inside, outside = (None if _is_cut(file, private) else _keys_in(file) for file in (master, public))
    if (every_page or not _in_lake(lake, inside or [])) and _damage(master):
        inside = None
    if inside is None and _damage(public):
        outside = None
    if inside is None and outside is None:
        _from_lake(lake, data_dir)
        inside = _keys_in(master)
    elif outside is not None and (inside is None or not set(outside) <= set(inside)):
        _log_of(master).unlink(missing_ok=True)
        with replacing(master) as unfinished:
            shutil.copyfile(public, unfinished)
        inside = outside
    _link_again(lake, data_dir, inside or [])
    provenance.restore(lake, private, inside or [])
    return inside or []


def _in_lake(lake: Lake, keys: Sequence[str]) -> bool:
    """Whether the lake has every table of the snapshots."""
    return all(lake.file(contract.name, key).exists() for contract in CONTRACTS for key in keys)


def _from_lake(lake: Lake, data_dir: Path) -> None:
    """Rebuild the master from the lake's tables of the snapshots recorded as published. None of them counts as up to date then,
    because only the database recorded what they were made from.

    Raises:
        PublishError: a table is missing or damaged, or nothing is recorded although there was a database.
    """
    private = data_dir / PRIVATE
    master, recorded = private / MASTER, provenance.recorded(private)
    keys = [key for key, record in recorded.items() if record.published]
    lost = sorted({key for key in keys for contract in CONTRACTS if lake.row_count(contract.name, key) is None})
    there = [str(file) for file in (master, data_dir / DATABASE) if file.exists()]
    if lost or (there and not keys):
        missing = f"the lake lacks tables of {', '.join(lost)}" if lost else "it is not recorded which snapshots were published"
        files = [str(master), str(data_dir / DATABASE)]
        raise PublishError(
            f"Neither {' nor '.join(files)} can be read, and {missing}. Restore one of them from a backup, or remove both and "
            f"{private / provenance.FILE}, and make all snapshots again: segmentation run --all"
        )
    if keys:
        _link_again(lake, data_dir, keys)
        _log_of(master).unlink(missing_ok=True)
        with replacing(master) as unfinished:
            for key in keys:
                _take_in_snapshot(lake, data_dir, unfinished, key, "")


def _link_again(lake: Lake, data_dir: Path, keys: Sequence[str]) -> None:
    """Restore the links to published order lines that are missing or truncated, from the lake."""
    for key in keys:
        for contract in BULKY:
            link = _link_of(data_dir, contract.name, key)
            if parquet.row_count(link) is None and lake.row_count(contract.name, key) is not None:
                _link(lake.file(contract.name, key), link)


def _is_cut(file: Path, private: Path) -> bool:
    """Whether the master or the public file, its copy, is smaller than when it was published: a truncated database can still be
    opened."""
    published_size = _read(private / AS_PUBLISHED).partition(" ")[0]
    return file.exists() and published_size.isdigit() and file.stat().st_size < int(published_size)


def _keys_in(file: Path) -> list[str] | None:
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


def _damage(file: Path) -> str:
    """DuckDB's message on the first damaged page of a database, all pages of which are read; empty if there is none."""
    try:
        with duckdb.connect(str(file), read_only=True) as connection:
            for (table,) in connection.execute("SELECT table_name FROM duckdb_tables() WHERE NOT internal").fetchall():
                connection.execute(f"SELECT bit_xor(hash(t)) FROM {_name(table)} AS t").fetchall()
    except duckdb.Error as error:
        return str(error) if DAMAGED_PAGE.search(str(error)) else ""
    return ""


def damaged(data_dir: Path) -> list[str]:
    """Which databases have a damaged page, in words. Both are read in full."""
    files = (data_dir / DATABASE, data_dir / PRIVATE / MASTER)
    return [f"{file} has a damaged page ({problem})" for file in files if (problem := _damage(file))]


def mend(data_dir: Path) -> list[str]:
    """Rebuild the databases that have a damaged page, from each other or the lake; return which had one, in words.

    Raises:
        PublishError: nothing is left to rebuild them from.
    """
    found = damaged(data_dir)
    if found:
        with FileLock(data_dir / PRIVATE / LOCK), opened(data_dir) as lake:
            _restore(lake, data_dir)
            _replace(data_dir / PRIVATE / MASTER, data_dir / DATABASE)
    return found


@contextmanager
def _mending(data_dir: Path) -> Iterator[None]:
    """If what is read in this block turns out to be damaged, rebuild it.

    Raises:
        PublishError: it was damaged.
    """
    try:
        yield
    except duckdb.Error as error:
        if not DAMAGED_PAGE.search(str(error)) or not (found := mend(data_dir)):
            raise
        raise PublishError(f"{'; '.join(found)}. It has been rebuilt; run the same command again.") from error


def settle(data_dir: Path) -> None:
    """Recreate the views over order lines if the folder was moved, copied or restored.

    Until then, reading them fails, rather than showing the lines of the folder that this one was copied from. A lost public
    file or lost order lines are restored.
    """
    private = data_dir / PRIVATE
    master, public = private / MASTER, data_dir / DATABASE
    if not unsettled(data_dir):
        return
    private.mkdir(exist_ok=True)
    with FileLock(private / LOCK):
        with opened(data_dir) as lake:
            _restore(lake, data_dir)
        if _is_lost(public, private) and master.exists():
            _replace(master, public)
        if not _is_moved(data_dir):
            return
        if public.exists() and not _log_of(public).exists() and filecmp.cmp(master, public, shallow=False):
            (private / AS_PUBLISHED).write_text(_stamp(public))  # copying changed its time, but not its contents
        with _writing(master) as connection:
            _show_order_lines(connection, data_dir)
        _replace(master, public)
        _write_place(data_dir)


def unsettled(data_dir: Path) -> list[str]:
    """What `settle`, and so every command that reads the published tables, would rebuild, in words; empty if all is in place."""
    lost = [f"{file} is {'damaged' if file.exists() else 'missing'}" for file in _lost(data_dir)]
    return [*lost, f"the views over order lines are not those of {data_dir}"] if _is_moved(data_dir) else lost


def _is_moved(data_dir: Path) -> bool:
    return (data_dir / PRIVATE / MASTER).exists() and _place(data_dir) != _written_place(data_dir)


def _lost(data_dir: Path) -> list[Path]:
    """The master and the public file if they are missing or damaged, and missing order lines of published snapshots."""
    private = data_dir / PRIVATE
    master, public = private / MASTER, data_dir / DATABASE
    keys = [key for key, record in provenance.recorded(private).items() if record.published]
    if not keys and not master.exists():
        return [master] if _keys_in(public) else []  # a public file copied alone; if it is not ours, nothing is lost
    links = (_link_of(data_dir, contract.name, key) for contract in BULKY for key in keys)
    return [*(file for file in (master, public) if _is_lost(file, private)), *(link for link in links if not link.exists())]


def _is_lost(file: Path, private: Path) -> bool:
    return not _is_database(file) or _is_cut(file, private)


def _is_database(file: Path) -> bool:
    """Whether the file is there and was written by DuckDB, as far as it may be read; without connecting, as another program may hold it."""
    try:
        with file.open("rb") as opened_file:
            return opened_file.read(12)[8:] == MAGIC
    except FileNotFoundError:
        return False
    except OSError:
        return True


@contextmanager
def reading(data_dir: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The published tables, read-only.

    Raises:
        PublishError: nothing was published yet, no file can be opened, or the one that was read had a damaged page.
    """
    with _mending(data_dir), _opened_first(data_dir)[1] as connection:
        yield connection


READING = {"SELECT", "EXPLAIN", "MULTI", "CREATE", "INSERT", "UPDATE", "DELETE", "DROP", "SET"}  # all but SELECT in temporary tables only
WRITING_FILES = {"copy", "export"}


def confine(connection: duckdb.DuckDBPyConnection, data_dir: Path, *further: str) -> None:
    """Let a connection reach no file but the database, the order lines next to it and `further` folders; no network, no extension.

    This cannot be undone: the connection's settings are locked.
    """
    folders = [*(str(data_dir.resolve() / PRIVATE / contract.name) for contract in BULKY), *further]
    connection.execute(f"SET allowed_directories = [{', '.join(map(_text, folders))}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def statements(connection: duckdb.DuckDBPyConnection, query: str) -> list[duckdb.Statement]:
    """The statements of a query that only reads. DuckDB lets COPY write wherever it may read, so that is refused here.

    Raises:
        PublishError: the query is no SQL, or a statement does more than read.
    """
    try:
        found = connection.extract_statements(query)
    except duckdb.Error as error:
        raise PublishError(f"The query failed: {error}") from error
    if not found:
        raise PublishError("The query is empty. Write one, such as: from latest_segments")
    for one in found:
        words = [_word(one.query, place) for place, kind in duckdb.tokenize(one.query) if kind == duckdb.token_type.keyword]
        writing = [word for word in words if word in WRITING_FILES]
        if one.type.name not in READING or (one.type.name in {"EXPLAIN", "MULTI"} and writing):
            name = next(iter(writing or words), one.type.name).upper()
            raise PublishError(f"{name} is refused: this command only reads. Save a result with --csv, or all tables: segmentation export")
    return found


def _word(query: str, place: int) -> str:
    found = re.match(r"\w+", query.encode()[place:].decode())
    return found[0].lower() if found else ""


def _opened_first(data_dir: Path) -> tuple[Path, duckdb.DuckDBPyConnection]:
    """The public file; if another program has locked it, the private master, which has the same tables: at once, or after the
    publication that is writing into it."""
    database, master = data_dir / DATABASE, data_dir / PRIVATE / MASTER
    with suppress(OSError, duckdb.IOException):  # in a read-only folder, everything but order lines can be read
        settle(data_dir)
    if not database.exists():
        raise PublishError(nothing_yet(data_dir))
    for waiting in (nullcontext(), FileLock(master.with_name(LOCK)) if master.exists() else nullcontext()):
        with waiting:
            for file in (database, master):
                try:
                    return file, duckdb.connect(str(file), read_only=True)
                except duckdb.Error as error:
                    problem = error
    raise PublishError(f"{database} cannot be opened: {problem}. Close the program that has it open, or try again.") from problem


def with_remedy(problem: str) -> str:
    """The problem, and what to do if it is a damaged partition of the lake, one of them as published, or a damaged copy of a source file.

    >>> with_remedy('model: Failed to read file "lake/features/snapshot_date=2024-02-01/part-0.parquet": it is cut').splitlines()[1]
    'Remove lake/features/snapshot_date=2024-02-01/part-0.parquet, and make its contents again: segmentation run --all'
    """
    found = DAMAGED_FILE.search(problem)
    if not found:
        return problem
    file = found[1].replace(f"/{PRIVATE}/", "/lake/")  # of which the published one is a link
    return f"{problem}\nRemove {file}, and make its contents again: segmentation run --all"


def nothing_yet(data_dir: Path) -> str:
    """What to do where nothing is published."""
    if told := in_lake_only(data_dir):
        return told
    return f"{data_dir / DATABASE} does not exist yet. Publish a snapshot first: segmentation run --all"


def in_lake_only(data_dir: Path) -> str:
    """Where nothing is published: which snapshots have all their tables in the lake, and what to do; empty if none has."""
    made = sorted(set.intersection(*(set(partition_keys(data_dir / "lake", contract.name)) for contract in CONTRACTS)))
    if not made:
        return ""
    return (
        f"Neither {data_dir / DATABASE} nor {data_dir / PRIVATE} has a published snapshot, but the lake has all tables of "
        f"{counted(len(made), 'snapshot')}, {' to '.join(dict.fromkeys((made[0], made[-1])))}. To publish what it has, checked again: "
        "segmentation run --all"
    )


def fingerprints(data_dir: Path) -> dict[str, str]:
    """Fingerprint by published snapshot; empty if nothing was published."""
    if not any(file.exists() for file in (data_dir / DATABASE, data_dir / PRIVATE / MASTER, data_dir / PRIVATE / provenance.FILE)):
        return {}
    with reading(data_dir) as connection:
        found = connection.execute(f"SELECT snapshot_date, fingerprint FROM {SNAPSHOTS}").fetchall()
    return {day.isoformat(): fingerprint for day, fingerprint in found}


def stamp(data_dir: Path) -> str:
    """A text that changes whenever a snapshot is published; empty before the first."""
    file = data_dir / DATABASE
    return _stamp(file) if file.exists() else ""


def keys(data_dir: Path) -> list[str]:
    """Keys of the published snapshots, oldest first."""
    return sorted(fingerprints(data_dir))


def require_calendar(data_dir: Path, snapshots: Snapshots) -> None:
    """Check, before anything is written, that all published snapshots exist in this calendar; otherwise windows would overlap.

    Raises:
        PublishError: some do not.
    """
    if foreign := foreign_keys(data_dir, snapshots):
        raise PublishError(
            f"{data_dir / DATABASE} has snapshots of another calendar ({counted(len(foreign), 'snapshot')}, first {foreign[0]}); snapshots "
            f"are now {snapshots.cadence} from {snapshots.first} on, and order lines would be counted in both. Nothing was written. "
            "Restore snapshots.first and snapshots.cadence, or set another data_dir for the new calendar, or remove those snapshots "
            "from this one: segmentation upgrade --take-out"
        )


def foreign_keys(data_dir: Path, snapshots: Snapshots) -> list[str]:
    """Keys of the published snapshots that do not exist in the calendar, oldest first."""
    made = keys(data_dir)
    calendar = keys_until(snapshots, dt.date.fromisoformat(made[-1])) if made else []
    return [key for key in made if key not in calendar]


def take_out(data_dir: Path, gone: Collection[str]) -> None:
    """Remove snapshots from the public database. The lake keeps their tables, on which no snapshot of another calendar depends."""
    private = data_dir / PRIVATE
    master = private / MASTER
    with FileLock(private / LOCK):
        with opened(data_dir) as lake:
            _restore(lake, data_dir)
        with _writing(master) as connection:
            connection.begin()
            for table in (*(contract.name for contract in NATIVE), SNAPSHOTS):
                connection.execute(f"DELETE FROM {table} WHERE list_contains(?, CAST(snapshot_date AS VARCHAR))", [list(gone)])
            connection.commit()
        for contract in BULKY:
            for key in gone:
                shutil.rmtree(_link_of(data_dir, contract.name, key).parent, ignore_errors=True)
        provenance.forget(private, gone)
        _replace(master, data_dir / DATABASE)


def export(data_dir: Path, target: Path) -> dict[str, int]:
    """Copy every table, including order lines, as native tables with their comments into the new file `target`; return rows by table.

    Raises:
        PublishError: nothing was published, or `target` exists.
    """
    if target.exists():
        raise PublishError(f"{target} already exists. Name a new file, or remove it first.")
    with _mending(data_dir), replacing(target) as unfinished, duckdb.connect(str(unfinished)) as copy:
        file, opened_first = _opened_first(data_dir)
        opened_first.close()
        copy.execute(f"ATTACH {_text(str(file))} AS source (READ_ONLY)")
        for contract in CONTRACTS:
            copy.execute(f"CREATE TABLE {contract.name} AS FROM source.{contract.name}")
            _comment(copy, contract, _columns(copy, contract.name), "TABLE")
        for view, (query, _) in VIEWS.items():
            copy.execute(f"CREATE VIEW {view} AS {query}")
        counts = {c.name: copy.execute(f"SELECT count(*) FROM {c.name}").fetchall()[0][0] for c in CONTRACTS}
        copy.execute("DETACH source")
    return counts


def _take_in(connection: duckdb.DuckDBPyConnection, contract: Contract, key: str, lake: Lake, smallest: int) -> int:
    """Replace the snapshot's rows of one native table, adding further columns of an open one; return the number of rows."""
    file, known = lake.file(contract.name, key), _columns(connection, contract.name)
    if not known:
        columns = ", ".join(f"{_name(c.name)} {_type(c.type)}" for c in (SNAPSHOT_DATE, *contract.columns))
        connection.execute(f"CREATE TABLE {contract.name} ({columns})")
        known = _columns(connection, contract.name)
    partition = connection.read_parquet(str(file), hive_partitioning=False)
    for column, kind in zip(partition.columns, map(str, partition.types), strict=True):
        if _folded(column) not in known:
            connection.execute(f"ALTER TABLE {contract.name} ADD COLUMN {_name(column)} {kind}")
        elif contract.open and known[_folded(column)].type != kind:
            _fit(connection, contract.name, column, known[_folded(column)].type, kind, key)
    _comment(connection, contract, known, "TABLE")
    connection.execute(f"DELETE FROM {contract.name} WHERE snapshot_date = CAST(? AS DATE)", [key])
    shown = _without_small_cells(connection, contract, key, lake, smallest) if contract.cells and smallest > 1 else "*"
    connection.execute(
        f"INSERT INTO {contract.name} BY NAME "
        f"SELECT CAST(? AS DATE) AS snapshot_date, {shown} FROM read_parquet(?, hive_partitioning = false)",
        [key, str(file)],
    )
    return len(partition)


def _without_small_cells(connection: duckdb.DuckDBPyConnection, contract: Contract, key: str, lake: Lake, smallest: int) -> str:
    """What to select so that figures of fewer customers than `smallest` are null, and SMALL_CELL says that they are hidden."""
    connection.execute(f"ALTER TABLE {contract.name} ADD COLUMN IF NOT EXISTS {SMALL_CELL} VARCHAR")
    comment = _text("Not empty: figures of this row are hidden, because they are of so few customers.")
    connection.execute(f"COMMENT ON COLUMN {contract.name}.{SMALL_CELL} IS {comment}")
    small: dict[str, list[str]] = {}  # column -> when it is hidden
    for count, others in contract.cells.items():
        table, _, column = count.rpartition(".")
        is_small = f"{_name(column)} BETWEEN 1 AND {smallest - 1}"
        if table:
            of_key = _name(contract.key[0])
            file = _text(str(lake.file(table, key)))
            is_small = f"{of_key} IN (SELECT {of_key} FROM read_parquet({file}, hive_partitioning = false) WHERE {is_small})"
        for name in others if table else (column, *others):
            small.setdefault(name, []).append(is_small)
    hidden = ", ".join(f"CASE WHEN {' OR '.join(when)} THEN NULL ELSE {_name(name)} END AS {_name(name)}" for name, when in small.items())
    anything = " OR ".join(dict.fromkeys(when for several in small.values() for when in several))
    return f"* REPLACE ({hidden}), CASE WHEN {anything} THEN {_text(fewer_than(smallest))} END AS {SMALL_CELL}"


class _Column(NamedTuple):
    type: str
    comment: str | None


def _columns(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, _Column]:
    """The columns that a table or view of the database has, by folded name; none if it is absent."""
    found = connection.execute(
        "SELECT column_name, data_type, comment FROM duckdb_columns() WHERE database_name = current_database() AND table_name = ?", [table]
    ).fetchall()
    return {_folded(name): _Column(kind, comment) for name, kind, comment in found}


def _fit(connection: duckdb.DuckDBPyConnection, table: str, column: str, found: str, kind: str, key: str) -> None:
    """Give a column of the type `found` the type in the snapshot's rows if all other rows fit it, otherwise text."""
    unfit = connection.execute(
        f"SELECT count(*) FROM {table} WHERE snapshot_date <> CAST(? AS DATE) AND {_name(column)} IS NOT NULL "
        f"AND TRY_CAST({_name(column)} AS {kind}) IS NULL", [key],
    ).fetchall()[0][0]  # fmt: skip
    type_for_all = "VARCHAR" if unfit else kind
    if type_for_all != found:
        expression = f"TRY_CAST({_name(column)} AS {type_for_all})"  # only this snapshot's values can be lost, and its rows are replaced
        connection.execute(f"ALTER TABLE {table} ALTER COLUMN {_name(column)} SET DATA TYPE {type_for_all} USING {expression}")


def _show_order_lines(connection: duckdb.DuckDBPyConnection, data_dir: Path) -> None:
    """Views over the published partitions of bulky tables.

    A view has the absolute paths of its files. So that a copy of the folder never shows the original's rows, each view checks the path
    of the database from which it is read.
    """
    places = ", ".join(_text(str(data_dir.resolve() / file)) for file in (DATABASE, Path(PRIVATE) / MASTER))
    refusal = _text(
        "Order lines are kept next to the database, which was moved or copied. Run a command there first, such as segmentation show: "
    )
    here = (
        f"(SELECT CASE WHEN bool_or(path IN ({places})) THEN true ELSE error({refusal} || string_agg(path, ', ')) END "
        "FROM duckdb_databases())"
    )
    for contract in BULKY:
        files = _text(str(data_dir.resolve() / PRIVATE / contract.name / "*" / "*.parquet"))
        connection.execute(
            f"CREATE OR REPLACE VIEW {contract.name} AS SELECT snapshot_date, * EXCLUDE (snapshot_date) "
            f"FROM read_parquet({files}, hive_partitioning = true, hive_types = {{'snapshot_date': DATE}}, union_by_name = true) "
            f"WHERE {here}"
        )
        _comment(connection, contract, _columns(connection, contract.name), "VIEW")


def _place(data_dir: Path) -> str:
    return str(data_dir.resolve())


def _written_place(data_dir: Path) -> str:
    return _read(data_dir / PRIVATE / PLACE)


def _read(file: Path) -> str:
    """The text of a file; empty if it is missing or damaged."""
    try:
        return file.read_text(encoding="utf-8")
    except (FileNotFoundError, UnicodeDecodeError):
        return ""


def _link_of(data_dir: Path, table: str, key: str) -> Path:
    """The link to the order lines of a snapshot as published."""
    return data_dir / PRIVATE / table / f"snapshot_date={key}" / "part-0.parquet"


def _log_of(database: Path) -> Path:
    """DuckDB's write-ahead log of a database."""
    return database.with_name(f"{database.name}.wal")


def _write_place(data_dir: Path) -> None:
    with replacing(data_dir / PRIVATE / PLACE) as unfinished:
        unfinished.write_text(_place(data_dir), encoding="utf-8")


def _comment(connection: duckdb.DuckDBPyConnection, contract: Contract, known: Mapping[str, _Column], kind: str) -> None:
    """Describe a TABLE or VIEW (`kind`) and those of its `known` columns that are not described yet: all would be 1,000 statements."""
    connection.execute(f"COMMENT ON {kind} {contract.name} IS {_text(contract.description)}")
    for column in (SNAPSHOT_DATE, *contract.columns):
        if column.name not in known or known[column.name].comment != column.description:
            connection.execute(f"COMMENT ON COLUMN {contract.name}.{_name(column.name)} IS {_text(column.description)}")


def _remember(connection: duckdb.DuckDBPyConnection, key: str, fingerprint: str) -> None:
    connection.execute(f"CREATE TABLE IF NOT EXISTS {SNAPSHOTS} (snapshot_date DATE, fingerprint VARCHAR)")
    connection.execute(f"COMMENT ON TABLE {SNAPSHOTS} IS 'One row per snapshot in this database.'")
    connection.execute(f"DELETE FROM {SNAPSHOTS} WHERE snapshot_date = CAST(? AS DATE)", [key])
    connection.execute(f"INSERT INTO {SNAPSHOTS} VALUES (CAST(? AS DATE), ?)", [key, fingerprint])


def _link(file: Path, link: Path) -> None:
    """Make `link` hold the bytes that `file` has now, even if `file` is replaced later."""
    with replacing(link) as unfinished:
        try:
            os.link(file, unfinished)
        except OSError:  # a file system without hard links
            shutil.copyfile(file, unfinished)


def _replace(master: Path, database: Path) -> Path | None:
    """Rename a copy of `master` over `database`; if someone wrote into the old one, set it aside and return its path."""
    log, mark, kept = _log_of(database), master.with_name(AS_PUBLISHED), None
    if log.exists() or (_is_database(database) and (_stamp(database) != _read(mark) or _is_held(database))):
        # Someone wrote into the public file, or still may: after the rename their log would match no database and block every reader.
        kept = database.with_name(f"segmentation.kept-{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%S%f}.duckdb")
        os.link(database, kept)
        if log.exists():
            log.replace(_log_of(kept))
    with replacing(database) as unfinished:
        shutil.copyfile(master, unfinished)
        mark.write_text(_stamp(unfinished))
    return kept


def _stamp(file: Path) -> str:
    """Size and time of the file, which change when it is written to."""
    return f"{file.stat().st_size} {file.stat().st_mtime_ns}"


def _is_held(database: Path) -> bool:
    """Whether another process has it open for writing, so that it cannot be opened."""
    try:
        duckdb.connect(str(database), read_only=True).close()
    except duckdb.Error:
        return True
    return False


def _name(column: str) -> str:
    return exp.to_identifier(column, quoted=True).sql(dialect="duckdb")


def _folded(name: str) -> str:
    """The name as DuckDB compares it: only ASCII letters lose their case."""
    return name.encode().lower().decode()


def _text(value: str) -> str:
    return exp.Literal.string(value).sql(dialect="duckdb")


def _type(ibis_type: str) -> str:
    return ibis.backends.sql.datatypes.DuckDBType.to_string(ibis.dtype(ibis_type))
