"""Four files as a marketplace exports them, made up: what was sold, in which orders, by whom, and what the products are.

Usage: python examples/make_marketplace.py [FOLDER]
"""

import csv
import datetime as dt
import random
import sys
from collections.abc import Iterable
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "data" / "marketplace"
FIRST, DAYS = dt.datetime(2023, 8, 1), 220
CATEGORIES = ("books", "garden", "kitchen", "toys")


def make(folder: Path, people: int = 300, seed: int = 7) -> None:
    """Write items.csv, orders.csv, customers.csv and products.csv; an account buys once, and a person has several accounts."""
    chance = random.Random(seed)  # noqa: S311  # made-up data, the same for a seed
    products = [(f"product-{n}", chance.choice(CATEGORIES), round(chance.uniform(4, 120), 2)) for n in range(40)]
    orders, customers, items = [], [], []
    for person in range(people):
        for _ in range(min(1 + int(chance.expovariate(0.5)), 12)):
            order, account = f"order-{len(orders)}", f"account-{len(customers)}"
            at = FIRST + dt.timedelta(days=chance.random() ** (1 + person % 3) * DAYS)
            orders.append((order, account, at.isoformat(" ", "seconds"), "delivered"))
            customers.append((account, f"person-{person}", chance.choice(("Lyon", "Porto", "Turin"))))
            for line in range(chance.choice((1, 1, 1, 2, 3))):
                product, _, price = chance.choice(products)
                items.append((order, line + 1, product, price, round(chance.uniform(2, 9), 2)))
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "items.csv", ("order_id", "line", "product_id", "price", "freight"), items)
    _write(folder / "orders.csv", ("order_id", "account_id", "purchased_at", "status"), orders)
    _write(folder / "customers.csv", ("account_id", "person_id", "city"), customers)
    _write(folder / "products.csv", ("product_id", "category", "list_price"), products)


def _write(file: Path, names: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    with file.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([names, *rows])


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
