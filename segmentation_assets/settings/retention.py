"""The `retention:` section of the settings: how long records and reports of runs are kept. `store.retention` removes them."""

from pydantic import Field

from segmentation_assets.settings.section import Section


class Retention(Section):
    """Lake, models and published snapshots are never removed: later snapshots depend on them, and a rollback needs them."""

    logs: int | None = Field(
        90, ge=1,
        description="Days to keep Dagster's record of a run; for the run that made a snapshot's newest tables, only the steps are "
        "removed, because the page shows its tables. Empty: for ever.",
    )  # fmt: skip
    set_aside: int | None = Field(
        30, ge=1, description="Days to keep a database that was set aside because others had written into it. Empty: for ever."
    )
    intake: int | None = Field(
        30,
        ge=1,
        description="Days to keep the rows of a source file that no run uses any more, such as its state before it grew. Empty: for ever.",
    )
    reports: int | None = Field(
        24,
        ge=1,
        description="Number of newest snapshots whose reports and pictures are kept; `segmentation pictures` redraws others. Empty: all.",
    )
