"""The `privacy:` section of the settings: what of people's data is kept, shown and modelled; docs/security.md."""

from pydantic import Field

from segmentation_assets.settings.section import Section

LARGEST_CELL = 1_000
SHORTEST_KEY = 32
"""Characters of a key: a shorter one could be guessed from its fingerprint, and the ids from the key."""


class PseudonymSettings(Section):
    """Keyed hashes instead of customer ids. `sources.pseudonyms` makes them."""

    key_variable: str = Field(
        pattern=r"^[A-Z][A-Z0-9_]{0,39}$",
        description=f"Environment variable, in capitals, that holds the key, at least {SHORTEST_KEY} characters: customer ids are then "
        "kept and published as keyed hashes only (docs/security.md). Empty: ids as they are.",
    )


class Privacy(Section):
    """Nothing of it is on by default: within a company, segments are usually there to find these very customers."""

    pseudonyms: PseudonymSettings | None = Field(None, description="Customer ids as keyed hashes.")
    smallest_cell: int = Field(
        0,
        ge=0,
        le=LARGEST_CELL,
        description="Fewest customers whose figures published tables, `show`, warnings and reports tell, also as the rest of a total; 0: "
        "all are told (docs/security.md).",
    )
    sensitive: tuple[str, ...] = Field(
        (),
        description="Attributes that never enter a model, such as [religion, health]; `sensitive_proxies` lists the features that tell "
        "them.",
    )
    proxy_association: float = Field(
        0.3,
        gt=0,
        lt=1,
        description="Association with a sensitive attribute (0 to 1) from which on a feature or the segments are a proxy for it.",
    )
