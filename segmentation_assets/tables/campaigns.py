"""The contract of how customers answered the campaigns that the source reports."""

from segmentation_assets.tables.contract import SHARE, Cells, Column, Contract, required

CAMPAIGN_RESPONSE = Contract(
    "campaign_response", "campaign of the source and segment in which its recipients were before; a description, not an effect: nobody was held out",
    (
        required("campaign", "string", "The campaign, as the subject of its events."),
        Column("segment_id", "int64", "Segment at the last snapshot before they received it; empty: not known then."),
        Column("segment_name", "string", "Its name then."),
        required("first_window", "date", "Snapshot after which they received it; if not all in the same window, the first."),
        required("received", "int64", "Customers of the segment who received it.", minimum=1),
        required("responded", "int64", "How many of them responded to it, such as redeemed its coupon, before the snapshot; a campaign may still run.", minimum=0),
        Column("share", "float64", "Their share.", **SHARE),
        Column("share_low", "float64", "Lower end of its 95% interval (Wilson 1927).", **SHARE),
        Column("share_high", "float64", "Upper end of its 95% interval.", **SHARE),
    ),
    key=("campaign", "segment_id"),
    largest_first=("received",),
    lineage={
        "received": ("customer_event_activity.event_type",), "responded": ("customer_event_activity.event_type",),
        "segment_id": ("customer_segments.segment_id",),
    },
    cells=(
        Cells("received", ("responded", "share", "share_low", "share_high")),
        Cells("responded", ("share", "share_low", "share_high"), whole="received"),
    ),
)  # fmt: skip
