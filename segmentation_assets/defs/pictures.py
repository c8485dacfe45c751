"""Pictures of assets. How they are drawn belongs to `core.pictures`.

A picture is kept once, as `reports/<snapshot>/<name>.png` in the data folder; the asset's page has the file's path. Dagster would
keep several copies of a picture shown on the page in its log, for ever. If many snapshots are made together, only the newest
is drawn; `segmentation pictures` draws another.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from segmentation_assets.core.pictures import PICTURES, style
from segmentation_assets.defs.resources import BACKFILL, PARTITION
from segmentation_assets.defs.table import OUTPUT
from segmentation_assets.report import report
from segmentation_assets.settings.loading import Settings
from segmentation_assets.vocabulary import fewer_than

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ONE_EACH = (1,)  # the cells of a picture that draws a mark for each customer, or the value of a single one
PICTURE, WITHHELD = "picture: ", "withheld picture: "  # before its name, in metadata
LEFT_OUT = {"segmentation/pictures": "left out"}  # tag of a run that makes one of many snapshots, but not the newest


def to_draw(key: str) -> str:
    """The command that draws the pictures of a snapshot that was made without them."""
    return f"segmentation pictures --snapshot {key}"


def picture(
    context: dg.AssetExecutionContext, settings: Settings, name: str, draw: Callable[[], "Figure"], output: str = OUTPUT,
    cells: Iterable[float] = (),
) -> None:  # fmt: skip
    """Draw a declared picture, unless the settings or the run turn pictures off; save the PNG, and add its path to the asset's metadata.

    Args:
        output: the table that it belongs to, if several are made together.
        cells: numbers of customers that it shows, or whose averages; if one is below privacy.smallest_cell, it is withheld.
    """
    if name not in PICTURES:
        raise LookupError(f"The picture {name} is not declared. Decorate the function that draws it with @shown(...).")
    if not settings.exploration.pictures or (PICTURES[name].needs_orders and not settings.source.has_orders):
        return
    if left_out(context.instance, context.run):
        context.add_output_metadata({"not drawn": f"To draw it: {to_draw(context.partition_key)}"}, output_name=output)
        return
    file = _file(settings, context.partition_key, name)
    if any(0 < cell < settings.privacy.smallest_cell for cell in cells):
        file.unlink(missing_ok=True)
        why = f"It shows {fewer_than(settings.privacy.smallest_cell)} (privacy.smallest_cell)."
        context.add_output_metadata({f"{WITHHELD}{name}": why}, output_name=output)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    with style.written_in(settings.report.language):
        file.write_bytes(style.png(draw()))
    context.add_output_metadata({f"{PICTURE}{name}": dg.MetadataValue.url(file.resolve().as_uri())}, output_name=output)


def left_out(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether the run makes one of many snapshots, of `run --all` or a backfill, but not the newest of them."""
    if LEFT_OUT.items() <= run.tags.items():
        return True
    backfill = instance.get_backfill(run.tags[BACKFILL]) if BACKFILL in run.tags else None
    names = (backfill.partition_names or []) if backfill else []
    return run.tags.get(PARTITION, "") < max(names, default="")


def pictures_of(context: dg.AssetExecutionContext, settings: Settings, key: dg.AssetKey) -> dict[str, Path]:
    """Files of the pictures drawn when the partition was last made; the folder may also hold older ones.

    Only their names are taken from the log: in a copied data folder, its paths are those of the original.
    """
    files = {name: _file(settings, context.partition_key, name) for name in _named(context, key, PICTURE)}
    return {name: file for name, file in files.items() if file.exists()}


def withheld_of(context: dg.AssetExecutionContext, key: dg.AssetKey) -> list[str]:
    """Names of the pictures that were withheld when the partition was last made, because they show too few customers."""
    return _named(context, key, WITHHELD)


def _named(context: dg.AssetExecutionContext, key: dg.AssetKey, kind: str) -> list[str]:
    records = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[context.partition_key])
    last = context.instance.fetch_materializations(records, limit=1).records
    made = last[0].asset_materialization if last else None
    return [name.removeprefix(kind) for name in (made.metadata if made else {}) if name.startswith(kind)]


def _file(settings: Settings, snapshot: str, name: str) -> Path:
    return report.folder(settings.data_dir, snapshot) / f"{name}.png"
