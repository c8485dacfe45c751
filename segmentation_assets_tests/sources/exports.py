"""Small made-up exports of shops and tills, with the headers in their documentation or in users' files (docs/exports.md)."""

import csv
import datetime as dt
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Order:
    """An order; its lines are (product, quantity, price)."""

    number: int
    customer: int
    at: dt.datetime
    lines: tuple[tuple[str, int, float], ...]
    status: str  # paid, refunded, cancelled

    @property
    def email(self) -> str:
        return f"c{self.customer}@mail.example"

    @property
    def total(self) -> float:
        return sum(quantity * price for _, quantity, price in self.lines)


def orders() -> list[Order]:
    """120 orders of 2023 and 2024, of 15 customers, of one to three lines; a tenth refunded or cancelled."""
    made = []
    for number in range(120):
        at = dt.datetime(2023, 1, 2, 9, 30) + dt.timedelta(days=6 * number, minutes=number)
        lines = tuple((f"sku-{(number + i) % 7}", 1 + (number + i) % 3, 9.5 + (number * 7 + i * 3) % 20) for i in range(1 + number % 3))
        status = {3: "refunded", 7: "cancelled"}.get(number % 20, "paid")
        made.append(Order(number, number * 7 % 15, at, lines, status))
    return made


def spend() -> float:
    """The total value of the paid orders."""
    return round(sum(order.total for order in orders() if order.status == "paid"), 2)


HEADERS = Path(__file__).parent.parent / "cases" / "exports"


def _shopify(order: Order) -> Iterator[dict[str, object]]:
    for position, (sku, quantity, price) in enumerate(order.lines):
        line = {
            "Name": f"#{1001 + order.number}", "Email": order.email, "Lineitem quantity": quantity, "Lineitem name": sku.upper(),
            "Lineitem price": f"{price:.2f}", "Lineitem sku": sku, "Vendor": "House", "Lineitem discount": "0.00",
            "Created at": f"{order.at:%Y-%m-%d %H:%M:%S} -0500",
        }  # fmt: skip
        first = {
            "Financial Status": {"cancelled": "voided"}.get(order.status, order.status), "Paid at": line["Created at"], "Currency": "USD",
            "Subtotal": f"{order.total:.2f}", "Shipping": "0.00", "Taxes": "0.00", "Total": f"{order.total:.2f}", "Discount Amount": "0.00",
            "Refunded Amount": f"{order.total if order.status == 'refunded' else 0:.2f}", "Billing City": "Springfield",
            "Cancelled at": line["Created at"] if order.status == "cancelled" else "", "Id": 5_550_000_000_000 + order.number,
        }  # fmt: skip
        yield {**line, **(first if position == 0 else {})}


def _woo_analytics(order: Order) -> Iterator[dict[str, object]]:
    yield {
        "Date": f"{order.at:%Y-%m-%d %H:%M:%S}", "Order #": 300 + order.number, "N. Revenue (formatted)": f"${order.total:.2f}",
        "Status": {"paid": "completed"}.get(order.status, order.status), "Customer": f"Name {order.customer}", "Customer type": "returning",
        "Product(s)": "1 Tea", "Items sold": sum(quantity for _, quantity, _ in order.lines), "Net Sales": f"{order.total:.2f}",
    }  # fmt: skip


def _woo_orders(order: Order) -> Iterator[dict[str, object]]:
    for position, (sku, quantity, price) in enumerate(order.lines, 1):
        yield {
            "Order Number": 300 + order.number, "Order Status": {"paid": "Completed"}.get(order.status, order.status.capitalize()),
            "Order Date": f"{order.at:%Y-%m-%d %H:%M}", "City (Billing)": "Ulm", "Email (Billing)": order.email,
            "Cart Discount Amount": "0.00", "Order Subtotal Amount": f"{order.total:.2f}", "Order Refund Amount": "0.00",
            "Order Total Amount": f"{order.total:.2f}", "Order Total Tax Amount": "0.00", "SKU": sku, "Item #": position, "Item Name": sku,
            "Quantity": quantity, "Item Cost": f"{price:.2f}",
        }  # fmt: skip


def _magento(order: Order) -> Iterator[dict[str, object]]:
    yield {
        "ID": f"{order.number + 1:09}", "Purchase Point": "Main Website", "Purchase Date": f"{order.at:%Y-%m-%d %H:%M:%S}",
        "Bill-to Name": f"Name {order.customer}", "Ship-to Name": f"Name {order.customer}", "Grand Total (Base)": f"{order.total:.4f}",
        "Grand Total (Purchased)": f"{order.total:.4f}",
        "Status": {"paid": "Complete", "refunded": "Closed", "cancelled": "Canceled"}[order.status],
        "Customer Email": order.email, "Customer Group": "General", "Subtotal": f"{order.total:.4f}", "Customer Name": "Ann",
        "Total Refunded": f"{order.total if order.status == 'refunded' else 0:.4f}",
    }  # fmt: skip


def _square_items(order: Order) -> Iterator[dict[str, object]]:
    for sign, event in ((1, "Payment"), (-1, "Refund"))[: 1 if order.status == "paid" else 2]:
        for sku, quantity, price in order.lines:
            amount = ("-" if sign < 0 else "") + f"${quantity * price:,.2f}"
            yield {
                "Date": f"{order.at:%Y-%m-%d}", "Time": f"{order.at:%H:%M:%S}", "Time Zone": "Eastern Time (US & Canada)",
                "Category": "Tea", "Item": sku, "Qty": f"{sign * quantity}.0", "Gross Sales": amount, "Discounts": "$0.00",
                "Net Sales": amount, "Tax": "$0.00", "Transaction ID": f"TX{order.number}", "Event Type": event, "Location": "Main",
                "Customer ID": f"SQ{order.customer}" if order.customer else "", "Customer Name": "Ann",
            }  # fmt: skip


def _square_transactions(order: Order) -> Iterator[dict[str, object]]:
    for sign, event in (("", "Payment"), ("-", "Refund"))[: 1 if order.status == "paid" else 2]:
        yield {
            "Date": f"{order.at:%m/%d/%Y}", "Time": f"{order.at:%I:%M:%S %p}", "Time Zone": "Eastern Time (US & Canada)",
            "Gross Sales": f"{sign}${order.total:,.2f}", "Discounts": "$0.00", "Net Sales": f"{sign}${order.total:,.2f}", "Tax": "$0.00",
            "Total Collected": f"{sign}${order.total:,.2f}", "Transaction ID": f"TX{order.number}", "Event Type": event,
            "Customer ID": f"SQ{order.customer}", "Transaction Status": "Complete",
        }  # fmt: skip


def _stripe(order: Order) -> Iterator[dict[str, object]]:
    paid_back = order.total if order.status == "refunded" else 0
    yield {
        "id": f"ch_{order.number}", "Created date (UTC)": f"{order.at:%Y-%m-%d %H:%M:%S}", "Amount": f"{order.total:.2f}",
        "Amount Refunded": f"{paid_back:.2f}", "Currency": "usd", "Captured": "true", "Converted Amount": f"{order.total:.2f}",
        "Converted Amount Refunded": f"{paid_back:.2f}", "Converted Currency": "usd", "Fee": "0.59",
        "Status": {"paid": "Paid", "refunded": "Refunded", "cancelled": "Failed"}[order.status], "Customer Email": order.email,
        "Customer ID": f"cus_{order.customer}" if order.customer == 1 else "",
    }  # fmt: skip


def _amazon(order: Order) -> Iterator[dict[str, object]]:
    for sku, quantity, price in order.lines:
        yield {
            "amazon-order-id": f"112-0000000-{order.number:07}", "purchase-date": f"{order.at:%Y-%m-%dT%H:%M:%S}+00:00",
            "order-status": "Cancelled" if order.status == "cancelled" else "Shipped", "sku": sku, "quantity": quantity,
            "item-price": f"{quantity * price:.2f}", "item-promotion-discount": "", "ship-city": "ULM", "ship-postal-code": "89073",
            "currency": "EUR",
        }  # fmt: skip


def _bigcommerce(order: Order) -> Iterator[dict[str, object]]:
    yield {
        "Order ID": 100 + order.number, "Customer ID": 0 if order.customer % 2 else order.customer, "Customer Name": "Ann",
        "Customer Email": order.email, "Order Date": f"{order.at:%m/%d/%Y}",
        "Order Status": {"paid": "Completed"}.get(order.status, order.status.capitalize()), "Order Total (inc tax)": f"{order.total:.2f}",
        "Order Total (ex tax)": f"{order.total:.2f}", "Subtotal (inc tax)": f"{order.total:.2f}", "Total Quantity": 1,
    }  # fmt: skip


def _paypal(order: Order) -> Iterator[dict[str, object]]:
    yield {
        "Date": f"{order.at:%m/%d/%Y}", "Time": f"{order.at:%H:%M:%S}", "TimeZone": "PST", "Type": "Express Checkout Payment",
        "Status": {"paid": "Completed"}.get(order.status, "Denied"), "Currency": "USD", "Gross": f"{order.total:,.2f}", "Fee": "-0.50",
        "Net": f"{order.total - 0.5:,.2f}", "From Email Address": order.email, "To Email Address": "shop@mail.example",
        "Transaction ID": f"PP{order.number}", "Quantity": 1, "Balance": "0.00",
    }  # fmt: skip


def _lightspeed(order: Order) -> Iterator[dict[str, object]]:
    receipt = {"Receipt Number": 7000 + order.number}
    yield {
        **receipt, "Date": f"{order.at:%Y-%m-%d %H:%M:%S}", "Line Type": "Sale", "Customer Code": f"C{order.customer}",
        "Quantity": 0, "Subtotal": f"{order.total:.2f}", "Total": f"{order.total:.2f}", "Paid": f"{order.total:.2f}",
        "Status": "CLOSED" if order.status == "paid" else "VOIDED",
    }  # fmt: skip
    for sku, quantity, price in order.lines:
        yield {**receipt, "Line Type": "Sale Line", "Quantity": quantity, "Total": f"{quantity * price:.2f}", "Details": sku, "SKU": sku}
    yield {**receipt, "Line Type": "Payment", "Total": f"{order.total:.2f}", "Details": "Cash"}


ROWS: dict[str, Callable[[Order], Iterator[dict[str, object]]]] = {
    "shopify": _shopify, "woo-analytics": _woo_analytics, "woo-orders": _woo_orders, "magento": _magento, "square-items": _square_items,
    "square-transactions": _square_transactions, "stripe": _stripe, "amazon": _amazon, "bigcommerce": _bigcommerce, "paypal": _paypal,
    "lightspeed": _lightspeed,
}  # fmt: skip


def written(name: str, without: Sequence[str] = ()) -> str:
    """An export as text, without some of its columns."""
    delimiter = "\t" if name == "amazon" else ","
    header = next(csv.reader((HEADERS / f"{name}.header").read_text(encoding="utf-8").splitlines(), delimiter=delimiter))
    text = io.StringIO()
    columns = [column for column in header if column not in without]
    writer = csv.DictWriter(text, columns, extrasaction="ignore", delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    for order in orders():
        writer.writerows(ROWS[name](order))
    return text.getvalue()
