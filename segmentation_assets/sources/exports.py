"""Exports of shops and tills that are known by their columns: what each column is, and what an owner expects of cancelled orders.

Belongs here: facts of each export, from its documentation (docs/exports.md names it). Does not belong here: what holds for any
file, which `file_profile` finds in the figures.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from segmentation_assets.sources.expressions import identifier

USUAL = ("cancelled", "canceled", "voided", "failed", "refunded")
NO_ORDERS = frozenset({
    *USUAL, "void", "declined", "fully refunded", "expired", "draft", "checkout-draft", "abandoned", "incomplete", "trash", "fraud",
    "suspected fraud", "pending payment", "pending_payment", "awaiting payment", "unpaid", "wc-cancelled", "wc-failed", "wc-refunded",
    "storniert", "annulliert", "abgebrochen", "erstattet", "annule", "annulee", "rembourse", "remboursee", "cancelado", "cancelada",
    "reembolsado", "annullato", "rimborsato", "geannuleerd", "terugbetaald",
})  # fmt: skip
"""Statuses of orders that did not come about, or were paid back: any case. `pending` is not one, for it may be cash on delivery."""
WOO = ("cancelled", "failed", "refunded", "pending", "pending payment", "checkout-draft", "trash")
NAMES_ONLY = "it has no customer's id, so names stand for customers, and two people of one name are one. "


@dataclass(frozen=True)
class Export:
    """A kind of export.

    Attributes:
        needs: columns that tell it.
        columns: canonical column -> what it may be, a column or an expression, the first of which all columns are there.
        amount_is: `order` where the amount is the order's, though an order may have several rows.
        status: column of the order's status.
        no_orders: statuses, in any case, of what did not come about or was paid back.
        unless: conditions, besides the status, for rows that are no orders.
        first_only: columns that are filled on an order's first row only.
        advice: customer column -> what to say where it is that one; None where there is none.
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
        """Canonical column -> the column or expression, of those that the file has."""
        options = {name: [one for one in of if set(columns_of(one, names)) <= set(names)] for name, of in self.columns.items()}
        return {name: some[0] for name, some in options.items() if some}

    def leave_out(self, names: Collection[str]) -> str | None:
        """The condition under which a row is no order."""
        tests = [condition for condition in self.unless if set(columns_of(condition, names)) <= set(names)]
        if self.status in names:
            tests.insert(0, is_no_order(str(self.status), self.no_orders))
        return " OR ".join(tests) or None


def is_no_order(status: str, words: Sequence[str]) -> str:
    """The condition that a status is one of these."""
    return f"LOWER(TRIM({identifier(status)})) IN ({', '.join(repr(word) for word in words)})"


def columns_of(expression: str, names: Collection[str]) -> list[str]:
    """The columns of an expression of ours; names with anything but letters are quoted in it."""
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
        advice={None: "tick the e-mail column when you export: without it nobody knows who bought."},
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
        advice={None: "add the field Email (Billing) to the export: without it nobody knows who bought."},
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
            None: "this export does not say who bought. Square knows only customers of its directory: export Item details anew, with the "
            "columns Customer ID and Customer Name. Sales to others stay without a customer."
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
            None: "this export does not say who bought. Square knows only customers of its directory: export Transactions anew, with the "
            "columns Customer ID and Customer Name. Sales to others stay without a customer."
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
        advice={None: "choose the columns Customer ID and Customer Email when you export: without one nobody knows who bought."},
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
            None: "Amazon does not say who bought: this report holds no customer, and a town or postcode is none. Customers cannot be told "
            "from it. Use orders of your own shop, or a report of Amazon's with buyer-email.",
            "buyer-email": "Amazon writes an address of its own for each buyer; look with `segmentation check` whether buyers come again.",
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
