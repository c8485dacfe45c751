"""The table of contents: every asset, check, job and schedule, and the resources they share."""

from collections.abc import Iterator

import dagster as dg

from segmentation_assets.defs.alerts import alert_sensors
from segmentation_assets.defs.assets import (
    application,
    cleaned,
    evaluation,
    exploration,
    features,
    model,
    profiles,
    raw,
    segments,
)
from segmentation_assets.defs.automation import (
    catch_up_sensor,
    features_job,
    newest_snapshot_schedule,
    segment_job,
    snapshot_job,
    source_changes_sensor,
)
from segmentation_assets.defs.checks.snapshot import ALL_CHECKS
from segmentation_assets.defs.checks.source import SOURCE_CHECKS
from segmentation_assets.defs.io import LakeIOManager
from segmentation_assets.defs.partitions import LOADED
from segmentation_assets.defs.table import IO_MANAGER
from segmentation_assets.engines.duckdb import DuckDBEngine
from segmentation_assets.settings.loading import Settings
from segmentation_assets.sources import Source, open_source
from segmentation_assets.store import layout
from segmentation_assets.store.lake import Lake


def build(settings: Settings, rows: Source | None = None) -> dg.Definitions:
    """The definitions for the given settings, whose snapshots must be those the graph was loaded with.

    Args:
        rows: a source to read instead of the one that the settings name.
    """

    @dg.resource
    def lake(_: dg.InitResourceContext) -> Iterator[Lake]:
        layout.prepare(settings.data_dir)
        engine = DuckDBEngine()
        try:
            yield Lake(settings.data_dir / "lake", engine)
        finally:
            engine.close()

    @dg.resource
    def source(_: dg.InitResourceContext) -> Source:
        return rows or open_source(settings)

    @dg.io_manager(required_resource_keys={"lake"})
    def lake_io(context: dg.InitResourceContext) -> LakeIOManager:
        return LakeIOManager(context.resources.lake)

    return dg.Definitions(
        assets=dg.load_assets_from_modules([raw, cleaned, features, exploration, model, segments, evaluation, profiles, application]),
        asset_checks=(*ALL_CHECKS, *SOURCE_CHECKS),
        jobs=[snapshot_job, features_job, segment_job],
        schedules=[newest_snapshot_schedule(settings)],
        sensors=[catch_up_sensor(settings), source_changes_sensor(settings), *alert_sensors(settings)],
        resources={"settings": dg.ResourceDefinition.hardcoded_resource(settings), "source": source, "lake": lake, IO_MANAGER: lake_io},
    )


defs = build(LOADED)
