"""The `rules:` section of the settings: how long the rule of a segment may be, and how well it must find the segment's customers."""

from pydantic import Field

from segmentation_assets.settings.section import Section

MOST_CONDITIONS = 12


class Rules(Section):
    """When a segment gets a rule in `segment_rules`: a short SQL condition that other systems can run (docs/acting.md)."""

    max_conditions: int = Field(4, ge=1, le=MOST_CONDITIONS, description="Most comparisons in a rule, that of the status not counted.")
    min_precision: float = Field(
        0.75, ge=0, le=1,
        description="Share of the customers who meet a rule that must be in the segment, measured on customers it was not learnt from; "
        "below it, no rule is published.",
    )  # fmt: skip
    min_recall: float = Field(
        0.6,
        ge=0,
        le=1,
        description="Share of the segment's customers who must meet the rule, measured likewise; below it, none is published.",
    )
