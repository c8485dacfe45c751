"""Alerts: the sensors that notice how runs of a snapshot ended, and the sending of messages to the addresses in the environment.

What the messages say is in `messages`. An alert never touches the run it is about: what cannot be delivered fails the
sensor's tick, whose error names the variable.
"""

import logging
import os
import re
from collections.abc import Mapping, Sequence

import dagster as dg

from segmentation_assets.defs import messages as alert_messages
from segmentation_assets.defs.automation import segment_job, snapshot_job
from segmentation_assets.defs.messages import Message
from segmentation_assets.engines.duckdb import DuckDBEngine
from segmentation_assets.settings.loading import Settings
from segmentation_assets.store.lake import Lake, to_frame
from segmentation_assets.tables.model import DRIFT_REPORT, MODEL_REGISTRY
from segmentation_assets.tables.raw import SOURCE_VOLUME
from segmentation_assets.vocabulary import counted

JOBS = (snapshot_job.name, segment_job.name)
KINDS = {"drift": "warning", "volume": "warning", "failed_check": "failure", "failed_run": "failure", "promoted_model": "info"}
INTERVAL = 10  # seconds between two ticks; a tick ends at the first run that has nothing to tell
LOUD = ("apprise", "urllib3", "urllib3.connectionpool")  # loggers that write whole addresses, secrets and all


class AlertError(RuntimeError):
    """Alerts were not delivered; the message names the variables, never the addresses in them."""


def addresses(settings: Settings) -> dict[str, str]:
    """Apprise URL by the name of the variable that holds it; empty where it is not set. Not to be logged or stored."""
    return {name: os.environ.get(name, "").strip() for name in settings.alerts.url_variables}


def send(messages: Sequence[Message], urls: Mapping[str, str]) -> None:
    """Send every message to every address. One that fails is not tried again, so that it does not hold up the others.

    Args:
        urls: Apprise URL by the name of the variable it came from.

    Raises:
        AlertError: an address is missing or wrong, or did not take a message. The others got theirs.
    """
    problems = [problem for variable, url in urls.items() if (problem := _send_to(variable, url, messages))]
    if problems:
        raise AlertError(" ".join(problems))


def _send_to(variable: str, url: str, messages: Sequence[Message]) -> str | None:
    """What went wrong, as a sentence; None where every message was delivered."""
    if not url:
        return f"{variable} is not set, but alerts.url_variables names it: set it for the daemon (see docs/alerts.md), or take it out."
    for name in LOUD:  # for good: a delivery that timed out still goes on, and logs, in its own thread
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    import apprise

    service = apprise.Apprise(asset=apprise.AppriseAsset(app_id="Customer segments", async_mode=False))
    if not service.add(url):
        return f"{variable} holds no Apprise URL, such as slack://... or mailtos://...: correct it (see docs/alerts.md)."
    for number, message in enumerate(messages):
        try:
            delivered = bool(
                service.notify(message.body, message.title, notify_type=KINDS[message.event], body_format=apprise.NotifyFormat.TEXT)
            )
        except Exception:  # its text may hold the address
            delivered = False
        if not delivered:
            lost = len(messages) - number
            failed = f"{lost} of {counted(len(messages), 'alert')} {'was' if lost == 1 else 'were'} not delivered"
            return f'{variable}: {failed}. Try the address by itself: apprise -b test "${variable}"'
    return None


def alert_sensors(settings: Settings) -> list[dg.SensorDefinition]:
    """One sensor for runs that succeeded and one for those that failed; both run by themselves where an address is configured.

    Each remembers the last run it looked at, so that each event is reported once. They look at all code locations because Dagster
    counts runs of the command line to none, and would leave them out.
    """
    status = dg.DefaultSensorStatus.RUNNING if settings.alerts.url_variables else dg.DefaultSensorStatus.STOPPED

    @dg.run_status_sensor(
        run_status=dg.DagsterRunStatus.SUCCESS, name="alerts_of_successes", monitor_all_code_locations=True,
        minimum_interval_seconds=INTERVAL, default_status=status,
        description="Tells of missing rows, drift and promoted models once a snapshot was made.",
    )  # fmt: skip
    def alerts_of_successes(context: dg.RunStatusSensorContext) -> dg.SkipReason | None:
        return _tell(settings, context)

    @dg.run_failure_sensor(
        name="alerts_of_failures", monitor_all_code_locations=True,
        minimum_interval_seconds=INTERVAL, default_status=status,
        description="Tells of failed runs and of the checks that failed in them.",
    )  # fmt: skip
    def alerts_of_failures(context: dg.RunFailureSensorContext) -> dg.SkipReason | None:
        return _tell(settings, context)

    return [alerts_of_successes, alerts_of_failures]


def _tell(settings: Settings, context: dg.RunStatusSensorContext) -> dg.SkipReason | None:
    if not settings.alerts.url_variables:
        return dg.SkipReason("No address is configured; name one in alerts.url_variables (see docs/alerts.md).")
    if context.dagster_run.job_name not in JOBS or not context.partition_key:
        return dg.SkipReason("Not a run that makes a snapshot.")
    messages = [message for message in messages_of(settings, context) if message.event in settings.alerts.events]
    if not messages:
        return dg.SkipReason("Nothing to tell.")
    send(messages, addresses(settings))
    return None


def messages_of(settings: Settings, context: dg.RunStatusSensorContext) -> list[Message]:
    """Every event of the run that has ended, as messages."""
    run, key = context.dagster_run, context.partition_key or ""
    link = f"{settings.alerts.link}/runs/{run.run_id}"
    failed = run.status == dg.DagsterRunStatus.FAILURE
    checks = [event.asset_check_evaluation_data for event in _events(context, dg.DagsterEventType.ASSET_CHECK_EVALUATION)]
    messages = alert_messages.of_checks(checks, key, link, published=not failed)
    if failed:
        return [*alert_messages.of_failure(*_root_cause(context), key, link), *messages]
    engine = DuckDBEngine(threads=1)
    try:
        lake = Lake(settings.data_dir / "lake", engine)
        drift, registry, volume = (to_frame(lake.read(contract, [key])) for contract in (DRIFT_REPORT, MODEL_REGISTRY, SOURCE_VOLUME))
    finally:
        engine.close()
    found = (
        alert_messages.of_volume(volume, key, link),
        alert_messages.of_drift(drift, key, link),
        alert_messages.of_models(registry, key, link),
    )
    return [*messages, *(message for some in found for message in some)]


def _events(context: dg.RunStatusSensorContext, kind: dg.DagsterEventType) -> list[dg.DagsterEvent]:
    entries = context.instance.all_logs(context.dagster_run.run_id, of_type=kind)
    return [entry.dagster_event for entry in entries if entry.dagster_event]


def _root_cause(context: dg.RunStatusSensorContext) -> tuple[str | None, str]:
    """The first step that failed and the innermost error's message; no step where the run failed outside of any."""
    for event in _events(context, dg.DagsterEventType.STEP_FAILURE):
        if event.step_failure_data.error:
            error = event.step_failure_data.error
            while error.cause:
                error = error.cause
            return event.step_key, re.sub(rf"^[\w.]*{re.escape(error.cls_name or '')}: ", "", error.message.strip())
    return None, context.dagster_event.message or "no message"
