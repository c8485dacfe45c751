"""`segmentation` in this process, with wall time, CPU seconds and peak memory of each step: `python -m benchmarks.stages OUT.json run ...`.

Belongs here: what must happen in the measured process. `benchmarks.whole` starts it and sums up. Steps are told from Dagster's events,
which are stored when they happen because all steps run in this process; CPU seconds are those of all its threads.
"""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dagster import DagsterEventType, EventLogEntry

from segmentation_assets.event_log import KeptOpenSqliteEventLogStorage

BEGUN, ENDED = DagsterEventType.STEP_START, {DagsterEventType.STEP_SUCCESS, DagsterEventType.STEP_FAILURE}
BEFORE, BETWEEN = "imports and planning", "between steps"


class Meter:
    """Wall, CPU and peak memory since the last mark, added to a name."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.wall, self.cpu = time.perf_counter(), 0.0

    def mark(self, name: str) -> None:
        """End a stretch of time, called `name`."""
        wall, cpu = time.perf_counter(), time.process_time()
        self.rows.append({"step": name, "wall": wall - self.wall, "cpu": cpu - self.cpu, "peak": _peak()})
        self.wall, self.cpu = wall, cpu
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew


def _peak() -> int:
    """The most memory resident since the last mark, in bytes."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


@contextmanager
def watched(meter: Meter) -> Iterator[None]:
    """Mark the steps of all runs."""
    store, begun = KeptOpenSqliteEventLogStorage.store_event, list[str]()

    def store_and_mark(self: KeptOpenSqliteEventLogStorage, event: EventLogEntry) -> None:
        if event.dagster_event_type is BEGUN:
            meter.mark(BETWEEN if begun else BEFORE)
            begun.append(str(event.step_key))
        elif event.dagster_event_type in ENDED:
            meter.mark(str(event.step_key))
        store(self, event)

    KeptOpenSqliteEventLogStorage.store_event = store_and_mark  # type: ignore[method-assign]
    try:
        yield
    finally:
        meter.mark(BETWEEN)
        KeptOpenSqliteEventLogStorage.store_event = store  # type: ignore[method-assign]


def main() -> None:
    out, *sys.argv[1:] = sys.argv[1:]
    meter = Meter()
    from segmentation_assets.cli.main import main as command

    try:
        with watched(meter):
            command()
    finally:
        Path(out).write_text(json.dumps(meter.rows), encoding="utf-8")


if __name__ == "__main__":
    main()
