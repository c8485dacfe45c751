"""Pictures of the choice and of the chosen model. Each function returns a Figure and draws on nothing else.

Belongs here: what a person looks at before trusting a model. Figures are made without pyplot, so nothing is kept open.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray
from scipy.cluster import hierarchy
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_samples

from segmentation_assets.core.candidates import Candidate
from segmentation_assets.core.density import elbow, k_distances
from segmentation_assets.core.families import SelectionSettings
from segmentation_assets.core.feature_columns import NumericColumn
from segmentation_assets.core.figures import SEGMENT_COLOURS
from segmentation_assets.core.hierarchical import Ward, WardTree
from segmentation_assets.core.prototypes import NOISE, PrototypeModel

_GREY = "#9a9a9a"
# figure of a candidate, its title, the mark that its authors set
_PANELS: tuple[tuple[str, str, float | None], ...] = (
    ("silhouette", "silhouette (higher is better)", None),
    ("calinski_harabasz", "Calinski-Harabasz (higher)", None),
    ("davies_bouldin", "Davies-Bouldin (lower)", None),
    ("weakest_jaccard", "weakest bootstrap Jaccard", 0.75),
    ("prediction_strength", "prediction strength", 0.8),
    ("gap", "gap statistic", None),
    ("seed_agreement", "agreement of seeds (ARI)", None),
    ("valley_p", "valley gate p (below the line: distinct)", 0.05),
)


def indices_over_k(candidates: Sequence[Candidate]) -> Figure:
    """Every index over k, a line per algorithm; the chosen candidate is ringed, dashed lines are the usual marks."""
    figure = Figure(figsize=(13, 6), layout="constrained")
    axes = figure.subplots(2, 4).ravel()
    names = list(dict.fromkeys(c.algorithm for c in candidates if not c.finds_k and c.k > 0 and c.algorithm != "rfm_grid"))
    for axis, (field, title, mark) in zip(axes, _PANELS, strict=True):
        for colour, name in zip(SEGMENT_COLOURS, names, strict=False):
            own = sorted((c for c in candidates if c.algorithm == name and c.k > 0), key=lambda c: c.k)
            values = [getattr(c, field) for c in own]
            axis.plot([c.k for c in own], values, marker="o", markersize=3, color=colour, label=name.replace("_", " "))
            for c, value in zip(own, values, strict=True):
                if c.chosen:
                    axis.plot(c.k, value, "o", markersize=12, fillstyle="none", color="black", label="chosen")
        if mark is not None:
            axis.axhline(mark, linestyle="--", linewidth=1, color=_GREY)
        axis.set_title(title, fontsize=10)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.set_xlabel("k")
    handles, labels = _unique_legend(axes)
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    return figure


def silhouette_plot(
    points: NDArray[np.float64], labels: NDArray[np.int64], names: Sequence[str], colours: Sequence[str], seed: int
) -> Figure:
    """Silhouette of up to 2,000 customers, sorted within their segment (Rousseeuw, 1987). Left of 0 lies nearer to another."""
    own = np.flatnonzero(labels >= 0)
    rows = np.sort(np.random.default_rng(seed).choice(own, min(2000, len(own)), replace=False))
    figure = Figure(figsize=(7, 5), layout="constrained")
    axis = figure.subplots()
    if not 2 <= len(np.unique(labels[rows])) < len(rows):
        axis.text(0.5, 0.5, "no silhouette: it takes two segments, and more customers than segments", ha="center", transform=axis.transAxes)
        return figure
    values = silhouette_samples(points[rows], labels[rows])
    ticks, low = [], 0
    for cluster in range(len(names)):
        bar = np.sort(values[labels[rows] == cluster])
        axis.fill_betweenx(np.arange(low, low + len(bar)), 0, bar, color=colours[cluster])
        ticks.append(low + len(bar) / 2)
        low += len(bar) + 20
    axis.axvline(float(values.mean()), linestyle="--", color="black", linewidth=1)
    axis.set_yticks(ticks, names)
    axis.invert_yaxis()
    axis.set_xlabel(f"silhouette (mean {values.mean():.2f}, dashed)")
    axis.set_title("How well customers sit in their segment")
    return figure


def stability_per_cluster(candidate: Candidate, names: Sequence[str], colours: Sequence[str]) -> Figure:
    """Mean bootstrap Jaccard of each cluster over Hennig's (2007) bands."""
    figure = Figure(figsize=(7, 0.5 * len(names) + 1.8), layout="constrained")
    axis = figure.subplots()
    bands = (
        (0, 0.6, "dissolved", 0.30),
        (0.6, 0.75, "doubtful", 0.20),
        (0.75, 0.85, "valid", 0.11),
        (0.85, 1, "highly stable", 0.04),
    )
    for low, high, word, depth in bands:
        axis.axvspan(low, high, color="black", alpha=depth, linewidth=0)
        axis.text((low + high) / 2, -0.4, word, ha="center", va="bottom", fontsize=8)
    axis.barh(np.arange(len(names)), candidate.jaccard, height=0.6, color=list(colours))
    for position, value in enumerate(candidate.jaccard):
        axis.text(value - 0.01, position, f"{value:.2f}", ha="right", va="center", color="white", fontsize=9, fontweight="bold")
    axis.set_yticks(np.arange(len(names)), names)
    axis.set_ylim(len(names) - 0.5, -0.8)
    axis.set_xlim(0, 1)
    axis.set_xlabel(f"mean bootstrap Jaccard ({candidate.algorithm.replace('_', ' ')}, k = {candidate.k})")
    return figure


def pca_map(points: NDArray[np.float64], labels: NDArray[np.int64], names: Sequence[str], colours: Sequence[str], seed: int) -> Figure:
    """Customers on their first two principal components: segments left, density right. What has no valley there is a cut."""
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(len(points), min(3000, len(points)), replace=False))
    components = min(2, *points.shape)
    pca = PCA(components).fit(points)
    placed = pca.transform(points[rows])
    if components == 1:  # a map of one feature: height says nothing, it only keeps customers apart
        placed = np.column_stack([placed, rng.uniform(-0.5, 0.5, len(placed))])
    figure = Figure(figsize=(12, 5.2), layout="constrained")
    segments, density = figure.subplots(1, 2, sharex=True, sharey=True)
    for cluster in (*range(len(names)), NOISE):
        own = labels[rows] == cluster
        if own.any():
            name, colour = ("noise", _GREY) if cluster == NOISE else (names[cluster], colours[cluster])
            segments.scatter(*placed[own].T, s=7, alpha=0.6, linewidths=0, color=colour, label=name)
    segments.legend(markerscale=3, frameon=False, fontsize=8)
    density.hexbin(*placed.T, gridsize=40, cmap="Greys", mincnt=1, bins="log")  # else one heap of equal customers hides the rest
    shares = np.nan_to_num([*pca.explained_variance_ratio_, 0.0][:2])  # of customers who are all alike, nothing varies
    for axis, title in ((segments, "segments"), (density, "density of customers")):
        axis.set_title(title)
        axis.set_xlabel(f"component 1 ({shares[0]:.0%} of the variance)")
    segments.set_ylabel(f"component 2 ({shares[1]:.0%})" if components == 2 else "scatter")
    return figure


def dendrogram(tree: WardTree, k: int) -> Figure:
    """The last 40 merges of Ward's tree, with the cut that leaves k clusters; counts are sampled customers."""
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    axis = figure.subplots()
    merges = tree.linkage
    k = min(k, len(tree.leaves))
    height = float((merges[-k, 2] + merges[-k + 1, 2]) / 2) if 1 < k < len(tree.leaves) else float(merges[-1, 2])
    hierarchy.set_link_color_palette(list(SEGMENT_COLOURS))
    hierarchy.dendrogram(
        merges, p=40, truncate_mode="lastp", ax=axis, color_threshold=height, above_threshold_color=_GREY, leaf_rotation=90
    )
    hierarchy.set_link_color_palette(None)
    axis.axhline(height, linestyle="--", color="black", linewidth=1)
    axis.set_title(f"Ward's tree, cut at k = {k}")
    axis.set_ylabel("height of the merge (Ward)")
    axis.set_xlabel("customers in the branch, or (customer)")
    return figure


def dendrogram_of(points: NDArray[np.float64], k: int, seed: int) -> Figure:
    """Ward's tree of `points` (n, d), with its cut at k."""
    return dendrogram(Ward().tree(points, seed), k)


def k_distance_of(points: NDArray[np.float64], settings: SelectionSettings) -> Figure:
    """The k-distance curve of `points` (n, d) with the eps that DBSCAN would take."""
    min_samples = settings.min_samples or max(5, 2 * points.shape[1])
    distances = k_distances(points, min_samples)
    return k_distance_curve(distances, min_samples, settings.eps or elbow(distances))


def k_distance_curve(distances: NDArray[np.float64], min_samples: int, eps: float) -> Figure:
    """Distance to the `min_samples`-th neighbour in rising order (n,), and the eps read off it."""
    figure = Figure(figsize=(6.5, 4.2), layout="constrained")
    axis = figure.subplots()
    axis.plot(np.linspace(0, 1, len(distances)), distances, color=SEGMENT_COLOURS[0])
    axis.axhline(eps, linestyle="--", color="black", linewidth=1)
    share = float((distances <= eps).mean())
    axis.annotate(f"eps = {eps:.3g}: {share:.1%} of customers are core", (0.02, eps), va="bottom")
    axis.xaxis.set_major_formatter(PercentFormatter(1))
    axis.set_xlabel("customers, from dense to sparse surroundings")
    axis.set_ylabel(f"distance to neighbour {min_samples} (standardised)")
    return figure


def has_numeric_centres(model: PrototypeModel) -> bool:
    """Whether there is a number that differs between customers, so that `centroid_heatmap` has something to colour."""
    return any(isinstance(column, NumericColumn) and column.scale > 0 for column in model.preprocessor.columns_)


def centroid_heatmap(model: PrototypeModel, names: Sequence[str]) -> Figure:
    """Cluster centres: colour in spreads from the average customer, text in customer units."""
    centers = model.centers()
    numeric = [column for column in model.preprocessor.columns_ if isinstance(column, NumericColumn) and column.scale > 0]
    if not numeric:
        raise ValueError("the model has no numeric feature that varies, so there is no centre to colour; use segment profiles")
    units = centers[[column.name for column in numeric]]
    unweighted = model.preprocessor.transform(centers)
    position = {name: i for i, name in enumerate(model.preprocessor.get_feature_names_out())}
    spreads = np.column_stack(
        [unweighted[:, position[c.name]] / np.sqrt(c.weight) if c.weight > 0 else np.zeros(len(units)) for c in numeric]
    )
    figure = Figure(figsize=(1.6 * len(numeric) + 3, 0.55 * len(names) + 1.6), layout="constrained")
    axis = figure.subplots()
    reach = max(1.0, float(np.abs(spreads).max()))
    table = pd.DataFrame(spreads, index=list(names), columns=units.columns)
    text = units.map(lambda value: "missing" if np.isnan(value) else f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}").to_numpy()
    sns.heatmap(
        table,
        annot=text,
        fmt="",
        cmap="vlag",
        center=0,
        vmin=-reach,
        vmax=reach,
        ax=axis,
        linewidths=1,
        cbar_kws={"label": "spreads"},
    )
    axis.tick_params(axis="y", rotation=0)
    axis.set_title("Segment centres in customer units")
    return figure


def _unique_legend(axes: NDArray[np.object_]) -> tuple[list[Artist], list[str]]:
    found: dict[str, Artist] = {}
    for axis in axes:
        assert isinstance(axis, Axes)  # noqa: S101  # tells mypy
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    order = sorted(found, key=lambda label: label == "chosen")  # the ring after the lines
    return [found[label] for label in order], order
