"""The Dagster instance: its folder and configuration. It is made once, before anything runs in parallel."""

import datetime as dt
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg
import yaml
from dagster._core.instance.ref import InstanceRef
from filelock import FileLock

from segmentation_assets.atomic import replacing
from segmentation_assets.defs import backfills, heartbeats
from segmentation_assets.defs.order import ONE_AT_A_TIME
from segmentation_assets.settings.loading import Settings

CONFIGURATION = "dagster.yaml"
# After which Dagster's own monitoring closes a run; it does not watch started ones. `heartbeats` is earlier, and says what to do.
SECONDS_TO_START, SECONDS_TO_CANCEL = 900, 60
LOG = {"module": "segmentation_assets.event_log", "class": "KeptOpenSqliteEventLogStorage"}
ADDED = {  # since version 0.1.0
    "run_monitoring": {"enabled": True, "start_timeout_seconds": SECONDS_TO_START, "cancel_timeout_seconds": SECONDS_TO_CANCEL},
    "run_coordinator": {"module": "segmentation_assets.defs.order", "class": "InOrderRunCoordinator"},
    "instance_class": {"module": "segmentation_assets.defs.backfills", "class": "InOrderInstance"},
}
WORKSPACE = "segmentation.workspace.yaml"  # a home that serves other projects may have its own workspace.yaml
LOCATION = {"python_module": {"module_name": "segmentation_assets.definitions", "location_name": backfills.LOCATION}}
LOCK, DATABASES = "instance.lock", ("history/runs.db", "history/runs/index.db", "schedules/schedules.db")


def prepare_instance(settings: Settings) -> Path:
    """Make the instance's folder, configuration and databases if they are missing, and point this process at them.

    Telemetry is off; at most as many runs go on at once as the machine has cores, but snapshots one at a time, in order. An
    existing configuration is kept, so that it can be edited, except that one of an earlier version gets the settings that
    were added since, and loses the folder of a log that was moved or copied with it. `DAGSTER_HOME`, if set, names another
    place. Runs that were killed are closed.

    Dagster's databases are made under a lock: if two processes made them at once, they would record two versions, which no
    later process can read.
    """
    home = home_of(settings)
    home.mkdir(parents=True, exist_ok=True)
    os.environ["DAGSTER_HOME"] = str(home)
    os.environ["DAGSTER_DISABLE_TELEMETRY"] = "1"
    with FileLock(home / LOCK):
        _configure(home)
        _write(home / WORKSPACE, {"load_from": [LOCATION]})  # also for an installed wheel, which has no project folder
        for database in [home / file for file in DATABASES if (home / file).exists()]:
            _keep_one_version(database)
        with dg.DagsterInstance.get() as instance:
            heartbeats.close_dead_runs(instance, dt.datetime.now(dt.UTC))
            instance.all_instigator_state()
            instance.get_asset_keys()
    return home


def home_of(settings: Settings) -> Path:
    """The folder of the instance: `DAGSTER_HOME` if set, otherwise the one in the data folder."""
    return Path(os.environ.get("DAGSTER_HOME") or settings.data_dir / "dagster").resolve()


def instance_of_command() -> dg.DagsterInstance:
    """The prepared instance, for runs of the command line: their output is not captured, which would take four more processes per run."""
    nothing = {"module": "dagster._core.storage.noop_compute_log_manager", "class": "NoOpComputeLogManager"}
    return dg.DagsterInstance.from_ref(InstanceRef.from_dir(os.environ["DAGSTER_HOME"], overrides={"compute_logs": nothing}))


def _configure(home: Path) -> None:
    configuration = home / CONFIGURATION
    found = yaml.safe_load(configuration.read_text(encoding="utf-8")) if configuration.exists() else None
    wanted = dict(found) if found else _new()
    if found and ONE_AT_A_TIME in yaml.safe_dump(found):  # otherwise the instance of another project, named by `DAGSTER_HOME`
        further = {name: section for name, section in ADDED.items() if name not in found}
        if "run_queue" in found:  # set by the user; Dagster accepts either this or a coordinator
            further.pop("run_coordinator", None)
        wanted |= further
        _forget_place(wanted, home)
    if wanted != found:
        _write(configuration, wanted)


def _write(file: Path, content: Mapping[str, Any]) -> None:
    with replacing(file) as unfinished:
        unfinished.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def _new() -> dict[str, Any]:
    return {
        "telemetry": {"enabled": False},
        "nux": {"enabled": False},  # no invitation to sign up over the first page
        "concurrency": {
            "runs": {"max_concurrent_runs": os.cpu_count() or 1, "tag_concurrency_limits": [{"key": ONE_AT_A_TIME, "limit": 1}]}
        },
        "event_log_storage": {**LOG, "config": {}},  # in this home, wherever it is moved
        **ADDED,
    }


def _forget_place(configuration: dict[str, Any], home: Path) -> None:
    """Remove the path that version 0.1.0 wrote for our log if the home has since moved."""
    log = configuration.get("event_log_storage", {})
    folder = log.get("config", {}).get("base_dir")
    if log.get("class") != LOG["class"] or folder in {None, str(home / "history" / "runs")}:
        return
    if str(folder).endswith("/dagster/history/runs"):  # otherwise a place chosen by the user
        configuration["event_log_storage"] = {**log, "config": {}}


def _keep_one_version(database: Path) -> None:
    """Repair a database that two processes made at once: of the two versions that it records, the later one is right."""
    with closing(sqlite3.connect(database)) as connection, connection:
        found = connection.execute("SELECT name FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
        versions = [row[0] for row in connection.execute("SELECT version_num FROM alembic_version")] if found else []
        if len(versions) > 1:
            newest = next((version for version in _versions_of_dagster() if version in versions), versions[0])
            connection.execute("DELETE FROM alembic_version WHERE rowid <> (SELECT min(rowid) FROM alembic_version)")
            connection.execute("UPDATE alembic_version SET version_num = ?", [newest])


def _versions_of_dagster() -> Iterator[str]:
    """Versions of the schema of Dagster's databases, newest first."""
    from alembic.script import ScriptDirectory
    from dagster._core.storage.runs.sqlite import sqlite_run_storage
    from dagster._core.storage.sql import get_alembic_config

    scripts = ScriptDirectory.from_config(get_alembic_config(sqlite_run_storage.__file__))
    return (script.revision for script in scripts.walk_revisions())
