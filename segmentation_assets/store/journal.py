"""Deliveries under way: what is being sent, and which batches have arrived, so that one that was cut off can be completed.

Belongs here: the files below `deliveries/unfinished/`. A delivery is written there before its first batch leaves, and moves to the record
(`deliveries`) once its batches have arrived. The batch that was on its way when a delivery stopped may or may not have arrived: it is in
doubt, until a later delivery to the same destination has told each of its customers anew.
"""

import datetime as dt
import os
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from segmentation_assets.atomic import replacing
from segmentation_assets.store import deliveries
from segmentation_assets.vocabulary import Change

FOLDER = "unfinished"
BATCH = "batch"


@dataclass(frozen=True)
class Journal:
    """One delivery under way; its rows are those of the record, with the number of their batch."""

    file: Path

    @property
    def arrivals(self) -> Path:
        return self.file.with_suffix(".arrived")

    def arrived(self) -> None:
        """Note that the next batch has arrived."""
        with self.arrivals.open("ab") as noted:
            noted.write(b".")
            noted.flush()
            os.fsync(noted.fileno())

    def batches_arrived(self) -> int:
        """How many batches have arrived, which are the first ones."""
        return self.arrivals.stat().st_size if self.arrivals.exists() else 0

    def rows(self) -> pa.Table:
        """What is sent.

        Raises:
            DeliveryError: the file cannot be read.
        """
        try:
            written = pq.read_table(self.file, partitioning=None)
            return pa.Table.from_arrays(written.columns, names=written.column_names)  # nullable, as engines read the record
        except (OSError, pa.ArrowInvalid) as error:
            raise deliveries.DeliveryError(
                f"{self.file} cannot be read ({error}), so it is not known what a delivery that was cut off has told. Restore it from a "
                "backup. If you remove it, customers of it who opted out may stay where they were sent."
            ) from error

    def known(self) -> pa.Table:
        """Of what was sent, what has arrived."""
        rows = self.rows()
        return rows.filter(pc.less(rows[BATCH], self.batches_arrived())).select(deliveries.SCHEMA.names)

    def settle(self, data_dir: Path) -> None:
        """Record what has arrived; the same twice is recorded once."""
        known = self.known()
        if not known.num_rows:
            return
        about = {name: known[name][0].as_py() for name in deliveries.ABOUT.names}
        deliveries.record(data_dir, known, about["snapshot_date"], about["destination"], about["delivered_at"], about["delivery_id"])

    def doubtful(self) -> pa.Table:
        """Who may have been added, without an answer: the batch after those that have arrived."""
        rows = self.rows()
        return rows.filter(pc.and_(pc.equal(rows[BATCH], self.batches_arrived()), pc.equal(rows["change"], str(Change.ADDED))))

    def close(self) -> None:
        """Forget it, once nothing of it is in doubt."""
        self.file.unlink(missing_ok=True)
        self.arrivals.unlink(missing_ok=True)


def begin(
    data_dir: Path, rows: pa.Table, batches: pa.Array, snapshot: dt.date, destination: str, at: dt.datetime, delivery_id: str
) -> Journal:
    """Write down a delivery before its first batch leaves.

    Args:
        rows: the columns of `deliveries.CONTENTS`; batches: the number of each row's batch.
    """
    journal = Journal(data_dir / deliveries.FOLDER / FOLDER / f"{delivery_id}.parquet")
    values = (delivery_id, deliveries.folder_id(data_dir), snapshot, at.astimezone(dt.UTC).replace(tzinfo=None), destination)
    about = [pa.repeat(pa.scalar(value, field.type), len(rows)) for field, value in zip(deliveries.ABOUT, values, strict=True)]
    contents = rows.select(deliveries.CONTENTS.names).cast(deliveries.CONTENTS)
    table = pa.table([*about, *contents.columns, batches], schema=pa.schema([*deliveries.SCHEMA, pa.field(BATCH, pa.int64())]))
    journal.arrivals.unlink(missing_ok=True)
    with replacing(journal.file) as unfinished:
        pq.write_table(table, unfinished, compression="zstd")
    return journal


def of_destination(data_dir: Path, destination: str) -> list[Journal]:
    """The deliveries to a destination that were cut off."""
    found = [Journal(file) for file in sorted((data_dir / deliveries.FOLDER / FOLDER).glob("*.parquet"))]
    return [journal for journal in found if destination in journal.rows()["destination"].unique().to_pylist()]
