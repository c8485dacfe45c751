"""The style of all pictures, and what they share: heading, colours, numbers and names as text.

Belongs here: what pictures on any subject need. Pictures of features are in `features`, of orders and revenue in `orders`,
of the model in `model`, of movement in `movement`. Each function there draws an aggregated table that SQL can query,
and its title states the finding. Colours are those of Okabe and Ito (2008), scales are cividis or blue to red
through grey (vlag): all can be distinguished by colour-blind readers, and in print. Grey means unknown.

matplotlib and seaborn are imported where they are used, because they take a second that most runs need not spend.
"""

import io
import re
import textwrap
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd

from segmentation_assets import languages, vocabulary
from segmentation_assets.core.customers.feature_catalog import FEATURES
from segmentation_assets.settings.report import PLAIN as PLAIN_LANGUAGE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Draw = TypeVar("Draw", bound=Callable[..., "Figure"])
_LANGUAGE = ContextVar("language", default=PLAIN_LANGUAGE)
FIGURE = re.compile(r"\d[\d,]*(\.\d+)?%?")  # in the label of an axis, perhaps before a k or M
INK, MUTED, GRID, UNKNOWN = "#1f2933", "#6b7682", "#e3e7eb", "#cdd3d9"
LEAST_SHARE = 0.005  # rounds to 1%
LINE, HEADLINE = 152, 95  # letters of a subtitle, and of a title, that fit across
BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SEGMENT_COLOURS = (BLUE, ORANGE, GREEN, "#CC79A7", "#56B4E9", VERMILION, "#F0E442", "#000000", "#999999", "#7B4B94")
WIDTH = 11.0  # inches; at 100 dots each, what fits a page without scrolling sideways
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans", "font.size": 9, "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": MUTED,
    "axes.titlesize": 9.5, "axes.titleweight": "bold", "axes.titlelocation": "left", "axes.spines.top": False, "axes.spines.right": False,
    "axes.axisbelow": True, "axes.grid": False, "grid.color": GRID, "xtick.color": MUTED, "ytick.color": MUTED,
    "xtick.labelcolor": INK, "ytick.labelcolor": INK, "figure.facecolor": "white", "figure.dpi": 100, "savefig.dpi": 100,
    "text.parse_math": False,  # names and currencies come from users: a $ in them starts no formula
}  # fmt: skip


class Section(StrEnum):
    """Headings of the report, in its order."""

    SEGMENTS = "Segments"
    ORDERS = "Orders and revenue"
    FEATURES = "Features of customers"
    CHOICE = "How the model was chosen"


@dataclass(frozen=True)
class Shown:
    """The section and caption of a picture in the report."""

    section: Section
    caption: str
    needs_orders: bool = False


PICTURES: dict[str, Shown] = {}  # by name, in the order of their declaration


def shown(name: str, section: Section, caption: str, needs_orders: bool = False) -> Callable[[Draw], Draw]:
    """Decorator that declares the picture drawn by a function: its name, its section and caption in the report, and whether it is left out
    if the source has no orders, as are all of the section on orders."""

    def declare(draw: Draw) -> Draw:
        PICTURES[name] = Shown(section, caption, needs_orders or section == Section.ORDERS)
        return draw

    return declare


def segment_colours(ids: Iterable[int]) -> dict[int, str]:
    """The colour of each segment, by its id so that it stays from month to month; if two ids would share one, the newer gets another."""
    colours: dict[int, str] = {}
    for segment in sorted(ids):
        start = (segment - 1) % len(SEGMENT_COLOURS)
        wanted = SEGMENT_COLOURS[start:] + SEGMENT_COLOURS[:start]
        colours[segment] = next((colour for colour in wanted if colour not in colours.values()), wanted[0])
    return colours


def png(figure: "Figure") -> bytes:
    """The figure as a PNG, with its title as the file's; the same figure gives the same bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer, canvas, layout = io.BytesIO(), FigureCanvasAgg(figure), figure.get_layout_engine()
    _write_axes(figure)
    with styled():  # some ticks are created only when drawn
        if layout and figure.axes:
            layout.execute(figure)
            figure.set_layout_engine("none")
        canvas.print_png(buffer, metadata={"Software": None, "Title": figure.get_label()})  # type: ignore[no-untyped-call]  # `savefig` would draw it twice
    return buffer.getvalue()


def title_of(picture: bytes) -> str:
    """The title of a PNG, which states its finding; empty if it has none, as those of earlier versions.

    >>> title_of(b"no picture")
    ''
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(picture)) as opened:
            return str(opened.info.get("Title", ""))
    except UnidentifiedImageError:
        return ""


def heatmap(table: pd.DataFrame, ax: "Axes", **how: Any) -> None:
    """A heatmap with all its names upright; `how` is as in `seaborn.heatmap`, which would draw every name to see which overlap."""
    import seaborn as sns

    sns.heatmap(table, ax=ax, xticklabels=False, yticklabels=False, **how)
    ax.set_xticks(np.arange(table.shape[1]) + 0.5, [str(name) for name in table.columns])
    ax.set_yticks(np.arange(table.shape[0]) + 0.5, [str(name) for name in table.index], va="center")


@contextmanager
def styled() -> Iterator[None]:
    """The style of all pictures, as a context manager or a decorator of a drawing function."""
    import matplotlib as mpl

    with mpl.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # an emoji is drawn as an empty box
        yield


def _lines(text: str, letters: int) -> list[str]:
    return [line for part in text.split("\n") for line in textwrap.wrap(part, letters)]


def heading_height(title: str, subtitle: str) -> float:
    """Height of title and subtitle, in inches."""
    return 0.38 + 0.21 * (len(_lines(title, HEADLINE)) - 1) + 0.24 + 0.17 * (len(_lines(subtitle, LINE)) - 1)


def titled(height: float, title: str, subtitle: str) -> "Figure":
    """A figure `height` inches high with its heading; axes are laid out below it."""
    from matplotlib.figure import Figure  # not pyplot, which keeps every figure alive and wants a screen

    first = title.partition(" ")[0]
    if first.islower() and first.isalpha():  # a word, not a name such as k-means
        title = title[0].upper() + title[1:]
    head, lines = heading_height(title, subtitle), _lines(title, HEADLINE)
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    figure.set_label(title)
    figure.get_layout_engine().set(rect=(0, 0, 1, 1 - head / height), h_pad=0.06, w_pad=0.06)  # type: ignore[union-attr, call-arg]
    figure.text(0.008, 1 - 0.12 / height, "\n".join(lines), fontsize=13, fontweight="bold", va="top", linespacing=1.15)
    below = 0.40 + 0.21 * (len(lines) - 1)
    figure.text(0.008, 1 - below / height, "\n".join(_lines(subtitle, LINE)), fontsize=9, color=MUTED, va="top")
    return figure


def empty(title: str, why: str) -> "Figure":
    """A picture with a sentence that says why there is nothing to draw."""
    return titled(0.85 + 0.17 * len(_lines(why, LINE)), title, why)


def drawn(
    title: str, nothing: str = "Nothing to show: the table has no rows."
) -> Callable[[Callable[..., "Figure"]], Callable[..., "Figure"]]:
    """Decorate a drawing function: set the style, a default title, and a sentence in place of the picture if the table has no rows."""

    def decorate(draw: Callable[..., "Figure"]) -> Callable[..., "Figure"]:
        def wrapped(table: pd.DataFrame, *args: Any, **named: Any) -> "Figure":
            with styled():
                return draw(title, table, *args, **named) if len(table) else empty(title, nothing)

        wrapped.__doc__, wrapped.__name__ = draw.__doc__, draw.__name__
        return wrapped

    return decorate


@contextmanager
def written_in(language: str) -> Iterator[None]:
    """Figures of the pictures that are drawn within, by the customs of a language (`report.language`)."""
    before = _LANGUAGE.set(language)
    try:
        yield
    finally:
        _LANGUAGE.reset(before)


def written(figures: str) -> str:
    """English text without names, with its figures in the language of the picture.

    >>> with written_in("de-DE"): written("+1,234.5 (0.5%)")
    '+1.234,5 (0,5\\xa0%)'
    """
    return figures if _LANGUAGE.get() == PLAIN_LANGUAGE else languages.localised(figures, _LANGUAGE.get())


def numeral(value: float, digits: int = 0) -> str:
    """A number with so many digits behind the decimal mark."""
    return written(f"{value:,.{digits}f}")


def in_percent(share: float, digits: int = 0) -> str:
    """A share in per cent."""
    return written(f"{share:.{digits}%}")


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun; `plural` if the plural is irregular."""
    return written(vocabulary.counted(number, noun, plural))


def _write_axes(figure: "Figure") -> None:
    """Have matplotlib's own labels of axes in the language, too."""
    from matplotlib.ticker import PercentFormatter, ScalarFormatter

    if _LANGUAGE.get() == PLAIN_LANGUAGE:
        return

    class Written(ScalarFormatter):
        def __init__(self, english: Any) -> None:
            super().__init__()
            self.english = english

        def format_ticks(self, values: Any) -> list[str]:
            return [FIGURE.sub(lambda found: written(found.group()), tick) for tick in self.english.format_ticks(values)]

    for axis in (axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)):
        formatter = axis.get_major_formatter()
        if isinstance(formatter, ScalarFormatter | PercentFormatter):
            axis.set_major_formatter(Written(formatter))


def percent(share: float) -> str:
    """A share as a percentage that never rounds to 0% or 100% unless exact."""
    if 0 < share < LEAST_SHARE:
        return f"<{in_percent(0.01)}"
    return f">{in_percent(0.99)}" if 1 - LEAST_SHARE < share < 1 else in_percent(share)


def short(value: float) -> str:
    """A number in short form: 0.25, 12, 3.4k, 1.2M."""
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return written(f"{value / size:.3g}") + suffix
    return written(f"{value:.3g}") if value else "0"


def amount(value: float, unit: str) -> str:
    """A value without its unit; a share as a percentage, a year in full."""
    if np.isnan(value):
        return ""
    if unit == "year":
        return f"{value:.0f}"
    return written(f"{value * 100:.3g}%") if unit == "share" else short(value)


LONGEST_LABEL = 32  # letters of a label beside a mark
LABELS = {feature.name: feature.label for feature in FEATURES if 0 < len(feature.label) <= LONGEST_LABEL}
PLAIN = {"sd_gap_days": "spread of gaps"}


def plain(name: str) -> str:
    """What people call a column of customer_features, as in the report's tables if that is short; its unit is written beside it.

    >>> plain("recency_days"), plain("overdue_ratio"), plain("kids_count")
    ('days since last order', 'overdue ratio', 'kids count')
    """
    return LABELS.get(name) or PLAIN.get(name, name.removesuffix("_days").removesuffix("_years").replace("_", " "))


def cut(name: object, letters: int) -> str:
    """A name shortened to fit by cutting its middle, because long names often differ at the end."""
    text, end = str(name), letters // 3
    return text if len(text) <= letters else f"{text[: letters - end - 1].rstrip()}…{text[-end:].lstrip()}"
