"""Snapshots as Dagster's partitions, and how one snapshot depends on others, each defined once.

A partition key is the as-of date of a snapshot (see `settings.snapshots`). Dagster reads it as the start of a window, which is not
used anywhere: windows come from `sources.base.window_of`. How far back a snapshot looks is a setting, so it is a function of the
settings here, and becomes Dagster's mapping when the graph is built.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import dagster as dg

from segmentation_assets.settings.loading import Settings
from segmentation_assets.settings.snapshots import Snapshots, following, windows_to_compare
from segmentation_assets.store.lake import DATED, HERE

# Dagster marks as beta or preview: looking back before the first partition, checks per partition, data versions. Each was
# tried with the version in constraints.txt and has no alternative, so a warning at every start would not help.
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


@dataclass(frozen=True)
class Back:
    """A span of snapshots relative to one; those before the first snapshot do not exist and are left out.

    Args:
        steps: how many snapshots back the span begins.
        end: where it ends: 0 at the snapshot itself, -1 at the one before, None where it begins.
    """

    steps: Callable[[Settings], int]
    end: int | None = 0

    def mapping(self, settings: Settings) -> dg.TimeWindowPartitionMapping:
        steps = self.steps(settings)
        end = -steps if self.end is None else self.end
        return dg.TimeWindowPartitionMapping(start_offset=-steps, end_offset=end, allow_nonexistent_upstream_partitions=True)


@dataclass(frozen=True)
class Input:
    """An input from several snapshots, or from earlier ones.

    Args:
        table: the table to read; by default, the one with the input's name.
        dated: keep the column snapshot_date, to distinguish the snapshots.
        here: read it by the engine in this process.
    """

    back: Back
    table: str | None = None
    dated: bool = False
    here: bool = False

    def asset_in(self, settings: Settings) -> dg.AssetIn:
        asked = {DATED: self.dated, HERE: self.here}
        return dg.AssetIn(self.table, partition_mapping=self.back.mapping(settings), metadata=asked)


THIS = Back(lambda _: 0)
PREVIOUS = Back(lambda _: 1, end=-1)
PREVIOUS_AND_THIS = Back(lambda _: 1)
LOOKBACK = Back(lambda settings: settings.features.lookback - 1)
SEGMENTS_OF_LOOKBACK = Back(lambda settings: settings.features.lookback, end=-1)  # at the beginning of each of its windows
LOOKBACK_AND_BEFORE = Back(lambda settings: settings.features.lookback)
A_LOOKBACK_AGO = Back(lambda settings: settings.features.lookback, end=None)
LOOKBACK_BEFORE = Back(lambda settings: max(settings.features.lookback - 1, 1), end=-1)  # Dagster accepts no empty span
WITH_USUAL = Back(lambda settings: windows_to_compare(settings.snapshots, settings.volume.windows))
FOLLOWED_SNAPSHOTS = 3  # after this many, other things have happened to both arms that only add noise
FOLLOWED = Back(lambda _: FOLLOWED_SNAPSHOTS, end=-1)
FOLLOWED_AND_THIS = Back(lambda _: FOLLOWED_SNAPSHOTS)
SINCE_FOLLOWED = Back(lambda _: FOLLOWED_SNAPSHOTS - 1)
HISTORY = Back(lambda settings: settings.movement.history - 1)
