"""Check one entity of a source: read and judge its rows once, and report the findings in order."""

import contextlib
import datetime as dt
import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import ibis.expr.types as ir

from segmentation_assets.cli.check import advice, counts, dates, described, identities, snapshots
from segmentation_assets.cli.check.counts import Counted, Days
from segmentation_assets.cli.check.identities import Orders
from segmentation_assets.core.customers import cleaning
from segmentation_assets.defs.checks.source import attribute_types
from segmentation_assets.engines.base import Engine
from segmentation_assets.settings.loading import Settings
from segmentation_assets.settings.source import Files, Tables
from segmentation_assets.sources import Source, Window, order_cells, personal, special_categories
from segmentation_assets.sources.base import NoRows, window_of, within
from segmentation_assets.sources.intake_record import IntakeRecord, worth_a_look
from segmentation_assets.sources.located import matching_files
from segmentation_assets.sources.mapping import attribute_name
from segmentation_assets.sources.personal import BIRTH, Personal
from segmentation_assets.sources.reading import FileReader
from segmentation_assets.sources.tables import TablesSource
from segmentation_assets.vocabulary import counted

ENTITIES = {"customers": None, "transactions": "ordered_at", "events": "event_at"}
JUDGES = {"customers": cleaning.judged_customers, "transactions": cleaning.judged_transactions, "events": cleaning.judged_events}


@dataclass(frozen=True)
class EntityLook:
    """The customers, transactions or events up to the last snapshot.

    Attributes:
        tables: records of what was read, by table of the settings; empty for other kinds of source.
        raw, judged: the rows as in the source, and as judged by cleaning; None if the settings name no table.
        ids: the distinct customer ids.
        orders: the orders, for transactions only.
    """

    name: str
    settings: Settings
    source: Source
    engine: Engine
    keys: list[str]
    tables: dict[str, list[IntakeRecord]]
    raw: ir.Table | None = None
    judged: cleaning.Judged | None = None
    counted: Counted = field(default_factory=Counted)
    ids: ir.Table | None = None
    orders: Orders | None = None

    @classmethod
    def at(cls, name: str, settings: Settings, source: Source, engine: Engine, keys: list[str], scratch: Path) -> "EntityLook":
        """Read, judge and count the rows of an entity; its ids and orders are written to `scratch`.

        Raises:
            SourceError: the source cannot be read.
        """
        time, end = ENTITIES[name], dt.date.fromisoformat(keys[-1])
        # Later rows are counted in the same pass; customers not yet known are left out.
        everything = Window(None, dt.date.max if time else end)
        tables = source.kept_by_table(name, everything) if isinstance(source, TablesSource) else {}
        if isinstance(source, TablesSource) and not tables:
            return cls(name, settings, source, engine, keys, tables)
        if isinstance(source, TablesSource) and time:
            all_raw = source.dated(name, engine, everything, tables)
        else:
            all_raw = getattr(source, name)(engine, everything)
        seen = counts.count(engine, JUDGES[name](all_raw, settings.cleaning), time, end)
        raw = within(all_raw, time, Window(None, end)) if time else all_raw
        judged = JUDGES[name](raw, settings.cleaning)
        orders = identities.collect_orders(engine, judged, scratch / "orders.parquet") if name == "transactions" else None
        ids = identities.collect_ids(engine, judged, scratch / f"{name}.ids.parquet")
        return cls(name, settings, source, engine, keys, tables, raw, judged, seen, ids, orders)

    @property
    def kept(self) -> list[IntakeRecord]:
        """The records of what was read, of all tables."""
        return [file for kept in self.tables.values() for file in kept]

    @property
    def columns(self) -> set[str]:
        """The names of the source's columns."""
        return {column for file in self.kept for column in file.columns}

    @property
    def attributes(self) -> dict[str, str]:
        """The type of each attribute, in a table of customers."""
        return attribute_types(self.judged.rows.select(*self.judged.columns)) if self.judged is not None else {}

    def lines(self) -> Iterator[str]:
        """The findings, one line each."""
        yield self._headline()
        if self.raw is not None and self.judged is not None:
            yield from (f"    {line}" for line in self._found(self.raw, self.judged))

    def problems(self) -> Iterator[str]:
        """The problems that would stop a run."""
        limit = self.settings.cleaning.largest_reject_share
        if self.raw is None:
            return
        if self.name == "customers":
            yield from self._customers_stop(limit)
        else:
            yield from snapshots.too_many_rejects(self.name, self.counted, self.keys, limit)
            yield from self._changed_kinds(self.raw)
            yield from self._feed().problems(self.name, self.settings.volume.when_low)

    def _found(self, raw: ir.Table, judged: cleaning.Judged) -> Iterator[str]:
        seen = self.counted
        records = counts.records(self.engine, cleaning.records(raw), seen.places())
        yield from self._files(judged)
        yield from described.rejects(seen, records)
        yield from (f"{counted(number, 'row')}: {rule}" for rule, number in seen.touched.items() if number)
        if "record_rows" in raw.columns:
            yield f"{counted(seen.source_rows, 'row')}: {cleaning.ONE_RECORD}"
        known = {written for file in self.kept for written in file.date_formats}
        unread = functools.partial(counts.unread_records, self.engine, cleaning.records(raw))
        yield from described.unreadable(seen, records, self.name, self.settings, unread, known)
        yield from advice.of_personal(self._personal(judged), self.attributes if self.name == "customers" else ())
        yield from self._special()
        yield from self._doubled(judged)
        if self.orders:
            yield from order_cells.told(identities.repeated_amounts(self.engine, self.orders))
            yield from advice.of_returns_without_order(*identities.returns_without_order(self.engine, self.orders))
            yield from self._large(self.orders, raw)
        if ENTITIES[self.name]:
            yield from self._feed().lines(self.name)

    def _headline(self) -> str:
        found, customers = self.counted, counts.size(self.engine, self.ids) if self.ids is not None else 0
        span = f", {found.first:%Y-%m-%d} to {found.last:%Y-%m-%d}" if found.first and found.last else ""
        rejected = f"{found.rejected.total():,} would be rejected"
        return f"{self.name}: {counted(found.rows.total(), 'row')}, {counted(customers, 'customer')}{span}; {rejected}"

    def _files(self, judged: cleaning.Judged) -> Iterator[str]:
        yield from described.described(self.kept)
        yield from worth_a_look(self.kept)
        if self.name == "customers" and self.tables:
            kinds = [f"{name} ({kind})" for name, kind in self.attributes.items()]
            yield from [f"attributes: {', '.join(kinds)}"] if kinds else []
            yield from self._doubtful_attributes()
            yield from self._dates()
        if self.counted.later:
            yield f"{counted(self.counted.later, 'row is', 'rows are')} dated {self.keys[-1]} or later, and left to later snapshots"

    def _doubtful_attributes(self) -> Iterator[str]:
        """Warnings on attributes whose numbers can be read two ways."""
        if isinstance(self.source, TablesSource):
            tables = zip(self.source.settings.customers, self.tables.values(), strict=True)
            told = [line for table, kept in tables for line in self.source.intake.attribute_doubts(kept, table)]
            yield from dict.fromkeys(told)

    def _dates(self) -> Iterator[str]:
        """The dates at which customers are described anew, for each table that does so."""
        if not isinstance(self.source, TablesSource):
            return
        for table, (name, kept) in zip(self.source.settings.customers, self.tables.items(), strict=True):
            if table.each_date:
                found = self.source.by_date(self.engine, table, kept)
                yield from dates.lines(name if len(self.tables) > 1 else "", table, found, self.keys, self.settings.snapshots)

    def _personal(self, judged: cleaning.Judged) -> dict[str, Personal]:
        """The ids and, of customers, the attributes that look personal."""
        names = ["customer_id", *(self.attributes if self.name == "customers" else ())]
        rows = self.engine.rows(personal.sampled(judged.rows, names))
        cells = {name: [row[name] for row in rows] for name in names}
        return {name: look for name, look in personal.found(cells).items() if not (look.kind == BIRTH and personal.are_years(cells[name]))}

    def _special(self) -> Iterator[str]:
        """Attributes that by their name are a special category, and answers that read as missing."""
        if self.name != "customers":
            return
        yield from advice.of_special(special_categories.found(self.attributes), self.settings.privacy.sensitive)
        texts = [name for name, kind in self.attributes.items() if kind in {"text", "empty"}]
        tables = self.settings.source.customers if isinstance(self.settings.source, Tables) else ()
        for table in (table for table in tables if isinstance(table, Files)):
            file, _ = matching_files(table)[0]
            with contextlib.suppress(NoRows), FileReader() as reader, reader.opened(file, table) as rows:
                sample = personal.sampled(rows.viewed(reader.backend).table, rows.columns)
                cells = {attribute_name(name): values for name, values in reader.backend.to_pyarrow(sample).to_pydict().items()}
                known = {name: cells[name] for name in texts if name in cells}
                yield from advice.of_answers(special_categories.answers(known, table.missing_values))

    def _doubled(self, judged: cleaning.Judged) -> Iterator[str]:
        """Sentences on equal files, and on orders or lines that come from two files."""
        drops = self.settings.cleaning.exact_duplicates == "drop"
        equal = described.equal_files(self.settings, self.name, {file.source for file in self.kept if file.rows})
        shared = identities.shared_orders(self.engine, self.orders) if self.orders else []
        yield from advice.of_equal_files(equal, self.name, shared, drops)
        yield from advice.of_shared_orders(shared, equal, drops)
        if self.orders and not drops and len(self.kept) > 1 and self.counted.touched[cleaning.MADE_ORDER_ID]:
            yield from advice.of_equal_lines(identities.equal_lines(self.engine, judged), equal)

    def _feed(self) -> snapshots.Feed:
        return snapshots.Feed.of(self.name, self.counted.rows, self.keys, self.settings)

    def _large(self, orders: Orders, raw: ir.Table) -> Iterator[str]:
        large = identities.large_ids(self.engine, orders, raw, self.settings.cleaning)

        def needed() -> float | None:
            rejected: Days = self.counted.rejected.copy()
            for one in large:
                rejected += one.rows
            worst = max(snapshots.shares(self.counted.rows, rejected, self.keys).values(), default=0.0)
            return snapshots.proposed(worst) if worst > self.settings.cleaning.largest_reject_share else None

        # A mapping applies to ids as they are in the source, which pseudonyms do not tell.
        mappings = [] if self.settings.privacy.pseudonyms else advice.customer_mappings(self.settings, self.name)
        yield from advice.of_large_ids(large, mappings, self.columns, needed)

    def _changed_kinds(self, raw: ir.Table) -> Iterator[str]:
        time = ENTITIES[self.name]
        if not self.tables or time is None:
            return
        used: dict[str, set[str]] = {key: set() for key in self.keys}
        for source_file, days in counts.days_by_file(self.engine, raw, time).items():
            for key, number in zip(self.keys, snapshots.by_snapshot(days, self.keys), strict=True):
                if number:
                    used[key].add(source_file)
        yield from snapshots.changed_kinds(self.name, self.tables, used)

    def _customers_stop(self, limit: float) -> Iterator[str]:
        """The problem that too many customer records are rejected, overall or at a snapshot with fewer of them."""
        anew = isinstance(self.source, TablesSource) and any(table.each_date for table in self.source.settings.customers)
        if not self.counted.rejected_source_rows and not anew:
            return
        windows = {key: Window(None, window_of(key, self.settings.snapshots).end) for key in self.keys}
        dated = isinstance(self.source, TablesSource) and self.source.is_dated(self.name)
        sizes = self.source.counts(self.name, self.engine, windows) if isinstance(self.source, TablesSource) and dated else None

        def judged(key: str) -> Counted:
            rows = self.source.customers(self.engine, windows[key])
            return counts.count(self.engine, cleaning.judged_customers(rows, self.settings.cleaning), None, windows[key].end)

        if anew:
            over, reasons = snapshots.each_customers_stop(self.keys, judged, limit)
        elif sizes is None:
            sizes, own = dict.fromkeys(self.keys, self.counted.source_rows), self.counted
            over, reasons = snapshots.customers_stop(self.counted, sizes, lambda key: own, limit)
        else:
            over, reasons = snapshots.customers_stop(self.counted, sizes, judged, limit)
        if over:
            yield snapshots.stopping(self.name, over, reasons, len(self.keys), limit)
