"""Has the population changed since the model was trained? The population stability index against a kept reference."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

BINS = 10
# Customers who stay get older with every snapshot, so tenure always drifts; that says nothing about them.
GROWS_WITH_TIME = {"tenure_days"}
# A share of zero would make the index infinite: no bin counts less than half a customer.
HALF_A_CUSTOMER = 0.5


@dataclass(frozen=True)
class Reference:
    """How one feature was spread over customers at training: `edges` (b-1,) between bins, `shares` (b+1,), missing last."""

    subject: str
    edges: tuple[float, ...]
    shares: tuple[float, ...]
    customers: int


def reference_of(subject: str, values: pd.Series) -> Reference:
    """Deciles of `values` as bins (fewer where values repeat), and the share of customers in each; missing is a bin."""
    present = values.dropna().to_numpy(dtype=np.float64)
    quantiles = np.quantile(present, np.linspace(0, 1, BINS + 1)[1:-1], method="lower") if len(present) else np.array([])
    edges = np.unique(quantiles[quantiles < present.max()]) if len(present) else quantiles
    if len(present) and present.min() == present.max():  # a constant: any other value, above or below, is a change
        edges = np.array([np.nextafter(present[0], -np.inf), present[0]])
    return Reference(subject, tuple(edges.tolist()), tuple(_shares(values, edges).tolist()), len(values))


def feature_psi(reference: Reference, values: pd.Series) -> float:
    """PSI of `values` against the reference; NaN where either side has no customers."""
    return psi(np.array(reference.shares), _shares(values, np.array(reference.edges)), reference.customers, len(values))


def psi(expected: NDArray[np.float64], actual: NDArray[np.float64], expected_customers: int, actual_customers: int) -> float:
    """Population stability index of shares (b,): sum of (actual - expected) * ln(actual / expected). NaN if either is empty."""
    if not expected_customers or not actual_customers:
        return float("nan")
    used = (expected > 0) | (actual > 0)
    e = np.maximum(expected[used], HALF_A_CUSTOMER / expected_customers)
    a = np.maximum(actual[used], HALF_A_CUSTOMER / actual_customers)
    return float(np.sum((a - e) * np.log(a / e)))


def mix_psi(expected: dict[int, float], expected_customers: int, segment_ids: pd.Series) -> float:
    """PSI of the segment mix: shares by segment id at training against those of `segment_ids` now."""
    now = segment_ids.value_counts(normalize=True)
    ids = sorted({*expected, *now.index})
    before, after = (np.array([float(shares.get(i, 0.0)) for i in ids]) for shares in (expected, now))
    return psi(before, after, expected_customers, len(segment_ids))


def _shares(values: pd.Series, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of customers in each bin (upper edges belong to the bin below), missing last; zeros where there are none."""
    present = values.dropna().to_numpy(dtype=np.float64)
    counts = np.bincount(np.searchsorted(edges, present, side="left"), minlength=len(edges) + 1)
    return np.append(counts, len(values) - len(present)) / max(len(values), 1)
