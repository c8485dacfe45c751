"""Runs the daemon and the page on PostgreSQL as `deploy/` does, and kills a run: the next one must publish, and `doctor` must pass.

Usage: python -m benchmarks.production postgresql+psycopg2://USER:PASSWORD@HOST/EMPTY_DATABASE
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from benchmarks.page import ENDED, ROOT, Graph

BIN, PORT, PATIENCE, KEY = Path(sys.executable).parent, 3333, 600, "2017-04-01"
T = TypeVar("T")


def once(look: Callable[[], T]) -> T:
    """Call `look` until its result is true, and return it."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with suppress(OSError, LookupError, ValueError):
            if found := look():
                return found
        time.sleep(0.5)
    raise TimeoutError


def main(address: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "dagster"
        home.mkdir()
        shutil.copy(ROOT / "deploy" / "dagster.yaml", home)
        settings = {"SEGMENTATION_DATA_DIR": folder, "SEGMENTATION_SETTINGS": str(ROOT / "segmentation.yaml"), "DAGSTER_HOME": str(home)}
        where = {"env": {**os.environ, **settings, "DAGSTER_POSTGRES_URL": address}, "cwd": home}
        subprocess.run([BIN / "segmentation", "instance"], check=True, **where)
        webserver = ["dagster-webserver", "--workspace", "segmentation.workspace.yaml", "--host", "127.0.0.1", "--port", str(PORT)]
        programs = (["dagster-daemon", "run", "--workspace", "segmentation.workspace.yaml"], webserver)
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        services = [subprocess.Popen([BIN / name, *arguments], **quiet, **where) for name, *arguments in programs]
        try:
            graph = once(lambda: Graph(f"http://127.0.0.1:{PORT}"))
            killed, behind = (graph.materialize_all(KEY) for _ in range(2))
            beat = once(lambda: (home / "heartbeats" / f"{killed}.json").read_text())
            os.kill(json.loads(beat)["pid"], signal.SIGKILL)
            began = time.monotonic()
            once(lambda: graph.status(killed) == "FAILURE")
            print(f"closed {time.monotonic() - began:.1f} s after it was killed", flush=True)
            once(lambda: graph.status(behind) in ENDED)
            print(f"the next run: {graph.status(behind)}", flush=True)
            subprocess.run([BIN / "segmentation", "doctor"], check=True, **where)
        finally:
            for service in services:
                service.terminate()
            print("ended with", [service.wait(60) for service in services])


if __name__ == "__main__":
    main(*sys.argv[1:])
