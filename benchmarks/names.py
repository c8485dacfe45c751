"""Whether the names of segments are true: no change is named where nothing changes, and a planted one is named soon.

`python -m benchmarks.names run OUT.csv` simulates shops order by order, passes each snapshot's customers through the decision of the
core, and writes one row per shop as it comes; `table OUT.csv` prints the tables in docs/segments-over-time.md. k-means only, 10 resamples, 1 half-split,
and only the figures that a decision needs. A month has 30 days.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.arguments import of_shops
from segmentation_assets.core.clustering.preprocessing import FeaturePreprocessor
from segmentation_assets.core.customers.feature_catalog import FEATURES
from segmentation_assets.core.model.champion import SnapshotContext, next_model
from segmentation_assets.core.model.naming import CHANGES
from segmentation_assets.core.model.population import drift_report, training_population
from segmentation_assets.core.model.training import ModelSpec
from segmentation_assets.settings.model import DriftSettings, ModelSettings, RetrainSettings
from segmentation_assets.vocabulary import Character, Decision

# Chosen once, before the run that is reported; development used other seeds.
FRESH = 20_261_129
MONTH, LATER, CHANGE = 30, 8, 2  # days; snapshots after the first; the snapshot from which on what is planted happens
SLOWER = {Character.SLIPPING, Character.AT_RISK, Character.DORMANT}


@dataclass(frozen=True)
class Kind:
    """A shop: mean days between orders of each group of customers, how even these are (shape of a gamma distribution; 1: by chance), how
    widely customers of a group differ (sd of the log), lookback in months, and what the first group multiplies its gaps by from a day on."""

    gaps: tuple[float, ...]
    evenness: float = 1.0
    spread: float = 0.1
    lookback: int = 6
    slower: float = 1.0


KINDS = {
    "monthly shop": Kind((30.0,), evenness=36.0),
    "monthly shop, lookback of three months": Kind((30.0,), evenness=36.0, lookback=3),
    "grocer": Kind((10.0,), spread=0.9, lookback=3),
    "grocer, lookback of a year": Kind((10.0,), spread=0.9, lookback=12),
    "furniture shop": Kind((400.0,), spread=0.5, lookback=36),
    "groups": Kind((3.0, 12.0, 45.0), lookback=6),
    "halving, often": Kind((3.0, 12.0, 45.0), slower=2.0),
    "halving, often, lookback of a year": Kind((3.0, 12.0, 45.0), slower=2.0, lookback=12),
    "halving, weekly and even": Kind((7.0, 30.0), evenness=16.0, slower=2.0),
    "halving, monthly": Kind((30.0, 4.0, 250.0), slower=2.0, lookback=12),
}


def orders(kind: Kind, n: int, rng: np.random.Generator) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """All orders (customer, day, value) from three lookbacks before the first snapshot, on day 0, and the group of each customer (n,).

    A planted change begins on the day of snapshot `CHANGE`; who is then between two orders waits longer for the next in proportion.
    """
    group = np.arange(n) % len(kind.gaps)
    gap = np.array(kind.gaps)[group] * rng.lognormal(0, kind.spread, n)
    basket = rng.lognormal(3 + 1.2 * group, 0.5 if len(kind.gaps) == 1 else 0.2)
    begin, change, end = -3.0 * kind.lookback * MONTH, CHANGE * MONTH, LATER * MONTH
    most = int((end - begin) / gap.min() * 2) + 20
    found = []
    for customer in range(n):
        waits = rng.gamma(kind.evenness, gap[customer] / kind.evenness, min(most, int((end - begin) / gap[customer] * 2) + 40))
        days = begin - rng.uniform(0, 5) * gap[customer] + np.cumsum(waits)
        if kind.slower != 1 and group[customer] == 0:
            days = np.where(days > change, change + (days - change) * kind.slower, days)
        days = days[(days >= begin) & (days < end)]
        found.append(
            pd.DataFrame({"customer": customer, "day": np.floor(days), "value": basket[customer] * rng.lognormal(0, 0.3, len(days))})
        )
    return pd.concat(found, ignore_index=True), group


def features(placed: pd.DataFrame, as_of: int, lookback: int) -> pd.DataFrame:
    """Rows of customer_features for those active at day `as_of`: the features that models and names need."""
    start, recent = as_of - lookback * MONTH, as_of - -(-lookback // 3) * MONTH
    before = placed[placed["day"] < as_of]
    first = before.groupby("customer")["day"].min()
    inside = before[before["day"] >= start]
    by = inside.groupby("customer")
    days = inside.drop_duplicates(["customer", "day"]).groupby("customer")["day"]
    opens, last, number = days.min(), days.max(), days.size()
    frequency, known = by.size().astype(float), first.reindex(opens.index)
    late = inside[inside["day"] >= recent].groupby("customer").size().reindex(opens.index).fillna(0.0)
    rates = late / (as_of - recent), (frequency - late) / (recent - np.maximum(known, start)).clip(lower=1)
    gap = (last - opens) / (number - 1).where(number > 1)
    found = pd.DataFrame({
        "recency_days": as_of - last, "frequency": frequency, "monetary": by["value"].sum(), "tenure_days": as_of - known,
        "mean_gap_days": gap, "overdue_ratio": (as_of - last) / gap, "opening_pause_days": (opens - start).where(known < start),
        "order_trend": (rates[0] - rates[1]) / (rates[0] + rates[1]),
    })  # fmt: skip
    return found.reset_index(names="customer_id").assign(customer_id=lambda t: t["customer_id"].astype(str), status="active")


def shop(name: str, seed: int, n: int = 800, base: int = FRESH, later: int = LATER) -> dict[str, Any]:
    """One shop through its snapshots: names that speak of a change, names that were given up, and when the planted change was named."""
    kind, rng = KINDS[name], np.random.default_rng([base, list(KINDS).index(name), seed])
    placed, group = orders(kind, n, rng)
    settings = ModelSettings(algorithms=("kmeans",), k_max=6, resamples=10, splits=1, seed=seed)
    spec = ModelSpec(
        settings, "simulated", FeaturePreprocessor.from_settings(settings, {f.name: f.transform for f in FEATURES}), diagnostics=False
    )
    model = population = None
    row: dict[str, Any] = {"kind": name, "seed": seed, "named": -1, "flips": 0, "speaks": 0, "promotions": 0, "log": ""}
    for number in range(later + 1):
        active, as_of = features(placed, number * MONTH, kind.lookback), dt.date(2024, 1, 1) + dt.timedelta(days=MONTH * number)
        drifted = drift_report(model, population, active, settings, DriftSettings())
        decided = next_model(
            active, model, drifted, spec, as_of, RetrainSettings(), SnapshotContext(age=number, lookback=kind.lookback)
        ).model
        promoted = decided.provenance.decision in {Decision.TRAINED, Decision.PROMOTED}
        if promoted:
            population = training_population(decided, active, settings)
        kept = {s.segment_id: s.name for s in model.segments} if model else {}
        flips = sum(kept.get(s.segment_id, s.name) != s.name for s in decided.segments)
        untouched = kind.slower == 1 or number <= CHANGE
        row["flips"] += flips > 0 and untouched
        row["speaks"] += untouched and any(s.character in CHANGES for s in decided.segments)
        row["promotions"] += promoted and number > 0
        home = _home(decided.assign(active)["segment_id"], group[active["customer_id"].astype(int)])
        told = next(s for s in decided.segments if s.segment_id == home)
        if row["named"] < 0 and number > CHANGE and kind.slower != 1 and told.character in SLOWER:
            row["named"] = number - CHANGE
        row["log"] += f"{number}: " + "; ".join(f"{s.segment_id} {s.name} {_figures(s)}" for s in decided.segments) + " | "
        model = decided
    return row


def _figures(segment: Any) -> str:
    return f"[{segment.pace.slowed:.2f} {segment.pace.quickened:.2f}]" if segment.pace else ""


def _home(segment: pd.Series, group: NDArray[np.int64]) -> int:
    """The segment that holds most of the first group."""
    return int(segment[group == 0].mode().iloc[0])


def table(rows: pd.DataFrame) -> str:
    """The tables in docs/segments-over-time.md."""
    steady = rows[[KINDS[name].slower == 1 for name in rows["kind"]]].groupby("kind", sort=False).agg(
        shops=("seed", "size"), snapshots=("seed", lambda s: LATER * len(s)), renamed=("flips", "sum"), change_named=("speaks", "sum"), promotions=("promotions", "sum")
    )  # fmt: skip
    planted = rows[[KINDS[name].slower != 1 for name in rows["kind"]]].groupby("kind", sort=False).agg(
        shops=("seed", "size"), at_first=("named", lambda s: int((s == 1).sum())), within_two=("named", lambda s: int(s.between(1, 2).sum())),
        before=("speaks", "sum"),
    )  # fmt: skip
    return "\n\n".join(found.reset_index().to_markdown(index=False) for found in (steady, planted))


def main() -> None:
    arguments = of_shops(__doc__, ["run", "table"], KINDS, (0, 10), FRESH)
    if arguments.what == "table":
        print(table(pd.concat([pd.read_csv(f) for f in arguments.files], ignore_index=True)))
        return
    rows: list[dict[str, Any]] = []
    for seed in range(*arguments.seeds):
        for name in arguments.kinds:
            rows.append(shop(name, seed, arguments.customers, arguments.base))
            pd.DataFrame(rows).to_csv(arguments.files[0], index=False)


if __name__ == "__main__":
    main()
