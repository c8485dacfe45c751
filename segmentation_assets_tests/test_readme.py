"""The README says what is true: its commands print what it shows, and its tables are those of the code."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from segmentation_assets.cli.main import main
from segmentation_assets_tests import readme

TEXT = readme.README.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize(("command", "output"), readme.blocks(TEXT))
def test_a_command_prints_what_the_readme_shows(command: str, output: str, demo: Path) -> None:
    assert readme.run(command, demo) == output


@pytest.mark.parametrize("name", list(readme.generated()))
def test_a_generated_part_is_up_to_date(name: str) -> None:
    assert readme.part(TEXT, name) == readme.generated()[name], "run: python -m segmentation_assets_tests.readme"


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_command_is_in_the_readme_and_explains_itself(command: str) -> None:
    assert f"`segmentation {command}" in TEXT
    shown = CliRunner().invoke(main, [command, "--help"])
    assert shown.exit_code == 0
    assert len(shown.output.splitlines()) > 3
