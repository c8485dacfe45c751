"""The table of contents: every asset, check, job and schedule, and the resources they share."""

import dagster as dg

from segmentation_assets.defs import assets, checks, declared
from segmentation_assets.defs.alerts import alert_sensors
from segmentation_assets.defs.automation import (
    catch_up_sensor,
    features_job,
    killed_runs_sensor,
    newest_snapshot_schedule,
    pictures_job,
    segment_job,
    snapshot_job,
    source_changes_sensor,
)
from segmentation_assets.defs.io import LakeIOManager
from segmentation_assets.defs.resources import LakeResource, SourceResource
from segmentation_assets.defs.retention import retention_job, retention_schedule
from segmentation_assets.defs.table import IO_MANAGER
from segmentation_assets.settings.loading import Settings, load_settings
from segmentation_assets.sources import Source

PROCESSES = dg.multi_or_in_process_executor
one_process = PROCESSES.configured(
    lambda chosen: chosen,
    name="one_process",
    config_schema=dg.Field(PROCESSES.config_schema.config_type, default_value={"in_process": {}}),
    description="All steps in the run's process. Choose `multiprocess` in the Launchpad to start a process for each step instead.",
)


def build(settings: Settings, rows: Source | None = None) -> dg.Definitions:
    """The definitions for the given settings, independent of any other settings in the process.

    Args:
        rows: a source to read instead of the one in the settings.
    """
    lake = LakeResource.configure_at_launch(settings=settings)  # one lake, and one engine, for all
    return dg.Definitions(
        assets=declared.assets(assets, settings),
        asset_checks=declared.checks(checks, settings),
        executor=one_process,
        jobs=[snapshot_job, features_job, segment_job, pictures_job, retention_job],
        schedules=[newest_snapshot_schedule(settings), retention_schedule],
        sensors=[killed_runs_sensor, catch_up_sensor(settings), source_changes_sensor(settings), *alert_sensors(settings)],
        resources={
            "settings": settings,
            "source": rows or SourceResource(settings=settings),
            "lake": lake,
            IO_MANAGER: LakeIOManager(lake=lake),  # type: ignore[arg-type]  # a resource that gives a lake at launch is accepted too
        },
    )


defs = build(load_settings())
