"""How customers are described, explored, and followed from snapshot to snapshot."""

import re

from pydantic import Field, field_validator, model_validator

from segmentation_assets.settings.section import Section
from segmentation_assets.vocabulary import MONEY, counted


class Features(Section):
    """How customers are described: how far back, and what their events mean."""

    lookback: int = Field(12, ge=1, le=520, description="Length of the lookback, in snapshot windows.")
    trend_windows: int | None = Field(
        None,
        ge=1,
        description="Windows at the end of the lookback that trends compare with the part before; empty: a third of it.",
    )
    event_types: tuple[str, ...] = Field((), description="Event types for each of which two features are added: count and recency.")
    campaign_event: str = Field(
        "campaign_received", min_length=1, description="Event type for receiving a campaign; its subject names the campaign."
    )
    response_events: tuple[str, ...] = Field(
        ("coupon_redeemed",), description="Event types for responding to a campaign; their subject names the campaign."
    )

    @property
    def with_subjects(self) -> tuple[str, ...]:
        """Event types whose subjects matter: campaigns and the responses to them."""
        return (self.campaign_event, *self.response_events)

    @model_validator(mode="after")
    def _trend_fits(self) -> "Features":
        if self.trend_windows is not None and self.trend_windows > self.lookback:
            raise ValueError(f"trend_windows: {self.trend_windows} is longer than the lookback of {counted(self.lookback, 'window')}")
        columns = [re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") for name in self.event_types]
        if "" in columns or len(set(columns)) < len(columns):
            raise ValueError(f"event_types: {', '.join(self.event_types)} do not each give a distinct column name")
        return self


class Exploration(Section):
    """What is drawn at each snapshot."""

    pictures: bool = Field(True, description="Whether pictures are drawn; the tables behind them are always made.")
    currency: str = Field(
        "",
        max_length=20,
        description="Currency of amounts, as pictures name it; reports write its sign if it is a code such as EUR. Empty: currency units.",
    )

    @property
    def money(self) -> str:
        """The name of the currency in pictures."""
        return self.currency or MONEY


class AttributeWords(Section):
    """What people call an attribute of customers."""

    label: str = Field(
        "",
        max_length=60,
        pattern=r"^[^,\r\n]*$",
        description="Its name in sentences and pictures, such as `annual income`, without commas; empty: the column's.",
    )
    unit: str = Field("", max_length=20, description="Unit of its values, such as `k$`; empty: none.")
    order: tuple[str, ...] = Field(
        (), description="Its levels in their order, such as `[bronze, silver, gold]`; empty: as the numbers in them say, else by name."
    )

    @field_validator("order")
    @classmethod
    def _once_each(cls, order: tuple[str, ...]) -> tuple[str, ...]:
        if twice := sorted({level for level in order if order.count(level) > 1}):
            raise ValueError(f"has {', '.join(twice)} twice; keep one")
        return order


class Movement(Section):
    """How far back the paths of customers through the segments are followed."""

    history: int = Field(6, ge=2, le=60, description="Snapshots over which paths, stays and chances of moving are counted.")
