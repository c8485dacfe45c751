"""Pictures of orders and revenue: when customers order, who comes back, who brings how much, what is bought, and who spends.

Belongs here: drawing what `order_patterns` counts, and what `exploration` computes on spend, in the common `style`.
"""

import calendar
import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from segmentation_assets.core.customers.exploration import MOST_LEVELS as MOST_LEVELS_COUNTED
from segmentation_assets.core.customers.levels import LEVEL_ORDER, MISSING_LEVEL
from segmentation_assets.core.pictures.style import (
    BLUE,
    GREEN,
    GRID,
    LEAST_SHARE,
    MUTED,
    UNKNOWN,
    VERMILION,
    Section,
    counted,
    cut,
    drawn,
    empty,
    heatmap,
    in_percent,
    numeral,
    percent,
    plain,
    short,
    shown,
    titled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WEEKDAYS, MONTHS = list(calendar.day_abbr), list(calendar.month_abbr)[1:]
WINDOW: Mapping[str, str] = {"monthly": "month", "weekly": "week", "daily": "day"}
MOST_BARS = 24  # months side by side; with more, years are overlaid
MOST_COHORTS = 24
ENOUGH = 6  # least numbers of later cohorts that set the colour scale
BESIDE = 13  # most cohorts for which the two heatmaps are side by side
FORETOLD = 6  # windows after the first order that the title speaks of, where there are so many
MOST_CATEGORIES = 15
NO_CATEGORY = "unknown"
MOST_ATTRIBUTES, MOST_LEVELS = 9, 12
LEAST_EXPLAINED = 0.0005  # less is written as 0.0%
SHORT_LEVEL = 24  # most letters of a level for which three attributes are side by side
PALE = 0.35  # opacity of what counts less
FEW = 30  # customers; quartiles of fewer are drawn pale


@shown("seasonality", Section.ORDERS, "When customers order: weekday by hour, and month by month.")
@drawn("When customers order", "There are no orders yet.")
def seasonality(title: str, table: pd.DataFrame, as_of: dt.date, currency: str) -> "Figure":
    """Weekday by hour, and orders and revenue by month; months that the data cover only in part are pale."""
    timed = table[table["hour"] >= 0]
    orders = table["orders"].sum()
    by_day = table.groupby("weekday")["orders"].sum().reindex(range(7), fill_value=0) / orders
    busiest = f"{calendar.day_name[by_day.idxmax()]} is the busiest day ({percent(by_day.max())} of orders)"
    untimed = 1 - timed["orders"].sum() / orders
    if len(timed):
        by_hour = timed.groupby("hour")["orders"].sum() / timed["orders"].sum()
        hour = int(by_hour.idxmax())
        busiest = busiest.replace(" of orders)", f"), {hour} to {hour + 1} h the busiest hour ({percent(by_hour.max())} of orders)")
    said = f"All {counted(orders, 'order')} so far, before returns."
    said += (
        " No order has a time of day."
        if timed.empty
        else f" {percent(untimed)} of orders have no time of day."
        if untimed >= LEAST_SHARE
        else ""
    )
    by_month = table.groupby("month")[["orders", "revenue"]].sum().astype("float64")
    by_month.index = pd.DatetimeIndex(by_month.index)
    by_month = by_month.reindex(pd.date_range(by_month.index[0], by_month.index[-1], freq="MS"), fill_value=0.0)
    partial = _partial(by_month.index, pd.Timestamp(table["window_start"].min()), pd.Timestamp(as_of))
    said += " Pale: part of a month." if partial.any() else ""
    figure = titled(6.4, busiest, said)
    panels = figure.subplot_mosaic([["week", "week"], ["orders", "revenue"]], height_ratios=[1.25, 1])
    top = panels["week"]
    top.set_title("Orders by weekday and hour")
    if len(timed):
        grid = timed.pivot_table(index="weekday", columns="hour", values="orders", aggfunc="sum").reindex(index=range(7), columns=range(24))
        shares = grid.fillna(0) / timed["orders"].sum() * 100
        heatmap(shares, top, cmap="cividis", vmin=0, linewidths=0.5, cbar_kws={"label": "% of orders", "pad": 0.01})
        top.set_yticks(np.arange(7) + 0.5, [f"{WEEKDAYS[d]}  {in_percent(by_day[d])}" for d in range(7)], rotation=0)
        top.set(xlabel="hour of the day", ylabel="")
        top.tick_params(length=0, axis="both", labelrotation=0)
    else:
        top.set_title("Orders by weekday")
        top.bar(range(7), by_day * 100, color=BLUE, width=0.7)
        top.set_xticks(range(7), WEEKDAYS)
        top.set_ylabel("% of orders")
        top.grid(axis="y")
        top.tick_params(length=0)
    for name, unit, colour in (("orders", "orders", BLUE), ("revenue", f"revenue, {currency}", GREEN)):
        panels[name].set_title(f"{name.capitalize()} by month")
        _draw_months(panels[name], by_month[name], partial, unit, colour)
    return figure


def _partial(months: pd.DatetimeIndex, first: pd.Timestamp, as_of: pd.Timestamp) -> pd.Series:
    """Which months the data cover only in part: the first where its first window begins later, the last where the snapshot ends it early."""
    partial = pd.Series(False, index=months)
    partial.iloc[0] = first > months[0]
    partial.iloc[-1] |= as_of < months[-1] + pd.offsets.MonthBegin(1)
    return partial


def _draw_months(ax: "Axes", values: pd.Series, partial: pd.Series, unit: str, colour: str) -> None:
    """A bar for each month; for more than two years, a line for each year over its months, the newest in strong colour."""
    from matplotlib.ticker import EngFormatter

    if len(values) <= MOST_BARS:
        colours = [(colour, PALE if part else 1.0) for part in partial]
        ax.bar(np.arange(len(values)), values, color=colours, width=0.7)
        ax.set_xlim(-0.6, max(len(values), 6) - 0.4)
        step = max(1, -(-len(values) // 12))
        labels = [f"{MONTHS[m.month - 1]}\n{m.year}" if i == 0 or m.month == 1 else MONTHS[m.month - 1] for i, m in enumerate(values.index)]
        ax.set_xticks(np.arange(len(values))[::step], [label if step == 1 else label.split("\n")[0] for label in labels][::step])
        if step > 1:
            for i, month in enumerate(values.index):
                if i == 0 or month.month == 1:
                    ax.text(i, -0.16, month.year, transform=ax.get_xaxis_transform(), ha="center", va="center")
    else:
        whole = values[~partial]
        for year in sorted(set(whole.index.year)):
            own = whole[whole.index.year == year]
            newest = year == whole.index[-1].year
            ax.plot(
                own.index.month,
                own,
                color=colour if newest else MUTED,
                lw=2.5 if newest else 1,
                alpha=1 if newest else 0.7,
                marker="o",
                ms=3,
            )
            ax.annotate(str(year), (own.index.month[-1], own.iloc[-1]), xytext=(5, 0), textcoords="offset points", va="center", fontsize=8)
        ax.set_xticks(range(1, 13), MONTHS)
    ax.set_ylabel(unit)
    ax.set_ylim(bottom=min(0, values.min()))
    ax.yaxis.set_major_formatter(EngFormatter(sep=""))
    ax.grid(axis="y")
    ax.tick_params(axis="x", length=0)


@shown("cohorts", Section.ORDERS, "Who comes back, and what they spend, by the time of the first order.")
@drawn("Who comes back", "There are no orders yet.")
def cohorts(title: str, table: pd.DataFrame, cadence: str, currency: str) -> "Figure":
    """Heatmaps of the share of each cohort that orders again, and of what it spends per customer, by windows since its first order."""
    window = WINDOW[cadence]
    every = sorted(table["cohort"].unique())
    kept = every[-MOST_COHORTS:]
    shown = table[table["cohort"].isin(kept) & (table["period"] < MOST_COHORTS)]
    sizes = shown.groupby("cohort")["cohort_customers"].first()
    retention, revenue = (
        shown.pivot(index="cohort", columns="period", values=name).astype("float64") for name in ("retention", "revenue_per_customer")
    )
    note = (
        f"Rows: customers by the {window} of their first order, with their number. Not coloured: that {window} itself. The colours go "
        "from 0, dark, to the highest value"
    )
    note += "; the first row, which also holds customers from before the data, may lie beyond." if kept[0] == every[0] else "."
    note += f" The newest {len(kept)} of {len(every)} cohorts." if len(every) > len(kept) else ""
    beside = len(kept) <= BESIDE
    rows = 0.34 * len(retention) if beside else 2 * 0.3 * len(retention) + 0.9
    figure = titled(1.75 + rows, _returning(table, every, window) or title, note)
    panels = figure.subplots(1, 2, sharey=True) if beside else figure.subplots(2, 1)
    names = [f"{'until ' if cohort == every[0] else ''}{_day(cohort, cadence)}  {numeral(sizes[cohort]):>6}" for cohort in retention.index]
    _heat(panels[0], retention * 100, "Share of the cohort that orders, %", f"{window}s after the first order")
    _heat(panels[1], revenue, f"Revenue per customer of the cohort, {currency}", f"{window}s after the first order")
    for ax in panels if not beside else panels[:1]:
        ax.set_yticks(np.arange(len(names)) + 0.5, names, fontsize=8)
    return figure


def _returning(table: pd.DataFrame, every: list[Any], window: str) -> str:
    """The share of new customers who come back, over all cohorts except the first, which includes older customers; empty if unknown."""
    new = table[table["cohort"] != every[0]] if len(every) > 1 else table
    rates = new.groupby("period")[["active_customers", "cohort_customers"]].sum()
    share = rates["active_customers"] / rates["cohort_customers"]
    later = int(share.index[share.index <= FORETOLD].max()) if len(share) else 0
    if later < 1:
        return ""
    text = f"{percent(share.loc[1])} of new customers order again {'on' if window == 'day' else 'in'} the {window} after their first"
    return text + (f"; {later} {window}s after it, {percent(share.loc[later])} do" if later > 1 else "")


def _heat(ax: "Axes", grid: pd.DataFrame, heading: str, across: str) -> None:
    """The grid with its numbers; the first row and column do not set the scale, because they would hide differences among the others."""
    from matplotlib.colors import ListedColormap

    later = grid.drop(columns=0, errors="ignore")
    others = later.iloc[1:].to_numpy("float64")
    scaled = others if np.isfinite(others).sum() >= ENOUGH else later.to_numpy("float64")
    top = np.nanmax(scaled, initial=0) or 1.0
    values = grid.to_numpy("float64")
    text = np.vectorize(lambda value: "" if np.isnan(value) else _in_cell(value, float(np.nanmax(np.abs(values)))), otypes=[object])(values)
    # Grey within a row: that window is unknown. White after it: it has not happened yet.
    ax.pcolormesh(np.where(_gaps(values), 1.0, np.nan), cmap=ListedColormap([UNKNOWN]), edgecolors="white")
    coloured = np.isnan(values) | (grid.columns.to_numpy() == 0)[None, :]
    heatmap(
        grid,
        ax,
        cmap="cividis",
        vmin=0,
        vmax=top,
        mask=coloured,
        annot=text,
        fmt="",
        annot_kws={"size": 7.5},
        linewidths=0.5,
        cbar=False,
    )
    for column in np.flatnonzero(grid.columns.to_numpy() == 0):
        for row, said in enumerate(text[:, column]):
            ax.text(column + 0.5, row + 0.5, said, ha="center", va="center", fontsize=7.5, color=MUTED)
    ax.set_title(heading)
    ax.set(xlabel=across, ylabel="")
    ax.tick_params(length=0, labelrotation=0)


def _gaps(values: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Cells that are unknown although later ones are known."""
    known = ~np.isnan(values)
    later = np.flip(np.logical_or.accumulate(np.flip(known, axis=1), axis=1), axis=1)
    found: np.ndarray[Any, Any] = ~known & later
    return found


def _in_cell(value: float, largest: float) -> str:
    if largest >= 10_000:
        return short(value)
    return numeral(value, 1) if largest < 10 else numeral(value)


@shown("revenue_concentration", Section.ORDERS, "How much of the revenue the top customers bring.")
@drawn("How few customers bring how much", "No customer spent anything within the lookback.")
def concentration(title: str, table: pd.DataFrame, gini: float, currency: str) -> "Figure":
    """Pareto curve: share of revenue from the top x% of buyers."""
    buyers, revenue = int(table["customers"].iloc[-1]), float(table["revenue"].iloc[-1])
    points = {part: table[table["percentile"] == part].iloc[0] for part in (5, 20, 50)}
    title = f"{_best(20, points[20], buyers).capitalize()} bring {percent(points[20]['revenue_share'])} of revenue"
    said = (
        f"{counted(buyers, 'customer')} who spent {short(revenue)} ({currency}) within the lookback, best first. Gini coefficient {numeral(gini, 2)}: "
        "0 if all spend alike, 1 if one brings everything."
    )
    figure = titled(5.4, title, said)
    ax = figure.subplots()
    x, y = table["customer_share"] * 100, table["revenue_share"] * 100
    ax.fill_between(x, x, y, color=BLUE, alpha=0.12, lw=0)
    ax.plot(x, y, color=BLUE, lw=2.5)
    ax.plot([0, 100], [0, 100], color=MUTED, lw=1, ls="--")
    ax.text(84, 79, "if all spent alike", color=MUTED, fontsize=8.5, ha="left", va="top")
    written: set[int] = set()
    for part, point in points.items():
        if int(point["customers"]) in written:  # of very few customers, shares are the same ones
            continue
        written.add(int(point["customers"]))
        at, share = point["customer_share"] * 100, point["revenue_share"] * 100
        ax.plot([at, at, 0], [0, share, share], color=GRID, lw=1, zorder=1)
        ax.plot(at, share, "o", color=VERMILION, ms=7, clip_on=False)
        ax.annotate(
            f"{_best(part, point, buyers)} bring {percent(point['revenue_share'])}",
            (at, share),
            xytext=(10, -12) if at < 70 else (-10, -14),
            ha="left" if at < 70 else "right",
            textcoords="offset points",
            fontweight="bold" if part == 20 else "normal",
            bbox={"facecolor": "white", "alpha": 0.85, "lw": 0, "pad": 1.5},
        )
    ax.set(xlim=(0, 100), ylim=(0, 101), xlabel="customers who bought, best first, %", ylabel="share of revenue, %")
    return figure


def _best(part: int, point: pd.Series, buyers: int) -> str:
    """the top 20% of customers; of few, how many these are."""
    exact = abs(point["customer_share"] * 100 - part) < 0.5
    return f"the top {part}% of customers" if exact else f"the top {int(point['customers'])} of {counted(buyers, 'customer')}"


@shown("categories", Section.ORDERS, "What is bought, and by how many.")
@drawn("What customers buy", "No customer bought anything within the lookback.")
def categories(title: str, table: pd.DataFrame) -> "Figure":
    """Share of purchases, and of customers who buy it, by category; small categories are one bar."""
    ranked = table.sort_values(["share", "category"], ascending=[False, True])
    if set(ranked["category"]) == {NO_CATEGORY}:
        return empty(title, "The source has no categories, so there is no mix to show.")
    shown, rest = ranked.head(MOST_CATEGORIES), ranked.iloc[MOST_CATEGORIES:]
    first = shown.iloc[0]
    title = f"{cut(_name(first['category']), 40)} makes {percent(first['share'])} of purchases; {percent(first['penetration'])} of customers buy it"
    bars = [*zip(map(_name, shown["category"]), shown["share"], shown["penetration"], strict=True)]
    if len(rest):
        bars.append((f"{counted(len(rest), 'smaller category', 'smaller categories')}", rest["share"].sum(), np.nan))
    figure = titled(
        1.15 + 0.29 * len(bars),
        title,
        "Amount paid within the lookback by category, before returns, and the share of buyers who bought it.",
    )
    panels = figure.subplots(1, 2, sharey=True)
    positions = np.arange(len(bars))[::-1]
    for ax, column, colour, label in (
        (panels[0], 1, BLUE, "Share of purchases"),
        (panels[1], 2, GREEN, "Share of customers who bought it"),
    ):
        values = np.array([float(bar[column]) for bar in bars]) * 100
        of_rest = [len(rest) > 0 and i == len(bars) - 1 for i in range(len(bars))]
        ax.barh(positions, np.nan_to_num(values), color=[(colour, PALE if other else 1.0) for other in of_rest], height=0.7)
        reach = np.nanmax(values)
        for y, value in zip(positions, values, strict=True):
            if not np.isnan(value):
                ax.text(value + 0.012 * reach, y, in_percent(value / 100, 1 if value < 10 else 0), va="center", fontsize=8)
        ax.set_title(label)
        ax.set(xlim=(0, reach * 1.12), ylim=(-0.6, len(bars) - 0.4))
        ax.set_xticks([])
        ax.tick_params(axis="y", length=0)
        for side in ("left", "bottom"):
            ax.spines[side].set_visible(False)
    panels[0].set_yticks(positions, [cut(bar[0], 44) for bar in bars])
    return figure


def _name(category: object) -> str:
    """A category in readable case, because sources often use capitals."""
    text = str(category)
    return text.capitalize() if text.isupper() and len(text) > 3 else text


@shown("attributes", Section.ORDERS, "Customer attributes against spend.")
@drawn(
    "Who spends how much",
    f"Not drawn: customers have no attribute of two to {MOST_LEVELS_COUNTED} levels. Attributes are the further columns of source.customers.",
)
def attributes(title: str, table: pd.DataFrame, currency: str) -> "Figure":
    """Median and middle half of spend by level of each attribute; attributes that explain most of spend come first."""
    telling = table.groupby("attribute")["epsilon_squared"].first().sort_values(ascending=False, kind="stable")
    order = telling.index[:MOST_ATTRIBUTES]
    if telling.notna().any():
        said = f"{cut(plain(order[0]), 40)} explains most of spend: {in_percent(telling.iloc[0], 1)} of the differences between customers"
        title = said if telling.iloc[0] >= LEAST_EXPLAINED else "No attribute explains more of spend than chance would"
    levels = {name: _levels(table[table["attribute"] == name]) for name in order}
    longest = max(len(str(level)) for own in levels.values() for level in own["level"])
    most = 3 if longest <= SHORT_LEVEL else 2
    across, down = min(most, len(order)), -(-len(order) // most)
    heights = [0.6 + 0.22 * max(len(levels[name]) for name in order[most * row : most * row + most]) for row in range(down)]
    said = (
        f"Spend of active customers within the lookback, {currency}: median (dot), middle half (line), customers (in brackets); pale: fewer than "
        f"{FEW}. In the headings: share of the variance of log spend that levels explain beyond chance (Kelley's epsilon squared), among those with a value."
    )
    left_out = sum(len(table[table["attribute"] == name]) > len(levels[name]) for name in order)
    said += f" The {MOST_LEVELS} most common levels." if left_out else ""
    said += (
        f" {counted(len(telling) - len(order), 'further attribute says', 'further attributes say')} less."
        if len(telling) > len(order)
        else ""
    )
    figure = titled(1.1 + sum(heights), title, said)
    grid = figure.subplots(down, across, squeeze=False, sharex=True, height_ratios=heights)
    letters = SHORT_LEVEL if most == 3 else 46
    for i, (ax, name) in enumerate(zip(grid.flat, order, strict=False)):
        rows = levels[name]
        first = most * (i // most)
        room = max(len(levels[other]) for other in order[first : first + most])  # rows are equally high across
        positions = room - 1 - np.arange(len(rows))
        pale = (rows["customers"] < FEW).to_numpy()
        for few, strength in ((False, 1.0), (True, PALE)):
            at = pale == few
            ax.hlines(positions[at], rows["p25_spend"][at], rows["p75_spend"][at], color=BLUE, lw=4, alpha=0.35 * strength)
            ax.plot(rows["median_spend"][at], positions[at], "o", color=BLUE, ms=6, alpha=strength, mew=0)
        ax.set_yticks(positions, [f"{cut(row.level, letters)} ({numeral(row.customers)})" for row in rows.itertuples()], fontsize=8)
        explained = rows["epsilon_squared"].iloc[0]
        heading = cut(plain(name), 32) + ("" if np.isnan(explained) else f"  {in_percent(explained, 1)}")
        ax.set_title(heading, loc="left" if len(heading) <= SHORT_LEVEL else "right")  # a long one over the names of levels
        ax.set_ylim(-0.7, room - 0.3)
        ax.grid(axis="x")
        ax.locator_params(axis="x", nbins=5)
        ax.xaxis.set_major_formatter(lambda value, _: short(value))
        ax.tick_params(axis="both", length=0, labelbottom=True)
        ax.spines["left"].set_visible(False)
        if i + across >= len(order):
            ax.set_xlabel(f"spend, {currency}")
    for ax in grid.flat[len(order) :]:
        ax.set_visible(False)
    return figure


def _levels(rows: pd.DataFrame) -> pd.DataFrame:
    """The levels to draw, in their order, with missing values last."""
    missing = rows["level"] == MISSING_LEVEL
    common = rows[~missing].nlargest(MOST_LEVELS, "customers", keep="all").head(MOST_LEVELS)
    return pd.concat([common.sort_values([LEVEL_ORDER, "level"]), rows[missing]])


def _day(day: Any, cadence: str) -> str:
    stamp = pd.Timestamp(day)
    return f"{stamp:%b %Y}" if cadence == "monthly" and stamp.day == 1 else f"{stamp:%d %b %Y}"
