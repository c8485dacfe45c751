"""The pictures in the docs are current."""

from pathlib import Path

import pytest
from PIL import Image, ImageChops

from segmentation_assets_tests import pictures
from segmentation_assets_tests.test_definitions import GRAPH

AGAIN = "run: python -m segmentation_assets_tests.pictures data"


@pytest.mark.parametrize("name", pictures.OF_PAGE)
def test_those_of_dagsters_page_show_the_assets_there_are(name: str) -> None:
    with Image.open(pictures.DOCS / f"{name}.png") as picture:
        assert picture.info[pictures.ASSETS].split() == sorted(GRAPH), AGAIN


@pytest.mark.slow
@pytest.mark.parametrize("name", pictures.OF_CUSTOMERS)
def test_those_of_customers_are_those_of_the_demo(name: str, demo: Path) -> None:
    with Image.open(pictures.DOCS / f"{name}.png") as shown, Image.open(pictures.reported(demo, name)) as drawn:
        assert shown.info["Title"] == drawn.info["Title"] and shown.size == drawn.size, AGAIN
        assert ImageChops.difference(shown.convert("RGB"), drawn.convert("RGB")).getbbox() is None, AGAIN
