"""Pictures on the pages of assets. What is drawn belongs to the core's `figures` and `model_figures`.

A picture is shown in the UI with the asset ("Show Markdown") and kept as `reports/<snapshot>/<name>.png` in the data folder.
"""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from segmentation_assets.core import figures
from segmentation_assets.settings import Settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OUTPUT = "result"  # Dagster's name for what an asset returns; asked for where a check shares the asset's step


def picture(context: dg.AssetExecutionContext, settings: Settings, name: str, draw: Callable[[], "Figure"]) -> None:
    """Draw, unless the settings say not to; keep the PNG, and show it with the asset."""
    if not settings.exploration.pictures:
        return
    content = figures.png(draw())
    file = Path(settings.data_dir) / "reports" / context.partition_key / f"{name}.png"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    shown = f"![{name}](data:image/png;base64,{base64.b64encode(content).decode()})"
    context.add_output_metadata(
        {f"picture: {name}": dg.MetadataValue.md(shown), f"file: {name}": dg.MetadataValue.path(file)}, output_name=OUTPUT
    )
