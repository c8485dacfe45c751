"""Contracts of the raw tables: every source row, under canonical names."""

from segmentation_assets.tables.contract import Column, Contract, required
from segmentation_assets.vocabulary import Verdict

# --- raw: source rows under canonical names, nothing dropped

ORIGIN = (
    required("row_number", "int64", "Position of the row in its source, from 1.", minimum=1),
    required("source_file", "string", "File or table from which the row comes."),
)
RECORD = Column("record", "string", "The original record as JSON, kept if a cell could not be read.")
PROBLEM = Column("problem", "string", "Why the whole row could not be read; empty if it could.")
UNREAD = Column("unread", "string", "Columns whose cell could not be read, separated by commas.")
RAW_TRANSACTION_VALUES = (
    Column("customer_id", "string", "The customer's id, as text."),
    Column("order_id", "string", "The order (basket, invoice) the line belongs to."),
    Column("returned_order_id", "string", "For a return: the order that it belongs to; empty: the one with its order id."),
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
    "raw_transactions", "order line of the window, as in the source", (*ORIGIN, *RAW_TRANSACTION_VALUES, UNREAD, PROBLEM, RECORD),
    key=("source_file", "row_number"), bulky=True,
)  # fmt: skip
RAW_EVENTS = Contract(
    "raw_events", "event of the window, as in the source",
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
        required("rows", "int64", "Rows dated in the snapshot's window, before cleaning; earlier history does not count.", minimum=0),
        required("windows", "int64", "Number of earlier windows used for comparison.", minimum=0),
        Column("usual_rows", "float64", "Median of their rows; empty if fewer than three are known.", minimum=0),
        Column("last_day", "date", "Day of the last row before the snapshot's date; empty if these windows have none."),
        Column("silent_days", "int64", "Full days without rows between it and the snapshot's date.", minimum=0),
        Column("usual_silent_days", "int64", "Most consecutive days without rows before.", minimum=0),
        required(
            "verdict", "string", "`empty`: no rows; `low`: below volume.least_share of the usual rows; `ends early`: more days without rows at the end than "
            "ever before; `not measured`: too few windows are known.",
            allowed=tuple(Verdict),
        ),
        required("sentence", "string", "The same in words, with what to do."),
    ),
    key=("source",),
)  # fmt: skip
