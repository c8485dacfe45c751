import numpy as np
import pandas as pd
import pytest

from segmentation_assets.core.application.arms import POWER, Arm, power_to_show
from segmentation_assets.core.application.outcomes import ActionKey
from segmentation_assets.core.application.power import COLUMNS, FEWEST_LIKE, Alike, Bound, action_power
from segmentation_assets.tables.effects import ACTION_POWER
from segmentation_assets.vocabulary import Likeness, Measure, Role

MAIL = ActionKey("marketing", "mail")
RNG = np.random.default_rng(7)
BEFORE = RNG.lognormal(4, 1, 3_000)
ALIKE = Arm.of(0.3 * BEFORE + RNG.lognormal(3, 1, 3_000), BEFORE)
ORDERED = Arm.of(RNG.random(3_000) < 0.4, RNG.poisson(2, 3_000))


def row(
    treated: int, holdout: int, expected: float | None = None, arm: Arm | None = ALIKE, measure: Measure = Measure.SPEND,
    bound: Bound | None = None,
):  # fmt: skip
    past = {} if arm is None else {(MAIL, measure): Alike(arm, Likeness.ACTION)}
    sizes = {MAIL: {Role.TREATED: treated, Role.HOLDOUT: holdout, Role.SUPPRESSED: 77}}
    asked, bounds = {} if expected is None else {MAIL: expected}, {} if bound is None else {MAIL: bound}
    return action_power(sizes, past, asked, "euros", bounds).set_index("measure").loc[measure]


def test_the_smallest_effect_is_told_with_its_share_of_the_mean():
    found = row(9_000, 1_000)
    assert power_to_show(found["smallest_effect"], 9_000, 1_000, ALIKE) == pytest.approx(POWER)
    assert found["smallest_effect_share"] == pytest.approx(found["smallest_effect"] / ALIKE.mean)
    said = f"An effect of {found['smallest_effect']:.2f} euros per customer ({found['smallest_effect_share']:.1%} of their mean) or more"
    assert found["verdict"].startswith(said)


def test_an_expected_effect_that_can_be_shown():
    found = row(9_000, 1_000, expected=0.5)
    assert (found["expected_effect"], found["power"]) == (pytest.approx(0.5 * ALIKE.mean), pytest.approx(1, abs=0.01))
    assert f"can be shown: the chance is {found['power']:.0%}." in found["verdict"]


def test_a_holdout_too_small_is_told_with_the_one_needed():
    found = row(9_900, 100, expected=0.1)
    needed = int(found["holdout_needed"])
    assert power_to_show(found["expected_effect"], 10_000 - needed, needed, ALIKE) >= POWER
    assert "cannot be shown with so few held out" in found["verdict"]
    assert f"Hold out {needed:,} instead of 100." in found["verdict"]


def test_where_a_budget_bounds_the_action_the_one_that_would_do_is_told() -> None:
    bound = Bound(20_000, 0.1, cost=2.0, budget=1_800.0)
    found = row(900, 100, expected=0.1, bound=bound)
    contacts = int(found["contacts_needed"])
    assert power_to_show(found["expected_effect"], contacts, contacts // 9, ALIKE) >= POWER
    assert power_to_show(found["expected_effect"], contacts - 9, contacts // 9 - 1, ALIKE) < POWER
    words = f"Its budget allows 900 contacts: {contacts:,} would do, which takes a budget of {2 * contacts:,} euros."
    assert words in found["verdict"]
    few = row(45, 5, bound=Bound(1_000, 0.1, most_customers=45))
    assert few["contacts_needed"] == 270  # of which 30 are held out
    assert few["verdict"].endswith("Its limit allows 45 contacts: 270 would do, which takes most_customers of 270.")


@pytest.mark.parametrize("bound", [Bound(50, 0.1, budget=900.0, cost=1.0), Bound(50_000, 0.0, budget=900.0, cost=1.0)])
def test_a_budget_for_all_that_would_still_show_nothing_is_told(bound: Bound) -> None:
    found = row(900, 100, expected=0.1, bound=bound)
    assert pd.isna(found["contacts_needed"])
    assert f"and even with all {bound.waiting:,} whom it does not reach they would be too few." in found["verdict"]
    assert "would be too few" not in row(9_000, 1_000, expected=0.5, bound=bound)["verdict"]


def test_customers_too_few_for_the_expected_effect_whatever_is_held_out():
    found = row(450, 50, expected=0.01)
    assert "cannot be shown with so few: the chance is " in found["verdict"]
    assert "half of 500 held out are too few" in found["verdict"]


@pytest.mark.parametrize(("treated", "holdout"), [(1_000, 3), (0, 1_000), (1_000, 0)])
def test_arms_too_small_show_nothing(treated, holdout):
    found = row(treated, holdout)
    assert (
        found["verdict"] == f"This cannot be shown with so few: {treated:,} treated and {holdout:,} held out, and each needs at least 30."
    )
    assert found["smallest_effect"] is None or np.isnan(found["smallest_effect"])


def test_an_effect_larger_than_all_there_is_cannot_be_shown():
    heavy = Arm.of([0.0] * 990 + [1_000.0] * 10, np.zeros(1_000))
    assert row(300, 40, arm=heavy)["verdict"].endswith("is more than all they spend: this cannot be shown with so few.")
    nearly = Arm.of([1.0] * 190 + [0.0] * 10, np.zeros(200))
    assert "more than all who do not order yet" in row(60, 30, arm=nearly, measure=Measure.ORDERED)["verdict"]


@pytest.mark.parametrize("arm", [None, Arm.of(np.arange(FEWEST_LIKE - 1), np.zeros(FEWEST_LIKE - 1))])
def test_without_customers_like_these_nothing_is_known(arm):
    found = row(9_000, 1_000, expected=0.1, arm=arm)
    assert found["verdict"].startswith("Not known: ")
    assert found["power"] is None or np.isnan(found["power"])


def test_customers_who_did_not_differ_say_nothing_of_the_next_window():
    assert row(9_000, 1_000, arm=Arm.of(np.zeros(200), np.arange(200)))["verdict"].startswith("Not known: ")


def test_the_share_who_order_is_in_points():
    assert "points of the share who order or more" in row(9_000, 1_000, arm=ORDERED, measure=Measure.ORDERED)["verdict"]


def test_columns_are_those_of_the_table():
    assert set(COLUMNS) == {column.name for column in ACTION_POWER.columns}
