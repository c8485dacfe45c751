"""Making snapshots from the command line: what needs to run, running it in Dagster's instance, and what went wrong.

Belongs here: the order of runs and their outcome. What users see of it is in `make` and `summary`.
"""

import logging
import multiprocessing
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import dagster as dg

from segmentation_assets.cli.stopping import begin_as_other, end_others, interruptible, stopped_by_signals
from segmentation_assets.cli.terminal import STILL_TO_COME, Stopped, say
from segmentation_assets.definitions import build
from segmentation_assets.defs.alerts import PUBLISHED
from segmentation_assets.defs.instance import instance_of_command
from segmentation_assets.defs.messages import AFTER_PUBLISHING
from segmentation_assets.defs.order import PICTURES, WAITING
from segmentation_assets.defs.pictures import LEFT_OUT
from segmentation_assets.engines import exchange
from segmentation_assets.report.fetching import fetch
from segmentation_assets.settings import snapshots
from segmentation_assets.settings.engine import SparkConnect
from segmentation_assets.settings.loading import Settings
from segmentation_assets.sources import open_source
from segmentation_assets.store import freshness, published, restoring, sharing
from segmentation_assets.store.lake import opened
from segmentation_assets.vocabulary import without_few

CLASS_PATH = re.compile(r"^(\w+\.)+[A-Z]\w*: ")  # such as `segmentation_assets.sources.base.SourceError: `
Progress = Callable[[str, int, int], None]  # name of the step that began or ended, steps ended, steps in all


class RunError(RuntimeError):
    """A snapshot could not be made; the message says what failed and what to do."""


@dataclass(frozen=True)
class Plan:
    """The work to do.

    Attributes:
        features: earlier snapshots that have no features yet, which are made first.
        run: snapshots to make; current: those that are up to date and left alone.
        why: sentences on those that were made before and are out of date.
    """

    features: list[str]
    run: list[str]
    current: list[str]
    why: list[str]


@dataclass(frozen=True)
class Outcome:
    """One run of a snapshot: its id in Dagster's instance, and the warnings of its checks."""

    key: str
    run_id: str
    warnings: list[str]


def existing_keys(settings: Settings) -> list[str]:
    """Keys of all snapshots dated up to today, oldest first.

    Raises:
        RunError: the first one is in the future.
    """
    keys = snapshots.existing_keys(settings.snapshots)
    if not keys:
        raise RunError(STILL_TO_COME)
    return keys


def plan(settings: Settings, wanted: list[str], again: bool, to_read: bool = True) -> Plan:
    """What to do for the wanted snapshots: make those that are out of date or build on one that is; with `again`, make all of them.

    Args:
        to_read: whether the source will be read, which takes the key of its pseudonyms.
    """
    if fetched := sharing.in_words(fetch(settings)):
        say(fetched)
    published.require_calendar(settings.data_dir, settings.snapshots)
    source = open_source(settings, to_read)  # one that would be refused, such as without the key, stops before anything is made
    with opened(settings.data_dir) as lake:
        found = [] if again else freshness.stale(settings, lake, wanted, fingerprint=source.fingerprint)
        have_features = set(lake.keys("customer_features"))
    run = wanted if again else list(dict.fromkeys(one.snapshot for one in found))
    earlier = [key for key in existing_keys(settings) if run and key < run[0] and key not in have_features]
    made = published.keys(settings.data_dir)
    return Plan(
        features=earlier,
        run=run,
        current=[key for key in wanted if key not in run],
        why=freshness.sentences([one for one in found if one.snapshot in made]),
    )


def carry_out(settings: Settings, planned: Plan, instance: dg.DagsterInstance, progress: Progress) -> Iterator[Outcome]:
    """Make the planned snapshots one after the other, and yield an outcome as each is done.

    If there are several, their first halves (features) run ahead in a second process: a first half needs only earlier first halves, so
    two cores are at work. Only the newest gets pictures.

    Raises:
        RunError: a snapshot could not be made; those before it are published.
        Stopped: the user stopped it.
    """
    before, remaining = published.stamp(settings.data_dir), list(planned.run)
    try:
        with stopped_by_signals():
            for outcome in _carried_out(settings, planned, instance, progress):
                before = published.stamp(settings.data_dir)
                remaining.remove(outcome.key)
                yield outcome
    except KeyboardInterrupt as error:
        raise Stopped(_stopped(remaining[0], before != published.stamp(settings.data_dir))) from error


def draw(settings: Settings, key: str, instance: dg.DagsterInstance, progress: Progress) -> None:
    """Draw the pictures of a snapshot that is up to date, from the lake.

    Raises:
        RunError: they could not be drawn.
        Stopped: the user stopped it.
    """
    try:
        with stopped_by_signals():
            interruptible(partial(run_partition, settings, PICTURES, key, instance, progress), instance)
    except KeyboardInterrupt as error:
        raise Stopped(_stopped(key, False)) from error


def _stopped(key: str, done: bool) -> str:
    outcome = f"{key} had just been published" if done else f"{key} was not published; the database is unchanged"
    return f"Stopped by you. {outcome}. Continue with: segmentation {shlex.join(sys.argv[1:])}"


def _carried_out(settings: Settings, planned: Plan, instance: dg.DagsterInstance, progress: Progress) -> Iterator[Outcome]:
    def made(job: str, key: str) -> Outcome:
        return interruptible(partial(run_partition, settings, job, key, instance, progress, key == planned.run[-1]), instance)

    if len(planned.features + planned.run) == 1:
        yield made("snapshot", planned.run[0])
        return
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), begin_as_other) as ahead:
        try:
            halves = {key: ahead.submit(_features, settings, key, key == planned.run[-1]) for key in planned.features + planned.run}
            for key in planned.run:
                for earlier in [k for k in halves if k <= key]:
                    first = halves.pop(earlier).result()
                second = made("segment", key)
                yield Outcome(key, second.run_id, [*first.warnings, *second.warnings])
        except KeyboardInterrupt:
            end_others(instance)
            if isinstance(settings.engine, SparkConnect) and settings.engine.exchange:
                exchange.remove_left(settings.engine.exchange, settings.data_dir)
            raise
        finally:
            ahead.shutdown(cancel_futures=True)


def _features(settings: Settings, key: str, drawn: bool) -> Outcome:
    with instance_of_command() as instance:
        return run_partition(settings, "features", key, instance, lambda *_: None, drawn)


def run_partition(settings: Settings, job: str, key: str, instance: dg.DagsterInstance, progress: Progress, drawn: bool = True) -> Outcome:
    """Run a job for one snapshot in this process, recorded in the instance; without pictures unless `drawn`.

    Raises:
        RunError: a step or a blocking check failed; unless that was after publishing, the database is unchanged.
    """
    with _watched(build(settings).resolve_job_def(job), progress) as watched:
        result = watched.execute_in_process(
            partition_key=key,
            instance=instance,
            tags={} if drawn else LEFT_OUT,
            raise_on_error=False,
            run_config={"loggers": {"progress": {}}},
        )
    failed = [e for e in result.get_asset_check_evaluations() if not e.passed]
    if not result.success:
        blocking = [_sentence(e) for e in failed if e.severity == dg.AssetCheckSeverity.ERROR]
        problem = "\n".join(blocking) if blocking else restoring.with_remedy(_root_cause(result))
        there = any(event.is_step_success and event.step_key == PUBLISHED.to_user_string() for event in result.all_events)
        outcome = AFTER_PUBLISHING if there else "was not published; the database is unchanged."
        remedy = f"Then make its report again: segmentation pictures --snapshot {key}\n" if there else ""
        raise RunError(f"Snapshot {key} {outcome}\n{problem}\n{remedy}Details: run {result.run_id} in the UI (segmentation ui).")
    return Outcome(key, result.run_id, [without_few(_sentence(e), settings.privacy.smallest_cell) for e in failed])


def _sentence(evaluation: dg.AssetCheckEvaluation) -> str:
    return f"{evaluation.asset_key.to_user_string()}, check {evaluation.check_name}: {evaluation.description}"


def _root_cause(result: dg.ExecuteInProcessResult) -> str:
    """The message of the innermost error of the first failed step, or of a failure before the first step, such as in opening the source."""
    for event in result.all_events:
        error = event.step_failure_data.error if event.is_step_failure else event.job_failure_data.error if event.is_job_failure else None
        if error:
            while error.cause:
                error = error.cause
            message = CLASS_PATH.sub("", error.message.strip())
            return f"{event.step_key}: {message}" if event.is_step_failure else message
    return "The run failed before its first step."


@contextmanager
def _watched(job: dg.JobDefinition, progress: Progress) -> Iterator[dg.JobDefinition]:
    """The job, with its events passed to `progress` instead of the terminal."""
    total = len(job.graph.nodes)
    ended: set[str] = set()

    class Watcher(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told = getattr(record, "dagster_meta", {})
            event, message = told.get("dagster_event"), str(told.get("orig_message"))
            if event is not None and (event.is_step_start or event.is_step_success):
                ended.update([event.step_key] if event.is_step_success else [])
                progress(event.step_key, len(ended), total)
            elif message.startswith(WAITING):
                progress(message, len(ended), total)

    @dg.logger
    def progress_logger(_: dg.InitLoggerContext) -> logging.Logger:
        logger = logging.Logger("segmentation.progress", level=logging.DEBUG)
        logger.addHandler(Watcher())
        return logger

    yield job.with_logger_defs({"progress": progress_logger})
