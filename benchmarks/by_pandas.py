"""What both comparisons with pandas compute alike. It imports pandas alone, so that the notebook's process has no other engine in memory."""

from collections.abc import Iterable

import pandas as pd


def of_orders(orders: pd.DataFrame, flags: Iterable[str]) -> pd.DataFrame:
    """Value, size, flags and gaps of the orders of each customer.

    Args:
        orders: one row per order: customer `c`, `day`, `value`, `units`, and a column of booleans for each of the `flags`.
    """
    g = orders.groupby("c")
    out = pd.DataFrame({"average_order_value": g["value"].sum() / g.size(), "items_per_order": g["units"].sum() / g.size()})
    out["order_value_spread"] = g["value"].std() / out["average_order_value"]
    for name in flags:
        out[name] = g[name].mean()
    days = orders[["c", "day"]].drop_duplicates().sort_values(["c", "day"])
    gap = days["day"].diff().dt.days.where(days["c"] == days["c"].shift())
    gaps = gap.groupby(days["c"])
    return out.assign(mean_gap_days=gaps.mean(), sd_gap_days=gaps.std())
