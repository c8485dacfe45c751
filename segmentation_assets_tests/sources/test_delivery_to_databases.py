"""A table of a database has the newest change of each customer, list and action, whatever their texts are."""

import datetime as dt
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from segmentation_assets.settings.delivery import DatabaseTable
from segmentation_assets.sources.database_connection import reached
from segmentation_assets.store.deliveries import DeliveryError
from segmentation_assets.store.destinations import sending
from segmentation_assets_tests import hostile
from segmentation_assets_tests.builders import D2
from segmentation_assets_tests.sources.conftest import PASSWORD

DAY = dt.date.fromisoformat(D2)
TABLE = "audiences"
GRANTS = {
    "postgres": "{} create on schema public {} shop",
    "mariadb": "{} create, create temporary tables, insert, delete on shop.* {} shop@localhost, shop@'127.0.0.1'",
}


@pytest.fixture(params=["postgres", "mariadb", "sqlite", "duckdb"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DatabaseTable:
    if request.param in {"sqlite", "duckdb"}:
        return DatabaseTable(kind="database", url=f"{request.param}:///{tmp_path / 'crm'}", table=TABLE)
    server = request.getfixturevalue(request.param)
    monkeypatch.setenv("SHOP_PASSWORD", PASSWORD)
    server.run(f"drop table if exists {TABLE}")
    server.run(GRANTS[request.param].format("grant", "to"))
    request.addfinalizer(lambda: server.run(f"drop table if exists {TABLE}; {GRANTS[request.param].format('revoke', 'from')}"))
    return DatabaseTable(kind="database", url=server.url, password_variable="SHOP_PASSWORD", table=TABLE)  # noqa: S106


def rows(change: str, *customers: str, **further: Any) -> pa.Table:
    columns = {"idempotency_key": "k", "snapshot_date": DAY, "change": change, "list": "marketing", "action": "mail", **further}
    names = ["idempotency_key", "snapshot_date", "change", "customer_id", "list", "action", *further]
    return pa.Table.from_pylist([{**columns, "customer_id": one} for one in customers]).select(names)


def send(place: DatabaseTable, *batches: pa.Table) -> None:
    with sending("crm", place, DAY, "delivery") as sent:
        for batch in batches:
            sent(batch)


def kept(place: DatabaseTable, *columns: str) -> list[tuple[Any, ...]]:
    with reached(place, TABLE) as remote, closing(remote.con.cursor()) as cursor:
        cursor.execute(f"SELECT * FROM {TABLE}")
        names = [name for name, *_ in cursor.description]
        return [tuple(row[names.index(column)] for column in columns or ("customer_id", "change")) for row in cursor.fetchall()]


def test_the_same_rows_twice_are_there_once_and_a_later_change_replaces_one(place: DatabaseTable) -> None:
    added = rows("added", "a", "b", value_at_stake=1.5, segment_id=3, offer="TEN")
    send(place, added, added)
    assert sorted(kept(place)) == [("a", "added"), ("b", "added")]
    send(place, rows("removed", "b", value_at_stake=float("nan"), segment_id=None, offer=None))
    assert sorted(kept(place)) == [("a", "added"), ("b", "removed")]
    found = {row[0]: row[1:] for row in kept(place, "customer_id", "segment_id", "value_at_stake", "offer")}
    assert found == {"a": (3, 1.5, "TEN"), "b": (None, None, None)}


def test_texts_are_values_and_names_are_names(place: DatabaseTable) -> None:
    attribute = "100% of '; --"
    send(place, *[rows("added", *hostile.ALL, **{attribute: hostile.ALL[0]})] * 2)
    symbol = "\u2400" if place.url.startswith("postgres") else "\0"  # the former refuses NUL
    assert sorted(one for (one,) in kept(place, "customer_id")) == sorted(text.replace("\0", symbol) for text in hostile.ALL)


def test_what_does_not_fit_changes_nothing(place: DatabaseTable) -> None:
    send(place, rows("added", "a"))
    with pytest.raises(DeliveryError, match=r"delivery\.destinations\.crm: .*\(audiences\): .*offer") as refused:
        send(place, rows("removed", "a", offer="x"))
    assert PASSWORD not in str(refused.value)
    assert kept(place) == [("a", "added")]
