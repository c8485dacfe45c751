"""What other machines made in a shared lake, fetched with the pages that show it."""

from segmentation_assets.settings.loading import Settings
from segmentation_assets.store import sharing


def fetch(settings: Settings) -> sharing.Refreshed:
    """As `sharing.refresh`. Reports of what was published here show the former figures, and are renewed.

    Raises:
        SharedLakeError, LayoutError, PublishError: as `sharing.refresh`.
    """
    found = sharing.refresh(settings)
    if found.keys:
        from segmentation_assets.report import report  # takes a second to import, and seldom is anything new
        from segmentation_assets.report.words import Words

        for key in found.keys:
            report.renew(settings.data_dir, key, Words.of(settings))
    return found
