"""Machines with data folders of their own that share a lake: what one makes the others publish too, and no two make the same version."""

import datetime as dt
import json
import socket
from contextlib import contextmanager
from functools import partial

import pandas as pd
import pytest

from segmentation_assets.settings.lake import LakeSettings
from segmentation_assets.store import database_files, deliveries, health, layout, provenance, published, sharing
from segmentation_assets.store.lake import opened, partition_keys
from segmentation_assets.store.sharing import SharedLakeError
from segmentation_assets.store.versions import SharedLake, open_shared
from segmentation_assets.tables.application import SEGMENTS
from segmentation_assets_tests.builders import D1, D2, D3, LOADED, put, put_snapshot
from segmentation_assets_tests.conftest import called
from segmentation_assets_tests.store.conftest import NAMES, ask, segment


class Shown:
    """What a machine shows, in place of its database, which takes a second to make: names and fingerprints, in a file."""

    def __init__(self, data_dir):
        self.file = data_dir / "shown.json"

    def read(self):
        return json.loads(self.file.read_text()) if self.file.exists() else {}

    def write(self, shown):
        self.file.write_text(json.dumps(shown))

    @classmethod
    def publish_snapshot(cls, lake, data_dir, key, fingerprint):
        cls.take_over(lake, data_dir, {key: fingerprint}, provenance.with_published(lake, data_dir / database_files.PRIVATE, key))

    @classmethod
    def take_over(cls, lake, data_dir, fingerprints, records, *_):
        names = {key: lake.read(SEGMENTS, [key]).to_pyarrow()["segment_name"][0].as_py() for key in fingerprints}
        cls(data_dir).write({**cls(data_dir).read(), **{key: [names[key], fingerprint] for key, fingerprint in fingerprints.items()}})
        provenance.take_over(data_dir / database_files.PRIVATE, records)

    @classmethod
    def take_out(cls, data_dir, gone):
        cls(data_dir).write({key: one for key, one in cls(data_dir).read().items() if key not in gone})
        provenance.forget(data_dir / database_files.PRIVATE, gone)

    @classmethod
    def fingerprints(cls, data_dir):
        return {key: fingerprint for key, (_, fingerprint) in cls(data_dir).read().items()}


@pytest.fixture(autouse=True)
def shown(request, monkeypatch):
    """Publish in files, unless the test asks for the database."""
    if "database" not in request.keywords:
        for name in ("publish_snapshot", "take_over", "take_out", "fingerprints"):
            monkeypatch.setattr(published, name, getattr(Shown, name))


class Machine:
    """A data folder, as a run finds it."""

    def __init__(self, data_dir, url):
        self.data_dir = data_dir
        self.settings = LOADED.model_copy(update={"data_dir": data_dir, "lake": LakeSettings(url=url and str(url))})
        layout.prepare(data_dir)

    @contextmanager
    def run(self):
        """The lake, as a run has it that begins now."""
        sharing.refresh(self.settings)
        begun = sharing.generation(self.data_dir)
        with opened(self.data_dir, guard=partial(sharing.require_generation, self.settings, begun)) as lake:
            yield lake

    def publish(self, lake, key, name):
        put(lake, "segments", key, segment(name))
        with sharing.sharing(self.settings, lake, key, f"fingerprint of {name}", "run"):
            published.publish_snapshot(lake, self.data_dir, key, f"fingerprint of {name}")

    def make(self, key, name):
        with self.run() as lake:
            self.publish(lake, key, name)

    def names(self):
        return [(key, name) for key, (name, _) in sorted(Shown(self.data_dir).read().items())]


@pytest.fixture
def url(tmp_path):
    (tmp_path / "shared").mkdir()
    return tmp_path / "shared"


@pytest.fixture
def north(tmp_path, url):
    return Machine(tmp_path / "north", url)


@pytest.fixture
def south(tmp_path, url):
    return Machine(tmp_path / "south", url)


def test_what_one_machine_makes_the_other_publishes_and_continues(north, south):
    north.make(D1, "first")
    south.make(D2, "second")
    told = sharing.refresh(north.settings)
    assert (told.version.number, told.keys) == (2, (D2,))
    assert north.names() == south.names() == [(D1, "first"), (D2, "second")]
    assert published.fingerprints(north.data_dir) == published.fingerprints(south.data_dir)
    private = [provenance.recorded(machine.data_dir / database_files.PRIVATE) for machine in (north, south)]
    assert private[0] == private[1]


@pytest.mark.database
def test_the_database_of_each_machine_has_what_the_other_made(north, south):
    for machine, key in ((north, D1), (south, D2)):
        with machine.run() as lake:
            put_snapshot(lake, key)
            machine.publish(lake, key, f"of {key}")
    sharing.refresh(north.settings)
    assert ask(north.data_dir, NAMES) == ask(south.data_dir, NAMES) == [(D1, f"of {D1}"), (D2, f"of {D2}")]
    assert published.fingerprints(north.data_dir) == published.fingerprints(south.data_dir)


def test_of_two_runs_that_began_with_the_same_version_one_wins_and_the_other_changes_nothing(north, south):
    north.make(D1, "before")
    with south.run() as lake:
        north.make(D2, "won")
        with pytest.raises(SharedLakeError, match=rf"version 2 was made by .*, run run, snapshot {D2}, at .*Run the same command again"):
            south.publish(lake, D2, "lost")
        assert south.names() == [(D1, "before")]
    sharing.refresh(south.settings)
    assert south.names() == north.names() == [(D1, "before"), (D2, "won")]


def test_a_run_that_is_killed_between_its_files_and_its_version_has_shared_nothing(north, south, monkeypatch):
    with monkeypatch.context() as killed, north.run() as lake:
        killed.setattr(SharedLake, "create", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            north.publish(lake, D1, "killed")
    assert sharing.refresh(south.settings).version is None
    south.make(D1, "made by the other")
    sharing.refresh(north.settings)
    assert north.names() == [(D1, "made by the other")]


def test_a_run_that_is_killed_before_it_publishes_here_is_published_by_the_next(north, monkeypatch):
    with monkeypatch.context() as killed, north.run() as lake:
        killed.setattr(published, "publish_snapshot", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            north.publish(lake, D1, "shared")
    assert sharing.refresh(north.settings).keys == (D1,)
    assert north.names() == [(D1, "shared")]


def test_what_was_begun_is_discarded_when_another_machine_was_first_and_a_run_at_work_is_stopped(north, south):
    with south.run() as lake:
        put(lake, "customers", D1)
        north.make(D1, "won")
        sharing.refresh(south.settings)  # as a sensor does, or a command
        with pytest.raises(SharedLakeError, match="Another machine has changed the shared lake"):
            put(lake, "segments", D1, segment("late"))
    files = [sorted(file.read_bytes() for file in (one.data_dir / "lake").rglob("*.parquet")) for one in (north, south)]
    assert files[0] == files[1]


def test_what_is_begun_again_of_another_snapshot_stays_here_until_that_is_published(north, south):
    north.make(D1, "first")
    with north.run() as lake:
        put(lake, "segments", D1, segment("half made again"))
        north.publish(lake, D2, "second")
    sharing.refresh(south.settings)
    assert south.names() == [(D1, "first"), (D2, "second")]


def test_features_that_were_made_for_a_later_snapshot_are_shared_with_it(north, south):
    with north.run() as lake:
        put(lake, "customer_features", D1)
        put(lake, "customer_features", D3)  # of the next run, which is ahead
        north.publish(lake, D2, "second")
    sharing.refresh(south.settings)
    assert partition_keys(south.data_dir / "lake", "customer_features") == [D1]


def test_the_same_again_makes_no_version(north):
    for _ in range(2):
        north.make(D1, "same")
    assert sharing.behind(north.settings) == (1, 1)


def test_a_snapshot_that_was_removed_elsewhere_is_removed_here(north, south):
    north.make(D1, "first")
    north.make(D2, "second")
    sharing.refresh(south.settings)
    published.take_out(north.data_dir, [D2])
    north.make(D1, "first again")
    sharing.refresh(south.settings)
    assert south.names() == [(D1, "first again")]


def test_an_empty_lake_takes_what_a_machine_has_published(tmp_path, url, south):
    Machine(tmp_path / "north", None).make(D1, "of before")
    assert sharing.refresh(Machine(tmp_path / "north", url).settings).version is None
    assert "from what it had published before" in sharing.in_words(sharing.refresh(south.settings))
    assert south.names() == [(D1, "of before")]


def test_a_folder_with_a_history_of_its_own_keeps_it(tmp_path, url, north):
    own = Machine(tmp_path / "own", None)
    own.make(D1, "own")
    north.make(D1, "shared")
    with pytest.raises(SharedLakeError, match=r"has version 1 already, and .*own has tables or models of its own, which would be lost"):
        sharing.refresh(Machine(own.data_dir, url).settings)
    assert own.names() == [(D1, "own")]


@pytest.mark.parametrize(("key", "fingerprint"), [(D1, "changed"), (D2, "new")])
def test_what_was_published_without_being_shared_is_not_lost(north, key, fingerprint):
    north.make(D1, "shared")
    Machine(north.data_dir, None).make(key, fingerprint)
    with pytest.raises(SharedLakeError, match=f"has published {key} while lake.url was not set, which would be lost"):
        sharing.refresh(north.settings)


def test_a_lake_that_has_gone_back_is_refused(north, url):
    north.make(D1, "first")
    for file in (url / "versions").iterdir():
        file.unlink()
    with pytest.raises(SharedLakeError, match="is older than 1, which this machine has seen"):
        sharing.refresh(north.settings)


def test_a_folder_of_another_lake_is_refused(north, tmp_path):
    north.make(D1, "first")
    (tmp_path / "other").mkdir()
    with pytest.raises(SharedLakeError, match="is a working copy of"):
        sharing.refresh(Machine(north.data_dir, tmp_path / "other").settings)


def test_a_folder_that_records_who_was_contacted_is_refused(tmp_path, url):
    row = {"list": "l", "action": "a", "customer_id": "c", "role": "treated", "change": "added", "cost": 0.0}
    rows = pd.DataFrame([row | dict.fromkeys(("channel", "reason", "planned_share"))])
    deliveries.record(tmp_path / "north", rows, dt.date(2024, 2, 1), "crm", dt.datetime(2024, 2, 1))
    with pytest.raises(SharedLakeError, match="records who was contacted, and another machine would not know it"):
        sharing.refresh(Machine(tmp_path / "north", url).settings)


def test_a_version_that_names_other_files_is_refused(north, south):
    north.make(D1, "first")
    shared = open_shared(north.settings.lake)
    made = shared.read(1)
    shared.create(made.model_copy(update={"number": 2, "files": {"../evil": next(iter(made.files.values()))}}))
    with pytest.raises(SharedLakeError, match=r"version 2 names \.\./evil, which is no file of a lake"):
        sharing.refresh(south.settings)


def test_a_file_that_was_lost_here_is_fetched_again(north):
    north.make(D1, "first")
    file = north.data_dir / "lake" / "segments" / f"snapshot_date={D1}" / "part-0.parquet"
    before = file.read_bytes()
    file.unlink()
    sharing.refresh(north.settings)
    assert file.read_bytes() == before


def test_a_lake_of_ones_own_asks_nothing_and_writes_nothing(tmp_path):
    alone = Machine(tmp_path / "alone", None)
    alone.make(D1, "own")
    assert not (alone.data_dir / sharing.FOLDER).exists()


def test_the_doctor_says_which_machine_is_behind(north, south):
    north.make(D1, "first")
    assert health.shared_lake(north.settings) == (health.State.FINE, "This machine has its newest version, 1.")
    state, told = health.shared_lake(south.settings)
    assert state == health.State.WARNING and told.endswith("To fetch it: segmentation refresh")


def test_refresh_says_what_it_brought(north, south):
    north.make(D1, "first")
    url, calendar = str(south.settings.lake.url), {"SEGMENTATION_SNAPSHOTS__FIRST": D1, "SEGMENTATION_SNAPSHOTS__LAST": D3}
    said = [called("refresh", data_dir=south.data_dir, SEGMENTATION_LAKE__URL=url, **calendar).output for _ in range(2)]
    assert f"now at version 1, made by {socket.gethostname()}, run run, snapshot {D1}" in said[0]
    assert f"1 snapshot was published here from it: {D1}." in said[0]
    assert said[1] == f"This machine has the newest version of {url}.\n"
    assert "lake.url is not set" in called("refresh", data_dir=south.data_dir).output


def test_a_refresh_says_what_it_published_here_also_without_a_new_version() -> None:
    assert sharing.in_words(sharing.Refreshed()) == ""
    told = sharing.in_words(sharing.Refreshed(None, ("2024-01-01",)))
    assert told == "This machine has the newest version of the shared lake; 1 snapshot was published here from it: 2024-01-01."
