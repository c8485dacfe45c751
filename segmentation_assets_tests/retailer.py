"""A retailer's two years of order lines as two exports, made from a seed, with the true sums.

They have the faults of real exports: cancellations, ids that a spreadsheet turned into decimals, lines without a customer, postage
and charges among the products, free lines, and a week that is in both exports. `python -m segmentation_assets_tests.retailer
FOLDER [LINES]` writes FOLDER/orders/*.csv and FOLDER/true_sums.csv.
"""

import datetime as dt
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv

FIRST, LAST = dt.date(2009, 12, 1), dt.date(2011, 12, 9)  # the last month is incomplete
DOUBLED = (dt.date(2010, 12, 1), dt.date(2010, 12, 8))  # both exports have these days (the second excluded)
PRODUCTS = 4_637  # prime, so that no product repeats within an invoice
NOT_PRODUCTS = ("POST", "DOT", "M", "BANK CHARGES", "C2", "AMAZONFEE")
COUNTRIES = ("United Kingdom", "Germany", "France", "EIRE", "Côte d'Ivoire")
NOUNS = ("LANTERN", "MUG", "BUNTING", "CAKE STAND", "DOORMAT", "T-LIGHT HOLDER", "LUNCH BAG", "CLOCK", "FÊTE GARLAND", "TIN; SET OF 3")
COLOURS = ("RED", "WHITE", "VINTAGE", "PINK", "RETROSPOT", "IVORY", "BLUE", "JUMBO")
HEADER = ("Invoice", "StockCode", "Description", "Quantity", "InvoiceDate", "Price", "Customer ID", "Country")


@dataclass(frozen=True)
class Exports:
    """The files that were written, and their true sums.

    Attributes:
        files: the two exports, in order of time.
        lines: lines of both, without headers; `doubled` of them are in both files.
        cents: (customer, month such as 2010-07) -> the sum of its product lines, net of returns, each line once.
    """

    files: tuple[Path, Path]
    lines: int
    doubled: int
    cents: dict[tuple[str, str], int]


def write(folder: Path, lines: int = 1_000_000, seed: int = 2011, decimal: str = ",") -> Exports:
    """Write both exports into `folder`, `lines` in total, with `;` between cells.

    Args:
        decimal: decimal mark of prices.
    """
    random = np.random.default_rng(seed)
    table = _exactly(_with_cancellations(_purchases(lines, random), random), lines, random)
    folder.mkdir(parents=True, exist_ok=True)
    earlier, later = table[table.day < np.datetime64(DOUBLED[1])], table[table.day >= np.datetime64(DOUBLED[0])]
    files = (folder / "orders_2009-2010.csv", folder / "orders_2010-2011.csv")
    _export(earlier, files[0], decimal, ids_as="")
    _export(later, files[1], decimal, ids_as=".0")
    return Exports(files, len(earlier) + len(later), len(earlier) + len(later) - len(table), _true_cents(table))


def _purchases(lines: int, random: np.random.Generator) -> pd.DataFrame:
    """More order lines than needed, ordered by time: `customer` is -1 if unknown, `price` is in cents."""
    invoices, customers = max(lines // 18, 40), min(max(lines // 140, 20), 7_100)
    days = np.arange(FIRST, LAST + dt.timedelta(days=1), dtype="datetime64[D]")
    days = days[(days - np.datetime64("1970-01-03", "D")).astype(int) % 7 != 0]  # closed on Saturdays
    weight = random.lognormal(0, 1.3, customers)
    since = np.where(random.random(customers) < 0.3, 0, random.integers(0, len(days) - 30, customers))
    until = np.minimum(since + 20 + random.exponential(len(days) * 0.6, customers).astype(int), len(days) - 1)
    abroad = random.choice(len(COUNTRIES), customers, p=[0.9, 0.04, 0.03, 0.02, 0.01])

    customer = random.choice(customers, invoices, p=weight / weight.sum())
    part = random.beta(1.2, 1.0, invoices)
    day = (since[customer] + part * (until - since)[customer]).astype(int)
    known = random.random(invoices) > 0.12
    size = np.minimum(random.geometric(1 / np.where(known, 18, 40)), 300)
    wholesale = random.lognormal(0, 0.6, customers)
    minute = random.integers(8 * 60, 19 * 60, invoices)

    invoice = np.repeat(np.arange(invoices), size)
    place = np.arange(len(invoice)) - np.repeat(np.cumsum(size) - size, size)
    start, step = random.integers(0, PRODUCTS, invoices), random.integers(1, PRODUCTS, invoices)
    prices = np.maximum(np.round(random.lognormal(5.6, 0.8, PRODUCTS) / 10) * 10 - 5, 10).astype("int64")
    product = (start[invoice] + place * step[invoice]) % PRODUCTS
    packs = random.choice([1, 2, 3, 4, 6, 8, 12, 24, 48], len(invoice), p=[0.34, 0.16, 0.08, 0.08, 0.1, 0.06, 0.12, 0.04, 0.02])
    quantity = np.maximum(np.round(packs * wholesale[customer[invoice]]), 1).astype("int64")
    price = np.where(random.random(len(invoice)) < 0.003, 0, prices[product])  # some lines are free

    extra = np.full(invoices, -1)
    extra[(abroad[customer] > 0) & (random.random(invoices) < 0.6)] = NOT_PRODUCTS.index("POST")
    extra[~known & (random.random(invoices) < 0.2)] = NOT_PRODUCTS.index("DOT")
    for name, share in (("M", 0.01), ("BANK CHARGES", 0.001), ("C2", 0.004), ("AMAZONFEE", 0.001)):
        extra[random.random(invoices) < share] = NOT_PRODUCTS.index(name)
    other = (place == 0) & (extra[invoice] >= 0)
    product = np.where(other, PRODUCTS + extra[invoice], product)
    quantity, price = np.where(other, 1, quantity), np.where(other, random.integers(4, 120, len(invoice)) * 50, price)
    table = pd.DataFrame(
        {
            "invoice": invoice, "day": days[day][invoice], "minute": minute[invoice], "product": product, "quantity": quantity,
            "price": price, "customer": np.where(known, customer, -1)[invoice], "country": abroad[customer][invoice],
        }
    )  # fmt: skip
    return table.assign(cancels=False)


def _with_cancellations(table: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    """The lines, with the first lines of some invoices cancelled days later; invoices are numbered by time."""
    chosen = table.invoice.isin(np.flatnonzero(random.random(table.invoice.max() + 1) < 0.1))
    back = table[chosen & (table.groupby("invoice").cumcount() < 3) & (table["product"] < PRODUCTS)]
    later = random.integers(1, 21, table.invoice.max() + 1)[back.invoice].astype("timedelta64[D]")
    back = back.assign(
        cancels=True,
        quantity=-back.quantity,
        day=np.minimum(back.day + later, np.datetime64(LAST)),
        invoice=back.invoice + table.invoice.max() + 1,
    )
    both = pd.concat([table, back]).sort_values(["day", "minute", "invoice"], kind="stable", ignore_index=True)
    return both.assign(invoice=pd.factorize(both.invoice)[0] + 489_434)


def _exactly(table: pd.DataFrame, lines: int, random: np.random.Generator) -> pd.DataFrame:
    """Remove lines, except on the doubled days, so that the two exports have `lines` in total."""
    twice = (table.day >= np.datetime64(DOUBLED[0])) & (table.day < np.datetime64(DOUBLED[1]))
    surplus = len(table) + int(twice.sum()) - lines
    out = random.choice(np.flatnonzero(~twice & ~table.cancels), surplus, replace=False)
    return table.drop(index=table.index[out])


def _export(table: pd.DataFrame, file: Path, decimal: str, ids_as: str) -> None:
    """Write the lines as the shop's system does; customer ids end in `ids_as`, as a spreadsheet may write them."""
    price = [f"{cents // 100}{decimal}{cents % 100:02d}" for cents in range(int(table.price.max()) + 1)]
    when = table.day.astype("datetime64[s]") + table.minute.to_numpy() * np.timedelta64(60, "s")
    number = pa.array(table.invoice).cast(pa.string())
    cancelled = pa.array(np.where(table.cancels, "C", "").astype(object), pa.string())
    columns = (
        pa.compute.binary_join_element_wise(cancelled, number, ""),
        _chosen([*(f"{10_002 + 13 * i}{'ABL'[i % 3] if i % 4 == 0 else ''}" for i in range(PRODUCTS)), *NOT_PRODUCTS], table["product"]),
        _chosen([*(f"{COLOURS[i % 8]} {NOUNS[i % 10]} {i}" for i in range(PRODUCTS)), *NOT_PRODUCTS], table["product"]),
        pa.array(table.quantity),
        pa.compute.strftime(pa.array(when), format="%Y-%m-%d %H:%M:00"),
        _chosen(price, table.price),
        _chosen([*(f"{customer_id(i)}{ids_as}" for i in range(int(table.customer.max()) + 1)), None], table.customer),
        _chosen(list(COUNTRIES), table.country),
    )
    written = pa.table(dict(zip(HEADER, columns, strict=True)))
    pa.csv.write_csv(written, file, pa.csv.WriteOptions(delimiter=";", quoting_style="needed"))


def customer_id(number: int) -> str:
    """The id of the customer with this number."""
    return str(12_346 + number)


def _chosen(names: list[str | None], which: "pd.Series[int]") -> pa.Array:
    """The names at the given positions; -1 is the last one."""
    return pa.array(names, pa.string()).take(pa.array(which.to_numpy() % len(names)))


def _true_cents(table: pd.DataFrame) -> dict[tuple[str, str], int]:
    counted = table[(table.customer >= 0) & (table["product"] < PRODUCTS)]
    month = counted.day.astype("datetime64[s]").dt.strftime("%Y-%m") if len(counted) else counted.day
    sums = (counted.quantity * counted.price).groupby([counted.customer, month]).sum()
    return {(customer_id(int(customer)), str(when)): int(cents) for (customer, when), cents in sums.items()}


if __name__ == "__main__":
    target = Path(sys.argv[1])
    made = write(target / "orders", int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000)
    rows = [f"{customer},{month},{cents / 100:.2f}" for (customer, month), cents in made.cents.items()]
    (target / "true_sums.csv").write_text("\n".join(["customer,month,amount", *rows, ""]), encoding="utf-8")
    print(f"{made.lines:,} lines, {made.doubled:,} of them doubled, {len({c for c, _ in made.cents}):,} customers in {target}")
