"""Commands that bring a company's own data in: init, check."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console

from segmentation_assets.cli.terminal import command, commands, new_console, progress_bar, say, settings_in_force, settings_option
from segmentation_assets.settings.loading import DEFAULT_SETTINGS_FILE

FILES_PER_LINE = 100


@command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option(
    "--output", type=click.Path(path_type=Path), default=DEFAULT_SETTINGS_FILE, show_default=True, help="File to write; never replaced."
)
@click.option("--keep-personal", is_flag=True, help="Keep attributes that look personal, such as names or e-mail addresses.")
def init(files: tuple[Path, ...], output: Path, keep_personal: bool) -> None:
    """Read your FILES (or folders of them) and write a first settings file, with every guess in a comment.

    Example: segmentation init orders.csv --output shop.yaml
    """
    from segmentation_assets.sources import file_profile, first_settings

    if output.exists():
        raise click.ClickException(
            f"{output} already exists and is not replaced. Work in another folder, or give another name: --output FILE"
        )
    with _reading_shown(new_console()):
        looks = file_profile.look_at(files)
    text = first_settings.write(looks, output.resolve().parent, keep_personal)
    output.write_text(text, encoding="utf-8")
    say(text)
    for line in first_settings.missing(looks):
        say(line, err=True)
    named = "" if output == DEFAULT_SETTINGS_FILE else f" --settings {output}"
    say(f"Written to {output}. Read it, correct any wrong guesses, then: segmentation check{named}")


@command()
@click.option("--json", "as_json", is_flag=True, help="For programs: one object, with the findings and the problems that would stop a run.")
@settings_option
def check(as_json: bool, settings_path: Path | None) -> None:
    """Check the settings and the sources before any run; exit code 1 if a problem would stop it.

    Example: segmentation check --settings shop.yaml
    """
    settings = settings_in_force(settings_path)
    from segmentation_assets.cli.check import inspect

    console = new_console()
    with _reading_shown(console):
        findings = inspect(settings)
    if as_json:
        say(json.dumps({"ready": not findings.problems, "findings": findings.lines, "problems": findings.problems}, indent=2))
        if findings.problems:
            raise click.exceptions.Exit(1)
        return
    for line in findings.lines:
        console.print(line)
    if findings.problems:
        raise click.ClickException("\n".join(findings.problems))
    console.print(commands("Ready: segmentation run --all"), soft_wrap=True)


@command()
@click.argument("ids", nargs=-1, required=True)
@settings_option
def pseudonym(ids: tuple[str, ...], settings_path: Path | None) -> None:
    """Print the pseudonym of each customer ID, a line each, to join with published tables. `-` reads IDs from the input, one a line.

    Example: segmentation pseudonym 1609 1700
    """
    from segmentation_assets.sources.pseudonyms import Pseudonyms, require

    settings = settings_in_force(settings_path)
    asked = settings.privacy.pseudonyms
    if asked is None:
        raise click.ClickException("privacy.pseudonyms is not set: published ids are those of the source.")
    made = Pseudonyms.of(asked, settings.cleaning)
    require(settings.data_dir, made)
    wanted = sys.stdin.read().splitlines() if ids == ("-",) else list(ids)
    for one in made.each(wanted):
        say(one or "")


@contextmanager
def _reading_shown(console: Console) -> Iterator[None]:
    """Show how many files were read: as a bar on a terminal, otherwise as an occasional line on stderr."""
    from segmentation_assets.sources import progress

    if not console.is_terminal:
        with progress.told_to(_reading_logged):
            yield
        return
    with progress_bar(console) as bar:
        task = bar.add_task("", total=None, step="")
        with progress.told_to(lambda what, done, total: bar.update(task, description=what, completed=done, total=total)):
            yield


def _reading_logged(what: str, done: int, total: int) -> None:
    if done and done % FILES_PER_LINE == 0:
        say(f"{what}: {done} of {total} files", err=True)
