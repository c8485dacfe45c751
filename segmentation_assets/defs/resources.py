"""The resources of assets and checks: the lake, on an engine that is closed when the run ends, and the source."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

import dagster as dg

from segmentation_assets import atomic
from segmentation_assets.defs import heartbeats
from segmentation_assets.defs.order import PICTURES, SEGMENT, take_turn
from segmentation_assets.report.fetching import fetch
from segmentation_assets.settings.loading import Settings
from segmentation_assets.sources import Source, open_source
from segmentation_assets.store import layout, published, sharing
from segmentation_assets.store.lake import Lake, opened

BACKFILL, PARTITION = "dagster/backfill", "dagster/partition"  # Dagster's tags of a run
GENERATION = "segmentation/generation"  # tag of a run: its id, and the generation of the working copy in which it began
AGAIN = "Run the same command again."
FAILED = {dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}


class LakeResource(dg.ConfigurableResource[Lake]):
    """The lake of the settings' data folder."""

    settings: dg.ResourceDependency[Settings]

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Lake]:
        settings = self.settings
        published.require_calendar(settings.data_dir, settings.snapshots)
        if context.run is not None and context.instance is not None:
            _require_earlier_ones(context.instance, context.run)
        atomic.sweep(settings.data_dir, time.time())
        layout.prepare(settings.data_dir)
        with _shown_alive(context):
            if context.run is not None and context.instance is not None:
                take_turn(context.instance, context.run, settings.lake.url or settings.data_dir.resolve(), context.log)
            guard = _guard(context, settings)  # first, as it brings the working copy to the newest version
            with opened(settings.data_dir, settings.engine, guard, sharing.objects(settings)) as lake:
                yield lake


def _guard(context: dg.InitResourceContext, settings: Settings) -> Callable[[], None]:
    """What stops the run once the working copy of a shared lake is brought to a version that another machine made since it began, which is
    its first step: there, it is brought to the newest one."""
    run, instance = context.run, context.instance
    if not settings.lake.url or run is None or instance is None:
        return lambda: None
    owner, _, begun = run.tags.get(GENERATION, "").partition(" ")
    if owner != run.run_id:  # its first step, and not the tag that a run has from the one that it tries again
        told = sharing.in_words(fetch(settings))
        if told and run.job_name == SEGMENT:
            raise dg.Failure(f"{told} The first half of this snapshot, made here before, was discarded. {AGAIN}", allow_retries=False)
        begun = str(sharing.generation(settings.data_dir))
        instance.add_run_tags(run.run_id, {GENERATION: f"{run.run_id} {begun}"})
    return partial(sharing.require_generation, settings, int(begun))


def _require_earlier_ones(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """Stop a run of a backfill before its first step if an earlier snapshot, on which it would build, failed."""
    backfill, key = run.tags.get(BACKFILL), run.tags.get(PARTITION)
    if backfill is None or key is None:
        return
    last: dict[str, dg.DagsterRunStatus] = {}  # a snapshot may have been tried several times
    for other in instance.get_runs(dg.RunsFilter(tags={BACKFILL: backfill})):
        last.setdefault(other.tags.get(PARTITION, key), other.status)
    failed = min((snapshot for snapshot, status in last.items() if snapshot < key and status in FAILED), default=None)
    if failed is not None:
        raise dg.Failure(
            f"{failed}, from the same backfill, failed, and {key} would build on it. Remove the cause, then make them again: "
            f"segmentation run --from {failed}"
        )


def _shown_alive(context: dg.InitResourceContext) -> AbstractContextManager[None]:
    """A heartbeat of the run, however it was started, because every run needs the lake. None outside of a run."""
    if context.instance is None or context.run is None:
        return nullcontext()
    return heartbeats.beating(context.instance, context.run.run_id)


class SourceResource(dg.ConfigurableResource[Source]):
    """The source in the settings."""

    settings: dg.ResourceDependency[Settings]

    def create_resource(self, context: dg.InitResourceContext) -> Source:
        drawing = context.run is not None and context.run.job_name == PICTURES
        return open_source(self.settings, to_read=not drawing)
