"""What runs when: the job that makes a snapshot, its two halves, the schedule, and the sensors."""

import datetime as dt
import hashlib
from zoneinfo import ZoneInfo

import dagster as dg

from segmentation_assets.defs import heartbeats
from segmentation_assets.defs.order import FEATURES, IN_ORDER, PICTURES, SEGMENT, SNAPSHOT, is_being_made
from segmentation_assets.defs.resources import PARTITION
from segmentation_assets.report.fetching import fetch
from segmentation_assets.settings.loading import Settings
from segmentation_assets.settings.snapshots import existing_keys, tick
from segmentation_assets.sources import SourceError, open_source
from segmentation_assets.store import database_files, freshness, provenance, published
from segmentation_assets.store.freshness import Cause, LateRows, Stale
from segmentation_assets.store.lake import opened
from segmentation_assets.vocabulary import counted

WHY = "segmentation/why"  # tag of a run that a sensor requested
FIRST_HALF = ("collect", "clean", "features", "exploration")  # groups that need no model

snapshot_job = dg.define_asset_job(
    SNAPSHOT, selection=dg.AssetSelection.all(), tags=IN_ORDER,
    description="Make one snapshot: collect, clean, engineer, explore, model, evaluate, interpret, check and publish it. For several, "
    "use a backfill: a run each, in order. The Launchpad, behind the arrow next to Materialize all, can ask for a challenger or an earlier "
    "model.",
)  # fmt: skip
features_job = dg.define_asset_job(
    FEATURES, selection=dg.AssetSelection.groups(*FIRST_HALF),
    description="The first half of a snapshot, up to the features and pictures. Later snapshots depend on it.",
)  # fmt: skip
segment_job = dg.define_asset_job(
    SEGMENT, selection=dg.AssetSelection.all() - dg.AssetSelection.groups(*FIRST_HALF), tags=IN_ORDER,
    description="The second half of a snapshot whose features exist: model, evaluate, interpret, check and publish it.",
)  # fmt: skip

pictures_job = dg.define_asset_job(
    PICTURES, tags=IN_ORDER,
    selection=dg.AssetSelection.all() - dg.AssetSelection.groups("collect", "clean", "features")
    - dg.AssetSelection.checks(dg.AssetCheckKey(dg.AssetKey("published_database"), "no_rows_came_late"))
    - dg.AssetSelection.assets("audience_delivery"),
    description="Draw the pictures of a snapshot that was made without them, and its report; the source is not read, and its tables do not "
    "change.",
)  # fmt: skip


def cron(settings: Settings) -> str:
    """When the schedule ticks: at the set time, in the snapshots' zone, on every snapshot's date."""
    first, time = settings.snapshots.first, f"{settings.schedule.minute} {settings.schedule.hour}"
    match settings.snapshots.cadence:
        case "monthly":
            return f"{time} {first.day} * *"  # on the snapshot's day of every month
        case "weekly":
            return f"{time} * * {first.isoweekday() % 7}"  # on the snapshot's weekday; cron counts from Sunday = 0
        case _:
            return f"{time} * * *"  # every day


def newest_snapshot_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """Make the newest snapshot at each cadence; on by default if the settings enable it."""

    @dg.schedule(
        name="newest_snapshot", job=snapshot_job, cron_schedule=cron(settings), execution_timezone=settings.snapshots.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING if settings.schedule.enabled else dg.DefaultScheduleStatus.STOPPED,
        description="Makes the newest snapshot: segments customers and flags drift.",
    )  # fmt: skip
    def newest_snapshot(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        keys = existing_keys(settings.snapshots, context.scheduled_execution_time)
        if not keys:
            return dg.SkipReason(f"The first snapshot, {settings.snapshots.first}, is in the future.")
        if settings.lake.url:
            _refresh(settings, context.instance)
        earlier = [one for one in missing(settings, context.scheduled_execution_time) if one.snapshot < keys[-1]]
        if earlier:
            return dg.SkipReason(f"{freshness.sentences(earlier)[0]}. The sensor catch_up makes what was missed, in order.")
        return dg.RunRequest(partition_key=keys[-1])

    return newest_snapshot


def missing(settings: Settings, now: dt.datetime) -> list[Stale]:
    """Snapshots that should have been made by `now` and were not: after the latest published one, oldest first. None before the
    first is published, because nobody has requested any history yet."""
    made = published.keys(settings.data_dir)
    later = [key for key in existing_keys(settings.snapshots, now) if made and key > made[-1]]
    with opened(settings.data_dir) as lake:
        return freshness.stale(settings, lake, later, {Cause.NEVER_MADE, Cause.STOPPED})


def _refresh(settings: Settings, instance: dg.DagsterInstance) -> None:
    """Fetch what other machines made, unless a run here is at work, which does so when it begins."""
    if settings.lake.url and not is_being_made(instance):
        fetch(settings)


def _sensor_status(settings: Settings) -> dg.DefaultSensorStatus:
    """Sensors that make snapshots are on by default if the schedule is."""
    return dg.DefaultSensorStatus.RUNNING if settings.schedule.enabled else dg.DefaultSensorStatus.STOPPED


CLOSING_INTERVAL = 60  # seconds between two looks for runs that were killed


@dg.sensor(
    name="killed_runs", minimum_interval_seconds=CLOSING_INTERVAL, default_status=dg.DefaultSensorStatus.RUNNING,
    description="Closes runs that were killed, so that those behind them in the queue start. Always on while the daemon runs.",
)  # fmt: skip
def killed_runs_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Close killed runs, as each command does at its start, so that an unattended queue moves on."""
    closed = heartbeats.close_dead_runs(context.instance, dt.datetime.now(dt.UTC))
    return dg.SkipReason(f"Closed as killed: {', '.join(closed)}." if closed else "No run was killed.")


CATCH_UP_INTERVAL = 30  # seconds between two looks at what is missing
ATTEMPTS = 3
GRACE, PATIENCE = dt.timedelta(minutes=5), dt.timedelta(minutes=10)  # after the tick, and after each failure (doubled every time)


def catch_up_sensor(settings: Settings) -> dg.SensorDefinition:
    """Make up for ticks that were missed or whose runs failed: the oldest missing snapshot first, a few times with increasing delays."""

    @dg.sensor(
        name="catch_up", job=snapshot_job, minimum_interval_seconds=CATCH_UP_INTERVAL,
        default_status=_sensor_status(settings),
        description="Makes snapshots whose tick was missed or whose run failed: oldest first, each up to three times.",
    )  # fmt: skip
    def catch_up(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        return next_to_catch_up(settings, context.instance, dt.datetime.now(dt.UTC))

    return catch_up


def next_to_catch_up(settings: Settings, instance: dg.DagsterInstance, now: dt.datetime) -> dg.RunRequest | dg.SkipReason:
    """The request for the oldest missing snapshot at `now`, or why there is none."""
    _refresh(settings, instance)
    due = [one for one in missing(settings, now) if now >= tick(one.snapshot, settings.snapshots, settings.schedule) + GRACE]
    if not due:
        return dg.SkipReason("Nothing was missed.")
    if is_being_made(instance):
        return dg.SkipReason("A snapshot is being made.")
    key = due[0].snapshot
    failed = instance.get_run_records(
        dg.RunsFilter(job_name=snapshot_job.name, tags={PARTITION: key}, statuses=[dg.DagsterRunStatus.FAILURE])
    )
    if len(failed) >= ATTEMPTS:
        return dg.SkipReason(f"{key} failed {counted(len(failed), 'time')}. Remove the cause, then: segmentation run --snapshot {key}")
    if failed:
        again = max(record.update_timestamp for record in failed).astimezone(dt.UTC) + PATIENCE * 2 ** (len(failed) - 1)
        if now < again:
            local = again.astimezone(ZoneInfo(settings.snapshots.timezone))
            return dg.SkipReason(f"{key} failed; it will be tried again after {local:%Y-%m-%d %H:%M} {settings.snapshots.timezone}.")
    return dg.RunRequest(run_key=f"{key} after {len(failed)} failures", partition_key=key, tags={WHY: freshness.sentences(due[:1])[0]})


CHANGES_INTERVAL = 60  # seconds between two looks at the source


def source_changes_sensor(settings: Settings) -> dg.SensorDefinition:
    """Notice changes in source and lake, and request the snapshots concerned and those that build on them."""

    @dg.sensor(
        name="source_changes", jobs=[snapshot_job, features_job], minimum_interval_seconds=CHANGES_INTERVAL,
        default_status=_sensor_status(settings),
        description="Makes snapshots again whose rows changed at the source, whose runs were stopped after collecting, or whose tables "
        "are missing from the lake, and those that build on them.",
    )  # fmt: skip
    def source_changes(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        return look_for_changes(settings, context.instance, context.cursor)

    return source_changes


def look_for_changes(settings: Settings, instance: dg.DagsterInstance, cursor: str | None) -> dg.SensorResult | dg.SkipReason:
    """Requests for the snapshots to make again, in order, or why there are none. The cursor is the last state seen."""
    private = settings.data_dir / database_files.PRIVATE
    try:
        _refresh(settings, instance)
        source = open_source(settings)
        source_then, _, lake_then = (cursor or "").rpartition("\n")
        source_now, lake_now = source.fingerprint(), provenance.state(settings.data_dir / "lake", private)
        if (source_then, lake_then) == (source_now, lake_now):
            return dg.SkipReason("Neither the source nor the lake has changed.")
        if is_being_made(instance):
            return dg.SkipReason("A snapshot is being made.")
        keys, records = published.keys(settings.data_dir), provenance.recorded(private)
        counting = sorted(key for key in {*keys, *records} if keys and key <= keys[-1])
        with opened(settings.data_dir) as lake:
            # If only the lake changed, its rows were collected from the source as last seen.
            late = freshness.late_rows(settings, source, lake, records, by_content=True) if source_now != source_then else LateRows()
            found = freshness.stale(settings, lake, counting, freshness.UNASKED, late.found)
            digest = hashlib.sha256(f"{source_now}\n{provenance.contents(lake, private)}\n{found}".encode()).hexdigest()[:12]
    except SourceError as error:
        return dg.SkipReason(f"The source cannot be read at the moment: {error}")  # such as a file that is still being written
    cursor = f"{source_now}\n{lake_now}"
    if not found:
        return dg.SensorResult(skip_reason="Something has changed, but it affects no snapshot that was made.", cursor=cursor)
    tags = {WHY: "; ".join(freshness.sentences(found))}
    requests = [
        # Snapshots of which only the first half was made, for others to build on, get only the first half again.
        dg.RunRequest(f"{key} {digest}", partition_key=key, job_name=snapshot_job.name, tags=tags)
        if key in keys
        else dg.RunRequest(f"{key} {digest}", partition_key=key, job_name=features_job.name, tags=tags | IN_ORDER)
        for key in dict.fromkeys(one.snapshot for one in found)
    ]
    return dg.SensorResult(requests, cursor=cursor)
