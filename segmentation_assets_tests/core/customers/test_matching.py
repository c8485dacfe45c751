"""Customers of two tables side by side."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentation_assets.core.customers.matching import places, side_by_side

IDS = st.lists(st.text("ab\u00e9 ", max_size=3), unique=True, max_size=8)


def table(ids: list[str], column: str) -> pd.DataFrame:
    return pd.DataFrame({"customer_id": pd.Series(ids, dtype="str"), column: np.arange(len(ids), dtype="int64")})


@given(IDS, IDS)
def test_customers_are_matched_as_by_pandas(ours: list[str], theirs: list[str]) -> None:
    left, right = table(ours, "x"), table(theirs, "y")
    for other in (right, left.rename(columns={"x": "y"})):
        pd.testing.assert_frame_equal(side_by_side(left, other), left.merge(other, on="customer_id"))
    expected = left["customer_id"].map(right.set_index("customer_id")["y"]).fillna(-1).astype("int64")
    assert places(left["customer_id"], right["customer_id"]).tolist() == expected.tolist()


@pytest.mark.parametrize("other", [["a", "a"], ["a", "b", "b"]])
def test_a_customer_twice_is_refused(other: list[str]) -> None:
    with pytest.raises(pd.errors.MergeError):
        side_by_side(table(["a", "a"], "x"), table(other, "y"))
