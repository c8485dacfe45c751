"""Shared by the commands: the settings in force, printing, and errors as one plain message."""

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
from rich.progress import BarColumn, MofNCompleteColumn, Progress, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from segmentation_assets.settings.loading import (
    DEFAULT_SETTINGS_FILE,
    SETTINGS_VARIABLE,
    Settings,
    SettingsError,
    load_settings,
    settings_file,
)
from segmentation_assets.visible import visible

WIDTH_WITHOUT_TERMINAL = 132
NEXT_COMMAND = re.compile(
    r"\bsegmentation (run|show|why|audiences|report|pseudonym|models|retrain|rollback|sql|export|check|doctor|ui|refresh|upgrade)\b"
    r"(?! --settings)"
)
STILL_TO_COME = "The first snapshot is in the future; set snapshots.first to an earlier date."
STOPPED = 130  # exit code of an interrupted command
NOT_WRITTEN = re.compile(
    r"(?P<full>No space left|disk is full|Disk quota exceeded)|disk I/O error|Read-only file system|Permission denied|readonly database",
    re.IGNORECASE,
)  # messages of Linux, SQLite and DuckDB
WHOLE_PATH = re.compile(r"""['"](/[^'"]+)['"]""")
LITTLE_ROOM = 10_000_000  # bytes free, below which SQLite fails with other messages


def say(text: object, err: bool = False, nl: bool = True) -> None:
    """Print a text, without wrapping it; its control characters as escapes, because a terminal would obey them."""
    click.echo(visible(str(text)), err=err, nl=nl)


class VisibleConsole(Console):
    """A console that prints names literally, also in the cells of tables."""

    def on_broken_pipe(self) -> None:
        """Leave it to the command that the reader of its output, such as `head`, has closed it."""
        raise BrokenPipeError

    def render_str(self, text: str, **options: Any) -> Text:
        """The text, ready to be laid out."""
        return super().render_str(visible(text), **options)


class VisibleColumn(TextColumn):
    """A column of a progress bar that prints names literally."""

    def render(self, task: Task) -> Text:
        """The text of a task."""
        return Text(visible(self.text_format.format(task=task)))


class Stopped(click.ClickException):
    """The user stopped the command; the message says what was not done, and how to continue."""

    exit_code = STOPPED

    def show(self, file: IO[Any] | None = None) -> None:
        say(self.message, err=True)


class PlainCommand(click.Command):
    """A command whose errors are one message and exit code 1, with a traceback only under --debug."""

    def make_context(self, *arguments: Any, **further: Any) -> click.Context:
        with _plain_errors():
            return super().make_context(*arguments, **further)

    def invoke(self, ctx: click.Context) -> Any:
        with _plain_errors():
            return super().invoke(ctx)


command = partial(click.command, cls=PlainCommand)
settings_option = click.option(
    "--settings", "settings_path", type=click.Path(path_type=Path), metavar="FILE", help="Settings file; default: segmentation.yaml."
)


def settings_in_force(path: Path | None) -> Settings:
    """The settings in force, once the data folder is known to have this version's layout."""
    from segmentation_assets.store import layout

    settings = loaded(path)
    layout.require_current(settings.data_dir)
    return settings


def loaded(path: Path | None) -> Settings:
    """The settings in force; definitions loaded later use the same file."""
    if path is not None:
        os.environ[SETTINGS_VARIABLE] = str(path.resolve())
    elif not os.environ.get(SETTINGS_VARIABLE) and settings_file() != DEFAULT_SETTINGS_FILE:  # the project's own
        say(f"No {DEFAULT_SETTINGS_FILE} here: using {settings_file()}. Choose another with --settings FILE.", err=True)
    return load_settings()


def commands(text: str) -> str:
    """The text, with this command's --settings added to the commands that it suggests."""
    context = click.get_current_context(silent=True)
    path = context.params.get("settings_path") if context else None
    if path is None:
        return text
    return NEXT_COMMAND.sub(lambda found: f"segmentation {found[1]} --settings {shlex.quote(str(path))}", text)


def progress_bar(console: Console) -> Progress:
    """A bar with the task's description, progress, time and field `step`; it disappears at the end."""
    columns = (
        VisibleColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        VisibleColumn("{task.fields[step]}"),
    )
    return Progress(*columns, console=console, transient=True)


def known(key: str, keys: list[str]) -> str:
    """The key, if it is one of `keys`; otherwise a ClickException that names the nearest."""
    if key in keys:
        return key
    try:
        day = dt.date.fromisoformat(key)
    except ValueError:
        raise click.ClickException(f"{key} is not a date; write it like {keys[-1]}. Snapshots go from {keys[0]} to {keys[-1]}.") from None
    nearest = min(keys, key=lambda k: abs(dt.date.fromisoformat(k) - day))
    raise click.ClickException(f"There is no snapshot {key}. They go from {keys[0]} to {keys[-1]}; the nearest is {nearest}.")


def span(keys: list[str]) -> str:
    """The first and the last key."""
    return keys[0] if len(keys) == 1 else f"{keys[0]} to {keys[-1]}"


def new_console() -> Console:
    """A console as wide as the terminal, or of fixed width if the output is redirected. It prints names literally, brackets too."""
    return VisibleConsole(width=None if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL, markup=False, emoji=False, highlight=False)


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Turn any error into one message and exit code 1; show its traceback only with --debug."""
    try:
        yield
    except click.UsageError as error:
        raise click.UsageError(visible(error.format_message()), error.ctx) from error
    except Stopped:
        raise
    except KeyboardInterrupt:
        raise Stopped("Stopped by you.") from None
    except click.ClickException as error:
        raise click.ClickException(visible(commands(error.message))) from error
    except (click.exceptions.Exit, click.Abort):
        raise
    except BrokenPipeError:  # the reader of our output, such as `head`, has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        if click.get_current_context().find_root().obj:
            raise
        expected = isinstance(error, SettingsError | OSError) or type(error).__module__.startswith("segmentation_assets.")
        message = str(error) if expected else f"Unexpected: {type(error).__name__}: {error}\nFor the traceback: segmentation --debug ..."
        raise click.ClickException(visible(commands(_about_the_folder(str(error)) or message))) from error


def _about_the_folder(problem: str) -> str:
    """What to do if the data folder is full or read-only; empty for other problems."""
    if not (found := NOT_WRITTEN.search(problem)):
        return ""
    try:
        folder = load_settings().data_dir
    except (SettingsError, OSError):  # these may be the problem
        return ""
    named = [Path(path).resolve() for path in WHOLE_PATH.findall(problem)]
    if named and not any(path.is_relative_to(folder.resolve()) for path in named):  # such as an unreadable source
        return ""
    from segmentation_assets.store.database_files import DATABASE

    there = next(place for place in (folder.resolve(), *folder.resolve().parents) if place.exists())
    room = shutil.disk_usage(there).free
    remedy = "free some space" if found["full"] or room < LITTLE_ROOM else "make it writable, or set another data_dir"
    before = "Anything published before is unchanged" if (folder / DATABASE).exists() else "Nothing has been published yet"
    said = next(line for line in problem.splitlines() if NOT_WRITTEN.search(line))  # a database's error may have the whole statement
    return f"{folder} could not be written: {room / 1e6:,.1f} MB are free; {remedy}. {before}. Then run the same command again.\n{said}"
