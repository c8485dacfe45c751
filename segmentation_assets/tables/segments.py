"""Contracts of who is in which segment, and how customers and segments moved."""

import pandas as pd

from segmentation_assets.core.segments.movement import COMPONENTS
from segmentation_assets.tables.contract import (
    CUSTOMER_ID,
    MODEL_VERSION,
    SEGMENT_ID,
    SHARE,
    Cells,
    Column,
    Contract,
    HiddenWith,
    by,
    everyone,
    if_total_is_hidden,
    of_hidden_segments,
    required,
)
from segmentation_assets.vocabulary import Move, MoveCause, SegmentChange

CUSTOMER_SEGMENTS = Contract(
    "customer_segments", "customer known at the snapshot",
    (
        CUSTOMER_ID, SEGMENT_ID,
        required("segment_name", "string", "Name of the segment at this snapshot; the id stays when the name changes."),
        Column("distance", "float64", "Distance to the nearest prototype, in scaled units; empty for segments by rule.", minimum=0),
        Column("confidence", "float64", "0: on the border between two segments; 1: at the prototype. Empty for segments by rule.", **SHARE),
        Column("imputed_features", "string", "Features that the customer lacks, for which the model used the training median; empty: none."),
        Column("previous_segment_id", "int64", "Segment at the previous snapshot; empty for new customers."),
        MODEL_VERSION,
    ),
    key=("customer_id",),
    lineage={
        "segment_id": (
            "customer_features.recency_days", "customer_features.frequency", "customer_features.monetary", "segmentation_model.value",
        )
    },
)  # fmt: skip
OWN_SEGMENT = required("own_segment", "string", "Name of the own segment in the settings.")
OWN_SEGMENT_MEMBERS = Contract(
    "own_segment_members", "own segment and customer in it at the snapshot",
    (OWN_SEGMENT, CUSTOMER_ID),
    key=("own_segment", "customer_id"),
    lineage={"customer_id": ("customer_features.customer_id", "customer_segments.segment_id")},
)  # fmt: skip
OWN_SEGMENTS = Contract(
    "own_segments", "own segment of the settings; a customer may be in several, so they do not add up to all customers",
    (
        OWN_SEGMENT,
        required("condition", "string", "Its condition at this snapshot, over customer_features, segment_id and segment_name."),
        Column("description", "string", "What it is for, from the settings."),
        required("customers", "int64", "Customers who meet the condition.", minimum=0),
        Column("share", "float64", "Their share of all known customers; empty if none is known.", **SHARE),
        Column("revenue", "float64", "Their spend within the lookback, in the source's currency; empty if the source has no orders.", money=True),
        Column("revenue_share", "float64", "Their share of all revenue; empty if there is none."),
        Column("customers_entered", "int64", "Customers in it who were not at the previous snapshot; empty if it was not set then.", minimum=0),
        Column("customers_left", "int64", "Customers no longer in it; empty if it was not set at the previous snapshot.", minimum=0),
        Column("largest_overlap_segment_id", "int64", "The model's or rule's segment that most of them are in; the lowest id in a tie."),
        Column("largest_overlap_segment_name", "string", "Its name."),
        Column("largest_overlap", "float64", "Share of this own segment's customers who are in it.", **SHARE),
    ),
    key=("own_segment",),
    lineage={"customers": ("own_segment_members.customer_id",), "revenue": ("customer_features.monetary",)},
    cells=(
        Cells(
            "customers",
            (
                "share", "revenue", "revenue_share", "customers_entered", "customers_left", "largest_overlap_segment_id",
                "largest_overlap_segment_name", "largest_overlap",
            ),
            whole=lambda rows: rows["customers"] / rows["share"],
        ),
        # The size before, and what one of the two tells of the other as both sizes are known.
        Cells(lambda rows: rows["customers"] - rows["customers_entered"] + rows["customers_left"], ("customers_entered", "customers_left")),
        Cells("customers_entered", ("customers_left",)),
        Cells("customers_left", ("customers_entered",)),
        Cells(lambda rows: rows["customers"] * rows["largest_overlap"], ("largest_overlap",), whole="customers"),
        HiddenWith("segments", if_total_is_hidden, ("share",)),
    ),
)  # fmt: skip
SEGMENT_CHANGES = Contract(
    "segment_changes", "customer who changed segment since the previous snapshot, and own segment that a customer entered or left",
    (
        CUSTOMER_ID,
        Column("own_segment", "string", "The own segment; empty: the segments of the model and by rule."),
        Column("change", "string", "What happened; `moved` is from one segment of the model or by rule to another.", False, allowed=tuple(Move)),
        Column("from_segment_id", "int64", "Segment at the previous snapshot; empty for new customers and own segments."),
        Column("to_segment_id", "int64", "Segment at this snapshot; empty for customers who are no longer known, and own segments."),
        Column(
            "cause", "string", "`behaviour`: the previous model would place them there too; `model`: it would have kept them where they were; "
            "`both`: it would place them in a third; `definition`: the own segment has another condition.", False, allowed=tuple(MoveCause),
        ),
    ),
    key=("customer_id", "own_segment"),
    lineage={
        "from_segment_id": ("customer_segments.segment_id",), "to_segment_id": ("customer_segments.segment_id",),
        "own_segment": ("own_segment_members.own_segment",), "cause": ("segmentation_model.value",),
    },
)  # fmt: skip


def _margin(side: str) -> Cells:
    """The size of a segment, as the sum of a row or column of the transitions."""
    return Cells(
        lambda rows: rows.groupby(side, dropna=False)["customers"].transform("sum"), MOVED, of=(side,), sums=(lambda rows: rows[side] >= 0,)
    )


MOVED = ("customers", "revenue_before", "revenue_after", "customers_by_model")
BOTH_WAYS = (by("from_segment_id"), by("to_segment_id"))
SEGMENT_TRANSITIONS = Contract(
    "segment_transitions", "pair of segments between which customers moved since the previous snapshot",
    (
        Column("from_segment_id", "int64", "Segment at the previous snapshot; empty for customers who entered."),
        Column("to_segment_id", "int64", "Segment at this snapshot; empty for customers who left."),
        required("customers", "int64", "Customers who moved (or stayed, if both segments are the same).", minimum=1),
        Column("revenue_before", "float64", "Their spend within the lookback at the previous snapshot; empty if the source has no orders.", money=True),
        Column("revenue_after", "float64", "Their spend within the lookback at this snapshot; empty if the source has no orders.", money=True),
        required("customers_by_model", "int64", "Those whom the previous model would have placed elsewhere; some of them also behave differently: segment_changes has the cause of each.", minimum=0),
    ),
    key=("from_segment_id", "to_segment_id"),
    largest_first=("customers",),
    cells=(
        _margin("from_segment_id"), _margin("to_segment_id"), Cells("customers", MOVED[1:], sums=BOTH_WAYS),
        Cells("customers_by_model", whole="customers", sums=BOTH_WAYS),
    ),
)  # fmt: skip


def _fewest(bridge: pd.DataFrame) -> pd.Series:
    """The fewest customers, but some, behind a component of the segment."""
    some = bridge["customers"].where(bridge["customers"] > 0)
    return some.groupby(bridge["segment_id"]).transform("min")


def _of_hidden_moves(bridge: pd.DataFrame, transitions: pd.DataFrame) -> pd.Series:
    """Whether customers moved into or out of the segment whose number is hidden: its components are sums of such numbers."""
    hidden = transitions[transitions["customers"].isna()]
    return bridge["segment_id"].isin(hidden["from_segment_id"]) | bridge["segment_id"].isin(hidden["to_segment_id"])


SEGMENT_BRIDGE = Contract(
    "segment_bridge", "segment and cause of the change of its revenue since the previous snapshot",
    (
        SEGMENT_ID,
        Column(
            "component", "string", "`before` and `after` are the revenue; the others add up to the difference: `stayed` (they spend "
            "more or less), `came`, `left`, `entered` (new, or back), `lapsed`, `model` (moved by a change of model).", False,
            allowed=COMPONENTS,
        ),
        required("customers", "int64", "Customers behind it.", minimum=0),
        required("revenue", "float64", "Revenue, or its change, within the lookback; in the source's currency.", money=True),
    ),
    key=("segment_id", "component"),
    largest_first=("customers",),
    lineage={"revenue": ("customer_features.monetary",), "customers": ("customer_segments.customer_id",)},
    cells=(
        Cells(_fewest, ("customers", "revenue"), of=("segment_id",)),
        HiddenWith("segment_transitions", _of_hidden_moves, ("customers", "revenue")),
    ),
)  # fmt: skip


def _ends_in_hidden(journeys: pd.DataFrame, segments: pd.DataFrame) -> pd.Series:
    hidden = segments.loc[segments["customers"].isna(), "segment_id"].astype(str)
    return _last(journeys).isin(hidden)


def _last(journeys: pd.DataFrame) -> pd.Series:
    return journeys["path"].str.rpartition(" > ")[2]


def _first(journeys: pd.DataFrame) -> pd.Series:
    return journeys["path"].str.partition(" > ")[0]


SEGMENT_JOURNEYS = Contract(
    "segment_journeys", "path through the segments over the last snapshots, most common first",
    (
        required("rank", "int64", "1 is the most common.", minimum=1),
        required("path", "string", "Segment ids in order, such as `3 > 1`; a repeat is one step."),
        required("path_names", "string", "The same with segment names."),
        required("customers", "int64", "Customers who took this path.", minimum=1),
        required("share", "float64", "Their share of all customers known at the snapshot.", **SHARE),
    ),
    key=("rank",),
    lineage={"path": ("customer_segments.segment_id",)},
    cells=(
        HiddenWith("segments", _ends_in_hidden, ("customers", "share")), Cells("customers", ("share",), sums=(_last, _first)),
        HiddenWith("segments", if_total_is_hidden, ("share",)),
    ),
)  # fmt: skip
SEGMENT_STAYS = Contract(
    "segment_stays", "segment: how long customers stay, and where they go",
    (
        SEGMENT_ID,
        required("segment_name", "string", "Name of the segment."),
        required("customers", "int64", "Customers in it now.", minimum=1),
        required("mean_snapshots", "float64", "Mean length of their current stay, in snapshots, within movement.history.", minimum=1),
        required("median_snapshots", "float64", "Median length of their current stay.", minimum=1),
        Column("chance_to_move", "float64", "Share of its customers who were in another segment at the next snapshot.", **SHARE),
        Column("next_segment_id", "int64", "The segment to which most of those who moved went."),
        Column("next_segment_name", "string", "Its name."),
        Column("next_share", "float64", "Its share of those who moved.", **SHARE),
    ),
    key=("segment_id",),
    largest_first=("customers",),
    lineage={"chance_to_move": ("customer_segments.segment_id",)},
    cells=(
        HiddenWith(
            "segments", of_hidden_segments,
            ("customers", "mean_snapshots", "median_snapshots", "chance_to_move", "next_segment_id", "next_segment_name", "next_share"),
        ),
    ),
)  # fmt: skip
WITHOUT_SHARE = (SegmentChange.CHARACTER, SegmentChange.RENAMED)  # events that are not told by how many customers they concern
SEGMENT_EVENTS = Contract(
    "segment_events", "event in the life of segments: what a change of model made of them, or another character or name",
    (
        Column("event", "string", "What happened.", False, allowed=tuple(SegmentChange)),
        required("from_segment_ids", "string", "Segments before, such as `1, 4`; empty for a birth."),
        required("to_segment_ids", "string", "Segments after; empty for a death."),
        Column("overlap", "float64", "Share of customers on which the event is based (docs/segments-over-time.md); empty for another character or name.", **SHARE),
        required("sentence", "string", "The same in words, with names."),
    ),
    key=("event", "from_segment_ids", "to_segment_ids"),
    lineage={"from_segment_ids": ("segmentation_model.value",), "to_segment_ids": ("segmentation_model.value",)},
    # How many customers a share is of is not kept, so each may be of few.
    cells=(Cells(lambda rows: (~rows["event"].isin(WITHOUT_SHARE)).astype(int), ("overlap", "sentence")),),
)  # fmt: skip


def _sizes(metrics: pd.DataFrame) -> pd.Series:
    """Customers of each segment, from "customers: segment"."""
    return metrics["value"].where(metrics["metric"].str.startswith("customers: "))


def _parts(metrics: pd.DataFrame) -> pd.Series:
    """Customers behind a share of the active ones."""
    return (metrics["value"] * _active(metrics)).where(metrics["metric"].isin(["smallest_share", "largest_share", "noise_share"]))


def _active(metrics: pd.DataFrame) -> pd.Series:
    known = metrics.loc[metrics["metric"] == "active_customers", "value"]
    return pd.Series(known.iloc[0] if len(known) else float("nan"), index=metrics.index)


FORWARD = ("forward_customers", "forward_mean_spend", "forward_lift", "forward_active_share")
"""What became of a segment of the previous snapshot; its size then may be another than today's."""


def _sizes_before(metrics: pd.DataFrame) -> pd.Series:
    """Customers of each segment of the previous snapshot, from "forward_customers: segment"."""
    return metrics["value"].where(metrics["metric"].str.startswith("forward_customers: "))


def _followed(metrics: pd.DataFrame) -> pd.Series:
    """Customers behind a figure of what became of a segment; 1 if their number was not kept, up to version 0.1.0."""
    kind, segment = _kind_and_segment(metrics)
    sizes = metrics.loc[kind == "forward_customers"].set_index(segment[kind == "forward_customers"])["value"]
    return segment.map(sizes).fillna(1).where(kind.isin(FORWARD))


def _bought_since(metrics: pd.DataFrame) -> pd.Series:
    """How many of them ordered since."""
    kind, _ = _kind_and_segment(metrics)
    return (metrics["value"] * _followed(metrics)).round().where(kind == "forward_active_share")


def _kind_and_segment(metrics: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    parts = metrics["metric"].str.partition(": ")
    return parts[0], parts[2]


def _totals(metrics: pd.DataFrame) -> pd.Series:
    return metrics["value"].where(metrics["metric"].isin(["customers", "active_customers"]))


def _of_hidden_names(metrics: pd.DataFrame, segments: pd.DataFrame) -> pd.Series:
    return metrics["metric"].str.partition(": ")[2].isin(segments.loc[segments["customers"].isna(), "segment_name"])


def _all_known(metrics: pd.DataFrame, segments: pd.DataFrame) -> pd.Series:
    return if_total_is_hidden(metrics, segments) & (metrics["metric"] == "customers")


def _share_moved(metrics: pd.DataFrame, transitions: pd.DataFrame) -> pd.Series:
    return (metrics["metric"] == "share_moved") & bool(transitions["customers"].isna().any())


EVALUATION_METRICS = Contract(
    "evaluation_metrics", "metric of the model in force",
    (
        MODEL_VERSION,
        required(
            "metric", "string",
            "Name of the metric; `name: segment` for one segment. `forward_spend_gain_over_*`: how much more of the differences in spend since the "
            "previous snapshot its segments explain than money quintiles or grids of quantiles (docs/model.md), with `_low` and `_high`. Likewise "
            "`attributes_*` of the model's inputs, without orders, and `outcome_*` and `forward_outcome_*` of the setting `outcome`; `_by: column` is what "
            "that column alone explains, cut into as many groups.",
        ),
        Column("value", "float64", "Its value; empty if it cannot be computed."),
    ),
    key=("model_version", "metric"),
    cells=(
        HiddenWith("segments", _of_hidden_names, ("value",)), Cells(_sizes, ("value",), sums=(everyone,)), Cells(_totals, ("value",)),
        Cells(_parts, ("value",), whole=_active), Cells(_followed, ("value",)), Cells(_sizes_before, ("value",), sums=(everyone,)),
        Cells(_bought_since, ("value",), whole=_followed), HiddenWith("segments", _all_known, ("value",)),
        HiddenWith("segment_transitions", _share_moved, ("value",)),
    ),
)  # fmt: skip
