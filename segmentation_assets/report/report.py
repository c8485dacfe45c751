"""The report of a snapshot: its pictures under headings, with a caption each, in one HTML file that can be mailed.

Belongs here: how the page is assembled. A picture's title and caption are declared where it is drawn, in `core.pictures`; the page's
look is in `templates/report.html`. The page is self-contained: no scripts, no fonts, no links to files.
"""

import base64
import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from segmentation_assets.atomic import replacing
from segmentation_assets.core.pictures import PICTURES, Section
from segmentation_assets.visible import visible
from segmentation_assets.vocabulary import fewer_than


@dataclass(frozen=True)
class OwnSegmentRow:
    """A segment of one's own, each figure as it is written; empty where it is not known."""

    name: str
    condition: str
    description: str
    customers: str
    share: str
    revenue_share: str
    change: str
    overlap: str


def folder(data_dir: Path, key: str) -> Path:
    """The folder with the pictures of snapshot `key`."""
    return data_dir / "reports" / key


def file(data_dir: Path, key: str) -> Path:
    """The report of snapshot `key`."""
    return folder(data_dir, key) / "index.html"


def write(
    data_dir: Path,
    key: str,
    pictures: Mapping[str, Path],
    withheld: Collection[str] = (),
    smallest_cell: int = 0,
    remarks: Sequence[str] = (),
    own_segments: Sequence[OwnSegmentRow] = (),
) -> Path:
    """Write the report of snapshot `key` from PNG files by picture name; an old report that is open stays readable.

    Args:
        withheld: names of pictures that show fewer customers than `smallest_cell`; the page says so.
        remarks: sentences at the top of the page.
        own_segments: the segments of one's own, in their own section.
    """
    page = file(data_dir, key)
    with replacing(page) as unfinished:
        drawn = {name: picture.read_bytes() for name, picture in pictures.items()}
        unfinished.write_text(html(key, drawn, withheld, smallest_cell, remarks, own_segments), encoding="utf-8")
    return page


def html(
    key: str,
    pictures: Mapping[str, bytes],
    withheld: Collection[str] = (),
    smallest_cell: int = 0,
    remarks: Sequence[str] = (),
    own_segments: Sequence[OwnSegmentRow] = (),
) -> str:
    """The page of snapshot `key`; pictures are PNGs by name, and the others as in `write`."""
    sections = [
        {"heading": heading, "anchor": heading.lower().replace(" ", "-"), "pictures": [
            {"name": name, "caption": declared.caption, "png": base64.b64encode(pictures.get(name, b"")).decode()}
            for name, declared in PICTURES.items() if declared.section == heading and name in {*pictures, *withheld}
        ]}
        for heading in Section
    ]  # fmt: skip
    pages = Environment(loader=PackageLoader("segmentation_assets.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    day = dt.date.fromisoformat(key)
    shown = [section for section in sections if section["pictures"]]
    few = fewer_than(smallest_cell)
    own = [
        replace(row, name=visible(row.name), condition=visible(row.condition), description=visible(row.description)) for row in own_segments
    ]
    return pages.get_template("report.html").render(
        key=key,
        day=f"{day.day} {day:%B %Y}",
        sections=shown,
        few=few,
        remarks=[visible(remark) for remark in remarks],
        own_segments=own,
        has_revenue=any(row.revenue_share for row in own),
    )
