"""Versions of a shared lake, in a folder and in a bucket: exactly one machine makes each, and nobody reads half of one."""

import datetime as dt
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import obstore
import pytest

from segmentation_assets.settings.lake import LakeSettings
from segmentation_assets.store import versions
from segmentation_assets.store.versions import Maker, SharedLakeError, Version, open_shared
from segmentation_assets_tests.store import servers

PATH = "lake/segments/snapshot_date=2024-02-01/part-0.parquet"


@pytest.fixture(scope="module")
def endpoint():
    with servers.s3() as address:
        yield address


@pytest.fixture(params=["folder", "bucket"])
def shared(request, tmp_path, monkeypatch):
    if request.param == "folder":
        (tmp_path / "shared").mkdir()
        return open_shared(LakeSettings(url=str(tmp_path / "shared"), versions=2))
    for name, value in servers.KEYS.items():
        monkeypatch.setenv(name, value)
    address = request.getfixturevalue("endpoint")
    return open_shared(LakeSettings(url=f"s3://{servers.BUCKET}/{uuid.uuid4().hex}", endpoint=address, versions=2))


def version(number, host="north", **files):
    at = dt.datetime(2024, 2, 1, tzinfo=dt.UTC)
    maker = Maker(host=host, run="r", snapshot="2024-02-01", at=at)
    return Version(id=uuid.uuid4().hex, lake="l", number=number, maker=maker, files=files, snapshots={})


def written(tmp_path, text):
    file = tmp_path / f"{uuid.uuid4().hex}.parquet"
    file.write_text(text)
    return file


def objects(shared):
    return sorted(one["path"] for page in obstore.list(shared.store, "lake") for one in page)


def test_an_empty_lake_has_no_version(shared):
    assert shared.newest() == 0


def test_of_machines_that_make_the_same_version_exactly_one_wins(shared):
    asked = [version(1, host) for host in "abcd"]
    with ThreadPoolExecutor(len(asked)) as machines:
        won = list(machines.map(shared.create, asked))
    assert sum(won) == 1
    assert shared.read(1) == asked[won.index(True)]
    assert shared.newest() == 1


def test_a_request_that_is_repeated_because_its_answer_was_lost_has_won(shared):
    mine = version(1)
    assert shared.create(mine)
    assert shared.create(mine)


def test_files_come_back_whole(shared, tmp_path):
    file = written(tmp_path, "rows")
    shared.download(shared.upload(PATH, file), tmp_path / "here" / "rows")
    assert (tmp_path / "here" / "rows").read_text() == "rows"


def test_a_damaged_object_leaves_what_is_here(shared, tmp_path):
    uploaded, here = shared.upload(PATH, written(tmp_path, "rows")), written(tmp_path, "before")
    obstore.put(shared.store, uploaded.object, b"row")
    with pytest.raises(SharedLakeError, match=f"{uploaded.object} is damaged: its digest .* Restore the object"):
        shared.download(uploaded, here)
    assert here.read_text() == "before"


def test_an_unreadable_version_is_named(shared):
    obstore.put(shared.store, "versions/00000001.json.gz", b"half")
    with pytest.raises(SharedLakeError, match=r"versions/00000001\.json\.gz cannot be read .*Restore the shared lake"):
        shared.read(1)


def test_a_version_of_a_later_package_is_refused(shared):
    shared.create(version(1).model_copy(update={"format": versions.FORMAT + 1}))
    with pytest.raises(SharedLakeError, match="Install the version that the other machines have"):
        shared.read(1)


def make_older(monkeypatch, paths):
    """Let objects be older than what comes next: a bucket tells times to the second only."""
    listed, before = obstore.list, {"last_modified": dt.datetime(2024, 1, 1, tzinfo=dt.UTC)}

    def dated(*asked, **named):
        return [[{**one, **(before if one["path"] in paths else {})} for one in page] for page in listed(*asked, **named)]

    monkeypatch.setattr(obstore, "list", dated)


def test_what_no_kept_version_names_is_removed_and_readers_of_kept_ones_are_not_disturbed(shared, tmp_path, monkeypatch):
    first, second, third, lost = (shared.upload(PATH, written(tmp_path, text)) for text in ("1", "2", "3", "lost"))
    make_older(monkeypatch, {one.object for one in (first, second, third, lost)})
    for number, file in enumerate((first, second, third), 1):
        newest = version(number, **{PATH: file})
        assert shared.create(newest)
    of_a_run_that_can_still_win = shared.upload(PATH, written(tmp_path, "4"))
    shared.prune(newest)
    assert objects(shared) == sorted(one.object for one in (second, third, of_a_run_that_can_still_win))
    shared.download(shared.read(2).files[PATH], tmp_path / "rows")
    assert (tmp_path / "rows").read_text() == "2"


def test_a_number_is_never_given_again(shared):
    for number in (1, 2, 3):
        newest = version(number)
        shared.create(newest)
    shared.prune(newest)
    with pytest.raises(SharedLakeError, match=r"version 1 is empty, as one is of which 2 newer ones were made. Run the same command again"):
        shared.create(version(1))


def test_a_missing_bucket_is_named_with_the_remedy(endpoint, monkeypatch):
    for name, value in servers.KEYS.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SharedLakeError, match=r"s3://no-such-bucket/lake: has no such bucket. Create the bucket"):
        open_shared(LakeSettings(url="s3://no-such-bucket/lake", endpoint=endpoint)).newest()


def test_a_missing_folder_is_named_with_the_remedy(tmp_path):
    with pytest.raises(SharedLakeError, match=f"lake.url: {tmp_path}/none: no such folder. Mount it, or create it"):
        open_shared(LakeSettings(url=str(tmp_path / "none")))


def test_names_of_objects_tell_table_and_snapshot(shared, tmp_path):
    assert Path(shared.upload(PATH, written(tmp_path, "rows")).object).parent == Path(PATH).parent
