"""Candidates: every algorithm and k, fitted on a bounded sample, with all the figures that the choice and its readers need.

Belongs here: fitting and measuring. `selection` chooses one and says why.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segmentation_assets.core.choice import stability
from segmentation_assets.core.choice.grid_model import GridModel
from segmentation_assets.core.choice.readings import in_digits, reading
from segmentation_assets.core.choice.valley import valley_p_value, valley_p_values
from segmentation_assets.core.clustering.algorithm import (
    Clustering,
    ClusteringError,
    Indices,
    canonical_order,
    count_distinct,
    internal_indices,
    silhouettes,
    subsample,
)
from segmentation_assets.core.clustering.families import FAMILIES, Family
from segmentation_assets.core.clustering.prototypes import PrototypeModel
from segmentation_assets.core.customers.columns import Customers
from segmentation_assets.settings.model import ModelSettings
from segmentation_assets.vocabulary import beside, counted

_NO_GAP = stability.Gap(np.nan, np.nan)


@dataclass(frozen=True)
class Candidate:
    """One algorithm and k, its figures (NaN if not measured), and whether it was chosen and why. `k` is 0 if it could not be fitted.

    `jaccard` is per cluster, with standard errors in `jaccard_errors`; `valley_p` is the valley gate's p-value: small if a valley
    separates every pair of neighbouring clusters.
    """

    algorithm: str
    k: int
    silhouette: float = np.nan
    calinski_harabasz: float = np.nan
    davies_bouldin: float = np.nan
    prediction_strength: float = np.nan
    jaccard: tuple[float, ...] = ()
    jaccard_errors: tuple[float, ...] = ()
    smallest_share: float = np.nan
    smallest_count: int = 0
    noise_share: float = 0.0
    gap: float = np.nan
    gap_error: float = np.nan
    seed_agreement: float = np.nan
    valley_p: float = np.nan
    finds_k: bool = False
    chosen: bool = False
    reason: str = ""

    @property
    def weakest_jaccard(self) -> float:
        return min(self.jaccard, default=np.nan)

    @property
    def weakest_error(self) -> float:
        """Standard error of `weakest_jaccard`."""
        return min(zip(self.jaccard, self.jaccard_errors, strict=True), default=(np.nan, np.nan))[1]

    @property
    def stability(self) -> str:
        """The weakest cluster's figure as sentences quote it: `Jaccard 0.91 ± 0.01`."""
        error = f"{self.weakest_error:.2f}" if not self.weakest_error < 0.005 else f"{self.weakest_error:.1g}"  # never a false 0.00
        return f"Jaccard {in_digits(self.weakest_jaccard)} \u00b1 {error}"

    def p_value(self, settings: ModelSettings) -> str:
        """The gate's p-value as sentences quote it."""
        return beside(self.valley_p, settings.valley_level, 2, "g")

    def dissolves(self, settings: ModelSettings) -> bool:
        """Whether its weakest cluster is below the limit by more than two standard errors; chance alone does that once in forty times."""
        return self.weakest_jaccard + 2 * self.weakest_error < settings.dissolved_jaccard

    @property
    def reading(self) -> str:
        """Hennig's word for the weakest cluster; empty if stability was not measured."""
        return reading(self.weakest_jaccard) if self.jaccard else ""


@dataclass(frozen=True, eq=False)
class Samples:
    """The samples that candidates are fitted and measured on, in canonical order, and the number of customers."""

    sweep: NDArray[np.float64]
    gate: NDArray[np.float64]
    stability: NDArray[np.float64]
    customers: int
    distinct: int = field(default=0)

    @classmethod
    def of(cls, points: NDArray[np.float64], settings: ModelSettings) -> "Samples":
        sweep = subsample(points, settings.sample, settings.seed)
        small = subsample(sweep, settings.stability_sample, settings.seed + 1)
        gate = subsample(points, settings.gate_sample, settings.seed + 2)
        return cls(sweep, gate, small, len(points), count_distinct(sweep))


def evaluate(samples: Samples, settings: ModelSettings, diagnostics: bool = True) -> tuple[Candidate, ...]:
    """All candidates with their figures, by algorithm and then by k.

    Args:
        diagnostics: False computes only what the decision needs, for simulations: no gap, prediction strength, seeds or density.
    """
    wanted = {*range(settings.k_min, settings.k_max + 1), settings.k, settings.fallback_k}
    ks = sorted(k for k in wanted if k <= samples.distinct) or [samples.distinct]
    found: list[Candidate] = []
    for name in settings.algorithms:
        family = FAMILIES[name](settings)
        if family.sweep.finds_k and not diagnostics:
            continue
        # One cluster is the baseline of k-means: without it the gap statistic could never find that there are no clusters.
        own = [1, *ks] if name == "kmeans" and diagnostics else ks
        try:
            found.extend(_evaluate_family(family, own, samples, settings, diagnostics))
        except ClusteringError as problem:
            found.append(Candidate(name, 0, finds_k=family.sweep.finds_k, reason=f"Could not be fitted: {problem}."))
    return tuple(found)


def _evaluate_family(family: Family, ks: Sequence[int], samples: Samples, settings: ModelSettings, diagnostics: bool) -> list[Candidate]:
    name, seed, rows = family.sweep.name, settings.seed, samples.stability
    fitted = family.sweep.fit(samples.sweep, ks, seed)
    p_values = dict.fromkeys(fitted, np.nan)
    if not family.sweep.finds_k:
        p_values |= valley_p_values(samples.gate, family.gate, tuple(fitted), seed, settings.splits)
    described = {
        k: replace(
            _described(name, k, found, samples, settings.seed, diagnostics), valley_p=float(p_values[k]), finds_k=family.sweep.finds_k
        )
        for k, found in fitted.items()
    }
    if diagnostics:
        return [
            candidate
            for points, group in _in_own_space(rows, fitted)
            for candidate in _with_figures(family, points, group, described, settings)
        ]
    # The rule takes the largest k, so once one is stable, smaller ones need no resampling.
    for k in sorted(described, reverse=True):
        business = name == "kmeans" and k == settings.k
        if business or not objections(described[k], settings, unmeasured=True):
            described[k] = _with_stability(described[k], _stability(family, *_in_own_space(rows, {k: fitted[k]})[0], settings)[k])
        if not objections(described[k], settings):
            break
    return list(described.values())


def objections(candidate: Candidate, settings: ModelSettings, unmeasured: bool = False) -> list[str]:
    """Why `candidate` is not a set of distinct segments; empty if it is. With `unmeasured`, unknown stability is no objection."""
    if candidate.k == 0 or candidate.finds_k:
        return ["it is a diagnostic"]
    found = []
    if not settings.k_min <= candidate.k <= settings.k_max:
        found.append(f"k is outside {settings.k_min} to {settings.k_max}")
    if not candidate.valley_p < settings.valley_level:
        found.append(f"at least one pair of neighbouring clusters has no valley between them (p = {candidate.p_value(settings)})")
    if candidate.jaccard and candidate.weakest_jaccard < settings.stable_jaccard:
        found.append(f"its weakest cluster is {candidate.reading} ({candidate.stability})")
    if not candidate.jaccard and not unmeasured:
        found.append("its stability was not measured")
    if candidate.smallest_share < settings.min_share or candidate.smallest_count < settings.min_count:
        share = beside(candidate.smallest_share, settings.min_share, 1, "%")
        found.append(f"its smallest cluster has {counted(candidate.smallest_count, 'customer')} ({share})")
    return found


def _stability(
    family: Family, points: NDArray[np.float64], group: dict[int, Clustering], settings: ModelSettings, resamples: int | None = None
) -> dict[int, stability.Stability]:
    return stability.bootstrap_jaccard(points, family.resample, group, settings.seed, resamples or settings.resamples)


def _stabilities(
    family: Family,
    points: NDArray[np.float64],
    group: dict[int, Clustering],
    described: dict[int, Candidate],
    settings: ModelSettings,
) -> dict[int, stability.Stability]:
    """Per k of `group`: on all resamples where the choice depends on it, on the first quarter where it only describes."""
    decisive = {k: found for k, found in group.items() if _can_be_chosen(described[k], settings)}
    others = {k: found for k, found in group.items() if k not in decisive}
    few = max(10, settings.resamples // 4)
    return (_stability(family, points, decisive, settings) if decisive else {}) | (
        _stability(family, points, others, settings, few) if others else {}
    )


def _can_be_chosen(candidate: Candidate, settings: ModelSettings) -> bool:
    """Whether it may be distinct, or be the convenient partition; stability aside."""
    convenient = candidate.algorithm == "kmeans" and candidate.k in {settings.k, settings.fallback_k}
    return convenient or not objections(candidate, settings, unmeasured=True)


def _with_stability(candidate: Candidate, found: stability.Stability) -> Candidate:
    return replace(candidate, jaccard=tuple(found.jaccard.tolist()), jaccard_errors=tuple(found.error.tolist()))


def _with_figures(
    family: Family,
    points: NDArray[np.float64],
    group: dict[int, Clustering],
    described: dict[int, Candidate],
    settings: ModelSettings,
) -> list[Candidate]:
    stable = _stabilities(family, points, group, described, settings)
    strength = stability.prediction_strength(points, family.resample, tuple(group), settings.seed)
    seeds = stability.seed_agreement(points, family.resample, tuple(group), settings.seed)
    gaps = {} if family.sweep.finds_k else stability.gap_statistic(points, family.resample, group, settings.seed)
    return [
        replace(
            _with_stability(described[k], stable[k]),
            prediction_strength=strength[k],
            # A density algorithm may find another number of clusters on these rows than on the sweep's.
            seed_agreement=seeds.get(k, next(iter(seeds.values()))),
            gap=gaps.get(k, _NO_GAP).value,
            gap_error=gaps.get(k, _NO_GAP).error,
        )
        for k in group
    ]


def _in_own_space(points: NDArray[np.float64], fitted: dict[int, Clustering]) -> list[tuple[NDArray[np.float64], dict[int, Clustering]]]:
    """The clusterings grouped by space, with the points in it: one group, unless each k learnt its own stretch."""
    if not fitted:
        return []
    if all(found.stretch is None for found in fitted.values()):
        return [(points, fitted)]
    return [(found.place(points), {k: replace(found, stretch=None)}) for k, found in fitted.items()]


def _described(name: str, k: int, found: Clustering, samples: Samples, seed: int, diagnostics: bool) -> Candidate:
    labels = found.assign(samples.sweep).label
    sizes = np.bincount(labels[labels >= 0], minlength=found.k)
    # In the space that all candidates share, so that figures are comparable; on fewer rows if only the tie-break uses them.
    _, values = silhouettes(samples.sweep, labels, seed, 5_000 if diagnostics else 1_000)
    indices = internal_indices(samples.sweep, labels, values)
    share = float(sizes.min() / len(labels))
    return Candidate(
        algorithm=name,
        k=k,
        silhouette=indices.silhouette,
        calinski_harabasz=indices.calinski_harabasz,
        davies_bouldin=indices.davies_bouldin,
        smallest_share=share,
        smallest_count=round(share * samples.customers),
        noise_share=float((labels < 0).mean()),
    )


def measured_again(model: PrototypeModel | GridModel, active: Customers, settings: ModelSettings) -> Candidate:
    """The model in force, measured on the customers of a later snapshot (n rows): indices, sizes, whether clustering them again
    finds the same clusters, and whether valleys still separate them. A grid has no stability, because its cells are cut, not found."""
    labels = model.assign(active).label
    own = labels[labels >= 0]
    smallest = int(np.bincount(own, minlength=model.k).min())
    indices, valley_p, stable = Indices(np.nan, np.nan, np.nan), np.nan, stability.Stability(np.empty(0), np.empty(0))
    if isinstance(model, PrototypeModel):
        points = canonical_order(model.points(active))
        found_again = fixed(model).assign(points).label
        indices = internal_indices(points, found_again, silhouettes(points, found_again, settings.seed)[1])
        samples, family = Samples.of(points, settings), FAMILIES[model.algorithm](settings)
        valley_p = valley_p_value(samples.gate, fixed(model), settings.seed, settings.splits)
        stable = _stability(family, samples.stability, {model.k: fixed(model)}, settings)[model.k]
    found = Candidate(
        algorithm=model.algorithm,
        k=model.k,
        silhouette=indices.silhouette,
        calinski_harabasz=indices.calinski_harabasz,
        davies_bouldin=indices.davies_bouldin,
        smallest_share=smallest / len(labels),
        smallest_count=smallest,
        noise_share=float((labels < 0).mean()),
        valley_p=valley_p,
        chosen=True,
        reason="The model in force is carried forward, so nothing else was tried; its figures are for this snapshot's customers.",
    )
    return _with_stability(found, stable)


def fixed(model: PrototypeModel) -> Clustering:
    """The clusters of `model` in its own preprocessed space."""
    return Clustering(model.prototypes, model.labels, model.weights, model.radius)


def table(tried: Sequence[Candidate]) -> pd.DataFrame:
    """The candidates as rows; figures that were not measured are empty."""
    rows = [
        vars(c)
        | {
            "weakest_jaccard": c.weakest_jaccard,
            "jaccard_error": c.weakest_error,
            "stability": c.reading or None,
            "jaccard": ", ".join(f"{j:.2f}" for j in c.jaccard) or None,
        }
        for c in tried
    ]
    names = [f.name for f in fields(Candidate) if f.name not in {"finds_k", "jaccard_errors"}]
    return pd.DataFrame(rows, columns=[*names, "weakest_jaccard", "jaccard_error", "stability"])
