"""Runs of the command line while the page runs others."""

import io
from pathlib import Path

import dagster as dg
import pytest
from rich.console import Console

from segmentation_assets.cli import make, runs
from segmentation_assets.cli.terminal import progress_bar
from segmentation_assets.definitions import build
from segmentation_assets.defs.order import TURN
from segmentation_assets.store.published import keys
from segmentation_assets_tests.builders import D1, LOADED, RowsSource, line

SHOP = RowsSource(transactions=[line("a", "2024-01-05", 10.0)])


@pytest.mark.full  # in CI, the order of runs by itself
def test_a_run_that_waits_for_one_of_the_page_says_so_and_then_continues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "build", lambda settings: build(settings, SHOP))
    monkeypatch.setattr("segmentation_assets.defs.order.BETWEEN_LOOKS", 0)
    with dg.DagsterInstance.ephemeral() as instance:
        page = instance.add_run(dg.DagsterRun(job_name="__ASSET_JOB", tags={TURN: str(tmp_path)}, status=dg.DagsterRunStatus.STARTED))
        steps: list[str] = []

        def progress(step: str, ended: int, total: int) -> None:
            steps.append(step)
            if len(steps) == 1:
                instance.report_run_canceled(page)

        runs.run_partition(LOADED.model_copy(update={"data_dir": tmp_path}), "snapshot", D1, instance, progress)
    assert steps[0] == f"Waiting for run {page.run_id}, which is making a snapshot of the same lake."
    assert steps[-1] == "snapshot_report"


@pytest.mark.full  # in CI, the sentence by itself: test_alerts
def test_a_run_that_fails_after_publishing_does_not_say_that_nothing_was_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "build", lambda settings: build(settings, SHOP))
    (tmp_path / "reports" / D1 / "index.html").mkdir(parents=True)  # where the report would go
    with dg.DagsterInstance.ephemeral() as instance, pytest.raises(runs.RunError) as failed:
        runs.run_partition(LOADED.model_copy(update={"data_dir": tmp_path}), "snapshot", D1, instance, lambda *_: None)
    said = str(failed.value).splitlines()
    assert said[0] == f"Snapshot {D1} is in the database, but the run failed after that.", said
    assert said[1].startswith("snapshot_report: ")
    assert said[2] == f"Then make its report again: segmentation pictures --snapshot {D1}"
    assert keys(tmp_path) == [D1]


def test_without_a_terminal_waiting_prints_a_line_and_steps_print_none() -> None:
    with progress_bar(Console(file=io.StringIO())) as bar:
        task = bar.add_task(D1, total=None, step="starting")
        for step in ("Waiting for run x", "model"):
            make._show_step(bar, task, step, 0, 1)
        written = bar.console.file
        assert isinstance(written, io.StringIO) and written.getvalue() == "Waiting for run x\n"
