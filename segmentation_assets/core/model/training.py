"""Training: clusters of one snapshot's active customers, and their segments.

Belongs here: making a model. `champion` decides whether one is made, and whether it replaces the model in force.
"""

import datetime as dt
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segmentation_assets.core.choice.baselines import RFM
from segmentation_assets.core.choice.candidates import Candidate, measured_again
from segmentation_assets.core.choice.forward_validity import eta_squared
from segmentation_assets.core.choice.grid_model import FREQUENCY, RECENCY, GridModel
from segmentation_assets.core.choice.rfm_grid import NAMES
from segmentation_assets.core.choice.selection import PastSnapshot, choose
from segmentation_assets.core.clustering.algorithm import canonical_order, count_distinct, fit_kmeans, polished, to_model
from segmentation_assets.core.clustering.prototypes import PrototypeModel
from segmentation_assets.core.customers.columns import AT_ONCE, Customers
from segmentation_assets.core.customers.matching import places
from segmentation_assets.core.model import characters, identity
from segmentation_assets.core.model.population import NOT_COMPARED
from segmentation_assets.core.model.segment_model import Provenance, Segment, SegmentModel
from segmentation_assets.settings.model import ModelSettings
from segmentation_assets.settings.section import unknown_names
from segmentation_assets.vocabulary import Character, Decision, Tier, counted

if TYPE_CHECKING:
    from segmentation_assets.core.clustering.preprocessing import FeaturePreprocessor

FORMAT = "2"  # of a model's rows, and of the inputs to its version
FROM_CHAMPION = "kmeans_from_champion"  # name of a candidate: k-means started from the segments in force
# The character by which the playbook treats a cell of the grid.
GRID_CHARACTERS = {
    "champions": Character.CHAMPIONS,
    "loyal customers": Character.LOYAL,
    "potential loyalists": Character.RECENT,
    "new customers": Character.RECENT,
    "promising": Character.RECENT,
    "need attention": Character.STEADY,
    "about to sleep": Character.QUIET,
    "at risk": Character.PAUSING,
    "cannot lose them": Character.PAUSING,
    "hibernating": Character.QUIET,
}


def _plain() -> "FeaturePreprocessor":
    from segmentation_assets.core.clustering.preprocessing import FeaturePreprocessor

    return FeaturePreprocessor()


@dataclass(frozen=True)
class ModelSpec:
    """What to train: the settings, a digest that shows when they change, and how features enter the geometry. `diagnostics` as in
    `evaluate`; `labels` are what the settings call attributes."""

    settings: ModelSettings
    settings_digest: str
    preprocessor: "FeaturePreprocessor" = field(default_factory=_plain)
    diagnostics: bool = True
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class PreviousSnapshot:
    """The active customers of the previous snapshot (n rows of customer_features) and log1p of their spend since (n,), all 0 without
    orders."""

    active: pd.DataFrame
    outcome: NDArray[np.float64]

    def of(self, features: tuple[str, ...]) -> PastSnapshot | None:
        """The past that `choose` can judge by; None if nobody was active, a feature did not exist yet, or orders are not known."""
        if self.active.empty or not {*features, *RFM} <= set(self.active.columns):
            return None
        return PastSnapshot(self.active[list(features)], self.outcome, self.active[list(RFM)])


@dataclass(frozen=True, eq=False)
class ModelDecision:
    """The model of a snapshot, the candidates measured for it, and the challenger that was refused, if any."""

    model: SegmentModel
    candidates: tuple[Candidate, ...] = ()
    refused: Provenance | None = None


def train(
    active: Customers, previous: SegmentModel | None, spec: ModelSpec, as_of: dt.date, reason: str, past: PreviousSnapshot | None = None
) -> ModelDecision:
    """A model of the active customers (n rows of customer_features), with the decision `trained` and the given reason.

    It keeps the ids and names of the previous model's segments that survive in it. `past`, the previous snapshot and the spend
    since, allows judging a convenient partition against grids of quantiles.

    Raises:
        ValueError: a feature in the settings is not a column of customer_features.
    """
    if unknown := unknown_names("model.features", spec.settings.features, set(active.columns) - NOT_COMPARED, "a feature"):
        raise ValueError("\n".join(unknown))
    clusters, candidates, tier, tier_reason, remark = _chosen(active, spec, past)
    return _decision(active, clusters, previous, spec, as_of, reason + remark, tier, tier_reason, candidates, past)


def train_from(
    active: Customers,
    champion: SegmentModel,
    spec: ModelSpec,
    as_of: dt.date,
    reason: str,
    tried: tuple[Candidate, ...],
    past: PreviousSnapshot | None = None,
) -> ModelDecision | None:
    """k-means of the active customers (n rows), started from the champion's segments and added to the candidates `tried`.

    Of two equally good partitions, this one keeps the segments that people know. None if one of the champion's segments is empty.
    """
    clusters = fit_from(champion, active, spec)
    if clusters is None:
        return None
    told = "A convenient partition of a continuum, not distinct segments: k-means that started from the model in force"
    own = measured_again(clusters, active, spec.settings)
    told = f"{told} cuts it into {clusters.k} (weakest {own.stability}, {own.reading})."
    taken = replace(own, algorithm=FROM_CHAMPION, reason=told)
    others = tuple(replace(c, chosen=False) for c in tried)
    return _decision(active, clusters, champion, spec, as_of, reason, Tier.CONVENIENT, told, (*others, taken), past)


def fit_from(champion: SegmentModel, features: Customers, spec: ModelSpec) -> PrototypeModel | None:
    """k-means of `features` (n rows), started from the centres of the champion's segments among them; None if a segment is empty."""
    if not isinstance(champion.clusters, PrototypeModel):
        return None
    inputs = features[list(spec.settings.features)]
    fitted = spec.preprocessor.fitted_to(inputs)
    placed, labels = fitted.transform(inputs), champion.clusters.assign(inputs).label
    members = [canonical_order(placed[labels == c]) for c in range(champion.clusters.k)]
    if not all(map(len, members)):
        return None
    found = polished(canonical_order(placed), np.array([own.mean(axis=0) for own in members]))
    return to_model(found, fitted, "kmeans", spec.settings.seed)


def _decision(
    active: Customers,
    clusters: PrototypeModel | GridModel | None,
    previous: SegmentModel | None,
    spec: ModelSpec,
    as_of: dt.date,
    reason: str,
    tier: str,
    tier_reason: str,
    candidates: tuple[Candidate, ...],
    past: PreviousSnapshot | None,
) -> ModelDecision:
    highest = previous.provenance.highest_segment_id if previous else 0
    segments = _named_segments(active, clusters, previous, spec, as_of, past) if clusters else ()
    taken = next((c for c in candidates if c.chosen), None)
    how = taken.algorithm if taken and taken.algorithm == FROM_CHAMPION else ""
    provenance = Provenance(
        model_version=_version(as_of, active, previous, spec, how), fitted_snapshot=as_of.isoformat(),
        algorithm=clusters.algorithm if clusters else "kmeans", k=clusters.k if clusters else 0, seed=spec.settings.seed,
        settings_digest=spec.settings_digest, customers=len(active),
        highest_segment_id=max([highest, *(s.segment_id for s in segments)]), decision=Decision.TRAINED, reason=reason,
        tier=tier, tier_reason=tier_reason,
    )  # fmt: skip
    model = SegmentModel(clusters, segments, provenance)
    return ModelDecision(model.with_stability(taken.jaccard, taken.jaccard_errors) if taken else model, candidates)


def _chosen(
    active: Customers, spec: ModelSpec, past: PreviousSnapshot | None
) -> tuple[PrototypeModel | GridModel | None, tuple[Candidate, ...], str, str, str]:
    """The clusters to publish, all candidates, the tier and its reason, and a remark if there are few customers."""
    if active.empty:
        return None, (), "", "", " No customers are active, so there are no segments by model."
    inputs, settings = active[list(spec.settings.features)], spec.settings
    if settings.tier == "grid":
        return _own_grid(active, spec, past)
    distinct = count_distinct(spec.preprocessor.fitted_to(inputs).transform(inputs))
    if distinct == 1:
        alike = _alike(inputs)
        only = Candidate("kmeans", 1, smallest_share=1.0, smallest_count=len(active), chosen=True, reason=alike)
        return (
            fit_kmeans(inputs, 1, settings.seed, spec.preprocessor),
            (only,),
            Tier.CONVENIENT,
            alike,
            f" There is 1 segment instead of {settings.k}.",
        )
    has_orders = FREQUENCY in active
    rfm = active[[RECENCY, FREQUENCY]] if has_orders else None
    before = past.of(settings.features) if past is not None else None
    found = choose(inputs, settings, spec.preprocessor, rfm, before, spec.diagnostics, has_orders)
    clusters = GridModel.fit(active) if found.model is None else found.model
    grid = () if found.grid is None else (_grid_candidate(found.grid, found.tier, found.reason),)
    return clusters, (*found.candidates, *grid), found.tier, found.reason, _few(inputs, distinct, clusters, settings.k)


def _own_grid(active: Customers, spec: ModelSpec, past: PreviousSnapshot | None) -> tuple[GridModel, tuple[Candidate, ...], str, str, str]:
    """Like `_chosen`, where the settings ask for their grid: the other candidates are measured beside it."""
    settings = spec.settings
    clusters = GridModel.fit(active, settings.grid)
    reason = f"The grid of the settings (model.tier: grid), with {counted(clusters.k, 'name')}."
    explained = np.nan
    if past is not None and not past.active.empty:
        explained = eta_squared(past.outcome, GridModel.fit(past.active, settings.grid).assign(past.active).label)
    if np.isfinite(explained):
        reason += f" One snapshot back, it explained {explained:.1%} of the differences in spend that followed."
    others, instead = _beside_grid(active, spec, past)
    reason += f" Without model.tier, this would be published: {instead}"
    names = np.array(clusters.names)[clusters.assign(active).label]
    own = _grid_candidate(pd.DataFrame({"segment": names}), Tier.GRID, reason)
    others = tuple(other for other in others if (other.algorithm, other.k) != (own.algorithm, own.k))  # the named grid has as many names
    return clusters, (*others, own), Tier.GRID, reason, ""


def _beside_grid(active: Customers, spec: ModelSpec, past: PreviousSnapshot | None) -> tuple[tuple[Candidate, ...], str]:
    """The candidates that a grid of one's own stands in for, none of them chosen, and why one of them would be."""
    _, candidates, _, reason, _ = _chosen(active, replace(spec, settings=spec.settings.model_copy(update={"tier": "auto"})), past)
    return tuple(replace(candidate, chosen=False) for candidate in candidates), reason


def _alike(inputs: pd.DataFrame) -> str:
    """Why there is only one segment if all active customers are at the same point in the geometry."""
    if len(inputs) == 1:
        return "Only one customer is active, so there is one segment and nothing to choose."
    return f"All active customers are alike in the features used{_winsorised(inputs, 1)}, so there is one segment and nothing to choose."


def _few(inputs: pd.DataFrame, distinct: int, clusters: PrototypeModel | GridModel, asked: int) -> str:
    """A remark if there are fewer distinct customers than requested segments; else empty."""
    if distinct >= asked:
        return ""
    only = f"Only {counted(len(inputs), 'customer is', 'customers are')} active"
    if distinct < len(inputs):
        differ = counted(distinct, "combination")
        only = f"The {len(inputs):,} active customers have only {differ} of feature values{_winsorised(inputs, distinct)}"
    if isinstance(clusters, GridModel):  # which always has all its names
        return f" {only}, fewer than the {asked} segments requested."
    number = f"{'is' if clusters.k == 1 else 'are'} {counted(clusters.k, 'segment')}"
    return f" {only}, so there {number} instead of {asked}."


def _winsorised(inputs: pd.DataFrame, distinct: int) -> str:
    """Says, if so, that customers differed before winsorising moved their extreme values."""
    return " once extreme values are moved (model.winsorize)" if len(inputs.drop_duplicates()) > distinct else ""


def _grid_candidate(grid: pd.DataFrame, tier: str, reason: str) -> Candidate:
    sizes = grid["segment"].value_counts()
    beaten = "The named recency x frequency grid is published where a convenient partition gives way; here the model is."
    told = reason if tier == Tier.GRID else beaten
    return Candidate(
        "rfm_grid", len(sizes), smallest_share=float(sizes.min() / sizes.sum()), smallest_count=int(sizes.min()), chosen=tier == Tier.GRID,
        reason=told,
    )  # fmt: skip


def _version(as_of: dt.date, active: Customers, previous: SegmentModel | None, spec: ModelSpec, how: str) -> str:
    """The snapshot, and six digits of a digest of the model's inputs: format, settings, the customers' features, the previous model (whose
    segment ids it may keep), and how it started. Results are not part of it, because their last bits differ between machines."""
    before = previous.provenance.model_version if previous else ""
    named = dict.fromkeys(["customer_id", *spec.settings.features, RECENCY, FREQUENCY])
    inputs = active[[name for name in named if name in active]]
    parts = (inputs.iloc[start : start + AT_ONCE] for start in range(0, len(inputs), AT_ONCE))
    hashes = [pd.util.hash_pandas_object(part.apply(_portable), index=False).to_numpy() for part in parts]
    digest = hashlib.sha256("\n".join([FORMAT, spec.settings_digest, before, how]).encode())
    digest.update(np.sort(np.concatenate([np.empty(0, np.uint64), *hashes])).astype("<u8").tobytes())
    return f"{as_of.isoformat()}-{digest.hexdigest()[:6]}"


def _portable(values: pd.Series) -> pd.Series:
    """Numbers to nine digits, to which machines agree; anything else as text."""
    if not pd.api.types.is_numeric_dtype(values):
        return values.astype("object").where(values.notna(), "").astype(str)
    mantissa, exponent = np.frexp(values.to_numpy(dtype=np.float64, na_value=-np.inf))
    return pd.Series(np.ldexp(np.rint(mantissa * 2**30), exponent - 30) + 0.0, index=values.index)


def _named_segments(
    active: Customers,
    clusters: PrototypeModel | GridModel,
    previous: SegmentModel | None,
    spec: ModelSpec,
    as_of: dt.date,
    past: PreviousSnapshot | None,
) -> tuple[Segment, ...]:
    highest = previous.provenance.highest_segment_id if previous else 0
    if isinstance(clusters, GridModel):
        return _grid_segments(clusters, previous, highest)
    labels = pd.Series(clusters.assign(active).label)
    matched = _matched(active, labels, previous, as_of, past) if previous and previous.clusters else {}
    ids = identity.segment_ids(clusters.k, matched, highest)
    old = {s.segment_id: s for s in previous.segments} if previous else {}
    segments = tuple(old[ids[c]] if c in matched else Segment(ids[c], "", "") for c in range(clusters.k))
    return characters.judged(segments, clusters, active, spec.labels, at_once=True)


def _matched(active: Customers, labels: pd.Series, previous: SegmentModel, as_of: dt.date, past: PreviousSnapshot | None) -> dict[int, int]:
    """Cluster -> the previous segment that survives in it: by the customers known when the previous model was trained, or else by those
    who were in the segment at the previous snapshot, because customers who moved together are still the same segment."""
    before = previous.segment_ids(active)
    known = identity.known_before(active, as_of, previous.provenance.fitted_snapshot).to_numpy()
    chosen = known if known.any() else slice(None)
    found = identity.matched_clusters(before[chosen], labels[chosen])
    if past is None or past.active.empty:
        return found
    found_then = places(active["customer_id"], past.active["customer_id"])
    came_from = previous.segment_ids(past.active).iloc[found_then[found_then >= 0]]
    moved = identity.matched_clusters(came_from, labels[found_then >= 0])
    return {c: i for c, i in moved.items() if c not in found and i not in found.values()} | found


def _grid_segments(grid: GridModel, previous: SegmentModel | None, highest: int) -> tuple[Segment, ...]:
    """The grid's names. They mean the same whenever the grid is cut, so a new grid keeps the segments of the previous one by name."""
    before = previous.segments if previous else ()
    if previous and isinstance(previous.clusters, GridModel):
        if previous.clusters.names == grid.names:
            return before
        kept = {s.name: s for s in before}
    else:
        kept = {}
    is_named = grid.names == NAMES
    spoken = [name.capitalize() if is_named else name for name in grid.names]
    taken = {s.name for s in before} - kept.keys()
    unique = [f"{name} (grid)" if name in taken else name for name in spoken]
    fresh = (Segment(highest + 1 + n, name, "") for n, name in enumerate(name for name in unique if name not in kept))
    segments = kept | {segment.name: segment for segment in fresh}
    usual = [name if is_named else grid.usual_name(name) for name in grid.names]
    return tuple(replace(segments[name], character=GRID_CHARACTERS[place]) for name, place in zip(unique, usual, strict=True))
