"""What assets and checks are given beside their inputs: the lake, on an engine that is closed when the run ends, and the source."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from segmentation_assets.settings.loading import Settings
from segmentation_assets.sources import Source, open_source
from segmentation_assets.store import layout
from segmentation_assets.store.lake import Lake, opened


class LakeResource(dg.ConfigurableResource[Lake]):
    """The lake of the settings' data folder."""

    settings: dg.ResourceDependency[Settings]

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Lake]:
        layout.prepare(self.settings.data_dir)
        with opened(self.settings.data_dir) as lake:
            yield lake


class SourceResource(dg.ConfigurableResource[Source]):
    """The source that the settings name."""

    settings: dg.ResourceDependency[Settings]

    def create_resource(self, context: dg.InitResourceContext) -> Source:
        return open_source(self.settings)
