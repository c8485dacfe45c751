"""Contracts of what the segments are like, and of the suggested actions."""

from segmentation_assets.tables.contract import (
    MODEL_VERSION,
    SEGMENT_ID,
    SHARE,
    Cells,
    Column,
    Contract,
    HiddenWith,
    if_total_is_hidden,
    of_hidden_segments,
    required,
)

SEGMENTS = Contract(
    "segments", "segment at the snapshot",
    (
        SEGMENT_ID,
        required("segment_name", "string", "Name of the segment at this snapshot."),
        required("description", "string", "What marks the segment out, and whether it is a distinct segment or part of a convenient partition."),
        required("customers", "int64", "Customers in the segment.", minimum=0),
        required("share", "float64", "Share of all known customers.", **SHARE),
        Column("revenue", "float64", "Their spend within the lookback; empty if the source has no orders."),
        Column("revenue_share", "float64", "Share of all spend within the lookback; empty if nothing was spent."),
        MODEL_VERSION,
    ),
    key=("segment_id",),
    largest_first=("customers",),
    lineage={"customers": ("customer_segments.customer_id",), "revenue": ("customer_features.monetary",)},
    cells=(
        # Those of the model add up to the active customers, the others to the rest of all who are known.
        Cells("customers", ("share", "revenue", "revenue_share", "description"), sums=(lambda rows: rows["segment_id"] >= 0,), totals=("share",)),
    ),
)  # fmt: skip
SEGMENT_PROFILES = Contract(
    "segment_profiles", "segment and numeric feature",
    (
        SEGMENT_ID,
        required("feature", "string", "Column of customer_features."),
        Column("mean", "float64", "Mean in the segment."),
        Column("median", "float64", "Median in the segment."),
        Column("p10", "float64", "10th percentile in the segment."),
        Column("p90", "float64", "90th percentile in the segment."),
        Column("population_mean", "float64", "Mean over all known customers."),
        Column("population_sd", "float64", "Standard deviation over all known customers."),
        Column("z", "float64", "Distance of the segment's mean from the population's, in population standard deviations."),
    ),
    key=("segment_id", "feature"),
    largest_first=("z",),
    cells=(HiddenWith("segments", of_hidden_segments, ("mean", "median", "p10", "p90", "z")),),
)  # fmt: skip
SEGMENT_ACTIONS = Contract(
    "segment_actions", "segment and suggested action",
    (
        SEGMENT_ID,
        required("segment_name", "string", "Name of the segment."),
        required("action", "string", "What marketing does."),
        required("channel", "string", "Through which channel."),
        required("reason", "string", "Why this action for this segment."),
        required("priority", "int64", "1 is done first.", minimum=1, maximum=9),
    ),
    key=("segment_id", "action"),
    cells=(HiddenWith("segments", of_hidden_segments, ("reason",)), HiddenWith("segments", if_total_is_hidden, ("reason",))),
)  # fmt: skip
