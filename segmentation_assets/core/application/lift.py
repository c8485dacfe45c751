"""Did it work: the customers whom an action treated beside those it held out, whether or not the treated noticed (intention to treat).

Belongs here: the rows of `action_lift` and their sentences. The arithmetic is in `arms`, the rows of customers in `outcomes`.
"""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace

import pandas as pd

from segmentation_assets.core.application.arms import (
    FEWEST_IN_ARM,
    LEVEL,
    Arm,
    compared,
    false_discovery_rates,
    power_to_show,
    sample_ratio,
    smallest_effect,
)
from segmentation_assets.core.application.outcomes import ActionKey, Group, by_action, by_segment, in_table, in_words, number
from segmentation_assets.vocabulary import Measure, Role

SAMPLE_RATIO_LEVEL = 0.001  # as is usual, because it is looked at every time (Fabijan et al., 2019)
EVERY_SEGMENT = None  # segment_id of a whole action
NOT_SENT = (
    "Nothing had been handed over when this snapshot was made: nobody was treated, so that any difference is chance (an A/A comparison)."
)


@dataclass(frozen=True)
class Cohort:
    """The assignments of one snapshot: all that `action_lift` needs to know of them.

    Attributes:
        assigned: the snapshot whose audiences they are.
        sent: whether they were handed over. If not, they are what would have been, and nothing was done to anybody.
        arms: of each measure, the customers treated and held out.
        planned: share of each action's customers that was to be held out; without it, the sample ratio is not tested.
        expected: the uplift that the playbook states for an action, if it does, as a share of what its customers spend.
        later: actions of which customers were handed over for this snapshot after the one at which is looked, which has none of their
            orders since: the first day on which they were, and how many by role.
    """

    assigned: dt.date
    sent: bool
    arms: Mapping[Measure, Mapping[Group, Arm]]
    planned: Mapping[ActionKey, float]
    expected: Mapping[ActionKey, float]
    later: Mapping[ActionKey, tuple[dt.date, Mapping[Role, int]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Lift:
    """One row of `action_lift`. None: not known, or too few customers."""

    assigned_on: dt.date
    list: str
    action: str
    segment_id: int | None
    measure: Measure
    sent: bool
    treated: int
    holdout: int
    treated_mean: float | None = None
    holdout_mean: float | None = None
    effect: float | None = None
    effect_low: float | None = None
    effect_high: float | None = None
    effect_share: float | None = None
    p_value: float | None = None
    q_value: float | None = None
    variance_removed: float | None = None
    smallest_effect: float | None = None
    power: float | None = None
    sample_ratio_p: float | None = None
    verdict: str = ""


COLUMNS = tuple(Lift.__dataclass_fields__)


def action_lift(cohorts: Iterable[Cohort], money: str) -> pd.DataFrame:
    """One row (COLUMNS) per cohort, action, segment or all of them, and measure.

    False discoveries are controlled over the actions of one measure, and apart from them over all segments of all actions (Benjamini and
    Hochberg, 1995).
    """
    rows: list[Lift] = []
    for cohort in cohorts:
        for measure in Measure:
            found = cohort.arms[measure]
            whole = [_row(cohort, measure, action, EVERY_SEGMENT, roles) for action, roles in sorted(by_action(found).items())]
            parts = [_row(cohort, measure, action, segment, roles) for (action, segment), roles in sorted(by_segment(found).items())]
            waiting = [_waiting(cohort, measure, action) for action in sorted(cohort.later) if action not in by_action(found)]
            rows += [*_over_all(whole), *_over_all(parts), *waiting]
    return in_table([astuple(row if row.verdict else replace(row, verdict=_verdict(row, money))) for row in rows], COLUMNS)


def _waiting(cohort: Cohort, measure: Measure, action: ActionKey) -> Lift:
    """The row of an action that was handed over after this snapshot, so that nothing of what its customers did since is known here."""
    day, roles = cohort.later[action]
    said = f"Handed over on {day}, after this snapshot: its lift shows from the first snapshot after that date."
    numbers = (roles.get(Role.TREATED, 0), roles.get(Role.HOLDOUT, 0))
    return Lift(cohort.assigned, action.list, action.action, EVERY_SEGMENT, measure, True, *numbers, verdict=said)


def _row(cohort: Cohort, measure: Measure, action: ActionKey, segment_id: int | None, roles: Mapping[Role, Arm]) -> Lift:
    treated, holdout = roles.get(Role.TREATED), roles.get(Role.HOLDOUT)
    n, m = (arm.customers if arm else 0 for arm in (treated, holdout))
    ratio = sample_ratio(n, m, cohort.planned[action]) if segment_id is EVERY_SEGMENT and action in cohort.planned else None
    row = Lift(cohort.assigned, action.list, action.action, segment_id, measure, cohort.sent, n, m, sample_ratio_p=ratio)
    if treated is None or holdout is None or min(n, m) < FEWEST_IN_ARM:
        return row
    found, both = compared(treated, holdout), treated + holdout
    if found is None:
        return replace(row, treated_mean=treated.mean, holdout_mean=holdout.mean)
    share = cohort.expected.get(action) if measure is Measure.SPEND else None
    asked = share * holdout.mean if share and holdout.mean > 0 else None
    return replace(
        row,
        treated_mean=treated.mean,
        holdout_mean=holdout.mean,
        effect=found.effect,
        effect_low=found.low,
        effect_high=found.high,
        effect_share=found.effect / holdout.mean if holdout.mean > 0 else None,
        p_value=found.p_value,
        variance_removed=both.variance_removed(),
        smallest_effect=smallest_effect(n, m, both),
        power=power_to_show(asked, n, m, both) if asked else None,
    )


def _over_all(rows: Sequence[Lift]) -> list[Lift]:
    """The rows with q-values over those that have p-values."""
    rates = iter(false_discovery_rates([row.p_value for row in rows if row.p_value is not None]))
    return [row if row.p_value is None else replace(row, q_value=next(rates)) for row in rows]


def _verdict(row: Lift, money: str) -> str:
    """What the row says, in words."""
    said = [] if row.sent else [NOT_SENT]
    if row.sample_ratio_p is not None and row.sample_ratio_p < SAMPLE_RATIO_LEVEL:
        said.append(
            f"{row.holdout:,} of {row.treated + row.holdout:,} customers are held out, which does not fit the share that was planned "
            f"(p = {row.sample_ratio_p:.2g}): customers of one arm were lost, or the share was changed "
            "since, so do not trust the difference."
        )
    return " ".join([*said, _difference_in_words(row, money)])


def _difference_in_words(row: Lift, money: str) -> str:
    if min(row.treated, row.holdout) < FEWEST_IN_ARM:
        return f"No figure: {row.treated:,} treated and {row.holdout:,} held out, and each needs at least {FEWEST_IN_ARM}."
    if row.effect is None or row.effect_low is None or row.effect_high is None or row.q_value is None or row.smallest_effect is None:
        return "No figure: within each arm all customers did the same, for instance because none ordered, so that chance cannot be judged."
    low, high = (number(one, row.measure) for one in (row.effect_low, row.effect_high))
    between = f"{in_words(row.effect, row.measure, money)} (95% interval {low} to {high})"
    if not row.sent:
        return f"They differ by {between}."
    if row.q_value < LEVEL:
        more = "more" if row.effect > 0 else "less"
        return f"The treated did {more}: {between}; it is unlikely to be chance (q = {row.q_value:.2g})."
    hardly = in_words(row.smallest_effect, row.measure, money)
    return f"No effect was shown: {between}. That does not show that there is none: one below {hardly} would hardly have been seen."
