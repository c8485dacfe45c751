"""Contracts of clean rows, rejected rows with the reason, and the orders that clean lines form."""

from segmentation_assets.core.customers.orders import LARGEST_SUM
from segmentation_assets.tables.contract import CUSTOMER_ID, Column, Contract, required
from segmentation_assets.tables.raw import ORIGIN

TOO_LARGE = (
    "amounts this large are no longer exact: lower cleaning.largest_amount, give amounts in thousands, or, if the id "
    "stands for many customers, map it to nothing: customer_id: NULLIF(customer_id, 'that id')"
)


def money(name: str, description: str, minimum: float | None = -LARGEST_SUM, nullable: bool = False) -> Column:
    """A sum of amounts or units of one customer, exact within its bounds."""
    return Column(name, "decimal(18, 4)", description, nullable, minimum, LARGEST_SUM, remedy=TOO_LARGE)


CUSTOMERS = Contract(
    "customers", "customer known at the snapshot: on record, or seen in an order or an event",
    (
        CUSTOMER_ID,
        required("registered", "boolean", "Whether the customers source has a record of the customer."),
        Column(
            "has_left", "boolean", "Whether the customer was on record at an earlier snapshot and no longer is; empty if the source does not say who left (`each_date`).",
        ),
        Column("first_order_at", "timestamp(6)", "First order ever, in the snapshots' time zone."),
        Column("last_order_at", "timestamp(6)", "Last order before the snapshot that was not fully returned, in the snapshots' time zone."),
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
    "transactions", "clean order line of the window",
    (
        *ORIGIN, CUSTOMER_ID,
        required("order_id", "string", "The order; customer and day if the source has no order id."),
        required("ordered_at", "timestamp(6)", "Time of the order, in the snapshots' time zone."),
        required("amount", "decimal(18, 4)", "What was paid for the line; negative for a return."),
        Column("quantity", "decimal(18, 4)", "Units; negative for a return."),
        Column("product_id", "string", "The product."),
        required("category", "string", "Category of the product; `unknown` if the source has none."),
        required("discount", "decimal(18, 4)", "Price reduction on the line, other than by coupon."),
        required("coupon_discount", "decimal(18, 4)", "Price reduction by coupon."),
        required("is_return", "boolean", "Whether the line is a return."),
        Column("returned_order_id", "string", "For a return: the order that it belongs to; empty if the source names none."),
    ),
    key=("source_file", "row_number"), bulky=True,
    lineage={
        c: (f"raw_transactions.{c}",)
        for c in ("customer_id", "order_id", "ordered_at", "amount", "quantity", "category", "discount", "coupon_discount", "returned_order_id")
    },
)  # fmt: skip
EVENTS = Contract(
    "events", "clean event of the window",
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
CUSTOMER_ORDERS = Contract(
    "customer_orders", "customer, day and order id in the window, with an order or a return",
    (
        CUSTOMER_ID,
        required("order_id", "string", "The order; customer and day if the source has no order id."),
        required("order_day", "date", "Day of the order."),
        Column("ordered_at", "timestamp(6)", "Time of the order; empty if there is none: only returns, or a free order that does not count."),
        Column("returned_at", "timestamp(6)", "Time of the first return."),
        required("lines", "int64", "Order lines.", minimum=1),
        required("bought_lines", "int64", "Order lines that are not returns.", minimum=0),
        money("spend", "Sum of amounts, net of returns."),
        money("purchases", "Sum of the amounts of lines bought, before returns.", 0.0),
        money("units", "Units bought; empty if no quantity is known.", 0.0, nullable=True),
        money("discount", "Price reductions on lines bought, other than by coupon.", 0.0),
        money("coupon_discount", "Price reductions by coupon on lines bought.", 0.0),
    ),
    key=("customer_id", "order_day", "order_id"), bulky=True,
    lineage={"spend": ("transactions.amount",), "units": ("transactions.quantity",)},
)  # fmt: skip
ORDER_RETURNS = Contract(
    "order_returns", "order from which something was returned in the window",
    (
        CUSTOMER_ID,
        required("order_id", "string", "The order."),
        required("order_day", "date", "Day of the order."),
        money("purchases", "Value of the order when it was placed.", 0.0),
        money("taken_back", "Value returned from it in the window.", 0.0),
        money("taken_back_before", "Value returned from it before the window.", 0.0),
        required("undone", "boolean", "Whether it has been fully returned, so that it counts neither for frequency nor for recency."),
    ),
    key=("customer_id", "order_day", "order_id"),
    lineage={"taken_back": ("transactions.amount", "transactions.returned_order_id"), "purchases": ("customer_orders.purchases",)},
)  # fmt: skip
