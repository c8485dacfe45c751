"""Every cause to make a snapshot, on a real lake: three snapshots are published, then one thing changes."""

import datetime as dt
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from segmentation_assets.core.model.champion import Request
from segmentation_assets.settings.alerts import Alerts
from segmentation_assets.settings.loading import load_settings
from segmentation_assets.settings.privacy import Privacy
from segmentation_assets.sources.base import window_of
from segmentation_assets.store import archive, database_files, freshness, provenance, published
from segmentation_assets.store.freshness import Cause, Stale, sentences
from segmentation_assets.store.lake import opened
from segmentation_assets.store.provenance import ENTITIES, Fingerprint, one_hash
from segmentation_assets.tables import BY_NAME, CONTRACTS
from segmentation_assets.tables.contract import Column
from segmentation_assets.tables.features import CUSTOMER_FEATURES
from segmentation_assets_tests.builders import D1, D2, D3, D4, LOADED, RowsSource, line, put

ORDERS = [line("a", "2024-01-05 12:00", 10.0), line("a", "2024-02-05 12:00", 20.0), line("b", "2024-03-05 12:00", 30.0)]
LATE = line("c", "2024-02-20 12:00", 40.0)


class Shop:
    """Snapshots in a folder, with the current settings and source."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch | None = None) -> None:
        self.patch = patch or pytest.MonkeyPatch()
        self.settings = LOADED.model_copy(update={"data_dir": folder})
        self.source = RowsSource([{"customer_id": "a"}], ORDERS)
        self.keys = [D1, D2, D3]

    def collect(self, key: str) -> None:
        with opened(self.settings.data_dir) as lake:
            for entity in ENTITIES:
                rows = getattr(self.source, entity)(lake.engine, window_of(key, self.settings.snapshots))
                lake.stage(BY_NAME[f"raw_{entity}"], key, rows).commit()

    def make(self, key: str, fingerprint: str | None = None) -> None:
        self.collect(key)
        with opened(self.settings.data_dir) as lake:
            for contract in CONTRACTS:
                if not contract.name.startswith("raw_"):
                    put(lake, contract.name, key)
            text = Fingerprint.now(self.settings, self.source.fingerprint(), key).text() if fingerprint is None else fingerprint
            published.publish_snapshot(lake, self.settings.data_dir, key, text)

    def file(self, table: str, key: str) -> Path:
        return self.settings.data_dir / "lake" / table / f"snapshot_date={key}" / "part-0.parquet"

    def stale(self) -> list[Stale]:
        with opened(self.settings.data_dir) as lake:
            records = provenance.recorded(self.settings.data_dir / database_files.PRIVATE)
            late = freshness.late_rows(self.settings, self.source, lake, records, by_content=True)
            return freshness.stale(self.settings, lake, self.keys, late=late.found, fingerprint=self.source.fingerprint)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "data"
    for key in (D1, D2, D3):
        Shop(folder).make(key)
    return folder


@pytest.fixture
def shop(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    return Shop(shutil.copytree(made, tmp_path / "data"), monkeypatch)


def nothing(shop: Shop) -> None:
    pass


def another_snapshot(shop: Shop) -> None:
    shop.keys.append(D4)


def stopped_run(shop: Shop) -> None:
    shop.keys.append(D4)
    shop.collect(D4)


def stopped_run_of_a_published_one(shop: Shop) -> None:
    shop.source = RowsSource([{"customer_id": "a"}], [*ORDERS, LATE])
    shop.collect(D2)


def an_earlier_one_made_again(shop: Shop) -> None:
    stopped_run_of_a_published_one(shop)
    shop.make(D2)


def settings(shop: Shop) -> None:
    shop.settings = shop.settings.model_copy(update={"model": LOADED.model.model_copy(update={"k": 4})})


def another_last_date(shop: Shop) -> None:
    later = shop.settings.snapshots.model_copy(update={"last": dt.date(2030, 1, 1)})
    shop.settings = shop.settings.model_copy(update={"snapshots": later})


def small_cells(shop: Shop) -> None:
    shop.settings = shop.settings.model_copy(update={"privacy": Privacy(smallest_cell=5)})


def alerts(shop: Shop) -> None:
    shop.settings = shop.settings.model_copy(update={"alerts": Alerts(url_variables=("ALERT_URL",))})


def source(shop: Shop) -> None:
    shop.source.version = "2"


def a_feature(shop: Shop) -> None:
    more = replace(CUSTOMER_FEATURES, columns=(*CUSTOMER_FEATURES.columns, Column("repeat_visit_share", "float64", "Another.")))
    shop.patch.setattr(provenance, "CONTRACTS", tuple(more if c is CUSTOMER_FEATURES else c for c in CONTRACTS))


def version(shop: Shop) -> None:
    shop.patch.setattr(provenance, "version", lambda _: "9.9")


def request(shop: Shop) -> None:
    archive.ask(shop.settings.data_dir, D2, Request(reason="spring"))


def former_version(shop: Shop) -> None:
    for key in shop.keys:
        shop.make(key, one_hash(shop.settings, shop.source.fingerprint(), key))


def former_version_and_settings(shop: Shop) -> None:
    former_version(shop)
    settings(shop)


def lost_table(shop: Shop) -> None:
    shop.file("segments", D2).unlink()


def cut_file(shop: Shop) -> None:
    file = shop.file("raw_transactions", D3)
    file.write_bytes(file.read_bytes()[:-100])


def late_row(shop: Shop) -> None:
    shop.source = RowsSource([{"customer_id": "a"}], [*ORDERS, LATE])


def changed_row(shop: Shop) -> None:
    shop.source = RowsSource([{"customer_id": "a"}], [*ORDERS[:-1], {**ORDERS[-1], "amount": 31.0}])


ALL, AFTER_SECOND = (D1, D2, D3), (D3, Cause.EARLIER, D2)
CASES: dict[Callable[[Shop], None], list[tuple[str, Cause, str]]] = {
    nothing: [],
    alerts: [],
    another_last_date: [],
    former_version: [],
    another_snapshot: [(D4, Cause.NEVER_MADE, "")],
    stopped_run: [(D4, Cause.STOPPED, "")],
    stopped_run_of_a_published_one: [(D2, Cause.STOPPED, ""), AFTER_SECOND],
    an_earlier_one_made_again: [(D3, Cause.EARLIER, "")],
    settings: [(key, Cause.SETTINGS, "model") for key in ALL],
    small_cells: [(key, Cause.SETTINGS, "privacy") for key in ALL],
    source: [(key, Cause.SOURCE, "") for key in ALL],
    a_feature: [(key, Cause.TABLES, "customer_features") for key in ALL],
    version: [(key, Cause.VERSION, "") for key in ALL],
    request: [(D2, Cause.REQUESTS, D2), (D3, Cause.REQUESTS, D2)],
    former_version_and_settings: [(key, Cause.UNKNOWN, "") for key in ALL],
    lost_table: [(D2, Cause.DAMAGED, "segments"), AFTER_SECOND],
    cut_file: [(D3, Cause.DAMAGED, "raw_transactions")],
    late_row: [(D2, Cause.LATE_ROWS, "+1 transaction"), AFTER_SECOND],
    changed_row: [(D3, Cause.LATE_ROWS, "+1 transaction, -1 transaction")],
}


@pytest.mark.parametrize("change", CASES, ids=lambda change: change.__name__)
def test_each_cause_is_reported_for_the_right_snapshots(shop: Shop, change: Callable[[Shop], None]) -> None:
    change(shop)
    assert shop.stale() == [Stale(*row) for row in CASES[change]]


def test_moving_a_shop_with_its_settings_changes_no_fingerprint(tmp_path: Path) -> None:
    def fingerprint(place: str) -> str:
        (tmp_path / place).mkdir()
        (tmp_path / place / "orders.csv").touch()
        file = tmp_path / place / "segmentation.yaml"
        columns = "{customer_id: who, ordered_at: day, amount: paid}"
        file.write_text(
            f"snapshots: {{first: {D1}}}\nsource: {{kind: tables, transactions: {{files: orders.csv, columns: {columns}}}}}",
            encoding="utf-8",
        )
        return Fingerprint.now(load_settings(file), "as it was", D1).text()

    assert fingerprint("here") == fingerprint("there")
    assert "privacy" not in fingerprint("elsewhere")  # a section that older records lack counts only where it is set


def test_every_cause_has_a_case() -> None:
    assert {cause for rows in CASES.values() for _, cause, _ in rows} == set(Cause)


def test_collecting_history_for_later_snapshots_is_not_a_stopped_run(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.collect(D1)
    with opened(tmp_path) as lake:
        for table in provenance.MADE_OF_THEM:
            put(lake, table, D1)
    shop.make(D2)
    shop.keys = [D1, D2]
    assert shop.stale() == [Stale(D1, Cause.NEVER_MADE), Stale(D2, Cause.EARLIER, D1)]


def test_snapshots_with_the_same_causes_share_a_sentence() -> None:
    both = [Stale(key, cause, detail) for key in (D1, D2) for cause, detail in ((Cause.SETTINGS, "model"), (Cause.SOURCE, ""))]
    assert sentences([*both, Stale(D3, Cause.EARLIER, D1)]) == [
        f"{D1} to {D2}: the settings have changed (model); the source has changed",
        f"{D3}: an earlier snapshot is to be made, or was made again ({D1})",
    ]
