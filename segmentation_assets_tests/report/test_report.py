"""The report is one self-contained file with every picture that was drawn."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from segmentation_assets.core.pictures import PICTURES
from segmentation_assets.report import report

PNG = b"\x89PNG"


class Page(HTMLParser):
    """The headings, pictures and addresses in a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def test_pictures_are_embedded_under_their_headings_with_a_caption():
    page = Page(report.html("2018-01-01", {"cohorts": PNG, "flow": PNG}))
    assert [heading["id"] for heading in page.of("h2")] == ["segments", "orders-and-revenue"]
    assert [(i["alt"], i["src"]) for i in page.of("img")] == [
        ("Where customers went since the previous snapshot.", "data:image/png;base64,iVBORw=="),
        ("Who comes back, and what they spend, by the time of the first order.", "data:image/png;base64,iVBORw=="),
    ]


def test_a_picture_of_too_few_customers_is_named_but_not_shown():
    text = report.html("2018-01-01", {"cohorts": PNG}, withheld=["flow"], smallest_cell=5)
    assert [figure["id"] for figure in Page(text).of("figure")] == ["flow", "cohorts"]
    assert len(Page(text).of("img")) == 1
    assert "Not shown: it has figures of fewer than 5 customers." in text


def test_the_page_loads_nothing_from_elsewhere():
    text = report.html("2018-01-01", dict.fromkeys(PICTURES, PNG))
    assert not {tag for tag, _ in Page(text).found} & {"script", "link", "iframe", "object"}
    assert all(address.startswith(("#", "data:image/png")) for address in re.findall(r'(?:src|href)="([^"]*)"', text))
    assert "url(" not in text


def test_without_pictures_the_report_says_why(tmp_path: Path):
    page = report.write(tmp_path, "2018-01-01", {})
    assert page == tmp_path / "reports" / "2018-01-01" / "index.html"
    assert "exploration.pictures is off" in page.read_text()
    assert [file.name for file in page.parent.iterdir()] == ["index.html"]


@pytest.mark.slow
def test_every_picture_of_the_demo_is_in_its_report_and_has_a_caption(demo: Path):
    for folder in sorted((demo / "reports").iterdir()):
        drawn = {file.stem for file in folder.glob("*.png")}
        assert {figure["id"] for figure in Page((folder / "index.html").read_text()).of("figure")} == drawn
        assert drawn <= set(PICTURES)


def test_segments_of_ones_own_have_a_section_in_which_nothing_runs():
    row = report.OwnSegmentRow(
        "<script>x</script>", "monetary > 1\x1b[2J", "", "12 customers", "1.2%", "", "3 entered, 4 left", "Loyal (64%)"
    )
    text = report.html("2018-01-01", {}, remarks=["One.", "Two."], own_segments=[row])
    page = Page(text)
    assert [heading["id"] for heading in page.of("h2")] == ["own-segments"]
    assert not page.of("script") and "\x1b" not in text and "monetary &gt; 1\\x1b[2J" in text
    assert "<p>One.</p>" in text and "3 entered, 4 left" in text and "Revenue share" not in text
    assert "Revenue share" in report.html("2018-01-01", {}, own_segments=[replace(row, revenue_share="5.0%")])
    assert "own-segments" not in report.html("2018-01-01", {})
