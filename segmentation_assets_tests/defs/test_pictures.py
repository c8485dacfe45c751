"""Pictures are files in the data folder; Dagster's log has only their paths."""

from collections.abc import Iterator
from types import SimpleNamespace

import dagster as dg
import pytest
from matplotlib.figure import Figure

from segmentation_assets.defs.partitions import snapshot_partitions
from segmentation_assets.defs.pictures import LEFT_OUT, left_out, picture, pictures_of, withheld_of
from segmentation_assets.defs.resources import BACKFILL, PARTITION
from segmentation_assets.report import report
from segmentation_assets_tests.builders import D1, D2, LOADED

DRAWN = LOADED.exploration.model_copy(update={"pictures": True})


@pytest.fixture
def settings(tmp_path):
    return LOADED.model_copy(update={"data_dir": tmp_path / "data", "exploration": DRAWN})


@pytest.fixture
def instance(tmp_path) -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test(temp_dir=str(tmp_path)) as made:
        yield made


def materialized(instance, settings, of, **tags):
    """The metadata of the asset `drawn`, and the pictures that a later asset finds with the settings `of`."""
    found = {}

    @dg.asset(partitions_def=snapshot_partitions(settings.snapshots))
    def drawn(context: dg.AssetExecutionContext) -> None:
        for name in ("flow", "bridge"):
            picture(context, settings, name, lambda: Figure(figsize=(1, 1)), cells=[0, 4] if name == "flow" else [0, 5])

    @dg.asset(partitions_def=snapshot_partitions(settings.snapshots), deps=[drawn])
    def seen(context: dg.AssetExecutionContext) -> None:
        found.update(pictures_of(context, of, dg.AssetKey("drawn")))
        found.update(dict.fromkeys(withheld_of(context, dg.AssetKey("drawn"))))

    made = dg.materialize([drawn, seen], partition_key=D1, instance=instance, tags=tags).asset_materializations_for_node("drawn")
    return made[0].metadata, found


def test_a_picture_is_stored_once_and_its_path_logged(instance, settings):
    metadata, found = materialized(instance, settings, settings)
    files = {name: report.folder(settings.data_dir, D1) / f"{name}.png" for name in ("flow", "bridge")}
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in files.values())
    assert {name: value.value for name, value in metadata.items()} == {f"picture: {n}": f.resolve().as_uri() for n, f in files.items()}
    assert found == files


def test_a_picture_left_out_is_not_drawn_and_names_the_command_that_draws_it(instance, settings):
    metadata, found = materialized(instance, settings, settings, **LEFT_OUT)
    assert {name: value.value for name, value in metadata.items()} == {"not drawn": f"To draw it: segmentation pictures --snapshot {D1}"}
    assert found == {} and not (settings.data_dir / "reports").exists()


def test_a_picture_of_too_few_customers_is_withheld_and_an_older_one_removed(instance, settings):
    file = report.folder(settings.data_dir, D1) / "flow.png"
    file.parent.mkdir(parents=True)
    file.touch()
    hiding = settings.model_copy(update={"privacy": settings.privacy.model_copy(update={"smallest_cell": 5})})
    metadata, found = materialized(instance, hiding, hiding)
    assert metadata["withheld picture: flow"].value == "It shows fewer than 5 customers (privacy.smallest_cell)."
    assert (set(found), found["flow"], file.exists()) == ({"flow", "bridge"}, None, False)


@pytest.mark.parametrize(
    ("names", "expected"), [([D1, D2], True), ([D2, D1], True), ([D1], False), (None, False)],
    ids=["older", "older, given last", "newest", "backfill of the asset graph"],
)  # fmt: skip
def test_a_backfill_draws_pictures_of_its_newest_snapshot_only(names, expected):
    instance = SimpleNamespace(get_backfill=lambda _: SimpleNamespace(partition_names=names))
    assert left_out(instance, dg.DagsterRun("snapshot", tags={BACKFILL: "b", PARTITION: D1})) is expected


def test_a_copied_data_folder_never_uses_pictures_of_the_original(instance, settings, tmp_path):
    copied = settings.model_copy(update={"data_dir": tmp_path / "copy"})
    assert materialized(instance, settings, copied)[1] == {}
