"""What the lengths of months alone do to features that count days, so that drift does not take it for a change of customers.

Who orders on the same day of every month bought 14 days before 1 March, and 17 days before 1 February. Here customers of one monthly
snapshot get the values that they would have if each of their orders lay on the same day of the month, as many months earlier.
"""

import datetime as dt
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segmentation_assets.core.customers.columns import Customers, Rows

RECENCY, GAP, SPREAD, LATE, PAUSE, TENURE = (
    "recency_days", "mean_gap_days", "sd_gap_days", "overdue_ratio", "opening_pause_days", "tenure_days",
)  # fmt: skip
SINCE = "recency_days"  # the end of the name of each feature that counts the days since something
SHORT = 14  # days; who comes more often than twice a month seldom has a month's end between two orders
LARGEST_SPREAD = (31 - 28) / 2**0.5  # standard deviation of two gaps, the shortest and the longest month


@dataclass(frozen=True)
class Months:
    """The as-of date of the training snapshot and that of today's, both monthly, and the length of the lookback."""

    then: dt.date
    now: dt.date
    lookback: int

    def aligned(self, active: Customers) -> dict[str, pd.Series]:
        """The day-counting features that today's customers (rows of customer_features) had if the same orders lay in training's months."""
        back = (self.then.year - self.now.year) * 12 + self.then.month - self.now.month
        then, now = np.datetime64(self.then, "D"), np.datetime64(self.now, "D")

        def day(days_ago: pd.Series) -> NDArray[np.datetime64]:
            ago = days_ago.to_numpy(np.float64, na_value=np.nan)
            known = np.where(np.isnan(ago), 0, ago).astype("timedelta64[D]")
            return np.where(np.isnan(ago), np.datetime64("NaT"), now - known)

        def days(duration: NDArray[np.timedelta64]) -> NDArray[np.float64]:
            return np.where(np.isnat(duration), np.nan, duration.astype(np.float64))

        counted = [str(name) for name in active.columns if name.endswith(SINCE)]
        changed = {name: days(then - _moved(day(active[name]), back)) for name in counted}
        if {RECENCY, GAP, PAUSE, TENURE} <= set(active.columns):
            start = _moved(np.array([now]), -self.lookback)[0]
            lookback = float((now - start).astype(np.int64))
            first, last = day((lookback - active[PAUSE]).fillna(active[TENURE])), day(active[RECENCY])
            longer = days(_moved(last, back) - _moved(first, back)) / np.where(last > first, days(last - first), np.nan)
            changed[GAP] = active[GAP].to_numpy(float) * longer
            if LATE in active.columns:
                changed[LATE] = changed[RECENCY] / changed[GAP]
        return {name: pd.Series(values, active.index) for name, values in changed.items()}

    def same_spread(self, active: Rows, trained_on: pd.DataFrame) -> Rows:
        """The customers with their spread of gaps at training where the lengths of months explain the difference.

        A standard deviation cannot be computed anew without the orders.
        """
        if not {SPREAD, GAP} <= set(active.columns) & set(trained_on.columns):
            return active
        before = trained_on.set_index("customer_id")[SPREAD].reindex(active["customer_id"]).set_axis(active.index)
        explained = ((active[SPREAD] - before).abs() <= LARGEST_SPREAD) & (active[GAP] >= SHORT)
        return active.assign(**{SPREAD: active[SPREAD].mask(explained, before)})


def _moved(days: NDArray[np.datetime64], months: int) -> NDArray[np.datetime64]:
    """The same day of the month so many months later (earlier if negative), or the last one of a shorter month."""
    month = days.astype("datetime64[M]")
    there = month + np.timedelta64(months, "M")
    longest = ((there + np.timedelta64(1, "M")).astype("datetime64[D]") - there.astype("datetime64[D]")) - np.timedelta64(1, "D")
    return there.astype("datetime64[D]") + np.minimum(days - month.astype("datetime64[D]"), longest)
