"""What a query of `segmentation sql` may do: read the published tables, in the database and in the files next to it, and nothing else."""

import re
from pathlib import Path

import duckdb

from segmentation_assets.store.database_files import PRIVATE, PublishError, in_files
from segmentation_assets.store.quoting import literal

READING = {"SELECT", "EXPLAIN", "MULTI", "CREATE", "INSERT", "UPDATE", "DELETE", "DROP", "SET"}  # all but SELECT in temporary tables only
WRITING_FILES = {"copy", "export"}


def confine(connection: duckdb.DuckDBPyConnection, data_dir: Path, *further: str) -> None:
    """Let a connection reach no file but the database, the tables left in files next to it and `further` folders; no network, no extension.

    This cannot be undone: the connection's settings are locked.
    """
    folders = [*(str(data_dir.resolve() / PRIVATE / contract.name) for contract in in_files(data_dir)), *further]
    connection.execute(f"SET allowed_directories = [{', '.join(map(literal, folders))}]")
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
