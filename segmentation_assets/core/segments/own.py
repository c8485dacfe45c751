"""Segments of one's own: conditions in the settings, met or not by each customer of a snapshot.

Belongs here: who is in which, how large they are, and who entered and left. What a condition may say is in `expressions`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import pandas as pd

from segmentation_assets.core.customers.cleaning import MONEY
from segmentation_assets.expressions import ExpressionError, Typed, mapped
from segmentation_assets.settings.own_segments import OwnSegment
from segmentation_assets.vocabulary import Move, MoveCause

PLACED = ("segment_id", "segment_name")
"""Columns that a condition may use beside those of customer_features."""


@dataclass(frozen=True)
class Condition:
    """A condition as an expression over the customers; `by_model`: it uses the model's segments."""

    met: ir.BooleanValue
    by_model: bool


def placed(customer_features: ir.Table, segments: ir.Table) -> ir.Table:
    """The customers with their segment_id and segment_name, which take the place of attributes with these names."""
    own = customer_features.drop(*(name for name in PLACED if name in customer_features.columns))
    return own.join(segments.select("customer_id", *PLACED), "customer_id")


def conditions(own: Mapping[str, OwnSegment], customers: ir.Table, sensitive: Collection[str] = ()) -> dict[str, Condition]:
    """The condition of each own segment over `customers`, as from `placed`.

    Args:
        sensitive: columns that no condition may use.

    Raises:
        ExpressionError: a condition is not one, or uses an unknown or sensitive column; the message names all of them.
    """
    found: dict[str, Condition] = {}
    problems = []
    for name, segment in own.items():
        try:
            found[name] = _condition(segment.condition, customers, sensitive)
        except ExpressionError as error:
            problems.append(f"own_segments.{name}: {error}")
    if problems:
        raise ExpressionError("\n".join(problems))
    return found


def unusable(
    own: Mapping[str, OwnSegment], features: Mapping[str, str], attributes: Mapping[str, str], has_consent: bool, sensitive: Collection[str]
) -> list[str]:
    """A problem for each own segment whose condition cannot be used, as far as can be told before customers are cleaned: all attributes
    but answers count as text, because their types are not known yet.

    Args:
        features: the type of each; attributes: the columns that they will be, with how each is read: boolean or else.
        has_consent: whether the source maps consent, which is a column, too.
    """
    texts = dict.fromkeys(("customer_id", "status", "segment_name"), "string")
    read = {name: kind if kind == "boolean" else "string" for name, kind in attributes.items()}
    read |= {"consent": "boolean"} if has_consent else {}
    customers = ibis.table({"segment_id": "int64", **features, **texts, **read}, name="customers")
    try:
        conditions(own, customers, sensitive)
    except ExpressionError as error:
        return str(error).splitlines()
    return []


def _condition(text: str, customers: ir.Table, sensitive: Collection[str]) -> Condition:
    expression = mapped(text, customers, Typed())
    if not expression.value.type().is_boolean():
        raise ExpressionError(f"{text!r} is a value, not a condition; compare it with something, such as monetary > 1000.")
    if used := sorted(set(expression.columns) & set(sensitive)):
        raise ExpressionError(f"{text!r} uses {', '.join(used)}, which is in privacy.sensitive. Remove it from one of the two.")
    return Condition(expression.value.fill_null(False), bool(set(expression.columns) & set(PLACED)))


def members(own: Mapping[str, OwnSegment], customers: ir.Table, sensitive: Collection[str] = ()) -> ir.Table:
    """own_segment, customer_id: who meets which condition; as in SQL, a condition that is null is not met.

    Args and raises: as for `conditions`.
    """
    met = conditions(own, customers, sensitive)
    if not met:
        return ibis.memtable([], schema={"customer_id": "string", "own_segment": "string"})
    # One pass over the customers, however many own segments there are.
    names = [ibis.ifelse(one.met, ibis.literal(name), ibis.null("string")) for name, one in met.items()]
    listed = customers.select("customer_id", own_segment=ibis.array(names).unnest())
    return listed.filter(listed["own_segment"].notnull())


def summary(
    own: Mapping[str, OwnSegment],
    inside: ir.Table,
    features: ir.Table,
    segments: ir.Table,
    inside_before: ir.Table,
    set_before: Collection[str],
) -> pd.DataFrame:
    """One row per own segment: condition, size, revenue, how many entered and left, and its largest overlap with another segment.

    Args:
        inside, inside_before: as from `members`, at the snapshot and the one before.
        features, segments: the rows of customer_features and customer_segments.
        set_before: own segments that the previous snapshot has; of the others, nobody entered or left.
    """
    if not own:
        return pd.DataFrame()
    has_orders = "monetary" in features.columns  # without orders, what they spend is unknown
    revenue = (features["monetary"] if has_orders else ibis.literal(0)).cast(MONEY).fill_null(0)  # exact, in whatever order it is added
    spent = features.select("customer_id", revenue=revenue)
    total = spent.agg(customers=spent.count(), revenue=spent["revenue"].sum().cast("float64")).to_pyarrow().to_pylist()[0]
    placed_members = inside.join(spent, "customer_id").join(segments.select("customer_id", *PLACED), "customer_id")
    shared = placed_members.group_by("own_segment", *PLACED).agg(customers=ibis._.count(), revenue=ibis._["revenue"].sum())
    moves = _differences(inside_before, inside).group_by("own_segment", "change").agg(customers=ibis._.count())
    overlaps = dict(iter(shared.to_pandas().groupby("own_segment")))
    moved = {(row["own_segment"], row["change"]): row["customers"] for row in moves.to_pyarrow().to_pylist()}
    rows = []
    for name, segment in own.items():
        mine = overlaps.get(name, pd.DataFrame({"segment_id": [], "customers": [], "revenue": []}))
        size, revenue = int(mine["customers"].sum()), float(mine["revenue"].sum())
        largest = mine.sort_values(["customers", "segment_id"], ascending=[False, True]).head(1).to_dict("records")
        entered, left = (moved.get((name, move), 0) if name in set_before else None for move in (Move.ENTERED, Move.LEFT))
        rows.append({
            "own_segment": name, "condition": segment.condition, "description": segment.description or None,
            "customers": size, "share": _share(size, total["customers"]),
            "revenue": revenue if has_orders else None, "revenue_share": _share(revenue, total["revenue"]),
            "customers_entered": entered, "customers_left": left,
            **{f"largest_overlap_{column}": largest[0][column] if largest else None for column in PLACED},
            "largest_overlap": _share(largest[0]["customers"], size) if largest else None,
        })  # fmt: skip
    return pd.DataFrame(rows)


def _share(part: float, whole: float | None) -> float | None:
    return part / whole if whole else None


def changes(
    before: ir.Table, now: ir.Table, redefined: Collection[str], by_model: Collection[str] = (), unchanged: ir.Table | None = None
) -> ir.Table:
    """customer_id, own_segment, change, cause: who entered and left.

    Args:
        before, now: as from `members`, of the own segments that both snapshots have.
        redefined: own segments whose condition has changed.
        by_model: where the model or its names have changed, own segments whose condition uses the model's segments.
        unchanged: their members now, had the model of the previous snapshot stayed. Whoever would then not have entered or left,
            does so by the model.
    """
    moved = _differences(before, now)
    would = (now.limit(0) if unchanged is None else unchanged).select(stays_in="own_segment", stays="customer_id")
    joined = moved.left_join(would, [moved["own_segment"] == would["stays_in"], moved["customer_id"] == would["stays"]])
    as_before = joined["stays"].notnull() == (joined["change"] == Move.LEFT)
    cause = ibis.cases(
        (joined["own_segment"].isin(list(redefined)), MoveCause.DEFINITION),
        (joined["own_segment"].isin(list(by_model)) & as_before, MoveCause.MODEL),
        else_=MoveCause.BEHAVIOUR,
    )
    return joined.select("customer_id", "own_segment", "change", cause=cause)


def _differences(before: ir.Table, now: ir.Table) -> ir.Table:
    """customer_id, own_segment, change: the members of only one of two snapshots."""
    was = before.select(was_in="own_segment", known="customer_id")
    both = now.outer_join(was, [now["own_segment"] == was["was_in"], now["customer_id"] == was["known"]])
    moved = both.filter(both["own_segment"].isnull() | both["was_in"].isnull())
    return moved.select(
        customer_id=ibis.coalesce(moved["customer_id"], moved["known"]),
        own_segment=ibis.coalesce(moved["own_segment"], moved["was_in"]),
        change=ibis.ifelse(moved["was_in"].isnull(), str(Move.ENTERED), str(Move.LEFT)),
    )
