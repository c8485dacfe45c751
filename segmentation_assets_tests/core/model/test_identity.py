"""The identity of segments: which survive a new model, and what became of the others."""

import datetime as dt

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from segmentation_assets.core.model.identity import Flow, judged_anew, known_before, matched_clusters, segment_events, segment_ids
from segmentation_assets.core.model.training import PreviousSnapshot

labelled = st.lists(st.tuples(st.integers(1, 4), st.integers(0, 3)), min_size=1, max_size=40)


def matched(pairs):
    return matched_clusters(pd.Series([b for b, _ in pairs]), pd.Series([a for _, a in pairs]))


def test_a_cluster_with_mostly_the_same_customers_survives():
    assert matched([(7, 0)] * 9 + [(8, 0)] + [(8, 1)] * 9) == {0: 7, 1: 8}


def test_a_cluster_of_two_equal_parts_is_new():
    assert matched([(7, 0)] * 5 + [(8, 0)] * 5) == {}


def test_the_larger_part_of_a_split_segment_survives():
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


def flow(pairs, old, new):
    before, after = (pd.Series([p[side] for p in pairs], dtype="int64") for side in (0, 1))
    return Flow.of(before, after, old, new)


GONE = 0  # the segment of customers who no longer buy


def events(pairs, old, new, highest=9, moved=None, newcomers=None):
    """`pairs`: customers' present segments in both models; `moved`: their segments a lookback ago and now."""
    then = None if moved is None else flow(moved, old, new)
    found = segment_events(flow(pairs, old, new), then, old, new, highest, newcomers or {})
    return [(e.event, e.before, e.after, None if np.isnan(e.overlap) else round(e.overlap, 2)) for e in found]


def test_a_planted_split_is_recognised_and_the_larger_part_keeps_the_id():
    assert events([(1, 1)] * 6 + [(1, 10)] * 4 + [(2, 2)] * 9, [1, 2], [1, 2, 10]) == [
        ("split", (1,), (1, 10), 1.0), ("survived", (2,), (2,), 1.0),
    ]  # fmt: skip


def test_a_planted_merger_is_recognised():
    assert events([(1, 10)] * 5 + [(2, 10)] * 5 + [(3, 3)] * 9, [1, 2, 3], [3, 10]) == [
        ("merged", (1, 2), (10,), 1.0), ("survived", (3,), (3,), 1.0),
    ]  # fmt: skip


def test_a_planted_birth_and_a_planted_death_are_recognised():
    pairs = [(1, 10)] * 3 + [(2, 10)] * 3 + [(3, 10)] * 3 + [(4, 1)] * 3 + [(4, 2)] * 3 + [(4, 3)] * 3 + [(i, i) for i in (1, 2, 3)] * 9
    assert [e[:3] for e in events(pairs, [1, 2, 3, 4], [1, 2, 3, 10]) if e[0] != "survived"] == [("born", (), (10,)), ("died", (4,), ())]


def test_a_split_or_merger_with_a_small_part_is_recognised():
    assert events([(1, 1)] * 8 + [(1, 10)] * 2, [1], [1, 10])[0][:3] == ("split", (1,), (1, 10))
    assert events([(1, 1)] * 8 + [(2, 1)] * 2, [1, 2], [1])[0][:3] == ("merged", (1, 2), (1,))
    assert [e[0] for e in events([(1, 1)] * 95 + [(2, 1)] * 5, [1, 2], [1])] == ["died", "survived"]


def test_groups_that_became_alike_are_merged_even_if_both_models_now_place_them_together():
    today, moved = [(1, 1)] * 10 + [(3, 3)] * 5, [(1, 1)] * 5 + [(2, 1)] * 5 + [(3, 3)] * 5
    assert [e[0] for e in events(today, [1, 2, 3], [1, 3])] == ["died", "survived", "survived"]
    assert events(today, [1, 2, 3], [1, 3], moved=moved)[0] == ("merged", (1, 2), (1,), 1.0)


def test_a_segment_whose_customers_stopped_buying_died_even_if_the_few_left_are_elsewhere():
    today, moved = [(1, 1)] * 8 + [(2, 1)] * 2, [(1, 1)] * 8 + [(2, 1)] * 2 + [(2, GONE)] * 8
    assert [e[:2] for e in events(today, [1, 2], [1], moved=moved)] == [("died", (2,)), ("survived", (1,))]


def test_customers_who_left_for_a_new_segment_split_theirs_even_via_another():
    today, moved = [(1, 1)] * 6 + [(2, 2)] * 6 + [(2, 10)] * 4, [(1, 1)] * 6 + [(2, 2)] * 6 + [(1, 10)] * 4
    assert events(today, [1, 2], [1, 2, 10], moved=moved)[0] == ("split", (1,), (1, 10), 1.0)


def test_a_segment_of_new_customers_is_born_and_not_part_of_a_split():
    pairs = [(1, 1)] * 6 + [(1, 10)] * 2
    assert events(pairs, [1], [1, 10], newcomers={10: 30}) == [("born", (), (10,), 1.0), ("survived", (1,), (1,), 0.75)]


def test_a_segment_with_an_earlier_id_is_restored_and_not_born():
    assert ("restored", (), (2,), None) in events([(1, 1)] * 5, [1], [1, 2], highest=3)
    assert ("born", (), (4,), None) in events([(1, 1)] * 5, [1], [1, 4], highest=3)


def test_a_segment_that_keeps_its_id_and_nobody_has_no_part_in_a_split_or_merger():
    assert events([(1, 10)] * 19 + [(1, 1)], [1], [1, 10]) == [("born", (), (10,), 1.0), ("survived", (1,), (1,), 0.05)]
    assert events([(1, 2)] * 19 + [(2, 2)], [1, 2], [2]) == [("died", (1,), (), 1.0), ("survived", (2,), (2,), 0.05)]


def test_a_segment_without_customers_survives_if_its_id_does():
    assert events([(1, 1)] * 5, [1, 2], [1, 2]) == [("survived", (1,), (1,), 1.0), ("survived", (2,), (2,), None)]


@given(st.lists(st.tuples(st.integers(1, 4), st.sampled_from([1, 2, 10, 11])), max_size=40), st.randoms(use_true_random=False))
def test_every_segment_has_an_event_in_any_order_of_customers(pairs, random):
    found = events(pairs, [1, 2, 3, 4], [1, 2, 10, 11])
    assert {i for e in found for i in e[1]} >= {3, 4}
    assert {i for e in found for i in e[2]} >= {10, 11}
    assert {i for e in found for i in (*e[1], *e[2])} == {1, 2, 3, 4, 10, 11}
    shuffled = list(pairs)
    random.shuffle(shuffled)
    assert events(shuffled, [1, 2, 3, 4], [1, 2, 10, 11]) == found


def test_another_character_is_an_event_and_so_is_another_name_alone():
    before = {1: ("loyal", "A"), 2: ("new", "B"), 3: ("new", "C"), 4: ("new", "D")}
    now = {1: ("champions", "A"), 2: ("new", "B"), 3: ("new", "E"), 5: ("new", "F")}
    assert [(e.event, e.before) for e in judged_anew(before, now)] == [("changed character", (1,)), ("renamed", (3,))]


def test_without_orders_everybody_counts_as_known_because_nothing_says_since_when():
    customers = pd.DataFrame({"customer_id": ["a", "b"], "tenure_days": [40.0, 20.0]})
    as_of = dt.date(2024, 3, 1)
    assert known_before(customers, as_of, "2024-02-01").tolist() == [True, False]
    assert known_before(customers.drop(columns="tenure_days"), as_of, "2024-02-01").tolist() == [True, True]


def test_a_past_without_orders_is_nothing_to_judge_spend_by():
    customers = pd.DataFrame({"income": [1.0, 2.0]})
    ordered = customers.assign(recency_days=1.0, frequency=1.0, monetary=1.0)
    assert PreviousSnapshot(customers, np.zeros(2)).of(("income",)) is None
    assert PreviousSnapshot(ordered, np.zeros(2)).of(("income",)) is not None
