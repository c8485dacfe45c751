"""Populations to draw customers from whole, and the changes planted in them.

Belongs here: who the customers are. What is counted over repeats is in `benchmarks.drift`.
"""

from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
from scipy.special import expit

FEATURES = ("recency_days", "frequency", "monetary")
SIZE = 500_000
SNAPSHOT = "2017-10-01"


def shop(seed: int, size: int = SIZE) -> pd.DataFrame:
    """Active customers of a shop: 12 numbers (skewed, whole, bounded, mostly zero, a fifth missing) and 2 texts, correlated."""
    rng = np.random.default_rng([seed, 1])
    worth, habit = rng.standard_normal(size), rng.standard_normal(size)
    orders = 1 + rng.poisson(np.exp(1.3 + 0.7 * habit))
    spend = np.exp(4 + 0.67 * np.log(orders) + 0.64 * worth)  # the logs correlate by 0.6
    weekend = rng.binomial(orders, expit(-0.8 + 0.5 * rng.standard_normal(size)))
    gap = 92 / orders * rng.gamma(4, 0.25, size)
    region = rng.choice([*"abcdef"], size, p=[0.35, 0.3, 0.2, 0.1, 0.046, 0.004])
    channel = np.where(worth + rng.standard_normal(size) > 1, "app", np.where(habit > 0, "web", "shop"))
    return pd.DataFrame({
        "customer_id": np.arange(size), "status": "active",
        "recency_days": np.ceil(rng.exponential(np.minimum(gap, 90))).clip(1, 92), "frequency": orders.astype(float), "monetary": spend,
        "average_order_value": spend / orders, "items_per_order": 1 + rng.gamma(2, np.exp(0.3 * worth)),
        "mean_gap_days": np.where(rng.random(size) < 0.2, np.nan, gap), "weekend_share": weekend / orders,
        "active_window_share": rng.binomial(3, expit(1 + habit)) / 3, "events": rng.poisson(2, size) * (rng.random(size) < 0.3) * 1.0,
        "discount_share": rng.beta(2, 6, size), "category_entropy": 2.2 * expit(0.5 + 0.8 * habit + 0.6 * rng.standard_normal(size)),
        "order_value_spread": rng.gamma(6, 0.14, size),
        "region": region, "channel": pd.Series(channel).mask(rng.random(size) < 0.1),
    })  # fmt: skip


def independent(seed: int, size: int = SIZE) -> pd.DataFrame:
    """The same margins, each shuffled by itself, so that no feature says anything of another."""
    found, rng = shop(seed, size), np.random.default_rng([seed, 2])
    return found.assign(**{name: found[name].to_numpy()[rng.permutation(size)] for name in found.columns.drop(["customer_id", "status"])})


def snapshot_of(database: Path, snapshot: str = SNAPSHOT) -> pd.DataFrame:
    """The active customers of a published snapshot, as training looks at them."""
    with duckdb.connect(str(database), read_only=True) as connection:
        return connection.execute(
            "SELECT * EXCLUDE (snapshot_date) FROM customer_features WHERE snapshot_date = ? AND status = 'active'", [snapshot]
        ).df()


POPULATIONS: dict[str, Callable[[int], pd.DataFrame]] = {"shop": shop, "independent": independent}


def _logged(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[pd.DataFrame, np.random.Generator], pd.DataFrame]:
    return lambda now, rng: now.assign(monetary=np.exp(change(np.log(now["monetary"].to_numpy()))))


def _tail(logs: np.ndarray) -> np.ndarray:
    return logs + np.log(3) * (logs > np.quantile(logs, 0.95))


def _level(now: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    return now.assign(region=now["region"].mask(rng.random(len(now)) < 0.05, "new"))


def _uncorrelated(now: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    return now.assign(monetary=rng.permutation(now["monetary"].to_numpy()))


SD = 0.80  # of the shop's log spend
SHIFTS: dict[str, Callable[[pd.DataFrame, np.random.Generator], pd.DataFrame]] = {
    "none": lambda now, rng: now,
    "mean +0.2 sd": _logged(lambda x: x + 0.2 * SD),
    "mean +0.5 sd": _logged(lambda x: x + 0.5 * SD),
    "spread x1.3": _logged(lambda x: x.mean() + 1.3 * (x - x.mean())),
    "top 5% x3": _logged(_tail),
    "new level 5%": _level,
    "correlation 0.6 to 0": _uncorrelated,
}
