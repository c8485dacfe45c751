"""What a cluster's bootstrap Jaccard means, in words and digits. It imports nothing heavy, for commands that only print."""

from typing import Literal

from segmentation_assets.vocabulary import beside

Reading = Literal["dissolved", "doubtful", "valid", "highly stable"]
# Hennig's (2007; the manual of fpc's clusterboot) words for a cluster's mean bootstrap Jaccard, each with its upper limit.
READINGS: dict[Reading, float] = {"dissolved": 0.6, "doubtful": 0.75, "valid": 0.85, "highly stable": 1.0}


def reading(jaccard: float) -> Reading:
    """Hennig's word for a cluster's mean bootstrap Jaccard."""
    return next((word for word, end in READINGS.items() if jaccard < end), "highly stable")


def in_digits(jaccard: float) -> str:
    """The figure, with enough digits for its word.

    >>> in_digits(0.7), in_digits(0.7496)
    ('0.70', '0.7496')
    """
    return beside(jaccard, min(READINGS.values(), key=lambda end: abs(end - jaccard)), 2)
