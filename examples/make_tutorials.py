"""Made-up data for the tutorials in docs/: a shop's export, a table of members, and a database with orders.

Usage: python examples/make_tutorials.py FOLDER
"""

import csv
import datetime as dt
import random
import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FIRST, LAST = dt.datetime(2025, 1, 1), dt.datetime(2026, 1, 1)
GROUPS = (("weekly", 7, 18.0), ("monthly", 28, 55.0), ("seasonal", 80, 140.0), ("once", 900, 40.0))  # days between orders, usual amount
PRODUCTS = ("beans", "filter", "grinder", "mug", "syrup")


@dataclass(frozen=True)
class Order:
    """An order of a made-up coffee shop; a line is (product, quantity, price)."""

    number: int
    customer: int
    at: dt.datetime
    lines: tuple[tuple[str, int, float], ...]

    @property
    def total(self) -> float:
        """What was paid."""
        return round(sum(quantity * price for _, quantity, price in self.lines), 2)


def orders(customers: int = 240, seed: int = 11) -> list[Order]:
    """Orders of 2025 in the order of their time, the same for a seed: customers of four kinds, a part of whom stop."""
    chance = random.Random(seed)  # noqa: S311  # made-up data, the same for a seed
    found = []
    for customer in range(customers):
        _, gap, amount = GROUPS[customer % len(GROUPS)]
        at = FIRST + dt.timedelta(days=chance.uniform(0, 150))
        end = FIRST + dt.timedelta(days=chance.uniform(160, 330)) if chance.random() < 0.3 else LAST
        while at < end:
            count = chance.choice((1, 1, 2))
            lines = tuple(
                (chance.choice(PRODUCTS), chance.choice((1, 1, 2)), round(chance.lognormvariate(0, 0.4) * amount / 2, 2))
                for _ in range(count)
            )
            found.append((at, customer, lines))
            at += dt.timedelta(days=chance.expovariate(1 / gap) + 1)
    return [Order(number, customer, at, lines) for number, (at, customer, lines) in enumerate(sorted(found))]


def shop_export(made: list[Order]) -> Iterator[dict[str, object]]:
    """The rows of a Shopify export of orders: a row for each line, what belongs to the order on its first row only."""
    for order in made:
        at = f"{order.at:%Y-%m-%d %H:%M:%S} -0500"
        voided, refunded = order.number % 40 == 7, order.number % 50 == 3
        of_order = {
            "Financial Status": "voided" if voided else "paid",
            "Paid at": at,
            "Currency": "USD",
            "Total": f"{order.total:.2f}",
            "Refunded Amount": f"{order.total if refunded else 0:.2f}",
            "Cancelled at": at if voided else "",
        }
        for position, (product, quantity, price) in enumerate(order.lines):
            yield {
                "Name": f"#{1001 + order.number}", "Email": f"customer{order.customer}@mail.example", "Created at": at,
                **(of_order if position == 0 else dict.fromkeys(of_order, "")),
                "Lineitem quantity": quantity, "Lineitem name": product.title(), "Lineitem price": f"{price:.2f}", "Lineitem sku": product,
            }  # fmt: skip


def members(count: int = 400, seed: int = 12) -> Iterator[dict[str, object]]:
    """The rows of a fitness club's table of members: three kinds of use, an age and a city that say nothing about them."""
    chance = random.Random(seed)  # noqa: S311
    kinds = ((14, 20, 4), (3, 65, 1), (5, 25, 12))  # visits and spend a month, classes booked
    for number in range(count):
        visits, spend, classes = kinds[number % 3]
        yield {
            "member_no": 5000 + number,
            "age": chance.randint(18, 70),
            "city": chance.choice(("Leeds", "York", "Hull")),
            "visits_a_month": max(0, round(chance.gauss(visits, 1.5), 1)),
            "spend_a_month": max(0, round(chance.gauss(spend, 6), 2)),
            "classes_a_month": max(0, round(chance.gauss(classes, 1.0), 1)),
        }


def make(folder: Path) -> None:
    """Write orders_export.csv, members-2026-01-01.csv and shop.sqlite."""
    folder.mkdir(parents=True, exist_ok=True)
    made = orders()
    for name, rows in (("orders_export.csv", list(shop_export(made))), ("members-2026-01-01.csv", list(members()))):
        with (folder / name).open("w", newline="", encoding="utf-8") as out:
            writer = csv.DictWriter(out, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    (folder / "shop.sqlite").unlink(missing_ok=True)
    with sqlite3.connect(folder / "shop.sqlite") as database:
        database.execute("create table orders (order_no integer primary key, buyer_id text, placed_at timestamp, total real)")
        database.executemany(
            "insert into orders values (?, ?, ?, ?)",
            [(order.number, f"c{order.customer}", f"{order.at:%Y-%m-%d %H:%M:%S}", order.total) for order in made],
        )
        database.execute("create table customers (id text primary key, country text, joined date)")
        firsts = {order.customer: order.at for order in reversed(made)}
        database.executemany(
            "insert into customers values (?, ?, ?)",
            [(f"c{customer}", ("DE", "FR", "PL")[customer % 3], f"{at:%Y-%m-%d}") for customer, at in sorted(firsts.items())],
        )
    database.close()


if __name__ == "__main__":
    make(Path(sys.argv[1]))
