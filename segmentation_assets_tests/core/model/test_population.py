"""The stored training population: complete, with held-out distances, and compared with present customers."""

import datetime as dt

import numpy as np
import pandas as pd

from segmentation_assets.core.model import pairing, population
from segmentation_assets.core.model.population import drift_report, training_population
from segmentation_assets.core.model.rows import model_to_rows, population_from_rows, population_to_rows
from segmentation_assets.core.model.training import ModelSpec, train
from segmentation_assets.settings.model import DriftSettings, ModelSettings
from segmentation_assets.vocabulary import DriftTest
from segmentation_assets_tests.builders import features

ASK = ModelSettings(algorithms=("kmeans",), k_min=2, k_max=2, k=2, fallback_k=2, resamples=10, splits=1, seed=1)
GOOD = [(1, 20, 900), (2, 22, 1000), (1, 24, 1100)]
POOR = [(70, 1, 5), (75, 2, 6), (80, 1, 7)]
SHOP = features(*GOOD, *POOR)


def trained(frame=SHOP):
    model = train(frame, None, ModelSpec(ASK, "digest"), dt.date(2024, 2, 1), "There is none.").model
    return model, training_population(model, frame, ASK)


def drifted(now, frame=SHOP):
    return drift_report(*trained(frame), now, ASK, DriftSettings())


def test_a_population_read_back_is_the_same_in_any_order_of_rows():
    model, population = trained(SHOP.assign(region=["n", "s"] * 3))
    rows = pd.concat([model_to_rows(model), population_to_rows(population)]).sample(frac=1, random_state=1)
    read = population_from_rows(rows)
    assert read.references == population.references
    np.testing.assert_array_equal(read.sample, population.sample)
    np.testing.assert_array_equal(read.reference_prototypes, population.reference_prototypes)


def test_rows_of_a_model_alone_have_no_population():
    assert population_from_rows(model_to_rows(trained()[0])) is None


def test_all_kinds_of_drift_are_measured():
    assert set(drifted(features(*POOR))["kind"]) == {"feature", "segment_mix", "distance", "joint"}


def kinds_of_test(now, then=SHOP):
    return set(drift_report(*trained(), now, ASK, DriftSettings(), then)["test"])


def test_customers_who_are_in_both_are_told_by_their_ids_and_else_the_snapshots_are_independent(monkeypatch):
    strangers = SHOP.assign(customer_id="new " + SHOP["customer_id"].astype(str))
    assert kinds_of_test(SHOP) == {DriftTest.PAIRED}
    assert kinds_of_test(strangers) == kinds_of_test(SHOP, None) == {DriftTest.INDEPENDENT}
    monkeypatch.setattr(pairing, "MOST_CUSTOMERS", 5)
    assert kinds_of_test(SHOP) == {DriftTest.INDEPENDENT}


def test_a_feature_that_the_training_snapshot_no_longer_has_is_independent_alone():
    found = drift_report(*trained(SHOP), SHOP, ASK, DriftSettings(), SHOP.drop(columns="tenure_days").assign(region="n"))
    assert set(found["test"]) == {DriftTest.PAIRED}
    extra = SHOP.assign(region="n")
    found = drift_report(*trained(extra), extra, ASK, DriftSettings(), SHOP)
    assert found.loc[found["test"] == DriftTest.INDEPENDENT, "subject"].tolist() == ["region"]


def test_distances_are_compared_of_customers_whom_the_prototypes_have_not_seen():
    model, _ = trained(SHOP)
    chosen = population._unlearnt(model, population._placed(SHOP, model), pairing.paired(SHOP["customer_id"], SHOP["customer_id"]))
    assert chosen.sum() == 3


def test_the_order_of_customers_is_of_no_account_to_pairs():
    then = features(*GOOD * 10, *POOR * 10)
    later = features(*((3 * i, 1 + i % 7, 10.0 * i) for i in range(40)))
    shuffled = [frame.sample(frac=1, random_state=3).reset_index(drop=True) for frame in (then, later)]
    found = [drift_report(*trained(then), now, ASK, DriftSettings(), before) for before, now in ((then, later), shuffled)]
    pd.testing.assert_frame_equal(*found, check_exact=True)


def test_without_a_champion_there_is_nothing_to_compare_with():
    assert drift_report(None, None, SHOP, ASK, DriftSettings()).empty


def test_tenure_which_grows_with_time_is_not_measured_for_drift():
    assert {reference.subject for reference in trained()[1].references if reference.kind == "feature"} == set(ASK.features)


def test_the_segment_mix_at_training_is_stored():
    (mix,) = (reference for reference in trained()[1].references if reference.kind == "segment_mix")
    assert (mix.levels, mix.shares, mix.customers) == (("1", "2"), (0.5, 0.5, 0.0, 0.0), 6)


def test_reference_distances_are_of_customers_held_out_from_their_prototypes():
    _, kept = trained()
    (distance,) = (reference for reference in kept.references if reference.kind == "distance")
    assert distance.customers == 3
    assert len(kept.reference_prototypes) == 2


def test_too_few_customers_have_no_reference_distances():
    two = features(*GOOD[:2])
    assert {reference.kind for reference in trained(two)[1].references} == {"feature", "segment_mix"}
    assert "distance" not in set(drifted(SHOP, two)["kind"])


def test_drift_does_not_depend_on_the_order_of_customers():
    then, later = features(*GOOD * 10, *POOR * 10), features(*((3 * i, 1 + i % 7, 10.0 * i) for i in range(40)))
    shuffled = later.sample(frac=1, random_state=3).reset_index(drop=True)
    pd.testing.assert_frame_equal(drifted(shuffled, then), drifted(later, then), check_exact=True)
