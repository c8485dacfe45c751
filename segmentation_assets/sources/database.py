"""Databases: the rows of a snapshot's window, fetched in batches from a table or query.

The window is part of what the database is asked, where it can be: the time is a column of it that is a date, a time or
ISO text. The password is read from the environment when a connection is made, and kept out of every message.
"""

import datetime as dt
import hashlib
import os
import re
import urllib.parse
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq
from ibis.common.exceptions import TableNotFound

from segmentation_assets.settings_source import Database
from segmentation_assets.sources import guessing
from segmentation_assets.sources.base import SourceError, Window
from segmentation_assets.sources.cells import ISO, Cells
from segmentation_assets.sources.files import LINE, PROBLEM, ROW, SourceRows
from segmentation_assets.sources.intake import connect, joined
from segmentation_assets.sources.kept import Kept
from segmentation_assets.sources.mapping import TIMES, Bounds, canonical, resolve

BATCH_ROWS = 50_000
WINDOW_ROWS, ISO_ROWS = "only the window's rows", "only the window's rows, by ISO text"
ZONES = dt.timedelta(days=1)  # no zone is further from UTC; the exact window is cut after the rows are fetched
SAFE_ISO = r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])([T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]+)?)?)?$"
DRIVERS = {"postgres": "psycopg[binary]", "postgresql": "psycopg[binary]", "mysql": "mysqlclient", "mariadb": "mysqlclient"}


class DatabaseRows:
    """Rows of databases, as Parquet files in a folder that are replaced whenever their window is fetched again."""

    def __init__(self, folder: Path, bounds: Bounds) -> None:
        self.folder, self.bounds = folder, bounds

    def fetch(self, entity: str, settings: Any, window: Window | None, position: int) -> Kept:
        """The rows of a window (None: all) under canonical names.

        Raises:
            SourceError: the database cannot be reached or read, or lacks a mapped column.
        """
        name = source_name(settings)
        span = "all" if window is None else f"{window.start or 'start'}_{window.end}"
        identity = hashlib.sha256(f"{position} {settings.url} {settings.table} {settings.query}".encode()).hexdigest()[:12]
        target = self.folder / entity / f"database-{identity}-{span}.parquet"
        target.parent.mkdir(parents=True, exist_ok=True)
        fetched = target.with_name(f".{uuid.uuid4().hex}.fetched")
        unfinished = target.with_name(f".{uuid.uuid4().hex}.unfinished")
        backend = connect()
        try:
            notes = self._download(entity, settings, window, fetched)
            rows = _numbered(backend.read_parquet(str(fetched)))
            rows = joined(backend, rows, settings, self.folder, name)
            value = resolve(entity, settings, rows, Cells(settings), name).values.get(TIMES[entity])
            cut_as_text = notes["fetched"] == ISO_ROWS  # what the database compared as ISO text must not be read otherwise here
            formats = guessing.date_formats(backend, value.value, settings) if value is not None and not cut_as_text else (ISO,)
            cells = Cells(settings, formats)
            found = resolve(entity, settings, rows, cells, name)
            backend.to_parquet(canonical(backend, entity, found, rows, cells, self.bounds), unfinished, compression="zstd")
            types = guessing.column_types(backend, rows, cells)
            count = int(backend.read_parquet(str(unfinished)).count().execute())
            unfinished.replace(target)
        finally:
            backend.disconnect()
            fetched.unlink(missing_ok=True)
            unfinished.unlink(missing_ok=True)
        return Kept(str(target), name, count, types, found.used, found.strict, True, formats, notes)

    def fingerprint(self, entity: str, settings: Any) -> str:
        """Number of rows and latest time: what tells cheaply that rows came. A changed row is not noticed by it."""
        with connected(settings) as (remote, table):
            column = settings.columns.get(TIMES[entity])
            latest = {"latest": table[column].max().cast("string")} if column in table.columns else {}
            facts = remote.to_pyarrow(table.agg(rows=table.count(), **latest)).to_pylist()[0]
        return f"{source_name(settings)} {facts}"

    def _download(self, entity: str, settings: Any, window: Window | None, target: Path) -> dict[str, str]:
        with connected(settings) as (remote, table):
            wanted, note = _windowed(remote, table, entity, settings, window)
            if remote.name == "duckdb":  # writes it itself; Ibis's batches do not go with DuckDB 2
                remote.to_parquet(wanted.cast({name: "float64" for name, kind in wanted.schema().items() if kind.is_decimal()}), target)
                return {"fetched": note}
            schema = pa.schema([(name, _arrow(kind)) for name, kind in wanted.schema().items()])
            with pq.ParquetWriter(target, schema, compression="zstd") as writer:
                for batch in remote.to_pyarrow_batches(wanted, chunk_size=BATCH_ROWS):
                    writer.write_table(pa.Table.from_batches([batch]).cast(schema))
        return {"fetched": note}


def source_name(settings: Database) -> str:
    """What the rows of a database are known by: the table, or that it was a query. Never the address."""
    if settings.table:
        return settings.table
    return f"query {hashlib.sha256((settings.query or '').encode()).hexdigest()[:8]}"


@contextmanager
def connected(settings: Database) -> Iterator[tuple[Any, ir.Table]]:
    """The database and the table or query in it.

    Raises:
        SourceError: the password is not in the environment, the driver is missing, or the database refuses.
    """
    secret = _password(settings)
    shown = f"{settings.url} ({source_name(settings)})"
    remote = None
    try:
        remote = ibis.connect(_with_password(settings.url, secret), **_read_only(settings.url))
        yield remote, _table(remote, settings)
    except SourceError:
        raise
    except (ImportError, ModuleNotFoundError) as error:
        scheme = settings.url.partition("://")[0]
        raise SourceError(
            f"{shown}: the driver for {scheme} is not installed ({error}). Install it: pip install "
            f"'{DRIVERS.get(scheme, f'ibis-framework[{scheme}]')}'"
        ) from None
    except TableNotFound:
        raise SourceError(
            f"{shown}: no such table. Correct `table` in the settings, or have the user granted the right to see it."
        ) from None
    except Exception as error:
        raise SourceError(
            f"{shown}: {_without(secret, error)}. Check the address, the table and the user's rights, and that the database is running."
        ) from None
    finally:
        if remote is not None:
            remote.disconnect()


def _password(settings: Database) -> str | None:
    if settings.password_variable is None:
        return None
    secret = os.environ.get(settings.password_variable)
    if secret is None:
        raise SourceError(
            f"{settings.url}: the environment variable {settings.password_variable}, which should hold the password, is not "
            f"set. Set it: export {settings.password_variable}=..."
        )
    return secret


def _with_password(url: str, secret: str | None) -> str:
    if secret is None:
        return url
    parts = urllib.parse.urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    if not at:
        raise SourceError(
            f"{url}: password_variable is given but the address has no user. Write it as {parts.scheme}://USER@{parts.netloc}{parts.path}."
        )
    return urllib.parse.urlunsplit(parts._replace(netloc=f"{user}:{urllib.parse.quote(secret, safe='')}@{host}"))


def _read_only(url: str) -> dict[str, Any]:
    return {"read_only": True} if url.startswith("duckdb://") else {}


def _without(secret: str | None, error: Exception) -> str:
    """The first line of an error, without the password in any of its spellings."""
    text = re.sub(r"\s+", " ", str(error)).strip()[:300].rstrip(".")
    for spelling in {secret, urllib.parse.quote(secret or "", safe=""), urllib.parse.quote_plus(secret or "")} - {None, ""}:
        text = text.replace(str(spelling), "***")
    return text


def _table(remote: Any, settings: Database) -> ir.Table:
    if settings.query is not None:
        return remote.sql(settings.query)
    schema, _, name = (settings.table or "").rpartition(".")
    return remote.table(name, database=schema or None)


def _mostly_iso(remote: Any, time: ir.StringColumn) -> bool:
    """Whether at least half of the column is ISO dates, over the whole table, so that every window has the same answer."""
    counts = time.as_table().agg(some=time.count(), iso=time.re_search(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}").cast("int64").sum())
    facts = remote.to_pyarrow(counts).to_pylist()[0]
    return bool(facts["some"]) and 2 * int(facts["iso"] or 0) >= int(facts["some"])


def _windowed(remote: Any, table: ir.Table, entity: str, settings: Any, window: Window | None) -> tuple[ir.Table, str]:
    """The rows that may lie in the window (a day more on either side, for time zones), and in words how they were cut."""
    column = settings.columns.get(TIMES[entity])
    if window is None:
        return table, "all rows"
    if not isinstance(column, str) or column not in table.columns:
        return table, f"all rows, because {TIMES[entity]} is an expression; map it to a column to fetch only the snapshot's"
    time = table[column]
    end = min(window.end, dt.date.max - ZONES) + ZONES
    start = None if window.start is None else window.start - ZONES
    if time.type().is_timestamp() or time.type().is_date():
        cut = time < ibis.date(end) if time.type().is_date() else time < ibis.timestamp(f"{end} 00:00:00")
        if start is None:
            return table.filter(cut | time.isnull()), WINDOW_ROWS
        begun = time >= ibis.date(start) if time.type().is_date() else time >= ibis.timestamp(f"{start} 00:00:00")
        return table.filter(cut & begun), WINDOW_ROWS
    if time.type().is_string() and settings.date_formats == ("auto",) and _mostly_iso(remote, time):
        cut = time < end.isoformat()
        if start is None:  # what is not surely a date comes with the first window, so that it is not lost
            return table.filter(cut | time.isnull() | ~time.re_search(SAFE_ISO)), ISO_ROWS
        return table.filter(cut & (time >= start.isoformat())), ISO_ROWS
    return table, f"all rows, because {column} is {time.type()} in the database; make it a date or a timestamp to fetch only the snapshot's"


def _arrow(kind: Any) -> pa.DataType:
    """What a column of a database is kept as."""
    if kind.is_timestamp():
        return pa.timestamp("us", tz="UTC" if kind.timezone else None)
    if kind.is_numeric() or kind.is_boolean() or kind.is_date():
        return pa.float64() if kind.is_decimal() else kind.to_pyarrow()
    return pa.string()


def _numbered(table: ir.Table) -> SourceRows:
    """The rows in an order of their own, because a database has none: by all their columns."""
    columns = tuple(table.columns)
    number = ibis.row_number().over(ibis.window(order_by=[table[name] for name in columns])) + 1
    return SourceRows(table.mutate(**{ROW: number, PROBLEM: ibis.null("string"), LINE: ibis.null("string")}), columns)
