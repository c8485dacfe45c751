"""Monitor: what has changed since the model that came into this snapshot was trained."""

import dagster as dg
import numpy as np
import pandas as pd

from segmentation_assets.core.model.drift import unmeasured
from segmentation_assets.core.model.rows import model_from_rows
from segmentation_assets.defs.table import table
from segmentation_assets.tables.model import DRIFT_REPORT


@table(DRIFT_REPORT, group="monitor", kinds={"scikitlearn", "parquet"})
def drift_report(context: dg.AssetExecutionContext, segmentation_model: pd.DataFrame) -> pd.DataFrame:
    """Each feature, the segment mix, the distance to the nearest prototype, and all coordinates together, against training.

    It was found before the snapshot's model was decided on, and is about the model before.
    """
    report = model_from_rows(segmentation_model).drifted
    why = unmeasured(report)
    context.add_asset_metadata({
        "flagged": f"not measured: {why}" if why else int(report["flagged"].sum()),
        **({} if why else {"flagged, of what the model depends on": int((report["flagged"] & report["in_model"]).sum())}),
        **{f"{row.statistic}: {row.subject}": row.value for row in report.itertuples() if np.isfinite(row.value)},
    })  # fmt: skip
    return report
