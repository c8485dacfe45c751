"""Write a snapshot's tables, and views over those that are left in files, into the private master database."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import duckdb

from segmentation_assets.atomic import copied, replacing
from segmentation_assets.store import receipts
from segmentation_assets.store.beside import Names, compare_segments, name_columns, names_beside, names_joined
from segmentation_assets.store.database_files import DATABASE, MASTER, PRIVATE, SNAPSHOTS, in_files, link_of, native, text_of
from segmentation_assets.store.lake import Lake
from segmentation_assets.store.quoting import column_type, folded, literal, quoted
from segmentation_assets.store.small_cells import MEANING, SMALL_CELL, published_rows
from segmentation_assets.tables import CONTRACTS
from segmentation_assets.tables.application import SEGMENT_ACTIONS, SEGMENTS
from segmentation_assets.tables.contract import CENTS, SNAPSHOT_DATE, Contract
from segmentation_assets.tables.receipts import AUDIENCE_RECEIPTS

SMALLEST_CELL = "smallest_cell"  # the setting with which the tables were published, for when they are rebuilt from the lake
LATEST = "latest_"
FURTHER = "An attribute of customers from the source, or a count or recency of an event type in features.event_types."
FIRST = (SEGMENTS, SEGMENT_ACTIONS)  # have the names
VIEWS = {
    f"{LATEST}{contract.name}": (
        f"FROM {contract.name} WHERE snapshot_date = (SELECT max(snapshot_date) FROM {SNAPSHOTS})",  # also where that one has no rows
        f"{contract.name} at the latest snapshot.",
    )
    for contract in CONTRACTS
    if not contract.bulky
}
"""View -> its query over the published tables, and its comment."""


def take_in_snapshot(lake: Lake, data_dir: Path, master: Path, key: str, fingerprint: str) -> dict[str, int]:
    """Copy the tables of a snapshot that are not left in files into the master, all or none; return rows by table."""
    with writing(master) as connection:
        connection.begin()
        smallest = int(text_of(data_dir / PRIVATE / SMALLEST_CELL) or 0)
        known = all_columns(connection)  # at once, because each question looks at the columns of all tables
        rows = {c.name: _take_in(connection, c, known.get(c.name, {}), key, lake, smallest, Names()) for c in FIRST}
        compare_segments(connection, key)
        names, others = Names.at(connection, key), [c for c in native(data_dir) if c not in FIRST]
        rows |= {c.name: _take_in(connection, c, known.get(c.name, {}), key, lake, smallest, names) for c in others}
        _remember(connection, key, fingerprint)
        show_files(connection, data_dir)
        show_receipts(connection, data_dir)
        show_views(connection)
        connection.commit()
    return rows


@contextmanager
def writing(master: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The master, for writing; while another program reads it, a copy that then replaces it."""
    try:
        alone = duckdb.connect(str(master))
    except duckdb.IOException as error:
        if "lock" not in str(error):
            raise
        with replacing(master) as unfinished:
            copied(master, unfinished)
            with duckdb.connect(str(unfinished)) as copy:
                yield copy
                copy.execute("CHECKPOINT")
        return
    with alone:
        yield alone
        alone.execute("CHECKPOINT")


def _take_in(
    connection: duckdb.DuckDBPyConnection,
    contract: Contract,
    before: Mapping[str, "_Column"],
    key: str,
    lake: Lake,
    smallest: int,
    names: Names,
) -> int:
    """Replace the snapshot's rows of one native table, which has the columns `before`, adding further ones of an open one; return the
    number of rows."""
    file, known, changes = lake.file(contract.name, key), before, []
    if not known:
        columns = ", ".join(f"{quoted(c.name)} {column_type(c.type)}" for c in (SNAPSHOT_DATE, *contract.published))
        connection.execute(f"CREATE TABLE {contract.name} ({columns})")
        known = columns_of(connection, contract.name)
    for one in contract.published:
        kind = column_type(one.type)
        if folded(one.name) not in known:
            changes.append(f"ADD COLUMN {quoted(one.name)} {kind}")
        elif one.type == CENTS and known[folded(one.name)].type != kind.replace(" ", ""):  # of an earlier version
            changes.append(f"ALTER COLUMN {quoted(one.name)} SET DATA TYPE {kind}")
    partition = connection.read_parquet(str(file), hive_partitioning=False)
    for column, kind in zip(partition.columns, map(str, partition.types), strict=True):
        if folded(column) not in known:
            changes.append(f"ADD COLUMN IF NOT EXISTS {quoted(column)} {kind}")
        elif contract.open and known[folded(column)].type != kind:
            _fit(connection, contract.name, column, known[folded(column)].type, kind, key)
    if contract.cells and smallest > 1:
        changes.append(f"ADD COLUMN IF NOT EXISTS {SMALL_CELL} VARCHAR")
    for change in changes:
        connection.execute(f"ALTER TABLE {contract.name} {change}")
    connection.execute(f"DELETE FROM {contract.name} WHERE snapshot_date = CAST(? AS DATE)", [key])
    if contract.cells and smallest > 1:
        connection.execute(f"COMMENT ON COLUMN {contract.name}.{SMALL_CELL} IS {literal(MEANING)}")
        connection.register("shown", published_rows(lake, contract, key, smallest))
        source, given = "shown", []
    else:
        source, given = "read_parquet(?, hive_partitioning = false)", [str(file)]
    beside, values = names_beside(contract, names)
    ((rows,),) = connection.execute(
        f"INSERT INTO {contract.name} BY NAME SELECT CAST(? AS DATE) AS snapshot_date, *{beside} FROM {source}", [key, *values, *given]
    ).fetchall()
    connection.execute("DROP VIEW IF EXISTS shown")
    describe(connection, contract, columns_of(connection, contract.name) if changes else known, "TABLE")
    return int(rows)


def show_views(connection: duckdb.DuckDBPyConnection) -> None:
    """The views over the tables with the comments of their columns, and the description of the list of snapshots that they need.

    A view that has the columns of its table already is left alone: to comment on all would be 500 statements at each publication.
    """
    connection.execute(f"COMMENT ON TABLE {SNAPSHOTS} IS 'One row per snapshot in this database.'")
    connection.execute(f"COMMENT ON COLUMN {SNAPSHOTS}.snapshot_date IS 'As-of date of the snapshot.'")
    connection.execute(f"COMMENT ON COLUMN {SNAPSHOTS}.fingerprint IS 'What it was made from, so that it is made again if that changes.'")
    connection.execute("DROP VIEW IF EXISTS named_segment_changes")  # of earlier versions: segment_changes has the names
    columns = all_columns(connection)
    for view, (query, comment) in VIEWS.items():
        table = columns[view.removeprefix(LATEST)]
        if columns.get(view) == table:
            continue
        connection.execute(f"CREATE OR REPLACE VIEW {view} AS {query}")
        connection.execute(f"COMMENT ON VIEW {view} IS {literal(comment)}")
        for name, (_, said) in table.items():
            connection.execute(f"COMMENT ON COLUMN {view}.{quoted(name)} IS {literal(said or '')}")


class _Column(NamedTuple):
    type: str
    comment: str | None


def all_columns(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, _Column]]:
    """The columns of every table and view, by its name and their folded ones."""
    found: dict[str, dict[str, _Column]] = {}
    query = (
        "SELECT table_name, column_name, data_type, comment FROM duckdb_columns() WHERE database_name = current_database() AND NOT internal"
    )
    for table, name, kind, comment in connection.execute(query).fetchall():
        found.setdefault(table, {})[folded(name)] = _Column(kind, comment)
    return found


def columns_of(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, _Column]:
    """The columns that a table or view of the database has, by folded name; none if it is absent."""
    found = connection.execute(
        "SELECT column_name, data_type, comment FROM duckdb_columns() WHERE database_name = current_database() AND table_name = ?", [table]
    ).fetchall()
    return {folded(name): _Column(kind, comment) for name, kind, comment in found}


def _fit(connection: duckdb.DuckDBPyConnection, table: str, column: str, found: str, kind: str, key: str) -> None:
    """Give a column of the type `found` the type in the snapshot's rows if all other rows fit it, otherwise text."""
    unfit = connection.execute(
        f"SELECT count(*) FROM {table} WHERE snapshot_date <> CAST(? AS DATE) AND {quoted(column)} IS NOT NULL "
        f"AND TRY_CAST({quoted(column)} AS {kind}) IS NULL", [key],
    ).fetchall()[0][0]  # fmt: skip
    type_for_all = "VARCHAR" if unfit else kind
    if type_for_all != found:
        expression = f"TRY_CAST({quoted(column)} AS {type_for_all})"  # only this snapshot's values can be lost, and its rows are replaced
        connection.execute(f"ALTER TABLE {table} ALTER COLUMN {quoted(column)} SET DATA TYPE {type_for_all} USING {expression}")


def leave_in_files(data_dir: Path, contract: Contract) -> None:
    """Write the rows of a table that has become large into files, as they were published, for `show_files`.

    If stopped on the way, what is missing is linked from the lake, or written when the next snapshot is published.
    """
    with writing(data_dir / PRIVATE / MASTER) as connection:
        known = columns_of(connection, contract.name)
        names = [quoted(name) for name in name_columns(contract).values() if folded(name) in known]  # the view joins them
        made = ", ".join(["snapshot_date", *names])
        dates = f"SELECT DISTINCT CAST(snapshot_date AS VARCHAR) FROM {contract.name}"
        for (key,) in connection.execute(dates).fetchall() if known else []:
            rows = f"SELECT * EXCLUDE ({made}) FROM {contract.name} WHERE snapshot_date = CAST(? AS DATE)"
            with replacing(link_of(data_dir, contract.name, key)) as unfinished:
                connection.sql(rows, params=[key]).write_parquet(str(unfinished), compression="zstd")
    (data_dir / PRIVATE / contract.name).mkdir(exist_ok=True)


def compact(master: Path) -> None:
    """Give back the space of tables that were dropped, which DuckDB keeps for later."""
    with replacing(master) as unfinished, duckdb.connect(str(master), read_only=True) as connection:
        connection.execute(f"ATTACH {literal(str(unfinished))} AS smaller (READ_WRITE)")
        connection.execute(f"COPY FROM DATABASE {quoted(master.stem)} TO smaller")
        connection.execute("DETACH smaller")


def show_files(connection: duckdb.DuckDBPyConnection, data_dir: Path) -> None:
    """Views over the published partitions of the tables that are left in files.

    A view has the absolute paths of its files. So that a copy of the folder never shows the original's rows, each view checks the path
    of the database from which it is read.
    """
    places = ", ".join(literal(str(data_dir.resolve() / file)) for file in (DATABASE, Path(PRIVATE) / MASTER))
    refusal = literal(
        "Large tables are kept in files next to the database, which was moved or copied. Run a command there first, such as "
        "segmentation show: "
    )
    here = (
        f"(SELECT CASE WHEN bool_or(path IN ({places})) THEN true ELSE error({refusal} || string_agg(path, ', ')) END "
        "FROM duckdb_databases())"
    )
    copied_before = {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    for contract in in_files(data_dir):
        files = literal(str(data_dir.resolve() / PRIVATE / contract.name / "*" / "*.parquet"))
        rows = f"FROM read_parquet({files}, hive_partitioning = true, hive_types = {{'snapshot_date': DATE}}, union_by_name = true)"
        found = {folded(column) for column in connection.sql(rows).columns}
        added = [f", CAST(NULL AS {column_type(c.type)}) AS {quoted(c.name)}" for c in contract.columns if folded(c.name) not in found]
        if contract.name in copied_before:
            connection.execute(f"DROP TABLE {contract.name}")
        named, joined = names_joined(contract)
        connection.execute(
            f"CREATE OR REPLACE VIEW {contract.name} AS SELECT rows.*{named} FROM ("
            f"SELECT snapshot_date, * EXCLUDE (snapshot_date){''.join(added)} {rows} "
            f"WHERE {here} AND snapshot_date IN (SELECT snapshot_date FROM {SNAPSHOTS})"  # a link is made before its snapshot is published
            f") AS rows{joined}"
        )
        describe(connection, contract, columns_of(connection, contract.name), "VIEW")


def show_receipts(connection: duckdb.DuckDBPyConnection, data_dir: Path) -> None:
    """The table of what was handed over, as recorded now."""
    receipts.write(connection, data_dir, int(text_of(data_dir / PRIVATE / SMALLEST_CELL) or 0))
    describe(connection, AUDIENCE_RECEIPTS, columns_of(connection, AUDIENCE_RECEIPTS.name), "TABLE")


def describe(connection: duckdb.DuckDBPyConnection, contract: Contract, known: Mapping[str, _Column], kind: str) -> None:
    """Describe a TABLE or VIEW (`kind`) and those of its `known` columns that are not described yet: all would be 1,000 statements."""
    connection.execute(f"COMMENT ON {kind} {contract.name} IS {literal(contract.description)}")
    for column in (SNAPSHOT_DATE, *contract.published):
        if column.name not in known or known[column.name].comment != column.description:
            connection.execute(f"COMMENT ON COLUMN {contract.name}.{quoted(column.name)} IS {literal(column.description)}")
    described = {folded(column.name) for column in (SNAPSHOT_DATE, *contract.published)}
    for name, found in known.items() if contract.open else ():
        if name not in described and found.comment is None:
            connection.execute(f"COMMENT ON COLUMN {contract.name}.{quoted(name)} IS {literal(FURTHER)}")


def _remember(connection: duckdb.DuckDBPyConnection, key: str, fingerprint: str) -> None:
    connection.execute(f"CREATE TABLE IF NOT EXISTS {SNAPSHOTS} (snapshot_date DATE, fingerprint VARCHAR)")
    connection.execute(f"DELETE FROM {SNAPSHOTS} WHERE snapshot_date = CAST(? AS DATE)", [key])
    connection.execute(f"INSERT INTO {SNAPSHOTS} VALUES (CAST(? AS DATE), ?)", [key, fingerprint])
