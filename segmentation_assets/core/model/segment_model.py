"""The model in force as one object: clusters, the segments they are, where they come from, and what training looked like.

Belongs here: what a model is and whom it places where. How it is trained is `training`, when, and whether it takes the place
of the one before, is `champion`; how it is kept as rows is `rows`.
"""

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segmentation_assets.core.choice.candidates import Candidate
from segmentation_assets.core.choice.grid_model import GridModel
from segmentation_assets.core.clustering.algorithm import canonical_order
from segmentation_assets.core.clustering.prototypes import PrototypeModel, nearest_distance
from segmentation_assets.core.model import drift, naming


@dataclass(frozen=True)
class Segment:
    """A segment by model: its id and name, given at its birth, and its character, judged anew at each snapshot.

    `leaning` is another character that its customers showed at this snapshot; shown twice in a row, it becomes the character, so
    that a segment on the border between two does not change every month.
    """

    segment_id: int
    name: str
    character: str
    leaning: str = ""

    def judged(self, character: str) -> "Segment":
        """The segment after a snapshot at which its customers showed this character."""
        if character == self.character:
            return replace(self, leaning="")
        return replace(self, character=character, leaning="") if character == self.leaning else replace(self, leaning=character)


@dataclass(frozen=True)
class Provenance:
    """Where a model comes from, and why it is, or is not, in force at this snapshot."""

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


def no_drift() -> pd.DataFrame:
    """A drift report on nothing."""
    return pd.DataFrame(columns=list(drift.COLUMNS))


def no_sample() -> NDArray[np.float64]:
    """A training sample of nobody."""
    return np.empty((0, 0))


@dataclass(frozen=True, eq=False)
class SegmentModel:
    """`clusters` (None: no active customers at training) with `segments[c]` for cluster c, and what training looked like.

    `references` are of features, the segment mix and the distance to the nearest prototype. For the last, training's customers
    are measured from a `yardstick` (m, d): prototypes that were found without them. `sample` (s, d) are training customers in
    the model's geometry. `candidates` are what was tried at this snapshot, `refused` the challenger that was not promoted at
    it; a model carried forward leaves both to the snapshot they belong to. `drifted` is the report (columns
    `drift.COLUMNS`) on the model that came into this snapshot, on which the decision rests.
    """

    clusters: PrototypeModel | GridModel | None
    segments: tuple[Segment, ...]
    provenance: Provenance
    references: tuple[drift.Reference, ...] = ()
    yardstick: NDArray[np.float64] = field(default_factory=no_sample)
    sample: NDArray[np.float64] = field(default_factory=no_sample)
    candidates: tuple[Candidate, ...] = ()
    refused: Provenance | None = None
    drifted: pd.DataFrame = field(default_factory=no_drift)

    def assign(self, features: pd.DataFrame) -> pd.DataFrame:
        """Segment of every known customer: customer_id, segment_id, segment_name, distance, confidence, imputed_features, model_version.

        Active customers get the segment of the nearest prototype; the others theirs by rule, without a distance.
        """
        active = (features["status"] == "active").to_numpy()
        ids = features["status"].map(naming.BY_STATUS).fillna(naming.NOISE).to_numpy(np.int64)
        distance, confidence = np.full(len(features), np.nan), np.full(len(features), np.nan)
        imputed = np.full(len(features), None, dtype=object)
        if active.any():
            if self.clusters is None:
                ids[active] = naming.NOISE
            else:
                found = self.clusters.assign(features[active])
                own = np.array([s.segment_id for s in self.segments] + [naming.NOISE])  # label -1, noise, is the last
                ids[active], distance[active], confidence[active] = own[found.label], found.distance, found.confidence
                if isinstance(self.clusters, PrototypeModel):
                    imputed[active] = self.clusters.preprocessor.imputed(features[active])
        names = {s.segment_id: s.name for s in self.segments} | {i: name for i, (name, _) in naming.RULE_SEGMENTS.items()}
        return pd.DataFrame({
            "customer_id": features["customer_id"], "segment_id": ids, "segment_name": pd.Series(ids).map(names).to_numpy(),
            "distance": distance, "confidence": confidence, "imputed_features": imputed, "model_version": self.provenance.model_version,
        })  # fmt: skip

    def characters(self) -> dict[int, str]:
        """Character of each segment id, those by rule included."""
        return {s.segment_id: s.character for s in self.segments} | {i: kind for i, (_, kind) in naming.RULE_SEGMENTS.items()}

    def shifts(self, active: pd.DataFrame, rule: drift.DriftRule) -> list[tuple[drift.Kind, str, drift.Shift]]:
        """How far `active` (n rows of customer_features) lie from training: each reference, and all coordinates together."""
        draws = rule.draws_for(len(self.references))
        now: dict[str, pd.Series] = {"segment_mix": self.assign(active)["segment_id"]}
        points = no_sample()
        if isinstance(self.clusters, PrototypeModel):
            points = canonical_order(self.clusters.preprocessor.transform(active))  # the order of customers is of no account
        if len(self.yardstick):
            now["distance"] = pd.Series(nearest_distance(points, self.yardstick))
        found: list[tuple[drift.Kind, str, drift.Shift]] = []
        for reference in self.references:
            values = now.get(reference.kind, active.get(reference.subject))
            if values is not None:
                found.append((reference.kind, reference.subject, drift.psi_shift(reference, values, draws, rule.seed)))
        if len(self.sample):
            found.append(("joint", drift.TOGETHER, drift.joint_shift(self.sample, points, rule.seed)))
        return found
