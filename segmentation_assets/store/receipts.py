"""The table `audience_receipts` of the published database: what was handed over where, made from the record in `deliveries`.

Belongs here: the table, outside the snapshots, because a delivery comes after its snapshot is published.
"""

from pathlib import Path

import duckdb

from segmentation_assets.store import deliveries
from segmentation_assets.store.quoting import column_type, quoted
from segmentation_assets.tables.contract import SNAPSHOT_DATE
from segmentation_assets.tables.receipts import AUDIENCE_RECEIPTS
from segmentation_assets.vocabulary import Change, Reason, Role

TABLE = AUDIENCE_RECEIPTS.name
COLUMNS = (SNAPSHOT_DATE, *AUDIENCE_RECEIPTS.published)


def write(connection: duckdb.DuckDBPyConnection, data_dir: Path, smallest: int) -> None:
    """Replace the rows of the table by those of the record; numbers of fewer customers than `smallest` are empty."""
    connection.execute(f"CREATE OR REPLACE TABLE {TABLE} ({', '.join(f'{quoted(c.name)} {column_type(c.type)}' for c in COLUMNS)})")
    if files := deliveries.recorded(data_dir):
        connection.execute(
            f"INSERT INTO {TABLE} BY NAME SELECT * EXCLUDE (n_added, n_removed, n_held_out, n_control, fewest), "
            "if(fewest < $smallest, NULL, n_added) AS added, if(fewest < $smallest, NULL, n_removed) AS removed, "
            "if(fewest < $smallest, NULL, n_held_out) AS held_out, if(fewest < $smallest, NULL, n_control) AS control FROM (SELECT *, "
            "list_min(list_filter([n_added, n_removed, n_held_out, n_control], lambda n: n > 0)) AS fewest FROM (SELECT "
            "snapshot_date, delivery_id, destination, list, action, delivered_at, folder_id AS folder, "
            "count(*) FILTER (change = $added AND role = $treated) AS n_added, "
            "count(*) FILTER (change = $removed AND role = $treated) AS n_removed, "
            "count(*) FILTER (change = $added AND role = $holdout AND reason IS DISTINCT FROM $drawn) AS n_held_out, "
            "count(*) FILTER (change = $added AND role = $holdout AND reason = $drawn) AS n_control "
            "FROM (FROM read_parquet($files, hive_partitioning = false, union_by_name = true) "
            "UNION ALL BY NAME SELECT NULL::VARCHAR AS reason WHERE false) GROUP BY ALL)) LEFT JOIN ("
            "SELECT snapshot_date, play AS action, any_value(action) AS action_title FROM segment_actions WHERE play IS NOT NULL "
            "GROUP BY snapshot_date, play) USING (snapshot_date, action) ORDER BY delivered_at, destination, list, action",
            {
                "files": [str(file) for file in files], "smallest": smallest, "added": Change.ADDED, "removed": Change.REMOVED,
                "treated": Role.TREATED, "holdout": Role.HOLDOUT, "drawn": Reason.UNIVERSAL_CONTROL,
            },
        )  # fmt: skip
