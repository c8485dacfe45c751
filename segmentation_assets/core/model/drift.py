"""Has the population changed since the model was trained? Stored references, and alarms with a known rate.

A reference says how the training customers were spread over bins. The population stability index (PSI) of later customers
gets a simulated null distribution, q-values over all subjects, and a threshold below which a change does not matter, however
certain it is. A classifier two-sample test looks for changes that no single subject shows. SciPy and scikit-learn are
imported where they are used, so that commands that only print drift need not wait for them.
"""

import math
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segmentation_assets.settings.model import DriftSettings
from segmentation_assets.vocabulary import DriftKind

# Deciles, with the outer ones divided: top-decile customers who spend three times as much would stay in the same bin.
QUANTILES = (0.01, 0.05, *(tenth / 10 for tenth in range(1, 10)), 0.95, 0.99)
# Tenure grows with every snapshot for customers who stay, so its drift says nothing about them.
GROWS_WITH_TIME = {"tenure_days"}
# A share of zero would make the index infinite: no bin counts less than half a customer.
HALF_A_CUSTOMER = 0.5
RAREST_LEVEL = 0.01  # share of customers from which a level gets its own bin; keeps names and addresses out of the reference
FEWEST_COMPARED = 20  # customers needed on either side for the classifier test
DRAWS = 20_000  # most simulated populations, unless there are very many subjects
ENOUGH = 100  # simulated populations with as large a PSI that suffice: the p-value then has a relative error of a tenth
FEW_LEVELS = 20  # up to which the choice of levels does not bias their shares
SAMPLE = 1000  # training customers whose points are stored
TOGETHER = "model features together"
COLUMNS = ("kind", "subject", "statistic", "value", "p_value", "q_value", "threshold", "flagged", "in_model")


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

    def counts(self, values: pd.Series) -> NDArray[np.int64]:
        """Customers in each bin; upper edges belong to the bin below."""
        present = values.dropna()
        if self.categorical:
            codes = pd.Index(self.levels).get_indexer(pd.Index(present.astype(str)))
            bins = np.where(codes < 0, len(self.levels), codes)
        else:
            bins = np.searchsorted(np.array(self.edges), present.to_numpy(dtype=np.float64), side="left")
        return np.append(np.bincount(bins, minlength=len(self.shares) - 1), len(values) - len(present))


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

    Among many levels, some exceed 1% only by chance and would seem to have become rarer at the next snapshot. With more than
    `FEW_LEVELS`, levels are therefore chosen on one half of the customers and counted on the other.
    """
    seen = values.dropna().astype(str).value_counts().sort_index()
    names, counts, missing = [str(level) for level in seen.index], seen.to_numpy(dtype=np.int64), len(values) - int(seen.sum())
    choosing, counted = counts, np.append(counts, missing)
    if len(names) > FEW_LEVELS:
        rng = np.random.default_rng(zlib.crc32(subject.encode()))
        half = rng.multivariate_hypergeometric(counted, len(values) // 2, method="marginals")
        choosing, counted = half[:-1], counted - half
    kept = choosing >= RAREST_LEVEL * (len(values) // 2 if len(names) > FEW_LEVELS else len(values))
    bins = [*counted[:-1][kept], counted[:-1][~kept].sum(), counted[-1]]
    customers = int(counted.sum())
    shares = tuple(float(count) / max(customers, 1) for count in bins)
    levels = tuple(name for name, keep in zip(names, kept, strict=True) if keep)
    return Reference(kind, subject, customers, shares, levels=levels, categorical=True)


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


@dataclass(frozen=True)
class Shift:
    """One statistic with its p-value; both NaN if either side has too few customers."""

    value: float
    p_value: float


def psi_shift(reference: Reference, values: pd.Series, draws: int, seed: int) -> Shift:
    """PSI of `values` (n,) against the reference, and the probability of one as large if nothing had changed.

    The null distribution is simulated. For levels, customers are reallocated at random to training and now, as in a permutation
    test. For quantiles, the training counts are given, the bins' true masses are spacings of uniform order statistics, hence
    Dirichlet, and the counts now are multinomial. For large samples both are (1/n + 1/m) times chi-square (Yurdakul and Naranjo,
    2020). Drawing stops once `ENOUGH` were as large, which keeps the p-value exact (Besag and Clifford, 1991).
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
    rng = np.random.default_rng([seed, zlib.crc32(reference.subject.encode())])

    def index(old: NDArray[np.int64], new: NDArray[np.int64]) -> NDArray[np.float64]:
        return psi(np.maximum(old, HALF_A_CUSTOMER) / n, np.maximum(new, HALF_A_CUSTOMER) / m)

    def unchanged(size: int) -> NDArray[np.float64]:
        if reference.categorical:
            new = rng.multivariate_hypergeometric(before + now, m, size=size, method="marginals")
            return index(before + now - new, new)
        masses = rng.standard_gamma(spacings, size=(size, len(spacings)))
        return index(before, rng.multinomial(m, masses / masses.sum(axis=1, keepdims=True)))

    value = float(index(before, now))
    larger = drawn = 0
    while drawn < draws:
        null = unchanged(min(max(drawn, 2 * ENOUGH), draws - drawn))
        reached = larger + np.cumsum(null >= value - 1e-12)
        if reached[-1] >= ENOUGH:
            return Shift(value, ENOUGH / (drawn + 1 + int(np.argmax(reached >= ENOUGH))))
        larger, drawn = int(reached[-1]), drawn + len(null)
    return Shift(value, (larger + 1) / (drawn + 1))  # a simulated p-value is never 0


def joint_shift(before: NDArray[np.float64], now: NDArray[np.float64], seed: int) -> Shift:
    """Classifier two-sample test (Lopez-Paz and Oquab, 2017) of points (n, d) against points (m, d): the area under the curve
    of a logistic regression on the coordinates, their squares and products, and its p-value (Mann and Whitney, 1947).

    It learns on one half and is tested on the other, whose order is random if nothing has changed, whatever was learnt. The larger
    side is sampled down to the size of the smaller. NaN if either has fewer than 20.
    """
    from scipy import stats
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    size = min(len(before), len(now))
    if size < FEWEST_COMPARED or not before.shape[1]:
        return Shift(np.nan, np.nan)
    rng = np.random.default_rng([seed, size])
    sides = [points[rng.permutation(len(points))[:size]] for points in (before, now)]
    learn, test = ([side[half] for side in sides] for half in (slice(None, size // 2), slice(size // 2, None)))
    classifier = make_pipeline(StandardScaler(), PolynomialFeatures(2, include_bias=False), StandardScaler(), LogisticRegression(C=0.1))
    classifier.fit(np.vstack(learn), np.repeat([0, 1], [len(side) for side in learn]))
    scores = [classifier.decision_function(side) for side in test]
    found = stats.mannwhitneyu(scores[1], scores[0], alternative="greater", method="asymptotic")
    return Shift(float(found.statistic / (len(scores[0]) * len(scores[1]))), float(found.pvalue))


def report(shifts: Iterable[tuple[DriftKind, str, Shift]], in_model: Sequence[str], settings: DriftSettings) -> pd.DataFrame:
    """One row per subject (columns `COLUMNS`): its statistic, p-value, q-value over all subjects (Benjamini and Hochberg, 1995),
    and whether it is flagged (missing if it could not be measured). `in_model` are the features that the model uses; subjects
    other than features always count as in the model.
    """
    rows = pd.DataFrame(
        [(kind, subject, s.value, s.p_value) for kind, subject, s in shifts], columns=["kind", "subject", "value", "p_value"]
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
