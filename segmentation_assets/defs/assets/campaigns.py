"""Apply: how customers answered the campaigns that the source reports."""

import dagster as dg
import ibis.expr.types as ir
import pandas as pd

from segmentation_assets.core.application import campaigns
from segmentation_assets.defs import markdown
from segmentation_assets.defs.partitions import LOOKBACK, SEGMENTS_OF_LOOKBACK, Input
from segmentation_assets.defs.table import table
from segmentation_assets.settings.loading import Settings
from segmentation_assets.tables.campaigns import CAMPAIGN_RESPONSE

LARGEST = 12  # shown on the page


@table(
    CAMPAIGN_RESPONSE,
    group="apply",
    ins={"customer_event_activity": Input(LOOKBACK), "customer_segments": Input(SEGMENTS_OF_LOOKBACK, dated=True)},
)
def campaign_response(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    customer_event_activity: ir.Table,
    customer_segments: ir.Table,
) -> pd.DataFrame:
    """Share of recipients who responded to each campaign, by the segment in which they were before. A description, not an effect: nobody
    was held out, and who received it was chosen. Empty if no campaign was received within the lookback."""
    asked = settings.features
    found = campaigns.campaign_response(customer_event_activity, customer_segments, asked.campaign_event, asked.response_events)
    if len(found):
        shown = found.nlargest(LARGEST, "received")[["campaign", "segment_name", "received", "responded", "share"]]
        context.add_asset_metadata({"largest campaigns": dg.MetadataValue.md(markdown.table(shown))})
    return found
