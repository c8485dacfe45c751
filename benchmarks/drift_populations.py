"""Populations to draw customers from whole, and the changes planted in them.

Belongs here: who the customers are. What is counted over repeats is in `benchmarks.drift`.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
from scipy import stats
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


def panel(correlation: float, n: int, rng: np.random.Generator, turnover: float = 0.1) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A shop's customers twice: each of 16 normal numbers behind a customer has this correlation; some left, and as many came."""
    then = rng.standard_normal((16, n))
    now = correlation * then + np.sqrt(1 - correlation**2) * rng.standard_normal((16, n))
    left = rng.random(n) < turnover
    came = rng.standard_normal((16, rng.poisson(turnover * n)))
    ids = np.arange(n + came.shape[1])
    return _customers(then, ids[:n]), _customers(np.hstack([now[:, ~left], came]), np.concatenate([ids[:n][~left], ids[n:]]))


def _customers(z: np.ndarray, ids: np.ndarray) -> pd.DataFrame:
    """Customers like those of `shop`, each from normal numbers (16, n) of their own."""
    u = stats.norm.cdf(z)
    worth, habit = z[0], z[1]
    orders = 1 + stats.poisson.ppf(u[2], np.exp(1.3 + 0.7 * habit))
    spend = np.exp(4 + 0.67 * np.log(orders) + 0.64 * worth)
    gap = 92 / orders * stats.gamma.ppf(u[5], 4, scale=0.25)
    levels = np.array([*"abcdef"])[np.searchsorted(np.cumsum([0.35, 0.3, 0.2, 0.1, 0.046]), u[7])]
    channel = pd.Series(np.where(worth + z[8] > 1, "app", np.where(habit > 0, "web", "shop")))
    return pd.DataFrame({
        "customer_id": ids, "status": "active", "recency_days": np.ceil(-np.minimum(gap, 90) * np.log(1 - u[6])).clip(1, 92),
        "frequency": orders, "monetary": spend, "average_order_value": spend / orders,
        "items_per_order": 1 + stats.gamma.ppf(u[10], 2, scale=np.exp(0.3 * worth)), "mean_gap_days": np.where(u[11] < 0.2, np.nan, gap),
        "weekend_share": stats.binom.ppf(u[3], orders, expit(-0.8 + 0.5 * z[4])) / orders,
        "active_window_share": stats.binom.ppf(u[12], 3, expit(1 + habit)) / 3, "discount_share": stats.beta.ppf(u[13], 2, 6),
        "category_entropy": 2.2 * expit(0.5 + 0.8 * habit + 0.6 * z[14]), "order_value_spread": stats.gamma.ppf(u[15], 6, scale=0.14),
        "region": levels, "channel": channel.mask(u[9] < 0.1),
    })  # fmt: skip


def windows(later: int, n: int, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The active customers of two snapshots of a shop, `later` months apart, with three months of lookback: about n each. In a month 2% of
    customers are replaced by new ones; those who are known but did not order in three months are not active."""
    size = round(n / 0.7)  # of whom about that share is active
    rate, basket, region, ids = *_habits(size, rng), np.arange(size)
    orders, days, spend, found = [], [], [], []
    for month in range(3 + later):
        fresh = rng.random(size) < 0.02
        new = _habits(size, rng)
        rate, basket, region = (np.where(fresh, now, old) for now, old in zip(new, (rate, basket, region), strict=True))
        ids = np.where(fresh, ids + size, ids)
        count = rng.poisson(rate)
        for kept in (orders, spend):
            for earlier in kept:
                earlier[fresh] = 0
        orders.append(count)
        spend.append(count * basket * rng.lognormal(0, 0.2, size))
        days.append(30 * (month + rng.beta(np.maximum(count, 1), 1)))
        if month in (2, 2 + later):
            found.append(_looked_back(ids, region, orders[-3:], spend[-3:], days[-3:], 30.0 * (month + 1)))
    return found[0], found[1]


def _habits(size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return rng.gamma(0.8, 1.5, size), rng.lognormal(3, 0.6, size), rng.choice([*"abcdef"], size, p=[0.35, 0.3, 0.2, 0.1, 0.046, 0.004])


def _looked_back(
    ids: np.ndarray, region: np.ndarray, orders: list[np.ndarray], spend: list[np.ndarray], days: list[np.ndarray], end: float
) -> pd.DataFrame:
    """Features of who ordered in these months."""
    frequency, monetary = np.sum(orders, axis=0).astype(float), np.sum(spend, axis=0)
    last = np.max(np.where(np.array(orders) > 0, days, -np.inf), axis=0)
    features = pd.DataFrame({
        "customer_id": ids, "status": "active", "recency_days": np.ceil(end - last), "frequency": frequency, "monetary": monetary,
        "average_order_value": monetary / np.maximum(frequency, 1), "active_window_share": np.mean(np.array(orders) > 0, axis=0),
        "trend": orders[-1] / np.maximum(frequency, 1), "region": region,
    })  # fmt: skip
    return features[frequency > 0].reset_index(drop=True)


PANELS: dict[str, Callable[[int, np.random.Generator], tuple[pd.DataFrame, pd.DataFrame]]] = {
    **{f"correlation {rho}": partial(panel, rho) for rho in (0, 0.5, 0.95)},
    **{f"{later} of 3 months later": partial(windows, later) for later in (1, 2)},
}


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
    "mean +0.3 sd": _logged(lambda x: x + 0.3 * x.std()),
    "mean +0.5 sd": _logged(lambda x: x + 0.5 * SD),
    "spread x1.3": _logged(lambda x: x.mean() + 1.3 * (x - x.mean())),
    "top 5% x3": _logged(_tail),
    "new level 5%": _level,
    "correlation 0.6 to 0": _uncorrelated,
}
