"""What decides between two segments adds up to the difference of the squared distances, by hand."""

import math

import pandas as pd
import pytest

from segmentation_assets.core.model.segment_model import Provenance, Segment, SegmentModel
from segmentation_assets.core.segments import why
from segmentation_assets_tests.core.clustering.test_prototypes import identity_model

ABOUT = Provenance("v1", "2024-02-01", "by hand", 3, 0, "", 3, 3, "trained", "")
SEGMENTS = tuple(Segment(number, name, "steady") for number, name in ((7, "Near"), (8, "Beside"), (9, "Far")))
MODEL = SegmentModel(identity_model([[0, 0], [4, 0], [40, 0], [50, 0]], [0, 1, 2, 2]), SEGMENTS, ABOUT)


def customer(x0: float, x1: float) -> pd.DataFrame:
    return pd.DataFrame({"x0": [x0], "x1": [x1]})


def test_the_border_is_with_the_nearest_other_segment_and_each_feature_says_for_which():
    found = why.border(MODEL, customer(1, 3), 7)
    assert (found.segment_id, found.distance, found.other_distance) == (8, math.sqrt(10), math.sqrt(18))
    assert found.pulls == {"x0": 8, "x1": 0}
    assert why.shares({"x0": 9, "x1": -3, "x2": 0}) == {"x0": 0.75, "x1": -0.25, "x2": 0}


def test_a_segment_of_several_prototypes_is_as_near_as_the_nearest():
    assert why.border(MODEL, customer(38, 0), 9).distance == 2


@pytest.mark.parametrize("segment_id", [-1, 0])
def test_a_segment_that_the_model_lacks_has_no_border(segment_id):
    assert why.border(MODEL, customer(0, 0), segment_id) is None


def test_what_moved_a_customer_is_the_feature_that_changed():
    assert why.moved_by(MODEL, customer(1, 5), customer(3, 2), 7, 8) == {"x0": 16, "x1": 0}
    assert why.moved_by(MODEL, customer(1, 5), customer(3, 2), -1, 8) == {}
    assert why.shares({}) == {}
