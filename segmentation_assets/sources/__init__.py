"""Sources: a company's files and databases as rows with canonical columns."""

from segmentation_assets.settings.loading import Settings
from segmentation_assets.settings.source import Tables
from segmentation_assets.sources import buckets, pseudonyms
from segmentation_assets.sources.base import Source, SourceError, Window
from segmentation_assets.sources.complete_journey import CompleteJourneySource
from segmentation_assets.sources.tables import TablesSource

__all__ = ["Source", "SourceError", "Window", "open_source"]


def open_source(settings: Settings, to_read: bool = True) -> Source:
    """The source in the settings.

    Args:
        to_read: whether its rows will be read. If not, it can be opened without the key of its pseudonyms, but only for its fingerprint:
            in a folder with pseudonyms, reading is then refused.

    Raises:
        SourceError: it cannot be found, or the data folder has another kind of ids than the settings ask for.
    """
    asked = settings.privacy.pseudonyms if to_read else None
    made = pseudonyms.Pseudonyms.of(asked, settings.cleaning) if asked else None
    if to_read:
        pseudonyms.require(settings.data_dir, made)
    if isinstance(settings.source, Tables):
        folder, snapshots = settings.data_dir / "intake", settings.snapshots
        if settings.privacy.pseudonyms:
            buckets.refuse_copies(settings.source)
        return TablesSource(buckets.fetched(settings.source, folder), folder, snapshots.timezone, settings.cleaning, made, snapshots)
    return CompleteJourneySource()
