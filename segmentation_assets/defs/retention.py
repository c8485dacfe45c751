"""Removes Dagster's records of old runs, each day if the daemon runs, and after a successful `segmentation run`."""

import datetime as dt
import shutil
from pathlib import Path

import dagster as dg
from dagster._core.storage.event_log import SqlEventLogStorage, SqlEventLogStorageTable
from sqlalchemy import func, select

from segmentation_assets.event_log import KeptOpenSqliteEventLogStorage
from segmentation_assets.report import report
from segmentation_assets.report.words import Words
from segmentation_assets.settings.loading import Settings
from segmentation_assets.store import retention
from segmentation_assets.vocabulary import counted

ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


def tidied(instance: dg.DagsterInstance, settings: Settings, now: dt.datetime) -> list[str]:
    """Remove what is older than the settings allow from the log and the data folder; return a sentence on each kind that was removed.

    Unfinished runs are left alone, however old.
    """
    said = retention.tidied(settings.data_dir, settings.retention, now)
    report.link_again(settings.data_dir, Words.of(settings))
    if settings.retention.logs is None:
        return said
    before, log = now - dt.timedelta(days=settings.retention.logs), instance.event_log_storage
    old = instance.get_run_records(dg.RunsFilter(statuses=ENDED, updated_before=before))
    if not old or not isinstance(log, SqlEventLogStorage):
        return said
    shown = _shown(log)
    removed = [_removed(instance, run.dagster_run.run_id, run.dagster_run.run_id in shown) for run in old]
    days = counted(settings.retention.logs, "day")
    return [*said, f"records of {counted(sum(removed), 'run')} that ended more than {days} ago"] if any(removed) else said


def _shown(log: SqlEventLogStorage) -> set[str]:
    """The runs that last made a partition of a table, which the page shows. Dagster's own query reads every event in full."""
    events = SqlEventLogStorageTable.c
    made = events.dagster_event_type == dg.DagsterEventType.ASSET_MATERIALIZATION.value
    newest = select(func.max(events.id)).where(made).group_by(events.asset_key, events.partition)
    with log.index_connection() as index:
        return set(index.execute(select(events.run_id).where(events.id.in_(newest))).scalars())


def _removed(instance: dg.DagsterInstance, run_id: str, shown: bool) -> bool:
    """Remove a run, or only its steps if the page shows what it made; return whether anything was removed."""
    printed = Path(instance.root_directory) / "storage" / run_id
    shutil.rmtree(printed, ignore_errors=True)
    if not shown:
        instance.delete_run(run_id)
        return True
    log = instance.event_log_storage
    return isinstance(log, KeptOpenSqliteEventLogStorage) and log.forget(run_id)


@dg.op(description="Remove what is older than the section `retention` of the settings allows.")
def tidy(context: dg.OpExecutionContext, settings: dg.ResourceParam[Settings]) -> None:
    """Remove what is old, and log it."""
    removed = tidied(context.instance, settings, dt.datetime.now(dt.UTC))
    context.log.info(f"Removed: {'; '.join(removed) or 'nothing'}.")


@dg.job(name="retention", description="Removes records of old runs, old reports, and databases that were set aside (settings: retention).")
def retention_job() -> None:
    """Runs each day, in one step."""
    tidy()


retention_schedule = dg.ScheduleDefinition(
    name="retention", job=retention_job, cron_schedule="30 3 * * *", default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Removes old records each day.",
)  # fmt: skip
