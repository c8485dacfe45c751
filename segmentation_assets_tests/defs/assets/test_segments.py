"""Assets are functions that can be called with rows, without Dagster."""

import datetime as dt

import ibis
import pandas as pd

from segmentation_assets.defs.assets import segments
from segmentation_assets.defs.table import at_and_before
from segmentation_assets.store.lake import Lake
from segmentation_assets_tests.builders import D1, D2


def test_journeys_use_the_names_of_segments(lake: Lake) -> None:
    placed = pd.DataFrame(
        [(D1, "a", 1, "Regulars"), (D2, "a", 2, "Rare"), (D1, "b", 1, "Regulars"), (D2, "b", 2, "Rare")],
        columns=["snapshot_date", "customer_id", "segment_id", "segment_name"],
    )
    found = segments.segment_journeys(lake, ibis.memtable(placed))
    assert found["customers"].tolist() == [2]
    assert found["path_names"].tolist() == ["Regulars > Rare"]


def test_each_side_has_only_the_columns_that_are_asked_for() -> None:
    days = [dt.date.fromisoformat(key) for key in (D1, D2, D2)]
    dated = ibis.memtable(
        pd.DataFrame({"snapshot_date": days, "customer_id": ["a", "a", "b"], "monetary": [1.0, 2.0, 3.0], "wide": [0, 0, 0]})
    )
    now, before = at_and_before(dated, days[1], "customer_id", "monetary")
    assert now.to_dict("list") == {"customer_id": ["a", "b"], "monetary": [2.0, 3.0]}
    assert before.to_dict("list") == {"customer_id": ["a"], "monetary": [1.0]}
    assert list(at_and_before(dated, days[1])[0]) == ["customer_id", "monetary", "wide"]
