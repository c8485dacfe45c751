"""Which files the settings name, what their folder names say, and which format each file has.

Belongs here: names, endings and first bytes. Belongs elsewhere: reading (`files`), and what is packed in archives (`unpacked`).
"""

import re
import urllib.parse
from pathlib import Path

from segmentation_assets.settings.source import Files
from segmentation_assets.sources.base import SourceError
from segmentation_assets.visible import visible

ENDINGS = {
    **dict.fromkeys((".csv", ".tsv", ".tab", ".txt", ".dat", ".psv"), "csv"),
    **dict.fromkeys((".parquet", ".pq"), "parquet"),
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), "jsonl"),
    **dict.fromkeys((".xlsx", ".xls", ".xlsm", ".xlsb", ".ods"), "excel"),
}
COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
ARCHIVES = (".zip",)
PARTITION = re.compile(r"([A-Za-z_][^=/]*)=(.*)")
PATTERN = re.compile(r"[*?\[]")  # signs of a glob
NO_VALUE = "__HIVE_DEFAULT_PARTITION__"  # what Hive and Spark call the folder of rows without a value


def ending_of(file: Path) -> str:
    """The extension that names the format: `.csv` for `orders.csv.gz` and `orders.csv.zip`."""
    packed = file.suffix.lower() in (*COMPRESSED, *ARCHIVES) and Path(file.stem).suffix.lower() in ENDINGS
    return Path(file.stem).suffix.lower() if packed else file.suffix.lower()


def format_of(file: Path, settings: Files) -> str:
    """The file's format, from the settings or its extension.

    Raises:
        SourceError: the extension is unknown.
    """
    if settings.format != "auto":
        return settings.format
    ending = ending_of(file)
    if ending not in ENDINGS:
        raise SourceError(f"{file}: its extension {ending or '(none)'} is unknown. Set format to csv, parquet, jsonl or excel.")
    return ENDINGS[ending]


def has_known_ending(file: Path) -> bool:
    """Whether the file's name has the extension of a data file or archive."""
    return ending_of(file) in ENDINGS or file.suffix.lower() in ARCHIVES


def matching_files(settings: Files) -> list[tuple[Path, str]]:
    """The files that the settings name, sorted by name, each with the `source_file` of its rows.

    A folder's files are those in it, and in subfolders named like `year=2024`, at any depth.

    Raises:
        SourceError: there are none, or one is a link that leads out of the folder or the pattern's fixed part.
    """
    found: dict[Path, str] = {}
    for pattern in settings.patterns:
        path = Path(pattern)
        if path.is_file():  # also one with a sign of patterns in its name
            matches = [(path, path.parent)]
        elif path.is_dir():
            matches = [(file, path) for file in _in_folder(path) if settings.format != "auto" or has_known_ending(file)]
        else:
            root = _fixed_part(path)
            matches = [(file, root) for file in root.glob(str(path.relative_to(root))) if _is_file(file)] if root != path else []
        matches = [(file, root) for file, root in matches if not file.name.startswith((".", "~$"))]
        if not matches:
            raise SourceError(_nothing_in(pattern))
        for file, root in matches:
            require_readable_name(file)
            if not path.is_file():  # who delivers files into a folder may not have others read
                _require_within(file, root)
            found[file] = file.relative_to(root).as_posix()
    names = list(found.values())
    return sorted(((file, name if names.count(name) == 1 else str(file)) for file, name in found.items()), key=lambda pair: pair[1])


def _is_file(path: Path) -> bool:
    """Whether it is a file, or a link that leads nowhere, which is not passed over in silence."""
    return path.is_file() or (path.is_symlink() and not path.exists())


def require_readable_name(file: Path) -> None:
    """Refuse a file whose name is no text: it could not be written down, such as in the record of its rows.

    Raises:
        SourceError: its name has bytes that are not UTF-8.
    """
    try:
        str(file).encode()
    except UnicodeEncodeError:
        raise SourceError(f"{visible(str(file))}: its name has bytes that are not UTF-8. Rename it.") from None


def _require_within(file: Path, root: Path) -> None:
    if not file.exists():
        raise SourceError(f"{file}: is a link to {file.readlink()}, which does not exist. Restore that file, or remove the link.")
    if not file.resolve().is_relative_to(root.resolve()):
        raise SourceError(f"{file}: is a link to a file outside of {root}. Name that file itself in `files`, or remove the link.")


def folders_passed_over(settings: Files) -> list[Path]:
    """Subfolders with data files, in folders that the settings name, that are not read."""
    folders = [Path(pattern) for pattern in settings.patterns if Path(pattern).is_dir()]
    return sorted(path for folder in folders for path in folder.iterdir() if _is_plain_folder(path) and _holds_data(path))


def partitions_of(file: Path) -> dict[str, str | None]:
    """Name -> value of the partition folders directly above a file, such as year=2024/month=1."""
    found: dict[str, str | None] = {}
    for folder in file.parents:
        named = PARTITION.fullmatch(folder.name)
        if named is None:
            break
        value = urllib.parse.unquote(named[2])
        found = {urllib.parse.unquote(named[1]): None if value == NO_VALUE else value, **found}
    return found


def _in_folder(folder: Path) -> list[Path]:
    found = []
    for path in folder.iterdir():
        if _is_file(path):
            found.append(path)
        elif path.is_dir() and PARTITION.fullmatch(path.name):
            found += _in_folder(path)
    return found


def _is_plain_folder(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith((".", "_")) and not PARTITION.fullmatch(path.name)


def _holds_data(folder: Path) -> bool:
    return any(has_known_ending(file) for file in folder.rglob("*") if file.is_file())


def _nothing_in(pattern: str) -> str:
    folder = Path(pattern)
    if folder.is_dir():
        inner = sorted(path.name for path in folder.iterdir() if _is_plain_folder(path) and _holds_data(path))
        if inner:
            return (
                f"{pattern}: has no data files; those in its subfolders {', '.join(inner[:5])} are not read by default. "
                f"Write `files: {pattern.rstrip('/')}/**/*.csv`, or name the subfolders."
            )
    return f"{pattern}: no such file, or no data files in it. Correct `files` in the settings; paths are relative to the settings file."


def _fixed_part(path: Path) -> Path:
    """The folders in front of the first part that is a pattern; a folder that exists is none, whatever its name."""
    root = Path(path.anchor)
    for part in path.relative_to(root).parts:
        if PATTERN.search(part) and not (root / part).is_dir():
            break
        root /= part
    return root
