"""The tutorials work as they are written, on the data that their first command makes."""

import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from segmentation_assets.cli.main import main
from segmentation_assets_tests import readme
from segmentation_assets_tests.conftest import ROOT, environment

FENCED = re.compile(r"^```(yaml|console)\n(.*?)^```", re.DOTALL | re.MULTILINE)
QUOTED = re.compile(r"`([^`\n]* rows[^`\n]*)`")  # of what check says
OTHERS = {"SEGMENTATION_SETTINGS", "SEGMENTATION_DATA_DIR"}
PAGES = pytest.mark.parametrize("page", readme.TUTORIALS, ids=lambda page: page.stem)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the reader is after the first command."""
    runpy.run_path(str(ROOT / "examples" / "make_tutorials.py"))["make"](tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEGMENTATION_SETTINGS")
    return tmp_path


def blocks(page: Path) -> list[tuple[str, str]]:
    return FENCED.findall(page.read_text(encoding="utf-8"))


def prepared(page: Path) -> None:
    """Settings as the reader has them before the second command: written by `init`, or copied from the page."""
    (kind, first), (_, second), *_ = blocks(page)
    if kind == "yaml":
        Path("segmentation.yaml").write_text(first, encoding="utf-8")
        return
    done = CliRunner().invoke(main, shlex.split(first)[2:])
    assert done.exit_code == 0, done.output
    written = Path("segmentation.yaml").read_text(encoding="utf-8").splitlines()
    assert not [line for line in second.splitlines() if line not in written], "the page shows what init does not write"


@PAGES
def test_the_settings_are_those_shown_and_can_be_used(page: Path, folder: Path) -> None:
    prepared(page)
    done = CliRunner().invoke(main, ["check"])
    assert done.exit_code == 0, done.output
    said = re.sub(r"\s+", " ", done.output)
    assert not [quoted for quoted in QUOTED.findall(page.read_text(encoding="utf-8")) if quoted not in said]


@pytest.mark.full  # in CI: settings and check, above; runs on such settings, test_small_runs and test_customers_without_orders
@PAGES
def test_the_commands_print_the_output_shown(page: Path, folder: Path) -> None:
    prepared(page)
    where = {
        name: value
        for name, value in environment(folder / "data").items()
        if name not in {"SEGMENTATION_SETTINGS", "SEGMENTATION_DATA_DIR"}
    }
    for text in [text for kind, text in blocks(page) if kind == "console" and " init " not in text]:
        command, _, output = text.removeprefix("$ ").partition("\n")
        done = subprocess.run(
            [Path(sys.executable).parent / "segmentation", *shlex.split(command)[1:]],
            env=where, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert not output or readme.trimmed(done.stdout) == output
