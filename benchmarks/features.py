"""Time to compute features: in steady state, from scratch, and in vectorised pandas, interleaved on the same lines.

    python -m benchmarks.features --customers 100000 --repeats 3

Customers have 20 order lines on average over 24 monthly windows; the lookback is 12 windows. Data is generated into a temporary
folder, one Parquet file per window, as in the lake. The time is from input files to a file of features:

- steady: orders, returns and activity of the newest window, the known customers, and the merge of the lookback's windows;
- scratch: orders, returns, activity and customers from all order lines, then the same merge;
- pandas: everything from all order lines, with group-bys on integer codes and no Python loop over rows.

Before anything is timed, the results of all three must agree in every column that pandas computes.
"""

import argparse
import datetime as dt
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.by_pandas import of_orders
from segmentation_assets.core.customers import activity, cleaning, features, orders
from segmentation_assets.core.customers.calendar import Calendar, Lookback
from segmentation_assets.engines.duckdb import DuckDBEngine
from segmentation_assets.settings.customers import Features
from segmentation_assets.settings.snapshots import Snapshots, following
from segmentation_assets.store.lake import Lake, conformed
from segmentation_assets.tables.cleaned import CUSTOMER_ORDERS, CUSTOMERS, EVENTS, ORDER_RETURNS
from segmentation_assets.tables.contract import Contract
from segmentation_assets.tables.features import CUSTOMER_ACTIVITY, CUSTOMER_CATEGORY_ACTIVITY, CUSTOMER_EVENT_ACTIVITY
from segmentation_assets.tables.raw import RAW_CUSTOMERS

LINES_PER_CUSTOMER, WINDOWS, LOOKBACK = 20, 24, 12
SNAPSHOTS = Snapshots(first=dt.date(2016, 1, 1), cadence="monthly")
AS_OF = dt.date(2018, 1, 1)
STARTS = [following(AS_OF, SNAPSHOTS, -steps) for steps in range(WINDOWS, 0, -1)]
CALENDAR = Calendar("monthly", SNAPSHOTS.first)
SPAN = Lookback(CALENDAR, AS_OF, STARTS[-LOOKBACK], STARTS[-4], LOOKBACK, 4)
ROLES = Features()


def generate(folder: Path, customers: int, lines_per_order: int, threads: int) -> int:
    """Writes the lines of every window and returns their number: skewed order rates, 1 to 2n - 1 lines per order, 5% returned."""
    orders = customers * LINES_PER_CUSTOMER // lines_per_order
    with duckdb.connect(config={"threads": threads}) as connection:
        connection.execute("SELECT setseed(0.42)")
        connection.execute(
            """
            CREATE TABLE orders AS
            SELECT i AS order_number, CAST(floor(? * pow(random(), 1.3)) AS BIGINT) AS customer, floor(random() * 731) AS day,
                   random() AS time_of_day, random() AS coupon, 1 + CAST(floor(random() * (2 * ? - 1)) AS BIGINT) AS size
            FROM range(?) t(i)
            """,
            [customers, lines_per_order, orders],
        )
        connection.execute(
            """
            CREATE TABLE lines AS
            WITH rows AS (
                SELECT customer, order_number, coupon, TIMESTAMP '2016-01-01' + to_seconds(CAST(day * 86400 + 21600 + floor(time_of_day * 61200) AS BIGINT)) AS ordered_at,
                       random() AS price, random() AS r, random() AS reduced, random() AS a, random() AS b
                FROM orders, range(size)
            )
            SELECT row_number() OVER () AS row_number, 'generated' AS source_file, 'c' || customer AS customer_id, 'o' || order_number AS order_id, ordered_at,
                   CAST(CASE WHEN r < 0.05 THEN -1 ELSE 1 END * (1 + 60 * price * price) AS DECIMAL(18, 4)) AS amount,
                   CAST(CASE WHEN r < 0.05 THEN -1 ELSE 1 + floor(4 * price) END AS DECIMAL(18, 4)) AS quantity,
                   'p' || CAST(floor(1000 * price) AS INTEGER) AS product_id, 'category ' || CAST(floor(12 * a * b) AS INTEGER) AS category,
                   CAST(CASE WHEN reduced < 0.3 THEN price ELSE 0 END AS DECIMAL(18, 4)) AS discount,
                   CAST(CASE WHEN coupon < 0.1 AND a < 0.5 THEN 1 ELSE 0 END AS DECIMAL(18, 4)) AS coupon_discount, r < 0.05 AS is_return,
                   CASE WHEN r < 0.05 THEN 'o' || order_number END AS returned_order_id
            FROM rows
            """
        )
        for start in STARTS:
            connection.execute(
                f"COPY (SELECT * FROM lines WHERE ordered_at >= DATE '{start}' AND ordered_at < DATE '{following(start, SNAPSHOTS)}') "
                f"TO '{folder}/transactions-{start}.parquet' (COMPRESSION zstd, COMPRESSION_LEVEL 1, PARQUET_VERSION V2)"  # as the lake's
            )
        counted = connection.execute("SELECT count(*) FROM lines").fetchone()
    return int(counted[0]) if counted else 0


class Pipeline:
    """The project's own computation, from and to the files of a folder."""

    def __init__(self, folder: Path, threads: int) -> None:
        self.folder, self.engine = folder, DuckDBEngine(threads)
        self.empty = Lake(folder / "none", self.engine)

    def lines(self, starts: list[dt.date]) -> Any:
        return self.engine.scan([self.folder / f"transactions-{start}.parquet" for start in starts])

    def known(self, name: str | None) -> Any:
        """The customers known at a snapshot; none if `name` is None."""
        return self.engine.scan([self.folder / f"{CUSTOMERS.name}-{name}.parquet"]) if name else self.empty.read(CUSTOMERS, [])

    def state(self, starts: list[dt.date], before: str | None, name: str, lookback: list[str], left: list[str]) -> None:
        """Writes all tables of some windows; returns are matched to their orders and those of `lookback`, but no longer to those of `left`."""
        lines, events, previous = self.lines(starts), self.empty.read(EVENTS, []), self.known(before)
        self.write(CUSTOMER_ORDERS, orders.customer_orders(lines), name)
        window, placed = self.kept(CUSTOMER_ORDERS, [name]), self.kept(CUSTOMER_ORDERS, [*lookback, name])
        self.write(ORDER_RETURNS, orders.order_returns(lines, placed, self.kept(ORDER_RETURNS, lookback)), name)
        self.write(CUSTOMER_ACTIVITY, activity.customer_activity(window, CALENDAR, previous), name)
        self.write(CUSTOMER_CATEGORY_ACTIVITY, activity.customer_category_activity(lines, CALENDAR), name)
        self.write(CUSTOMER_EVENT_ACTIVITY, activity.customer_event_activity(events, CALENDAR, ROLES.with_subjects), name)
        self.customers(name, previous, lookback, left)

    def customers(self, name: str, previous: Any, lookback: list[str], left: list[str]) -> None:
        records, events = self.empty.read(RAW_CUSTOMERS, []).select("customer_id"), self.empty.read(EVENTS, [])
        window, now = self.kept(CUSTOMER_ORDERS, [name]), self.kept(ORDER_RETURNS, [name])
        placed, returned = (self.kept(contract, [*lookback, name]) for contract in (CUSTOMER_ORDERS, ORDER_RETURNS))
        earlier = orders.earlier_orders(self.kept(CUSTOMER_ORDERS, left), self.kept(ORDER_RETURNS, [*left, *lookback, name]), previous)
        corrected = orders.last_orders(orders.undone(now).select("customer_id").distinct(), placed, returned, earlier)
        self.write(CUSTOMERS, cleaning.known_customers(records, window, events, previous, earlier, corrected), name)

    def write(self, contract: Contract, table: Any, name: str) -> None:
        self.engine.write(conformed(contract, table), self.folder / f"{contract.name}-{name}.parquet")

    def kept(self, contract: Contract, names: list[str]) -> Any:
        return (
            self.engine.scan([self.folder / f"{contract.name}-{name}.parquet" for name in names])
            if names
            else self.empty.read(contract, [])
        )

    def merge(self, names: list[str], customers: str, out: str) -> Path:
        contracts = (CUSTOMER_ACTIVITY, CUSTOMER_CATEGORY_ACTIVITY, CUSTOMER_EVENT_ACTIVITY, CUSTOMER_ORDERS, ORDER_RETURNS)
        windows = features.Activity(*(self.kept(contract, names) for contract in contracts))
        file = self.folder / f"{out}.parquet"
        self.engine.write(features.customer_features(self.known(customers), windows, SPAN, ROLES).order_by("customer_id"), file)
        return file

    def history(self) -> None:
        """Writes the tables that exist before the newest snapshot is made."""
        for before, start in zip([None, *STARTS], STARTS[:-1], strict=False):
            self.state([start], before and str(before), str(start), *self.before(start))

    def before(self, start: dt.date) -> tuple[list[str], list[str]]:
        """The earlier windows of this one's lookback, and the one that has just left it."""
        names = [str(earlier) for earlier in STARTS[: STARTS.index(start)]]
        return names[-(LOOKBACK - 1) :], names[-LOOKBACK : -(LOOKBACK - 1)]

    def steady(self) -> Path:
        before, newest = map(str, STARTS[-2:])
        self.state([STARTS[-1]], before, newest, *self.before(STARTS[-1]))
        return self.merge([str(start) for start in STARTS[-LOOKBACK:]], newest, "steady")

    def scratch(self) -> Path:
        self.state(STARTS, None, "all", [], [])
        return self.merge(["all"], "all", "scratch")


def with_pandas(folder: Path) -> Path:
    """The same features from all order lines, as a careful analyst would in pandas: codes, masks and group-bys."""
    columns = ["customer_id", "order_id", "ordered_at", "amount", "quantity", "category", "discount", "coupon_discount", "is_return"]
    table = pa.concat_tables(pq.read_table(folder / f"transactions-{start}.parquet", columns=columns) for start in STARTS)
    money = [pa.field(f.name, pa.float64()) if pa.types.is_decimal(f.type) else f for f in table.schema]
    lines = table.cast(pa.schema(money)).to_pandas()  # cast in Arrow: as pandas objects, decimals took half of the time
    codes, ids = pd.factorize(lines["customer_id"])
    lines["c"], lines["order"] = codes, pd.factorize(lines["order_id"])[0]
    lines["category"] = lines["category"].astype("category")
    lines["day"] = lines["ordered_at"].dt.floor("D")
    as_of, start, recent = (pd.Timestamp(day) for day in (AS_OF, SPAN.start, SPAN.recent_start))
    bought = lines[~lines["is_return"]]
    ever = bought.groupby("c")["ordered_at"].agg(["min"])
    of_order = lines.groupby(["c", "day", "order"], sort=False)  # in this data, a return has the id of its order
    undone = of_order["is_return"].transform("any") & (of_order["amount"].transform("sum").round(4) <= 0)
    everything_bought, bought = bought, bought[~undone[bought.index]]
    out = pd.DataFrame(index=pd.RangeIndex(len(ids)))
    out["recency_days"] = (as_of - bought.groupby("c")["ordered_at"].max().dt.floor("D")).dt.days
    out["tenure_days"] = (as_of - ever["min"].dt.floor("D")).dt.days
    lines, bought = lines[lines["day"] >= start], bought[bought["day"] >= start]
    everything_bought = everything_bought[(everything_bought["day"] >= start) & everything_bought["c"].isin(bought["c"].unique())]
    orders = (
        bought.groupby(["c", "day", "order"], sort=False)
        .agg(value=("amount", "sum"), units=("quantity", "sum"), coupon=("coupon_discount", "sum"), at=("ordered_at", "min"))
        .reset_index()
    )
    hour = orders["at"].dt.hour
    flags = {
        "coupon_order_share": orders["coupon"] > 0, "weekend_share": orders["day"].dt.day_of_week >= 5, "morning_share": hour.between(6, 11),
        "afternoon_share": hour.between(12, 17), "evening_share": hour.between(18, 21), "night_share": (hour >= 22) | (hour < 6),
    }  # fmt: skip
    orders = orders.assign(**flags, recent=orders["day"] >= recent, month=orders["day"].dt.year * 12 + orders["day"].dt.month)
    orders["recent_value"] = orders["value"].where(orders["recent"], 0.0)
    g = orders.groupby("c")
    n, total = g.size(), g["value"].sum()
    out["frequency"] = n.reindex(out.index).fillna(0)
    out["monetary"] = lines.groupby("c")["amount"].sum().reindex(out.index).fillna(0)
    out = out.join(of_orders(orders, flags))
    out["overdue_ratio"] = out["recency_days"] / out["mean_gap_days"]
    first = ever["min"]
    out["opening_pause_days"] = (g["day"].min() - start).dt.days.where(first < start)
    known = ((AS_OF.year - first.dt.year) * 12 + AS_OF.month - first.dt.month).clip(upper=LOOKBACK)
    out["active_window_share"] = orders.drop_duplicates(["c", "month"]).groupby("c").size().reindex(out.index).fillna(0) / known
    earlier = (known - SPAN.recent_windows).where(lambda windows: windows > 0)
    for name, late, both in (("spend_trend", g["recent_value"].sum(), total), ("order_trend", g["recent"].sum(), n)):
        r, e = late / SPAN.recent_windows, (both - late) / earlier
        out[name] = (r - e) / (r + e).replace(0, np.nan)
    by_category = everything_bought.groupby(["c", "category"], observed=True)["amount"].sum().reset_index()
    share = by_category["amount"] / by_category.groupby("c")["amount"].transform("sum")
    entropy = (-share * np.log(share)).groupby(by_category["c"])
    top = (
        by_category.assign(name=by_category["category"].astype(str))
        .sort_values(["c", "amount", "name"], ascending=[True, False, True])
        .drop_duplicates("c")
        .set_index("c")
    )
    out["categories"], out["category_entropy"] = entropy.size(), entropy.sum()
    out["top_category"], out["top_category_share"] = top["name"], share.groupby(by_category["c"]).max()
    reductions = (bought["discount"] + bought["coupon_discount"]).groupby(bought["c"]).sum()
    out["discount_share"] = reductions / (total + reductions)
    out["return_share"] = lines.groupby("c")["is_return"].mean().where(n.reindex(out.index) > 0)
    out.insert(0, "customer_id", ids)
    file = folder / "pandas.parquet"
    out.sort_values("customer_id").to_parquet(file, index=False)
    return file


def compared(files: dict[str, Path]) -> int:
    """The number of columns compared; raises if results differ by more than a relative 1e-9."""
    frames = {name: pd.read_parquet(file).set_index("customer_id").sort_index() for name, file in files.items()}
    reference = frames.pop("pandas")
    for name, frame in frames.items():
        for column in reference.columns:
            if column == "top_category":
                assert (frame[column].fillna("") == reference[column].fillna("")).mean() > 0.999
            else:
                np.testing.assert_allclose(
                    frame[column].astype("float64"), reference[column].astype("float64"), rtol=1e-9, atol=1e-6, err_msg=f"{name} {column}"
                )
    return len(reference.columns)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--lines-per-order", type=int, default=3, help="on average; 1: each line is a separate order")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = generate(folder, options.customers, options.lines_per_order, options.threads)
        pipeline = Pipeline(folder, options.threads)
        pipeline.history()
        ways: dict[str, Callable[[], Path]] = {
            "steady": pipeline.steady,
            "scratch": pipeline.scratch,
            "pandas": lambda: with_pandas(folder),
        }
        columns = compared({way: run() for way, run in ways.items()})
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        cpu: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(options.repeats):  # interleaved, so that other load on the machine affects all alike
            for way, run in ways.items():
                wall, spent = time.perf_counter(), time.process_time()
                run()
                seconds[way].append(time.perf_counter() - wall)
                cpu[way].append(time.process_time() - spent)
    median = {way: statistics.median(values) for way, values in seconds.items()}
    median_cpu = {way: statistics.median(values) for way, values in cpu.items()}
    print(json.dumps({
        "customers": options.customers, "lines": lines, "lines_per_order": options.lines_per_order, "columns_compared": columns, "repeats": options.repeats,
        "seconds": {way: round(value, 2) for way, value in median.items()}, "cpu_seconds": {way: round(value, 2) for way, value in median_cpu.items()},
        "pandas_over_steady": round(median["pandas"] / median["steady"], 1), "pandas_over_scratch": round(median["pandas"] / median["scratch"], 1),
        "pandas_over_steady_cpu": round(median_cpu["pandas"] / median_cpu["steady"], 1), "pandas_over_scratch_cpu": round(median_cpu["pandas"] / median_cpu["scratch"], 1),
        "duckdb": duckdb.__version__, "pandas": pd.__version__, "ibis": ibis.__version__, "threads": options.threads, "python": platform.python_version(),
    }, indent=2))  # fmt: skip


if __name__ == "__main__":
    main()
