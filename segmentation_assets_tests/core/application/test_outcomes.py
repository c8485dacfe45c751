import datetime as dt

import ibis
import numpy as np
import pandas as pd
import pytest

from segmentation_assets.core.application.arms import Arm
from segmentation_assets.core.application.outcomes import ActionKey, Group, arms, by_action, by_segment, in_words, observed
from segmentation_assets.vocabulary import Measure, Role

DAY = dt.date(2024, 3, 1)
MAIL, APP = ActionKey("marketing", "mail"), ActionKey("service", "app")


def assigned(*rows):
    """(customer, action, role, segment), assigned on DAY."""
    names = ["customer_id", "list", "action", "role", "segment_id"]
    return ibis.memtable(pd.DataFrame([(who, *action, str(role), segment) for who, action, role, segment in rows], columns=names)).mutate(
        since=ibis.date(DAY)
    )


FEATURES = ibis.memtable(
    pd.DataFrame({"customer_id": ["a", "b", "c", "d"], "monetary": [100.0, 50.0, 0.0, None], "frequency": [4, 2, 0, 0]})
)


def orders(*rows):
    """(customer, day, spend, whether it was an order, not only a return)."""
    frame = pd.DataFrame(rows, columns=["customer_id", "order_day", "spend", "is_order"])
    frame["ordered_at"] = pd.to_datetime(frame["order_day"]).where(frame["is_order"])
    return ibis.memtable(frame.assign(order_day=pd.to_datetime(frame["order_day"]))).mutate(order_day=lambda t: t.order_day.cast("date"))


AUDIENCE = assigned(
    ("a", MAIL, Role.TREATED, 1), ("b", MAIL, Role.HOLDOUT, 1), ("c", MAIL, Role.TREATED, 2), ("a", APP, Role.HOLDOUT, 1),
    ("d", MAIL, Role.SUPPRESSED, 2), ("e", MAIL, Role.TREATED, 2),
)  # fmt: skip
ORDERS = orders(
    ("a", DAY - dt.timedelta(days=1), 99.0, True),  # the day before does not count
    ("a", DAY, 10.0, True), ("a", dt.date(2024, 3, 20), 5.5, True), ("b", dt.date(2024, 3, 2), -7.0, False), ("z", DAY, 1.0, True),
)  # fmt: skip


def test_what_each_assigned_customer_did_since_and_before():
    rows = observed(AUDIENCE, FEATURES, ORDERS).to_pandas().sort_values(["list", "customer_id"])
    found = rows[["customer_id", "action", "spend", "ordered", "spend_before", "orders_before"]].to_numpy().tolist()
    assert found == [
        ["a", "mail", 15.5, 1.0, 100.0, 4.0],
        ["b", "mail", -7.0, 0.0, 50.0, 2.0],
        ["c", "mail", 0.0, 0.0, 0.0, 0.0],
        ["d", "mail", 0.0, 0.0, 0.0, 0.0],
        ["e", "mail", 0.0, 0.0, 0.0, 0.0],
        ["a", "app", 15.5, 1.0, 100.0, 4.0],
    ]


def test_who_was_assigned_later_counts_from_then():
    later = AUDIENCE.mutate(since=ibis.ifelse(AUDIENCE.list == "service", ibis.date("2024-03-10"), AUDIENCE.since))
    rows = observed(later, FEATURES, ORDERS).to_pandas().set_index(["list", "customer_id"])
    assert (rows.loc[("marketing", "a"), "spend"], rows.loc[("service", "a"), "spend"]) == (15.5, 5.5)


def test_arms_hold_the_treated_and_the_held_out_by_segment():
    found = arms(observed(AUDIENCE, FEATURES, ORDERS))[Measure.SPEND]
    assert {group: arm.customers for group, arm in found.items()} == {
        Group(MAIL, 1, Role.TREATED): 1,
        Group(MAIL, 1, Role.HOLDOUT): 1,
        Group(MAIL, 2, Role.TREATED): 2,
        Group(APP, 1, Role.HOLDOUT): 1,
    }
    assert {role: arm.customers for role, arm in by_action(found)[MAIL].items()} == {Role.TREATED: 3, Role.HOLDOUT: 1}
    assert {role: arm.customers for role, arm in by_segment(found)[MAIL, 2].items()} == {Role.TREATED: 2}


@pytest.mark.parametrize(("measure", "since", "before"), [(Measure.SPEND, "y", "x"), (Measure.ORDERED, "bought", "times")])
def test_sums_in_the_database_are_those_of_the_customers(measure, since, before):
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"y": rng.lognormal(8, 2, 60), "x": rng.lognormal(8, 2, 60), "times": rng.poisson(3, 60).astype(float)})
    frame["bought"] = (rng.random(60) < 0.5).astype(float)
    rows = pd.DataFrame({
        "list": "marketing", "action": "mail", "role": np.where(np.arange(60) < 20, "holdout", "treated"), "segment_id": 1,
        "spend": frame["y"], "spend_before": frame["x"], "ordered": frame["bought"], "orders_before": frame["times"],
    })  # fmt: skip
    found = arms(ibis.memtable(rows))[measure]
    for role, part in ((Role.HOLDOUT, frame[:20]), (Role.TREATED, frame[20:])):
        arm = found[Group(MAIL, 1, role)]
        own = Arm.of(part[since], part[before])
        assert arm.mean == pytest.approx(part[since].mean())
        assert arm.variance(0.3) == pytest.approx(np.var(part[since] - 0.3 * part[before], ddof=1))
        assert arm.covariances() == pytest.approx(own.covariances())


def test_nobody_assigned_is_no_arm():
    assert arms(observed(AUDIENCE.limit(0), FEATURES, ORDERS)) == {Measure.SPEND: {}, Measure.ORDERED: {}}


def test_an_effect_has_a_sign_and_a_unit():
    assert in_words(1234.5, Measure.SPEND, "euros") == "1,234.50 euros per customer"
    assert in_words(-0.02, Measure.ORDERED, "euros") == "-2.0 points of the share who order"
