"""Pictures of the choice and of the chosen model, in the common `style`: what to look at before trusting a model.

Belongs here: drawing candidates, segments and the evidence for them. The computations are in `choice` and `model`.
"""

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segmentation_assets.core.choice.candidates import Candidate
from segmentation_assets.core.choice.readings import READINGS, in_digits
from segmentation_assets.core.clustering.density import elbow, k_distances
from segmentation_assets.core.clustering.feature_columns import NumericColumn
from segmentation_assets.core.clustering.prototypes import NOISE, PrototypeModel
from segmentation_assets.core.clustering.ward import Ward, WardTree
from segmentation_assets.core.customers.columns import Customers
from segmentation_assets.core.customers.feature_catalog import FEATURES
from segmentation_assets.core.pictures.style import (
    BLUE,
    INK,
    MUTED,
    SEGMENT_COLOURS,
    Section,
    amount,
    counted,
    empty,
    heading_height,
    heatmap,
    in_percent,
    numeral,
    percent,
    plain,
    shown,
    styled,
    titled,
    written,
)
from segmentation_assets.settings.model import ModelSettings
from segmentation_assets.vocabulary import BASELINE_WORDS, OF_SPEND, Baseline, beside, points

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STABLE = READINGS["doubtful"]  # where Hennig's word for a cluster that is found again begins
HEADING = 14  # letters of a line above a column
BETTER = {feature.name: 1 if feature.better == "high" else -1 for feature in FEATURES if feature.better}
STRONG = 0.8  # prediction strength from which Tibshirani and Walther (2005) call a clustering supported
# figure of a candidate, its title
_PANELS: Mapping[str, str] = {
    "silhouette": "Silhouette (higher is better)",
    "calinski_harabasz": "Calinski-Harabasz (higher)",
    "davies_bouldin": "Davies-Bouldin (lower)",
    "weakest_jaccard": "Weakest bootstrap Jaccard",
    "prediction_strength": "Prediction strength (higher)",
    "gap": "Gap statistic (higher)",
    "seed_agreement": "Agreement of seeds (ARI)",
    "valley_p": "Valley gate, p (below: distinct)",
}
_SHADES = (0.18, 0.12, 0.06, 0.02)  # opacity of the bands of stability
_WORDS: Mapping[str, str] = {
    "kmeans": "k-means",
    "weighted_kmeans": "weighted k-means",
    "rfm_grid": "the recency x frequency grid",
    "ward": "Ward",
}
MOST_SILHOUETTES, MOST_DOTS, LAST_MERGES = 2000, 3000, 40


@shown("indices_over_k", Section.CHOICE, "How every clustering that was tried fares on every index, by number of segments.")
@styled()
def indices_over_k(candidates: Sequence[Candidate], settings: ModelSettings) -> "Figure":
    """Every index over k, a line per algorithm; the chosen candidate is ringed, dashed lines are thresholds."""
    from matplotlib.ticker import MaxNLocator

    judged = [c for c in candidates if c.k > 1 and np.isfinite(c.valley_p)]
    apart = sum(c.valley_p < settings.valley_level for c in judged)
    taken = next((c for c in candidates if c.chosen), None)
    title = f"{_capital(_word(taken))} with k = {taken.k} was taken; " if taken else ""
    title += f"{_so_many(apart, len(judged), 'clustering')} {'have' if apart > 1 else 'has'} a valley between all segments"
    figure = titled(
        6.0,
        title if taken else _capital(title),
        "Each index over the number of segments k, with a line for each algorithm. Ringed: what was taken. Dashed: the mark to reach.",
    )
    axes = figure.subplots(2, 4).ravel()
    names = list(dict.fromkeys(c.algorithm for c in candidates if not c.finds_k and c.k > 0 and c.algorithm != "rfm_grid"))
    marks = {"weakest_jaccard": settings.stable_jaccard, "prediction_strength": STRONG, "valley_p": settings.valley_level}
    for ax, (field, heading) in zip(axes, _PANELS.items(), strict=True):
        for colour, name in zip(SEGMENT_COLOURS, names, strict=False):
            own = sorted((c for c in candidates if c.algorithm == name and c.k > 0), key=lambda c: c.k)
            values = [getattr(c, field) for c in own]
            ax.plot([c.k for c in own], values, marker="o", markersize=3, lw=1.3, color=colour, label=_WORDS.get(name, name))
            for c, value in zip(own, values, strict=True):
                if c.chosen:
                    ax.plot(c.k, value, "o", markersize=11, fillstyle="none", color=INK, label="taken")
        if field in marks:
            ax.axhline(marks[field], linestyle="--", linewidth=1, color=MUTED)
        ax.set_title(heading, fontsize=9)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set_xlabel("k")
    found = {label: handle for ax in axes for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    labels = sorted(found, key=lambda label: label == "taken")  # the ring after the lines
    figure.legend([found[label] for label in labels], labels, loc="outside lower center", ncols=max(len(labels), 1), frameon=False)
    return figure


@shown("silhouettes", Section.CHOICE, "How well customers sit in their segment.")
@styled()
def silhouette_plot(
    points: NDArray[np.float64], labels: NDArray[np.int64], names: Sequence[str], colours: Sequence[str], seed: int
) -> "Figure":
    """Silhouette of up to 2,000 customers, sorted within their segment (Rousseeuw, 1987). Below 0, another segment is nearer."""
    from sklearn.metrics import silhouette_samples

    own = np.flatnonzero(labels >= 0)
    rows = np.sort(np.random.default_rng(seed).choice(own, min(MOST_SILHOUETTES, len(own)), replace=False))
    if not 2 <= len(np.unique(labels[rows])) < len(rows):
        return empty("How well customers sit in their segment", "No silhouette: it takes two segments, and more customers than segments.")
    values = silhouette_samples(points[rows], labels[rows])
    figure = titled(
        1.6 + 0.65 * len(names),
        f"{percent(float((values < 0).mean()))} of customers are closer to another segment than to their own",
        f"Silhouette (Rousseeuw 1987) of {counted(len(rows), 'customer')}: near 1 within their segment, 0 on its border, below 0 nearer to "
        f"another. Dashed: the mean, {numeral(values.mean(), 2)}.",
    )
    ax = figure.subplots()
    ticks, low = [], 0.0
    for cluster in range(len(names)):
        bar = np.sort(values[labels[rows] == cluster])[::-1]
        ax.fill_betweenx(low + np.arange(len(bar)), 0, bar, color=colours[cluster], lw=0)
        ticks.append(low + len(bar) / 2)
        low += len(bar) + 0.02 * len(rows)
    ax.axvline(float(values.mean()), linestyle="--", color=INK, linewidth=1)
    ax.axvline(0, color=MUTED, linewidth=0.8)
    ax.set_yticks(ticks, names)
    ax.set_ylim(low, -0.02 * len(rows))
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set_xlabel("silhouette")
    return figure


@shown("stability", Section.CHOICE, "How well each segment is found again when customers are resampled.")
@styled()
def stability_per_cluster(candidate: Candidate, names: Sequence[str], colours: Sequence[str]) -> "Figure":
    """Mean bootstrap Jaccard of each cluster over Hennig's (2007) bands."""
    stable, every = sum(value >= STABLE for value in candidate.jaccard), len(candidate.jaccard)
    figure = titled(
        1.75 + 0.36 * len(names),
        f"{_capital(_so_many(stable, every, 'segment'))} {'are' if stable > 1 else 'is'} found again when customers are resampled",
        f"Mean bootstrap Jaccard of each segment on the customers of this snapshot ({_word(candidate)}, k = {candidate.k}), over the bands "
        f"of Hennig (2007); found again: {numeral(STABLE, 2)} or more.",
    )
    ax = figure.subplots()
    low = 0.0
    for (word, high), shade in zip(READINGS.items(), _SHADES, strict=True):
        ax.axvspan(low, high, color=INK, alpha=shade, linewidth=0)
        ax.text((low + high) / 2, -0.62, word, ha="center", va="bottom", fontsize=8, color=MUTED)
        low = high
    ax.barh(np.arange(len(names)), candidate.jaccard, height=0.6, color=list(colours))
    for position, value in enumerate(candidate.jaccard):
        ax.text(value + 0.008, position, written(in_digits(value)), va="center", fontsize=9, fontweight="bold")
    ax.set_yticks(np.arange(len(names)), names)
    ax.set(ylim=(len(names) - 0.5, -1.0), xlim=(0, 1.04), xlabel="mean bootstrap Jaccard")
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    return figure


@shown(
    "forward_validity",
    Section.CHOICE,
    "What the segments explain of the spend that followed, beside groups cut without a model.",
    needs_orders=True,
)
@styled()
def forward_bars(forward: Mapping[str, float], not_validated: str) -> "Figure":
    """A bar for the segments of the snapshot before and for each baseline; `not_validated` says why there are none."""
    title, spend = "What the segments explain of the spend that followed", "forward_spend_eta_squared"
    if not_validated:
        return empty(title, f"{_capital(not_validated)}.")
    gain = points(forward[f"forward_spend_gain_over_{Baseline.MONEY}"])
    figure = titled(
        2.7,
        f"The segments explain {written(beside(abs(gain), 0, 1))} points {'less' if gain < 0 else 'more'} of the differences in spend since than "
        f"{BASELINE_WORDS[Baseline.MONEY]}",
        "Share of the variance of log spend since the snapshot before that its groups explain; lines: 95% intervals of the difference from the "
        "segments. Segments are for acting, not for forecasting.",
    )
    ax = figure.subplots()
    others = [forward[f"{spend}_{baseline}"] for baseline in OF_SPEND]
    ax.barh(range(len(others) + 1), [forward[spend], *others], height=0.6, color=[BLUE, *[MUTED] * len(others)])
    for position, baseline in enumerate(OF_SPEND, start=1):
        ends = [forward[spend] - forward[f"forward_spend_gain_over_{baseline}_{end}"] for end in ("low", "high")]
        ax.plot(ends, [position, position], color=INK, lw=1.5)
    for position, value in enumerate([forward[spend], *others]):
        edge = ax.get_yaxis_transform()  # beside the panel, where no bar and no interval can be
        ax.text(1.01, position, in_percent(value, 1), va="center", fontsize=9, fontweight="bold", transform=edge)
    ax.axvline(forward[spend], linestyle="--", color=INK, linewidth=1)
    ax.set_yticks(range(len(others) + 1), ["the segments", *(BASELINE_WORDS[baseline] for baseline in OF_SPEND)])
    ax.set(ylim=(len(others) + 0.5, -0.5), xlabel="share of the differences in spend explained")
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    return figure


@shown(
    "segment_map",
    Section.SEGMENTS,
    "Customers on the two directions in which they differ most; segments without a gap between them cut a continuum.",
)
@styled()
def pca_map(points: NDArray[np.float64], labels: NDArray[np.int64], names: Sequence[str], colours: Sequence[str], seed: int) -> "Figure":
    """Customers on their first two principal components: segments left, density right. A border without a valley is just a cut."""
    from matplotlib.ticker import LogFormatter
    from sklearn.decomposition import PCA

    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(len(points), min(MOST_DOTS, len(points)), replace=False))
    if (points == points[0]).all():
        return empty("Where customers lie", "All active customers are alike in the model's features, so there is nothing to map.")
    components = min(2, *points.shape)
    pca = PCA(components).fit(points)
    placed = pca.transform(points[rows])
    if components == 1:  # a map of one feature: the vertical position is random, to keep customers apart
        placed = np.column_stack([placed, rng.uniform(-0.5, 0.5, len(placed))])
    shares = np.nan_to_num([*pca.explained_variance_ratio_, 0.0][:2])
    figure = titled(
        5.8,
        f"{'Two directions explain' if components == 2 else 'One direction explains'} {percent(float(shares.sum()))} of the differences between customers",
        f"{counted(len(rows), 'customer')} on the principal components of the model's features. Borders that lie in no valley of the "
        "density cut through a continuum.",
    )
    segments, density = figure.subplots(1, 2, sharex=True, sharey=True)
    for cluster in (*range(len(names)), NOISE):
        own = labels[rows] == cluster
        if own.any():
            name, colour = ("noise", MUTED) if cluster == NOISE else (names[cluster], colours[cluster])
            segments.scatter(*placed[own].T, s=7, alpha=0.6, linewidths=0, color=colour, label=name)
    drawn = density.hexbin(*placed.T, gridsize=40, cmap="Greys", mincnt=1, bins="log")  # else one heap of equal customers hides the rest
    scale = figure.colorbar(drawn, ax=density, label="customers in a cell", pad=0.01, format="%d")
    scale.minorformatter = LogFormatter()  # matplotlib's own writes formulas
    for ax, heading in ((segments, "Segments"), (density, "Density of customers")):
        ax.set_title(heading)
        ax.set_xlabel(f"component 1 ({in_percent(shares[0])} of the variance)")
    figure.legend(loc="outside lower center", ncols=5, markerscale=3, frameon=False)
    segments.set_ylabel(f"component 2 ({in_percent(shares[1])} of the variance)" if components == 2 else "scatter, without meaning")
    return figure


@styled()
def dendrogram(tree: WardTree, k: int) -> "Figure":
    """The last 40 merges of Ward's tree, with the cut that leaves k clusters; counts are sampled customers."""
    from scipy.cluster import hierarchy

    merges = tree.linkage
    k = min(k, len(tree.leaves))
    height = float((merges[-k, 2] + merges[-k + 1, 2]) / 2) if 1 < k < len(tree.leaves) else float(merges[-1, 2])
    figure = titled(
        4.9,
        f"Ward's tree, cut at k = {k}, {_widest_gap(merges, k)}",
        f"The last {min(LAST_MERGES, len(merges))} merges of a sample of customers (Ward 1963). A cut through long lines parts what is far "
        "apart, one through short lines does not.",
    )
    ax = figure.subplots()
    hierarchy.set_link_color_palette(list(SEGMENT_COLOURS))
    hierarchy.dendrogram(
        merges, p=LAST_MERGES, truncate_mode="lastp", ax=ax, color_threshold=height, above_threshold_color=MUTED, leaf_rotation=90
    )
    hierarchy.set_link_color_palette(None)
    ax.axhline(height, linestyle="--", color=INK, linewidth=1)
    ax.tick_params(axis="x", labelsize=8, length=0)
    ax.set_ylabel("height of the merge")
    ax.set_xlabel("in brackets: sampled customers in the branch")
    return figure


def _widest_gap(merges: NDArray[np.float64], k: int) -> str:
    """Where in the drawn part of Ward's tree the height of merges rises most, as part of a sentence."""
    heights = merges[-LAST_MERGES:, 2]
    if len(heights) < 2:
        return "has a single merge"
    widest = len(heights) - int(np.diff(heights).argmax())
    return "where customers part most clearly" if widest == k else f"parts customers most clearly into {widest}"


@shown("dendrogram", Section.CHOICE, "How Ward's tree joins customers, and where it is cut.")
def dendrogram_of(points: NDArray[np.float64], k: int, seed: int) -> "Figure":
    """Ward's tree of `points` (n, d), with its cut at k."""
    return dendrogram(Ward().tree(points, seed), k)


@shown("k_distance_curve", Section.CHOICE, "How far customers are from their neighbours, and the radius that DBSCAN reads off it.")
def k_distance_of(points: NDArray[np.float64], settings: ModelSettings) -> "Figure":
    """The k-distance curve of `points` (n, d) with the eps that DBSCAN would use."""
    min_samples = settings.min_samples or max(5, 2 * points.shape[1])
    distances = k_distances(points, min_samples)
    return k_distance_curve(distances, min_samples, settings.eps or elbow(distances))


@styled()
def k_distance_curve(distances: NDArray[np.float64], min_samples: int, eps: float) -> "Figure":
    """Distance to the `min_samples`-th neighbour in ascending order (n,), and the eps read off it."""
    from matplotlib.ticker import PercentFormatter

    share = float((distances <= eps).mean())
    figure = titled(
        4.4,
        f"With a radius of {written(f'{eps:.3g}')}, DBSCAN would call {percent(share)} of customers core",
        f"Distance of {counted(len(distances), 'customer')} to their neighbour number {min_samples}, from dense to sparse surroundings "
        "(Ester et al. 1996). Dashed: the radius, eps.",
    )
    ax = figure.subplots()
    ax.plot(np.linspace(0, 1, len(distances)), distances, color=BLUE, lw=2)
    ax.axhline(eps, linestyle="--", color=INK, linewidth=1)
    ax.xaxis.set_major_formatter(PercentFormatter(1))
    ax.set(xlim=(0, 1), ylim=(0, None), xlabel="customers, densest surroundings first")
    ax.set_ylabel(f"distance to neighbour {min_samples}, on the scale of the model")
    return figure


def has_numeric_features(model: PrototypeModel) -> bool:
    """Whether a numeric feature varies between customers, so that `typical_customers` has something to colour."""
    return bool(_numeric(model))


def _numeric(model: PrototypeModel) -> list[NumericColumn]:
    return [column for column in model.preprocessor.columns_ if isinstance(column, NumericColumn) and column.scale > 0]


@shown(
    "typical_customers", Section.SEGMENTS, "What the typical customer of each segment does at this snapshot, in the units of the features."
)
@styled()
def typical_customers(
    model: PrototypeModel, active: Customers, names: Sequence[str], units: Mapping[str, str], labels: Mapping[str, str] | None = None
) -> "Figure":
    """The median customer of each segment, as in its description: colour in standard deviations from the average customer, text in
    customer units. If the business would rather see a feature high or low, blue is better, red worse, and white a feature of which neither
    is better; otherwise red is high, blue low.

    Args:
        active: the snapshot's active customers, at least the model's features.
        units, labels: by feature; what the settings say of attributes.
    """
    numeric = _numeric(model)
    if not numeric:
        raise ValueError("the model has no numeric feature that varies, so there is nothing to colour; use segment profiles")
    values = pd.DataFrame({c.name: active[c.name].to_numpy(dtype=np.float64, na_value=np.nan) for c in numeric})
    medians = values.groupby(model.assign(active).label).median().reindex(range(model.k))
    spreads = np.column_stack([_spreads(c, values[c.name], medians[c.name]) for c in numeric])
    row, column = divmod(int(np.abs(spreads).round(9).argmax()), spreads.shape[1])
    written = [[_written(value, units.get(c.name, "")) for value, c in zip(line, numeric, strict=True)] for line in medians.to_numpy()]
    called = {c.name: (labels or {}).get(c.name) or plain(c.name) for c in numeric}
    what = numeric[column].name
    title = f"{names[row]} are furthest from the average customer, in {called[what]}: {written[row][column]} {units.get(what, '')}"
    signs = np.array([BETTER.get(c.name, 0) for c in numeric])
    judged = bool(signs.any())
    said = (
        "The median customer of each segment at this snapshot, in the units of the features. "
        f"Colour: {'better (blue) or worse (red) for the business, by ' if judged else ''}"
        "standard deviations from the average customer, on the scale of the model."
    )
    height = heading_height(title, said) + 0.75 + 0.42 * len(names)
    figure = titled(height, title.strip(), said)
    # A column is never wider than a fifth, so that its numbers stand near the names.
    ax, *_ = figure.subplots(1, 2, width_ratios=[len(numeric), max(5 - len(numeric), 0.01)])
    figure.axes[1].set_visible(False)
    reach = max(1.0, float(np.abs(spreads).max()))
    table = pd.DataFrame(spreads * signs if judged else spreads, index=list(names), columns=medians.columns)
    text = np.array(written, dtype=object)
    scale = {"label": "worse  \u2013  better" if judged else "standard deviations", "pad": 0.02}
    heatmap(
        table, ax, annot=text, fmt="", cmap="vlag_r" if judged else "vlag", center=0, vmin=-reach, vmax=reach, linewidths=1, cbar_kws=scale
    )
    headings = [
        called[c.name] if units.get(c.name, "") in called[c.name].split() else f"{called[c.name]}\n{units.get(c.name, '')}" for c in numeric
    ]
    ax.set_xticks(
        np.arange(len(numeric)) + 0.5, ["\n".join(textwrap.fill(part, HEADING) for part in name.split("\n")) for name in headings]
    )
    ax.tick_params(length=0, labelrotation=0)
    ax.xaxis.tick_top()
    return figure


def _spreads(column: NumericColumn, values: pd.Series, medians: pd.Series) -> NDArray[np.float64]:
    """The medians (clusters,) in standard deviations from the mean of the values (n,), both as the model transforms them; 0 where missing."""
    everybody, typical = (column.encode(numbers.to_numpy())[:, 0] for numbers in (values, medians))
    return np.where(medians.isna(), 0.0, (typical - everybody.mean()) / max(float(everybody.std()), 1e-12))


def _written(value: float, unit: str) -> str:
    return "missing" if np.isnan(value) else amount(value, unit)


def _so_many(n: int, every: int, what: str) -> str:
    """none of 5 segments, 2 of 5 segments, all 5 segments."""
    return f"all {counted(every, what)}" if n == every > 1 else f"{n or 'none'} of {counted(every, what)}"


def _word(candidate: Candidate | None) -> str:
    return _WORDS.get(candidate.algorithm, candidate.algorithm) if candidate else ""


def _capital(text: str) -> str:
    """The text with a capital first letter, except for k-means."""
    return text if text.startswith("k-means") else text[:1].upper() + text[1:]
