"""Dagster's pages and the report in a browser, started as by `make ui`, and runs launched by the schedule."""

import datetime as dt
import json
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import duckdb
import pytest
from playwright.sync_api import Page, sync_playwright

from benchmarks.page import Graph
from segmentation_assets.defs import heartbeats
from segmentation_assets.defs.assets.model import ModelRequest
from segmentation_assets.report import report
from segmentation_assets_tests.conftest import ROOT, environment

pytestmark = pytest.mark.slow
CHROMIUM_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
PROGRAM = Path(sys.executable).parent / "segmentation"
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
def served(data_dir: Path, *arguments: str, stop: signal.Signals = signal.SIGINT, program: Path = PROGRAM, **how: Any) -> Iterator[str]:
    """Run `segmentation ui` on `data_dir` and yield its address; it must end cleanly at the signal `stop`.

    Args:
        program: the program, if not that of this environment; `how`: working folder and environment of its process.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    log = (data_dir / "ui.log").open("w")
    process = subprocess.Popen(  # our own program
        [program, "ui", "--port", str(port), *arguments],
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        **{"cwd": ROOT, "env": environment(data_dir), **how},
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


QUESTIONS = ("segments-at-a-glance", "what-changed", "what-to-do", "how-sure", "where-is-the-list")


@pytest.mark.parametrize(
    ("width", "height", "answered", "scheme"),
    [(1400, 900, QUESTIONS, "light"), (1400, 900, QUESTIONS, "dark"), (390, 844, QUESTIONS[:3], "light")],
    ids=["desk", "dark", "phone"],
)
def test_the_report_opens_from_a_single_file_with_its_answers_on_the_first_screen(
    demo: Path, page: Page, tmp_path: Path, width: int, height: int, answered: tuple[str, ...], scheme: Literal["light", "dark"]
) -> None:
    mailed = tmp_path / "report.html"
    mailed.write_bytes(report.file(demo, "2018-01-01").read_bytes())
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("request", lambda request: wrong.append(request.url) if not request.url.startswith(("file:", "data:")) else None)
    page.unroute("**/*")
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": height})
    page.goto(mailed.as_uri())
    ends = [page.locator(f"section[aria-labelledby={question}]").bounding_box() for question in answered]
    assert max(box["y"] + box["height"] for box in ends if box) <= height and all(ends)
    assert page.evaluate("document.documentElement.scrollWidth") <= width  # wide pictures scroll within their frame
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 25, 30)"
    assert dark == (scheme == "dark")
    page.goto((report.folder(demo, "2018-01-01") / "analysts.html").as_uri())
    page.get_by_role("link", name="Orders and revenue").click()
    page.get_by_role("img", name="Who comes back").wait_for()
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 500)")
    assert page.evaluate("Math.min(...[...document.images].map(image => image.width / image.naturalWidth))") > 0.5  # and stay readable
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert wrong == []


def test_the_report_sorts_its_segments_by_keyboard_and_prints_its_start_on_one_page(demo: Path, page: Page) -> None:
    page.unroute("**/*")
    page.goto(report.file(demo, "2018-01-01").as_uri())
    rows = page.locator(".glance tbody tr")
    before = rows.all_inner_texts()
    heading = page.get_by_role("button", name="Customers", exact=True)
    sizes = [float(str(row.locator("td").first.get_attribute("data-value"))) for row in rows.all()]
    heading.focus()
    page.keyboard.press("Enter")
    assert [float(str(row.locator("td").first.get_attribute("data-value"))) for row in rows.all()] == sorted(sizes, reverse=True)
    page.keyboard.press("Enter")
    assert [float(str(row.locator("td").first.get_attribute("data-value"))) for row in rows.all()] == sorted(sizes)
    assert sorted(rows.all_inner_texts()) == sorted(before)
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 710, "height": 1000})  # A4 without its margins
    box = page.locator(".start").bounding_box()
    assert box and box["y"] + box["height"] <= 1039  # 275 mm


def test_the_index_links_to_each_report_and_each_report_to_its_neighbours(demo: Path, page: Page) -> None:
    page.unroute("**/*")
    page.goto(report.index(demo).as_uri())
    page.get_by_role("link", name="1 January 2018").click()
    page.get_by_role("link", name="1 December 2017").click()
    page.get_by_role("heading", name="Customer segments on 1 December 2017").wait_for()
    page.get_by_role("link", name="1 January 2018").click()
    page.get_by_role("heading", name="Customer segments on 1 January 2018").wait_for()
    assert page.url == report.file(demo, "2018-01-01").as_uri()


@dataclass(frozen=True)
class Daily:
    """A running page on daily snapshots, whose schedule ticks soon."""

    address: str
    data_dir: Path
    today: str

    def published(self, query: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.data_dir / "segmentation.duckdb"), read_only=True) as database:
            return database.execute(query).fetchall()


@pytest.fixture(scope="module")
def daily(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daily]:
    folder = tmp_path_factory.mktemp("daily")
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=120)  # services must have started before this tick
    settings = folder / "daily.yaml"
    settings.write_text(f"""
data_dir: out
snapshots: {{first: {soon.date() - dt.timedelta(days=1)}, cadence: daily}}
source: {{kind: complete_journey}}
features: {{lookback: 3}}
exploration: {{pictures: false}}
model: {{algorithms: [kmeans], resamples: 10, splits: 1}}
schedule: {{enabled: true, hour: {soon.hour}, minute: {soon.minute}}}
""")
    (folder / "out").mkdir()
    with served(folder / "out", "--settings", str(settings), stop=signal.SIGTERM) as address:
        yield Daily(address, folder / "out", soon.date().isoformat())


@pytest.mark.xdist_group("daemon")
def test_a_killed_run_of_the_page_is_closed_and_the_next_scheduled_run_publishes(daily: Daily) -> None:
    graph = Graph(daily.address)
    killed = graph.materialize_all(daily.today)
    beat = daily.data_dir / "dagster" / heartbeats.FOLDER / f"{killed}.json"
    until(beat.exists, "beginning")
    os.kill(json.loads(beat.read_text())["pid"], signal.SIGKILL)
    until(lambda: graph.status(killed) == "FAILURE", "closing the run")
    until((daily.data_dir / "segmentation.duckdb").exists, "publishing by the schedule")
    # Only today's snapshot was scheduled. Yesterday's, which would read the history, never ran, so only customers with records are known.
    assert daily.published("SELECT CAST(snapshot_date AS VARCHAR), sum(customers) FROM segments GROUP BY ALL") == [(daily.today, 801)]


@pytest.mark.xdist_group("daemon")
def test_the_page_shows_every_table_its_columns_and_its_checks(daily: Daily, page: Page) -> None:
    until((daily.data_dir / "segmentation.duckdb").exists, "publishing")
    page.goto(f"{daily.address}/assets/segments?view=overview")
    page.get_by_text("One row per segment at the snapshot.").first.wait_for()
    page.get_by_text("What marks the segment out, and whether").first.wait_for()
    page.get_by_text(daily.today).first.wait_for()
    page.goto(f"{daily.address}/assets/segments?view=checks")
    page.get_by_text("sizes_and_revenue_tie_out").first.wait_for()
    page.goto(f"{daily.address}/automation")
    page.get_by_text("newest_snapshot").first.wait_for()
    page.goto(f"{daily.address}/assets/segment_profiles?view=lineage")
    for name in ("customer_segments", "segment_profiles", "published_database"):
        page.get_by_text(name).first.wait_for()


FORM = '{ops: {model: {config: {retrain: true, reason: "spring", requested_by: "ann"}}}}'


@pytest.mark.xdist_group("daemon")
def test_a_request_in_the_launchpad_is_recorded_in_the_registry_with_person_and_reason(daily: Daily, page: Page) -> None:
    until((daily.data_dir / "segmentation.duckdb").exists, "publishing")
    page.goto(f"{daily.address}/locations/segmentation_assets/jobs/snapshot")
    button = page.get_by_role("button", name="Materialize all")
    button.locator("xpath=following::button[1]").click()
    page.get_by_role("menuitem", name="Open launchpad").click()
    page.get_by_text("requested_by", exact=True).first.click()
    for field in ("retrain", "requested_by"):
        page.get_by_text(str(ModelRequest.model_fields[field].description)).first.wait_for()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(FORM)
    page.get_by_placeholder("Partition").fill(daily.today)
    page.keyboard.press("Enter")
    page.get_by_text("Materialize", exact=True).click()
    asked = "SELECT decision, requested_by, request_reason FROM model_registry WHERE in_force"
    until(lambda: daily.published(asked)[0][1:] == ("ann", "spring"), "retraining")
