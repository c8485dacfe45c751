"""What a run refuses before it reads orders."""

from types import SimpleNamespace

import pytest

from segmentation_assets.defs.assets.raw import raw_customers
from segmentation_assets.expressions import ExpressionError
from segmentation_assets.settings.own_segments import OwnSegment
from segmentation_assets.store.lake import Lake
from segmentation_assets_tests.builders import D1, LOADED, RowsSource


def test_own_segments_with_a_wrong_column_stop_the_run_at_its_start(lake: Lake) -> None:
    own = {"good": OwnSegment(condition="monetary > 9 and segment_id = 1"), "late": OwnSegment(condition="recency > 60")}
    settings = LOADED.model_copy(update={"own_segments": own})
    with pytest.raises(ExpressionError) as refused:
        raw_customers(SimpleNamespace(partition_key=D1), settings, RowsSource(), lake)
    assert str(refused.value).startswith("own_segments.late: 'recency > 60' uses 'recency', which is not a column here. Did you mean")
