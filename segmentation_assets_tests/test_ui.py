"""What people see in a browser: Dagster's pages, started as `make ui` does, and the report; and a schedule that launches a run."""

import datetime as dt
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb
import pytest
from playwright.sync_api import Page, sync_playwright

from segmentation_assets.report import report
from segmentation_assets_tests.conftest import ROOT, environment

pytestmark = pytest.mark.slow
CHROMIUM_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
PATIENCE = 240  # seconds: the services start slowly on two busy cores


def until(happened: Callable[[], object], what: str) -> None:
    """Wait until `happened` is true."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if happened():
            return
        time.sleep(1)
    raise AssertionError(f"{what} did not happen within {PATIENCE} s")


@contextmanager
def served(data_dir: Path, *arguments: str, stop: signal.Signals = signal.SIGINT) -> Iterator[str]:
    """The address of `segmentation ui` running on `data_dir`, which ends cleanly at the signal `stop`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    log = (data_dir / "ui.log").open("w")
    process = subprocess.Popen(  # our own program
        [Path(sys.executable).parent / "segmentation", "ui", "--port", str(port), *arguments],
        cwd=ROOT,
        env=environment(data_dir),
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )

    def answers() -> bool:
        assert process.poll() is None, (data_dir / "ui.log").read_text()
        try:
            with urllib.request.urlopen(f"{address}/server_info", timeout=5) as answer:  # noqa: S310  # on this machine
                return bool(answer.status == 200)
        except OSError:
            return False

    try:
        until(answers, "serving the UI")
        yield address
        process.send_signal(stop)
        assert process.wait(timeout=30) == 130
        said = (data_dir / "ui.log").read_text()
        assert said.endswith("Stopped by you. Start it again: segmentation ui\n") and "Traceback" not in said
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        log.close()


@pytest.fixture
def page() -> Iterator[Page]:
    chromium = shutil.which("chromium")
    assert chromium, "The browser tests need Chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        opened = browser.new_page(viewport={"width": 1700, "height": 1000})
        opened.route("**/*", lambda route: route.continue_() if "127.0.0.1" in route.request.url else route.abort())
        opened.set_default_timeout(60_000)
        yield opened
        browser.close()


def test_a_person_finds_every_table_its_columns_and_its_checks(demo: Path, page: Page) -> None:
    with served(demo) as address:
        page.goto(f"{address}/assets/segments?view=overview")
        page.get_by_text("One row per segment at the snapshot.").first.wait_for()
        page.get_by_text("What marks the segment out, and whether").first.wait_for()
        page.get_by_text("2018-01-01").first.wait_for()
        page.goto(f"{address}/assets/segments?view=checks")
        page.get_by_text("sizes_and_revenue_tie_out").first.wait_for()
        page.goto(f"{address}/automation")
        page.get_by_text("newest_snapshot").first.wait_for()
        page.goto(f"{address}/assets/segment_profiles?view=lineage")
        for name in ("customer_segments", "segment_profiles", "published_database"):
            page.get_by_text(name).first.wait_for()


@pytest.mark.parametrize("width", [1280, 390], ids=["desk", "phone"])
def test_the_report_is_read_from_the_file_alone(demo: Path, page: Page, tmp_path: Path, width: int) -> None:
    mailed = tmp_path / "report.html"
    mailed.write_bytes(report.file(demo, "2018-01-01").read_bytes())
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("request", lambda request: wrong.append(request.url) if not request.url.startswith(("file:", "data:")) else None)
    page.unroute("**/*")
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(mailed.as_uri())
    page.get_by_role("link", name="Orders and revenue").click()
    page.get_by_role("img", name="Who comes back").wait_for()
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 500)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width  # wide pictures move within their frame
    assert page.evaluate("Math.min(...[...document.images].map(image => image.width / image.naturalWidth))") > 0.5  # and stay readable
    assert wrong == []


@pytest.mark.xdist_group("daemon")
def test_the_daemon_launches_the_scheduled_run_and_publishes(tmp_path: Path) -> None:
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=120)  # services that start later than this tick never see it
    today = soon.date()
    settings = tmp_path / "daily.yaml"
    settings.write_text(f"""
data_dir: out
snapshots: {{first: {today - dt.timedelta(days=1)}, cadence: daily}}
source: {{kind: complete_journey}}
features: {{lookback: 3}}
exploration: {{pictures: false}}
model: {{algorithms: [kmeans], resamples: 10, splits: 1}}
schedule: {{enabled: true, hour: {soon.hour}, minute: {soon.minute}}}
""")
    out = tmp_path / "out"
    out.mkdir()
    with served(out, "--settings", str(settings), stop=signal.SIGTERM):
        until((out / "segmentation.duckdb").exists, "publishing by the schedule")
    with duckdb.connect(str(out / "segmentation.duckdb"), read_only=True) as database:
        published = database.execute("SELECT snapshot_date, sum(customers) FROM segments GROUP BY ALL").fetchall()
    # Only today's was scheduled. Yesterday's, which takes in the history, never ran: who is known is who is on record.
    assert published == [(today, 801)]
