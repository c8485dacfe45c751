"""Which features, and whether the segments, tell a sensitive attribute that is kept out of the model."""

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd

from segmentation_assets.core.customers.columns import Customers
from segmentation_assets.core.customers.exploration import active_only
from segmentation_assets.vocabulary import beside

COLUMNS = ["attribute", "subject", "measure", "association", "customers", "threshold", "proxy", "in_model"]
BOOKKEEPING = {"customer_id", "status", "segment_id"}
SEGMENTS = "(segments)"
RATIO, CRAMER = "correlation ratio", "Cramer's V"
MOST_GROUPS = 10  # into which the numbers of a sensitive attribute are cut, at their quantiles
LEAST = 30  # customers of whom both are known; of fewer, nothing is said


def proxies(customers: Customers, sensitive: Sequence[str], threshold: float, in_model: Collection[str] = ()) -> pd.DataFrame:
    """One row per sensitive attribute and feature, other attribute or SEGMENTS: how far each tells the attribute, among active customers.

    Numbers are compared by the correlation ratio of their ranks, everything else by Cramer's V; both are corrected for what many
    levels of few customers show by chance (Kelley 1935, Bergsma 2013), and are 0 if nothing is left. Empty if fewer than 30 customers
    have both, or either does not vary.

    Args:
        customers: rows of customer_features, with the `segment_id` of each.
        threshold: association from which on a subject counts as a proxy.
        in_model: features that enter the clustering.
    """
    active = active_only(customers)
    subjects = {SEGMENTS: "segment_id", **{n: n for n in active.columns if n not in BOOKKEEPING}}
    rows = []
    for attribute in (name for name in sensitive if name in active.columns):
        groups = _groups(active[attribute])
        for subject, column in subjects.items():
            if subject == attribute:
                continue
            values = active[column].astype("string") if subject == SEGMENTS else active[column]
            known = groups.notna() & values.notna()
            measure = RATIO if _is_measured(values) else CRAMER
            compare = correlation_ratio if measure == RATIO else cramers_v
            found = compare(values[known], groups[known]) if known.sum() >= LEAST else np.nan
            proxy = None if np.isnan(found) else found >= threshold
            rows.append((attribute, subject, measure, found, int(known.sum()), threshold, proxy, subject in in_model))
    types = {"association": "float64", "customers": "int64", "threshold": "float64", "proxy": "object", "in_model": "bool"}
    return pd.DataFrame(rows, columns=COLUMNS).astype(types)


def sentences(found: pd.DataFrame) -> list[str]:
    """A sentence on each proxy, those in the model first; one that says so if nothing could be measured, or there is none."""
    proxies = found[found["proxy"].eq(True)].sort_values(["in_model", "association"], ascending=False)
    if proxies.empty:
        if found["proxy"].isna().all():
            return ["Not measured: too few active customers have a sensitive attribute, or none is set."]
        return [f"Nothing measured has an association of {found['threshold'].iloc[0]:g} or more with a sensitive attribute."]
    remedy = "; it is in model.features: take it out, or accept that the segments differ in this attribute"
    return [
        f"{row.subject} tells {row.attribute} ({row.measure} {beside(row.association, row.threshold, 2)}){remedy if row.in_model else ''}."
        for row in proxies.itertuples()
    ]


def correlation_ratio(values: pd.Series, groups: pd.Series) -> float:
    """Square root of the share of the variance of ranks that lies between groups, corrected by Kelley (1935)."""
    ranks = values.rank()
    total, free = float(((ranks - ranks.mean()) ** 2).sum()), len(ranks) - groups.nunique()
    if not total or free <= 0 or groups.nunique() < 2:
        return np.nan
    within = float(((ranks - ranks.groupby(groups).transform("mean")) ** 2).sum())
    return float(np.sqrt(max(0.0, 1 - within / total * (len(ranks) - 1) / free)))


def cramers_v(values: pd.Series, groups: pd.Series) -> float:
    """Cramer's V (1946), corrected by Bergsma (2013); NaN if either does not vary, or is nearly another for every customer."""
    from scipy.stats.contingency import association, crosstab

    counts, n = crosstab(values.to_numpy(), groups.to_numpy()).count, len(values)
    if min(counts.shape) < 2:
        return np.nan
    phi2 = float(association(counts, method="cramer", correction=False)) ** 2 * (min(counts.shape) - 1)
    rows, columns = (size - (size - 1) ** 2 / (n - 1) for size in counts.shape)
    expected = (counts.shape[0] - 1) * (counts.shape[1] - 1) / (n - 1)
    most = min(rows, columns) - 1  # 0 if as many levels as customers: nothing is left after the correction
    return float(np.sqrt(max(0.0, phi2 - expected) / most)) if most > 1e-9 else np.nan


def _groups(attribute: pd.Series) -> pd.Series:
    """The levels of a sensitive attribute; numbers and dates with many values, by their quantiles."""
    if not _is_measured(attribute) or attribute.nunique() <= MOST_GROUPS:
        return attribute.astype("string")
    return pd.qcut(attribute.rank(), MOST_GROUPS, duplicates="drop").astype("string")


def _is_measured(values: pd.Series) -> bool:
    """Whether values have an order: numbers and dates, but not yes and no."""
    is_date = pd.api.types.is_datetime64_any_dtype(values)
    return is_date or (pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values))
