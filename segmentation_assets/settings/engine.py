"""The `engine:` section of the settings: what a run may take of the machine. `engines` holds the engines."""

from pathlib import Path

from pydantic import Field

from segmentation_assets.settings.section import Section


class EngineSettings(Section):
    """Bounds of a snapshot's run. They change no result."""

    threads: int | None = Field(None, ge=1, description="Most threads that DuckDB uses at once. Empty: one per core.")
    memory: str | None = Field(
        None,
        pattern=r"^[0-9]+(\.[0-9]+)? ?[KMGT]i?B$",
        description="Memory of DuckDB, such as `4GB`, beyond which it spills to `temp_folder`. Empty: 80% of the machine's.",
    )
    temp_folder: Path | None = Field(
        None, description="Folder that DuckDB spills to, relative to the settings file. Empty: the system's temporary folder."
    )
