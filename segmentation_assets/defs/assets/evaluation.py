"""Evaluate: how good the model in force is on this snapshot's customers, and how much of what followed its segments explain."""

from functools import cache, partial

import dagster as dg
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from segmentation_assets.core.choice import evaluation
from segmentation_assets.core.choice.attribute_validity import attribute_metrics, judged_by_outcome
from segmentation_assets.core.choice.candidates import Candidate
from segmentation_assets.core.choice.forward_validity import followed, forward_metrics
from segmentation_assets.core.clustering.feature_columns import CategoricalColumn
from segmentation_assets.core.clustering.prototypes import PrototypeModel
from segmentation_assets.core.customers.exploration import active_only
from segmentation_assets.core.model.rows import model_from_rows
from segmentation_assets.core.pictures.model import forward_bars, pca_map, silhouette_plot, stability_per_cluster
from segmentation_assets.core.pictures.style import segment_colours
from segmentation_assets.defs.figures import figures
from segmentation_assets.defs.partitions import PREVIOUS_AND_THIS, THIS, Input
from segmentation_assets.defs.pictures import ONE_EACH, picture
from segmentation_assets.defs.table import OUTPUT, each_snapshot, shared, snapshot_date, table
from segmentation_assets.settings.loading import Settings
from segmentation_assets.store.lake import Lake, to_frame
from segmentation_assets.tables.features import CUSTOMER_FEATURES
from segmentation_assets.tables.segments import EVALUATION_METRICS
from segmentation_assets.vocabulary import OF_ATTRIBUTES, OF_SPEND, WITHOUT_ORDERS

BOTH_SNAPSHOTS = Input(PREVIOUS_AND_THIS, dated=True, here=True)
PLOTTED = (  # the page shows these as numbers; the table has all, also of each segment, and the bounds of intervals
    "active_customers", "silhouette", "explained", "weakest_jaccard", "mean_confidence", "smallest_share", "largest_share", "share_moved",
    "forward_spend_eta_squared", *(f"forward_spend_gain_over_{baseline}" for baseline in OF_SPEND), "forward_active_eta_squared",
    *(f"{kind}_{what}" for kind in ("attributes", "outcome", "forward_outcome")
      for what in ("eta_squared", *(f"gain_over_{baseline}" for baseline in OF_ATTRIBUTES))),
)  # fmt: skip
VALIDATED = "on the window since the previous snapshot, beside groups cut without a model; segments are for acting, not for forecasting"


@table(
    EVALUATION_METRICS,
    group="evaluate",
    kinds={"scikitlearn", "parquet"},
    ins={"customer_features": BOTH_SNAPSHOTS, "customer_segments": BOTH_SNAPSHOTS, "customer_activity": Input(THIS, here=True)},
)
def evaluation_metrics(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    lake: dg.ResourceParam[Lake],
    customer_features: ir.Table,
    segmentation_model: pd.DataFrame,
    customer_segments: ir.Table,
    customer_activity: ir.Table,
) -> pd.DataFrame:
    """Indices, stability and sizes on this snapshot, overall and per segment; and how much of the spend since the previous snapshot
    that snapshot's segments explain, beside groups cut without a model."""
    model, ask = model_from_rows(segmentation_model), settings.model
    clusters = model.clusters.preprocessor.columns_ if isinstance(model.clusters, PrototypeModel) else ()
    entering = [column for column in clusters if column.weight > 0]
    inputs, codes = [column.name for column in entering], [column.name for column in entering if isinstance(column, CategoricalColumn)]
    features = shared(lake, CUSTOMER_FEATURES, customer_features, snapshot_date(context))
    _, earlier = each_snapshot(customer_features, snapshot_date(context))
    placed, placed_before = each_snapshot(customer_segments, snapshot_date(context))
    active = active_only(features)
    metrics = {"customers": float(len(features)), "active_customers": float(len(active))}
    names = [segment.name for segment in model.segments]
    by_id = segment_colours([segment.segment_id for segment in model.segments])
    colours = [by_id[segment.segment_id] for segment in model.segments]
    if model.clusters is not None and len(active):
        found = model.clusters.assign(active)
        metrics |= evaluation.sizes(found, model.clusters.k)
        label = found.label
        del found  # with distances, which nothing below needs
        if isinstance(model.clusters, PrototypeModel):
            judged = evaluation.evaluate_model(model.clusters, active, ask)
            found_again = [
                (s.name, s.jaccard, s.jaccard_error) for s in model.segments if s.jaccard is not None and s.jaccard_error is not None
            ]
            metrics |= evaluation.named_metrics(judged, names) | evaluation.stability_metrics(found_again)
            points = cache(partial(model.clusters.points, active))
            measured = Candidate(model.clusters.algorithm, model.clusters.k, jaccard=tuple(jaccard for _, jaccard, _ in found_again))
            picture(context, settings, "silhouettes", lambda: silhouette_plot(points(), label, names, colours, ask.seed), cells=ONE_EACH)
            if found_again:  # not of a model that an earlier version measured
                picture(context, settings, "stability", lambda: stability_per_cluster(measured, names, colours))
            picture(context, settings, "segment_map", lambda: pca_map(points(), label, names, colours, ask.seed), cells=ONE_EACH)
            points.cache_clear()
            if not settings.source.has_orders:
                metrics |= attribute_metrics(active[inputs], label, ask.seed, codes)
    if settings.outcome is not None and settings.outcome in features and inputs:
        known = [name for name in customer_features.columns if name in {"customer_id", "status", *inputs, settings.outcome}]
        now, before = (
            (to_frame(of.select(*known)), to_frame(places.select("customer_id", "segment_name")))
            for of, places in zip(each_snapshot(customer_features, snapshot_date(context)), (placed, placed_before), strict=True)
        )
        metrics |= judged_by_outcome(settings.outcome, now, before, inputs, ask.seed, settings.privacy.smallest_cell, codes)
    moved = (placed.previous_segment_id != placed.segment_id).cast("int64").sum()
    kept = lake.engine.rows(placed.agg(customers=placed.previous_segment_id.count(), moved=moved))[0]
    if kept["customers"]:
        metrics["share_moved"] = kept["moved"] / kept["customers"]
    has_orders = settings.source.has_orders
    forward: dict[str, float] = {}
    if has_orders:
        with lake.apart(followed(earlier, placed_before, customer_activity)) as customers:
            forward = forward_metrics(customers, ask.seed)
    unknown = ""
    if not has_orders:
        unknown = WITHOUT_ORDERS
    elif not forward:
        forward = {"forward_spend_eta_squared": np.nan, "forward_active_eta_squared": np.nan}
        is_first = not lake.engine.rows(earlier.agg(customers=earlier.count()))[0]["customers"]
        nobody = "there is no earlier snapshot" if is_first else "no customer was active at the previous snapshot"
        unknown = f"not yet validated: {nobody}"
    elif not np.isfinite(forward["forward_spend_eta_squared"]):
        unknown = "not validated: customers of the previous snapshot did not differ in their spend since"
    picture(context, settings, "forward_validity", lambda: forward_bars(forward, unknown))
    told = {"forward validity": unknown or VALIDATED, "stability": evaluation.stability_in_words(metrics)}
    measured_now = metrics | forward
    context.add_output_metadata(
        {**figures({name: measured_now[name] for name in PLOTTED if name in measured_now}), **told}, output_name=OUTPUT
    )
    rows = pd.DataFrame({"metric": [*metrics, *forward], "value": [*metrics.values(), *forward.values()]})
    return rows.assign(model_version=model.provenance.model_version)
