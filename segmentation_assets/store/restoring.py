"""Rebuild what is missing, damaged or outdated of the published database: from the other of its two files, or from the lake.

Belongs here: links, places and copies too, because rebuilding and publishing end with the same steps.
"""

import datetime as dt
import filecmp
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
from filelock import FileLock

from segmentation_assets.atomic import copied, replacing
from segmentation_assets.engines import parquet
from segmentation_assets.store import provenance
from segmentation_assets.store.database_files import (
    AS_PUBLISHED,
    DAMAGED_PAGE,
    DATABASE,
    LOCK,
    MASTER,
    PLACE,
    PRIVATE,
    PublishError,
    first_damage,
    in_files,
    is_cut,
    is_database,
    keys_in,
    link_of,
    log_of,
    stamp_of,
    text_of,
)
from segmentation_assets.store.lake import Lake, opened
from segmentation_assets.store.master import show_files, take_in_snapshot, writing
from segmentation_assets.tables import CONTRACTS

DAMAGED_FILE = re.compile(
    r"""(?:Failed to read file|No magic bytes found at end of file|File) ["']([^"']*/(?:snapshot_date=|intake/)[^"']*\.parquet)["']"""
)  # DuckDB's messages


def restore(lake: Lake, data_dir: Path, every_page: bool = True) -> list[str]:
    """Rebuild missing, damaged or outdated parts of the private folder from the public file and the lake; return the keys in it.

    Args:
        every_page: read all of the master, to find a damaged page before its copy replaces the public file. Otherwise it is read only
            if the lake lacks a table of what was published, so that the public file may be the only good one: whoever comes upon a
            damaged page gets it rebuilt, and publishing should not take longer with every snapshot.

    Raises:
        PublishError: neither the master nor the public file can be read, and the lake lacks tables of what they held.
    """
    private, public = data_dir / PRIVATE, data_dir / DATABASE
    master = private / MASTER
    inside, outside = (None if is_cut(file, private) else keys_in(file) for file in (master, public))
    if (every_page or not _in_lake(lake, inside or [])) and first_damage(master):
        inside = None
    if inside is None and first_damage(public):
        outside = None
    if inside is None and outside is None:
        _from_lake(lake, data_dir)
        inside = keys_in(master)
    elif outside is not None and (inside is None or not set(outside) <= set(inside)):
        log_of(master).unlink(missing_ok=True)
        with replacing(master) as unfinished:
            copied(public, unfinished)
        inside = outside
    _link_again(lake, data_dir, inside or [])
    provenance.restore(lake, private, inside or [])
    return inside or []


def _in_lake(lake: Lake, keys: Sequence[str]) -> bool:
    """Whether the lake has every table of the snapshots."""
    return all(lake.file(contract.name, key).exists() for contract in CONTRACTS for key in keys)


def _from_lake(lake: Lake, data_dir: Path) -> None:
    """Rebuild the master from the lake's tables of the snapshots recorded as published. None of them counts as up to date then,
    because only the database recorded what they were made from.

    Raises:
        PublishError: a table is missing or damaged, or nothing is recorded although there was a database.
    """
    private = data_dir / PRIVATE
    master, recorded = private / MASTER, provenance.recorded(private)
    keys = [key for key, record in recorded.items() if record.published]
    lost = sorted({key for key in keys for contract in CONTRACTS if lake.row_count(contract.name, key) is None})
    there = [str(file) for file in (master, data_dir / DATABASE) if file.exists()]
    if lost or (there and not keys):
        missing = f"the lake lacks tables of {', '.join(lost)}" if lost else "it is not recorded which snapshots were published"
        files = [str(master), str(data_dir / DATABASE)]
        raise PublishError(
            f"Neither {' nor '.join(files)} can be read, and {missing}. Restore one of them from a backup, or remove both and "
            f"{private / provenance.FILE}, and make all snapshots again: segmentation run --all"
        )
    if keys:
        _link_again(lake, data_dir, keys)
        log_of(master).unlink(missing_ok=True)
        with replacing(master) as unfinished:
            for key in keys:
                take_in_snapshot(lake, data_dir, unfinished, key, "")


def _link_again(lake: Lake, data_dir: Path, keys: Sequence[str]) -> None:
    """Restore the links to published rows that are missing or truncated, from the lake."""
    for key in keys:
        for contract in in_files(data_dir):
            link = link_of(data_dir, contract.name, key)
            if parquet.row_count(link) is None and lake.row_count(contract.name, key) is not None:
                link_rows(lake.file(contract.name, key), link)


def damaged(data_dir: Path) -> list[str]:
    """Which databases have a damaged page, in words. Both are read in full."""
    files = (data_dir / DATABASE, data_dir / PRIVATE / MASTER)
    return [f"{file} has a damaged page ({problem})" for file in files if (problem := first_damage(file))]


def mend(data_dir: Path) -> list[str]:
    """Rebuild the databases that have a damaged page, from each other or the lake; return which had one, in words.

    Raises:
        PublishError: nothing is left to rebuild them from.
    """
    found = damaged(data_dir)
    if found:
        with FileLock(data_dir / PRIVATE / LOCK), opened(data_dir) as lake:
            restore(lake, data_dir)
            replace_public(data_dir / PRIVATE / MASTER, data_dir / DATABASE)
    return found


@contextmanager
def mending(data_dir: Path) -> Iterator[None]:
    """If what is read in this block turns out to be damaged, rebuild it.

    Raises:
        PublishError: it was damaged.
    """
    try:
        yield
    except duckdb.Error as error:
        if not DAMAGED_PAGE.search(str(error)) or not (found := mend(data_dir)):
            raise
        raise PublishError(f"{'; '.join(found)}. It has been rebuilt; run the same command again.") from error


def settle(data_dir: Path) -> None:
    """Recreate the views over files if the folder was moved, copied or restored.

    Until then, reading them fails, rather than showing the rows of the folder that this one was copied from. A lost public
    file or lost files of rows are restored.
    """
    private = data_dir / PRIVATE
    master, public = private / MASTER, data_dir / DATABASE
    if not unsettled(data_dir):
        return
    private.mkdir(exist_ok=True)
    with FileLock(private / LOCK):
        with opened(data_dir) as lake:
            restore(lake, data_dir)
        if _is_lost(public, private) and master.exists():
            replace_public(master, public)
        if not _is_moved(data_dir):
            return
        if public.exists() and not log_of(public).exists() and filecmp.cmp(master, public, shallow=False):
            (private / AS_PUBLISHED).write_text(stamp_of(public))  # copying changed its time, but not its contents
        with writing(master) as connection:
            show_files(connection, data_dir)
        replace_public(master, public)
        write_place(data_dir)


def unsettled(data_dir: Path) -> list[str]:
    """What `settle`, and so every command that reads the published tables, would rebuild, in words; empty if all is in place."""
    lost = [f"{file} is {'damaged' if file.exists() else 'missing'}" for file in _lost(data_dir)]
    return [*lost, f"the views over files are not those of {data_dir}"] if _is_moved(data_dir) else lost


def _is_moved(data_dir: Path) -> bool:
    return (data_dir / PRIVATE / MASTER).exists() and _place(data_dir) != _written_place(data_dir)


def _lost(data_dir: Path) -> list[Path]:
    """The master and the public file if they are missing or damaged, and missing files of rows of published snapshots."""
    private = data_dir / PRIVATE
    master, public = private / MASTER, data_dir / DATABASE
    keys = [key for key, record in provenance.recorded(private).items() if record.published]
    if not keys and not master.exists():
        return [master] if keys_in(public) else []  # a public file copied alone; if it is not ours, nothing is lost
    links = (link_of(data_dir, contract.name, key) for contract in in_files(data_dir) for key in keys)
    return [*(file for file in (master, public) if _is_lost(file, private)), *(link for link in links if not link.exists())]


def _is_lost(file: Path, private: Path) -> bool:
    return not is_database(file) or is_cut(file, private)


def with_remedy(problem: str) -> str:
    """The problem, and what to do if it is a damaged partition of the lake, one of them as published, or a damaged copy of a source file.

    >>> with_remedy('model: Failed to read file "lake/features/snapshot_date=2024-02-01/part-0.parquet": it is cut').splitlines()[1]
    'Remove lake/features/snapshot_date=2024-02-01/part-0.parquet, and make its contents again: segmentation run --all'
    """
    found = DAMAGED_FILE.search(problem)
    if not found:
        return problem
    file = found[1].replace(f"/{PRIVATE}/", "/lake/")  # of which the published one is a link
    return f"{problem}\nRemove {file}, and make its contents again: segmentation run --all"


def _place(data_dir: Path) -> str:
    return str(data_dir.resolve())


def _written_place(data_dir: Path) -> str:
    return text_of(data_dir / PRIVATE / PLACE)


def write_place(data_dir: Path) -> None:
    """Note where the data folder is, for when it is moved or copied."""
    with replacing(data_dir / PRIVATE / PLACE) as unfinished:
        unfinished.write_text(_place(data_dir), encoding="utf-8")


def link_rows(file: Path, link: Path) -> None:
    """Make `link` hold the bytes that `file` has now, even if `file` is replaced later."""
    with replacing(link) as unfinished:
        try:
            os.link(file, unfinished)
        except OSError:  # a file system without hard links
            copied(file, unfinished)


def replace_public(master: Path, database: Path) -> Path | None:
    """Rename a copy of `master` over `database`; if someone wrote into the old one, set it aside and return its path."""
    log, mark, kept = log_of(database), master.with_name(AS_PUBLISHED), None
    if log.exists() or (is_database(database) and (stamp_of(database) != text_of(mark) or _is_held(database))):
        # Someone wrote into the public file, or still may: after the rename their log would match no database and block every reader.
        kept = database.with_name(f"segmentation.kept-{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%S%f}.duckdb")
        os.link(database, kept)
        if log.exists():
            log.replace(log_of(kept))
    with replacing(database) as unfinished:
        copied(master, unfinished)
        mark.write_text(stamp_of(unfinished))
    return kept


def _is_held(database: Path) -> bool:
    """Whether another process has it open for writing, so that it cannot be opened."""
    try:
        duckdb.connect(str(database), read_only=True).close()
    except duckdb.Error:
        return True
    return False
