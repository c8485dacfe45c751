"""The choice, in two tiers: distinct segments if there are any, else a convenient partition of a continuum, labelled as one.

Belongs here: the rule, its sentences, and judging a convenient partition against a grid of as many groups. `candidates` fits and
measures the candidates.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segmentation_assets.core.choice.baselines import RFM, baselines
from segmentation_assets.core.choice.candidates import Candidate, Samples, evaluate, objections
from segmentation_assets.core.choice.forward_validity import ForwardValidity, compared
from segmentation_assets.core.choice.grid_model import FREQUENCY, RECENCY
from segmentation_assets.core.choice.rfm_grid import rfm_grid
from segmentation_assets.core.clustering.algorithm import ClusteringError, canonical_order, fit_model, require_clusterable, to_model
from segmentation_assets.core.clustering.families import FAMILIES
from segmentation_assets.core.clustering.prototypes import PrototypeModel
from segmentation_assets.settings.model import ModelSettings
from segmentation_assets.vocabulary import BASELINE_WORDS, Baseline, Tier, beside, counted, points

if TYPE_CHECKING:
    from segmentation_assets.core.clustering.preprocessing import FeaturePreprocessor

__all__ = [
    "Candidate",
    "Decision",
    "PastSnapshot",
    "Selection",
    "choose",
    "decide",
    "judge",
    "labels_one_snapshot_back",
]
ACTING = ", which is no reason against the model: segments are for acting, not for forecasting"
LEAST_FOR_VALLEY = 50  # customers of a cluster; with fewer, the gate's halves have no more than two dozen of them
PREDICTED = 0.9  # prediction strength; where small clusters split true groups, it was up to 0.86 (docs/model.md)
LARGEST_LOSS = 0.02  # share of the spend that follows by which a convenient partition may fall short of a grid of as many groups


@dataclass(frozen=True, eq=False)
class PastSnapshot:
    """The previous snapshot and what has happened since: `features` of its customers, `outcome` (n,), such as log1p of spend
    in the following window, and recency, frequency and monetary value (`rfm`) if the features lack them."""

    features: pd.DataFrame
    outcome: NDArray[np.float64]
    rfm: pd.DataFrame | None = None


@dataclass(frozen=True, eq=False)
class Selection:
    """What was chosen and why. In tier GRID, `model` is None and `grid` is published. `validity`, by baseline, is
    None if not yet validated."""

    model: PrototypeModel | None
    tier: Tier
    reason: str
    candidates: tuple[Candidate, ...]
    grid: pd.DataFrame | None
    validity: Mapping[Baseline, ForwardValidity] | None


def choose(
    features: pd.DataFrame,
    settings: ModelSettings,
    preprocessor: "FeaturePreprocessor | None" = None,
    rfm: pd.DataFrame | None = None,
    past: PastSnapshot | None = None,
    diagnostics: bool = True,
    has_orders: bool = True,
) -> Selection:
    """Choose a segmentation of `features` (n active customers, p features that enter the geometry).

    `rfm` has recency and frequency for the grid, on the same rows, if `features` lacks them. `past` allows judging a convenient
    partition one snapshot back; `diagnostics` is as in `evaluate`. If the source `has_orders`, the reason says how it was validated.
    ClusteringError if there are no customers or all are alike.
    """
    from segmentation_assets.core.clustering.preprocessing import FeaturePreprocessor

    fitted = (preprocessor or FeaturePreprocessor()).fitted_to(features)
    points = canonical_order(fitted.transform(features))
    require_clusterable(points, 2)
    samples = Samples.of(points, settings)
    candidates = evaluate(samples, settings, diagnostics)
    decision = decide(candidates, settings, has_orders)
    taken, tier, reason = decision.taken, decision.tier, decision.reason
    final = FAMILIES[taken.algorithm](settings).sweep.fit(points, (taken.k,), settings.seed)[taken.k]
    model: PrototypeModel | None = to_model(final, fitted, taken.algorithm, settings.seed)
    grid = _grid(features if rfm is None else rfm)
    validity = judge(past, taken, settings, preprocessor) if past is not None else None
    if tier == Tier.CONVENIENT:
        told, kept = _validated(reason, validity) if has_orders else (reason, True)
        if kept:
            reason = told
        elif grid is not None:
            model, tier, reason = None, Tier.GRID, _instead_of(taken) + told.removeprefix(reason)
    return Selection(
        model=model,
        tier=tier,
        reason=reason,
        candidates=_with_reasons(candidates, taken, tier, reason, settings),
        grid=grid,
        validity=validity,
    )


@dataclass(frozen=True)
class Decision:
    """The chosen candidate, its tier, and the sentence that says why."""

    taken: Candidate
    tier: Tier
    reason: str


def decide(candidates: tuple[Candidate, ...], settings: ModelSettings, has_orders: bool = True) -> Decision:
    """Tier DISTINCT if a candidate passes every test, else CONVENIENT at the business's k, or at `fallback_k` if that dissolves.

    Tables of customers without orders are often small: there, stable clusters that are too small for the valley gate may go before fewer
    distinct segments. With orders that rule has not been calibrated.
    """
    distinct = [c for c in candidates if not objections(c, settings)]
    # Silhouettes are comparable, being in the space that all share; a further tie goes to the simpler algorithm, listed first.
    best = max(distinct, key=lambda c: (c.k, c.silhouette), default=None)
    if best is not None and not has_orders and (finer := _finer(best, candidates, settings)):
        better = beside(finer.silhouette, best.silhouette, 2)
        reason = (
            f"Not proven to be distinct segments, but found again when resampled (weakest {finer.stability}) and in either half of "
            f"the customers (prediction strength {finer.prediction_strength:.2f}): k-means cuts customers into {finer.k}, which fit them "
            f"better (silhouette {better}) than the {best.k} that are proven ({best.silhouette:.2f}). Its smallest cluster has "
            f"{counted(finer.smallest_count, 'customer')}, too few to show a valley."
        )
        return Decision(finer, Tier.CONVENIENT, reason)
    if best is not None:
        smallest = beside(best.smallest_share, settings.min_share, 1, "%")
        reason = (
            f"Distinct segments: {best.algorithm} with k = {best.k} is the largest k whose clusters are all stable (weakest "
            f"{best.stability}), large enough (smallest {smallest}) and separated by a valley "
            f"from their neighbours (p = {best.p_value(settings)})."
        )
        return Decision(best, Tier.DISTINCT, reason)
    kmeans = {c.k: c for c in candidates if c.algorithm == "kmeans" and c.k > 1}
    business = kmeans.get(settings.k) or kmeans[max(kmeans)]
    fallback = kmeans.get(settings.fallback_k)
    asked = business.k == settings.k
    opening = "A convenient partition of a continuum, not distinct segments: no candidate passed every test of distinctness"
    if business.dissolves(settings) and fallback is not None and fallback.k < business.k:
        tried = f"the business's k = {business.k}" if asked else f"k = {business.k}"
        reason = (
            f"{opening}, so k-means cuts it into {fallback.k}; {tried} has a cluster that dissolves when resampled ({business.stability})."
        )
        return Decision(fallback, Tier.CONVENIENT, reason)
    why = ", the business's number of segments" if asked else f": customers differ too little for the business's {settings.k}"
    found = f"weakest {business.stability}, {business.reading}"
    reason = f"{opening}, so k-means cuts it into {business.k}{why} ({found})."
    return Decision(business, Tier.CONVENIENT, reason)


def _finer(best: Candidate, candidates: tuple[Candidate, ...], settings: ModelSettings) -> Candidate | None:
    """k-means with more clusters than the distinct segments `best`, which fits better, is stable, is predicted by the other half of the
    customers (Tibshirani and Walther, 2005), and has a cluster too small for the valley gate: of so few customers, that gate refutes
    nothing. None if there is none."""
    found = [
        c for c in candidates
        if c.algorithm == "kmeans" and best.k < c.k <= settings.k_max and 0 < c.smallest_count < LEAST_FOR_VALLEY
        and c.silhouette > best.silhouette and c.weakest_jaccard >= settings.stable_jaccard and c.prediction_strength >= PREDICTED
    ]  # fmt: skip
    return max(found, key=lambda c: c.silhouette, default=None)


def judge(
    past: PastSnapshot, taken: Candidate, settings: ModelSettings, preprocessor: "FeaturePreprocessor | None"
) -> dict[Baseline, ForwardValidity] | None:
    """The same algorithm and k, fitted one snapshot back, against the baselines, on the outcome since. None if that cannot be fitted."""
    rfm = past.features if past.rfm is None else past.rfm
    if rfm.empty or not _known(rfm, *RFM):
        return None
    labels = labels_one_snapshot_back(past, taken.algorithm, taken.k, settings, preprocessor)
    return None if labels is None else compared({"": past.outcome}, labels, baselines(rfm, labels.nunique()), settings.seed)[""]


def labels_one_snapshot_back(
    past: PastSnapshot, algorithm: str, k: int, settings: ModelSettings, preprocessor: "FeaturePreprocessor | None"
) -> pd.Series | None:
    """Label of each past customer (n,) by `algorithm` (or `rfm_grid`) fitted on them, as if it had been chosen then; None if there
    were too few customers, or the grid lacks the last order of some."""
    if algorithm == "rfm_grid":
        grid = _grid(past.features if past.rfm is None else past.rfm)
        return None if grid is None or grid.empty else grid["segment"]
    try:
        model = fit_model(past.features, FAMILIES[algorithm](settings).sweep, k, settings.seed, preprocessor)
    except ClusteringError:
        return None
    return pd.Series(model.assign(past.features).label)


def _grid(rfm: pd.DataFrame) -> pd.DataFrame | None:
    return rfm_grid(rfm[RECENCY], rfm[FREQUENCY]) if _known(rfm, RECENCY, FREQUENCY) else None


def _known(rfm: pd.DataFrame, *names: str) -> bool:
    """Whether every customer has a value of each: a grid has no cell for one whose last order is unknown."""
    return set(names) <= set(rfm.columns) and not rfm[list(names)].isna().any(axis=None)


def _validated(reason: str, validity: Mapping[Baseline, ForwardValidity] | None) -> tuple[str, bool]:
    """The reason with what the partition told of the spend that followed, and whether it is kept.

    It gives way to the named grid if a grid of as many groups, on recency, frequency and monetary value, explains more by over
    `LARGEST_LOSS` with an interval that leaves out 0, and the named grid explains more too.
    """
    if validity is None:
        return f"{reason} Not yet validated when it was chosen: there was no earlier snapshot to judge it by.", True
    against, named, money = (validity[b] for b in (Baseline.RECENCY_FREQUENCY_MONETARY, Baseline.RECENCY_FREQUENCY, Baseline.MONEY))
    if np.isnan(against.gain):  # no evidence against the partition, and none for it
        nothing = "all customers had spent the same since the previous snapshot, so there was nothing to explain"
        return f"{reason} Not yet validated when it was chosen: {nothing}.", True
    grid, instead, quintiles = (
        BASELINE_WORDS[b] for b in (Baseline.RECENCY_FREQUENCY_MONETARY, Baseline.RECENCY_FREQUENCY, Baseline.MONEY)
    )
    rule = f"a loss of up to {points(LARGEST_LOSS):g} points is allowed, and more if the interval reaches 0"
    kind = f"One snapshot back, its kind explained {against.eta_squared:.1%} of the differences in spend that followed"
    told = [reason, f"{kind}; {grid} {_explained(against, rule)}."]
    if points(against.gain) < -points(LARGEST_LOSS) and against.gain_high < 0:
        if named.gain < 0:
            return " ".join([*told, f"So {instead} is published: it {_explained(named)}."]), False
        told.append(f"It is published all the same, because {instead}, which would take its place, {_explained(named)}.")
    told.append(f"{quintiles[0].upper()}{quintiles[1:]} {_explained(money)}{ACTING if money.gain < 0 else ''}.")
    return " ".join(told), True


def _instead_of(taken: Candidate) -> str:
    """The sentence with which the named grid is published in place of a convenient partition."""
    grid = BASELINE_WORDS[Baseline.RECENCY_FREQUENCY]
    return (
        f"{grid[0].upper()}{grid[1:]}, not distinct segments: no candidate passed every test of distinctness, and the convenient partition "
        f"by k-means (k = {taken.k}, weakest {taken.stability}, {taken.reading}) explains less of what customers spend next."
    )


def _explained(said: ForwardValidity, rule: str = "") -> str:
    """What a baseline explained beside the partition, as the end of a sentence."""
    gain, low, high = (points(share) for share in (said.gain, said.gain_low, said.gain_high))
    more = f"{beside(abs(gain), points(LARGEST_LOSS), 2)} points {'more' if gain < 0 else 'less'}" if gain else "as much"
    interval = f"95% interval of the model's gain {beside(low, 0, 1)} to {beside(high, 0, 1)}"
    return f"explained {said.baseline_eta_squared:.1%}, {more} ({interval}{rule and f'; {rule}'})"


def _with_reasons(
    candidates: tuple[Candidate, ...], taken: Candidate, tier: Tier, reason: str, settings: ModelSettings
) -> tuple[Candidate, ...]:
    told = []
    for candidate in candidates:
        if candidate is taken:
            told.append(replace(candidate, chosen=tier != Tier.GRID, reason=reason))
        elif candidate.k == 0:
            told.append(candidate)  # its reason already says why it could not be fitted
        elif candidate.k == 1 and not candidate.finds_k:
            told.append(replace(candidate, reason="The baseline: everyone in one segment, which explains nothing."))
        elif candidate.finds_k:
            told.append(replace(candidate, reason=_density_reason(candidate)))
        else:
            told.append(replace(candidate, reason=_rejection(objections(candidate, settings), taken)))
    return tuple(told)


def _density_reason(candidate: Candidate) -> str:
    clusters = counted(candidate.k, "cluster")
    return (
        f"Kept as a diagnostic: {candidate.algorithm} finds {clusters} and calls {candidate.noise_share:.1%} of customers "
        "noise, but every customer needs a segment."
    )


def _rejection(found: list[str], taken: Candidate) -> str:
    if not found:
        return f"Distinct segments too, but {taken.algorithm} with k = {taken.k} has more of them or a higher silhouette."
    return f"Not distinct segments: {found[0]}" + "".join(f", and {other}" for other in found[1:]) + "."
