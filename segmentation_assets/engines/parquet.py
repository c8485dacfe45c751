"""What is asked of a Parquet file, or written into one, without an engine."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

State = tuple[str, int, int, int]


def state_of(file: Path) -> State:
    """What is different once a file is another one, or was changed."""
    facts = file.stat()
    return str(file), facts.st_ino, facts.st_mtime_ns, facts.st_size


def row_count(file: Path) -> int | None:
    """Number of rows of a file; None if it is missing or truncated."""
    try:
        return int(pq.read_metadata(file).num_rows)
    except (OSError, pa.ArrowInvalid):
        return None


def write_batches(file: Path, schema: pa.Schema, batches: Iterable[pd.DataFrame]) -> None:
    """Write the batches one after the other into a file of this schema; without statistics, so that an engine infers as little from it
    as from a table in memory."""
    with pq.ParquetWriter(file, schema, compression="lz4", write_statistics=False) as writer:
        for batch in batches:
            writer.write_table(pa.Table.from_pandas(batch, schema=schema, preserve_index=False))
