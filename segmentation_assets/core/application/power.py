"""Before sending: the smallest effect that an action's holdout can show, and the holdout it would need for the effect asked.

Belongs here: the rows of `action_power` and their sentences. The arithmetic is in `arms`.
"""

from collections.abc import Mapping
from dataclasses import astuple, dataclass

import pandas as pd

from segmentation_assets.core.application.arms import (
    FEWEST_IN_ARM,
    POWER,
    Arm,
    holdout_needed,
    power_to_show,
    smallest_effect,
)
from segmentation_assets.core.application.outcomes import ActionKey, in_table, in_words
from segmentation_assets.vocabulary import Likeness, Measure, Role, beside, counted

FEWEST_LIKE = 100  # past customers; from fewer, the spread of skewed spend is hardly known


@dataclass(frozen=True)
class Alike:
    """What customers like those of an action did in the last window, and who they are."""

    arm: Arm
    like: Likeness


@dataclass(frozen=True)
class Power:
    """What a test can show. None: not known, or not asked."""

    basis: Likeness | None
    basis_customers: int
    mean: float | None
    variance_removed: float | None
    smallest_effect: float | None
    smallest_effect_share: float | None
    expected_effect: float | None
    power: float | None
    holdout_needed: int | None
    verdict: str


COLUMNS = ("list", "action", "measure", "treated", "holdout", *Power.__dataclass_fields__)


def action_power(
    sizes: Mapping[ActionKey, Mapping[Role, int]],
    past: Mapping[tuple[ActionKey, Measure], Alike],
    expected: Mapping[ActionKey, float],
    money: str,
) -> pd.DataFrame:
    """One row (COLUMNS) per action and measure.

    Args:
        sizes: customers treated and held out.
        past: of actions with fewer than FEWEST_LIKE such customers, nothing is said.
        expected: the uplift that the playbook states for an action, if it does, as a share of what its customers spend.
        money: what an amount is called in sentences, such as `euros`.
    """
    rows = []
    for action, roles in sorted(sizes.items()):
        treated, holdout = roles.get(Role.TREATED, 0), roles.get(Role.HOLDOUT, 0)
        for measure in Measure:
            share = expected.get(action) if measure is Measure.SPEND else None
            found = power(treated, holdout, past.get((action, measure)), measure, share, money)
            rows.append([*action, measure, treated, holdout, *astuple(found)])
    return in_table(rows, COLUMNS)


def power(treated: int, holdout: int, past: Alike | None, measure: Measure, expected: float | None, money: str) -> Power:
    """What so many customers treated and held out can show of one measure in the coming window, if they differ as much as `past`.

    Args:
        expected: uplift as a share of the mean; None: none is stated.
    """
    if past is None or past.arm.customers < FEWEST_LIKE:
        number = 0 if past is None else past.arm.customers
        few = f"Not known: {counted(number, 'customer')} like these at the previous snapshot, and at least {FEWEST_LIKE} are needed."
        return Power(past.like if past else None, number, None, None, None, None, None, None, None, few)
    arm = past.arm
    asked = expected * arm.mean if expected and arm.mean > 0 else None
    known = (past.like, arm.customers, arm.mean, arm.variance_removed())
    if arm.variance(arm.slope()) <= 0:
        same = f"Not known: the {counted(arm.customers, 'customer')} like these did not differ in the last window."
        return Power(*known, None, None, asked, None, None, same)
    needed = holdout_needed(asked, treated + holdout, arm) if asked else None
    if min(treated, holdout) < FEWEST_IN_ARM:
        few = f"This cannot be shown with so few: {treated:,} treated and {holdout:,} held out, and each needs at least {FEWEST_IN_ARM}."
        return Power(*known, None, None, asked, None, needed, few)
    smallest = smallest_effect(treated, holdout, arm)
    share = smallest / arm.mean if arm.mean > 0 else None
    chance = power_to_show(asked, treated, holdout, arm) if asked else None
    verdict = _smallest_in_words(smallest, arm.mean, measure, money)
    if asked and chance is not None:
        verdict = f"{_asked_in_words(asked, chance, needed, treated + holdout, holdout, measure, money)} {verdict}"
    return Power(*known, smallest, share, asked, chance, needed, verdict)


def _smallest_in_words(smallest: float, mean: float, measure: Measure, money: str) -> str:
    """The smallest effect, and whether it is more than there is."""
    text = in_words(smallest, measure, money)
    if (measure is Measure.ORDERED and mean + smallest > 1) or (measure is Measure.SPEND and smallest > mean):
        of = "who do not order yet" if measure is Measure.ORDERED else "they spend"
        return f"The smallest effect that would be seen, {text}, is more than all {of}: this cannot be shown with so few."
    relative = f" ({smallest / mean:.1%} of their mean)" if measure is Measure.SPEND else ""
    return f"An effect of {text}{relative} or more would be seen with a chance of at least {POWER:.0%}; a smaller one more seldom."


def _asked_in_words(asked: float, chance: float, needed: int | None, customers: int, holdout: int, measure: Measure, money: str) -> str:
    text = in_words(asked, measure, money)
    shown = beside(chance, POWER, 0, "%")
    if chance >= POWER:
        return f"The expected {text} can be shown: the chance is {shown}."
    if needed is None:
        return f"The expected {text} cannot be shown with so few: the chance is {shown}, and half of {customers:,} held out are too few."
    return f"The expected {text} cannot be shown with so few held out: the chance is {shown}. Hold out {needed:,} instead of {holdout:,}."
