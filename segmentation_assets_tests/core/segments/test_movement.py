"""Every customer who moved is counted once, and every change of revenue has a cause."""

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentation_assets.core.segments.movement import COMPONENTS, bridge, journeys, matched, snapshots, stays, transitions
from segmentation_assets.core.segments.movement import changes as changed
from segmentation_assets.core.segments.movement import paths as went

NAMES = {-1: "Lapsed", 1: "Champions", 2: "Regulars", 3: "Dormant"}


def customers(*rows):
    return pd.DataFrame(list(rows), columns=["customer_id", "segment_id", "revenue"]).astype({"segment_id": "int64", "revenue": "float64"})


def relabelled(*rows):
    """Customers with their segment under the unchanged model."""
    return customers(*(row[:3] for row in rows)).assign(segment_id_unchanged=pd.array([row[3] for row in rows], dtype="Int64"))


def history(**paths):
    """How many customers went the same way, from their segments at consecutive snapshots; None if not known."""
    rows = pd.DataFrame(
        [(f"2024-0{i}-01", who, s) for who, path in paths.items() for i, s in enumerate(path, 1) if s is not None],
        columns=["snapshot_date", "customer_id", "segment_id"],
    ).astype({"snapshot_date": str, "customer_id": str, "segment_id": "int64"})
    placed = ibis.memtable(rows)
    return went(placed, snapshots(placed).to_pandas()["day"].tolist()).to_pandas()


def both(before, after):
    return matched(ibis.memtable(before), ibis.memtable(after)).to_pyarrow().to_pandas()


def moves(before, after):
    rows = transitions(both(before, after)).astype(object).where(lambda t: t.notna(), None)
    return {(f, t): tuple(numbers) for f, t, *numbers in rows.itertuples(index=False)}


def changes(before, after):
    """The rows of the bridge that are not 0, by segment and component."""
    rows = bridge(both(before, after))
    return {(s, c): (n, r) for s, c, n, r in rows.itertuples(index=False) if n or r}


def test_customers_who_stayed_moved_entered_and_left_are_counted():
    before = customers(("stays", 1, 10), ("moves", 1, 5), ("leaves", 2, 3))
    after = customers(("stays", 1, 11), ("moves", 2, 6), ("enters", 2, 4))
    assert moves(before, after) == {(1, 1): (1, 10, 11, 0), (1, 2): (1, 5, 6, 0), (2, None): (1, 3, 0, 0), (None, 2): (1, 0, 4, 0)}


def test_customers_moved_only_by_a_changed_model_are_counted():
    before = customers(("put", 1, 5), ("kept", 1, 5), ("moves", 1, 5))
    after = relabelled(("put", 2, 5, 1), ("kept", 1, 5, 2), ("moves", 2, 5, 2), ("new", 2, 5, 1), ("unsaid", 2, 5, None))
    assert {pair: numbers[-1] for pair, numbers in moves(before, after).items()} == {(1, 2): 1, (1, 1): 1, (None, 2): 1}


def test_each_customer_in_another_segment_is_a_change_with_its_cause():
    before = customers(("put", 1, 5), ("kept", 1, 5), ("moves", 1, 5), ("both", 1, 5), ("leaves", 2, 5))
    after = relabelled(("put", 2, 5, 1), ("kept", 1, 5, 2), ("moves", 2, 5, 2), ("both", 3, 5, 2), ("new", 2, 5, 2), ("unsaid", 2, 5, None))
    found = changed(ibis.memtable(before), ibis.memtable(after)).order_by("customer_id").to_pandas().astype(object)
    rows = found.where(found.notna(), None)[["customer_id", "change", "from_segment_id", "to_segment_id", "cause"]]
    assert list(rows.itertuples(index=False, name=None)) == [
        ("both", "moved", 1, 3, "both"),
        ("leaves", "left", 2, None, "behaviour"),
        ("moves", "moved", 1, 2, "behaviour"),
        ("new", "entered", None, 2, "behaviour"),
        ("put", "moved", 1, 2, "model"),
        ("unsaid", "entered", None, 2, "behaviour"),
    ]


def test_at_the_first_snapshot_nobody_has_changed():
    assert changed(ibis.memtable(customers()), ibis.memtable(customers(("a", 1, 2)))).to_pandas().empty


def test_at_the_first_snapshot_everyone_enters():
    assert moves(customers(), customers(("a", 1, 2), ("b", 1, 3))) == {(None, 1): (2, 0, 5, 0)}


def test_without_customers_there_are_no_moves():
    nobody = both(customers(), customers())
    assert transitions(nobody).empty
    assert bridge(nobody).empty


def test_the_customers_of_the_earlier_snapshot_come_first_in_the_order_of_their_ids():
    found = both(customers(("c", 1, 3), ("b", 1, 2)), customers(("a", 2, 1), ("c", 2, 4)))
    assert found["revenue_before"].tolist()[:2] == [2, 3]
    assert found["revenue_after"].tolist()[1:] == [4, 1]


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ([("a", 1, 10)], [("a", 1, 12, 1)], {(1, "stayed"): (1, 2)}),
        ([("a", 1, 10)], [("a", 2, 12, 2)], {(1, "left"): (1, -10), (2, "came"): (1, 12)}),
        ([("a", 1, 10)], [("a", -1, 0, -1)], {(1, "lapsed"): (1, -10)}),
        ([("a", 1, 10)], [("a", -2, 0, -2)], {(1, "lapsed"): (1, -10)}),
        ([("a", 1, 10)], [], {(1, "lapsed"): (1, -10)}),
        ([("a", 1, 10)], [("a", 0, 12, 0)], {(1, "left"): (1, -10)}),
        ([("a", 0, 10)], [("a", 1, 12, 1)], {(1, "came"): (1, 12)}),
        ([("a", -1, 0)], [("a", 1, 12, 1)], {(1, "entered"): (1, 12)}),
        ([("a", -2, 0)], [("a", 1, 12, 1)], {(1, "entered"): (1, 12)}),
        ([], [("a", 1, 12, 1)], {(1, "entered"): (1, 12)}),
        ([("a", 1, 10)], [("a", 2, 12, 1)], {(1, "model"): (1, -10), (2, "model"): (1, 12)}),
        ([("a", 1, 10)], [("a", 3, 12, 2)], {(1, "left"): (1, -10), (3, "model"): (1, 12)}),
        ([("a", 1, 10)], [("a", 1, 12, 2)], {(1, "stayed"): (1, 2)}),
        ([], [("a", 2, 12, 1)], {(2, "model"): (1, 12)}),
        ([("a", 1, 10)], [("a", 2, 12, None)], {(1, "left"): (1, -10), (2, "came"): (1, 12)}),
    ],
    ids=[
        "stayed", "moved", "lapsed", "prospect again", "no longer known", "to the unassigned", "from the unassigned", "back from lapsed",
        "first order", "new", "put elsewhere", "moved and put elsewhere", "put back", "new and put elsewhere", "model unchanged",
    ],
)  # fmt: skip
def test_every_change_has_one_cause(before, after, found):
    causes = {key: value for key, value in changes(customers(*before), relabelled(*after)).items() if key[1] not in ("before", "after")}
    assert causes == found


def test_every_segment_has_its_eight_rows_in_order():
    rows = bridge(both(customers(("a", 7, 10)), customers(("b", 2, 5), ("c", -1, 0))))
    assert rows["segment_id"].tolist() == [2] * 8 + [7] * 8
    assert rows["component"].tolist() == list(COMPONENTS) * 2
    assert rows.loc[rows["segment_id"] == 7, "revenue"].tolist() == [10, 0, 0, 0, 0, -10, 0, 0]


def test_customers_that_the_model_puts_in_and_out_are_netted_in_revenue_and_both_counted():
    before = customers(("out", 1, 10), ("in", 2, 30))
    after = relabelled(("out", 2, 11, 1), ("in", 1, 33, 2))
    assert changes(before, after)[1, "model"] == (2, 23)


def test_missing_revenue_counts_as_zero():
    assert changes(customers(("a", 1, np.nan)), customers(("a", 1, 4)))[1, "stayed"] == (1, 4)


@st.composite
def snapshot(draw, unchanged=False):
    ids = draw(st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=8))
    segments = st.sampled_from([-2, -1, 0, 1, 2, 3])
    rows = [(i, draw(segments), draw(st.floats(-100, 1e6))) for i in ids]
    return relabelled(*((*row, draw(st.none() | segments)) for row in rows)) if unchanged else customers(*rows)


@given(snapshot(), snapshot(unchanged=True))
def test_moves_add_up_to_customers_and_revenue_of_every_segment_on_both_sides(before, after):
    found = transitions(both(before, after))
    for side, revenue, then in (("from_segment_id", "revenue_before", before), ("to_segment_id", "revenue_after", after)):
        sums = found.dropna(subset=side).groupby(side)[["customers", revenue]].sum()
        truth = then.groupby("segment_id").agg(customers=("customer_id", "size"), revenue=("revenue", "sum"))
        assert {int(i): n for i, n in sums["customers"].items()} == truth["customers"].to_dict()
        assert {int(i): n for i, n in sums[revenue].items()} == pytest.approx(truth["revenue"].to_dict())
    assert found["customers"].sum() == len(set(before["customer_id"]) | set(after["customer_id"]))
    by_model = (after["segment_id_unchanged"].notna() & (after["segment_id_unchanged"] != after["segment_id"])).sum()
    assert found["customers_by_model"].sum() == by_model
    assert (found["customers_by_model"] <= found["customers"]).all()


@given(snapshot(), snapshot(unchanged=True))
def test_causes_add_up_to_the_change_of_every_segment(before, after):
    rows = bridge(both(before, after))
    revenue = rows.pivot(index="segment_id", columns="component", values="revenue")
    sizes = rows.pivot(index="segment_id", columns="component", values="customers")
    for component, then in (("before", before), ("after", after)):
        truth = then[then["segment_id"] > 0].groupby("segment_id").agg(n=("customer_id", "size"), revenue=("revenue", "sum"))
        truth = truth.reindex(revenue.index, fill_value=0)
        if len(rows):
            assert sizes[component].to_dict() == truth["n"].to_dict()
            assert revenue[component].to_dict() == pytest.approx(truth["revenue"].to_dict())
    for change in revenue.itertuples(index=False):
        causes = [getattr(change, component) for component in COMPONENTS[1:-1]]
        scale = max(map(abs, [change.before, change.after, *causes]))
        assert change.before + sum(causes) == pytest.approx(change.after, rel=1e-6, abs=1e-6 * scale)


def test_paths_are_ranked_and_use_names():
    rows = journeys(history(a=[3, 3, 1], b=[3, 1, 1], c=[None, 2, 2], d=[1, 1, 1], e=[2, None, 2], gone=[1, 1, None]), NAMES)
    assert rows.to_dict("list") == {
        "rank": [1, 2, 3, 4],
        "path": ["3 > 1", "(new) > 2", "1", "2 > (away) > 2"],
        "path_names": ["Dormant > Champions", "(new) > Regulars", "Champions throughout", "Regulars > (away) > Regulars"],
        "customers": [2, 1, 1, 1],
        "share": [0.4, 0.2, 0.2, 0.2],
    }


def test_only_the_top_paths_are_listed_with_shares_of_all_customers():
    rows = journeys(history(a=[3, 3], b=[2, 2], c=[2, 2], d=[9, 9]), NAMES, top=2)
    assert rows[["path", "share"]].values.tolist() == [["2", 0.5], ["3", 0.25]]
    assert "segment 9 throughout" in set(journeys(history(d=[9, 9]), NAMES)["path_names"])


def test_with_one_snapshot_a_path_is_the_present_segment():
    assert journeys(history(a=[1]), NAMES)["path_names"].tolist() == ["Champions"]


def test_without_history_there_are_no_paths_and_no_stays():
    assert journeys(history(), NAMES).empty
    assert stays(history()).empty


def test_how_long_customers_stay_and_where_they_go():
    rows = stays(history(a=[1, 1, 1], b=[1, 2, 1], c=[2, 2, 1], d=[None, 1, 2], gone=[1, 3, None])).set_index("segment_id")
    assert rows.index.tolist() == [1, 2]
    assert rows["customers"].to_dict() == {1: 3, 2: 1}
    assert rows.loc[1, ["mean_snapshots", "median_snapshots"]].tolist() == [pytest.approx(5 / 3), 1]
    # From 1: a twice to itself, b and d to 2, gone to 3. From 2: c to itself, b and c to 1.
    assert rows["chance_to_move"].to_dict() == {1: 3 / 5, 2: 2 / 3}
    assert rows["next_segment_id"].to_dict() == {1: 2, 2: 1}
    assert rows["next_share"].to_dict() == {1: 2 / 3, 2: 1}


def test_a_customer_no_longer_known_has_not_moved():
    rows = stays(history(a=[1, 1], gone=[1, None])).set_index("segment_id")
    assert rows.loc[1, "chance_to_move"] == 0
    assert pd.isna(rows.loc[1, "next_segment_id"])


def test_with_one_snapshot_the_chance_to_move_is_unknown():
    (row,) = stays(history(a=[1])).itertuples()
    assert (row.customers, row.mean_snapshots) == (1, 1)
    assert np.isnan(row.chance_to_move)
    assert pd.isna(row.next_segment_id)
    assert np.isnan(row.next_share)


paths = st.lists(st.lists(st.sampled_from([None, -1, 0, 1, 2]), min_size=4, max_size=4), min_size=1, max_size=12)


@given(paths, st.randoms(use_true_random=False))
def test_paths_count_all_customers_of_the_last_snapshot_in_any_order_of_rows(found, random):
    rows = history(**{f"c{i}": path for i, path in enumerate(found)})
    at_last = int(rows.loc[rows.iloc[:, -2].notna(), "customers"].sum())  # the last column but one is the last snapshot
    all_paths, present = journeys(rows, NAMES, top=100), stays(rows)
    assert all_paths["customers"].sum() == present["customers"].sum() == at_last
    assert all_paths["share"].sum() == pytest.approx(1 if at_last else 0)
    assert present["mean_snapshots"].between(1, 4).all()
    shuffled = rows.sample(frac=1, random_state=random.randrange(1000))
    pd.testing.assert_frame_equal(journeys(shuffled, NAMES, top=100), all_paths)
    pd.testing.assert_frame_equal(stays(shuffled), present)
