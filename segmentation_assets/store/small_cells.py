"""Which figures of few customers are hidden when a table is published."""

import duckdb

from segmentation_assets.store.lake import Lake
from segmentation_assets.store.quoting import literal, quoted
from segmentation_assets.tables.contract import Contract
from segmentation_assets.vocabulary import fewer_than

SMALL_CELL = "small_cell"  # the column that says which rows have hidden figures


def without_small_cells(connection: duckdb.DuckDBPyConnection, contract: Contract, key: str, lake: Lake, smallest: int) -> str:
    """What to select so that figures of fewer customers than `smallest` are null, and SMALL_CELL says that they are hidden."""
    connection.execute(f"ALTER TABLE {contract.name} ADD COLUMN IF NOT EXISTS {SMALL_CELL} VARCHAR")
    comment = literal("Not empty: figures of this row are hidden, because they are of so few customers.")
    connection.execute(f"COMMENT ON COLUMN {contract.name}.{SMALL_CELL} IS {comment}")
    small: dict[str, list[str]] = {}  # column -> when it is hidden
    for count, others in contract.cells.items():
        table, _, column = count.rpartition(".")
        is_small = f"{quoted(column)} BETWEEN 1 AND {smallest - 1}"
        if table:
            of_key = quoted(contract.key[0])
            file = literal(str(lake.file(table, key)))
            is_small = f"{of_key} IN (SELECT {of_key} FROM read_parquet({file}, hive_partitioning = false) WHERE {is_small})"
        for name in others if table else (column, *others):
            small.setdefault(name, []).append(is_small)
    hidden = ", ".join(f"CASE WHEN {' OR '.join(when)} THEN NULL ELSE {quoted(name)} END AS {quoted(name)}" for name, when in small.items())
    anything = " OR ".join(dict.fromkeys(when for several in small.values() for when in several))
    return f"* REPLACE ({hidden}), CASE WHEN {anything} THEN {literal(fewer_than(smallest))} END AS {SMALL_CELL}"
