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
