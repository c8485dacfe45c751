"""Apply: suggested actions for each segment, the published database, and the report."""

import datetime as dt
from typing import Any

import dagster as dg
import pandas as pd

from segmentation_assets.core.choice.attribute_validity import in_words
from segmentation_assets.core.model.rows import model_from_rows
from segmentation_assets.defs.declared import asset
from segmentation_assets.defs.pictures import pictures_of, withheld_of
from segmentation_assets.defs.table import table
from segmentation_assets.report import report
from segmentation_assets.settings.loading import Settings
from segmentation_assets.sources import Source
from segmentation_assets.store.lake import Lake
from segmentation_assets.store.provenance import Fingerprint
from segmentation_assets.store.published import publish_snapshot, reading
from segmentation_assets.store.small_cells import SMALL_CELL
from segmentation_assets.tables import CONTRACTS
from segmentation_assets.tables.application import SEGMENT_ACTIONS
from segmentation_assets.vocabulary import WITHOUT_ORDERS, counted


@table(SEGMENT_ACTIONS, group="apply", kinds={"pandas", "parquet"})
def segment_actions(settings: dg.ResourceParam[Settings], segments: pd.DataFrame, segmentation_model: pd.DataFrame) -> pd.DataFrame:
    """The playbook's action for each segment with customers, by its character."""
    characters: dict[int, Any] = model_from_rows(segmentation_model).characters()
    rows = []
    for segment in segments[segments["customers"] > 0].itertuples():
        play = settings.playbook[characters[segment.segment_id]]
        kind = characters[segment.segment_id].replace("_", " ")
        revenue = "" if pd.isna(segment.revenue_share) else f", {segment.revenue_share:.0%} of revenue"
        rows.append({
            "segment_id": segment.segment_id, "segment_name": segment.segment_name, "action": play.action, "channel": play.channel,
            "reason": f"{segment.share:.0%} of customers{revenue}; character: {kind}. {segment.description}",
            "priority": play.priority,
        })  # fmt: skip
    return pd.DataFrame(rows, columns=[column.name for column in SEGMENT_ACTIONS.columns])


def made_in_time(settings: Settings) -> dg.FreshnessPolicy | None:
    """With the schedule on, a snapshot is due at each cadence: warn if it is a day late, fail if two days."""
    if not settings.schedule.enabled:
        return None
    longest = {"monthly": dt.timedelta(days=31), "weekly": dt.timedelta(days=7), "daily": dt.timedelta(days=1)}[settings.snapshots.cadence]
    day = dt.timedelta(days=1)
    return dg.FreshnessPolicy.time_window(warn_window=longest + day, fail_window=longest + 2 * day)


@asset(group_name="publish", kinds={"duckdb"}, last=True, freshness=made_in_time)
def published_database(
    context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], source: dg.ResourceParam[Source], lake: dg.ResourceParam[Lake]
) -> dg.MaterializeResult[None]:
    """data/segmentation.duckdb, replaced whole once every table of the snapshot has passed its checks.

    Anyone who has the old file open keeps reading it; a snapshot that fails a check never gets here.
    """
    key = context.partition_key
    fingerprint = Fingerprint.now(settings, source.fingerprint(), key).text()
    published = publish_snapshot(lake, settings.data_dir, key, fingerprint, settings.privacy.smallest_cell)
    return dg.MaterializeResult(
        metadata={
            "path": dg.MetadataValue.path(published.database),
            "rows of the snapshot": sum(published.rows.values()),
            "snapshots published": published.snapshots,
            **({"kept": dg.MetadataValue.path(published.kept)} if published.kept else {}),
        }
    )


@asset(group_name="publish", kinds={"html"}, deps=["published_database"])
def snapshot_report(context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings]) -> dg.MaterializeResult[None]:
    """`data/reports/<snapshot>/index.html`: the snapshot's pictures in one file, to open or mail.

    It is made only once the snapshot is published, so that it agrees with the database.
    """
    pictures = {name: file for contract in CONTRACTS for name, file in pictures_of(context, settings, dg.AssetKey(contract.name)).items()}
    withheld = [name for contract in CONTRACTS for name in withheld_of(context, dg.AssetKey(contract.name))]
    remarks, own = _said(settings, context.partition_key)
    page = report.write(settings.data_dir, context.partition_key, pictures, withheld, settings.privacy.smallest_cell, remarks, own)
    return dg.MaterializeResult(
        metadata={
            "report": dg.MetadataValue.url(page.resolve().as_uri()), "path": dg.MetadataValue.path(page), "pictures": len(pictures),
            "bytes": page.stat().st_size,
        }
    )  # fmt: skip


def _said(settings: Settings, key: str) -> tuple[list[str], list[report.OwnSegmentRow]]:
    """What the page says in words, and its segments of one's own, as published."""
    with reading(settings.data_dir) as database:
        metrics = database.execute("SELECT metric, value FROM evaluation_metrics WHERE snapshot_date = CAST(? AS DATE)", [key]).fetchall()
        own = database.execute("FROM own_segments WHERE snapshot_date = CAST(? AS DATE)", [key]).df()
        (before,) = database.execute(
            "SELECT max(snapshot_date) FROM published_snapshots WHERE snapshot_date < CAST(? AS DATE)", [key]
        ).fetchall()[0]
    known = {metric: value for metric, value in metrics if value is not None}
    remarks = [*([] if settings.source.has_orders else [WITHOUT_ORDERS]), *in_words(known, before, settings.outcome, settings.labels)]
    return remarks, [_own_segment(row) for row in own.itertuples()]


def _own_segment(row: Any) -> report.OwnSegmentRow:
    hidden = getattr(row, SMALL_CELL, None)
    entered, left = row.customers_entered, row.customers_left
    return report.OwnSegmentRow(
        name=row.own_segment,
        condition=row.condition,
        description="" if pd.isna(row.description) else row.description,
        customers=hidden if isinstance(hidden, str) and pd.isna(row.customers) else counted(int(row.customers), "customer"),
        share=_percent(row.share),
        revenue_share=_percent(row.revenue_share),
        change="" if pd.isna(entered) or pd.isna(left) else f"{int(entered):,} entered, {int(left):,} left",
        overlap="" if pd.isna(row.largest_overlap) else f"{row.largest_overlap_segment_name} ({row.largest_overlap:.0%})",
    )


def _percent(share: float) -> str:
    return "" if pd.isna(share) else f"{share:.1%}"
