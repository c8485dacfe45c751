"""Commands that make snapshots, or their pictures: run, pictures, retrain, rollback."""

import datetime as dt
import getpass
import shlex
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import Progress, TaskID

from segmentation_assets.cli.terminal import command, commands, known, new_console, progress_bar, settings_in_force, settings_option, span
from segmentation_assets.settings.loading import Settings
from segmentation_assets.vocabulary import counted

if TYPE_CHECKING:
    from segmentation_assets.cli.runs import Plan
    from segmentation_assets.core.model.champion import Request


@command()
@click.option("--snapshot", metavar="DATE", help="Make this snapshot, even if it is up to date.")
@click.option("--all", "every", is_flag=True, help="Make every snapshot that is not up to date.")
@click.option("--from", "start", metavar="DATE", help="Make the snapshots from this one on.")
@click.option("--to", "end", metavar="DATE", help="... up to this one.")
@click.option("--force", is_flag=True, help="Make them again even if they are up to date.")
@click.option("--anew", is_flag=True, help="With --all, after a change of privacy.pseudonyms: set the data folder aside, whole, first.")
@settings_option
def run(snapshot: str | None, every: bool, start: str | None, end: str | None, force: bool, anew: bool, settings_path: Path | None) -> None:
    """Make snapshots through Dagster, publish them, and print the segments of the last one.

    After privacy.pseudonyms or its key was changed, `run --all --anew` renames the data folder, which still holds the other ids, and
    makes all snapshots from the source. If it is stopped, run it again.

    Example: segmentation run --from 2017-10-01
    """
    if anew and not every:
        raise click.UsageError("--anew makes the whole history again: use it with --all.")
    if every and (start or end):
        raise click.UsageError("--all means every snapshot, --from and --to some of them: use one or the other.")
    if sum((snapshot is not None, every, bool(start or end))) != 1:
        raise click.UsageError("Say which snapshots: --snapshot DATE, --all, or --from DATE and/or --to DATE.")
    settings = settings_in_force(settings_path)
    from segmentation_assets.cli import runs
    from segmentation_assets.store import published, restoring

    keys = runs.existing_keys(settings)
    if anew and settings.lake.url:
        raise click.ClickException(f"--anew: {settings.lake.url} holds the former ids too. Name an empty lake.url and another data_dir.")
    if anew:
        set_aside(settings, new_console())
    wanted = [known(snapshot, keys)] if snapshot else _between(keys, start, end)
    planned = runs.plan(settings, wanted, again=force or snapshot is not None)
    console = new_console()
    for damage in restoring.mend(settings.data_dir) if every else []:
        console.print(f"{damage}. It has been rebuilt.")
    if planned.current:
        console.print(f"{counted(len(planned.current), 'snapshot is', 'snapshots are')} up to date ({span(planned.current)}).")
    for sentence in planned.why:
        console.print(f"Made again: {sentence}.")
    if planned.features:
        console.print(
            f"Warning: {span(planned.features)} never ran. {'Its' if len(planned.features) == 1 else 'Their'} features are made "
            f"first; without segments at {planned.features[-1]}, customers have no previous segment at {planned.run[0]}."
        )
    _run_all(planned, console, settings)
    later = [key for key in published.keys(settings.data_dir) if planned.run and key > planned.run[-1]]
    if later:
        advice = f"Later snapshots ({span(later)}) build on this one; if it changed, run: segmentation run --from {later[0]}"
        console.print(commands(advice))
    _show_last(settings, wanted[-1], console, warned=bool(planned.run), undrawn=planned.run[:-1])
    if anew:
        _tell_of_those_aside(settings, console)


@command()
@click.option("--snapshot", metavar="DATE", help="The snapshot to draw; default: the latest published.")
@settings_option
def pictures(snapshot: str | None, settings_path: Path | None) -> None:
    """Draw the pictures and report of a snapshot that was made without them; if many are made together, only the newest gets them.

    Example: segmentation pictures --snapshot 2017-12-01
    """
    settings = settings_in_force(settings_path)
    from segmentation_assets.cli import runs
    from segmentation_assets.defs.instance import instance_of_command, prepare_instance
    from segmentation_assets.report import report
    from segmentation_assets.store import published

    published.refuse_other_smallest_cell(settings.data_dir, settings.privacy.smallest_cell)
    _, key = _published(settings, snapshot)
    if not settings.exploration.pictures:
        raise click.ClickException("exploration.pictures is off; turn it on first.")
    if runs.plan(settings, [key], again=False, to_read=False).run:
        raise click.ClickException(f"{key} is out of date. Make it again, with its pictures: segmentation run --snapshot {key}")
    prepare_instance(settings)
    console = new_console()
    with instance_of_command() as instance, progress_bar(console) as bar:
        runs.draw(settings, key, instance, partial(_show_step, bar, bar.add_task(key, total=None, step="starting")))
    console.print(f"Report: {_from_here(report.file(settings.data_dir, key))}", soft_wrap=True)


@command()
@click.option("--snapshot", metavar="DATE", help="At this snapshot; default: the latest published.")
@click.option("--later", is_flag=True, help="Also make the snapshots after it again.")
@click.option("--reason", default="", metavar="TEXT", help="Why, for model_registry.")
@click.option("--force", is_flag=True, help="Promote the challenger even if it fails a gate.")
@settings_option
def retrain(snapshot: str | None, later: bool, reason: str, force: bool, settings_path: Path | None) -> None:
    """Train a challenger at a snapshot, whatever retrain.policy says; it is promoted only if it passes every gate.

    The request also applies when the snapshot is made again; `rollback --withdraw` withdraws it.

    Example: segmentation retrain --reason "new loyalty programme"
    """
    settings = settings_in_force(settings_path)
    from segmentation_assets.core.model.champion import Request

    made, key = _published(settings, snapshot)
    if key < made[-1] and not later:
        raise click.ClickException(
            f"Snapshots after {key} ({span([k for k in made if k > key])}) build on its model. To make them again too, add --later."
        )
    _carry_out(settings, key, made, Request(force=force, reason=reason, requested_by=_login()))


@command()
@click.argument("version", required=False)
@click.option("--snapshot", metavar="DATE", help="From this snapshot on; default: the latest published.")
@click.option("--reason", default="", metavar="TEXT", help="Why, for model_registry.")
@click.option("--withdraw", is_flag=True, help="Withdraw the request made at that snapshot, whether a rollback or a retraining.")
@settings_option
def rollback(version: str | None, snapshot: str | None, reason: str, withdraw: bool, settings_path: Path | None) -> None:
    """Put the model VERSION in force again from a snapshot on, and make the published snapshots from there again.

    `segmentation models` lists the versions.

    Example: segmentation rollback --withdraw --snapshot 2017-12-01
    """
    if (version is None) != withdraw:
        raise click.UsageError("Say which model: rollback VERSION, or rollback --withdraw.")
    settings = settings_in_force(settings_path)
    from segmentation_assets.core.model.champion import Request
    from segmentation_assets.store import archive

    made, key = _published(settings, snapshot)
    if withdraw and key not in archive.requests(settings.data_dir):
        raise click.ClickException(f"No request was made at {key}; there is nothing to withdraw.")
    _carry_out(settings, key, made, Request(version, reason=reason, requested_by=_login()) if version else None)


def set_aside(settings: Settings, console: Console) -> None:
    """Rename the data folder if it holds other ids than the settings ask for, once it is known that its history can be made anew.

    Raises:
        SourceError: the key or the source is missing, or the folder cannot be renamed.
        ClickException: the folder is in use, or holds files of the source or the settings.
    """
    from segmentation_assets.sources import open_source, pseudonyms

    asked = settings.privacy.pseudonyms
    wanted = pseudonyms.Pseudonyms.of(asked, settings.cleaning) if asked else None
    if not pseudonyms.has_others(settings.data_dir, wanted):
        console.print(f"{settings.data_dir} holds no other ids than the settings ask for, so it is not set aside.", soft_wrap=True)
        return
    open_source(settings, to_read=False).fingerprint()  # the source is there
    folder = settings.data_dir.resolve()
    if inside := next((file for file in _files_of(settings) if file.is_relative_to(folder)), None):
        raise click.ClickException(f"{inside} is in the data folder, which would be set aside with it. Move it elsewhere first.")
    if using := _using(settings):
        raise click.ClickException(f"{using} Nothing was changed. Stop it, then run the same command again.")
    aside = pseudonyms.set_aside(settings.data_dir, dt.datetime.now(dt.UTC))
    console.print(
        f"{settings.data_dir} was set aside as {aside}. To go back instead: stop, remove {settings.data_dir}, and rename {aside.name} to "
        f"{folder.name}.",
        soft_wrap=True,
    )


def _files_of(settings: Settings) -> list[Path]:
    """The settings, and the files and folders that they name."""
    from segmentation_assets.settings.loading import settings_file
    from segmentation_assets.settings.source import REQUIRED, Tables

    tables = [table for name in REQUIRED for table in settings.source.entity(name)] if isinstance(settings.source, Tables) else []
    named = [pattern for table in tables for place in (table, *getattr(table, "lookups", ())) for pattern in getattr(place, "patterns", ())]
    addresses = [str(getattr(table, "url", "")) for table in tables]
    named += [address.partition("///")[2] for address in addresses if address.startswith(("sqlite:", "duckdb:"))]
    return [file.resolve() for file in (settings_file(), *map(Path, named))]


def _using(settings: Settings) -> str:
    """What else uses the data folder, as a sentence; empty if nothing does."""
    from segmentation_assets.defs import health

    return health.using(settings, dt.datetime.now(dt.UTC))


def _tell_of_those_aside(settings: Settings, console: Console) -> None:
    from segmentation_assets.defs.instance import home_of
    from segmentation_assets.sources import pseudonyms

    home = home_of(settings)
    for aside in pseudonyms.those_aside(settings.data_dir):
        console.print(
            f"\n{aside} still holds the former ids. Compare, then remove it and its backups: rm -r {shlex.quote(str(aside))}",
            soft_wrap=True,
        )
    if not home.is_relative_to(settings.data_dir.resolve()):
        console.print(f"Dagster's records in {home} are not in the data folder, and still hold what earlier runs recorded.", soft_wrap=True)


def _login() -> str:
    """The login name; empty if this user has none, as in some containers."""
    with suppress(KeyError, OSError):
        return getpass.getuser()
    return ""


def _published(settings: Settings, snapshot: str | None) -> tuple[list[str], str]:
    """All published snapshots, and the given one, by default the latest."""
    from segmentation_assets.report.fetching import fetch
    from segmentation_assets.store import database_files, published

    fetch(settings)
    made = published.keys(settings.data_dir)
    if not made:
        raise database_files.PublishError(published.nothing_yet(settings.data_dir))
    return made, known(snapshot, made) if snapshot else made[-1]


def _carry_out(settings: Settings, key: str, made: list[str], request: "Request | None") -> None:
    """Record a request on a snapshot's model, and make it and those after it again; if that fails, restore the earlier request."""
    from segmentation_assets.cli import runs
    from segmentation_assets.store import archive

    before, console = archive.requests(settings.data_dir).get(key), new_console()
    archive.ask(settings.data_dir, key, request)
    try:
        planned = runs.plan(settings, [k for k in made if k >= key], again=False)
        _run_all(planned, console, settings)
    except BaseException:
        archive.ask(settings.data_dir, key, before)
        raise
    _show_last(settings, key, console, warned=planned.run == [key], undrawn=planned.run[:-1])


def _run_all(planned: "Plan", console: Console, settings: Settings) -> None:
    from segmentation_assets.cli import runs
    from segmentation_assets.defs.instance import instance_of_command, prepare_instance
    from segmentation_assets.defs.retention import tidied

    prepare_instance(settings)
    with instance_of_command() as instance, progress_bar(console) as bar:
        task = bar.add_task("", total=None, step="starting")
        began, count = time.monotonic(), len(planned.run)
        if count:
            bar.update(task, description=f"{planned.run[0]} (1 of {count})")
        for number, outcome in enumerate(runs.carry_out(settings, planned, instance, partial(_show_step, bar, task)), 1):
            seconds, began = time.monotonic() - began, time.monotonic()
            bar.console.print(f"{outcome.key}  made and published after {seconds:.1f} s ({number} of {count})")
            if outcome.warnings and number < count:  # in full only for the last one, and all in the UI
                bar.console.print(f"  warnings: {'; '.join(warning.partition(':')[0] for warning in outcome.warnings)}")
            for warning in outcome.warnings if number == count else []:
                bar.console.print(f"  warning: {commands(warning)}")
            if number < count:
                bar.update(
                    task, description=f"{planned.run[number]} ({number + 1} of {count})", completed=0, step="waiting for its features"
                )
        if count and (removed := tidied(instance, settings, dt.datetime.now(dt.UTC))):
            bar.console.print(f"Removed (settings: retention): {'; '.join(removed)}.")


def _show_step(bar: Progress, task: TaskID, step: str, ended: int, total: int) -> None:
    """Show in the bar which step ended; without a terminal, only for which run this one waits, as a line."""
    from segmentation_assets.defs.order import WAITING

    bar.update(task, completed=ended, total=total, step=step)
    if step.startswith(WAITING) and not bar.console.is_terminal:
        bar.console.print(step)


def _show_last(settings: Settings, key: str, console: Console, warned: bool, undrawn: list[str]) -> None:
    from segmentation_assets.cli import summary
    from segmentation_assets.report import report
    from segmentation_assets.store.database_files import DATABASE

    summary.show(summary.read(settings.data_dir, key, settings.outcome, settings.labels), console, warned)
    console.print(f"\nDatabase: {_from_here(settings.data_dir / DATABASE)}", soft_wrap=True)
    if (page := report.file(settings.data_dir, key)).exists():
        console.print(f"Report:   {_from_here(page)}", soft_wrap=True)
    if undrawn and settings.exploration.pictures:
        there = commands(f"Pictures: not drawn for {span(undrawn)}. To draw those of one: segmentation pictures --snapshot {undrawn[-1]}")
        console.print(there, soft_wrap=True)
    next_steps = commands('Query it: segmentation sql "from latest_segments"      See it all: segmentation ui')
    console.print(next_steps, soft_wrap=True)


def _from_here(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _between(keys: list[str], start: str | None, end: str | None) -> list[str]:
    first, last = known(start, keys) if start else keys[0], known(end, keys) if end else keys[-1]
    if first > last:
        raise click.ClickException(f"--from {first} is after --to {last}; swap them.")
    return [key for key in keys if first <= key <= last]
