"""Attributes of customers as features, where they are all that is known: how each is called, and on which scale it is compared.

Belongs here: attributes, which have any name and meaning. Features that the package computes are declared in `feature_catalog`.
"""

import re
from collections.abc import Collection, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from segmentation_assets.core.customers.columns import Customers
from segmentation_assets.core.customers.exploration import skewness
from segmentation_assets.core.customers.feature_catalog import Feature, Transform
from segmentation_assets.settings.customers import AttributeWords

SKEWED = 1.0  # skewness from which on a few large values decide about distances
TAILS = (0.005, 0.995)  # quantiles beyond which values say nothing on the shape
LONGEST_ACRONYM = 3  # letters; longer words in capitals are read as plain ones
NO_FEATURES = {"customer_id", "status"}
YEAR = "year"  # the unit of years, which are no amounts
YEAR_WORDS = re.compile(r"year|jahr|ann[eé]e|birth|born|geburt|naissance|nacimiento|nascita", re.IGNORECASE)


def attribute_features(
    customers: Customers, declared: Collection[str], words: Mapping[str, AttributeWords] | None = None
) -> tuple[Feature, ...]:
    """A feature for each numeric attribute of the customers, which are rows of customer_features.

    Args:
        declared: the names of the other features.
        words: what the settings call attributes.
    """
    numeric = customers.select_dtypes("number").columns
    names = [str(name) for name in numeric if name not in NO_FEATURES and name not in declared]
    given = words or {}
    return tuple(
        _feature(name, customers[name].to_numpy(dtype="float64", na_value=np.nan), given.get(name, AttributeWords())) for name in names
    )


def _feature(name: str, values: NDArray[np.float64], words: AttributeWords) -> Feature:
    called = words.label or label(name)
    answers = set(np.unique(values[np.isfinite(values)]).tolist()) <= {0.0, 1.0}
    ways = ("has {} more often", "has {} less often") if answers else ("has higher {}", "has lower {}")  # nobody has a high "yes"
    high, low = (way.format(called) for way in ways)
    return Feature(
        name, name, lambda m: m[name], f"Attribute {name} of the source.", words.unit or _unit(name, values), high, low,
        transform=suited_transform(values),
    )  # fmt: skip


def _unit(name: str, values: NDArray[np.float64]) -> str:
    known = values[np.isfinite(values)]
    named = known.size and YEAR_WORDS.search(name)
    return YEAR if named and ((known % 1 == 0) & (known >= 1800) & (known <= 2100)).all() else ""


def spoken(columns: Iterable[str], labels: Mapping[str, str]) -> dict[str, str]:
    """What attributes are called: by the `labels` of the settings, else by their names.

    >>> spoken(["inc", "CREDIT_LIMIT"], {"inc": "annual income"})
    {'inc': 'annual income', 'CREDIT_LIMIT': 'credit limit'}
    """
    return {column: labels.get(column) or label(column) for column in columns}


def suited_transform(values: NDArray[np.float64]) -> Transform:
    """The transform for values (n,), NaN if missing: `log` if they are skewed to the right and never negative, `yeo-johnson` if skewed
    otherwise, else `none`. A single extreme value does not decide."""
    known = values[np.isfinite(values)]
    if known.size == 0:
        return "none"
    inner = np.clip(known, *np.quantile(known, TAILS))
    skew = skewness(inner)
    if np.isnan(skew) or abs(skew) < SKEWED or len(np.unique(known)) <= 2:
        return "none"
    return "log" if skew > 0 and known.min() >= 0 else "yeo-johnson"


def label(column: str) -> str:
    """A column's name as words of a sentence, without its unit.

    >>> [label(name) for name in ("Annual Income (k$)", "CREDIT_LIMIT", "PRC_FULL_PAYMENT", "MntWines")]
    ['annual income', 'credit limit', 'PRC full payment', 'mnt wines']
    """
    bare = re.sub(r"[(\[].*?[)\]]", " ", column).strip() or column
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", bare).replace("_", " ").split()
    return " ".join(word if word.isupper() and len(word) <= LONGEST_ACRONYM else word.lower() for word in words)
