import re
from pathlib import Path

import pytest

from segmentation_assets.settings.delivery import Delivery
from segmentation_assets.settings.loading import SettingsError, load_settings

WEBHOOK = "kind: webhook, secret_variable: CRM_SECRET"


def given(tmp_path: Path, destination: str, more: str = "") -> Delivery:
    file = tmp_path / "segmentation.yaml"
    file.write_text(
        "snapshots: {first: 2017-04-01}\nsource: {kind: complete_journey}\n"
        f"delivery:\n  destinations:\n    crm: {{{destination}}}\n{more}"
    )
    return load_settings(file).delivery


def test_nothing_is_handed_over_by_default() -> None:
    assert Delivery() == Delivery(enabled=False, destinations={})


def test_paths_are_relative_to_the_settings_file(tmp_path: Path) -> None:
    assert given(tmp_path, "kind: folder, path: out").destinations["crm"].path == tmp_path / "out"  # type: ignore[union-attr]
    found = given(tmp_path, 'kind: database, url: "sqlite:///crm.db", table: people').destinations["crm"]
    assert found.url == f"sqlite:///{tmp_path}/crm.db"  # type: ignore[union-attr]


@pytest.mark.parametrize("url", ["https://crm.example.com/in", "http://127.0.0.1:8000/in", "http://localhost/in", "http://[::1]:80/"])
def test_addresses_that_nobody_on_the_way_can_read_are_accepted(tmp_path: Path, url: str) -> None:
    assert given(tmp_path, f'{WEBHOOK}, url: "{url}"').destinations["crm"].url == url  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("destination", "more", "why"),
    [
        (
            f'{WEBHOOK}, url: "http://crm.example.com/in"',
            "",
            "crm.url: found an address, which is not repeated here; must begin with https",
        ),
        (f'{WEBHOOK}, url: "http://127.0.0.1.example.com/in"', "", "must begin with https"),
        (f'{WEBHOOK}, url: "https://ann:pw@crm.example.com/"', "", "holds a secret"),
        (f'{WEBHOOK}, url: "file:///etc/passwd"', "", "is not an address such as https"),
        (WEBHOOK, "", "give either url or url_variable"),
        (f"{WEBHOOK}, url_variable: SEGMENTATION_URL", "", "reserved for settings"),
        ("kind: webhook, secret_variable: 'my secret', url_variable: X", "", "a text, which is not repeated here"),
        ("kind: folder, path: out, actions: [champion]", "", "champion is not an action of the playbook. Did you mean champions?"),
        ("kind: folder, path: out, lists: [market]", "", "market is not a list of the playbook. Did you mean marketing?"),
        ("kind: folder, path: out, columns: [income]", "privacy: {sensitive: [income]}", "income is in privacy.sensitive"),
        ("kind: database, url: 'postgresql://ann:pw@host/crm', table: x", "", "holds a secret"),
        ("kind: database, url: 'postgresql://ann@host/crm#pw@', table: x", "", "has a part after #, which no database reads"),
        ("kind: database, url: 'sc://host:15002', table: x", "", "is an engine's, whose tables are only read"),
        ("kind: mail", "", "allowed are folder, database, webhook"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, destination: str, more: str, why: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(why)) as refused:
        given(tmp_path, destination, more)
    assert "pw@" not in str(refused.value) and "my secret" not in str(refused.value)


def test_nothing_can_be_handed_over_to_nowhere() -> None:
    with pytest.raises(ValueError, match="without destinations"):
        Delivery(enabled=True)


@pytest.mark.parametrize(
    ("destination", "key"),
    [("kind: folder, path: data/lake", "path"), ('kind: database, url: "duckdb:///data/segmentation.duckdb", table: people', "url")],
)
def test_nothing_is_handed_over_into_the_data_folder(tmp_path: Path, destination: str, key: str) -> None:
    with pytest.raises(SettingsError, match=rf"delivery.destinations.crm.{key}: is in the data folder .*Name a place outside it"):
        given(tmp_path, destination)
