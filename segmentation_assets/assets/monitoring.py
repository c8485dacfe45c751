"""Monitor: what has changed since the model was trained."""

import dagster as dg
import numpy as np
import pandas as pd

from segmentation_assets.assets.table import table
from segmentation_assets.contracts import DRIFT_REPORT
from segmentation_assets.core import drift
from segmentation_assets.core.segment_model import SegmentModel
from segmentation_assets.settings import Settings


@table(DRIFT_REPORT, group="monitor", kinds={"pandas", "parquet"})
def drift_report(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    customer_features: pd.DataFrame,
    customer_segments: pd.DataFrame,
    segmentation_model: pd.DataFrame,
) -> pd.DataFrame:
    """Population stability index of each feature and of the segment mix of active customers, against training."""
    model = SegmentModel.from_frame(segmentation_model)
    active = customer_features[customer_features["status"] == "active"]
    values = [("feature", r.subject, drift.feature_psi(r, active[r.subject])) for r in model.features if r.subject in active]
    placed = customer_segments.loc[customer_segments["customer_id"].isin(active["customer_id"]), "segment_id"]
    values.append(("segment_mix", "segments", drift.mix_psi(model.mix, model.mix_customers, placed)))
    report = pd.DataFrame(values, columns=["kind", "subject", "value"])
    threshold = settings.drift.psi_threshold
    report = report.assign(statistic="psi", p_value=np.nan, q_value=np.nan, threshold=threshold, flagged=report["value"] > threshold)
    context.add_asset_metadata({
        "flagged": int(report["flagged"].sum()),
        **{f"psi: {row.subject}": row.value for row in report.itertuples() if np.isfinite(row.value)},
    })  # fmt: skip
    return report
