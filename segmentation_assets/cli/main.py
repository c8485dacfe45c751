"""The command line: `segmentation run | show | models | rollback | sql | export | init | check | settings | ui | upgrade | instance`.

Belongs here: options, what is printed, and exit codes. Heavy imports are made inside the commands that need them, because
`segmentation sql` should answer at once.
"""

import datetime as dt
import os
import re
import shlex
import shutil
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from segmentation_assets.settings.loading import (
    DATA_DIR_VARIABLE,
    DEFAULT_SETTINGS_FILE,
    SETTINGS_VARIABLE,
    Settings,
    SettingsError,
    load_settings,
    settings_file,
)
from segmentation_assets.vocabulary import counted

if TYPE_CHECKING:
    import duckdb

    from segmentation_assets.cli.runs import Plan

WIDTH_WITHOUT_TERMINAL = 132
MOST_ROWS = 100
FILES_PER_LINE = 100
COMMAND = re.compile(r"\bsegmentation (run|show|models|rollback|sql|export|check|ui)\b(?! --settings)")

settings_option = click.option(
    "--settings", "settings_path", type=click.Path(path_type=Path), metavar="FILE", help="Settings file; default: segmentation.yaml."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(package_name="segmentation-assets")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def main(context: click.Context, debug: bool) -> None:
    """Customer segments that a marketing team can trust, month after month."""
    context.obj = debug


@main.command()
@click.option("--snapshot", metavar="DATE", help="Make this snapshot, whatever was made before.")
@click.option("--all", "every", is_flag=True, help="Make every snapshot that is not up to date.")
@click.option("--from", "start", metavar="DATE", help="Make the snapshots from this one on.")
@click.option("--to", "end", metavar="DATE", help="... up to this one.")
@click.option("--force", is_flag=True, help="Make them again even where they are up to date.")
@settings_option
def run(snapshot: str | None, every: bool, start: str | None, end: str | None, force: bool, settings_path: Path | None) -> None:
    """Make snapshots through Dagster, publish them, and print the segments of the last one."""
    if every and (start or end):
        raise click.UsageError("--all is every snapshot, and --from and --to are some of them: leave one out.")
    if sum((snapshot is not None, every, bool(start or end))) != 1:
        raise click.UsageError("Say which snapshots: --snapshot DATE, --all, or --from DATE and/or --to DATE.")
    with _plain_errors():
        settings = _settings(settings_path)
        from segmentation_assets.cli import runs
        from segmentation_assets.store import published

        keys = runs.existing_keys(settings)
        wanted = [_known(snapshot, keys)] if snapshot else _between(keys, start, end)
        planned = runs.plan(settings, wanted, again=force or snapshot is not None)
        console = _console()
        if planned.current:
            console.print(
                f"{counted(len(planned.current), 'snapshot is', 'snapshots are')} up to date ({_span(planned.current)}).", highlight=False
            )
        for sentence in planned.why:
            console.print(f"Made again: {sentence}.", highlight=False)
        if planned.features:
            console.print(
                f"Warning: {_span(planned.features)} never ran. Features of {'it' if len(planned.features) == 1 else 'them'} are made "
                f"first; without segments at {planned.features[-1]}, nobody has a previous segment at {planned.run[0]}.", highlight=False,
            )  # fmt: skip
        _run_all(planned, console, settings)
        later = [key for key in published.keys(settings.data_dir) if planned.run and key > planned.run[-1]]
        if later:
            console.print(
                _commands(f"Later snapshots ({_span(later)}) build on this one; if it changed, run: segmentation run --from {later[0]}"),
                highlight=False,
            )
        _show_last(settings, wanted[-1], console, warned=bool(planned.run))


@main.command()
@click.option("--snapshot", metavar="DATE", help="Which snapshot; default: the latest.")
@settings_option
def show(snapshot: str | None, settings_path: Path | None) -> None:
    """Print the segments of a published snapshot, who moved, and what drifted."""
    with _plain_errors():
        settings = _settings(settings_path)
        from segmentation_assets.cli import show as summary
        from segmentation_assets.store import published

        keys = published.keys(settings.data_dir)
        if not keys:
            raise published.PublishError("Nothing was published yet. Publish a snapshot first: segmentation run --all")
        summary.show(summary.read(settings.data_dir, _known(snapshot, keys) if snapshot else keys[-1]), _console())


@main.command()
@settings_option
def models(settings_path: Path | None) -> None:
    """List the models: which were in force when, which were refused, and why."""
    with _plain_errors():
        settings = _settings(settings_path)
        from segmentation_assets.cli import show as summary

        summary.show_models(settings.data_dir, _console())


@main.command()
@click.argument("version", required=False)
@click.option("--snapshot", metavar="DATE", help="From this snapshot on; default: the latest published.")
@click.option("--withdraw", is_flag=True, help="Take back what was asked for at that snapshot.")
@settings_option
def rollback(version: str | None, snapshot: str | None, withdraw: bool, settings_path: Path | None) -> None:
    """Put the model VERSION in force again from a snapshot on, and make the published snapshots from there again.

    `segmentation models` lists the versions.
    """
    if (version is None) != withdraw:
        raise click.UsageError("Say which model: rollback VERSION, or rollback --withdraw.")
    with _plain_errors():
        settings = _settings(settings_path)
        from segmentation_assets.cli import runs
        from segmentation_assets.store import archive, published

        made = published.keys(settings.data_dir)
        if not made:
            raise published.PublishError("Nothing was published yet. Publish a snapshot first: segmentation run --all")
        key, console = _known(snapshot, made) if snapshot else made[-1], _console()
        before = archive.rollbacks(settings.data_dir).get(key)
        if withdraw and before is None:
            raise click.ClickException(f"Nobody has pointed back at {key}; there is nothing to take back.")
        archive.roll_back(settings.data_dir, key, version)
        try:
            planned = runs.plan(settings, [k for k in made if k >= key], again=False)
            _run_all(planned, console, settings)
        except BaseException:
            archive.roll_back(settings.data_dir, key, before)  # what was not carried out is not asked for either
            raise
        _show_last(settings, key, console, warned=planned.run == [key])


@main.command()
@click.argument("query")
@click.option("--csv", "as_csv", is_flag=True, help="Write comma-separated values instead of a table.")
@settings_option
def sql(query: str, as_csv: bool, settings_path: Path | None) -> None:
    """Run a DuckDB QUERY on the published database, read-only; of long results the first and last rows.

    Example: segmentation sql "from latest_segments"
    """
    with _plain_errors():
        settings = _settings(settings_path)
        import duckdb

        from segmentation_assets.store import published

        with published.reading(settings.data_dir) as database:
            try:
                result = database.sql(query)
            except duckdb.Error as error:
                raise published.PublishError(f"The query failed: {error}") from error
            if result is None:
                return
            if as_csv:
                _write_csv(result)
            else:
                result.show(max_rows=MOST_ROWS, max_width=_console().width)
                sys.stdout.flush()


@main.command()
@click.argument("target", type=click.Path(path_type=Path))
@settings_option
def export(target: Path, settings_path: Path | None) -> None:
    """Copy every table, order lines too, as native tables into one new DuckDB file TARGET."""
    with _plain_errors():
        settings = _settings(settings_path)
        from segmentation_assets.store import published

        rows = published.export(settings.data_dir, target)
        size = f"{counted(len(rows), 'table')}, {counted(sum(rows.values()), 'row')}, {target.stat().st_size / 1e6:,.0f} MB"
        _console().print(f"{target}: {size}", highlight=False)


@main.command()
@settings_option
def check(settings_path: Path | None) -> None:
    """Read the settings and look at the sources, before any run."""
    with _plain_errors():
        settings = _settings(settings_path)
        from segmentation_assets.cli import check as inspection

        console = _console()
        with _reading_shown(console):
            findings = inspection.inspect(settings)
        for line in findings.lines:
            console.print(line, highlight=False, markup=False)
        if findings.problems:
            raise click.ClickException("\n".join(findings.problems))
        console.print(_commands("Ready: segmentation run --all"), highlight=False, soft_wrap=True)


@main.command()
def settings() -> None:
    """Print every setting, its default, what is allowed, and what it does, as a Markdown table."""
    from segmentation_assets.settings import reference

    click.echo(reference.markdown())


@main.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option(
    "--output", type=click.Path(path_type=Path), default=Path("segmentation.yaml"), show_default=True, help="File to write; never replaced."
)
def init(files: tuple[Path, ...], output: Path) -> None:
    """Look at your FILES (or folders of them) and write a first settings file, with every guess in a comment."""
    with _plain_errors():
        from segmentation_assets.sources import file_profile, first_settings

        if output.exists():
            raise click.ClickException(f"{output} is there already and is not replaced. Give another name: --output FILE")
        with _reading_shown(_console()):
            looks = file_profile.look_at(files)
        text = first_settings.write(looks, output.resolve().parent)
        output.write_text(text, encoding="utf-8")
        click.echo(text)
        for line in first_settings.missing(looks):
            click.echo(line, err=True)
        click.echo(f"Written to {output}. Read it, correct what is wrong, then: segmentation check --settings {output}")


@main.command()
@click.option("--port", default=3000, show_default=True, help="Port on 127.0.0.1.")
@settings_option
def ui(port: int, settings_path: Path | None) -> None:
    """Start Dagster's web page and daemon on 127.0.0.1, on the instance that the runs are recorded in."""
    with _plain_errors():
        settings = _settings(settings_path)
        from dotenv import load_dotenv

        from segmentation_assets.defs.instance import prepare_instance

        home = prepare_instance(settings)
        load_dotenv(Path.cwd() / ".env")  # such as passwords; what is set already stays
        os.environ[SETTINGS_VARIABLE] = str(settings_file().resolve())
        if DATA_DIR_VARIABLE in os.environ:
            os.environ[DATA_DIR_VARIABLE] = str(settings.data_dir)
        # Dagster lets the `.env` of its working folder win over the environment, and with it another instance than this one.
        os.chdir(home)
        dagster = shutil.which("dagster", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
        if dagster is None:
            raise click.ClickException("The program `dagster` is not on the PATH. Install the package again: make install")
        workspace = Path(__file__).resolve().parents[2] / "workspace.yaml"
        location = ["--workspace", str(workspace)] if workspace.exists() else ["--module-name", "segmentation_assets.definitions"]
        os.execv(dagster, [dagster, "dev", *location, "--host", "127.0.0.1", "--port", str(port)])  # noqa: S606  # no shell, fixed arguments


@main.command()
@settings_option
def upgrade(settings_path: Path | None) -> None:
    """Bring the data folder to the layout of this version, and say what was done. May be repeated."""
    with _plain_errors():
        from segmentation_assets.store import layout

        data_dir = _loaded(settings_path).data_dir
        lines = list(layout.upgrade(data_dir))
        for line in lines or [f"{data_dir} holds nothing yet."]:
            click.echo(line)


@main.command()
@settings_option
def instance(settings_path: Path | None) -> None:
    """Prepare Dagster's instance where it is missing, and print its folder, for DAGSTER_HOME."""
    with _plain_errors():
        settings = _settings(settings_path)
        from segmentation_assets.defs.instance import prepare_instance

        click.echo(prepare_instance(settings))


def _settings(path: Path | None) -> Settings:
    """The settings in force, whose data folder has a layout that this version knows."""
    from segmentation_assets.store import layout

    settings = _loaded(path)
    layout.require_current(settings.data_dir)
    return settings


def _loaded(path: Path | None) -> Settings:
    """The settings in force; definitions that are loaded after this use the same file."""
    if path is not None:
        os.environ[SETTINGS_VARIABLE] = str(path.resolve())
    elif not os.environ.get(SETTINGS_VARIABLE) and settings_file() != DEFAULT_SETTINGS_FILE:  # the project's, so that Dagster finds some
        click.echo(f"No {DEFAULT_SETTINGS_FILE} here: using {settings_file()}. Say which with --settings FILE.", err=True)
    return load_settings()


def _commands(text: str) -> str:
    """Commands to type next, with the settings file that this one was given."""
    context = click.get_current_context(silent=True)
    path = context.params.get("settings_path") if context else None
    if path is None:
        return text
    return COMMAND.sub(lambda found: f"segmentation {found[1]} --settings {shlex.quote(str(path))}", text)


def _write_csv(result: "duckdb.DuckDBPyRelation") -> None:
    """Write to standard output by way of a pipe: the engine would empty a file that output is appended to."""
    into, out_of = os.pipe()[::-1]

    def write() -> None:
        try:
            result.write_csv(f"/dev/fd/{into}")
        finally:
            os.close(into)

    with ThreadPoolExecutor(1) as other, os.fdopen(out_of, "rb") as lines:
        writing = other.submit(write)
        shutil.copyfileobj(lines, sys.stdout.buffer)
        sys.stdout.buffer.flush()
        writing.result()


def _run_all(planned: "Plan", console: Console, settings: Settings) -> None:
    import dagster as dg

    from segmentation_assets.cli import runs
    from segmentation_assets.defs.instance import prepare_instance

    prepare_instance(settings)
    with dg.DagsterInstance.get() as instance, _progress(console) as bar:
        task = bar.add_task("", total=None, step="starting")
        began, count = time.monotonic(), len(planned.run)

        def stepped(step: str, ended: int, total: int) -> None:
            bar.update(task, completed=ended, total=total, step=step)

        if count:
            bar.update(task, description=f"{planned.run[0]} (1 of {count})")
        for number, outcome in enumerate(runs.carry_out(settings, planned, instance, stepped), 1):
            seconds, began = time.monotonic() - began, time.monotonic()
            bar.console.print(f"{outcome.key}  made and published after {seconds:.1f} s ({number} of {count})", highlight=False)
            if outcome.warnings and number < count:  # in full only for the last one, and all in the UI
                bar.console.print(f"  warnings: {', '.join(warning.partition(':')[0] for warning in outcome.warnings)}", highlight=False)
            for warning in outcome.warnings if number == count else []:
                bar.console.print(f"  warning: {_commands(warning)}", highlight=False, markup=False)
            if number < count:
                bar.update(
                    task, description=f"{planned.run[number]} ({number + 1} of {count})", completed=0, step="waiting for its features"
                )


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.fields[step]}"))
    return Progress(*columns, console=console, transient=True)


@contextmanager
def _reading_shown(console: Console) -> Iterator[None]:
    """Show how many files were read: as a bar on a terminal, elsewhere a line on stderr now and then, so that a log is not silent."""
    from segmentation_assets.sources import progress

    if not console.is_terminal:
        with progress.told_to(_reading_logged):
            yield
        return
    with _progress(console) as bar:
        task = bar.add_task("", total=None, step="")
        with progress.told_to(lambda what, done, total: bar.update(task, description=what, completed=done, total=total)):
            yield


def _reading_logged(what: str, done: int, total: int) -> None:
    if done and done % FILES_PER_LINE == 0:
        click.echo(f"{what}: {done} of {total} files", err=True)


def _show_last(settings: Settings, key: str, console: Console, warned: bool) -> None:
    from segmentation_assets.cli import show as summary
    from segmentation_assets.report import report
    from segmentation_assets.store.published import DATABASE

    summary.show(summary.read(settings.data_dir, key), console, warned)
    database = settings.data_dir / DATABASE
    shown = database.relative_to(Path.cwd()) if database.is_relative_to(Path.cwd()) else database
    console.print(f"\nDatabase: {shown}", highlight=False, soft_wrap=True)
    if (page := report.file(settings.data_dir, key)).exists():
        console.print(
            f"Report:   {page.relative_to(Path.cwd()) if page.is_relative_to(Path.cwd()) else page}", highlight=False, soft_wrap=True
        )
    next_steps = _commands('Query it: segmentation sql "from latest_segments"      See it all: segmentation ui')
    console.print(next_steps, highlight=False, soft_wrap=True)


def _between(keys: list[str], start: str | None, end: str | None) -> list[str]:
    first, last = _known(start, keys) if start else keys[0], _known(end, keys) if end else keys[-1]
    if first > last:
        raise click.ClickException(f"--from {first} is after --to {last}; swap them.")
    return [key for key in keys if first <= key <= last]


def _known(key: str, keys: list[str]) -> str:
    if key in keys:
        return key
    try:
        day = dt.date.fromisoformat(key)
    except ValueError:
        raise click.ClickException(f"{key} is not a date; write it as {keys[-1]}. Snapshots go from {keys[0]} to {keys[-1]}.") from None
    nearest = min(keys, key=lambda k: abs(dt.date.fromisoformat(k) - day))
    raise click.ClickException(f"There is no snapshot {key}. They go from {keys[0]} to {keys[-1]}; the nearest is {nearest}.")


def _span(keys: list[str]) -> str:
    return keys[0] if len(keys) == 1 else f"{keys[0]} to {keys[-1]}"


def _console() -> Console:
    return Console() if sys.stdout.isatty() else Console(width=WIDTH_WITHOUT_TERMINAL)


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Any error as one message and exit code 1; its traceback only with --debug."""
    try:
        yield
    except click.UsageError:
        raise
    except click.ClickException as error:
        raise click.ClickException(_commands(error.message)) from error
    except (click.exceptions.Exit, click.Abort):
        raise
    except BrokenPipeError:  # the reader of our output, such as `head`, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        if click.get_current_context().find_root().obj:
            raise
        expected = isinstance(error, SettingsError | OSError) or type(error).__module__.startswith("segmentation_assets.")
        message = str(error) if expected else f"Unexpected: {type(error).__name__}: {error}\nFor the traceback: segmentation --debug ..."
        raise click.ClickException(_commands(message)) from error


if __name__ == "__main__":
    main()
