"""Every YAML, Python and SQL block and every command in the docs and examples is valid: tests extract them from the text and try them."""

import importlib
import re
import shlex
import textwrap
from pathlib import Path
from typing import Any

import click
import duckdb
import pytest
import sqlglot
import yaml

from segmentation_assets.cli.main import main
from segmentation_assets.core.customers import feature_catalog
from segmentation_assets.settings.loading import Settings
from segmentation_assets.settings.source import FileLookup, Tables, TransactionFiles
from segmentation_assets.sources.tables import TablesSource
from segmentation_assets_tests.builders import D1
from segmentation_assets_tests.conftest import ROOT
from segmentation_assets_tests.test_small_runs import Run

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "benchmarks" / "README.md", ROOT / "data" / "README.md"]
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
PROGRAMS = {"segmentation", "make", "python", "pip", "export", "apprise"}
FENCE = re.compile(r"^ *```([^\n`]*)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
LANGUAGES = {"yaml", "sh", "console", "sql", "python", "csv", "text", "mermaid", "{toctree}", ""}  # those above are checked here


def fenced(*languages: str) -> re.Pattern[str]:
    return re.compile(rf"^ *```(?:{'|'.join(languages)})\n(.*?)^ *```", re.DOTALL | re.MULTILINE)


SHELL = fenced("sh", "console")
INDENTED = re.compile(rf"^ {{4}}((?:{'|'.join(PROGRAMS)}) .*)$", re.MULTILINE)
INLINE = re.compile(r"`((?:segmentation|make|python) [^`]*)`")
SETTING = re.compile(r"`([a-z_]+(?:\.[a-z_]+)*: [^`]+)`")
TABLE_FIELDS = {*TransactionFiles.model_fields, *FileLookup.model_fields} - {"files", "columns"}
SHIPPED = yaml.safe_load((ROOT / "segmentation.yaml").read_text(encoding="utf-8"))
TABLE = {"files": "x.csv", "columns": {"customer_id": "a", "ordered_at": "b", "amount": "c", "order_id": "d"}}


def pages(pattern: re.Pattern[str]) -> list[Any]:
    found = [(page, text) for page in PAGES for text in pattern.findall(page.read_text(encoding="utf-8"))]
    return [pytest.param(text, id=f"{page.stem}-{number}") for number, (page, text) in enumerate(found)]


def commands() -> list[Any]:
    found: dict[str, Path] = {}
    for page in [*PAGES, *EXAMPLES]:
        text = page.read_text(encoding="utf-8")
        if page.suffix == ".yaml":
            lines = [line.partition(": ")[2] for line in text.splitlines() if line.startswith("#")]
        else:
            shown = [line.strip().removeprefix("$ ") for block in SHELL.findall(text) for line in block.splitlines()]
            lines = [*shown, *INDENTED.findall(text), *INLINE.findall(text)]
        for line in lines:
            if line.split(" ")[0] in PROGRAMS:
                found.setdefault(line.strip(), page)
    return [pytest.param(line, id=f"{page.stem}: {line[:50]}") for line, page in found.items()]


def settings_of(shown: dict[str, Any]) -> dict[str, Any]:
    """Settings that contain a fragment: as sections, as tables of the source, or as part of a table."""
    if set(shown) <= set(Settings.model_fields):
        return shown
    tables = shown if set(shown) <= set(Tables.model_fields) else {"transactions": TABLE | shown}
    return {"source": {"kind": "tables", "transactions": TABLE, **tables}}


@pytest.mark.parametrize("text", pages(fenced("yaml")))
def test_yaml_blocks_are_valid_settings(text: str) -> None:
    Settings(**{**SHIPPED, **settings_of(yaml.safe_load(text))})


def fragments() -> list[Any]:
    """Settings of a table within sentences: `lookups: [...]`, `date_format: ...`."""
    return [shown for shown in pages(SETTING) if str(shown.values[0]).partition(":")[0] in TABLE_FIELDS]


@pytest.mark.parametrize("text", fragments())
def test_settings_of_a_table_within_sentences_are_valid(text: str) -> None:
    shown = yaml.safe_load(text)
    lookups = {"lookups": [{"files": "y.csv", **shown}]} if "key" in shown else shown
    table = Tables.model_validate({"kind": "tables", "transactions": TABLE | lookups}).transactions[0]
    assert all(getattr(table, name) is not None for name in lookups)


@pytest.mark.parametrize("line", commands())
def test_commands_are_valid(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program accepts the options and arguments; scripts and make targets exist."""
    for part in re.split(r" && ", line):
        program, *arguments = shlex.split(part, comments=True)
        if program == "segmentation":
            monkeypatch.chdir(tmp_path)
            if arguments[0] == "--debug":  # of the whole program
                arguments = arguments[1:]
            for name in arguments:
                if Path(name).suffix == ".csv":
                    Path(name).write_text("")
                if name.endswith("/"):
                    Path(name).mkdir()
            arguments = ["orders.csv" if argument in {"FILE", "FILE..."} else argument for argument in arguments]
            Path("orders.csv").write_text("")
            with main.make_context("segmentation", arguments[:1] if arguments[0].startswith("-") else [arguments[0]]) as context:
                name, command, _ = main.resolve_command(context, arguments)
                assert command is not None
                command.make_context(name, arguments[1:], parent=context).close()
            if name == "sql" and arguments[-1] != "QUERY":
                assert sqlglot.parse(arguments[-1], dialect="duckdb")
        elif program == "make":
            targets = [name for name in arguments if "=" not in name]
            assert all(re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE) for target in targets)
        elif program == "python":
            module = arguments[1] if arguments[0] == "-m" else None
            if arguments[0] == "-c":
                compile(arguments[1], "shown", "exec")
            elif module:
                assert importlib.util.find_spec(module) is not None
            else:
                assert (ROOT / arguments[0]).is_file()


def test_sql_blocks_can_be_parsed() -> None:
    assert all(statement for block in pages(fenced("sql")) for statement in sqlglot.parse(block.values[0], dialect="duckdb"))


@pytest.mark.parametrize("text", pages(fenced("python")))
def test_python_blocks_run(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the feature catalogue, to which the how-to adds, the key of the page on pseudonyms, and a database for that on SQL."""
    (tmp_path / "data").mkdir()
    with duckdb.connect(str(tmp_path / "data" / "segmentation.duckdb")) as database:
        database.execute("create table latest_segments as select 'Champions' as segment_name")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SHOP_KEY", "k" * 32)
    exec(textwrap.dedent(text), dict(vars(feature_catalog)))  # noqa: S102  # our own docs


def test_every_block_is_of_a_language_that_is_checked_or_says_that_it_is_none() -> None:
    found = {(page.name, language) for page in PAGES for language, _ in FENCE.findall(page.read_text(encoding="utf-8"))}
    assert not {(page, language) for page, language in found if language not in LANGUAGES}


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_examples_are_valid_settings_files(file: Path) -> None:
    assert isinstance(Settings(**yaml.safe_load(file.read_text(encoding="utf-8"))).source, Tables)


def test_an_unknown_option_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(click.UsageError):
        test_commands_are_valid("segmentation run --everything", tmp_path, monkeypatch)


@pytest.mark.full  # settings of files run in CI too: test_cli, with those that init writes
def test_the_marketplace_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the example's settings, on smaller files made by its script."""
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    importlib.import_module("make_marketplace").make(tmp_path / "data" / "marketplace", people=40)
    (tmp_path / "examples").mkdir()  # the settings' paths to the data are relative to it
    text = (ROOT / "examples" / "marketplace.yaml").read_text(encoding="utf-8")
    source = Tables.model_validate(yaml.safe_load(text)["source"]).resolved(tmp_path / "examples")
    run = Run(tmp_path / "out")
    assert run.make(D1, TablesSource(source, tmp_path / "intake")), run.failure()
    [(customers, spend)] = run.ask("select count(distinct customer_id), sum(amount) from transactions")
    lines = [line.split(",") for line in (tmp_path / "data" / "marketplace" / "items.csv").read_text().splitlines()[1:]]
    times = dict(line.split(",")[0:3:2] for line in (tmp_path / "data" / "marketplace" / "orders.csv").read_text().splitlines())
    assert float(spend) == pytest.approx(sum(float(price) + float(freight) for order, _, _, price, freight in lines if times[order] < D1))
    assert 1 < customers <= 40


def test_every_path_in_contributing_exists() -> None:
    package = ROOT / "segmentation_assets"
    named = set(re.findall(r"`((?:[a-z_]+/)+[a-z_]*(?:\.py)?|[a-z_]+\.py)`", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")))
    rooms = ("", "cli/", "core/model/", "core/segments/", "defs/", "defs/assets/")
    absent = {place for place in named if not any((base / room / place).exists() for base in (ROOT, package) for room in rooms)}
    assert len(named) > 20 and not absent
