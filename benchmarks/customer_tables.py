"""Tables of customers without orders: whether planted groups come out by what `init` proposes, what near copies do, and what a rule adds.

`python -m benchmarks.customer_tables planted OUT.csv` makes tables of 600 customers with 4, 5 and 6 groups in four columns, two columns of
noise and an age, alone and with five near copies of noise; `finer OUT.csv` small tables, with and without the rule that small stable clusters
go before proven segments; `fit OUT.csv` how much a model's own customers flatter it; `own` what 20 own segments cost. Each row is written as it
comes; `table OUT.csv` prints what is in docs/model.md. Twenty resamples; `planted` without the figures that only describe, `finer` with k-means alone.
"""

import argparse
import csv
import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

from segmentation_assets.core.choice.attribute_validity import attribute_metrics
from segmentation_assets.core.choice.candidates import Samples, evaluate
from segmentation_assets.core.choice.selection import choose, decide
from segmentation_assets.core.clustering.algorithm import canonical_order, fit_kmeans, fit_model
from segmentation_assets.core.clustering.families import FAMILIES
from segmentation_assets.core.clustering.preprocessing import FeaturePreprocessor
from segmentation_assets.core.customers.attributes import attribute_features
from segmentation_assets.core.customers.feature_choices import weight_shares
from segmentation_assets.core.segments import own
from segmentation_assets.settings.model import ModelSettings
from segmentation_assets.settings.own_segments import OwnSegment
from segmentation_assets.sources.customer_columns import look_at_columns
from segmentation_assets_tests import tables_of_customers

SEEDS = 20
SMALL = (200, 300)  # customers
KINDS = {"one Gaussian": 1, "two groups": 2, "three groups": 3, "four groups": 4, "five groups": 5}


def proposed(table: pd.DataFrame) -> tuple[pd.DataFrame, ModelSettings]:
    """The inputs and the settings of the model that `init` proposes for a table whose first column is the id."""
    types = {name: "number" if pd.api.types.is_numeric_dtype(table[name]) else "text" for name in table.columns}
    features = [name for name, look in look_at_columns(table, types).items() if look.enters]
    return table[features].astype("float64"), ModelSettings(features=tuple(features), resamples=20)


def preprocessor(inputs: pd.DataFrame, settings: ModelSettings, shared: bool = True) -> FeaturePreprocessor:
    """As a snapshot makes it for a source without orders."""
    transforms = {feature.name: feature.transform for feature in attribute_features(inputs, ())}
    return FeaturePreprocessor.from_settings(settings, transforms, weight_shares(inputs, settings) if shared else {})


def with_near_copies(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The table with five near copies of one column of noise (correlations of 0.89), which no redundancy rule takes out."""
    rng = np.random.default_rng(1_000 + seed)
    noise = rng.normal(size=len(table))
    return table.assign(**{f"copy_{i}": (50 + 9 * (noise + 0.35 * rng.normal(size=len(table)))).round(2) for i in range(5)})


def planted() -> Iterator[dict[str, Any]]:
    """The adjusted Rand index of what is published, for each number of groups and seed, by whether near copies share a weight."""
    for kind, altered, seeds in (("as it is", _same, SEEDS), ("with five near copies of noise", with_near_copies, SEEDS // 4)):
        for groups, seed in itertools.product((4, 5, 6), range(seeds)):
            table, truth = tables_of_customers.planted(groups, seed)
            inputs, settings = proposed(altered(table, seed))
            shares = weight_shares(inputs, settings)
            for shared in (True, False) if shares else (True,):
                chosen = choose(inputs, settings, preprocessor(inputs, settings, shared), diagnostics=False, has_orders=False)
                labels = chosen.model.assign(inputs).label if chosen.model else np.zeros(len(inputs))
                found = {"groups": groups, "seed": seed, "kind": kind, "shared": shared, "k": len(set(labels)), "tier": str(chosen.tier)}
                yield {**found, "ari": adjusted_rand_score(truth, labels), "shares": len(shares)}


def _same(table: pd.DataFrame, seed: int) -> pd.DataFrame:  # as the other
    return table


def finer() -> Iterator[dict[str, Any]]:
    """k and adjusted Rand index with and without the rule that small stable clusters go before fewer proven segments."""
    for seed, customers, (kind, groups) in itertools.product(range(500, 500 + SEEDS), SMALL, KINDS.items()):
        table, truth = _small(groups, customers, seed)
        inputs, settings = proposed(table)
        asked = {"min_count": max(10, round(0.05 * customers)), "algorithms": ("kmeans",), "k_max": 7}
        settings = settings.model_copy(update=asked)
        prepared = preprocessor(inputs, settings)
        tried = evaluate(Samples.of(canonical_order(prepared.fitted_to(inputs).transform(inputs)), settings), settings)
        row: dict[str, Any] = {"kind": kind, "customers": customers, "seed": seed}
        for name, decision in (("with", decide(tried, settings, has_orders=False)), ("without", decide(tried, settings))):
            model = fit_model(inputs, FAMILIES[decision.taken.algorithm](settings).sweep, decision.taken.k, settings.seed, prepared)
            row |= {f"k_{name}": decision.taken.k, f"tier_{name}": str(decision.tier)}
            row |= {f"ari_{name}": adjusted_rand_score(truth, model.assign(inputs).label)}
        yield row


def _small(groups: int, customers: int, seed: int) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """Two informative columns and an age, with groups of very different sizes, the smallest of about 8% of customers."""
    if groups == 1:
        rng = np.random.default_rng(seed)
        values = rng.normal(100, 10, (customers, 3)).round(2)
        table = pd.DataFrame(values, columns=["usage_1", "usage_2", "usage_3"])
        table.insert(0, "customer", [f"c{i}" for i in range(customers)])
        return table, np.zeros(customers, dtype=np.int64)
    table, truth = tables_of_customers.planted(groups, seed, customers, informative=2, apart=5.0)
    return table.drop(columns=["noise_1", "noise_2"]), truth


def fit() -> Iterator[dict[str, Any]]:
    """What five clusters of independent normal columns explain of the customers that they were fitted on, and of others."""
    for customers in (200, 1_000, 5_000):
        for columns in (3, 8):
            for seed in range(SEEDS):
                values = np.random.default_rng(200 + seed).normal(size=(2 * customers, columns))
                both = pd.DataFrame(values, columns=[f"x{i}" for i in range(columns)])
                fitted = fit_kmeans(both[:customers], 5, seed, FeaturePreprocessor(numeric_transform="none"))
                shares = {
                    where: attribute_metrics(part, fitted.assign(part).label, seed)["attributes_eta_squared"]
                    for where, part in (("own", both[:customers]), ("others", both[customers:].reset_index(drop=True)))
                }
                yield {"customers": customers, "columns": columns, "seed": seed, **shares}


def own_segments(customers: int = 1_000_000, segments: int = 20) -> Iterator[dict[str, Any]]:
    """CPU seconds of the members, sizes and changes of own segments, of which 30% of members change."""
    rng = np.random.default_rng(1)
    ids = np.char.add("C", np.arange(customers).astype(str))
    table = {"customer_id": ids, "monetary": rng.lognormal(4, 1, customers), "recency_days": rng.integers(0, 365, customers).astype(float),
             "country": rng.choice(["DE", "FR", "IT", "NL"], customers)}  # fmt: skip
    features = pd.DataFrame(table)
    later = features.assign(recency_days=np.where(rng.random(customers) < 0.3, rng.integers(0, 365, customers), features["recency_days"]))
    placed = pd.DataFrame({"customer_id": ids, "segment_id": rng.integers(1, 6, customers)})
    placed["segment_name"] = "segment " + placed["segment_id"].astype(str)
    chosen = {
        f"own {i}": OwnSegment(condition=f"monetary > {20 + 15 * i} and recency_days > {18 * i} and country <> 'IT'")
        for i in range(segments)
    }
    folder = Path("/tmp/own_segments")  # noqa: S108
    folder.mkdir(exist_ok=True)
    for name, frame in (("before", features), ("features", later), ("segments", placed)):
        frame.to_parquet(folder / f"{name}.parquet")
    backend = ibis.duckdb.connect(threads=2)
    before, now, segments_table = (backend.read_parquet(str(folder / f"{name}.parquet")) for name in ("before", "features", "segments"))

    def timed(part: str, make: Callable[[], Any]) -> dict[str, Any]:
        begin = time.process_time()
        rows = make()
        return {"part": part, "cpu": round(time.process_time() - begin, 2), "rows": rows}

    def kept(table: ibis.Table, name: str) -> int:
        backend.to_parquet(table, str(folder / f"{name}.parquet"))
        return int(backend.read_parquet(str(folder / f"{name}.parquet")).count().execute())

    kept(own.members(chosen, own.placed(before, segments_table)), "members_before")
    yield timed("members", lambda: kept(own.members(chosen, own.placed(now, segments_table)), "members"))
    inside_before, inside = (backend.read_parquet(str(folder / f"{name}.parquet")) for name in ("members_before", "members"))
    yield timed("sizes", lambda: len(own.summary(chosen, inside, now, segments_table, inside_before, set(chosen))))
    yield timed("changes", lambda: kept(own.changes(inside_before, inside, []), "changes"))


WHAT = {"planted": planted, "finer": finer, "fit": fit, "own": own_segments}


def show(file: Path) -> None:
    """Print the means of a file."""
    found = pd.read_csv(file)
    if "ari" in found:
        by = found.assign(good=found["ari"] >= 0.9).groupby(["kind", "shared", "groups"])
        print(by.agg(tables=("ari", "size"), good=("good", "sum"), least=("ari", "min"), mean=("ari", "mean")).round(3).to_markdown())
    elif "ari_with" in found:
        told = found.assign(true_k=found["kind"].map(KINDS), used=found["k_with"] != found["k_without"])
        for name in ("with", "without"):
            told[f"exact_{name}"], told[f"above_{name}"] = told[f"k_{name}"] == told["true_k"], told[f"k_{name}"] > told["true_k"]
        names = ["used", "exact_with", "exact_without", "above_with", "above_without", "ari_with", "ari_without"]
        print(told.groupby(["kind", "customers"], sort=False)[names].mean().round(2).to_markdown())
    else:
        print(found.groupby(["customers", "columns"])[["own", "others"]].mean().round(3).to_markdown())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=[*WHAT, "table"])
    parser.add_argument("file", type=Path)
    asked = parser.parse_args()
    if asked.what == "table":
        show(asked.file)
        return
    with asked.file.open("w", newline="") as out:
        writer: csv.DictWriter[str] | None = None
        for row in WHAT[asked.what]():
            if writer is None:
                writer = csv.DictWriter(out, list(row))
                writer.writeheader()
            writer.writerow(row)
            out.flush()


if __name__ == "__main__":
    main()
