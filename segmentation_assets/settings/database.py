"""The `database:` section of the settings: what the published database holds itself. `store.published` fills it."""

from pydantic import Field

from segmentation_assets.settings.section import Section


class Database(Section):
    """It changes no table, only where its rows are."""

    largest_copied: int | None = Field(
        100_000,
        ge=0,
        description="Most rows in one snapshot of a table of customers, such as `customer_features`, that are copied into the database. "
        "A table that has had more stays in files beside it, read through a view, as order lines are (docs/data-folder.md). "
        "Empty: all are copied.",
    )
