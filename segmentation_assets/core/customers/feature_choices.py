"""Which features customers are clustered by, with how much weight, and what speaks for or against each.

Belongs here: the decisions as rows, and the weight that near copies share. What `init` proposes is in `sources.customer_columns`.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pandas.api import types

from segmentation_assets.core.customers.columns import Customers
from segmentation_assets.core.customers.exploration import MOST_LEVELS, MOST_RANKED, REDUNDANT_RHO, active_only, spearman
from segmentation_assets.settings.model import ModelSettings
from segmentation_assets.vocabulary import beside, counted

COLUMNS = ["feature", "enters", "reason", "transform", "weight"]
NEARLY_ALL = 0.95  # share of customers with one value, from which on a column separates hardly anyone
MOSTLY_MISSING = 0.5
NOT_CHOSEN = "not in model.features; nothing else speaks against it"
DESCRIBES = "it describes the segments: customers of one {} would form a group whatever else they do"


@dataclass(frozen=True)
class Treatment:
    """How a feature enters the model in force: its transform and its weight in the squared distance."""

    transform: str
    weight: float


def near_copies(inputs: pd.DataFrame, least: float) -> list[list[str]]:
    """The numeric inputs (n, p) in blocks, in each of which all pairs have a Spearman correlation of at least `least` in either direction:
    complete linkage (Sorensen, 1948). Columns that are near copies of none are a block of their own.

    >>> near_copies(pd.DataFrame({"a": [1, 2, 3, 4], "b": [9, 7, 5, 1], "c": [2, 1, 1, 2]}), 0.8)
    [['a', 'b'], ['c']]
    """
    from scipy.cluster.hierarchy import fcluster, linkage

    names = [str(name) for name in inputs.columns if _is_number(inputs[name])]
    if len(names) < 2 or least >= 1:
        return [[name] for name in names]
    rho = np.nan_to_num(np.abs(spearman(inputs[names].to_numpy(dtype="float64", na_value=np.nan))))
    apart = 1 - rho[np.triu_indices(len(names), 1)]
    block = fcluster(linkage(np.clip(apart, 0, 1), "complete"), 1 - least + 1e-9, "distance")
    return [[name for name, own in zip(names, block, strict=True) if own == number] for number in dict.fromkeys(block)]


def weight_shares(customers: Customers, settings: ModelSettings) -> dict[str, float]:
    """The share of its weight that each input keeps: 1 / the number of its near copies, itself included; only where it is less than 1.

    Args:
        customers: active customers (n rows of customer_features); of more than 20,000, a sample counts.
    """
    known = [name for name in settings.features if name in customers.columns and name not in settings.categorical]
    blocks = near_copies(_sample(customers, settings.seed)[known], settings.near_copies)
    return {name: 1 / len(block) for block in blocks if len(block) > 1 for name in block}


def choices(
    features: Customers,
    pairs: pd.DataFrame,
    settings: ModelSettings,
    treated: Mapping[str, Treatment],
    sensitive: Collection[str] = (),
    outcome: str | None = None,
    shared: bool = False,
) -> pd.DataFrame:
    """One row per feature and attribute: whether customers are clustered by it, and why or why not (columns `COLUMNS`).

    Args:
        features: rows of customer_features (n, p); of more than 20,000 active customers, a sample counts.
        pairs: rows of feature_correlations.
        treated: the features of the model in force.
        shared: whether near copies share a weight.
    """
    active = _sample(active_only(features), settings.seed)
    redundant = pairs[pairs["redundant"]]
    blocks = near_copies(active[[name for name in treated if name in active.columns]], settings.near_copies) if shared else []
    rows = []
    for name in features.columns.drop(["customer_id", "status"]):
        own = treated.get(name)
        against = list(_against(name, active[name], redundant, sensitive, outcome))
        if own:
            others = [other for block in blocks if name in block for other in block if other != name]
            reason = "; ".join([*_treatment(own), *_shared(others, settings), *(f"although {why}" for why in against)])
        else:
            reason = against[0] if against else NOT_CHOSEN
        rows.append((name, own is not None, reason, own.transform if own else None, own.weight if own else np.nan))
    return pd.DataFrame(rows, columns=COLUMNS)


def _sample(customers: Customers, seed: int) -> Customers:
    return customers.sample(MOST_RANKED, random_state=seed) if len(customers) > MOST_RANKED else customers


def _is_number(values: pd.Series) -> bool:
    return types.is_numeric_dtype(values) and not types.is_bool_dtype(values)


def _treatment(own: Treatment) -> Iterator[str]:
    said = {
        "log": "in model.features; its logarithm counts, because large values would decide alone",
        "yeo-johnson": "in model.features; transformed (Yeo and Johnson, 2000), because it is skewed",
        "category": "in model.features, as a category",
        "bins": "the grid in force is cut by it",
    }
    yield said.get(own.transform, "in model.features, as it is")


def _shared(others: Sequence[str], settings: ModelSettings) -> Iterator[str]:
    if others:
        yield f"it shares the weight of one with {', '.join(others)} (Spearman correlations of {settings.near_copies:g} or more)"


def _against(name: str, values: pd.Series, redundant: pd.DataFrame, sensitive: Collection[str], outcome: str | None) -> Iterator[str]:
    """What speaks against clustering by a column, strongest first."""
    if name in sensitive:
        yield "sensitive (privacy.sensitive), so it never enters a model"
    if name == outcome:
        yield "the outcome, by which segments are judged"
    known = values.dropna()
    if known.empty:
        yield "no customer has a value"
        return
    if types.is_datetime64_any_dtype(values):
        yield "a date; only numbers and categories are compared"
        return
    missing, counts = 1 - len(known) / len(values), known.value_counts(normalize=True)
    if missing > MOSTLY_MISSING:
        yield f"missing for {missing:.0%} of customers"
    if len(counts) == 1:
        yield f"all have {_shown(counts.index[0])}"
    elif counts.iloc[0] >= NEARLY_ALL:
        yield f"nearly constant: {counts.iloc[0]:.1%} have {_shown(counts.index[0])}"
    elif not _is_number(values):
        if len(counts) > MOST_LEVELS:
            yield f"{len(counts):,} different texts: names, notes or ids"
        else:
            yield f"a category with {counted(len(counts), 'level')}; {DESCRIBES.format('level')}"
    elif len(counts) == 2:
        yield f"an answer; {DESCRIBES.format('answer')}"
    for pair in redundant[redundant["take_out"] == name].head(1).itertuples():
        other = pair.feature_a if name == pair.feature_b else pair.feature_b
        yield f"redundant: it says the same as {other} (Spearman {beside(pair.spearman, REDUNDANT_RHO, 2)}, beyond {REDUNDANT_RHO})"


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)
