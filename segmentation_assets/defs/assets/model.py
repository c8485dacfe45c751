"""Model: the choice of a model or the one carried forward, the clusterings that were tried, and the register."""

import dagster as dg
import numpy as np
import pandas as pd

from segmentation_assets.core.choice import candidates, forward_validity
from segmentation_assets.core.clustering.algorithm import canonical_order
from segmentation_assets.core.clustering.prototypes import PrototypeModel
from segmentation_assets.core.customers.feature_catalog import units
from segmentation_assets.core.customers.features import declared
from segmentation_assets.core.model import champion, training
from segmentation_assets.core.model.rows import model_from_rows, model_to_rows
from segmentation_assets.core.pictures import model as model_figures
from segmentation_assets.defs.modelling import drift_rule, retraining, selection_settings, wanted
from segmentation_assets.defs.partitions import PREVIOUS, PREVIOUS_AND_THIS, snapshots_between
from segmentation_assets.defs.pictures import picture
from segmentation_assets.defs.spans import currency
from segmentation_assets.defs.table import OUTPUT, at_and_before, snapshot_date, table
from segmentation_assets.settings.loading import Settings
from segmentation_assets.store import models
from segmentation_assets.store.lake import DATED
from segmentation_assets.tables.model import MODEL_CANDIDATES, MODEL_REGISTRY, SEGMENTATION_MODEL

GROUP = "model"
KINDS = {"scikitlearn", "parquet"}


@table(
    SEGMENTATION_MODEL,
    group=GROUP,
    kinds=KINDS,
    ins={
        "previous": dg.AssetIn("segmentation_model", partition_mapping=PREVIOUS),
        "customer_features": dg.AssetIn(partition_mapping=PREVIOUS_AND_THIS, metadata={DATED: True}),
    },
)
def segmentation_model(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    customer_features: pd.DataFrame,
    customer_activity: pd.DataFrame,
    previous: pd.DataFrame,
) -> pd.DataFrame:
    """Prototypes with their preprocessing, as rows: the champion carried forward, or a model trained anew that took its place."""
    before = None if previous.empty else model_from_rows(previous)
    own, earlier = at_and_before(customer_features, snapshot_date(context))
    active = earlier[earlier["status"] == "active"].reset_index(drop=True)
    spend, _ = forward_validity.window_outcomes(active["customer_id"], customer_activity)
    now = champion.Circumstances(
        past=training.Past(active, np.log1p(spend)) if len(active) else None,
        age=snapshots_between(before.provenance.fitted_snapshot, context.partition_key) if before else 0,
        pointed_back=models.pointed_back(settings.data_dir, context.partition_key),
    )
    model = champion.next_model(own, before, wanted(settings), snapshot_date(context), retraining(settings), now, drift_rule(settings))
    about = model.provenance
    if about.decision in (champion.TRAINED, champion.PROMOTED):
        models.keep(settings.data_dir, model)
    context.add_asset_metadata({
        "model version": about.model_version, "decision": about.decision, "reason": about.reason, "algorithm": about.algorithm,
        "k": about.k, "tier": about.tier, "tier reason": about.tier_reason,
        **({"refused challenger": model.refused.reason} if model.refused else {}),
    })  # fmt: skip
    if isinstance(model.clusters, PrototypeModel):
        clusters, names = model.clusters, [s.name for s in model.segments]
        if model_figures.has_numeric_centres(clusters):
            of_features = units(declared(settings.features), currency(settings))
            picture(context, settings, "segment_centres", lambda: model_figures.centroid_heatmap(clusters, names, of_features))
    return model_to_rows(model)


@table(MODEL_CANDIDATES, group=GROUP, kinds=KINDS)
def model_candidates(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    customer_features: pd.DataFrame,
    segmentation_model: pd.DataFrame,
) -> pd.DataFrame:
    """Every algorithm and k that was tried where the model was trained; where it is carried forward, the model on today's customers."""
    model, ask = model_from_rows(segmentation_model), selection_settings(settings)
    active = customer_features[customer_features["status"] == "active"].reset_index(drop=True)
    if not model.candidates:
        return candidates.table((candidates.measured_again(model.clusters, active, ask),) if model.clusters and len(active) else ())
    tried = model.candidates
    context.add_output_metadata(
        {f"silhouette: {c.algorithm}, k = {c.k}": c.silhouette for c in tried if np.isfinite(c.silhouette)}, output_name=OUTPUT
    )
    if len(tried) > 2:  # else all customers are alike
        placed = canonical_order(wanted(settings).preprocessor.fit_transform(active[list(settings.model.features)]))
        points = candidates.Samples.of(placed, ask).stability
        picture(context, settings, "indices_over_k", lambda: model_figures.indices_over_k(tried, ask))
        picture(context, settings, "dendrogram", lambda: model_figures.dendrogram_of(points, max(model.provenance.k, 2), ask.seed))
        picture(context, settings, "k_distance_curve", lambda: model_figures.k_distance_of(points, ask))
    return candidates.table(tried)


@table(MODEL_REGISTRY, group=GROUP)
def model_registry(segmentation_model: pd.DataFrame) -> pd.DataFrame:
    """Which model is in force, how that came about and why; and the challenger that was refused, if one was."""
    model = model_from_rows(segmentation_model)
    known = [model.provenance, *([model.refused] if model.refused else [])]
    rows = [vars(about) | {"in_force": about is model.provenance} for about in known]
    return pd.DataFrame([{**row, "tier": row["tier"] or None, "tier_reason": row["tier_reason"] or None} for row in rows])
