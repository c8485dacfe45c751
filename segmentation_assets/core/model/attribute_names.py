"""Names of segments of customers without orders: what marks each segment out, in the words of the source's columns.

Belongs here: names by the model's inputs. Names by recency, frequency and monetary value are in `naming`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segmentation_assets.core.customers.attributes import spoken
from segmentation_assets.core.model.naming import NUMBER, listed, unused

MARKED, STILL_MARKED = 0.5, 0.35  # standard deviations from the average from which a mark is named, and above which it stays in a name
MOSTLY = 0.5  # share of a segment that has a category, for its name to say so
FIRST, MOST = 2, 4  # marks in a name, and the most where fewer do not tell two segments apart
FEW = 3  # inputs that the name of an average segment lists
AVERAGE = "Close to average"


@dataclass(frozen=True)
class Mark:
    """What distinguishes a segment from all customers, in words, and by how many standard deviations."""

    words: str
    strength: float


def marks(
    inputs: pd.DataFrame, labels: NDArray[np.int64], k: int, categorical: Collection[str] = (), words: Mapping[str, str] | None = None
) -> list[list[Mark]]:
    """The marks of each of k segments, strongest first; none for an empty segment.

    Args:
        inputs: the model's inputs of each customer (n, p); `labels`: the segment of each (n,).
        categorical: numeric inputs whose numbers are codes.
        words: what the settings call columns.

    Numbers are compared by their ranks, so that a few extreme customers decide nothing.
    """
    found: list[list[Mark]] = [[] for _ in range(k)]
    called = spoken(map(str, inputs.columns), words or {})
    for name in inputs.columns:
        values = inputs[name]
        is_number = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values) and name not in categorical
        scores = (
            {("high ", "low "): values.rank()} if is_number else {(word, ""): has for word, has in _levels(called[name], values).items()}
        )
        for (high, low), score in scores.items():
            z, share = _standing(score, labels, k)
            for c in range(k):
                said = f"{high if z[c] > 0 else low}{called[name]}" if is_number else high
                if abs(z[c]) >= STILL_MARKED and (is_number or (z[c] > 0 and share[c] >= MOSTLY)):
                    found[c].append(Mark(said, float(abs(z[c]))))
    return [sorted(own, key=lambda mark: -round(mark.strength, 9)) for own in found]


def _levels(called: str, values: pd.Series) -> dict[str, pd.Series]:
    """For each level of a category, in words, whether each customer has it (1 or 0)."""
    if pd.api.types.is_bool_dtype(values.dropna().infer_objects()):
        return {called: values.eq(True).astype("float64"), f"no {called}": values.eq(False).astype("float64")}
    return {f"{called} {level}": values.eq(level).astype("float64") for level in sorted(values.dropna().unique(), key=str)}


def _standing(score: pd.Series, labels: NDArray[np.int64], k: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """By segment (k,), the distance of the mean score from that of all in standard deviations, and the mean; 0 where nothing is known."""
    means = score.groupby(labels).mean().reindex(range(k)).to_numpy(dtype="float64")
    spread = float(score.std(ddof=0))
    z = (means - float(score.mean())) / spread if spread > 0 else np.zeros(k)
    return np.nan_to_num(z), np.nan_to_num(means)


def names(
    of: Sequence[Sequence[Mark]],
    inputs: Sequence[str],
    so_far: Sequence[str],
    empty: Collection[int] = (),
    words: Mapping[str, str] | None = None,
) -> list[str]:
    """A name for each segment from its marks. A name so far stays while each of its words is still true.

    Args:
        inputs: the model's inputs; words: what the settings call them.
        so_far: the name of each segment until now; empty: none.
        empty: segments without customers, which keep their names.
    """
    inputs = list(spoken(inputs, words or {}).values())
    found = [name if c in empty or _holds(name, own) else "" for c, (name, own) in enumerate(zip(so_far, of, strict=True))]
    for number in range(FIRST, MOST + 1):
        wanted = {c: _name(of[c], inputs, number) for c in range(len(of)) if not found[c]}
        taken = [*wanted.values(), *filter(None, found)]
        for c, name in wanted.items():
            found[c] = name if taken.count(name) == 1 else ""
    for c, own in enumerate(of):
        found[c] = found[c] or unused(_name(own, inputs, FIRST), found)
    return found


def _name(own: Sequence[Mark], inputs: Sequence[str], number: int) -> str:
    words = [mark.words for mark in own if mark.strength >= MARKED][:number]
    average = f"average {listed(inputs)}" if 0 < len(inputs) <= FEW else AVERAGE
    said = ", ".join(words) or average
    return said[0].upper() + said[1:]


def _holds(name: str, own: Sequence[Mark]) -> bool:
    true = {mark.words.casefold() for mark in own}
    return bool(name) and set(NUMBER.sub("", name).casefold().split(", ")) <= true
