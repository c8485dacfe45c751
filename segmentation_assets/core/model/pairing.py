"""Tests of change that know who is in both snapshots.

Belongs here: which customers those are, and what follows for p-values. Bins, sizes of changes and the report are in `drift`.

Most customers of today were there at training, and buy much as they did. Two such snapshots differ less than two independent draws:
a test that takes them for that alarms too rarely, and finds too little. Here each customer is drawn as a whole, with what they were
at training and what they are now; if nothing has changed, the two could as well be the other way round.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segmentation_assets.core.model import drift
from segmentation_assets.core.model.drift import Reference, Shift
from segmentation_assets.vocabulary import DriftTest

# Above it, both tests find any PSI from 0.003 on; only the reading of a second snapshot would cost something.
MOST_CUSTOMERS = 20_000
ABSENT = -1
WORD = 32  # bits; more coins than that are tossed as a normal number
SMALLEST = 1e-9  # of the largest variance: what is below is none


@dataclass(frozen=True, eq=False)
class Pairing:
    """Each customer (u,) of either snapshot, by id: their row at training and their row now, `ABSENT` where they were not or are not
    active."""

    then: NDArray[np.int64]
    now: NDArray[np.int64]

    def of(self, chosen: NDArray[np.bool_]) -> "Pairing":
        """These customers (u,) only."""
        return Pairing(self.then[chosen], self.now[chosen])


def paired(then: pd.Series, now: pd.Series) -> Pairing | None:
    """Who is who, by customer ids (n,) and (m,), each of which is unique; None if no customer is in both."""
    before, after = pd.Index(then), pd.Index(now)
    known = before.union(after).sort_values()
    found = Pairing(before.get_indexer(known), after.get_indexer(known))
    return found if ((found.then != ABSENT) & (found.now != ABSENT)).any() else None


def paired_psi_shift(reference: Reference, then: pd.Series, now: pd.Series, same: Pairing, draws: int, seed: int) -> Shift:
    """PSI of `now` (m,) against `then` (n,), and the probability of as large a change had nothing changed.

    The statistic is that of Stuart (1955) and Maxwell (1970) for marginal homogeneity, over all customers, and its null distribution
    that of exchanging each customer's two bins or not. To be absent is a bin of its own there, because how many come and go is chance as
    well: to deal those who left and those who came among themselves alarms too often where they differ from those who stay. Bins of
    text are the levels that at least 1% have in both snapshots together, which no exchange changes.
    """
    if not len(then) or not len(now):
        return Shift(np.nan, np.nan, DriftTest.PAIRED)
    if reference.categorical:
        reference = replace(reference, levels=drift.common_levels(then, now))
    moves = _moves(reference.bins(then), reference.bins(now), same, reference.size)
    before, after = moves.sum(axis=1)[:-1], moves.sum(axis=0)[:-1]
    n, m, used = int(before.sum()), int(after.sum()), before + after > 0
    if not n or not m:
        return Shift(np.nan, np.nan, DriftTest.PAIRED)
    came_from, went_to = np.nonzero(moves)
    customers = moves[came_from, went_to]
    pulls = _pulls(before, after)
    directions = _uncorrelated(pulls[1][went_to] - pulls[0][came_from], customers)
    rng = drift.subject_rng(reference.subject, seed)

    def exchanged(size: int) -> NDArray[np.float64]:
        return np.square(_coins(customers, size, rng) @ directions).sum(axis=1, dtype=np.float64)

    value = float(drift.psi_of_counts(before[used], after[used], n, m))
    observed = float(np.square(customers.astype(np.float32) @ directions).sum(dtype=np.float64))
    return Shift(value, drift.simulated_p_value(exchanged, observed * (1 - 1e-5), draws), DriftTest.PAIRED)


def _moves(then: NDArray[np.int64], now: NDArray[np.int64], same: Pairing, size: int) -> NDArray[np.int64]:
    """Customers by the bin they were in and the bin they are in (size + 1, size + 1); the last is to be absent."""
    came_from, went_to = np.append(then, size)[same.then], np.append(now, size)[same.now]
    moves = np.bincount(came_from * (size + 1) + went_to, minlength=(size + 1) ** 2).reshape(size + 1, size + 1)
    moves[size, size] = 0
    return moves


def _pulls(before: NDArray[np.int64], after: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What a customer in each bin, or absent, adds to each bin's share at training and now (size + 1, size): nothing on average."""
    pooled = (before + after) / (before.sum() + after.sum())
    own = np.vstack([np.eye(len(pooled)) - pooled, np.zeros(len(pooled))])
    return own / before.sum(), own / after.sum()


def _uncorrelated(pulls: NDArray[np.float64], customers: NDArray[np.int64]) -> NDArray[np.float32]:
    """Pulls (c, size), of as many customers each, in directions in which their exchange has variance 1 and no covariance."""
    variances, axes = np.linalg.eigh((pulls * customers[:, None]).T @ pulls)
    varies = variances > SMALLEST * max(variances[-1], np.finfo(np.float64).tiny)
    return (pulls @ (axes[:, varies] / np.sqrt(variances[varies]))).astype(np.float32)


def _coins(customers: NDArray[np.int64], size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """How many of these customers (c,) keep their order, less how many exchange it (size, c): a coin for each."""
    tossed = np.minimum(customers, WORD).astype(np.uint32)
    words = rng.integers(0, 2**WORD, (size, len(customers)), dtype=np.uint32) >> (WORD - tossed)
    heads = np.bitwise_count(words).astype(np.float32)
    coins = np.asarray(2 * heads - tossed.astype(np.float32), dtype=np.float32)
    many = customers > WORD
    coins[:, many] = rng.standard_normal((size, int(many.sum())), dtype=np.float32) * np.sqrt(customers[many]).astype(np.float32)
    return coins


def paired_joint_shift(then: NDArray[np.float64], now: NDArray[np.float64], same: Pairing, seed: int) -> Shift:
    """`drift.joint_shift` of points (n, d) against points (m, d), where a customer's two points are in the same half.

    The variance of the area under the curve is that of exchanging each customer's two ranks or not.
    """
    from scipy import stats

    size = min(len(then), len(now), drift.SAMPLE)
    if size < drift.FEWEST_COMPARED or not then.shape[1]:
        return Shift(np.nan, np.nan, DriftTest.PAIRED)
    drawn = np.random.default_rng([seed, size]).permutation(len(same.then))
    learnt = np.argsort(drawn) % 2 == 0  # from every other customer in the order drawn
    before, after = (drawn[rows[drawn] != ABSENT][:size] for rows in (same.then, same.now))
    learn, test = ([then[same.then[before[h[before]]]], now[same.now[after[h[after]]]]] for h in (learnt, ~learnt))
    n, m = map(len, test)
    ranks = stats.rankdata(np.concatenate(drift.separating_scores(learn, test)))
    centred, pulls = ranks - ranks.mean(), np.zeros(len(drawn))
    pulls[before[~learnt[before]]] -= centred[:n] / n
    pulls[after[~learnt[after]]] += centred[n:] / m
    auc = (ranks[n:].sum() - m * (m + 1) / 2) / (n * m)
    error = float(np.sqrt(np.square(pulls).sum()))
    return Shift(float(auc), float(stats.norm.sf(pulls.sum() / error)) if error else 1.0, DriftTest.PAIRED)
