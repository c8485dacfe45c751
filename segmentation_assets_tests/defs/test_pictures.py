"""Pictures are files of the data folder, of which Dagster's log has no more than the place."""

from collections.abc import Iterator

import dagster as dg
import pytest
from matplotlib.figure import Figure

from segmentation_assets.defs.partitions import snapshot_partitions
from segmentation_assets.defs.pictures import picture, pictures_of
from segmentation_assets.report import report
from segmentation_assets_tests.builders import D1, LOADED

DRAWN = LOADED.exploration.model_copy(update={"pictures": True})


@pytest.fixture
def settings(tmp_path):
    return LOADED.model_copy(update={"data_dir": tmp_path / "data", "exploration": DRAWN})


@pytest.fixture
def instance(tmp_path) -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test(temp_dir=str(tmp_path)) as made:
        yield made


def materialized(instance, settings, of):
    """What the asset `drawn`, which draws a picture, has as metadata, and what another asset then finds of it with the settings `of`."""
    found = {}

    @dg.asset(partitions_def=snapshot_partitions(settings.snapshots))
    def drawn(context: dg.AssetExecutionContext) -> None:
        picture(context, settings, "flow", lambda: Figure(figsize=(1, 1)))

    @dg.asset(partitions_def=snapshot_partitions(settings.snapshots), deps=[drawn])
    def seen(context: dg.AssetExecutionContext) -> None:
        found.update(pictures_of(context, of, dg.AssetKey("drawn")))

    made = dg.materialize([drawn, seen], partition_key=D1, instance=instance).asset_materializations_for_node("drawn")
    return made[0].metadata, found


def test_a_picture_is_kept_once_and_its_place_told(instance, settings):
    metadata, found = materialized(instance, settings, settings)
    file = report.folder(settings.data_dir, D1) / "flow.png"
    assert file.read_bytes().startswith(b"\x89PNG")
    assert {name: value.value for name, value in metadata.items()} == {"picture: flow": file.resolve().as_uri()}
    assert found == {"flow": file}


def test_a_copied_data_folder_has_its_own_pictures_or_none(instance, settings, tmp_path):
    copied = settings.model_copy(update={"data_dir": tmp_path / "copy"})
    assert materialized(instance, settings, copied)[1] == {}
