"""The choice, in two tiers: distinct segments if there are any, else a convenient partition of a continuum, labelled as one.

Belongs here: the rule, its sentences, and judging a convenient partition against the RFM grid. `candidates` fits and
measures the candidates.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone

from segmentation_assets.core.choice.candidates import Candidate, Samples, evaluate, objections
from segmentation_assets.core.choice.forward_validity import ForwardValidity, forward_validity
from segmentation_assets.core.choice.grid_model import FREQUENCY, RECENCY
from segmentation_assets.core.choice.rfm_grid import rfm_grid
from segmentation_assets.core.clustering.algorithm import ClusteringError, canonical_order, fit_model, require_clusterable, to_model
from segmentation_assets.core.clustering.families import FAMILIES
from segmentation_assets.core.clustering.preprocessing import FeaturePreprocessor
from segmentation_assets.core.clustering.prototypes import PrototypeModel
from segmentation_assets.core.clustering.ward import Ward, WardTree
from segmentation_assets.settings.model import ModelSettings
from segmentation_assets.vocabulary import Tier, counted

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


@dataclass(frozen=True, eq=False)
class PastSnapshot:
    """The previous snapshot and what has happened since: `features` of its customers, `outcome` (n,), such as log1p of spend
    in the following window, and recency and frequency (`rfm`) if the features lack them."""

    features: pd.DataFrame
    outcome: NDArray[np.float64]
    rfm: pd.DataFrame | None = None


@dataclass(frozen=True, eq=False)
class Selection:
    """What was chosen and why. In tier GRID, `model` is None and `grid` is published. `tree` is for the dendrogram;
    `validity` is None if not yet validated."""

    model: PrototypeModel | None
    tier: Tier
    reason: str
    candidates: tuple[Candidate, ...]
    grid: pd.DataFrame | None
    validity: ForwardValidity | None
    tree: WardTree


def choose(
    features: pd.DataFrame,
    settings: ModelSettings,
    preprocessor: FeaturePreprocessor | None = None,
    rfm: pd.DataFrame | None = None,
    past: PastSnapshot | None = None,
    diagnostics: bool = True,
) -> Selection:
    """Choose a segmentation of `features` (n active customers, p features that enter the geometry).

    `rfm` has recency and frequency for the grid, on the same rows, if `features` lacks them. `past` allows judging a convenient
    partition one snapshot back; `diagnostics` is as in `evaluate`. ClusteringError if there are no customers or all are alike.
    """
    fitted = clone(preprocessor or FeaturePreprocessor()).fit(features)
    points = canonical_order(fitted.transform(features))
    require_clusterable(points, 2)
    samples = Samples.of(points, settings)
    candidates = evaluate(samples, settings, diagnostics)
    decision = decide(candidates, settings)
    taken, tier, reason = decision.taken, decision.tier, decision.reason
    final = FAMILIES[taken.algorithm](settings).sweep.fit(points, (taken.k,), settings.seed)[taken.k]
    model: PrototypeModel | None = to_model(final, fitted, taken.algorithm, settings.seed)
    grid = _grid(features if rfm is None else rfm)
    validity = judge(past, taken, settings, preprocessor) if past is not None else None
    if tier == Tier.CONVENIENT:
        reason, kept = _against_grid(reason, validity)
        if not kept and grid is not None:
            model, tier = None, Tier.GRID
    return Selection(
        model=model,
        tier=tier,
        reason=reason,
        candidates=_with_reasons(candidates, taken, tier, reason, settings),
        grid=grid,
        validity=validity,
        tree=Ward().tree(samples.stability, settings.seed),
    )


@dataclass(frozen=True)
class Decision:
    """The chosen candidate, its tier, and the sentence that says why."""

    taken: Candidate
    tier: Tier
    reason: str


def decide(candidates: tuple[Candidate, ...], settings: ModelSettings) -> Decision:
    """Tier DISTINCT if a candidate passes every test, else CONVENIENT at the business's k, or at `fallback_k` if that dissolves."""
    distinct = [c for c in candidates if not objections(c, settings)]
    if distinct:
        # Silhouettes are comparable, being in the space that all share; a further tie goes to the simpler algorithm, listed first.
        best = max(distinct, key=lambda c: (c.k, c.silhouette))
        reason = (
            f"Distinct segments: {best.algorithm} with k = {best.k} is the largest k whose clusters are all stable (weakest "
            f"{best.stability}), large enough (smallest {best.smallest_share:.1%}) and separated by a valley "
            f"from their neighbours (p = {best.valley_p:.2g})."
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


def judge(
    past: PastSnapshot, taken: Candidate, settings: ModelSettings, preprocessor: FeaturePreprocessor | None
) -> ForwardValidity | None:
    """The same algorithm and k, fitted one snapshot back, against the grid there, on the outcome since. None if either cannot be fitted."""
    grid = labels_one_snapshot_back(past, "rfm_grid", 0, settings, preprocessor)
    labels = labels_one_snapshot_back(past, taken.algorithm, taken.k, settings, preprocessor)
    if grid is None or labels is None:
        return None
    return forward_validity(past.outcome, labels, grid, settings.seed)


def labels_one_snapshot_back(
    past: PastSnapshot, algorithm: str, k: int, settings: ModelSettings, preprocessor: FeaturePreprocessor | None
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
    if not {RECENCY, FREQUENCY} <= set(rfm.columns):
        return None
    if rfm[[RECENCY, FREQUENCY]].isna().any(axis=None):
        return None  # the grid has no cell for a customer whose last order is unknown
    return rfm_grid(rfm[RECENCY], rfm[FREQUENCY])


def _against_grid(reason: str, validity: ForwardValidity | None) -> tuple[str, bool]:
    if validity is None:
        return f"{reason} Not yet validated when it was chosen: there was no earlier snapshot to judge it by.", True
    if np.isnan(validity.gain):  # no evidence against the partition, and none for it
        nothing = "all customers had spent the same since the previous snapshot, so there was nothing to explain"
        return f"{reason} Not yet validated when it was chosen: {nothing}.", True
    figures = (
        f"{validity.eta_squared:.3f} against {validity.baseline_eta_squared:.3f} of the outcome's variance, gain "
        f"{validity.gain:+.3f}, 95% interval {validity.gain_low:+.3f} to {validity.gain_high:+.3f}"
    )
    if validity.gain <= 0:
        return f"{reason} It explains no more of the next window than the RFM grid ({figures}), so the grid is published.", False
    return f"{reason} One snapshot back it explained more than the RFM grid ({figures}).", True


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
