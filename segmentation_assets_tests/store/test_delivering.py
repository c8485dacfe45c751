"""Audiences are handed over once: the newest snapshot's, from the original folder, to who agreed, and recorded as they arrive."""

import base64
import csv
import datetime as dt
import hashlib
import hmac
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from segmentation_assets.settings.audiences import Audiences
from segmentation_assets.settings.delivery import Delivery
from segmentation_assets.settings.loading import Settings
from segmentation_assets.store import database_files, deliveries, delivering, destinations, folder_home, journal, published
from segmentation_assets.store.deliveries import DeliveryError
from segmentation_assets.store.lake import Lake
from segmentation_assets.store.provenance import Fingerprint
from segmentation_assets.tables.application import AUDIENCE_MEMBERS
from segmentation_assets.tables.cleaned import CUSTOMERS
from segmentation_assets.vocabulary import Reason, Role
from segmentation_assets_tests.builders import D1, D2, D4, LOADED, put_snapshot, table
from segmentation_assets_tests.receiver import Receiver, receiving

NOW = dt.datetime(2024, 3, 2, 9, tzinfo=dt.UTC)
SECRET, ADDRESS = "the secret of thirty two letters", "path-that-is-a-secret"
TREATED, HOLDOUT = str(Role.TREATED), str(Role.HOLDOUT)
FILES = {"kind": "folder", "path": "out"}


def member(customer: str, role: str = TREATED, **further: Any) -> dict[str, Any]:
    return {"list": "marketing", "action": "lapsed", "customer_id": customer, "role": role, "channel": "e-mail", "cost": 1.0, **further}


PEOPLE = [member("a"), member("b"), member("c"), member("h", HOLDOUT), member("s", str(Role.SUPPRESSED), reason=str(Reason.OPTED_OUT))]


def publish(lake: Lake, key: str = D2, people: list[dict[str, Any]] = PEOPLE, fingerprint: str = "") -> None:
    """A database with the tables that a delivery reads: a whole one takes seconds. Every customer has an income of 7."""
    data_dir = lake.root.parent
    data_dir.mkdir(exist_ok=True)
    with duckdb.connect(str(data_dir / database_files.DATABASE)) as database:
        audience = table(AUDIENCE_MEMBERS, *people).to_pyarrow()
        known = ({"customer_id": person["customer_id"], "income": 7.0} for person in people)
        customers = table(CUSTOMERS, *known, income=pa.float64()).to_pyarrow()
        for name, rows in ((AUDIENCE_MEMBERS.name, audience), (CUSTOMERS.name, customers)):
            database.register("rows", rows)
            database.execute(f"CREATE TABLE {name} AS SELECT DATE '{key}' AS snapshot_date, * FROM rows")
        told = "CREATE TABLE published_snapshots AS SELECT CAST($key AS DATE) AS snapshot_date, $fingerprint AS fingerprint"
        database.execute(told, {"key": key, "fingerprint": fingerprint})


@pytest.fixture(autouse=True)
def receipts_elsewhere(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a database takes no receipts; one test publishes a whole one."""
    if "published_whole" not in request.fixturenames:
        monkeypatch.setattr(published, "publish_receipts", lambda _: None)


@pytest.fixture
def published_whole(lake: Lake) -> Lake:
    people = [
        *PEOPLE,
        member("u", HOLDOUT, reason=str(Reason.UNIVERSAL_CONTROL)),
        member("v", HOLDOUT, reason=str(Reason.UNIVERSAL_CONTROL)),
    ]
    customers = [{"customer_id": person["customer_id"]} for person in people]
    planned = {"play": "lapsed", "action": "Call them", "list": "marketing", "holdout_share": 0.25}
    put_snapshot(lake, D2, audience_members=people, customers=customers, segment_actions=[planned])
    published.publish_snapshot(lake, lake.root.parent, D2, "f")
    return lake


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("CRM_SECRET", SECRET)
    monkeypatch.setattr(destinations, "BACKOFF", 0)
    with receiving() as server:
        monkeypatch.setenv("CRM_URL", server.url(ADDRESS))
        yield server


def with_destinations(lake: Lake, **places: dict[str, Any]) -> Settings:
    folder = lake.root.parent
    return LOADED.model_copy(update={"data_dir": folder, "delivery": Delivery(destinations=places).resolved(folder.parent)})


def webhook(**further: Any) -> dict[str, Any]:
    return {"kind": "webhook", "url_variable": "CRM_URL", "secret_variable": "CRM_SECRET", **further}


def deliver(settings: Settings, hours: int = 0, key: str = D2) -> list[delivering.Receipt]:
    return delivering.deliver(settings, key, delivering.choose(settings, ()), NOW + dt.timedelta(hours=hours))


def lines(settings: Settings) -> set[tuple[str, str]]:
    """Customer and change, of all files."""
    files = sorted((settings.data_dir.parent / "out").glob("*.csv"))
    return {(row["customer_id"], row["change"]) for file in files for row in csv.DictReader(file.open(encoding="utf-8"))}


def posted(receiver: Receiver) -> list[list[str]]:
    return [[f"{row['change'][0]}{row['customer_id']}" for row in json.loads(post.body)["rows"]] for post in receiver.posts]


def without(settings: Settings, *customers: str) -> Settings:
    """The settings with a suppression list of these."""
    file = settings.data_dir.parent / "never.csv"
    file.write_text("customer_id\n" + "".join(f"{one}\n" for one in customers), encoding="utf-8")
    return settings.model_copy(update={"audiences": Audiences(suppression=(file,))})


def test_treated_customers_leave_with_the_columns_that_may_and_all_are_recorded(lake: Lake) -> None:
    publish(lake)
    settings = with_destinations(lake, files={**FILES, "columns": ["channel"]})
    (receipt,) = deliver(settings)
    (file,) = (settings.data_dir.parent / "out").iterdir()
    assert file.name == f"audience_changes-{D2}-{receipt.plan.delivery_id[:12]}.csv"
    rows = list(csv.DictReader(file.open(encoding="utf-8")))
    assert set(rows[0]) == {"idempotency_key", "snapshot_date", "change", "customer_id", "list", "action", "channel"}
    assert {(row["customer_id"], row["change"], row["channel"]) for row in rows} == {(one, "added", "e-mail") for one in "abc"}
    recorded = deliveries.rows(settings.data_dir, lake.engine, dt.date(2024, 3, 1)).to_pyarrow().to_pylist()
    assert {(row["customer_id"], row["role"]) for row in recorded} == {("a", TREATED), ("b", TREATED), ("c", TREATED), ("h", HOLDOUT)}
    assert {row["delivery_id"] for row in recorded} == {receipt.plan.delivery_id}


def test_the_second_time_nothing_leaves(lake: Lake, receiver: Receiver) -> None:
    publish(lake)
    settings = with_destinations(lake, files=FILES, crm=webhook())
    assert len(deliver(settings)) == 2
    assert deliver(settings, 1) == []
    assert len(receiver.posts) == len(list((settings.data_dir.parent / "out").iterdir())) == 1


def test_audiences_that_were_made_with_another_playbook_are_not_handed_over(lake: Lake) -> None:
    settings = with_destinations(lake, files=FILES)
    publish(lake, fingerprint=Fingerprint.now(settings, "", D2).text())
    assert delivering.changed_since(settings, D2) == []
    edited = settings.model_copy(update={"playbook": {**settings.playbook, "lapsed": None}})
    with pytest.raises(DeliveryError, match=rf"audiences of {D2} were made with other settings \(playbook\), .* run --all"):
        deliver(edited)
    with pytest.raises(DeliveryError, match="other settings"):
        delivering.plans(edited, D2, delivering.choose(edited, ()))
    assert not list(lake.root.parent.parent.glob("out/*"))


def test_who_opts_out_in_between_is_taken_back_and_who_returns_is_told_anew(lake: Lake) -> None:
    publish(lake)
    settings = with_destinations(lake, files=FILES)
    first = delivering.plans(settings, D2, delivering.choose(settings, ()))[0]
    (told,) = deliver(settings)
    assert told.plan.delivery_id == first.delivery_id
    (receipt,) = deliver(without(settings, "b", "h"), 1)
    assert receipt.plan.barred == 2
    assert receipt.plan.counts() == {("marketing", "lapsed"): {"added": 0, "removed": 1, "held_out": 0, "control": 0}}
    (again,) = deliver(settings, 2)
    assert lines(settings) == {("a", "added"), ("b", "added"), ("c", "added"), ("b", "removed")}
    keys = [row["idempotency_key"] for row in told.plan.rows.to_pylist() if row["customer_id"] == "b"]
    assert again.plan.rows.to_pylist()[0]["idempotency_key"] not in keys


def test_of_who_is_taken_back_nothing_leaves_but_who_it_is(lake: Lake) -> None:
    publish(lake)
    settings = with_destinations(lake, files={**FILES, "columns": ["channel", "cost", "income"], "format": "parquet"})
    deliver(settings)
    deliver(without(settings, "b"), 1)
    rows = [row for file in (settings.data_dir.parent / "out").iterdir() for row in pq.read_table(file).to_pylist()]
    told = {(row["customer_id"], row["change"]): [row[name] for name in ("action", "channel", "cost", "income")] for row in rows}
    assert told["b", "added"] == ["lapsed", "e-mail", 1.0, 7.0]
    assert told["b", "removed"] == ["lapsed", None, None, None]


def test_the_receipts_are_published(published_whole: Lake) -> None:
    lake = published_whole
    settings = with_destinations(lake, files=FILES)
    deliver(settings)
    deliver(without(settings, "b"), 1)

    def receipts() -> list[tuple[Any, ...]]:
        columns = "snapshot_date, destination, action_title, added, removed, held_out, control"
        query = f"SELECT {columns} FROM audience_receipts ORDER BY delivered_at"
        with published.reading(settings.data_dir) as database:
            return database.execute(query).fetchall()

    day = dt.date.fromisoformat(D2)
    assert receipts() == [(day, "files", "Call them", 3, 0, 1, 2), (day, "files", "Call them", 0, 1, 0, 0)]
    recorded = deliveries.rows(settings.data_dir, lake.engine, day).to_pyarrow().to_pylist()
    assert {(row["change"], row["planned_share"]) for row in recorded} == {("added", 0.25), ("removed", None)}
    published.publish_snapshot(lake, settings.data_dir, D2, "f", smallest_cell=3)
    assert [row[3:] for row in receipts()] == [(None,) * 4, (None,) * 4]
    target = settings.data_dir.parent / "whole.duckdb"
    published.export(settings.data_dir, target)
    with duckdb.connect(str(target)) as exported:
        assert exported.execute("SELECT count(*) FROM audience_receipts").fetchall() == [(2,)]


def test_a_batch_is_signed_and_known_by_a_key(lake: Lake, receiver: Receiver) -> None:
    publish(lake)
    deliver(with_destinations(lake, crm=webhook(columns=["offer", "value_at_stake"])))
    (post,) = receiver.posts
    time, key = post.headers["webhook-timestamp"], post.headers["webhook-id"]
    signed = hmac.new(SECRET.encode(), f"{key}.{time}.".encode() + post.body, hashlib.sha256).digest()
    assert post.headers["webhook-signature"] == f"v1,{base64.b64encode(signed).decode()}"
    assert post.headers["Idempotency-Key"] == key
    assert abs(dt.datetime.now(dt.UTC).timestamp() - int(time)) < 60
    content = json.loads(post.body)
    assert content["snapshot_date"] == D2
    assert {tuple(row) for row in content["rows"]} == {
        ("idempotency_key", "snapshot_date", "change", "customer_id", "list", "action", "offer", "value_at_stake")
    }


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_batch_is_tried_again_with_the_same_key(lake: Lake, receiver: Receiver, status: int) -> None:
    publish(lake)
    receiver.statuses = [status, status]
    (receipt,) = deliver(with_destinations(lake, crm=webhook()))
    assert len(receiver.posts) == 3 and receipt.batches == 1
    assert len({(post.headers["Idempotency-Key"], post.body) for post in receiver.posts}) == 1


@pytest.mark.parametrize(
    ("statuses", "why", "posts"),
    [
        ([302], "answered 302, a redirect, which is not followed", 1),
        ([401], "answered 401. Check the secret", 1),
        ([503] * 3, "answered 503", 2),
    ],
)
def test_what_is_not_taken_is_an_error_and_not_recorded(lake: Lake, receiver: Receiver, statuses: list[int], why: str, posts: int) -> None:
    publish(lake)
    receiver.statuses = statuses
    settings = with_destinations(lake, crm=webhook(retries=1), files=FILES)
    with pytest.raises(DeliveryError, match=f"delivery.destinations.crm: it {why}.* Nothing arrived; .*\nDelivered: files") as refused:
        deliver(settings)
    assert SECRET not in str(refused.value) and ADDRESS not in str(refused.value)
    assert [post.path for post in receiver.posts] == [f"/{ADDRESS}"] * posts
    assert len(deliveries.recorded(settings.data_dir)) == 1  # that of the folder


def test_no_receiver_is_an_error_without_its_address(
    lake: Lake, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    publish(lake)
    monkeypatch.setenv("CRM_URL", f"http://127.0.0.1:1/{ADDRESS}")
    with pytest.raises(DeliveryError, match=r"it could not be reached \(NewConnectionError\)") as refused:
        deliver(with_destinations(lake, crm=webhook(retries=1)))
    assert refused.value.__cause__ is None and ADDRESS not in str(refused.value) + caplog.text


@pytest.mark.parametrize(
    ("variable", "value", "why"),
    [
        ("CRM_SECRET", "", "the environment variable that secret_variable names is not set. Set it: export CRM_SECRET"),
        ("CRM_SECRET", "short", "shorter than 16 bytes"),
        ("CRM_SECRET", "whsec_?", "is not base64 after whsec_"),
        ("CRM_URL", "", "url_variable names is not set"),
        ("CRM_URL", f"http://example.com/{ADDRESS}", "must begin with https"),
    ],
)
def test_without_address_and_secret_nothing_is_sent(
    lake: Lake, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, why: str
) -> None:
    publish(lake)
    monkeypatch.setenv(variable, value)
    settings = with_destinations(lake, crm=webhook())
    with pytest.raises(DeliveryError, match=why) as refused:
        deliver(settings)
    assert ADDRESS not in str(refused.value)
    assert receiver.posts == [] and journal.of_destination(settings.data_dir, "crm") == []


def test_repeating_a_delivery_that_failed_half_way_completes_it(lake: Lake, receiver: Receiver) -> None:
    publish(lake)
    settings = with_destinations(lake, crm=webhook(batch=1, retries=0))
    order = delivering.plans(settings, D2, delivering.choose(settings, ()))[0].rows.to_pylist()
    sent = [f"a{row['customer_id']}" for row in order if row["role"] == TREATED]
    receiver.statuses = [200, 500]
    with pytest.raises(DeliveryError, match=r"[12] of 4 batches arrived and were recorded; to complete it, repeat"):
        deliver(settings)
    assert posted(receiver) == [[sent[0]], [sent[1]]]
    failed = receiver.posts[1].headers["Idempotency-Key"]
    deliver(settings, 1)
    assert posted(receiver)[2:] == [[sent[1]], [sent[2]]]
    assert receiver.posts[2].headers["Idempotency-Key"] == failed  # so that it counts once, should it have arrived
    assert deliver(settings, 2) == [] and journal.of_destination(settings.data_dir, "crm") == []
    recorded = deliveries.rows(settings.data_dir, lake.engine, dt.date(2024, 3, 1)).to_pyarrow()["customer_id"].to_pylist()
    assert sorted(recorded) == ["a", "b", "c", "h"]


def killed_after(batches: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop as a killed process would, after a batch has arrived and before that is noted."""
    arrived = journal.Journal.arrived

    def stop(self: journal.Journal) -> None:
        if self.batches_arrived() == batches:
            raise KeyboardInterrupt
        arrived(self)

    monkeypatch.setattr(journal.Journal, "arrived", stop)


def test_who_opts_out_after_a_killed_delivery_is_taken_back_also_where_the_answer_was_lost(
    lake: Lake, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(lake, people=[member(one) for one in "abcd"])
    settings = with_destinations(lake, crm=webhook(batch=1))
    with monkeypatch.context() as stopping:
        killed_after(1, stopping)
        with pytest.raises(KeyboardInterrupt):
            deliver(settings)
    ((first,), (second,)) = posted(receiver)  # of the second, the receiver has heard, and we do not know
    assert deliveries.recorded(settings.data_dir) == []
    deliver(without(settings, first[1], second[1]), 1)
    told = [one for (one,) in posted(receiver)[2:]]
    assert sorted(told) == sorted([f"r{first[1]}", f"r{second[1]}", *(f"a{one}" for one in "abcd" if one not in (first[1], second[1]))])
    standing = deliveries.standing(deliveries.rows(settings.data_dir, lake.engine, dt.date(2024, 3, 1))).to_pyarrow()["customer_id"]
    assert set(standing.to_pylist()) == set("abcd") - {first[1], second[1]}


def test_a_dry_run_writes_nothing(lake: Lake, receiver: Receiver) -> None:
    publish(lake)
    settings = with_destinations(lake, crm=webhook(), files=FILES)
    published.keys(settings.data_dir)  # completes the data folder, which has the public file alone
    before = sorted(settings.data_dir.parent.rglob("*"))
    plans = delivering.plans(settings, D2, delivering.choose(settings, ()))
    assert [plan.counts()["marketing", "lapsed"]["added"] for plan in plans] == [3, 3]
    assert sorted(settings.data_dir.parent.rglob("*")) == before and receiver.posts == []


def test_a_copy_of_the_folder_delivers_nothing_unless_it_is_named(lake: Lake, tmp_path: Path) -> None:
    publish(lake)
    settings = with_destinations(lake, files=FILES)
    deliver(settings)
    this = deliveries.folder_id(settings.data_dir)
    copy = settings.model_copy(update={"data_dir": Path(shutil.copytree(settings.data_dir, tmp_path / "copy"))})
    with pytest.raises(DeliveryError, match=rf"is a copy of the data folder {this} at {settings.data_dir}.*--folder {this}"):
        deliver(without(copy, "a"), 1)
    chosen = delivering.choose(copy, ())
    with pytest.raises(DeliveryError, match=f"has the id {this}, not another"):
        delivering.deliver(copy, D2, chosen, NOW, folder="another")
    assert lines(settings) == {(one, "added") for one in "abc"}
    assert len(delivering.deliver(without(copy, "a"), D2, chosen, NOW + dt.timedelta(hours=1), folder=this)) == 1
    assert deliver(without(copy, "a"), 2) == []  # from then on it is the original


def test_a_folder_that_was_moved_is_still_the_original(lake: Lake, tmp_path: Path) -> None:
    publish(lake)
    folder_home.mark(lake.root.parent)
    moved = lake.root.parent.rename(tmp_path / "elsewhere")
    folder_home.require(moved)


def test_a_copy_made_before_the_first_delivery_delivers_nothing_either(lake: Lake, tmp_path: Path) -> None:
    publish(lake)
    folder_home.mark(lake.root.parent)  # as each run does
    with pytest.raises(DeliveryError, match="is a copy"):
        folder_home.require(Path(shutil.copytree(lake.root.parent, tmp_path / "copy")))


def test_deliveries_without_the_mark_of_a_home_are_those_of_a_copy(lake: Lake) -> None:
    publish(lake)
    settings = with_destinations(lake, files=FILES)
    deliver(settings)
    (settings.data_dir / deliveries.FOLDER / folder_home.FILE).unlink()
    with pytest.raises(DeliveryError, match="is a copy of the data folder"):
        deliver(settings, 1)


def test_only_one_delivery_at_a_time(lake: Lake) -> None:
    publish(lake)
    settings = with_destinations(lake, files=FILES)
    with delivering._alone(settings.data_dir), pytest.raises(DeliveryError, match=r"Another delivery .* is under way"):
        deliver(settings)


MARCH = dt.datetime(2024, 3, 20, tzinfo=dt.UTC)


def test_only_the_newest_snapshot_is_handed_over_unless_another_is_named(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "keys", lambda _: [D1, D2])
    settings = with_destinations(lake, files=FILES)
    assert delivering.snapshot_to_deliver(settings, None, MARCH) == D2
    assert delivering.snapshot_to_deliver(settings, D1, MARCH) == D1
    with pytest.raises(
        DeliveryError, match=f"{D2} is the newest snapshot that is published, and {D4} exists by now. Nothing was delivered"
    ):
        delivering.snapshot_to_deliver(settings, None, dt.datetime(2024, 9, 1, tzinfo=dt.UTC))


def test_a_run_hands_over_the_newest_snapshot_when_it_is_first_made(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = with_destinations(lake, files=FILES)
    settings.data_dir.mkdir()
    monkeypatch.setattr(published, "keys", lambda _: [])
    delivering.note_published(settings.data_dir)
    monkeypatch.setattr(published, "keys", lambda _: [D1])
    assert not delivering.is_first_time(settings, D1, MARCH)  # D2 exists by now
    monkeypatch.setattr(published, "keys", lambda _: [D1, D2])
    assert delivering.is_first_time(settings, D2, MARCH)
    assert not delivering.is_first_time(settings, D2, MARCH)
    assert not delivering.is_first_time(settings, D1, MARCH)


def test_a_snapshot_that_the_command_handed_over_is_not_handed_over_by_a_run(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(lake)
    settings = with_destinations(lake, files=FILES)
    deliver(settings)
    monkeypatch.setattr(published, "keys", lambda _: [D2])
    assert not delivering.is_first_time(settings, D2, MARCH)


def test_a_column_that_does_not_exist_is_named(lake: Lake) -> None:
    publish(lake)
    settings = with_destinations(lake, files={**FILES, "columns": ["chanel"]})
    with pytest.raises(
        DeliveryError, match=r"files\.columns: chanel is neither of .* nor an attribute of customers\. Did you mean channel\?"
    ):
        deliver(settings)


def test_a_lost_suppression_list_stops_the_delivery(lake: Lake) -> None:
    publish(lake)
    settings = without(with_destinations(lake, files=FILES), "a")
    settings.audiences.suppression[0].unlink()
    with pytest.raises(Exception, match="is missing, so it is not known who may not be contacted"):
        deliver(settings)
    assert lines(settings) == set()


def test_a_parquet_file_has_every_text_unchanged(lake: Lake) -> None:
    publish(lake, people=[member("=1+1", offer="a\nb\0c")])
    deliver(with_destinations(lake, files={**FILES, "format": "parquet"}))
    (file,) = (lake.root.parent.parent / "out").iterdir()
    (row,) = pq.read_table(file).to_pylist()
    assert (row["customer_id"], row["offer"], row["snapshot_date"]) == ("=1+1", "a\nb\0c", dt.date.fromisoformat(D2))
