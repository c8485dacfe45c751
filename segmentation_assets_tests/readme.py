"""What README and docs show of the demo, commands and queries with their output, and the table of settings: tests read it.

SEGMENTATION_DATA_DIR=data python -m segmentation_assets_tests.readme     # rewrites the pages from published demo data
"""

import contextlib
import os
import re
import shlex
from pathlib import Path

from click.testing import CliRunner

from segmentation_assets.cli.main import main
from segmentation_assets.settings import reference

ROOT = Path(__file__).parent.parent
README, SETTINGS = ROOT / "README.md", ROOT / "docs" / "settings.md"
TUTORIALS = sorted((ROOT / "docs").glob("tutorial-*.md"))  # on data of their own: test_tutorials.py
PAGES = [README, *(page for page in sorted((ROOT / "docs").glob("*.md")) if page not in TUTORIALS)]
SQL = ROOT / "docs" / "sql.md"
QUESTION = re.compile(r"```sql\n(?P<query>.*?)```\n\n```\n(?P<output>.*?)```", re.DOTALL)
BLOCK = re.compile(r"```console\n\$ (?P<command>[^\n]+)\n(?P<output>.*?)```", re.DOTALL)
MARKED = re.compile(r"(?<=<!-- settings -->\n).*(?=\n<!-- /settings -->)", re.DOTALL)


def blocks(text: str) -> list[tuple[str, str]]:
    """Each command shown with its output; those shown without are only checked to be valid (test_docs.py)."""
    return [(found["command"], found["output"]) for found in BLOCK.finditer(text) if found["output"]]


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
    environment = {"SEGMENTATION_DATA_DIR": str(data_dir), "SEGMENTATION_SETTINGS": str(ROOT / "segmentation.yaml")}
    with contextlib.chdir(ROOT):
        done = CliRunner(env=environment).invoke(main, arguments)
    if done.exit_code:
        raise AssertionError(f"{command} failed with exit code {done.exit_code}:\n{done.output}")
    return trimmed(done.output)


def trimmed(output: str) -> str:
    """Output as a page shows it: without trailing whitespace and empty lines at either end."""
    return "".join(f"{line.rstrip()}\n" for line in output.strip("\n").splitlines())


def rewritten(text: str, data_dir: Path) -> str:
    """A page with every output and the table of settings up to date."""

    def shown(found: re.Match[str]) -> str:
        return f"```console\n$ {found['command']}\n{run(found['command'], data_dir)}```" if found["output"] else found[0]

    text = QUESTION.sub(lambda found: f"```sql\n{found['query']}```\n\n```\n{asked(found['query'], data_dir)}```", text)
    return MARKED.sub(lambda _: reference.markdown(), BLOCK.sub(shown, text))


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(rewritten(page.read_text(encoding="utf-8"), Path(os.environ["SEGMENTATION_DATA_DIR"])), encoding="utf-8")
