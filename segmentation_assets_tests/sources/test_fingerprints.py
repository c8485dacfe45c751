"""What makes a snapshot out of date."""

from dataclasses import replace

import pytest

from segmentation_assets import sources
from segmentation_assets.contracts import CUSTOMER_FEATURES, Column
from segmentation_assets.partitions import LOADED
from segmentation_assets_tests.builders import RowsSource

KEY = "2017-04-01"


def test_a_feature_that_was_added_makes_every_snapshot_out_of_date(monkeypatch: pytest.MonkeyPatch) -> None:
    before = sources.fingerprints(LOADED, RowsSource(), [KEY])
    assert sources.fingerprints(LOADED, RowsSource(), [KEY]) == before
    more = replace(CUSTOMER_FEATURES, columns=(*CUSTOMER_FEATURES.columns, Column("repeat_visit_share", "float64", "Another.")))
    monkeypatch.setattr(sources, "CONTRACTS", (more,))
    one = sources.fingerprints(LOADED, RowsSource(), [KEY])
    monkeypatch.setattr(sources, "CONTRACTS", (CUSTOMER_FEATURES,))
    assert sources.fingerprints(LOADED, RowsSource(), [KEY]) != one
