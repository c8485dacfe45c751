"""How often drift is flagged where nothing changed, and where something did.

`python -m benchmarks.drift run OUT.csv` draws customers whole, with replacement, twice: once as training's and once as now's,
and writes one row per repeat; `python -m benchmarks.drift table OUT.csv ...` prints the tables in docs/drift.md. `panel OUT.csv`
and `panel-table OUT.csv` do the same where most customers are in both snapshots, with the paired and the independent test.
Belongs here: the simulation. The populations and what is planted in them are in `benchmarks.drift_populations`.
"""

import argparse
import itertools
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from benchmarks.drift_populations import FEATURES, PANELS, POPULATIONS, SHIFTS, snapshot_of
from segmentation_assets.core.clustering.algorithm import fit_model
from segmentation_assets.core.clustering.families import FAMILIES
from segmentation_assets.core.model import drift
from segmentation_assets.core.model.population import TrainingPopulation, drift_report, training_population
from segmentation_assets.core.model.segment_model import Provenance, Segment, SegmentModel
from segmentation_assets.settings.model import DriftSettings, ModelSettings
from segmentation_assets.vocabulary import DriftTest

# Chosen once, before the first run of this script; development used other seeds.
FRESH = 20_261_203
FRESH_PANELS = 20_261_211
ALGORITHMS = ("kmeans", "weighted_kmeans", "ward")
KINDS = ("numeric", "categorical", "segment_mix", "distance", "joint")


def trained(customers: pd.DataFrame, algorithm: str, seed: int) -> tuple[SegmentModel, TrainingPopulation]:
    """Five segments of `customers` on recency, frequency and monetary value, and what training keeps of them."""
    settings = ModelSettings(seed=seed)
    clusters = fit_model(customers[list(FEATURES)], FAMILIES[algorithm](settings).sweep, 5, seed)
    segments = tuple(Segment(c + 1, f"Segment {c + 1}", "steady") for c in range(clusters.k))
    provenance = Provenance("1", "2017-10-01", algorithm, clusters.k, seed, "", len(customers), clusters.k, "trained", "A simulation.")
    model = SegmentModel(clusters, segments, provenance)
    return model, training_population(model, customers, settings)


def habit_psi(before: pd.Series, now: pd.Series) -> float:
    """PSI over training's deciles, or levels, and missing: as it is usually taken."""
    if pd.api.types.is_numeric_dtype(before):
        edges = np.unique(np.nanquantile(before, np.linspace(0, 1, 11)[1:-1])) if before.notna().any() else np.array([])
        bins = [np.where(v.isna(), len(edges) + 1, np.searchsorted(edges, v)) for v in (before, now)]
        size = len(edges) + 2
    else:
        levels = pd.Index(before.dropna().unique())
        bins = [np.where(v.isna(), len(levels) + 1, levels.get_indexer(pd.Index(v)) % (len(levels) + 1)) for v in (before, now)]
        size = len(levels) + 2
    counts = [np.bincount(b, minlength=size) for b in bins]
    used = (counts[0] > 0) | (counts[1] > 0)
    shares = [np.maximum(c[used], 0.5) / c.sum() for c in counts]
    return float(drift.psi(*shares))


def ks(before: pd.Series, now: pd.Series) -> float:
    """p-value of the Kolmogorov-Smirnov test of the values present (1 where there are none), by its limit for large samples."""
    a, b = np.sort(before.dropna()), np.sort(now.dropna())
    if not len(a) or not len(b):
        return 1.0
    at = np.concatenate([a, b])
    gap = np.abs(np.searchsorted(a, at, side="right") / len(a) - np.searchsorted(b, at, side="right") / len(b)).max()
    return float(stats.kstwobign.sf(gap * np.sqrt(len(a) * len(b) / (len(a) + len(b)))))


def varying(population: pd.DataFrame) -> list[str]:
    """Features that are not the same for all: a constant cannot alarm, so it would flatter the rates."""
    return [name for name in population.columns.drop(["customer_id", "status"]) if population[name].nunique(dropna=False) > 1]


def repeat(
    population: pd.DataFrame, names: list[str], n: int, shift: str, algorithm: str, seed: int, features_only: bool = False
) -> dict[str, Any]:
    """One pair of independent draws of n customers, `shift` planted in the second: what each way of looking says."""
    rng = np.random.default_rng([FRESH, n, seed])
    before, now = (population.iloc[rng.integers(0, len(population), n)].reset_index(drop=True) for _ in range(2))
    now = SHIFTS[shift](now, rng)
    limits, settings = DriftSettings(), ModelSettings(features=FEATURES, seed=int(rng.integers(2**31)))
    started = time.perf_counter()
    if features_only:
        references = [drift.reference_of(name, before[name]) for name in before.columns.drop(["customer_id", "status"])]
        shifts = [
            (r.kind, r.subject, drift.psi_shift(r, now[r.subject], drift.draws_for(len(references), limits.alpha), settings.seed))
            for r in references
        ]
        found = drift.report(shifts, FEATURES, limits)
    else:
        model, population_then = trained(before, algorithm, int(rng.integers(2**31)))
        started = time.perf_counter()
        found = drift_report(model, population_then, now, settings, limits)
    seconds = time.perf_counter() - started
    numeric = [name for name in names if pd.api.types.is_numeric_dtype(before[name])]
    kind = found["kind"].mask(found["kind"] == "feature", np.where(found["subject"].isin(numeric), "numeric", "categorical"))
    varies = (found["kind"] != "feature") | found["subject"].isin(names)
    level = (found["p_value"] <= limits.alpha)[varies].groupby(kind[varies]).mean()
    by_evidence = found.assign(size=found["value"] / found["threshold"]).sort_values(["q_value", "size"], ascending=[True, False])
    strongest = by_evidence["subject"].iloc[0]
    return {
        "n": n, "shift": shift, "seed": seed, "subjects": int(varies.sum()), **{k: level.get(k, np.nan) for k in KINDS},
        "significant": bool((found["q_value"] <= limits.alpha).any()), "flagged": bool(found["flagged"].any()),
        "strongest": strongest if by_evidence["q_value"].iloc[0] <= limits.alpha else "",
        "flagged_subjects": ";".join(found.loc[found["flagged"], "subject"]),
        "habit_psi": max(habit_psi(before[x], now[x]) for x in names) > 0.1, "habit_ks": min(ks(before[x], now[x]) for x in numeric) <= 0.05, "seconds": seconds,
    }  # fmt: skip


def run(
    out: Path, population: str, shifts: list[str], sizes: dict[int, int], algorithm: str = "kmeans", database: Path | None = None
) -> None:
    """`sizes`: repeats by number of customers."""
    customers = snapshot_of(database) if population == "demo" and database else POPULATIONS[population](FRESH)
    names, rows = varying(customers), []
    for n, repeats in sizes.items():
        for shift in shifts:
            for seed in range(repeats):
                row = repeat(customers, names, n, shift, algorithm, seed, features_only=population == "independent")
                rows.append({"population": population, "algorithm": algorithm, **row})
            pd.DataFrame(rows).to_csv(out, index=False)


def panel_repeat(name: str, n: int, shift: str, seed: int) -> list[dict[str, Any]]:
    """Two snapshots of a panel, `shift` planted in the second: what the paired and the independent test say."""
    rng = np.random.default_rng([FRESH_PANELS, n, [*PANELS].index(name), seed])
    before, now = PANELS[name](n, rng)
    now = SHIFTS[shift](now, rng)
    limits, settings = DriftSettings(), ModelSettings(features=FEATURES, seed=int(rng.integers(2**31)))
    model, population = trained(before, "kmeans", int(rng.integers(2**31)))
    rows = []
    for test, trained_on in ((DriftTest.PAIRED, before), (DriftTest.INDEPENDENT, None)):
        started = time.process_time()
        found = drift_report(model, population, now, settings, limits, trained_on)
        seconds = time.process_time() - started
        text = found["subject"].isin(["region", "channel"])
        kind = found["kind"].mask(found["kind"] == "feature", np.where(text, "categorical", "numeric"))
        alarms = (found["p_value"] <= limits.alpha).groupby(kind).mean()
        rows.append({
            "panel": name, "n": n, "shift": shift, "seed": seed, "test": test, **alarms, "subjects": len(found),
            "significant": bool((found["q_value"] <= limits.alpha).any()), "flagged": bool(found["flagged"].any()), "seconds": seconds,
        })  # fmt: skip
    return rows


def run_panels(out: Path, panels: list[str], shifts: list[str], sizes: dict[int, int]) -> None:
    """`sizes`: repeats by number of customers."""
    rows: list[dict[str, Any]] = []
    for (n, repeats), name, shift in itertools.product(sizes.items(), panels, shifts):
        for seed in range(repeats):
            rows += panel_repeat(name, n, shift, seed)
        pd.DataFrame(rows).to_csv(out, index=False)


def panel_table(files: list[Path]) -> str:
    """Rates in %, with their standard errors, a row per panel, size, change and test."""
    data = pd.concat([pd.read_csv(f) for f in files], ignore_index=True)
    rates, keys = [*KINDS, "significant", "flagged"], ["panel", "shift", "n", "test"]
    found = data.groupby(keys, sort=False)[rates].agg(lambda x: f"{100 * x.mean():.1f} ± {100 * x.std(ddof=0) / np.sqrt(len(x)):.1f}")
    return str(found.assign(repeats=data.groupby(keys, sort=False).size()).reset_index().to_markdown(index=False))


def table(files: list[Path]) -> str:
    """Rates with their standard errors, a row per population, shift and size."""
    data = pd.concat([pd.read_csv(f, keep_default_na=True) for f in files], ignore_index=True)
    keys = ["population", "algorithm", "shift", "n"]
    columns = [*KINDS, "significant", "flagged", "habit_psi", "habit_ks"]
    lines = ["| " + " | ".join([*keys, "repeats", *columns, "strongest"]) + " |", "|" + "---|" * (len(keys) + len(columns) + 2)]
    for key, rows in data.groupby(keys, sort=False):
        cells = []
        for column in columns:
            seen = rows[column].dropna().astype(float)
            error = seen.std(ddof=0) / np.sqrt(len(seen)) if len(seen) else np.nan
            cells.append(f"{100 * seen.mean():.1f} ± {100 * error:.1f}" if len(seen) else "-")
        told = rows["strongest"].dropna().value_counts(normalize=True).head(3)
        strongest = ", ".join(f"{name} {share:.0%}" for name, share in told.items()) if key[2] != "none" else ""
        lines.append("| " + " | ".join([*map(str, key), str(len(rows)), *cells, strongest]) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["run", "table", "panel", "panel-table"])
    parser.add_argument("files", nargs="+", type=Path, help="where to write, or for the tables what to read")
    parser.add_argument("--population", choices=[*POPULATIONS, "demo"], default="shop")
    parser.add_argument("--panels", nargs="+", choices=list(PANELS), default=list(PANELS))
    parser.add_argument("--shifts", nargs="+", choices=list(SHIFTS), default=["none"])
    parser.add_argument("--algorithm", choices=ALGORITHMS, default="kmeans")
    parser.add_argument("--sizes", nargs="+", default=["200:1000", "1000:600", "10000:200", "100000:50"], help="customers:repeats")
    parser.add_argument("--database", type=Path, default=Path("data/segmentation.duckdb"), help="published demo, for `demo`")
    arguments = parser.parse_args()
    sizes = {int(n): int(r) for n, r in (size.split(":") for size in arguments.sizes)}
    if arguments.what == "table":
        print(table(arguments.files))
    elif arguments.what == "panel-table":
        print(panel_table(arguments.files))
    elif arguments.what == "panel":
        run_panels(arguments.files[0], arguments.panels, arguments.shifts, sizes)
    elif arguments.population == "demo" and not arguments.database.exists():
        print(f"{arguments.database} is absent, so the demo's customers are left out; `segmentation demo` makes it.")
    else:
        run(arguments.files[0], arguments.population, arguments.shifts, sizes, arguments.algorithm, arguments.database)


if __name__ == "__main__":
    main()
