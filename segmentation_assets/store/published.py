"""Write, audit, publish: from checked partitions of the lake to the database that users query.

A private master database takes a snapshot in one transaction, under a file lock; a copy of it then replaces the public
file by renaming. So readers who have the old file open keep reading it, see no half-written snapshot, and
cannot block a run. Order lines are not copied: they are views over hard links to the partitions as published.
"""

import datetime as dt
import filecmp
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb
import ibis
from filelock import FileLock
from sqlglot import exp

from segmentation_assets.atomic import replacing
from segmentation_assets.settings.snapshots import Snapshots, keys_until
from segmentation_assets.store import provenance
from segmentation_assets.store.lake import Lake
from segmentation_assets.tables import CONTRACTS
from segmentation_assets.tables.contract import SNAPSHOT_DATE, Contract
from segmentation_assets.vocabulary import counted

DATABASE = "segmentation.duckdb"
PRIVATE, MASTER = "publishing", "master.duckdb"
AS_PUBLISHED = "as_published"  # size and time of the public file when published
PLACE = "place"  # path of the data folder when the views were made, because they hold absolute paths
NOTHING_YET = "Nothing was published yet. Publish a snapshot first: segmentation run --all"
LATEST = {"latest_segments": "segments", "latest_customer_segments": "customer_segments"}


class PublishError(RuntimeError):
    """A snapshot cannot be published, or the database cannot be read; the message says what to do."""


@dataclass(frozen=True)
class Published:
    """The result of publishing: rows of the snapshot by table, snapshots now in the database, and an old file that was set aside."""

    database: Path
    rows: dict[str, int]
    snapshots: int
    kept: Path | None


def publish_snapshot(lake: Lake, data_dir: Path, key: str, fingerprint: str) -> Published:
    """Copy the partitions of snapshot `key` into the public database, all or none.

    Args:
        fingerprint: of the settings and source that the snapshot was made from; stored, so that an up-to-date snapshot
            is not made again.

    Raises:
        PublishError: a partition is missing.
    """
    private = data_dir / PRIVATE
    private.mkdir(parents=True, exist_ok=True)
    missing = [c.name for c in CONTRACTS if not lake.file(c.name, key).exists()]
    if missing:
        raise PublishError(f"Snapshot {key} lacks {', '.join(missing)}. Run the whole snapshot: segmentation run --snapshot {key}")
    with FileLock(private / "lock"):
        earlier = _restore(lake, data_dir)
        for contract in CONTRACTS:
            if contract.bulky:
                _link(lake.file(contract.name, key), private / contract.name / f"snapshot_date={key}" / "part-0.parquet")
        master = private / MASTER
        with duckdb.connect(str(master)) as connection:
            connection.begin()
            rows = {c.name: _take_in(connection, c, key, lake.file(c.name, key)) for c in CONTRACTS if not c.bulky}
            _show_order_lines(connection, data_dir)
            _remember(connection, key, fingerprint)
            for view, table in LATEST.items():
                connection.execute(
                    f"CREATE OR REPLACE VIEW {view} AS FROM {table} WHERE snapshot_date = (SELECT max(snapshot_date) FROM {table})"
                )
                connection.execute(f"COMMENT ON VIEW {view} IS {_text(f'{table} at the latest snapshot.')}")
            connection.commit()
            connection.execute("CHECKPOINT")
        kept = _replace(master, data_dir / DATABASE)
        _write_place(data_dir)
        provenance.remember(lake, private, key)  # last: if stopped before, the snapshot is made again, and nothing is lost
    return Published(data_dir / DATABASE, rows, len({*earlier, key}), kept)


def _restore(lake: Lake, data_dir: Path) -> list[str]:
    """Rebuild missing, damaged or outdated parts of the private folder from the public file and the lake; return the keys in it.

    Raises:
        PublishError: neither the master nor the public file can be read.
    """
    private, public = data_dir / PRIVATE, data_dir / DATABASE
    master = private / MASTER
    inside, outside = None if _is_cut(master) else _keys_in(master), _keys_in(public)
    if inside is None and outside is None and (master.exists() or public.exists()):
        raise PublishError(
            f"Neither {master} nor {public} can be read. Restore one of them from a backup, or remove both, and make all snapshots again: "
            "segmentation run --all"
        )
    if outside is not None and not set(outside) <= set(inside or ()):
        with replacing(master) as unfinished:
            shutil.copyfile(public, unfinished)
        master.with_name(f"{MASTER}.wal").unlink(missing_ok=True)
        inside = outside
    for key in inside or ():
        for contract in CONTRACTS:
            link = private / contract.name / f"snapshot_date={key}" / "part-0.parquet"
            if contract.bulky and not link.exists() and lake.file(contract.name, key).exists():
                _link(lake.file(contract.name, key), link)
    provenance.restore(lake, private, inside or [])
    return inside or []


def _is_cut(master: Path) -> bool:
    """Whether the master is smaller than the public file was when copied from it: a truncated database can still be opened."""
    mark = master.with_name(AS_PUBLISHED)
    return master.exists() and mark.exists() and master.stat().st_size < int(mark.read_text().partition(" ")[0] or 0)


def _keys_in(file: Path) -> list[str] | None:
    """Keys of the snapshots in a database; None if it is missing or damaged.

    Raises:
        PublishError: another program has locked it.
    """
    if not file.exists():
        return None
    try:
        with duckdb.connect(str(file), read_only=True) as connection:
            found = connection.execute("SELECT CAST(snapshot_date AS VARCHAR) FROM published_snapshots ORDER BY ALL").fetchall()
            return [key for (key,) in found]
    except duckdb.Error as error:
        if file.name == MASTER and "lock" in str(error):
            raise PublishError(f"{file} is open in another program. Close it, and try again. ({error})") from error
        return None


def settle(data_dir: Path) -> None:
    """Recreate the views over order lines if the folder was moved, copied or restored.

    Until then, reading them fails, rather than showing the lines of the folder that this one was copied from.
    """
    private = data_dir / PRIVATE
    master, public = private / MASTER, data_dir / DATABASE
    if not master.exists() or _place(data_dir) == _written_place(data_dir):
        return
    with FileLock(private / "lock"):
        if _place(data_dir) == _written_place(data_dir):
            return
        if public.exists() and not public.with_name(f"{DATABASE}.wal").exists() and filecmp.cmp(master, public, shallow=False):
            (private / AS_PUBLISHED).write_text(_stamp(public))  # copying changed its time, but not its contents
        with duckdb.connect(str(master)) as connection:
            _show_order_lines(connection, data_dir)
            connection.execute("CHECKPOINT")
        _replace(master, public)
        _write_place(data_dir)


@contextmanager
def reading(data_dir: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The published tables, read-only.

    Raises:
        PublishError: nothing was published yet, or no file can be opened.
    """
    with duckdb.connect(str(_readable(data_dir)), read_only=True) as connection:
        yield connection


def _readable(data_dir: Path) -> Path:
    """The public file; if another program has locked it, the private master, which has the same tables."""
    database, master = data_dir / DATABASE, data_dir / PRIVATE / MASTER
    if not database.exists():
        raise PublishError(f"{database} does not exist yet. Publish a snapshot first: segmentation run --all")
    with suppress(OSError, duckdb.IOException):  # in a read-only folder, everything but order lines can be read
        settle(data_dir)
    for file in (database, master):
        try:
            duckdb.connect(str(file), read_only=True).close()
        except duckdb.Error as error:
            problem = error
        else:
            return file
    raise PublishError(f"{database} cannot be opened: {problem}. Close the program that has it open, or try again.") from problem


def fingerprints(data_dir: Path) -> dict[str, str]:
    """Fingerprint by published snapshot; empty if nothing was published."""
    if not (data_dir / DATABASE).exists():
        return {}
    with reading(data_dir) as connection:
        found = connection.execute("SELECT snapshot_date, fingerprint FROM published_snapshots").fetchall()
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
    made = keys(data_dir)
    calendar = keys_until(snapshots, dt.date.fromisoformat(made[-1])) if made else []
    foreign = [key for key in made if key not in calendar]
    if foreign:
        raise PublishError(
            f"{data_dir / DATABASE} has snapshots of another calendar ({counted(len(foreign), 'snapshot')}, first {foreign[0]}); snapshots "
            f"are now {snapshots.cadence} from {snapshots.first} on, and order lines would be counted in both. Nothing was written. "
            "Set another data_dir for the new calendar, or restore snapshots.first and snapshots.cadence."
        )


def export(data_dir: Path, target: Path) -> dict[str, int]:
    """Copy every table, including order lines, as native tables with their comments into the new file `target`; return rows by table.

    Raises:
        PublishError: nothing was published, or `target` exists.
    """
    if target.exists():
        raise PublishError(f"{target} already exists. Name a new file, or remove it first.")
    with replacing(target) as unfinished, duckdb.connect(str(unfinished)) as copy:
        copy.execute(f"ATTACH {_text(str(_readable(data_dir)))} AS source (READ_ONLY)")
        for contract in CONTRACTS:
            copy.execute(f"CREATE TABLE {contract.name} AS FROM source.{contract.name}")
            _comment(copy, contract)
        for view, table in LATEST.items():
            copy.execute(f"CREATE VIEW {view} AS FROM {table} WHERE snapshot_date = (SELECT max(snapshot_date) FROM {table})")
        counts = {c.name: copy.execute(f"SELECT count(*) FROM {c.name}").fetchall()[0][0] for c in CONTRACTS}
        copy.execute("DETACH source")
    return counts


def _take_in(connection: duckdb.DuckDBPyConnection, contract: Contract, key: str, file: Path) -> int:
    """Replace the snapshot's rows of one native table, adding further columns of an open one; return the number of rows."""
    columns = ", ".join(f"{_name(c.name)} {_type(c.type)}" for c in (SNAPSHOT_DATE, *contract.columns))
    connection.execute(f"CREATE TABLE IF NOT EXISTS {contract.name} ({columns})")
    partition = connection.read_parquet(str(file), hive_partitioning=False)
    for column, kind in zip(partition.columns, partition.types, strict=True):
        connection.execute(f"ALTER TABLE {contract.name} ADD COLUMN IF NOT EXISTS {_name(column)} {kind}")
        if contract.open:
            _fit(connection, contract.name, column, str(kind), key)
    _comment(connection, contract)
    connection.execute(f"DELETE FROM {contract.name} WHERE snapshot_date = CAST(? AS DATE)", [key])
    connection.execute(
        f"INSERT INTO {contract.name} BY NAME SELECT CAST(? AS DATE) AS snapshot_date, * FROM read_parquet(?, hive_partitioning = false)",
        [key, str(file)],
    )
    return len(partition)


def _fit(connection: duckdb.DuckDBPyConnection, table: str, column: str, kind: str, key: str) -> None:
    """Give a column the type in the snapshot's rows if all other rows fit it, otherwise text."""
    found = connection.execute(
        "SELECT data_type FROM duckdb_columns() WHERE table_name = ? AND column_name = ? AND NOT internal", [table, column]
    ).fetchall()[0][0]
    if found == kind:
        return
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
    for contract in CONTRACTS:
        if contract.bulky:
            files = _text(str(data_dir.resolve() / PRIVATE / contract.name / "*" / "*.parquet"))
            connection.execute(
                f"CREATE OR REPLACE VIEW {contract.name} AS SELECT snapshot_date, * EXCLUDE (snapshot_date) "
                f"FROM read_parquet({files}, hive_partitioning = true, hive_types = {{'snapshot_date': DATE}}, union_by_name = true) "
                f"WHERE {here}"
            )
            _comment(connection, contract)


def _place(data_dir: Path) -> str:
    return str(data_dir.resolve())


def _written_place(data_dir: Path) -> str:
    file = data_dir / PRIVATE / PLACE
    return file.read_text(encoding="utf-8") if file.exists() else ""


def _write_place(data_dir: Path) -> None:
    with replacing(data_dir / PRIVATE / PLACE) as unfinished:
        unfinished.write_text(_place(data_dir), encoding="utf-8")


def _comment(connection: duckdb.DuckDBPyConnection, contract: Contract) -> None:
    found = connection.execute("SELECT view_name FROM duckdb_views() WHERE view_name = ?", [contract.name]).fetchall()
    connection.execute(f"COMMENT ON {'VIEW' if found else 'TABLE'} {contract.name} IS {_text(contract.description)}")
    for column in (SNAPSHOT_DATE, *contract.columns):
        connection.execute(f"COMMENT ON COLUMN {contract.name}.{_name(column.name)} IS {_text(column.description)}")


def _remember(connection: duckdb.DuckDBPyConnection, key: str, fingerprint: str) -> None:
    connection.execute("CREATE TABLE IF NOT EXISTS published_snapshots (snapshot_date DATE, fingerprint VARCHAR)")
    connection.execute("COMMENT ON TABLE published_snapshots IS 'One row per snapshot in this database.'")
    connection.execute("DELETE FROM published_snapshots WHERE snapshot_date = CAST(? AS DATE)", [key])
    connection.execute("INSERT INTO published_snapshots VALUES (CAST(? AS DATE), ?)", [key, fingerprint])


def _link(file: Path, link: Path) -> None:
    """Make `link` hold the bytes that `file` has now, even if `file` is replaced later."""
    with replacing(link) as unfinished:
        try:
            os.link(file, unfinished)
        except OSError:  # a file system without hard links
            shutil.copyfile(file, unfinished)


def _replace(master: Path, database: Path) -> Path | None:
    """Rename a copy of `master` over `database`; if someone wrote into the old one, set it aside and return its path."""
    log, mark, kept = database.with_name(f"{database.name}.wal"), master.with_name(AS_PUBLISHED), None
    if database.exists() and (log.exists() or _stamp(database) != (mark.read_text() if mark.exists() else "") or _is_held(database)):
        # Someone wrote into the public file, or still may: after the rename their log would match no database and block every reader.
        kept = database.with_name(f"segmentation.kept-{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%S%f}.duckdb")
        os.link(database, kept)
        if log.exists():
            log.replace(kept.with_name(f"{kept.name}.wal"))
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


def _text(value: str) -> str:
    return exp.Literal.string(value).sql(dialect="duckdb")


def _type(ibis_type: str) -> str:
    return ibis.backends.sql.datatypes.DuckDBType.to_string(ibis.dtype(ibis_type))
