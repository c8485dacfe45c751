"""Pictures of who moved between segments and of the effect on revenue; each function returns a matplotlib Figure.

Belongs here: drawing the tables that `movement` computes, in the common `style`. Positions are in inches from the top left of the
drawing, so that the height of a line of text does not depend on the number of customers.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segmentation_assets.core.model.naming import FORMER, LAPSED, NOISE, PROSPECT, RETURNED
from segmentation_assets.core.pictures.style import (
    BLUE,
    GRID,
    INK,
    MUTED,
    VERMILION,
    WIDTH,
    Section,
    counted,
    drawn,
    in_percent,
    numeral,
    percent,
    segment_colours,
    short,
    shown,
    titled,
    written,
)
from segmentation_assets.core.segments.movement import COMPONENTS, NEW
from segmentation_assets.vocabulary import MONEY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEFT = "(left)"
LEAST_FLOW, LEAST_BLOCK = 0.005, 0.03  # smaller flows (share of customers) have no number; smaller blocks (inches) are drawn so high
RULE_COLOURS: Mapping[int | str, str] = {NOISE: "#5b6670", LAPSED: "#87929c", PROSPECT: "#aab3bb", RETURNED: "#c3b5a8", FORMER: "#9a8c98"}
NOWHERE_COLOUR = "#cbd2d9"  # of those not known on one side
LINE, LETTER = 0.175, 0.075  # inches: height of a line, and width of a letter, of 9 points
HEAD = 0.75  # inches above the blocks, for dates and shares
Block = int | str  # a segment id, NEW or LEFT
Written = tuple[float, float, float]  # middle and half width of a text


@shown("flow", Section.SEGMENTS, "Where customers went since the previous snapshot.")
@drawn("Where customers went")
def flow(title: str, layers: pd.DataFrame, names: Mapping[int, str], order: Sequence[int] = ()) -> "Figure":
    """Alluvial diagram: a column of segments per snapshot, sized by customers, with ribbons for those who stayed or moved.

    Args:
        layers: from_date, to_date, from_segment_id, to_segment_id (missing: not known then), customers, for one or more pairs of
            consecutive snapshots; with customers_by_model, the title also gives the share moved by a change of model.
        names: name of each segment id.
        order: segment ids from the top, largest revenue first; others follow by id, then those by rule.
    """
    flows = _flows(layers)
    ranked = _ranked({*flows["origin"], *flows["goal"]}, order)
    said = {block: names.get(block, f"segment {block}") if isinstance(block, int) else block for block in ranked}
    blocks = _blocks(flows, ranked)
    dates = list(blocks.index.get_level_values("date").unique())
    title = _largest_move(flows[flows["to_date"] == dates[-1]], said) or title
    most = int(blocks.groupby("date").size().max())
    height = max(6.4, 3.4 + 2 * LINE * most)
    figure = titled(
        height,
        title,
        "Each block is a segment, as high as its customers. Ribbons have the colour of where customers come from: "
        "pale for those who stayed, strong for those who moved.",
    )
    ax = figure.subplots()
    across, down = WIDTH - 0.12, height - 0.62 - 0.12
    ax.set(xlim=(0, across), ylim=(down, 0))
    ax.axis("off")

    width = 0.5 if len(dates) <= 4 else 0.4  # of a block
    beside = [
        LETTER * max(len(f"{said[b]}  {numeral(n)}") for b, n in blocks.loc[d, "customers"].items()) + 0.2 for d in (dates[0], dates[-1])
    ]
    step = (across - sum(beside) - width) / (len(dates) - 1)
    per_customer = min((down - HEAD - LINE * len(b)) / b["customers"].sum() for _, b in blocks.groupby("date"))
    blocks["x"] = blocks.index.get_level_values("date").map({date: beside[0] + step * i for i, date in enumerate(dates)})
    blocks["height"] = blocks["customers"] * per_customer
    blocks["top"] = HEAD + blocks.groupby("date")["height"].cumsum() - blocks["height"] + LINE * blocks.groupby("date").cumcount()
    flows = _placed(flows, blocks, ranked, per_customer)
    colours = _colours(ranked)

    taken = [
        _draw_block(ax, block, place, width, colours[block], said[block], first=date == dates[0], last=date == dates[-1])
        for (date, block), place in blocks.iterrows()
    ]
    _draw_ribbons(ax, flows, blocks, width, step, colours, taken)
    size = min(9.0, 9.5 * step)  # dates stay apart however many there are
    for i, date in enumerate(dates):
        middle = beside[0] + step * i + width / 2
        known = sum(n for block, n in blocks.loc[date, "customers"].items() if isinstance(block, int))
        ax.text(middle, 0, f"{date.day} {date:%b %Y}", ha="center", va="top", fontsize=size, fontweight="bold")
        ax.text(middle, 0.17, counted(known, "customer"), ha="center", va="top", fontsize=0.83 * size, color=MUTED)
        if i + 1 < len(dates):
            for line, text in enumerate(_moved(flows[flows["from_date"] == date])):
                ax.text(
                    middle + step / 2,
                    0.36 + 0.16 * line,
                    text,
                    ha="center",
                    va="top",
                    fontsize=(0.95 - 0.1 * line) * size,
                    color=(INK, MUTED)[line],
                )
    return figure


def _largest_move(flows: pd.DataFrame, said: Mapping[Block, str]) -> str:
    """How many moved between the last two dates, and the most common move; empty if none did."""
    known = flows[(flows["origin"] != NEW) & (flows["goal"] != LEFT)]
    moved = known[known["origin"] != known["goal"]]
    if moved.empty:
        return ""
    most = moved.loc[moved["customers"].idxmax()]
    share = percent(moved["customers"].sum() / known["customers"].sum())
    return f"{share} of customers moved; the largest group went from {said[most['origin']]} to {said[most['goal']]} ({numeral(most['customers'])})"


def _flows(layers: pd.DataFrame) -> pd.DataFrame:
    """from_date, to_date, origin, goal (blocks), customers and by_model (0 if unknown) of each flow with customers."""
    ends = {
        end: pd.Series([nowhere if pd.isna(s) else int(s) for s in layers[column]], index=layers.index, dtype=object)
        for end, column, nowhere in (("origin", "from_segment_id", NEW), ("goal", "to_segment_id", LEFT))
    }
    by_model = layers.get("customers_by_model", 0)
    dates = {side: pd.to_datetime(layers[side]) for side in ("from_date", "to_date")}
    flows = pd.DataFrame({**dates, **ends, "customers": layers["customers"].astype("int64"), "by_model": by_model})
    return flows[flows["customers"] > 0]


def _ranked(found: set[Block], order: Sequence[int]) -> list[Block]:
    """Blocks from the top: as ordered, further segments by id, those by rule, and the two blocks that are not segments."""
    segments = {block for block in found if isinstance(block, int)}
    others = sorted(segments - set(order), key=lambda segment: (segment <= 0, abs(segment)))
    return [*(segment for segment in order if segment in segments), *others, *(block for block in (LEFT, NEW) if block in found)]


def _blocks(flows: pd.DataFrame, ranked: Sequence[Block]) -> pd.DataFrame:
    """Customers of each block (date, block), in order. Inflow equals outflow, but at the first and last date only one is known."""
    rank = {block: i for i, block in enumerate(ranked)}
    sides = [
        flows.groupby([date, end])["customers"].sum().rename_axis(["date", "block"])
        for date, end in (("from_date", "origin"), ("to_date", "goal"))
    ]
    blocks = pd.concat(sides).groupby(level=["date", "block"]).max().to_frame()
    return blocks.sort_index(key=lambda level: level.map(rank) if level.name == "block" else level)


def _placed(flows: pd.DataFrame, blocks: pd.DataFrame, ranked: Sequence[Block], per_customer: float) -> pd.DataFrame:
    """The flows with their height, and their top at either end, in the order of blocks, so that they cross as little as possible."""
    rank = {block: i for i, block in enumerate(ranked)}
    flows = flows.assign(height=flows["customers"] * per_customer, first=flows["origin"].map(rank), second=flows["goal"].map(rank))
    flows = flows.sort_values(["from_date", "first", "second"])
    for date, end, top in (("from_date", "origin", "top_origin"), ("to_date", "goal", "top_goal")):
        above = flows.groupby([date, end])["height"].cumsum() - flows["height"]
        flows[top] = [blocks.at[key, "top"] for key in zip(flows[date], flows[end], strict=True)] + above
    return flows


def _colours(ranked: Sequence[Block]) -> dict[Block, str]:
    colours: dict[Block, str] = {NEW: NOWHERE_COLOUR, LEFT: NOWHERE_COLOUR, **RULE_COLOURS}
    return colours | segment_colours([block for block in ranked if isinstance(block, int) and block > 0])


def _moved(flows: pd.DataFrame) -> Iterator[str]:
    """Among customers known at both snapshots, the share who moved, and the share whom the earlier model would place elsewhere."""
    known = flows[(flows["origin"] != NEW) & (flows["goal"] != LEFT)]
    moved = known[known["origin"] != known["goal"]]
    if len(known):
        yield f"{in_percent(moved['customers'].sum() / known['customers'].sum(), 1)} moved"
    if moved["by_model"].sum():
        yield f"{in_percent(moved['by_model'].sum() / known['customers'].sum(), 1)} by the model"


def _draw_ribbons(
    ax: "Axes", flows: pd.DataFrame, blocks: pd.DataFrame, width: float, step: float, colours: Mapping[Block, str], taken: list[Written]
) -> None:
    """Draw customers who stayed at the back, then movers, the smallest flow in front; label movers if the place is not `taken`."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    codes = [Path.MOVETO, *[Path.CURVE4] * 3, Path.LINETO, *[Path.CURVE4] * 3, Path.CLOSEPOLY]
    flows = flows.assign(stayed=flows["origin"] == flows["goal"]).sort_values(["stayed", "customers"], ascending=False, kind="stable")
    for row in flows.itertuples():
        left = blocks.at[(row.from_date, row.origin), "x"] + width
        right, bend = left + step - width, left + (step - width) / 2
        a, b, c, d = row.top_origin, row.top_goal, row.top_goal + row.height, row.top_origin + row.height
        corners = [(left, a), (bend, a), (bend, b), (right, b), (right, c), (bend, c), (bend, d), (left, d), (left, a)]
        alpha = 0.22 if row.stayed else 0.62
        ax.add_patch(PathPatch(Path(corners, codes), facecolor=colours[row.origin], alpha=alpha, lw=0, zorder=1 if row.stayed else 2))
    total = blocks.groupby("date")["customers"].sum().max()
    least = LEAST_FLOW * max(1.0, 3 / step)  # fewer numbers where columns are close
    movers = flows[~flows["stayed"] & (flows["customers"] >= least * total)]
    for row in movers.itertuples():
        left = blocks.at[(row.from_date, row.origin), "x"] + width
        half = 0.035 * len(numeral(row.customers)) + 0.05
        for t in (0.16, 0.84, 0.24, 0.76, 0.32, 0.68, 0.4, 0.6, 0.5):
            x = left + (step - width) * (1.5 * t * (1 - t) + t**3)
            y = row.top_origin + row.height / 2 + (row.top_goal - row.top_origin) * t * t * (3 - 2 * t)
            if all(abs(x - u) > half + w or abs(y - v) > 0.16 for u, v, w in taken):
                taken.append((x, y, half))
                box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": colours[row.origin], "lw": 0.8}
                ax.text(x, y, numeral(row.customers), ha="center", va="center", fontsize=7, bbox=box, zorder=4)
                break


def _draw_block(ax: "Axes", block: Block, place: pd.Series, width: float, colour: str, name: str, *, first: bool, last: bool) -> Written:
    """Draw a block with its name and customers, next to it at the ends, inside it in between; return where text was written."""
    from matplotlib.colors import to_rgb
    from matplotlib.patches import Rectangle
    from matplotlib.patheffects import withStroke

    x, middle, height = place["x"], place["top"] + place["height"] / 2, max(place["height"], LEAST_BLOCK)
    ax.add_patch(Rectangle((x, middle - height / 2), width, height, facecolor=colour, lw=0, zorder=3))
    customers = numeral(int(place["customers"]))
    written: dict[str, Any] = {"va": "center_baseline", "zorder": 5}
    if isinstance(block, int) and height > 0.8 * LINE and not (first or last):
        dark = float(np.dot(to_rgb(colour), (0.299, 0.587, 0.114))) < 0.6
        ax.text(x + width / 2, middle, customers, ha="center", fontsize=7.5, color="white" if dark else INK, **written)
        return x + width / 2, middle, width / 2
    if first or last:
        text, size, side = f"{name}  {customers}", 9.0, -1 if first else 1
    else:  # beside too thin a block; nothing flows into NEW, nor out of LEFT
        text, size, side = customers if isinstance(block, int) else f"{name} {customers}", 7.5, -1 if block == NEW else 1
    edge, half = x + width / 2 + side * (width / 2 + 0.08), LETTER * size / 9 * len(text) / 2
    halo = [] if first or last else [withStroke(linewidth=2, foreground="white")]  # over ribbons
    ax.text(edge, middle, text, ha="right" if side < 0 else "left", fontsize=size, path_effects=halo, **written)
    return edge + side * half, middle, half


@shown("bridge", Section.SEGMENTS, "Why the revenue of each segment changed since the previous snapshot.", needs_orders=True)
@drawn("What changed the revenue of each segment")
def bridge_waterfalls(
    title: str, bridge: pd.DataFrame, names: Mapping[int, str], order: Sequence[int] = (), currency: str = MONEY
) -> "Figure":
    """Small multiples: from the revenue before to the revenue now, by cause, one waterfall per segment.

    Args:
        bridge: segment_id, component, customers, revenue, from `movement.bridge`.
        names: name of each segment id.
        order: segment ids, largest revenue first; others follow by id.
        currency: name of the currency.
    """
    ranked = _ranked(set(bridge["segment_id"].tolist()), order)
    across = min(3, len(ranked))
    rows = -(-len(ranked) // across)
    said = (
        f"Spend within the lookback, {currency}; below each cause its customers. Bars with a slit do not start at 0.\n"
        "Stayed: change of those in it both times. Came, left: from or to other segments. Entered: new or back. Lapsed: no longer buy. "
        "Model: customers whom the new model places otherwise."
    )
    figure = titled(1.1 + 2.5 * rows, _largest_changes(bridge, names) or title, said)
    figure.get_layout_engine().set(hspace=0.06)  # type: ignore[union-attr, call-arg]
    panels = figure.subplots(rows, across, squeeze=False).ravel()
    for ax, segment in zip(panels, ranked, strict=False):
        own = bridge[bridge["segment_id"] == segment].set_index("component").loc[list(COMPONENTS)]
        name = names.get(int(segment), f"segment {segment}")
        _draw_waterfall(ax, name, own["revenue"].to_numpy("float64"), own["customers"].to_numpy("int64"))
    for ax in panels[len(ranked) :]:
        ax.set_visible(False)
    return figure


def _largest_changes(bridge: pd.DataFrame, names: Mapping[int, str]) -> str:
    """The segments whose revenue rose and fell most; empty if none changed."""
    causes = bridge[~bridge["component"].isin([COMPONENTS[0], COMPONENTS[-1]])]
    changes = causes.groupby("segment_id")["revenue"].sum().round()  # as it is written: what rounds to nothing did not change
    ends = [("rose", changes.idxmax()), ("fell", changes.idxmin())] if changes.any() else []
    told = [
        f"{names.get(int(segment), f'segment {segment}')} {verb} most ({written(f'{changes[segment]:+,.0f}')})"
        for verb, segment in ends
        if (changes[segment] > 0 if verb == "rose" else changes[segment] < 0)
    ]
    return "Revenue of " + ", that of ".join(told) if told else ""


def _draw_waterfall(ax: "Axes", name: str, revenue: NDArray[np.float64], customers: NDArray[np.int64]) -> None:
    """Totals at the ends, floating changes in between. If changes are small relative to the totals, the totals are cut at the foot."""
    revenue = np.where(np.abs(revenue) < 1e-9 * np.abs(revenue).max(), 0, revenue)  # rounding
    levels = np.cumsum(revenue[:-1])
    starts = np.concatenate([[0.0], levels[:-1], [0.0]])
    ends = np.concatenate([levels, [revenue[-1]]])
    low, high = min(levels.min(), revenue[-1]), max(levels.max(), revenue[-1])
    if low < 0:  # more returned than bought
        high = max(high, 0.0)
        ax.axhline(0, color=MUTED, lw=1, zorder=0)
    reach = max(high - low, 0.02 * high, 1e-9)
    foot = low - 0.1 * reach if low < 0 else low - 0.45 * reach if low > 2.5 * reach else 0.0
    top = high + 0.18 * max(high - foot, reach)
    colours = [MUTED, *(BLUE if change > 0 else VERMILION if change < 0 else MUTED for change in revenue[1:-1]), MUTED]
    for i, (start, end, colour) in enumerate(zip(starts, ends, colours, strict=True)):
        total = i in (0, len(revenue) - 1)
        bottom = max(start, foot) if total else start
        ax.bar(i, end - bottom, bottom=bottom, color=colour, width=0.68)
        if not total:  # seen even where the bar is thinner than a line
            ax.plot([i - 0.34, i + 0.34], [end, end], color=colour, lw=1, solid_capstyle="butt")
        if i + 1 < len(revenue):
            ax.plot([i + 0.34, i + 0.66], [ends[i]] * 2, color=MUTED, lw=0.6)
        text = short(revenue[i]) if total else f"{'+' if revenue[i] > 0 else ''}{short(revenue[i])}"
        ax.annotate(text, (i, max(start, end)), xytext=(0, 2), textcoords="offset points", ha="center", va="bottom", fontsize=7)
        if total and foot > 0:
            ax.plot([i - 0.42, i + 0.42], [foot + 0.05 * (top - foot), foot + 0.1 * (top - foot)], color="white", lw=2.5)
    ax.set(xlim=(-0.6, len(revenue) - 0.4), ylim=(foot, top))
    change = written(f"{revenue[-1] / revenue[0] - 1:+.1%}") if revenue[0] > 0 <= revenue[-1] else "new" if customers[0] == 0 else ""
    ax.set_title(f"{name}  {change}")
    labels = [f"{component}\n{numeral(n)}" for component, n in zip(COMPONENTS, customers, strict=True)]
    ax.set_xticks(range(len(COMPONENTS)), labels, fontsize=7, va="baseline")
    ax.tick_params(axis="x", length=0, pad=19)  # the baseline is that of the second line
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.spines["bottom"].set_color(GRID)
    ax.spines["bottom"].set_visible(low >= 0)  # else the line at 0 is the axis, and a second one below would have bars hang above it
