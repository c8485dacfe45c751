"""Forward validity: what the segments of one snapshot say about the following window.

Belongs here: the arithmetic. Callers must pass only outcomes that are already known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from segmentation_assets.core.choice.baselines import RFM, baselines
from segmentation_assets.core.customers.columns import Customers
from segmentation_assets.vocabulary import Status

Name = TypeVar("Name", bound=str)
SPEND, BOUGHT = "spend_since", "bought_since"
SUMMED = 10_000  # customers whose values are summed at once


@dataclass(frozen=True)
class ForwardValidity:
    """Share of an outcome's variance that segments explain, the same for the baseline, and the difference with its percentile
    bootstrap interval over customers (Efron and Tibshirani, 1993)."""

    eta_squared: float
    baseline_eta_squared: float
    gain: float
    gain_low: float
    gain_high: float


def eta_squared(outcome: ArrayLike, groups: ArrayLike) -> float:
    """Between-group over total sum of squares of `outcome` (n,) by `groups` (n,) (Pearson, 1905). 0 for one group, the k = 1
    baseline; NaN if the outcome does not vary, because there is nothing to explain."""
    return _etas(np.asarray(outcome, dtype=np.float64), [_codes(groups)])[0]


def _codes(groups: ArrayLike) -> NDArray[np.integer[Any]]:
    """The groups (n,) as small numbers from 0 on, in the order in which they occur; -1 if missing."""
    codes = pd.factorize(groups if isinstance(groups, pd.Series) else np.asarray(groups))[0]
    return codes.astype(np.int16 if codes.max(initial=0) < np.iinfo(np.int16).max else np.int32)


def _etas(values: NDArray[np.float64], labels: Sequence[NDArray[np.integer[Any]]]) -> list[float]:
    """`eta_squared` of the values (n,) by each of the labels (n,), from sums of each group: with as many columns as there are groups, the
    customers would take ten times as much memory."""
    centred, n = values - values.mean(), len(values)  # sums of squares of large amounts would lose digits
    common = centred.sum() ** 2 / n
    total = centred @ centred - common
    if not total > 1e-12 * n:
        return [np.nan] * len(labels)
    found = []
    for codes in labels:
        sizes, sums = _sums(centred, codes)
        found.append(float((np.divide(sums**2, sizes, out=np.zeros_like(sums), where=sizes > 0).sum() - common) / total))
    return found


def _sums(values: NDArray[np.float64], codes: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """The size of each group, and the sum of its values: two rows, by group. Sums of parts keep more digits than one after the other."""
    groups, found = int(codes.max()) + 2, []
    for start in range(0, len(values), SUMMED):
        own = codes[start : start + SUMMED] + 1  # those without a group are first
        found.append([np.bincount(own, minlength=groups), np.bincount(own, values[start : start + SUMMED], groups)])
    return np.asarray(np.sum(found, axis=0)[:, 1:], dtype=np.float64)


def forward_validity(outcome: ArrayLike, groups: ArrayLike, baseline: ArrayLike, seed: int, **resampling: Any) -> ForwardValidity:
    """How much of `outcome` (n,) the `groups` (n,) explain, beside `baseline` (n,): other labels of the same customers. As `compared`."""
    return compared({"": outcome}, groups, {"": baseline}, seed, **resampling)[""][""]


def compared(
    outcomes: Mapping[str, ArrayLike],
    groups: ArrayLike,
    others: Mapping[Name, ArrayLike],
    seed: int,
    resamples: int = 1000,
    level: float = 0.95,
    interval_rows: int = 20_000,
) -> dict[str, dict[Name, ForwardValidity]]:
    """How much of each of the `outcomes` (n,) the `groups` (n,) explain, compared with each of `others`: other labels of the same
    customers. By the names of outcomes and others.

    All are resampled together, so each interval is for a difference, and the outcomes share the resamples, which take most of the time.
    An interval is computed from at most `interval_rows` customers, which can only make it wider. ValueError unless all have the same
    number of customers.
    """
    known = {name: np.asarray(outcome, dtype=np.float64) for name, outcome in outcomes.items()}
    labels = [_codes(found) for found in (groups, *others.values())]
    sizes = [len(found) for found in (*known.values(), *labels)]
    if not all(sizes) or len(set(sizes)) > 1:
        raise ValueError(f"outcomes, groups and the others have {', '.join(map(str, sizes))} customers; align them first")
    if any(np.isnan(values).any() for values in known.values()):
        raise ValueError("some outcomes are missing; a customer without orders in the next window has an outcome of 0")
    etas = resampled_etas(list(known.values()), labels, seed, resamples, interval_rows)
    return {name: beside_others(_etas(known[name], labels), found, list(others), level) for name, found in zip(known, etas, strict=True)}


def resampled_etas(
    outcomes: Sequence[NDArray[np.float64]], labels: Sequence[NDArray[np.integer[Any]]], seed: int, resamples: int, most_rows: int
) -> list[NDArray[np.float64]]:
    """For each outcome (n,), eta squared (groupings, resamples) by each of the labels (n,), over bootstrap resamples of `most_rows`
    customers or all of them."""
    rng = np.random.default_rng(seed)
    rows = np.arange(len(labels[0]))
    if len(rows) > most_rows:
        rows = np.sort(rng.choice(len(rows), most_rows, replace=False))
    n, sampled = len(rows), _Groups.of([found[rows] for found in labels])
    seen, drawn = [values[rows] for values in outcomes], []
    for begin in range(0, resamples, 50):
        counts = np.array([np.bincount(rng.integers(n, size=n), minlength=n) for _ in range(min(50, resamples - begin))], dtype=np.float64)
        drawn.append(sampled.eta(seen, counts))
    return [np.concatenate(batches, axis=1) for batches in zip(*drawn, strict=True)]


def beside_others(
    measured: Sequence[float], drawn: NDArray[np.float64], others: Sequence[Name], level: float = 0.95
) -> dict[Name, ForwardValidity]:
    """The first of the groupings compared with each of the others, from the eta squared of each, and in each draw (groupings, draws)."""
    ours, *theirs = drawn
    eta, *etas = measured
    found = {}
    for name, theirs_drawn, base in zip(others, theirs, etas, strict=True):
        low, high = _interval(ours - theirs_drawn, level)
        found[name] = ForwardValidity(eta, base, eta - base, low, high)
    return found


def _interval(gains: NDArray[np.float64], level: float) -> tuple[float, float]:
    measured = gains[np.isfinite(gains)]  # a draw of customers who all spent the same has nothing to explain
    tail = (1 - level) / 2
    low, high = np.quantile(measured, [tail, 1 - tail]) if len(measured) else (np.nan, np.nan)
    return float(low), float(high)


def segment_outcomes(outcome: ArrayLike, groups: ArrayLike) -> pd.DataFrame:
    """Per segment: `customers`, `mean_outcome`, the share of customers with any, and `lift`, its mean divided by that of all customers."""
    values, segments = pd.Series(np.asarray(outcome, dtype=np.float64)), pd.Categorical(groups)
    table = values.groupby(segments, observed=True).agg(customers="size", mean_outcome="mean")
    active = (values > 0).groupby(segments, observed=True).sum()
    overall = float(values.mean())
    found = table.assign(active_share=active / table["customers"], lift=table["mean_outcome"] / overall if overall else np.nan)
    return found.rename_axis("segment").reset_index().astype({"segment": segments.categories.dtype})


def with_outcomes(customers: ir.Table, activity: ir.Table) -> ir.Table:
    """The customers in the order of their ids, with their SPEND, 0 if returns exceed it, and whether they BOUGHT anything, in the window of
    `activity`."""
    sums = activity.group_by("customer_id").agg(
        **{SPEND: activity.spend.sum().cast("float64"), BOUGHT: (activity.orders.sum() > 0).cast("float64")}
    )
    joined = customers.left_join(sums, "customer_id").drop("customer_id_right")
    known = {name: ibis.coalesce(joined[name], 0.0) for name in (SPEND, BOUGHT)}
    return joined.mutate(**known | {SPEND: ibis.greatest(known[SPEND], 0.0)}).order_by("customer_id")


def followed(before: ir.Table, placed: ir.Table, activity: ir.Table) -> ir.Table:
    """What `forward_metrics` needs of the customers who were active at the previous snapshot, without their ids.

    Args:
        before, placed: that snapshot's rows of customer_features and customer_segments. activity: customer_activity since.
    """
    active = before.filter(before.status == Status.ACTIVE).select("customer_id", *RFM).drop_null(list(RFM))
    inside = active.inner_join(placed.select("customer_id", "segment_name"), "customer_id")
    return with_outcomes(inside, activity).drop("customer_id")


def forward_metrics(customers: Customers, seed: int) -> dict[str, float]:
    """How well the previous snapshot's segments explain the window since, and how well its baselines do; value by metric.

    Args:
        customers: the rows of `followed`, with the names as categories, of which a column is read after the other. Without any, the
            metrics are empty.

    One segment for everyone, the k = 1 baseline, has an eta squared of 0.
    """
    if customers.empty:
        return {}
    segments = customers["segment_name"]
    others = baselines(customers, segments.nunique())
    spend, bought = (customers[name].to_numpy() for name in (SPEND, BOUGHT))
    found: dict[str, float] = {}
    for name, explained in compared({"spend": np.log1p(spend), "active": bought}, segments, others, seed).items():
        for baseline, said in explained.items():
            found |= {
                f"forward_{name}_eta_squared": said.eta_squared, f"forward_{name}_eta_squared_{baseline}": said.baseline_eta_squared,
                f"forward_{name}_gain_over_{baseline}": said.gain, f"forward_{name}_gain_over_{baseline}_low": said.gain_low,
                f"forward_{name}_gain_over_{baseline}_high": said.gain_high,
            }  # fmt: skip
    for row in segment_outcomes(spend, segments).itertuples():
        found |= {f"forward_customers: {row.segment}": float(row.customers)}
        found |= {f"forward_mean_spend: {row.segment}": row.mean_outcome, f"forward_lift: {row.segment}": row.lift}
        found |= {f"forward_active_share: {row.segment}": float(bought[(segments == row.segment).to_numpy()].mean())}
    return found


@dataclass(frozen=True, eq=False)
class _Groups:
    """Groupings of the same customers side by side: who is in which group (n, groups of all), and where each grouping starts."""

    members: NDArray[np.float64]
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, labels: Sequence[NDArray[Any]]) -> "_Groups":
        starts = np.cumsum([0, *(int(codes.max()) + 1 for codes in labels)])
        members = np.zeros((len(labels[0]), starts[-1]))
        for start, stop, codes in zip(starts, starts[1:], labels, strict=False):
            for group in range(stop - start):
                members[:, start + group] = codes == group
        return cls(members, starts[:-1])

    def eta(self, outcomes: Sequence[NDArray[np.float64]], counts: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        """For each outcome (n,), eta squared (groupings, b) by each row of `counts` (b, n): how often each customer was drawn."""
        sizes, n = counts @ self.members, counts.sum(axis=1)
        return [
            self._eta(values - values.mean(), counts, sizes, n) for values in outcomes
        ]  # sums of squares of large amounts would lose digits

    def _eta(
        self, centred: NDArray[np.float64], counts: NDArray[np.float64], sizes: NDArray[np.float64], n: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        weighted = counts * centred
        sums, total_sum = weighted @ self.members, weighted.sum(axis=1)
        total = weighted @ centred - total_sum**2 / n
        squares = np.divide(sums**2, sizes, out=np.zeros_like(sums), where=sizes > 0)
        between = np.add.reduceat(squares, self.starts, axis=1).T - total_sum**2 / n
        share = np.full(between.shape, np.nan)
        return np.asarray(np.divide(between, total, out=share, where=total > 1e-12 * n), dtype=np.float64)
