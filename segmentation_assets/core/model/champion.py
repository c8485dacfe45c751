"""Champion and challenger: when a model is trained, whether it replaces the one in force, and the sentence that says why.

Belongs here: the decision. `training` trains models, `gates` judges challengers, and `population` measures the drift on which the
decision rests.
"""

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import pandas as pd

from segmentation_assets.core.choice.candidates import measured_again
from segmentation_assets.core.clustering.algorithm import ClusteringError, fit_kmeans
from segmentation_assets.core.customers.columns import Customers
from segmentation_assets.core.model import characters, naming
from segmentation_assets.core.model.gates import Contest, Gate, failings, running
from segmentation_assets.core.model.segment_model import Provenance, SegmentModel
from segmentation_assets.core.model.training import ModelDecision, ModelSpec, PreviousSnapshot, fit_from, train, train_from
from segmentation_assets.settings.model import RetrainSettings
from segmentation_assets.vocabulary import Decision, Tier, beside, counted


@dataclass(frozen=True)
class Request:
    """What a person requests for a snapshot: to train a challenger, or to put an earlier model in force again.

    Args:
        model_version: the earlier model; empty if a challenger is requested.
        force: promote the challenger whatever the gates say.
    """

    model_version: str = ""
    force: bool = False
    reason: str = ""
    requested_by: str = ""

    def text(self) -> str:
        """The whole request as text, for comparisons; only the model version if, as in version 0.1.0, nothing else was recorded.

        >>> Request("2024-02-01-abcdef").text()
        '2024-02-01-abcdef'
        """
        return self.model_version if self == Request(self.model_version) else json.dumps(asdict(self), sort_keys=True)


@dataclass(frozen=True, eq=False)
class SnapshotContext:
    """What is known at a snapshot apart from its customers.

    Args:
        past: reads the previous snapshot and the spend since, if a model is trained.
        age: snapshots since the model in force was fitted.
        lookback: number of snapshots after which the features no longer cover the time before a change.
        request: what a person requests for this snapshot.
        rollback_target: the earlier model to put in force from here on, if a person requests that.
    """

    past: Callable[[], PreviousSnapshot | None] = lambda: None
    age: int = 0
    lookback: int = 1
    request: Request | None = None
    rollback_target: SegmentModel | None = None


def next_model(
    active: Customers,
    champion: SegmentModel | None,
    drifted: pd.DataFrame,
    spec: ModelSpec,
    as_of: dt.date,
    retrain: RetrainSettings,
    now: SnapshotContext | None = None,
) -> ModelDecision:
    """The model of a snapshot: the champion carried forward, or another in its place.

    A model is trained without a contest if there is none yet, if the settings it depends on have changed, or if the previous
    one had no customers to learn from. Otherwise a challenger is trained when the policy says so or a person requests it, and
    promoted only if it passes every gate or that person forces it.

    Args:
        active: the snapshot's active customers (n rows of customer_features).
        drifted: the drift report (columns `drift.COLUMNS`) on the champion and the snapshot's customers.

    Raises:
        ValueError: a feature in the settings is not a column of customer_features.
    """
    now = now or SnapshotContext()
    if now.rollback_target is not None:
        return _measured(_rolled_back(now.rollback_target, champion, active, spec), active, spec)
    needed = _needs_training(champion, spec, active) or _grid_refitted(spec, requested=now.request is not None)
    if champion is not None and active.empty:
        return ModelDecision(_carried_without_customers(champion, active, spec, needed))
    if champion is None or needed:
        return train(active, champion, spec, as_of, needed, now.past())
    before = _measured(champion, active, spec)
    if spec.settings.tier == "grid":
        return ModelDecision(
            _carried(champion, active, spec, "the edges of the settings' grid are fixed (model.grid.edges)"), before.candidates
        )
    standing, flagged = before.candidates[0], _flagged(drifted)
    lost = failings(champion, standing, spec.settings)
    champion = _watched(before.model, bool(lost), bool(flagged))
    why, otherwise = ("It was requested", "") if now.request else _occasion(retrain, now.age, drifted, champion, lost, active, spec)
    if not why:
        return ModelDecision(_carried(champion, active, spec, otherwise), (standing,))
    contest = Contest(champion, standing, active, spec, retrain, now.past(), now.lookback)
    fresh = train(active, champion, spec, as_of, f"{why}, so a challenger was trained.", now.past())
    challengers = [(challenger, contest.gates(challenger)) for challenger in _challengers(contest, fresh, as_of)]
    return _contested(champion, challengers, active, spec, forced=now.request is not None and now.request.force)


def _measured(model: SegmentModel, active: Customers, spec: ModelSpec) -> ModelDecision:
    """The model with its figures on the active customers as the only candidate; without a candidate if there are no customers."""
    if model.clusters is None or active.empty:
        return ModelDecision(model)
    standing = measured_again(model.clusters, active, spec.settings)
    return ModelDecision(model.with_stability(standing.jaccard, standing.jaccard_errors), (standing,))


def _watched(champion: SegmentModel, failed: bool, drifted: bool) -> SegmentModel:
    """The champion with its counts of snapshots running at which it failed its own test and at which its customers had drifted."""
    about = champion.provenance
    unsound, drifting = about.unsound + 1 if failed else 0, about.drifting + 1 if drifted else 0
    return replace(champion, provenance=replace(about, unsound=unsound, drifting=drifting))


def _challengers(contest: Contest, fresh: ModelDecision, as_of: dt.date) -> list[ModelDecision]:
    """The fresh challenger and, if it is convenient, also k-means started from the champion. That one comes first, unless the fresh one
    has as many segments and explains more: of two equally good partitions, it keeps the segments people know."""
    about = fresh.model.provenance
    if about.tier != Tier.CONVENIENT:
        return [fresh]
    other = train_from(contest.active, contest.champion, contest.spec, as_of, about.reason, fresh.candidates, contest.past)
    if other is None:
        return [fresh]
    gain = contest.fit_of(fresh.model) - contest.fit_of(other.model)
    better = about.k == other.model.provenance.k and gain >= contest.retrain.least_fit_gain
    return [fresh, other] if better else [other, fresh]


def _carried_without_customers(champion: SegmentModel, active: Customers, spec: ModelSpec, needed: str) -> SegmentModel:
    carried = _carried(champion, active, spec, _nobody(needed))
    if champion.clusters is not None:
        return carried
    none = f"As at {champion.provenance.fitted_snapshot}, no customer is active, so there are still no segments by model."
    return replace(carried, provenance=replace(carried.provenance, reason=none))


def _needs_training(champion: SegmentModel | None, spec: ModelSpec, active: Customers) -> str:
    """Why a model is trained without a contest; empty if it is not."""
    if champion is None:
        return "There is no model at the previous snapshot, so one is trained."
    if champion.clusters is None and not active.empty:
        return "The previous model had no active customers to learn from, so one is trained."
    if champion.provenance.settings_digest != spec.settings_digest:
        return "The settings of the model have changed since it was fitted, so it is trained again."
    return ""


def _grid_refitted(spec: ModelSpec, requested: bool) -> str:
    """Why the grid of the settings is cut again without a contest; empty if it is not."""
    if spec.settings.tier != "grid":
        return ""
    if spec.settings.grid.edges == "refitted":
        return "The edges of the settings' grid are refitted at every snapshot (model.grid.edges); no gate applies."
    return "It was requested, so the settings' grid is cut again; no gate applies." if requested else ""


def _nobody(needed: str) -> str:
    """Why a model is carried forward if no customer is active, whether or not changed settings would need a new one."""
    nothing = "no customer is active, so drift was not measured"
    return f"{nothing}, and the model cannot be trained again although its settings have changed" if needed else nothing


def _flagged(drifted: pd.DataFrame) -> list[str]:
    """The subjects on which the model depends and which have drifted."""
    return drifted.loc[drifted["flagged"].fillna(False) & drifted["in_model"], "subject"].tolist()


def _occasion(
    retrain: RetrainSettings,
    age: int,
    drifted: pd.DataFrame,
    champion: SegmentModel,
    lost: list[str],
    active: Customers,
    spec: ModelSpec,
) -> tuple[str, str]:
    """Why a challenger is trained (empty if it is not), and otherwise why the champion is carried forward."""
    match retrain.policy:
        case "always":
            return "The policy asks for a challenger at every snapshot", ""
        case "max_age":
            old = f"it is {counted(age, 'snapshot')} old"
            why = f"The model in force is {counted(age, 'snapshot')} old, {retrain.max_age} or more" if age >= retrain.max_age else ""
            return why, f"{old}, and a challenger is trained at {retrain.max_age}"
        case "never":
            return "", "the policy is never to retrain"
        case _:
            flagged = _flagged(drifted)
            if flagged:
                return f"Drift was flagged ({naming.listed(flagged)})", ""
            undrifted = _undrifted(drifted[drifted["in_model"]])
            if not lost or retrain.policy == "on_drift":
                return "", undrifted
            unsound = champion.provenance.unsound
            failed = f"failed its own test {running(unsound)} ({lost[0]})"
            if unsound < 2 or age < retrain.min_age:
                return "", f"{undrifted}; it {failed}, but a challenger is trained only after two, at an age of {retrain.min_age} or more"
            try:
                refit = _refit_stability(champion, active, spec)
            except ClusteringError as error:
                return "", f"{undrifted}; it {failed}, and no model can be fitted today ({error})"
            if refit < spec.settings.stable_jaccard:
                shown = beside(refit, spec.settings.stable_jaccard, 2)
                return "", f"{undrifted}; it {failed}, and a model fitted today is not stable either ({shown})"
            return f"The model in force has {failed}", ""


def _refit_stability(champion: SegmentModel, active: Customers, spec: ModelSpec) -> float:
    """Bootstrap Jaccard of the weakest segment of k-means with the champion's k, fresh or started from it, whichever is more stable.

    Raises ClusteringError if the active customers are too few, or too alike, for so many segments.
    """
    if champion.provenance.tier == Tier.DISTINCT:
        return 1.0  # distinct segments are looked for at every k
    settings = spec.settings
    fresh = fit_kmeans(active[list(settings.features)], champion.provenance.k, settings.seed, spec.preprocessor)
    fits = (fresh, fit_from(champion, active, spec))
    return max(measured_again(clusters, active, settings).weakest_jaccard for clusters in fits if clusters is not None)


def _undrifted(used: pd.DataFrame) -> str:
    """Says that nothing on which the model depends is flagged, and which of it was not measured."""
    unmeasured = used.loc[used["flagged"].isna(), "subject"].tolist()
    if len(unmeasured) == len(used):
        return "drift could not be measured for anything that it depends on"
    told = f" ({naming.listed(unmeasured)} could not be measured)" if unmeasured else ""
    return f"nothing that it depends on has drifted{told}"


def _contested(
    champion: SegmentModel, challengers: list[tuple[ModelDecision, list[Gate]]], active: Customers, spec: ModelSpec, forced: bool
) -> ModelDecision:
    """The first challenger that passes every gate, else the champion; if forced, the first challenger even if it fails."""
    fitted = champion.provenance.fitted_snapshot
    for challenger, gates in challengers:
        if all(gate.passed for gate in gates):
            return _promoted(challenger, champion, f"It was promoted over the model of {fitted}: {_words(gates)}.")
    first, gates = challengers[0]
    failed = _words([gate for gate in gates if not gate.passed])
    if forced:
        return _promoted(first, champion, f"It was promoted over the model of {fitted} because a person forced it, although {failed}.")
    about = first.model.provenance
    refusal = replace(about, decision=Decision.REFUSED, reason=f"{about.reason} It was refused, and the model of {fitted} stays: {failed}.")
    tried = tuple(
        replace(c, chosen=False, reason=f"{c.reason} The challenger was refused." if c.chosen else c.reason) for c in first.candidates
    )
    return ModelDecision(_carried(champion, active, spec, "the challenger was refused"), tried, refusal)


def _words(gates: list[Gate]) -> str:
    return "; ".join(gate.words for gate in gates)


def _promoted(challenger: ModelDecision, champion: SegmentModel, words: str) -> ModelDecision:
    """Put the challenger in force; the count of snapshots with drift continues, because the change may still be under way."""
    about = challenger.model.provenance
    now = replace(about, decision=Decision.PROMOTED, reason=f"{about.reason} {words}", drifting=champion.provenance.drifting)
    return replace(challenger, model=replace(challenger.model, provenance=now))


def _carried(champion: SegmentModel, active: Customers, spec: ModelSpec, why: str) -> SegmentModel:
    reason = f"The model of {champion.provenance.fitted_snapshot} is carried forward: {why}."
    return _in_force_again(champion, active, spec, replace(champion.provenance, decision=Decision.CARRIED, reason=reason))


def _rolled_back(model: SegmentModel, champion: SegmentModel | None, active: Customers, spec: ModelSpec) -> SegmentModel:
    about = model.provenance
    instead = f" in place of the model of {champion.provenance.fitted_snapshot}" if champion and champion.clusters is not None else ""
    if champion is not None and champion.provenance.model_version == about.model_version:
        instead = "; it was already in force, so no challenger was trained"
    highest = max(about.highest_segment_id, champion.provenance.highest_segment_id if champion else 0)
    reason = f"Someone rolled back to the model of {about.fitted_snapshot} at this snapshot{instead}."
    return _in_force_again(model, active, spec, replace(about, decision=Decision.ROLLED_BACK, reason=reason, highest_segment_id=highest))


def _in_force_again(model: SegmentModel, active: Customers, spec: ModelSpec, provenance: Provenance) -> SegmentModel:
    """The same model at a later snapshot: ids stay, characters and names describe the customers now in the segments."""
    return replace(model, segments=characters.judged(model.segments, model.clusters, active, spec.labels), provenance=provenance)
