"""What Dagster recorded of runs is removed when its time is over, each day where the daemon runs, and after a good `segmentation run`."""

import datetime as dt
import shutil
from pathlib import Path

import dagster as dg
from dagster._core.storage.event_log import SqlEventLogStorage, SqlEventLogStorageTable
from sqlalchemy import func, select

from segmentation_assets.event_log import KeptOpenSqliteEventLogStorage
from segmentation_assets.settings.loading import Settings
from segmentation_assets.store import retention
from segmentation_assets.vocabulary import counted

ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


def tidied(instance: dg.DagsterInstance, settings: Settings, now: dt.datetime) -> list[str]:
    """Remove what is older than the settings say, of the log and of the data folder; a sentence on each kind of which there was some.

    Runs that go on or wait are left alone, however old.
    """
    said = retention.tidied(settings.data_dir, settings.retention, now)
    if settings.retention.logs is None:
        return said
    before, log = now - dt.timedelta(days=settings.retention.logs), instance.event_log_storage
    old = instance.get_run_records(dg.RunsFilter(statuses=ENDED, updated_before=before))
    if not old or not isinstance(log, SqlEventLogStorage):
        return said
    shown = _shown(log)
    removed = [_removed(instance, run.dagster_run.run_id, run.dagster_run.run_id in shown) for run in old]
    days = counted(settings.retention.logs, "day")
    return [*said, f"what was recorded of {counted(sum(removed), 'run')} more than {days} ago"] if any(removed) else said


def _shown(log: SqlEventLogStorage) -> set[str]:
    """The runs that last made a partition of a table, which the page shows of it. Dagster's own way reads each event whole."""
    events = SqlEventLogStorageTable.c
    made = events.dagster_event_type == dg.DagsterEventType.ASSET_MATERIALIZATION.value
    newest = select(func.max(events.id)).where(made).group_by(events.asset_key, events.partition)
    with log.index_connection() as index:
        return set(index.execute(select(events.run_id).where(events.id.in_(newest))).scalars())


def _removed(instance: dg.DagsterInstance, run_id: str, shown: bool) -> bool:
    """Remove a run, or only its steps where the page shows what it made; whether there was something."""
    printed = Path(instance.root_directory) / "storage" / run_id
    shutil.rmtree(printed, ignore_errors=True)
    if not shown:
        instance.delete_run(run_id)
        return True
    log = instance.event_log_storage
    return isinstance(log, KeptOpenSqliteEventLogStorage) and log.forget(run_id)


@dg.op(description="Remove what is older than the section `retention` of the settings says.")
def tidy(context: dg.OpExecutionContext, settings: dg.ResourceParam[Settings]) -> None:
    """The step of the job, which says what it removed."""
    removed = tidied(context.instance, settings, dt.datetime.now(dt.UTC))
    context.log.info(f"Removed: {'; '.join(removed) or 'nothing'}.")


@dg.job(name="retention", description="Removes records of old runs, old reports, and databases that were set aside (settings: retention).")
def retention_job() -> None:
    """One step, each day."""
    tidy()


retention_schedule = dg.ScheduleDefinition(
    name="retention", job=retention_job, cron_schedule="30 3 * * *", default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Each day, wherever the daemon runs.",
)  # fmt: skip
