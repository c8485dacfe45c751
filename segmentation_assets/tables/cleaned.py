"""Rows fit for use, and those set aside with the reason."""

from segmentation_assets.tables.contract import CUSTOMER_ID, Column, Contract, required
from segmentation_assets.tables.raw import ORIGIN

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
