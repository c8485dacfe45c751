"""Unfinished files of killed processes are removed; those still being written stay."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from segmentation_assets import atomic


def of_a_process_that_is_gone(patch: pytest.MonkeyPatch, target: Path) -> Path:
    """The name of an unfinished file of a process that has since ended."""
    program = shutil.which("true")
    assert program
    ended = subprocess.Popen([program])
    ended.wait()
    with patch.context() as patched:
        patched.setattr(os, "getpid", lambda: ended.pid)
        return atomic.beside(target)


@pytest.mark.parametrize("mine", [True, False], ids=["a process still running", "a process on another machine"])
def test_an_unfinished_file_that_may_be_in_use_is_swept_after_minutes_without_a_write(
    tmp_path: Path, mine: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "lake" / "part.parquet"
    target.parent.mkdir()
    left = atomic.beside(target)
    if not mine:
        left = of_a_process_that_is_gone(monkeypatch, target)
        left = left.with_name(left.name.replace(atomic.UNFINISHED, f"0{atomic.UNFINISHED}"))
    for file in (target, left):
        file.touch()
    written = left.stat().st_mtime
    atomic.sweep(tmp_path, written + atomic.LEFT_AFTER)
    assert left.exists()
    atomic.sweep(tmp_path, written + atomic.LEFT_AFTER + 1)
    assert list(target.parent.iterdir()) == [target]


def folder_with_a_file(left: Path) -> None:
    left.mkdir()
    (left / "rows.parquet").touch()


def with_a_log(left: Path) -> None:
    left.touch()
    left.with_name(f"{left.name}.wal").touch()


@pytest.mark.parametrize("leave", [Path.touch, folder_with_a_file, with_a_log])
def test_leftovers_of_an_ended_process_are_swept_at_once(
    tmp_path: Path, leave: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(of_a_process_that_is_gone(monkeypatch, tmp_path / "part.parquet"))
    assert list(tmp_path.iterdir())
    atomic.sweep(tmp_path, time.time())
    assert list(tmp_path.iterdir()) == []


def test_a_scratch_folder_lasts_until_the_end_of_its_block(tmp_path: Path) -> None:
    with atomic.scratch(tmp_path) as folder:
        (folder / "rows.parquet").touch()
        atomic.sweep(tmp_path, time.time())
        assert list(tmp_path.iterdir()) == [folder]
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_nothing_beside_the_target(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="full"), atomic.replacing(tmp_path / "copy.duckdb") as unfinished:
        with_a_log(unfinished)
        raise OSError("full")
    assert list(tmp_path.iterdir()) == []


def test_a_copy_has_the_bytes_of_its_source_and_none_of_an_older_longer_one(tmp_path: Path) -> None:
    source, target = tmp_path / "master.duckdb", tmp_path / "public.duckdb"
    source.write_bytes(b"new")
    target.write_bytes(b"older and longer")
    atomic.copied(source, target)
    source.write_bytes(b"newer")
    assert target.read_bytes() == b"new"
