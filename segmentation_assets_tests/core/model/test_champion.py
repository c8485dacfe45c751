"""Champion and challenger: when a challenger is trained, the gates it must pass, and the reasons given."""

import datetime as dt
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from segmentation_assets.core.model.champion import Request, SnapshotContext, next_model
from segmentation_assets.core.model.naming import Standing
from segmentation_assets.core.model.population import drift_report, training_population
from segmentation_assets.core.model.rows import model_to_rows
from segmentation_assets.core.model.segment_model import Segment
from segmentation_assets.core.model.training import ModelSpec, PreviousSnapshot, train, train_from
from segmentation_assets.core.segments.segment_events import events
from segmentation_assets.settings.model import DriftSettings, ModelSettings, RetrainSettings
from segmentation_assets.vocabulary import Tier
from segmentation_assets_tests.builders import features

ASK = ModelSettings(algorithms=("kmeans",), k_min=2, k_max=3, k=3, fallback_k=2, resamples=10, splits=1, seed=1)
SPEC = ModelSpec(ASK, "digest")
DAY, LATER = dt.date(2024, 2, 1), dt.date(2024, 3, 1)


def customers(seed: int, scale: float = 1.0, n: int = 400) -> pd.DataFrame:
    """Three groups whose orders and spend are all multiplied by `scale`."""
    rng = np.random.default_rng(seed)
    group = np.arange(n) % 3
    recency = np.array([3.0, 20.0, 70.0])[group] * rng.lognormal(0, 0.2, n)
    frequency = np.array([30.0, 10.0, 2.0])[group] * rng.lognormal(0, 0.2, n) * scale
    monetary = np.array([900.0, 200.0, 30.0])[group] * rng.lognormal(0, 0.2, n) * scale
    return features(*zip(recency, frequency, monetary, strict=True))


TRAINING, SHIFTED = customers(1), customers(2, scale=4.0)


def first(frame):
    return train(frame, None, SPEC, DAY, "There is none.").model


CHAMPION = first(TRAINING)


def drifted(frame, champion=CHAMPION, training=TRAINING):
    return drift_report(champion, training_population(champion, training, ASK), frame, ASK, DriftSettings())


def after(frame, champion=CHAMPION, retrain=None, training=TRAINING, spec=SPEC, **now):
    report = drifted(frame, champion, training)
    return next_model(frame, champion, report, spec, LATER, retrain or RetrainSettings(), SnapshotContext(**now))


def test_without_drift_the_champion_is_carried_forward():
    decided = after(customers(3))
    assert (decided.model.provenance.decision, decided.refused) == ("carried forward", None)
    assert decided.model.provenance.reason == "The model of 2024-02-01 is carried forward: nothing that it depends on has drifted."


def test_the_previous_snapshot_is_not_read_unless_a_model_is_trained():
    assert after(customers(3), past=lambda: pytest.fail("read")).model.provenance.decision == "carried forward"


NOBODY = TRAINING.iloc[:0]


@pytest.mark.parametrize("policy", ["on_drift", "always", "never", "max_age"])
def test_without_active_customers_drift_is_reported_as_not_measured(policy):
    model = after(NOBODY, retrain=RetrainSettings(policy=policy, max_age=1), age=5).model
    assert model.provenance.reason == ("The model of 2024-02-01 is carried forward: no customer is active, so drift was not measured.")
    assert drifted(NOBODY)["flagged"].isna().all() and len(drifted(NOBODY))


def test_settings_changed_while_nobody_was_active_keep_the_model_until_someone_is():
    changed = after(NOBODY, spec=replace(SPEC, settings_digest="other")).model
    assert changed.provenance.model_version == CHAMPION.provenance.model_version
    assert changed.provenance.reason.endswith(
        "no customer is active, so drift was not measured, and the model cannot be trained again although its settings have changed."
    )
    again = after(customers(3), changed, spec=replace(SPEC, settings_digest="other")).model
    assert again.provenance.reason.startswith("The settings of the model have changed since it was fitted, so it is trained again.")


def test_if_nobody_was_ever_active_there_are_still_no_segments():
    assert (
        after(NOBODY, first(NOBODY), training=NOBODY).model.provenance.reason
        == "As at 2024-02-01, no customer is active, so there are still no segments by model."
    )


def test_drift_that_few_customers_do_not_allow_to_measure_is_named():
    few = customers(1, n=15)
    assert after(few, first(few), training=few).model.provenance.reason.endswith(
        "nothing that it depends on has drifted (model features together could not be measured)."
    )


def test_drift_of_model_features_promotes_a_challenger_that_keeps_ids():
    model = after(SHIFTED).model
    assert model.provenance.decision == "promoted"
    assert model.provenance.fitted_snapshot == "2024-03-01"
    assert model.provenance.reason.startswith("Drift was flagged (frequency, monetary, ")
    assert "was promoted over the model of 2024-02-01" in model.provenance.reason
    before, now = (m.assign(SHIFTED)["segment_id"] for m in (CHAMPION, model))
    assert len({s.segment_id for s in model.segments} & {s.segment_id for s in CHAMPION.segments}) >= 2
    assert (before == now).mean() > 0.5


def test_drift_of_other_features_is_reported_but_trains_no_challenger():
    told = customers(1).assign(visits=np.arange(400.0))
    champion, now = first(told), customers(3).assign(visits=np.arange(400.0) + 1000)
    assert drifted(now, champion, told).set_index("subject").loc["visits", ["flagged", "in_model"]].tolist() == [True, False]
    assert after(now, champion, training=told).model.provenance.decision == "carried forward"


LARGE = replace(SPEC, settings=ASK.model_copy(update={"min_count": 1_000}))  # no segment can have so many customers, so none is distinct
SURE = replace(SPEC, settings=LARGE.settings.model_copy(update={"dissolved_jaccard": 1.01}))  # higher than possible


@pytest.mark.parametrize(
    ("retrain", "spec", "words"),
    [
        ({}, SURE, "its least stable segment has a bootstrap Jaccard of"),
        ({"largest_reassigned": 0.0}, SPEC, "of active customers into another segment (at most 0%)"),
        ({"least_fit_gain": 0.9}, SPEC, "points (at least 90 is required)"),
    ],
)
def test_a_challenger_that_fails_a_gate_is_refused_with_the_reason_and_the_champion_stays(retrain, spec, words):
    decided = after(SHIFTED, retrain=RetrainSettings(**retrain), spec=spec)
    about = decided.model.provenance
    assert (about.decision, about.model_version) == ("carried forward", CHAMPION.provenance.model_version)
    assert decided.refused is not None
    assert decided.refused.decision == "refused"
    assert "It was refused, and the model of 2024-02-01 stays: " in decided.refused.reason
    assert words in decided.refused.reason
    assert not any(c.chosen for c in decided.candidates)
    assert any(c.reason.endswith("The challenger was refused.") for c in decided.candidates)


def test_a_challenger_that_explains_less_of_later_spend_is_refused():
    tells = (CHAMPION.assign(SHIFTED)["segment_id"] == 3).to_numpy(dtype=float)  # later spend depends only on the champion's segments
    refused = after(SHIFTED, spec=LARGE, past=lambda: PreviousSnapshot(SHIFTED, tells), lookback=0).refused
    assert refused is not None
    assert "of the spend since and the champion" in refused.reason


def test_policies_decide_when_a_challenger_is_trained():
    never, always, old = (RetrainSettings(policy=policy, max_age=3) for policy in ("never", "always", "max_age"))

    def reason(retrain, **now):
        return after(SHIFTED, retrain=retrain, **now).model.provenance.reason

    assert reason(never).endswith("the policy is never to retrain.")
    assert reason(old, age=2).endswith("it is 2 snapshots old, and a challenger is trained at 3.")
    assert reason(old, age=3).startswith("The model in force is 3 snapshots old, 3 or more, so")
    assert reason(always).startswith("The policy asks for a challenger at every snapshot, so")


ONE_GONE = customers(3).drop(range(2, 400, 3)).reset_index(drop=True)  # of three groups
UNDRIFTED = drift_report(None, None, ONE_GONE, ASK, DriftSettings())


def unsound(snapshots, retrain=None, **now):
    """The decision without drift, on a champion that failed its own test at this many previous snapshots."""
    champion = replace(CHAMPION, provenance=replace(CHAMPION.provenance, unsound=snapshots))
    return next_model(ONE_GONE, champion, UNDRIFTED, SPEC, LATER, retrain or RetrainSettings(), SnapshotContext(**now)).model.provenance


def test_a_champion_that_fails_its_own_test_twice_running_is_replaced_once_it_is_old_enough():
    for early in (unsound(0, age=3), unsound(1, age=2)):
        assert early.decision == "carried forward"
        assert "but a challenger is trained only after two, at an age of 3 or more" in early.reason
    assert "it failed its own test at this snapshot (" in unsound(0, age=3).reason
    assert unsound(0, age=3).unsound == 1
    assert unsound(1, RetrainSettings(policy="on_drift"), age=3).decision == "carried forward"
    promoted = unsound(1, age=3)
    assert promoted.reason.startswith("The model in force has failed its own test at 2 snapshots running (")
    assert "it has 2 distinct segments and the champion has 3 segments that are no longer distinct: " in promoted.reason
    assert (promoted.decision, promoted.unsound) == ("promoted", 0)


@pytest.mark.parametrize("asked", [{}, {"retrain": RetrainSettings(policy="always")}, {"request": Request(reason="a check")}])
@pytest.mark.parametrize("left", [TRAINING.iloc[:1], TRAINING.iloc[:2]], ids=["one customer", "two"])
@pytest.mark.parametrize("tier", [Tier.DISTINCT, Tier.CONVENIENT])
def test_a_shop_that_shrinks_to_fewer_customers_than_segments_keeps_its_model(asked, left, tier):
    decided = after(left, replace(CHAMPION, provenance=replace(CHAMPION.provenance, unsound=5, tier=tier)), age=9, **asked)
    assert decided.model.provenance.decision == "carried forward"
    if tier == Tier.CONVENIENT and not asked:
        assert "no model can be fitted today (" in decided.model.provenance.reason
    else:
        assert "3 segments cannot be fitted again to compare them (" in decided.refused.reason


def test_fewer_segments_wait_until_the_lookback_is_entirely_after_the_change():
    waits = after(ONE_GONE, lookback=3).refused
    assert waits is not None
    assert "drift has been flagged for 1 snapshot, so the features still cover the time before the change" in waits.reason
    assert "(a model with fewer segments has to wait until drift has been flagged for 3 snapshots)" in waits.reason
    assert after(ONE_GONE, lookback=1).model.provenance.k == 2


def test_a_better_fit_does_not_let_a_convenient_partition_replace_distinct_segments():
    refused = after(SHIFTED, spec=LARGE).refused
    assert refused is not None
    assert "stays: it is a convenient partition, and the champion has 3 segments that are no longer distinct" in refused.reason


def test_a_convenient_challenger_can_start_from_the_champion_and_keep_its_segments():
    rng = np.random.default_rng(0)
    frame = features(*rng.lognormal(3, 1, (300, 3)))
    champion = train(frame, None, SPEC, DAY, "").model
    assert champion.provenance.tier == "convenient"
    found = train_from(frame, champion, SPEC, LATER, "Why.", ())
    assert found is not None
    assert [c.algorithm for c in found.candidates if c.chosen] == ["kmeans_from_champion"]
    assert {s.segment_id for s in found.model.segments} == {s.segment_id for s in champion.segments}
    assert (found.model.assign(frame)["segment_id"] == champion.assign(frame)["segment_id"]).mean() > 0.99
    assert train_from(frame[champion.assign(frame)["segment_id"] == 1], champion, SPEC, LATER, "Why.", ()) is None  # others are empty


NEVER = RetrainSettings(policy="never", least_fit_gain=0.9)


def test_a_requested_challenger_must_pass_the_gates_too():
    refused = after(customers(3), retrain=NEVER, request=Request()).refused
    assert refused is not None
    assert refused.reason.startswith("It was requested, so a challenger was trained. It was refused, ")


def test_a_forced_challenger_is_promoted_and_its_failed_gates_are_named():
    about = after(customers(3), retrain=NEVER, request=Request(force=True)).model.provenance
    assert (about.decision, about.fitted_snapshot) == ("promoted", "2024-03-01")
    assert "It was promoted over the model of 2024-02-01 because a person forced it, although it explains " in about.reason
    assert about.reason.endswith("points (at least 90 is required).")


def test_a_rollback_restores_the_labels_and_frees_no_segment_id():
    promoted = after(SHIFTED).model
    higher = replace(promoted, provenance=replace(promoted.provenance, highest_segment_id=9))
    back = after(SHIFTED, higher, rollback_target=CHAMPION).model
    assert (back.provenance.decision, back.provenance.model_version) == ("rolled back", CHAMPION.provenance.model_version)
    assert back.provenance.reason == (
        "Someone rolled back to the model of 2024-02-01 at this snapshot in place of the model of 2024-03-01."
    )
    assert back.provenance.highest_segment_id == 9
    pd.testing.assert_frame_equal(back.assign(SHIFTED), CHAMPION.assign(SHIFTED), check_exact=True)


def test_a_rollback_to_the_previous_model_trains_no_challenger():
    model = after(SHIFTED, rollback_target=CHAMPION).model
    assert model.provenance.reason.endswith("at this snapshot; it was already in force, so no challenger was trained.")


def test_the_order_of_customers_does_not_matter():
    shuffled = SHIFTED.sample(frac=1, random_state=4).reset_index(drop=True)
    pd.testing.assert_frame_equal(model_to_rows(after(shuffled).model), model_to_rows(after(SHIFTED).model), check_exact=True)


def test_another_seed_changes_no_id_and_no_name():
    other = after(SHIFTED, spec=replace(SPEC, settings=ASK.model_copy(update={"seed": 99}))).model
    same = after(SHIFTED).model
    assert {(s.segment_id, s.name) for s in other.segments} == {(s.segment_id, s.name) for s in same.segments}
    assert (other.assign(SHIFTED)["segment_id"] == same.assign(SHIFTED)["segment_id"]).mean() > 0.95


def test_a_lasting_change_of_a_segments_customers_changes_its_name_but_not_its_id():
    others, never = customers(3).assign(recency_days=50.0), RetrainSettings(policy="never")
    once = after(others, retrain=never).model
    twice = after(others, once, never).model
    assert [s.name for s in once.segments] == [s.name for s in CHAMPION.segments]
    assert [s.state for s in twice.segments] == [s.leaning or s.state for s in once.segments] != [s.state for s in once.segments]
    assert [s.name for s in twice.segments] != [s.name for s in CHAMPION.segments]
    assert [s.segment_id for s in twice.segments] == [s.segment_id for s in CHAMPION.segments]


def test_a_state_shown_every_other_time_is_not_taken_on():
    loyal, champions = (Standing(recency=0.9, frequency=0.9, monetary=monetary, tenure=0.5, basket=0.5) for monetary in (0.5, 0.9))
    segment = Segment(1, "Loyal regulars", "loyal", state="loyal")
    for shown in (champions, loyal) * 2:
        segment = segment.judged(shown, None)
    assert segment == Segment(1, "Loyal regulars", "loyal", state="loyal")
    assert segment.judged(champions, None, at_once=True).state == "champions"


def test_a_measured_change_is_in_the_name_and_told_while_it_lasts():
    slower, never = customers(3).assign(opening_pause_days=0.0, mean_gap_days=2.0), RetrainSettings(policy="never")
    changed = after(slower, retrain=never).model
    best = changed.segments[0]
    assert (best.name, best.character, best.state) == ("Champions, at risk", "at_risk", "champions")
    assert events(CHAMPION, changed, slower, LATER)["sentence"][0] == (
        "Champions (1) is now called Champions, at risk: its typical customer was champions and is now at risk. "
        f"At least {best.pace.slowed:.0%} of its customers come less often than at the start of the lookback, beyond what chance explains."
    )
    steady = slower.assign(opening_pause_days=slower["recency_days"] - 1)
    assert after(steady, changed, never).model.segments[0].name == "Champions"


def test_segments_of_version_0_1_0_get_true_names_at_the_next_snapshot():
    named = tuple(replace(s, name=f"Dormant ({s.segment_id})", character="dormant", state="") for s in CHAMPION.segments)
    now = after(customers(3), replace(CHAMPION, segments=named)).model
    assert [(s.segment_id, s.name, s.character) for s in now.segments] == [(s.segment_id, s.name, s.character) for s in CHAMPION.segments]
