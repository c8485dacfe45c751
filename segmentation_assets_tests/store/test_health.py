"""`segmentation doctor` on the data folder and the source."""

import datetime as dt
import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from segmentation_assets.settings.snapshots import Schedule
from segmentation_assets.sources import SourceError
from segmentation_assets.store import database_files, freshness, health, published, restoring
from segmentation_assets.store.freshness import Cause, Stale
from segmentation_assets.store.health import Finding, State
from segmentation_assets_tests.builders import D1, D2, LOADED

MARCH = dt.datetime(2024, 3, 1, tzinfo=dt.UTC)
Usage = namedtuple("Usage", "free")


def settings(data_dir: Path, enabled: bool = False) -> Any:
    return LOADED.model_copy(update={"data_dir": data_dir, "schedule": Schedule(enabled=enabled, hour=6)})


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Sets which snapshots are published."""

    def say(*keys: str) -> Path:
        monkeypatch.setattr(published, "fingerprints", lambda _: dict.fromkeys(keys, "x"))
        return tmp_path

    return say


@pytest.mark.parametrize(
    ("keys", "enabled", "hours", "state", "told"),
    [
        ((), True, 7, State.WARNING, "None is published"),
        ((D1, D2), True, 7, State.FINE, "2024-03-01 is published, and no later one exists yet"),
        ((D1,), True, 7, State.FINE, "scheduled on that day at 06:00"),
        ((D1,), True, 13, State.BROKEN, "which is overdue"),
        ((D1,), False, 1, State.WARNING, "No schedule makes it"),
    ],
    ids=["none yet", "all", "within the patience", "overdue", "no schedule"],
)
def test_the_newest_snapshot_is_overdue_after_the_schedule_and_the_catch_up(
    made: Any, keys: tuple[str, ...], enabled: bool, hours: int, state: State, told: str
) -> None:
    found = health.newest_snapshot(settings(made(*keys), enabled), MARCH + dt.timedelta(hours=hours))
    assert found[0] == state and told in found[1]


@pytest.mark.parametrize(("cause", "state"), [(Cause.DAMAGED, State.BROKEN), (Cause.STOPPED, State.WARNING), (None, State.FINE)])
def test_a_database_older_than_the_lake_is_reported(made: Any, monkeypatch: pytest.MonkeyPatch, cause: Cause | None, state: State) -> None:
    monkeypatch.setattr(freshness, "stale", lambda *_: [Stale(D2, cause)] if cause else [])
    assert health.database(settings(made(D1, D2)))[0] == state


def test_the_last_snapshot_of_the_calendar_is_reported(made: Any) -> None:
    ended = settings(made(D1, D2))
    ended = ended.model_copy(update={"snapshots": ended.snapshots.model_copy(update={"last": MARCH.date()})})
    assert health.newest_snapshot(ended, MARCH) == (State.FINE, "2024-03-01 is published, the last one (snapshots.last).")


@pytest.mark.parametrize("found", [[Stale(D2, Cause.SETTINGS, "model")], []], ids=["changed", "same"])
def test_snapshots_that_the_next_run_makes_again_are_reported(made: Any, monkeypatch: pytest.MonkeyPatch, found: list[Stale]) -> None:
    monkeypatch.setattr(freshness, "stale", lambda *asked, **_: [one for one in found if one.cause in asked[-1]])
    state, told = health.next_run(settings(made(D1, D2)), lambda: "")
    assert state == (State.WARNING if found else State.FINE)
    assert (f"again. {D2}: the settings have changed (model). To make them: segmentation run --all" in told) == bool(found)


def test_a_calendar_that_the_next_run_would_refuse_is_broken(made: Any) -> None:
    mixed = settings(made(D1, "2024-02-15"))
    found = health.looked("next run", lambda: health.next_run(mixed, lambda: ""))
    assert found.state == State.BROKEN and found.message.endswith("segmentation upgrade --take-out")


@pytest.mark.parametrize(("times", "state"), [(0.5, State.BROKEN), (2, State.WARNING), (10, State.FINE)])
def test_free_disk_space_is_compared_with_the_size_of_a_snapshot(
    made: Any, monkeypatch: pytest.MonkeyPatch, times: float, state: State
) -> None:
    folder = made(D1)
    (folder / database_files.DATABASE).write_bytes(bytes(500_000))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(times * 1_000_000))
    found = health.disk(folder)
    assert found[0] == state and "a snapshot writes about 1 MB" in found[1]


def test_nothing_unmeasured_counts_as_fine(tmp_path: Path) -> None:
    assert health.database(settings(tmp_path))[0] == health.next_run(settings(tmp_path), lambda: "")[0] == State.UNKNOWN
    assert health.disk(tmp_path)[0] == State.UNKNOWN


def test_a_source_that_cannot_be_read_is_asked_once_and_is_a_finding(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def missing(_: Any) -> Any:
        asked.append(1)
        raise SourceError("orders.csv is missing")

    monkeypatch.setattr(health, "open_source", missing)
    found = {one.subject: one for one in health.findings(settings(made(D1)), MARCH)}
    assert found["source"] == Finding("source", State.BROKEN, "orders.csv is missing")
    assert found["next run"].message == "orders.csv is missing" and len(asked) == 1


def test_the_pages_of_a_database_are_read_once_until_it_is_published_again(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[Path] = []
    monkeypatch.setattr(restoring, "damaged", lambda folder: looks.append(folder) or [])
    mine = settings(made(D1))
    for _ in range(2):
        assert {one.subject for one in health.findings(mine, MARCH)} >= {"database", "source"}
    assert len(looks) == 1
    (mine.data_dir / database_files.DATABASE).write_bytes(b"published")
    list(health.findings(mine, MARCH))
    assert len(looks) == 2
