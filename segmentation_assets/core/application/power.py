"""Before sending: the smallest effect that an action's holdout can show, and the holdout it would need for the effect asked.

Belongs here: the rows of `action_power` and their sentences. The arithmetic is in `arms`.
"""

import math
from collections.abc import Callable, Mapping
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
class Bound:
    """What keeps an action from contacting more customers.

    Attributes:
        waiting: customers it is for and whom it does not reach.
        holdout: the share of its customers that it leaves alone.
        cost: of a contact.
        budget, most_customers: from the playbook; at least one is set.
    """

    waiting: int
    holdout: float
    cost: float = 0.0
    budget: float | None = None
    most_customers: int | None = None

    def contacts_needed(self, treated: int, shows: Callable[[int, int], bool]) -> int | None:
        """Fewest contacts with which, at the share held out, the arms are large enough; None if even all whom it is for are too few.

        Args:
            shows: whether so many treated and held out are enough.
        """

        def enough(contacts: int) -> bool:
            held = math.floor(contacts * self.holdout / (1 - self.holdout))
            return min(contacts, held) >= FEWEST_IN_ARM and shows(contacts, held)

        low, high = treated, treated + math.floor(self.waiting * (1 - self.holdout))
        if high <= low or not enough(high):
            return None
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if enough(middle) else (middle, high)
        return high

    def in_words(self, treated: int, contacts: int | None, money: str) -> str:
        """Which budget or number of contacts would do."""
        named = [name for name, value in (("budget", self.budget), ("limit", self.most_customers)) if value is not None]
        bounds = f"Its {' and '.join(named)} allow{'' if len(named) > 1 else 's'} {counted(treated, 'contact')}"
        if contacts is None:
            return f"{bounds}, and even with all {self.waiting:,} whom it does not reach they would be too few."
        needs = [] if self.budget is None else [f"a budget of {self.budget + (contacts - treated) * self.cost:,.0f} {money}"]
        needs += [] if self.most_customers is None else [f"most_customers of {contacts:,}"]
        return f"{bounds}: {contacts:,} would do, which takes {' and '.join(needs)}."


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
    contacts_needed: int | None
    verdict: str


COLUMNS = ("list", "action", "measure", "treated", "holdout", *Power.__dataclass_fields__)


def action_power(
    sizes: Mapping[ActionKey, Mapping[Role, int]],
    past: Mapping[tuple[ActionKey, Measure], Alike],
    expected: Mapping[ActionKey, float],
    money: str,
    bounds: Mapping[ActionKey, Bound],
) -> pd.DataFrame:
    """One row (COLUMNS) per action and measure.

    Args:
        sizes: customers treated and held out.
        past: of actions with fewer than FEWEST_LIKE such customers, nothing is said.
        expected: the uplift that the playbook states for an action, if it does, as a share of what its customers spend.
        money: what an amount is called in sentences, such as `euros`.
        bounds: of the actions that a budget or limit keeps from customers they are for.
    """
    rows = []
    for action, roles in sorted(sizes.items()):
        treated, holdout = roles.get(Role.TREATED, 0), roles.get(Role.HOLDOUT, 0)
        for measure in Measure:
            share = expected.get(action) if measure is Measure.SPEND else None
            found = power(treated, holdout, past.get((action, measure)), measure, share, money, bounds.get(action))
            rows.append([*action, measure, treated, holdout, *astuple(found)])
    return in_table(rows, COLUMNS)


def power(
    treated: int, holdout: int, past: Alike | None, measure: Measure, expected: float | None, money: str, bound: Bound | None = None
) -> Power:
    """What so many customers treated and held out can show of one measure in the coming window, if they differ as much as `past`.

    Args:
        expected: uplift as a share of the mean; None: none is stated.
    """
    if past is None or past.arm.customers < FEWEST_LIKE:
        number = 0 if past is None else past.arm.customers
        few = f"Not known: {counted(number, 'customer')} like these at the previous snapshot, and at least {FEWEST_LIKE} are needed."
        return Power(past.like if past else None, number, None, None, None, None, None, None, None, None, few)
    arm = past.arm
    asked = expected * arm.mean if expected and arm.mean > 0 else None
    known = (past.like, arm.customers, arm.mean, arm.variance_removed())
    if arm.variance(arm.slope()) <= 0:
        same = f"Not known: the {counted(arm.customers, 'customer')} like these did not differ in the last window."
        return Power(*known, None, None, asked, None, None, None, same)
    needed = holdout_needed(asked, treated + holdout, arm) if asked else None

    def shows(contacts: int, held: int) -> bool:
        return not asked or smallest_effect(contacts, held, arm) <= asked

    is_bound = bound is not None and not (min(treated, holdout) >= FEWEST_IN_ARM and shows(treated, holdout))
    contacts = bound.contacts_needed(treated, shows) if bound is not None and is_bound else None
    more = f" {bound.in_words(treated, contacts, money)}" if bound is not None and is_bound else ""
    if min(treated, holdout) < FEWEST_IN_ARM:
        few = f"This cannot be shown with so few: {treated:,} treated and {holdout:,} held out, and each needs at least {FEWEST_IN_ARM}."
        return Power(*known, None, None, asked, None, needed, contacts, f"{few}{more}")
    smallest = smallest_effect(treated, holdout, arm)
    share = smallest / arm.mean if arm.mean > 0 else None
    chance = power_to_show(asked, treated, holdout, arm) if asked else None
    verdict = _smallest_in_words(smallest, arm.mean, measure, money)
    if asked and chance is not None:
        verdict = f"{_asked_in_words(asked, chance, needed, treated + holdout, holdout, measure, money)}{more} {verdict}"
    return Power(*known, smallest, share, asked, chance, needed, contacts, verdict)


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
