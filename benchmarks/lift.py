"""Whether intervals of an action's effect cover, and power is as announced, with skewed spend.

`python -m benchmarks.lift coverage [RUNS]`: A/A runs, in which nothing was done to anybody: how often the 95% interval holds 0, with
one variance for both arms and with one for each (Welch), for arms of the same size and for a holdout of a tenth; and the same where treatment changes all spend by 10%. `power [RUNS]`: a planted uplift of 5%:
how often it is found, beside the power that `action_power` announces from an earlier window. `cost CUSTOMERS ACTIONS`: CPU seconds and
memory of both tables. The tables are in docs/acting.md.
"""

import argparse
import datetime as dt
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from ibis import literal
from numpy.typing import NDArray
from scipy.stats import norm, skew

from segmentation_assets.core.application.arms import BEFORE, LEVEL, VALUE, Arm, compared, power_to_show
from segmentation_assets.core.application.lift import Cohort, action_lift
from segmentation_assets.core.application.outcomes import arms, by_action, observed
from segmentation_assets.core.application.power import Alike, action_power
from segmentation_assets.engines.duckdb import DuckDBEngine
from segmentation_assets.vocabulary import Likeness, Measure, Role

FRESH = 20_261_129  # chosen once, before the first run of this script; development used other seeds
POPULATION = 1_000_000
SHOPS = ("lognormal", "pareto")
UPLIFT = 0.05


def shop(kind: str, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Spend of POPULATION customers in a window and before it; some half spend nothing, and how much they like the shop lasts.

    `lognormal`: baskets with a standard deviation of 1.2 on the log scale; `pareto`: a Pareto tail of 1.8, whose variance would be
    infinite, cut at 200 times the smallest basket.
    """
    liking = rng.standard_normal(POPULATION)

    def spend() -> NDArray[np.float64]:
        buys = rng.random(POPULATION) < 1 / (1 + np.exp(0.4 - 1.2 * liking))
        noise = rng.standard_normal(POPULATION)
        if kind == "lognormal":
            return buys * np.exp(3 + 0.8 * liking + 0.9 * noise)
        rank = norm.sf(0.6 * liking + 0.8 * noise)
        return buys * 20 * np.minimum(rank ** (-1 / 1.8), 200)

    return spend(), spend()


def welch_covers(treated: Arm, holdout: Arm, effect: float) -> bool:
    """Whether the interval with a variance for each arm holds the effect."""
    import tea_tasting as tt

    metric = tt.Mean(VALUE, BEFORE, equal_var=False)
    found = metric.analyze_aggregates(holdout.aggregates(), treated.aggregates())
    return bool(found.effect_size_ci_lower <= effect <= found.effect_size_ci_upper)


HELD_OUT = (30, 100, 500, 5_000, 50_000)
DESIGNS = [(0.0, held_out, times) for held_out in HELD_OUT for times in (1, 9)] + [(change, 500, 9) for change in (0.1, -0.1)]


def coverage(runs: int) -> pd.DataFrame:
    rows = []
    for kind in SHOPS:
        rng = np.random.default_rng([FRESH, SHOPS.index(kind)])
        since, before = shop(kind, rng)
        for change, held_out, times in DESIGNS:
            effect = change * float(since.mean())
            seen = []
            for _ in range(runs):
                drawn = rng.integers(POPULATION, size=held_out * (1 + times))
                y, x = since[drawn], before[drawn]
                holdout, treated = Arm.of(y[:held_out], x[:held_out]), Arm.of(y[held_out:] * (1 + change), x[held_out:])
                found = compared(treated, holdout)
                assert found is not None
                seen.append(
                    (found.low <= effect <= found.high, found.low > effect, found.high < effect, welch_covers(treated, holdout, effect))
                )
            rows.append([kind, float(skew(since)), change, held_out, held_out * times, *np.mean(seen, axis=0)])
            print(rows[-1], flush=True)
    names = ["spend", "skewness", "effect", "held out", "treated", "covers", "above", "below", "covers, Welch"]
    return pd.DataFrame(rows, columns=names)


HISTORIES = 200


def power(runs: int) -> pd.DataFrame:
    rows = []
    for kind in SHOPS:
        rng = np.random.default_rng([FRESH, 10 + SHOPS.index(kind)])
        since, before = shop(kind, rng)

        def drawn(number: int, uplift: float = 0.0, rng=rng, since=since, before=before) -> Arm:
            chosen = rng.integers(POPULATION, size=number)
            return Arm.of(since[chosen] * (1 + uplift), before[chosen])

        for held_out, times in ((5_000, 9), (15_000, 1), (50_000, 1)):
            histories = [drawn(held_out * (1 + times)) for _ in range(HISTORIES)]  # what an earlier window might have looked like
            announced = [power_to_show(UPLIFT * like.mean, held_out * times, held_out, like) for like in histories]
            shown = 0
            for _ in range(runs):
                found = compared(drawn(held_out * times, UPLIFT), drawn(held_out))
                assert found is not None
                shown += found.p_value < LEVEL
            rows.append([kind, held_out, held_out * times, np.mean(announced), *np.quantile(announced, [0.05, 0.95]), shown / runs])
            print(rows[-1], flush=True)
    return pd.DataFrame(rows, columns=["spend", "held out", "treated", "power announced", "5% of histories", "95%", "power found"])


def cost(customers: int, actions: int) -> None:
    """Prints CPU seconds of both tables, where each customer is in one of so many actions and of ten segments, and half of them ordered."""
    rng = np.random.default_rng(FRESH)
    ids = [f"customer {number}" for number in range(customers)]
    spent = rng.lognormal(3, 1.2, customers)
    day = dt.date(2024, 2, 1)
    made = {
        "audience": pd.DataFrame({
            "customer_id": ids, "list": "marketing", "action": [f"action {i}" for i in rng.integers(actions, size=customers)],
            "role": np.where(rng.random(customers) < 0.1, Role.HOLDOUT, Role.TREATED), "segment_id": rng.integers(1, 11, customers),
        }),
        "features": pd.DataFrame({"customer_id": ids, "monetary": spent, "frequency": rng.poisson(5, customers)}),
        "orders": pd.DataFrame({
            "customer_id": ids, "order_day": day, "ordered_at": pd.Timestamp(day), "spend": spent * rng.lognormal(0, 1, customers),
        })[rng.random(customers) < 0.5],
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        for name, frame in made.items():
            frame.to_parquet(Path(folder) / f"{name}.parquet")
        del made, ids, spent
        engine = DuckDBEngine()
        audience, features, orders = (engine.scan([Path(folder) / f"{name}.parquet"]) for name in ("audience", "features", "orders"))
        before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
        found = arms(observed(audience.mutate(since=literal(day)), features, orders))
        summed = time.process_time()
        keys = dict.fromkeys(by_action(found[Measure.SPEND]), 0.1)
        lift = action_lift([Cohort(day, True, found, keys, dict.fromkeys(keys, UPLIFT))], "euros")
        past, sizes = {}, {}
        for measure in Measure:
            for action, roles in by_action(found[measure]).items():
                past[action, measure] = Alike(roles[Role.TREATED] + roles[Role.HOLDOUT], Likeness.ACTION)
                sizes[action] = {role: arm.customers for role, arm in roles.items()}
        planned = action_power(sizes, past, dict.fromkeys(keys, UPLIFT), "euros", {})
        print(
            f"{customers:,} customers, {actions} actions: sums {summed - begun:.2f} s of CPU, {len(lift)} rows of lift and {len(planned)} of "
            f"power {time.process_time() - summed:.2f} s, peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB "
            f"({before / 1024:,.0f} MB before)"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("coverage", "power", "cost"))
    parser.add_argument("numbers", type=int, nargs="*")
    asked = parser.parse_args()
    if asked.what == "cost":
        cost(*(asked.numbers or [1_000_000, 12]))
    else:
        found = coverage(*(asked.numbers or [1_000])) if asked.what == "coverage" else power(*(asked.numbers or [2_000]))
        print(found.to_markdown(index=False, floatfmt=".3f"))


if __name__ == "__main__":
    main()
