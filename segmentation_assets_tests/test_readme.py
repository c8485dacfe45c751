"""README and docs are true: their commands print the output shown, and the table of settings is generated from the code."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from segmentation_assets.cli.main import main
from segmentation_assets.settings import reference
from segmentation_assets_tests import readme

SHOWN = [
    pytest.param(command, output, id=f"{page.stem}: {command[:60]}")
    for page in readme.PAGES
    for command, output in readme.blocks(page.read_text(encoding="utf-8"))
]


@pytest.mark.slow
@pytest.mark.parametrize(("command", "output"), SHOWN)
def test_commands_print_the_output_shown(command: str, output: str, demo: Path) -> None:
    assert readme.run(command, demo) == output, "if this is right, run: python -m segmentation_assets_tests.readme"


def test_the_table_of_settings_is_up_to_date() -> None:
    (shown,) = readme.MARKED.findall(readme.SETTINGS.read_text(encoding="utf-8"))
    assert shown == reference.markdown(), "run: python -m segmentation_assets_tests.readme"


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_command_is_in_the_docs_and_has_help(command: str) -> None:
    assert f"| `segmentation {command}" in (readme.ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    shown = CliRunner().invoke(main, [command, "--help"])
    assert shown.exit_code == 0
    assert len(shown.output.splitlines()) > 3


def test_the_readme_is_short() -> None:
    assert len(readme.README.read_bytes()) < 32_000, "move details to docs/"
