"""Pictures on the pages of assets. What is drawn belongs to the core's modules of figures.

A picture is shown in the UI with the asset ("Show Markdown") and kept as `reports/<snapshot>/<name>.png` in the data folder.
"""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from segmentation_assets.core.pictures import PICTURES, style
from segmentation_assets.defs.table import OUTPUT
from segmentation_assets.report import report
from segmentation_assets.settings.loading import Settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FILE = "file: "  # before the name of a picture, in metadata


def picture(context: dg.AssetExecutionContext, settings: Settings, name: str, draw: Callable[[], "Figure"], output: str = OUTPUT) -> None:
    """Draw a declared picture, unless the settings say not to; keep the PNG, and show it with the asset.

    Args:
        output: the table that it belongs to, where several are made together.
    """
    if name not in PICTURES:
        raise LookupError(f"The picture {name} is not declared. Say where it is drawn, with @shown(...), what the report says of it.")
    if not settings.exploration.pictures:
        return
    content = style.png(draw())
    file = report.folder(settings.data_dir, context.partition_key) / f"{name}.png"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    shown = f"![{name}](data:image/png;base64,{base64.b64encode(content).decode()})"
    context.add_output_metadata(
        {f"picture: {name}": dg.MetadataValue.md(shown), f"{FILE}{name}": dg.MetadataValue.path(file)}, output_name=output
    )


def pictures_of(context: dg.AssetExecutionContext, key: dg.AssetKey) -> dict[str, Path]:
    """Files of the pictures that were drawn when the partition was last made; older ones may still lie beside them."""
    records = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[context.partition_key])
    last = context.instance.fetch_materializations(records, limit=1).records
    made = last[0].asset_materialization if last else None
    known = made.metadata if made else {}
    files = {name.removeprefix(FILE): Path(str(value.value)) for name, value in known.items() if name.startswith(FILE)}
    return {name: file for name, file in files.items() if file.exists()}
