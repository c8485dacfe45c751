"""Write, audit, publish: from checked partitions of the lake to the database that users query.

A private master database takes a snapshot in one transaction, under a file lock; a copy of it then replaces the public
file by renaming. So readers who have the old file open keep reading it, see no half-written snapshot, and
cannot block a run. Order lines, and tables of very many customers, are not copied: they are views over hard links to the partitions
as published.
"""

import datetime as dt
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb
from filelock import FileLock

from segmentation_assets.atomic import replacing
from segmentation_assets.settings.engine import Bounds
from segmentation_assets.settings.snapshots import Snapshots, keys_until
from segmentation_assets.store import provenance
from segmentation_assets.store.database_files import (
    DAMAGED_PAGE,
    DATABASE,
    LOCK,
    MASTER,
    PRIVATE,
    SNAPSHOTS,
    PublishError,
    in_files,
    link_of,
    native,
    stamp_of,
    text_of,
)
from segmentation_assets.store.lake import Lake, opened, partition_keys
from segmentation_assets.store.master import (
    SMALLEST_CELL,
    columns_of,
    compact,
    describe,
    leave_in_files,
    show_receipts,
    show_views,
    take_in_snapshot,
    writing,
)
from segmentation_assets.store.provenance import SnapshotRecord
from segmentation_assets.store.quoting import literal
from segmentation_assets.store.restoring import link_rows, mending, replace_public, restore, settle, write_place
from segmentation_assets.tables import CONTRACTS
from segmentation_assets.tables.contract import Contract
from segmentation_assets.tables.receipts import AUDIENCE_RECEIPTS as RECEIPTS
from segmentation_assets.vocabulary import counted


@dataclass(frozen=True)
class Published:
    """The result of publishing: rows of the snapshot by table, snapshots now in the database, and an old file that was set aside."""

    database: Path
    rows: dict[str, int]
    snapshots: int
    kept: Path | None


def publish_snapshot(
    lake: Lake, data_dir: Path, key: str, fingerprint: str, smallest_cell: int = 0, largest_copied: int | None = None
) -> Published:
    """Copy the partitions of snapshot `key` into the public database, all or none.

    Args:
        fingerprint: of the settings and source that the snapshot was made from; stored, so that an up-to-date snapshot
            is not made again.
        smallest_cell: fewest customers whose figures are shown; in a row of fewer, but of some, they are null, and SMALL_CELL says so.
        largest_copied: most rows of a snapshot of customers that are copied into the database; a table that has had more is left in files.

    Raises:
        PublishError: a partition is missing.
    """
    private = data_dir / PRIVATE
    private.mkdir(parents=True, exist_ok=True)
    if missing := missing_tables(lake, key):
        raise PublishError(f"Snapshot {key} lacks {', '.join(missing)}. Run the whole snapshot: segmentation run --snapshot {key}")
    with FileLock(private / LOCK):
        (private / SMALLEST_CELL).write_text(str(smallest_cell))
        earlier = restore(lake, data_dir, every_page=False)
        rows = _take_in(lake, data_dir, key, fingerprint, largest_copied)
        kept = replace_public(private / MASTER, data_dir / DATABASE)
        write_place(data_dir)
        provenance.remember(lake, private, key)  # last: if stopped before, the snapshot is made again, and nothing is lost
    return Published(data_dir / DATABASE, rows, len({*earlier, key}), kept)


def take_over(
    lake: Lake,
    data_dir: Path,
    fingerprints: Mapping[str, str],
    records: Mapping[str, SnapshotRecord],
    smallest_cell: int,
    largest_copied: int | None,
) -> None:
    """Publish snapshots that another machine has checked and published, of which the lake has all tables; the arguments are as for
    `publish_snapshot`, and records are those of all snapshots."""
    private = data_dir / PRIVATE
    private.mkdir(parents=True, exist_ok=True)
    with FileLock(private / LOCK):
        (private / SMALLEST_CELL).write_text(str(smallest_cell))
        restore(lake, data_dir, every_page=False)
        complete = [key for key in sorted(fingerprints) if not missing_tables(lake, key)]  # others are made again here
        for key in complete:
            _take_in(lake, data_dir, key, fingerprints[key], largest_copied)
        if complete:
            replace_public(private / MASTER, data_dir / DATABASE)
            write_place(data_dir)
        provenance.take_over(private, records)


def missing_tables(lake: Lake, key: str) -> list[str]:
    """The tables of a snapshot that the lake does not have."""
    return [contract.name for contract in CONTRACTS if not lake.file(contract.name, key).exists()]


def _take_in(lake: Lake, data_dir: Path, key: str, fingerprint: str, largest_copied: int | None) -> dict[str, int]:
    """Put a snapshot into the master, with links to the rows that are left in files; return rows by table."""
    master = data_dir / PRIVATE / MASTER
    grown = [contract for contract in native(data_dir) if is_large(lake, contract, key, largest_copied)]
    for contract in grown:
        leave_in_files(data_dir, contract)
    for contract in in_files(data_dir):
        link_rows(lake.file(contract.name, key), link_of(data_dir, contract.name, key))
    try:
        rows = take_in_snapshot(lake, data_dir, master, key, fingerprint)
    except duckdb.Error as error:
        if not DAMAGED_PAGE.search(str(error)):
            raise
        restore(lake, data_dir)
        rows = take_in_snapshot(lake, data_dir, master, key, fingerprint)
    if grown:
        compact(master)
    return rows


def is_large(lake: Lake, contract: Contract, key: str, largest_copied: int | None) -> bool:
    """Whether a table of customers has more rows in the snapshot than are copied into the database."""
    return contract.can_grow and largest_copied is not None and (lake.row_count(contract.name, key) or 0) > largest_copied


@contextmanager
def reading(data_dir: Path, bounds: Bounds | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """The published tables, read-only.

    Args:
        bounds: what DuckDB may take of the machine; None: what it takes by default.

    Raises:
        PublishError: nothing was published yet, no file can be opened, or the one that was read had a damaged page.
    """
    with mending(data_dir), _opened_first(data_dir)[1] as connection:
        if bounds is not None:
            _keep_within(connection, bounds)
        yield connection


def _keep_within(connection: duckdb.DuckDBPyConnection, bounds: Bounds) -> None:
    if bounds.threads:
        connection.execute(f"SET threads = {bounds.threads}")
    if bounds.memory:
        connection.execute(f"SET memory_limit = {literal(bounds.memory)}")
        connection.execute(f"SET temp_directory = {literal(str(bounds.temp_folder or tempfile.gettempdir()))}")


def _opened_first(data_dir: Path) -> tuple[Path, duckdb.DuckDBPyConnection]:
    """The public file; if another program has locked it, the private master, which has the same tables: at once, or after the
    publication that is writing into it."""
    database, master = data_dir / DATABASE, data_dir / PRIVATE / MASTER
    with suppress(OSError, duckdb.IOException):  # in a read-only folder, everything in the database itself can be read
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


def nothing_yet(data_dir: Path) -> str:
    """What to do where nothing is published."""
    if told := in_lake_only(data_dir):
        return told
    return f"{data_dir / DATABASE} does not exist yet. Publish a snapshot first: segmentation run --all"


def refuse_other_smallest_cell(data_dir: Path, smallest_cell: int) -> None:
    """Refuse to tell of the published tables under another privacy.smallest_cell than they hide figures by.

    Raises:
        PublishError: the setting has changed since they were published.
    """
    hidden_by = text_of(data_dir / PRIVATE / SMALLEST_CELL)
    if hidden_by and int(hidden_by) != smallest_cell:
        raise PublishError(
            f"The published tables hide figures by privacy.smallest_cell {hidden_by}, and the settings have {smallest_cell}. Nothing was "
            "written. Publish every snapshot by the new setting first: segmentation run --all"
        )


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
    return stamp_of(file) if file.exists() else ""


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
            restore(lake, data_dir)
        with writing(master) as connection:
            connection.begin()
            for table in (*(contract.name for contract in native(data_dir)), SNAPSHOTS):
                connection.execute(f"DELETE FROM {table} WHERE list_contains(?, CAST(snapshot_date AS VARCHAR))", [list(gone)])
            connection.commit()
        for contract in in_files(data_dir):
            for key in gone:
                shutil.rmtree(link_of(data_dir, contract.name, key).parent, ignore_errors=True)
        provenance.forget(private, gone)
        replace_public(master, data_dir / DATABASE)


def publish_receipts(data_dir: Path) -> None:
    """Bring the table of what was handed over up to date."""
    private = data_dir / PRIVATE
    with FileLock(private / LOCK):
        with opened(data_dir) as lake:
            restore(lake, data_dir, every_page=False)
        with writing(private / MASTER) as connection:
            connection.begin()
            show_receipts(connection, data_dir)
            connection.commit()
        replace_public(private / MASTER, data_dir / DATABASE)


def export(data_dir: Path, target: Path) -> dict[str, int]:
    """Copy every table, including order lines, as native tables with their comments into the new file `target`; return rows by table.

    Raises:
        PublishError: nothing was published, or `target` exists.
    """
    if target.exists():
        raise PublishError(f"{target} already exists. Name a new file, or remove it first.")
    with mending(data_dir), replacing(target) as unfinished, duckdb.connect(str(unfinished)) as copy:
        file, opened_first = _opened_first(data_dir)
        opened_first.close()
        copy.execute(f"ATTACH {literal(str(file))} AS source (READ_ONLY)")
        for contract in CONTRACTS:
            copy.execute(f"CREATE TABLE {contract.name} AS FROM source.{contract.name}")
            describe(copy, contract, columns_of(copy, contract.name), "TABLE")
        copy.execute(f"CREATE TABLE {SNAPSHOTS} AS FROM source.{SNAPSHOTS}")  # the views need it
        if copy.execute("SELECT 1 FROM duckdb_tables() WHERE database_name = 'source' AND table_name = ?", [RECEIPTS.name]).fetchall():
            copy.execute(f"CREATE TABLE {RECEIPTS.name} AS FROM source.{RECEIPTS.name}")
            describe(copy, RECEIPTS, columns_of(copy, RECEIPTS.name), "TABLE")
        show_views(copy)
        counts = {c.name: copy.execute(f"SELECT count(*) FROM {c.name}").fetchall()[0][0] for c in CONTRACTS}
        copy.execute("DETACH source")
    return counts
