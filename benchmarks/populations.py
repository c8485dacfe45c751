"""Made-up customers whose truth is known: continua without segments, and mixtures with planted ones.

A population is a frame of features, the true label of each row (None for a continuum), and the treatment its features need.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segmentation_assets.core.clustering.feature_columns import Transform


@dataclass(frozen=True, eq=False)
class Population:
    """`features` (n, p), `truth` (n,) or None, `transform` for every feature, and a `name` for the table."""

    name: str
    features: pd.DataFrame
    truth: NDArray[np.int64] | None
    transform: Transform

    @property
    def true_k(self) -> int:
        return 1 if self.truth is None else int(self.truth.max()) + 1


def _frame(points: NDArray[np.float64]) -> pd.DataFrame:
    return pd.DataFrame(points, columns=[f"x{i}" for i in range(points.shape[1])])


def gaussian(n: int, rng: np.random.Generator) -> Population:
    return Population("one Gaussian", _frame(rng.normal(size=(n, 4))), None, "none")


def elongated(n: int, rng: np.random.Generator) -> Population:
    mixing = np.linalg.qr(rng.normal(size=(4, 4)))[0] * np.array([6.0, 2.0, 1.0, 0.5])
    return Population("elongated Gaussian", _frame(rng.normal(size=(n, 4)) @ mixing.T), None, "none")


def cube(n: int, rng: np.random.Generator) -> Population:
    return Population("uniform cube", _frame(rng.uniform(size=(n, 3))), None, "none")


def log_normal_raw(n: int, rng: np.random.Generator) -> Population:
    return Population("log-normal, raw", _frame(rng.lognormal(3, 0.8, size=(n, 3))), None, "none")


def log_normal_transformed(n: int, rng: np.random.Generator) -> Population:
    return Population("log-normal, transformed", _frame(rng.lognormal(3, 0.8, size=(n, 3))), None, "log")


def gradient(n: int, rng: np.random.Generator) -> Population:
    """One hidden trait, evenly spread, behind all features."""
    trait = rng.uniform(-3, 3, size=(n, 1))
    return Population("one-dimensional gradient", _frame(trait * np.array([1.0, 0.8, 0.6]) + rng.normal(0, 0.4, (n, 3))), None, "none")


def rfm_like(n: int, rng: np.random.Generator) -> Population:
    """Whole days and whole orders, most customers with one order; spend follows orders. A Gamma rate, so no segments."""
    rate = rng.gamma(0.8, 4.0, n)
    frequency = 1 + rng.poisson(rate)
    recency = np.minimum(np.ceil(rng.exponential(365 / (1 + frequency))), 365)
    monetary = np.round(frequency * rng.lognormal(3, 0.6, n), 2)
    frame = pd.DataFrame({"recency_days": recency, "frequency": frequency.astype(float), "monetary": monetary})
    return Population("RFM-like with atoms", frame, None, "log")


STRUCTURELESS: tuple[Callable[[int, np.random.Generator], Population], ...] = (
    gaussian,
    elongated,
    cube,
    log_normal_raw,
    log_normal_transformed,
    gradient,
    rfm_like,
)


_Orders = tuple[NDArray[np.floating], NDArray[np.floating]]  # recency in days, and number of orders, of each customer


def _orders(n: int, rng: np.random.Generator) -> _Orders:
    """Recency in days and number of orders of n customers, whose rates are Gamma distributed."""
    frequency = 1.0 + rng.poisson(rng.gamma(0.8, 4.0, n))
    return np.minimum(np.ceil(rng.exponential(365 / (1 + frequency))), 365), frequency


def _shop(name: str, orders: _Orders, spend: NDArray[np.floating]) -> Population:
    frame = pd.DataFrame({"recency_days": orders[0], "frequency": orders[1], "monetary": np.round(spend, 2)})
    return Population(name, frame, None, "log")


def one_price(n: int, rng: np.random.Generator) -> Population:
    orders = _orders(n, rng)
    return _shop("one price", orders, 25.0 * orders[1])


def steady_baskets(n: int, rng: np.random.Generator) -> Population:
    """A customer's mean order value varies with a standard deviation of 0.15 in logs."""
    orders = _orders(n, rng)
    return _shop("steady baskets", orders, orders[1] * rng.lognormal(3, 0.15, n))


def steady_orders(n: int, rng: np.random.Generator) -> Population:
    """Each order's value varies with a standard deviation of 0.15 in logs, around the same price for all."""
    orders = _orders(n, rng)
    return _shop("steady orders", orders, np.array([rng.lognormal(3, 0.15, int(count)).sum() for count in orders[1]]))


def three_plans(n: int, rng: np.random.Generator) -> Population:
    orders = _orders(n, rng)
    return _shop("three price plans", orders, orders[1] * rng.choice([19.0, 29.0, 49.0], n, p=[0.5, 0.3, 0.2]))


def subscriptions(n: int, rng: np.random.Generator) -> Population:
    """Monthly payments of the last year in three plans; customers join evenly over two years and leave by chance."""
    joined = rng.integers(1, 25, 3 * n)
    left = np.maximum(joined - rng.geometric(0.08, 3 * n) + 1, 1)
    payments = (np.minimum(joined, 12) - left + 1.0)[left <= 12][:n]
    recency = (left[left <= 12][:n] - 1.0) * 30 + rng.integers(1, 31, len(payments))
    return _shop("subscriptions", (recency, payments), payments * rng.choice([9.99, 19.99, 29.99], len(payments), p=[0.4, 0.4, 0.2]))


def gym(n: int, rng: np.random.Generator) -> Population:
    """One fee, paid in most months of the year."""
    payments = 1.0 + rng.binomial(11, rng.beta(2, 1, n))
    recency = rng.integers(1, 31, n) + 30.0 * (rng.random(n) < 0.2) * rng.integers(0, 6, n)
    return _shop("gym", (recency, payments), 39.0 * payments)


def mostly_zero(n: int, rng: np.random.Generator) -> Population:
    """An amount in units of money, censored at zero for 60 to 80% of customers, and two features that correlate with it."""
    correlation = rng.choice([0.6, 0.8])
    latent = rng.multivariate_normal(np.zeros(3), np.full((3, 3), correlation) + (1 - correlation) * np.eye(3), n)
    amount = np.maximum(latent[:, 0] - rng.uniform(0.25, 0.85), 0) * 20
    return Population("mostly zero", _frame(np.column_stack([np.round(amount, 2), np.expm1(latent[:, 1:] + 5)])), None, "log")


COUNTED: tuple[Callable[[int, np.random.Generator], Population], ...] = (
    one_price,
    steady_baskets,
    steady_orders,
    three_plans,
    subscriptions,
    gym,
    mostly_zero,
)
"""Continua in which amounts are nearly told by a count, or are mostly zero."""


def planted_shop(n: int, value: str, rng: np.random.Generator) -> Population:
    """2 to 4 segments, the closest two 4 to 6 standard deviations (0.3 in logs) apart in recency (8 to 160 days) and orders (3 to 60), the
    largest twice the smallest. Order `value` is one price, a mean that varies by 0.15, or one of three plans, whatever the segment."""
    k, separation, closest = int(rng.integers(2, 5)), float(rng.choice([4.0, 5.0, 6.0])), 0.0
    while closest < separation:
        centers = rng.uniform(0, 10, (k, 2))
        closest = np.linalg.norm(centers[:, None] - centers[None], axis=2)[np.triu_indices(k, 1)].min()
    centers *= separation / closest
    shares = rng.permutation(np.geomspace(1, 2, k))
    truth = np.sort(rng.choice(k, n, p=shares / shares.sum()))
    logs = 0.3 * ((centers - centers.min(axis=0))[truth] + rng.normal(size=(n, 2)))
    orders = np.ceil(8 * np.exp(logs[:, 0])), np.maximum(1, np.round(3 * np.exp(logs[:, 1])))
    values = {"one price": np.full(n, 25.0), "steady": rng.lognormal(3, 0.15, n), "plans": rng.choice([19.0, 29.0, 49.0], n)}[value]
    return Population(f"planted, {value}", _shop("", orders, orders[1] * values).features, truth, "log")


def planted(
    n: int,
    k: int,
    dimensions: int,
    separation: float,
    size_ratio: float,
    rng: np.random.Generator,
    skewed: bool = False,
    noise_features: int = 0,
) -> Population:
    """k Gaussian segments in `dimensions`, the closest two centres `separation` within-segment standard deviations apart.

    The largest segment is `size_ratio` times the smallest, sizes between in geometric steps. Each segment has its own
    orientation and spreads of 0.6 to 1, so `separation` counts the widest. `skewed` margins are exponentials of the
    features, to be undone by the log transform; `noise_features` say nothing about the segment.
    """
    centers = rng.normal(size=(k, dimensions))
    gaps = np.linalg.norm(centers[:, None] - centers[None], axis=2)[np.triu_indices(k, 1)]
    centers *= separation / gaps.min()
    shares = np.geomspace(1.0, size_ratio, k)
    truth = np.repeat(np.arange(k), np.maximum(1, np.round(n * shares / shares.sum()).astype(int)))
    points = np.empty((len(truth), dimensions))
    for segment in range(k):
        rows = truth == segment
        rotation = np.linalg.qr(rng.normal(size=(dimensions, dimensions)))[0]
        spread = rotation * rng.uniform(0.6, 1.0, dimensions)
        points[rows] = centers[segment] + rng.normal(size=(rows.sum(), dimensions)) @ spread.T
    points = np.hstack([points, rng.normal(size=(len(truth), noise_features))])
    name = f"planted {separation:g} sd, 1:{size_ratio:g}"
    if skewed:
        # log1p undoes expm1 of a positive number; the shift keeps every value positive.
        points = np.expm1((points - points.min(axis=0)) / 4)
    return Population(name, _frame(points), truth, "log" if skewed else "none")


def draw_planted(n: int, rng: np.random.Generator, separation: tuple[float, ...], size_ratio: tuple[float, ...]) -> Population:
    """A planted mixture, the rest drawn: 2 to 6 segments, 2 to 15 dimensions, skewed or not, 0 to 2 noise features."""
    return planted(
        n,
        k=int(rng.integers(2, 7)),
        dimensions=int(rng.choice([2, 3, 5, 8, 15])),
        separation=float(rng.choice(separation)),
        size_ratio=float(rng.choice(size_ratio)),
        rng=rng,
        skewed=bool(rng.integers(2)),
        noise_features=int(rng.integers(3)),
    )
