"""Segments in numbers that add up."""

import datetime as dt
import math

import pandas as pd
import pytest

from segmentation_assets.core.customers.columns import CustomerColumns
from segmentation_assets.core.model.training import ModelSpec, train
from segmentation_assets.core.segments.profiles import segment_profiles, segments
from segmentation_assets.settings.model import ModelSettings
from segmentation_assets_tests.builders import features

ASK = ModelSettings(
    features=("recency_days", "monetary"), algorithms=("kmeans",), k_max=2, k=2, fallback_k=2, resamples=10, splits=1, seed=1
)  # fmt: skip
ACTIVE = features((1, 9, 90), (2, 8, 110), (60, 1, 10), (61, 2, 10))
LAPSED = features((200, 0, 0), status="lapsed").assign(customer_id="gone")
CUSTOMERS = pd.concat([ACTIVE, LAPSED], ignore_index=True)
MODEL = train(ACTIVE, None, ModelSpec(ASK, "digest"), dt.date(2024, 2, 1), "There is none.").model
ASSIGNED = MODEL.assign(CUSTOMERS)


def in_numbers(customers, assigned, model):
    return segments(CustomerColumns.of(customers), CustomerColumns.of(assigned), model)


def profiled(customers, assigned):
    return segment_profiles(CustomerColumns.of(customers), CustomerColumns.of(assigned))


def by_customer(customer_id, table, column):
    segment_id = ASSIGNED.set_index("customer_id").at[customer_id, "segment_id"]
    return table.set_index("segment_id").at[segment_id, column]


def test_sizes_and_revenue_of_each_segment_by_hand():
    found = in_numbers(CUSTOMERS, ASSIGNED, MODEL)
    assert [by_customer("c0", found, c) for c in ("customers", "share", "revenue")] == [2, 0.4, 200]
    assert by_customer("c0", found, "revenue_share") == pytest.approx(200 / 220)
    assert [by_customer("gone", found, c) for c in ("customers", "share", "revenue", "revenue_share")] == [1, 0.2, 0, 0]


def test_shares_of_customers_and_of_revenue_add_up_to_one():
    assert in_numbers(CUSTOMERS, ASSIGNED, MODEL)[["share", "revenue_share"]].sum().tolist() == pytest.approx([1, 1])


def test_an_empty_segment_of_the_model_is_listed():
    few = CUSTOMERS.iloc[:2]
    found = in_numbers(few, MODEL.assign(few), MODEL)
    assert sorted(found["customers"]) == [0, 2]
    assert found.loc[found["customers"] == 0, "description"].item().startswith("No customers at this snapshot.")


def test_a_segment_by_rule_is_listed_only_if_it_has_customers():
    assert set(in_numbers(ACTIVE, MODEL.assign(ACTIVE), MODEL)["segment_id"]) == {s.segment_id for s in MODEL.segments}


def test_without_revenue_there_are_no_shares_of_it():
    poor = CUSTOMERS.assign(monetary=0.0)
    assert in_numbers(poor, MODEL.assign(poor), MODEL)["revenue_share"].isna().all()  # not 0%, which would be a measurement


def test_without_customers_the_segments_of_the_model_are_empty():
    nobody = CUSTOMERS.iloc[:0]
    found = in_numbers(nobody, MODEL.assign(nobody), MODEL)
    assert found[["customers", "share", "revenue", "revenue_share"]].sum().tolist() == [0, 0, 0, 0]


def profile_of(customer_id, feature, frame=CUSTOMERS):
    found = profiled(frame, ASSIGNED)
    segment_id = ASSIGNED.set_index("customer_id").at[customer_id, "segment_id"]
    return found[(found["segment_id"] == segment_id) & (found["feature"] == feature)].iloc[0]


def test_a_profile_by_hand():
    spend = profile_of("c0", "monetary")
    sd = math.sqrt(((90 - 44) ** 2 + (110 - 44) ** 2 + 2 * (10 - 44) ** 2 + 44**2) / 5)
    assert [spend[c] for c in ("mean", "median", "population_mean")] == [100, 100, 44]
    assert [spend[c] for c in ("p10", "p90", "population_sd", "z")] == pytest.approx([92, 108, sd, (100 - 44) / sd])


def test_every_segment_and_numeric_feature_has_a_row():
    found = profiled(CUSTOMERS, ASSIGNED)
    assert len(found) == 3 * 4
    assert set(found["feature"]) == {"recency_days", "frequency", "monetary", "tenure_days"}


def test_a_constant_feature_has_no_z():
    assert math.isnan(profile_of("c0", "same", CUSTOMERS.assign(same=3.0))["z"])


def test_a_wholly_missing_feature_has_a_row_without_figures():
    empty = profile_of("c0", "none", CUSTOMERS.assign(none=float("nan")))
    assert empty[["mean", "median", "z"]].isna().all()


def test_without_customers_there_are_no_profiles():
    assert profiled(CUSTOMERS.iloc[:0], ASSIGNED.iloc[:0]).empty


def test_only_segments_by_model_say_that_they_are_not_distinct():
    found = in_numbers(CUSTOMERS, ASSIGNED, MODEL)
    assert by_customer("c0", found, "description").endswith(" Part of a convenient partition, not a distinct segment.")
    assert "partition" not in by_customer("gone", found, "description")
