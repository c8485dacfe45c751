"""The settings in the words of the core: its calendar, the lookback of a snapshot, what events mean, and what amounts are in.

Belongs here: translation only, so that assets that look at the same span agree. Partition mappings are in `defs.partitions`.
"""

import datetime as dt
import math
from collections.abc import Mapping

from segmentation_assets.core.customers.calendar import Calendar, Lookback
from segmentation_assets.core.customers.feature_catalog import MONEY
from segmentation_assets.core.customers.volume import DAYS_OF_WEEK, Volume, judge
from segmentation_assets.settings.loading import Settings
from segmentation_assets.settings.snapshots import following


def calendar(settings: Settings) -> Calendar:
    """The windows of the settings' cadence."""
    return Calendar(settings.snapshots.cadence, settings.snapshots.first)


def lookback(settings: Settings, as_of: dt.date) -> Lookback:
    """The lookback of the snapshot `as_of`; its last part, for trends, is a third unless the settings say otherwise."""
    windows = settings.features.lookback
    recent = settings.features.trend_windows or math.ceil(windows / 3)
    start, recent_start = (following(as_of, settings.snapshots, -steps) for steps in (windows, recent))
    return Lookback(calendar(settings), as_of, start, recent_start, windows, recent)


def volume_bounds(settings: Settings, as_of: dt.date) -> list[dt.date]:
    """As-of dates in order, the last `as_of`: between each two lies a window, the last the snapshot's and those before to compare."""
    steps = settings.volume.windows * (DAYS_OF_WEEK if settings.snapshots.cadence == "daily" else 1) + 1
    return [following(as_of, settings.snapshots, -step) for step in range(steps, -1, -1)]


def volume(settings: Settings, source: str, rows_on: Mapping[dt.date, int], as_of: dt.date) -> Volume:
    """Whether the source's rows of each day are as usual at a snapshot.

    Args:
        source: `transactions` or `events`.
    """
    return judge(source, rows_on, volume_bounds(settings, as_of), settings.volume)


def currency(settings: Settings) -> str:
    """What amounts are in, as pictures write it."""
    return settings.exploration.currency or MONEY
