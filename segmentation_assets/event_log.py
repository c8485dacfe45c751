"""Dagster's SQLite event log with its connections kept open and nothing stored twice, so that recording a run costs less than the run.

Dagster opens and closes SQLite several times for each of a run's 300 or so events, and SQLite writes its log back whenever
the last connection closes. With connections kept open, a run of the demo took 0.55 to 0.72 of the time (three snapshots,
interleaved, on two busy cores). Only how a connection is obtained differs; if a later Dagster drops the overridden
method, its own takes over.

A third of a run's events say that an input or an output passed through a step, which the step's start and success say too; nobody
reads them again, so they are not stored. Nor are the metadata of a table's materialization stored again with its output, or the
names of a step that an event repeats. A run's own file has no indexes, because it is read as a whole.

An event is not forced to the disk by itself (SQLite's `synchronous = NORMAL`): a process that is killed loses none, a machine that loses
power may lose the latest, and the file stays whole. What was made is known from the lake.
"""

import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from dagster import DagsterEventType, EventLogEntry, Field, StringSource
from dagster._core.execution.plan.outputs import StepOutputData
from dagster._core.storage.event_log import SqlEventLogStorageTable, SqliteEventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy import event as of_engine
from sqlalchemy.pool import QueuePool

PATIENCE = 60  # seconds to wait for another process that is writing
KEPT_FILES = 8  # the index, and the logs of the latest runs
UNREAD = {DagsterEventType.STEP_INPUT, DagsterEventType.LOADED_INPUT, DagsterEventType.HANDLED_OUTPUT}
OF_TABLES = {DagsterEventType.ASSET_MATERIALIZATION, DagsterEventType.ASSET_CHECK_EVALUATION}  # a retry reads steps only from the others
PAGE = 1024  # bytes; Dagster's 25 tables and indexes in a run's file are mostly empty, and each takes a page


class KeptOpenSqliteEventLogStorage(SqliteEventLogStorage):
    """SqliteEventLogStorage with a pool of connections for each recently used file."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        self._tables: set[str] = set()
        super().__init__(*arguments, **named)

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        """Make it from dagster.yaml, as Dagster does; without a `base_dir`, in Dagster's default folder of its home."""
        folder, home = config_value.get("base_dir"), os.environ.get("DAGSTER_HOME")
        if not folder and not home:
            raise ValueError("Set DAGSTER_HOME to the folder of dagster.yaml, which names no base_dir of its event log.")
        return cls(inst_data=inst_data, base_dir=folder or str(Path(home or "") / "history" / "runs"))

    @classmethod
    def config_type(cls) -> Mapping[str, Field]:
        """Dagster's `base_dir`, made optional: a home that names no path can be moved."""
        return {"base_dir": Field(StringSource, is_required=False)}

    def store_event(self, event: EventLogEntry) -> None:
        said = _said_once(event)
        if event.dagster_event_type is DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED:  # only read from the table of checks
            self.store_asset_check_event(said, None)
        elif event.dagster_event_type not in UNREAD:
            super().store_event(said)

    def has_table(self, table_name: str) -> bool:
        """Whether the index has the table, looked up until it has: Dagster opens the file to ask so at each table that a run makes."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def _initdb(self, engine: Engine, for_index_shard: bool = False) -> None:
        of_engine.listen(engine, "connect", lambda connection, _: connection.execute(f"PRAGMA page_size = {PAGE}"))
        super()._initdb(engine, for_index_shard)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            engine = self._engine(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                if shard != INDEX_SHARD_NAME:
                    _drop_indexes(engine)
                self._initialized_dbs.add(shard)
            with engine.connect() as connection, connection.begin():
                yield connection

    def _engine(self, shard: str) -> Engine:
        if shard not in self._engines:
            arguments = {"timeout": PATIENCE, "check_same_thread": False}  # one thread at a time: _db_lock
            self._engines[shard] = create_engine(self.conn_string_for_shard(shard), poolclass=QueuePool, connect_args=arguments)
            of_engine.listen(self._engines[shard], "connect", lambda connection, _: connection.execute("PRAGMA synchronous = NORMAL"))
        self._engines.move_to_end(shard)
        while len(self._engines) > KEPT_FILES:
            self._engines.popitem(last=False)[1].dispose()
        return self._engines[shard]

    def delete_events(self, run_id: str) -> None:
        super().delete_events(run_id)
        self.forget(run_id)

    def forget(self, run_id: str) -> bool:
        """Remove a run's own file, which holds its steps; the index keeps what it made. Return whether there was one."""
        with self._db_lock:
            if engine := self._engines.pop(run_id, None):
                engine.dispose()
            self._initialized_dbs.discard(run_id)
            files = list(Path(self._base_dir).glob(f"{run_id}.db*"))
            for file in files:
                file.unlink(missing_ok=True)
        return bool(files)

    def dispose(self) -> None:
        """Close all connections."""
        while self._engines:
            self._engines.popitem()[1].dispose()
        super().dispose()


def _drop_indexes(engine: Engine) -> None:
    """Drop the indexes of a run's events: they take a tenth of its file."""
    for index in SqlEventLogStorageTable.indexes:
        index.drop(engine, checkfirst=True)


def _said_once(entry: EventLogEntry) -> EventLogEntry:
    """The event without data that it holds twice or that another event holds."""
    event = entry.dagster_event
    if event is None:
        return entry
    said = event.event_specific_data
    if isinstance(said, StepOutputData):
        said = said._replace(metadata={})
    step = None if event.event_type in OF_TABLES else event.step_handle  # `step_key` names it too
    once = event._replace(event_specific_data=said, logging_tags={}, node_handle=None, step_handle=step)
    return entry._replace(dagster_event=once, user_message="")
