"""What was handed over: who was assigned to which action when, in a record that is only ever added to.

Belongs here: the files below `deliveries/`, one for each delivery, outside the lake, because a snapshot may be made again and what was
handed over may not; and the questions that later snapshots ask of them. Who is handed over where does not belong here, and what is under
way is in `journal`.
"""

import datetime as dt
import uuid
from pathlib import Path

import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock

from segmentation_assets.atomic import replacing
from segmentation_assets.core.application.assignments import begun
from segmentation_assets.engines import parquet
from segmentation_assets.engines.base import Engine
from segmentation_assets.vocabulary import Change, Role

FOLDER = "deliveries"
ID = "folder_id.txt"
CONTENTS = pa.schema(
    [
        pa.field("list", pa.string(), nullable=False),
        pa.field("action", pa.string(), nullable=False),
        pa.field("customer_id", pa.string(), nullable=False),
        pa.field("role", pa.string(), nullable=False),
        pa.field("change", pa.string(), nullable=False),
        pa.field("channel", pa.string()),
        pa.field("cost", pa.float64(), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("planned_share", pa.float64()),
    ]
)
"""What a delivery has of each customer; the rest is the same for all of them."""
LATER = {"reason": "string", "planned_share": "float64"}
"""Columns that records of earlier versions lack, with their Ibis types: why a customer is held out, and the share that was to be."""
ABOUT = pa.schema(
    [
        pa.field("delivery_id", pa.string(), nullable=False),
        pa.field("folder_id", pa.string(), nullable=False),
        pa.field("snapshot_date", pa.date32(), nullable=False),
        pa.field("delivered_at", pa.timestamp("us"), nullable=False),
        pa.field("destination", pa.string(), nullable=False),
    ]
)
SCHEMA = pa.schema([*ABOUT, *CONTENTS])


class DeliveryError(RuntimeError):
    """A delivery cannot be recorded or read; the message says which, and what to do."""


def folder_id(data_dir: Path) -> str:
    """The random id of the data folder, written once. A copy of the folder has the same."""
    file = data_dir / FOLDER / ID
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.with_suffix(".lock")):
        if not file.exists():
            with replacing(file) as unfinished:
                unfinished.write_text(f"{uuid.uuid4().hex}\n", encoding="utf-8")
    return file.read_text(encoding="utf-8").strip()


def record(
    data_dir: Path,
    rows: pd.DataFrame | pa.Table,
    snapshot: dt.date,
    destination: str,
    delivered_at: dt.datetime,
    delivery_id: str | None = None,
) -> str:
    """Record one delivery, whole or not at all, and return its id. Recording the same delivery twice leaves one record.

    Args:
        rows: the columns of CONTENTS; `change` is added or removed, `role` treated or holdout, `cost` that of the contact.
        delivered_at: in UTC, with or without a zone.
        delivery_id: its id; None: a random one.

    Raises:
        DeliveryError: a column is missing or has a wrong value.
    """
    try:
        table = rows if isinstance(rows, pa.Table) else pa.Table.from_pandas(rows, preserve_index=False)
        contents = table.select(CONTENTS.names).cast(CONTENTS)
    except (KeyError, ValueError, pa.ArrowInvalid) as error:
        raise DeliveryError(f"The delivery to {destination} was not recorded: {error}. It needs {', '.join(CONTENTS.names)}.") from error
    for column, words in (("role", (Role.TREATED, Role.HOLDOUT)), ("change", tuple(Change))):
        if other := sorted({str(value) for value in contents[column].unique().to_pylist()} - {str(word) for word in words}):
            raise DeliveryError(
                f"The delivery to {destination} was not recorded: {column} is {', '.join(other)}, and must be {' or '.join(words)}."
            )
    time = delivered_at.astimezone(dt.UTC).replace(tzinfo=None) if delivered_at.tzinfo else delivered_at
    delivery_id = delivery_id or uuid.uuid4().hex
    values = (delivery_id, folder_id(data_dir), snapshot, time, destination)
    about = [pa.repeat(pa.scalar(value, field.type), len(contents)) for field, value in zip(ABOUT, values, strict=True)]
    with replacing(data_dir / FOLDER / f"{time:%Y%m%dT%H%M%S%f}-{delivery_id}.parquet") as unfinished:
        pq.write_table(pa.table([*about, *contents.columns], schema=SCHEMA), unfinished, compression="zstd")
    return delivery_id


def recorded(data_dir: Path) -> list[Path]:
    """The files of all deliveries, oldest first.

    Raises:
        DeliveryError: one cannot be read, so that it is not known who was contacted.
    """
    files = sorted((data_dir / FOLDER).glob("*.parquet"))
    damaged = [str(file) for file in files if parquet.row_count(file) is None]
    if damaged:
        raise DeliveryError(f"{', '.join(damaged)} cannot be read, so it is not known who was contacted. Nothing was assigned. Restore it.")
    return files


def snapshots(data_dir: Path) -> set[str]:
    """Keys of the snapshots of which something was handed over.

    Raises:
        DeliveryError: see `recorded`.
    """
    return {str(day) for file in recorded(data_dir) for day in pq.read_table(file, columns=["snapshot_date"])[0].unique().to_pylist()}


def rows(data_dir: Path, engine: Engine, until: dt.date) -> ir.Table | None:
    """All rows of deliveries of snapshots up to `until`; None if there are none.

    Raises:
        DeliveryError: see `recorded`.
    """
    files = recorded(data_dir)
    if not files:
        return None
    found = engine.scan(files, hive_partitioning=False)
    found = found.mutate(**{name: ibis.null(kind) for name, kind in LATER.items() if name not in found.columns})
    return found.filter(found.snapshot_date <= ibis.date(until.isoformat()))


def standing(rows: ir.Table) -> ir.Table:
    """list, customer_id, action, role, reason, snapshot_date, handed_over: the assignment in force of each customer and list, from rows of
    deliveries: the last one, unless it was taken back. Of an addition and a removal at the same time, the addition is the later one."""
    last = ibis.row_number().over(
        group_by=[rows["list"], rows.customer_id], order_by=[ibis.desc(rows.delivered_at), rows.change, rows.delivery_id]
    )
    newest = rows.mutate(place=last).filter(ibis._.place == 0)
    kept = newest.filter(newest.change == Change.ADDED)
    return kept.select("list", "customer_id", "action", "role", "reason", "snapshot_date", handed_over="delivered_at")


def contacts(rows: ir.Table, since: dt.date, before: dt.date) -> ir.Table:
    """customer_id, contacts: how often each was contacted since a day, by deliveries of snapshots before another.

    A contact is a customer's coming to an action, to however many destinations it was delivered, and whenever they were told.
    """
    recent = _contacts(rows, before).filter(ibis._.since >= ibis.timestamp(f"{since.isoformat()} 00:00:00"))
    return recent.group_by("customer_id").agg(contacts=recent.count())


def spent(rows: ir.Table, before: dt.date) -> dict[str, float]:
    """Action -> money for contacts by deliveries of snapshots before a day."""
    each = _contacts(rows, before)
    found = each.group_by("action").agg(cost=each.cost.sum()).to_pyarrow().to_pylist()
    return {row["action"]: float(row["cost"]) for row in found}


def _contacts(rows: ir.Table, before: dt.date) -> ir.Table:
    made = begun(rows.filter(rows.role == Role.TREATED))
    return made.filter(made.snapshot_date < ibis.date(before.isoformat()))
