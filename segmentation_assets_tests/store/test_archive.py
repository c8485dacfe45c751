"""Models are kept for good with their training population, and requests for a model until they are withdrawn."""

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


def test_a_model_survives_the_archive_unchanged(kept, lake):
    assert archive.versions(kept) == [V1, V2]
    pd.testing.assert_frame_equal(model_to_rows(archive.load(kept, V1)), model_to_rows(FIRST), check_exact=True)
    pd.testing.assert_frame_equal(rows(archive.population(kept, lake, FIRST, ASK)), rows(POPULATION), check_exact=True)


def test_a_lost_population_is_rebuilt_from_the_customers_of_its_snapshot_and_kept(tmp_path, lake):
    columns = ["customer_id", "status", "tenure_days", "recency_days", "frequency", "monetary"]
    put(lake, "customer_features", "2024-02-01", *SHOP[columns].to_dict("records"), {"customer_id": "gone", "status": "lapsed"})
    found = archive.population(tmp_path, lake, FIRST, ASK)
    assert {r.subject: r for r in POPULATION.references}.items() <= {r.subject: r for r in found.references}.items()
    np.testing.assert_array_equal(found.sample, POPULATION.sample)
    np.testing.assert_array_equal(found.reference_prototypes, POPULATION.reference_prototypes)
    assert archive.versions(tmp_path) == [V1]


def test_if_those_customers_are_lost_too_the_error_names_file_snapshot_and_remedy(tmp_path, lake):
    with pytest.raises(
        archive.ArchiveError, match=rf"{V1}\.parquet is lost or .* 2024-02-01, .* segmentation run --from 2024-02-01 --force"
    ):
        archive.population(tmp_path, lake, FIRST, ASK)


def test_models_only_in_partitions_of_version_0_1_0_are_archived_once(tmp_path, lake):
    for key, kept in {"2024-02-01": [rows(POPULATION)], "2024-03-01": []}.items():
        file = lake.file("segmentation_model", key)
        file.parent.mkdir(parents=True)
        model = FIRST if kept else SECOND
        pd.concat([model_to_rows(model), *kept]).assign(model_version=model.provenance.model_version, name="").to_parquet(file)
    assert archive.fill(tmp_path / "data") == [V1]
    assert archive.fill(tmp_path / "data") == []
    assert archive.versions(tmp_path / "data") == [V1]


def test_the_error_about_an_unknown_model_lists_the_known_ones(kept):
    with pytest.raises(archive.ArchiveError, match=f"There is no model v9 that was ever in force. Models: {V1}, {V2}."):
        archive.load(kept, "v9")


BACK, NEW = Request(V1, reason="the shift was a promotion", requested_by="ann"), Request(force=True)


def test_a_request_holds_until_it_is_withdrawn(kept):
    for snapshot, request in {"2024-03-01": BACK, "2024-04-01": NEW}.items():
        archive.ask(kept, snapshot, request)
    assert archive.requests(kept) == {"2024-03-01": BACK, "2024-04-01": NEW}
    archive.ask(kept, "2024-03-01", None)
    assert archive.requests(kept) == {"2024-04-01": NEW}


def test_rollbacks_recorded_by_version_0_1_0_stay_in_force_beside_new_requests(kept):
    (kept / archive.FOLDER / archive.ROLLBACKS).write_text(f'{{"2024-03-01": "{V1}"}}')
    assert archive.requests(kept) == {"2024-03-01": Request(V1)}
    archive.ask(kept, "2024-04-01", NEW)
    assert archive.requests(kept) == {"2024-03-01": Request(V1), "2024-04-01": NEW}


def test_only_a_request_that_names_a_model_has_a_rollback_target(kept):
    assert archive.rollback_target(kept, "2024-03-01", BACK).provenance.model_version == V1
    assert archive.rollback_target(kept, "2024-03-01", NEW) is None
    assert archive.rollback_target(kept, "2024-03-01", None) is None


def test_a_snapshot_cannot_use_a_model_trained_later(kept):
    with pytest.raises(archive.ArchiveError, match="was fitted after 2024-02-01"):
        archive.ask(kept, "2024-02-01", Request(V2))


def test_a_rollback_does_not_free_segment_ids_of_the_replaced_model(kept):
    later = replace(SECOND, provenance=replace(SECOND.provenance, model_version="2024-03-01-x", highest_segment_id=7))
    archive.keep(kept, later, POPULATION)
    assert archive.rollback_target(kept, "2024-03-01", BACK).provenance.highest_segment_id == 7
