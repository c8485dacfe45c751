"""A model as one object: clusters, their segments, and its provenance.

Belongs here: what a model is and how it assigns customers. `training` trains it, `population` describes its training customers,
`champion` decides when to train and whether to replace the model in force, and `rows` stores it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segmentation_assets.core.choice.grid_model import FREQUENCY, MONETARY, RECENCY, GridModel
from segmentation_assets.core.clustering.prototypes import PrototypeModel
from segmentation_assets.core.customers.columns import Customers
from segmentation_assets.core.model import naming
from segmentation_assets.core.model.pace import Pace
from segmentation_assets.vocabulary import Status


@dataclass(frozen=True)
class Segment:
    """A segment by model: its id, given once, and its state, character and name, judged at each snapshot.

    The state (a `Character` without change) describes the rank of its customers; `leaning` is a different one that they showed at this
    snapshot. After two snapshots running it becomes the state, so that a segment on the border between two does not change every month.
    The character is the state, or the change that `pace` measured. `jaccard` and its standard error say how well clustering this
    snapshot's customers again finds the segment. State, `pace` and `jaccard` are empty for cells of a grid and in models of version 0.1.0.
    """

    segment_id: int
    name: str
    character: str
    leaning: str = ""
    jaccard: float | None = None
    jaccard_error: float | None = None
    state: str = ""
    pace: Pace | None = None

    def judged(self, at: naming.Standing, pace: Pace | None, at_once: bool = False) -> "Segment":
        """The segment after a snapshot whose customers had this standing and pace; with `at_once`, a different state counts immediately."""
        shown = naming.state(at, self.state)
        settled = at_once or not self.state or shown in {self.state, self.leaning}
        state, leaning = (shown, "") if settled else (self.state, shown)
        changing = naming.change(pace, at.stopped, self.character if self.state else "")
        return replace(self, state=state, leaning=leaning, pace=pace, character=naming.character(state, changing))


@dataclass(frozen=True)
class Provenance:
    """Where a model comes from, and why it is or is not in force at this snapshot."""

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
    tier: str = ""  # as in `selection`; empty if there were no active customers
    tier_reason: str = ""
    unsound: int = 0  # snapshots running, this one included, at which the model failed its own test
    drifting: int = 0  # the same, at which something it depends on had drifted


@dataclass(frozen=True, eq=False)
class SegmentModel:
    """`clusters` (None: no active customers at training) with `segments[c]` for cluster c, and their provenance."""

    clusters: PrototypeModel | GridModel | None
    segments: tuple[Segment, ...]
    provenance: Provenance

    def inputs(self, columns: Sequence[str]) -> list[str]:
        """Those of the columns of customer_features that the model reads beside the status."""
        if isinstance(self.clusters, PrototypeModel):
            return [column.name for column in self.clusters.preprocessor.columns_ if column.name in columns]
        return [name for name in (RECENCY, FREQUENCY, MONETARY) if self.clusters is not None and name in columns]

    def segment_ids(self, features: Customers) -> pd.Series:
        """Segment of every known customer, as by `assign`."""
        return pd.Series(self._placed(features)[0], features.index)

    def assign(self, features: Customers) -> pd.DataFrame:
        """Segment of every known customer: customer_id, segment_id, segment_name, distance, confidence, imputed_features, model_version.

        Active customers get the segment of the nearest prototype or of their cell in the grid; others get one by rule, without a distance.
        """
        ids, distance, confidence = self._placed(features)
        active = features["status"] == Status.ACTIVE
        imputed = np.full(len(features), None, dtype=object)
        if active.any() and isinstance(self.clusters, PrototypeModel):
            imputed[active] = self.clusters.preprocessor.imputed(self.clusters.inputs(features[active]))
        names = {s.segment_id: s.name for s in self.segments} | {i: name for i, (name, _) in naming.RULE_SEGMENTS.items()}
        return pd.DataFrame({
            "customer_id": features["customer_id"], "segment_id": ids, "segment_name": pd.Series(ids).map(names).to_numpy(),
            "distance": distance, "confidence": confidence, "imputed_features": imputed, "model_version": self.provenance.model_version,
        })  # fmt: skip

    def _placed(self, features: Customers) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """Segment id, distance and confidence of every known customer (n,)."""
        active = features["status"] == Status.ACTIVE
        own, statuses = pd.factorize(features["status"])
        ids = np.array([naming.BY_STATUS.get(status, naming.NOISE) for status in statuses], dtype=np.int64)[own]
        distance, confidence = np.full(len(features), np.nan), np.full(len(features), np.nan)
        if active.any():
            if self.clusters is None:
                ids[active] = naming.NOISE
            else:
                found = self.clusters.assign(features[active])
                own = np.array([s.segment_id for s in self.segments] + [naming.NOISE])  # label -1, noise, is the last
                ids[active], distance[active], confidence[active] = own[found.label], found.distance, found.confidence
        return ids, distance, confidence

    def with_stability(self, jaccard: Sequence[float], errors: Sequence[float]) -> "SegmentModel":
        """The model with the stability of each segment; unchanged if it was not measured."""
        if not jaccard:
            return self
        both = zip(self.segments, jaccard, errors, strict=True)
        return replace(self, segments=tuple(replace(s, jaccard=found, jaccard_error=error) for s, found, error in both))

    def characters(self) -> dict[int, str]:
        """Character of each segment id, including segments by rule."""
        return {s.segment_id: s.character for s in self.segments} | {i: kind for i, (_, kind) in naming.RULE_SEGMENTS.items()}
