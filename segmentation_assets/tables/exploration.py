"""Contracts of the exploration tables, which summarise the features and orders of a snapshot."""

from collections.abc import Callable

import pandas as pd

from segmentation_assets.core.customers.levels import MISSING_LEVEL
from segmentation_assets.core.customers.sensitive import CRAMER, RATIO
from segmentation_assets.tables.contract import CUSTOMER_ID, LEVEL_PLACE, SHARE, Cells, Column, Contract, HiddenWith, by, everyone, required
from segmentation_assets.vocabulary import Status


def _valued(summary: pd.DataFrame) -> pd.Series:
    """Customers with a value."""
    return summary["customers"] - summary["missing"]


def _beyond(share: float) -> Callable[[pd.DataFrame], pd.Series]:
    """Customers on the near side of a quantile."""
    return lambda summary: share * _valued(summary)


def _one(rows: pd.DataFrame) -> pd.Series:
    """What a single customer is like."""
    return pd.Series(1, index=rows.index)


FEATURE_SUMMARY = Contract(
    "feature_summary", "numeric feature: location, spread, shape, missing values and outliers over active customers",
    (
        required("feature", "string", "Column of customer_features."),
        required("unit", "string", "Unit of the values."),
        required("customers", "int64", "Active customers.", minimum=0),
        required("missing", "int64", "Customers without a value.", minimum=0),
        Column("missing_share", "float64", "Their share.", **SHARE),
        Column("mean", "float64", "Mean."),
        Column("sd", "float64", "Standard deviation.", minimum=0),
        Column("skewness", "float64", "Skewness; 0 if symmetric, positive with a long right tail."),
        Column("skewness_transformed", "float64", "Skewness on the scale on which the feature would enter the clustering."),
        Column("minimum", "float64", "Smallest value."),
        Column("p01", "float64", "1st percentile."),
        Column("p25", "float64", "First quartile."),
        Column("median", "float64", "Median."),
        Column("p75", "float64", "Third quartile."),
        Column("p99", "float64", "99th percentile."),
        Column("maximum", "float64", "Largest value."),
        Column("zero_share", "float64", "Share of values that are zero.", **SHARE),
        required("outliers", "int64", "Customers beyond a modified z-score of 3.5 on the transformed scale (Iglewicz and Hoaglin 1993).", minimum=0),
        Column("outlier_share", "float64", "Their share of customers with a value.", **SHARE),
    ),
    key=("feature",),
    cells=(
        Cells("customers", ("missing", "missing_share", "zero_share", "outliers", "outlier_share")),
        Cells(_valued, ("mean", "sd", "skewness", "skewness_transformed")),
        Cells("missing", ("missing_share",), whole="customers"),
        Cells(lambda rows: (rows["zero_share"] * _valued(rows)).round(), ("zero_share",), whole=_valued),
        Cells("outliers", ("outlier_share",), whole=_valued),
        Cells(_one, ("minimum", "maximum")), Cells(_beyond(0.01), ("p01", "p99")), Cells(_beyond(0.25), ("p25", "p75")),
        Cells(_beyond(0.5), ("median",)),
    ),
)  # fmt: skip


def _customers_at_an_end(bins: pd.DataFrame) -> pd.Series:
    """Customers beyond the first or last edge: bins of the transformed scale end at the extremes, raw ones at the 1st and 99th percentile."""
    customers = bins.groupby(["feature", "scale"])["customers"].transform("sum")
    return (0.01 * customers).where(bins["scale"] == "raw", 1)


def _not_all_valued(bins: pd.DataFrame, summary: pd.DataFrame) -> pd.Series:
    """Whether it is hidden how many customers lack a value: the others are the sum of the bins."""
    return bins["feature"].isin(summary.loc[summary["missing"].isna(), "feature"])


FEATURE_DISTRIBUTIONS = Contract(
    "feature_distributions", "numeric feature, scale and bin of its histogram over active customers",
    (
        required("feature", "string", "Column of customer_features."),
        Column("scale", "string", "raw: in the feature's unit; transformed: as it would enter the clustering.", False, allowed=("raw", "transformed")),
        required("bin", "int64", "Position of the bin, from 0.", minimum=0),
        required("bin_from", "float64", "Lower edge."),
        required("bin_to", "float64", "Upper edge."),
        required("customers", "int64", "Customers in the bin; the outermost raw bins include all values beyond them.", minimum=0),
    ),
    key=("feature", "scale", "bin"),
    cells=(
        HiddenWith("feature_summary", _not_all_valued, ("customers",)), Cells("customers", sums=(by("feature", "scale"),)),
        Cells(_customers_at_an_end, ("bin_from", "bin_to")),
    ),
)  # fmt: skip


def _level_is_hidden(missing: pd.DataFrame, attributes: pd.DataFrame) -> pd.Series:
    """Whether those who lack an attribute are a level of it whose size is hidden."""
    hidden = attributes[attributes["customers"].isna() & (attributes["level"] == MISSING_LEVEL)]
    return missing["feature"].isin(hidden["attribute"]) & (missing["status"] == Status.ACTIVE)


FEATURE_MISSINGNESS = Contract(
    "feature_missingness", "feature or attribute, and status",
    (
        required("feature", "string", "Column of customer_features."),
        Column("status", "string", "Status of the customers.", False, allowed=tuple(Status)),
        required("customers", "int64", "Customers with this status.", minimum=1),
        required("missing", "int64", "Those without a value.", minimum=0),
        required("missing_share", "float64", "Their share.", **SHARE),
    ),
    key=("feature", "status"),
    largest_first=("missing_share",),
    cells=(
        Cells("customers", ("missing", "missing_share"), of=("status",), sums=(lambda rows: rows["status"] == Status.ACTIVE,)),
        Cells("missing", ("missing_share",), whole="customers"),
        HiddenWith("attribute_spend", _level_is_hidden, ("missing", "missing_share")),
    ),
)  # fmt: skip
FEATURE_OUTLIERS = Contract(
    "feature_outliers", "numeric feature and one of its twenty most extreme active customers",
    (
        required("feature", "string", "Column of customer_features."),
        required("rank", "int64", "1 is the most extreme.", minimum=1),
        CUSTOMER_ID,
        required("value", "float64", "Their value, in the feature's unit."),
        required("robust_z", "float64", "Modified z-score on the transformed scale (Iglewicz and Hoaglin 1993)."),
    ),
    key=("feature", "rank"),
    cells=(Cells(_one, ("value", "robust_z")),),
)  # fmt: skip
FEATURE_CORRELATIONS = Contract(
    "feature_correlations", "pair of numeric features",
    (
        required("feature_a", "string", "One of the two."),
        required("feature_b", "string", "The other."),
        required("spearman", "float64", "Rank correlation over active customers who have both (Spearman 1904).", minimum=-1.0000001, maximum=1.0000001),
        required("customers", "int64", "Active customers who have both; if there are more than 20,000 active ones, in a seeded sample of 20,000.", minimum=0),
        required("redundant", "boolean", "Whether it is beyond 0.95 in either direction, with at least 10 customers: keep only one of the two in the clustering."),
        required("both_in_model", "boolean", "Whether both are in model.features, so that a redundant pair counts twice."),
        Column("take_out", "string", "The one to remove from a redundant pair: the one not in model.features, else in more such pairs, else more like the other features. Empty for other pairs."),
    ),
    key=("feature_a", "feature_b"),
    largest_first=("redundant", "spearman"),
    cells=(Cells("customers", ("spearman",), whole="feature_summary.customers"),),
)  # fmt: skip
FEATURE_CHOICES = Contract(
    "feature_choices", "feature or attribute: whether customers are clustered by it, and why",
    (
        required("feature", "string", "Column of customer_features."),
        required("enters", "boolean", "Whether the model in force uses it."),
        required("reason", "string", "Why it does or does not, and what speaks against it, as a sentence; shares are of a sample if more than 20,000 customers are active."),
        Column("transform", "string", "On which scale it enters: `log`, `yeo-johnson`, `none`, `category` or, for a grid, `bins`; empty if it does not."),
        Column("weight", "float64", "Its weight in the squared distance, which near copies share (model.near_copies); empty if it does not enter, and for a grid.", minimum=0),
    ),
    key=("feature",),
    largest_first=("enters",),
    lineage={"enters": ("segmentation_model.value",), "reason": ("customer_features.customer_id", "feature_correlations.spearman")},
)  # fmt: skip
ORDER_SEASONALITY = Contract(
    "order_seasonality", "window so far, month, weekday and hour of the day",
    (
        required("window_start", "date", "First day of the window."),
        required("month", "date", "First day of the month; a window may span two."),
        required("weekday", "int64", "0 is Monday, 6 Sunday, in the snapshots' time zone.", minimum=0, maximum=6),
        required("hour", "int64", "Hour of the day in the snapshots' time zone; -1 if the order has no time.", minimum=-1, maximum=23),
        required("orders", "int64", "Orders.", minimum=1),
        required("revenue", "decimal(38, 4)", "Amount paid, before returns.", minimum=0, money=True),
    ),
    key=("window_start", "month", "weekday", "hour"),
    lineage={"orders": ("transactions.order_id",), "revenue": ("transactions.amount",)},
    cells=(Cells("orders", ("revenue",), sums=(by("window_start"),)),),  # of at most as many customers
)  # fmt: skip


def _windows_ago(cohorts: pd.DataFrame) -> pd.Series:
    """Rows of the same window, whose customers and revenue add up to those of the window: each cohort has a row for the last one."""
    return cohorts.groupby("cohort")["period"].transform("max") - cohorts["period"]


COHORT_RETENTION = Contract(
    "cohort_retention", "cohort (customers who first ordered in the same window) and window since, with zeros if none of them ordered",
    (
        required("cohort", "date", "First day of the window of their first order."),
        required("period", "int64", "Windows since; 0 is the window of the first order.", minimum=0),
        required("cohort_customers", "int64", "Customers in the cohort.", minimum=1),
        required("active_customers", "int64", "Customers of the cohort who ordered in this window.", minimum=0),
        required("revenue", "decimal(38, 4)", "Their spend in it, net of returns.", money=True),
        required("retention", "float64", "Share of the cohort that ordered.", **SHARE),
        required("revenue_per_customer", "float64", "Spend per customer of the cohort, in the source's currency.", money=True),
    ),
    key=("cohort", "period"),
    lineage={"cohort": ("customers.first_order_at",), "active_customers": ("customer_activity.orders",), "revenue": ("customer_activity.spend",)},
    cells=(
        Cells("cohort_customers", ("active_customers", "revenue", "retention", "revenue_per_customer"), of=("cohort",), sums=(everyone,)),
        Cells("active_customers", ("revenue", "retention", "revenue_per_customer"), whole="cohort_customers", sums=(_windows_ago,)),
    ),
)  # fmt: skip
REVENUE_CONCENTRATION = Contract(
    "revenue_concentration", "percentage of buyers, best first",
    (
        required("percentile", "int64", "The top so many percent of buyers by spend.", minimum=0, maximum=100),
        required("customers", "int64", "Number of these buyers.", minimum=0),
        required("customer_share", "float64", "Their share of buyers.", **SHARE),
        required("revenue", "float64", "Their spend within the lookback, in the source's currency.", minimum=0, money=True),
        required("revenue_share", "float64", "Their share of revenue.", minimum=0.0, maximum=1.0000001),
    ),
    key=("percentile",),
    lineage={"revenue": ("customer_features.monetary",)},
    cells=(Cells("customers", ("customer_share", "revenue", "revenue_share"), steps=True),),
)  # fmt: skip
CATEGORY_MIX = Contract(
    "category_mix", "category bought within the lookback",
    (
        required("category", "string", "Category of the product."),
        required("purchases", "decimal(38, 4)", "Amount paid, before returns.", minimum=0, money=True),
        required("customers", "int64", "Customers who bought it.", minimum=1),
        Column("share", "float64", "Share of all purchases.", **SHARE),
        required("penetration", "float64", "Share of buyers who bought it.", **SHARE),
    ),
    key=("category",),
    largest_first=("share",),
    lineage={"purchases": ("customer_category_activity.purchases",)},
    cells=(
        Cells(
            "customers", ("purchases", "share", "penetration"), whole=lambda rows: (rows["customers"] / rows["penetration"]).round(),
            sums=(everyone,), overlap=True,
        ),
    ),
)  # fmt: skip
ATTRIBUTE_SPEND = Contract(
    "attribute_spend", "level of an attribute with at most thirty levels, among active customers",
    (
        required("attribute", "string", "Attribute of customers, such as their income."),
        required("level", "string", "Its value; `(missing)` if there is none."),
        LEVEL_PLACE,
        required("customers", "int64", "Active customers with it.", minimum=1),
        required("share", "float64", "Their share of active customers.", **SHARE),
        required("mean_spend", "float64", "Mean spend within the lookback, in the source's currency.", money=True),
        required("p25_spend", "float64", "First quartile of spend.", money=True),
        required("median_spend", "float64", "Median spend.", money=True),
        required("p75_spend", "float64", "Third quartile of spend.", money=True),
        Column("eta_squared", "float64", "Share of the variance of log spend between the attribute's levels, if known (Pearson 1905).", minimum=0.0, maximum=1.0000001),
        Column("epsilon_squared", "float64", "The same, corrected for the share that many levels of few customers explain by chance (Kelley 1935).", minimum=0.0, maximum=1.0000001),
    ),
    key=("attribute", "level"),
    largest_first=("eta_squared",),
    lineage={"mean_spend": ("customer_features.monetary",)},
    cells=(Cells("customers", ("share", "mean_spend", "p25_spend", "median_spend", "p75_spend"), sums=(by("attribute"),)),),
)  # fmt: skip
SENSITIVE_PROXIES = Contract(
    "sensitive_proxies", "attribute in privacy.sensitive, and feature, other attribute or `(segments)` that may tell it",
    (
        required("attribute", "string", "Sensitive attribute."),
        required("subject", "string", "Column of customer_features, or `(segments)`: the segments of the snapshot."),
        Column(
            "measure", "string", "`correlation ratio` of ranks for numbers, `Cramer's V` for everything else; both corrected for chance "
            "(Kelley 1935, Bergsma 2013).", False, allowed=(RATIO, CRAMER),
        ),
        Column("association", "float64", "0: it tells nothing; 1: it tells all. Empty if not measured: fewer than 30 active customers have both, or one does not vary.", minimum=0.0, maximum=1.0000001),
        required("customers", "int64", "Active customers who have both.", minimum=0),
        required("threshold", "float64", "privacy.proxy_association: from it on, the subject is a proxy.", **SHARE),
        Column("proxy", "boolean", "Whether it is one; empty if not measured."),
        required("in_model", "boolean", "Whether the subject is in model.features; if it is a proxy, the sensitive attribute enters the model by it."),
    ),
    key=("attribute", "subject"),
    largest_first=("proxy", "association"),
    lineage={"customers": ("customer_features.customer_id",)},
    cells=(Cells("customers", ("association",), whole="feature_summary.customers"),),
)  # fmt: skip
