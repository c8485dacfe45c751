"""What segments tell of customers of whom only attributes are known: of the attributes themselves, and of an outcome.

Belongs here: the arithmetic, beside groups that one column or chance makes. Without orders there is no spend that follows.
"""

import datetime as dt
from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segmentation_assets.core.choice.baselines import random_cut, single_column
from segmentation_assets.core.choice.forward_validity import ForwardValidity, beside_others, compared, eta_squared, resampled_etas
from segmentation_assets.core.customers.exploration import active_only
from segmentation_assets.core.customers.matching import side_by_side
from segmentation_assets.vocabulary import OF_ATTRIBUTES, Baseline, beside, points

RESAMPLES, INTERVAL_ROWS = 500, 5_000  # of an interval; with 20 inputs half a second


def attribute_metrics(inputs: pd.DataFrame, labels: NDArray[np.int64], seed: int, categorical: Collection[str] = ()) -> dict[str, float]:
    """How much of the differences between customers the segments explain, and how much one column or chance does; value by metric.

    It is the mean over the inputs (n, p) of the share that lies between the groups `labels` (n,): of a number, eta squared of its ranks
    (Kruskal and Wallis, 1952), with missing ones in the middle; of a category, R squared of Light and Margolin (1971), with missing as a
    level. The best single column is that with the highest mean, its own share included. Empty for fewer than two groups, or if no
    input varies.
    """
    told = [known for name in inputs.columns if (known := _scores(inputs[name], name in categorical))]
    k = len(np.unique(labels))
    if k < 2 or not told:
        return {}
    cuts = {str(name): single_column(inputs[name], _is_category(inputs[name], name in categorical), k) for name in inputs.columns}
    alone = {name: _mean_share(told, cut) for name, cut in cuts.items()}
    others = {Baseline.COLUMN: cuts[max(alone, key=lambda name: alone[name])], Baseline.RANDOM: random_cut(labels, seed)}
    groupings = [pd.factorize(found)[0] for found in (labels, *others.values())]
    columns = [values for known in told for values, _ in known]
    weights = np.array([weight / len(told) for known in told for _, weight in known])
    drawn = np.tensordot(weights, np.stack(resampled_etas(columns, groupings, seed, RESAMPLES, INTERVAL_ROWS)), 1)
    found = beside_others([_mean_share(told, grouping) for grouping in groupings], drawn, list(others))
    return _metrics("attributes", found, alone)


def judged_by_outcome(
    outcome: str,
    now: tuple[pd.DataFrame, pd.DataFrame],
    before: tuple[pd.DataFrame, pd.DataFrame],
    inputs: Sequence[str],
    seed: int,
    smallest_cell: int = 0,
    categorical: Collection[str] = (),
) -> dict[str, float]:
    """`outcome_metrics` of active customers: how well the segments of the previous snapshot explain what the outcome is now, with metrics
    that begin with `forward_outcome`; without a previous snapshot, how well today's explain it, with `outcome`.

    Args:
        outcome: its column. now, before: rows of customer_features and customer_segments.
        inputs: the columns that segments are made of.
        smallest_cell: fewest customers of a segment whose mean is told.
    """
    (features, placed), (earlier, placed_before) = now, before
    named = ["customer_id", "segment_name"]
    if earlier.empty or not set(inputs) <= set(earlier.columns):
        rows, prefix = side_by_side(features, placed[named]), "outcome"
    else:
        then = side_by_side(earlier.drop(columns=outcome, errors="ignore"), placed_before[named])
        rows, prefix = side_by_side(then, features[["customer_id", outcome]]), "forward_outcome"
    rows = active_only(rows).reset_index(drop=True)
    found = outcome_metrics(rows[outcome], rows[list(inputs)], rows["segment_name"], seed, prefix, categorical)
    customers = rows.loc[rows[outcome].notna(), "segment_name"].value_counts()
    few = {f"{prefix}_mean: {segment}" for segment, number in customers.items() if number < smallest_cell}
    return {metric: value for metric, value in found.items() if metric not in few}


def outcome_metrics(
    outcome: pd.Series, inputs: pd.DataFrame, segments: pd.Series, seed: int, prefix: str, categorical: Collection[str] = ()
) -> dict[str, float]:
    """How much of the outcome's differences the segments explain, beside one column and chance; by metric, which begins with `prefix`.

    Args:
        outcome: numbers or two answers (n,), NaN if unknown: such customers are left out. Of numbers, ranks are explained.
        inputs: what the segments are made of (n, p); segments: their names (n,).

    Empty for fewer than two customers with an outcome. NaN if all have the same.

    Raises:
        ValueError: the outcome has more than two answers.
    """
    known = outcome.notna().to_numpy()
    if known.sum() < 2:
        return {}
    numbers = as_numbers(outcome[known])
    ranks = numbers.rank().to_numpy(dtype="float64")
    names, inputs = segments[known].reset_index(drop=True), inputs[known]
    labels = pd.factorize(names)[0]
    k = len(np.unique(labels))
    cuts = {str(name): single_column(inputs[name], _is_category(inputs[name], name in categorical), k) for name in inputs.columns}
    alone = {name: eta_squared(ranks, cut) for name, cut in cuts.items()}
    best = max(alone, key=lambda name: np.nan_to_num(alone[name]))
    others = {Baseline.COLUMN: cuts[best], Baseline.RANDOM: random_cut(labels, seed)}
    found = _metrics(prefix, compared({"": ranks}, labels, others, seed)[""], alone)
    means = numbers.reset_index(drop=True).groupby(names).mean()
    return found | {f"{prefix}_mean: {name}": float(mean) for name, mean in means.items()}


def in_words(
    metrics: Mapping[str, float], before: dt.date | None = None, outcome: str | None = None, labels: Mapping[str, str] | None = None
) -> Iterator[str]:
    """A sentence on each kind of validity among the metrics: of attributes, and of the outcome, which says whether it is a forecast.

    Args:
        before: the date of the snapshot before, whose segments a forward figure judges.
        outcome: its column; labels: what the settings call columns.
    """
    called = labels or {}
    what = f"the outcome {called.get(outcome, outcome)}" if outcome else "the outcome"
    kinds = {
        "attributes": "Of the differences between customers in what they are clustered by, the segments explain {}",
        "forward_outcome": f"Of the differences in {what} at this snapshot, the segments of {before} explain {{}}",
        "outcome": f"Of the differences in {what}, the segments of the same snapshot explain {{}}, which describes and forecasts nothing",
    }
    for prefix, opening in kinds.items():
        if (own := metrics.get(f"{prefix}_eta_squared", np.nan)) == own:
            rest = "; ".join(_others_in_words(metrics, prefix, called))
            yield f"{opening.format(f'{own:.1%}')}. For comparison: {rest}."


def _others_in_words(metrics: Mapping[str, float], prefix: str, called: Mapping[str, str]) -> Iterator[str]:
    alone = {metric.partition(": ")[2]: share for metric, share in metrics.items() if metric.startswith(f"{prefix}_eta_squared_by: ")}
    best = max(alone, key=lambda name: alone[name], default="one column")
    words = {
        Baseline.COLUMN: f"{called.get(best, best)} alone, cut into as many groups,",
        Baseline.RANDOM: "groups of the same sizes by chance",
    }
    for baseline in OF_ATTRIBUTES:
        share, gain, low, high = (
            metrics.get(f"{prefix}_{what}", np.nan)
            for what in (
                f"eta_squared_{baseline}", f"gain_over_{baseline}", f"gain_over_{baseline}_low", f"gain_over_{baseline}_high",
            )
        )  # fmt: skip
        interval = f"95% interval {beside(points(low), 0, 1)} to {beside(points(high), 0, 1)}"
        yield f"{words[baseline]} {share:.1%} (gain of the segments {beside(points(gain), 0, 1)} points, {interval})"


def as_numbers(outcome: pd.Series) -> pd.Series:
    """Known outcomes (n,) as numbers; of two answers, 1 is the one that sorts last, such as `yes` or True.

    >>> as_numbers(pd.Series(["yes", "no"])).tolist(), as_numbers(pd.Series([2, 7])).tolist()
    ([1.0, 0.0], [2.0, 7.0])
    """
    if pd.api.types.is_numeric_dtype(outcome) and not pd.api.types.is_bool_dtype(outcome):
        return outcome.astype("float64")
    answers = sorted(outcome.astype(str).unique())
    if len(answers) > 2:
        raise ValueError(
            f"outcome: {outcome.name} has {len(answers):,} different texts, such as {', '.join(answers[:3])}. An outcome is a number or "
            "one of two answers: name another column, or remove it"
        )
    return (outcome.astype(str) == answers[-1]).astype("float64")


def _metrics(prefix: str, found: Mapping[Baseline, ForwardValidity], alone: Mapping[str, float]) -> dict[str, float]:
    metrics: dict[str, float] = {}
    for baseline, said in found.items():
        metrics |= {
            f"{prefix}_eta_squared": said.eta_squared, f"{prefix}_eta_squared_{baseline}": said.baseline_eta_squared,
            f"{prefix}_gain_over_{baseline}": said.gain, f"{prefix}_gain_over_{baseline}_low": said.gain_low,
            f"{prefix}_gain_over_{baseline}_high": said.gain_high,
        }  # fmt: skip
    return metrics | {f"{prefix}_eta_squared_by: {name}": share for name, share in alone.items()}


def _is_category(values: pd.Series, declared: bool) -> bool:
    return declared or not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values)


def _scores(values: pd.Series, declared: bool) -> list[tuple[NDArray[np.float64], float]]:
    """What is to be explained of a column: vectors (n,) without missing values, each with its share of the column's variance. None if
    the column does not vary."""
    if not _is_category(values, declared):
        ranks = values.astype("float64").rank()
        filled = ranks.fillna(ranks.mean()).to_numpy(dtype="float64")
        return [(filled, 1.0)] if ranks.nunique() > 1 else []
    levels = values.astype("object").where(values.notna(), "").astype(str)
    has = [(levels == level).to_numpy(dtype="float64") for level in sorted(levels.unique())]
    spread = sum(float(one.var()) for one in has)
    return [(one, float(one.var()) / spread) for one in has] if spread > 0 else []


def _mean_share(told: Collection[list[tuple[NDArray[np.float64], float]]], groups: NDArray[np.int64]) -> float:
    return float(np.mean([sum(weight * eta_squared(values, groups) for values, weight in known) for known in told]))
