"""The `retention:` section of the settings: how long what a run leaves beside its tables is kept. Removed in `store.retention`."""

from pydantic import Field

from segmentation_assets.settings.section import Section


class Retention(Section):
    """Lake, models and published snapshots are never removed: later snapshots look back on them, and a rollback needs them."""

    logs: int | None = Field(
        90, ge=1,
        description="Days that Dagster's record of a run is kept; of the run that made a snapshot's newest tables, only its steps are "
        "removed, for the page shows what it made. Empty: for ever.",
    )  # fmt: skip
    set_aside: int | None = Field(
        30, ge=1, description="Days that a database is kept which was set aside because others had written into it. Empty: for ever."
    )
    reports: int | None = Field(
        24,
        ge=1,
        description="Snapshots, the newest, whose reports and pictures are kept; `segmentation pictures` draws others again. Empty: all.",
    )
