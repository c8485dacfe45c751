"""Retraining on real customers, month by month: how often models are trained, how stable segments are, how much of later spend they explain.

`python -m benchmarks.retraining complete_journey|cdnow OUT.csv [--policy POLICY]` walks the snapshots of `benchmarks.snapshots` with three
months of lookback (six for CDNOW) through drift, decision and model, a row for each. The results are in docs/segments-over-time.md.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.snapshots import Snapshot, cdnow, complete_journey
from segmentation_assets.core.choice.candidates import measured_again
from segmentation_assets.core.choice.forward_validity import eta_squared
from segmentation_assets.core.model.champion import SnapshotContext, next_model
from segmentation_assets.core.model.population import drift_report, training_population
from segmentation_assets.core.model.training import ModelSpec, PreviousSnapshot
from segmentation_assets.settings.model import DriftSettings, ModelSettings, RetrainSettings
from segmentation_assets.vocabulary import Decision


def walk(snapshots: list[Snapshot], lookback: int, policy: str, out: Path, seed: int = 0) -> None:
    """Write one row per snapshot, each as soon as it is known."""
    settings, rows = ModelSettings(seed=seed, algorithms=("kmeans", "weighted_kmeans", "ward")), list[dict[str, Any]]()
    spec, model, population, trained_on, fitted, past = ModelSpec(settings, "walk", diagnostics=False), None, None, None, 0, None
    for number, snapshot in enumerate(snapshots):
        active = customers(snapshot)
        drifted = drift_report(model, population, active, settings, DriftSettings(), trained_on)
        now = SnapshotContext(past, number - fitted, lookback)
        decided = next_model(active, model, drifted, spec, snapshot.date.date(), RetrainSettings(policy=policy), now)
        about = decided.model.provenance
        labels = decided.model.assign(active)["segment_id"]
        row: dict[str, Any] = {"snapshot": snapshot.date.date(), "decision": about.decision, "k": about.k, "tier": about.tier}
        row["trained"] = about.decision in {Decision.TRAINED, Decision.PROMOTED} or decided.refused is not None
        row["by_model"] = 0.0 if model is None else float((model.assign(active)["segment_id"] != labels).mean())
        assert decided.model.clusters is not None
        row["weakest_jaccard"] = measured_again(decided.model.clusters, active, settings).weakest_jaccard
        row["forward"] = np.nan if snapshot.spend_after is None else eta_squared(np.log1p(snapshot.spend_after), labels)
        row["reason"] = (decided.refused or about).reason
        if about.decision in {Decision.TRAINED, Decision.PROMOTED}:
            population, trained_on, fitted = training_population(decided.model, active, settings), active, number
        model = decided.model
        past = None if snapshot.spend_after is None else PreviousSnapshot(active, np.log1p(snapshot.spend_after))
        rows.append(row)
        pd.DataFrame(rows).to_csv(out, index=False)


def customers(snapshot: Snapshot) -> pd.DataFrame:
    """The snapshot's rows as rows of customer_features; all are active."""
    found = snapshot.features.rename_axis("customer_id").reset_index().astype({"customer_id": str})
    return found.assign(status="active", tenure_days=snapshot.tenure_days)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["complete_journey", "cdnow"])
    parser.add_argument("out", type=Path)
    parser.add_argument("--policy", default="when_needed")
    parser.add_argument("--master", type=Path, help="CDNOW_master.txt, as for benchmarks.proof")
    arguments = parser.parse_args()
    if arguments.what == "complete_journey":
        walk(complete_journey(lookback=3), 3, arguments.policy, arguments.out)
    elif arguments.master is None:
        parser.error("cdnow needs --master CDNOW_master.txt")
    else:
        walk(cdnow(arguments.master, lookback=6)[2:], 6, arguments.policy, arguments.out)


if __name__ == "__main__":
    main()
