import datetime as dt

import numpy as np
import pandas as pd
import pytest

from benchmarks.lift import POPULATION, UPLIFT, shop
from segmentation_assets.core.application.arms import FEWEST_IN_ARM, LEVEL, Arm, compared, power_to_show
from segmentation_assets.core.application.lift import COLUMNS, Cohort, action_lift
from segmentation_assets.core.application.outcomes import ActionKey, Group
from segmentation_assets.tables.effects import ACTION_LIFT
from segmentation_assets.vocabulary import Measure, Role

MAIL, APP = ActionKey("marketing", "mail"), ActionKey("marketing", "app")
DAY = dt.date(2024, 3, 1)
A_A = "Nothing had been handed over when this snapshot was made: nobody was treated, so that any difference is chance (an A/A comparison)."


def customers(number: int, effect: float = 0.0, seed: int = 1) -> Arm:
    """Customers who spend 50 with a standard deviation of 20, half of it known before."""
    rng = np.random.default_rng(seed)
    before = rng.normal(100, 20, number)
    return Arm.of(50 + effect + 0.5 * (before - 100) + rng.normal(0, 15, number), before)


def cohort(spend: dict[Group, Arm], sent: bool = True, **known) -> Cohort:
    return Cohort(DAY, sent, {Measure.SPEND: spend, Measure.ORDERED: {}}, known.get("planned", {}), known.get("expected", {}))


def rows(*cohorts: Cohort):
    return action_lift(cohorts, "euros")


MAILED = {Group(MAIL, 1, Role.TREATED): customers(4_500, 10), Group(MAIL, 1, Role.HOLDOUT): customers(500, seed=2)}


def test_an_effect_is_shown_for_the_action_and_its_segment():
    whole, part = rows(cohort(MAILED, expected={MAIL: 0.05})).itertuples()
    assert whole.effect == pytest.approx(10, abs=2)
    assert whole.effect_low < 10 < whole.effect_high
    assert whole.effect_share == pytest.approx(whole.effect / whole.holdout_mean)
    assert whole.variance_removed == pytest.approx(0.3, abs=0.05)
    assert whole.power == pytest.approx(power_to_show(0.05 * whole.holdout_mean, 4_500, 500, sum_of(MAILED)))
    assert whole.verdict.startswith(f"The treated did more: {whole.effect:.2f} euros per customer (95% interval ")
    assert pd.isna(whole.segment_id)
    assert (part.segment_id, part.effect) == (1, whole.effect)


def sum_of(arms: dict[Group, Arm]) -> Arm:
    first, *others = arms.values()
    return sum(others, start=first)


def test_an_effect_that_is_not_shown_is_not_said_to_be_absent():
    same = {Group(MAIL, 1, Role.TREATED): customers(4_500), Group(MAIL, 1, Role.HOLDOUT): customers(500, seed=2)}
    said = rows(cohort(same))["verdict"][0]
    assert said.startswith("No effect was shown: ")
    assert "That does not show that there is none: one below " in said


def test_a_worse_result_is_said_to_be_worse():
    worse = {Group(MAIL, 1, Role.TREATED): customers(4_500, -10), Group(MAIL, 1, Role.HOLDOUT): customers(500, seed=2)}
    assert rows(cohort(worse))["verdict"][0].startswith("The treated did less: -")


def test_each_row_of_what_was_never_sent_says_so():
    found = rows(cohort(MAILED, sent=False))
    assert not found["sent"].any()
    assert found["verdict"].str.startswith(A_A).all()
    assert not found["verdict"].str.contains("The treated did").any()


def test_few_customers_give_no_figure():
    few = {Group(MAIL, 1, Role.TREATED): customers(4_500), Group(MAIL, 1, Role.HOLDOUT): customers(FEWEST_IN_ARM - 1)}
    row = rows(cohort(few)).iloc[0]
    assert row[["treated_mean", "holdout_mean", "effect", "p_value", "smallest_effect"]].isna().all()
    assert row["verdict"] == "No figure: 4,500 treated and 29 held out, and each needs at least 30."


def test_an_action_without_a_holdout_gives_no_figure():
    row = rows(cohort({Group(MAIL, 1, Role.TREATED): customers(4_500)}, planned={MAIL: 0.1})).iloc[0]
    assert (row["treated"], row["holdout"]) == (4_500, 0)
    assert row["verdict"].startswith("0 of 4,500 customers are held out, which does not fit the share that was planned")
    assert row["verdict"].endswith("No figure: 4,500 treated and 0 held out, and each needs at least 30.")


def test_customers_who_all_did_the_same_give_no_figure():
    none = {Group(MAIL, 1, role): Arm.of(np.zeros(100), np.arange(100.0)) for role in (Role.TREATED, Role.HOLDOUT)}
    row = rows(cohort(none)).iloc[0]
    assert (row["holdout_mean"], row["verdict"].split(":")[0]) == (0, "No figure")
    assert pd.isna(row["effect"])


@pytest.mark.parametrize(("planned", "trusted"), [(0.1, True), (0.2, False)])
def test_a_holdout_unlike_the_planned_share_is_told(planned, trusted):
    row = rows(cohort(MAILED, planned={MAIL: planned})).iloc[0]
    assert ("do not trust the difference" in row["verdict"]) is not trusted
    assert (row["sample_ratio_p"] < 0.001) is not trusted


def test_false_discoveries_are_controlled_over_actions_and_over_segments():
    many = {Group(ActionKey("marketing", str(i)), i, role): customers(200, seed=10 * i + (role is Role.TREATED)) for i in range(9)
            for role in (Role.TREATED, Role.HOLDOUT)}  # fmt: skip
    found = rows(cohort(many | {Group(MAIL, 3, role): arm for (_, _, role), arm in MAILED.items()}))
    for level in (found[found["segment_id"].isna()], found[found["segment_id"].notna()]):
        ordered = level.sort_values("p_value")
        by_hand = np.minimum.accumulate((ordered["p_value"] * len(level) / np.arange(1, len(level) + 1))[::-1])[::-1]
        assert ordered["q_value"].to_numpy() == pytest.approx(by_hand.to_numpy())


def test_no_cohort_is_no_row():
    assert list(rows().columns) == list(COLUMNS)
    assert set(COLUMNS) == {column.name for column in ACTION_LIFT.columns}


SINCE, BEFORE = shop("pareto", np.random.default_rng(1))


def drawn(rng: np.random.Generator, number: int, uplift: float = 0.0) -> Arm:
    chosen = rng.integers(POPULATION, size=number)
    return Arm.of(SINCE[chosen] * (1 + uplift), BEFORE[chosen])


def test_intervals_cover_with_skewed_spend_and_a_small_holdout():
    rng = np.random.default_rng(2)
    found = [compared(drawn(rng, 4_500), drawn(rng, 500)) for _ in range(600)]
    covered = np.mean([one.low <= 0 <= one.high for one in found])
    assert 0.93 <= covered <= 0.97


def test_power_is_as_announced_with_skewed_spend():
    rng = np.random.default_rng(3)
    like = drawn(rng, 60_000)
    announced = power_to_show(UPLIFT * like.mean, 15_000, 15_000, like)
    shown = np.mean([compared(drawn(rng, 15_000, UPLIFT), drawn(rng, 15_000)).p_value < LEVEL for _ in range(300)])
    assert shown == pytest.approx(announced, abs=0.03 + 2 * np.sqrt(announced * (1 - announced) / 300))
