"""The `volume:` section of the settings: how many rows a source should deliver per snapshot. Judged in `core.customers.volume`."""

from typing import Literal

from pydantic import Field

from segmentation_assets.settings.section import Section


class Volume(Section):
    """When a snapshot's window has too few rows, for example because a feed has stopped, and what happens then."""

    least_share: float = Field(
        0.40, ge=0, le=1, description="Share of the usual number of rows below which a window is low; 0: only if it has none."
    )
    windows: int = Field(
        6, ge=3, le=60,
        description="Earlier windows whose median is the usual number of rows, once three are known; for days, those of the same weekday.",
    )  # fmt: skip
    when_low: Literal["warn", "stop"] = Field(
        "warn", description="What a low or empty window causes: a warning, or a failed check that stops the snapshot."
    )
