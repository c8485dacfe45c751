"""Assets are functions that can be called with rows, without Dagster."""

import pandas as pd

from segmentation_assets.defs.assets import segments
from segmentation_assets_tests.builders import D1, D2


def test_journeys_use_the_names_of_segments() -> None:
    placed = pd.DataFrame(
        [(D1, "a", 1, "Regulars"), (D2, "a", 2, "Rare"), (D1, "b", 1, "Regulars"), (D2, "b", 2, "Rare")],
        columns=["snapshot_date", "customer_id", "segment_id", "segment_name"],
    )
    found = segments.segment_journeys(placed)
    assert found["customers"].tolist() == [2]
    assert found["path_names"].tolist() == ["Regulars > Rare"]
