"""Text is printed literally."""

import pytest
from rich.table import Table

from segmentation_assets.cli.terminal import new_console

NAMES = ["[/x] [bold]", "age [years] :smile:"]


def test_brackets_in_names_are_not_markup(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table(title=NAMES[0])
    table.add_column(NAMES[1])
    table.add_row(NAMES[0])
    new_console().print(*NAMES)
    new_console().print(table)
    said = capsys.readouterr().out
    assert [said.count(name) for name in NAMES] == [3, 2]
