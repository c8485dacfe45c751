"""Which features customers are clustered by, and how near copies share a weight."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

from segmentation_assets.core.choice.selection import choose
from segmentation_assets.core.clustering.preprocessing import FeaturePreprocessor
from segmentation_assets.core.customers.attributes import attribute_features
from segmentation_assets.core.customers.exploration import feature_correlations
from segmentation_assets.core.customers.feature_choices import Treatment, choices, near_copies, weight_shares
from segmentation_assets.settings.model import ModelSettings

RNG = np.random.default_rng(5)
N = 300
BASE = RNG.normal(size=N)
COPIES = {f"copy_{i}": BASE + 0.35 * RNG.normal(size=N) for i in range(4)}
GROUP = np.repeat([0, 1, 2], N // 3)
PLANTED = {"use_1": 4.0 * (GROUP == 1) + RNG.normal(size=N), "use_2": 4.0 * (GROUP == 2) + RNG.normal(size=N)}


def customers(**columns) -> pd.DataFrame:
    return pd.DataFrame({"customer_id": [str(i) for i in range(N)], "status": "active", **columns})


def test_near_copies_are_a_block_in_either_direction_and_a_chain_is_parted():
    a = np.random.default_rng(5).normal(size=(3, N))
    b = a[0] + 0.6 * a[1]
    chain = pd.DataFrame({"a": a[0], "b": b, "c": b + 0.6 * a[2], "minus": -a[0], "text": "x"})
    rho = chain.drop(columns="text").corr("spearman")
    assert min(rho.loc["a", "b"], rho.loc["b", "c"]) > 0.8 > rho.loc["a", "c"]
    assert near_copies(chain, 0.8) == [["a", "minus"], ["b", "c"]]
    assert near_copies(chain, 1) == [["a"], ["b"], ["c"], ["minus"]]


def test_each_near_copy_keeps_its_share_of_one_weight_and_others_their_own():
    features = (*PLANTED, *COPIES)
    table = customers(**PLANTED, **COPIES)
    assert weight_shares(table, ModelSettings(features=features)) == dict.fromkeys(COPIES, 0.25)
    assert weight_shares(table, ModelSettings(features=features, near_copies=1)) == {}
    settings = ModelSettings(features=features, weights={"copy_1": 2})
    weights = FeaturePreprocessor.from_settings(settings, {}, weight_shares(table, settings)).weights
    assert weights == {"copy_0": 0.25, "copy_1": 0.5, "copy_2": 0.25, "copy_3": 0.25}


def test_five_near_copies_of_noise_do_not_hide_planted_groups():
    table = customers(**PLANTED, **COPIES, copy_4=BASE + 0.35 * RNG.normal(size=N))
    features = tuple(table.columns[2:])
    settings = ModelSettings(features=features, k=3, k_max=4, algorithms=("kmeans",), resamples=10, splits=2)
    transforms = {feature.name: feature.transform for feature in attribute_features(table, ())}

    def found(shares):
        inputs = table[list(features)]
        chosen = choose(inputs, settings, FeaturePreprocessor.from_settings(settings, transforms, shares), has_orders=False)
        return adjusted_rand_score(GROUP, np.asarray(chosen.model.assign(inputs).label))

    assert found(weight_shares(table, settings)) >= 0.85
    assert found({}) < 0.6  # each copy at full weight


def test_each_decision_has_its_reason():
    table = customers(
        income=np.exp(BASE), same=1.0, nearly=np.where(np.arange(N) < 3, 5.0, 1.0), empty=np.nan,
        seldom=np.where(np.arange(N) < 30, BASE, np.nan), joined=pd.Timestamp("2024-01-01"), note=[f"note {i}" for i in range(N)],
        plan=["basic", "gold", "gold"] * (N // 3), replied=np.arange(N) % 2.0,
        faith=["a", "b"] * (N // 2), churned=np.arange(N) % 3.0, twin=2 * BASE, other=RNG.normal(size=N), **COPIES,
    )  # fmt: skip
    pairs = feature_correlations(table, attribute_features(table, ()), ["income", "copy_0", "copy_1"])
    treated = {"income": Treatment("log", 1.0), "copy_0": Treatment("none", 0.5), "copy_1": Treatment("none", 0.5)}
    ask = ModelSettings(features=("income", "copy_0", "copy_1"))
    found = choices(table, pairs, ask, treated, ["faith"], "churned", shared=True).set_index("feature")
    said = found["reason"].to_dict()
    assert list(found.index[found["enters"]]) == ["income", "copy_0", "copy_1"]
    assert said["income"].startswith(
        "in model.features; its logarithm counts, because large values would decide alone; it shares the weight"
    )
    assert "copy_1" in said["copy_0"] and "0.8 or more" in said["copy_0"]
    assert (found.loc["copy_0", "transform"], found.loc["copy_0", "weight"]) == ("none", 0.5)
    assert {name: said[name] for name in ("same", "nearly", "empty", "seldom", "joined", "note", "faith", "churned", "other")} == {
        "same": "all have 1", "nearly": "nearly constant: 99.0% have 1", "empty": "no customer has a value",
        "seldom": "missing for 90% of customers",
        "joined": "a date; only numbers and categories are compared", "note": "300 different texts: names, notes or ids",
        "faith": "sensitive (privacy.sensitive), so it never enters a model", "churned": "the outcome, by which segments are judged",
        "other": "not in model.features; nothing else speaks against it",
    }  # fmt: skip
    assert said["plan"].startswith("a category with 2 levels; it describes") and said["replied"].startswith("an answer; it describes")
    assert said["twin"] == "redundant: it says the same as income (Spearman 1.00, beyond 0.95)"


@pytest.mark.parametrize("shared", [True, False])
def test_with_orders_nothing_is_shared(shared):
    table = customers(**COPIES)
    treated = {name: Treatment("none", 1.0) for name in COPIES}
    found = choices(
        table, feature_correlations(table, attribute_features(table, ())), ModelSettings(features=tuple(COPIES)), treated, shared=shared
    )
    assert found["reason"].str.contains("shares").all() == shared
