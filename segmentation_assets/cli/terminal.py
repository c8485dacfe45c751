"""What the commands share: the settings in force, how they print, and errors as one plain message."""

import datetime as dt
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from segmentation_assets.settings.loading import (
    DEFAULT_SETTINGS_FILE,
    SETTINGS_VARIABLE,
    Settings,
    SettingsError,
    load_settings,
    settings_file,
)

WIDTH_WITHOUT_TERMINAL = 132
NEXT_COMMAND = re.compile(r"\bsegmentation (run|show|models|retrain|rollback|sql|export|check|doctor|ui|upgrade)\b(?! --settings)")
STOPPED = 130  # exit code of what a person interrupted
NOT_WRITTEN = re.compile(
    r"(?P<full>No space left|disk is full|Disk quota exceeded)|disk I/O error|Read-only file system|Permission denied|readonly database",
    re.IGNORECASE,
)  # as Linux, SQLite and DuckDB put it
WHOLE_PATH = re.compile(r"""['"](/[^'"]+)['"]""")
LITTLE_ROOM = 10_000_000  # bytes, with which SQLite fails in words of its own


class Stopped(click.ClickException):
    """A person stopped the command; the message says what was not done, and how to go on."""

    exit_code = STOPPED

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(self.message, file=file, err=True)


class PlainCommand(click.Command):
    """A command whose errors are one message and exit code 1, with a traceback only under --debug."""

    def invoke(self, ctx: click.Context) -> Any:
        with _plain_errors():
            return super().invoke(ctx)


command = partial(click.command, cls=PlainCommand)
settings_option = click.option(
    "--settings", "settings_path", type=click.Path(path_type=Path), metavar="FILE", help="Settings file; default: segmentation.yaml."
)


def settings_in_force(path: Path | None) -> Settings:
    """The settings in force, whose data folder has a layout that this version knows."""
    from segmentation_assets.store import layout

    settings = loaded(path)
    layout.require_current(settings.data_dir)
    return settings


def loaded(path: Path | None) -> Settings:
    """The settings in force; definitions that are loaded after this use the same file."""
    if path is not None:
        os.environ[SETTINGS_VARIABLE] = str(path.resolve())
    elif not os.environ.get(SETTINGS_VARIABLE) and settings_file() != DEFAULT_SETTINGS_FILE:  # the project's, so that Dagster finds some
        click.echo(f"No {DEFAULT_SETTINGS_FILE} here: using {settings_file()}. Say which with --settings FILE.", err=True)
    return load_settings()


def commands(text: str) -> str:
    """Commands to type next, with the settings file that this one was given."""
    context = click.get_current_context(silent=True)
    path = context.params.get("settings_path") if context else None
    if path is None:
        return text
    return NEXT_COMMAND.sub(lambda found: f"segmentation {found[1]} --settings {shlex.quote(str(path))}", text)


def progress_bar(console: Console) -> Progress:
    """A bar with the task's description, how much is done, the time and the field `step`; it goes away at the end."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.fields[step]}"))
    return Progress(*columns, console=console, transient=True)


def known(key: str, keys: list[str]) -> str:
    """The key, if it is one of `keys`; ClickException naming the nearest where it is not."""
    if key in keys:
        return key
    try:
        day = dt.date.fromisoformat(key)
    except ValueError:
        raise click.ClickException(f"{key} is not a date; write it as {keys[-1]}. Snapshots go from {keys[0]} to {keys[-1]}.") from None
    nearest = min(keys, key=lambda k: abs(dt.date.fromisoformat(k) - day))
    raise click.ClickException(f"There is no snapshot {key}. They go from {keys[0]} to {keys[-1]}; the nearest is {nearest}.")


def span(keys: list[str]) -> str:
    """The first and the last key."""
    return keys[0] if len(keys) == 1 else f"{keys[0]} to {keys[-1]}"


def new_console() -> Console:
    """As wide as the terminal; of a fixed width where output goes elsewhere. It prints text as it is, whatever brackets are in it."""
    return Console(width=None if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL, markup=False, emoji=False, highlight=False)


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Any error as one message and exit code 1; its traceback only with --debug."""
    try:
        yield
    except click.UsageError:
        raise
    except Stopped:
        raise
    except KeyboardInterrupt:
        raise Stopped("Stopped by you.") from None
    except click.ClickException as error:
        raise click.ClickException(commands(error.message)) from error
    except (click.exceptions.Exit, click.Abort):
        raise
    except BrokenPipeError:  # the reader of our output, such as `head`, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        if click.get_current_context().find_root().obj:
            raise
        expected = isinstance(error, SettingsError | OSError) or type(error).__module__.startswith("segmentation_assets.")
        message = str(error) if expected else f"Unexpected: {type(error).__name__}: {error}\nFor the traceback: segmentation --debug ..."
        raise click.ClickException(commands(_about_the_folder(str(error)) or message)) from error


def _about_the_folder(problem: str) -> str:
    """What to do where the data folder is full or cannot be written; empty where the problem is another."""
    if not (found := NOT_WRITTEN.search(problem)):
        return ""
    try:
        folder = load_settings().data_dir
    except (SettingsError, OSError):  # which may be the problem
        return ""
    named = [Path(path).resolve() for path in WHOLE_PATH.findall(problem)]
    if named and not any(path.is_relative_to(folder.resolve()) for path in named):  # such as a source that may not be read
        return ""
    from segmentation_assets.store.published import DATABASE

    there = next(place for place in (folder.resolve(), *folder.resolve().parents) if place.exists())
    room = shutil.disk_usage(there).free
    remedy = "make room there" if found["full"] or room < LITTLE_ROOM else "let yourself write there, or set another data_dir"
    before = "What was published before is as it was" if (folder / DATABASE).exists() else "Nothing was published yet"
    said = next(line for line in problem.splitlines() if NOT_WRITTEN.search(line))  # of a database there may be the whole statement
    return f"{folder} could not be written: {room / 1e6:,.1f} MB are free; {remedy}. {before}. The same command goes on then.\n{said}"
