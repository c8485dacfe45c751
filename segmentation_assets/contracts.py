"""What each table holds: columns, types, keys, units and descriptions.

Contracts are used by the lake (order of rows), the checks, publishing (types and comments), the Dagster UI and the docs,
so that a table is described in one place. How a table is computed does not belong here.
"""

from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from segmentation_assets.core.feature_catalog import FEATURES, Feature
from segmentation_assets.core.movement import COMPONENTS
from segmentation_assets.core.orders import LARGEST_SUM

SHARE: dict[str, Any] = {"minimum": 0.0, "maximum": 1.0}


@dataclass(frozen=True)
class Column:
    """One column: its Ibis type, what it means, and what values are right."""

    name: str
    type: str
    description: str
    nullable: bool = True
    minimum: float | None = None
    maximum: float | None = None
    allowed: tuple[str, ...] | None = None
    remedy: str = ""  # what to do where a value is out of bounds


@dataclass(frozen=True)
class Contract:
    """One table. `row` completes the sentence "one row per ..."; `open` tables may carry further columns."""

    name: str
    row: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    open: bool = False
    bulky: bool = False  # published as a view over the lake's files, not copied into the database
    lineage: dict[str, tuple[str, ...]] = field(default_factory=dict)  # column -> "table.column" it comes from

    @property
    def description(self) -> str:
        return f"One row per {self.row}."

    def column_schema(self) -> dg.TableSchema:
        """The columns as Dagster shows them."""
        return dg.TableSchema(
            columns=[
                dg.TableColumn(c.name, c.type, c.description, dg.TableColumnConstraints(nullable=c.nullable, unique=self.key == (c.name,)))
                for c in (SNAPSHOT_DATE, *self.columns)
            ]
        )

    def column_lineage(self) -> dg.TableColumnLineage | None:
        """Which columns each column is made from, where that helps a person."""
        if not self.lineage:
            return None
        return dg.TableColumnLineage({
            column: [dg.TableColumnDep(asset_key=source.split(".")[0], column_name=source.split(".")[1]) for source in sources]
            for column, sources in self.lineage.items()
        })  # fmt: skip


def required(name: str, kind: str, description: str, **bounds: Any) -> Column:
    """A column that is never null."""
    return Column(name, kind, description, nullable=False, **bounds)


SNAPSHOT_DATE = required(
    "snapshot_date", "date", "As-of date: the row knows everything strictly before this day begins in the snapshots' time zone."
)
CUSTOMER_ID = required("customer_id", "string", "The customer's id, as text.")
SEGMENT_ID = required(
    "segment_id", "int64", "Segment: 1, 2, ... by model, -1 lapsed, -2 prospect, -3 returns only. Never used again for another."
)
MODEL_VERSION = required(
    "model_version", "string", "Model that assigned the segments: the snapshot it was fitted on, and digits of its content."
)

# --- raw: source rows under canonical names, nothing dropped

ORIGIN = (
    required("row_number", "int64", "Position of the row in its source, from 1.", minimum=1),
    required("source_file", "string", "File or table the row came from."),
)
RECORD = Column("record", "string", "The original record as JSON, kept where a cell could not be read.")
PROBLEM = Column("problem", "string", "Why the row as a whole could not be read; empty where it could.")
UNREAD = Column("unread", "string", "Columns whose cell holds something that could not be read, joined by commas.")
RAW_TRANSACTION_VALUES = (
    Column("customer_id", "string", "The customer's id, as text."),
    Column("order_id", "string", "The order (basket, invoice) the line belongs to."),
    Column("returned_order_id", "string", "Of a return: the order that it takes back; empty: the order id says."),
    Column("ordered_at", "timestamp(6)", "Time of the order, in the snapshots' time zone."),
    Column("amount", "float64", "What was paid for the line, in the source's currency."),
    Column("quantity", "float64", "Units."),
    Column("product_id", "string", "The product."),
    Column("category", "string", "Category of the product."),
    Column("discount", "float64", "Price reduction on the line, other than by coupon, in the source's currency."),
    Column("coupon_discount", "float64", "Price reduction by coupon, in the source's currency."),
)

RAW_CUSTOMERS = Contract(
    "raw_customers", "customer record known to the source at the snapshot",
    (*ORIGIN, Column("customer_id", "string", "The customer's id, as text."), UNREAD, PROBLEM, RECORD),
    key=("source_file", "row_number"), open=True, bulky=True,
)  # fmt: skip
RAW_TRANSACTIONS = Contract(
    "raw_transactions", "order line of the window, as the source has it", (*ORIGIN, *RAW_TRANSACTION_VALUES, UNREAD, PROBLEM, RECORD),
    key=("source_file", "row_number"), bulky=True,
)  # fmt: skip
RAW_EVENTS = Contract(
    "raw_events", "event of the window, as the source has it",
    (
        *ORIGIN,
        Column("customer_id", "string", "The customer's id, as text."),
        Column("event_type", "string", "What happened, such as `campaign_received` or `coupon_redeemed`."),
        Column("event_at", "timestamp(6)", "When it happened, in the snapshots' time zone."),
        Column("subject", "string", "What it was about, such as the campaign."),
        UNREAD,
        PROBLEM,
        RECORD,
    ),
    key=("source_file", "row_number"), bulky=True,
)  # fmt: skip

SOURCE_VOLUME = Contract(
    "source_volume", "source whose rows are dated",
    (
        required("source", "string", "`transactions` or `events`."),
        required("rows", "int64", "Rows dated in the snapshot's own window, before any cleaning; not those of earlier history.", minimum=0),
        required("windows", "int64", "Earlier windows that it is compared with.", minimum=0),
        Column("usual_rows", "float64", "Median of their rows; empty while fewer than three are known.", minimum=0),
        Column("last_day", "date", "Day of the last row before the snapshot's date; empty where these windows have none."),
        Column("silent_days", "int64", "Whole days without rows between it and the snapshot's date.", minimum=0),
        Column("usual_silent_days", "int64", "Most days in a row without rows before.", minimum=0),
        required(
            "verdict", "string", "`empty`: no rows; `low`: under volume.least_share of the usual; `ends early`: longer silent at the end than "
            "ever before; `not measured`: too few windows are known.",
            allowed=("as usual", "empty", "low", "ends early", "not measured"),
        ),
        required("sentence", "string", "The same in words, with what to do."),
    ),
    key=("source",),
)  # fmt: skip

# --- cleaned

CUSTOMERS = Contract(
    "customers", "customer known at the snapshot: on record, or seen in an order or an event",
    (
        CUSTOMER_ID,
        required("registered", "boolean", "Whether the customers source has a record of them."),
        Column("first_order_at", "timestamp(6)", "First order ever, in the snapshots' time zone."),
        Column("last_order_at", "timestamp(6)", "Last order before the snapshot that was not taken back whole, in the snapshots' time zone."),
        Column("earlier_order_at", "timestamp(6)", "Last such order before the lookback, in the snapshots' time zone."),
        Column("first_return_at", "timestamp(6)", "First return ever, in the snapshots' time zone."),
        Column("first_event_at", "timestamp(6)", "First event ever, in the snapshots' time zone."),
    ),
    key=("customer_id",), open=True,
    lineage={
        "first_order_at": ("customer_orders.ordered_at",), "last_order_at": ("customer_orders.ordered_at", "order_returns.undone"),
        "first_return_at": ("customer_orders.returned_at",),
        "first_event_at": ("events.event_at",),
    },
)  # fmt: skip
TRANSACTIONS = Contract(
    "transactions", "order line of the window that is fit for use",
    (
        *ORIGIN, CUSTOMER_ID,
        required("order_id", "string", "The order; customer and day where the source has none."),
        required("ordered_at", "timestamp(6)", "Time of the order, in the snapshots' time zone."),
        required("amount", "decimal(18, 4)", "What was paid for the line; negative for a return."),
        Column("quantity", "decimal(18, 4)", "Units; negative for a return."),
        Column("product_id", "string", "The product."),
        required("category", "string", "Category of the product; `unknown` where the source has none."),
        required("discount", "decimal(18, 4)", "Price reduction on the line, other than by coupon."),
        required("coupon_discount", "decimal(18, 4)", "Price reduction by coupon."),
        required("is_return", "boolean", "Whether the line takes goods back."),
        Column("returned_order_id", "string", "Of a return: the order that it takes back; empty where the source names none."),
    ),
    key=("source_file", "row_number"), bulky=True,
    lineage={
        c: (f"raw_transactions.{c}",)
        for c in ("customer_id", "order_id", "ordered_at", "amount", "quantity", "category", "discount", "coupon_discount", "returned_order_id")
    },
)  # fmt: skip
EVENTS = Contract(
    "events", "event of the window that is fit for use",
    (
        *ORIGIN, CUSTOMER_ID,
        required("event_type", "string", "What happened."),
        required("event_at", "timestamp(6)", "When it happened, in the snapshots' time zone."),
        Column("subject", "string", "What it was about, such as the campaign."),
    ),
    key=("source_file", "row_number"), bulky=True,
)  # fmt: skip
REJECTED_ROWS = Contract(
    "rejected_rows", "source row that was set aside",
    (
        required("source", "string", "Which source: customers, transactions or events."),
        *ORIGIN,
        required("reason", "string", "Why; several reasons are joined by a semicolon."),
        required("record", "string", "The original record, as JSON."),
    ),
    key=("source", "source_file", "row_number"),
)  # fmt: skip

# --- features

TOO_LARGE = (
    "amounts this large are exact no more: lower cleaning.largest_amount, give amounts in thousands, or leave out an id that "
    "stands for many customers by mapping it away, such as customer_id: NULLIF(customer_id, 'that id')"
)


def money(name: str, description: str, minimum: float | None = -LARGEST_SUM, nullable: bool = False) -> Column:
    """A sum of amounts or units of one customer, exact within its bounds."""
    return Column(name, "decimal(18, 4)", description, nullable, minimum, LARGEST_SUM, remedy=TOO_LARGE)


CUSTOMER_ORDERS = Contract(
    "customer_orders", "customer, day and order id of the window, in which they ordered or returned something",
    (
        CUSTOMER_ID,
        required("order_id", "string", "The order; customer and day where the source has none."),
        required("order_day", "date", "Day of the order."),
        Column("ordered_at", "timestamp(6)", "Time of the order; empty where it is no order: returns only, or free where those do not count."),
        Column("returned_at", "timestamp(6)", "First time at which a line took goods back."),
        required("lines", "int64", "Order lines.", minimum=1),
        required("bought_lines", "int64", "Order lines that are not returns.", minimum=0),
        money("spend", "Sum of amounts, returns netted."),
        money("purchases", "Sum of the amounts of lines bought, returns not netted.", 0.0),
        money("units", "Units bought; empty where no quantity is known.", 0.0, nullable=True),
        money("discount", "Price reductions on lines bought, other than by coupon.", 0.0),
        money("coupon_discount", "Price reductions by coupon on lines bought.", 0.0),
    ),
    key=("customer_id", "order_day", "order_id"), bulky=True,
    lineage={"spend": ("transactions.amount",), "units": ("transactions.quantity",)},
)  # fmt: skip
ORDER_RETURNS = Contract(
    "order_returns", "order of which something was taken back in the window",
    (
        CUSTOMER_ID,
        required("order_id", "string", "The order."),
        required("order_day", "date", "Day of the order."),
        money("purchases", "What it was worth when it was placed.", 0.0),
        money("taken_back", "What was taken back of it in the window.", 0.0),
        money("taken_back_before", "What had been taken back of it before.", 0.0),
        required("undone", "boolean", "Whether all of its worth is taken back by now: it counts neither for frequency nor for recency."),
    ),
    key=("customer_id", "order_day", "order_id"),
    lineage={"taken_back": ("transactions.amount", "transactions.returned_order_id"), "purchases": ("customer_orders.purchases",)},
)  # fmt: skip
CUSTOMER_ACTIVITY = Contract(
    "customer_activity", "customer and window in which they ordered or returned something; mergeable sums",
    (
        CUSTOMER_ID,
        required("window_start", "date", "First day of the window."),
        required("orders", "int64", "Orders (order id and day) with at least one line that is not a return, as they were placed.", minimum=0),
        required("order_days", "int64", "Days with an order.", minimum=0),
        required("lines", "int64", "Order lines.", minimum=0),
        money("spend", "Sum of amounts, returns netted."),
        money("purchases", "Sum of the amounts of lines bought, returns not netted.", 0.0),
        required("purchases_squared", "decimal(38, 8)", "Sum of squares of the orders' purchases, for their spread.", minimum=0),
        money("units", "Units bought; empty where no quantity is known.", 0.0, nullable=True),
        money("discount", "Price reductions on lines bought, other than by coupon.", 0.0),
        money("coupon_discount", "Price reductions by coupon on lines bought.", 0.0),
        required("coupon_orders", "int64", "Orders in which a coupon was used.", minimum=0),
        required("returned_lines", "int64", "Lines that take goods back.", minimum=0),
        required("weekend_orders", "int64", "Orders on a Saturday or Sunday, in the snapshots' time zone.", minimum=0),
        required("morning_orders", "int64", "Orders from 6 to 12 h, in the snapshots' time zone.", minimum=0),
        required("afternoon_orders", "int64", "Orders from 12 to 18 h, in the snapshots' time zone.", minimum=0),
        required("evening_orders", "int64", "Orders from 18 to 22 h, in the snapshots' time zone.", minimum=0),
        required(
            "night_orders",
            "int64",
            "Orders from 22 to 6 h, in the snapshots' time zone, midnight sharp left out: it marks a date without a time.",
            minimum=0,
        ),
        required("gap_days_squared", "int64", "Sum of squares of the days from one day with an order to the next, within the window.", minimum=0),
        Column("first_order_at", "timestamp(6)", "First order in the window, in the snapshots' time zone."),
        Column("last_order_at", "timestamp(6)", "Last order in the window, in the snapshots' time zone."),
        Column("previous_order_day", "date", "Last day with an order before the window's first; empty where there was none."),
    ),
    key=("customer_id", "window_start"),
    lineage={"spend": ("customer_orders.spend",), "units": ("customer_orders.units",), "orders": ("customer_orders.order_id",)},
)  # fmt: skip
CUSTOMER_CATEGORY_ACTIVITY = Contract(
    "customer_category_activity", "customer, window and category bought or returned",
    (
        CUSTOMER_ID,
        required("window_start", "date", "First day of the window."),
        required("category", "string", "Category of the product."),
        money("spend", "Sum of amounts, returns netted."),
        money("purchases", "Sum of the amounts of lines bought, returns not netted.", 0.0),
        required("lines", "int64", "Order lines.", minimum=1),
        required("bought_lines", "int64", "Order lines that are not returns.", minimum=0),
    ),
    key=("customer_id", "window_start", "category"),
    lineage={"spend": ("transactions.amount",), "category": ("transactions.category",)},
)  # fmt: skip
CUSTOMER_EVENT_ACTIVITY = Contract(
    "customer_event_activity", "customer, window, event type and, for campaigns, subject",
    (
        CUSTOMER_ID,
        required("window_start", "date", "First day of the window."),
        required("event_type", "string", "What happened."),
        Column("subject", "string", "Which campaign; empty for events that are neither campaigns nor responses to them."),
        required("events", "int64", "How often.", minimum=1),
        required("last_event_at", "timestamp(6)", "When last, in the snapshots' time zone."),
    ),
    key=("customer_id", "window_start", "event_type", "subject"),
    lineage={"events": ("events.event_type",), "last_event_at": ("events.event_at",)},
)  # fmt: skip
STATUSES = ("active", "lapsed", "returned", "prospect")


def feature_column(feature: Feature) -> Column:
    """A declared feature as a column of customer_features."""
    unit = f" Unit: {feature.unit}." if feature.unit else ""
    return Column(feature.name, feature.type, feature.description + unit, not feature.required, feature.minimum, feature.maximum)


CUSTOMER_FEATURES = Contract(
    "customer_features", "customer known at the snapshot, as of its date",
    (
        CUSTOMER_ID,
        Column(
            "status", "string", "active: ordered within the lookback; lapsed: only before it; returned: took back all they ever ordered; prospect: never ordered.",
            nullable=False, allowed=STATUSES,
        ),
        *(feature_column(feature) for feature in FEATURES),
    ),
    key=("customer_id",), open=True,
    lineage={feature.name: feature.lineage for feature in FEATURES if feature.lineage},
)  # fmt: skip

# --- exploration

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
        Column("skewness", "float64", "Skewness; 0 where symmetric, positive with a long right tail."),
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
        required("customers", "int64", "Customers in the bin; the outermost raw bins also hold what lies beyond.", minimum=0),
    ),
    key=("feature", "scale", "bin"),
)  # fmt: skip
FEATURE_MISSINGNESS = Contract(
    "feature_missingness", "feature or attribute, and status",
    (
        required("feature", "string", "Column of customer_features."),
        Column("status", "string", "Status of the customers.", False, allowed=STATUSES),
        required("customers", "int64", "Customers of the status.", minimum=1),
        required("missing", "int64", "Those without a value.", minimum=0),
        required("missing_share", "float64", "Their share.", **SHARE),
    ),
    key=("feature", "status"),
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
        required("customers", "int64", "Active customers who have both; of more than 50,000 active ones, in a seeded sample of 50,000.", minimum=0),
        required("redundant", "boolean", "Whether it is beyond 0.95 either way, of at least 10 customers: keep one of the two in the clustering."),
        required("both_in_model", "boolean", "Whether both are in model.features, so that a redundant pair counts twice."),
        Column("take_out", "string", "Of a redundant pair, the one to take out: not in model.features, else of more such pairs, else more like the other features. Empty for other pairs."),
    ),
    key=("feature_a", "feature_b"),
)  # fmt: skip
ORDER_SEASONALITY = Contract(
    "order_seasonality", "window so far, month, weekday and hour of the day",
    (
        required("window_start", "date", "First day of the window."),
        required("month", "date", "First day of the month; a window may lie in two."),
        required("weekday", "int64", "0 is Monday, 6 Sunday, in the snapshots' time zone.", minimum=0, maximum=6),
        required("hour", "int64", "Hour of the day in the snapshots' time zone; -1 where the order has no time.", minimum=-1, maximum=23),
        required("orders", "int64", "Orders.", minimum=1),
        required("revenue", "decimal(38, 4)", "What was paid, returns not netted.", minimum=0),
    ),
    key=("window_start", "month", "weekday", "hour"),
    lineage={"orders": ("transactions.order_id",), "revenue": ("transactions.amount",)},
)  # fmt: skip
COHORT_RETENTION = Contract(
    "cohort_retention", "cohort (customers who first ordered in the same window) and window since, zeros where none of it ordered",
    (
        required("cohort", "date", "First day of the window of their first order."),
        required("period", "int64", "Windows since; 0 is the window of the first order.", minimum=0),
        required("cohort_customers", "int64", "Customers in the cohort.", minimum=1),
        required("active_customers", "int64", "Those who ordered in this window.", minimum=0),
        required("revenue", "decimal(38, 4)", "Their spend in it, returns netted."),
        required("retention", "float64", "Share of the cohort that ordered.", **SHARE),
        required("revenue_per_customer", "float64", "Spend per customer of the cohort, in the source's currency."),
    ),
    key=("cohort", "period"),
    lineage={"cohort": ("customers.first_order_at",), "active_customers": ("customer_activity.orders",), "revenue": ("customer_activity.spend",)},
)  # fmt: skip
REVENUE_CONCENTRATION = Contract(
    "revenue_concentration", "percentage of buyers, best first",
    (
        required("percentile", "int64", "The best so many percent of buyers.", minimum=0, maximum=100),
        required("customers", "int64", "How many that are.", minimum=0),
        required("customer_share", "float64", "Their share of buyers.", **SHARE),
        required("revenue", "float64", "Their spend within the lookback, in the source's currency.", minimum=0),
        required("revenue_share", "float64", "Their share of revenue.", minimum=0.0, maximum=1.0000001),
    ),
    key=("percentile",),
    lineage={"revenue": ("customer_features.monetary",)},
)  # fmt: skip
CATEGORY_MIX = Contract(
    "category_mix", "category bought within the lookback",
    (
        required("category", "string", "Category of the product."),
        required("purchases", "decimal(38, 4)", "What was paid, returns not netted.", minimum=0),
        required("customers", "int64", "Customers who bought it.", minimum=1),
        Column("share", "float64", "Share of all purchases.", **SHARE),
        required("penetration", "float64", "Share of buyers who bought it.", **SHARE),
    ),
    key=("category",),
    lineage={"purchases": ("customer_category_activity.purchases",)},
)  # fmt: skip
ATTRIBUTE_SPEND = Contract(
    "attribute_spend", "level of an attribute that has at most thirty, among active customers",
    (
        required("attribute", "string", "Attribute of customers, such as their income."),
        required("level", "string", "Its value; `(missing)` where there is none."),
        required("customers", "int64", "Active customers with it.", minimum=1),
        required("share", "float64", "Their share of active customers.", **SHARE),
        required("mean_spend", "float64", "Mean spend within the lookback, in the source's currency."),
        required("p25_spend", "float64", "First quartile of spend."),
        required("median_spend", "float64", "Median spend."),
        required("p75_spend", "float64", "Third quartile of spend."),
        Column("eta_squared", "float64", "Share of the variance of log spend between the attribute's levels, where known (Pearson 1905).", minimum=0.0, maximum=1.0000001),
        Column("epsilon_squared", "float64", "The same without what many levels of few customers explain by chance (Kelley 1935).", minimum=0.0, maximum=1.0000001),
    ),
    key=("attribute", "level"),
    lineage={"mean_spend": ("customer_features.monetary",)},
)  # fmt: skip

# --- model

MODEL_CANDIDATES = Contract(
    "model_candidates", "clustering that was tried on the snapshot",
    (
        required("algorithm", "string", "Clustering algorithm."),
        required("k", "int64", "Number of clusters; 0 where it could not be fitted.", minimum=0),
        Column("silhouette", "float64", "Mean silhouette on a sample (Rousseeuw 1987); higher is better.", minimum=-1, maximum=1),
        Column("calinski_harabasz", "float64", "Calinski-Harabasz index (1974); higher is better.", minimum=0),
        Column("davies_bouldin", "float64", "Davies-Bouldin index (1979); lower is better.", minimum=0),
        Column("prediction_strength", "float64", "Prediction strength (Tibshirani and Walther 2005); 0.8 and more is good.", **SHARE),
        Column("weakest_jaccard", "float64", "Bootstrap Jaccard of the least stable cluster (Hennig 2007).", **SHARE),
        Column("stability", "string", "Hennig's reading of it.", allowed=("dissolved", "doubtful", "valid", "highly stable")),
        Column("jaccard", "string", "Bootstrap Jaccard of each cluster, by its number."),
        Column("smallest_share", "float64", "Share of customers in the smallest cluster.", **SHARE),
        Column("smallest_count", "int64", "Customers in the smallest cluster, scaled up from the sample.", minimum=0),
        Column("noise_share", "float64", "Share of customers called noise.", **SHARE),
        Column("gap", "float64", "Gap statistic (Tibshirani, Walther and Hastie 2001)."),
        Column("gap_error", "float64", "Its standard error.", minimum=0),
        Column("seed_agreement", "float64", "Mean adjusted Rand index between fits from other seeds.", maximum=1),
        Column("valley_p", "float64", "p-value of the valley gate; small where a valley separates all neighbours.", **SHARE),
        required("chosen", "boolean", "Whether the snapshot's model has this algorithm and k."),
        required("reason", "string", "Why it was chosen or not, as a sentence."),
    ),
    key=("algorithm", "k"),
)  # fmt: skip
SEGMENTATION_MODEL = Contract(
    "segmentation_model", "number of the model in force: preprocessing, prototypes, segments and provenance",
    (
        MODEL_VERSION,
        required("component", "string", "Part of the model, such as `prototype`, `segment` or `provenance`."),
        required("position", "int64", "Position within the component, from 0.", minimum=0),
        required("name", "string", "Name of the item, such as the feature."),
        required("field", "string", "Which of the item's values this is."),
        Column("value", "float64", "The value, where it is a number."),
        Column("text", "string", "The value, where it is text."),
    ),
    key=("component", "position", "name", "field"),
)  # fmt: skip
DECISIONS = ("trained", "carried forward", "promoted", "refused", "rolled back")
EVENTS_OF_SEGMENTS = ("born", "survived", "split", "merged", "died", "restored", "changed character")
TIERS = ("distinct", "convenient", "grid")
MODEL_REGISTRY = Contract(
    "model_registry", "snapshot and model: the one in force and how it came to be, and a challenger that was refused",
    (
        MODEL_VERSION,
        required("fitted_snapshot", "date", "Snapshot on whose customers the model was fitted."),
        required("algorithm", "string", "Clustering algorithm."),
        required("k", "int64", "Number of segments by model; 0 where no customer was active.", minimum=0),
        Column(
            "tier", "string", "distinct segments, a convenient partition, or the named RFM grid; empty without customers.", allowed=TIERS
        ),
        Column("tier_reason", "string", "Why this tier, as a sentence."),
        required("seed", "int64", "Seed of every random choice."),
        required("settings_digest", "string", "Digest of the settings that the model depends on."),
        required("customers", "int64", "Active customers the model was fitted on.", minimum=0),
        required("in_force", "boolean", "Whether the snapshot's customers are placed by it; one model of a snapshot is."),
        Column("decision", "string", "What became of the model at this snapshot; a challenger is promoted or refused.", False, allowed=DECISIONS),
        required("reason", "string", "Why, as a sentence."),
    ),
    key=("model_version",),
    lineage={"model_version": ("segmentation_model.model_version",)},
)  # fmt: skip

# --- segments

CUSTOMER_SEGMENTS = Contract(
    "customer_segments", "customer known at the snapshot",
    (
        CUSTOMER_ID, SEGMENT_ID,
        required("segment_name", "string", "Name of the segment."),
        Column("distance", "float64", "Distance to the nearest prototype, in scaled units; empty for segments by rule.", minimum=0),
        Column("confidence", "float64", "0: on the border between two segments; 1: at the prototype. Empty for segments by rule.", **SHARE),
        Column("imputed_features", "string", "Features missing for the customer, for which the model took the median of training; empty: none."),
        Column("previous_segment_id", "int64", "Segment at the previous snapshot; empty for a customer who is new."),
        MODEL_VERSION,
    ),
    key=("customer_id",),
    lineage={
        "segment_id": (
            "customer_features.recency_days", "customer_features.frequency", "customer_features.monetary", "segmentation_model.value",
        )
    },
)  # fmt: skip
SEGMENT_TRANSITIONS = Contract(
    "segment_transitions", "pair of segments between which customers moved since the previous snapshot",
    (
        Column("from_segment_id", "int64", "Segment at the previous snapshot; empty for customers who entered."),
        Column("to_segment_id", "int64", "Segment at this snapshot; empty for customers who left."),
        required("customers", "int64", "Customers who moved (or stayed, where both are the same).", minimum=1),
        required("revenue_before", "float64", "Their spend within the lookback at the previous snapshot."),
        required("revenue_after", "float64", "Their spend within the lookback at this snapshot."),
        required("customers_by_model", "int64", "Those of them whom the model before would have put elsewhere: the model moved them.", minimum=0),
    ),
    key=("from_segment_id", "to_segment_id"),
)  # fmt: skip
SEGMENT_BRIDGE = Contract(
    "segment_bridge", "segment and cause of the change of its revenue since the previous snapshot",
    (
        SEGMENT_ID,
        Column(
            "component", "string", "`before` and `after` are the revenue; what lies between adds up to the difference: `stayed` (they spend "
            "more or less), `came`, `left`, `entered` (new, or back), `lapsed`, `model` (put elsewhere by a changed model).", False,
            allowed=COMPONENTS,
        ),
        required("customers", "int64", "Customers concerned.", minimum=0),
        required("revenue", "float64", "Revenue, or its change, within the lookback; in the source's currency."),
    ),
    key=("segment_id", "component"),
    lineage={"revenue": ("customer_features.monetary",), "customers": ("customer_segments.customer_id",)},
)  # fmt: skip
SEGMENT_JOURNEYS = Contract(
    "segment_journeys", "path through the segments over the last snapshots, most common first",
    (
        required("rank", "int64", "1 is the most common.", minimum=1),
        required("path", "string", "Segment ids in order, such as `3 > 1`; a repeat is one step."),
        required("path_names", "string", "The same by name."),
        required("customers", "int64", "Customers who went this way.", minimum=1),
        required("share", "float64", "Their share of all who are known at the snapshot.", **SHARE),
    ),
    key=("rank",),
    lineage={"path": ("customer_segments.segment_id",)},
)  # fmt: skip
SEGMENT_STAYS = Contract(
    "segment_stays", "segment: how long customers stay, and where they go",
    (
        SEGMENT_ID,
        required("segment_name", "string", "Name of the segment."),
        required("customers", "int64", "Customers in it now.", minimum=1),
        required("mean_snapshots", "float64", "Mean length of their present stay, in snapshots, within movement.history.", minimum=1),
        required("median_snapshots", "float64", "Median length of their present stay.", minimum=1),
        Column("chance_to_move", "float64", "Share of those in it who were in another segment at the next snapshot.", **SHARE),
        Column("next_segment_id", "int64", "Where most of those who moved went."),
        Column("next_segment_name", "string", "Its name."),
        Column("next_share", "float64", "Its share of those who moved.", **SHARE),
    ),
    key=("segment_id",),
    lineage={"chance_to_move": ("customer_segments.segment_id",)},
)  # fmt: skip
SEGMENT_EVENTS = Contract(
    "segment_events", "event in the life of segments: what a change of model made of them, or a changed character",
    (
        Column("event", "string", "What happened.", False, allowed=EVENTS_OF_SEGMENTS),
        required("from_segment_ids", "string", "Segments before, such as `1, 4`; empty for a birth."),
        required("to_segment_ids", "string", "Segments after; empty for a death."),
        Column("overlap", "float64", "Share of customers that says so (docs/segments-over-time.md); empty for a changed character.", **SHARE),
        required("sentence", "string", "The same in words, with names."),
    ),
    key=("event", "from_segment_ids", "to_segment_ids"),
    lineage={"from_segment_ids": ("segmentation_model.value",), "to_segment_ids": ("segmentation_model.value",)},
)  # fmt: skip
EVALUATION_METRICS = Contract(
    "evaluation_metrics", "metric of the model in force",
    (
        MODEL_VERSION,
        required("metric", "string", "Name of the metric; `name: segment` for one segment."),
        Column("value", "float64", "Its value; empty where it cannot be told."),
    ),
    key=("model_version", "metric"),
)  # fmt: skip

# --- interpretation and application

SEGMENTS = Contract(
    "segments", "segment at the snapshot",
    (
        SEGMENT_ID,
        required("segment_name", "string", "Name of the segment, given at its birth."),
        required("description", "string", "What marks the segment out, and whether it is a distinct segment or part of a convenient partition."),
        required("customers", "int64", "Customers in the segment.", minimum=0),
        required("share", "float64", "Share of all known customers.", **SHARE),
        required("revenue", "float64", "Their spend within the lookback."),
        Column("revenue_share", "float64", "Share of all spend within the lookback; empty where nothing was spent."),
        MODEL_VERSION,
    ),
    key=("segment_id",),
    lineage={"customers": ("customer_segments.customer_id",), "revenue": ("customer_features.monetary",)},
)  # fmt: skip
SEGMENT_PROFILES = Contract(
    "segment_profiles", "segment and numeric feature",
    (
        SEGMENT_ID,
        required("feature", "string", "Column of customer_features."),
        Column("mean", "float64", "Mean in the segment."),
        Column("median", "float64", "Median in the segment."),
        Column("p10", "float64", "10th percentile in the segment."),
        Column("p90", "float64", "90th percentile in the segment."),
        Column("population_mean", "float64", "Mean over all known customers."),
        Column("population_sd", "float64", "Standard deviation over all known customers."),
        Column("z", "float64", "How many population standard deviations the segment's mean lies from the population's."),
    ),
    key=("segment_id", "feature"),
)  # fmt: skip
SEGMENT_ACTIONS = Contract(
    "segment_actions", "segment and suggested action",
    (
        SEGMENT_ID,
        required("segment_name", "string", "Name of the segment."),
        required("action", "string", "What marketing does."),
        required("channel", "string", "Where it is done."),
        required("reason", "string", "Why this action for this segment."),
        required("priority", "int64", "1 is done first.", minimum=1, maximum=9),
    ),
    key=("segment_id", "action"),
)  # fmt: skip
DRIFT_REPORT = Contract(
    "drift_report", "subject, compared with the training snapshot of the model that came into this snapshot",
    (
        Column(
            "kind", "string", "`feature`, `segment_mix`, `distance` to the nearest prototype, or `joint`: all coordinates together.", False,
            allowed=("feature", "segment_mix", "distance", "joint"),
        ),
        required("subject", "string", "Which feature, or what else."),
        required("statistic", "string", "`psi`, the population stability index, or `auc`, how well a classifier tells training from now."),
        Column("value", "float64", "Its value; empty where it cannot be computed.", minimum=0),
        Column("p_value", "float64", "Probability of as large a value without drift.", **SHARE),
        Column("q_value", "float64", "p-value corrected for the number of subjects (Benjamini-Hochberg 1995).", **SHARE),
        required("threshold", "float64", "Value below which a change is too small to matter.", minimum=0),
        Column("flagged", "boolean", "Whether it has drifted: its q-value is at most drift.alpha and its value above the threshold. Empty where not measured."),
        required("in_model", "boolean", "Whether the model depends on it, so that a flag asks for a challenger."),
    ),
    key=("kind", "subject", "statistic"),
)  # fmt: skip

CONTRACTS: tuple[Contract, ...] = (
    RAW_CUSTOMERS, RAW_TRANSACTIONS, RAW_EVENTS, SOURCE_VOLUME, CUSTOMERS, TRANSACTIONS, EVENTS, REJECTED_ROWS, CUSTOMER_ORDERS, ORDER_RETURNS,
    CUSTOMER_ACTIVITY, CUSTOMER_CATEGORY_ACTIVITY, CUSTOMER_EVENT_ACTIVITY, CUSTOMER_FEATURES, FEATURE_SUMMARY, FEATURE_DISTRIBUTIONS, FEATURE_MISSINGNESS, FEATURE_OUTLIERS,
    FEATURE_CORRELATIONS, ORDER_SEASONALITY, COHORT_RETENTION, REVENUE_CONCENTRATION, CATEGORY_MIX, ATTRIBUTE_SPEND, MODEL_CANDIDATES, SEGMENTATION_MODEL, MODEL_REGISTRY, CUSTOMER_SEGMENTS,
    SEGMENT_TRANSITIONS, SEGMENT_BRIDGE, SEGMENT_JOURNEYS, SEGMENT_STAYS, SEGMENT_EVENTS,
    EVALUATION_METRICS, SEGMENTS, SEGMENT_PROFILES, SEGMENT_ACTIONS, DRIFT_REPORT,
)  # fmt: skip
BY_NAME = {contract.name: contract for contract in CONTRACTS}
