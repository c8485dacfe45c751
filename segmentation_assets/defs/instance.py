"""The Dagster instance: where it lives and how it is configured. It is made once, before anything runs in parallel."""

import os
from pathlib import Path

import yaml

from segmentation_assets.settings.loading import Settings

ONE_AT_A_TIME = "segmentation/order"  # each snapshot builds on the one before: of runs with this tag, one goes on at a time
PROCESS = "segmentation/process"  # host and number of the process that makes a run of the command line


def prepare_instance(settings: Settings) -> Path:
    """Make the instance's folder and configuration where they are missing, and point this process at them.

    Telemetry is off, at most as many runs go on at once as the machine has cores, and of snapshots one, in order. A
    configuration that is already there is left as it is, so that it can be edited. `DAGSTER_HOME`, where set, names another
    place.
    """
    home = Path(os.environ.get("DAGSTER_HOME") or settings.data_dir / "dagster").resolve()
    home.mkdir(parents=True, exist_ok=True)
    configuration = home / "dagster.yaml"
    if not configuration.exists():
        log = {"module": "segmentation_assets.event_log", "class": "KeptOpenSqliteEventLogStorage"}
        content = {
            "telemetry": {"enabled": False},
            "nux": {"enabled": False},  # no invitation to sign up over the first page
            "concurrency": {
                "runs": {"max_concurrent_runs": os.cpu_count() or 1, "tag_concurrency_limits": [{"key": ONE_AT_A_TIME, "limit": 1}]}
            },
            "event_log_storage": {**log, "config": {"base_dir": str(home / "history" / "runs")}},
        }
        configuration.write_text(yaml.safe_dump(content), encoding="utf-8")
    os.environ["DAGSTER_HOME"] = str(home)
    os.environ["DAGSTER_DISABLE_TELEMETRY"] = "1"
    return home
