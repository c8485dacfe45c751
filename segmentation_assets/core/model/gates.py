"""The gates that a challenger must pass to replace the champion, each with its figures as part of a sentence.

Belongs here: comparing two models on a snapshot's customers. `champion` says when a challenger is trained, and decides.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segmentation_assets.core.choice.candidates import Candidate, objections
from segmentation_assets.core.choice.evaluation import explained
from segmentation_assets.core.choice.forward_validity import forward_validity
from segmentation_assets.core.choice.grid_model import GridModel
from segmentation_assets.core.choice.selection import PastSnapshot, labels_one_snapshot_back
from segmentation_assets.core.clustering.algorithm import ClusteringError, fit_kmeans
from segmentation_assets.core.customers.columns import Customers
from segmentation_assets.core.model.segment_model import SegmentModel
from segmentation_assets.core.model.training import FROM_CHAMPION, ModelDecision, ModelSpec, PreviousSnapshot, fit_from
from segmentation_assets.settings.model import ModelSettings, RetrainSettings
from segmentation_assets.vocabulary import Tier, beside, counted, points


def running(snapshots: int) -> str:
    """At how many snapshots one after the other.

    >>> running(1), running(3)
    ('at this snapshot', 'at 3 snapshots running')
    """
    return "at this snapshot" if snapshots == 1 else f"at {counted(snapshots, 'snapshot')} running"


@dataclass(frozen=True)
class Gate:
    """One requirement for a challenger: whether it passed, and the figures as part of a sentence. A gate that abstains is passed."""

    passed: bool
    words: str


@dataclass(frozen=True, eq=False)
class Contest:
    """A champion, with its provenance at this snapshot, and what is needed to compare a challenger with it.

    Args:
        standing: the champion's figures on `active`, the snapshot's active customers.
        past: the previous snapshot and the spend since.
        lookback: number of snapshots after which the features no longer cover the time before a change.
    """

    champion: SegmentModel
    standing: Candidate
    active: Customers
    spec: ModelSpec
    retrain: RetrainSettings
    past: PreviousSnapshot | None
    lookback: int

    def gates(self, challenger: ModelDecision) -> list[Gate]:
        """All gates that apply to the challenger."""
        asked: tuple[Callable[[ModelDecision], Iterator[Gate]], ...] = (
            self._tiers, self._stability, self._fit, self._forward, self._reassigned,
        )  # fmt: skip
        return [gate for demand in asked for gate in demand(challenger)]

    @property
    def _was_distinct(self) -> bool:
        return self.champion.provenance.tier == Tier.DISTINCT

    @property
    def _is_distinct(self) -> bool:
        return self._was_distinct and not failings(self.champion, self.standing, self.spec.settings)

    def _tiers(self, challenger: ModelDecision) -> Iterator[Gate]:
        """Distinct segments replace a convenient partition, or segments that are no longer distinct, however much they explain."""
        theirs, old = challenger.model.provenance, self.champion.provenance
        words = _standing(old.tier, old.k, failings(self.champion, self.standing, self.spec.settings))
        if theirs.tier == Tier.DISTINCT:
            fewer = self._was_distinct and theirs.k < old.k
            yield Gate(not (fewer and self._is_distinct), f"it has {counted(theirs.k, 'distinct segment')} and the champion {words}")
            if fewer and 0 < old.drifting < self.lookback:
                yield Gate(
                    False,
                    f"drift has been flagged for {counted(old.drifting, 'snapshot')}, so the features still cover the time before the "
                    "change, and segments that pass each other may look like one (a model with fewer segments has to wait until drift has "
                    f"been flagged for {counted(self.lookback, 'snapshot')})",
                )
        elif self._is_distinct:
            yield Gate(False, f"it is {_kind(theirs.tier)} and the champion {words}")
        elif self._was_distinct:
            yield Gate(
                old.unsound > self.lookback,
                f"it is {_kind(theirs.tier)}, and the champion {words}, {running(old.unsound)} (more than "
                f"{self.lookback} are required, so that the features no longer cover the time before a change)",
            )
        else:
            yield Gate(
                True, f"it is {_kind(theirs.tier)}, as the champion is" if theirs.tier == old.tier else f"it is {_kind(theirs.tier)}"
            )

    def _stability(self, challenger: ModelDecision) -> Iterator[Gate]:
        taken, ask = _taken(challenger), self.spec.settings
        if taken is None or not taken.jaccard or challenger.model.provenance.tier == Tier.DISTINCT:
            return  # a grid does not depend on resampling, and distinct segments have passed a stricter test
        least = ask.dissolved_jaccard
        weakest, passed = taken.weakest_jaccard, taken.weakest_jaccard >= least
        words = f"its least stable segment has a bootstrap Jaccard of {beside(weakest, least, 2)} (at least {_asked(least, 2)} is required)"
        if self._equal(challenger) and self.standing.jaccard:
            error = math.hypot(taken.weakest_error, self.standing.weakest_error)
            loss, most = round(self.standing.weakest_jaccard - weakest, 9), round(2 * error, 3)
            passed = passed and loss <= most
            change = f"a loss of {beside(loss, most, 2)}" if loss > 0 else "no loss"
            words += (
                f" and the champion's one of {self.standing.weakest_jaccard:.2f}, {change} (up to two standard errors, {_asked(most, 2)}, "
                "is allowed)"
            )
        yield Gate(passed, words)

    def _fit(self, challenger: ModelDecision) -> Iterator[Gate]:
        """Compares at equal k only, because more segments always explain more; at another k, the champion's kind is refitted for it."""
        old = self.champion.provenance
        if challenger.model.provenance.tier == Tier.DISTINCT and not self._equal(challenger):
            return
        placed, ours = self._points(), self._labels(self.champion)
        theirs, whose = self._labels(challenger.model), "it explains"
        if not self._equal(challenger):
            try:
                theirs, whose = self._fitted_anew(), f"the champion's {counted(old.k, 'segment')}, fitted again, explain"
            except ClusteringError as error:
                yield Gate(False, f"the champion's {counted(old.k, 'segment')} cannot be fitted again to compare them ({error})")
                return
        fit, before = explained(placed, theirs), explained(placed, ours)
        if math.isnan(fit):
            alike = "all active customers are alike in the features used"
            yield Gate(False, f"{alike}, so it can explain no more of how they differ than the champion")
            return
        least = 0.0 if self._repairs(challenger) else points(self.retrain.least_fit_gain)
        gain = points(fit - before)
        none = "no loss is allowed, since the champion fails its own test and the challenger is stable"
        asked = f"at least {_asked(least)} is required" if least else none
        yield Gate(
            gain >= least,
            f"{whose} {fit:.1%} of how customers differ and the champion {before:.1%} today, a gain of {beside(gain, least, 2)} points "
            f"({asked})",
        )

    def _fitted_anew(self) -> NDArray[np.int64]:
        """Labels of the customers by a model of the champion's kind and number of segments, fitted today."""
        if isinstance(self.champion.clusters, GridModel):
            return GridModel.fit(self.active).assign(self.active).label
        inputs, settings = self.active[list(self.spec.settings.features)], self.spec.settings
        return fit_kmeans(inputs, self.champion.provenance.k, settings.seed, self.spec.preprocessor).assign(inputs).label

    def _repairs(self, challenger: ModelDecision) -> bool:
        """Whether the champion has failed its own test twice running, and the challenger's segments are stable."""
        taken = _taken(challenger)
        return self.champion.provenance.unsound > 1 and taken is not None and taken.weakest_jaccard >= self.spec.settings.stable_jaccard

    def _forward(self, challenger: ModelDecision) -> Iterator[Gate]:
        """Compares at equal k, and only if nothing has changed since the previous snapshot: a model fitted after a change says nothing
        about the time before it."""
        about, features = challenger.model.provenance, self.spec.settings.features
        back = self.past.of(features) if self.past is not None else None
        if self.past is None or back is None or not self.past.outcome.any() or (about.tier == Tier.DISTINCT and not self._is_distinct):
            return
        if not self._equal(challenger):
            yield Gate(True, "the spend since the previous snapshot was not compared, because the two differ in their number of segments")
            return
        if 0 < self.champion.provenance.drifting <= self.lookback:
            yield Gate(True, "the spend since the previous snapshot was not compared, because that is from before or during the change")
            return
        labels = self._labels_one_snapshot_back(challenger, back)
        if labels is None:
            return
        theirs = self.champion.segment_ids(self.past.active)
        said = forward_validity(self.past.outcome, labels, theirs, self.spec.settings.seed)
        loss, most = points(-said.gain), points(self.retrain.largest_forward_loss)
        change = f"a loss of {beside(loss, most, 2)} points" if loss > 0 else "no loss"
        yield Gate(
            loss <= most,
            f"its kind, fitted one snapshot back, explains {said.eta_squared:.1%} of the spend since and the champion "
            f"{said.baseline_eta_squared:.1%}, {change} (at most {_asked(most)} is allowed)",
        )

    def _reassigned(self, challenger: ModelDecision) -> Iterator[Gate]:
        moved, most = float((self._labels(challenger.model) != self._labels(self.champion)).mean()), self.retrain.largest_reassigned
        shown = f"{moved:.1%}" if most is None else beside(moved, most, 1, "%")
        words = f"it puts {shown} of active customers into another segment"
        yield Gate(True, words) if most is None else Gate(moved <= most, f"{words} (at most {_asked(points(most))}%)")

    def _equal(self, challenger: ModelDecision) -> bool:
        return challenger.model.provenance.k == self.champion.provenance.k

    def _points(self) -> NDArray[np.float64]:
        inputs = self.active[list(self.spec.settings.features)]
        return self.spec.preprocessor.fitted_to(inputs).transform(inputs)

    def fit_of(self, model: SegmentModel) -> float:
        """Share of the differences between customers that the model's segments explain."""
        return explained(self._points(), self._labels(model))

    def _labels(self, model: SegmentModel) -> NDArray[np.int64]:
        return model.segment_ids(self.active).to_numpy()

    def _labels_one_snapshot_back(self, challenger: ModelDecision, back: PastSnapshot) -> pd.Series | None:
        taken, about, spec = _taken(challenger), challenger.model.provenance, self.spec
        if taken is not None and taken.algorithm == FROM_CHAMPION:
            model = fit_from(self.champion, back.features, spec)
            return None if model is None else pd.Series(model.assign(back.features).label)
        return labels_one_snapshot_back(back, about.algorithm, about.k, spec.settings, spec.preprocessor)


def failings(model: SegmentModel, standing: Candidate, settings: ModelSettings) -> list[str]:
    """Which of its own tests the model now fails: for distinct segments all of distinctness, for a convenient partition not dissolving."""
    if model.provenance.tier == Tier.DISTINCT:
        return objections(standing, settings)
    if standing.jaccard and standing.dissolves(settings):
        return [f"its weakest segment is dissolved ({standing.stability})"]
    return []


def _asked(limit: float, digits: int = 0) -> str:
    """A limit in full."""
    return beside(limit, limit, digits)


def _taken(challenger: ModelDecision) -> Candidate | None:
    return next((c for c in challenger.candidates if c.chosen), None)


def _kind(tier: str) -> str:
    return {Tier.DISTINCT: "a set of distinct segments", Tier.GRID: "the recency x frequency grid"}.get(
        Tier(tier), "a convenient partition"
    )


def _standing(tier: str, k: int, lost: list[str]) -> str:
    """What a model with k segments is now, as the end of a sentence."""
    if tier != Tier.DISTINCT:
        return f"is {_kind(tier or Tier.CONVENIENT)}"
    if not lost:
        return f"has {counted(k, 'segment')} that {'is' if k == 1 else 'are'} still distinct"
    return f"has {counted(k, 'segment')} that are no longer distinct: {lost[0]}"
