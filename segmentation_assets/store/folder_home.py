"""Whether the data folder is the one whose deliveries are recorded in it, or a copy, which must not hand over the same customers again.

The id of the folder is in a file. Beside it stand the inode numbers of the folder and of that file, and when the file last changed, as
the file system tells it (ctime). A copy or a restored backup has other ones, as no program can set them; a folder that is renamed or
moved within its file system keeps them. What the machine itself cannot tell, this cannot either: the clone of a whole disk looks like
the original.
"""

import json
from pathlib import Path

from segmentation_assets.atomic import replacing
from segmentation_assets.store.deliveries import FOLDER, ID, DeliveryError, folder_id

FILE = "home.json"
MARKS = ("folder_id", "inode", "inode_of_id", "changed_ns")


def mark(data_dir: Path) -> None:
    """Note, if nothing is noted yet and nothing was handed over, that this folder is the original."""
    if not (data_dir / FOLDER / FILE).exists() and not any((data_dir / FOLDER).glob("*.parquet")):
        _write(data_dir)


def require(data_dir: Path, asked: str | None = None) -> None:
    """Check that this folder is the original.

    Args:
        asked: the id of a folder that is to be taken for the original from now on.

    Raises:
        DeliveryError: it is a copy, or another id was asked for.
    """
    mark(data_dir)
    this = folder_id(data_dir)
    if asked is not None and asked != this:
        raise DeliveryError(f"{data_dir} has the id {this}, not {asked}. Nothing was delivered.")
    if asked is not None:
        _write(data_dir)
    elif (noted := _noted(data_dir)) is None or {name: noted.get(name) for name in MARKS} != _marks(data_dir):
        was = noted.get("path") if noted else None
        raise DeliveryError(
            f"{data_dir} is a copy of the data folder {this}{f' at {was}' if was else ''}, or was restored from a backup. Nothing was "
            "delivered, so that nobody is contacted twice. If no other folder with this id delivers any more: "
            f"segmentation audiences --deliver --folder {this}"
        )


def _marks(data_dir: Path) -> dict[str, object]:
    about = (data_dir / FOLDER / ID).stat()
    return dict(zip(MARKS, (folder_id(data_dir), data_dir.stat().st_ino, about.st_ino, about.st_ctime_ns), strict=True))


def _noted(data_dir: Path) -> dict[str, object] | None:
    try:
        noted: dict[str, object] = json.loads((data_dir / FOLDER / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return noted


def _write(data_dir: Path) -> None:
    folder_id(data_dir)  # written before it is looked at
    with replacing(data_dir / FOLDER / FILE) as unfinished:
        unfinished.write_text(json.dumps({**_marks(data_dir), "path": str(data_dir.resolve())}), encoding="utf-8")
