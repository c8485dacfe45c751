"""Databases: the rows of a snapshot's window, fetched in batches from a table or query.

If possible, the query selects only the window: when the time is a column of dates, timestamps or mostly ISO
text. Text that may not be an ISO date is fetched with every window, and read here as in a file. The password is read from the
environment when a connection is made, and kept out of every message.
"""

import datetime as dt
import hashlib
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq

from segmentation_assets.atomic import beside, replacing
from segmentation_assets.settings.addresses import SPARK
from segmentation_assets.sources import guessing, number_forms, order_cells, sqlite_tables
from segmentation_assets.sources.base import Window, counted
from segmentation_assets.sources.cells import ISO, Cells
from segmentation_assets.sources.database_connection import connected, source_name
from segmentation_assets.sources.dialects import unique_names
from segmentation_assets.sources.files import from_parquet
from segmentation_assets.sources.intake_record import IntakeRecord, counted_rows
from segmentation_assets.sources.lookups import joined, read_lookups
from segmentation_assets.sources.mapping import TIMES, Bounds, canonical, resolve
from segmentation_assets.sources.pseudonyms import Pseudonyms
from segmentation_assets.sources.reading import connect
from segmentation_assets.sources.rows import ROW, SourceRows

BATCH_ROWS = 50_000
WINDOW_ROWS, ISO_ROWS = "only the window's rows", "only the window's rows, by ISO text"
ZONES = dt.timedelta(days=2)  # written times differ from ours by up to 38 hours; the exact window is cut after the rows are fetched
SAFE_DAY = r"[0-9]{4}-((0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)"  # in every year
SAFE_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,9})?)?(Z|[+-](0[0-9]|1[0-3])(:?[0-5][0-9])?)?"
SAFE_ISO = f"^{SAFE_DAY}([T ]{SAFE_CLOCK})?$"  # texts that are read here as that time, whatever date formats are set


class DatabaseRows:
    """Rows of databases, stored as Parquet files that are replaced whenever their window is fetched again."""

    def __init__(self, folder: Path, bounds: Bounds, zone: str = "UTC", pseudonyms: Pseudonyms | None = None) -> None:
        self.folder, self.bounds, self.zone, self.pseudonyms = folder, bounds, zone, pseudonyms

    def fetch(self, entity: str, settings: Any, window: Window | None, position: int) -> IntakeRecord:
        """The rows of a window (None: all) under canonical names. An engine that speaks Spark Connect maps them itself, if it can.

        Raises:
            SourceError: the database cannot be reached or read, or lacks a mapped column.
        """
        if not settings.url.startswith(SPARK):
            return self._mapped_here(entity, settings, window, position)
        why = "ids become pseudonyms" if self.pseudonyms else self._mapped_there(entity, settings, window, position)
        if isinstance(why, IntakeRecord):
            return why
        found = self._mapped_here(entity, settings, window, position)
        return replace(found, notes={**found.notes, "mapped": f"here, because {why}"})

    def _mapped_there(self, entity: str, settings: Any, window: Window | None, position: int) -> IntakeRecord | str:
        """The rows as the engine maps them, or why it cannot."""
        from segmentation_assets.sources.mapped_there import mapped_there  # only where there is such an engine

        name, target = source_name(settings), self._target(entity, settings, window, position)
        with connected(settings) as (remote, table):
            wanted, note = _windowed(remote, table, entity, settings, window, self.bounds, by_text=False)
            wanted, note = _with_whole_orders(table, wanted, note, settings)
            made = mapped_there(entity, settings, wanted, self.bounds, self.zone, name)
            if isinstance(made, str):
                return made
            schema = made.rows.schema().to_pyarrow()
            with replacing(target) as unfinished:
                with pq.ParquetWriter(unfinished, schema, compression="zstd") as writer:
                    for batch in remote.batches(made.rows, schema):
                        writer.write_table(batch)
                count, flagged = counted_rows(unfinished)
            amounts, source = made.found.amounts, made.source
            forms = number_forms.currencies_beside(remote, source.table, source.columns, amounts, made.cells) if amounts else {}
            notes = {"fetched": note, "mapped": "by the engine", **self._left_out(remote, source, settings, made.cells)}
        read = tuple(dict.fromkeys((*made.found.read, *made.told)))
        types, doubts = guessing.kinds_of(source), number_forms.doubts(forms, settings)
        return IntakeRecord(str(target), name, count, types, read, made.found.strict, True, (ISO,), notes, forms, flagged, doubts)

    def _target(self, entity: str, settings: Any, window: Window | None, position: int) -> Path:
        """The file for the rows of a window."""
        span = "all" if window is None else f"{window.start or 'start'}_{window.end}"
        identity = hashlib.sha256(f"{position} {settings.url} {settings.table} {settings.query}".encode()).hexdigest()[:12]
        target = self.folder / entity / f"database-{identity}-{span}.parquet"
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    @staticmethod
    def _left_out(backend: Any, rows: SourceRows, settings: Any, cells: Cells) -> dict[str, str]:
        """Notes on how orders are read, with the number of rows that are left out."""
        is_set = getattr(settings, "leave_out", None) is not None
        counted = order_cells.left_out(rows, settings, cells, source_name(settings)) if is_set else None
        return order_cells.notes(settings, 0 if counted is None else int(backend.to_pyarrow(counted).to_pylist()[0]["n"]))

    def _mapped_here(self, entity: str, settings: Any, window: Window | None, position: int) -> IntakeRecord:
        """The rows as they come from the database, mapped by DuckDB."""
        name = source_name(settings)
        target = self._target(entity, settings, window, position)
        fetched = beside(target)
        backend = connect(self.zone, self.pseudonyms)
        try:
            notes, by_text = self._download(entity, settings, window, fetched)
            rows = _numbered(backend, fetched)
            with tempfile.TemporaryDirectory() as scratch:
                rows = joined(rows, read_lookups(backend, settings, Path(scratch)), name)
            value = resolve(entity, settings, rows, Cells(settings), name).values.get(TIMES[entity])
            formats = (ISO,) if value is None else _date_formats(backend, value.value, settings, by_text)
            numeric = resolve(entity, settings, rows, Cells(settings, formats), name).numeric
            forms = number_forms.counted(backend, rows.table, numeric)
            cells = Cells(settings, formats, self.zone, number_forms.decimals(forms))
            orders, told = order_cells.prepared(rows, settings, cells, name)
            found = resolve(entity, settings, orders, cells, name)
            forms |= number_forms.currencies_beside(backend, orders.table, orders.columns, found.amounts, cells) if found.amounts else {}
            with replacing(target) as unfinished:
                rows_read = canonical(entity, found, orders, cells, self.bounds, pseudonyms=self.pseudonyms)
                backend.to_parquet(rows_read, unfinished, compression="zstd")
                types = guessing.column_types(backend, rows, cells)
                count, flagged = counted_rows(unfinished)
                read = tuple(dict.fromkeys((*found.read, *told)))
                notes = {**notes, **self._left_out(backend, rows, settings, cells)}
        finally:
            backend.disconnect()
            fetched.unlink(missing_ok=True)
        return IntakeRecord(
            str(target),
            name,
            count,
            types,
            read,
            found.strict,
            True,
            formats,
            notes,
            forms,
            flagged,
            number_forms.doubts(forms, settings),
        )

    def fingerprint(self, entity: str, settings: Any) -> str:
        """Number of rows and latest time: a cheap sign of new rows, which does not notice changed ones."""
        with connected(settings) as (remote, table):
            column = _column(settings, TIMES[entity], table)
            latest = {"latest": table[column].max().cast("string")} if column in table.columns else {}
            facts = remote.to_pyarrow(table.agg(rows=table.count(), **latest)).to_pylist()[0]
        return f"{source_name(settings)} {facts}"

    def counts(self, entity: str, settings: Any, windows: Mapping[str, Window]) -> dict[str, int] | None:
        """The number of rows in each window, counted by the database; None if they would have to be read: if the time is text or computed,
        or rows are left out.

        Raises:
            SourceError: the database cannot be reached or read.
        """
        if getattr(settings, "leave_out", None) is not None or _is_filled(settings, TIMES[entity]):
            return None
        with connected(settings) as (remote, table):
            column = _column(settings, TIMES[entity], table)
            if column is None:
                total = int(remote.to_pyarrow(table.agg(n=table.count())).to_pylist()[0]["n"])
                return dict.fromkeys(windows, total)
            time = table[column] if column in table.columns else None
            if time is None or not (time.type().is_timestamp() or time.type().is_date()):
                return None

            def moment(day: dt.date) -> ir.Value:
                return _moment(day, time, settings.timezone or self.zone, self.zone)

            counts = counted(table, time, windows, moment, (self.bounds.first, self.bounds.end))
            return {name: int(number) for name, number in remote.to_pyarrow(counts).to_pylist()[0].items()}

    def _download(self, entity: str, settings: Any, window: Window | None, target: Path) -> tuple[dict[str, str], bool]:
        """Write the rows of a window to a file; return notes, and whether their time is mostly ISO text."""
        with connected(settings) as (remote, table):
            by_text = _is_iso_text(remote, table, entity, settings)
            wanted, note = _windowed(remote, table, entity, settings, window, self.bounds, by_text)
            wanted, note = _with_whole_orders(table, wanted, note, settings)
            wanted = _with_finite_times(wanted) if remote.name == "postgres" else wanted
            if remote.name == "duckdb":  # writes it itself; Ibis's batches do not go with DuckDB 2
                remote.to_parquet(wanted, target)
                return {"fetched": note}, by_text
            schema = pa.schema([(name, _arrow(kind)) for name, kind in wanted.schema().items()])
            if remote.name == "pyspark":
                schema = wanted.schema().to_pyarrow()  # decimals too, and lists, which are read as those of a Parquet file
            ways = {"mysql": _mysql_batches, "sqlite": _sqlite_batches, "pyspark": _spark_batches}
            batches = ways.get(remote.name, _batches)(remote, wanted, schema)
            with pq.ParquetWriter(target, schema, compression="zstd") as writer:
                for batch in batches:
                    writer.write_table(batch)
        return {"fetched": note}, by_text


def _column(settings: Any, canonical: str, table: ir.Table) -> Any:
    """What a canonical column is mapped to: a column as the table has it, also if it is quoted or, on Spark, in other capitals."""
    given = settings.columns.get(canonical)
    if given in table.columns or not isinstance(given, str):
        return given
    bare = given[1:-1].replace('""', '"') if re.fullmatch('"([^"]|"")+"', given) else given
    alike = [name for name in table.columns if name == bare or (settings.url.startswith(SPARK) and name.lower() == bare.lower())]
    return alike[0] if alike else given


def _is_filled(settings: Any, canonical: str) -> bool:
    """Whether a canonical column is mapped to one that only an order's first row has."""
    filled = (name.lower() for name in getattr(settings, "fill_from_order", ()))
    return str(settings.columns.get(canonical)).lower() in filled


def _is_iso_text(remote: Any, table: ir.Table, entity: str, settings: Any) -> bool:
    """Whether the time is a column of text, at least half ISO dates: of the whole table, so that every window has the same answer."""
    column = _column(settings, TIMES[entity], table)
    if settings.date_formats != ("auto",) or column not in table.columns or not table[column].type().is_string():
        return False
    time = table[column]
    counts = time.as_table().agg(some=time.count(), iso=ibis.ifelse(time.re_search(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}"), 1, 0).sum())
    facts = remote.to_pyarrow(counts).to_pylist()[0]
    return bool(facts["some"]) and 2 * int(facts["iso"] or 0) >= int(facts["some"])


def _date_formats(backend: Any, time: ir.Value, settings: Any, by_text: bool) -> tuple[str, ...]:
    """The date formats: ISO, and those guessed from dates that may not be ISO, which are fetched with every window."""
    if not by_text:
        return guessing.date_formats(backend, time, settings)
    rows = time.name("time").as_table()
    rows = rows.filter(~rows.time.re_search(SAFE_ISO))
    rows = rows.order_by(rows.time.hash(), rows.time)  # so that a sample is the same in every window
    return tuple(dict.fromkeys((ISO, *guessing.date_formats(backend, rows.time, settings))))


def _windowed(
    remote: Any, table: ir.Table, entity: str, settings: Any, window: Window | None, bounds: Bounds, by_text: bool
) -> tuple[ir.Table, str]:
    """The rows that may be in the window (with two extra days on either side, for time zones), and how they were selected, in words.

    The first window also gets rows without a usable time, so that none is lost. Text that may not be an ISO date is fetched with every
    window, because its date is known only once it is read.
    """
    column = _column(settings, TIMES[entity], table)
    if window is None or column is None:
        return table, "all rows"
    if column not in table.columns:
        return table, f"all rows, because {TIMES[entity]} is an expression; map it to a column to fetch only the snapshot's"
    time = table[column]
    end = min(window.end, dt.date.max - ZONES) + ZONES
    start = None if window.start is None else window.start - ZONES
    too_late = bounds.end - ZONES
    if time.type().is_timestamp() or time.type().is_date():
        cut = time < _moment(end, time)
        if start is None:
            return table.filter(cut | time.isnull() | (time >= _moment(too_late, time))), WINDOW_ROWS
        return table.filter(cut & (time >= _moment(start, time))), WINDOW_ROWS
    if by_text:
        cut, unsure = time < end.isoformat(), ~_is_surely_iso(remote, time, settings)
        if start is None:
            return table.filter(cut | time.isnull() | unsure | (time >= too_late.isoformat())), ISO_ROWS
        return table.filter((cut & (time >= start.isoformat())) | unsure), ISO_ROWS
    remedy = "write all of it as 2024-05-31 10:00:00" if remote.name == "sqlite" else "make it a date or a timestamp"
    return table, f"all rows, because {column} is {time.type()} in the database; {remedy} to fetch only the snapshot's"


def _is_surely_iso(remote: Any, time: ir.StringColumn, settings: Any) -> ir.BooleanValue:
    """Whether a text is read here as the time with which it begins, in any zone; null if there is none."""
    exact = "(?-i)" if remote.name == "mysql" else ""  # where a pattern is else as blind to capitals as the column's collation
    missing = [text.upper() for text in settings.missing_values if re.search(SAFE_ISO, text.upper())]
    surely = time.re_search(exact + SAFE_ISO)
    return surely & ~time.upper().isin(missing) if missing else surely


def _with_whole_orders(table: ir.Table, wanted: ir.Table, note: str, settings: Any) -> tuple[ir.Table, str]:
    """Add the other rows of the orders in the window, if a row's cells or amount depend on them."""
    needed = getattr(settings, "fill_from_order", ()) or getattr(settings, "amount_is", "line") == "order"
    if not needed or note not in {WINDOW_ROWS, ISO_ROWS}:
        return wanted, note
    if _is_filled(settings, "ordered_at"):
        return table, "all rows, because the order's time is on one of its rows only"
    order = _column(settings, "order_id", table)
    if order not in table.columns:
        return table, "all rows, because order_id is an expression; map it to a column to fetch only the snapshot's orders"
    named = wanted.filter(wanted[order].notnull())
    return ibis.union(wanted.filter(wanted[order].isnull()), table.filter(table[order].isin(named[order]))), note


def _moment(day: dt.date, time: ir.Column, unzoned: str = "UTC", zone: str = "UTC") -> ir.Value:
    """The beginning of a day in `zone`, as a column has it: of times with an offset in UTC, of others in `unzoned`; of dates, the day."""
    if time.type().is_date():
        return ibis.date(day)
    begun = dt.datetime.combine(day, dt.time(), ZoneInfo(zone))
    written = begun.astimezone(ZoneInfo("UTC" if time.type().timezone else unzoned))
    return ibis.timestamp(written.strftime("%Y-%m-%d %H:%M:%S"))


def _with_finite_times(table: ir.Table) -> ir.Table:
    """The rows with times that PostgreSQL supports and Python does not, such as infinity, set to missing."""
    first, last = dt.date(1, 1, 1), dt.date(9999, 12, 31)
    times = [name for name, kind in table.schema().items() if kind.is_timestamp() or kind.is_date()]
    known = {name: table[name].between(_moment(first, table[name]), _moment(last, table[name])) for name in times}
    return table.mutate(**{name: ibis.ifelse(fits, table[name], ibis.null(table[name].type())) for name, fits in known.items()})


def _arrow(kind: Any) -> pa.DataType:
    """The type in which a database column is stored."""
    if kind.is_timestamp():
        return pa.timestamp("us", tz="UTC" if kind.timezone else None)
    if kind.is_integer():
        return pa.uint64() if kind.is_uint64() else pa.int64()  # Ibis takes a YEAR of MySQL for a byte
    if kind.is_numeric() or kind.is_boolean() or kind.is_date():
        return pa.float64() if kind.is_decimal() else kind.to_pyarrow()
    return pa.string()


def _batches(remote: Any, wanted: ir.Table, schema: pa.Schema) -> Iterator[pa.Table]:
    for batch in remote.to_pyarrow_batches(wanted, chunk_size=BATCH_ROWS):
        table = pa.Table.from_batches([batch])
        for position, field in enumerate(batch.schema):
            if pa.types.is_string(schema.field(position).type) and not pa.types.is_string(field.type):  # such as bytes, or a list
                texts = [None if value is None else _text_of(value) for value in table[position].to_pylist()]
                table = table.set_column(position, field.name, pa.array(texts, pa.string()))
        yield table.cast(schema)


def _mysql_batches(remote: Any, wanted: ir.Table, schema: pa.Schema) -> Iterator[pa.Table]:
    """The rows as the server sends them. Ibis would hold all at once, and turn integers next to a NULL into floats, changing long ids."""
    from MySQLdb.cursors import SSCursor  # only where there is such a database

    with closing(remote.con.cursor(SSCursor)) as cursor:
        cursor.execute(remote.compile(wanted))
        while rows := cursor.fetchmany(BATCH_ROWS):
            columns = zip(*rows, strict=True)
            yield pa.table([_mysql_column(values, kind) for values, kind in zip(columns, schema.types, strict=True)], schema=schema)


def _sqlite_batches(remote: Any, wanted: ir.Table, schema: pa.Schema) -> Iterator[pa.Table]:
    """The rows as the file has them. Ibis would hold all at once, and parse them by declared types, which SQLite does not enforce."""
    with closing(remote.con.execute(remote.compile(wanted))) as cursor:
        while rows := cursor.fetchmany(BATCH_ROWS):
            columns = zip(*rows, strict=True)
            yield pa.table(
                [sqlite_tables.column_of(values, kind) for values, kind in zip(columns, schema.types, strict=True)], schema=schema
            )


def _spark_batches(remote: Any, wanted: ir.Table, schema: pa.Schema) -> Iterator[pa.Table]:
    found: Iterator[pa.Table] = remote.batches(wanted, schema)
    return found


def _mysql_column(values: Iterable[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_string(kind):
        return pa.array([None if value is None else _text_of(value) for value in values], kind)
    if pa.types.is_floating(kind):
        return pa.array([None if value is None else float(value) for value in values], kind)  # a decimal
    if pa.types.is_integer(kind):
        return pa.array([int.from_bytes(value) if isinstance(value, bytes) else value for value in values], kind)  # bits
    return pa.array(values, kind)


def _text_of(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return ",".join(sorted(value)) if isinstance(value, set) else str(value)


def _numbered(backend: Any, fetched: Path) -> SourceRows:
    """The rows ordered by all their columns, because a database has no order."""
    relation = backend.con.read_parquet(str(fetched), file_row_number=True, hive_partitioning=False)
    rows = from_parquet(relation, unique_names(relation.columns[:-1])).viewed(backend)
    number = ibis.row_number().over(ibis.window(order_by=[rows.table[name] for name in rows.columns])) + 1
    return SourceRows(rows.table.mutate(**{ROW: number}), rows.columns)
