"""Contracts of what customers did in a window, and of the features made from it."""

from segmentation_assets.core.customers.feature_catalog import FEATURES, Feature
from segmentation_assets.tables.cleaned import money
from segmentation_assets.tables.contract import CUSTOMER_ID, Column, Contract, required
from segmentation_assets.vocabulary import Status

CUSTOMER_ACTIVITY = Contract(
    "customer_activity", "customer and window in which they ordered or returned something; mergeable sums",
    (
        CUSTOMER_ID,
        required("window_start", "date", "First day of the window."),
        required("orders", "int64", "Orders (order id and day) with at least one line that is not a return, before returns.", minimum=0),
        required("order_days", "int64", "Days with an order.", minimum=0),
        required("lines", "int64", "Order lines.", minimum=0),
        money("spend", "Sum of amounts, net of returns."),
        money("purchases", "Sum of the amounts of lines bought, before returns.", 0.0),
        required("purchases_squared", "decimal(38, 8)", "Sum of squares of the orders' purchases, for their spread.", minimum=0),
        money("units", "Units bought; empty if no quantity is known.", 0.0, nullable=True),
        money("discount", "Price reductions on lines bought, other than by coupon.", 0.0),
        money("coupon_discount", "Price reductions by coupon on lines bought.", 0.0),
        required("coupon_orders", "int64", "Orders in which a coupon was used.", minimum=0),
        required("returned_lines", "int64", "Lines that are returns.", minimum=0),
        required("weekend_orders", "int64", "Orders on a Saturday or Sunday, in the snapshots' time zone.", minimum=0),
        required("morning_orders", "int64", "Orders from 6 to 12 h, in the snapshots' time zone.", minimum=0),
        required("afternoon_orders", "int64", "Orders from 12 to 18 h, in the snapshots' time zone.", minimum=0),
        required("evening_orders", "int64", "Orders from 18 to 22 h, in the snapshots' time zone.", minimum=0),
        required(
            "night_orders",
            "int64",
            "Orders from 22 to 6 h, in the snapshots' time zone, except at exactly midnight, which marks a date without a time.",
            minimum=0,
        ),
        required("gap_days_squared", "int64", "Sum of squares of the days from one day with an order to the next, within the window.", minimum=0),
        Column("first_order_at", "timestamp(6)", "First order in the window, in the snapshots' time zone."),
        Column("last_order_at", "timestamp(6)", "Last order in the window, in the snapshots' time zone."),
        Column("previous_order_day", "date", "Last day with an order before the window's first; empty if there was none."),
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
        money("spend", "Sum of amounts, net of returns."),
        money("purchases", "Sum of the amounts of lines bought, before returns.", 0.0),
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
        required("events", "int64", "Number of events.", minimum=1),
        required("last_event_at", "timestamp(6)", "Time of the last one, in the snapshots' time zone."),
    ),
    key=("customer_id", "window_start", "event_type", "subject"),
    lineage={"events": ("events.event_type",), "last_event_at": ("events.event_at",)},
)  # fmt: skip


def feature_column(feature: Feature) -> Column:
    """The column of customer_features for a declared feature, with its unit in the description."""
    unit = f" Unit: {feature.unit}." if feature.unit else ""
    return Column(
        feature.name, feature.type, feature.description + unit, not feature.required, feature.minimum, feature.maximum, needs=feature.needs
    )


CUSTOMER_FEATURES = Contract(
    "customer_features", "customer known at the snapshot, as of its date",
    (
        CUSTOMER_ID,
        Column(
            "status", "string", "active: ordered within the lookback; lapsed: only before it; returned: returned everything they ever ordered; prospect: never ordered; former: never ordered, on record at an earlier snapshot and no longer. If the source has no orders, all but former customers are active.",
            nullable=False, allowed=tuple(Status),
        ),
        *(feature_column(feature) for feature in FEATURES),
    ),
    key=("customer_id",), open=True,
    lineage={feature.name: feature.lineage for feature in FEATURES if feature.lineage},
)  # fmt: skip
