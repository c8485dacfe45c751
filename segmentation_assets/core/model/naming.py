"""Describes a segment: its state, whether its customers are changing, a unique name, and a sentence on what marks it out.

The state depends on the rank of the segment's typical customer among active customers (shares of customers who are
less recent, less frequent, of less value), so that it means the same in any currency and at any rhythm. A change is
one that `pace` measured.
"""

import itertools
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segmentation_assets.core.customers.columns import Customers
from segmentation_assets.core.customers.feature_catalog import FEATURES, RECENCY, RHYTHM, TREND, Feature
from segmentation_assets.core.model.pace import Pace
from segmentation_assets.vocabulary import Character, Status, counted

FREQUENCY = "frequency"  # a feature of all active customers, if the source has orders
LAPSED, PROSPECT, RETURNED, FORMER, NOISE = -1, -2, -3, -4, 0
RULE_SEGMENTS = {
    LAPSED: ("Lapsed", Character.LAPSED), PROSPECT: ("Prospects", Character.PROSPECT), RETURNED: ("Returns only", Character.RETURNED),
    FORMER: ("Former customers", Character.FORMER), NOISE: ("Unassigned", Character.STEADY),
}  # fmt: skip
BY_STATUS = {Status.LAPSED: LAPSED, Status.RETURNED: RETURNED, Status.PROSPECT: PROSPECT, Status.FORMER: FORMER}

# A state says where customers stand today; only a measured change of pace adds that they are changing.
NAMES = {
    Character.CHAMPIONS: "Champions",
    Character.NEW: "New customers",
    Character.LOYAL: "Loyal regulars",
    Character.PAUSING: "Frequent, in a long pause",
    Character.BIG_BASKETS: "Big baskets",
    Character.QUIET: "Occasional, not seen lately",
    Character.RECENT: "Occasional, seen lately",
    Character.OCCASIONAL: "Occasional shoppers",
    Character.STEADY: "Average customers",
}
CHANGES: dict[str, str] = {
    Character.SLIPPING: ", slipping away",
    Character.AT_RISK: ", at risk",
    Character.DORMANT: ", gone dormant",
    Character.PROMISING: ", coming more often",
}
VALUED = {Character.CHAMPIONS, Character.LOYAL, Character.PAUSING, Character.BIG_BASKETS}
BEGINS, ENDS = 0.15, 0.075  # share of changing customers from which the name says so, and below which it no longer does
MOSTLY, NOT_MOSTLY = 0.5, 0.4  # the same, to be called dormant
NEARLY_ALL, NOT_NEARLY_ALL = 0.75, 0.65  # and the share of customers whose last order lies STOPPED of their own gaps back, or more
SURE = 3.5  # standard errors that a change must have to begin
MARGIN = 0.07  # in shares of customers: a state stays in force while its segment is that near to it
LARGER, LARGER_MARGIN = 1.2, 1.1  # of the shop's typical order, for big baskets; a factor, as MARGIN
LATE, LONG_PAUSE, STOPPED, LATE_MARGIN = 1.5, 2.0, 3.0, 1.4  # mean gaps since the typical customer's last order; a factor, as MARGIN
NEWCOMERS = 0.8  # share of a segment who first ordered in the second half of the lookback
APART = 0.2  # of the larger: spend that differs by less tells no two segments apart
NUMBER = re.compile(r" \(\d+\)$")
MARKS = {", higher spend": 0, "": 1, ", medium spend": 1, ", lower spend": 2}  # in the order of spend
LEAST_MARK = 0.25  # standard deviations from the average customer from which a feature marks a segment out
LEAST_DIFFERENCE = 0.11  # of the average: order values that differ by less are alike, and 31 days are 11% more than 28
LEAST_KNOWN = 0.5  # share of a segment's customers with a value; with fewer, a feature does not describe the typical one


@dataclass(frozen=True)
class Standing:
    """Mean rank of a segment's customers among active customers: shares in [0, 1], high is good.

    `basket` is spend per order. `late` is the time since the typical customer's last order, in that customer's mean gaps (NaN: most
    have none); `new` is the share of the segment's customers who first ordered in the second half of the lookback, `stopped` of those
    whose last order lies at least three of their own mean gaps back. `larger` is the typical customer's spend per order as a multiple of
    that of the typical customer of all.
    """

    recency: float
    frequency: float
    monetary: float
    tenure: float
    basket: float
    late: float = np.nan
    new: float = 1.0
    stopped: float = 0.0
    larger: float = 1.0


@dataclass(frozen=True, eq=False)
class Spread:
    """Mean and standard deviation (ddof 0) of each numeric feature over a population; `unit` is that deviation, NaN if constant."""

    mean: pd.Series
    sd: pd.Series
    unit: pd.Series

    @classmethod
    def of(cls, population: Customers) -> "Spread":
        """The spread of a population's rows of customer_features."""
        features = population.select_dtypes("number").columns
        found = pd.DataFrame(
            [_spread(population[name].to_numpy(np.float64, na_value=np.nan)) for name in features], features, ["mean", "sd", "most"]
        )
        return cls(found["mean"], found["sd"], found["sd"].where(found["sd"] > 1e-12 * found["most"], np.nan))

    def z_scores(self, means: pd.Series) -> pd.Series:
        """(mean of a segment - that of the population) / its standard deviation, per feature; NaN if constant."""
        return (means - self.mean) / self.unit


@dataclass(frozen=True)
class Members:
    """A segment's `customers`; and of each numeric feature their `mean`, the share for whom it is `known`, and the `median`."""

    customers: int
    mean: Mapping[str, float]
    known: Mapping[str, float]
    median: Mapping[str, float]


def location(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Of values (n,), the mean of those that are known, which is pandas' to the last bit; the share of them; and their median."""
    missing = np.isnan(values)
    known = values[~missing]
    if not known.size:
        return np.nan, 0.0 if values.size else np.nan, np.nan
    return float(np.where(missing, 0.0, values).sum() / known.size), known.size / values.size, float(np.median(known))


def _spread(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Mean, standard deviation and largest magnitude of what is known of `values` (n,), in a third of the time that pandas takes."""
    known = values[~np.isnan(values)]
    if not known.size:
        return np.nan, np.nan, np.nan
    return float(known.mean()), float(known.std()), float(max(-known.min(), known.max()))


def standings(active: Customers, labels: NDArray[np.int64], k: int) -> list[Standing | None]:
    """Where the customers of each cluster stand; None for a cluster without any.

    Args:
        active: rows of customer_features (n,); `labels`: the cluster of each (n,), of `k`.

    Ranks are averaged, since that of the median customer would jump where many have the same number of orders.
    """

    def known(name: str) -> pd.Series:
        return active[name] if name in active else pd.Series(np.nan, active.index)

    def new() -> pd.Series:
        first_here = active["tenure_days"].where(known("opening_pause_days").isna())  # of customers whose first order lies in the lookback
        return (first_here < first_here.max() / 2).astype("float64")

    def basket() -> pd.Series:
        return active["monetary"] / active["frequency"]

    ranked: dict[str, Callable[[], pd.Series]] = {  # one after the other: all of them would take as much as the customers themselves
        "recency": lambda: -active["recency_days"], "frequency": lambda: active["frequency"], "monetary": lambda: active["monetary"],
        "tenure": lambda: active["tenure_days"], "basket": basket,
    }  # fmt: skip
    means = {name: _rank_shares(values()).groupby(labels).mean() for name, values in ranked.items()}
    means["new"] = new().groupby(labels).mean()
    means["stopped"] = (known("overdue_ratio") >= STOPPED).astype("float64").groupby(labels).mean()
    late, spent, typical = known("overdue_ratio").groupby(labels), basket(), basket().median()
    found = pd.DataFrame(means).assign(
        larger=spent.groupby(labels).median() / typical if typical > 0 else 1.0,
        late=late.median().where(late.count() >= LEAST_KNOWN * late.size()),
    )
    return [Standing(**found.loc[c].to_dict()) if c in found.index else None for c in range(k)]


def _rank_shares(values: pd.Series) -> pd.Series:
    """The rank of each value as a share in (0, 1)."""
    ranks = values.rank()
    return (ranks - 0.5) / max(ranks.count(), 1)


def state(at: Standing, present: str = "") -> Character:
    """The kind of customers with this standing; the `present` state as long as they are near to it."""
    if present and any(_state(near) == present for near in _around(at)):
        return Character(present)
    return _state(at)


def _state(at: Standing) -> Character:
    """The state by the first rule that holds."""
    rules = (
        (at.recency >= 0.6 and at.frequency >= 0.75 and at.monetary >= 0.75, Character.CHAMPIONS),
        (at.tenure < 0.25 and at.recency >= 0.5 and at.new >= NEWCOMERS, Character.NEW),
        (at.frequency >= 0.55, Character.PAUSING if at.late >= LONG_PAUSE else Character.LOYAL),
        (at.basket >= 0.6 and at.monetary >= 0.5 and at.larger >= LARGER, Character.BIG_BASKETS),
        (at.recency < 0.25 and at.frequency < 0.35 and not at.late < LATE, Character.QUIET),
        (at.frequency < 0.35 and at.recency >= 0.55, Character.RECENT),
        (at.frequency < 0.35, Character.OCCASIONAL),
    )
    return next((name for holds, name in rules if holds), Character.STEADY)


def _around(at: Standing) -> Iterator[Standing]:
    """The corners of the box of standings that count as near."""
    *shares, late, new, stopped, larger = astuple(at)
    factors = [(1 / LATE_MARGIN, LATE_MARGIN), (-MARGIN, MARGIN), (1 / LARGER_MARGIN, LARGER_MARGIN)]
    for *moved, of_late, of_new, of_larger in itertools.product(*[(-MARGIN, MARGIN)] * len(shares), *factors):
        near = [a + b for a, b in zip(shares, moved, strict=True)]
        yield Standing(*[*near, late * of_late, new + of_new, stopped, larger * of_larger])


def change(pace: Pace | None, stopped: float, present: str = "") -> Character | None:
    """How the segment's customers are changing; a change begins at a higher share of them than that at which it ends.

    Args:
        stopped: as in `Standing`. present: the character in force, and with it the change.
    """
    if pace is None:
        return None
    if _under_way(pace.slowed, pace.slowed_z, present in {Character.SLIPPING, Character.AT_RISK, Character.DORMANT}):
        slowed, nearly_all = (NOT_MOSTLY, NOT_NEARLY_ALL) if present == Character.DORMANT else (MOSTLY, NEARLY_ALL)
        return Character.DORMANT if pace.slowed >= slowed and stopped >= nearly_all else Character.SLIPPING
    return Character.PROMISING if _under_way(pace.quickened, pace.quickened_z, present == Character.PROMISING) else None


def _under_way(share: float, z: float, already: bool) -> bool:
    return share >= ENDS if already else share >= BEGINS and z >= SURE


def character(of_state: str, changing: Character | None) -> Character:
    """What the playbook acts on: the state, or the change if there is one; valuable customers who slow down are at risk."""
    if changing is None:
        return Character(of_state)
    return Character.AT_RISK if of_state in VALUED and changing != Character.PROMISING else changing


def base(name: str, of_character: str) -> str:
    """The name without its change."""
    return name.removesuffix(CHANGES.get(of_character, ""))


def names(states: Sequence[str], bases: Sequence[str], spend: Sequence[float]) -> list[str]:
    """A name for each segment, from its state; those of one state are distinguished by spend.

    A segment keeps its name while that is of its state, and while the names that speak of higher and lower spend are in that order;
    otherwise all of that state are named anew.

    Args:
        states, bases, spend: state, name so far (empty: none) and median spend (NaN: nobody, so the name stays) of each segment.
    """
    found, shown = list(bases), [i for i, amount in enumerate(spend) if amount == amount]
    taken = {bases[i] for i in set(range(len(bases))) - set(shown)}
    for kind in dict.fromkeys(states[i] for i in shown):
        label = NAMES[Character(kind)]
        alike = sorted((i for i in shown if states[i] == kind), key=lambda i: -spend[i])
        so_far = [bases[i] if NUMBER.sub("", bases[i]) in {label + mark for mark in MARKS} else "" for i in alike]
        for i, name in zip(alike, _of_one_state(label, [spend[i] for i in alike], so_far, taken), strict=True):
            found[i] = name
    return found


def _of_one_state(label: str, spend: list[float], so_far: list[str], taken: Collection[str]) -> list[str]:
    """The names of segments of one state, highest spend first."""
    found = list(so_far)
    for place, own in enumerate(spend):
        if not found[place]:
            others = [other for i, other in enumerate(spend) if i != place and (found[i] or not any(so_far))]
            found[place] = unused(label + _mark(own, others), {*found, *taken})
    true = _true([name.removeprefix(label) for name in found], spend)
    return found if true or not any(so_far) else _of_one_state(label, spend, [""] * len(spend), taken)


def _true(marks: list[str], spend: list[float]) -> bool:
    """Whether the marks of segments of one state are in the order of spend (highest first) and none compares with one that is gone."""
    plain = [NUMBER.sub("", mark) for mark in marks]
    in_order = all(
        MARKS[mark] <= MARKS[after] or own == less for (mark, own), (after, less) in itertools.pairwise(zip(plain, spend, strict=True))
    )
    numbered = {mark for mark, whole in zip(plain, marks, strict=True) if mark != whole}
    return in_order and (len(marks) > 1 or plain == [""]) and all(mark in marks and MARKS[mark] == 1 for mark in numbered)


def _mark(own: float, others: Sequence[float]) -> str:
    """What distinguishes a segment from others of its state; empty if there are none, or if one spends much the same."""
    if not others or any(abs(own - other) <= APART * max(abs(own), abs(other)) for other in others):
        return ""
    above = sum(other > own for other in others)
    return ", higher spend" if above == 0 else ", lower spend" if above == len(others) else ", medium spend"


def unused(name: str, used: Collection[str]) -> str:
    """The name, with a number if it is in use."""
    numbered = itertools.chain([name], (f"{name} ({number})" for number in itertools.count(2)))
    return next(candidate for candidate in numbered if candidate not in used)


def told(pace: Pace | None, of_character: str) -> list[str]:
    """The sentence on the change in the name, if there is one."""
    if pace is None or of_character not in CHANGES:
        return []
    share, what = (pace.quickened, "come more often") if of_character == Character.PROMISING else (pace.slowed, "come less often")
    return [f"At least {share:.0%} of its customers {what} than at the start of the lookback, beyond what chance explains."]


def description(segment: Members, population: Spread, segment_id: int, declared: Sequence[Feature] = FEATURES) -> str:
    """One sentence on who the customers are and what marks them out among all active customers.

    Args:
        segment: its customers' figures; population: the spread over all active customers; declared: the features, with words for high
            and low values.
    """
    if segment_id == PROSPECT:
        return "Known, for instance from demographics or a campaign, but never bought."
    if segment_id == FORMER:
        return "On record at an earlier snapshot, and no longer."
    if segment_id == RETURNED:
        return "Returned everything they ever ordered, or have returns but no orders."
    if segment_id == LAPSED:
        days = segment.median.get("recency_days", np.nan)
        since = "" if pd.isna(days) else f"; half of them more than {counted(round(days), 'day')} ago"
        return f"Bought before, but not within the lookback{since}."
    if not segment.customers:
        return "No customers at this snapshot."
    marks = marked_out_by(segment, population, declared)
    if FREQUENCY not in segment.mean:
        return f"Against the average customer, the typical one {listed(marks)}." if marks else "Close to the average customer."
    typical = segment.median
    sentence = (
        f"Typically {counted(round(typical['frequency']), 'order')} worth {typical['monetary']:,.0f} within the lookback, "
        f"the last one {_days_ago(typical['recency_days'])}"
    )
    return (
        f"{sentence}; against the average customer, the typical one {listed(marks)}."
        if marks
        else f"{sentence}; close to the average customer."
    )


def marked_out_by(segment: Members, population: Spread, declared: Sequence[Feature], top: int = 3) -> list[str]:
    """In words, the features whose segment mean is furthest from the population's; they complete "this customer ...".

    Only one feature per group, because features of a group say much the same; recency, frequency and monetary value each count as a group.
    """
    z = population.z_scores(pd.Series({name: segment.mean[name] for name in population.mean.index}))
    far = [
        f
        for f in declared
        if abs(z.get(f.name, 0.0)) >= LEAST_MARK
        and segment.known[f.name] >= LEAST_KNOWN
        and abs(segment.mean[f.name] - population.mean[f.name]) >= LEAST_DIFFERENCE * _average(f, population)
        # "More than before" is true of nobody who merely decreased less than others.
        and (f.group != TREND or segment.median[f.name] * z[f.name] > 0)
    ]
    furthest = sorted(far, key=lambda f: -round(abs(z[f.name]), 9))  # ties go to the feature declared first
    of_group = {feature.name if feature.group == RECENCY else feature.group: feature for feature in reversed(furthest)}
    marks = [feature for feature in furthest if feature in of_group.values()][:top]
    return [f"{feature.high if z[feature.name] > 0 else feature.low} ({z[feature.name]:+.1f} sd)" for feature in marks]


def _average(feature: Feature, population: Spread) -> float:
    """What a difference in the feature must be compared with to matter: the average gap for one in days between orders, the average order
    for one on its value or size, 1 for one that is relative already; 0 for others, of which any difference may matter."""
    if feature.name in {"average_order_value", "items_per_order"}:
        return float(population.mean[feature.name])
    if feature.group == RHYTHM and feature.unit == "days" and "mean_gap_days" in population.mean:
        return float(np.nan_to_num(population.mean["mean_gap_days"]))
    return 1.0 if feature.unit in {"mean gaps", "share of the mean"} else 0.0


def _days_ago(days: float) -> str:
    if pd.isna(days):
        return "at an unknown time"
    return "today" if days < 0.5 else f"{counted(max(1, round(days)), 'day')} ago"


def listed(words: Sequence[str]) -> str:
    """The words as a list in prose: `a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
