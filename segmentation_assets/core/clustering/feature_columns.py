"""Encoding of one feature: the parameters learnt from its values, and the arithmetic from values to coordinates.

Belongs here: a single numeric or categorical feature. Choosing which features enter, and checking
a whole frame, is in `preprocessing.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Transform = Literal["log", "yeo-johnson", "none"]
Scaling = Literal["standard", "range", "robust"]

# Spread below this share of the centre is rounding noise in float64, so the feature is a constant.
_CONSTANT_TOLERANCE = 1e-12
_WHOLE_TOLERANCE = 1e-9  # 1 - 0.995 is a little more or less than 0.005
# The interquartile range of a Gaussian is 1.349 standard deviations, so "robust" and "standard" agree on Gaussian data.
_GAUSSIAN_IQR = 1.349


@dataclass(frozen=True)
class NumericColumn:
    """A fitted numeric feature. `low`, `high` and `median` are in customer units, `center` and `scale` after `transform`.

    A `scale` of 0 marks a feature without spread (constant or never observed): its values contribute nothing to a distance.
    `indicator` is the coordinate of a missing value in a separate dimension, in which present values have 0. It is 0 if there is
    no such dimension, because when fitted the feature was present for all customers or for none.
    """

    name: str
    transform: Transform
    power: float
    low: float
    high: float
    median: float
    center: float
    scale: float
    weight: float
    indicator: float = 0.0

    @classmethod
    def fit(
        cls,
        name: str,
        values: NDArray[np.float64],
        transform: Transform,
        winsorize: tuple[float, float],
        scaling: Scaling,
        weight: float,
    ) -> "NumericColumn":
        """Fit to `values` (n,), NaN if missing. They are sorted first, so that sums do not depend on row order."""
        seen = np.sort(values[np.isfinite(values)])
        if seen.size == 0:
            return cls(name, transform, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, weight)
        low, high = _winsorised(seen, *winsorize)
        clipped = np.clip(seen, low, high)
        power = 1.0
        if transform == "yeo-johnson" and low < high:
            from scipy.stats import yeojohnson_normmax

            power = float(yeojohnson_normmax(clipped))
        moved = _forward(clipped, transform, power)
        center = float(moved.mean())
        spread = _spread(moved, scaling)
        if spread <= _CONSTANT_TOLERANCE * max(1.0, abs(center)):
            spread = 0.0
        # One standard deviation apart: enough for the clustering to see, too little to form segments of missing values by itself.
        indicator = float(np.sqrt(weight)) if np.isnan(values).any() else 0.0
        return cls(name, transform, power, low, high, float(np.median(seen)), center, spread, weight, indicator)

    def encode(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Customer units (n,) to geometry (n, 1 or 2): impute, winsorise, transform, scale, weigh; and mark missing values."""
        missing = np.isnan(values)
        if self.scale == 0.0:
            weighted = np.zeros(len(values))
        else:
            known = np.clip(np.where(missing, self.median, values), self.low, self.high)
            scaled = (_forward(known, self.transform, self.power) - self.center) / self.scale
            weighted = scaled * np.sqrt(self.weight) + 0.0  # + 0.0 makes -0.0 0.0: equal rows, equal bytes
        return np.column_stack([weighted, missing * self.indicator] if self.indicator else [weighted])

    @property
    def dimensions(self) -> tuple[str, ...]:
        return (self.name, f"{self.name}=(missing)") if self.indicator else (self.name,)

    def stretched(self, stretch: NDArray[np.float64]) -> "NumericColumn":
        """A copy whose dimensions are multiplied by `stretch` (one per dimension)."""
        indicator = self.indicator * float(stretch[1]) if self.indicator else 0.0
        return replace(self, weight=float(self.weight * stretch[0] ** 2), indicator=indicator)


@dataclass(frozen=True)
class CategoricalColumn:
    """A fitted categorical feature as one-hot columns, each scaled by 1/sqrt(share) as in FAMD (Pages, 2004).

    `levels` are kept values; None stands for missing. `pooled` says whether a last column collects all other levels: the
    rare ones and those not seen when fitting. A single level separates no customers, so its `scales` are 0.
    """

    name: str
    levels: tuple[str | None, ...]
    pooled: bool
    scales: tuple[float, ...]
    weight: float

    @classmethod
    def fit(cls, name: str, values: Sequence[str | None], min_share: float, max_levels: int, weight: float) -> "CategoricalColumn":
        """Fit the levels to `values` (n,). Levels rarer than `min_share`, or beyond the `max_levels` largest, are pooled."""
        series = pd.Series(values, dtype=object)
        n = max(len(series), 1)
        counts = series.dropna().astype(str).value_counts()
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))  # ties by name, never by row order
        kept = [level for level, count in ranked if count / n >= min_share][:max_levels]
        rest = int(counts.sum() - counts.reindex(kept).sum())
        missing = int(series.isna().sum())
        levels: list[str | None] = sorted(kept)
        sizes = [int(counts[level]) for level in levels]
        if missing:
            levels.append(None)
            sizes.append(missing)
        if rest:
            sizes.append(rest)
        # The share has a floor: a level seen once in a million must not put its customer a thousand units from all others.
        scales = [1.0 / np.sqrt(max(size / n, min_share)) for size in sizes]
        if len(sizes) < 2:
            scales = [0.0] * len(sizes)
        return cls(name, tuple(levels), rest > 0, tuple(float(s) for s in scales), weight)

    def encode(self, values: Sequence[str | None]) -> NDArray[np.float64]:
        """Levels (n,) to geometry (n, L). A level neither kept nor pooled gives a row of zeros, close to no level in particular."""
        series = pd.Series(values, dtype=object)
        codes = np.full(len(series), len(self.levels) if self.pooled else -1)
        text = series.astype(str)
        for position, level in enumerate(self.levels):
            mask = series.isna() if level is None else (text == level) & series.notna()
            codes[mask.to_numpy()] = position
        if None not in self.levels:
            # Missing values are unknown if fitting saw none, not "some other level".
            codes[series.isna().to_numpy()] = -1
        width = len(self.scales)
        one_hot = codes[:, None] == np.arange(width)[None, :]
        return np.asarray(one_hot * (np.array(self.scales) * np.sqrt(self.weight))[None, :], dtype=np.float64)

    def stretched(self, stretch: NDArray[np.float64]) -> "CategoricalColumn":
        """A copy whose dimensions are multiplied by `stretch` (one per dimension)."""
        return replace(self, scales=tuple(float(s) for s in np.array(self.scales) * stretch))

    @property
    def dimensions(self) -> tuple[str, ...]:
        names = ["(missing)" if level is None else level for level in self.levels]
        return tuple(f"{self.name}={level}" for level in [*names, *(["(other)"] if self.pooled else [])])


def _winsorised(seen: NDArray[np.float64], lower: float, upper: float) -> tuple[float, float]:
    """Lowest and highest value to keep of sorted values (n,). If an end's share is less than one customer, nothing is clipped there,
    because that would make different customers identical."""
    low, high = float(seen[0]), float(seen[-1])
    # Quantiles round inwards to an observed value, so that a single extreme customer of enough is clipped.
    if lower * len(seen) >= 1 - _WHOLE_TOLERANCE:
        low = float(np.quantile(seen, lower, method="higher"))
    if (1 - upper) * len(seen) >= 1 - _WHOLE_TOLERANCE:
        high = float(np.quantile(seen, upper, method="lower"))
    return (low, high) if low <= high else (float(seen[0]), float(seen[-1]))


def _spread(values: NDArray[np.float64], scaling: Scaling) -> float:
    """Standard deviation, range, or interquartile range in Gaussian units; the standard deviation if the quartile range is zero."""
    if scaling == "range":
        return float(values[-1] - values[0]) if values[-1] >= values[0] else float(np.ptp(values))
    if scaling == "robust":
        quartiles = np.quantile(values, [0.25, 0.75])
        if quartiles[1] > quartiles[0]:
            return float((quartiles[1] - quartiles[0]) / _GAUSSIAN_IQR)
    return float(values.std())


Column = NumericColumn | CategoricalColumn


def _forward(values: NDArray[np.float64], transform: Transform, power: float) -> NDArray[np.float64]:
    if transform == "log":
        return np.sign(values) * np.log1p(np.abs(values))
    if transform == "yeo-johnson":
        from scipy.stats import yeojohnson

        return np.asarray(yeojohnson(values, lmbda=power), dtype=np.float64)
    return values
