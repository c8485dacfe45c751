"""Exports of shops and tills that are recognised by their columns: what each column is, and which orders do not count.

Belongs here: facts about each export, from its documentation (see docs/exports.md). Does not belong here: what applies to any
file, which `file_profile` finds in the data.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from segmentation_assets.expressions import identifier

USUAL = ("cancelled", "canceled", "voided", "failed", "refunded")
NO_ORDERS = frozenset({
    *USUAL, "void", "declined", "fully refunded", "expired", "draft", "checkout-draft", "abandoned", "incomplete", "trash", "fraud",
    "suspected fraud", "pending payment", "pending_payment", "awaiting payment", "unpaid", "wc-cancelled", "wc-failed", "wc-refunded",
    "storniert", "annulliert", "abgebrochen", "erstattet", "annule", "annulee", "rembourse", "remboursee", "cancelado", "cancelada",
    "reembolsado", "annullato", "rimborsato", "geannuleerd", "terugbetaald",
})  # fmt: skip
"""Statuses, in any case, of orders that were cancelled, failed or refunded. Not `pending`, which may be cash on delivery."""
WOO = ("cancelled", "failed", "refunded", "pending", "pending payment", "checkout-draft", "trash")
NAMES_ONLY = "it has no customer id, so names are used instead, and two people with the same name count as one. "


@dataclass(frozen=True)
class Export:
    """A kind of export.

    Attributes:
        needs: columns by which it is recognised.
        columns: canonical column -> candidate columns or expressions; the first whose columns all exist is used.
        amount_is: `order` if the amount is that of a whole order, which may have several rows.
        status: column of the order's status.
        no_orders: statuses, in any case, of orders that were cancelled, failed or refunded.
        unless: further conditions for rows that are not orders.
        first_only: columns that only an order's first row has.
        advice: customer column -> advice if that one is used; None: advice if there is none.
    """

    name: str
    needs: frozenset[str]
    columns: Mapping[str, Sequence[str]]
    amount_is: str = "line"
    status: str | None = None
    no_orders: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    first_only: tuple[str, ...] = ()
    advice: Mapping[str | None, str] = field(default_factory=dict)

    def found(self, names: Collection[str]) -> dict[str, str]:
        """Canonical column -> its column or expression in a file with columns `names`."""
        options = {name: [one for one in of if set(columns_of(one, names)) <= set(names)] for name, of in self.columns.items()}
        return {name: some[0] for name, some in options.items() if some}

    def leave_out(self, names: Collection[str]) -> str | None:
        """The condition under which a row is not an order; None if there is none."""
        tests = [condition for condition in self.unless if set(columns_of(condition, names)) <= set(names)]
        if self.status in names:
            tests.insert(0, is_no_order(str(self.status), self.no_orders))
        return " OR ".join(tests) or None


def is_no_order(status: str, words: Sequence[str]) -> str:
    """The SQL condition that the column `status` has one of the words."""
    return f"LOWER(TRIM({identifier(status)})) IN ({', '.join(repr(word) for word in words)})"


def columns_of(expression: str, names: Collection[str]) -> list[str]:
    """The columns in one of our expressions, in which names with anything but letters are quoted."""
    if expression in names:
        return [expression]
    bare = re.sub(r"'[^']*'", "", expression)
    quoted = re.findall(r'"([^"]+)"', bare)
    words = re.findall(r"[A-Za-z_]\w*", re.sub(r'"[^"]+"', "", bare))
    return [
        *quoted,
        *(word for word in words if word.upper() not in {"COALESCE", "ABS", "LOWER", "TRIM", "IN", "IS", "NOT", "NULL", "OR", "AND"}),
    ]


def known(names: Collection[str]) -> Export | None:
    """The export that has these columns."""
    return next((export for export in EXPORTS if export.needs <= set(names)), None)


EXPORTS = (
    Export(
        "Shopify, orders",
        frozenset({"Name", "Financial Status", "Lineitem quantity", "Lineitem price"}),
        {
            "customer_id": ("Email", "Phone"),
            "ordered_at": ("Created at", "Paid at"),
            "amount": ('Total - COALESCE("Refunded Amount", 0)', "Total", '"Lineitem quantity" * "Lineitem price"'),
            "order_id": ("Name",), "quantity": ("Lineitem quantity",), "product_id": ("Lineitem sku", "Lineitem name"),
            "discount": ("Discount Amount",),
        },
        "order", "Financial Status", ("voided", "refunded", "expired"), ('"Cancelled at" IS NOT NULL',),
        ("Email", "Created at", "Financial Status", "Cancelled at"),
        advice={None: "include the e-mail column in the export: it is the only sign of who bought."},
    ),
    Export(
        "WooCommerce, Analytics > Orders",
        frozenset({"Order #", "Status", "Customer type", "Items sold"}),
        {
            "customer_id": ("Customer",), "ordered_at": ("Date",), "amount": ("Net Sales", "N. Revenue"), "order_id": ("Order #",),
            "quantity": ("Items sold",),
        },
        status="Status", no_orders=WOO,
        advice={"Customer": NAMES_ONLY + "Better: an order-export plug-in that writes the billing e-mail."},
    ),
    Export(
        "WooCommerce, Advanced Order Export",
        frozenset({"Order Number", "Order Status", "Order Date", "Order Total Amount"}),
        {
            "customer_id": ("Email (Billing)", "Customer User ID"), "ordered_at": ("Order Date",),
            "amount": ('"Order Total Amount" - COALESCE("Order Refund Amount", 0)', "Order Total Amount"), "order_id": ("Order Number",),
            "quantity": ("Quantity",), "product_id": ("SKU", "Item Name"), "category": ("Category",), "discount": ("Cart Discount Amount",),
        },
        "order", "Order Status", WOO,
        advice={None: "add the field Email (Billing) to the export: it is the only sign of who bought."},
    ),
    Export(
        "WooCommerce, Order Import Export",
        frozenset({"order_id", "order_number", "order_date", "order_total", "customer_email"}),
        {
            "customer_id": ("customer_email",), "ordered_at": ("order_date",), "amount": ("order_total",), "order_id": ("order_id",),
            "discount": ("discount_total",),
        },
        "order", "status", (*WOO, "wc-pending", "wc-cancelled", "wc-failed", "wc-refunded"),
    ),
    Export(
        "Magento or Adobe Commerce, order grid",
        frozenset({"Purchase Point", "Purchase Date", "Grand Total (Base)"}),
        {
            "customer_id": ("Customer Email", "Bill-to Name"), "ordered_at": ("Purchase Date",),
            "amount": ('"Grand Total (Base)" - COALESCE("Total Refunded", 0)', "Grand Total (Base)"), "order_id": ("ID",),
        },
        status="Status", no_orders=("canceled", "closed", "suspected fraud", "pending payment"),
        advice={"Bill-to Name": NAMES_ONLY + "Better: tick Customer Email under Columns of the grid, and export again."},
    ),
    Export(
        "Square, item details",
        frozenset({"Date", "Item", "Qty", "Transaction ID", "Net Sales"}),
        {
            "customer_id": ("Customer ID", "Customer Reference ID"), "ordered_at": ("Date",), "amount": ("Net Sales",),
            "order_id": ("Transaction ID",), "quantity": ("Qty",), "product_id": ("SKU", "Item"), "category": ("Category",),
            "discount": ("ABS(Discounts)",),
        },
        advice={
            None: "this export does not say who bought. Export Item details again with the columns Customer ID and Customer Name. Square "
            "only identifies customers in its directory; other sales stay without a customer."
        },
    ),
    Export(
        "Square, transactions",
        frozenset({"Date", "Transaction ID", "Total Collected", "Net Sales"}),
        {
            "customer_id": ("Customer ID", "Customer Reference ID"), "ordered_at": ("Date",), "amount": ("Net Sales",),
            "order_id": ("Transaction ID",), "discount": ("ABS(Discounts)",),
        },
        advice={
            None: "this export does not say who bought. Export Transactions again with the columns Customer ID and Customer Name. Square "
            "only identifies customers in its directory; other sales stay without a customer."
        },
    ),
    Export(
        "Stripe, payments",
        frozenset({"id", "Amount", "Amount Refunded", "Status"}),
        {
            "customer_id": ("Customer ID", "Customer Email"), "ordered_at": ("Created date (UTC)", "Created (UTC)"),
            "amount": (
                '"Converted Amount" - COALESCE("Converted Amount Refunded", 0)', 'Amount - COALESCE("Amount Refunded", 0)', "Amount",
            ),
            "order_id": ("id",),
        },
        status="Status", no_orders=("failed", "refunded", "canceled", "pending"),
        advice={None: "include the columns Customer ID and Customer Email in the export: they are the only sign of who bought."},
    ),
    Export(
        "Amazon, All Orders",
        frozenset({"amazon-order-id", "purchase-date", "item-price"}),
        {
            "customer_id": ("buyer-email",), "ordered_at": ("purchase-date",),
            "amount": ('"item-price" - COALESCE("item-promotion-discount", 0)', "item-price"), "order_id": ("amazon-order-id",),
            "quantity": ("quantity", "quantity-purchased"), "product_id": ("sku", "asin"), "discount": ("item-promotion-discount",),
        },
        status="order-status", no_orders=("cancelled",),
        advice={
            None: "Amazon does not say who bought: this report has no customer, and a town or postcode does not identify one. Use orders "
            "of your own shop, or an Amazon report with buyer-email.",
            "buyer-email": "Amazon creates an address for each buyer; use `segmentation check` to see whether buyers come back.",
        },
    ),
    Export(
        "Lightspeed Retail (X-Series), sales history",
        frozenset({"Receipt Number", "Line Type", "Customer Code", "Total"}),
        {
            "customer_id": ("Customer Code",), "ordered_at": ("Date",), "amount": ("Total",), "order_id": ("Receipt Number",),
            "quantity": ("Quantity",), "product_id": ("SKU", "Details"), "discount": ("Discount",),
        },
        status="Status", no_orders=("voided", "saved", "parked", "layby", "quote"),
        unless=("LOWER(\"Line Type\") IN ('sale', 'payment')",), first_only=("Customer Code", "Date", "Status"),
    ),
    Export(
        "BigCommerce, orders",
        frozenset({"Order ID", "Order Date", "Order Status", "Order Total (inc tax)"}),
        {
            "customer_id": ("Customer Email", "Billing Email", "Customer ID"), "ordered_at": ("Order Date",),
            "amount": ('"Order Total (inc tax)" - COALESCE("Refund Amount", 0)', "Order Total (inc tax)"), "order_id": ("Order ID",),
            "quantity": ("Total Quantity",),
        },
        "order", "Order Status", ("cancelled", "declined", "refunded", "incomplete", "pending", "awaiting payment"),
    ),
    Export(
        "PayPal, activity",
        frozenset({"Date", "Type", "Status", "Gross", "From Email Address", "Transaction ID"}),
        {"customer_id": ("From Email Address",), "ordered_at": ("Date",), "amount": ("Gross",), "order_id": ("Transaction ID",)},
        unless=("LOWER(Status) <> 'completed'", "Gross <= 0"),
    ),
)  # fmt: skip
"""Likelier ones first where the columns of two are there."""
