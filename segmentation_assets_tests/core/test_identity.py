"""Segments keep who they are."""

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from segmentation_assets.core.identity import matched_clusters, segment_ids

labelled = st.lists(st.tuples(st.integers(1, 4), st.integers(0, 3)), min_size=1, max_size=40)


def matched(pairs):
    return matched_clusters(pd.Series([b for b, _ in pairs]), pd.Series([a for _, a in pairs]))


def test_a_cluster_of_mostly_the_same_customers_survives():
    assert matched([(7, 0)] * 9 + [(8, 0)] + [(8, 1)] * 9) == {0: 7, 1: 8}


def test_a_cluster_that_took_in_half_of_another_is_new():
    assert matched([(7, 0)] * 5 + [(8, 0)] * 5) == {}


def test_of_a_segment_that_split_the_larger_part_survives():
    assert matched([(7, 0)] * 7 + [(7, 1)] * 3) == {0: 7}


def test_without_customers_nothing_survives():
    assert matched_clusters(pd.Series(dtype="int64"), pd.Series(dtype="int64")) == {}


@given(labelled, st.randoms(use_true_random=False))
def test_matching_does_not_depend_on_the_order_of_customers(pairs, random):
    shuffled = list(pairs)
    random.shuffle(shuffled)
    assert matched(shuffled) == matched(pairs)


@given(labelled, st.permutations(range(4)))
def test_matching_does_not_depend_on_the_numbers_of_clusters(pairs, number):
    renumbered = matched([(before, number[after]) for before, after in pairs])
    assert renumbered == {number[cluster]: segment for cluster, segment in matched(pairs).items()}


@given(labelled)
def test_no_segment_survives_twice(pairs):
    found = matched(pairs)
    assert len(set(found.values())) == len(found)


def test_survivors_keep_their_id_and_others_get_new_ones():
    assert segment_ids(3, {1: 4}, highest_ever=9) == [10, 4, 11]


@given(st.lists(labelled, min_size=1, max_size=5))
def test_an_id_is_never_used_again(retrainings):
    ids, ever, highest = [1, 2, 3, 4], {1, 2, 3, 4}, 4
    for pairs in retrainings:
        before = [(ids[b % len(ids)], a) for b, a in pairs]
        found = matched(before)
        ids = segment_ids(4, found, highest)
        born = [segment for cluster, segment in enumerate(ids) if cluster not in found]
        assert not set(born) & ever
        assert len(set(ids)) == len(ids)
        ever, highest = ever | set(ids), max(highest, *ids)
