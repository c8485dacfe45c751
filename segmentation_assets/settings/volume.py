"""The `volume:` section of the settings: what is expected of a source's rows from snapshot to snapshot. Judged in `core.volume`."""

from typing import Literal

from pydantic import Field

from segmentation_assets.settings.section import Section


class Volume(Section):
    """When a snapshot's window has too few rows, as where a feed has stopped, and what then."""

    least_share: float = Field(
        0.40, ge=0, le=1, description="Share of the usual number of rows below which a window is low; 0: only where it has none."
    )
    windows: int = Field(
        6, ge=3, le=60,
        description="Earlier windows whose median is the usual number of rows, once three are known; of days, those of the same weekday.",
    )  # fmt: skip
    when_low: Literal["warn", "stop"] = Field(
        "warn", description="What a low or an empty window is: a warning, or a failed check that stops the snapshot."
    )
