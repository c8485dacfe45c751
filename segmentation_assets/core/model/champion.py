"""Champion and challenger: when a model is trained, whether it takes the place of the one in force, and the sentence that says why.

Belongs here: the decision. Training is `training`; what has drifted, on which the decision rests, is found by `population` before.
"""

import datetime as dt
import json
import math
from dataclasses import asdict, dataclass, replace

import pandas as pd
from sklearn.base import clone

from segmentation_assets.core.choice.evaluation import explained
from segmentation_assets.core.choice.forward_validity import forward_validity
from segmentation_assets.core.choice.selection import labels_one_snapshot_back
from segmentation_assets.core.clustering.prototypes import PrototypeModel
from segmentation_assets.core.model import naming
from segmentation_assets.core.model.segment_model import Provenance, SegmentModel
from segmentation_assets.core.model.training import ModelDecision, ModelSpec, PreviousSnapshot, train
from segmentation_assets.settings.model import RetrainSettings
from segmentation_assets.vocabulary import Decision, counted


@dataclass(frozen=True)
class Gate:
    """One demand on a challenger: whether it is met, and the figures as a part of a sentence."""

    passed: bool
    words: str


@dataclass(frozen=True)
class Request:
    """What a person asks of a snapshot's model: that a challenger is trained, or that an earlier model is in force again.

    Args:
        model_version: the earlier model; empty where a challenger is asked for.
        force: promote the challenger whatever the gates say.
    """

    model_version: str = ""
    force: bool = False
    reason: str = ""
    requested_by: str = ""

    def text(self) -> str:
        """All of it, to compare by; the version alone where version 0.1.0 recorded no more.

        >>> Request("2024-02-01-abcdef").text()
        '2024-02-01-abcdef'
        """
        return self.model_version if self == Request(self.model_version) else json.dumps(asdict(self), sort_keys=True)


@dataclass(frozen=True, eq=False)
class SnapshotContext:
    """What is known at a snapshot beside its customers.

    Args:
        past: the snapshot before, with what followed it.
        age: snapshots since the model in force was fitted.
        request: what a person asks of this snapshot's model.
        rollback_target: the earlier model that they want in force from here on, where they do.
    """

    past: PreviousSnapshot | None = None
    age: int = 0
    request: Request | None = None
    rollback_target: SegmentModel | None = None


def next_model(
    active: pd.DataFrame,
    champion: SegmentModel | None,
    drifted: pd.DataFrame,
    spec: ModelSpec,
    as_of: dt.date,
    retrain: RetrainSettings,
    now: SnapshotContext | None = None,
) -> ModelDecision:
    """The model of a snapshot: the champion carried forward, or another in its place.

    A model is trained without a contest where there is none before, where the settings it depends on have changed, or where
    the one before found no customers to learn from. Else a challenger is trained as the policy says or a person asks, and
    promoted only if it passes every gate, unless that person forces it.

    Args:
        active: the snapshot's active customers (n rows of customer_features).
        drifted: the report (columns `drift.COLUMNS`) on the champion and the snapshot's customers.

    Raises:
        ValueError: a feature that the settings name is not a column of customer_features.
    """
    now = now or SnapshotContext()
    if now.rollback_target is not None:
        return ModelDecision(_rolled_back(now.rollback_target, champion, active))
    needed = _needs_training(champion, spec, active)
    if champion is not None and active.empty:
        return ModelDecision(_carried_without_customers(champion, active, needed))
    if champion is None or needed:
        return train(active, champion, spec, as_of, needed, now.past)
    why, otherwise = ("A person asked for it", "") if now.request else _occasion(retrain, now.age, drifted)
    if not why:
        return ModelDecision(_carried(champion, active, otherwise))
    challenger = train(active, champion, spec, as_of, f"{why}, so a challenger was trained.", now.past)
    gates = _gates(champion, challenger, active, spec, retrain, now.past)
    return _contested(champion, challenger, active, gates, forced=now.request is not None and now.request.force)


def _carried_without_customers(champion: SegmentModel, active: pd.DataFrame, needed: str) -> SegmentModel:
    carried = _carried(champion, active, _nobody(needed))
    if champion.clusters is not None:
        return carried
    none = f"No customer is active, as at {champion.provenance.fitted_snapshot}, so there are still no segments by model."
    return replace(carried, provenance=replace(carried.provenance, reason=none))


def _needs_training(champion: SegmentModel | None, spec: ModelSpec, active: pd.DataFrame) -> str:
    """Why a model is trained without a contest; empty where it is not."""
    if champion is None:
        return "There is no model at the previous snapshot, so one is trained."
    if champion.clusters is None and not active.empty:
        return "The model before had no active customers to learn from, so one is trained."
    if champion.provenance.settings_digest != spec.settings_digest:
        return "The settings of the model have changed since it was fitted, so it is trained again."
    return ""


def _nobody(needed: str) -> str:
    """Why a model is carried forward where no customer is active, whether or not one was to be trained."""
    nothing = "no customer is active, so drift was not measured"
    return f"{nothing}, and it cannot be trained again though the settings of the model have changed" if needed else nothing


def _occasion(retrain: RetrainSettings, age: int, drifted: pd.DataFrame) -> tuple[str, str]:
    """Why a challenger is trained (empty: it is not), and why the champion is carried forward if not."""
    match retrain.policy:
        case "always":
            return "The policy asks for a challenger at every snapshot", ""
        case "max_age":
            old = f"it is {counted(age, 'snapshot')} old"
            why = f"The model in force is {counted(age, 'snapshot')} old, {retrain.max_age} or more" if age >= retrain.max_age else ""
            return why, f"{old}, and a challenger is trained at {retrain.max_age}"
        case "never":
            return "", "the policy is never to train again"
        case _:
            flagged = drifted.loc[drifted["flagged"].fillna(False) & drifted["in_model"], "subject"].tolist()
            why = f"Drift was flagged ({naming.listed(flagged)})" if flagged else ""
            return why, _undrifted(drifted[drifted["in_model"]])


def _undrifted(used: pd.DataFrame) -> str:
    """That nothing which the model depends on is flagged, and what of it was not measured."""
    unmeasured = used.loc[used["flagged"].isna(), "subject"].tolist()
    if len(unmeasured) == len(used):
        return "drift could not be measured of anything that it depends on"
    told = f" ({naming.listed(unmeasured)} could not be measured)" if unmeasured else ""
    return f"nothing that it depends on has drifted{told}"


def _contested(champion: SegmentModel, challenger: ModelDecision, active: pd.DataFrame, gates: list[Gate], forced: bool) -> ModelDecision:
    about, fitted = challenger.model.provenance, champion.provenance.fitted_snapshot
    if all(gate.passed for gate in gates):
        return _promoted(challenger, f"It was promoted over the model of {fitted}: {naming.listed([gate.words for gate in gates])}.")
    failed = naming.listed([gate.words for gate in gates if not gate.passed])
    if forced:
        return _promoted(challenger, f"It was promoted over the model of {fitted} because a person forced it, although {failed}.")
    refusal = replace(about, decision=Decision.REFUSED, reason=f"{about.reason} It was refused, and the model of {fitted} stays: {failed}.")
    tried = tuple(
        replace(c, chosen=False, reason=f"{c.reason} The challenger was refused." if c.chosen else c.reason) for c in challenger.candidates
    )
    return ModelDecision(_carried(champion, active, "the challenger that was trained was refused"), tried, refusal)


def _promoted(challenger: ModelDecision, words: str) -> ModelDecision:
    about = challenger.model.provenance
    return replace(
        challenger, model=replace(challenger.model, provenance=replace(about, decision=Decision.PROMOTED, reason=f"{about.reason} {words}"))
    )


def _gates(
    champion: SegmentModel,
    challenger: ModelDecision,
    active: pd.DataFrame,
    spec: ModelSpec,
    retrain: RetrainSettings,
    past: PreviousSnapshot | None,
) -> list[Gate]:
    gates = []
    taken = next((c for c in challenger.candidates if c.chosen), None)
    if taken is not None and taken.jaccard:  # a grid is the same however customers are resampled
        weakest = taken.weakest_jaccard
        gates.append(Gate(
            weakest >= spec.settings.dissolved_jaccard,
            f"its least stable segment has a bootstrap Jaccard of {weakest:.2f} (at least {spec.settings.dissolved_jaccard:.2f} is asked)",
        ))  # fmt: skip
    theirs, ours = challenger.model.assign(active)["segment_id"], champion.assign(active)["segment_id"]
    moved = float((theirs != ours).mean())
    gates.append(Gate(
        moved <= retrain.largest_reassigned,
        f"it puts {moved:.1%} of active customers into another segment (at most {retrain.largest_reassigned:.0%})",
    ))  # fmt: skip
    points = clone(spec.preprocessor).fit_transform(active[list(spec.settings.features)])
    fit, before = (explained(points, labels.to_numpy()) for labels in (theirs, ours))
    gains = f"it explains {fit:.1%} of how customers differ and the champion {before:.1%} (at least {retrain.least_fit_gain:.1%} more)"
    if math.isnan(fit):  # nothing is gained
        gains = "all active customers are alike in the features used, so it can explain no more of how they differ than the champion"
    gates.append(Gate(bool(fit - before >= retrain.least_fit_gain), gains))
    back = past.of(spec.settings.features) if past is not None else None
    if past is not None and back is not None and past.outcome.any():
        # Fitted there, as the champion may be: borders drawn after a shift say nothing of customers before it.
        about = challenger.model.provenance
        labels = labels_one_snapshot_back(back, about.algorithm, about.k, spec.settings, spec.preprocessor)
        if labels is not None:
            said = forward_validity(past.outcome, labels, champion.assign(past.active)["segment_id"], spec.settings.seed)
            gates.append(Gate(
                said.gain >= -retrain.largest_forward_loss,
                f"its kind explains {said.eta_squared:.1%} of the spend that followed the snapshot before and the champion "
                f"{said.baseline_eta_squared:.1%} (at most {retrain.largest_forward_loss:.1%} less)",
            ))  # fmt: skip
    return gates


def _carried(champion: SegmentModel, active: pd.DataFrame, why: str) -> SegmentModel:
    reason = f"The model of {champion.provenance.fitted_snapshot} is carried forward: {why}."
    return _in_force_again(champion, active, replace(champion.provenance, decision=Decision.CARRIED, reason=reason))


def _rolled_back(model: SegmentModel, champion: SegmentModel | None, active: pd.DataFrame) -> SegmentModel:
    about = model.provenance
    instead = f" instead of the model of {champion.provenance.fitted_snapshot}" if champion and champion.clusters is not None else ""
    if champion is not None and champion.provenance.model_version == about.model_version:
        instead = ", the one before, so no challenger was trained"
    highest = max(about.highest_segment_id, champion.provenance.highest_segment_id if champion else 0)
    reason = f"A person pointed back to the model of {about.fitted_snapshot} at this snapshot{instead}."
    return _in_force_again(model, active, replace(about, decision=Decision.ROLLED_BACK, reason=reason, highest_segment_id=highest))


def _in_force_again(model: SegmentModel, active: pd.DataFrame, provenance: Provenance) -> SegmentModel:
    """The same model at a later snapshot: names stay, characters are those of the customers who are in the segments now."""
    segments = model.segments
    if isinstance(model.clusters, PrototypeModel) and len(active):  # a grid's cells mean the same whoever is in them
        labels = model.clusters.assign(active).label
        members = [active[labels == c] for c in range(len(segments))]
        segments = tuple(
            segment.judged(naming.character(naming.standing(own, active))) if len(own) else segment
            for segment, own in zip(segments, members, strict=True)
        )
    return replace(model, segments=segments, provenance=provenance)
