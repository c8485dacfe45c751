"""Every feature, declared once: name, expression, unit, range, meaning, and how it may enter the clustering.

The table's contract, the data dictionary and the pictures are made from these declarations. To add a feature, add a
`Feature` here (docs/features.md). Its expression gets the merged activity of `features.merged`, one row per customer,
and may use only operations on which all engines agree: dates, sums, counts, conditionals; `ratio` instead of plain division.

Behavioural features describe the lookback and are empty for customers without an order in it.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import ibis
import ibis.expr.types as ir

from segmentation_assets.vocabulary import MONEY

Expression = Callable[[ir.Table], ir.Value]
Transform = Literal["log", "yeo-johnson", "none"]


@dataclass(frozen=True)
class Feature:
    """One column of `customer_features`.

    Args:
        expression: computes the value from the merged activity; numbers are float64, as clustering needs.
        unit: of the value; "" for a number without one, and for text.
        high, low: describes a customer with a high or low value; completes "this customer ...", in the data
            dictionary and in the sentence of each segment.
        minimum, maximum: values outside are an error in the data or the code; None: no bound.
        type: Ibis type; text features are categorical.
        required: never empty, for any known customer.
        clustering: whether it enters the clustering by default.
        transform: the transform with which it enters the clustering.
        lineage: columns from which it is made, if not obvious.
        label: what people call it, in the report; "": the name in words.
        better: which values the business would rather see, if either; it gives the report its colours.
    """

    name: str
    group: str
    expression: Expression
    description: str
    unit: str
    high: str
    low: str
    minimum: float | None = None
    maximum: float | None = None
    type: str = "float64"
    required: bool = False
    clustering: bool = False
    transform: Transform = "none"
    lineage: tuple[str, ...] = ()
    label: str = ""
    better: Literal["high", "low", ""] = ""

    @property
    def needs(self) -> str:
        """What the source must have for it."""
        return {ENGAGEMENT: "events", ATTRIBUTES: "customers"}.get(self.group, "transactions")


def number(value: ir.NumericValue) -> ir.FloatingValue:
    """The exact count or sum as a float, as clustering needs; the last step of a feature, so that sums stay exact until then."""
    return value.cast("float64")


def ratio(part: ir.NumericValue, whole: ir.NumericValue) -> ir.FloatingValue:
    """part / whole; empty if the whole is zero, where engines differ.

    >>> ratio(ibis.literal(1), ibis.literal(4)).execute()
    0.25
    """
    return number(part) / number(whole).nullif(0.0)


def days_between(earlier: ir.TimestampValue, later: ir.DateValue) -> ir.FloatingValue:
    """Whole days since the day of `earlier`, because engines differ on differences of times."""
    return number(later.delta(earlier.date(), unit="day"))


def mean_gap(m: ir.Table) -> ir.FloatingValue:
    """Days from the first to the last day with an order, over the gaps between them."""
    return ratio(m.gap_days, m.order_days - 1)


def opening_pause(m: ir.Table) -> ir.FloatingValue:
    """Days without an order at the beginning of the lookback, of those who had ordered before it; the mirror image of recency."""
    known_before = m.first_order_at.date() < m.lookback_start
    return ibis.ifelse(known_before, number(m.first_order_day.delta(m.lookback_start, unit="day")), ibis.null("float64"))


def sd_gap(m: ir.Table) -> ir.FloatingValue:
    """Standard deviation with n - 1, from exact integer sums, so that even gaps give zero and not a rounding error."""
    gaps = m.order_days - 1
    return ratio(gaps * m.gap_days_squared - m.gap_days * m.gap_days, (gaps * (gaps - 1)).nullif(0)).sqrt()


SQUARES = "decimal(37, 8)"
LARGEST_SQUARES = 1e28  # of 1e29 that the type holds; purchases of 1e12 have squares of 1e24


def order_value_cv(m: ir.Table) -> ir.FloatingValue:
    """Coefficient of variation with n - 1, from exact decimals, so that equal orders give zero and not a rounding error.

    The squares are taken about q, the mean rounded to four places: with r = total - n q, which is exact,
    sum (x - mean)^2 = sum x^2 - q (total + r) - r^2 / n. No term is larger than the sum of squares, which fits the type; empty for
    purchases beyond the supported maximum, whose squares would not.
    """
    fits = number(m.purchases_squared) < LARGEST_SQUARES
    purchases, of_squares = (ibis.ifelse(fits, value, ibis.null(value.type())) for value in (m.purchases, m.purchases_squared))
    orders, mean = number(m.orders), ratio(purchases, m.orders)
    pivot = mean.round(4).cast("decimal(18, 4)")
    rest = purchases - pivot * m.orders.cast("decimal(10, 0)")  # DuckDB makes a double of a decimal times its 128-bit count
    # Of differences of 38 digits, Spark gives up one behind the point.
    about_pivot = of_squares.cast(SQUARES) - (pivot * (purchases + rest).cast("decimal(19, 4)")).cast(SQUARES)
    squares = number(about_pivot) - number(rest) * number(rest) / orders.nullif(0.0)
    variance = squares / (orders - 1.0).nullif(0.0)
    at_least_zero = ibis.ifelse(variance < 0, 0.0, variance)  # an engine may round; not `greatest`, which skips an empty value
    return at_least_zero.sqrt() / mean.nullif(0.0)


def change(recent: ir.NumericValue, earlier: ir.NumericValue, m: ir.Table) -> ir.FloatingValue:
    """(r - e) / (r + e) of the rates per window: half the growth rate of Davis, Haltiwanger and Schuh (1996), in [-1, 1].

    Unlike a percentage, it is defined if either part is zero. Empty for customers who are too new to have a part before.
    """
    recent_rate = number(recent) / number(m.recent_windows)
    earlier_rate = ratio(earlier, m.earlier_windows)
    return ibis.ifelse(m.earlier_windows > 0, (recent_rate - earlier_rate) / (recent_rate + earlier_rate).nullif(0.0), ibis.null("float64"))


def _share_of_orders(part: str) -> Expression:
    return lambda m: ratio(m[f"{part}_orders"], m.timed_orders)


def _count_of(event: str) -> Expression:
    return lambda m: number(m[f"{event}_count"].fill_null(0))


def _days_since(event: str) -> Expression:
    return lambda m: days_between(m[f"{event}_last_at"], m.as_of)


RECENCY, RHYTHM, TREND = "Recency, frequency, monetary value", "Rhythm", "Trend"
BREADTH, PRICE, TIME, ENGAGEMENT, ATTRIBUTES = "Breadth", "Price behaviour", "When they buy", "Engagement", "Attributes"
COUNT: dict[str, Any] = {"minimum": 0.0}
SHARE: dict[str, Any] = {"minimum": 0.0, "maximum": 1.0}

FEATURES: tuple[Feature, ...] = (
    Feature(
        "recency_days", RECENCY, lambda m: days_between(m.last_order_at, m.as_of),
        "Days from the last order to the snapshot, not counting fully returned orders.", "days", "has not bought for long", "bought recently",
        minimum=0.0, clustering=True, transform="log", lineage=("customers.last_order_at",),
        label="days since last order", better="low",
    ),
    Feature(
        "frequency", RECENCY, lambda m: number(m.orders.fill_null(0)),
        "Orders within the lookback, not counting fully returned ones.", "orders", "shops often", "shops rarely",
        minimum=0.0, required=True, clustering=True, transform="log", lineage=("customer_activity.orders",),
        label="orders", better="high",
    ),
    Feature(
        "monetary", RECENCY, lambda m: number(m.spend).fill_null(0.0),
        "Spend within the lookback, net of returns; negative if more was returned than bought.", MONEY,
        "spends much", "spends little", required=True, clustering=True, transform="log", lineage=("customer_activity.spend",),
        label="spend", better="high",
    ),
    Feature(
        "tenure_days", RECENCY, lambda m: days_between(m.first_order_at, m.as_of),
        "Days from the first order to the snapshot.", "days", "has long been a customer", "is new",
        minimum=0.0, lineage=("customers.first_order_at",),
        label="days since first order",
    ),
    Feature(
        "average_order_value", RECENCY, lambda m: ratio(m.purchases, m.orders),
        "Mean value of an order before returns, not counting fully returned orders.", f"{MONEY} per order",
        "fills big baskets", "fills small baskets", minimum=0.0, transform="log", lineage=("customer_activity.purchases",),
        label="value of an order", better="high",
    ),
    Feature(
        "items_per_order", RECENCY, lambda m: ratio(m.units, m.orders),
        "Units bought per order; empty if the source has no quantities.", "units per order",
        "buys many items at once", "buys few items at once", minimum=0.0, transform="log", lineage=("customer_activity.units",),
        label="units per order",
    ),
    Feature(
        "order_value_spread", RECENCY, order_value_cv,
        "Standard deviation of the order value as a share of its mean; empty below two orders.", "share of the mean",
        "mixes small and large orders", "spends about the same each time", minimum=0.0, transform="log",
        lineage=("customer_activity.purchases_squared",),
        label="spread of order values, as a share of their mean",
    ),
    Feature(
        "mean_gap_days", RHYTHM, mean_gap,
        "Mean number of days from one day with an order to the next; empty below two such days.", "days",
        "leaves long pauses between orders", "comes back quickly", minimum=1.0, transform="log",
        lineage=("customer_activity.first_order_at", "customer_activity.last_order_at", "customer_activity.order_days"),
        label="days between orders", better="low",
    ),
    Feature(
        "sd_gap_days", RHYTHM, sd_gap,
        "Standard deviation of these gaps; empty below three days with an order.", "days",
        "shops irregularly", "shops like clockwork", minimum=0.0, transform="log", lineage=("customer_activity.gap_days_squared",),
        label="irregularity of the days between orders",
    ),
    Feature(
        "overdue_ratio", RHYTHM, lambda m: ratio(days_between(m.last_order_at, m.as_of), mean_gap(m)),
        "Recency as a multiple of the mean gap: above 1, the customer is later than usual.", "mean gaps",
        "is overdue by their own rhythm", "is within their own rhythm", minimum=0.0, transform="log",
        label="days since last order, as a multiple of the usual pause", better="low",
    ),
    Feature(
        "opening_pause_days", RHYTHM, opening_pause,
        "Days from the start of the lookback to the first order in it; empty for customers who first ordered later than that start.", "days",
        "paused at the start of the lookback", "was buying as the lookback began", minimum=0.0, transform="log",
        lineage=("customer_activity.first_order_at", "customers.first_order_at"),
        label="days without an order at the start of the lookback",
    ),
    Feature(
        "active_window_share", RHYTHM, lambda m: ratio(m.active_windows.fill_null(0), m.known_windows),
        "Share of the lookback's windows with an order, counted from the window of the first order.", "share",
        "buys in every period", "skips periods", **SHARE,
        label="share of periods with an order", better="high",
    ),
    Feature(
        "spend_trend", TREND, lambda m: change(m.recent_purchases, m.purchases - m.recent_purchases, m),
        "Purchases per window in the last part of the lookback (r) against the part before (e), as (r - e) / (r + e).",
        "-1 stopped, 0 steady, 1 started", "spends more than before", "spends less than before", minimum=-1.0, maximum=1.0,
        label="trend of spend, from -1 (stopped) to 1 (started)", better="high",
    ),
    Feature(
        "order_trend", TREND, lambda m: change(m.recent_orders, m.orders - m.recent_orders, m),
        "Orders per window in the last part of the lookback (r) against the part before (e), as (r - e) / (r + e).",
        "-1 stopped, 0 steady, 1 started", "comes more often than before", "comes less often than before", minimum=-1.0, maximum=1.0,
        label="trend of orders, from -1 (stopped) to 1 (started)", better="high",
    ),
    Feature(
        "categories", BREADTH, lambda m: number(m.categories),
        "Number of categories bought.", "categories", "buys across the range", "buys few categories", **COUNT, transform="log",
        lineage=("customer_category_activity.category",),
        label="categories bought", better="high",
    ),
    Feature(
        "top_category_share", BREADTH, lambda m: m.top_category_share,
        "Share of purchases in the category with the highest.", "share", "concentrates on one category", "spreads over categories",
        **SHARE, lineage=("customer_category_activity.purchases",),
        label="share of the favourite category",
    ),
    Feature(
        "category_entropy", BREADTH, lambda m: m.category_entropy,
        "Shannon entropy of purchases over categories (Shannon 1948): 0 for one category, ln(n) for n in equal parts.", "nats",
        "has varied tastes", "has narrow tastes", minimum=0.0, lineage=("customer_category_activity.purchases",),
        label="variety of categories",
    ),
    Feature(
        "top_category", BREADTH, lambda m: m.top_category,
        "Category with the highest purchases; the first by name if several are equal.", "", "", "", type="string",
        lineage=("customer_category_activity.category", "customer_category_activity.purchases"),
        label="favourite category",
    ),
    Feature(
        "discount_share", PRICE, lambda m: ratio(m.discount + m.coupon_discount, m.purchases + m.discount + m.coupon_discount),
        "Discounts and coupons as a share of what the goods would have cost without them.", "share",
        "buys on offer", "pays full price", **SHARE, lineage=("customer_activity.discount", "customer_activity.coupon_discount"),
        label="discount, as a share of full prices",
    ),
    Feature(
        "coupon_order_share", PRICE, lambda m: ratio(m.coupon_orders, m.orders),
        "Share of orders in which a coupon was used.", "share", "uses coupons", "ignores coupons", **SHARE,
        lineage=("customer_activity.coupon_orders",),
        label="share of orders with a coupon",
    ),
    Feature(
        "return_share", PRICE, lambda m: ratio(m.returned_lines, m.lines),
        "Share of lines that are returns.", "share", "returns much", "returns little", **SHARE,
        lineage=("customer_activity.returned_lines",),
        label="share of lines returned", better="low",
    ),
    Feature(
        "weekend_share", TIME, lambda m: ratio(m.weekend_orders, m.orders),
        "Share of orders on a Saturday or Sunday, in the snapshots' time zone.", "share", "shops at the weekend", "shops on weekdays", **SHARE,
        lineage=("customer_activity.weekend_orders",),
        label="share of orders at the weekend",
    ),
    *(
        Feature(
            f"{part}_share", TIME, _share_of_orders(part),
            f"Share of orders from {hours}, in the snapshots' time zone, among those that have a time of day.", "share",
            f"shops {when}", f"does not shop {when}", **SHARE, lineage=(f"customer_activity.{part}_orders",),
            label=f"share of orders {when}",
        )
        for part, hours, when in (
            ("morning", "6 to 12 h", "in the morning"), ("afternoon", "12 to 18 h", "in the afternoon"),
            ("evening", "18 to 22 h", "in the evening"), ("night", "22 to 6 h", "at night"),
        )
    ),
    Feature(
        "events", ENGAGEMENT, lambda m: number(m.events.fill_null(0)),
        "Events of any type within the lookback.", "events", "is in touch with us", "is not in touch with us",
        **COUNT, required=True, transform="log", lineage=("customer_event_activity.events",),
        label="contacts", better="high",
    ),
    Feature(
        "event_recency_days", ENGAGEMENT, lambda m: days_between(m.last_event_at, m.as_of),
        "Days from the last event within the lookback to the snapshot; empty if there was none.", "days",
        "has not been in touch for long", "was in touch recently", minimum=0.0, transform="log",
        lineage=("customer_event_activity.last_event_at",),
        label="days since last contact", better="low",
    ),
    Feature(
        "campaigns_received", ENGAGEMENT, lambda m: number(m.campaigns_received.fill_null(0)),
        "Different campaigns received within the lookback, by the event's subject.", "campaigns",
        "is written to often", "is hardly written to", **COUNT, required=True, transform="log", lineage=("customer_event_activity.subject",),
        label="campaigns received",
    ),
    Feature(
        "campaign_response_share", ENGAGEMENT, lambda m: ratio(m.campaigns_answered, m.campaigns_received),
        "Share of these campaigns to which the customer responded; empty if none was received.", "share",
        "responds to campaigns", "ignores campaigns", **SHARE, lineage=("customer_event_activity.subject",),
        label="share of campaigns answered", better="high",
    ),
    Feature(
        "age_years", ATTRIBUTES, lambda m: number(m.age_years),
        "Age at the snapshot in completed years, from the attribute `birth_date`; empty if the source has none.", "years",
        "is older", "is younger", minimum=0.0, maximum=130.0, lineage=("customers.customer_id",),
        label="age in years",
    ),
)  # fmt: skip


def units(declared: Sequence[Feature], currency: str) -> dict[str, str]:
    """The unit of each feature by its name, for pictures."""
    return {feature.name: feature.unit.replace(MONEY, currency) for feature in declared}


def slug(event_type: str) -> str:
    """The event type as part of a column name: lower case, words joined by underscores."""
    return re.sub(r"[^a-z0-9]+", "_", event_type.lower()).strip("_")


def _spoken(event_type: str) -> str:
    return event_type.replace("_", " ")


def event_features(event_types: Sequence[str]) -> tuple[Feature, ...]:
    """The features of each event type in the settings: count and recency."""
    return tuple(
        feature
        for event_type in event_types
        for feature in (
            Feature(
                f"{slug(event_type)}_count", ENGAGEMENT, _count_of(slug(event_type)),
                f"Events `{event_type}` within the lookback.", "events", f"has many `{event_type}`", f"has few `{event_type}`",
                **COUNT, required=True, transform="log", lineage=("customer_event_activity.events",), label=f"number of {_spoken(event_type)}",
            ),
            Feature(
                f"{slug(event_type)}_recency_days", ENGAGEMENT, _days_since(slug(event_type)),
                f"Days from the last `{event_type}` within the lookback to the snapshot; empty if there was none.", "days",
                f"had `{event_type}` long ago", f"had `{event_type}` recently",
                minimum=0.0, transform="log", lineage=("customer_event_activity.last_event_at",), label=f"days since last {_spoken(event_type)}",
            ),
        )
    )  # fmt: skip
