"""Retraining month by month: how often models are replaced, how stable segments are, how much of later spend they explain, who moves.

`python -m benchmarks.retraining shops OUT.csv` walks simulated shops that stay as they are, and shops that shift steadily, through drift,
decision and model under the old default of `retrain.policy` and the new one; a row per snapshot. `complete_journey|cdnow OUT.csv [--policy
POLICY]` does the same with the real snapshots of `benchmarks.snapshots` and three months of lookback (six for CDNOW). `table OUT.csv ...`
prints the tables in docs/segments-over-time.md.
"""

import argparse
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.lifecycle import FIRST_MONTH, LOOKBACK
from benchmarks.lifecycle import snapshots as simulated_months
from benchmarks.snapshots import Snapshot, cdnow, complete_journey
from segmentation_assets.core.choice.candidates import measured_again
from segmentation_assets.core.choice.forward_validity import eta_squared
from segmentation_assets.core.model.champion import SnapshotContext, next_model
from segmentation_assets.core.model.population import drift_report, training_population
from segmentation_assets.core.model.training import ModelSpec, PreviousSnapshot
from segmentation_assets.settings.model import DriftSettings, ModelSettings, RetrainSettings
from segmentation_assets.vocabulary import Decision

# Chosen once, before the run that is reported; development used another.
FRESH = 20_261_215
OLD, NEW = "on_drift", "when_needed"
# From each month to the next, everybody orders as often as before, or 5% less, and spends as much in an order, or 8% more.
TRENDS = {"steady": (1.0, 1.0), "shifting": (0.95, 1.08)}
SHAPES = ("groups", "continuum")
WITHOUT_DRIFT = "The model in force has failed"  # how a reason begins that the old default does not know


def walk(snapshots: list[Snapshot], lookback: int, policy: str, settings: ModelSettings) -> Iterator[dict[str, Any]]:
    """A row for each snapshot, as soon as it is known."""
    spec, model, population, trained_on, fitted, past = ModelSpec(settings, "walk", diagnostics=False), None, None, None, 0, None
    before: pd.Series | None = None
    for number, snapshot in enumerate(snapshots):
        active = customers(snapshot)
        drifted = drift_report(model, population, active, settings, DriftSettings(), trained_on)
        now = SnapshotContext(lambda past=past: past, number - fitted, lookback)
        decided = next_model(active, model, drifted, spec, snapshot.date.date(), RetrainSettings(policy=policy), now)
        about = decided.model.provenance
        labels = decided.model.assign(active)["segment_id"]
        row: dict[str, Any] = {
            "policy": policy,
            "snapshot": snapshot.date.date(),
            "decision": about.decision,
            "k": about.k,
            "tier": about.tier,
        }
        row["trained"] = about.decision in {Decision.TRAINED, Decision.PROMOTED} or decided.refused is not None
        row["by_model"] = 0.0 if model is None else float((model.assign(active)["segment_id"] != labels).mean())
        placed = pd.Series(labels.to_numpy(), index=active["customer_id"])
        row["moved"] = np.nan if before is None else _moved(before, placed)
        assert decided.model.clusters is not None
        row["weakest_jaccard"] = measured_again(decided.model.clusters, active, settings).weakest_jaccard
        row["forward"] = np.nan if snapshot.spend_after is None else eta_squared(np.log1p(snapshot.spend_after), labels)
        row["reason"] = (decided.refused or about).reason
        if about.decision in {Decision.TRAINED, Decision.PROMOTED}:
            population, trained_on, fitted = training_population(decided.model, active, settings), active, number
        model, before = decided.model, placed
        past = None if snapshot.spend_after is None else PreviousSnapshot(active, np.log1p(snapshot.spend_after))
        yield row


def _moved(before: pd.Series, now: pd.Series) -> float:
    """The share of the customers of both snapshots who are in another segment than before."""
    both = before.index.intersection(now.index)
    return float((before[both] != now[both]).mean())


def customers(snapshot: Snapshot) -> pd.DataFrame:
    """The snapshot's rows as rows of customer_features; all are active."""
    found = snapshot.features.rename_axis("customer_id").reset_index().astype({"customer_id": str})
    return found.assign(status="active", tenure_days=snapshot.tenure_days)


def simulated(shape: str, trend: str, n: int, seed: int, base: int = FRESH) -> list[Snapshot]:
    """The monthly snapshots of one shop. A steady and a shifting shop of the same seed begin with the same customers."""
    months = list(simulated_months(shape, n, np.random.default_rng([base, SHAPES.index(shape), seed]), TRENDS[trend]))
    found = []
    for number, (active, _) in enumerate(months):
        after = None
        if number + 1 < len(months):
            later, spend = months[number + 1]
            after = np.where(active["customer_id"].isin(later["customer_id"]), spend[active["place"]], 0.0)
        features = active.set_index("customer_id")[["recency_days", "frequency", "monetary"]]
        date = FIRST_MONTH + pd.DateOffset(months=LOOKBACK + number)
        found.append(Snapshot(date, features, after, active["tenure_days"].to_numpy(dtype=np.float64)))
    return found


def shop(shape: str, trend: str, n: int, seed: int, base: int = FRESH) -> list[dict[str, Any]]:
    """The rows of one shop under both policies. They part only where the new one trains without drift; up to there, and so where it never
    does, the old one decides alike."""
    snapshots = simulated(shape, trend, n, seed, base)
    settings = ModelSettings(seed=seed, algorithms=("kmeans",), resamples=50, splits=3)
    rows = list(walk(snapshots, LOOKBACK, NEW, settings))
    parted = any(row["reason"].startswith(WITHOUT_DRIFT) for row in rows)
    old = list(walk(snapshots, LOOKBACK, OLD, settings)) if parted else [row | {"policy": OLD} for row in rows]
    return [{"shape": shape, "trend": trend, "seed": seed} | row for row in rows + old]


def shops(seeds: range, n: int, out: Path) -> None:
    rows: list[dict[str, Any]] = []
    for seed, trend, shape in itertools.product(seeds, TRENDS, SHAPES):
        rows += shop(shape, trend, n, seed)
        pd.DataFrame(rows).to_csv(out, index=False)


def table(files: list[Path]) -> str:
    """Challengers, promotions and refusals after the first snapshot; means over snapshots of the rest. Of shops by kind, of real customers by file."""
    data = pd.concat([pd.read_csv(f).assign(file=f.stem) for f in files], ignore_index=True)
    keys = ["trend", "shape", "policy"] if "trend" in data else ["file", "policy"]
    later = data[data["decision"] != Decision.TRAINED]
    return str(
        later.groupby(keys, sort=False)
        .agg(
            shops=("seed" if "seed" in later else "policy", "nunique"),
            snapshots=("snapshot", "size"),
            challengers=("trained", "sum"),
            promotions=("decision", lambda d: int((d == Decision.PROMOTED).sum())),
            weakest=("weakest_jaccard", "mean"),
            dissolved=("weakest_jaccard", lambda j: float((j < ModelSettings().dissolved_jaccard).mean())),
            forward=("forward", "mean"),
            moved=("moved", "mean"),
            by_model=("by_model", "mean"),
        )
        .reset_index()
        .to_markdown(index=False, floatfmt=".3f")
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["shops", "complete_journey", "cdnow", "table"])
    parser.add_argument("files", nargs="+", type=Path, help="the file to write, or the files to read for `table`")
    parser.add_argument("--policy", default=NEW, help="of real customers; `shops` compares two")
    parser.add_argument("--seeds", nargs=2, type=int, default=(0, 10))
    parser.add_argument("--customers", type=int, default=800)
    parser.add_argument("--master", type=Path, help="CDNOW_master.txt, as for benchmarks.proof")
    arguments = parser.parse_args()
    if arguments.what == "table":
        print(table(arguments.files))
        return
    if arguments.what == "shops":
        shops(range(*arguments.seeds), arguments.customers, arguments.files[0])
        return
    if arguments.what == "cdnow" and arguments.master is None:
        parser.error("cdnow needs --master CDNOW_master.txt")
    real = (complete_journey(lookback=3), 3) if arguments.what == "complete_journey" else (cdnow(arguments.master, lookback=6)[2:], 6)
    settings, rows = ModelSettings(seed=0, algorithms=("kmeans", "weighted_kmeans", "ward")), list[dict[str, Any]]()
    for row in walk(*real, arguments.policy, settings):
        rows.append(row)
        pd.DataFrame(rows).to_csv(arguments.files[0], index=False)


if __name__ == "__main__":
    main()
