"""Numbers in sentences."""

import pytest

from segmentation_assets.vocabulary import counted


@pytest.mark.parametrize(("number", "said"), [(0, "0 segments"), (1, "1 segment"), (2, "2 segments"), (1_000, "1,000 segments")])
def test_one_is_singular_and_all_else_plural(number, said):
    assert counted(number, "segment") == said


def test_what_takes_no_s_is_given():
    assert counted(2, "customer has", "customers have") == "2 customers have"
