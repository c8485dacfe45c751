"""Whether a change of the segments is told as what it is, and whether nothing is told where nothing changed.

`python -m benchmarks.lifecycle run OUT.csv` simulates shops month by month (three months of lookback), passes each month's features
through the drift report, the decision and the events of the core, and writes one row per shop as it comes. `runs OUT.csv` writes the
orders of such shops to files instead, and makes each snapshot by a whole run, from collecting to publishing. `table OUT.csv` prints
the tables in docs/segments-over-time.md. k-means only, k up to 5, 20 resamples, 3 half-splits, and in `run` only the figures that a
decision needs, so that hundreds of shops can be afforded.
"""

import datetime as dt
import itertools
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.arguments import of_shops
from segmentation_assets.core.model.champion import SnapshotContext, next_model
from segmentation_assets.core.model.population import drift_report, training_population
from segmentation_assets.core.model.training import ModelSpec, PreviousSnapshot
from segmentation_assets.core.segments.segment_events import events
from segmentation_assets.settings.model import DriftSettings, ModelSettings, RetrainSettings
from segmentation_assets.vocabulary import Decision, SegmentChange

# Chosen once, before the run that is reported; development used other seeds.
FRESH = 20_261_128
LOOKBACK, CHANGE, LATER = 3, 2, 8  # months: of the features, until something changes, and of snapshots after the first
KINDS = {"merge": SegmentChange.MERGED, "death": SegmentChange.DIED, "birth": SegmentChange.BORN, "split": SegmentChange.SPLIT}
RATES, BASKETS = (4.0, 24.0, 140.0), (5.0, 40.0, 320.0)  # orders a month and value of an order; neighbours lie five or more sd apart
BORN_GROUP = 9
FIRST_MONTH = pd.Timestamp("2024-01-01")
SETTINGS = """data_dir: data
snapshots: {{first: {first}, last: {last}, cadence: monthly}}
source:
  kind: tables
  transactions: {{files: orders.parquet, columns: {{customer_id: customer_id, order_id: order_id, ordered_at: ordered_at, amount: amount}}}}
features: {{lookback: 3}}
exploration: {{pictures: false}}
model: {{features: [frequency, monetary], algorithms: [kmeans], k_max: 5, resamples: 20, splits: 3, seed: {seed}}}
"""
SPREAD = 0.1  # of a customer's habit around that of the group, in logs
TURNOVER = 0.02  # share of customers who leave in a month, each followed by a new one of the same group


@dataclass(frozen=True, eq=False)
class Habits:
    """What customers (n,) do in a month: orders, value of an order, in which month they came, and their true group."""

    rate: NDArray[np.float64]
    basket: NDArray[np.float64]
    came: NDArray[np.int64]
    group: NDArray[np.int64]


def groups(n: int, rng: np.random.Generator, kind: str) -> Iterator[Habits]:
    """A month each of customers in three or four groups, with the change of that kind from month `LOOKBACK + CHANGE` on."""
    cells = rng.permutation(9)
    k = 3 if kind in {"birth", "split"} else 4
    shares = 0.15 + (1 - 0.15 * k) * rng.dirichlet(np.full(k, 2.0))
    shares = np.sort(shares)[::-1] if kind == "split" else shares  # the largest is the one that splits
    group = np.repeat(np.arange(k), np.diff(np.round(n * np.cumsum([0, *shares])).astype(int)))
    wide = rng.normal(0, SPREAD, (2, n))
    came = np.full(n, -24)
    coming = rng.random(n) < 0.2  # who is there only from the change on, where a group is born
    half = rng.random(n) < 0.5
    for month in range(LOOKBACK + LATER):
        after = month >= LOOKBACK + CHANGE
        cell, present = cells[group].copy(), np.ones(n, dtype=bool)
        if kind == "birth":
            cell[coming], present = cells[k], after | ~coming
            came = np.where(coming & (came < 0), LOOKBACK + CHANGE, came)
        if after and kind == "merge":
            cell[group == 0] = cells[1]
        if after and kind == "split":
            cell[(group == 0) & half] = cells[k]
        if kind == "death":
            present = ~((group == 0) & after)
        fresh = (rng.random(n) < TURNOVER) & (month > LOOKBACK)
        came = np.where(fresh, month, came)
        wide[:, fresh] = rng.normal(0, SPREAD, (2, int(fresh.sum())))
        rate, basket = np.array(RATES)[cell // 3], np.array(BASKETS)[cell % 3]
        truth = np.where(coming, BORN_GROUP, group) if kind == "birth" else group
        yield Habits(rate * np.exp(wide[0]) * present, basket * np.exp(wide[1]), came.copy(), truth)


def continuum(n: int, rng: np.random.Generator) -> Iterator[Habits]:
    """A month each of customers who differ by degrees only, as buyers usually do."""
    rate, basket, came = rng.gamma(0.8, 2.0, n), rng.lognormal(3, 0.6, n), np.full(n, -24)
    for month in range(LOOKBACK + LATER):
        fresh = (rng.random(n) < TURNOVER) & (month > LOOKBACK)
        came = np.where(fresh, month, came)
        rate, basket = np.where(fresh, rng.gamma(0.8, 2.0, n), rate), np.where(fresh, rng.lognormal(3, 0.6, n), basket)
        yield Habits(rate.copy(), basket.copy(), came.copy(), np.zeros(n, dtype=np.int64))


def snapshots(
    kind: str, n: int, rng: np.random.Generator, trend: tuple[float, float] = (1.0, 1.0)
) -> Iterator[tuple[pd.DataFrame, NDArray[np.float64]]]:
    """Features of the active customers of each snapshot, and the spend of all customers (n,) in the month before it. `trend` multiplies
    everybody's number of orders and value of an order from each month to the next."""
    orders, spend, last = [], [], np.full(n, np.nan)
    renewed = np.zeros(n, dtype=np.int64)
    for month, habits in enumerate(continuum(n, rng) if kind == "continuum" else groups(n, rng, kind)):
        fresh = habits.came == month
        renewed += fresh
        last[fresh] = np.nan
        for table in (orders, spend):
            for earlier in table:
                earlier[fresh] = 0
        count = rng.poisson(habits.rate * trend[0] ** month)
        orders.append(count)
        spend.append(count * habits.basket * trend[1] ** month * rng.lognormal(0, 0.2, n))
        day = 30 * (month + rng.beta(np.maximum(count, 1), 1))  # the latest of as many days of the month
        last = np.where(count > 0, day, last)
        if month < LOOKBACK - 1:
            continue
        frequency, monetary = (np.sum(table[-LOOKBACK:], axis=0) for table in (orders, spend))
        features = pd.DataFrame({
            "customer_id": [f"{i}-{r}" for i, r in enumerate(renewed)], "status": "active",
            "recency_days": np.floor(30 * (month + 1) - last), "frequency": frequency.astype(float), "monetary": monetary,
            "tenure_days": 30.0 * (month + 1 - habits.came), "place": np.arange(n), "group": habits.group,
        })  # fmt: skip
        yield features[frequency > 0].reset_index(drop=True), spend[-1].copy()  # later months change the list


def shop(kind: str, seed: int, n: int = 800, base: int = FRESH, policy: str = "when_needed", **ask: Any) -> dict[str, Any]:
    """One shop through `LATER` snapshots after the first: what was decided, and what was told."""
    rng = np.random.default_rng([base, sorted([*KINDS, "continuum", "groups"]).index(kind), seed])
    cheap = {"algorithms": ("kmeans",), "k_max": 5, "resamples": 20, "splits": 3}
    settings = ModelSettings(features=("frequency", "monetary"), seed=seed, **cheap | ask)
    spec, limits, retrain = ModelSpec(settings, "simulated", diagnostics=False), DriftSettings(), RetrainSettings(policy=policy)
    day, model, population, trained_on, fitted, before = dt.date(2024, 1, 1), None, None, None, 0, None
    placed: list[pd.DataFrame] = []
    row: dict[str, Any] = {"kind": kind, "seed": seed, "triggers": 0, "promotions": 0, "told": -1, "events": [], "log": []}
    until = CHANGE + LOOKBACK if kind in KINDS else LATER
    for number, (active, since) in enumerate(itertools.islice(snapshots(kind, n, rng), until + 1)):
        as_of = day + dt.timedelta(days=30 * number)
        features = active.drop(columns=["place", "group"])
        drifted = drift_report(model, population, features, settings, limits, trained_on)
        past = None if before is None else PreviousSnapshot(before, np.log1p(since[before["place"]]))
        now = SnapshotContext(lambda past=past: past, number - fitted, LOOKBACK)
        decided = next_model(active, model, drifted, spec, as_of, retrain, now)
        about = decided.model.provenance
        if number:
            told = events(model, decided.model, active, as_of, lambda n=number: placed[n - LOOKBACK] if n >= LOOKBACK else None)
            tried = decided.refused is not None or about.decision == Decision.PROMOTED
            row["triggers"] += tried
            row["promotions"] += about.decision == Decision.PROMOTED
            new = [e for e in told["event"] if e not in (SegmentChange.SURVIVED, SegmentChange.CHARACTER, SegmentChange.RENAMED)]
            row["events"] += [f"{number}:{e}" for e in new]
            row["log"].append(f"{number}: {(decided.refused or about).reason if tried else about.decision}")
        else:
            row["first"] = f"{about.tier} {about.k}"
        if about.decision in {Decision.TRAINED, Decision.PROMOTED}:
            population, trained_on, fitted = training_population(decided.model, features, settings), features, number
        placed.append(decided.model.assign(active).assign(group=active["group"].to_numpy()))
        if number > CHANGE and kind in KINDS and row["told"] < 0 and _told_rightly(kind, told, placed):
            row["told"] = number
        model, before = decided.model, active
        row["last"] = f"{about.tier} {about.k}"
    return row | {"events": " ".join(row["events"]), "log": " | ".join(row["log"])}


def order_lines(kind: str, n: int, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.Series]:
    """The orders (customer_id, order_id, ordered_at, amount) of a shop in calendar months from `FIRST_MONTH` on, and each customer's true group."""
    months, truth = [], {}
    for month, habits in enumerate(continuum(n, rng) if kind == "continuum" else groups(n, rng, kind)):
        first = FIRST_MONTH + pd.DateOffset(months=month)
        ids = np.array([f"{place}-{came}" for place, came in enumerate(habits.came)])
        truth |= dict(zip(ids, habits.group, strict=True))
        who = np.repeat(np.arange(n), rng.poisson(habits.rate))
        seconds = rng.integers(0, first.days_in_month * 86_400, len(who))
        amount = np.round(habits.basket[who] * rng.lognormal(0, 0.2, len(who)), 2)
        months.append(pd.DataFrame({"customer_id": ids[who], "ordered_at": first + pd.to_timedelta(seconds, unit="s"), "amount": amount}))
    lines = pd.concat(months, ignore_index=True)
    return lines.assign(order_id=lines.index), pd.Series(truth, name="group")  # without ids, the lines of a day are one order


def shop_of_runs(kind: str, seed: int, n: int = 800, base: int = FRESH) -> dict[str, Any]:
    """As `shop`, by whole runs from files of orders."""
    rng = np.random.default_rng([base, sorted([*KINDS, "continuum", "groups"]).index(kind), seed])
    last = CHANGE + LOOKBACK if kind in KINDS else LATER
    first = FIRST_MONTH + pd.DateOffset(months=LOOKBACK)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines, group = order_lines(kind, n, rng)
        lines.to_parquet(folder / "orders.parquet")
        end = first + pd.DateOffset(months=last)
        (folder / "segmentation.yaml").write_text(SETTINGS.format(first=first.date(), last=end.date(), seed=seed))
        database = _made(folder)
        with duckdb.connect(str(database), read_only=True) as published:
            registry = published.sql("SELECT * FROM model_registry ORDER BY snapshot_date").df()
            events = published.sql("SELECT * FROM segment_events").df()
            segments = published.sql("SELECT snapshot_date, customer_id, segment_id FROM customer_segments").df()
    keys = sorted(registry["snapshot_date"].unique())
    segments["group"] = segments["customer_id"].map(group)
    placed = [segments[segments["snapshot_date"] == key] for key in keys]
    told = [events[events["snapshot_date"] == key] for key in keys]
    rightly = [i for i in range(CHANGE + 1, len(keys)) if kind in KINDS and _told_rightly(kind, told[i], placed[: i + 1])]
    new = events[~events["event"].isin([SegmentChange.SURVIVED, SegmentChange.CHARACTER, SegmentChange.RENAMED])]
    tried = registry[registry["decision"].isin([Decision.PROMOTED, Decision.REFUSED])]
    return {
        "kind": kind, "seed": seed, "triggers": len(tried), "promotions": int((tried["decision"] == Decision.PROMOTED).sum()),
        "told": rightly[0] if rightly else -1, "events": " ".join(f"{keys.index(k)}:{e}" for k, e in zip(new["snapshot_date"], new["event"], strict=True)),
        "log": " | ".join(tried["reason"]),
    }  # fmt: skip


def _made(folder: Path) -> Path:
    """Make every snapshot of the settings in the folder; return the published database."""
    os.environ["SEGMENTATION_SETTINGS"] = str(folder / "segmentation.yaml")
    from segmentation_assets.cli import runs
    from segmentation_assets.defs.instance import instance_of_command, prepare_instance
    from segmentation_assets.settings.loading import load_settings
    from segmentation_assets.store.database_files import DATABASE

    settings = load_settings()
    prepare_instance(settings)
    for key in runs.existing_keys(settings):
        with instance_of_command() as instance:
            runs.run_partition(settings, "snapshot", key, instance, lambda *_: None)
    return settings.data_dir / DATABASE


def _told_rightly(kind: str, told: pd.DataFrame, placed: list[pd.DataFrame]) -> bool:
    """Whether an event of the planted kind is told of the segments in which most of the groups concerned were, or of the one born, are."""
    own = told[told["event"] == KINDS[kind]]
    if kind == "birth":
        return str(_home(placed[-1], BORN_GROUP)) in set(own["to_segment_ids"])
    concerned = {str(_home(placed[CHANGE], group)) for group in ((0, 1) if kind == "merge" else (0,))}
    return any(concerned <= set(ids.split(", ")) for ids in own["from_segment_ids"])


def _home(placed: pd.DataFrame, group: int) -> int:
    return int(placed.loc[placed["group"] == group, "segment_id"].mode().iloc[0])


def table(rows: pd.DataFrame) -> str:
    """The tables in docs/segments-over-time.md."""
    due = CHANGE + LOOKBACK
    rows["in_time"] = rows["told"].between(CHANGE + 1, due)
    planted = (
        rows[rows["kind"].isin(KINDS)]
        .groupby("kind")
        .agg(shops=("seed", "size"), in_time=("in_time", "mean"), promotions=("promotions", "mean"), triggers=("triggers", "mean"))
    )
    still = rows[~rows["kind"].isin(KINDS)].groupby("kind").agg(
        shops=("seed", "size"), without_promotion=("promotions", lambda p: float((p == 0).mean())), triggers=("triggers", "sum"),
        snapshots=("seed", lambda s: LATER * len(s)),
    )  # fmt: skip
    return "\n\n".join(found.reset_index().to_markdown(index=False, floatfmt=".3f") for found in (planted, still))


def main() -> None:
    arguments = of_shops(
        __doc__, ["run", "runs", "table"], [*KINDS, "groups", "continuum"], (0, 60), FRESH, "half as many of groups and of continuum"
    )
    if arguments.what == "table":
        print(table(pd.concat([pd.read_csv(f) for f in arguments.files], ignore_index=True)))
        return
    rows: list[dict[str, Any]] = []
    for seed in range(*arguments.seeds):
        for kind in arguments.kinds:
            if kind in KINDS or seed % 2 == 0:
                make = shop if arguments.what == "run" else shop_of_runs
                rows.append(make(kind, seed, arguments.customers, arguments.base))
                pd.DataFrame(rows).to_csv(arguments.files[0], index=False)


if __name__ == "__main__":
    main()
