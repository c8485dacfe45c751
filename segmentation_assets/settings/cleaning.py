"""The `cleaning:` section of the settings: each rule with its default, bound and description. The rules are in `core.cleaning`."""

import re
from typing import Literal

from pydantic import Field, field_validator

from segmentation_assets.settings.section import Section


class Impossible(Section):
    """Values of a customer attribute that cannot be true."""

    minimum: float | None = Field(None, description="Smallest possible value.")
    maximum: float | None = Field(None, description="Largest possible value.")
    values: tuple[str | float, ...] = Field((), description="Values that stand for something else, such as 666666.")


class Cleaning(Section):
    """What is repaired, set aside or kept, and how much may be set aside. Each rule counts what it touched."""

    ids_without_decimals: bool = Field(True, description="Read ids such as 13085.0 and 13085,0 as 13085.")
    exact_duplicates: Literal["keep", "drop"] = Field(
        "keep",
        description="Order lines equal in every mapped column, as the other rules leave them: keep all, or set aside all but the first.",
    )
    cancellation_pattern: str | None = Field(None, description="Regular expression; orders whose id matches are returns, such as ^C.")
    product_exclusions: tuple[str, ...] = Field(
        (),
        description="Regular expressions; lines whose product id or category matches are no products (postage, bank charges) and "
        "are set aside.",
    )
    zero_amounts: Literal["keep", "reject"] = Field("keep", description="Lines with an amount of 0: gifts to keep, or errors to set aside.")
    free_orders: Literal["count", "ignore"] = Field(
        "count",
        description="Orders of nothing but lines of 0.00, such as samples: orders like others, or none (their lines stay).",
    )
    negative_prices: Literal["return", "reject"] = Field(
        "return",
        description="Lines with a negative amount though units were bought: netted as returns, or set aside (bad debt, corrections).",
    )
    largest_amount: float = Field(
        1e9, gt=0, le=1e12, description="A line of a larger amount or quantity, in absolute terms, cannot be true and is set aside."
    )
    category_case: Literal["as is", "lower", "upper"] = Field("as is", description="Case of categories and event types.")
    attribute_case: Literal["as is", "lower", "upper"] = Field("as is", description="Case of customer attributes that are text.")
    merge: dict[str, dict[str, str]] = Field(
        {}, description="Column (category, event_type or an attribute) -> spelling or rare level -> what it is called instead. Applied "
        "after trimming and casing."
    )  # fmt: skip
    impossible: dict[str, Impossible] = Field(
        {}, description="Customer attribute -> values that cannot be true: set to missing, and counted."
    )
    largest_reject_share: float = Field(
        0.05, ge=0, le=1, description="Share of a source's rows that may be set aside before the snapshot is stopped."
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
