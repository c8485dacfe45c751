"""The model in force as one object: clusters, the segments they are, where they come from, and what training looked like.

It is kept as rows (component, position, name, field, value, text), so that SQL can read it and no pickle is needed.
How clusters are found and chosen is in `selection`; when a model is trained or carried forward is decided here, in `next_model`.
"""

import datetime as dt
import hashlib
import math
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone

from segmentation_assets.core import drift, identity, naming
from segmentation_assets.core.candidates import Candidate
from segmentation_assets.core.clustering import count_distinct, fit_kmeans
from segmentation_assets.core.families import SelectionSettings
from segmentation_assets.core.grid_model import COMPONENT, GridModel
from segmentation_assets.core.preprocessing import FeaturePreprocessor
from segmentation_assets.core.prototypes import PrototypeModel
from segmentation_assets.core.rfm_grid import NAMES
from segmentation_assets.core.selection import PastSnapshot, choose

# What the playbook does for a cell of the grid.
GRID_CHARACTERS = {
    "champions": "champions", "loyal customers": "loyal", "potential loyalists": "promising", "new customers": "new",
    "promising": "promising", "need attention": "steady", "about to sleep": "slipping", "at risk": "at_risk",
    "cannot lose them": "at_risk", "hibernating": "dormant",
}  # fmt: skip
ROW = ("component", "position", "name", "field", "value", "text")


@dataclass(frozen=True)
class Segment:
    """A segment by model: its id and name, given at its birth, and its character then."""

    segment_id: int
    name: str
    character: str


@dataclass(frozen=True)
class Provenance:
    """Where a model comes from, and why it is in force at this snapshot."""

    model_version: str
    fitted_snapshot: str
    algorithm: str
    k: int
    seed: int
    settings_digest: str
    customers: int
    highest_segment_id: int
    decision: str
    reason: str
    tier: str = ""  # as in `selection`; empty where there were no active customers
    tier_reason: str = ""


@dataclass(frozen=True)
class SegmentModel:
    """`clusters` (None: no active customers at training) with `segments[c]` for cluster c, and the drift references.

    `candidates` are what was tried at the snapshot where it was trained; a model carried forward leaves them there.
    """

    clusters: PrototypeModel | GridModel | None
    segments: tuple[Segment, ...]
    provenance: Provenance
    features: tuple[drift.Reference, ...]
    mix: dict[int, float]
    mix_customers: int
    candidates: tuple[Candidate, ...] = ()

    def assign(self, features: pd.DataFrame) -> pd.DataFrame:
        """Segment of every known customer: customer_id, segment_id, segment_name, distance, confidence, model_version.

        Active customers get the segment of the nearest prototype; the others theirs by rule, without a distance.
        """
        active = (features["status"] == "active").to_numpy()
        ids = np.where(features["status"] == "lapsed", naming.LAPSED, naming.PROSPECT).astype(np.int64)
        distance, confidence = np.full(len(features), np.nan), np.full(len(features), np.nan)
        if active.any():
            if self.clusters is None:
                ids[active] = naming.NOISE
            else:
                found = self.clusters.assign(features[active])
                own = np.array([s.segment_id for s in self.segments] + [naming.NOISE])  # label -1, noise, is the last
                ids[active], distance[active], confidence[active] = own[found.label], found.distance, found.confidence
        names = {s.segment_id: s.name for s in self.segments} | {i: name for i, (name, _) in naming.RULE_SEGMENTS.items()}
        return pd.DataFrame({
            "customer_id": features["customer_id"], "segment_id": ids, "segment_name": pd.Series(ids).map(names).to_numpy(),
            "distance": distance, "confidence": confidence, "model_version": self.provenance.model_version,
        })  # fmt: skip

    def characters(self) -> dict[int, str]:
        """Character of each segment id, those by rule included."""
        return {s.segment_id: s.character for s in self.segments} | {i: kind for i, (_, kind) in naming.RULE_SEGMENTS.items()}

    def to_frame(self) -> pd.DataFrame:
        """All of it as rows; `from_frame` reads them back."""
        rows: list[tuple[str, int, str, str, float, str | None]] = []
        for name, value in asdict(self.provenance).items():
            rows.append(("provenance", 0, "model", name, math.nan, str(value)))
        for position, segment in enumerate(self.segments):
            rows.append(("segment", position, segment.name, "segment_id", float(segment.segment_id), segment.name))
            rows.append(("segment", position, segment.name, "character", math.nan, segment.character))
        for position, reference in enumerate(self.features):
            rows.append(("training", position, reference.subject, "customers", float(reference.customers), None))
            rows += [("training", position, reference.subject, f"edge {i}", e, None) for i, e in enumerate(reference.edges)]
            rows += [("training", position, reference.subject, f"share {i}", s, None) for i, s in enumerate(reference.shares)]
        rows.append(("training mix", 0, "", "customers", float(self.mix_customers), None))
        rows += [("training mix", 0, str(i), "share", share, None) for i, share in sorted(self.mix.items())]
        for position, candidate in enumerate(self.candidates):
            values = asdict(candidate) | {f"jaccard {i}": j for i, j in enumerate(candidate.jaccard)}
            for name, value in values.items():
                if isinstance(value, str):
                    rows.append(("candidate", position, candidate.algorithm, name, math.nan, value))
                elif name != "jaccard":
                    rows.append(("candidate", position, candidate.algorithm, name, float(value), None))
        frame = pd.DataFrame(rows, columns=list(ROW))
        parts = [frame] if self.clusters is None else [frame, self.clusters.to_frame()]
        return pd.concat(parts, ignore_index=True).assign(model_version=self.provenance.model_version)

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> "SegmentModel":
        """The model that `to_frame` wrote, whatever the order of its rows. ValueError where parts are missing."""
        parts = {str(name): rows for name, rows in frame.groupby("component")}
        if "provenance" not in parts or "training mix" not in parts:
            raise ValueError("segmentation_model has lost its provenance rows; train a new model by running the snapshot again")
        text = dict(zip(parts["provenance"]["field"], parts["provenance"]["text"], strict=True))
        kinds = {f.name: f.type for f in fields(Provenance)}
        values: dict[str, Any] = {name: int(text[name]) if kind is int else text[name] for name, kind in kinds.items() if name in text}
        provenance = Provenance(**values)
        mix = parts["training mix"]
        shares = mix[mix["field"] == "share"]
        return cls(
            clusters=_clusters(frame, set(parts)),
            segments=tuple(_segment(rows) for _, rows in parts["segment"].groupby("position")) if "segment" in parts else (),
            provenance=provenance,
            features=tuple(_reference(rows) for _, rows in parts["training"].groupby("position")) if "training" in parts else (),
            mix={int(i): float(share) for i, share in zip(shares["name"], shares["value"], strict=True)},
            mix_customers=int(mix.loc[mix["field"] == "customers", "value"].iloc[0]),
            candidates=tuple(_candidate(rows) for _, rows in parts["candidate"].groupby("position")) if "candidate" in parts else (),
        )


@dataclass(frozen=True)
class Wanted:
    """What the settings ask of a model."""

    features: tuple[str, ...]
    selection: SelectionSettings
    settings_digest: str
    preprocessor: FeaturePreprocessor = field(default_factory=FeaturePreprocessor)


@dataclass(frozen=True, eq=False)
class Past:
    """The active customers of the snapshot before (n rows of customer_features) and their log1p spend since (n,)."""

    active: pd.DataFrame
    outcome: NDArray[np.float64]


def next_model(
    features: pd.DataFrame, previous: SegmentModel | None, wanted: Wanted, as_of: dt.date, past: Past | None = None
) -> SegmentModel:
    """The model of a snapshot: the previous one carried forward, or one trained on this snapshot's active customers.

    A model is trained where there is none before, where the settings it depends on have changed, or where the one
    before found no customers to learn from. A retrained model keeps the ids and names of the segments that survive, and k.
    `past`, the snapshot before with what followed it, lets a convenient partition be judged against the RFM grid.

    Raises:
        ValueError: a feature that the settings name is not a column of customer_features.
    """
    active = features[features["status"] == "active"].reset_index(drop=True)
    if previous is not None and previous.provenance.settings_digest == wanted.settings_digest and (previous.clusters or active.empty):
        fitted = previous.provenance.fitted_snapshot
        reason = f"The model of {fitted} is carried forward: its settings have not changed."
        return replace(previous, provenance=replace(previous.provenance, decision="carried forward", reason=reason), candidates=())
    if previous is None:
        reason = "There is no model at the previous snapshot, so one is trained."
    elif previous.clusters is None:
        reason = "The model before had no active customers to learn from, so one is trained."
    else:
        reason = "The settings of the model have changed since it was fitted, so it is trained again."
    return _trained(active, previous, wanted, as_of, reason, past)


def _trained(
    active: pd.DataFrame, previous: SegmentModel | None, wanted: Wanted, as_of: dt.date, reason: str, past: Past | None
) -> SegmentModel:
    numeric = set(active.select_dtypes("number").columns)
    unknown = [name for name in wanted.features if name not in active.columns]
    if unknown:
        raise ValueError(f"model.features: {', '.join(unknown)} is not a feature. Choose from: {', '.join(sorted(numeric))}.")
    clusters, candidates, tier, tier_reason, remark = _chosen(active, wanted, past)
    reason += remark
    k = clusters.k if clusters else 0
    highest = previous.provenance.highest_segment_id if previous else 0
    segments = _named_segments(active, clusters, previous, highest) if clusters else ()
    provenance = Provenance(
        model_version=_version(as_of, clusters, wanted), fitted_snapshot=as_of.isoformat(),
        algorithm=clusters.algorithm if clusters else "kmeans", k=k, seed=wanted.selection.seed,
        settings_digest=wanted.settings_digest, customers=len(active),
        highest_segment_id=max([highest, *(s.segment_id for s in segments)]), decision="trained", reason=reason,
        tier=tier, tier_reason=tier_reason,
    )  # fmt: skip
    references = tuple(drift.reference_of(name, active[name]) for name in sorted(numeric - drift.GROWS_WITH_TIME))
    model = SegmentModel(clusters, segments, provenance, references, {}, len(active), candidates)
    # Of active customers only: how many have lapsed grows with the length of the history, whatever customers do.
    mix = model.assign(active)["segment_id"].value_counts(normalize=True)
    return replace(model, mix={int(i): float(share) for i, share in mix.items()})


def _chosen(
    active: pd.DataFrame, wanted: Wanted, past: Past | None
) -> tuple[PrototypeModel | GridModel | None, tuple[Candidate, ...], str, str, str]:
    """The clusters to publish, all candidates, the tier with its reason, and a remark on how many customers there are."""
    if active.empty:
        return None, (), "", "", " No customers are active, so there are no segments by model."
    inputs, ask = active[list(wanted.features)], wanted.selection
    distinct = count_distinct(clone(wanted.preprocessor).fit(inputs).transform(inputs))
    remark = ""
    if distinct < ask.business_k:
        remark = f" Only {distinct} different customers are active, so there are {distinct} segments instead of {ask.business_k}."
    if distinct == 1:
        alike = "All active customers are alike in the features used, so they are one segment and nothing was chosen."
        only = Candidate("kmeans", 1, smallest_share=1.0, smallest_count=len(active), chosen=True, reason=alike)
        return fit_kmeans(inputs, 1, ask.seed, wanted.preprocessor), (only,), "convenient", alike, remark
    rfm = [ask.recency, ask.frequency]
    before = None
    if past is not None and len(past.active) and set(wanted.features) <= set(past.active.columns):
        before = PastSnapshot(past.active[list(wanted.features)], past.outcome, past.active[rfm])
    found = choose(inputs, ask, wanted.preprocessor, active[rfm], before)
    clusters = GridModel.fit(active[rfm]) if found.model is None else found.model
    grid = () if found.grid is None else (_grid_candidate(found.grid, found.tier, found.reason),)
    return clusters, (*found.candidates, *grid), found.tier, found.reason, remark


def _grid_candidate(grid: pd.DataFrame, tier: str, reason: str) -> Candidate:
    sizes = grid["segment"].value_counts()
    told = reason if tier == "grid" else "The named RFM grid is the baseline that a convenient partition must beat; the model is published."
    return Candidate(
        "rfm_grid", len(sizes), smallest_share=float(sizes.min() / sizes.sum()), smallest_count=int(sizes.min()), chosen=tier == "grid",
        reason=told,
    )  # fmt: skip


def _version(as_of: dt.date, clusters: PrototypeModel | GridModel | None, wanted: Wanted) -> str:
    """The snapshot, and six digits that differ between models fitted on it with other settings or other data."""
    if isinstance(clusters, GridModel):
        numbers = np.array([*clusters.recency_cuts, *clusters.frequency_cuts]).tobytes()
    else:
        numbers = clusters.prototypes.tobytes() if clusters else b""
    return f"{as_of.isoformat()}-{hashlib.sha256(wanted.settings_digest.encode() + numbers).hexdigest()[:6]}"


def _named_segments(
    active: pd.DataFrame, clusters: PrototypeModel | GridModel, previous: SegmentModel | None, highest: int
) -> tuple[Segment, ...]:
    if isinstance(clusters, GridModel):
        return _grid_segments(previous, highest)
    labels = pd.Series(clusters.assign(active).label)
    before = previous.assign(active)["segment_id"] if previous and previous.clusters else pd.Series(dtype="int64")
    matched = identity.matched_clusters(before, labels) if len(before) else {}
    ids = identity.segment_ids(clusters.k, matched, highest)
    old = {s.segment_id: s for s in previous.segments} if previous else {}
    members = [active[labels == c] for c in range(clusters.k)]
    born = [c for c in range(clusters.k) if c not in matched]
    kinds = [naming.character(naming.standing(members[c], active)) for c in born]
    names = naming.unique_names(kinds, [float(members[c]["monetary"].median()) for c in born], {s.name for s in old.values()})
    new = {c: Segment(ids[c], name, kind) for c, name, kind in zip(born, names, kinds, strict=True)}
    return tuple(new[c] if c in new else old[ids[c]] for c in range(clusters.k))


def _grid_segments(previous: SegmentModel | None, highest: int) -> tuple[Segment, ...]:
    """The grid's ten names. They mean the same whenever the grid is cut, so a grid keeps the segments of the grid before it."""
    if previous and isinstance(previous.clusters, GridModel):
        return previous.segments
    taken = {s.name for s in previous.segments} if previous else set()
    names = [name.capitalize() for name in NAMES]
    unique = [f"{name} (RFM grid)" if name in taken else name for name in names]
    return tuple(Segment(highest + 1 + c, name, GRID_CHARACTERS[NAMES[c]]) for c, name in enumerate(unique))


def _clusters(frame: pd.DataFrame, components: set[str]) -> PrototypeModel | GridModel | None:
    if COMPONENT in components:
        return GridModel.from_frame(frame)
    return PrototypeModel.from_frame(frame) if "prototype" in components else None


def _candidate(rows: pd.DataFrame) -> Candidate:
    numbers = dict(zip(rows["field"], rows["value"], strict=True))
    text = dict(zip(rows["field"], rows["text"], strict=True))
    values: dict[str, Any] = {}
    for part in fields(Candidate):
        if part.name != "jaccard":
            values[part.name] = text[part.name] if part.type is str else part.type(numbers[part.name])  # type: ignore[operator]
    jaccard = sorted((int(name.split()[1]), float(value)) for name, value in numbers.items() if name.startswith("jaccard "))
    return Candidate(**values, jaccard=tuple(value for _, value in jaccard))


def _segment(rows: pd.DataFrame) -> Segment:
    by_field = rows.set_index("field")
    return Segment(int(by_field.at["segment_id", "value"]), str(by_field.at["segment_id", "text"]), str(by_field.at["character", "text"]))


def _reference(rows: pd.DataFrame) -> drift.Reference:
    def numbered(prefix: str) -> tuple[float, ...]:
        found = rows[rows["field"].str.startswith(prefix)]
        places = found["field"].str.removeprefix(prefix).astype(int)
        return tuple(float(v) for _, v in sorted(zip(places, found["value"], strict=True)))

    customers = int(rows.loc[rows["field"] == "customers", "value"].iloc[0])
    return drift.Reference(str(rows["name"].iloc[0]), numbered("edge "), numbered("share "), customers)
