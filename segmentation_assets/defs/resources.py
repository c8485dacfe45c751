"""What assets and checks are given beside their inputs: the lake, on an engine that is closed when the run ends, and the source."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import dagster as dg

from segmentation_assets import atomic
from segmentation_assets.defs import heartbeats
from segmentation_assets.settings.loading import Settings
from segmentation_assets.sources import Source, open_source
from segmentation_assets.store import layout, published
from segmentation_assets.store.lake import Lake, opened


class LakeResource(dg.ConfigurableResource[Lake]):
    """The lake of the settings' data folder."""

    settings: dg.ResourceDependency[Settings]

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Lake]:
        published.require_calendar(self.settings.data_dir, self.settings.snapshots)
        atomic.sweep(self.settings.data_dir, time.time())
        layout.prepare(self.settings.data_dir)
        with _shown_alive(context), opened(self.settings.data_dir) as lake:
            yield lake


def _shown_alive(context: dg.InitResourceContext) -> AbstractContextManager[None]:
    """A heartbeat of the run, whoever started it: each needs the lake. None outside of a run."""
    if context.instance is None or context.run is None:
        return nullcontext()
    return heartbeats.beating(context.instance, context.run.run_id)


class SourceResource(dg.ConfigurableResource[Source]):
    """The source that the settings name."""

    settings: dg.ResourceDependency[Settings]

    def create_resource(self, context: dg.InitResourceContext) -> Source:
        return open_source(self.settings)
