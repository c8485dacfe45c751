"""CPU seconds of a snapshot launched from Dagster's page, compared with `segmentation run --snapshot`.

Usage: python -m benchmarks.page [snapshots]. Snapshots are made alternately in two folders, one by command and one from the page,
launched as by "Materialize all". Webserver, daemon and code server are not counted.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PROGRAM = Path(sys.executable).parent / "segmentation"
TICKS = os.sysconf("SC_CLK_TCK")
BETWEEN_LOOKS = 0.05
ENDED = {"SUCCESS", "FAILURE", "CANCELED"}
LAUNCH = """mutation($it: ExecutionParams!) { launchRun(executionParams: $it) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
STATUS = "query($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
ASSETS = "{ assetNodes { assetKey { path } } }"
LOCATION = "{ repositoriesOrError { ... on RepositoryConnection { nodes { name location { name } } } } }"


def processes() -> dict[int, tuple[int, float]]:
    """The parent and the CPU seconds of every process, by process id."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            found[int(stat.parent.name)] = (int(fields[1]), (int(fields[11]) + int(fields[12])) / TICKS)
    return found


def below(root: int, known: dict[int, tuple[int, float]]) -> set[int]:
    """The descendants of a process."""
    own = {pid for pid, (parent, _) in known.items() if parent == root}
    return own.union(*(below(pid, known) for pid in own)) if own else own


def used(root: int, ended: Callable[[], bool], own: bool) -> float:
    """CPU seconds of the processes that a process starts until `ended`; if `own`, with its own."""
    apart, seconds = (set() if own else below(root, processes())), {}
    while not ended():
        known = processes()
        counted = (below(root, known) | ({root} if own else set())) - apart
        seconds.update({pid: known[pid][1] for pid in counted if pid in known})
        time.sleep(BETWEEN_LOOKS)
    return sum(seconds.values())


class Graph:
    """The GraphQL interface of a running page."""

    def __init__(self, address: str) -> None:
        self.address = address
        (place,) = self.ask(LOCATION)["repositoriesOrError"]["nodes"]
        self.place = {"repositoryName": place["name"], "repositoryLocationName": place["location"]["name"]}
        self.assets = [node["assetKey"] for node in self.ask(ASSETS)["assetNodes"]]

    def ask(self, query: str, **variables: Any) -> Any:
        body = json.dumps({"query": query, "variables": variables}).encode()
        asked = urllib.request.Request(f"{self.address}/graphql", body, {"Content-Type": "application/json"})  # noqa: S310
        with urllib.request.urlopen(asked, timeout=60) as answer:  # noqa: S310  # on this machine
            return json.load(answer)["data"]

    def materialize_all(self, key: str) -> str:
        """Launch the run that "Materialize all" launches for a snapshot; return its id."""
        selector = {**self.place, "pipelineName": "__ASSET_JOB", "assetSelection": self.assets, "assetCheckSelection": None}
        tags = [{"key": "dagster/partition", "value": key}]
        parameters = {"selector": selector, "mode": "default", "runConfigData": {}, "executionMetadata": {"tags": tags}}
        return str(self.ask(LAUNCH, it=parameters)["launchRun"]["run"]["runId"])

    def status(self, run: str) -> str:
        return str(self.ask(STATUS, id=run)["runOrError"]["status"])


class Page:
    """Dagster's page, started by this script."""

    def __init__(self, environment: dict[str, str]) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen([PROGRAM, "ui", "--port", str(port)], env=environment, cwd=ROOT, **quiet)
        while True:
            with suppress(OSError, LookupError, ValueError):
                self.graph = Graph(f"http://127.0.0.1:{port}")
                break
            time.sleep(1)
        self.looked, self.status = 0.0, ""

    def launch(self, key: str) -> float:
        """Make a snapshot as "Materialize all" does; return its CPU seconds."""
        run = self.graph.materialize_all(key)
        seconds = used(self.process.pid, lambda: self.has_ended(run), own=False)
        assert self.status == "SUCCESS", self.status
        return seconds

    def has_ended(self, run: str) -> bool:
        """Whether the run has ended; asks the server once a second at most, so as not to disturb the measurement."""
        if time.monotonic() - self.looked > 1:
            self.looked, self.status = time.monotonic(), self.graph.status(run)
        return self.status in ENDED


def commanded(environment: dict[str, str], key: str) -> float:
    """Make a snapshot by the command; return its CPU seconds."""
    command = subprocess.Popen([PROGRAM, "run", "--snapshot", key], env=environment, cwd=ROOT, stdout=subprocess.DEVNULL)
    seconds = used(command.pid, lambda: command.poll() is not None, own=True)
    assert command.returncode == 0
    return seconds


def main(snapshots: int = 3) -> None:
    keys = [f"2017-{month:02}-01" for month in range(4, 4 + snapshots)]
    with tempfile.TemporaryDirectory() as folder:
        by_command, by_page = ({**os.environ, "SEGMENTATION_DATA_DIR": str(Path(folder) / name)} for name in ("command", "page"))
        page = Page(by_page)
        try:
            for key in keys:
                command, launched = commanded(by_command, key), page.launch(key)
                print(f"{key}: command {command:.1f} s, page {launched:.1f} s, {launched / command:.2f} times", flush=True)
                page.status = ""
        finally:
            page.process.terminate()
            page.process.wait()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
