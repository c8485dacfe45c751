"""The asset hands over only where asked, the newest snapshot, the first time."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from segmentation_assets.defs.assets.delivery import audience_delivery
from segmentation_assets.report import report
from segmentation_assets.settings.delivery import Delivery
from segmentation_assets.store import delivering, published
from segmentation_assets_tests.builders import D1, D3, D4, LOADED

BACKFILL, AGAIN = {"dagster/backfill": "x"}, {"dagster/parent_run_id": "x"}
PLACES = {"files": {"kind": "folder", "path": "out"}}


@pytest.fixture
def handed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The snapshots that were handed over. D4 is the newest one that exists, and D3 and D4 are published."""
    found: list[str] = []
    monkeypatch.setattr(published, "keys", lambda _: [])
    delivering.note_published(tmp_path)  # as each run does, before it publishes
    monkeypatch.setattr(published, "keys", lambda _: [D3, D4])
    monkeypatch.setattr(delivering, "deliver", lambda settings, key, *_, **__: found.append(key) or [])
    return found


def run(folder: Path, key: str, enabled: bool = True, tags: dict[str, str] | None = None) -> Any:
    settings = LOADED.model_copy(update={"data_dir": folder, "delivery": Delivery(enabled=enabled, destinations=PLACES)})
    context = SimpleNamespace(partition_key=key, run=SimpleNamespace(tags=tags or {}))
    return audience_delivery(context, settings, None).metadata["delivered"]


def test_the_newest_snapshot_is_handed_over_once(tmp_path: Path, handed_over: list[str]) -> None:
    assert run(tmp_path, D4) == "nothing has changed"
    assert "was made before. To hand it over: segmentation audiences --deliver" in run(tmp_path, D4)
    assert handed_over == [D4]


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"key": D4, "enabled": False}, "delivery.enabled is off"),
        ({"key": D3}, "the snapshot is not the newest one"),
        ({"key": D1}, "the snapshot is not the newest one"),
        ({"key": D4, "tags": BACKFILL}, "the run is one of a backfill"),
        ({"key": D4, "tags": AGAIN}, "was made before"),
    ],
)
def test_otherwise_nothing_is(tmp_path: Path, handed_over: list[str], how: dict[str, Any], why: str) -> None:
    assert why in run(tmp_path, **how)
    assert handed_over == []


def test_the_report_is_written_again_after_a_delivery(tmp_path: Path, handed_over: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    told = SimpleNamespace(plan=SimpleNamespace(name="files", rows=SimpleNamespace(num_rows=2), delivery_id="x"))
    monkeypatch.setattr(delivering, "deliver", lambda *_, **__: [told])
    monkeypatch.setattr(report, "renew", lambda _, key, __: handed_over.append(key))
    assert "files: 2 rows" in run(tmp_path, D4).value
    assert handed_over == [D4]


def test_a_snapshot_made_before_it_was_switched_on_is_not_handed_over_when_made_again(tmp_path: Path, handed_over: list[str]) -> None:
    run(tmp_path, D4, enabled=False)
    run(tmp_path, D4)
    assert handed_over == []


def test_a_folder_of_an_earlier_version_hands_over_its_next_snapshot_and_not_those_that_it_has(
    tmp_path: Path, handed_over: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deliveries" / delivering.HANDLED).unlink()
    monkeypatch.setattr(published, "keys", lambda _: [D3, D4])
    delivering.note_published(tmp_path)
    assert "was made before" in run(tmp_path, D4)
    (tmp_path / "deliveries" / delivering.HANDLED).unlink()
    monkeypatch.setattr(published, "keys", lambda _: [D3])
    delivering.note_published(tmp_path)
    monkeypatch.setattr(published, "keys", lambda _: [D3, D4])
    assert run(tmp_path, D4) == "nothing has changed"
    assert handed_over == [D4]
