"""What makes a snapshot out of date."""

from dataclasses import replace

import pytest

from segmentation_assets.defs.partitions import LOADED
from segmentation_assets.store import freshness
from segmentation_assets.tables.contract import Column
from segmentation_assets.tables.features import CUSTOMER_FEATURES
from segmentation_assets_tests.builders import RowsSource

KEY = "2017-04-01"


def test_a_feature_that_was_added_makes_every_snapshot_out_of_date(monkeypatch: pytest.MonkeyPatch) -> None:
    before = freshness.fingerprints(LOADED, RowsSource(), [KEY])
    assert freshness.fingerprints(LOADED, RowsSource(), [KEY]) == before
    more = replace(CUSTOMER_FEATURES, columns=(*CUSTOMER_FEATURES.columns, Column("repeat_visit_share", "float64", "Another.")))
    monkeypatch.setattr(freshness, "CONTRACTS", (more,))
    one = freshness.fingerprints(LOADED, RowsSource(), [KEY])
    monkeypatch.setattr(freshness, "CONTRACTS", (CUSTOMER_FEATURES,))
    assert freshness.fingerprints(LOADED, RowsSource(), [KEY]) != one
