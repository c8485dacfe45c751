"""A rule is learnt, shortened, rounded and judged on customers it was not learnt from."""

import ibis
import numpy as np
import pandas as pd
import pytest

from segmentation_assets.core.customers.columns import CustomerColumns
from segmentation_assets.core.segments import rules
from segmentation_assets.core.segments.predicates import Condition, Predicate
from segmentation_assets.core.segments.rules import Rule
from segmentation_assets.settings.rules import Rules

ASK = Rules()
RANDOM = np.random.default_rng(1)
SIZE = 1_500
SHOP = pd.DataFrame({
    "recency_days": RANDOM.integers(0, 90, SIZE).astype(float), "frequency": RANDOM.integers(1, 20, SIZE).astype(float),
    "monetary": np.round(RANDOM.lognormal(6, 1, SIZE), 2), "home": RANDOM.choice(["own", "rent", None], SIZE),
})  # fmt: skip
INPUTS = list(SHOP.columns)
HIGH = (SHOP["recency_days"] <= 9) & (SHOP["monetary"] > 200)


def learnt(inside, asked=ASK, shop=SHOP, **how):
    return rules.learnt_rules(CustomerColumns.of(shop.assign(segment_id=np.where(inside, 1, 2))), INPUTS, asked, **how)[1]


def test_a_segment_that_is_a_box_gets_its_rule_in_readable_numbers():
    rule = learnt(HIGH)
    assert rule.predicate.sql() == "status = 'active' AND recency_days <= 9 AND monetary > 200"
    assert min(rule.precision, rule.recall) > 0.95
    assert rule.members == HIGH.sum()


def test_two_boxes_are_joined_within_the_bound_of_conditions():
    inside = (SHOP["recency_days"] > 80) | (SHOP["home"] == "own")
    assert learnt(inside).predicate.sql() == "status = 'active' AND (home = 'own' OR recency_days > 80)"
    assert learnt(inside, Rules(max_conditions=1)).predicate.sql() == "status = 'active' AND home = 'own'"


@pytest.mark.parametrize("most", [1, 2, 3])
def test_no_rule_is_longer_than_the_setting(most):
    ring = (SHOP["recency_days"].between(20, 60)) & (SHOP["frequency"].between(5, 15))
    assert 0 < learnt(ring, Rules(max_conditions=most)).predicate.conditions <= most


def test_chance_is_not_taken_for_a_rule():
    """Members drawn by lot: what a tree finds among them is not found in customers that it has not seen."""
    rule = learnt(np.random.default_rng(3).random(SIZE) < 0.3)
    assert not rule.suffices(ASK)
    told = rules.reason(rule, ASK, 1)
    assert told.startswith("No rule of at most 4 conditions with a precision of 0.75 and a recall of 0.6 or more: the best has precision")
    assert f"({rule.found:,} of its {rule.members:,} customers)" in told


def test_held_out_figures_are_of_customers_the_rule_was_not_learnt_from(monkeypatch):
    """A rule that knows exactly those from whom it was learnt finds none of the others."""
    ids = np.arange(SIZE, dtype=float)
    seen = []

    def by_heart(columns, inside, asked):
        seen.append(set(columns["id"]))
        return Predicate("active", tuple((Condition("id", ">", i - 0.5), Condition("id", "<=", i)) for i in columns["id"][inside]))

    monkeypatch.setattr(rules, "learn", by_heart)
    found = rules.learnt_rules(CustomerColumns.of(pd.DataFrame({"id": ids, "segment_id": np.where(ids < 60, 1, 2)})), ["id"], ASK)[1]
    assert (found.selected, found.found, found.members) == (0, 0, 60)
    assert seen.count(set(ids)) == 2  # one for each segment is published
    assert not found.suffices(ASK)
    assert "the best has no precision (nobody meets it) and recall 0.00 (0 of its 60 customers)" in rules.reason(found, ASK, 1)


def test_too_few_customers_are_not_learnt_from():
    rule = learnt(np.arange(SIZE) < 29)
    assert (rule.predicate, rule.members) == (None, 29)
    assert rules.reason(rule, ASK, 1) == "No rule: 29 customers to learn from, and a rule needs 30 or more."


def test_inputs_that_tell_nothing_give_no_rule():
    constant = SHOP.assign(recency_days=1.0, frequency=1.0, monetary=1.0, home="own")
    rule = learnt(HIGH, shop=constant)
    assert rules.reason(rule, ASK, 1) == "No rule: none of the model inputs tells its customers from the others."


def test_the_only_segment_is_all_active_customers():
    rule = rules.learnt_rules(CustomerColumns.of(SHOP.assign(segment_id=3)), INPUTS, ASK)[3]
    assert (rule.predicate.sql(), rule.suffices(ASK)) == ("status = 'active'", True)


def test_missing_and_infinite_values_are_learnt_from():
    odd = SHOP.assign(monetary=np.where(SHOP["frequency"] == 3, np.nan, np.where(SHOP["frequency"] == 4, np.inf, SHOP["monetary"])))
    rule = learnt(odd["recency_days"] <= 9, shop=odd)
    assert rule.predicate.sql() == "status = 'active' AND recency_days <= 9"


def test_codes_are_compared_for_equality():
    shop = SHOP.assign(frequency=SHOP["frequency"] % 3)
    assert learnt(shop["frequency"] == 1, shop=shop, categorical=["frequency"]).predicate.sql() == "status = 'active' AND frequency = 1"


def test_the_table_has_a_rule_or_a_reason_for_each_segment():
    segments = pd.DataFrame({"segment_id": [1, 2, -1], "segment_name": ["High", "Others", "Lapsed"], "customers": [300, 1200, 40]})
    weak = Rule(Predicate("active", ((Condition("monetary", ">", 9.0),),)), selected=100, members=200, found=70)
    good = Rule(Predicate("active", ((Condition("recency_days", "<=", 9.0),),)), selected=100, members=100, found=90)
    found = rules.table(segments, {1: good, 2: weak}, ASK, "EUR").set_index("segment_id")
    assert found["rule"].fillna("none").to_dict() == {
        -1: "status = 'lapsed'", 1: "status = 'active' AND recency_days <= 9", 2: "none",
    }  # fmt: skip
    assert found.loc[2, ["precision", "recall", "conditions"]].tolist() == [0.7, 0.35, 0]
    assert found.loc[-1, ["precision", "recall", "tested_members"]].tolist() == [1, 1, 40]
    assert found.at[1, "words"] == "came within the last 9 days"


def test_who_meets_a_rule_is_counted_among_all_customers():
    customers = ibis.memtable(
        {"status": ["active", "active", "lapsed", None], "recency_days": [5.0, None, 5.0, 5.0], "segment_id": [1, 1, -1, 1]}
    )
    asked = {1: "status = 'active' AND recency_days <= 9", 2: None, 3: "recency_days <= 9"}
    assert rules.customers_who_meet(asked, customers) == {1: (1, 1), 3: (3, 0)}
