"""Snapshot partitions and the ways one snapshot looks at others, each defined once.

A partition key is the as-of date of a snapshot (see `settings.snapshots`). Dagster's own reading of it, as the start of a window,
is not used anywhere: windows come from `sources.base.window_of`.
"""

import warnings
from typing import Any

import dagster as dg

from segmentation_assets.settings.loading import load_settings
from segmentation_assets.settings.snapshots import Snapshots, following

# Dagster marks as beta or preview: looking back before the first partition, checks per partition, data versions. Each was
# tried with the version in constraints.txt, and there is no other way; a warning at every start would help nobody.
warnings.filterwarnings("ignore", category=dg.BetaWarning)
warnings.filterwarnings("ignore", category=dg.PreviewWarning)


def snapshot_partitions(snapshots: Snapshots) -> dg.TimeWindowPartitionsDefinition:
    """Partitions whose keys are the as-of dates; today's snapshot exists today (`end_offset=1`)."""
    span: dict[str, Any] = {"start_date": snapshots.first.isoformat(), "end_offset": 1, "timezone": snapshots.timezone}
    if snapshots.last is not None:
        span["end_date"] = following(snapshots.last, snapshots).isoformat()
    if snapshots.cadence == "monthly":
        return dg.MonthlyPartitionsDefinition(day_offset=snapshots.first.day, **span)
    if snapshots.cadence == "weekly":  # Dagster counts weekdays from Sunday = 0
        return dg.WeeklyPartitionsDefinition(day_offset=snapshots.first.isoweekday() % 7, **span)
    return dg.DailyPartitionsDefinition(**span)


def snapshots_between(earlier: str, later: str) -> int:
    """How many snapshots after `earlier` there are up to `later`."""
    return sum(earlier < key <= later for key in snapshots.get_partition_keys())


LOADED = load_settings()  # partitions are part of the graph, so the settings must be known when it is loaded
snapshots = snapshot_partitions(LOADED.snapshots)


def looking_back(start: int, end: int) -> dg.TimeWindowPartitionMapping:
    """From a snapshot to those `start` to `end` steps away; those before the first do not exist and are left out."""
    return dg.TimeWindowPartitionMapping(start_offset=start, end_offset=end, allow_nonexistent_upstream_partitions=True)


PREVIOUS = looking_back(-1, -1)
PREVIOUS_AND_THIS = looking_back(-1, 0)
LOOKBACK = looking_back(-(LOADED.features.lookback - 1), 0)
LOOKBACK_AND_BEFORE = looking_back(-LOADED.features.lookback, 0)
LOOKBACK_BEFORE = looking_back(-max(LOADED.features.lookback - 1, 1), -1)  # Dagster takes no span without a window
DAYS_OF_WEEK = 7
# Of days, as many weeks, because a day is compared with the same weekday.
VOLUME_SPAN = LOADED.volume.windows * (DAYS_OF_WEEK if LOADED.snapshots.cadence == "daily" else 1)
WITH_USUAL = looking_back(-VOLUME_SPAN, 0)
HISTORY = looking_back(-(LOADED.movement.history - 1), 0)
