"""Snapshots as Dagster's partitions, and the ways one snapshot looks at others, each defined once.

A partition key is the as-of date of a snapshot (see `settings.snapshots`). Dagster's own reading of it, as the start of a window,
is not used anywhere: windows come from `sources.base.window_of`. How far back a snapshot looks is a setting, so it is said here in
terms of settings, and becomes Dagster's mapping when the graph is built.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import dagster as dg

from segmentation_assets.settings.loading import Settings
from segmentation_assets.settings.snapshots import Snapshots, following, windows_to_compare
from segmentation_assets.store.lake import DATED

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


@dataclass(frozen=True)
class Back:
    """From a snapshot to those before it; those before the first do not exist and are left out.

    Args:
        steps: how many snapshots back the span begins.
        end: where it ends: 0 with the snapshot itself, -1 with the one before, None where it begins.
    """

    steps: Callable[[Settings], int]
    end: int | None = 0

    def mapping(self, settings: Settings) -> dg.TimeWindowPartitionMapping:
        steps = self.steps(settings)
        end = -steps if self.end is None else self.end
        return dg.TimeWindowPartitionMapping(start_offset=-steps, end_offset=end, allow_nonexistent_upstream_partitions=True)


@dataclass(frozen=True)
class Input:
    """An input of several snapshots, or of earlier ones.

    Args:
        table: the table that is read; by default, that of the input's name.
        dated: keep the column snapshot_date, to tell the snapshots apart.
    """

    back: Back
    table: str | None = None
    dated: bool = False

    def asset_in(self, settings: Settings) -> dg.AssetIn:
        return dg.AssetIn(self.table, partition_mapping=self.back.mapping(settings), metadata={DATED: True} if self.dated else None)


PREVIOUS = Back(lambda _: 1, end=-1)
PREVIOUS_AND_THIS = Back(lambda _: 1)
LOOKBACK = Back(lambda settings: settings.features.lookback - 1)
LOOKBACK_AND_BEFORE = Back(lambda settings: settings.features.lookback)
A_LOOKBACK_AGO = Back(lambda settings: settings.features.lookback, end=None)
LOOKBACK_BEFORE = Back(lambda settings: max(settings.features.lookback - 1, 1), end=-1)  # Dagster takes no span without a window
WITH_USUAL = Back(lambda settings: windows_to_compare(settings.snapshots, settings.volume.windows))
HISTORY = Back(lambda settings: settings.movement.history - 1)
