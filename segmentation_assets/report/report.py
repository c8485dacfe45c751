"""The report: for each snapshot a start page in one HTML file that can be mailed, two pages beside it, and an index of the snapshots.

Belongs here: how the pages are assembled and written. What they say is in `view`, `cards`, `changes` and `analysts`, their look in
`templates/`; a picture's caption is declared where it is drawn, in `core.pictures`. A page is self-contained: no fonts, no links but to the
pages beside it, a script of ours that sorts, searches and opens, and uPlot, which draws lines. A content security policy refuses
everything else.
"""

import base64
import hashlib
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from segmentation_assets.atomic import replacing
from segmentation_assets.core.pictures import PICTURES, Section
from segmentation_assets.core.pictures.style import title_of
from segmentation_assets.report import tables
from segmentation_assets.report.analysts import OF_CUSTOMERS, behind
from segmentation_assets.report.changes import CHANGED, changes_page
from segmentation_assets.report.charts import Chart, over_time
from segmentation_assets.report.sheets import Sheet
from segmentation_assets.report.sparks import HEIGHT, WIDTH, Spark, spark
from segmentation_assets.report.tables import Tables
from segmentation_assets.report.view import distinct_names, start_page
from segmentation_assets.report.words import Words, said
from segmentation_assets.settings.engine import Bounds
from segmentation_assets.store import published
from segmentation_assets.store.database_files import PublishError
from segmentation_assets.vocabulary import fewer_than

PAGE, CHANGES, ANALYSTS, PICTURE = "index.html", "changes.html", "analysts.html", '<figure id="'
LINK = re.compile(r'href="\.\./(\d{4}-\d\d-\d\d)/index\.html"')
LINKS = re.compile(r'<nav class="between".*?</nav>', re.DOTALL)  # of the macro `places`


@dataclass(frozen=True)
class Pictures:
    """The pictures of a page: PNGs by name, and the names of those that are withheld because they show too few customers."""

    drawn: Mapping[str, bytes]
    withheld: Collection[str] = ()


@dataclass(frozen=True)
class SnapshotLine:
    """A snapshot in the index: its figures as texts; `linked`: it has a report."""

    key: str
    day: str
    linked: bool
    customers: str
    customers_sort: float
    segments: int
    revenue: str
    revenue_sort: float
    model: str


@dataclass(frozen=True)
class Trend:
    """A segment in the index, over all snapshots."""

    segment_id: int
    name: str
    customers: str
    customers_sort: float
    sizes: Spark
    share: str
    share_sort: float
    shares: Spark
    now: bool


def folder(data_dir: Path, key: str) -> Path:
    """The folder with the report and the pictures of snapshot `key`."""
    return data_dir / "reports" / key


def file(data_dir: Path, key: str) -> Path:
    """The report of snapshot `key`."""
    return folder(data_dir, key) / PAGE


def index(data_dir: Path) -> Path:
    """The index of the reports."""
    return data_dir / "reports" / PAGE


def write(data_dir: Path, key: str, words: Words, pictures: Pictures | None = None, bounds: Bounds | None = None) -> Path:
    """Write the report of the published snapshot `key` and the index, and link its neighbours to it.

    Args:
        pictures: those of the page; None: those that it has already.
        bounds: what DuckDB may take of the machine to read the tables; None: what it takes by default.

    Raises:
        PublishError: the snapshot is not published.
    """
    with published.reading(data_dir, bounds) as database:
        keys = tables.keys(database)
        if key not in keys:
            raise PublishError(f"Snapshot {key} is not in the database. Run it: segmentation run --snapshot {key}")
        linked = [one for one in keys if one == key or file(data_dir, one).exists()]
        of_page = pictures if pictures is not None else pictures_of(data_dir, key)
        for name, text in pages(tables.read(database, key), of_page, words, *_neighbours(linked, key)).items():
            _replace(folder(data_dir, key) / name, text)
        for one in filter(None, _neighbours(linked, key)):
            _link_to_neighbours(data_dir, one, words, linked)
        _replace(index(data_dir), _index(database, words, linked))
    return file(data_dir, key)


def renew(data_dir: Path, key: str, words: Words) -> None:
    """Write the report of a snapshot again, such as after a delivery, if it has one, and figures are still hidden as when it was
    published."""
    if file(data_dir, key).exists():
        with suppress(PublishError):
            published.refuse_other_smallest_cell(data_dir, words.smallest)
            write(data_dir, key, words)


def link_again(data_dir: Path, words: Words) -> None:
    """Write the index and the oldest report again, if the report to which that one links has been removed."""
    there = sorted(page.parent.name for page in (data_dir / "reports").glob(f"*/{PAGE}"))
    if there and any(not file(data_dir, key).exists() for key in _linked_from(file(data_dir, there[0]))):
        with suppress(PublishError):  # its snapshot has been taken out of the database
            write(data_dir, there[0], words)


def _link_to_neighbours(data_dir: Path, key: str, words: Words, linked: list[str]) -> None:
    """Write the links of a report's pages to the reports before and after it again, and nothing else of them."""
    places = vars(_pages().get_template("macros.html").module)["places"]
    before, after = (_link(words, one) for one in _neighbours(linked, key))
    for page in (folder(data_dir, key) / name for name in (PAGE, CHANGES, ANALYSTS)):
        if page.exists():
            text = page.read_text(encoding="utf-8")
            if there := LINKS.search(text):
                _replace(page, f"{text[: there.start()]}{str(places(page.stem, before, after)).strip()}{text[there.end() :]}")


def _linked_from(page: Path) -> list[str]:
    return LINK.findall(page.read_text(encoding="utf-8"))


def pictures_of(data_dir: Path, key: str) -> Pictures:
    """The pictures that the report of a snapshot has; the folder may also hold older ones, and files of pictures that were withheld."""
    page = next((page for page in (folder(data_dir, key) / ANALYSTS, file(data_dir, key)) if page.exists()), None)  # one page in 0.1.0
    parts = page.read_text(encoding="utf-8").split(PICTURE)[1:] if page else []
    named = {part.partition('"')[0]: "<img" in part.partition("</figure>")[0] for part in parts}
    files = {name: folder(data_dir, key) / f"{name}.png" for name, drawn in named.items() if drawn and name in PICTURES}
    withheld = [name for name, drawn in named.items() if not drawn and name in PICTURES]
    return Pictures({name: picture.read_bytes() for name, picture in files.items() if picture.exists()}, withheld)


def pages(rows: Tables, pictures: Pictures, words: Words, before: str = "", after: str = "") -> dict[str, str]:
    """The pages of a snapshot by the name of their file; `before` and `after` are the snapshots of the reports to link to, empty: none."""
    words = words.with_names((*rows.names, *words.labels.values()))
    start, ever = start_page(rows, words), distinct_names(rows.history)
    changes = changes_page(rows, words, ever, start.changed)
    found = sections(pictures, behind(rows, words, distinct_names(rows["segments"])))
    shared = {
        "page": start, "changes": changes, "sections": found, "few": fewer_than(words.smallest), "before": _link(words, before),
        "after": _link(words, after), "elsewhere": elsewhere(found), "of_customers": OF_CUSTOMERS,
    }  # fmt: skip
    templates = {PAGE: "report.html", CHANGES: "changes.html", ANALYSTS: "analysts.html"}
    return {name: _pages().get_template(template).render(here=name.partition(".")[0], **shared) for name, template in templates.items()}


def sections(pictures: Pictures, tables_behind: Mapping[str, tuple[Sheet, ...]]) -> list[dict[str, Any]]:
    """The sections with their pictures; those of withheld pictures say so, and have no tables."""
    found = [
        {"heading": heading, "anchor": heading.lower().replace(" ", "-"), "pictures": [
            _shown(name, declared.caption, pictures.drawn.get(name, b""), () if name in pictures.withheld else tables_behind.get(name, ()))
            for name, declared in PICTURES.items()
            if declared.section == heading and name in {*pictures.drawn, *pictures.withheld}
        ]}
        for heading in Section
    ]  # fmt: skip
    return [section for section in found if section["pictures"]]


def elsewhere(found: Collection[Mapping[str, Any]]) -> dict[str, list[tuple[str, str]]]:
    """By page, what the search finds on the other pages of the snapshot: an address and a name for each table and picture."""
    changes = [(f"{CHANGES}#{anchor}", name) for anchor, name in CHANGED.items()]
    drawn = [(f"{ANALYSTS}#{picture['name']}", picture["caption"]) for section in found for picture in section["pictures"]]
    return {"index": [*changes, *drawn], "changes": drawn, "analysts": changes}


def index_html(
    snapshots: Collection[SnapshotLine], trends: Collection[Trend], words: Words, charts: Collection[tuple[str, Chart]] = ()
) -> str:
    """The index of the snapshots, newest first, with the trends of their segments; `charts` have a title each."""
    return _pages().get_template("snapshots.html").render(
        snapshots=snapshots, trends=trends, currency=words.currency, charts=charts, language=words.language
    )  # fmt: skip


def snapshot_lines(
    history: pd.DataFrame, models: pd.DataFrame, words: Words, linked: Collection[str], keys: Collection[str]
) -> list[SnapshotLine]:
    """A line for each snapshot, newest first.

    Args:
        history, models: as `tables.whole_history` returns them.
        linked: those that have a report; keys: all that are published.
    """
    decisions = {_key(row.snapshot_date): said(row.decision) for row in models.itertuples()}
    of = {_key(day): rows for day, rows in history.groupby("snapshot_date")}
    lines = []
    for key in sorted(keys, reverse=True):
        rows = of.get(key, history.iloc[:0])
        everyone, revenue = rows["customers"].sum(min_count=max(len(rows), 1)), rows["revenue"].sum(min_count=max(len(rows), 1))
        hidden = next((text for text in rows["small_cell"] if isinstance(text, str)), None)
        lines.append(
            SnapshotLine(
                key, words.date(key), key in linked, words.number(everyone, hidden), everyone, len(rows), words.number(revenue), revenue,
                decisions.get(key, ""),
            )
        )  # fmt: skip
    return lines


def trends_of(history: pd.DataFrame, words: Words) -> list[Trend]:
    """A trend for each segment that any snapshot has: those of the last snapshot first, the largest first."""
    days = sorted(history["snapshot_date"].unique())
    found = []
    for segment_id, name in distinct_names(history).items():
        own = history[history["segment_id"] == segment_id].set_index("snapshot_date").reindex(days)
        last = own.iloc[-1]
        now = not pd.isna(last["segment_id"])
        size = words.number(last["customers"], last["small_cell"]) if now else ""
        part = words.share(last["share"], last["small_cell"]) if now else ""
        sizes = spark([float(value) for value in own["customers"]], words.number)
        shares = spark([float(value) for value in own["share"]], words.share)
        trend = Trend(segment_id, name, size, last["customers"], sizes, part, last["share"], shares, now)
        found.append((not now, -float(last["customers"]) if not pd.isna(last["customers"]) else 0.0, trend))
    return [trend for *_, trend in sorted(found, key=lambda one: one[:2])]


def _shown(name: str, caption: str, picture: bytes, tables_behind: tuple[Sheet, ...]) -> dict[str, Any]:
    """A picture as the template shows it, with the tables behind it; its text has the finding first, then what it is."""
    finding = said(title_of(picture))
    alt = f"{finding.removesuffix('.')}. {caption}" if finding else caption
    return {"name": name, "caption": caption, "alt": alt, "png": base64.b64encode(picture).decode(), "sheets": tables_behind}


def _index(database: duckdb.DuckDBPyConnection, words: Words, linked: Collection[str]) -> str:
    history, models = tables.whole_history(database)
    lines = snapshot_lines(history, models, words, linked, tables.keys(database))
    trends = trends_of(history, words)
    names = {trend.segment_id: trend.name for trend in trends}
    drawn = [
        ("Customers of each segment over time", over_time(history, "customers", names, words, words.number)),
        ("Revenue of each segment over time", over_time(history, "revenue", names, words, words.money)),
    ]
    return index_html(lines, trends, words, [(title, chart) for title, chart in drawn if chart])


def _key(day: object) -> str:
    return pd.Timestamp(day).date().isoformat()


def _neighbours(keys: list[str], key: str) -> tuple[str, str]:
    place = keys.index(key)
    return keys[place - 1] if place else "", keys[place + 1] if place + 1 < len(keys) else ""


def _link(words: Words, key: str) -> dict[str, str] | None:
    return {"key": key, "day": words.date(key)} if key else None


def _replace(page: Path, text: str) -> None:
    """Write a page; an old one that is open stays readable."""
    with replacing(page) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


@cache
def _pages() -> Environment:
    pages = Environment(
        loader=PackageLoader("segmentation_assets.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    styles, scripts = " ".join(_digests(pages, "style.css", "uPlot.css")), " ".join(_digests(pages, "uPlot.js", "report.js"))
    pages.globals |= {
        "policy": f"default-src 'none'; img-src data:; style-src {styles}; script-src {scripts}; "
        "base-uri 'none'; form-action 'none'",
        "spark_width": WIDTH, "spark_height": HEIGHT,
    }  # fmt: skip
    return pages


def _digests(pages: Environment, *names: str) -> Iterator[str]:
    """The digests of what the templates put inline, as a content security policy names them."""
    for name in names:
        yield f"'{_digest(pages.get_template(name).render())}'"


def _digest(text: str) -> str:
    """A text's digest, as a content security policy names an inline style or script."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
