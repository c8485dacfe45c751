"""The earlier snapshots of a data folder, written without runs: the tables that later snapshots read, and the published database.

Belongs here: what lets `benchmarks.whole` measure one new snapshot on 23 earlier ones without making these first, which takes hours. The
tables come from the same functions of the core as those of runs, without checks, pictures, drift, and tables that no later snapshot
reads, which stay empty. A test compares them with three real snapshots. Dagster's log is empty.
"""

import datetime as dt
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from segmentation_assets.core.choice.forward_validity import SPEND, with_outcomes
from segmentation_assets.core.clustering.preprocessing import FeaturePreprocessor
from segmentation_assets.core.customers import activity, cleaning, features, order_patterns, orders
from segmentation_assets.core.customers.calendar import Calendar, Lookback
from segmentation_assets.core.customers.exploration import active_only
from segmentation_assets.core.model.champion import Request, SnapshotContext, next_model
from segmentation_assets.core.model.population import drift_report, training_population
from segmentation_assets.core.model.rows import model_from_rows, model_to_rows
from segmentation_assets.core.model.training import ModelSpec, PreviousSnapshot
from segmentation_assets.defs.instance import prepare_instance
from segmentation_assets.settings.loading import Settings, load_settings
from segmentation_assets.settings.snapshots import keys_until
from segmentation_assets.sources import Source, open_source
from segmentation_assets.sources.base import window_of
from segmentation_assets.store import archive, database_files, layout, provenance, restoring
from segmentation_assets.store.lake import Lake, opened, to_frame
from segmentation_assets.store.published import is_large
from segmentation_assets.tables import BY_NAME, CONTRACTS
from segmentation_assets.tables.cleaned import CUSTOMER_ORDERS, CUSTOMERS, EVENTS, ORDER_RETURNS, REJECTED_ROWS, TRANSACTIONS
from segmentation_assets.tables.exploration import COHORT_RETENTION, ORDER_SEASONALITY
from segmentation_assets.tables.features import CUSTOMER_ACTIVITY, CUSTOMER_CATEGORY_ACTIVITY, CUSTOMER_EVENT_ACTIVITY, CUSTOMER_FEATURES
from segmentation_assets.tables.model import SEGMENTATION_MODEL
from segmentation_assets.tables.segments import CUSTOMER_SEGMENTS
from segmentation_assets.vocabulary import Decision, Status

READ_LATER = (
    "raw_customers", "raw_transactions", "raw_events", *(contract.name for contract in (
        TRANSACTIONS, EVENTS, CUSTOMER_ORDERS, ORDER_RETURNS, CUSTOMERS, REJECTED_ROWS, CUSTOMER_ACTIVITY, CUSTOMER_CATEGORY_ACTIVITY,
        CUSTOMER_EVENT_ACTIVITY, CUSTOMER_FEATURES, ORDER_SEASONALITY, COHORT_RETENTION, SEGMENTATION_MODEL, CUSTOMER_SEGMENTS,
    )),
)  # fmt: skip


WHOLE_LOOKBACK = Request(force=True, reason="the lookback is whole")


@dataclass(frozen=True)
class Writer:
    """Writes snapshots into a lake, in order."""

    settings: Settings
    lake: Lake
    source: Source

    def snapshot(self, key: str) -> None:
        """Write the tables of a snapshot whose predecessors are there."""
        known = keys_until(self.settings.snapshots, dt.date.fromisoformat(key))
        self._cleaned(key, known)
        self._features(key, known)
        self._segmented(key, known)
        for contract in CONTRACTS:
            if contract.name not in READ_LATER:
                self._write(contract.name, key, self.lake.read(contract, []))

    def _cleaned(self, key: str, known: Sequence[str]) -> None:
        source, window, ask = self.source, window_of(key, self.settings.snapshots), self.settings.cleaning
        within, before = self._spans(known)
        raw = {entity: getattr(source, entity)(self.lake.engine, window) for entity in provenance.ENTITIES}
        rows = {entity: self._write(f"raw_{entity}", key, raw[entity]) for entity in provenance.ENTITIES}
        judged = {entity: getattr(cleaning, f"judged_{entity}")(rows[entity], ask) for entity in provenance.ENTITIES}
        lines = self._write(TRANSACTIONS.name, key, judged["transactions"].kept())
        happened = self._write(EVENTS.name, key, judged["events"].kept())
        rejected = [judged[entity].rejected(entity) for entity in provenance.ENTITIES]
        self._write(REJECTED_ROWS.name, key, ibis.union(*rejected))
        placed = self._write(CUSTOMER_ORDERS.name, key, orders.customer_orders(lines, ask.free_orders == "count"))
        returns = self._read(ORDER_RETURNS.name, within[:-1])
        self._write(ORDER_RETURNS.name, key, orders.order_returns(lines, self._read(CUSTOMER_ORDERS.name, within), returns))
        now, previous = self._read(ORDER_RETURNS.name, [key]), self._read(CUSTOMERS.name, known[-2:-1])
        returned = self._read(ORDER_RETURNS.name, [*before, *within])
        earlier = orders.earlier_orders(self._read(CUSTOMER_ORDERS.name, before), returned, previous)
        concerned = orders.undone(now).select("customer_id").distinct()
        corrected = orders.last_orders(concerned, self._read(CUSTOMER_ORDERS.name, within), returned, earlier)
        registered = judged["customers"].kept().drop(*cleaning.ORIGIN)
        self._write(CUSTOMERS.name, key, cleaning.known_customers(registered, placed, happened, previous, earlier, corrected))

    def _features(self, key: str, known: Sequence[str]) -> None:
        calendar, as_of, roles = Calendar.of(self.settings.snapshots), dt.date.fromisoformat(key), self.settings.features
        within, _ = self._spans(known)
        placed, customers = self._read(CUSTOMER_ORDERS.name, [key]), self._read(CUSTOMERS.name, [key])
        before = known[-2:-1]
        done = self._write(CUSTOMER_ACTIVITY.name, key, activity.customer_activity(placed, calendar, self._read(CUSTOMERS.name, before)))
        lines, happened = self._read(TRANSACTIONS.name, [key]), self._read(EVENTS.name, [key])
        self._write(CUSTOMER_CATEGORY_ACTIVITY.name, key, activity.customer_category_activity(lines, calendar))
        self._write(CUSTOMER_EVENT_ACTIVITY.name, key, activity.customer_event_activity(happened, calendar, roles.with_subjects))
        names = (CUSTOMER_ACTIVITY, CUSTOMER_CATEGORY_ACTIVITY, CUSTOMER_EVENT_ACTIVITY, CUSTOMER_ORDERS, ORDER_RETURNS)
        windows = features.Activity(*(self._read(contract.name, within) for contract in names))
        span = Lookback.of(as_of, self.settings.snapshots, roles)
        self._write(CUSTOMER_FEATURES.name, key, features.customer_features(customers, windows, span, roles))
        seasons, cohorts = (self._read(contract.name, before) for contract in (ORDER_SEASONALITY, COHORT_RETENTION))
        self._write(ORDER_SEASONALITY.name, key, to_frame(order_patterns.order_seasonality(placed, seasons, calendar)))
        self._write(COHORT_RETENTION.name, key, to_frame(order_patterns.cohort_retention(customers, done, cohorts, calendar, as_of)))

    def _segmented(self, key: str, known: Sequence[str]) -> None:
        """A model is trained at the first snapshot and, by request, at the first that has a whole lookback; otherwise it is carried forward."""
        settings, before = self.settings, known[-2:-1]
        found = to_frame(self._read(CUSTOMER_FEATURES.name, [key]))
        active = active_only(found).reset_index(drop=True)
        rows = to_frame(self._read(SEGMENTATION_MODEL.name, before))
        champion = None if rows.empty else model_from_rows(rows)
        transforms = {feature.name: feature.transform for feature in features.declared(settings.features)}
        spec = ModelSpec(settings.model, settings.model_digest(), FeaturePreprocessor.from_settings(settings.model, transforms))
        if len(known) == settings.features.lookback > 1:
            archive.ask(settings.data_dir, key, WHOLE_LOOKBACK)
        request = archive.requests(settings.data_dir).get(key)
        unmeasured, retrain = (
            drift_report(None, None, active, settings.model, settings.drift),
            settings.retrain.model_copy(update={"policy": "never"}),
        )
        context = SnapshotContext(
            lambda: self._past(before, key) if request else None, lookback=settings.features.lookback, request=request
        )
        decided = next_model(active, champion, unmeasured, spec, dt.date.fromisoformat(key), retrain, context)
        model = decided.model
        if model.provenance.decision != Decision.CARRIED:
            archive.keep(settings.data_dir, model, training_population(model, active, settings.model))
        self._write(SEGMENTATION_MODEL.name, key, model_to_rows(model))
        assigned, previous = model.assign(found), to_frame(self._read(CUSTOMER_SEGMENTS.name, before))
        earlier = assigned["customer_id"].map(previous.set_index("customer_id")["segment_id"])
        self._write(CUSTOMER_SEGMENTS.name, key, assigned.assign(previous_segment_id=earlier.astype("Int64")))

    def _past(self, before: Sequence[str], key: str) -> PreviousSnapshot | None:
        """The customers of the previous snapshot, with their spend since."""
        known = self._read(CUSTOMER_FEATURES.name, before)
        active = to_frame(with_outcomes(known.filter(known.status == Status.ACTIVE), self._read(CUSTOMER_ACTIVITY.name, [key])))
        return None if active.empty else PreviousSnapshot(active, np.log1p(active[SPEND].to_numpy()))

    def _spans(self, known: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
        """The snapshots of the lookback, and the one that has just left it."""
        lookback = self.settings.features.lookback
        return known[-lookback:], known[-lookback - 1 : -lookback]

    def _read(self, name: str, keys: Sequence[str]) -> ir.Table:
        return self.lake.read(BY_NAME[name], keys)

    def _write(self, name: str, key: str, frame: ir.Table | pd.DataFrame) -> ir.Table:
        self.lake.stage(BY_NAME[name], key, frame).commit()
        return self._read(name, [key])


def write(settings: Settings, keys: Sequence[str], rows: Source | None = None) -> None:
    """Write and publish the given snapshots into an empty data folder; they must be the first ones, in order.

    Args:
        rows: a source to read instead of the one in the settings.
    """
    source = rows or open_source(settings)
    layout.prepare(settings.data_dir)
    folder = settings.data_dir / database_files.PRIVATE
    with opened(settings.data_dir) as lake:
        for key in keys:
            Writer(settings, lake, source).snapshot(key)
        folder.mkdir(exist_ok=True)
        for key in keys:
            provenance.remember(lake, folder, key)
            for contract in CONTRACTS:
                if is_large(lake, contract, key, settings.database.largest_copied):
                    (folder / contract.name).mkdir(exist_ok=True)  # so that rebuilding links it
    restoring.settle(settings.data_dir)  # what is recorded as published and not in the database is rebuilt from the lake


def main() -> None:
    """Write the snapshots of the settings in force up to a date."""
    settings = load_settings()
    prepare_instance(settings)
    write(settings, keys_until(settings.snapshots, dt.date.fromisoformat(sys.argv[-1])))


if __name__ == "__main__":
    main()
