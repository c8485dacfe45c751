"""What a Parquet file says of itself."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def row_count(file: Path) -> int | None:
    """Rows of a file, from its footer; None where it is missing or cut."""
    try:
        return int(pq.read_metadata(file).num_rows)
    except (OSError, pa.ArrowInvalid):
        return None
