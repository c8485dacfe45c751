"""Models are kept for good with the population they were trained on, and a person's wish to go back is kept until it is taken back."""

import datetime as dt
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from segmentation_assets.core.model.champion import Request
from segmentation_assets.core.model.population import training_population
from segmentation_assets.core.model.rows import model_to_rows, population_to_rows
from segmentation_assets.core.model.training import ModelSpec, train
from segmentation_assets.settings.model import ModelSettings
from segmentation_assets.store import archive
from segmentation_assets_tests.builders import features, put

SHOP = features((1, 20, 900), (2, 22, 1000), (1, 24, 1100), (70, 1, 5), (75, 2, 6), (80, 1, 7))
ASK = ModelSettings(algorithms=("kmeans",), k_min=2, k_max=2, k=2, fallback_k=2, resamples=10, splits=1, seed=1)
SPEC = ModelSpec(ASK, "digest")
FIRST = train(SHOP, None, SPEC, dt.date(2024, 2, 1), "There is none.").model
SECOND = train(SHOP, FIRST, replace(SPEC, settings_digest="other"), dt.date(2024, 3, 1), "The settings changed.").model
V1, V2 = FIRST.provenance.model_version, SECOND.provenance.model_version
POPULATION = training_population(FIRST, SHOP, ASK)


@pytest.fixture
def kept(tmp_path):
    for model in (FIRST, SECOND):
        archive.keep(tmp_path, model, POPULATION)
    return tmp_path


def rows(population):
    return population_to_rows(population)[["component", "position", "field", "value", "text"]]


def test_a_kept_model_is_read_back_whole(kept, lake):
    assert archive.versions(kept) == [V1, V2]
    pd.testing.assert_frame_equal(model_to_rows(archive.load(kept, V1)), model_to_rows(FIRST), check_exact=True)
    pd.testing.assert_frame_equal(rows(archive.population(kept, lake, FIRST, ASK)), rows(POPULATION), check_exact=True)


def test_a_population_that_is_lost_is_found_again_in_the_customers_of_its_snapshot_and_kept(tmp_path, lake):
    columns = ["customer_id", "status", "tenure_days", "recency_days", "frequency", "monetary"]
    put(lake, "customer_features", "2024-02-01", *SHOP[columns].to_dict("records"), {"customer_id": "gone", "status": "lapsed"})
    found = archive.population(tmp_path, lake, FIRST, ASK)
    assert {r.subject: r for r in POPULATION.references}.items() <= {r.subject: r for r in found.references}.items()
    np.testing.assert_array_equal(found.sample, POPULATION.sample)
    np.testing.assert_array_equal(found.reference_prototypes, POPULATION.reference_prototypes)
    assert archive.versions(tmp_path) == [V1]


def test_where_those_customers_are_gone_too_the_error_names_the_file_the_snapshot_and_the_remedy(tmp_path, lake):
    with pytest.raises(
        archive.ArchiveError, match=rf"{V1}\.parquet is lost or .* 2024-02-01, .* segmentation run --from 2024-02-01 --force"
    ):
        archive.population(tmp_path, lake, FIRST, ASK)


def test_models_that_only_partitions_of_version_0_1_0_hold_are_put_into_the_archive_once(tmp_path, lake):
    for key, kept in {"2024-02-01": [rows(POPULATION)], "2024-03-01": []}.items():
        file = lake.file("segmentation_model", key)
        file.parent.mkdir(parents=True)
        model = FIRST if kept else SECOND
        pd.concat([model_to_rows(model), *kept]).assign(model_version=model.provenance.model_version, name="").to_parquet(file)
    assert archive.fill(tmp_path / "data") == [V1]
    assert archive.fill(tmp_path / "data") == []
    assert archive.versions(tmp_path / "data") == [V1]


def test_an_unknown_model_is_named_with_those_there_are(kept):
    with pytest.raises(archive.ArchiveError, match=f"There is no model v9 that was ever in force. Models: {V1}, {V2}."):
        archive.load(kept, "v9")


BACK, NEW = Request(V1, reason="the shift was a promotion", requested_by="ann"), Request(force=True)


def test_what_was_asked_holds_until_it_is_taken_back(kept):
    for snapshot, request in {"2024-03-01": BACK, "2024-04-01": NEW}.items():
        archive.ask(kept, snapshot, request)
    assert archive.requests(kept) == {"2024-03-01": BACK, "2024-04-01": NEW}
    archive.ask(kept, "2024-03-01", None)
    assert archive.requests(kept) == {"2024-04-01": NEW}


def test_rollbacks_that_version_0_1_0_recorded_go_on_beside_new_requests(kept):
    (kept / archive.FOLDER / archive.ROLLBACKS).write_text(f'{{"2024-03-01": "{V1}"}}')
    assert archive.requests(kept) == {"2024-03-01": Request(V1)}
    archive.ask(kept, "2024-04-01", NEW)
    assert archive.requests(kept) == {"2024-03-01": Request(V1), "2024-04-01": NEW}


def test_only_a_request_that_names_a_model_has_one_to_go_back_to(kept):
    assert archive.rollback_target(kept, "2024-03-01", BACK).provenance.model_version == V1
    assert archive.rollback_target(kept, "2024-03-01", NEW) is None
    assert archive.rollback_target(kept, "2024-03-01", None) is None


def test_a_snapshot_cannot_have_a_model_of_later(kept):
    with pytest.raises(archive.ArchiveError, match="was fitted after 2024-02-01"):
        archive.ask(kept, "2024-02-01", Request(V2))


def test_ids_of_the_model_that_gave_way_are_not_given_again(kept):
    later = replace(SECOND, provenance=replace(SECOND.provenance, model_version="2024-03-01-x", highest_segment_id=7))
    archive.keep(kept, later, POPULATION)
    assert archive.rollback_target(kept, "2024-03-01", BACK).provenance.highest_segment_id == 7
