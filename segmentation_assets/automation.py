"""What runs when: the job that makes a snapshot, its two halves, the schedule, and what makes up for missed or failed ticks."""

import datetime as dt
import hashlib

import dagster as dg

from segmentation_assets import publish
from segmentation_assets.contracts import BY_NAME
from segmentation_assets.engines import DuckDBEngine
from segmentation_assets.instance import ONE_AT_A_TIME
from segmentation_assets.lake import Lake, partition_keys
from segmentation_assets.partitions import existing_keys, snapshots, window_of
from segmentation_assets.settings import Settings
from segmentation_assets.sources import SourceError, arrivals, open_source

IN_ORDER = {ONE_AT_A_TIME: "one after the other"}
DESCRIBING = ("collect", "clean", "features", "exploration")  # groups that need no model

snapshot_job = dg.define_asset_job(
    "snapshot", selection=dg.AssetSelection.all(), executor_def=dg.in_process_executor, tags=IN_ORDER,
    description="Make one snapshot: collect, clean, engineer, explore, model, evaluate, interpret, check and publish it.",
)  # fmt: skip
describe_job = dg.define_asset_job(
    "describe", selection=dg.AssetSelection.groups(*DESCRIBING), executor_def=dg.in_process_executor,
    description="The first half of a snapshot, up to the features and pictures. Later snapshots look back on it.",
)  # fmt: skip
segment_job = dg.define_asset_job(
    "segment", selection=dg.AssetSelection.all() - dg.AssetSelection.groups(*DESCRIBING), tags=IN_ORDER,
    executor_def=dg.in_process_executor,
    description="The second half of a snapshot that was described: model, evaluate, interpret, check and publish it.",
)  # fmt: skip


def cron(settings: Settings) -> str:
    """When the schedule ticks: at the set time (UTC) of every day on which a snapshot begins to exist."""
    first, time = settings.snapshots.first, f"{settings.schedule.minute} {settings.schedule.hour}"
    match settings.snapshots.cadence:
        case "monthly":
            return f"{time} {first.day} * *"  # on the snapshot's day of every month
        case "weekly":
            return f"{time} * * {first.isoweekday() % 7}"  # on the snapshot's weekday; cron counts from Sunday = 0
        case _:
            return f"{time} * * *"  # every day


def newest_snapshot_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """Re-segments the newest snapshot and flags drift, at each cadence; runs by itself where the settings say so."""

    @dg.schedule(
        name="newest_snapshot", job=snapshot_job, cron_schedule=cron(settings), execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING if settings.schedule.enabled else dg.DefaultScheduleStatus.STOPPED,
        description="Re-segments the newest snapshot and flags drift.",
    )  # fmt: skip
    def newest_snapshot(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        keys = existing_keys(snapshots, context.scheduled_execution_time)
        if not keys:
            return dg.SkipReason(f"The first snapshot, {settings.snapshots.first}, is still to come.")
        earlier = [key for key in missing(settings, context.scheduled_execution_time) if key < keys[-1]]
        if earlier:
            return dg.SkipReason(f"{earlier[0]} was missed or failed; the sensor catch_up makes it and those after it, in order.")
        return dg.RunRequest(partition_key=keys[-1])

    return newest_snapshot


def missing(settings: Settings, now: dt.datetime) -> list[str]:
    """Snapshots that should have been made by `now` and were not: after the latest published one, oldest first. None before the
    first was published, since nobody has asked for history then."""
    published = publish.fingerprints(settings.data_dir)
    return [key for key in existing_keys(snapshots, now) if published and key > max(published)]


def _sensor_status(settings: Settings) -> dg.DefaultSensorStatus:
    """Sensors that make snapshots run by themselves where the schedule does."""
    return dg.DefaultSensorStatus.RUNNING if settings.schedule.enabled else dg.DefaultSensorStatus.STOPPED


CATCH_UP_INTERVAL = 30  # seconds between two looks at what is missing
ATTEMPTS = 3
GRACE, PATIENCE = dt.timedelta(minutes=5), dt.timedelta(minutes=10)  # after the tick, and after each failure (doubled every time)
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED,
]  # fmt: skip


def catch_up_sensor(settings: Settings) -> dg.SensorDefinition:
    """Makes up for ticks that were missed or whose runs failed: the oldest missing snapshot first, a few times, ever more patiently."""

    @dg.sensor(
        name="catch_up", job=snapshot_job, minimum_interval_seconds=CATCH_UP_INTERVAL,
        default_status=_sensor_status(settings),
        description="Makes snapshots whose tick was missed or whose run failed: oldest first, each up to three times.",
    )  # fmt: skip
    def catch_up(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        return next_to_catch_up(settings, context.instance, dt.datetime.now(dt.UTC))

    return catch_up


def next_to_catch_up(settings: Settings, instance: dg.DagsterInstance, now: dt.datetime) -> dg.RunRequest | dg.SkipReason:
    """The request for the oldest missing snapshot, or why there is none at the moment `now`."""
    due = [key for key in missing(settings, now) if now >= _tick(key, settings) + GRACE]
    if not due:
        return dg.SkipReason("Nothing was missed.")
    if instance.get_runs(dg.RunsFilter(tags=IN_ORDER, statuses=UNFINISHED), limit=1):
        return dg.SkipReason("A snapshot is being made.")
    key = due[0]
    failed = instance.get_run_records(
        dg.RunsFilter(job_name=snapshot_job.name, tags={"dagster/partition": key}, statuses=[dg.DagsterRunStatus.FAILURE])
    )
    if len(failed) >= ATTEMPTS:
        return dg.SkipReason(f"{key} failed {len(failed)} times. Remove the cause, then: segmentation run --snapshot {key}")
    if failed:
        again = max(record.update_timestamp for record in failed).astimezone(dt.UTC) + PATIENCE * 2 ** (len(failed) - 1)
        if now < again:
            return dg.SkipReason(f"{key} failed; it is tried again from {again:%Y-%m-%d %H:%M} UTC on.")
    return dg.RunRequest(run_key=f"{key} after {len(failed)} failures", partition_key=key)


def _tick(key: str, settings: Settings) -> dt.datetime:
    """When the schedule ticks for the snapshot."""
    return dt.datetime.combine(dt.date.fromisoformat(key), dt.time(settings.schedule.hour, settings.schedule.minute), dt.UTC)


CHANGES_INTERVAL = 60  # seconds between two looks at the files


def source_changes_sensor(settings: Settings) -> dg.SensorDefinition:
    """Notices new and changed source data, and requests the snapshots whose windows changed and those that build on them."""

    @dg.sensor(
        name="source_changes", job=snapshot_job, minimum_interval_seconds=CHANGES_INTERVAL,
        default_status=_sensor_status(settings),
        description="Runs snapshots again whose rows changed at the source after they were made, and those that build on them.",
    )  # fmt: skip
    def source_changes(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        try:
            source = open_source(settings)
            now = source.fingerprint()
            if now == context.cursor:
                return dg.SkipReason("The source has not changed.")
            found = changed_snapshots(settings)
        except SourceError as error:
            return dg.SkipReason(f"The source cannot be read now: {error}")  # such as a file that is still being written
        again = arrivals.to_run_again(found, partition_keys(settings.data_dir / "lake", "customer_segments"))
        if not again:
            return dg.SensorResult(skip_reason="The source has changed, but no snapshot that was made.", cursor=now)
        digest = hashlib.sha256(now.encode()).hexdigest()[:12]
        context.log.info("; ".join(f"{one.key}: {one.entity}, {one.came:,} rows came and {one.gone:,} went" for one in found))
        tags = {"segmentation/late_rows": f"{sum(one.came for one in found)} came, {sum(one.gone for one in found)} went"}
        return dg.SensorResult([dg.RunRequest(run_key=f"{key} {digest}", partition_key=key, tags=tags) for key in again], cursor=now)

    return source_changes


def changed_snapshots(settings: Settings) -> list[arrivals.Arrival]:
    """The snapshots that were collected and whose windows have other rows at the source now.

    Raises:
        SourceError: the source cannot be read.
    """
    engine = DuckDBEngine()
    try:
        lake, source = Lake(settings.data_dir / "lake", engine), open_source(settings)
        found: list[arrivals.Arrival] = []
        for entity in ("customers", "transactions", "events"):
            keys = lake.keys(f"raw_{entity}")
            collected = {key: lake.read(BY_NAME[f"raw_{entity}"], [key]) for key in keys}
            found += arrivals.changed(source, engine, entity, [(key, window_of(key, settings.snapshots)) for key in keys], collected)
        return found
    finally:
        engine.close()
