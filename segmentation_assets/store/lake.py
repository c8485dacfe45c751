"""The lake: one Parquet file per table and snapshot, written whole or not at all.

Belongs here: paths and atomic replacement. The tables' contents are described in `tables`, and Dagster reads and writes in `defs.io`.
"""

import ctypes
import hashlib
import os
import sys
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from segmentation_assets.atomic import beside, scratch
from segmentation_assets.core.customers.columns import CustomerColumns
from segmentation_assets.engines import parquet
from segmentation_assets.engines.base import Engine, EngineError
from segmentation_assets.engines.duckdb import DuckDBEngine
from segmentation_assets.engines.exchange import Bucket, Exchange, SharedFolder
from segmentation_assets.settings.engine import Bounds, SparkConnect
from segmentation_assets.tables.contract import SNAPSHOT_DATE, Column, Contract

PART = "part-0.parquet"
DATED = "dated"  # on an input: keep the column snapshot_date, to distinguish snapshots
HERE = "here"  # on an input: read by the engine in this process
KEPT_BYTES = 768 * 2**20  # of what was read last: the features and segments of a million customers
KEPT_BESIDE = 64 * 2**20  # the same where another engine computes, or memory is bounded, and this process is to stay small


Kept = TypeVar("Kept", pd.DataFrame, pd.Series)


class LakeError(RuntimeError):
    """A partition is missing or does not fit its contract; the message says which, and what to do."""


class Lake:
    """Tables as folders with a subfolder `snapshot_date=<key>` per snapshot, as DuckDB and Spark read them.

    Args:
        kept: most bytes of what was read last that stay in memory for others who ask for the same.
        guard: called before a partition is put in place; raises an error if it must not be.
    """

    def __init__(self, root: Path, engine: Engine, kept: int = KEPT_BYTES, guard: Callable[[], None] = lambda: None) -> None:
        self.root = root
        self.engine = engine
        self.guard = guard
        self._kept: OrderedDict[Hashable, tuple[int, Any]] = OrderedDict()
        self._most = kept

    def file(self, table: str, key: str) -> Path:
        return self.root / table / f"snapshot_date={key}" / PART

    def keys(self, table: str) -> list[str]:
        return partition_keys(self.root, table)

    def row_count(self, table: str, key: str) -> int | None:
        """Number of rows of a partition, from its footer; None if it is missing or cannot be read."""
        return parquet.row_count(self.file(table, key))

    def stage(self, contract: Contract, key: str, frame: ir.Table | pd.DataFrame | Iterator[pd.DataFrame]) -> "Staged":
        """Compute a partition and write it, ordered by its key, to an unfinished file next to its place.

        Args:
            frame: its rows; or batches of them, in any order, of which only one is in memory at a time.

        Raises:
            LakeError: the frame lacks columns of the contract.
        """
        file = self.file(contract.name, key)
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = beside(file)
        batches = unfinished.with_name(f"{unfinished.name}.batches")
        try:
            if isinstance(frame, Iterator):
                parquet.write_batches(batches, _as_frames(_schema(contract.columns)), frame)
                frame = self.engine.driver.scan([batches], hive_partitioning=False)
            table = conformed(contract, frame)
            self.engine.write(table, unfinished, by=contract.key)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        finally:
            batches.unlink(missing_ok=True)
        return Staged(unfinished, file, self.engine.owner(table), self.guard)

    def read_staged(self, staged: "Staged") -> ir.Table:
        """The rows of a partition that is not committed yet."""
        return (staged.engine or self.engine).scan([staged.unfinished], hive_partitioning=False)

    def read(self, contract: Contract, keys: Sequence[str], dated: bool = False, here: bool = False) -> ir.Table:
        """The rows of the given snapshots, lazily; with snapshot_date if `dated`. An empty table of the right types if none exist.

        Args:
            here: read by the engine in this process, in the order of the files.
        """
        files = [file for key in keys if (file := self.file(contract.name, key)).exists()]
        if not files:
            columns = (SNAPSHOT_DATE, *contract.columns) if dated else contract.columns
            return ibis.memtable(_schema(columns).empty_table())
        table = (self.engine.driver if here else self.engine).scan(files, hive_partitioning=dated)
        # A column added later is empty in older partitions; one that needs what the source lacks is absent, with all that need the same.
        has = {c.needs for c in contract.columns if c.name in table.columns}
        added = {c.name: ibis.null(c.type) for c in contract.columns if c.nullable and c.needs in has and c.name not in table.columns}
        return table.mutate(**added) if added else table

    def frame(self, table: ir.Table) -> pd.DataFrame:
        """`to_frame` of a table that `read` returned, kept for others who ask for the same.
        Each gets its own object, so that columns can be added to it; the columns share their memory until one is written to."""
        return self._keep(table.op(), lambda: to_frame(table))

    def frames(self, table: ir.Table, rows: int) -> Iterator[pd.DataFrame]:
        """The rows of a table that was read `here`, in its order if it has one, as DataFrames of at most so many, like `to_frame`."""
        for batch in self.engine.batches(_with_floats(table), rows):
            yield batch.to_pandas(date_as_object=False)

    def columns(self, contract: Contract, key: str) -> CustomerColumns:
        """The rows of a snapshot with the values of `to_frame`, of which each column is read when it is asked for; those asked for last are
        kept, because a dozen assets read a snapshot's customers."""
        table, file = self.read(contract, [key], here=True), self.file(contract.name, key)
        written = set(pq.read_schema(file).names) if file.exists() else set[str]()

        def read(name: str) -> pd.Series:
            # Not by the engine, which takes ten times as long for one column of few customers.
            if name in written and not table[name].type().is_decimal():
                return pq.ParquetFile(file).read([name]).to_pandas(date_as_object=False)[name]
            return to_frame(table.select(name))[name]

        types = dict(to_frame(table.limit(0)).dtypes)
        return CustomerColumns(
            types, lambda name: self._keep((table.op(), name), lambda: read(name)), self.row_count(contract.name, key) or 0
        )

    @contextmanager
    def apart(self, table: ir.Table) -> Iterator[CustomerColumns]:
        """The rows of a table that was read `here`, in its order if it has one, of which each column is read when it is asked for, with
        the values of `to_frame`, texts as categories. They are in a file until the block ends, as a join of all customers would not fit."""
        self.root.mkdir(parents=True, exist_ok=True)
        self.give_back()
        with scratch(self.root) as folder:
            self.engine.driver.write(_with_floats(table), folder / PART)
            yield _columns_of(folder / PART)

    def give_back(self) -> None:
        """Return to the system what was freed, of which allocators keep some hundred MB after millions of customers; on Linux, and if this
        process is to stay small, because what is needed again takes longer to get."""
        if self._most >= KEPT_BYTES or sys.platform != "linux":
            return
        pa.default_memory_pool().release_unused()
        if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):  # not in musl
            trim(0)

    def _keep(self, key: Hashable, read: Callable[[], Kept]) -> Kept:
        size, found = self._kept.pop(key, (0, None))
        if found is None:
            found = read()
            size = int(np.sum(found.memory_usage(index=False)))
        self._kept[key] = size, found
        while sum(size for size, _ in self._kept.values()) > self._most:
            self._kept.popitem(last=False)
        return found.copy(deep=False)


@contextmanager
def opened(
    data_dir: Path,
    asked: Bounds | None = None,
    guard: Callable[[], None] = lambda: None,
    shared: Callable[[Path], str | None] = lambda file: None,
) -> Iterator[Lake]:
    """The lake of a data folder, on its own engine, which is closed at the end; by default, DuckDB.

    Args:
        shared: the address in a bucket where another engine can read a file of the lake, if it is there.

    Raises:
        EngineError: the engine of the settings cannot be used.
    """
    bounds = asked or Bounds()
    with ExitStack() as at_end:
        here = DuckDBEngine(threads=bounds.threads, memory=bounds.memory, temp_folder=bounds.temp_folder)
        at_end.callback(here.close)
        engine: Engine = here
        if isinstance(asked, SparkConnect):
            folder = at_end.enter_context(scratch(data_dir))
            engine = _spark(asked, Bucket(asked.exchange, folder, shared) if asked.exchange else SharedFolder(folder), here)
            at_end.callback(engine.close)
        yield Lake(data_dir / "lake", engine, kept_bytes(bounds.memory_bytes) if engine is here else KEPT_BESIDE, guard)


def kept_bytes(memory: int | None) -> int:
    """Most bytes of what was read last that are kept where DuckDB is to take so much memory: little, if that is little.

    >>> [kept_bytes(memory) // 2**20 for memory in (None, 2**34, 2**30, 2**27)]
    [768, 768, 256, 64]
    """
    return KEPT_BYTES if memory is None else max(KEPT_BESIDE, min(KEPT_BYTES, memory // 4))


def _spark(asked: SparkConnect, exchange: Exchange, driver: DuckDBEngine) -> Engine:
    token = os.environ.get(asked.token_variable) if asked.token_variable else None
    if asked.token_variable and not token:
        name = asked.token_variable if asked.token_variable.isupper() else "NAME"  # else it may be the token itself
        raise EngineError(
            "engine.token_variable: the environment variable that it names, which should hold the token, is not set. "
            f"Set it: export {name}=..."
        )
    try:
        from segmentation_assets.engines.spark_connect import SparkConnectEngine  # takes a second to import, and is an extra
    except ImportError as error:
        raise EngineError(
            f"engine.kind: spark_connect needs the client of Spark Connect, which is not installed ({error}). "
            "Install it: pip install 'segmentation-assets[spark]'"
        ) from None
    return SparkConnectEngine(asked.url, exchange, driver, token)


@dataclass(frozen=True)
class Staged:
    """A partition that is written but not in place: `commit` puts it there atomically, `discard` leaves the old one."""

    unfinished: Path
    file: Path
    engine: Engine | None = None  # that computed it; None: the lake's
    guard: Callable[[], None] = lambda: None

    def digest(self) -> str:
        return hashlib.sha256(self.unfinished.read_bytes()).hexdigest()

    def row_count(self) -> int:
        return int(pq.read_metadata(self.unfinished).num_rows)

    def first_rows(self, number: int) -> pd.DataFrame:
        first = pq.ParquetFile(self.unfinished).iter_batches(batch_size=number)
        return next(first, pa.RecordBatch.from_pylist([], schema=pq.read_schema(self.unfinished))).to_pandas()

    def commit(self) -> None:
        self.guard()
        self.unfinished.replace(self.file)

    def discard(self) -> None:
        self.unfinished.unlink(missing_ok=True)


def partition_keys(root: Path, table: str) -> list[str]:
    """Keys of the snapshots that a table of the lake at `root` has, oldest first."""
    return sorted(file.parent.name.partition("=")[2] for file in (root / table).glob(f"snapshot_date=*/{PART}"))


def _columns_of(file: Path) -> CustomerColumns:
    """The columns of a file that nobody else reads; those of text as categories in alphabetical order."""
    texts = [field.name for field in pq.read_schema(file) if pa.types.is_string(field.type)]

    def read(name: str) -> pd.Series:
        values = pq.ParquetFile(file, read_dictionary=texts).read([name]).to_pandas(date_as_object=False)[name]
        return values.cat.reorder_categories(sorted(values.cat.categories)) if name in texts else values

    none = pq.read_schema(file).empty_table().to_pandas(date_as_object=False)
    return CustomerColumns(dict(none.dtypes), read, parquet.row_count(file) or 0)


def _schema(columns: Sequence[Column]) -> pa.Schema:
    return pa.schema({c.name: ibis.dtype(c.type).to_pyarrow() for c in columns})


def _as_frames(schema: pa.Schema) -> pa.Schema:
    """With money as float64, as DataFrames have it."""
    return pa.schema([field.with_type(pa.float64()) if pa.types.is_decimal(field.type) else field for field in schema])


def conformed(contract: Contract, frame: ir.Table | pd.DataFrame) -> ir.Table:
    """The frame with the contract's columns in order and with its types; further columns only if it is open."""
    table = frame if isinstance(frame, ir.Table) else ibis.memtable(pa.Table.from_pandas(frame, preserve_index=False))
    missing = [c.name for c in contract.columns if c.name not in table.columns and not c.needs]
    if missing:
        raise LakeError(f"{contract.name}: the computed table lacks {', '.join(missing)}; compute them or change the contract.")
    # Not `.cast`, which omits a cast to the type that Ibis expects, whereas DuckDB's sum of integers is a 128-bit integer.
    named = {c.name: ops.Cast(table[c.name], to=ibis.dtype(c.type)).to_expr() for c in contract.columns if c.name in table.columns}
    further = {name: table[name] for name in table.columns if contract.open and name not in named}
    return table.select(**named, **further)


def to_frame(table: ir.Table) -> pd.DataFrame:
    """The table as a DataFrame in which money is float64, so that NumPy can compute with it."""
    # Not Ibis's own `to_pandas`, which converts each column again and takes five times as long for a million customers.
    return _with_floats(table).to_pyarrow().to_pandas(date_as_object=False)


def _with_floats(table: ir.Table) -> ir.Table:
    decimals = {name: table[name].cast("float64") for name, kind in table.schema().items() if kind.is_decimal()}
    return table.mutate(**decimals) if decimals else table
