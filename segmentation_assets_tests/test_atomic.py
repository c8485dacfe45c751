"""What those left who were killed is removed, and what is being written stays."""

from pathlib import Path

from segmentation_assets import atomic


def test_only_unfinished_files_that_nobody_writes_to_are_swept(tmp_path: Path) -> None:
    target = tmp_path / "lake" / "part.parquet"
    target.parent.mkdir()
    left = atomic.beside(target)
    for file in (target, left):
        file.touch()
    written = left.stat().st_mtime
    atomic.sweep(tmp_path, written + atomic.LEFT_AFTER)
    assert left.exists()
    atomic.sweep(tmp_path, written + atomic.LEFT_AFTER + 1)
    assert list(target.parent.iterdir()) == [target]
