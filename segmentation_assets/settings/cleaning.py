"""The `cleaning:` section of the settings: each rule with its default, bound and description. The rules are in `core.cleaning`."""

import re
from typing import Literal

from pydantic import Field, field_validator

from segmentation_assets.settings.section import Section


class Impossible(Section):
    """Impossible values of a customer attribute."""

    minimum: float | None = Field(None, description="Smallest possible value.")
    maximum: float | None = Field(None, description="Largest possible value.")
    values: tuple[str | float, ...] = Field((), description="Placeholder values, such as 666666.")


class Cleaning(Section):
    """What is repaired, set aside or kept, and how much may be set aside. Each rule counts the rows it affects."""

    ids_without_decimals: bool = Field(True, description="Read ids such as 13085.0 and 13085,0 as 13085.")
    exact_duplicates: Literal["keep", "drop"] = Field(
        "keep",
        description="Order lines equal in every mapped column after the other rules: keep all, or set aside all but the first.",
    )
    cancellation_pattern: str | None = Field(None, description="Regular expression; orders whose id matches are returns, such as ^C.")
    product_exclusions: tuple[str, ...] = Field(
        (),
        description="Regular expressions; lines whose product id or category matches are not products (postage, bank charges) and "
        "are set aside.",
    )
    zero_amounts: Literal["keep", "reject"] = Field("keep", description="Lines with an amount of 0: gifts to keep, or errors to set aside.")
    free_orders: Literal["count", "ignore"] = Field(
        "count",
        description="Whether orders with only lines of 0.00, such as samples, count as orders; their lines stay either way.",
    )
    negative_prices: Literal["return", "reject"] = Field(
        "return",
        description="Lines with a negative amount but a positive quantity: net them as returns, or set them aside (bad debt, corrections).",
    )
    largest_amount: float = Field(
        1e9, gt=0, le=1e12, description="A line with a larger absolute amount or quantity is impossible and is set aside."
    )
    category_case: Literal["as is", "lower", "upper"] = Field("as is", description="Case of categories and event types.")
    attribute_case: Literal["as is", "lower", "upper"] = Field("as is", description="Case of text attributes of customers.")
    merge: dict[str, dict[str, str]] = Field(
        {}, description="Column (category, event_type or an attribute) -> spelling or rare level -> its replacement. Applied "
        "after trimming and casing."
    )  # fmt: skip
    impossible: dict[str, Impossible] = Field(
        {}, description="Customer attribute -> impossible values, which are set to missing and counted."
    )
    largest_reject_share: float = Field(
        0.05, ge=0, le=1, description="Largest share of a source's rows that may be set aside; above it, the snapshot stops."
    )

    @field_validator("cancellation_pattern")
    @classmethod
    def _pattern(cls, pattern: str | None) -> str | None:
        return pattern if pattern is None else _compiled(pattern)

    @field_validator("product_exclusions")
    @classmethod
    def _patterns(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_compiled(pattern) for pattern in patterns)


def _compiled(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from None
    return pattern
