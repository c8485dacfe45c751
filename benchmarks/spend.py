"""Features and weights, by how much of the next month's spend five segments explain and how stable they are.

k-means with k = 5 at every snapshot that has a next one, beside five quintiles of spend alone. For each set of features: eta squared of next
month's log spend, the gain over money quintiles (mean and worst), the weakest bootstrap Jaccard of the worst snapshot, the smallest share,
and the agreement of two months' models on the same customers. What came of it is in docs/model.md.

Usage: python -m benchmarks.spend [DATABASE] (of the demo), or python -m benchmarks.spend CDNOW_master.txt
"""

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import ibis
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

from benchmarks.snapshots import cdnow
from segmentation_assets.core.choice.forward_validity import SPEND, eta_squared, with_outcomes
from segmentation_assets.core.choice.rfm_grid import quintile
from segmentation_assets.core.choice.stability import bootstrap_jaccard
from segmentation_assets.core.clustering.algorithm import KMeans, canonical_order, fit_kmeans, subsample
from segmentation_assets.core.clustering.preprocessing import FeaturePreprocessor
from segmentation_assets.core.clustering.prototypes import PrototypeModel

K, SEED, RESAMPLES, ROWS = 5, 20170401, 100, 5000
R, F, M = "recency_days", "frequency", "monetary"
Past = tuple[pd.DataFrame, NDArray[np.float64]]
# Features with their weights; the first is the default.
SETS: tuple[dict[str, float], ...] = (
    {R: 1, F: 1, M: 1}, {R: 1, F: 1, M: 2}, {R: 1, F: 1, M: 4}, {R: 0.5, F: 1, M: 1}, {R: 0.5, F: 1, M: 2},
    {R: 0.25, F: 1, M: 1}, {R: 0.25, F: 1, M: 2}, {F: 1, M: 1}, {F: 1, M: 2}, {M: 1},
    {R: 1, F: 1, M: 1, "average_order_value": 1}, {R: 1, F: 1, M: 1, "active_window_share": 1},
    {R: 1, F: 1, M: 1, "items_per_order": 1}, {R: 1, F: 1, M: 1, "categories": 1},
    {R: 1, F: 1, M: 1, "mean_gap_days": 1}, {R: 1, F: 1, M: 1, "spend_trend": 1},
)  # fmt: skip


def demo(database: str) -> Iterator[Past]:
    """Active customers of each snapshot and what they spent in the next window."""
    with duckdb.connect(database, read_only=True) as connection:
        days = [day for (day,) in connection.execute("SELECT DISTINCT snapshot_date FROM customer_features ORDER BY 1").fetchall()]
        for day, following in itertools.pairwise(days):
            active = connection.execute("FROM customer_features WHERE snapshot_date = ? AND status = 'active'", [day]).df()
            activity = connection.execute("FROM customer_activity WHERE snapshot_date = ?", [following]).df()
            active = with_outcomes(ibis.memtable(active), ibis.memtable(activity)).to_pandas()
            yield active, active[SPEND].to_numpy()


def measure(pasts: list[Past], weights: dict[str, float]) -> dict[str, float]:
    """The figures of one set of features over all snapshots."""
    names, models = list(weights), list[PrototypeModel]()
    etas, gains, weakest, smallest, agreed = ([] for _ in range(5))
    for active, spend in pasts:
        model = fit_kmeans(active[names], K, SEED, FeaturePreprocessor(weights=weights))
        labels, outcome = model.assign(active[names]).label, np.log1p(spend)
        points = subsample(canonical_order(model.preprocessor.transform(active[names])), ROWS, SEED)
        again = KMeans().fit(points, (K,), SEED)
        etas.append(eta_squared(outcome, labels))
        gains.append(etas[-1] - eta_squared(outcome, quintile(active[M])))
        weakest.append(bootstrap_jaccard(points, KMeans(), again, SEED, RESAMPLES)[K].jaccard.min())
        smallest.append(np.bincount(labels, minlength=K).min() / len(labels))
        agreed += [adjusted_rand_score(models[-1].assign(active[names]).label, labels)] if models else []
        models.append(model)
    return {
        "eta squared": float(np.mean(etas)), "gain over money quintiles": float(np.mean(gains)), "worst gain": min(gains),
        "mean Jaccard": float(np.mean(weakest)), "worst Jaccard": min(weakest), "smallest share": min(smallest),
        "agreement": float(np.mean(agreed)), "worst agreement": min(agreed),
    }  # fmt: skip


def main(source: str) -> None:
    if source.endswith(".txt"):
        found = [(s.features, s.spend_after) for s in cdnow(Path(source))]
        pasts = [(features.reset_index(drop=True), spend) for features, spend in found if spend is not None]
    else:
        pasts = list(demo(source))
    rows = []
    for weights in SETS:
        if set(weights) <= set(pasts[0][0].columns):
            named = ", ".join(f"{name} {weight:g}" for name, weight in weights.items())
            rows.append({"features and weights": named, **measure(pasts, weights)})
            print(pd.DataFrame(rows[-1:]).to_markdown(index=False, floatfmt=".3f").splitlines()[-1], flush=True)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "data/segmentation.duckdb")
