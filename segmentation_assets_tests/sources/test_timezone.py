"""Days and months end in the zone of the settings: all times are converted to its local time."""

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from segmentation_assets.settings.section import NOT_PORTABLE
from segmentation_assets.settings.snapshots import Snapshots
from segmentation_assets.settings.source import Reading
from segmentation_assets.sources.base import Window
from segmentation_assets.sources.cells import Cells
from segmentation_assets.sources.reading import connect
from segmentation_assets.store.provenance import Fingerprint
from segmentation_assets_tests.builders import LOADED
from segmentation_assets_tests.sources.conftest import Opened, opened_in

COLUMNS = {"customer_id": "id", "ordered_at": "day", "amount": "'1'"}
JANUARY, FEBRUARY = Window(None, dt.date(2024, 2, 1)), Window(dt.date(2024, 2, 1), dt.date(2024, 3, 1))
MONTH_END = {
    "C0": "2024-01-31 23:30:00",
    "C1": "2024-02-01 00:10:00",
    "C2": "2024-02-01 00:59:59",
    "C3": "2024-02-01 01:00:00",
    "C4": "2024-01-31T23:30:00-05:00",
    "C5": "2024-02-01T00:10:00+01:00",
    "C6": "2024-02-29 23:59:59",
    "C7": "2024-03-01 00:00:00",
    "C8": "2024-03-31 02:30:00",
    "C9": "2024-10-27 02:30:00",
    "C10": "2024-02-29",
    "C11": "2024-02-30",
    "C12": "2023-02-29",
    "C13": "2024-01-31 24:00:00",
}


@pytest.fixture
def orders(tmp_path: Path) -> Iterator[Callable[..., Opened]]:
    """Opens a source of orders from a file, given their times by customer id."""
    with opened_in(tmp_path) as open_tables:

        def open_orders(times: dict[str, str], zone: str, **further: Any) -> Opened:
            (tmp_path / "o.csv").write_text("id,day\n" + "".join(f'{customer},"{time}"\n' for customer, time in times.items()))
            return open_tables(zone=zone, transactions={"files": "o.csv", "columns": COLUMNS, **further})

        yield open_orders


def times(source: Opened) -> dict[str, dt.datetime | None]:
    return {row["customer_id"]: row["ordered_at"] for row in source.rows()}


def of(source: Opened, window: Window) -> set[str]:
    return {row["customer_id"] for row in source.rows(window=window) if row["ordered_at"]}


@pytest.mark.parametrize(
    ("zone", "timezone", "january", "february"),
    [
        ("Europe/Amsterdam", None, {"C0"}, {"C1", "C2", "C3", "C4", "C5", "C6", "C10", "C13"}),
        ("Europe/Amsterdam", "Europe/Amsterdam", {"C0"}, {"C1", "C2", "C3", "C4", "C5", "C6", "C10", "C13"}),
        ("UTC", None, {"C0", "C5"}, {"C1", "C2", "C3", "C4", "C6", "C10", "C13"}),
        ("UTC", "Europe/Amsterdam", {"C0", "C1", "C2", "C5", "C13"}, {"C3", "C4", "C6", "C7", "C10"}),
        ("America/New_York", None, {"C0", "C4", "C5"}, {"C1", "C2", "C3", "C6", "C10", "C13"}),
        ("America/New_York", "UTC", {"C0", "C1", "C2", "C3", "C4", "C5", "C13"}, {"C6", "C7", "C10"}),
    ],
)
def test_a_month_ends_at_midnight_of_the_zone(orders: Any, zone: str, timezone: str | None, january: Any, february: Any) -> None:
    source = orders(MONTH_END, zone, timezone=timezone)
    assert of(source, JANUARY) == january
    assert of(source, FEBRUARY) == february
    counted = source.source.counts("transactions", source.engine, {"one": JANUARY, "two": FEBRUARY})
    assert counted == {"one": len(january) + 2, "two": len(february)}  # rows without a usable date are in the first window


def test_a_date_is_the_same_day_in_every_zone_and_an_impossible_one_is_missing(orders: Any) -> None:
    for zone in ("Pacific/Kiritimati", "America/Los_Angeles"):
        found = times(orders(MONTH_END, zone, timezone="Asia/Kolkata"))
        assert found["C10"] == dt.datetime(2024, 2, 29)
        assert (found["C11"], found["C12"]) == (None, None)


def test_hour_24_is_midnight_at_the_end_of_the_day(orders: Any) -> None:
    assert times(orders(MONTH_END, "Europe/Amsterdam"))["C13"] == dt.datetime(2024, 2, 1)
    written = {"a": "31/01/2024 23:00", "b": "31/01/2024 24:00"}
    assert times(orders(written, "Europe/Amsterdam", date_format="%d/%m/%Y %H:%M"))["b"] is None  # never silently another day


@pytest.mark.parametrize(
    ("zone", "written", "shown"),
    [
        # Amsterdam's clocks skip 2:00 to 3:00 on 31 March 2024, and show it twice on 27 October.
        ("Europe/Amsterdam", "2024-03-31T00:59:59Z", "2024-03-31 01:59:59"),
        ("Europe/Amsterdam", "2024-03-31T01:00:00Z", "2024-03-31 03:00:00"),
        ("Europe/Amsterdam", "2024-10-27T00:30:00Z", "2024-10-27 02:30:00"),
        ("Europe/Amsterdam", "2024-10-27T01:30:00Z", "2024-10-27 02:30:00"),
        ("Europe/Amsterdam", "2024-03-30T22:59:59Z", "2024-03-30 23:59:59"),  # the start and the end of a day of 23 hours
        ("Europe/Amsterdam", "2024-03-30T23:00:00Z", "2024-03-31 00:00:00"),
        ("Europe/Amsterdam", "2024-03-31T21:59:59Z", "2024-03-31 23:59:59"),
        ("Europe/Amsterdam", "2024-03-31T22:00:00Z", "2024-04-01 00:00:00"),
        ("Europe/Amsterdam", "2024-10-26T22:00:00Z", "2024-10-27 00:00:00"),  # and of one of 25
        ("Europe/Amsterdam", "2024-10-27T22:59:59Z", "2024-10-27 23:59:59"),
        ("Europe/Amsterdam", "2024-10-27T23:00:00Z", "2024-10-28 00:00:00"),
        ("America/Sao_Paulo", "2018-11-04T02:59:59Z", "2018-11-03 23:59:59"),  # no midnight on this day
        ("America/Sao_Paulo", "2018-11-04T03:00:00Z", "2018-11-04 01:00:00"),
        ("Asia/Beirut", "2022-03-26T21:59:59Z", "2022-03-26 23:59:59"),
        ("Asia/Beirut", "2022-03-26T22:00:00Z", "2022-03-27 01:00:00"),
        ("America/Sao_Paulo", "2018-11-04", "2018-11-04 00:00:00"),  # dates and local times are unchanged
        ("America/Sao_Paulo", "2018-11-04 00:00:00", "2018-11-04 00:00:00"),
        ("America/Sao_Paulo", "2018-11-04T00:30:00", "2018-11-04 00:30:00"),
        ("Europe/Amsterdam", "2024-03-31 02:30:00", "2024-03-31 02:30:00"),
        ("Europe/Amsterdam", "2024-03-31T02:30:00", "2024-03-31 02:30:00"),
        ("America/Los_Angeles", "2024-02-01T07:59:59Z", "2024-01-31 23:59:59"),
        ("America/Los_Angeles", "2024-02-01T08:00:00Z", "2024-02-01 00:00:00"),
    ],
)
def test_times_around_changes_of_the_clocks_are_converted(zone: str, written: str, shown: str) -> None:
    assert clock(written, zone) == dt.datetime.fromisoformat(shown)


def clock(written: str, zone: str, reading: Reading | None = None, formats: tuple[str, ...] = ("ISO 8601",)) -> dt.datetime | None:
    """The local time in a zone, from a time in any form."""
    backend = connect(zone)
    try:
        value = ibis.memtable({"t": [written]}).t
        found: list[dict[str, Any]] = backend.to_pyarrow(
            Cells(reading or Reading(), formats, zone).time(value).name("t").as_table()
        ).to_pylist()
        return found[0]["t"]  # type: ignore[no-any-return]
    finally:
        backend.disconnect()


@pytest.mark.parametrize(
    ("written", "date_format", "shown"),
    [
        ("1706745600", "unix", "2024-02-01 01:00:00"),
        ("1706745600000", "unix_ms", "2024-02-01 01:00:00"),
        ("31/01/2024 23:30:00 -0500", "%d/%m/%Y %H:%M:%S %z", "2024-02-01 05:30:00"),
        ("01/02/2024 00:10", "%d/%m/%Y %H:%M", "2024-02-01 00:10:00"),
        ("01/02/2024", "%d/%m/%Y", "2024-02-01 00:00:00"),
    ],
)
def test_times_in_other_formats_are_converted_too(written: str, date_format: str, shown: str) -> None:
    assert clock(written, "Europe/Amsterdam", Reading(), (date_format,)) == dt.datetime.fromisoformat(shown)


@pytest.mark.parametrize("zone", ["Europe/Amsterdam", "America/Sao_Paulo", "Asia/Beirut", "America/Los_Angeles"])
def test_every_half_hour_of_five_years_is_converted_correctly(zone: str) -> None:
    begun = dt.datetime(2017, 10, 1, tzinfo=dt.UTC)
    instants = [begun + dt.timedelta(minutes=30 * step) for step in range(2 * 24 * 365 * 5)]
    backend = connect(zone)
    written = ibis.memtable(pa.table({"t": [instant.isoformat() for instant in instants]}))
    found = backend.to_pyarrow(Cells(Reading(), zone=zone).time(written.t).name("t").as_table())["t"].to_pylist()
    backend.disconnect()
    assert found == [instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for instant in instants]


def test_timestamps_with_a_zone_are_converted_and_others_are_not(tmp_path: Path) -> None:
    instant = dt.datetime(2024, 1, 31, 23, 10, tzinfo=dt.UTC)
    columns = {"id": ["a"], "zoned": pa.array([instant], pa.timestamp("us", "UTC")), "plain": [instant.replace(tzinfo=None)]}
    pq.write_table(pa.table(columns), tmp_path / "o.parquet")
    with opened_in(tmp_path) as open_tables:
        for column, expected in (("zoned", dt.datetime(2024, 2, 1, 0, 10)), ("plain", dt.datetime(2024, 1, 31, 23, 10))):
            table = {"files": "o.parquet", "columns": {**COLUMNS, "ordered_at": column}}
            assert times(open_tables(zone="Europe/Amsterdam", transactions=table)) == {"a": expected}


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        ("day", dt.datetime(2024, 2, 1, 0, 10)),
        ("CAST(day AS TIMESTAMP)", dt.datetime(2024, 2, 1, 0, 10)),
        ("COALESCE(CAST(day AS TIMESTAMP), '2020-01-01')", dt.datetime(2024, 2, 1, 0, 10)),
        ("CAST(day AS DATE)", dt.datetime(2024, 2, 1)),
    ],
)
def test_a_time_in_an_expression_is_converted_once(orders: Any, expression: str, shown: dt.datetime) -> None:
    source = orders({"a": "2024-01-31 23:10:00"}, "Europe/Amsterdam", timezone="UTC", columns={**COLUMNS, "ordered_at": expression})
    assert times(source) == {"a": shown}


def test_customers_are_known_from_their_local_day(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("id,since\na,2024-01-31T23:10:00Z\nb,2024-01-31T22:50:00Z\n")
    people = {"files": "people.csv", "columns": {"customer_id": "id", "known_at": "since"}}
    with opened_in(tmp_path) as open_tables:
        source = open_tables(zone="Europe/Amsterdam", customers=people, transactions={"files": "people.csv", "columns": COLUMNS})
        assert [row["customer_id"] for row in source.rows("customers", JANUARY)] == ["b"]


def test_weekday_and_hour_are_local(orders: Any) -> None:
    """23:30 on a Friday in UTC is 00:30 on Saturday in Amsterdam: a weekend, at night."""
    source = orders({"a": "2024-02-02T23:30:00Z"}, "Europe/Amsterdam")
    (row,) = source.rows(window=FEBRUARY)
    assert (row["ordered_at"].weekday(), row["ordered_at"].hour) == (5, 0)


def test_a_changed_zone_reads_and_makes_everything_again(orders: Any, tmp_path: Path) -> None:
    source = orders(MONTH_END, "UTC")
    there, fingerprint = {kept.rows_file for kept in source.source.kept("transactions")}, source.source.fingerprint()
    other = orders(MONTH_END, "Europe/Amsterdam")
    assert other.source.fingerprint() != fingerprint
    assert not there & {kept.rows_file for kept in other.source.kept("transactions")}
    moved = LOADED.model_copy(update={"snapshots": LOADED.snapshots.model_copy(update={"timezone": "Europe/Amsterdam"})})
    assert Fingerprint.now(LOADED, "", "2024-03-01").settings != Fingerprint.now(moved, "", "2024-03-01").settings


@pytest.mark.parametrize("zone", ["localtime", "Amsterdam", "europe/amsterdam", "+01:00", ""])
def test_text_that_is_not_a_zone_is_refused(zone: str) -> None:
    with pytest.raises(ValidationError, match="use a name such as UTC, Europe/Berlin or America/New_York"):
        Snapshots(first=dt.date(2024, 1, 1), timezone=zone)
    with pytest.raises(ValidationError, match="Not a time zone"):
        Reading(timezone=zone)


def test_the_nearest_zone_is_named() -> None:
    with pytest.raises(ValidationError, match="nearest: Europe/Amsterdam"):
        Reading(timezone="Europe/amsterdm")


def test_the_engine_knows_every_zone_that_the_settings_allow() -> None:
    backend = connect()
    known = {name for (name,) in backend.raw_sql("select name from pg_timezone_names()").fetchall()}
    backend.disconnect()
    assert available_timezones() - NOT_PORTABLE <= known
