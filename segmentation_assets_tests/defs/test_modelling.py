"""The settings reach the model's core as they are meant."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from segmentation_assets.defs.modelling import wanted
from segmentation_assets.settings.loading import Settings

FEATURES = ["monetary", "spend_trend", "coupon_redeemed_count", "Income"]


def asked(**model: Any) -> Settings:
    columns = {"features": FEATURES, **model}
    return Settings.model_validate(
        {
            "snapshots": {"first": "2017-04-01"},
            "source": {"kind": "complete_journey"},
            "features": {"event_types": ["coupon_redeemed"]},
            "model": columns,
        }
    )


@pytest.mark.parametrize(
    ("model", "transforms"),
    [
        ({}, ["log", "none", "log", "log"]),  # money and counts as declared, a trend in [-1, 1] as it is, an attribute by log
        ({"transform": "yeo-johnson"}, ["yeo-johnson"] * 4),
    ],
)
def test_each_feature_enters_by_its_declared_transform_unless_the_settings_say_one_for_all(model: Any, transforms: list[str]) -> None:
    frame = pd.DataFrame(np.random.default_rng(3).random((50, 4)), columns=FEATURES)
    fitted = wanted(asked(**model)).preprocessor.fit(frame)
    assert [column.transform for column in fitted.columns_] == transforms
