"""The tree is scipy's; weights stand for rows; a model made of it keeps Ward's shapes."""

import numpy as np
import pytest
from scipy.cluster import hierarchy
from sklearn.cluster import AgglomerativeClustering
from sklearn.metrics import adjusted_rand_score

from segmentation_assets.core.clustering.algorithm import ClusteringError, canonical_order
from segmentation_assets.core.clustering.ward import Ward, weighted_ward


def points(n=600, seed=0):
    rng = np.random.default_rng(seed)
    return canonical_order(np.vstack([rng.normal(c, 1, (n // 3, 2)) for c in ((0, 0), (4, 0), (0, 6))]))


@pytest.mark.parametrize("k", [1, 2, 3, 10, 200])
def test_a_cut_is_that_of_scipy(k):
    tree = Ward().tree(points(), seed=0)
    assert adjusted_rand_score(tree.cut(k), hierarchy.cut_tree(tree.linkage, k)[:, 0]) == 1


def test_prototypes_that_are_the_rows_label_them_as_scikit_learn_does():
    rows = points(150)
    found = Ward().fit(rows, [4], seed=0)[4]
    theirs = AgglomerativeClustering(4, linkage="ward").fit_predict(rows)
    assert adjusted_rand_score(found.assign(rows).label, theirs) == 1


@pytest.mark.parametrize(
    "rows", [points(3000), canonical_order(np.random.default_rng(0).normal(size=(1500, 5)))], ids=["groups", "continuum"]
)
def test_fewer_prototypes_than_rows_label_them_as_scikit_learn_does_all_the_same(rows):
    found = Ward().fit(rows, [3, 6], seed=0)[6]
    theirs = AgglomerativeClustering(6, linkage="ward").fit_predict(rows)
    assert 256 < len(found.prototypes) < len(rows) / 4 and found.weights.sum() == len(rows)
    assert adjusted_rand_score(found.assign(rows).label, theirs) == 1
    own = found.assign(rows).label
    np.testing.assert_allclose(found.centers(), [rows[own == c].mean(axis=0) for c in range(6)])


def test_customers_on_a_lattice_are_labelled_as_the_tree_has_them():
    rows = canonical_order(np.random.default_rng(0).integers(0, 30, (1500, 2)).astype(float))
    assert adjusted_rand_score(Ward().fit(rows, [7], seed=0)[7].assign(rows).label, Ward().tree(rows, seed=0).cut(7)) == 1


def test_beyond_the_limit_prototypes_stay_few_and_agree_nearly_everywhere():
    rows = points(3000)
    found = Ward(exact_limit=0).fit(rows, [6], seed=0)[6]
    theirs = AgglomerativeClustering(6, linkage="ward").fit_predict(rows)
    assert len(found.prototypes) == 256 and found.weights.sum() == 3000
    assert adjusted_rand_score(found.assign(rows).label, theirs) > 0.97


def test_a_weight_stands_for_that_many_rows():
    rng = np.random.default_rng(2)
    rows, weights = rng.normal(size=(80, 3)), rng.integers(1, 6, 80)
    ours = weighted_ward(rows, weights.astype(float))
    full = hierarchy.linkage(np.repeat(rows, weights, axis=0), method="ward")
    np.testing.assert_allclose(np.sort(ours[:, 2]), np.sort(full[:, 2])[-79:], rtol=1e-9)
    for k in (2, 5, 20):
        ours_k, full_k = (hierarchy.cut_tree(tree, k)[:, 0] for tree in (ours, full))
        assert adjusted_rand_score(np.repeat(ours_k, weights), full_k) == 1


def test_micro_clusters_carry_every_row_and_find_what_the_rows_show():
    rows = points(6000)
    micro = Ward(direct_limit=1000, micro_clusters=200)
    tree = micro.tree(rows, seed=0)
    assert tree.weights.sum() == 6000 and len(tree.leaves) <= 200
    direct = Ward().fit(rows, [3], seed=0)[3].assign(rows).label
    assert adjusted_rand_score(micro.fit(rows, [3], seed=0)[3].assign(rows).label, direct) > 0.9


def test_the_heights_rise_so_that_a_dendrogram_can_be_drawn():
    tree = Ward(direct_limit=100, micro_clusters=60).tree(points(), seed=0)
    assert np.all(np.diff(tree.linkage[:, 2]) >= 0)
    assert hierarchy.is_valid_linkage(tree.linkage)


def test_too_few_different_rows_are_explained():
    with pytest.raises(ClusteringError, match="all customers are alike"):
        Ward().fit(np.zeros((5, 2)), [2], seed=0)
