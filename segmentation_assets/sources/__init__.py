"""Sources: whatever a company has, as rows under canonical names."""

import hashlib
from importlib.metadata import version

from segmentation_assets.settings import Settings
from segmentation_assets.settings_source import Tables
from segmentation_assets.sources.base import Source, SourceError, Window
from segmentation_assets.sources.complete_journey import CompleteJourneySource
from segmentation_assets.sources.tables import TablesSource

__all__ = ["Source", "SourceError", "Window", "fingerprint", "open_source"]


def open_source(settings: Settings) -> Source:
    """The source that the settings name.

    Raises:
        SourceError: it cannot be found.
    """
    if isinstance(settings.source, Tables):
        return TablesSource(settings.source, settings.data_dir / "intake")
    return CompleteJourneySource()


def fingerprint(settings: Settings, source: Source) -> str:
    """Changes whenever a snapshot may come out differently: with the settings, the source, or this package's version."""
    relevant = settings.model_dump_json(exclude={"data_dir", "schedule", "alerts"})
    return hashlib.sha256("\n".join((relevant, source.fingerprint(), version("segmentation-assets"))).encode()).hexdigest()
