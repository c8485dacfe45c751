"""Segment: who belongs where at the snapshot, and who moved since the one before."""

import dagster as dg
import pandas as pd

from segmentation_assets.assets.table import at_and_before, snapshot_date, table
from segmentation_assets.contracts import CUSTOMER_SEGMENTS, SEGMENT_EVENTS, SEGMENT_TRANSITIONS
from segmentation_assets.core import life_of_segments, movement
from segmentation_assets.core.segment_model import SegmentModel
from segmentation_assets.lake import DATED
from segmentation_assets.partitions import PREVIOUS, PREVIOUS_AND_THIS

GROUP = "segments"


@table(
    CUSTOMER_SEGMENTS,
    group=GROUP,
    kinds={"scikitlearn", "parquet"},
    ins={"previous": dg.AssetIn("customer_segments", partition_mapping=PREVIOUS)},
)
def customer_segments(
    context: dg.AssetExecutionContext, customer_features: pd.DataFrame, segmentation_model: pd.DataFrame, previous: pd.DataFrame
) -> pd.DataFrame:
    """Every known customer in exactly one segment: by the model where they ordered in the lookback, else by rule."""
    assigned = SegmentModel.from_frame(segmentation_model).assign(customer_features)
    before = assigned["customer_id"].map(previous.set_index("customer_id")["segment_id"])
    with_previous = assigned.assign(previous_segment_id=before.astype("Int64"))
    moved = with_previous["previous_segment_id"].notna() & (with_previous["previous_segment_id"] != with_previous["segment_id"])
    context.add_asset_metadata({
        **{f"customers: {name}": int(n) for name, n in assigned["segment_name"].value_counts().sort_index().items()},
        "customers who moved": int(moved.sum()),
        "mean confidence": float(assigned["confidence"].mean()) if assigned["confidence"].notna().any() else 0.0,
    })  # fmt: skip
    return with_previous


BOTH_SNAPSHOTS = dg.AssetIn(partition_mapping=PREVIOUS_AND_THIS, metadata={DATED: True})


@table(
    SEGMENT_TRANSITIONS,
    group=GROUP,
    kinds={"pandas", "parquet"},
    ins={"customer_segments": BOTH_SNAPSHOTS, "customer_features": BOTH_SNAPSHOTS},
)
def segment_transitions(
    context: dg.AssetExecutionContext, customer_segments: pd.DataFrame, customer_features: pd.DataFrame
) -> pd.DataFrame:
    """Customers and revenue that moved between segments since the previous snapshot, with those who entered or left."""
    customers = customer_segments.merge(customer_features, on=["snapshot_date", "customer_id"], validate="1:1")
    customers = customers[["snapshot_date", "customer_id", "segment_id", "monetary"]].rename(columns={"monetary": "revenue"})
    now = pd.to_datetime(customers["snapshot_date"]).dt.date == snapshot_date(context)
    return movement.transitions(customers[~now], customers[now])


@table(
    SEGMENT_EVENTS,
    group=GROUP,
    kinds={"pandas", "parquet"},
    ins={"segmentation_model": BOTH_SNAPSHOTS},
)
def segment_events(context: dg.AssetExecutionContext, customer_features: pd.DataFrame, segmentation_model: pd.DataFrame) -> pd.DataFrame:
    """Born, survived, split, merged, died, restored, or of another character than before; nothing where all is as it was."""
    active = customer_features[customer_features["status"] == "active"]
    own, earlier = at_and_before(segmentation_model, snapshot_date(context))
    before = None if earlier.empty else SegmentModel.from_frame(earlier)
    happened = life_of_segments.events(before, SegmentModel.from_frame(own), active)
    context.add_asset_metadata({"events": dg.MetadataValue.md("\n".join(f"- {s}" for s in happened["sentence"]) or "none")})
    return happened
