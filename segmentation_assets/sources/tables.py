"""The user's own data as a source: the tables that the settings describe."""

import datetime as dt
import functools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from segmentation_assets.core.customers.cleaning import RULES, identifier
from segmentation_assets.engines.base import Engine
from segmentation_assets.settings.cleaning import Cleaning
from segmentation_assets.settings.snapshots import EARLIEST, Snapshots
from segmentation_assets.settings.source import CustomerDatabase, CustomerFiles, CustomerTable, Database, SourceTable, Tables
from segmentation_assets.sources import customer_dates, guessing, order_cells
from segmentation_assets.sources.attributes import newest_records
from segmentation_assets.sources.base import SourceError, Window, counted_by_day, midnight, within
from segmentation_assets.sources.customer_dates import OnDate, dated_by_name
from segmentation_assets.sources.database import DatabaseRows
from segmentation_assets.sources.intake import Intake
from segmentation_assets.sources.intake_record import PLACE, IntakeRecord, scanned
from segmentation_assets.sources.mapping import TIMES, Bounds
from segmentation_assets.sources.pseudonyms import WITHHELD, Pseudonyms, claim
from segmentation_assets.tables.contract import Contract
from segmentation_assets.tables.raw import RAW_CUSTOMERS, RAW_EVENTS, RAW_TRANSACTIONS

LAST = dt.date(2100, 1, 1)  # the latest possible date if the settings set no limit
CONTRACTS = {"customers": RAW_CUSTOMERS, "transactions": RAW_TRANSACTIONS, "events": RAW_EVENTS}


class TablesSource:
    """Files and database tables, mapped to canonical columns.

    Args:
        settings: the tables and the mapping of their columns; paths absolute.
        folder: where files that were read are stored.
        zone: the zone to which all times are converted.
        rules: cleaning rules, applied when several rows of a customer are combined into one record.
        pseudonyms: what customer ids are replaced with, in all that is stored; None: nothing.
        snapshots: how long the windows are for which a row of changes stands; None: months.
    """

    def __init__(
        self,
        settings: Tables,
        folder: Path,
        zone: str = "UTC",
        rules: Cleaning = RULES,
        pseudonyms: Pseudonyms | None = None,
        snapshots: Snapshots | None = None,
    ) -> None:
        self.settings, self.zone, self.rules, self.pseudonyms = settings, zone, rules, pseudonyms
        self.snapshots = snapshots or Snapshots(first=EARLIEST)
        bounds = Bounds(settings.orders_from, settings.orders_until or LAST, settings.orders_until is not None)
        self.intake, self.databases = Intake(folder, bounds, zone, pseudonyms), DatabaseRows(folder, bounds, zone, pseudonyms)

    def customers(self, engine: Engine, window: Window) -> ir.Table:
        tables = []
        end = midnight(window.end)
        for table, kept in zip(self.settings.customers, self.kept_by_table("customers").values(), strict=True):
            if table.each_date:
                tables.append(self._on_dates(engine, table, kept, window.end))
                continue
            newest = table.repeats == "newest"
            rows = engine.scan([self.intake.with_attributes(kept, table)], **({PLACE: True} if newest else {}))
            known = rows.filter((rows.known_at < end) | rows.known_at.isnull())
            tables.append((newest_records(known, self.rules) if newest else known).drop("known_at"))
        return _union(tables, RAW_CUSTOMERS)

    def _on_dates(self, engine: Engine, table: CustomerTable, kept: list[IntakeRecord], end: dt.date) -> ir.Table:
        """The records of a snapshot dated `end`, of customers described anew at several dates. Files of later dates have no say in how
        they are read."""
        days = customer_dates.days_of(engine, kept, table)
        dates = customer_dates.standing(days, table, end, self.snapshots)
        used = customer_dates.files_with(days, dates, end)
        if not used:
            return _union([], RAW_CUSTOMERS)
        files = [file for file in kept if file.source in used]
        so_far = [file for file in kept if any(day <= end for day in days.get(file.source, {}) if day)]
        types = guessing.combined_types(so_far)
        return engine.scan([self.intake.with_attributes(files, table, dates, self.rules, types)]).drop("known_at")

    def newest_dates(self, engine: Engine, end: dt.date) -> dict[str, dt.date | None]:
        """By table that describes customers anew at several dates, the newest date that a snapshot dated `end` has."""
        found: dict[str, dt.date | None] = {}
        for table, (name, kept) in zip(self.settings.customers, self.kept_by_table("customers").items(), strict=True):
            if table.each_date:
                found[name] = max(
                    customer_dates.standing(customer_dates.days_of(engine, kept, table), table, end, self.snapshots), default=None
                )
        return found

    def by_date(self, engine: Engine, table: CustomerTable, kept: list[IntakeRecord]) -> list[OnDate]:
        """The customers of each date of a table that describes them anew at several."""
        rows = scanned(engine, kept)
        named = {file.source: customer_dates.day_of(file.source) for file in kept if file.rows} if dated_by_name(table) else {}
        day = customer_dates.as_of(rows.known_at, customer_dates.whole_months(table))
        if named:
            day = ibis.cases(*((rows.source_file == name, ibis.date(of.isoformat())) for name, of in named.items()), else_=day)
        return customer_dates.by_date(engine, rows.select(customer_id=identifier(rows.customer_id, self.rules)[0].nullif(""), day=day))

    def transactions(self, engine: Engine, window: Window) -> ir.Table:
        return self.dated("transactions", engine, window, self.kept_by_table("transactions", window))

    def events(self, engine: Engine, window: Window) -> ir.Table:
        return self.dated("events", engine, window, self.kept_by_table("events", window))

    def fingerprint(self) -> str:
        """Changes with the files; for a database, with the number of rows and the latest time; with the zone, since all times do."""
        parts = [self.zone]
        for entity in CONTRACTS:
            for table in self.settings.entity(entity):
                parts.append(
                    self.databases.fingerprint(entity, table)
                    if isinstance(table, Database)
                    else str(sorted(self.intake.fingerprints(table).items()))
                )
        return "; ".join(parts)

    def has_databases(self, entity: str) -> bool:
        """Whether a table of an entity is in a database."""
        return any(isinstance(table, Database) for table in self.settings.entity(entity))

    def is_dated(self, entity: str) -> bool:
        """Whether the rows of an entity have a time; customers need not have one."""
        return all(TIMES[entity] in table.columns for table in self.settings.entity(entity))

    def counts(self, entity: str, engine: Engine, windows: Mapping[str, Window]) -> dict[str, int] | None:
        """The current number of rows of the entity in each window; None if a database would have to be read completely."""
        totals = dict.fromkeys(windows, 0)
        for table in self.settings.entity(entity):
            if isinstance(table, CustomerFiles) and (table.each_date or table.repeats == "newest"):
                found = self._records(engine, table, windows)
            elif isinstance(table, CustomerDatabase) and (table.each_date or table.repeats == "newest"):
                found = None
            elif isinstance(table, Database):
                found = self.databases.counts(entity, table, windows)
            else:
                rows = engine.scan([Path(kept.rows_file) for kept in self._taken(entity, table)])
                found = engine.rows(counted_by_day(rows, rows[TIMES[entity]], windows))[0]
            if found is None:
                return None
            totals = {name: total + int(found[name]) for name, total in totals.items()}
        return totals

    def _records(self, engine: Engine, table: CustomerFiles, windows: Mapping[str, Window]) -> dict[str, int]:
        """How many records are made of the rows of a table."""
        alone = TablesSource(
            self.settings.model_copy(update={"customers": (table,)}),
            self.intake.folder,
            self.zone,
            self.rules,
            self.pseudonyms,
            self.snapshots,
        )
        return {name: int(engine.rows(alone.customers(engine, window).agg(n=ibis._.count()))[0]["n"]) for name, window in windows.items()}

    def kept(self, entity: str, window: Window | None = None) -> list[IntakeRecord]:
        """The records of an entity's files, reading those that have changed."""
        return [file for files in self.kept_by_table(entity, window).values() for file in files]

    def kept_by_table(self, entity: str, window: Window | None = None) -> dict[str, list[IntakeRecord]]:
        """The same by table, in the order of the settings."""
        tables = self.settings.entity(entity)
        places, taken = [_place(table) for table in tables], set[str]()
        found: dict[str, list[IntakeRecord]] = {}
        for position, (place, table) in enumerate(zip(places, tables, strict=True)):
            kept = self._taken(entity, table, window, position)
            # Two tables may name files of the same name, in different folders; their rows must not be confused.
            kept = [replace(file, source=f"{file.source} (table {position + 1})") if file.source in taken else file for file in kept]
            taken |= {file.source for file in kept}
            found[place if places.count(place) == 1 else f"{place} ({position})"] = kept
        return found

    def _taken(self, entity: str, table: SourceTable, window: Window | None = None, position: int = 0) -> list[IntakeRecord]:
        claim(self.intake.folder.parent, self.pseudonyms)
        try:
            return self._read(entity, table, window, position)
        except SourceError as error:
            if self.pseudonyms is None:
                raise
            raise error.without_quote(f"({WITHHELD})") from None  # nor do its causes, which would be logged

    def _read(self, entity: str, table: SourceTable, window: Window | None, position: int) -> list[IntakeRecord]:
        if isinstance(table, Database):
            return [self.databases.fetch(entity, table, window, position)]
        return self.intake.take(entity, table)

    def dated(self, entity: str, engine: Engine, window: Window, taken: Mapping[str, list[IntakeRecord]]) -> ir.Table:
        """The rows of a window of transactions or events, from the result of `kept_by_table`."""
        contract, parts = CONTRACTS[entity], list[ir.Table]()
        by_line: list[IntakeRecord] = []
        for table, kept in zip(self.settings.entity(entity), taken.values(), strict=True):
            if getattr(table, "amount_is", "line") == "order":  # over all files, because an order's rows may be in two
                parts.append(order_cells.counted_once(scanned(engine, kept)))
            else:
                by_line += kept
        parts += [scanned(engine, by_line)] if by_line else []
        if not parts:
            return _union([], contract)
        rows = _union([part.select(*(column.name for column in contract.columns)) for part in parts], contract)
        return within(rows, TIMES[entity], window)


def _place(table: SourceTable) -> str:
    """A name for a table that does not depend on its folder, for comparing its columns between snapshots."""
    if isinstance(table, Database):
        return table.table or table.query or table.url
    return ", ".join(Path(pattern).name for pattern in table.patterns)


def _union(tables: list[ir.Table], contract: Contract) -> ir.Table:
    """The union of the tables, with nulls for missing columns; an empty table if there are none."""
    if not tables:
        return ibis.memtable(pa.schema({c.name: ibis.dtype(c.type).to_pyarrow() for c in contract.columns}).empty_table())
    types: dict[str, str] = {}
    for table in tables:
        for name, kind in table.schema().items():
            types[name] = str(kind) if types.get(name, str(kind)) == str(kind) else "string"
    aligned = [
        table.select(**{name: table[name].cast(kind) if name in table.columns else ibis.null(kind) for name, kind in types.items()})
        for table in tables
    ]
    return functools.reduce(lambda one, other: one.union(other), aligned)
