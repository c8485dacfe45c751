"""The layouts of the data folder: known ones are marked, others are refused by name, and upgrading can be repeated."""

import json
from pathlib import Path

import pytest

from segmentation_assets.store import layout
from segmentation_assets_tests.conftest import called


@pytest.fixture
def unmarked(tmp_path: Path) -> Path:
    """A data folder as version 0.1.0 left it, with a lake and models."""
    for part in ("lake", "models"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "something.parquet").touch()
    return tmp_path


def test_an_older_layout_is_converted_and_an_unmarked_current_one_is_marked(unmarked: Path) -> None:
    first, second = layout.upgrade(unmarked)
    assert first == f"{unmarked / 'lake'}: layout 1, as version 0.1.0 wrote it; now 2: all models are in the archive"
    assert second == f"{unmarked / 'models'}: layout 1, as version 0.1.0 wrote it; marked as such"
    assert [(part.name, part.layout, part.marked) for part in layout.parts(unmarked)] == [("lake", 2, True), ("models", 1, True)]


def test_an_upgrade_can_be_repeated_after_a_kill(unmarked: Path) -> None:
    next(layout.upgrade(unmarked))  # killed after the first step
    assert list(layout.upgrade(unmarked)) == [
        f"{unmarked / 'lake'}: layout 2, as this version writes it",
        f"{unmarked / 'models'}: layout 1, as version 0.1.0 wrote it; marked as such",
    ]


def test_every_older_layout_has_a_step() -> None:
    assert set(layout.STEPS) == {(name, number) for name, newest in layout.LAYOUTS.items() for number in range(layout.UNMARKED, newest)}


def test_a_newer_layout_is_refused_by_name_without_changes(unmarked: Path) -> None:
    mark = unmarked / "models" / layout.FILE
    mark.write_text(json.dumps({"layout": 7, "written_by": "3.2.1"}))
    for act in (layout.require_current, layout.prepare, lambda folder: list(layout.upgrade(folder))):
        with pytest.raises(layout.LayoutError, match=r"models has layout 7, written by version 3\.2\.1; .* up to 1\. Install"):
            act(unmarked)
    assert not (unmarked / "lake" / layout.FILE).exists()


def test_an_older_layout_asks_for_an_upgrade(unmarked: Path) -> None:
    with pytest.raises(layout.LayoutError, match=r"lake has layout 1, and this version writes 2\. Convert it: segmentation upgrade"):
        layout.require_current(unmarked)


@pytest.mark.parametrize("text", ["", "[]", '{"layout": "x"}', "{}"])
def test_an_unreadable_mark_is_named(unmarked: Path, text: str) -> None:
    (unmarked / "lake" / layout.FILE).write_text(text)
    with pytest.raises(layout.LayoutError, match=r"layout\.json: cannot be read"):
        layout.parts(unmarked)


def test_every_command_refuses_an_unknown_layout(unmarked: Path) -> None:
    (unmarked / "lake" / layout.FILE).write_text(json.dumps({"layout": 7}))
    for command in (["show"], ["sql", "select 1"], ["models"], ["upgrade"]):
        done = called(*command, data_dir=unmarked)
        assert (done.exit_code, "lake has layout 7" in done.output) == (1, True), command
