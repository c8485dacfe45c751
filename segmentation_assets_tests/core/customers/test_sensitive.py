"""Which features tell a sensitive attribute."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats.contingency import association

from segmentation_assets.core.customers import sensitive

N = 400
FAITH = np.where(np.arange(N) % 4 == 0, "a", "b")


def customers(**columns: object) -> pd.DataFrame:
    plain = {"customer_id": [f"c{i}" for i in range(N)], "status": "active", "segment_id": 1, "religion": FAITH}
    return pd.DataFrame(plain | columns)


def by_subject(frame: pd.DataFrame, **further) -> pd.DataFrame:
    return sensitive.proxies(frame, ["religion"], 0.3, **further).set_index("subject")


def test_a_feature_that_tells_the_attribute_is_a_proxy_and_one_that_does_not_is_none() -> None:
    noise = np.random.default_rng(1)
    frame = customers(
        visits=np.where(FAITH == "a", 9.0, 1.0) + noise.normal(0, 1, N), spend=noise.normal(0, 1, N), town=np.where(FAITH == "a", "x", "y"),
        colour=noise.choice(["red", "blue"], N), constant=1.0, segment_id=np.where(FAITH == "a", 1, 2),
    )  # fmt: skip
    found = by_subject(frame, in_model=["visits"])
    assert found["proxy"].to_dict() == {
        "(segments)": True, "visits": True, "spend": False, "town": True, "colour": False, "constant": None,
    }  # fmt: skip
    assert found.loc["town", "association"] == pytest.approx(1)
    assert found.loc["spend", "association"] < 0.1
    assert set(found["threshold"]) == {0.3}
    assert sensitive.sentences(found.reset_index())[0].startswith("visits tells religion (correlation ratio 0.")
    assert "it is in model.features: take it out" in sensitive.sentences(found.reset_index())[0]


def test_many_levels_of_few_customers_are_no_proxy_by_chance_alone() -> None:
    codes = np.random.default_rng(2).integers(0, 100, N).astype(str)
    counts = pd.crosstab(codes, FAITH).to_numpy()
    assert association(counts) > 0.4  # without the correction
    assert by_subject(customers(code=codes)).loc["code", "association"] < 0.3


def test_a_sensitive_number_is_compared_by_its_quantiles() -> None:
    frame = customers(religion=np.arange(N, dtype="float64"), later=np.arange(N) ** 2.0)
    assert by_subject(frame).loc["later", "association"] > 0.9


def test_with_few_known_nothing_is_said() -> None:
    frame = customers(religion=[*FAITH[:29], *[None] * (N - 29)], visits=np.arange(N, dtype="float64"))
    found = by_subject(frame)
    assert (found.loc["visits", "customers"], found.loc["visits", "proxy"]) == (29, None)
    assert sensitive.sentences(found.reset_index()) == [
        "Not measured: too few active customers have a sensitive attribute, or none is set."
    ]
    assert sensitive.proxies(frame, [], 0.3).empty


@pytest.mark.parametrize("other", [np.arange(N).astype(str), FAITH], ids=["an own value for each customer", "two values"])
def test_an_attribute_of_as_many_levels_as_customers_is_not_measured(other) -> None:
    frame = customers(religion=np.arange(N).astype(str), town=other)
    assert by_subject(frame).loc["town", ["association", "proxy"]].isna().all()
