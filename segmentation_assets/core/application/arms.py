"""The arms of an experiment as sums, and how two of them are compared.

Belongs here: the arithmetic of one comparison and of its power; that of the tests comes from tea-tasting. Which customers are in which arm,
and what is said of the result, does not belong here.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from segmentation_assets.vocabulary import Role

if TYPE_CHECKING:
    from tea_tasting.aggr import Aggregates

LEVEL = 0.05  # of the tests; intervals are of 1 - LEVEL
POWER = 0.8
FEWEST_IN_ARM = 30  # customers; of fewer, no figure is given
SUMS = ("y", "x", "yy", "xy", "xx")
TEST = {"equal_var": True, "use_t": False}  # one variance for both arms, as `compared` says; the normal distribution
FAR = 1e4  # standard deviations
VALUE, BEFORE = "value", "before"  # names of the two columns within tea-tasting


@dataclass(frozen=True)
class Arm:
    """Customers of one arm, as sums over what they did since, y, and before, x, both less a centre.

    Arms about the same centre add up: segments make up an action. The centre is any value near the means: it keeps sums of squares of large
    amounts exact.
    """

    customers: int
    y: float
    x: float
    yy: float
    xy: float
    xx: float
    centre: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def of(cls, since: ArrayLike, before: ArrayLike, centre: tuple[float, float] = (0.0, 0.0)) -> "Arm":
        """The arm of customers with these outcomes (n,) and pre-period values (n,)."""
        y = np.asarray(since, dtype=np.float64) - centre[0]
        x = np.asarray(before, dtype=np.float64) - centre[1]
        return cls(len(y), float(y.sum()), float(x.sum()), float(y @ y), float(x @ y), float(x @ x), centre)

    def __add__(self, other: "Arm") -> "Arm":
        if self.centre != other.centre:
            raise ValueError(f"arms about different centres, {self.centre} and {other.centre}, cannot be added")
        sums = {name: getattr(self, name) + getattr(other, name) for name in SUMS}
        return Arm(self.customers + other.customers, **sums, centre=self.centre)

    @property
    def mean(self) -> float:
        return self.centre[0] + self.y / self.customers

    @property
    def mean_before(self) -> float:
        return self.centre[1] + self.x / self.customers

    def covariances(self) -> tuple[float, float, float]:
        """Sample variance of y, covariance of y and x, variance of x. Needs two customers."""
        n = self.customers
        yy, xx = (max(squares - total * total / n, 0.0) for total, squares in ((self.y, self.yy), (self.x, self.xx)))
        return yy / (n - 1), (self.xy - self.x * self.y / n) / (n - 1), xx / (n - 1)

    def slope(self) -> float:
        """Of y on x; 0 if x does not vary."""
        _, both, before = self.covariances()
        return both / before if before > 0 else 0.0

    def variance(self, slope: float) -> float:
        """Sample variance of y - slope * x."""
        since, both, before = self.covariances()
        return max(since - 2 * slope * both + slope * slope * before, 0.0)

    def variance_removed(self) -> float:
        """Share of the variance of y that x explains, which CUPED removes; 0 if y does not vary."""
        since, _, _ = self.covariances()
        return max(1 - self.variance(self.slope()) / since, 0.0) if since > 0 else 0.0

    def aggregates(self, below: float = 0.0) -> "Aggregates":
        """The arm as tea-tasting reads it, y measured from `below`."""
        from tea_tasting.aggr import Aggregates

        since, both, before = self.covariances()
        return Aggregates(
            count_=self.customers,
            mean_={VALUE: self.mean - below, BEFORE: self.mean_before},
            var_={VALUE: since, BEFORE: before},
            cov_={(VALUE, BEFORE): both},
        )


@dataclass(frozen=True)
class Difference:
    """Treated less held out, per customer, with what it rests on."""

    effect: float
    low: float
    high: float
    p_value: float


def power_to_show(effect: float, treated: int, holdout: int, like: Arm) -> float:
    """Chance that the test shows `effect` per customer, if it is there, among customers `like` these."""
    import tea_tasting as tt

    metric = tt.Mean(VALUE, BEFORE, **TEST, alpha=LEVEL, ratio=treated / holdout, n_obs=treated + holdout, effect_size=effect)
    return float(metric.solve_power_from_aggregates(like.aggregates(), "power")[0].power)


def smallest_effect(treated: int, holdout: int, like: Arm) -> float:
    """Smallest effect per customer that the test shows with the chance POWER."""
    return _standard_errors_to_show() * float(np.sqrt(like.variance(like.slope()) * (1 / treated + 1 / holdout)))


@functools.cache
def _standard_errors_to_show() -> float:
    """How many standard errors an effect must have to be shown with the chance POWER: solved once, because it is the same for all arms."""
    import tea_tasting as tt
    from tea_tasting.aggr import Aggregates

    metric = tt.Mean(VALUE, **TEST, alpha=LEVEL, power=POWER, n_obs=4)
    return float(metric.solve_power_from_aggregates(Aggregates(4, {VALUE: 1.0}, {VALUE: 1.0}), "effect_size")[0].effect_size)


def holdout_needed(effect: float, customers: int, like: Arm) -> int | None:
    """Fewest of so many customers that must be held out for the test to show `effect` with the chance POWER; None if half of them are too
    few, because a larger holdout shows less."""
    low, high = 0, customers // 2
    if high < 1 or smallest_effect(customers - high, high, like) > effect:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if smallest_effect(customers - middle, middle, like) <= effect else (middle, high)
    return high


def compared(treated: Arm, holdout: Arm) -> Difference | None:
    """The effect of treatment per customer, less what the period before explains (CUPED; Deng et al., 2013). None if within each arm all
    did the same.

    With one variance for both arms: the variance in a small holdout of skewed spend is small by chance whenever its mean is, so intervals
    from a variance of its own miss too often (docs/acting.md has the figures). The price: they are too short where the treated, if many
    more, vary less because of the treatment.
    """
    import tea_tasting as tt

    both = treated + holdout
    slope = both.slope()
    if treated.variance(slope) + holdout.variance(slope) <= 0:
        return None
    # tea-tasting computes a relative effect, too, and overflows near a mean of 0: measured from far below, means are never near it.
    below = both.mean - FAR * both.variance(0) ** 0.5
    metric = tt.Mean(VALUE, BEFORE, **TEST, confidence_level=1 - LEVEL)
    found = metric.analyze_aggregates(holdout.aggregates(below), treated.aggregates(below))
    return Difference(found.effect_size, found.effect_size_ci_lower, found.effect_size_ci_upper, found.pvalue)


def sample_ratio(treated: int, holdout: int, planned: float) -> float:
    """p-value of so many held out, where the share `planned` was to be: exact below 1,000 customers, else by the normal distribution."""
    import tea_tasting as tt
    from tea_tasting.aggr import Aggregates

    counts: dict[object, Aggregates] = {Role.TREATED: Aggregates(count_=treated), Role.HOLDOUT: Aggregates(count_=holdout)}
    metric = tt.SampleRatio((1 - planned) / planned)
    return float(metric.analyze(counts, control=Role.HOLDOUT, treatment=Role.TREATED).pvalue)


def false_discovery_rates(p_values: Sequence[float]) -> list[float]:
    """The smallest false discovery rate at which each is a discovery (Benjamini and Hochberg, 1995)."""
    if not p_values:
        return []
    import tea_tasting as tt
    from tea_tasting.experiment import ExperimentResult

    adjusted = tt.adjust_fdr({number: ExperimentResult({VALUE: {"pvalue": p}}) for number, p in enumerate(p_values)})
    return [float(adjusted[number][VALUE]["pvalue_adj"]) for number in range(len(p_values))]
