"""Facts from the footer of a Parquet file."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def row_count(file: Path) -> int | None:
    """Number of rows of a file; None if it is missing or truncated."""
    try:
        return int(pq.read_metadata(file).num_rows)
    except (OSError, pa.ArrowInvalid):
        return None
