"""A shop of any size as a source: customers with attributes, order lines and events by month, and a settings file.

    python -m benchmarks.shop OUT --customers 1000000 --seed 1

writes OUT/customers.parquet, OUT/orders/<month>.parquet, OUT/events/<month>.parquet and OUT/segmentation.yaml. A customer has 20 order
lines on average in the 24 months of 2022 and 2023. Five groups of customers are planted, and two of them change in the second July.
Counts of orders are negative binomial, spend is lognormal, products and categories follow Zipf's law, and months, weekdays and hours
have their seasons. Customers are drawn in chunks, each from a seed of its own, so memory does not grow with their number.
"""

import argparse
import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

LINES, LINES_PER_ORDER = 20.0, 3.0  # of a customer, on average
FIRST, MONTHS, CHANGE = dt.date(2022, 1, 1), 24, 18  # the change is planted in month 18
CHUNK = 200_000  # customers drawn together
PRODUCTS, CATEGORIES = 20_000, 40
SHARES = np.array([0.12, 0.28, 0.15, 0.25, 0.20])  # of the planted groups: devoted, regular, big baskets, bargains, occasional
ORDERS = np.array([3.0, 1.2, 0.5, 0.8, 0.15])  # relative number of orders
SPEND = np.array([1.0, 1.0, 4.0, 0.5, 0.9])  # relative price of what they buy
CHANGES = np.array([1.0, 0.6, 1.0, 1.5, 1.0])  # of the number of orders from the change on
SEASON = np.array([0.85, 0.85, 0.95, 1.0, 1.0, 0.95, 0.9, 0.9, 1.0, 1.05, 1.25, 1.3])
WEEKDAY = np.array([0.9, 0.85, 0.9, 1.0, 1.2, 1.35, 0.8])  # from Monday
HOUR = np.array([1, 1, 1, 1, 1, 2, 4, 8, 12, 16, 18, 20, 22, 20, 18, 18, 20, 24, 26, 28, 24, 16, 8, 3], dtype=float)
COUNTRIES, CHANNELS = ("DE", "FR", "NL", "BE", "AT", "CH", "LU"), ("search", "friends", "newspaper", "fair")
SETTINGS = """# Written by benchmarks.shop: the settings that a user would write for these files.
data_dir: data

snapshots:
  first: {first}
  last: {last}
  cadence: monthly

source:
  kind: tables
  transactions:
    files: orders/*.parquet
    columns:
      customer_id: customer
      order_id: order
      ordered_at: time
      amount: amount
      quantity: quantity
      product_id: product
      category: category
      discount: discount
  events:
    files: events/*.parquet
    columns: {{customer_id: customer, event_type: kind, event_at: time, subject: campaign}}
  customers:
    files: customers.parquet
    columns: {{customer_id: customer, known_at: joined, consent: consent}}

features:
  event_types: [visit]
"""


@dataclass(frozen=True, eq=False)
class People:
    """A chunk of customers (n each): `join`, the month in which they joined (0: before the first); orders expected in each month
    (n, MONTHS); and the relative `spend` of a line."""

    ids: pa.Array
    group: NDArray[np.int64]
    join: NDArray[np.int64]
    orders: NDArray[np.float32]
    spend: NDArray[np.float64]


def month(number: int) -> dt.date:
    """The first day of a month, counted from the first."""
    return dt.date(FIRST.year + (FIRST.month - 1 + number) // 12, (FIRST.month - 1 + number) % 12 + 1, 1)


def chunks(customers: int) -> Iterator[tuple[int, int]]:
    """The first number and the size of each chunk of customers."""
    return ((begin, min(CHUNK, customers - begin)) for begin in range(0, customers, CHUNK))


def people(begin: int, size: int, seed: int) -> People:
    """The customers of a chunk, the same whenever they are drawn."""
    random = np.random.default_rng([seed, 0, begin])
    group = random.choice(len(SHARES), size, p=SHARES)
    join = np.where(random.random(size) < 0.6, 0, random.integers(0, MONTHS, size))
    level = ORDERS[group] * random.gamma(1.2, 1 / 1.2, size)  # counts of orders are then negative binomial
    level *= LINES / LINES_PER_ORDER / (ORDERS @ SHARES)
    months = np.arange(MONTHS)
    factor = SEASON[months % 12] * np.where(months >= CHANGE, CHANGES[group][:, None], 1.0) * (months >= join[:, None])
    orders = level[:, None] * factor / factor.sum(axis=1, keepdims=True)
    numbers = pa.array(np.arange(begin, begin + size)).cast(pa.string())
    ids = pc.binary_join_element_wise("C", pc.utf8_lpad(numbers, 8, "0"), "")
    return People(ids, group, join, orders.astype(np.float32), SPEND[group] * random.lognormal(0, 0.5, size))


@cache
def catalogue(seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """The products: cumulative share of the lines, category, and price in cents."""
    random = np.random.default_rng([seed, 1])
    share = 1 / np.arange(1, PRODUCTS + 1) ** 1.05
    of_category = 1 / np.arange(1, CATEGORIES + 1)
    category = random.choice(CATEGORIES, PRODUCTS, p=of_category / of_category.sum())
    return np.cumsum(share / share.sum()), category, np.round(100 * random.lognormal(2.0, 0.8, PRODUCTS)).astype(np.int64)


def times(number: int, size: int, random: np.random.Generator) -> NDArray[np.datetime64]:
    """Times within a month, more on busy weekdays and at busy hours."""
    begin = np.datetime64(month(number), "D")
    days = np.arange(begin, np.datetime64(month(number + 1), "D"))
    weight = WEEKDAY[(days.astype(np.int64) + 3) % 7]  # 1970-01-01 was a Thursday
    hour = random.choice(24, size, p=HOUR / HOUR.sum())
    second = 3600 * hour + random.integers(0, 3600, size)
    return random.choice(days, size, p=weight / weight.sum()).astype("datetime64[s]") + second.astype("timedelta64[s]")


def order_lines(some: People, begin: int, number: int, seed: int) -> pa.Table:
    """The lines of a chunk's customers in one month: what they bought, and one line in 25 of it returned later in the month."""
    random = np.random.default_rng([seed, 2, number, begin])
    who = np.repeat(np.arange(len(some.ids)), random.poisson(some.orders[:, number]))
    placed = times(number, len(who), random)
    order = np.repeat(np.arange(len(who)), 1 + random.poisson(LINES_PER_ORDER - 1, len(who)))
    shares, category, price = catalogue(seed)
    product = np.searchsorted(shares, random.random(len(order)) * shares[-1])
    quantity = random.geometric(0.7, len(order))
    cents = np.maximum(np.round(price[product] * some.spend[who[order]]).astype(np.int64), 1) * quantity
    discount = np.where(random.random(len(order)) < 0.3, cents // 10, 0)
    back = np.flatnonzero(random.random(len(order)) < 1 / 25)
    end = np.datetime64(month(number + 1), "s") - np.timedelta64(1, "s")
    returned = np.minimum(placed[order[back]] + random.integers(1, 15 * 86_400, len(back)).astype("timedelta64[s]"), end)
    line, sign = np.concatenate([np.arange(len(order)), back]), np.repeat([1, -1], [len(order), len(back)])
    numbers = pa.array(begin * 100 + order[line]).cast(pa.string())
    return pa.table({
        "customer": some.ids.take(pa.array(who[order[line]])),
        "order": pc.binary_join_element_wise(f"{month(number):%y%m}", numbers, "-"),
        "time": np.concatenate([placed[order], returned]),
        "product": named("P", PRODUCTS).take(pa.array(product[line])),
        "category": named("category ", CATEGORIES).take(pa.array(category[product[line]])),
        "quantity": sign * quantity[line],
        "amount": sign * (cents - discount)[line] / 100,
        "discount": np.where(sign > 0, discount[line], 0) / 100,
    })  # fmt: skip


def events(some: People, begin: int, number: int, seed: int) -> pa.Table:
    """Visits, a campaign that a fifth of the customers receives each month, and the coupons redeemed by a twentieth of these."""
    random = np.random.default_rng([seed, 3, number, begin])
    here = some.join <= number
    visits = np.repeat(np.arange(len(some.ids)), random.poisson(some.orders[:, number] * 0.4 + 0.02 * here))
    received = np.flatnonzero(here & (random.random(len(here)) < 0.2))
    redeemed = received[random.random(len(received)) < 0.05]
    who, kinds = np.concatenate([visits, received, redeemed]), ("visit", "campaign_received", "coupon_redeemed")
    kind = np.repeat([0, 1, 2], [len(visits), len(received), len(redeemed)])
    return pa.table({
        "customer": some.ids.take(pa.array(who)),
        "kind": pa.array(kinds).take(pa.array(kind)),
        "time": times(number, len(who), random),
        "campaign": pa.array([None, f"{month(number):%B %Y}"]).take(pa.array(np.minimum(kind, 1))),
    })  # fmt: skip


def customers_table(some: People, begin: int, seed: int) -> pa.Table:
    """A chunk's customers with attributes, some of them missing."""
    random = np.random.default_rng([seed, 4, begin])
    size = len(some.ids)
    joined = np.array([np.datetime64(month(n), "D") for n in range(MONTHS)])[some.join]
    joined = np.where(some.join == 0, joined - random.integers(1, 1500, size), joined)
    country = 1 / np.arange(1, len(COUNTRIES) + 1) ** 1.5
    return pa.table({
        "customer": some.ids,
        "joined": joined,
        "consent": random.random(size) < 0.8,
        "country": pa.array(COUNTRIES).take(pa.array(random.choice(len(COUNTRIES), size, p=country / country.sum()))),
        "birth_year": pa.array(random.integers(1940, 2005, size), mask=random.random(size) < 0.3),
        "channel": pa.array(CHANNELS).take(pa.array(random.integers(0, len(CHANNELS), size), mask=random.random(size) < 0.1)),
    })  # fmt: skip


@cache
def named(prefix: str, number: int) -> pa.Array:
    """The names with this prefix, by number."""
    return pa.array([f"{prefix}{i}" for i in range(number)])


def write(folder: Path, customers: int, seed: int = 1) -> int:
    """Write the shop into `folder`; return the number of order lines."""
    for name in ("orders", "events"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    first, last = month(1), month(MONTHS)
    (folder / "segmentation.yaml").write_text(SETTINGS.format(first=first, last=last), encoding="utf-8")
    lines = 0
    with _Files(folder) as files:
        for begin, size in chunks(customers):
            some = people(begin, size, seed)
            files.add("customers", customers_table(some, begin, seed))
            for number in range(MONTHS):
                bought = order_lines(some, begin, number, seed)
                lines += bought.num_rows
                files.add(f"orders/{month(number):%Y-%m}", bought)
                files.add(f"events/{month(number):%Y-%m}", events(some, begin, number, seed))
    return lines


class _Files:
    """Parquet files that are written a chunk at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.writers = folder, dict[str, pq.ParquetWriter]()

    def __enter__(self) -> "_Files":
        return self

    def __exit__(self, *_: object) -> None:
        for writer in self.writers.values():
            writer.close()

    def add(self, name: str, rows: pa.Table) -> None:
        if name not in self.writers:
            self.writers[name] = pq.ParquetWriter(self.folder / f"{name}.parquet", rows.schema, compression="zstd", compression_level=1)
        self.writers[name].write_table(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="OUT")
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    lines = write(options.folder, options.customers, options.seed)
    print(f"{options.customers:,} customers and {lines:,} order lines in {options.folder}")


if __name__ == "__main__":
    main()
