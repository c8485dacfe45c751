"""Model and monitor: drift since the previous model was trained, the decision based on it, and the model in force.

Belongs here: one step that makes four tables. Drift is judged against the previous model, so four separate assets would
depend on each other in a cycle.
"""

import datetime as dt
from functools import cache
from typing import Self

import dagster as dg
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from segmentation_assets.core.choice import candidates
from segmentation_assets.core.choice.baselines import RFM
from segmentation_assets.core.choice.forward_validity import BOUGHT, SPEND, with_outcomes
from segmentation_assets.core.clustering.algorithm import canonical_order
from segmentation_assets.core.clustering.prototypes import PrototypeModel
from segmentation_assets.core.customers.attributes import attribute_features, spoken
from segmentation_assets.core.customers.columns import CustomerColumns
from segmentation_assets.core.customers.exploration import active_only
from segmentation_assets.core.customers.feature_catalog import units
from segmentation_assets.core.customers.feature_choices import weight_shares
from segmentation_assets.core.customers.features import declared, described
from segmentation_assets.core.model.champion import Request, SnapshotContext, next_model
from segmentation_assets.core.model.drift import unmeasured
from segmentation_assets.core.model.months import Months
from segmentation_assets.core.model.pairing import MOST_CUSTOMERS
from segmentation_assets.core.model.population import drift_report, training_population
from segmentation_assets.core.model.rows import model_from_rows, model_to_rows
from segmentation_assets.core.model.segment_model import SegmentModel
from segmentation_assets.core.model.training import ModelDecision, ModelSpec, PreviousSnapshot
from segmentation_assets.core.pictures.model import dendrogram_of, has_numeric_features, indices_over_k, k_distance_of, typical_customers
from segmentation_assets.defs.figures import figures
from segmentation_assets.defs.partitions import PREVIOUS, PREVIOUS_AND_THIS, Input
from segmentation_assets.defs.pictures import ONE_EACH, picture
from segmentation_assets.defs.table import Made, each_snapshot, shared, snapshot_date, tables
from segmentation_assets.settings.loading import Settings
from segmentation_assets.settings.snapshots import snapshots_between
from segmentation_assets.store import archive
from segmentation_assets.store.lake import Lake, to_frame
from segmentation_assets.tables.features import CUSTOMER_FEATURES
from segmentation_assets.tables.model import DRIFT_REPORT, MODEL_CANDIDATES, MODEL_REGISTRY, SEGMENTATION_MODEL
from segmentation_assets.vocabulary import Decision, DriftKind, Status

KINDS = {"scikitlearn", "parquet"}
FEATURES, ACTIVITY, BEFORE = "customer_features", "customer_activity", SEGMENTATION_MODEL.name


class ModelRequest(dg.Config):
    """A request on the snapshot's model, made in the Launchpad. It also applies when the snapshot is made again."""

    retrain: bool = Field(False, description="Train a challenger now, whatever retrain.policy says.")
    force: bool = Field(False, description="Promote the challenger even if it fails a gate.")
    model_version: str = Field("", description="Put this earlier model in force again instead; model_registry has the versions.")
    reason: str = Field("", description="Why, for model_registry.")
    requested_by: str = Field("", description="Who makes the request, for model_registry.")

    @model_validator(mode="after")
    def _asks_one_thing(self) -> Self:
        if self.retrain and self.model_version:
            raise ValueError("retrain and model_version exclude each other: remove one of them")
        if (self.reason or self.requested_by or self.force) and not (self.retrain or self.model_version):
            raise ValueError("say what you want: retrain: true, or a model_version to go back to")
        return self

    def request(self) -> Request | None:
        """The request; None if nothing is requested."""
        asked = self.retrain or self.model_version
        return Request(self.model_version, self.force, self.reason, self.requested_by) if asked else None


@tables(
    Made(
        SEGMENTATION_MODEL, "model", KINDS, (FEATURES, ACTIVITY, BEFORE),
        "Prototypes with their preprocessing, as rows: the champion carried forward, or a new model that replaced it. Its training "
        "reference is kept once, in the archive (data/models).",
    ),
    Made(
        DRIFT_REPORT, "monitor", KINDS, (FEATURES, BEFORE),
        "Each feature, the segment mix, the distance to the nearest prototype, and all coordinates together, against the training of the "
        "model before.",
    ),
    Made(
        MODEL_CANDIDATES, "model", KINDS, (FEATURES, ACTIVITY, BEFORE),
        "Every algorithm and k that was tried, if the model was trained; if it is carried forward, that model on today's customers.",
    ),
    Made(
        MODEL_REGISTRY, "model", KINDS, (FEATURES, ACTIVITY, BEFORE),
        "Which model is in force, how it came to be and why; and the challenger that was refused, if any.",
    ),
    name="model",
    ins={
        "previous": Input(PREVIOUS, SEGMENTATION_MODEL.name),
        FEATURES: Input(PREVIOUS_AND_THIS, dated=True),
    },
)  # fmt: skip
def model(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    lake: dg.ResourceParam[Lake],
    config: ModelRequest,
    customer_features: ir.Table,
    customer_activity: ir.Table,
    previous: pd.DataFrame,
) -> dict[str, pd.DataFrame]:
    """First comes drift of today's customers since the previous model was trained, then the decision, then the model.

    The Launchpad can ask for a challenger, or for an earlier model.
    """
    key, asked = context.partition_key, config.request()
    request = asked or archive.requests(settings.data_dir).get(key)
    active = active_only(shared(lake, CUSTOMER_FEATURES, customer_features, snapshot_date(context)))
    champion = None if previous.empty else model_from_rows(previous)
    drifted = _drifted(settings, lake, champion, active, snapshot_date(context))
    now = SnapshotContext(
        past=cache(lambda: _past(settings, customer_features, customer_activity, champion, snapshot_date(context))),
        lookback=settings.features.lookback,
        age=snapshots_between(champion.provenance.fitted_snapshot, key, settings.snapshots) if champion else 0,
        request=request,
        rollback_target=archive.rollback_target(settings.data_dir, key, request),
    )
    spec = _spec(settings, active)
    decided = next_model(active, champion, drifted, spec, snapshot_date(context), settings.retrain, now)
    if decided.model.provenance.decision in {Decision.TRAINED, Decision.PROMOTED}:
        archive.keep(settings.data_dir, decided.model, training_population(decided.model, active, settings.model))
    if asked:
        archive.ask(settings.data_dir, key, asked)
    _show_drift(context, drifted)
    _show_model(context, settings, decided, active)
    _show_candidates(context, settings, spec, decided, active)
    return {
        SEGMENTATION_MODEL.name: model_to_rows(decided.model),
        DRIFT_REPORT.name: drifted,
        MODEL_CANDIDATES.name: candidates.table(decided.candidates),
        MODEL_REGISTRY.name: _registry(decided, request),
    }


def _drifted(settings: Settings, lake: Lake, champion: SegmentModel | None, active: CustomerColumns, as_of: dt.date) -> pd.DataFrame:
    """The drift of today's customers from the population that the champion was trained on."""
    if champion is None:
        return drift_report(None, None, active, settings.model, settings.drift)
    population = archive.population(settings.data_dir, lake, champion, settings.model)
    few = max(champion.provenance.customers, len(active)) <= MOST_CUSTOMERS
    trained_on = archive.trained_on(lake, champion) if few else None
    fitted = dt.date.fromisoformat(champion.provenance.fitted_snapshot)
    months = Months(fitted, as_of, settings.features.lookback) if settings.snapshots.cadence == "monthly" else None
    return drift_report(champion, population, active, settings.model, settings.drift, trained_on, months)


def _spec(settings: Settings, active: CustomerColumns) -> ModelSpec:
    from segmentation_assets.core.clustering.preprocessing import FeaturePreprocessor

    known = declared(settings.features)
    attributes = attribute_features(active, {feature.name for feature in known})
    declared_transforms = {feature.name: feature.transform for feature in (*known, *attributes)}
    shares = {} if settings.source.has_orders else weight_shares(active, settings.model)
    preprocessor = FeaturePreprocessor.from_settings(settings.model, declared_transforms, shares)
    return ModelSpec(settings.model, settings.model_digest(), preprocessor, labels=settings.labels)


def _past(
    settings: Settings, customer_features: ir.Table, customer_activity: ir.Table, champion: SegmentModel | None, as_of: dt.date
) -> PreviousSnapshot | None:
    """The active customers of the previous snapshot, with what models read of them, and their spend since; None if there were none."""
    _, before = each_snapshot(customer_features, as_of)
    fitted = champion.clusters.preprocessor.columns_ if champion and isinstance(champion.clusters, PrototypeModel) else ()
    needed = {"customer_id", "status", *RFM, *settings.model.features, *(column.name for column in fitted)}
    then = before.filter(before.status == Status.ACTIVE).select(*(name for name in before.columns if name in needed))
    active = to_frame(with_outcomes(then, customer_activity) if settings.source.has_orders else then)
    if active.empty:
        return None
    spend = active[SPEND].to_numpy() if settings.source.has_orders else np.zeros(len(active))
    return PreviousSnapshot(active.drop(columns=[SPEND, BOUGHT], errors="ignore"), np.log1p(spend))


def _registry(decided: ModelDecision, request: Request | None) -> pd.DataFrame:
    """Rows for the model in force and a refused challenger; a request is recorded with the model that it led to."""
    known = [decided.model.provenance, *([decided.refused] if decided.refused else [])]
    nobody = {"requested_by": None, "request_reason": None}
    rows = [vars(about) | nobody | {"in_force": about is decided.model.provenance} for about in known]
    if request:
        rows[-1] |= {"requested_by": request.requested_by or None, "request_reason": request.reason or None}
    return pd.DataFrame([{**row, "tier": row["tier"] or None, "tier_reason": row["tier_reason"] or None} for row in rows])


def _show_drift(context: dg.AssetExecutionContext, drifted: pd.DataFrame) -> None:
    why = unmeasured(drifted)
    if why:
        context.add_output_metadata({"why drift was not measured": why}, output_name=DRIFT_REPORT.name)
        return
    inputs = drifted[drifted["in_model"] | (drifted["kind"] != DriftKind.FEATURE)]  # the others are in the table
    shown = {
        "flagged": int(drifted["flagged"].sum()),
        "flagged, of the model's inputs": int((drifted["flagged"] & drifted["in_model"]).sum()),
        **figures({f"{row.statistic}: {row.subject}": row.value for row in inputs.sort_values("value", ascending=False).itertuples()}),
    }
    context.add_output_metadata(shown, output_name=DRIFT_REPORT.name)


def _show_model(context: dg.AssetExecutionContext, settings: Settings, decided: ModelDecision, active: CustomerColumns) -> None:
    about, clusters = decided.model.provenance, decided.model.clusters
    shown = {
        "model version": about.model_version, "decision": str(about.decision), "reason": about.reason, "algorithm": about.algorithm,
        "k": about.k, "tier": str(about.tier), "tier reason": about.tier_reason,
        **({"refused challenger": decided.refused.reason} if decided.refused else {}),
    }  # fmt: skip
    context.add_output_metadata(shown, output_name=SEGMENTATION_MODEL.name)
    if isinstance(clusters, PrototypeModel) and len(active) and has_numeric_features(clusters):
        names = [s.name for s in decided.model.segments]
        computed = {feature.name for feature in declared(settings.features)}
        labels = spoken([str(name) for name in active.columns if name not in computed], settings.labels)
        of_features = units(described(settings.features, active, settings.attributes), settings.exploration.money)
        draw = lambda: typical_customers(clusters, active, names, of_features, labels)  # noqa: E731
        sizes = decided.model.segment_ids(active).value_counts() if settings.privacy.smallest_cell else ()
        picture(context, settings, "typical_customers", draw, SEGMENTATION_MODEL.name, sizes)


def _show_candidates(
    context: dg.AssetExecutionContext, settings: Settings, spec: ModelSpec, decided: ModelDecision, active: CustomerColumns
) -> None:
    tried, ask, output = decided.candidates, settings.model, MODEL_CANDIDATES.name
    chosen = next((c for c in tried if c.chosen), None)
    if chosen:  # which is known at every snapshot, unlike the other candidates
        measured = {"silhouette": chosen.silhouette, "weakest_jaccard": chosen.weakest_jaccard}
        context.add_output_metadata(figures(measured), output_name=output)
    if len(tried) > 2:  # else all customers are alike
        inputs = active[list(ask.features)]
        placed = canonical_order(spec.preprocessor.fitted_to(inputs).transform(inputs))
        points = candidates.Samples.of(placed, ask).stability
        k = max(decided.model.provenance.k, 2)
        picture(context, settings, "indices_over_k", lambda: indices_over_k(tried, ask), output)
        picture(context, settings, "dendrogram", lambda: dendrogram_of(points, k, ask.seed), output, ONE_EACH)
        picture(context, settings, "k_distance_curve", lambda: k_distance_of(points, ask), output, ONE_EACH)
