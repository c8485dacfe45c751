"""The picture of the report's start page in the docs, taken of published demo data.

SEGMENTATION_DATA_DIR=data python -m segmentation_assets_tests.screenshot     # rewrites docs/report.png
"""

import os
import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

from segmentation_assets.report import report
from segmentation_assets.store import published

PICTURE = Path(__file__).parent.parent / "docs" / "report.png"


def take(page: Path, picture: Path) -> None:
    """Write the first screen of a page, at 1400 x 900, as a PNG."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"])
        opened = browser.new_page(viewport={"width": 1400, "height": 900})
        opened.goto(page.resolve().as_uri())
        opened.screenshot(path=picture)
        browser.close()


if __name__ == "__main__":
    data_dir = Path(os.environ["SEGMENTATION_DATA_DIR"])
    take(report.file(data_dir, published.keys(data_dir)[-1]), PICTURE)
