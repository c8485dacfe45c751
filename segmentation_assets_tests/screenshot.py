"""The picture of the report's start page in the docs, of published demo data. It holds the digest of what it shows, for a test.

SEGMENTATION_DATA_DIR=data python -m segmentation_assets_tests.screenshot     # rewrites docs/report.png
"""

import hashlib
import os
import shutil
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from playwright.sync_api import sync_playwright

from segmentation_assets.report import report, tables
from segmentation_assets.report.report import Pictures
from segmentation_assets.report.words import Words
from segmentation_assets.settings.loading import load_settings
from segmentation_assets.store import published

PICTURE = Path(__file__).parent.parent / "docs" / "report.png"
SETTINGS = Path(__file__).parent.parent / "segmentation.yaml"
SHOWN = "Shown"  # the PNG's text with the digest
FURTHER_DOWN = '<nav class="contents"'


def first_screen(data_dir: Path) -> str:
    """The newest start page of published demo data as it would be written now, up to what the first screen does not show."""
    with published.reading(data_dir) as database:
        key = tables.keys(database)[-1]
        pages = report.pages(tables.read(database, key), Pictures({}), Words.of(load_settings(SETTINGS)), before=tables.keys(database)[-2])
    return pages[report.PAGE].partition(FURTHER_DOWN)[0]


def digest(shown: str) -> str:
    """A digest of a page: of its styles, words and figures."""
    return hashlib.sha256(shown.encode()).hexdigest()


def digest_of(picture: Path) -> str:
    """The digest that a picture holds."""
    with Image.open(picture) as opened:
        return str(opened.info.get(SHOWN, ""))


def take(page: Path, picture: Path, shown: str) -> None:
    """Write the first screen of a page, at 1400 x 900, as a PNG that holds the digest of what it shows."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"])
        opened = browser.new_page(viewport={"width": 1400, "height": 900})
        opened.goto(page.resolve().as_uri())
        opened.screenshot(path=picture)
        browser.close()
    held = PngInfo()
    held.add_text(SHOWN, digest(shown))
    with Image.open(picture) as taken:
        taken.save(picture, pnginfo=held, optimize=True)


if __name__ == "__main__":
    data_dir = Path(os.environ["SEGMENTATION_DATA_DIR"])
    newest = published.keys(data_dir)[-1]
    take(report.write(data_dir, newest, Words.of(load_settings(SETTINGS))), PICTURE, first_screen(data_dir))
