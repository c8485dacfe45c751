"""Where a shared lake may be, and what does not go with it."""

import pytest
from pydantic import ValidationError

from segmentation_assets.settings.lake import LakeSettings
from segmentation_assets.settings.loading import Settings, SettingsError, load_settings

SHORT = "data_dir: data\nsnapshots: {first: 2024-01-01}\nsource: {kind: complete_journey}\n"


def written(tmp_path, text):
    file = tmp_path / "segmentation.yaml"
    file.write_text(SHORT + text)
    return file


def test_a_folder_is_relative_to_the_settings_file(tmp_path):
    assert load_settings(written(tmp_path, "lake: {url: shared}\n")).lake.url == str(tmp_path.resolve() / "shared")
    assert load_settings(written(tmp_path, "lake: {url: 's3://bucket/lake/'}\n")).lake.url == "s3://bucket/lake"
    assert load_settings(written(tmp_path, "")).lake == LakeSettings()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"url": "gs://bucket/lake"}, "neither a folder nor a bucket"),
        ({"url": "s3:///lake"}, "neither a folder nor a bucket"),
        ({"url": "s3://bucket/lake?secret=1"}, "holds a secret"),
        ({"url": "s3://bucket", "endpoint": "minio:9000"}, "is not an address"),
        ({"url": "s3://bucket", "endpoint": "https://ann:word@minio"}, "holds a secret"),
        ({"url": "/shared", "region": "eu-central-1"}, "go with a url like"),
        ({"versions": 1}, "greater than or equal to 2"),
    ],
)
def test_what_cannot_be_a_shared_lake_is_refused(given, told):
    with pytest.raises(ValidationError, match=told):
        LakeSettings(**given)


def test_a_shared_lake_in_the_data_folder_is_refused(tmp_path):
    with pytest.raises(SettingsError, match=r"lake\.url: is in the data folder .*Name a folder outside it"):
        load_settings(written(tmp_path, "lake: {url: data/lake}\n"))


def test_audiences_are_not_handed_over_from_a_shared_lake(tmp_path):
    crm = "delivery: {destinations: {crm: {kind: folder, path: out}}}\nlake: {url: shared}\n"
    with pytest.raises(SettingsError, match=r"delivery\.destinations: goes with no lake\.url.*Remove one of the two"):
        load_settings(written(tmp_path, crm))


def test_no_snapshot_depends_on_where_the_lake_is():
    from segmentation_assets.store.provenance import NO_INPUT

    assert "lake" in NO_INPUT & Settings.model_fields.keys()
