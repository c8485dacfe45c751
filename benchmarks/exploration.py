"""Time and memory of the exploration tables for a million customers: `python -m benchmarks.exploration [customers]`.

Prints the wall time of each function over customer_features, read as the assets read it, and the peak memory of the process.
Pictures are drawn from these tables, so they take as long for a million customers as for a thousand.
"""

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from segmentation_assets.core.customers import exploration
from segmentation_assets.core.customers.feature_catalog import FEATURES
from segmentation_assets.engines.duckdb import DuckDBEngine
from segmentation_assets.store.lake import to_frame


def features(customers: int) -> pd.DataFrame:
    """Made-up customer_features: a quarter not active, many features a tenth missing, three attributes."""
    random = np.random.default_rng(20_261_125)
    size = random.lognormal(0, 1, customers)  # a common factor that correlates the features
    columns: dict[str, Any] = {}
    for position, feature in enumerate(f for f in FEATURES if f.type == "float64"):
        values = size * random.lognormal(0, 1, customers) * 10
        if feature.maximum == 1:
            values = values / (values + 10)
        if position % 3 == 2 and not feature.required:
            values[random.random(customers) < 0.1] = np.nan
        columns[feature.name] = np.round(values) if feature.unit in {"days", "orders", "events", "categories"} else values
    columns["age_years"] = np.nan
    attributes = {f"attribute_{n}": pd.Series(random.choice([f"level {i}" for i in range(n)], customers), dtype="str") for n in (4, 12, 30)}
    status = pd.Series(random.choice(["active", "lapsed"], customers, p=[0.75, 0.25]), dtype="str")
    ids = pd.Series(np.arange(customers).astype(str), dtype="str")
    return pd.DataFrame({"customer_id": ids, "status": status} | columns | attributes)


def timed(name: str, make: Callable[[], Any]) -> Any:
    start = time.perf_counter()
    made = make()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{name}: {time.perf_counter() - start:.1f} s, at most {peak:.1f} GB so far", flush=True)
    return made


def main(customers: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "customers.parquet"
        features(customers).to_parquet(file, index=False)
        frame = timed(f"reading {customers:,} customers", lambda: to_frame(DuckDBEngine().scan([file], hive_partitioning=False)))
    timed("feature_summary", lambda: exploration.feature_summary(frame, FEATURES))
    timed("feature_distributions", lambda: exploration.feature_distributions(frame, FEATURES))
    timed("feature_missingness", lambda: exploration.feature_missingness(frame, FEATURES))
    timed("feature_outliers", lambda: exploration.feature_outliers(frame, FEATURES))
    timed("revenue_concentration", lambda: exploration.revenue_concentration(frame))
    timed("attribute_spend", lambda: exploration.attribute_spend(frame, FEATURES))
    timed("feature_correlations", lambda: exploration.feature_correlations(frame, FEATURES))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
