"""Cost of audiences, and how good the rule is.

    python -m benchmarks.audiences cost [customers]
    python -m benchmarks.audiences best [cases]

`cost` prints CPU seconds and peak memory of `customer_value`, `audience_members` and `segment_actions` for 12 actions, by the functions behind
the assets, on DuckDB with two threads. `best` compares the money that the rule gains with the best possible assignment, an integer programme,
on small random cases.
"""

import datetime as dt
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
from scipy.optimize import Bounds, LinearConstraint, milp

from segmentation_assets.core.application import audiences, plays, summary, value
from segmentation_assets.core.application.next_category import SAMPLE, next_categories
from segmentation_assets.core.customers.calendar import Lookback
from segmentation_assets.engines.duckdb import DuckDBEngine
from segmentation_assets.settings.audiences import Audiences
from segmentation_assets.settings.customers import Features
from segmentation_assets.settings.playbook import Play
from segmentation_assets.settings.snapshots import Snapshots

SEGMENTS, CATEGORIES, BOUGHT = 8, 60, 8  # categories that a customer has bought
DAY = dt.date(2024, 6, 1)
RULES = Audiences.model_validate({"universal_control": {"share": 0.05}, "contact_cap": {"contacts": 4, "days": 90}})


def playbook() -> dict[str, Play | None]:
    """12 actions: one for each segment, one for all of two, two for own segments and one for who entered; three with a budget, two with a
    recommended category."""
    of = {f"segment_{i}": {"for": {"segments": [i]}} for i in range(1, SEGMENTS + 1)}
    of |= {
        "vips": {"for": {"own_segments": ["vips"]}, "priority": 1},
        "families": {"for": {"own_segments": ["families"]}, "priority": 2, "cost": 0.6, "budget": 30_000},
        "entered": {"for": {"entered": [3]}, "priority": 1, "cost": 1, "budget": 20_000},
        "all": {"for": {"segments": [1, 2]}, "priority": 3, "cost": 0.1, "budget": 5_000, "list": "service"},
    }
    of["segment_4"]["product"] = of["segment_7"]["product"] = "next_category"
    of["segment_5"]["product"] = "usual_category"
    return {key: Play.model_validate({"action": key, "channel": "e-mail", **play}) for key, play in of.items()}


def write(customers: int, folder: Path) -> None:
    """Write the inputs as Parquet files; in a process of its own, whose memory does not count."""
    rng = np.random.default_rng(19)
    ids = np.char.add("customer-", np.arange(customers).astype(str))
    spend = rng.lognormal(4, 1, customers)
    segment = rng.integers(1, SEGMENTS + 1, customers)
    moved = rng.random(customers) < 0.1
    first = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 1_500, customers), unit="D")
    repeated = np.repeat(ids, BOUGHT)
    frames = {
        "features": pd.DataFrame({"customer_id": ids, "status": "active", "monetary": spend, "top_category": "c1"}),
        "customers": pd.DataFrame({"customer_id": ids, "first_order_at": first, "consent": rng.random(customers) < 0.9}),
        "placed": pd.DataFrame({"customer_id": ids, "segment_id": segment}),
        "windows": pd.DataFrame({"customer_id": ids[rng.random(customers) < 0.7], "orders": 1}),
        "members": pd.DataFrame({"own_segment": rng.choice(["vips", "families"], customers // 4), "customer_id": ids[: customers // 4]}),
        "changes": pd.DataFrame({
            "customer_id": ids[moved], "own_segment": pd.Series([None] * moved.sum(), dtype="object"), "change": "moved", "cause": "behaviour",
            "from_segment_id": 1, "to_segment_id": segment[moved],
        }),
        "categories": pd.DataFrame({
            "customer_id": repeated, "category": np.char.add("c", np.minimum(rng.geometric(0.08, len(repeated)), CATEGORIES).astype(str)), "bought_lines": 1,
        }),
    }  # fmt: skip
    for name, frame in frames.items():
        frame.to_parquet(folder / f"{name}.parquet", index=False)


def cost(customers: int) -> None:
    snapshots, features = Snapshots(first=dt.date(2020, 1, 1)), Features()
    names = {i: f"Segment {i}" for i in range(1, SEGMENTS + 1)}
    engine = DuckDBEngine(threads=2)
    with tempfile.TemporaryDirectory() as where:
        folder = Path(where)
        writing = multiprocessing.get_context("spawn").Process(target=write, args=(customers, folder))
        writing.start()
        writing.join()
        given = {file.stem: engine.scan([file]) for file in folder.glob("*.parquet")}
        given["changes"] = given["changes"].mutate(own_segment=ibis.null("string"))
        print(f"{customers:,} customers; {_memory()} at the start")

        def made(name: str, table: Callable[[], Any]) -> Any:
            wall, processor = time.perf_counter(), time.process_time()
            engine.write(table(), folder / f"{name}.made.parquet")
            print(f"{name}: {time.process_time() - processor:.1f} s of CPU, {time.perf_counter() - wall:.1f} s; {_memory()}")
            return engine.scan([folder / f"{name}.made.parquet"])

        span = Lookback.of(DAY, snapshots, features)
        values = made(
            "customer_value",
            lambda: value.customer_value(
                given["features"], given["customers"], given["placed"], given["placed"], given["windows"], given["features"], span, span
            ),
        )
        found = plays.done(playbook(), DAY, names, {}, ["vips", "families"])
        whom = (given["placed"], given["members"], given["changes"], values)
        actions = plays.in_order(found.actions, lambda: summary.money(plays.meant(found.actions, *whom), found.actions))

        def members() -> Any:
            meant = plays.meant(actions, *whom)
            offering = [meant[f"for_{place}"] for place, action in enumerate(actions) if action.play.product == "next_category"]
            concerned = meant.filter(offering[0] | offering[1]).select("customer_id")
            category = next_categories(concerned, given["customers"], given["categories"], min(1.0, SAMPLE / customers)).rename(
                next_of="customer_id"
            )
            meant = meant.left_join(category, meant.customer_id == category.next_of).drop("next_of")
            return audiences.audience_members(meant, audiences.barred(given["customers"], True, None), actions, RULES, 1)

        audience = made("audience_members", members)
        wall, processor = time.perf_counter(), time.process_time()
        about = pd.DataFrame(
            {"segment_id": list(names), "segment_name": list(names.values()), "share": 0.1, "revenue_share": 0.1, "description": ""}
        )
        summary.segment_actions(actions, plays.meant(actions, *whom), audience, about, dict.fromkeys(names, "steady"), "EUR")
        print(f"segment_actions: {time.process_time() - processor:.1f} s of CPU, {time.perf_counter() - wall:.1f} s; {_memory()}")
        for row in (
            audience.group_by("list", "role", "reason")
            .agg(customers=ibis._.count())
            .order_by("list", "role", "reason")
            .to_pyarrow()
            .to_pylist()
        ):
            print(row)


def _memory() -> str:
    return f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB"


def best(cases: int) -> None:
    """Money gained by the rule as a share of the best: of all treated, gain less cost."""
    rng = np.random.default_rng(19)
    shares = [_gained(rng) for _ in range(cases)]
    print(f"{cases} cases of 30 customers and 4 actions: the rule gains {np.mean(shares):.1%} of the best possible on average,")
    print(f"{np.quantile(shares, 0.05):.1%} in the worst twentieth, {min(shares):.1%} at least")


def _gained(rng: np.random.Generator) -> float:
    """Random cases: each action is for a random half, has a cost, an expected uplift, and a budget for 3 to 12 contacts, and no holdout."""
    people, number = 30, 4
    worth = rng.lognormal(3, 1, people)
    costs, uplifts = rng.uniform(0.1, 1, number), rng.uniform(0.1, 0.4, number)
    budgets = costs * rng.integers(3, 13, number)
    is_for = rng.random((people, number)) < 0.5
    gain = worth[:, None] * uplifts - costs
    actions = [
        plays.Action(
            f"a{i}",
            Play.model_validate({
                "action": "x", "channel": "x", "for": {"segments": [1]}, "cost": costs[i], "expected_uplift": uplifts[i],
                "budget": budgets[i] + 1e-6, "holdout": 0,
            }),
            *[plays.Targets()] * 3,
        )
        for i in np.argsort(-(gain * is_for).sum(axis=0))  # by the money at stake, as without a set priority
    ]  # fmt: skip
    order = [int(action.key[1:]) for action in actions]
    columns = {f"for_{place}": is_for[:, i] for place, i in enumerate(order)}
    meant = ibis.memtable(pd.DataFrame({
        "customer_id": [f"c{i}" for i in range(people)], "segment_id": 1, "value_now": worth, "value_at_stake": worth, **columns,
    }))  # fmt: skip
    nobody = ibis.memtable([], schema={"barred_id": "string", "barred": "string"})
    rows = audiences.audience_members(meant, nobody, actions, Audiences(), 0).to_pyarrow().to_pylist()
    made = sum(gain[int(row["customer_id"][1:]), int(row["action"][1:])] for row in rows if row["role"] == "treated")
    once = np.kron(np.eye(people), np.ones(number))
    paid = np.kron(np.ones(people), np.diag(costs))
    limits = LinearConstraint(np.vstack([once, paid]), ub=np.concatenate([np.ones(people), budgets + 1e-6]))
    found = milp(-gain.ravel(), constraints=limits, integrality=np.ones(people * number), bounds=Bounds(0, is_for.ravel().astype(float)))
    return float(made / -found.fun)


if __name__ == "__main__":
    if sys.argv[1] == "cost":
        cost(int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000)
    else:
        best(int(sys.argv[2]) if len(sys.argv) > 2 else 200)
