"""The rule of a segment: a short condition in the customer's own units, learnt from who is in it, and how well it finds them.

Belongs here: learning and judging. What a condition is, and how it is printed, is in `predicates`.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import ibis.expr.types as ir
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segmentation_assets.core.customers.columns import CustomerColumns
from segmentation_assets.core.model import naming
from segmentation_assets.core.segments.predicates import MOST_DIGITS, Columns, Condition, Predicate
from segmentation_assets.expressions import Typed, mapped
from segmentation_assets.settings.rules import Rules
from segmentation_assets.vocabulary import Status, beside, counted

MOST_LEARNT_FROM = 6_000  # customers; the standard error of a share is then 0.006 at most
LEAST_LEARNT_FROM = 30  # customers of a segment
FOLDS = 3  # of customers, each judged by a rule learnt from the others
MOST_LEVELS = 10  # of a category that rules may name
LEAST_GAIN = 0.005  # of F1, for a further box, and the most that leaving out a condition may cost
LEAST_FALL = 0.005  # of precision or recall by which readable thresholds may lower them
LARGEST = 1e37  # scikit-learn's trees compare float32
COLUMNS = [
    "segment_id", "segment_name", "rule", "words", "conditions", "customers", "precision", "recall", "tested_selected", "tested_members",
    "tested_found", "reason",
]  # fmt: skip
Masks = dict[Condition, NDArray[np.bool_]]


@dataclass(frozen=True)
class Rule:
    """The rule of a segment, and how it does among customers from whom it was not learnt.

    Attributes:
        predicate: None if there is nothing to learn from.
        selected: customers who meet it; members: customers in the segment; found: both.
    """

    predicate: Predicate | None
    selected: int = 0
    members: int = 0
    found: int = 0

    @property
    def precision(self) -> float:
        """Share of the customers who meet it that are in the segment; NaN if nobody meets it."""
        return self.found / self.selected if self.selected else math.nan

    @property
    def recall(self) -> float:
        """Share of the segment's customers who meet it."""
        return self.found / self.members if self.members else math.nan

    def suffices(self, asked: Rules) -> bool:
        """Whether it reaches the least precision and recall."""
        return self.predicate is not None and self.precision >= asked.min_precision and self.recall >= asked.min_recall


def learnt_rules(
    placed: CustomerColumns, inputs: Sequence[str], asked: Rules, categorical: Sequence[str] = (), seed: int = 0
) -> dict[int, Rule]:
    """The rule of each segment that has active customers, by its id.

    Args:
        placed: active customers (n, p): segment_id and the columns `inputs`; more than MOST_LEARNT_FROM are sampled.
        inputs: the columns that rules may use; `categorical` are those of them whose numbers are codes.
    """
    sizes = placed["segment_id"].value_counts().sort_index()
    if len(sizes) == 1:
        everyone = int(sizes.iloc[0])
        return {int(sizes.index[0]): Rule(Predicate(Status.ACTIVE), everyone, everyone, everyone)}
    known = placed.only("segment_id", *inputs)
    drawn = known.sample(MOST_LEARNT_FROM, random_state=seed) if len(known) > MOST_LEARNT_FROM else known
    columns = {name: _values(drawn[name], name in categorical) for name in inputs}
    ids = drawn["segment_id"].to_numpy(np.int64)
    folds = np.random.default_rng(seed).permutation(len(ids)) % FOLDS
    return {int(i): _judged(columns, ids == i, folds, asked) for i in sizes.index}


def table(segments: pd.DataFrame, learnt: Mapping[int, Rule], asked: Rules, money: str) -> pd.DataFrame:
    """One row per segment with customers: its rule as SQL and in words if it suffices, and how it does, with the reason.

    Args:
        segments: segment_id, segment_name and customers. learnt: as from `learnt_rules`; a segment that is a status has an exact rule.
        money: the name of the currency.
    """
    statuses = {segment_id: status for status, segment_id in naming.BY_STATUS.items()}
    rows = []
    for segment in segments.sort_values("segment_id").itertuples():
        segment_id, size = int(segment.segment_id), int(segment.customers)
        exact = statuses.get(segment_id)
        rule = Rule(Predicate(exact), size, size, size) if exact else learnt[segment_id]
        told = rule.predicate if rule.suffices(asked) else None
        rows.append({
            "segment_id": segment_id, "segment_name": segment.segment_name, "customers": size,
            "rule": told.sql() if told else None, "words": told.words(money) if told else None,
            "conditions": told.conditions if told else 0, "precision": rule.precision, "recall": rule.recall,
            "tested_selected": rule.selected, "tested_members": rule.members, "tested_found": rule.found,
            "reason": reason(rule, asked, segment_id),
        })  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS)


def customers_who_meet(rules: Mapping[int, Any], customers: ir.Table) -> dict[int, tuple[int, int]]:
    """How many of all customers meet each rule, and how many of these are in the segment, by its id; not of what is no text, but missing.

    Args:
        customers: rows of customer_features with their segment_id, as from `own.placed`.
    """
    met = {i: mapped(rule, customers, Typed()).value.fill_null(False) for i, rule in rules.items() if isinstance(rule, str)}
    if not met:
        return {}
    found = {i: value & (customers["segment_id"] == i) for i, value in met.items()}
    sums = {f"{what} {i}": value.cast("int64").sum() for what, of in (("met", met), ("found", found)) for i, value in of.items()}
    counts = customers.agg(**sums).to_pyarrow().to_pylist()[0]
    return {i: (int(counts[f"met {i}"] or 0), int(counts[f"found {i}"] or 0)) for i in met}


def reason(rule: Rule, asked: Rules, segment_id: int) -> str:
    """Why a segment has this rule, or none, with the figures."""
    if segment_id in naming.BY_STATUS.values():
        return "By definition: the segment is a status."
    if rule.predicate is None:
        few = rule.members < LEAST_LEARNT_FROM
        least = f"{counted(rule.members, 'customer')} to learn from, and a rule needs {LEAST_LEARNT_FROM} or more"
        return f"No rule: {least if few else 'none of the model inputs tells its customers from the others'}."
    if not rule.predicate.conditions:
        return "All active customers are in it."
    precision = f"precision {beside(rule.precision, asked.min_precision, 2)} ({rule.found:,} of the {rule.selected:,} who meet it)"
    recall = f"recall {beside(rule.recall, asked.min_recall, 2)} ({rule.found:,} of its {rule.members:,} customers)"
    if not rule.selected:
        precision = "no precision (nobody meets it)"
    figures = f"{precision} and {recall}, among customers it was not learnt from"
    if rule.suffices(asked):
        return f"It has {figures}."
    limit = f"with a precision of {asked.min_precision:g} and a recall of {asked.min_recall:g} or more"
    return f"No rule of at most {counted(asked.max_conditions, 'condition')} {limit}: the best has {figures}."


def _values(values: pd.Series, is_code: bool) -> NDArray[Any]:
    """A column as `Columns` has it; categories are text or booleans."""
    numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    if numeric and not is_code:
        return np.asarray(values.to_numpy(np.float64, na_value=np.nan), dtype=np.float64)
    if numeric:
        return np.array([None if np.isnan(value) else value for value in values.to_numpy(np.float64, na_value=np.nan)], dtype=object)
    return np.array([None if missing else value for value, missing in zip(values.astype(object), values.isna(), strict=True)], dtype=object)


def _judged(columns: Columns, inside: NDArray[np.bool_], folds: NDArray[np.int64], asked: Rules) -> Rule:
    """The rule learnt from all, with the counts of those learnt without each fold, in that fold (cross-fitting)."""
    members = int(inside.sum())
    if members < LEAST_LEARNT_FROM:
        return Rule(None, members=members)
    selected = found = 0
    for fold in range(FOLDS):
        others = {name: values[folds != fold] for name, values in columns.items()}
        learnt = learn(others, inside[folds != fold], asked)
        if learnt is not None:
            met = learnt.met({name: values[folds == fold] for name, values in columns.items()})
            selected, found = selected + int(met.sum()), found + int((met & inside[folds == fold]).sum())
    return Rule(learn(columns, inside, asked), selected, members, found)


def learn(columns: Columns, inside: NDArray[np.bool_], asked: Rules) -> Predicate | None:
    """A condition with at most `max_conditions` comparisons that tells the customers inside from the others; None if none does.

    The boxes are nodes of a shallow decision tree (CART: Breiman et al. 1984). The one with the best F1 is taken, then each further one
    that adds to it; superfluous conditions are dropped, and thresholds rounded while precision and recall hold.

    Args:
        columns: the customers; inside: who is in the segment (n,).
    """
    boxes = [box for box in _nodes(columns, inside, asked) if 0 < len(box) <= asked.max_conditions]
    if not boxes:
        return None
    masks: Masks = {condition: condition.met(columns) for box in boxes for condition in box}
    chosen: tuple[tuple[Condition, ...], ...] = ()
    best = (False, 0.0)
    while True:
        left = asked.max_conditions - sum(map(len, chosen))
        further = [(*chosen, box) for box in boxes if box not in chosen and len(box) <= left]
        scored = [(_score(_met(several, masks), inside, asked), several) for several in further]
        score, several = max(scored, key=lambda one: one[0], default=(best, chosen))
        if score[0] <= best[0] and score[1] < best[1] + LEAST_GAIN:
            break
        best, chosen = score, several
    if not chosen:
        return None
    return _readable(Predicate(Status.ACTIVE, _shortened(chosen, masks, inside, asked)), columns, inside)


def _nodes(columns: Columns, inside: NDArray[np.bool_], asked: Rules) -> Iterator[tuple[Condition, ...]]:
    """The box of each node of a tree: the conditions on the way from the root, the tightest of each column."""
    from sklearn.tree import DecisionTreeClassifier

    tests: list[Condition | str] = []  # of each column of the design: a level, or the name of a number
    design: list[NDArray[np.float64]] = []
    for name, values in columns.items():
        if values.dtype == object:
            levels = pd.Series(values).value_counts().head(MOST_LEVELS).index.tolist()
            tests += [Condition(name, "=", level) for level in levels]
            design += [(values == level).astype(np.float64) for level in levels]
        else:
            tests.append(name)
            design.append(np.clip(values, -LARGEST, LARGEST))
    if not design:
        return
    fewest = max(5, int(inside.sum()) // 50)
    deepest, most = asked.max_conditions, 4 * asked.max_conditions
    tree = DecisionTreeClassifier(max_depth=deepest, max_leaf_nodes=most, min_samples_leaf=fewest, random_state=0)
    grown = tree.fit(np.column_stack(design), inside).tree_
    unseen: list[tuple[int, tuple[Condition, ...]]] = [(0, ())]
    while unseen:
        node, path = unseen.pop()
        yield path
        if grown.children_left[node] < 0:
            continue
        test, threshold = tests[grown.feature[node]], float(grown.threshold[node])
        if isinstance(test, Condition):
            sides = _tightened(path, replace(test, operator="<>")), _tightened(path, test)
        elif math.isfinite(threshold):
            sides = _tightened(path, Condition(test, "<=", threshold)), _tightened(path, Condition(test, ">", threshold))
        else:  # the tree parts those with a value from those without, which no comparison says
            sides = path, path
        unseen += zip((grown.children_left[node], grown.children_right[node]), sides, strict=True)


def _tightened(box: tuple[Condition, ...], further: Condition) -> tuple[Condition, ...]:
    """The box with a further condition of a path, which is tighter than an earlier one of its kind."""
    if further.operator == "=":  # says more than any other condition on the category
        return (*(one for one in box if one.column != further.column), further)
    of_kind = (further.column, further.operator)
    kept = box if further.operator == "<>" else tuple(one for one in box if (one.column, one.operator) != of_kind)
    return (*kept, further)


def _met(boxes: Sequence[tuple[Condition, ...]], masks: Masks) -> NDArray[np.bool_]:
    return np.logical_or.reduce([np.logical_and.reduce([masks[condition] for condition in box]) for box in boxes])


def _precision_recall(met: NDArray[np.bool_], inside: NDArray[np.bool_]) -> tuple[float, float]:
    found = float((met & inside).sum())
    return found / max(float(met.sum()), 1.0), found / max(float(inside.sum()), 1.0)


def _score(met: NDArray[np.bool_], inside: NDArray[np.bool_], asked: Rules) -> tuple[bool, float]:
    """Whether precision and recall suffice, and their harmonic mean, F1 (van Rijsbergen 1979)."""
    precision, recall = _precision_recall(met, inside)
    suffices = precision >= asked.min_precision and recall >= asked.min_recall
    return suffices, 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _shortened(
    boxes: tuple[tuple[Condition, ...], ...], masks: Masks, inside: NDArray[np.bool_], asked: Rules
) -> tuple[tuple[Condition, ...], ...]:
    """The boxes without the conditions that add less than LEAST_GAIN to F1."""
    suffices, f1 = _score(_met(boxes, masks), inside, asked)
    for position, box in enumerate(boxes):
        for condition in box:
            shorter = tuple(one for one in box if one != condition)
            several = (*boxes[:position], shorter, *boxes[position + 1 :])
            if shorter and _score(_met(several, masks), inside, asked) >= (suffices, f1 - LEAST_GAIN):
                return _shortened(several, masks, inside, asked)
    return boxes


def _readable(predicate: Predicate, columns: Columns, inside: NDArray[np.bool_]) -> Predicate:
    """The predicate with thresholds of as few digits as possible, while precision and recall fall by no more than LEAST_FALL."""
    least = [share - LEAST_FALL for share in _precision_recall(predicate.met(columns), inside)]
    for condition in dict.fromkeys(one for box in predicate.boxes for one in box if one.operator in {"<=", ">"}):
        for value in _rounded(float(condition.value), columns[condition.column]):
            tried = _replaced(predicate, condition, replace(condition, value=value))
            if all(share >= most for share, most in zip(_precision_recall(tried.met(columns), inside), least, strict=True)):
                predicate = tried
                break
    return predicate


def _rounded(threshold: float, values: NDArray[np.float64]) -> Iterator[float]:
    """The threshold with one digit, with two, and so on, up to the largest value that it lets through: 9 for 9.5, if values are whole.

    >>> list(_rounded(1195.6, np.array([3.0, 1187.3, 1203.9]))), list(_rounded(9.5, np.array([9.0, 10.0])))
    ([1000.0, 1200.0, 1196.0, 1187.3], [9.0])
    """
    known = values[np.isfinite(values)]
    below = float(known[known <= threshold].max(initial=-math.inf))
    magnitude = math.floor(math.log10(abs(threshold))) if threshold else 0
    last = math.nan
    for digits in range(1, MOST_DIGITS):
        places = digits - 1 - magnitude
        if below == round(below, places):
            break
        if (value := round(threshold, places)) != last:
            yield value
        last = value
    yield below if math.isfinite(below) else threshold


def _replaced(predicate: Predicate, old: Condition, new: Condition) -> Predicate:
    return replace(predicate, boxes=tuple(tuple(new if one == old else one for one in box) for box in predicate.boxes))
