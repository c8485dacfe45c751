"""Segment: who is in which segment at the snapshot, and who moved since the previous one."""

import datetime as dt
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import dagster as dg
import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pyarrow as pa

from segmentation_assets.core import pictures
from segmentation_assets.core.customers.columns import AT_ONCE, CustomerColumns
from segmentation_assets.core.customers.exploration import active_only
from segmentation_assets.core.model.rows import model_from_rows
from segmentation_assets.core.model.segment_model import SegmentModel
from segmentation_assets.core.segments import movement, own
from segmentation_assets.core.segments.segment_events import events
from segmentation_assets.defs import markdown
from segmentation_assets.defs.figures import figures
from segmentation_assets.defs.partitions import A_LOOKBACK_AGO, HISTORY, PREVIOUS, PREVIOUS_AND_THIS, THIS, Input
from segmentation_assets.defs.pictures import picture
from segmentation_assets.defs.table import at_and_before, each_snapshot, snapshot_date, table
from segmentation_assets.settings.loading import Settings
from segmentation_assets.settings.snapshots import following
from segmentation_assets.store.lake import Lake, to_frame
from segmentation_assets.tables.features import CUSTOMER_FEATURES
from segmentation_assets.tables.segments import (
    CUSTOMER_SEGMENTS,
    OWN_SEGMENT_MEMBERS,
    OWN_SEGMENTS,
    SEGMENT_BRIDGE,
    SEGMENT_CHANGES,
    SEGMENT_EVENTS,
    SEGMENT_JOURNEYS,
    SEGMENT_STAYS,
    SEGMENT_TRANSITIONS,
)

GROUP = "segments"


def _sizes(lake: Lake, placed: ir.Table) -> dict[str, float]:
    """Numbers of customers: of each segment, without a feature, and who moved."""
    by_segment, by_lack = (
        to_frame(placed.group_by(*names).agg(customers=placed.count())).sort_values(names)
        for names in (["segment_name", "segment_id"], ["imputed_features"])
    )
    without = by_lack.dropna().assign(feature=lambda rows: rows["imputed_features"].str.split(", ")).explode("feature")
    moved = placed.previous_segment_id.notnull() & (placed.previous_segment_id != placed.segment_id)
    of_all = lake.engine.rows(
        placed.agg(known=placed.previous_segment_id.count(), moved=moved.cast("int64").sum(), confidence=placed.confidence.mean())
    )[0]
    return {  # a segment that ended may have had the same name
        **{f"customers: {one.segment_name} ({one.segment_id})": one.customers for one in by_segment.itertuples()},
        **{f"customers with imputed {name}": int(n) for name, n in without.groupby("feature")["customers"].sum().items()},
        **({"customers who moved": of_all["moved"]} if of_all["known"] else {}),
        **figures({"mean confidence": math.nan if of_all["confidence"] is None else of_all["confidence"]}),
    }


@table(
    CUSTOMER_SEGMENTS,
    group=GROUP,
    kinds={"scikitlearn", "parquet"},
    ins={"customer_features": Input(THIS, here=True), "previous": Input(PREVIOUS, "customer_segments", here=True)},
    told=_sizes,
)
def customer_segments(
    lake: dg.ResourceParam[Lake], customer_features: ir.Table, segmentation_model: pd.DataFrame, previous: ir.Table
) -> Iterator[pd.DataFrame]:
    """Every known customer in exactly one segment: by the model if they ordered within the lookback, otherwise by rule."""
    model = model_from_rows(segmentation_model)
    read = model.inputs(customer_features.columns)
    before = previous.select("customer_id", previous_segment_id="segment_id")  # empty for who was not known
    for customers in lake.frames(customer_features.select("customer_id", "status", *read).left_join(before, "customer_id"), AT_ONCE):
        yield model.assign(customers).assign(previous_segment_id=customers["previous_segment_id"].astype("Int64"))


BOTH_SNAPSHOTS, BOTH_HERE = (Input(PREVIOUS_AND_THIS, dated=True, here=here) for here in (False, True))
BOTH_SIDES = dict.fromkeys(("customer_segments", "customer_features", "segmentation_model"), BOTH_SNAPSHOTS)
BOTH_SIDES_HERE = dict.fromkeys(BOTH_SIDES, BOTH_HERE)
LAST_SNAPSHOTS = {"customer_segments": Input(HISTORY, dated=True)}
PANDAS = {"pandas", "parquet"}
UNCHANGED = pa.schema({"customer_id": pa.string(), "segment_id": pa.int64(), "segment_name": pa.string()})
LARGEST_MOVES = 12  # shown on the page


@table(OWN_SEGMENT_MEMBERS, group=GROUP)
def own_segment_members(settings: dg.ResourceParam[Settings], customer_features: ir.Table, customer_segments: ir.Table) -> ir.Table:
    """Who meets which condition of `own_segments` in the settings; empty if none is set."""
    return own.members(settings.own_segments, own.placed(customer_features, customer_segments), settings.privacy.sensitive)


@table(
    OWN_SEGMENTS,
    group=GROUP,
    ins={"own_segment_members": BOTH_SNAPSHOTS, "before": Input(PREVIOUS, "own_segments")},
)
def own_segments(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    own_segment_members: ir.Table,
    customer_features: ir.Table,
    customer_segments: ir.Table,
    before: pd.DataFrame,
) -> pd.DataFrame:
    """Size, revenue, change and largest overlap of each own segment. A customer may be in several, so they do not add up."""
    inside, inside_before = each_snapshot(own_segment_members, snapshot_date(context))
    set_before = set(before["own_segment"])
    found = own.summary(settings.own_segments, inside, customer_features, customer_segments, inside_before, set_before)
    return found.reindex(columns=[column.name for column in OWN_SEGMENTS.columns])


@table(
    SEGMENT_CHANGES,
    group=GROUP,
    ins={**BOTH_SIDES, "own_segment_members": BOTH_SNAPSHOTS, "own_segments": BOTH_SNAPSHOTS},
)
def segment_changes(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    lake: dg.ResourceParam[Lake],
    customer_segments: ir.Table,
    customer_features: ir.Table,
    segmentation_model: ir.Table,
    own_segment_members: ir.Table,
    own_segments: ir.Table,
) -> ir.Table:
    """Who changed segment since the previous snapshot, and entered or left an own segment: by behaviour, or by a changed model."""
    as_of = snapshot_date(context)
    now, before = each_snapshot(customer_segments, as_of)
    features, _ = each_snapshot(customer_features, as_of)
    told, told_before = (dict(zip(rows["own_segment"], rows["condition"], strict=True)) for rows in at_and_before(own_segments, as_of))
    kept = {name: segment for name, segment in settings.own_segments.items() if name in told_before}
    inside, inside_before = (rows.filter(rows["own_segment"].isin(list(kept))) for rows in each_snapshot(own_segment_members, as_of))
    redefined = [name for name in kept if told[name] != told_before[name]]
    model_before = _changed_model(segmentation_model, as_of, _version_and_names)
    if model_before is None:
        of_model, of_own = movement.changes(before, now), own.changes(inside_before, inside, redefined)
    else:
        keys = [following(as_of, settings.snapshots, -1).isoformat(), as_of.isoformat()]
        here, _ = each_snapshot(lake.read(CUSTOMER_FEATURES, keys, dated=True, here=True), as_of)
        unchanged = _placed_by(lake, model_before, here)
        would = own.placed(features, unchanged)
        by_model = {name: kept[name] for name, one in own.conditions(kept, would).items() if one.by_model}
        of_own = own.changes(inside_before, inside, redefined, by_model, own.members(by_model, would))
        of_model = movement.changes(
            before, now.left_join(unchanged.select("customer_id", segment_id_unchanged="segment_id"), "customer_id")
        )
    nothing = ibis.null("int64")
    columns = [column.name for column in SEGMENT_CHANGES.columns]
    return ibis.union(
        of_model.mutate(own_segment=ibis.null("string")).select(*columns),
        of_own.mutate(from_segment_id=nothing, to_segment_id=nothing).select(*columns),
    )


def _changed_model(segmentation_model: ir.Table, as_of: dt.date, said: Callable[[SegmentModel], object]) -> SegmentModel | None:
    """The model of the previous snapshot; None if there is none, or the one of this snapshot is `said` to be the same."""
    own_rows, earlier = at_and_before(segmentation_model, as_of)
    if earlier.empty:
        return None
    model, model_before = model_from_rows(own_rows), model_from_rows(earlier)
    return None if said(model) == said(model_before) else model_before


def _placed_by(lake: Lake, model: SegmentModel, features: ir.Table) -> ir.Table:
    """customer_id, segment_id, segment_name as the model would place the customers, who are read in batches."""
    read = features.select("customer_id", "status", *model.inputs(features.columns))
    placed = (model.assign(customers)[["customer_id", *own.PLACED]] for customers in lake.frames(read, AT_ONCE))
    return ibis.memtable(pa.concat_tables([pa.Table.from_pandas(rows, UNCHANGED, preserve_index=False) for rows in placed]))


def _version_and_names(model: SegmentModel) -> tuple[str, dict[int, str]]:
    return model.provenance.model_version, {segment.segment_id: segment.name for segment in model.segments}


@table(SEGMENT_TRANSITIONS, group=GROUP, kinds=PANDAS, ins=BOTH_SIDES_HERE)
def segment_transitions(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    lake: dg.ResourceParam[Lake],
    customer_segments: ir.Table,
    customer_features: ir.Table,
    segmentation_model: ir.Table,
) -> pd.DataFrame:
    """Customers and revenue that moved since the previous snapshot, entered or left, and how many a change of model moved."""
    as_of, names = snapshot_date(context), _names(customer_segments)
    with _moved(lake, customer_segments, customer_features, segmentation_model, as_of) as both:
        moved = movement.transitions(both)
        if not settings.source.has_orders:
            moved[["revenue_before", "revenue_after"]] = np.nan
        if moved["from_segment_id"].notna().any():
            named = {
                "from": moved["from_segment_id"].map(names).fillna(movement.NEW),
                "to": moved["to_segment_id"].map(names).fillna(movement.AWAY),
            }
            shown = pd.DataFrame(named).join(moved[["customers", "revenue_before", "revenue_after", "customers_by_model"]])
            largest = shown[shown["from"] != shown["to"]].nlargest(LARGEST_MOVES, "customers")
            context.add_asset_metadata({"largest moves": dg.MetadataValue.md(markdown.table(largest))})
            dates = {"from_date": following(as_of, settings.snapshots, -1), "to_date": as_of}
            picture(
                context,
                settings,
                "flow",
                lambda: pictures.movement.flow(moved.assign(**dates), names, _best_first(both)),
                cells=moved["customers"],
            )
    return moved


@table(SEGMENT_BRIDGE, group=GROUP, kinds=PANDAS, ins=BOTH_SIDES_HERE)
def segment_bridge(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    lake: dg.ResourceParam[Lake],
    customer_segments: ir.Table,
    customer_features: ir.Table,
    segmentation_model: ir.Table,
) -> pd.DataFrame:
    """Why each segment's revenue changed: customers stayed, came, left, entered or lapsed, or the model changed."""
    names = _names(customer_segments)
    with _moved(lake, customer_segments, customer_features, segmentation_model, snapshot_date(context)) as both:
        if both["from_segment_id"].isna().all() or not settings.source.has_orders:
            return movement.bridge(both.at(np.empty(0, np.int64)))  # there is nothing to compare with
        causes = movement.bridge(both)
        shown = causes
        if len(causes):
            by_cause = causes.pivot(index="segment_id", columns="component", values="revenue")
            shown = by_cause[list(movement.COMPONENTS)].sort_values("after", ascending=False)
            shown.insert(0, "segment", [names.get(i, str(i)) for i in shown.index])  # an empty one of the other model has no name here
        context.add_asset_metadata({"revenue by cause": dg.MetadataValue.md(markdown.table(shown))})
        picture(
            context,
            settings,
            "bridge",
            lambda: pictures.movement.bridge_waterfalls(causes, names, _best_first(both), settings.exploration.money),
            cells=causes["customers"],
        )
    return causes


@table(SEGMENT_JOURNEYS, group=GROUP, kinds=PANDAS, ins=LAST_SNAPSHOTS)
def segment_journeys(lake: dg.ResourceParam[Lake], customer_segments: ir.Table) -> pd.DataFrame:
    """The most common paths through the segments over the last snapshots."""
    return movement.journeys(_paths(lake, customer_segments), _names(customer_segments))


@table(SEGMENT_STAYS, group=GROUP, kinds=PANDAS, ins=LAST_SNAPSHOTS)
def segment_stays(lake: dg.ResourceParam[Lake], customer_segments: ir.Table) -> pd.DataFrame:
    """How long customers have been in their segment, how likely they are to move, and where they go."""
    names = _names(customer_segments)
    stays = movement.stays(_paths(lake, customer_segments))
    return stays.assign(segment_name=stays["segment_id"].map(names), next_segment_name=stays["next_segment_id"].map(names))


@table(
    SEGMENT_EVENTS,
    group=GROUP,
    kinds=PANDAS,
    ins={"segmentation_model": BOTH_SNAPSHOTS, "placed_then": Input(A_LOOKBACK_AGO, CUSTOMER_SEGMENTS.name)},
)
def segment_events(
    context: dg.AssetExecutionContext, customer_features: CustomerColumns, segmentation_model: ir.Table, placed_then: ir.Table
) -> pd.DataFrame:
    """Segments that were born, survived, split, merged, died or restored, or have another character or name; empty if nothing changed."""
    own, earlier = at_and_before(segmentation_model, snapshot_date(context))
    before = None if earlier.empty else model_from_rows(earlier)
    happened = events(before, model_from_rows(own), active_only(customer_features), snapshot_date(context), lambda: _known(placed_then))
    context.add_asset_metadata({"events": dg.MetadataValue.md(markdown.bullets(happened["sentence"]) or "none")})
    return happened


def _known(placed: ir.Table) -> pd.DataFrame | None:
    """Each customer's segment; None if there was no snapshot."""
    found = to_frame(placed.select("customer_id", "segment_id"))
    return None if found.empty else found


def _moved(
    lake: Lake, customer_segments: ir.Table, customer_features: ir.Table, segmentation_model: ir.Table, as_of: dt.date
) -> AbstractContextManager[CustomerColumns]:
    """Customers before and now, as input for `movement`; those now with the segment that the previous model would give them."""
    features, features_before = each_snapshot(customer_features, as_of)
    now, before = (
        placed.select("customer_id", "segment_id").inner_join(_revenue(known), "customer_id")
        for placed, known in zip(each_snapshot(customer_segments, as_of), (features, features_before), strict=True)
    )
    model_before = _changed_model(segmentation_model, as_of, lambda model: model.provenance.model_version)
    if model_before is not None:
        unchanged = _placed_by(lake, model_before, features).select("customer_id", segment_id_unchanged="segment_id")
        now = now.inner_join(unchanged, "customer_id")
    return lake.apart(movement.matched(before, now))


def _revenue(customers: ir.Table) -> ir.Table:
    """Customer ids with their revenue, which is unknown without orders."""
    spent = customers.monetary if "monetary" in customers.columns else ibis.null("float64")
    return customers.select("customer_id", revenue=spent)


def _paths(lake: Lake, customer_segments: ir.Table) -> pd.DataFrame:
    """How many customers went the same way through the segments of several snapshots, for both tables."""
    days = [row["day"] for row in lake.engine.rows(movement.snapshots(customer_segments))]
    return lake.frame(movement.paths(customer_segments, days))


def _names(customer_segments: ir.Table) -> dict[int, str]:
    """The last name of each segment, with its id where one that has ended had the same."""
    found = to_frame(customer_segments.select("snapshot_date", "segment_id", "segment_name").distinct())
    last = found.sort_values(["snapshot_date", "segment_id"]).drop_duplicates("segment_id", keep="last")
    shared = last["segment_name"].duplicated(keep=False)
    names = last["segment_name"].where(~shared, last["segment_name"] + " (" + last["segment_id"].astype(str) + ")")
    return dict(zip(last["segment_id"], names, strict=True))


def _best_first(both: CustomerColumns) -> list[int]:
    """Ids of the segments by model, largest revenue now first."""
    ids = both["to_segment_id"]
    revenue = both["revenue_after"][ids > 0].groupby(ids[ids > 0]).sum()
    return [int(i) for i in revenue.sort_values(ascending=False, kind="stable").index]
