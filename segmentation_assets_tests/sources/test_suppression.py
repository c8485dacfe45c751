"""Suppression lists are read as the ids of the source are, and one that cannot be read is an error, never nobody."""

from pathlib import Path

import pytest

from segmentation_assets.settings.cleaning import Cleaning
from segmentation_assets.sources.base import SourceError
from segmentation_assets.sources.pseudonyms import Pseudonyms
from segmentation_assets.sources.suppression import entries, suppressed


def ids(*files: Path, pseudonyms: Pseudonyms | None = None) -> list[str]:
    found = suppressed(files, Cleaning(), pseudonyms)
    assert found is not None
    return sorted(found.to_pyarrow()["customer_id"].to_pylist())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "never.csv"


def test_ids_are_cleaned_as_those_of_the_source(file: Path) -> None:
    file.write_text('\ufeffcustomer_id,why\n 17850.0 ,asked\n007,\n"a,b",x\n,\n')
    other = file.with_name("more.csv")
    other.write_text("customer_id\nmore\n")
    assert ids(file, other) == ["007", "17850", "a,b", "more"]
    assert entries(file) == 3


def test_an_empty_list_bars_nobody_and_no_list_is_none(file: Path) -> None:
    file.write_text("customer_id\n")
    assert ids(file) == []
    assert suppressed((), Cleaning()) is None


def test_ids_of_the_source_and_pseudonyms_are_both_understood(file: Path) -> None:
    key = Pseudonyms(b"k" * 32, Cleaning())
    file.write_text("customer_id\n17850\np0123\n")
    assert {"p0123", *key.each(["17850"])} <= set(ids(file, pseudonyms=key))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "is missing, so it is not known who may not be contacted"),
        (b"", "cannot be read .*with a column customer_id"),
        (b"id\n1\n", "cannot be read .*with a column customer_id"),
        (b"customer_id\n\xff\xfe\n", "cannot be read .*UTF-8"),
        (b"customer_id,why\n1,2,3\n", "cannot be read"),
    ],
)
def test_an_unreadable_list_is_named(file: Path, content: bytes | None, why: str) -> None:
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SourceError, match=rf"audiences\.suppression: .*never\.csv {why}"):
        ids(file)
