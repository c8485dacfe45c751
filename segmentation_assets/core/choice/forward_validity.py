"""Forward validity: what the segments of one snapshot say about the following window.

Belongs here: the arithmetic. Callers must pass only outcomes that are already known.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from segmentation_assets.core.choice.rfm_grid import rfm_grid
from segmentation_assets.vocabulary import Status


@dataclass(frozen=True)
class ForwardValidity:
    """Share of an outcome's variance that segments explain, the same for the baseline, and the difference with its percentile
    bootstrap interval over customers (Efron and Tibshirani, 1993). `groups` and `baseline_groups` are numbers of groups."""

    eta_squared: float
    baseline_eta_squared: float
    gain: float
    gain_low: float
    gain_high: float
    groups: int
    baseline_groups: int
    customers: int


def eta_squared(outcome: ArrayLike, groups: ArrayLike) -> float:
    """Between-group over total sum of squares of `outcome` (n,) by `groups` (n,) (Pearson, 1905). 0 for one group, the k = 1
    baseline; NaN if the outcome does not vary, because there is nothing to explain."""
    values, codes = np.asarray(outcome, dtype=np.float64), pd.factorize(np.asarray(groups))[0]
    return float(_eta(values[None, :], codes, np.ones((1, len(values))))[0])


def forward_validity(
    outcome: ArrayLike,
    groups: ArrayLike,
    baseline: ArrayLike,
    seed: int,
    resamples: int = 1000,
    level: float = 0.95,
    interval_rows: int = 20_000,
) -> ForwardValidity:
    """How much of `outcome` (n,) the `groups` (n,) explain, compared with `baseline` (n,), other labels of the same customers.

    Both are resampled together, so the interval is for the difference. It is computed from at most `interval_rows` customers,
    which can only make it wider. ValueError unless all three have the same number of customers.
    """
    values = np.asarray(outcome, dtype=np.float64)
    ours, theirs = pd.factorize(np.asarray(groups))[0], pd.factorize(np.asarray(baseline))[0]
    if not len(values) == len(ours) == len(theirs) > 0:
        raise ValueError(f"outcome, groups and baseline have {len(values)}, {len(ours)}, {len(theirs)} customers; align them first")
    if np.isnan(values).any():
        raise ValueError("some outcomes are missing; a customer without orders in the next window has an outcome of 0")
    rng = np.random.default_rng(seed)
    rows = np.arange(len(values))
    if len(rows) > interval_rows:
        rows = np.sort(rng.choice(len(rows), interval_rows, replace=False))
    gains = np.concatenate([_gains(values[rows], ours[rows], theirs[rows], rng, min(50, resamples - i)) for i in range(0, resamples, 50)])
    tail = (1 - level) / 2
    measured = gains[np.isfinite(gains)]  # a draw of customers who all spent the same has nothing to explain
    low, high = np.quantile(measured, [tail, 1 - tail]) if len(measured) else (np.nan, np.nan)
    eta, base = eta_squared(values, ours), eta_squared(values, theirs)
    return ForwardValidity(eta, base, eta - base, float(low), float(high), int(ours.max()) + 1, int(theirs.max()) + 1, len(values))


def segment_outcomes(outcome: ArrayLike, groups: ArrayLike) -> pd.DataFrame:
    """Per segment: `customers`, `mean_outcome`, the share of customers with any, and `lift`, its mean divided by that of all customers."""
    frame = pd.DataFrame({"segment": np.asarray(groups), "outcome": np.asarray(outcome, dtype=np.float64)})
    table = frame.groupby("segment")["outcome"].agg(
        customers="size", mean_outcome="mean", active_share=lambda values: float((values > 0).mean())
    )
    overall = float(frame["outcome"].mean())
    return table.assign(lift=table["mean_outcome"] / overall if overall else np.nan).reset_index()


def window_outcomes(customer_id: pd.Series, activity: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Spend (n,), 0 if returns exceed it, and whether the customer ordered anything (n,), in the window of `activity`."""
    sums = activity[["spend", "orders"]].astype(float).groupby(activity["customer_id"]).sum()
    own = sums.reindex(customer_id, fill_value=0.0)
    return np.maximum(own["spend"].to_numpy(), 0.0), (own["orders"].to_numpy() > 0).astype(np.float64)


def foretold(before: pd.DataFrame, placed: pd.DataFrame, activity: pd.DataFrame, seed: int) -> dict[str, float]:
    """How well the previous snapshot's segments explain the window since, and how well its RFM grid does; value by metric.

    `before` and `placed` are that snapshot's rows of customer_features and customer_segments, `activity` is customer_activity since.
    Empty if nobody was active then. One segment for everyone, the k = 1 baseline, has an eta squared of 0.
    """
    customers = before.loc[before["status"] == Status.ACTIVE, ["customer_id", "recency_days", "frequency"]]
    customers = customers.dropna().merge(placed[["customer_id", "segment_name"]], on="customer_id", validate="1:1")
    if customers.empty:
        return {}
    grid = rfm_grid(customers["recency_days"], customers["frequency"])["segment"]
    spend, bought = window_outcomes(customers["customer_id"], activity)
    found: dict[str, float] = {}
    for name, outcome in (("spend", np.log1p(spend)), ("active", bought)):
        said = forward_validity(outcome, customers["segment_name"], grid, seed)
        found |= {
            f"forward_{name}_eta_squared": said.eta_squared, f"forward_{name}_eta_squared_rfm_grid": said.baseline_eta_squared,
            f"forward_{name}_gain": said.gain, f"forward_{name}_gain_low": said.gain_low, f"forward_{name}_gain_high": said.gain_high,
        }  # fmt: skip
    for row in segment_outcomes(spend, customers["segment_name"]).itertuples():
        found |= {f"forward_mean_spend: {row.segment}": row.mean_outcome, f"forward_lift: {row.segment}": row.lift}
        found |= {f"forward_active_share: {row.segment}": float(bought[(customers["segment_name"] == row.segment).to_numpy()].mean())}
    return found


def _gains(
    values: NDArray[np.float64], ours: NDArray[Any], theirs: NDArray[Any], rng: np.random.Generator, resamples: int
) -> NDArray[np.float64]:
    counts = rng.multinomial(len(values), np.full(len(values), 1 / len(values)), size=resamples).astype(np.float64)
    return _eta(values[None, :], ours, counts) - _eta(values[None, :], theirs, counts)


def _eta(values: NDArray[np.float64], codes: NDArray[Any], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Eta squared (b,) for each row of `counts` (b, n): how often each customer was drawn."""
    centred = values - values.mean()  # sums of squares of large amounts would lose precision
    groups = np.eye(int(codes.max()) + 1)[codes]
    sizes, sums = counts @ groups, (counts * centred) @ groups
    n, total_sum = counts.sum(axis=1), (counts * centred).sum(axis=1)
    total = (counts * centred**2).sum(axis=1) - total_sum**2 / n
    between = np.divide(sums**2, sizes, out=np.zeros_like(sums), where=sizes > 0).sum(axis=1) - total_sum**2 / n
    share = np.full(len(n), np.nan)
    return np.asarray(np.divide(between, total, out=share, where=total > 1e-12 * n), dtype=np.float64)
