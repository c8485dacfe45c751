"""Settings of the model keep their names wherever they are used."""

import re
from pathlib import Path
from typing import get_args

import pytest

import segmentation_assets
from segmentation_assets.core.clustering.families import FAMILIES
from segmentation_assets.settings.model import Algorithm, DriftSettings, ModelSettings, RetrainSettings

PACKAGE = Path(segmentation_assets.__file__).parent
CODE = "\n".join(file.read_text() for room in ("core", "defs") for file in (PACKAGE / room).rglob("*.py"))


@pytest.mark.parametrize("section", [ModelSettings, DriftSettings, RetrainSettings])
def test_every_setting_is_read_under_its_own_name(section):
    read = set(re.findall(r"\b(?:settings|limits|retrain|ask|model)\.(\w+)", CODE))
    assert set(section.model_fields) - read == set()


def test_every_algorithm_in_the_settings_exists():
    assert set(get_args(Algorithm)) == set(FAMILIES)
