"""Hand-over: the audiences of the newest snapshot, once it is published, to where the settings say."""

import datetime as dt
from collections.abc import Mapping

import dagster as dg

from segmentation_assets.defs import markdown
from segmentation_assets.defs.declared import asset
from segmentation_assets.report import report
from segmentation_assets.report.words import Words
from segmentation_assets.settings.loading import Settings
from segmentation_assets.sources import Source
from segmentation_assets.store import delivering
from segmentation_assets.vocabulary import counted

OF_A_BACKFILL, OF_A_REPETITION = "dagster/backfill", "dagster/parent_run_id"  # Dagster's tags of a run


@asset(group_name="publish", kinds={"python"}, deps=["published_database"])
def audience_delivery(
    context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], source: dg.ResourceParam[Source]
) -> dg.MaterializeResult[None]:
    """Hands over what has changed of the audiences, if `delivery.enabled`: of the newest snapshot only, the first time that it is made.

    Never in a backfill or a repeated run, nor from a copy of the data folder: `segmentation audiences --deliver` is there for these.
    """
    key, now = context.partition_key, dt.datetime.now(dt.UTC)
    first = delivering.is_first_time(settings, key, now)
    if why_not := _why_not(settings, context.run.tags, first):
        return dg.MaterializeResult(metadata={"delivered": why_not})
    receipts = delivering.deliver(settings, key, delivering.choose(settings, ()), now, source=source)
    if receipts:
        report.renew(settings.data_dir, key, Words.of(settings))
    said = [
        f"{receipt.plan.name}: {counted(receipt.plan.rows.num_rows, 'row')}, delivery {receipt.plan.delivery_id}" for receipt in receipts
    ]
    told = dg.MetadataValue.md(markdown.bullets(said)) if said else "nothing has changed"
    return dg.MaterializeResult(metadata={"delivered": told})


def _why_not(settings: Settings, tags: Mapping[str, str], first: bool) -> str:
    """Why nothing is handed over, in words; empty if it is."""
    by_hand = "To hand it over: segmentation audiences --deliver"
    if not settings.delivery.enabled:
        return "nothing: delivery.enabled is off"
    if OF_A_BACKFILL in tags:
        return f"nothing: the run is one of a backfill. {by_hand}"
    if OF_A_REPETITION in tags or not first:
        return f"nothing: the snapshot is not the newest one, or was made before. {by_hand}"
    return ""
