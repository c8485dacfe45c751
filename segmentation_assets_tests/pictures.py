"""The docs' pictures of Dagster's page, and of the demo's customers; that of the report's start page is in `screenshot.py`.

python -m segmentation_assets_tests.pictures data     # rewrites them from published demo data; needs Chromium
"""

import shutil
import sys
from pathlib import Path

from PIL import Image, PngImagePlugin
from playwright.sync_api import Page, sync_playwright

from segmentation_assets_tests.test_definitions import GRAPH
from segmentation_assets_tests.test_ui import CHROMIUM_FLAGS, served

DOCS = Path(__file__).parent.parent / "docs"
OF_PAGE = ("lineage", "page")
OF_CUSTOMERS = ("correlations", "flow")  # as in the demo's report
ASSETS = "assets"
"""The entry of a picture of Dagster's page that names the assets of which it was taken."""


def reported(data_dir: Path, name: str) -> Path:
    """A picture of the demo's newest snapshot."""
    return data_dir / "reports" / "2018-01-01" / f"{name}.png"


def take(page: Page, address: str) -> None:
    """Photograph the lineage, and the dialog that makes every snapshot."""
    page.goto(f"{address}/asset-groups")
    page.get_by_role("button", name="Materialize all").wait_for()
    page.wait_for_timeout(10_000)  # the layout is computed, then moves into place
    skip = page.get_by_role("button", name="Skip")
    if skip.count():
        skip.first.click()
    page.locator("[class*=slider]").first.evaluate(
        "shown => { while (shown.parentElement.offsetWidth < 100) shown = shown.parentElement; shown.style.visibility = 'hidden' }"
    )
    drawn = page.locator("svg foreignObject")
    boxes = [box for box in (drawn.nth(i).bounding_box() for i in range(drawn.count())) if box]
    left, top = min(box["x"] for box in boxes) - 20, min(box["y"] for box in boxes) - 20
    right, bottom = max(box["x"] + box["width"] for box in boxes) + 20, max(box["y"] + box["height"] for box in boxes) + 20
    page.screenshot(path=DOCS / "lineage.png", clip={"x": left, "y": top, "width": right - left, "height": bottom - top})
    page.set_viewport_size({"width": 1300, "height": 720})
    page.get_by_role("button", name="Materialize all").click()
    page.get_by_role("button", name="All", exact=True).click()
    launch = page.get_by_role("button", name="Launch backfill")
    launch.wait_for()
    while page.get_by_text("Loading pipeline").count():
        page.wait_for_timeout(500)
    for button in (launch, page.get_by_role("button", name="Materialize all")):
        button.evaluate("shown => { shown.style.outline = '4px solid #e4572e'; shown.style.outlineOffset = '2px' }")
    page.wait_for_timeout(1_000)
    page.screenshot(path=DOCS / "page.png")


def named(file: Path) -> None:
    """Write the assets into a picture, by which a test sees that it is out of date."""
    entry = PngImagePlugin.PngInfo()
    entry.add_text(ASSETS, " ".join(sorted(GRAPH)))
    with Image.open(file) as picture:
        picture.convert("RGB").save(file, pnginfo=entry, optimize=True)


if __name__ == "__main__":
    data = Path(sys.argv[1]).resolve()
    for name in OF_CUSTOMERS:
        shutil.copyfile(reported(data, name), DOCS / f"{name}.png")
    with served(data) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM_FLAGS)
        opened = browser.new_page(viewport={"width": 1700, "height": 1000})
        opened.set_default_timeout(120_000)
        take(opened, address)
        browser.close()
    for name in OF_PAGE:
        named(DOCS / f"{name}.png")
