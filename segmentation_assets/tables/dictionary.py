"""The data dictionary as Markdown, from the declarations of features and the contracts of tables.

    python -m segmentation_assets.tables.dictionary > docs/data-dictionary.md

The layout is in `templates/dictionary.md`. A test fails if the file in docs is out of date.
"""

from jinja2 import Environment, PackageLoader, StrictUndefined

from segmentation_assets.core.customers.feature_catalog import FEATURES, Feature, event_features
from segmentation_assets.tables import CONTRACTS
from segmentation_assets.tables.receipts import AUDIENCE_RECEIPTS

EXAMPLE_EVENT = "coupon_redeemed"


def page() -> str:
    """The whole page."""
    pages = Environment(loader=PackageLoader("segmentation_assets.tables"), undefined=StrictUndefined, trim_blocks=True)  # noqa: S701 - no HTML
    pages.filters["bounds"] = _bounds
    groups = {group: [one for one in FEATURES if one.group == group] for group in dict.fromkeys(one.group for one in FEATURES)}
    every = [*CONTRACTS, AUDIENCE_RECEIPTS]
    made = pages.get_template("dictionary.md").render(
        groups=groups,
        event=EXAMPLE_EVENT,
        of_events=event_features([EXAMPLE_EVENT]),
        every=every,
        contracts=[contract for contract in every if contract.name != "customer_features"],
    )
    return f"{made.strip()}\n"


def _bounds(feature: Feature) -> str:
    """The range of a number, in words; empty for other types."""
    if feature.type != "float64":
        return ""
    low, high = (None if bound is None else f"{bound:g}" for bound in (feature.minimum, feature.maximum))
    if low is not None and high is not None:
        return f"{low} to {high}"
    return f"{low} or more" if low is not None else f"{high} or less" if high is not None else "any"


if __name__ == "__main__":
    print(page(), end="")
