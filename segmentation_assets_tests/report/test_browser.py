"""The pages of a report in a browser: no barriers, search by keyboard, lines to hover, tables to sort."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, sync_playwright

from segmentation_assets.core.pictures import PICTURES, style
from segmentation_assets.report import report
from segmentation_assets.report.charts import over_time
from segmentation_assets.report.report import Pictures
from segmentation_assets.report.view import distinct_names
from segmentation_assets.report.words import Words
from segmentation_assets_tests.report.conftest import KEY
from segmentation_assets_tests.test_ui import CHROMIUM_FLAGS

pytestmark = pytest.mark.slow
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM_FLAGS)
        yield started
        started.close()


@pytest.fixture
def site(small, tmp_path: Path) -> Path:
    """A folder with all kinds of pages, whose tables and pictures are small; a segment has a hostile name."""
    words = Words("USD")
    small.history.loc[small.history["segment_id"] == 2, "segment_name"] = HOSTILE
    picture = style.png(style.titled(1, "Half of them stay", "below"))
    folder = tmp_path / KEY
    folder.mkdir()
    for name, text in report.pages(small, Pictures(dict.fromkeys(PICTURES, picture), withheld=["flow"]), words).items():
        (folder / name).write_text(text)
    lines = report.snapshot_lines(small.history, small["model_registry"], words, [KEY], [KEY])
    chart = over_time(small.history, "customers", distinct_names(small.history), words, words.number)
    trends = report.trends_of(small.history, words)
    (tmp_path / "index.html").write_text(report.index_html(lines, trends, words, [("Customers over time", chart)] if chart else []))
    return tmp_path


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (390, "dark")])
def test_pages_have_no_barriers(browser: Browser, site: Path, width: int, scheme: str) -> None:
    context = browser.new_context(bypass_csp=True, viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    found = {}
    for file in sorted(site.rglob("*.html")):
        page.goto(file.as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        found[str(file.relative_to(site))] = [(one["id"], one["nodes"][0]["html"]) for one in Axe().run(page).response["violations"]]
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()
    assert len(found) == 4 and not any(found.values()), found


def test_search_is_done_by_the_keyboard_and_lines_are_hovered(browser: Browser, site: Path) -> None:
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: wrong.append(dialog.message))
    page.goto((site / KEY / "index.html").as_uri())
    page.keyboard.press("/")
    page.keyboard.type("champ")
    assert page.locator("search li").first.inner_text() == "Champions"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert page.url.endswith("#segment-1") and page.locator("search li").count() == 0
    page.keyboard.press("/")
    page.keyboard.type("drift")
    page.keyboard.press("Enter")
    page.wait_for_url("**/changes.html#drift")
    page.go_back()
    box = page.locator(".u-over").bounding_box()
    assert box
    page.mouse.move(box["x"] + 3, box["y"] + 20)
    legend = page.locator(".u-legend").inner_text()
    assert "1 February 2024" in legend and "40" in legend and HOSTILE not in page.locator(".u-legend").inner_html()
    page.goto((site / KEY / "changes.html").as_uri())
    moves = page.locator("section[aria-labelledby=flow] table")
    moves.get_by_role("button", name="Customers", exact=True).click()
    moves.get_by_role("button", name="Customers", exact=True).click()
    assert [row.split("\t")[2] for row in moves.locator("tbody tr").all_inner_texts()] == ["5", "9", "10"]
    page.close()
    assert wrong == []
