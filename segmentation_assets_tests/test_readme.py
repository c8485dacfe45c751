"""The README is true: its commands print the output shown, and its tables are generated from the code."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from segmentation_assets.cli.main import main
from segmentation_assets_tests import readme

TEXT = readme.README.read_text(encoding="utf-8")
QUESTIONS = readme.questions(readme.SQL.read_text(encoding="utf-8"))


@pytest.mark.slow
@pytest.mark.parametrize(("command", "output"), readme.blocks(TEXT))
def test_commands_print_the_output_shown(command: str, output: str, demo: Path) -> None:
    assert readme.run(command, demo) == output


@pytest.mark.slow
@pytest.mark.parametrize(("query", "output"), QUESTIONS)
def test_questions_in_sql_have_the_answers_shown(query: str, output: str, demo: Path) -> None:
    assert readme.asked(query, demo) == output


def test_there_are_ten_questions_in_at_most_five_lines_each() -> None:
    assert len(QUESTIONS) == 10
    assert max(len(query.splitlines()) for query, _ in QUESTIONS) <= 5


@pytest.mark.parametrize("name", list(readme.generated()))
def test_generated_parts_are_up_to_date(name: str) -> None:
    assert readme.part(TEXT, name) == readme.generated()[name], "run: python -m segmentation_assets_tests.readme"


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_command_is_in_the_readme_and_has_help(command: str) -> None:
    assert f"`segmentation {command}" in TEXT
    shown = CliRunner().invoke(main, [command, "--help"])
    assert shown.exit_code == 0
    assert len(shown.output.splitlines()) > 3
    assert re.search(rf"^  Example: (DAGSTER_HOME=\$\()?segmentation {command}\b", shown.output, re.MULTILINE)
