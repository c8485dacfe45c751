"""Pictures of the features of customers: how they are distributed, what is missing, outliers, and which move together.

Belongs here: drawing what `exploration` computes from customer_features, in the common `style`.
"""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from segmentation_assets.core.customers.exploration import LEAST_RANKED
from segmentation_assets.core.pictures.style import (
    BLUE,
    INK,
    MUTED,
    ORANGE,
    UNKNOWN,
    VERMILION,
    WIDTH,
    Section,
    amount,
    counted,
    cut,
    drawn,
    empty,
    heading_height,
    heatmap,
    in_percent,
    numeral,
    percent,
    plain,
    short,
    shown,
    titled,
)
from segmentation_assets.vocabulary import Status

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GROUP = 0.1  # share of customers beyond which these are no outliers
LONG_NAME = 24  # letters that fit above a small panel
LONG_TAIL = 1.0  # skewness beyond which Bulmer (1979) calls a distribution highly skewed
ACROSS = 5  # small panels per row
LEAST_WRITTEN = 0.2  # weaker correlations are coloured, and have no number
LEAST_CELL = 0.21  # inches of a cell that can hold a number
MOST_NAMED = 8  # redundant pairs named beside the heatmap


@shown("distributions_transformed", Section.FEATURES, "The same features on the scale on which they would enter the clustering.")
@shown("distributions_raw", Section.FEATURES, "How each feature is distributed, and for whom it is missing.")
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
    if not names:
        return empty(title, "No feature varies." if scale == "raw" else "No feature that would be transformed varies.")
    facts = summary.set_index("feature")
    alike = [f"{plain(name)} {amount(facts['median'][name], units[name])}" for name in units if not varying.get(name, True)]
    without = [name for name in units if name not in varying and name in facts.index]
    tailed = facts.loc[names, "skewness"].abs() > LONG_TAIL
    if scale == "raw":
        title = (
            f"{tailed.sum()} of {len(names)} features {'has' if tailed.sum() == 1 else 'have'} a long tail: few customers with extreme values"
            if tailed.any()
            else title
        )
        said = (
            "Height: active customers. From the 1st to the 99th percentile; the outermost bars include all values beyond. Orange: share without a "
            f"value.\nLong tail: skewness beyond ±{numeral(LONG_TAIL)}."
        )
        said += f" The same for all who have a value: {', '.join(alike)}." if alike else ""
        said += f" Without a value for anyone: {', '.join(map(plain, without))}." if without else ""
    else:
        straight = (facts.loc[names, "skewness_transformed"].abs() <= LONG_TAIL) & tailed
        title = (
            f"A log scale straightens {straight.sum()} of {tailed.sum()} long-tailed features"
            if tailed.any()
            else f"{title}, on a log scale"
        )
        said = (
            "Height: active customers. Scale on which the feature would enter the clustering, sign(x) * log(1 + |x|); numbers are in its unit. "
            f"Orange: share without a value.\nLong tail: skewness beyond ±{numeral(LONG_TAIL)}."
        )
    down = -(-len(names) // ACROSS)
    head = heading_height(title, said)
    height = head + 0.65 + 1.45 * down
    figure = titled(height, title, said)
    figure.set_layout_engine("none")  # all alike, so where they go is known; finding it out would take as long as drawing
    places = {"left": 0.015, "right": 0.985, "top": 1 - (head + 0.33) / height, "bottom": 0.4 / height, "wspace": 0.12, "hspace": 0.75}
    grid = figure.subplots(down, ACROSS, squeeze=False, gridspec_kw=places)
    histograms = dict(list(bins[bins["scale"] == scale].groupby("feature", sort=False)))
    for ax, name in zip(grid.flat, names, strict=False):
        _histogram(ax, name, histograms[name], units[name], scale)
        _mark_missing(ax, float(facts["missing_share"][name]))
    for ax in grid.flat[len(names) :]:
        ax.set_visible(False)
    return figure


def _histogram(ax: "Axes", name: str, rows: pd.DataFrame, unit: str, scale: str) -> None:
    edges = [*rows["bin_from"], rows["bin_to"].iloc[-1]]
    ax.stairs(rows["customers"], edges, fill=True, color=BLUE)
    ax.set_ylim(0, rows["customers"].max() * 1.22)  # room for the share that is missing
    heading = cut(plain(name), 36)
    ax.set_title(heading, fontsize=8.5 * min(1.0, LONG_NAME / len(heading)))
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.tick_params(labelsize=7.5, length=2, pad=1.5)
    if scale == "transformed":
        ticks = _log_ticks(edges[0], edges[-1])
        ax.set_xticks([np.sign(t) * np.log1p(abs(t)) for t in ticks], [short(t) for t in ticks])
    else:
        ax.locator_params(axis="x", nbins=4)
        ax.xaxis.set_major_formatter(lambda value, _: amount(value, unit))
    ax.set_xlabel(unit, fontsize=7.5, color=MUTED, labelpad=1)


def _mark_missing(ax: "Axes", share: float) -> None:
    if share > 0:
        ax.plot([1 - share, 1], [1, 1], transform=ax.transAxes, color=ORANGE, lw=3, solid_capstyle="butt", clip_on=False)
        said = f"{percent(share)} missing"
        ax.text(1, 0.97, said, transform=ax.transAxes, ha="right", va="top", fontsize=7.5, color="#8a5a00")


@shown("missingness", Section.FEATURES, "Which values are missing, and for whom.")
@drawn("Which values are missing")
def missingness(title: str, table: pd.DataFrame) -> "Figure":
    """Heatmap of the share of customers without a value, by status; features that are never missing are only counted."""
    shares = table.pivot(index="feature", columns="status", values="missing_share").reindex(table["feature"].unique())
    if Status.ACTIVE not in shares:
        return empty(title, "Not measured: no customer is active, and features describe those who are.")
    sizes = table.groupby("status")["customers"].first()
    shares = shares[[status for status in Status if status in shares]]
    whole = (shares == 0).all(axis=1)
    without_orders = shares.drop(columns=Status.ACTIVE, errors="ignore")
    by_nature = (shares.get(Status.ACTIVE, 0) == 0) & (without_orders == 1).all(axis=1) & ~whole
    never = (shares == 1).all(axis=1)
    shown = shares[~whole & ~by_nature & ~never].sort_values(list(shares.columns), ascending=False, kind="stable")
    said = f"{whole.sum()} {'is' if whole.sum() == 1 else 'are'} present for all customers"
    why = "as nothing is known of who has left" if set(without_orders.columns) == {Status.FORMER} else "as they describe orders"
    said += f", {by_nature.sum()} for all active customers and, {why}, for no others." if by_nature.any() else "."
    said += f"\nWithout a value for anyone: {', '.join(map(plain, shares.index[never]))}." if never.any() else ""
    if shown.empty:
        return empty("No value is missing that should be there", f"Of {len(shares)} features and attributes, {said}")
    group = shown.columns[0]
    half = int((shown[group] >= 0.5).sum())
    whom = "active customers" if group == Status.ACTIVE else f"{group} customers"
    title = (
        f"{half} of {len(shares) - never.sum()} features and attributes {'is' if half == 1 else 'are'} missing for at least half of the {whom}"
        if half
        else f"{cut(plain(shown.index[0]), 40)} is missing most often: for {percent(shown[group].iloc[0])} of the {whom}"
    )
    figure = titled(1.7 + 0.26 * len(shown), title, f"Share of customers without a value, by status. Of the others, {said}")
    text = shown.map(lambda share: percent(share) if share > 0 else "none").to_numpy()
    # The darker, the less is known. A column is never wider than a third, so that its numbers stand near the names.
    ax, *_ = figure.subplots(1, 2, width_ratios=[shown.shape[1], 3 - shown.shape[1] or 0.01])
    figure.axes[1].set_visible(False)
    heatmap(shown, ax, cmap="Greys", vmin=0, vmax=1.25, annot=text, fmt="", annot_kws={"size": 8}, linewidths=1, cbar=False)
    ax.set_xticklabels([f"{status}\n{counted(sizes[status], 'customer')}" for status in shown.columns])
    ax.set_yticks(np.arange(len(shown)) + 0.5, [cut(plain(name), 44) for name in shown.index])
    ax.set(xlabel="", ylabel="")
    ax.tick_params(length=0, labelrotation=0)
    ax.xaxis.tick_top()
    return figure


@shown("outliers", Section.FEATURES, "Customers with extreme values.")
@drawn("Where the outliers are", "There are no numeric features.")
def outliers(title: str, summary: pd.DataFrame, units: Mapping[str, str]) -> "Figure":
    """Share of customers beyond a modified z-score of 3.5, by feature, and next to it the range of values."""
    shown = summary[summary["outliers"] > 0].sort_values("outlier_share")
    rule = "a modified z-score of 3.5 on the transformed scale (Iglewicz and Hoaglin 1993)"
    if summary["outlier_share"].isna().all():
        return empty(title, "Not measured: no active customer has a value.")
    if shown.empty:
        return empty("There are no outliers", f"No active customer lies beyond {rule}.")
    most = shown.iloc[-1]
    title = f"{plain(most['feature'])} has the most outliers: {in_percent(most['outlier_share'], 1)} of customers"
    said = f"Active customers beyond {rule}."
    said += " A large share is a second group of customers rather than outliers." if most["outlier_share"] > GROUP else ""
    figure = titled(1.65 + 0.27 * len(shown), title, said)
    ax, beside = figure.subplots(1, 2, sharey=True, width_ratios=[1, 1.75])
    positions, shares = np.arange(len(shown)), shown["outlier_share"].to_numpy() * 100
    ax.barh(positions, shares, color=VERMILION, height=0.55)
    for y, share, customers in zip(positions, shares, shown["outliers"], strict=True):
        ax.text(
            share + 0.015 * shares.max(),
            y,
            f" {in_percent(share / 100, 1)}  ({numeral(customers)})"
            if share >= 0.05
            else f" <{in_percent(0.001, 1)}  ({numeral(customers)})",
            va="center",
            fontsize=8,
        )
    ax.set_yticks(positions, [cut(plain(name), 40) for name in shown["feature"]])
    ax.set(xlim=(0, shares.max() * 1.55), ylim=(-0.6, len(shown) + 0.2))
    ax.set_xlabel("share of customers with a value, % (and how many)")
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    beside.axis("off")
    beside.set_xlim(0, 1)
    columns = (("lowest", "minimum"), ("1% below", "p01"), ("median", "median"), ("99% below", "p99"), ("highest", "maximum"))
    for x, (name, column) in zip((0.10, 0.24, 0.38, 0.54, 0.68), columns, strict=True):
        beside.text(x, len(shown) - 0.3, name, ha="right", va="center", fontsize=8, color=MUTED)
        for y, row in zip(positions, shown.itertuples(), strict=True):
            value = amount(getattr(row, column), row.unit)
            beside.text(x, y, value, ha="right", va="center", fontsize=8, fontweight="bold" if column == "median" else "normal")
    for y, name in zip(positions, shown["feature"], strict=True):
        beside.text(0.71, y, cut("" if units[name] == "share" else units[name], 34), va="center", fontsize=8, color=MUTED)
    return figure


@shown("correlations", Section.FEATURES, "Which features move together; of a redundant pair, one is enough.")
@drawn("Which features move together", "Not measured: no two features vary among active customers.")
def correlations(title: str, pairs: pd.DataFrame) -> "Figure":
    """Clustered heatmap of Spearman correlations: similar features are side by side; redundant pairs are framed and listed."""
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Rectangle

    matrix = _clustered(pairs)
    redundant = pairs[pairs["redundant"]].sort_values(["both_in_model", "spearman"], ascending=False, key=abs, kind="stable")
    said = "Spearman's rank correlation of the features of active customers; similar features are side by side."
    said += " Framed: beyond ±0.95." if len(redundant) else ""
    said += " Grey: unknown." if len(pairs) < len(matrix) * (len(matrix) - 1) / 2 else ""
    title, rows = _finding(pairs, redundant), len(matrix) - 1
    names = 0.068 * max(len(plain(name)) for name in matrix) + 0.12  # inches that the longest name takes
    cell = min((WIDTH - names - 0.2) / rows, 0.42)
    head = heading_height(title, said) + 0.1
    height = head + max(cell * rows + names + 0.1, 0.8 + 0.36 * min(len(redundant), MOST_NAMED + 1))
    figure = titled(height, title, said)
    figure.set_layout_engine("none")  # cells are squares, so where they go is known
    ax = figure.add_axes((names / WIDTH, 1 - (head + cell * rows) / height, cell * rows / WIDTH, cell * rows / height))
    scale = figure.add_axes(((WIDTH - 3.3) / WIDTH, 1 - (head + 0.22) / height, 3.1 / WIDTH, 0.13 / height))
    lower = np.tril(np.ones((rows, rows), dtype=bool))
    shown = matrix.iloc[1:, :-1]
    unknown = shown.isna().to_numpy() & lower
    text = shown.map(lambda rho: "" if np.isnan(rho) or abs(rho) < LEAST_WRITTEN or cell < LEAST_CELL else _rho(rho)).to_numpy()
    ax.pcolormesh(np.where(unknown, 1.0, np.nan), cmap=ListedColormap([UNKNOWN]))
    heatmap(
        shown, ax, mask=~lower | unknown, cmap="vlag", vmin=-1, vmax=1, center=0, annot=text, fmt="", annot_kws={"size": 7},
        linewidths=0.5, cbar_ax=scale, cbar_kws={"orientation": "horizontal", "ticks": [-1, -0.5, 0, 0.5, 1]},
    )  # fmt: skip
    scale.set_title("opposite   –   unrelated   –   together", fontsize=7.5, fontweight="normal", color=MUTED, loc="center", pad=3)
    scale.tick_params(labelsize=7.5, length=2)
    place = {name: i for i, name in enumerate(matrix.columns)}
    for pair in redundant.itertuples():
        column, row = sorted((place[pair.feature_a], place[pair.feature_b]))
        ax.add_patch(Rectangle((column, row - 1), 1, 1, fill=False, edgecolor=INK, lw=2.2 if pair.both_in_model else 1.3, clip_on=False))
    ax.set(xlabel="", ylabel="")
    ax.set_xticks(np.arange(rows) + 0.5, [plain(name) for name in matrix.columns[:-1]], rotation=90, fontsize=8)
    ax.set_yticks(np.arange(rows) + 0.5, [plain(name) for name in matrix.columns[1:]], rotation=0, fontsize=8)
    ax.tick_params(length=0)
    _name_pairs(figure, redundant, head + 0.6)
    return figure


def _name_pairs(figure: "Figure", redundant: pd.DataFrame, below: float) -> None:
    """List redundant pairs with their remedy in the free corner, from `below` inches on; those that count twice now in bold."""
    height = figure.get_figheight()
    lines = [
        (f"{plain(p.feature_a)} and {plain(p.feature_b)}  {_rho(p.spearman)}\n{'' if p.both_in_model else 'if both enter, '}remove {plain(p.take_out)}", p.both_in_model)
        for p in redundant.head(MOST_NAMED).itertuples()
    ]  # fmt: skip
    lines += [(f"and {counted(len(redundant) - MOST_NAMED, 'more pair')}", False)] if len(redundant) > MOST_NAMED else []
    for i, (line, now) in enumerate(lines):
        weight = "bold" if now else "normal"
        figure.text(1 - 0.2 / WIDTH, 1 - (below + 0.36 * i) / height, line, ha="right", va="top", fontsize=8, fontweight=weight)


def _finding(pairs: pd.DataFrame, redundant: pd.DataFrame) -> str:
    """The title: what the correlations mean for the clustering."""
    twice = redundant[redundant["both_in_model"]]
    if len(twice) == 1:
        pair = twice.iloc[0]
        both = f"{plain(pair['feature_a'])} and {plain(pair['feature_b'])}"
        return f"{both} count twice in the clustering: remove {plain(pair['take_out'])}"
    if len(twice):
        return f"{len(twice)} pairs of features count twice in the clustering: remove one of each"
    if len(redundant):
        return f"{counted(len(redundant), 'redundant pair')} of features; none counts twice in the clustering"
    told = pairs[pairs["customers"] >= LEAST_RANKED]
    if told.empty:
        return "Too few customers to tell which features are redundant"
    nearest = told.loc[told["spearman"].abs().idxmax()]
    both = f"{plain(nearest['feature_a'])} and {plain(nearest['feature_b'])}"
    return f"No two features are redundant; closest are {both} ({_rho(nearest['spearman'])})"


def _clustered(pairs: pd.DataFrame) -> pd.DataFrame:
    """The pairs as a symmetric matrix (p, p), similar features side by side; NaN if a pair has no correlation."""
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    names = list(dict.fromkeys([*pairs["feature_a"], *pairs["feature_b"]]))
    matrix = pd.DataFrame(np.nan, index=names, columns=names)
    for pair in pairs.itertuples():
        matrix.loc[pair.feature_a, pair.feature_b] = matrix.loc[pair.feature_b, pair.feature_a] = pair.spearman
    distance = 1 - matrix.abs().fillna(0).to_numpy()
    np.fill_diagonal(distance, 0)
    if len(names) < 3:
        return matrix
    order = leaves_list(linkage(squareform(distance, checks=False), "average", optimal_ordering=True))
    return matrix.iloc[order, order]


def _rho(rho: float) -> str:
    """A correlation in statistical notation: .83, -.47; 1 only if exact."""
    shown = numeral(rho, 2) if abs(rho) < 0.995 or abs(rho) == 1 else numeral(np.sign(rho) * 0.99, 2)
    return re.sub(r"(?<!\d)0(?=[.,])|[.,]00$", "", shown)


def _log_ticks(low: float, high: float) -> list[float]:
    """Three to five round numbers within bounds given on the signed log1p scale."""
    least, most = np.sign(low) * np.expm1(abs(low)), np.sign(high) * np.expm1(abs(high))
    largest = max(abs(least), abs(most), 1e-9)
    lowest = min(0, int(np.floor(np.log10(largest))) - 1)  # below it, the scale is flat
    round_numbers = [0.0, *(sign * m * 10.0**e for sign in (-1, 1) for e in range(lowest, 13) for m in (1, 3))]
    inside = sorted(t for t in round_numbers if least <= t <= most)
    span = max(high - low, 1e-9)
    ticks: list[float] = []
    for tick in inside:  # no two labels closer than a fifth of the axis
        if not ticks or np.sign(tick) * np.log1p(abs(tick)) - np.sign(ticks[-1]) * np.log1p(abs(ticks[-1])) > span / 5:
            ticks.append(tick)
    return ticks
