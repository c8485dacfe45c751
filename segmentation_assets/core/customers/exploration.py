"""The numbers behind the pictures of customers: distributions, missing values, outliers, correlations, concentration, attributes.

Belongs here: computations from the features of customers, in NumPy and pandas. Counts over orders and
windows, in the engine, are in `order_patterns`; drawing is in `pictures`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segmentation_assets.core.customers.columns import Customers, Rows
from segmentation_assets.core.customers.feature_catalog import Feature
from segmentation_assets.core.customers.levels import LEVEL_ORDER, MISSING_LEVEL, with_level_order
from segmentation_assets.vocabulary import Status

BINS = 30
OUTLIER_Z = 3.5  # modified z-score beyond which Iglewicz and Hoaglin (1993) call a value an outlier
MAD_TO_SD = 0.6745  # median absolute deviation of a standard normal distribution
REDUNDANT_RHO = 0.95
MOST_EXTREME = 20
PERCENT = 100
MOST_LEVELS = 30  # an attribute with more values than this is an identifier or a measurement, not a group to compare
MOST_RANKED = 20_000  # customers whose features are ranked: the standard error of a correlation is then 0.007 at most
LEAST_PAIRED = 3  # customers with both features, without whom ranks say nothing
LEAST_RANKED = 10  # customers; with fewer, ranks may agree by chance alone


def transformed(values: NDArray[np.float64], transform: str) -> NDArray[np.float64]:
    """The values on the scale used for clustering: signed log1p if the feature is declared "log"."""
    return np.sign(values) * np.log1p(np.abs(values)) if transform == "log" else values


def numeric(declared: Sequence[Feature], features: Customers) -> list[Feature]:
    """The declared numeric features that the table has."""
    return [feature for feature in declared if feature.type == "float64" and feature.name in features.columns]


def active_only(features: Rows) -> Rows:
    """Customers with an order within the lookback, who are the ones clustered."""
    return features[features["status"] == Status.ACTIVE]


def feature_summary(features: Customers, declared: Sequence[Feature]) -> pd.DataFrame:
    """One row per numeric feature: location, spread, shape, missing values and outliers over active customers.

    Args:
        features: customer_features, one row per known customer (n, p).
    """
    features, rows = active_only(features), []
    for feature in numeric(declared, features):
        column = features[feature.name].to_numpy("float64")
        known = column[~np.isnan(column)]
        z = robust_z(known, feature.transform)
        p01, p25, p50, p75, p99 = np.quantile(known, [0.01, 0.25, 0.5, 0.75, 0.99]) if known.size else np.full(5, np.nan)
        rows.append(
            {
                "feature": feature.name, "unit": feature.unit, "customers": column.size, "missing": column.size - known.size,
                "missing_share": 1 - known.size / column.size if column.size else np.nan,
                "mean": _or_nan(np.mean, known), "sd": _or_nan(np.std, known), "skewness": skewness(known),
                "skewness_transformed": skewness(transformed(known, feature.transform)),
                "minimum": _or_nan(np.min, known), "p01": p01, "p25": p25, "median": p50, "p75": p75, "p99": p99,
                "maximum": _or_nan(np.max, known), "zero_share": _or_nan(np.mean, known == 0),
                "outliers": int((np.abs(z) > OUTLIER_Z).sum()), "outlier_share": _or_nan(np.mean, np.abs(z) > OUTLIER_Z),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def robust_z(values: NDArray[np.float64], transform: str = "none") -> NDArray[np.float64]:
    """Modified z-score 0.6745 (x - median) / MAD, on the transformed scale (Iglewicz and Hoaglin 1993); 0 if MAD is 0.

    On the raw scale every large value of a skewed feature would be an outlier. If more than half of the values are
    equal, there is no scale to measure distance by.
    """
    if values.size == 0:
        return values
    scaled = transformed(values, transform)
    distance = scaled - np.median(scaled)
    mad = np.median(np.abs(distance))
    return MAD_TO_SD * distance / mad if mad > 0 else np.zeros_like(scaled)


def feature_outliers(features: Customers, declared: Sequence[Feature], most: int = MOST_EXTREME) -> pd.DataFrame:
    """The most extreme customers by feature, beyond a modified z-score of 3.5; `rank` 1 is the most extreme."""
    features, found = active_only(features), []
    ids = features["customer_id"]
    for feature in numeric(declared, features):
        values = features[feature.name].to_numpy("float64")
        known = np.flatnonzero(~np.isnan(values))
        z = robust_z(values[known], feature.transform)
        far = np.abs(z) > OUTLIER_Z
        beyond = pd.DataFrame({"customer_id": ids.take(known[far]), "value": values[known[far]], "robust_z": z[far]})
        beyond = (
            beyond.assign(distance=beyond["robust_z"].abs()).sort_values(["distance", "customer_id"], ascending=[False, True]).head(most)
        )
        found.append(beyond.drop(columns="distance").assign(feature=feature.name, rank=np.arange(1, len(beyond) + 1)))
    columns = ["feature", "rank", "customer_id", "value", "robust_z"]
    return pd.concat(found, ignore_index=True)[columns] if found else pd.DataFrame(columns=columns)


def feature_distributions(features: Customers, declared: Sequence[Feature], bins: int = BINS) -> pd.DataFrame:
    """Histograms of each numeric feature over active customers, on its raw and its transformed scale.

    Raw bins end at the 1st and 99th percentile; values beyond are counted in the outermost bin, because one large customer
    would otherwise squeeze all others into a single bar.
    """
    features, rows = active_only(features), []
    for feature in numeric(declared, features):
        known = features[feature.name].dropna().to_numpy("float64")
        if known.size == 0:
            continue
        for scale, values in (("raw", known), ("transformed", transformed(known, feature.transform))):
            low, high = np.quantile(values, [0.01, 0.99]) if scale == "raw" else (values.min(), values.max())
            edges = _edges(values, low, high, bins)
            counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
            rows += [
                {"feature": feature.name, "scale": scale, "bin": i, "bin_from": edges[i], "bin_to": edges[i + 1], "customers": int(count)}
                for i, count in enumerate(counts)
            ]
    return pd.DataFrame(rows, columns=["feature", "scale", "bin", "bin_from", "bin_to", "customers"])


def _edges(values: NDArray[np.float64], low: float, high: float, bins: int) -> NDArray[np.float64]:
    """Bins of equal width; if all values are whole, each holds equally many whole numbers, to avoid spurious comb patterns."""
    if np.all(values == np.round(values)):
        first, numbers = np.floor(low), int(np.ceil(high) - np.floor(low)) + 1
        width = -(-numbers // bins)
        return first - 0.5 + width * np.arange(-(-numbers // width) + 1)
    return np.linspace(low, high, bins + 1) if high > low else np.array([low - 0.5, low + 0.5])


def feature_missingness(features: Customers, declared: Sequence[Feature]) -> pd.DataFrame:
    """Customers without a value, by feature or attribute and by status: most values are missing because of the status."""
    names = [name for name in features.columns if name not in {"customer_id", "status"}]
    order = {feature.name: i for i, feature in enumerate(declared)}
    own, statuses = pd.factorize(features["status"], sort=True)
    sizes = np.bincount(own, minlength=len(statuses))
    missing = [np.bincount(own[np.flatnonzero(features[name].isna())], minlength=len(statuses)) for name in names]
    rows = pd.DataFrame({
        "feature": np.repeat(np.array(names, dtype=object), len(statuses)), "status": np.tile(np.array(statuses, dtype=object), len(names)),
        "customers": np.tile(sizes, len(names)), "missing": np.concatenate(missing) if missing else np.empty(0, np.int64),
    })  # fmt: skip
    rows["missing_share"] = rows["missing"] / rows["customers"]
    rows["position"] = rows["feature"].map(order).fillna(len(order)).astype("int64")  # attributes come last
    return rows.sort_values(["position", "feature", "status"], ignore_index=True)[
        ["feature", "status", "customers", "missing", "missing_share"]
    ]


def feature_correlations(
    features: Customers, declared: Sequence[Feature], in_model: Sequence[str] = (), seed: int = 0, most: int = MOST_RANKED
) -> pd.DataFrame:
    """Spearman's rank correlation (1904) of each pair of numeric features, over active customers who have both.

    A constant feature correlates with nothing and its pairs are left out. `take_out` is the feature of a redundant pair that does not
    enter the clustering; else the one in more such pairs; else the one more correlated with all the others, so that the one kept adds
    more; else the one declared later. Removing all of them leaves no redundant pair.

    Args:
        in_model: features that enter the clustering.
        most: most customers to rank; if there are more, a sample drawn with `seed`.
    """
    active = active_only(features)
    if len(active) > most:
        active = active.sample(most, random_state=seed)
    names = [f.name for f in numeric(declared, features) if active[f.name].nunique() > 1]
    present = active[names].notna().to_numpy("float64")
    both = present.T @ present
    rho = spearman(active[names].to_numpy("float64"))
    rows = [
        {
            "feature_a": names[i],
            "feature_b": names[j],
            "spearman": rho[i, j],
            "customers": int(both[i, j]),
            "redundant": bool(abs(rho[i, j]) > REDUNDANT_RHO and both[i, j] >= LEAST_RANKED),
            "both_in_model": {names[i], names[j]} <= set(in_model),
        }
        for i in range(len(names))
        for j in range(i + 1, len(names))
        if not np.isnan(rho[i, j])
    ]
    pairs = pd.DataFrame(rows, columns=["feature_a", "feature_b", "spearman", "customers", "redundant", "both_in_model"])
    pairs = pairs.astype({"spearman": "float64", "redundant": "bool", "both_in_model": "bool"})  # also if there is none
    return pairs.assign(take_out=_to_take_out(pairs, names, in_model))


def spearman(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Spearman's correlation (p, p) of the columns of `values` (n, p), each pair over the rows that have both; NaN for fewer than
    LEAST_PAIRED rows or a constant. Columns that lack the same rows are ranked together, not anew for each pair."""
    from scipy.stats import rankdata

    alike: dict[bytes, list[int]] = {}
    for column, present in enumerate(~np.isnan(values.T)):
        alike.setdefault(present.tobytes(), []).append(column)
    groups = [(np.frombuffer(present, dtype=bool), columns) for present, columns in alike.items()]
    rho = np.full((values.shape[1], values.shape[1]), np.nan)
    for first, (present, own) in enumerate(groups):
        for other_present, others in groups[first:]:
            rows, columns = present & other_present, list(dict.fromkeys([*own, *others]))
            if rows.sum() < LEAST_PAIRED:
                continue
            with np.errstate(invalid="ignore", divide="ignore"):  # a constant correlates with nothing
                found = np.atleast_2d(np.corrcoef(rankdata(values[np.ix_(rows, columns)], axis=0), rowvar=False))
            a, b = [columns.index(column) for column in own], [columns.index(column) for column in others]
            rho[np.ix_(own, others)] = found[np.ix_(a, b)]
            rho[np.ix_(others, own)] = found[np.ix_(b, a)]
    return rho


def _to_take_out(pairs: pd.DataFrame, names: Sequence[str], in_model: Sequence[str]) -> list[str | None]:
    """The feature to remove from each redundant pair; empty for the other pairs."""
    ends = pd.concat([pairs[["feature_a", "spearman"]], pairs[["feature_b", "spearman"]].rename(columns={"feature_b": "feature_a"})])
    likeness = ends["spearman"].abs().groupby(ends["feature_a"]).mean()
    found: dict[int, str] = {}
    left = {pair.Index: (pair.feature_a, pair.feature_b) for pair in pairs[pairs["redundant"]].itertuples()}
    while left:
        times = Counter(name for pair in left.values() for name in pair)
        out = max(times, key=lambda name: (name not in in_model, times[name], round(likeness[name], 9), names.index(name)))
        found |= {row: out for row, pair in left.items() if out in pair}
        left = {row: pair for row, pair in left.items() if out not in pair}
    return [found.get(row) for row in pairs.index]


def redundancies(correlations: pd.DataFrame) -> dict[str, str]:
    """A sentence with its remedy for each redundant pair, by the pair; those that enter the clustering together come first."""
    sentences = {}
    redundant = correlations[correlations["redundant"]]
    for pair in redundant.sort_values(["both_in_model", "spearman"], ascending=False, key=abs, kind="stable").itertuples():
        keep = pair.feature_a if pair.take_out == pair.feature_b else pair.feature_b
        said = f"{pair.feature_a} and {pair.feature_b} are redundant (Spearman {pair.spearman:+.2f})"
        remedy = f"remove {pair.take_out} and keep {keep}."
        sentences[f"{pair.feature_a}, {pair.feature_b}"] = (
            f"{said} and count twice in the clustering: in model.features, {remedy}"
            if pair.both_in_model
            else f"{said}. They are not both in model.features; if you add both, {remedy}"
        )
    return sentences


def revenue_concentration(features: pd.DataFrame) -> pd.DataFrame:
    """Points of the Lorenz curve from the top (Lorenz 1905; Pareto's rule): the top x% of buyers bring y% of revenue.

    Customers who spent nothing, or returned more than they bought, are not buyers.
    """
    spend = np.sort(features.loc[features["monetary"] > 0, "monetary"].to_numpy("float64"))[::-1]
    if spend.size == 0:
        return pd.DataFrame(columns=["percentile", "customers", "customer_share", "revenue", "revenue_share"])
    counts = np.ceil(spend.size * np.arange(PERCENT + 1) / PERCENT).astype("int64")
    revenue = np.concatenate([[0.0], np.cumsum(spend)])[counts]
    return pd.DataFrame(
        {
            "percentile": np.arange(PERCENT + 1),
            "customers": counts,
            "customer_share": counts / spend.size,
            "revenue": revenue,
            "revenue_share": revenue / spend.sum(),
        }
    )


def gini(concentration: pd.DataFrame) -> float:
    """Gini coefficient (1912) of revenue over buyers, from the points of the curve: 0 if all spend alike, 1 if one brings everything."""
    area = np.trapezoid(concentration["revenue_share"], concentration["customer_share"])
    return float(2 * area - 1)


def attribute_spend(features: Customers, declared: Sequence[Feature], orders: Mapping[str, Sequence[str]] | None = None) -> pd.DataFrame:
    """Spend within the lookback by each level of each attribute, over active customers, with missing as a level.

    `eta_squared` is the share of the variance of log spend between the attribute's levels (Pearson 1905), among
    customers for whom it is known: customers without attributes would form a group by themselves. Many levels of few customers
    differ by chance alone; `epsilon_squared` (Kelley 1935) corrects for that, and is at least 0.

    Args:
        orders: by attribute, its levels in the order that is declared.
    """
    known = {"customer_id", "status", *(feature.name for feature in declared)}
    active = active_only(features)
    found = []
    for name in (name for name in features.columns if name not in known and "monetary" in features.columns):
        levels = _as_text(active[name]).fillna(MISSING_LEVEL)
        if not 1 < levels.nunique() <= MOST_LEVELS:
            continue
        groups = active["monetary"].groupby(levels)
        quartiles = groups.quantile([0.25, 0.5, 0.75]).unstack()
        rows = pd.DataFrame(
            {"customers": groups.size(), "mean_spend": groups.mean(), "p25_spend": quartiles[0.25], "median_spend": quartiles[0.5], "p75_spend": quartiles[0.75]}
        ).rename_axis("level").reset_index()  # fmt: skip
        found.append(rows.assign(attribute=name, share=rows["customers"] / len(active), **_explained(active["monetary"], levels)))
    columns = [
        "attribute",
        "level",
        LEVEL_ORDER,
        "customers",
        "share",
        "mean_spend",
        "p25_spend",
        "median_spend",
        "p75_spend",
        "eta_squared",
        "epsilon_squared",
    ]
    return with_level_order(pd.concat(found, ignore_index=True), orders or {})[columns] if found else pd.DataFrame(columns=columns)


def _as_text(values: pd.Series) -> pd.Series:
    """Levels as text, without decimals for counts that are stored as floats because they may be missing."""
    whole = pd.api.types.is_float_dtype(values) and (values.dropna() % 1 == 0).all()
    return (values.astype("Int64") if whole else values).astype("string")


def _explained(spend: pd.Series, levels: pd.Series) -> dict[str, float]:
    known = levels != MISSING_LEVEL
    log, levels = np.log1p(spend[known].clip(lower=0)), levels[known]
    total = ((log - log.mean()) ** 2).sum()
    between = ((log.groupby(levels).transform("mean") - log.mean()) ** 2).sum()
    if not total > 0:
        return {"eta_squared": float("nan"), "epsilon_squared": float("nan")}
    eta, free = float(between / total), len(log) - levels.nunique()
    return {"eta_squared": eta, "epsilon_squared": max(0.0, 1 - (1 - eta) * (len(log) - 1) / free) if free > 0 else float("nan")}


def skewness(values: NDArray[np.float64]) -> float:
    """Third standardised moment (Fisher and Pearson); empty for a constant."""
    if values.size == 0 or np.ptp(values) == 0:
        return float("nan")
    centred = values - values.mean()
    squared = centred * centred
    return float((squared * centred).mean() / squared.mean() ** 1.5)  # `centred**3` takes ten times as long


def _or_nan(statistic: object, values: NDArray[np.generic]) -> float:
    return float(statistic(values)) if values.size else float("nan")  # type: ignore[operator]
