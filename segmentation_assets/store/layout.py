"""The numbered layouts of the parts of the data folder, so that a version refuses a layout that it does not know, and changes nothing.

If the format of a part changes, raise its number and add the step from the previous number to `STEPS`. A step must be
repeatable, because it may be killed half way.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from segmentation_assets.atomic import replacing
from segmentation_assets.vocabulary import counted

LAYOUTS = {"lake": 2, "models": 1, "publishing": 1, "deliveries": 1}
"""Folder of a part -> the layout that this version writes."""
FILE = "layout.json"
UNMARKED = 1  # the layout of version 0.1.0, which wrote no mark


class LayoutError(RuntimeError):
    """A part of the data folder has a layout that this version cannot use; the message says which, and what to do."""


@dataclass(frozen=True)
class Part:
    """An existing part of the data folder.

    Attributes:
        layout: its number; marked: whether a file in it says so.
        written_by: the version that marked it; empty if none did.
    """

    name: str
    folder: Path
    layout: int
    marked: bool
    written_by: str = ""


def parts(data_dir: Path) -> list[Part]:
    """The parts of the data folder that are not empty.

    Raises:
        LayoutError: a layout is newer than this version, or its mark cannot be read.
    """
    found = [_part(name, data_dir / name) for name in LAYOUTS if any((data_dir / name).glob("*"))]
    for part in found:
        if part.layout > LAYOUTS[part.name]:
            raise LayoutError(
                f"{part.folder} has layout {part.layout}, written by version {part.written_by or 'unknown'}; this version, "
                f"{version('segmentation-assets')}, knows layouts up to {LAYOUTS[part.name]}. Install that version or a later one."
            )
    return found


def require_current(data_dir: Path) -> None:
    """Check that every part has the layout that this version writes.

    Raises:
        LayoutError: a layout is newer, or older and needs `segmentation upgrade`.
    """
    old = [part for part in parts(data_dir) if part.layout < LAYOUTS[part.name]]
    if old:
        raise LayoutError(
            f"{old[0].folder} has layout {old[0].layout}, and this version writes {LAYOUTS[old[0].name]}. Convert it: segmentation upgrade"
        )


def prepare(data_dir: Path) -> None:
    """Check the layouts, and mark the parts before they are written."""
    require_current(data_dir)
    for name in LAYOUTS:
        mark(data_dir / name)


def upgrade(data_dir: Path) -> Iterator[str]:
    """Convert every part to this version's layout, and yield a line for each. May be repeated after a kill.

    Raises:
        LayoutError: a part is newer than this version.
    """
    for part in parts(data_dir):
        found = f"{part.folder}: layout {part.layout}"
        wrote = f"{found}, as version {part.written_by or '0.1.0'} wrote it"
        if part.layout < LAYOUTS[part.name]:
            done = [STEPS[part.name, layout](data_dir) for layout in range(part.layout, LAYOUTS[part.name])]
            _write_mark(part.folder)
            yield f"{wrote}; now {LAYOUTS[part.name]}: {'; '.join(done)}"
        elif part.marked:
            yield f"{found}, as this version writes it"
        else:
            mark(part.folder)
            yield f"{wrote}; marked as such"


def _models_once(data_dir: Path) -> str:
    """Layout 2 of the lake: the training reference is kept once per model, in the archive, instead of in each partition of
    segmentation_model. Partitions that still hold it are read as they are."""
    from segmentation_assets.store import archive  # slow to import (scikit-learn), and rarely needed here

    kept = archive.fill(data_dir)
    return f"{counted(len(kept), 'model')} added to the archive: {', '.join(kept)}" if kept else "all models are in the archive"


STEPS: dict[tuple[str, int], Callable[[Path], str]] = {("lake", 1): _models_once}
"""(part, layout) -> the step to the next layout, which returns what it did in words."""


def mark(folder: Path) -> None:
    """Write the current layout's number into a part's folder, if it has none."""
    if not (folder / FILE).exists():
        _write_mark(folder)


def _write_mark(folder: Path) -> None:
    with replacing(folder / FILE) as unfinished:
        facts = {"layout": LAYOUTS[folder.name], "written_by": version("segmentation-assets")}
        unfinished.write_text(json.dumps(facts), encoding="utf-8")


def _part(name: str, folder: Path) -> Part:
    file = folder / FILE
    if not file.exists():
        return Part(name, folder, UNMARKED, marked=False)
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
        return Part(name, folder, int(facts["layout"]), True, str(facts.get("written_by", "")))
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise LayoutError(
            f"{file}: cannot be read as a layout mark ({error}). Restore it, or remove it if version 0.1.0 wrote the folder."
        ) from error
