"""What customers did before and since they were assigned to an action, as arms.

Belongs here: the rows (Ibis) and their sums. How arms are compared is in `arms`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import ibis.expr.types as ir
import pandas as pd

from segmentation_assets.core.application.arms import SUMS, Arm
from segmentation_assets.core.customers.orders import summed
from segmentation_assets.vocabulary import Measure, Role

ASSIGNED = ("list", "action", "customer_id", "role", "segment_id", "since")
SINCE = {Measure.SPEND: "spend", Measure.ORDERED: "ordered"}
BEFORE = {Measure.SPEND: "spend_before", Measure.ORDERED: "orders_before"}


class ActionKey(NamedTuple):
    """An action of one list."""

    list: str
    action: str


class Group(NamedTuple):
    """Customers of an action with one role in one segment."""

    action: ActionKey
    segment_id: int | None
    role: Role


def observed(assigned: ir.Table, features: ir.Table, orders: ir.Table) -> ir.Table:
    """What each assigned customer did: columns of ASSIGNED, `spend` and `ordered` since, `spend_before` and `orders_before`.

    Args:
        assigned: one row per customer, list and action, with ASSIGNED; `since` is the first day that counts.
        features: customer_features when they were assigned: the lookback until then is the period before.
        orders: customer_orders from then on.
    """
    known = features.select("customer_id", spend_before=features.monetary.cast("float64"), orders_before=features.frequency.cast("float64"))
    whose = assigned.select(*ASSIGNED)
    dated = (
        whose.select("customer_id", "since")
        .distinct()
        .join(orders.select("customer_id", "order_day", "spend", "ordered_at"), "customer_id")
    )
    bought = (
        dated.filter(dated.order_day >= dated.since)
        .group_by("customer_id", "since")
        .agg(spend=lambda t: t.spend.sum().cast("float64"), ordered=lambda t: t.ordered_at.notnull().any().cast("float64"))
    )
    joined = whose.left_join(known, "customer_id").drop("customer_id_right").left_join(bought, ["customer_id", "since"])
    zero = {name: joined[name].fill_null(0.0) for name in (*SINCE.values(), *BEFORE.values())}
    return joined.select(*ASSIGNED, **zero)


def arms(rows: ir.Table) -> dict[Measure, dict[Group, Arm]]:
    """The customers of `observed` as arms, about the mean of their action, in one pass.

    Suppressed customers are in none: nobody drew whether they are treated.
    """
    drawn = rows.filter(rows.role.isin([Role.TREATED, Role.HOLDOUT]))
    columns = (*SINCE.values(), *BEFORE.values())
    centred = drawn.group_by("list", "action").mutate(**{f"{name}_centre": summed(drawn[name]) / drawn.count() for name in columns})
    sums: dict[str, ir.FloatingScalar] = {}
    for measure in Measure:
        y, x = (centred[name] - centred[f"{name}_centre"] for name in (SINCE[measure], BEFORE[measure]))
        products = dict(zip(SUMS, (y, x, y * y, x * y, x * x), strict=True))
        # Squares of money have twice as many digits before the point, and need fewer after it.
        digits = {name: 8 if measure is Measure.SPEND and len(name) > 1 else 15 for name in SUMS}
        sums |= {f"{measure}_{name}": summed(product, digits=digits[name]) for name, product in products.items()}
    centres = {f"{name}_centre": centred[f"{name}_centre"].max() for name in columns}
    grouped = centred.group_by("list", "action", "segment_id", "role").agg(customers=centred.count(), **sums, **centres)
    found: dict[Measure, dict[Group, Arm]] = {measure: {} for measure in Measure}
    for row in grouped.to_pyarrow().to_pylist():
        group = Group(ActionKey(row["list"], row["action"]), row["segment_id"], Role(row["role"]))
        for measure in Measure:
            centre = (row[f"{SINCE[measure]}_centre"], row[f"{BEFORE[measure]}_centre"])
            sums_of = {name: row[f"{measure}_{name}"] for name in SUMS}
            found[measure][group] = Arm(row["customers"], **sums_of, centre=centre)
    return found


def by_action(found: Mapping[Group, Arm]) -> dict[ActionKey, dict[Role, Arm]]:
    """Each action's customers by role, whatever their segment."""
    totals: dict[ActionKey, dict[Role, Arm]] = {}
    for group, arm in found.items():
        roles = totals.setdefault(group.action, {})
        roles[group.role] = roles[group.role] + arm if group.role in roles else arm
    return totals


def by_segment(found: Mapping[Group, Arm]) -> dict[tuple[ActionKey, int], dict[Role, Arm]]:
    """Each action's customers in each segment by role; without those whose segment is not known."""
    totals: dict[tuple[ActionKey, int], dict[Role, Arm]] = {}
    for group, arm in found.items():
        if group.segment_id is not None:
            totals.setdefault((group.action, group.segment_id), {})[group.role] = arm
    return totals


def in_words(effect: float, measure: Measure, money: str) -> str:
    """An effect on one customer, with its unit.

    >>> in_words(-1.5, Measure.SPEND, "euros"), in_words(0.021, Measure.ORDERED, "euros")
    ('-1.50 euros per customer', '2.1 points of the share who order')
    """
    unit = f"{money} per customer" if measure is Measure.SPEND else "points of the share who order"
    return f"{number(effect, measure)} {unit}"


def number(effect: float, measure: Measure) -> str:
    """An effect on one customer without its unit."""
    return f"{effect:,.2f}" if measure is Measure.SPEND else f"{100 * effect:.1f}"


def in_table(rows: Sequence[Sequence[Any]], columns: Sequence[str]) -> pd.DataFrame:
    """The rows as a table, numbers to ten digits: the last ones of sums depend on the order in which the engine adds."""
    short = [[float(f"{value:.10g}") if isinstance(value, float) else value for value in row] for row in rows]
    return pd.DataFrame(short, columns=list(columns))
