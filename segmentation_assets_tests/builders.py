"""Hand-written rows: a test gives the columns that matter to it, and the others get plain values.

Belongs here: tables and sources for tests. Expected values belong in the tests.
"""

import datetime as dt
from decimal import Decimal

import ibis
import pandas as pd
import pyarrow as pa

from segmentation_assets.settings.loading import load_settings
from segmentation_assets.sources.base import within
from segmentation_assets.store.lake import Staged
from segmentation_assets.tables import BY_NAME, CONTRACTS
from segmentation_assets.tables.contract import Contract

LOADED = load_settings()  # of settings.yaml, as conftest.py says
D1, D2, D3, D4 = "2024-02-01", "2024-03-01", "2024-04-01", "2024-05-01"  # the snapshots of settings.yaml
PLAIN = {
    "string": "x", "int64": 1, "float64": 0.0, "boolean": False, "date": dt.date(2024, 1, 1), "timestamp(6)": dt.datetime(2024, 1, 1),
    "decimal(18, 4)": Decimal(0), "decimal(38, 4)": Decimal(0),
}  # fmt: skip


def table(contract: Contract, *rows: dict, **further: pa.DataType) -> ibis.Table:
    """The rows as a table with the contract's types: absent columns get plain values if required, else null; rows are numbered.

    Args:
        further: types of columns that the contract lacks.
    """
    full = []
    for number, row in enumerate(rows, 1):
        plain = {c.name: None if c.nullable else c.allowed[0] if c.allowed else PLAIN[c.type] for c in contract.columns}
        full.append({**plain, **({"row_number": number} if "row_number" in plain else {}), **row})
    fields = [pa.field(c.name, ibis.dtype(c.type).to_pyarrow()) for c in contract.columns]
    return ibis.memtable(pa.Table.from_pylist(full, schema=pa.schema([*fields, *further.items()])))


NO_ROWS: dict[str, bytes] = {}  # by table: the file of an empty partition, computed once because a snapshot has dozens


def put(lake, name: str, key: str, *rows: dict, **further: pa.DataType) -> None:
    """Write the partition `key` of table `name` into the lake."""
    if rows or further:
        lake.stage(BY_NAME[name], key, table(BY_NAME[name], *rows, **further)).commit()
        return
    if name not in NO_ROWS:
        staged = lake.stage(BY_NAME[name], key, table(BY_NAME[name]))
        NO_ROWS[name] = staged.unfinished.read_bytes()
        staged.discard()
    file = lake.file(name, key)
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".unfinished")
    unfinished.write_bytes(NO_ROWS[name])
    Staged(unfinished, file).commit()  # not written in place: the published file is a link to the old one


def put_snapshot(lake, key: str, **rows: list[dict]) -> None:
    """Write every table of snapshot `key`: the named ones with the given rows, the others empty."""
    for contract in CONTRACTS:
        put(lake, contract.name, key, *rows.get(contract.name, []))


class RowsSource:
    """A source of hand-written rows; `customers` may have further columns, all numbers."""

    def __init__(self, customers=(), transactions=(), events=(), version: str = "1") -> None:
        self.rows = {"raw_customers": customers, "raw_transactions": transactions, "raw_events": events}
        self.version = version

    def _table(self, name: str) -> ibis.Table:
        contract, rows = BY_NAME[name], self.rows[name]
        own = {c.name for c in contract.columns}
        further = {column: pa.float64() for row in rows for column in row if column not in own}
        return table(contract, *rows, **further)

    def customers(self, engine, window):
        return self._table("raw_customers")

    def transactions(self, engine, window):
        return within(self._table("raw_transactions"), "ordered_at", window)

    def events(self, engine, window):
        return within(self._table("raw_events"), "event_at", window)

    def fingerprint(self) -> str:
        return self.version


def line(customer_id: str | None, ordered_at: str | None, amount: float | None, **values) -> dict:
    """One order line of a source."""
    when = dt.datetime.fromisoformat(ordered_at) if ordered_at else None
    return {"customer_id": customer_id, "ordered_at": when, "amount": amount, "quantity": 1.0, **values}


def features(*customers: tuple[float | None, float, float], status: str = "active", **columns: list) -> pd.DataFrame:
    """Rows of customer_features from (recency_days, frequency, monetary); customer ids are c0, c1, ..."""
    frame = pd.DataFrame(list(customers), columns=["recency_days", "frequency", "monetary"], dtype="float64")
    frame.insert(0, "customer_id", [f"c{i}" for i in range(len(frame))])
    frame.insert(1, "status", pd.Series([status] * len(frame), dtype="object"))
    return frame.assign(tenure_days=frame["recency_days"] + 30.0, **columns)
