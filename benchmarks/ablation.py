"""Compares all combinations of transform and scaling on the demo's customers: the evidence for the defaults.

k-means with k = 5 on recency, frequency and monetary value at every snapshot that has a next one. For each combination: the weakest
bootstrap Jaccard, the smallest share, eta squared of next month's log spend, and the silhouette (in each combination's own geometry,
so not comparable between rows). Usage: python -m benchmarks.ablation [DATABASE]
"""

import itertools
import sys

import duckdb
import ibis
import numpy as np
import pandas as pd

from segmentation_assets.core.choice.forward_validity import SPEND, eta_squared, with_outcomes
from segmentation_assets.core.choice.stability import bootstrap_jaccard
from segmentation_assets.core.clustering.algorithm import KMeans, canonical_order, fit_kmeans, silhouettes, subsample
from segmentation_assets.core.clustering.preprocessing import FeaturePreprocessor

FEATURES, K, SEED, RESAMPLES, ROWS = ["recency_days", "frequency", "monetary"], 5, 20170401, 50, 1000
TRANSFORMS, SCALINGS = ("none", "log", "yeo-johnson"), ("standard", "range", "robust")


def measure(active: pd.DataFrame, outcome: np.ndarray, transform: str, scaling: str) -> dict[str, float]:
    """The figures of one combination, from one snapshot's active customers and their spend in the next window."""
    model = fit_kmeans(active[FEATURES], K, SEED, FeaturePreprocessor(numeric_transform=transform, scaling=scaling))
    points = canonical_order(model.preprocessor.transform(active))
    labels = model.assign(active).label
    rows = subsample(points, ROWS, SEED)
    again = KMeans().fit(rows, (K,), SEED)
    jaccard = bootstrap_jaccard(rows, KMeans(), again, SEED, RESAMPLES)[K].jaccard
    return {
        "weakest Jaccard": float(jaccard.min()),
        "smallest share": float(np.bincount(labels, minlength=K).min() / len(labels)),
        "eta squared of next log spend": eta_squared(np.log1p(outcome), labels),
        "silhouette": float(silhouettes(model.preprocessor.transform(active), labels, SEED)[1].mean()),
    }


def main(database: str) -> None:
    rows = []
    with duckdb.connect(database, read_only=True) as connection:
        days = [day for (day,) in connection.execute("SELECT DISTINCT snapshot_date FROM customer_features ORDER BY 1").fetchall()]
        for day, following in itertools.pairwise(days):
            active = connection.execute("FROM customer_features WHERE snapshot_date = ? AND status = 'active'", [day]).df()
            activity = connection.execute("FROM customer_activity WHERE snapshot_date = ?", [following]).df()
            active = with_outcomes(ibis.memtable(active), ibis.memtable(activity)).to_pandas()
            spend = active[SPEND].to_numpy()
            for transform, scaling in itertools.product(TRANSFORMS, SCALINGS):
                rows.append({"transform": transform, "scaling": scaling, **measure(active, spend, transform, scaling)})
    found = pd.DataFrame(rows).groupby(["transform", "scaling"], sort=False)
    means, worst = found.mean(), found.min()
    means.insert(1, "worst Jaccard", worst["weakest Jaccard"])
    print(means.reset_index().to_markdown(index=False, floatfmt=".3f"))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "data/segmentation.duckdb")
