"""Source files in a bucket: copies that follow it, and errors that say what to do."""

import uuid

import pytest

from segmentation_assets.settings.privacy import PseudonymSettings
from segmentation_assets.settings.source import Tables
from segmentation_assets.sources import buckets, open_source
from segmentation_assets.sources.base import SourceError
from segmentation_assets.sources.located import matching_files
from segmentation_assets.storage import bucket
from segmentation_assets_tests.builders import LOADED
from segmentation_assets_tests.store import servers

obstore = pytest.importorskip("obstore")  # `make oldest` has neither
pytest.importorskip("moto")

COLUMNS = {"customer_id": "customer", "ordered_at": "day", "amount": "amount"}


@pytest.fixture(scope="module")
def endpoint():
    with servers.s3() as address:
        yield address


@pytest.fixture
def place(endpoint, monkeypatch):
    """An address below which nothing is yet."""
    for name, value in {**servers.KEYS, "AWS_ENDPOINT_URL": endpoint}.items():
        monkeypatch.setenv(name, value)
    return f"s3://{servers.BUCKET}/{uuid.uuid4().hex}"


def put(place, **files):
    for name, text in files.items():
        obstore.put(bucket(place), f"{name.replace('__', '/')}.csv", text.encode())


def tables(*files, columns=COLUMNS):
    return Tables(kind="tables", transactions={"files": files, "columns": columns})


def names_and_texts(source, folder):
    table = buckets.fetched(source, folder).entity("transactions")[0]
    return {name: file.read_text() for file, name in matching_files(table)}


@pytest.mark.parametrize(
    ("named", "found"),
    [
        ("orders/jan.csv", {"jan.csv": "1"}),
        ("orders", {"jan.csv": "1", "feb.csv": "2"}),
        ("orders/", {"jan.csv": "1", "feb.csv": "2"}),
        ("orders/j*.csv", {"jan.csv": "1"}),
        ("orders/**/*.csv", {"jan.csv": "1", "feb.csv": "2", "old/dec.csv": "3"}),
    ],
)
def test_files_folders_and_patterns_name_what_they_name_on_a_disk(place, tmp_path, named, found):
    put(place, orders__jan="1", orders__feb="2", orders__old__dec="3", ordersx="4")
    assert names_and_texts(tables(f"{place}/{named}"), tmp_path) == found


def test_copies_follow_the_bucket(place, tmp_path):
    put(place, orders__jan="1", orders__feb="2")
    source = tables(f"{place}/orders")
    assert names_and_texts(source, tmp_path) == {"jan.csv": "1", "feb.csv": "2"}
    put(place, orders__jan="changed")
    obstore.delete(bucket(place), "orders/feb.csv")
    assert names_and_texts(source, tmp_path) == {"jan.csv": "changed"}


def test_two_machines_see_the_same_state(place, tmp_path):
    put(place, orders__jan="customer,day,amount\na,2024-01-05,1\n")
    settings = [LOADED.model_copy(update={"data_dir": tmp_path / name, "source": tables(f"{place}/orders")}) for name in ("north", "south")]
    assert open_source(settings[0]).fingerprint() == open_source(settings[1]).fingerprint()


def test_a_missing_file_and_a_missing_bucket_have_a_remedy(place, tmp_path):
    with pytest.raises(SourceError, match=f"{place}/none.csv: no such file in the bucket.*Correct `files`"):
        buckets.fetched(tables(f"{place}/none.csv"), tmp_path)
    with pytest.raises(SourceError, match="s3://no-such-bucket/orders: has no such bucket"):
        buckets.fetched(tables("s3://no-such-bucket/orders"), tmp_path)


def test_no_copy_with_ids_is_kept_where_they_must_be_pseudonyms(place, tmp_path, monkeypatch):
    monkeypatch.setenv("KEY", "k" * 32)
    privacy = LOADED.privacy.model_copy(update={"pseudonyms": PseudonymSettings(key_variable="KEY")})
    settings = LOADED.model_copy(update={"data_dir": tmp_path, "source": tables(f"{place}/orders"), "privacy": privacy})
    with pytest.raises(SourceError, match=r"a copy of files in a bucket is kept in the data folder.*privacy\.pseudonyms is set"):
        open_source(settings)


def test_files_on_this_machine_ask_no_bucket(tmp_path):
    source = tables("orders.csv")
    assert buckets.fetched(source, tmp_path / "intake") is source
    assert not (tmp_path / "intake").exists()
