"""The `own_segments:` section of the settings: segments by a condition of one's own, beside those of the model."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from segmentation_assets.settings.section import Section

LONGEST_NAME = 60


class OwnSegment(Section):
    """One segment of one's own. In the settings, a condition alone may stand for the whole section."""

    condition: str = Field(
        min_length=1,
        description="SQL condition over the columns of customer_features, attributes, segment_id and segment_name.",
    )
    description: str = Field("", max_length=500, description="What it is for; published with the segment.")

    @model_validator(mode="before")
    @classmethod
    def _condition_alone(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"condition": value}
        if not isinstance(value, dict | OwnSegment):
            raise ValueError('must be a condition in quotes, such as "monetary > 1000 and recency_days > 60"')
        return value


def _plain_name(name: str) -> str:
    if not name.isprintable() or name != name.strip() or not 0 < len(name) <= LONGEST_NAME:
        raise ValueError(f"a name has 1 to {LONGEST_NAME} visible characters, and no space around them")
    return name


Name = Annotated[str, AfterValidator(_plain_name)]
OwnSegments = dict[Name, OwnSegment]
