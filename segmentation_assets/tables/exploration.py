"""Contracts of the exploration tables, which summarise the features and orders of a snapshot."""

from segmentation_assets.core.customers.sensitive import CRAMER, RATIO
from segmentation_assets.tables.contract import CUSTOMER_ID, SHARE, Column, Contract, required
from segmentation_assets.vocabulary import Status

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
)  # fmt: skip
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
    cells={"customers": ()},
)  # fmt: skip
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
    cells={"customers": ("missing", "missing_share"), "missing": ("missing_share",)},
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
)  # fmt: skip
FEATURE_CORRELATIONS = Contract(
    "feature_correlations", "pair of numeric features",
    (
        required("feature_a", "string", "One of the two."),
        required("feature_b", "string", "The other."),
        required("spearman", "float64", "Rank correlation over active customers who have both (Spearman 1904).", minimum=-1.0000001, maximum=1.0000001),
        required("customers", "int64", "Active customers who have both; if there are more than 50,000 active ones, in a seeded sample of 50,000.", minimum=0),
        required("redundant", "boolean", "Whether it is beyond 0.95 in either direction, with at least 10 customers: keep only one of the two in the clustering."),
        required("both_in_model", "boolean", "Whether both are in model.features, so that a redundant pair counts twice."),
        Column("take_out", "string", "The one to remove from a redundant pair: the one not in model.features, else in more such pairs, else more like the other features. Empty for other pairs."),
    ),
    key=("feature_a", "feature_b"),
    largest_first=("redundant", "spearman"),
)  # fmt: skip
FEATURE_CHOICES = Contract(
    "feature_choices", "feature or attribute: whether customers are clustered by it, and why",
    (
        required("feature", "string", "Column of customer_features."),
        required("enters", "boolean", "Whether the model in force uses it."),
        required("reason", "string", "Why it does or does not, and what speaks against it, as a sentence; shares are of a sample if more than 50,000 customers are active."),
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
        required("revenue", "decimal(38, 4)", "Amount paid, before returns.", minimum=0),
    ),
    key=("window_start", "month", "weekday", "hour"),
    lineage={"orders": ("transactions.order_id",), "revenue": ("transactions.amount",)},
)  # fmt: skip
COHORT_RETENTION = Contract(
    "cohort_retention", "cohort (customers who first ordered in the same window) and window since, with zeros if none of them ordered",
    (
        required("cohort", "date", "First day of the window of their first order."),
        required("period", "int64", "Windows since; 0 is the window of the first order.", minimum=0),
        required("cohort_customers", "int64", "Customers in the cohort.", minimum=1),
        required("active_customers", "int64", "Customers of the cohort who ordered in this window.", minimum=0),
        required("revenue", "decimal(38, 4)", "Their spend in it, net of returns."),
        required("retention", "float64", "Share of the cohort that ordered.", **SHARE),
        required("revenue_per_customer", "float64", "Spend per customer of the cohort, in the source's currency."),
    ),
    key=("cohort", "period"),
    lineage={"cohort": ("customers.first_order_at",), "active_customers": ("customer_activity.orders",), "revenue": ("customer_activity.spend",)},
    cells={
        "cohort_customers": ("active_customers", "revenue", "retention", "revenue_per_customer"),
        "active_customers": ("revenue", "retention", "revenue_per_customer"),
    },
)  # fmt: skip
REVENUE_CONCENTRATION = Contract(
    "revenue_concentration", "percentage of buyers, best first",
    (
        required("percentile", "int64", "The top so many percent of buyers by spend.", minimum=0, maximum=100),
        required("customers", "int64", "Number of these buyers.", minimum=0),
        required("customer_share", "float64", "Their share of buyers.", **SHARE),
        required("revenue", "float64", "Their spend within the lookback, in the source's currency.", minimum=0),
        required("revenue_share", "float64", "Their share of revenue.", minimum=0.0, maximum=1.0000001),
    ),
    key=("percentile",),
    lineage={"revenue": ("customer_features.monetary",)},
    cells={"customers": ("customer_share", "revenue", "revenue_share")},
)  # fmt: skip
CATEGORY_MIX = Contract(
    "category_mix", "category bought within the lookback",
    (
        required("category", "string", "Category of the product."),
        required("purchases", "decimal(38, 4)", "Amount paid, before returns.", minimum=0),
        required("customers", "int64", "Customers who bought it.", minimum=1),
        Column("share", "float64", "Share of all purchases.", **SHARE),
        required("penetration", "float64", "Share of buyers who bought it.", **SHARE),
    ),
    key=("category",),
    largest_first=("share",),
    lineage={"purchases": ("customer_category_activity.purchases",)},
    cells={"customers": ("purchases", "share", "penetration")},
)  # fmt: skip
ATTRIBUTE_SPEND = Contract(
    "attribute_spend", "level of an attribute with at most thirty levels, among active customers",
    (
        required("attribute", "string", "Attribute of customers, such as their income."),
        required("level", "string", "Its value; `(missing)` if there is none."),
        required("customers", "int64", "Active customers with it.", minimum=1),
        required("share", "float64", "Their share of active customers.", **SHARE),
        required("mean_spend", "float64", "Mean spend within the lookback, in the source's currency."),
        required("p25_spend", "float64", "First quartile of spend."),
        required("median_spend", "float64", "Median spend."),
        required("p75_spend", "float64", "Third quartile of spend."),
        Column("eta_squared", "float64", "Share of the variance of log spend between the attribute's levels, if known (Pearson 1905).", minimum=0.0, maximum=1.0000001),
        Column("epsilon_squared", "float64", "The same, corrected for the share that many levels of few customers explain by chance (Kelley 1935).", minimum=0.0, maximum=1.0000001),
    ),
    key=("attribute", "level"),
    largest_first=("eta_squared",),
    lineage={"mean_spend": ("customer_features.monetary",)},
    cells={"customers": ("share", "mean_spend", "p25_spend", "median_spend", "p75_spend")},
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
)  # fmt: skip
