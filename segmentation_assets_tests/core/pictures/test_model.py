"""Each picture shows the numbers it was given. Their looks were checked by eye."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import LogNorm, to_hex

from segmentation_assets.core import pictures
from segmentation_assets.core.choice.candidates import Candidate
from segmentation_assets.core.clustering.algorithm import canonical_order, fit_kmeans
from segmentation_assets.core.clustering.density import elbow, k_distances
from segmentation_assets.core.clustering.preprocessing import FeaturePreprocessor
from segmentation_assets.core.clustering.ward import Ward
from segmentation_assets.settings.model import ModelSettings
from segmentation_assets.vocabulary import OF_SPEND

NAMES = ["small spenders", "big spenders"]
COLOURS = ["#123456", "#654321"]
CANDIDATES = [
    Candidate("kmeans", 2, silhouette=0.5, jaccard=(0.9, 0.7), valley_p=0.01, chosen=True),
    Candidate("kmeans", 3, silhouette=0.4, jaccard=(0.9, 0.7, 0.5), valley_p=0.5),
    Candidate("ward", 2, silhouette=0.45, jaccard=(0.8, 0.6), valley_p=0.02),
    Candidate("dbscan", 1, finds_k=True),
    Candidate("hdbscan", 0, finds_k=True, reason="Could not be fitted."),
]


@pytest.fixture(scope="module")
def model():
    frame = pd.DataFrame({"spend": [10.0] * 60 + [1000.0] * 60, "orders": np.tile([1.0, 2.0, 3.0], 40)})
    model = fit_kmeans(frame, 2, seed=0, preprocessor=FeaturePreprocessor("none"))
    return model, model.preprocessor.transform(frame), model.assign(frame).label


UNITS = {"spend": "USD", "orders": "orders"}


def texts(axis):
    return [text.get_text() for text in axis.texts]


def title(figure):
    return figure.texts[0].get_text()


def test_indices_have_a_line_per_algorithm_with_a_given_k_and_a_ring_on_the_chosen():
    figure = pictures.model.indices_over_k(CANDIDATES, ModelSettings())
    silhouette = figure.axes[0]
    lines = {line.get_label(): line for line in silhouette.lines}
    assert set(lines) == {"k-means", "Ward", "taken"}
    assert lines["k-means"].get_ydata().tolist() == [0.5, 0.4]
    assert (lines["taken"].get_xdata().tolist(), lines["taken"].get_ydata().tolist()) == ([2], [0.5])
    assert len(figure.axes) == 8
    assert title(figure) == "k-means with k = 2 was taken; 2 of 3 clusterings have a valley between all segments"


def test_the_title_counts_valleys_by_the_settings():
    figure = pictures.model.indices_over_k(CANDIDATES, ModelSettings(valley_level=0.015))
    assert title(figure).endswith("1 of 3 clusterings has a valley between all segments")
    assert figure.axes[-1].lines[-1].get_ydata()[0] == 0.015


def test_if_nothing_was_chosen_the_title_says_what_was_found():
    figure = pictures.model.indices_over_k([replace(CANDIDATES[1], k=3), replace(CANDIDATES[1], k=1, valley_p=0.01)], ModelSettings())
    assert title(figure) == "None of 1 clustering has a valley between all segments"


def test_silhouettes_are_sorted_within_their_segment(model):
    _, points, labels = model
    figure = pictures.model.silhouette_plot(points, labels, NAMES, COLOURS, seed=0)
    (axis,) = figure.axes
    assert [tick.get_text() for tick in axis.get_yticklabels()] == NAMES
    assert len(axis.collections) == 2
    assert title(figure) == "0% of customers are closer to another segment than to their own"
    swapped = np.where(np.arange(len(labels)) < 6, 1 - labels, labels)
    assert title(pictures.model.silhouette_plot(points, swapped, NAMES, COLOURS, seed=0)).startswith("5% of customers are closer")


def test_one_segment_has_no_silhouette(model):
    _, points, _ = model
    figure = pictures.model.silhouette_plot(points, np.zeros(len(points), int), NAMES[:1], COLOURS, seed=0)
    assert figure.axes == []
    assert "No silhouette" in figure.texts[1].get_text()


def test_stability_bars_are_the_jaccards_over_hennigs_bands():
    figure = pictures.model.stability_per_cluster(CANDIDATES[0], NAMES, COLOURS)
    (axis,) = figure.axes
    assert title(figure) == "1 of 2 segments is found again when customers are resampled"
    assert {"dissolved", "doubtful", "valid", "highly stable", "0.90", "0.70"} == set(texts(axis))
    assert {0.9, 0.7} <= {round(patch.get_width(), 2) for patch in axis.patches}


@pytest.mark.parametrize(("jaccard", "said"), [((0.8, 0.9), "All 2 segments are"), ((0.1, 0.2), "None of 2 segments is")])
def test_the_title_counts_the_segments_that_are_found_again(jaccard, said):
    figure = pictures.model.stability_per_cluster(replace(CANDIDATES[0], jaccard=jaccard), NAMES, COLOURS)
    assert title(figure).startswith(said)


def test_the_segments_are_drawn_beside_groups_cut_without_a_model():
    forward = {"forward_spend_eta_squared": 0.42}
    for baseline in OF_SPEND:
        forward |= {f"forward_spend_eta_squared_{baseline}": 0.43, f"forward_spend_gain_over_{baseline}": -0.01}
        forward |= {f"forward_spend_gain_over_{baseline}_low": -0.02, f"forward_spend_gain_over_{baseline}_high": 0.03}
    figure = pictures.model.forward_bars(forward, "")
    (axis,) = figure.axes
    assert title(figure).startswith("The segments explain 1.0 points less of the differences in spend since than five quintiles of")
    assert texts(axis) == ["42.0%", *["43.0%"] * 4]
    assert axis.lines[0].get_xdata().tolist() == pytest.approx([0.44, 0.39])
    assert {text.get_position()[0] for text in axis.texts} == {1.01}  # of the panel's width, beside all bars and intervals
    assert "Not yet validated: none." in pictures.model.forward_bars({}, "not yet validated: none").texts[1].get_text()


def test_the_map_shows_segments_noise_and_density(model):
    _, points, labels = model
    noisy = np.where(np.arange(len(labels)) % 10 == 0, -1, labels)
    figure = pictures.model.pca_map(points, noisy, NAMES, COLOURS, seed=0)
    segments, density, _scale = figure.axes
    assert [to_hex(dots.get_facecolor()[0]) for dots in segments.collections[:2]] == COLOURS
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [*NAMES, "noise"]
    assert title(figure) == "Two directions explain 100% of the differences between customers"
    assert density.collections[0].get_array().sum() == len(points)
    assert isinstance(density.collections[0].norm, LogNorm)
    assert title(pictures.model.pca_map(points[:, :1], labels, NAMES, COLOURS, seed=0)).startswith("One direction explains")


def test_the_dendrogram_is_cut_into_k_branches():
    points = canonical_order(np.random.default_rng(0).normal(size=(60, 2)))
    figure = pictures.model.dendrogram(Ward().tree(points, seed=0), 3)
    (axis,) = figure.axes
    (cut,) = [line.get_ydata()[0] for line in axis.lines]
    merges = Ward().tree(points, seed=0).linkage[:, 2]
    assert (merges > cut).sum() == 2
    assert np.diff(merges[-40:]).argmax() == 37
    assert title(figure) == "Ward's tree, cut at k = 3, where customers part most clearly"
    assert title(pictures.model.dendrogram(Ward().tree(points, seed=0), 4)).endswith("parts customers most clearly into 3")


def test_the_k_distance_curve_marks_eps():
    distances = k_distances(np.random.default_rng(0).normal(size=(200, 2)), 5)
    eps = elbow(distances)
    figure = pictures.model.k_distance_curve(distances, 5, eps)
    assert figure.axes[0].lines[1].get_ydata()[0] == eps
    assert title(figure) == f"With a radius of {eps:.3g}, DBSCAN would call {(distances <= eps).mean():.0%} of customers core"


def test_typical_customers_are_present_medians_in_customer_units_coloured_by_standard_deviations(model):
    today = pd.DataFrame({"spend": [20.0] * 60 + [900.0] * 60, "orders": np.tile([1.0, 2.0, 3.0], 40)})
    figure = pictures.model.typical_customers(model[0], today, NAMES, UNITS)
    axis = figure.axes[0]
    assert texts(axis) == ["20", "2", "900", "2"]
    assert [tick.get_text() for tick in axis.get_xticklabels()] == ["spend\nUSD", "orders"]
    assert title(figure) == "Small spenders are furthest from the average customer, in spend: 20 USD"
    np.testing.assert_allclose(np.ravel(axis.collections[0].get_array()), [-1, 0, 1, 0], atol=1e-9)


def test_features_are_named_in_words():
    frame = pd.DataFrame({"recency_days": [1.0, 2.0, 60.0, 61.0], "monetary": [9.0, 8.0, 1.0, 1.0]})
    figure = pictures.model.typical_customers(fit_kmeans(frame, 2, seed=0), frame, NAMES, {"recency_days": "days", "monetary": "USD"})
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["days since\nlast order", "spend\nUSD"]


def test_colours_are_good_or_bad_the_right_way_round():
    frame = pd.DataFrame({"recency_days": [1.0, 2.0, 60.0, 61.0], "monetary": [9.0, 8.0, 1.0, 1.0], "tenure_days": [1.0, 9.0, 60.0, 70.0]})
    axis, *_ = pictures.model.typical_customers(fit_kmeans(frame, 2, seed=0), frame, NAMES, {}).axes
    shades = axis.collections[0].get_array().reshape(2, 3)
    recent = int(np.argmax(shades[:, 0]))
    assert texts(axis)[3 * recent] == "1.5" and shades[recent, 1] > 0 > shades[1 - recent, 0]
    assert list(shades[:, 2]) == [0, 0]  # old customers are neither better nor worse
    blue, red = (axis.collections[0].cmap(end)[2] for end in (1.0, 0.0))
    assert blue > red


def test_a_segment_without_customers_has_no_typical_one(model):
    figure = pictures.model.typical_customers(model[0], pd.DataFrame({"spend": [10.0, 12.0], "orders": [1.0, 2.0]}), NAMES, UNITS)
    assert texts(figure.axes[0])[-2:] == ["missing", "missing"]


def test_a_model_of_categories_only_has_nothing_to_colour():
    frame = pd.DataFrame({"region": ["a", "b"] * 20})
    with pytest.raises(ValueError, match="use segment profiles"):
        pictures.model.typical_customers(fit_kmeans(frame, 2, seed=0), frame, NAMES, UNITS)
