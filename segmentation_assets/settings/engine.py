"""The `engine:` section of the settings: what the engine of a run may take of the machine. `engines` holds the engines."""

from pathlib import Path

from pydantic import Field

from segmentation_assets.settings.section import Section


class EngineSettings(Section):
    """Bounds of a snapshot's run. They change no result."""

    threads: int | None = Field(None, ge=1, description="Most threads of the engine that works on the lake. Empty: one per core.")
    memory: str | None = Field(
        None,
        pattern=r"^[0-9]+(\.[0-9]+)? ?[KMGT]i?B$",
        description="Memory of that engine, such as `4GB`, beyond which it spills to `temp_folder`; reading a source takes 1 GB at most. "
        "Empty: 80% of the machine's.",
    )
    temp_folder: Path | None = Field(
        None, description="Folder that it spills to, relative to the settings file. Empty: the system's temporary folder."
    )
