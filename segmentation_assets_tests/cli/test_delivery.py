"""What the command prints of a delivery, and with which exit code."""

import json
from pathlib import Path
from typing import Any

import click.testing
import pytest
import yaml

from segmentation_assets.report import report
from segmentation_assets.store import published
from segmentation_assets.store.lake import Lake
from segmentation_assets_tests.builders import D2
from segmentation_assets_tests.conftest import called
from segmentation_assets_tests.store.test_delivering import publish

SHOP = {
    "snapshots": {"first": "2024-02-01", "last": D2},
    "source": {"kind": "complete_journey"},
    "privacy": {"smallest_cell": 2},
    "delivery": {
        "destinations": {"files": {"kind": "folder", "path": "out"}, "raw": {"kind": "folder", "path": "raw", "format": "parquet"}}
    },
}


@pytest.fixture
def shop(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Path:
    publish(lake)
    for name, value in (("publish_receipts", lambda _: None), ("keys", lambda _: ["2024-02-01", D2])):
        monkeypatch.setattr(published, name, value)
    (lake.root.parent.parent / "segmentation.yaml").write_text(yaml.safe_dump(SHOP), encoding="utf-8")
    return lake.root.parent


def call(shop: Path, *arguments: str) -> click.testing.Result:
    return called("audiences", *arguments, data_dir=shop, SEGMENTATION_SETTINGS=str(shop.parent / "segmentation.yaml"))


def destinations(done: click.testing.Result) -> list[dict[str, Any]]:
    assert done.exit_code == 0, done.output
    return json.loads(done.output)["destinations"]


def test_a_dry_run_tells_what_the_delivery_then_does(shop: Path) -> None:
    planned = destinations(call(shop, "--deliver", "--dry-run", "--json"))
    assert not (shop.parent / "out").exists()
    done = destinations(call(shop, "--deliver", "--json"))
    assert [{**one, "delivered_at": None, "batches": 1} for one in planned] == [{**one, "delivered_at": None} for one in done]
    hidden = {
        "added": None,
        "removed": None,
        "held_out": None,
        "control": None,
    }  # one customer is held out
    assert done[0]["actions"] == [{"list": "marketing", "action": "lapsed", **hidden}]
    again = json.loads(call(shop, "--deliver", "--json").output)
    assert (again["destinations"], again["without_changes"]) == ([], ["files", "raw"])


def test_the_report_is_written_again_only_if_something_was_handed_over(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    monkeypatch.setattr(report, "renew", lambda _, key, __: written.append(key))
    for options in (("--dry-run",), (), ()):
        assert call(shop, "--deliver", *options).exit_code == 0
    assert written == [D2]


def test_the_receipt_is_printed(shop: Path) -> None:
    done = call(shop, "--deliver", "--destination", "files")
    assert done.exit_code == 0
    assert f"Handed over of the snapshot {D2}" in done.output and "hidden" in done.output
    assert "delivery" not in done.output and "raw" not in done.output
    assert "files: nothing has changed since it was last told." in call(shop, "--deliver").output


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (("--plan", "--deliver"), 2, "--plan sends nothing"),
        (("--dry-run",), 2, "go with --deliver"),
        (("--deliver", "--destination", "file"), 1, "file is not a destination in delivery.destinations. Did you mean files?"),
        (("--deliver", "--folder", "x"), 1, "has the id"),
        (("--deliver", "--snapshot", "2023-01-01"), 1, "2023-01-01"),
    ],
)
def test_what_cannot_be_is_refused(shop: Path, arguments: tuple[str, ...], code: int, why: str) -> None:
    done = call(shop, *arguments)
    assert done.exit_code == code and why in done.output
    assert not (shop.parent / "out").exists()


def test_without_destinations_or_a_published_snapshot_it_says_what_to_do(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (shop.parent / "segmentation.yaml").write_text(yaml.safe_dump({**SHOP, "delivery": {}}), encoding="utf-8")
    assert "delivery.destinations: there are none" in call(shop, "--deliver").output
    monkeypatch.setattr(published, "keys", lambda _: [])
    done = call(shop, "--deliver")
    assert done.exit_code == 1 and "segmentation run --all" in done.output


def test_the_receipt_in_full_has_id_time_batches_and_columns(shop: Path) -> None:
    done = call(shop, "--deliver", "--destination", "files", "--long")
    assert "files (folder): delivery" in done.output and "in 1 batch; columns: idempotency_key, " in done.output


def test_numbers_are_hidden_together() -> None:
    from segmentation_assets.cli.delivery import _shown

    assert _shown({"added": 10, "removed": 0, "held_out": 9, "control": 0}, 5) == [10, 0, 9, 0]
    assert _shown({"added": 10, "removed": 0, "held_out": 1, "control": 7}, 5) == [None, None, None, None]
