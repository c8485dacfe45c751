"""The README's commands, their output, and its generated tables, and the questions of docs/sql.md: tests read them, and running this
file rewrites them.

SEGMENTATION_DATA_DIR=data python -m segmentation_assets_tests.readme     # rewrites README.md from published demo data
"""

import contextlib
import os
import re
import shlex
from pathlib import Path

from click.testing import CliRunner

from segmentation_assets.cli.main import main
from segmentation_assets.settings import reference
from segmentation_assets.tables import CONTRACTS

README = Path(__file__).parent.parent / "README.md"
BLOCK = re.compile(r"```console\n\$ (?P<command>[^\n]+)\n(?P<output>.*?)```", re.DOTALL)

SQL = README.parent / "docs" / "sql.md"
QUESTION = re.compile(r"```sql\n(?P<query>.*?)```\n\n```\n(?P<output>.*?)```", re.DOTALL)


def blocks(text: str) -> list[tuple[str, str]]:
    """Each command shown with its output."""
    return [(found["command"], found["output"]) for found in BLOCK.finditer(text)]


def questions(text: str) -> list[tuple[str, str]]:
    """Each query of docs/sql.md with its output."""
    return [(found["query"], found["output"]) for found in QUESTION.finditer(text)]


def asked(query: str, data_dir: Path) -> str:
    """What `segmentation sql` prints of a query."""
    return run(f"segmentation sql {shlex.quote(query)}", data_dir)


def run(command: str, data_dir: Path) -> str:
    """The command's output, stderr included, on the data in `data_dir`, without trailing whitespace."""
    program, *arguments = shlex.split(command)
    if program != "segmentation":
        raise AssertionError(f"{command}: only commands of our own are called")
    environment = {"SEGMENTATION_DATA_DIR": str(data_dir), "SEGMENTATION_SETTINGS": str(README.parent / "segmentation.yaml")}
    with contextlib.chdir(README.parent):
        done = CliRunner(env=environment).invoke(main, arguments)
    if done.exit_code:
        raise AssertionError(f"{command} failed with exit code {done.exit_code}:\n{done.output}")
    return "".join(f"{line.rstrip()}\n" for line in done.output.strip("\n").splitlines())


def generated() -> dict[str, str]:
    """The parts generated from the code, by the name of their markers."""
    tables = "\n".join(["| table | one row per |", "|---|---|", *(f"| `{c.name}` | {c.row} |" for c in CONTRACTS)])
    return {"settings": reference.markdown(), "tables": tables}


def part(text: str, name: str) -> str:
    """The text between the markers of a generated part."""
    return text.split(f"<!-- {name} -->\n")[1].split(f"\n<!-- /{name} -->")[0]


def rewritten(text: str, data_dir: Path) -> str:
    """The README with every output and generated part up to date."""
    text = BLOCK.sub(lambda found: f"```console\n$ {found['command']}\n{run(found['command'], data_dir)}```", text)
    for name, content in generated().items():
        text = (
            text.replace(part(text, name), content)
            if part(text, name)
            else text.replace(f"<!-- {name} -->\n", f"<!-- {name} -->\n{content}")
        )
    return text


def answered(text: str, data_dir: Path) -> str:
    """The page of questions with every output up to date."""
    return QUESTION.sub(lambda found: f"```sql\n{found['query']}```\n\n```\n{asked(found['query'], data_dir)}```", text)


if __name__ == "__main__":
    SQL.write_text(answered(SQL.read_text(encoding="utf-8"), Path(os.environ["SEGMENTATION_DATA_DIR"])), encoding="utf-8")
    README.write_text(rewritten(README.read_text(encoding="utf-8"), Path(os.environ["SEGMENTATION_DATA_DIR"])), encoding="utf-8")
