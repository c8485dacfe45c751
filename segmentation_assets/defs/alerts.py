"""Alerts: the sensors that notice how runs of a snapshot ended, and the sending of messages to the addresses in the environment.

The text of the messages is in `messages`. An alert never affects the run it is about: if it cannot be delivered, the
sensor's tick fails with an error that names the variable.
"""

import logging
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import dagster as dg

from segmentation_assets.defs import markdown
from segmentation_assets.defs import messages as alert_messages
from segmentation_assets.defs.automation import segment_job, snapshot_job
from segmentation_assets.defs.messages import Message
from segmentation_assets.engines.duckdb import DuckDBEngine
from segmentation_assets.settings.loading import Settings
from segmentation_assets.store.lake import Lake, to_frame
from segmentation_assets.tables.model import DRIFT_REPORT, MODEL_REGISTRY
from segmentation_assets.tables.raw import SOURCE_VOLUME
from segmentation_assets.vocabulary import counted, without_few

JOBS = {snapshot_job.name, segment_job.name}
PUBLISHED = dg.AssetKey("published_database")
KINDS = {"drift": "warning", "volume": "warning", "failed_check": "failure", "failed_run": "failure", "promoted_model": "info"}
INTERVAL = 10  # seconds between two ticks; a tick ends at the first run without messages
READ_MARKDOWN = {"Discord", "Mattermost"}  # services that do, although Apprise sends them plain text
LOUD = ("apprise", "urllib3", "urllib3.connectionpool")  # loggers that write whole addresses, including secrets


class AlertError(RuntimeError):
    """Alerts were not delivered; the message names the variables, never the addresses in them."""


def addresses(settings: Settings) -> dict[str, str]:
    """Apprise URL by the name of the variable that holds it; empty if that is not set. Never log or store them."""
    return {name: os.environ.get(name, "").strip() for name in settings.alerts.url_variables}


def send(messages: Sequence[Message], urls: Mapping[str, str]) -> None:
    """Send every message to every address. Failed ones are not tried again, so that they do not hold up the others.

    Args:
        urls: Apprise URL by the name of the variable it came from.

    Raises:
        AlertError: an address is missing or wrong, or rejected a message. The other addresses got theirs.
    """
    problems = [problem for variable, url in urls.items() if (problem := _send_to(variable, url, messages))]
    if problems:
        raise AlertError(" ".join(problems))


def _send_to(variable: str, url: str, messages: Sequence[Message]) -> str | None:
    """What went wrong, as a sentence; None if every message was delivered."""
    if not url:
        return f"{variable} is not set, but alerts.url_variables names it: set it for the daemon (see docs/alerts.md), or remove it there."
    for name in LOUD:  # permanently: a delivery that timed out continues, and logs, in its own thread
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    import apprise

    service = apprise.Apprise(asset=apprise.AppriseAsset(app_id="Customer segments", async_mode=False))
    if not service.add(url):
        return f"{variable} is not an Apprise URL, such as slack://... or mailtos://...: correct it (see docs/alerts.md)."
    reads_markdown = service[0].service_name in READ_MARKDOWN
    for number, message in enumerate(messages):
        title, body = (markdown.message(text) if reads_markdown else text for text in (message.title, message.body))
        try:
            delivered = bool(service.notify(body, title, notify_type=KINDS[message.event], body_format=apprise.NotifyFormat.TEXT))
        except Exception:  # its text may hold the address
            delivered = False
        if not delivered:
            lost = len(messages) - number
            failed = f"{lost} of {counted(len(messages), 'alert')} {'was' if lost == 1 else 'were'} not delivered"
            return f'{variable}: {failed}. Test the address: apprise -b test "${variable}"'
    return None


def alert_sensors(settings: Settings) -> list[dg.SensorDefinition]:
    """One sensor for runs that succeeded and one for those that failed; both are on by default if an address is configured.

    Each remembers the last run it handled, so that each event is reported once. They monitor all code locations because Dagster
    assigns runs of the command line to none, and would leave them out.
    """
    status = dg.DefaultSensorStatus.RUNNING if settings.alerts.url_variables else dg.DefaultSensorStatus.STOPPED

    @dg.run_status_sensor(
        run_status=dg.DagsterRunStatus.SUCCESS, name="alerts_of_successes", monitor_all_code_locations=True,
        minimum_interval_seconds=INTERVAL, default_status=status,
        description="Sends alerts on missing rows, drift and promoted models once a snapshot was made.",
    )  # fmt: skip
    def alerts_of_successes(context: dg.RunStatusSensorContext) -> dg.SkipReason | None:
        return _tell(settings, context)

    @dg.run_failure_sensor(
        name="alerts_of_failures", monitor_all_code_locations=True,
        minimum_interval_seconds=INTERVAL, default_status=status,
        description="Sends alerts on failed runs and the checks that failed in them.",
    )  # fmt: skip
    def alerts_of_failures(context: dg.RunFailureSensorContext) -> dg.SkipReason | None:
        return _tell(settings, context)

    return [alerts_of_successes, alerts_of_failures]


def _tell(settings: Settings, context: dg.RunStatusSensorContext) -> dg.SkipReason | None:
    if not settings.alerts.url_variables:
        return dg.SkipReason("No address is configured; name one in alerts.url_variables (see docs/alerts.md).")
    if not _publishes(context.dagster_run) or not context.partition_key:
        return dg.SkipReason("Not a run that makes a snapshot.")
    smallest = settings.privacy.smallest_cell
    told = [message for message in messages_of(settings, context) if message.event in settings.alerts.events]
    messages = [replace(message, body=without_few(message.body, smallest)) for message in told]
    if not messages:
        return dg.SkipReason("No event to report.")
    send(messages, addresses(settings))
    return None


def _publishes(run: dg.DagsterRun) -> bool:
    """Whether the run publishes a snapshot if it succeeds, as a job or as a selection of assets on the page ("Materialize all")."""
    return run.job_name in JOBS or PUBLISHED in (run.asset_selection or ())


def messages_of(settings: Settings, context: dg.RunStatusSensorContext) -> list[Message]:
    """The messages on every event of the run that has ended."""
    run, key = context.dagster_run, context.partition_key or ""
    link = f"{settings.alerts.link}/runs/{run.run_id}"
    failed = run.status == dg.DagsterRunStatus.FAILURE
    checks = [event.asset_check_evaluation_data for event in _events(context, dg.DagsterEventType.ASSET_CHECK_EVALUATION)]
    done = {event.step_key for event in _events(context, dg.DagsterEventType.STEP_SUCCESS)}
    published = not failed or PUBLISHED.to_user_string() in done
    messages = alert_messages.of_checks(checks, key, link, published)
    if failed:
        return [*alert_messages.of_failure(*_root_cause(context), key, link, published), *messages]
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
    """The first failed step and the innermost error's message; no step if the run failed outside of any."""
    for event in _events(context, dg.DagsterEventType.STEP_FAILURE):
        if event.step_failure_data.error:
            error = event.step_failure_data.error
            while error.cause:
                error = error.cause
            return event.step_key, re.sub(rf"^[\w.]*{re.escape(error.cls_name or '')}: ", "", error.message.strip())
    return None, context.dagster_event.message or "no message"
