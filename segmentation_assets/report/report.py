"""The report of a snapshot: its pictures under headings, with a sentence each, in one HTML file that can be mailed.

Belongs here: what the report shows, in which order, and its captions. How a picture looks belongs to the core's modules of figures,
how the page looks to `templates/report.html`. The page needs nothing from elsewhere: no scripts, no fonts, no links to files.
"""

import base64
import datetime as dt
from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from segmentation_assets.atomic import replacing

# Heading -> picture -> its caption. Pictures of no section come last, under their names.
SECTIONS: dict[str, dict[str, str]] = {
    "Segments": {
        "segment_centres": "What the typical customer of each segment does, in the units of the features.",
        "segment_map": "Customers on the two directions in which they differ most; segments without a gap between them cut a continuum.",
        "flow": "Where customers went since the snapshot before.",
        "bridge": "Why the revenue of each segment changed since the snapshot before.",
    },
    "Orders and revenue": {
        "seasonality": "When customers order: weekday by hour, and month by month.",
        "cohorts": "Who comes back, and what they bring, by the time of the first order.",
        "revenue_concentration": "How much of the revenue the best customers bring.",
        "categories": "What is bought, and by how many.",
        "attributes": "What is known of customers, against what they spend.",
    },
    "Features of customers": {
        "distributions_raw": "How each feature is distributed, and for whom it is missing.",
        "distributions_transformed": "The same features on the scale on which they would enter the clustering.",
        "correlations": "Which features move together; of those that say the same, one is enough.",
        "missingness": "Which values are missing, and for whom.",
        "outliers": "Where customers lie far from the others.",
    },
    "How the model was chosen": {
        "indices_over_k": "How every clustering that was tried fares on every index, by number of segments.",
        "stability": "How well each segment is found again when customers are drawn anew.",
        "silhouettes": "How well customers sit in their segment.",
        "dendrogram": "How Ward's tree joins customers, and where it is cut.",
        "k_distance_curve": "How far customers are from their neighbours, and the radius that DBSCAN reads off it.",
    },
}
OTHERS = "Further pictures"


def folder(data_dir: Path, key: str) -> Path:
    """Where the pictures of snapshot `key` are."""
    return data_dir / "reports" / key


def file(data_dir: Path, key: str) -> Path:
    """The report of snapshot `key`."""
    return folder(data_dir, key) / "index.html"


def write(data_dir: Path, key: str, pictures: Mapping[str, Path]) -> Path:
    """Write the report of snapshot `key` from PNG files by the name of the picture; whoever has the old one open keeps it."""
    page = file(data_dir, key)
    with replacing(page) as unfinished:
        unfinished.write_text(html(key, {name: picture.read_bytes() for name, picture in pictures.items()}), encoding="utf-8")
    return page


def html(key: str, pictures: Mapping[str, bytes]) -> str:
    """The page of snapshot `key`; pictures are PNGs by name."""
    named = {name for shown in SECTIONS.values() for name in shown}
    others = {name: f"{name.replace('_', ' ').capitalize()}." for name in pictures if name not in named}
    sections = [
        {"heading": heading, "anchor": heading.lower().replace(" ", "-"), "pictures": [
            {"name": name, "caption": caption, "png": base64.b64encode(pictures[name]).decode()}
            for name, caption in shown.items() if name in pictures
        ]}
        for heading, shown in (SECTIONS | {OTHERS: others}).items()
    ]  # fmt: skip
    pages = Environment(loader=PackageLoader("segmentation_assets.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    day = dt.date.fromisoformat(key)
    return pages.get_template("report.html").render(day=f"{day.day} {day:%B %Y}", sections=[s for s in sections if s["pictures"]])
