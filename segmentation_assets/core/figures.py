"""Pictures of the numbers in the exploration tables, in one style; each function returns a matplotlib Figure.

Belongs here: drawing, never computing over customers or orders: every picture is of a table that SQL can query, already
aggregated. Colours are those of Okabe and Ito (2008), scales are cividis or blue to red through grey (vlag): all can be told apart by
the colour-blind, and in print.

matplotlib and seaborn are imported where they are used: they take a second that most runs should not pay.
"""

import io
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, GRID = "#1f2933", "#6b7682", "#e3e7eb"
LEAST_SHARE = 0.005  # rounds to 1%
LINE = 165  # letters of a subtitle that fit across
LONG_NAME = 24  # letters that fit above a small panel
BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SEGMENT_COLOURS = (BLUE, ORANGE, GREEN, "#CC79A7", "#56B4E9", VERMILION, "#F0E442", "#000000", "#999999", "#7B4B94")
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
WIDTH = 11.0  # inches; at 100 dots each, what fits the side panel of the Dagster UI without scrolling sideways
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans", "font.size": 9, "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": MUTED,
    "axes.titlesize": 9.5, "axes.titleweight": "bold", "axes.titlelocation": "left", "axes.spines.top": False, "axes.spines.right": False,
    "axes.axisbelow": True, "axes.grid": False, "grid.color": GRID, "xtick.color": MUTED, "ytick.color": MUTED,
    "xtick.labelcolor": INK, "ytick.labelcolor": INK, "figure.facecolor": "white", "figure.dpi": 100, "savefig.dpi": 100,
}  # fmt: skip


def png(figure: "Figure") -> bytes:
    """The figure as a PNG; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


@contextmanager
def _style() -> Iterator[None]:
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        yield


def titled(height: float, title: str, subtitle: str) -> "Figure":
    """A figure `height` inches high with its heading; what is drawn is laid out below it."""
    from matplotlib.figure import Figure  # not pyplot, which keeps every figure alive and wants a screen

    subtitle = "\n".join(line for part in subtitle.split("\n") for line in textwrap.wrap(part, LINE))
    head = 0.62 + 0.17 * subtitle.count("\n")  # inches for title and subtitle
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    figure.get_layout_engine().set(rect=(0, 0, 1, 1 - head / height), h_pad=0.06, w_pad=0.06)  # type: ignore[union-attr, call-arg]
    figure.text(0.008, 1 - 0.12 / height, title, fontsize=13, fontweight="bold", va="top")
    figure.text(0.008, 1 - 0.40 / height, subtitle, fontsize=9, color=MUTED, va="top")
    return figure


def _empty(title: str, why: str) -> "Figure":
    """A picture that says why there is nothing to see."""
    return titled(1.6, title, why)


def drawn(title: str) -> Callable[[Callable[..., "Figure"]], Callable[..., "Figure"]]:
    """Decorate a drawing function: style, title, and a sentence in place of a picture where its table has no rows."""

    def decorate(draw: Callable[..., "Figure"]) -> Callable[..., "Figure"]:
        def wrapped(table: pd.DataFrame, *args: Any, **named: Any) -> "Figure":
            with _style():
                return draw(title, table, *args, **named) if len(table) else _empty(title, "Nothing to show: the table has no rows.")

        wrapped.__doc__, wrapped.__name__ = draw.__doc__, draw.__name__
        return wrapped

    return decorate


@drawn("How each feature is distributed")
def distributions(
    title: str, bins: pd.DataFrame, summary: pd.DataFrame, units: Mapping[str, str], scale: str, changed: Sequence[str] = ()
) -> "Figure":
    """Small multiples of the histograms of one scale (`raw` or `transformed`), with the share of customers without a value.

    Args:
        changed: features whose transformed scale differs from the raw one; the others are left out of that picture.
    """
    varying = bins.loc[bins["scale"] == scale].groupby("feature").size() > 1
    names = [name for name in units if varying.get(name, False) and (scale == "raw" or name in changed)]
    alike = [name for name in units if not varying.get(name, True)]
    missing, constant = (summary.set_index("feature")[column] for column in ("missing_share", "median"))
    across = 5
    down = max(1, -(-len(names) // across))
    subtitle = {
        "raw": "Active customers by value, in the feature's unit, from the 1st to the 99th percentile; what lies beyond is in the outermost bars. Orange: share without a value.",
        "transformed": "Active customers by value on the scale on which the feature would enter the clustering: sign(x) * log(1 + |x|); ticks in the feature's unit.",
    }[scale]
    if alike and scale == "raw":
        subtitle += "\nThe same for all who have a value, and not drawn: " + ", ".join(f"{n} {short(constant[n])}" for n in alike) + "."
    if not names:
        return _empty(title, "No feature varies.")
    height = 1.0 + 1.45 * down
    figure = titled(height, title + ("" if scale == "raw" else ", straightened"), subtitle)
    figure.set_layout_engine("none")  # all alike, so where they go is known; finding it out would take as long as drawing
    places = {"left": 0.015, "right": 0.985, "top": 1 - 1.1 / height, "bottom": 0.4 / height, "wspace": 0.12, "hspace": 0.75}
    grid = figure.subplots(down, across, squeeze=False, gridspec_kw=places)
    histograms = dict(list(bins[bins["scale"] == scale].groupby("feature", sort=False)))
    for ax, name in zip(grid.flat, names, strict=False):
        rows = histograms[name]
        edges = [*rows["bin_from"], rows["bin_to"].iloc[-1]]
        ax.stairs(rows["customers"], edges, fill=True, color=BLUE)
        ax.set_ylim(0, rows["customers"].max() * 1.22)  # room for the share that is missing
        ax.set_title(name, fontsize=8.5 if len(name) <= LONG_NAME else 8.5 * LONG_NAME / len(name))
        ax.set_yticks([])
        ax.spines["left"].set_visible(False)
        ax.tick_params(labelsize=7, length=2, pad=1.5)
        if scale == "transformed":
            ticks = _log_ticks(edges[0], edges[-1])
            ax.set_xticks([np.sign(t) * np.log1p(abs(t)) for t in ticks], [short(t) for t in ticks])
        else:
            ax.locator_params(axis="x", nbins=4)
            ax.xaxis.set_major_formatter(lambda value, _: short(value))
        ax.set_xlabel(units[name], fontsize=7, color=MUTED, labelpad=1)
        if missing[name] > 0:
            ax.text(
                1, 0.97, f"{_percent(missing[name])} missing", transform=ax.transAxes, ha="right", va="top", fontsize=7, color="#8a5a00"
            )
            ax.plot([1 - missing[name], 1], [1, 1], transform=ax.transAxes, color=ORANGE, lw=3, solid_capstyle="butt", clip_on=False)
    for ax in grid.flat[len(names) :]:
        ax.set_visible(False)
    return figure


@drawn("Which values are missing")
def missingness(title: str, table: pd.DataFrame) -> "Figure":
    """Heatmap of the share of customers without a value, by status; features that are never missing are counted, not shown."""
    import seaborn as sns

    shares = table.pivot(index="feature", columns="status", values="missing_share").reindex(table["feature"].unique())
    sizes = table.groupby("status")["customers"].first()
    shares = shares[[status for status in ("active", "lapsed", "prospect") if status in shares]]
    whole = (shares == 0).all(axis=1)
    without_orders = shares.drop(columns="active", errors="ignore")
    by_nature = (shares.get("active", 0) == 0) & (without_orders == 1).all(axis=1) & ~whole
    shown = shares[~whole & ~by_nature]
    said = f"{whole.sum()} further ones are there for everyone, {by_nature.sum()} for all active customers and, as they describe orders, for no others."
    if shown.empty:
        return _empty(title, f"Nothing that should be there. Of {len(shares)} features and attributes, {said.replace('further ones', '')}")
    figure = titled(1.7 + 0.26 * len(shown), title, f"Share of customers without a value, by status. {said}")
    text = shown.map(lambda share: _percent(share) if share > 0 else "none").to_numpy()
    ax = figure.subplots()
    sns.heatmap(shown, ax=ax, cmap="cividis_r", vmin=0, vmax=1, annot=text, fmt="", annot_kws={"size": 8}, linewidths=1, cbar=False)
    ax.set_xticklabels([f"{status}\n{sizes[status]:,} customers" for status in shown.columns])
    ax.set(xlabel="", ylabel="")
    ax.tick_params(length=0, labelrotation=0)
    ax.xaxis.tick_top()
    return figure


@drawn("Where the outliers are")
def outliers(title: str, summary: pd.DataFrame) -> "Figure":
    """Share of customers beyond a modified z-score of 3.5, by feature, and how far the most extreme is from the middle half."""
    shown = summary[summary["outliers"] > 0].sort_values("outlier_share")
    if shown.empty:
        return _empty(title, "There are none: no customer lies beyond a modified z-score of 3.5 on the transformed scale.")
    figure = titled(
        1.5 + 0.27 * len(shown),
        title,
        "Active customers beyond a modified z-score of 3.5 on the transformed scale (Iglewicz and Hoaglin 1993). Before clustering they are moved in to fitted quantiles.",
    )
    ax = figure.subplots()
    positions = np.arange(len(shown))
    ax.hlines(positions, 0, shown["outlier_share"] * 100, color=GRID, lw=5)
    ax.plot(shown["outlier_share"] * 100, positions, "o", color=VERMILION, ms=7)
    for y, row in zip(positions, shown.itertuples(), strict=True):
        ax.annotate(
            f"{row.outliers:,} customers; median {short(row.median)}, 99% below {short(row.p99)}, most {short(row.maximum)}{'' if row.unit == 'share' else ' ' + row.unit}",
            (row.outlier_share * 100, y), xytext=(8, 0), textcoords="offset points", va="center", fontsize=7.5, color=MUTED,
        )  # fmt: skip
    ax.set_yticks(positions, shown["feature"])
    ax.set_xlim(0, max(shown["outlier_share"].max() * 100 * 1.9, 0.1))
    ax.set_xlabel("share of customers with a value, %")
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    return figure


@drawn("Which features move together")
def correlations(title: str, pairs: pd.DataFrame) -> "Figure":
    """Clustered heatmap of Spearman correlations: features that say the same stand side by side; redundant pairs are framed."""
    import seaborn as sns
    from matplotlib.patches import Rectangle
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    names = list(dict.fromkeys([*pairs["feature_a"], *pairs["feature_b"]]))
    matrix = pd.DataFrame(np.eye(len(names)), index=names, columns=names)
    for pair in pairs.itertuples():
        matrix.loc[pair.feature_a, pair.feature_b] = matrix.loc[pair.feature_b, pair.feature_a] = pair.spearman
    distance = 1 - matrix.abs().to_numpy()
    np.fill_diagonal(distance, 0)
    order = (
        leaves_list(linkage(squareform(distance, checks=False), "average", optimal_ordering=True))
        if len(names) > 2
        else np.arange(len(names))
    )
    matrix = matrix.iloc[order, order]
    redundant = pairs[pairs["redundant"]]
    said = (
        f"{len(redundant)} pairs beyond 0.95 are framed: keep one of each in the clustering."
        if len(redundant)
        else "No pair is beyond 0.95."
    )
    figure = titled(9.6, title, f"Spearman rank correlation of active customers' features, in %; similar features stand together. {said}")
    ax = figure.subplots()
    text = (matrix * 100).round().astype(int).astype(str).to_numpy()
    text[np.abs(matrix.to_numpy()) < 0.2] = ""
    upper = np.triu(np.ones_like(matrix, dtype=bool))
    sns.heatmap(
        matrix.iloc[1:, :-1], ax=ax, mask=upper[1:, :-1], cmap="vlag", vmin=-1, vmax=1, center=0, annot=text[1:, :-1], fmt="", annot_kws={"size": 6.5},
        linewidths=0.5, square=True, cbar_kws={"shrink": 0.4, "label": "Spearman correlation"},
    )  # fmt: skip
    place = {name: i for i, name in enumerate(matrix.columns)}
    for pair in redundant.itertuples():
        column, row = sorted((place[pair.feature_a], place[pair.feature_b]))
        ax.add_patch(Rectangle((column, row - 1), 1, 1, fill=False, edgecolor=INK, lw=2))
    ax.set(xlabel="", ylabel="")
    ax.set_xticks(np.arange(len(names) - 1) + 0.5, matrix.columns[:-1], rotation=90, fontsize=8)
    ax.set_yticks(np.arange(len(names) - 1) + 0.5, matrix.columns[1:], rotation=0, fontsize=8)
    ax.tick_params(length=0)
    return figure


@drawn("When customers order")
def seasonality(title: str, table: pd.DataFrame) -> "Figure":
    """Weekday by hour over all windows, and orders and revenue by window."""
    import seaborn as sns
    from matplotlib.ticker import EngFormatter

    timed = table[table["hour"] >= 0]
    untimed = 1 - timed["orders"].sum() / table["orders"].sum()
    said = f" {untimed:.0%} of orders have no time of day." if untimed >= LEAST_SHARE else ""
    figure = titled(
        6.4, title, f"Orders by weekday and hour over all windows so far; orders and revenue by window, returns not netted.{said}"
    )
    panels = figure.subplot_mosaic([["week", "week"], ["orders", "revenue"]], height_ratios=[1.25, 1])
    top = panels["week"]
    by_day = table.groupby("weekday")["orders"].sum().reindex(range(7), fill_value=0)
    if len(timed):
        grid = (
            timed.pivot_table(index="weekday", columns="hour", values="orders", aggfunc="sum")
            .reindex(index=range(7), columns=range(24))
            .fillna(0)
            / table["orders"].sum()
            * 100
        )
        sns.heatmap(grid, ax=top, cmap="cividis", linewidths=0.5, cbar_kws={"label": "share of all orders, %", "pad": 0.01})
        top.set_yticks(np.arange(7) + 0.5, [f"{WEEKDAYS[d]}  {by_day[d] / by_day.sum():.0%}" for d in range(7)], rotation=0)
        top.set(xlabel="hour of the day (UTC)", ylabel="")
        top.tick_params(length=0, axis="both", labelrotation=0)
    else:
        top.bar(range(7), by_day / by_day.sum() * 100, color=BLUE, width=0.7)
        top.set_xticks(range(7), WEEKDAYS)
        top.set_ylabel("share of all orders, %")
    by_window = table.groupby("window_start")[["orders", "revenue"]].sum().astype("float64")
    for name, unit, colour in (("orders", "orders", BLUE), ("revenue", "revenue, currency of the source", GREEN)):
        ax = panels[name]
        ax.bar(np.arange(len(by_window)), by_window[name], color=colour, width=0.7)
        ax.set(ylabel=unit, xlabel="first day of the window")
        ax.yaxis.set_major_formatter(EngFormatter(sep=""))
        ax.grid(axis="y")
        _date_ticks(ax, by_window.index, most=6)
    return figure


MOST_COHORTS = 24


@drawn("Who comes back")
def cohorts(title: str, table: pd.DataFrame) -> "Figure":
    """Heatmaps of the share of each cohort that orders again, and of what it spends per customer, by windows since its first order."""
    import seaborn as sns

    kept = sorted(table["cohort"].unique())[-MOST_COHORTS:]
    shown = table[table["cohort"].isin(kept) & (table["period"] < MOST_COHORTS)]
    sizes = shown.groupby("cohort")["cohort_customers"].first()
    retention = shown.pivot(index="cohort", columns="period", values="retention") * 100
    revenue = shown.pivot(index="cohort", columns="period", values="revenue_per_customer").astype("float64")
    note = (
        "Each row: customers who first ordered in that window. The first cohort also holds whoever was a customer before the data begins."
    )
    figure = titled(2.2 + 0.34 * len(retention), title, note)
    size = 7 if len(retention) > 14 else 8
    for ax, grid, heading in zip(
        figure.subplots(1, 2, sharey=True), (retention, revenue), ("Share that orders, %", "Revenue per customer of the cohort, currency of the source"), strict=True
    ):  # fmt: skip
        # Everyone orders in period 0, and the first cohort holds the old customers: scaled to the others, or their differences
        # would not be seen.
        others = grid.iloc[1 if len(grid) > 2 else 0 :].drop(columns=0, errors="ignore").to_numpy("float64")
        known = others[~np.isnan(others)]
        top = np.quantile(known, 0.95) if known.size else np.nanmax(grid.to_numpy("float64"))
        sns.heatmap(
            grid, ax=ax, cmap="cividis", vmin=0, vmax=top, annot=True, fmt=".0f", annot_kws={"size": size - 1}, linewidths=0.5, cbar=False
        )
        ax.set_title(heading)
        ax.set(xlabel="windows since the first order", ylabel="")
        ax.tick_params(length=0, labelrotation=0)
    figure.axes[0].set_yticks(np.arange(len(retention)) + 0.5, [f"{_day(c)}  {sizes[c]:>5,}" for c in retention.index], fontsize=size)
    figure.axes[0].set_ylabel("cohort, and its customers")
    return figure


@drawn("How few customers bring how much")
def concentration(title: str, table: pd.DataFrame, gini: float) -> "Figure":
    """Pareto curve: share of revenue brought by the best x% of buyers."""
    figure = titled(
        5.4,
        title,
        f"Revenue within the lookback, brought by the best share of {int(table['customers'].iloc[-1]):,} buyers. Gini coefficient {gini:.2f}: 0 all alike, 1 one customer brings everything.",
    )
    ax = figure.subplots()
    x, y = table["customer_share"] * 100, table["revenue_share"] * 100
    ax.fill_between(x, x, y, color=BLUE, alpha=0.12, lw=0)
    ax.plot(x, y, color=BLUE, lw=2.5)
    ax.plot([0, 100], [0, 100], color=MUTED, lw=1, ls="--")
    ax.text(58, 54, "all alike", color=MUTED, fontsize=8, rotation=0, ha="left", va="top")
    for percent in (5, 20, 50):
        share = float(np.interp(percent, x, y))
        ax.plot([percent, percent, 0], [0, share, share], color=GRID, lw=1, zorder=1)
        ax.plot(percent, share, "o", color=VERMILION, ms=7)
        ax.annotate(
            f"top {percent}% of customers bring {share:.0f}%",
            (percent, share),
            xytext=(10, -12),
            textcoords="offset points",
            fontweight="bold" if percent == 20 else "normal",
            bbox={"facecolor": "white", "alpha": 0.85, "lw": 0, "pad": 1.5},
        )
    ax.set(xlim=(0, 100), ylim=(0, 101), xlabel="customers, best first, %", ylabel="revenue, %")
    return figure


@drawn("What customers buy")
def categories(title: str, table: pd.DataFrame) -> "Figure":
    """Share of purchases, and of customers who buy it, by category; small categories are counted, not shown."""
    ranked = table.sort_values("share", ascending=False)
    shown = ranked.head(15).iloc[::-1]
    rest = ranked.iloc[15:]
    said = f" {len(rest)} smaller categories together: {rest['share'].sum():.1%} of purchases." if len(rest) else ""
    figure = titled(1.5 + 0.3 * len(shown), title, f"Purchases within the lookback, returns not netted.{said}")
    left, right = figure.subplots(1, 2, sharey=True)
    positions = np.arange(len(shown))
    for ax, column, colour, label in (
        (left, "share", BLUE, "share of purchases, %"),
        (right, "penetration", GREEN, "customers who bought it, %"),
    ):
        values = shown[column].astype("float64") * 100
        ax.barh(positions, values, color=colour, height=0.7)
        for y, value in zip(positions, values, strict=True):
            ax.text(value + 1, y, f"{value:.1f}" if value < 10 else f"{value:.0f}", va="center", fontsize=8)
        ax.set(xlabel=label, xlim=(0, min(values.max() * 1.15 + 2, 108)))
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)
    left.set_yticks(positions, [str(name).capitalize() if str(name).isupper() else str(name) for name in shown["category"]])
    return figure


@drawn("Who spends how much")
def attributes(title: str, table: pd.DataFrame) -> "Figure":
    """Median and middle half of spend by level of each attribute; attributes that tell most about spend come first."""
    order = table.groupby("attribute")["eta_squared"].first().sort_values(ascending=False).index[:9]
    across, down = min(3, len(order)), -(-len(order) // 3)
    levels = table.groupby("attribute").size().reindex(order).to_numpy()
    heights = [0.75 + 0.24 * max(levels[3 * row : 3 * row + 3]) for row in range(down)]
    said = (
        "Spend of active customers within the lookback, currency of the source: median (dot), middle half (line), customers (in brackets)."
    )
    figure = titled(
        0.9 + sum(heights),
        title,
        f"{said}\nAfter the attribute: share of the variance of log spend it explains among customers for whom it is known.",
    )
    grid = figure.subplots(down, across, squeeze=False, sharex=True, height_ratios=heights)
    for ax, name in zip(grid.flat, order, strict=False):
        rows = table[table["attribute"] == name]
        rows = rows.assign(last=rows["level"] == "(missing)", at=rows["level"].map(_level_order)).sort_values(
            ["last", "at", "level"], ascending=False
        )
        positions = np.arange(len(rows))
        ax.hlines(positions, rows["p25_spend"], rows["p75_spend"], color=BLUE, lw=4, alpha=0.35)
        ax.plot(rows["median_spend"], positions, "o", color=BLUE, ms=6)
        ax.set_yticks(positions, [f"{row.level} ({row.customers:,})" for row in rows.itertuples()], fontsize=8)
        ax.set_title(f"{name}: {rows['eta_squared'].iloc[0]:.1%}" if rows["eta_squared"].notna().all() else name)
        ax.set_ylim(-0.7, len(rows) - 0.3)
        ax.grid(axis="x")
        ax.tick_params(axis="both", length=0, labelbottom=True)
        ax.spines["left"].set_visible(False)
    for ax in grid.flat[len(order) :]:
        ax.set_visible(False)
    return figure


def _level_order(level: str) -> float:
    """Levels such as "Under 15K", "15-24K", "250K+" by their first number, as a person would order them; others by name."""
    digits = "".join(c if c.isdigit() else " " for c in str(level)).split()
    return float(digits[0]) - 0.5 * str(level).lower().startswith(("under", "less", "<")) if digits else float("inf")


def _date_ticks(ax: "Axes", days: pd.Index, most: int) -> None:
    """Labels at bars of days, at most so many of them."""
    step = max(1, -(-len(days) // most))
    ax.set_xticks(np.arange(len(days))[::step], [_day(day) for day in days[::step]])


def _day(day: Any) -> str:
    stamp = pd.Timestamp(day)
    return f"{stamp:%b %Y}" if stamp.day == 1 else f"{stamp:%d %b %Y}"


def _log_ticks(low: float, high: float) -> list[float]:
    """Three to five round numbers within bounds that are on the signed log1p scale."""
    least, most = np.sign(low) * np.expm1(abs(low)), np.sign(high) * np.expm1(abs(high))
    round_numbers = [0.0, *(sign * m * 10.0**e for sign in (-1, 1) for e in range(-2, 13) for m in (1, 3))]
    inside = sorted(t for t in round_numbers if least <= t <= most)
    span = max(high - low, 1e-9)
    ticks: list[float] = []
    for tick in inside:  # no two labels closer than a fifth of the axis
        if not ticks or np.sign(tick) * np.log1p(abs(tick)) - np.sign(ticks[-1]) * np.log1p(abs(ticks[-1])) > span / 5:
            ticks.append(tick)
    return ticks


def _percent(share: float) -> str:
    return "<1%" if 0 < share < LEAST_SHARE else f"{share:.0%}"


def short(value: float) -> str:
    """A number as short as its size allows: 0.25, 12, 3.4k, 1.2M."""
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{suffix}"
    return f"{value:.3g}" if value else "0"
