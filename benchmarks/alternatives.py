"""What one would do without this package, on the files of `benchmarks.shop`: features, segments and profiles of one snapshot.

    python -m benchmarks.alternatives notebook|polars SHOP AS_OF OUT

- notebook: as a good analyst would: vectorised pandas on the lookback, k-means with 10 restarts for k from 2 to 10, silhouettes on a
  sample, profiles.
- polars: the best a person could do: the same features with Polars (a package that only this benchmark needs), MiniBatchKMeans, and tables
  of the kinds that a snapshot has: summary, distributions, correlations, profiles, and transitions since OUT of the month before, if it
  is there. No cleaning, no checks, no stability, no drift, nothing published.

Prints the CPU seconds of each part as a line of JSON.
"""

import datetime as dt
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.metrics import silhouette_score
from sklearn.preprocessing import StandardScaler

from benchmarks.by_pandas import of_orders
from benchmarks.shop import FIRST

LOOKBACK, RECENT, KS, SAMPLE, RANKED = 12, 4, range(2, 11), 10_000, 50_000
RFM = ["recency_days", "frequency", "monetary"]


class Timer:
    """CPU seconds by part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        began = time.process_time()
        yield
        self.seconds[name] = round(time.process_time() - began, 2)


def months_before(as_of: dt.date, months: int) -> dt.date:
    number = as_of.year * 12 + as_of.month - 1 - months
    return dt.date(number // 12, number % 12 + 1, 1)


def order_files(shop: Path, as_of: dt.date) -> list[Path]:
    """The files of the lookback's months, oldest first."""
    months = [months_before(as_of, back) for back in range(LOOKBACK, 0, -1)]
    return [shop / "orders" / f"{month:%Y-%m}.parquet" for month in months if month >= FIRST]


def pandas_features(shop: Path, as_of: dt.date) -> pd.DataFrame:
    """One row per customer who ordered within the lookback."""
    columns = ["customer", "order", "time", "category", "quantity", "amount", "discount"]
    lines = pd.concat([pd.read_parquet(file, columns=columns) for file in order_files(shop, as_of)], ignore_index=True)
    codes, ids = pd.factorize(lines["customer"])
    lines["c"], lines["o"] = codes, pd.factorize(lines["order"])[0]
    lines["category"] = lines["category"].astype("category")
    now, recent = pd.Timestamp(as_of), pd.Timestamp(months_before(as_of, RECENT))
    bought = lines[lines["quantity"] > 0]
    orders = (
        bought.groupby(["c", "o"], sort=False).agg(value=("amount", "sum"), units=("quantity", "sum"), at=("time", "min")).reset_index()
    )
    orders["day"] = orders["at"].dt.floor("D")
    hour = orders["at"].dt.hour
    flags = {
        "weekend_share": orders["day"].dt.day_of_week >= 5, "morning_share": hour.between(6, 11), "afternoon_share": hour.between(12, 17),
        "evening_share": hour.between(18, 21), "night_share": (hour >= 22) | (hour < 6),
    }  # fmt: skip
    late = orders["day"] >= recent
    orders = orders.assign(
        **flags, late=late, late_value=orders["value"].where(late, 0.0), month=orders["day"].dt.year * 12 + orders["day"].dt.month
    )
    g = orders.groupby("c")
    out = pd.DataFrame(index=pd.RangeIndex(len(ids)))
    n, total = g.size(), g["value"].sum()
    out["recency_days"] = (now - g["day"].max()).dt.days
    out["frequency"], out["monetary"] = n, lines.groupby("c")["amount"].sum()
    out = out.join(of_orders(orders, flags))
    out["overdue_ratio"] = out["recency_days"] / out["mean_gap_days"]
    out["active_window_share"] = orders.drop_duplicates(["c", "month"]).groupby("c").size() / LOOKBACK
    for name, recently, both in (("spend_trend", g["late_value"].sum(), total), ("order_trend", g["late"].sum(), n)):
        r, e = recently / RECENT, (both - recently) / (LOOKBACK - RECENT)
        out[name] = (r - e) / (r + e)
    spent = bought.groupby(["c", "category"], observed=True)["amount"].sum().reset_index()
    share = spent["amount"] / spent.groupby("c")["amount"].transform("sum")
    entropy = (-share * np.log(share)).groupby(spent["c"])
    top = spent.sort_values(["c", "amount"], ascending=[True, False]).drop_duplicates("c").set_index("c")
    out["categories"], out["category_entropy"] = entropy.size(), entropy.sum()
    out["top_category"], out["top_category_share"] = top["category"].astype(str), share.groupby(spent["c"]).max()
    reduced = bought.groupby("c")["discount"].sum()
    out["discount_share"] = reduced / (total + reduced)
    out["return_share"] = (lines["quantity"] < 0).groupby(lines["c"]).mean()
    out.insert(0, "customer", ids)
    return out[out["frequency"] > 0]


def points_of(recency: Any, frequency: Any, monetary: Any) -> NDArray[np.float64]:
    raw = np.column_stack([recency, frequency, monetary]).astype(np.float64)
    return np.asarray(StandardScaler().fit_transform(np.sign(raw) * np.log1p(np.abs(raw))))


def best(points: NDArray[np.float64], fit: Callable[[int], Any]) -> NDArray[np.int64]:
    """The labels of the k with the best silhouette, measured on a sample."""
    found = {k: fit(k).fit_predict(points) for k in KS if k < len(points)}
    size = min(SAMPLE, len(points))
    scores = {k: silhouette_score(points, labels, sample_size=size, random_state=0) for k, labels in found.items()}
    return np.asarray(found[max(scores, key=lambda k: scores[k])])


def notebook(shop: Path, as_of: dt.date, out: Path) -> dict[str, float]:
    timer = Timer()
    with timer.part("features"):
        features = pandas_features(shop, as_of)
    with timer.part("segments"):
        points = points_of(*(features[name] for name in RFM))
        features["segment"] = best(points, lambda k: KMeans(k, n_init=10, random_state=0))
    with timer.part("profiles"):
        numeric = [name for name in features.select_dtypes("number").columns if name != "segment"]
        profiles = features.groupby("segment")[numeric].agg(["mean", "median"])
        profiles.columns = ["_".join(column) for column in profiles.columns]
        profiles["customers"] = features.groupby("segment").size()
        profiles.to_parquet(out / "profiles.parquet")
        features.to_parquet(out / "features.parquet", index=False)
    return timer.seconds


def polars_features(shop: Path, as_of: dt.date) -> Any:
    """One row per customer who ordered within the lookback, in one lazy query."""
    import polars as pl

    lines = pl.scan_parquet(order_files(shop, as_of))
    bought = lines.filter(pl.col("quantity") > 0)
    hour, day, recent = pl.col("at").dt.hour(), pl.col("at").dt.date(), months_before(as_of, RECENT)
    late = day >= recent
    orders = bought.group_by("customer", "order").agg(
        value=pl.sum("amount"), units=pl.sum("quantity"), reduced=pl.sum("discount"), at=pl.min("time")
    )
    n, total = pl.len(), pl.sum("value")
    days = day.unique().sort()
    gaps = days.diff().dt.total_days()
    r, e = (pl.col("value").filter(late).sum() / RECENT, pl.col("value").filter(~late).sum() / (LOOKBACK - RECENT))
    ro, eo = late.sum() / RECENT, (~late).sum() / (LOOKBACK - RECENT)
    of_orders = orders.group_by("customer").agg(
        recency_days=(pl.lit(as_of) - day.max()).dt.total_days(), frequency=n, average_order_value=total / n,
        items_per_order=pl.sum("units") / n, order_value_spread=pl.std("value") / pl.mean("value"),
        weekend_share=(day.dt.weekday() >= 6).mean(), morning_share=hour.is_between(6, 11).mean(),
        afternoon_share=hour.is_between(12, 17).mean(), evening_share=hour.is_between(18, 21).mean(),
        night_share=((hour >= 22) | (hour < 6)).mean(), mean_gap_days=gaps.mean(), sd_gap_days=gaps.std(),
        active_window_share=day.dt.truncate("1mo").n_unique() / LOOKBACK, spend_trend=(r - e) / (r + e), order_trend=(ro - eo) / (ro + eo),
        discount_share=pl.sum("reduced") / (total + pl.sum("reduced")),
    )  # fmt: skip
    spent = bought.group_by("customer", "category").agg(spend=pl.sum("amount"))
    share = pl.col("spend") / pl.sum("spend")
    of_categories = spent.group_by("customer").agg(
        categories=pl.len(), category_entropy=(-share * share.log()).sum(), top_category=pl.col("category").sort_by("spend").last(),
        top_category_share=share.max(),
    )  # fmt: skip
    of_lines = lines.group_by("customer").agg(monetary=pl.sum("amount"), return_share=(pl.col("quantity") < 0).mean())
    found = of_orders.join(of_categories, on="customer").join(of_lines, on="customer")
    return found.with_columns(overdue_ratio=pl.col("recency_days") / pl.col("mean_gap_days")).sort("customer").collect()


def with_polars(shop: Path, as_of: dt.date, out: Path) -> dict[str, float]:
    import polars as pl

    timer = Timer()
    with timer.part("features"):
        features = polars_features(shop, as_of)
    with timer.part("segments"):
        points = points_of(*(features[name].to_numpy() for name in RFM))
        labels = best(points, lambda k: MiniBatchKMeans(k, n_init=10, batch_size=4096, random_state=0))
        features = features.with_columns(segment=labels)
    with timer.part("profiles"):
        numeric = [name for name, kind in features.schema.items() if kind.is_numeric() and name != "segment"]
        col, quantiles = pl.col(numeric), (0.01, 0.25, 0.5, 0.75, 0.99)
        measures = [
            col.mean().name.suffix(" mean"),
            col.std().name.suffix(" sd"),
            col.skew().name.suffix(" skewness"),
            col.null_count().name.suffix(" missing"),
        ]
        features.select(*measures, *(col.quantile(q).name.suffix(f" p{q}") for q in quantiles)).write_parquet(out / "summary.parquet")
        bins = {name: np.histogram(features[name].drop_nulls().to_numpy(), 30) for name in numeric}
        pl.DataFrame({name: counts for name, (counts, _) in bins.items()}).write_parquet(out / "distributions.parquet")
        ranked = features.select(numeric).sample(min(RANKED, len(features)), seed=0).select(col.rank().fill_null(strategy="mean"))
        pl.DataFrame(np.corrcoef(ranked.to_numpy().T)).write_parquet(out / "correlations.parquet")
        per_segment = [col.mean().name.suffix(" mean"), *(col.quantile(q).name.suffix(f" p{q}") for q in (0.1, 0.5, 0.9))]
        features.group_by("segment").agg(pl.len().alias("customers"), *per_segment).write_parquet(out / "profiles.parquet")
        before = out / f"segments-{months_before(as_of, 1)}.parquet"
        if before.exists():
            both = features.select("customer", "segment", "monetary").join(
                pl.read_parquet(before), on="customer", how="full", suffix=" before"
            )
            both.group_by("segment before", "segment").agg(pl.len(), pl.sum("monetary")).write_parquet(out / "transitions.parquet")
        features.select("customer", "segment").write_parquet(out / f"segments-{as_of}.parquet")
        features.write_parquet(out / "features.parquet")
    return timer.seconds


WAYS = {"notebook": notebook, "polars": with_polars}


def main() -> None:
    way, shop, as_of, out = sys.argv[1:]
    Path(out).mkdir(parents=True, exist_ok=True)
    print(json.dumps(WAYS[way](Path(shop), dt.date.fromisoformat(as_of), Path(out))))


if __name__ == "__main__":
    main()
