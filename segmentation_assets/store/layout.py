"""The layouts of what is kept in the data folder, by number, so that a version that does not know one says so and touches nothing.

Raise a part's number when it is written in another way, and give `upgrade` the step from the number before: a step must be
repeatable, since it may have been killed half way.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from segmentation_assets.atomic import replacing

LAYOUTS = {"lake": 1, "models": 1, "publishing": 1}
"""Folder of a part -> the layout that this version writes."""
FILE = "layout.json"
UNMARKED = 1  # what version 0.1.0 wrote, which marked nothing


class LayoutError(RuntimeError):
    """A part of the data folder has a layout that this version does not know; the message says which, and what to do."""


@dataclass(frozen=True)
class Part:
    """A part of the data folder that is there.

    Attributes:
        layout: its number; marked: whether it says so itself.
        written_by: the version that marked it; empty where none did.
    """

    name: str
    folder: Path
    layout: int
    marked: bool
    written_by: str = ""


def parts(data_dir: Path) -> list[Part]:
    """The parts of the data folder that hold something.

    Raises:
        LayoutError: one has a layout that is newer than this version, or a mark that cannot be read.
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
    """Stop where a part has another layout than this version writes.

    Raises:
        LayoutError: it is newer, or older and needs `segmentation upgrade`.
    """
    old = [part for part in parts(data_dir) if part.layout < LAYOUTS[part.name]]
    if old:
        raise LayoutError(
            f"{old[0].folder} has layout {old[0].layout}, and this version writes {LAYOUTS[old[0].name]}: segmentation upgrade"
        )


def prepare(data_dir: Path) -> None:
    """Mark the parts that are about to be written, after `require_current`."""
    require_current(data_dir)
    for name in LAYOUTS:
        mark(data_dir / name)


def upgrade(data_dir: Path) -> Iterator[str]:
    """Bring every part to the layout of this version, saying a line for each. May be repeated after a kill.

    Raises:
        LayoutError: a part is newer than this version.
    """
    for part in parts(data_dir):
        if part.marked:
            yield f"{part.folder}: layout {part.layout}, as this version writes it"
        else:
            mark(part.folder)
            yield f"{part.folder}: layout {part.layout}, as version 0.1.0 wrote it; marked as such"


def mark(folder: Path) -> None:
    """Write the number of the layout into a part's folder, where it does not stand yet."""
    if not (folder / FILE).exists():
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
            f"{file}: is not readable as a layout's mark ({error}). Restore it, or remove it if version 0.1.0 wrote the folder."
        ) from error
