"""Has the population changed since the model was trained? Stored references, and alarms with a known rate.

A reference says how the training customers were spread over bins. The population stability index (PSI) of later customers
gets a simulated null distribution, q-values over all subjects, and a threshold below which a change does not matter, however
certain it is. A classifier two-sample test looks for changes that no single subject shows. The tests here take the two snapshots
for independent draws; those in `pairing` use the customers who are in both. SciPy and scikit-learn are
imported where they are used, so that commands that only print drift need not wait for them.
"""

import math
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segmentation_assets.settings.model import DriftSettings
from segmentation_assets.vocabulary import DriftKind, DriftTest

# Deciles, with the outer ones divided: top-decile customers who spend three times as much would stay in the same bin.
QUANTILES = (0.01, 0.05, *(tenth / 10 for tenth in range(1, 10)), 0.95, 0.99)
# Tenure grows with every snapshot for customers who stay, and the opening pause is known of more of them, so drift says nothing here.
GROWS_WITH_TIME = {"tenure_days", "opening_pause_days"}
# A share of zero would make the index infinite: no bin counts less than half a customer.
HALF_A_CUSTOMER = 0.5
RAREST_LEVEL = 0.01  # share of customers from which a level gets its own bin; keeps names and addresses out of the reference
FEWEST_COMPARED = 20  # customers needed on either side for the classifier test
DRAWS = 10_000  # most simulated populations, unless there are very many subjects
ENOUGH = 100  # simulated populations with as large a PSI that suffice: the p-value then has a relative error of a tenth
CLEARLY = 3  # standard deviations between a level's customers and the fewest that get a bin, beyond which it was not chosen by luck
SAMPLE = 1000  # training customers whose points are stored
TOGETHER = "model features together"
COLUMNS = ("kind", "subject", "statistic", "value", "p_value", "q_value", "threshold", "flagged", "in_model", "test")


@dataclass(frozen=True)
class Reference:
    """How `customers` at training were spread over the bins of one subject.

    A numeric subject has `edges` (b,) and b + 1 bins; a categorical one has `levels` (b,), and a bin for any other. In both
    the last share is that of missing values. `shares` add up to 1, or to 0 if there were no customers.
    """

    kind: DriftKind
    subject: str
    customers: int
    shares: tuple[float, ...]
    edges: tuple[float, ...] = ()
    levels: tuple[str, ...] = ()
    categorical: bool = False

    @property
    def size(self) -> int:
        """Number of bins."""
        return len(self.edges) + len(self.levels) + 2

    def bins(self, values: pd.Series) -> NDArray[np.int64]:
        """The bin of each of `values` (n,); upper edges belong to the bin below."""
        present = values.dropna()
        if self.categorical:
            codes = pd.Index(self.levels).get_indexer(pd.Index(present.astype(str)))
            found = np.where(codes < 0, len(self.levels), codes)
        else:
            found = np.searchsorted(np.array(self.edges), present.to_numpy(dtype=np.float64), side="left")
        bins = np.full(len(values), self.size - 1)
        bins[values.notna().to_numpy()] = found
        return bins

    def counts(self, values: pd.Series) -> NDArray[np.int64]:
        """Customers in each bin."""
        return np.bincount(self.bins(values), minlength=self.size)


def numeric_reference(subject: str, values: pd.Series, kind: DriftKind = DriftKind.FEATURE) -> Reference:
    """Bins between the `QUANTILES` of `values` (fewer if values repeat), and the share of customers in each; missing values are a bin."""
    present = values.dropna().to_numpy(dtype=np.float64)
    quantiles = np.quantile(present, QUANTILES, method="lower") if len(present) else np.array([])
    edges = np.unique(quantiles[quantiles < present.max()]) if len(present) else quantiles
    if len(present) and present.min() == present.max():  # for a constant, any value above or below it is a change
        edges = np.array([np.nextafter(present[0], -np.inf), present[0]])
    empty = Reference(kind, subject, len(values), (0.0,) * (len(edges) + 2), edges=tuple(edges.tolist()))
    return replace(empty, shares=tuple((empty.counts(values) / max(len(values), 1)).tolist()))


def categorical_reference(subject: str, values: pd.Series, kind: DriftKind = DriftKind.FEATURE) -> Reference:
    """A bin for each level of `values` that at least 1% of customers have, one for all other levels, and one for missing values.

    Some rare levels exceed 1% only by chance and would seem to have become rarer at the next snapshot. Where chance may have
    decided, levels are therefore chosen on one half of the customers and counted on the other. The halves are seeded by the subject
    and its counts: seeded by the subject alone, a level would be off by the same quantile for all customers.
    Segments are never chosen by chance.
    """
    seen = values.dropna().astype(str).value_counts().sort_index()
    names, counts, missing = [str(level) for level in seen.index], seen.to_numpy(dtype=np.int64), len(values) - int(seen.sum())
    rarest, counted = RAREST_LEVEL * len(values), np.append(counts, missing)
    kept = counts >= rarest
    if kind != DriftKind.SEGMENT_MIX and (np.abs(counts - rarest) < CLEARLY * np.sqrt(rarest)).any():
        rng = np.random.default_rng([zlib.crc32(subject.encode()), zlib.crc32(counted.tobytes())])
        half = rng.multivariate_hypergeometric(counted, len(values) // 2, method="marginals")
        kept, counted = half[:-1] >= RAREST_LEVEL * (len(values) // 2), counted - half
    bins = [*counted[:-1][kept], counted[:-1][~kept].sum(), counted[-1]]
    customers = int(counted.sum())
    shares = tuple(float(count) / max(customers, 1) for count in bins)
    levels = tuple(name for name, keep in zip(names, kept, strict=True) if keep)
    return Reference(kind, subject, customers, shares, levels=levels, categorical=True)


def common_levels(*sides: pd.Series) -> tuple[str, ...]:
    """The levels that at least 1% of all have, in order."""
    seen = pd.concat([side.dropna().astype(str) for side in sides]).value_counts().sort_index()
    return tuple(str(level) for level in seen.index[seen >= RAREST_LEVEL * sum(map(len, sides))])


def reference_of(subject: str, values: pd.Series) -> Reference:
    """The reference of a feature: numbers by quantiles, anything else by levels."""
    numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    return numeric_reference(subject, values) if numeric else categorical_reference(subject, values)


def draws_for(subjects: int, alpha: float) -> int:
    """How many populations to simulate so that a single subject can raise an alarm: a p-value is at least 1 / draws, and the smallest
    of all raises one at alpha / subjects or below."""
    return max(DRAWS, 10 * math.ceil(subjects / alpha))


def psi(expected: NDArray[np.float64], actual: NDArray[np.float64]) -> NDArray[np.float64]:
    """Population stability index, sum of (actual - expected) * ln(actual / expected) over the last axis; all shares above 0.

    >>> round(float(psi(np.array([0.5, 0.5]), np.array([0.6, 0.4]))), 4)
    0.0405
    """
    return np.asarray(((actual - expected) * np.log(actual / expected)).sum(axis=-1), dtype=np.float64)


def psi_of_counts(before: NDArray[np.int64], now: NDArray[np.int64], n: int, m: int) -> NDArray[np.float64]:
    """PSI of `now` among m customers against `before` among n, over the last axis; no bin counts less than half a customer."""
    return psi(np.maximum(before, HALF_A_CUSTOMER) / n, np.maximum(now, HALF_A_CUSTOMER) / m)


@dataclass(frozen=True)
class Shift:
    """One statistic with its p-value, both NaN if either side has too few customers; and the test that gave them."""

    value: float
    p_value: float
    test: DriftTest = DriftTest.INDEPENDENT


def simulated_p_value(unchanged: Callable[[int], NDArray[np.float64]], value: float, draws: int) -> float:
    """Probability of a statistic of at least `value`, where `unchanged(size)` draws it had nothing changed.

    Drawing ends early where `ENOUGH` were as large, which leaves the p-value exact (Besag and Clifford, 1991).
    """
    larger = drawn = 0
    while drawn < draws:
        null = unchanged(min(max(drawn, 2 * ENOUGH), draws - drawn))
        reached = larger + np.cumsum(null >= value)
        if reached[-1] >= ENOUGH:
            return ENOUGH / (drawn + 1 + int(np.argmax(reached >= ENOUGH)))
        larger, drawn = int(reached[-1]), drawn + len(null)
    return (larger + 1) / (drawn + 1)  # a simulated p-value is never 0


def subject_rng(subject: str, seed: int) -> np.random.Generator:
    """Random numbers of a subject's own."""
    return np.random.default_rng([seed, zlib.crc32(subject.encode())])


def psi_shift(reference: Reference, values: pd.Series, draws: int, seed: int) -> Shift:
    """PSI of `values` (n,) against the reference, and the probability of one as large if nothing had changed.

    The null distribution is simulated. For levels, customers are reallocated at random to training and now, as in a permutation
    test. For quantiles, the training counts are given, the bins' true masses are spacings of uniform order statistics, hence
    Dirichlet, and the counts now are multinomial. For large samples both are (1/n + 1/m) times chi-square (Yurdakul and Naranjo,
    2020).
    """
    n, m = reference.customers, len(values)
    if not n or not m:
        return Shift(np.nan, np.nan)
    before = np.rint(np.array(reference.shares) * n).astype(np.int64)
    now = reference.counts(values)
    used = (before > 0) | (now > 0)
    above = len(before) - 2  # the bin above the last quantile has one more spacing than it has customers
    spacings = (np.maximum(before, HALF_A_CUSTOMER) + (np.arange(len(before)) == above))[used]
    before, now = before[used], now[used]
    rng = subject_rng(reference.subject, seed)

    def unchanged(size: int) -> NDArray[np.float64]:
        if reference.categorical:
            new = rng.multivariate_hypergeometric(before + now, m, size=size, method="marginals")
            return psi_of_counts(before + now - new, new, n, m)
        masses = rng.standard_gamma(spacings, size=(size, len(spacings)))
        return psi_of_counts(before, rng.multinomial(m, masses / masses.sum(axis=1, keepdims=True)), n, m)

    value = float(psi_of_counts(before, now, n, m))
    return Shift(value, simulated_p_value(unchanged, value - 1e-12, draws))


def joint_shift(before: NDArray[np.float64], now: NDArray[np.float64], seed: int) -> Shift:
    """Classifier two-sample test (Lopez-Paz and Oquab, 2017) of points (n, d) against points (m, d): the area under the curve
    of `separating_scores`, and its p-value (Mann and Whitney, 1947).

    It learns on one half and is tested on the other, whose order is random if nothing has changed, whatever was learnt. The larger
    side is sampled down to the size of the smaller. NaN if either has fewer than 20.
    """
    from scipy import stats

    size = min(len(before), len(now))
    if size < FEWEST_COMPARED or not before.shape[1]:
        return Shift(np.nan, np.nan)
    rng = np.random.default_rng([seed, size])
    sides = [points[rng.permutation(len(points))[:size]] for points in (before, now)]
    learn, test = ([side[half] for side in sides] for half in (slice(None, size // 2), slice(size // 2, None)))
    scores = separating_scores(learn, test)
    found = stats.mannwhitneyu(scores[1], scores[0], alternative="greater", method="asymptotic")
    return Shift(float(found.statistic / (len(scores[0]) * len(scores[1]))), float(found.pvalue))


def separating_scores(learn: list[NDArray[np.float64]], test: list[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """How much each point of `test`, which has training's and now's, looks like one of now: a logistic regression on the coordinates,
    their squares and products that learnt to tell the two of `learn` apart."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    classifier = make_pipeline(StandardScaler(), PolynomialFeatures(2, include_bias=False), StandardScaler(), LogisticRegression(C=0.1))
    classifier.fit(np.vstack(learn), np.repeat([0, 1], [len(side) for side in learn]))
    return [classifier.decision_function(side) for side in test]


def report(shifts: Iterable[tuple[DriftKind, str, Shift]], in_model: Sequence[str], settings: DriftSettings) -> pd.DataFrame:
    """One row per subject (columns `COLUMNS`): its statistic, p-value, q-value over all subjects (Benjamini and Hochberg, 1995),
    and whether it is flagged (missing if it could not be measured). `in_model` are the features that the model uses; subjects
    other than features always count as in the model.
    """
    rows = pd.DataFrame(
        [(kind, subject, s.value, s.p_value, s.test) for kind, subject, s in shifts],
        columns=["kind", "subject", "value", "p_value", "test"],
    )
    rows = rows.astype({"value": "float64", "p_value": "float64"})
    known = rows["p_value"].notna()
    rows["q_value"] = np.nan
    if known.any():
        from scipy import stats

        rows.loc[known, "q_value"] = stats.false_discovery_control(rows.loc[known, "p_value"])
    joint = rows["kind"] == DriftKind.JOINT
    rows["statistic"] = np.where(joint, "auc", "psi")
    rows["threshold"] = np.where(joint, settings.auc_threshold, settings.psi_threshold)
    flagged = (rows["q_value"] <= settings.alpha) & (rows["value"] > rows["threshold"])
    rows["flagged"] = flagged.astype("boolean").mask(rows["q_value"].isna())  # unknown if nothing was measured
    rows["in_model"] = (rows["kind"] != DriftKind.FEATURE) | rows["subject"].isin(in_model)
    return rows[list(COLUMNS)]


def unmeasured(report: pd.DataFrame, kind: DriftKind | None = None) -> str:
    """Why nothing was measured, for one kind or at all, as part of a sentence; empty if something was."""
    own = report if kind is None else report[report["kind"] == kind]
    if own["q_value"].notna().any():
        return ""
    if report.empty:
        return "there was no earlier model to compare with"
    if report["q_value"].isna().all():
        return "no customer is active, or none was when the model was trained"
    if own.empty:
        return "the previous model has nothing to compare with, because it is a grid or had too few customers"
    return f"fewer than {FEWEST_COMPARED} customers are active, or were when the model was trained"
