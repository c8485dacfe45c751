"""Commands that look at what was made: show, why, rules, audiences, report, models, sql, export, doctor, settings."""

import datetime as dt
import json
import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from dataclasses import asdict
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import click

from segmentation_assets.cli.serve import LAST_PORT, serve_health
from segmentation_assets.cli.terminal import command, commands, known, new_console, say, settings_in_force, settings_option
from segmentation_assets.settings.loading import Settings
from segmentation_assets.vocabulary import counted

if TYPE_CHECKING:
    import duckdb

    from segmentation_assets.store.health import Finding

MOST_ROWS = 100
DIALECTS = ("duckdb", "postgres", "snowflake", "bigquery")
PIPES = "/dev/fd"


@command()
@click.option("--snapshot", metavar="DATE", help="Which snapshot; default: the latest.")
@click.option("--long", "in_full", is_flag=True, help="Also what marks each segment out, the model, who moved where, and what drifted.")
@click.option("--json", "as_json", is_flag=True, help="For programs: one object, with all that --long has.")
@settings_option
def show(snapshot: str | None, in_full: bool, as_json: bool, settings_path: Path | None) -> None:
    """Print the segments of a published snapshot, a line each, how many customers moved, and whether anything drifted.

    Example: segmentation show --snapshot 2017-12-01 --long
    """
    settings = settings_in_force(settings_path)
    from segmentation_assets.cli import summary

    found = summary.read(settings.data_dir, _published_key(settings, snapshot), settings.outcome, settings.labels)
    if as_json:
        say(json.dumps(summary.as_dict(found), indent=2))
    elif in_full:
        summary.show(found, new_console())
    else:
        summary.show_in_brief(found, new_console())


@command()
@click.argument("customer")
@click.option("--snapshot", metavar="DATE", help="Which snapshot; default: the latest.")
@click.option("--long", "in_full", is_flag=True, help="All of it: what is known, every feature that decides, every action.")
@click.option("--json", "as_json", is_flag=True, help="For programs: one object, with all that is known.")
@settings_option
def why(customer: str, snapshot: str | None, in_full: bool, as_json: bool, settings_path: Path | None) -> None:
    """Print why CUSTOMER, an id, is in a segment: what speaks for it, which other is near, why they moved, what to do.

    Everything comes from the published tables.

    Example: segmentation why 1609 --snapshot 2017-12-01
    """
    settings = settings_in_force(settings_path)
    from segmentation_assets.cli import why as reasons

    found = reasons.read(settings.data_dir, customer, _published_key(settings, snapshot))
    if as_json:
        say(json.dumps(asdict(found), indent=2))
        return
    for line in reasons.lines(found, settings, in_full):
        say(line)


@command()
@click.option("--dialect", type=click.Choice(DIALECTS), default=DIALECTS[0], show_default=True, help="Whose SQL the rules are written in.")
@click.option("--snapshot", metavar="DATE", help="Which snapshot; default: the latest.")
@click.option("--json", "as_json", is_flag=True, help="For programs: a list of objects, one for each segment.")
@settings_option
def rules(dialect: str, snapshot: str | None, as_json: bool, settings_path: Path | None) -> None:
    """Print the rule of each segment, to find its customers in another system: as SQL over customer_features, and in words.

    Example: segmentation rules --dialect bigquery
    """
    settings = settings_in_force(settings_path)
    from segmentation_assets.cli import rules as printed

    found = printed.read(settings.data_dir, _published_key(settings, snapshot), dialect)
    for line in [printed.as_json(found)] if as_json else printed.lines(found):
        say(line)


@command()
@click.option("--plan", is_flag=True, help="Print the plan, which is also what happens without it.")
@click.option("--deliver", is_flag=True, help="Hand over what has changed to the destinations in the settings, and print the receipt.")
@click.option("--dry-run", is_flag=True, help="With --deliver: print what would be handed over, and hand over nothing.")
@click.option("--destination", "names", metavar="NAME", multiple=True, help="With --deliver: only to this one; may be repeated.")
@click.option("--folder", metavar="ID", help="With --deliver: from this data folder, though it is a copy of the one with this id.")
@click.option("--long", "in_full", is_flag=True, help="With --deliver: also the id, time, batches and columns of each delivery.")
@click.option("--snapshot", metavar="DATE", help="Which snapshot; default: the latest. Only by its name is an older one handed over.")
@click.option("--json", "as_json", is_flag=True, help="For programs: one object, with an entry for each action.")
@settings_option
def audiences(
    plan: bool,
    deliver: bool,
    dry_run: bool,
    names: tuple[str, ...],
    folder: str | None,
    in_full: bool,
    snapshot: str | None,
    as_json: bool,
    settings_path: Path | None,
) -> None:
    """Print whom each action of the playbook would contact, whom it leaves alone, who is suppressed and why, cost and value at stake.

    Everything comes from the published tables, and nothing is sent without --deliver.

    Example: segmentation audiences --deliver --dry-run
    """
    if plan and deliver:
        raise click.UsageError("--plan sends nothing, and --deliver does. Give one of them; --deliver --dry-run prints what would be sent.")
    if not deliver and (dry_run or names or folder or in_full):
        raise click.UsageError("--dry-run, --destination, --folder and --long go with --deliver.")
    settings = settings_in_force(settings_path)
    if deliver:
        _deliver(settings, names, folder, snapshot, dry_run, as_json, in_full)
        return
    from segmentation_assets.cli import audiences as plans
    from segmentation_assets.store import delivering

    key = _published_key(settings, snapshot)
    found = plans.read(settings, key)
    if as_json:
        say(json.dumps(found.as_dict(), indent=2))
    else:
        plans.show(found, settings.exploration.money, new_console())
    if changed := delivering.changed_since(settings, key):
        say(f"This plan was made with other settings ({', '.join(changed)}). Make it again: segmentation run --all", err=True)


def _deliver(
    settings: Settings, names: tuple[str, ...], folder: str | None, snapshot: str | None, dry_run: bool, as_json: bool, in_full: bool
) -> None:
    from segmentation_assets.cli import delivery
    from segmentation_assets.store import delivering

    now = dt.datetime.now(dt.UTC)
    key = delivering.snapshot_to_deliver(settings, _published_key(settings, snapshot) if snapshot else None, now)
    chosen = delivering.choose(settings, names)
    if dry_run:
        told = delivery.planned(delivering.plans(settings, key, chosen))
    else:
        told = delivery.delivered(chosen, key, delivering.deliver(settings, key, chosen, now, folder))
        if told.receipts:
            _renew_report(settings, key)
    if as_json:
        say(json.dumps(told.as_dict(settings.privacy.smallest_cell), indent=2))
    else:
        delivery.show(told, settings.privacy.smallest_cell, new_console(), in_full)


def _renew_report(settings: Settings, key: str) -> None:
    from segmentation_assets.report import report as pages
    from segmentation_assets.report.words import Words

    pages.renew(settings.data_dir, key, Words.of(settings))


def _published_key(settings: Settings, asked: str | None) -> str:
    """The published snapshot that is asked for; by default, the latest."""
    from segmentation_assets.store import database_files, published

    keys = published.keys(settings.data_dir)
    if not keys:
        raise database_files.PublishError(published.nothing_yet(settings.data_dir))
    return known(asked, keys) if asked else keys[-1]


@command()
@click.option("--snapshot", metavar="DATE", help="Which snapshot; default: the latest.")
@settings_option
def report(snapshot: str | None, settings_path: Path | None) -> None:
    """Write the report of a published snapshot again, from the published tables: one HTML file to open or mail, and the index of all.

    It keeps the pictures that it has; `segmentation pictures` draws them.

    Example: segmentation report --snapshot 2017-12-01
    """
    settings = settings_in_force(settings_path)
    from segmentation_assets.report import report as pages
    from segmentation_assets.report.words import Words
    from segmentation_assets.store import published

    published.refuse_other_smallest_cell(settings.data_dir, settings.privacy.smallest_cell)
    page = pages.write(settings.data_dir, _published_key(settings, snapshot), Words.of(settings), bounds=settings.engine.here())
    say(f"Report: {page}\nIndex:  {pages.index(settings.data_dir)}")


@command()
@click.option("--json", "as_json", is_flag=True, help="For programs: a list of objects, one for each model.")
@settings_option
def models(as_json: bool, settings_path: Path | None) -> None:
    """List the models: when each was in force, which were refused, and why.

    Example: segmentation models --json
    """
    settings = settings_in_force(settings_path)
    from segmentation_assets.cli import summary

    found = summary.read_models(settings.data_dir)
    if as_json:
        say(summary.models_as_json(found))
    else:
        summary.show_models(found, new_console())


@command()
@click.argument("query")
@click.option("--csv", "as_csv", is_flag=True, help="Write comma-separated values instead of a table, every value unchanged.")
@click.option("--spreadsheet", is_flag=True, help="Like --csv, but with an apostrophe where a spreadsheet would begin a formula.")
@settings_option
def sql(query: str, as_csv: bool, spreadsheet: bool, settings_path: Path | None) -> None:
    """Run a DuckDB QUERY on the published database; long results show their first and last rows.

    It only reads, and reaches no file but the database and the order lines next to it, and no network. Several statements are separated
    by semicolons.

    Example: segmentation sql "from latest_segments"
    """
    settings = settings_in_force(settings_path)
    import duckdb

    from segmentation_assets.store import confinement, database_files, published, restoring
    from segmentation_assets.store.spreadsheet import without_formulas

    as_csv = as_csv or spreadsheet
    try:
        with published.reading(settings.data_dir) as database:
            confinement.confine(database, settings.data_dir, *([PIPES] if as_csv else []))
            asked = confinement.statements(database, query)
            if as_csv and len(asked) > 1:
                raise click.ClickException(f"A CSV has one result, and the query has {len(asked)} statements. Ask each by itself.")
            for statement in asked:
                result = database.sql(statement.query)
                if result is None:
                    continue
                if as_csv:
                    _write_csv(without_formulas(result) if spreadsheet else result)
                else:
                    with redirect_stdout(StringIO()) as shown:
                        result.show(max_rows=MOST_ROWS, max_width=new_console().width)
                    say(shown.getvalue(), nl=False)
    except duckdb.Error as error:
        raise database_files.PublishError(restoring.with_remedy(f"The query failed: {error}")) from error


@command()
@click.argument("target", type=click.Path(path_type=Path))
@settings_option
def export(target: Path, settings_path: Path | None) -> None:
    """Copy every table, including order lines, into one new DuckDB file TARGET.

    Example: segmentation export for_crm.duckdb
    """
    settings = settings_in_force(settings_path)
    from segmentation_assets.store import published

    rows = published.export(settings.data_dir, target)
    size = f"{counted(len(rows), 'table')}, {counted(sum(rows.values()), 'row')}, {target.stat().st_size / 1e6:,.0f} MB"
    new_console().print(f"{target}: {size}")


@command()
@click.option("--json", "as_json", is_flag=True, help="For programs: one object, with a finding for each subject.")
@click.option("--port", type=click.IntRange(1, LAST_PORT), help="Serve that object on 127.0.0.1: status 200, or 503 if anything is broken.")
@settings_option
def doctor(as_json: bool, port: int | None, settings_path: Path | None) -> None:
    """Report on snapshots, database, next run, disk, source, runs and daemon; exit code 1 if anything is broken. Changes nothing.

    Example: segmentation doctor --json
    """
    settings = settings_in_force(settings_path)
    if port is not None:
        serve_health(port, lambda: _as_json(_findings(settings)))
        return
    found = _findings(settings)
    if as_json:
        say(_as_json(found)[1])
    else:
        for one in found:
            say(f"{one.subject:<16} {one.state:<15} {commands(one.message)}")
        say(", ".join(f"{number} {state}" for state, number in _numbers(found).items() if number))
    if _broken(found):
        raise click.exceptions.Exit(1)


def _findings(settings: Settings) -> "list[Finding]":
    from segmentation_assets.defs import health as health_of_runs
    from segmentation_assets.store import health

    now = dt.datetime.now(dt.UTC)
    return [*health.findings(settings, now), *health_of_runs.findings(settings, now)]


def _numbers(found: "list[Finding]") -> dict[str, int]:
    from segmentation_assets.store.health import State

    return {state.value: sum(one.state == state for one in found) for state in State}


def _broken(found: "list[Finding]") -> bool:
    return any(one.state == one.state.BROKEN for one in found)


def _as_json(found: "list[Finding]") -> tuple[bool, str]:
    """Whether nothing is broken, and the findings as JSON."""
    return not _broken(found), json.dumps({"counts": _numbers(found), "findings": [vars(one) for one in found]}, indent=2)


@command()
def settings() -> None:
    """Print every setting with its default, allowed values and description, as a Markdown table.

    Example: segmentation settings
    """
    from segmentation_assets.settings import reference

    say(reference.markdown())


def _write_csv(result: "duckdb.DuckDBPyRelation") -> None:
    """Write to standard output through a pipe, because the engine would empty a file that output is appended to."""
    into, out_of = os.pipe()[::-1]

    def write() -> None:
        try:
            result.write_csv(f"{PIPES}/{into}")
        finally:
            os.close(into)

    with ThreadPoolExecutor(1) as other, os.fdopen(out_of, "rb") as lines:
        writing = other.submit(write)
        if sys.stdout.isatty():
            for row in lines:
                say(row.decode(), nl=False)
        shutil.copyfileobj(lines, sys.stdout.buffer)
        sys.stdout.buffer.flush()
        writing.result()
