"""Models are kept for good, and a person's wish to go back is kept until it is taken back."""

import datetime as dt
from dataclasses import replace

import pandas as pd
import pytest

from segmentation_assets.core.clustering.families import SelectionSettings
from segmentation_assets.core.model.rows import model_to_rows
from segmentation_assets.core.model.training import Wanted, train
from segmentation_assets.store import models
from segmentation_assets_tests.builders import features

SHOP = features((1, 20, 900), (2, 22, 1000), (1, 24, 1100), (70, 1, 5), (75, 2, 6), (80, 1, 7))
ASK = SelectionSettings(("kmeans",), k_min=2, k_max=2, business_k=2, fallback_k=2, bootstraps=5, splits=1, seed=1, diagnostics=False)
WANTED = Wanted(("recency_days", "frequency", "monetary"), ASK, "digest")
FIRST = train(SHOP, None, WANTED, dt.date(2024, 2, 1), "There is none.")
SECOND = train(SHOP, FIRST, replace(WANTED, settings_digest="other"), dt.date(2024, 3, 1), "The settings changed.")
V1, V2 = FIRST.provenance.model_version, SECOND.provenance.model_version


@pytest.fixture
def kept(tmp_path):
    for model in (FIRST, SECOND):
        models.keep(tmp_path, model)
    return tmp_path


def test_a_kept_model_is_read_back_whole(kept):
    assert models.versions(kept) == [V1, V2]
    pd.testing.assert_frame_equal(model_to_rows(models.load(kept, V1)), model_to_rows(FIRST), check_exact=True)


def test_an_unknown_model_is_named_with_those_there_are(kept):
    with pytest.raises(models.ArchiveError, match=f"There is no model v9. Models: {V1}, {V2}."):
        models.load(kept, "v9")


def test_pointing_back_holds_until_it_is_taken_back(kept):
    models.roll_back(kept, "2024-03-01", V1)
    assert models.rollbacks(kept) == {"2024-03-01": V1}
    assert models.pointed_back(kept, "2024-03-01").provenance.model_version == V1
    assert models.pointed_back(kept, "2024-04-01") is None
    models.roll_back(kept, "2024-03-01", None)
    assert models.rollbacks(kept) == {}


def test_a_snapshot_cannot_have_a_model_of_later(kept):
    with pytest.raises(models.ArchiveError, match="was fitted after 2024-02-01"):
        models.roll_back(kept, "2024-02-01", V2)


def test_ids_of_the_model_that_gave_way_are_not_given_again(kept):
    later = replace(SECOND, provenance=replace(SECOND.provenance, model_version="2024-03-01-x", highest_segment_id=7))
    models.keep(kept, later)
    models.roll_back(kept, "2024-03-01", V1)
    assert models.pointed_back(kept, "2024-03-01").provenance.highest_segment_id == 7
