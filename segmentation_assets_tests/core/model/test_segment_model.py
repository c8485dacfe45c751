"""The model in force: stored as rows without loss, carried forward unchanged, and retrained with the identity of segments kept."""

import datetime as dt
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentation_assets.core.choice.grid_model import GridModel
from segmentation_assets.core.choice.rfm_grid import rfm_grid
from segmentation_assets.core.model.champion import SnapshotContext, next_model
from segmentation_assets.core.model.naming import LAPSED, NOISE, PROSPECT
from segmentation_assets.core.model.population import drift_report
from segmentation_assets.core.model.rows import model_from_rows, model_to_rows
from segmentation_assets.core.model.segment_model import Segment
from segmentation_assets.core.model.training import ModelSpec, PreviousSnapshot
from segmentation_assets.core.segments import segment_events
from segmentation_assets.settings.model import DriftSettings, GridSettings, ModelSettings, RetrainSettings
from segmentation_assets_tests.builders import features
from segmentation_assets_tests.conftest import examples

COLUMNS = ("recency_days", "frequency", "monetary")
ASK = ModelSettings(algorithms=("kmeans",), k_min=2, k_max=3, resamples=10, splits=1, seed=1)
DAY, LATER = dt.date(2024, 2, 1), dt.date(2024, 3, 1)
GOOD = [(1, 20, 900), (2, 22, 1000), (1, 24, 1100)]
POOR = [(70, 1, 5), (75, 2, 6), (80, 1, 7)]
SHOP = features(*GOOD, *POOR)


def decided(frame=SHOP, previous=None, day=DAY, features=COLUMNS, ask=ASK, settings_digest="digest", past=None):
    active = frame[frame["status"] == "active"].reset_index(drop=True)
    spec = ModelSpec(ask.model_copy(update={"features": features}), settings_digest)
    undrifted = drift_report(None, None, active, ask, DriftSettings())
    return next_model(active, previous, undrifted, spec, day, RetrainSettings(), SnapshotContext(past=lambda: past))


def train(frame=SHOP, previous=None, k=2, seed=1, **further):
    return decided(frame, previous, ask=ASK.model_copy(update={"k": k, "fallback_k": k, "seed": seed}), **further).model


def read_back(model):
    return model_from_rows(model_to_rows(model).sample(frac=1, random_state=1))


def test_two_groups_of_customers_are_two_segments():
    ids = train().assign(SHOP)["segment_id"].tolist()
    assert ids[:3] == [ids[0]] * 3
    assert ids[3:] == [ids[3]] * 3
    assert {ids[0], ids[3]} == {1, 2}


def test_a_model_read_back_assigns_customers_identically_to_the_bit():
    model = train()
    others = features(*((r, f, m) for r in (0, 33, 90) for f in (1, 7) for m in (0, 123.456)))
    pd.testing.assert_frame_equal(read_back(model).assign(others), model.assign(others), check_exact=True)


def test_a_model_read_back_has_the_same_segments_and_provenance():
    model = train()
    assert (read_back(model).segments, read_back(model).provenance) == (model.segments, model.provenance)


@examples(8)
@given(st.lists(st.tuples(st.none() | st.floats(0, 1e4), st.integers(1, 99), st.floats(-1e3, 1e6)), max_size=6), st.integers(2, 4))
def test_a_model_of_any_customers_is_the_same_when_read_back(customers, k):
    frame = features(*customers)
    model = train(frame, k=k)
    pd.testing.assert_frame_equal(read_back(model).assign(frame), model.assign(frame), check_exact=True)


def test_lost_rows_are_refused():
    rows = model_to_rows(train())
    with pytest.raises(ValueError, match="lost its provenance rows"):
        model_from_rows(rows[rows["component"] != "provenance"])


def test_inactive_customers_have_a_segment_by_rule_and_no_distance():
    others = pd.concat([features((400, 0, 0), status="lapsed"), features((None, 0, 0), status="prospect")])
    found = train().assign(others)
    assert found["segment_id"].tolist() == [LAPSED, PROSPECT]
    assert found["segment_name"].tolist() == ["Lapsed", "Prospects"]
    assert found[["distance", "confidence"]].isna().all(axis=None)


def test_without_active_customers_there_is_a_model_without_clusters():
    model = train(features((400, 0, 0), status="lapsed"))
    assert (model.clusters, model.segments, model.provenance.k) == (None, (), 0)
    assert "No customers are active, so there are no segments by model." in model.provenance.reason


def test_a_model_without_clusters_leaves_active_customers_unassigned():
    assert set(train(features()).assign(SHOP)["segment_id"]) == {NOISE}


@pytest.mark.parametrize(
    ("customers", "k"), [([(5, 1, 10)], 1), ([(5, 1, 10)] * 4, 1), ([(1, 1, 1), (90, 9, 999)], 2), ([(1, 1, 1), (1, 1, 1), (9, 9, 9)], 2)]
)
def test_few_or_identical_customers_give_one_segment_per_distinct_customer(customers, k):
    model = train(features(*customers), k=3)
    assert (model.provenance.k, len(model.segments)) == (k, k)
    said = "There is 1 segment instead of 3." if k == 1 else "so there are 2 segments instead of 3."
    assert model.provenance.reason.endswith(said)


def test_few_different_customers_are_not_called_alike():
    """Three customers with two orders each, as in a shop's first month."""
    model = train(features((25, 2, 23), (24, 2, 25), (23, 2, 27)), k=5)
    assert [s.segment_id for s in model.segments] == [1, 2, 3]
    assert model.provenance.reason.endswith(" Only 3 customers are active, so there are 3 segments instead of 5.")
    assert "cuts it into 3: customers differ too little for the business's 5" in model.provenance.tier_reason


def test_fewer_customers_than_k_min_get_one_segment_each():
    ask = ASK.model_copy(update={"k_min": 4, "k_max": 6, "k": 5, "fallback_k": 4})
    assert decided(features((25, 2, 23), (24, 2, 25), (23, 2, 27)), ask=ask).model.provenance.k == 3


@pytest.mark.parametrize(
    ("past", "why"),
    [
        (None, "there was no earlier snapshot to judge it by."),
        (PreviousSnapshot(SHOP.iloc[:0], np.zeros(0)), "there was no earlier snapshot to judge it by."),
        (
            PreviousSnapshot(SHOP, np.zeros(6)),
            "all customers had spent the same since the previous snapshot, so there was nothing to explain.",
        ),
    ],
)
def test_a_model_not_yet_validated_is_reported_as_such(past, why):
    assert train(past=past).provenance.tier_reason.endswith(f"Not yet validated when it was chosen: {why}")


def test_the_number_of_different_combinations_is_reported():
    model = train(features(*[(5, 1, 10)] * 40, *[(50, 4, 90)] * 40), k=3)
    said = "The 80 active customers have only 2 combinations of feature values, so there are 2 segments instead of 3."
    assert model.provenance.reason.endswith(said)


def test_customers_alike_only_after_winsorising_are_reported_as_such():
    one = train(features((1, 1, 1), *[(5, 2, 10)] * 250, (90, 9, 999)), k=3)
    assert "alike in the features used once extreme values are moved (model.winsorize)" in one.provenance.tier_reason


def test_constant_and_wholly_missing_features_change_no_segment():
    frame = SHOP.assign(same=1.0, none=np.nan)
    with_them = train(frame, features=(*COLUMNS, "same", "none"))
    assert with_them.assign(frame)["segment_id"].tolist() == train().assign(SHOP)["segment_id"].tolist()


def test_customers_with_a_missing_feature_are_assigned_and_the_imputation_is_listed():
    frame = SHOP.assign(age=[20.0, np.nan, 24, 60, 62, 64])
    placed = train(frame, features=(*COLUMNS, "age")).assign(frame)
    assert placed["imputed_features"].fillna("").tolist() == ["", "age", "", "", "", ""]
    assert placed["segment_id"].tolist() == train().assign(SHOP)["segment_id"].tolist()


def test_constant_features_give_one_segment():
    assert train(SHOP.assign(same=1.0), features=("same",)).provenance.k == 1


def test_an_unknown_feature_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"model\.features: age is not a feature\. Choose from: frequency, monetary, "):
        train(features=("age",))


def test_the_order_of_customers_does_not_matter():
    shuffled = SHOP.iloc[[5, 2, 0, 4, 1, 3]].reset_index(drop=True)
    pd.testing.assert_frame_equal(model_to_rows(train(shuffled)), model_to_rows(train()), check_exact=True)


def test_a_model_is_carried_forward_unchanged():
    model = train()
    carried = train(features(*POOR), previous=model, day=LATER)
    assert carried.provenance.decision == "carried forward"
    assert "The model of 2024-02-01 is carried forward" in carried.provenance.reason
    about = carried.provenance
    same = replace(about, decision=model.provenance.decision, reason=model.provenance.reason, unsound=0)
    assert same == model.provenance
    pd.testing.assert_frame_equal(carried.assign(SHOP), model.assign(SHOP), check_exact=True)
    assert [(s.segment_id, s.name) for s in carried.segments] == [(s.segment_id, s.name) for s in model.segments]


def test_carrying_forward_twice_is_the_same_as_once():
    once = train(previous=train(), day=LATER)
    assert train(previous=once, day=dt.date(2024, 4, 1)).provenance == once.provenance


def test_changed_settings_train_again_and_surviving_segments_keep_id_and_name():
    old = train()
    new = train(previous=old, day=LATER, settings_digest="other", seed=2)
    assert (new.provenance.decision, new.provenance.fitted_snapshot) == ("trained", "2024-03-01")
    assert "settings of the model have changed" in new.provenance.reason
    assert {(s.segment_id, s.name, s.character) for s in new.segments} == {(s.segment_id, s.name, s.character) for s in old.segments}
    assert new.assign(SHOP)["segment_id"].tolist() == old.assign(SHOP)["segment_id"].tolist()
    assert new.provenance.model_version != old.provenance.model_version


def test_a_new_segment_gets_an_unused_id_and_its_own_name():
    middle = [(30, 8, 90), (31, 8, 95), (32, 9, 99)]
    old = train(features(*GOOD, *POOR))
    new = train(features(*GOOD, *POOR, *middle), previous=old, day=LATER, k=3, settings_digest="other")
    assert {s.segment_id for s in new.segments} > {s.segment_id for s in old.segments} or len({s.segment_id for s in new.segments}) == 3
    assert min({s.segment_id for s in new.segments} - {s.segment_id for s in old.segments}) == 3
    assert len({s.name for s in new.segments}) == 3


def test_events_of_segments_without_active_customers_have_no_percentages():
    before, now = train(k=3), train(features(*GOOD, *[(30, 5, 90)] * 3), settings_digest="other")
    sentences = segment_events.events(before, now, SHOP.iloc[:0], LATER)["sentence"].tolist()
    assert not [sentence for sentence in sentences if "%" in sentence]
    assert [sentence.endswith("survived the change of model, but is empty: no active customer is in it.") for sentence in sentences].count(
        True
    ) == 2
    assert [sentence.endswith("is no more; no active customer was in it.") for sentence in sentences].count(True) == 1


def test_customers_who_moved_together_remain_the_same_segment():
    before, moved = train(), features(*GOOD, (1, 40, 90), (2, 42, 95), (1, 44, 99))  # the low spenders have become regulars
    assert set(before.assign(moved)["segment_id"]) == {before.assign(SHOP)["segment_id"][0]}
    past = PreviousSnapshot(SHOP, np.zeros(6))
    now = train(moved, previous=before, day=LATER, settings_digest="other", past=past)
    assert now.assign(moved)["segment_id"].tolist() == before.assign(SHOP)["segment_id"].tolist()
    told = segment_events.events(before, now, moved, LATER).set_index("event")["sentence"]
    assert told["survived"].str.endswith("its customers moved together, so it is the same segment in another place.").all()
    assert told["changed character"].str.contains("is now called").all()


def test_a_name_that_another_segment_takes_is_said_to():
    before, now, heir = Segment(4, "Average", "steady"), Segment(4, "Rare", "occasional"), Segment(6, "Average", "steady")
    assert segment_events._judged(before, now, [now, heir]) == (
        "Average (4) is now called Rare: its typical customer was steady and is now occasional. The name Average now belongs to another "
        "segment (6)."
    )
    assert "belongs" not in segment_events._judged(before, before, [before])


def test_an_empty_segment_is_called_empty_whatever_else_is_said_of_its_customers():
    before, now = train(), train(previous=train(), day=LATER, settings_digest="other")
    good, poor = (found.iloc[:3].reset_index(drop=True) for found in (SHOP, SHOP.iloc[3:]))
    empty = {said.rpartition(" (")[0] for said in segment_events.events(before, now, good, LATER)["sentence"] if "but is empty" in said}
    assert empty == set(now.assign(poor)["segment_name"])
    born = segment_events.events(None, now, good, LATER)["sentence"]
    assert born.str.contains("was born, but is empty: no active customer is in it.", regex=False).tolist().count(True) == 1


def test_only_customers_who_did_move_are_said_to_have_moved_together():
    earlier = train()
    moved = SHOP.assign(recency_days=SHOP["recency_days"].to_numpy()[::-1], frequency=SHOP["frequency"].to_numpy()[::-1])
    swapped = replace(earlier, segments=earlier.segments[::-1], provenance=replace(earlier.provenance, model_version="other"))
    back = replace(swapped, provenance=replace(swapped.provenance, decision="rolled back"))
    assert segment_events.events(earlier, swapped, moved, LATER)["sentence"].str.contains("moved together").all()
    assert segment_events.events(earlier, back, moved, LATER)["sentence"].str.endswith("0% of old and new are the same customers.").all()


def test_a_split_and_a_merger_name_different_segments():
    everybody = features(*GOOD, *POOR, (30, 8, 90)).assign(tenure_days=400.0)
    two = train(everybody)
    three = train(everybody, previous=two, day=LATER, k=3, settings_digest="other")
    (new,) = (f"{s.name} ({s.segment_id})" for s in three.segments if s.segment_id == 3)
    old = dict(segment_events.events(two, three, everybody, LATER)[["event", "sentence"]].itertuples(index=False))["split"]
    assert old.startswith(f"{new} split off from ") and "together they hold 100% of what " in old
    told = dict(segment_events.events(three, two, everybody, LATER)[["event", "sentence"]].itertuples(index=False))["merged"]
    assert told.startswith(f"{new} was merged into ") and told.endswith("; together they make up 100% of it.")


def test_the_birth_of_a_segment_counts_its_new_customers():
    middle = [(30, 8, 90), (31, 8, 95), (32, 9, 99)]
    everybody = features(*GOOD, *POOR, *middle)
    everybody["tenure_days"] = [400.0] * len(GOOD + POOR) + [20.0] * 3
    before = train(features(*GOOD, *POOR))
    now = train(everybody, previous=before, day=LATER, k=3, settings_digest="other")
    born = segment_events.events(before, now, everybody, LATER).set_index("event").loc["born"]
    assert born["sentence"].endswith("was born, from 3 new customers.")


def test_the_id_of_a_dead_segment_is_not_reused():
    two = train()
    one = train(features(*[GOOD[0]] * 4), previous=two, settings_digest="one")  # all alike: one segment
    again = train(previous=one, k=2, settings_digest="two")
    assert not {s.segment_id for s in again.segments} & {1, 2} - {s.segment_id for s in one.segments}
    assert again.provenance.highest_segment_id == max(s.segment_id for s in again.segments)


def test_a_model_without_clusters_is_replaced_as_soon_as_there_are_customers():
    empty = train(features())
    assert train(features(), previous=empty, day=LATER).provenance.decision == "carried forward"
    found = train(previous=empty, day=LATER)
    assert found.provenance.decision == "trained"
    assert "had no active customers to learn from" in found.provenance.reason


def test_versions_differ_with_the_settings_and_with_the_customers():
    versions = {train().provenance.model_version, train(settings_digest="x").provenance.model_version}
    assert len(versions | {train(features(*GOOD, (99, 9, 9))).provenance.model_version}) == 3


def test_a_version_depends_only_on_the_input_so_that_machines_agree():
    elsewhere = SHOP.assign(monetary=SHOP["monetary"] * (1 + 1e-15)).sample(frac=1, random_state=1).reset_index(drop=True)
    assert train(elsewhere).provenance.model_version == train().provenance.model_version
    before = train(settings_digest="x")
    assert train(previous=before, day=LATER).provenance.model_version != train(day=LATER).provenance.model_version


def test_a_model_states_its_tier_and_keeps_all_candidates():
    found = decided()
    about = found.model.provenance
    assert about.tier == "convenient"
    assert "Not yet validated" in about.tier_reason
    assert [c.reason for c in found.candidates if c.chosen] == [about.tier_reason]
    assert found.candidates[-1].algorithm == "rfm_grid"


def test_a_model_carried_forward_is_the_only_candidate():
    (standing,) = decided(previous=train(), day=LATER).candidates
    assert (standing.chosen, len(standing.jaccard)) == (True, standing.k)


# Only orders explain later spend; recency and spend are noise, which k-means also cuts.
RNG = np.random.default_rng(3)
MANY = features(*zip(RNG.integers(0, 90, 300) * 1.0, RNG.integers(1, 30, 300) * 1.0, RNG.lognormal(3, 2, 300), strict=True))
GRID_WINS = PreviousSnapshot(MANY, np.asarray(rfm_grid(MANY["recency_days"], MANY["frequency"])["segment"] == "champions", dtype=float))


def test_a_grid_that_explains_more_of_later_spend_is_published_with_its_names():
    model = train(MANY, past=GRID_WINS)
    assert isinstance(model.clusters, GridModel)
    assert (model.provenance.tier, model.provenance.algorithm, model.provenance.k) == ("grid", "rfm_grid", 10)
    expected = rfm_grid(MANY["recency_days"], MANY["frequency"])["segment"].str.capitalize()
    assert model.assign(MANY)["segment_name"].tolist() == expected.tolist()


def test_a_grid_read_back_is_carried_forward_and_assigns_new_customers():
    model = read_back(train(MANY, past=GRID_WINS))
    later = train(MANY, previous=model, day=LATER)
    assert later.provenance.decision == "carried forward"
    assert later.assign(features((0, 99, 1), (400, 1, 1)))["segment_name"].tolist() == ["Champions", "Hibernating"]


OWN_GRID = GridSettings(recency_days=(30.0,), frequency=2, names={"22*": "Fans", "2**": "New", "***": "Gone"})


def own_grid(previous=None, frame=MANY, day=DAY, settings_digest="own", past=None, **grid):
    ask = ASK.model_copy(update={"tier": "grid", "grid": OWN_GRID.model_copy(update=grid)})
    return decided(frame, previous, day, ask=ask, settings_digest=settings_digest, past=past)


def test_the_grid_of_the_settings_is_published_with_the_model_beside_it():
    found = own_grid(past=GRID_WINS)
    about = found.model.provenance
    assert (about.tier, about.k, [s.name for s in found.model.segments]) == ("grid", 3, ["Gone", "New", "Fans"])
    expected = np.where(MANY["recency_days"] > 30, "Gone", np.where(MANY["frequency"] > MANY["frequency"].quantile(0.5), "Fans", "New"))
    assert found.model.assign(MANY)["segment_name"].tolist() == expected.tolist()
    assert "One snapshot back, it explained" in about.tier_reason and "Without model.tier, this would be published:" in about.tier_reason
    assert [c.algorithm for c in found.candidates if c.chosen] == ["rfm_grid"]
    assert "kmeans" in {c.algorithm for c in found.candidates}


def test_the_grid_of_the_settings_takes_the_place_of_the_named_grid_with_as_many_names():
    ask = ASK.model_copy(update={"tier": "grid"})
    keys = [(c.algorithm, c.k) for c in decided(MANY, None, DAY, ask=ask, settings_digest="own").candidates]
    assert len(set(keys)) == len(keys) and "rfm_grid" in dict(keys)


def test_a_grid_with_fixed_edges_is_carried_forward_and_a_refitted_one_keeps_its_ids():
    first, frequent = own_grid().model, MANY.assign(frequency=MANY["frequency"] + 100)
    carried, refitted = own_grid(first, frequent, LATER).model, own_grid(first, frequent, LATER, edges="refitted").model
    assert "edges of the settings' grid are fixed" in carried.provenance.reason
    assert carried.clusters == read_back(first).clusters
    assert refitted.provenance.decision == "trained"
    assert refitted.clusters.frequency_cuts == tuple(cut + 100 for cut in first.clusters.frequency_cuts)
    assert refitted.segments == first.segments


def test_a_grid_with_other_names_keeps_the_ids_of_the_old_ones():
    first = own_grid(frame=SHOP).model
    other = own_grid(first, SHOP, LATER, "other", names={"22*": "Fans", "***": "Rest"}).model
    assert [(s.segment_id, s.name) for s in other.segments] == [(4, "Rest"), (first.segments[2].segment_id, "Fans")]


def test_a_refitted_grid_keeps_its_ids_and_one_after_a_model_gets_new_ones():
    model = train(MANY)
    grid = train(MANY, previous=model, settings_digest="x", past=GRID_WINS)
    again = train(MANY, previous=grid, settings_digest="y", past=GRID_WINS)
    assert min(s.segment_id for s in grid.segments) > model.provenance.highest_segment_id
    assert again.segments == grid.segments
    assert len({s.name for s in (*model.segments, *grid.segments)}) == len(model.segments) + 10
