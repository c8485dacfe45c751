"""README and docs are true: their commands print the output shown, and the table of settings is generated from the code."""

import re
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
QUESTIONS = readme.questions(readme.SQL.read_text(encoding="utf-8"))


@pytest.mark.slow
@pytest.mark.parametrize(("command", "output"), SHOWN)
def test_commands_print_the_output_shown(command: str, output: str, demo: Path) -> None:
    assert readme.run(command, demo) == output, "if this is right, run: python -m segmentation_assets_tests.readme"


@pytest.mark.slow
@pytest.mark.parametrize(("query", "output"), QUESTIONS)
def test_questions_in_sql_have_the_answers_shown(query: str, output: str, demo: Path) -> None:
    assert readme.asked(query, demo) == output


def test_there_are_ten_questions_in_at_most_five_lines_each() -> None:
    assert len(QUESTIONS) == 10
    assert max(len(query.splitlines()) for query, _ in QUESTIONS) <= 5


def test_the_table_of_settings_is_up_to_date() -> None:
    (shown,) = readme.MARKED.findall(readme.SETTINGS.read_text(encoding="utf-8"))
    assert shown == reference.markdown(), "run: python -m segmentation_assets_tests.readme"


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_command_is_in_the_docs_and_has_help(command: str) -> None:
    assert f"| `segmentation {command}" in (readme.ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    shown = CliRunner().invoke(main, [command, "--help"])
    assert shown.exit_code == 0
    assert len(shown.output.splitlines()) > 3
    assert re.search(rf"^  Example: (DAGSTER_HOME=\$\()?segmentation {command}\b", shown.output, re.MULTILINE)


def test_the_readme_is_short() -> None:
    assert len(readme.README.read_bytes()) < 32_000, "move details to docs/"
