"""Lines over time have every customer: those of segments that have ended, too. In the dark, their colours can be told apart."""

import itertools
import re
from importlib import resources

import numpy as np
import pytest

from segmentation_assets.report.charts import ENDED, over_time
from segmentation_assets.report.words import Words
from segmentation_assets_tests.report.conftest import rows, segment

HISTORY = [
    segment(1, "A", 9, "2024-02-01"), segment(2, "B", 60, "2024-02-01"), segment(3, "C", 30, "2024-02-01"), segment(1, "A", 99),
]  # fmt: skip

SIGHTS = {
    "full": np.eye(3),
    "without red": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    "without green": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
}


def test_segments_that_have_ended_are_a_line_together():
    chart = over_time(rows("segments", *HISTORY), "customers", {1: "A"}, Words(), Words().number)
    assert chart and [(one.name, [cell.text for cell in one.figures]) for one in chart.lines] == [
        ("A", ["9", "99"]), ("segments that have ended", ["90", "\u2013"]),
    ]  # fmt: skip
    assert chart.lines[1].colour == ENDED


def test_their_sum_is_hidden_if_one_of_them_is():
    history = [*HISTORY, segment(4, "D", np.nan, "2024-02-01", small_cell="hidden: few customers")]
    chart = over_time(rows("segments", *history), "customers", {1: "A"}, Words(), Words().number)
    assert chart and [(cell.text, cell.sort) for cell in chart.lines[1].figures] == [("hidden", ""), ("\u2013", "")]


def seen(colour: str, sight: np.ndarray) -> np.ndarray:
    """A colour (3,) from 0 to 255 as the matrix (3, 3) of a sight has it."""
    linear = (np.array([int(colour[place : place + 2], 16) for place in (0, 2, 4)]) / 255) ** 2.2
    return 255 * np.clip(sight @ linear, 0, 1) ** (1 / 2.2)


@pytest.mark.parametrize("sight", SIGHTS.values(), ids=SIGHTS)
def test_lines_of_the_same_dash_differ_in_the_light_and_in_the_dark_for_all_sights(sight):
    """Sights by Machado, Oliveira and Fernandes (2009), of full severity."""
    style = resources.files("segmentation_assets.report").joinpath("templates/style.css").read_text()
    for scheme in style.splitlines()[:2]:
        colours = [seen(colour, sight) for colour in re.findall(r"--line-\d+: #(\w{6});", scheme)]
        assert len(colours) == 11
        for dash in (colours[1:5], colours[5:8], colours[8:]):
            assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(dash, 2)) > 25
