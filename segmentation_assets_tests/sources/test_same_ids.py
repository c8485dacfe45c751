"""A small part of each of two columns tells which share of the ids of one are in the other."""

import ibis
import pytest

from segmentation_assets.sources.reading import connect
from segmentation_assets.sources.same_ids import KEPT, Ids


@pytest.fixture(scope="module")
def backend():
    backend = connect()
    yield backend
    backend.disconnect()


def ids_of(backend, values):
    return Ids.of(backend, ibis.memtable({"id": [None, *values]}, schema={"id": "string"}).id)


@pytest.mark.parametrize(
    ("ids", "others", "share"),
    [("abc", "abcd", 1), ("abcd", "abc", 0.75), ("aab", "bc", 0.5), ("ab", "cd", 0), ("", "ab", 0), ("ab", "", 0)],
)
def test_of_few_ids_the_share_is_exact(backend, ids, others, share):
    assert ids_of(backend, ids).share_in(ids_of(backend, others)) == share


@pytest.mark.parametrize(("begin", "share"), [(0, 1), (10_000, 0.5), (20_000, 0)])
def test_of_many_ids_the_share_is_nearly_right(backend, begin, share):
    ids, others = (ids_of(backend, [f"c{i}" for i in range(first, first + 20_000)]) for first in (begin, 0))
    assert len(ids.smallest) == KEPT
    assert ids.share_in(others) == pytest.approx(share, abs=0.05)


def test_a_repeated_id_is_noticed(backend):
    assert [ids_of(backend, ids).repeat for ids in ("abc", "abca")] == [False, True]


def test_ids_of_several_files_are_those_of_one(backend):
    every = [f"c{i}" for i in range(20_000)]
    parts = [ids_of(backend, every[begin : begin + 5_000]) for begin in range(0, 20_000, 5_000)]
    assert Ids.together(parts) == ids_of(backend, every)
    assert Ids.together([ids_of(backend, "abc"), ids_of(backend, "cd")]).repeat
