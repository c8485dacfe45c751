"""A whole snapshot through `segmentation run`, stage by stage, beside what one would do without this package.

    python -m benchmarks.whole --customers 100000 --rounds 3

Measured, each in a process of its own and in turn:

- steady: one new snapshot on the 23 earlier ones of `benchmarks.history`, the champion carried, without pictures and with them;
- cold: the first snapshot of a new data folder, which takes in all 24 months, trains, and publishes;
- scan: reading the Parquet columns that each stage needs, with DuckDB;
- notebook, polars: see `benchmarks.alternatives`.

Prints Markdown tables of medians with ratios, machine and versions. The shop and its earlier snapshots are kept in --folder for the next
time; remove the folder after a change of what snapshots hold.
"""

import argparse
import datetime as dt
import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from benchmarks import shop
from benchmarks.alternatives import months_before
from segmentation_assets.store.database_files import DATABASE

NEWEST, EARLIER = f"{shop.month(shop.MONTHS)}", shop.MONTHS - 1
REST = "start, log and end"
RFM = ("customer_id", "status", "recency_days", "frequency", "monetary")
# What each stage needs to read at least: table, snapshots (0 is the new one), columns (none: all).
NEEDED: dict[str, list[tuple[str, Iterable[int], tuple[str, ...]]]] = {
    "clean": [
        ("raw_customers", [0], ()), ("raw_transactions", [0], ()), ("raw_events", [0], ()), ("customers", [1], ()),
        ("customer_orders", range(13), ("customer_id", "order_id", "order_day")), ("order_returns", range(13), ()),
    ],
    "features": [
        ("transactions", [0], ("customer_id", "category", "amount", "is_return")), ("customers", [0, 1], ()), ("customer_orders", range(12), ()),
        ("order_returns", range(12), ()), ("customer_activity", range(12), ()), ("customer_category_activity", range(12), ()),
        ("customer_event_activity", range(12), ()),
    ],
    "exploration": [
        ("customer_features", [0], ()), ("customer_orders", [0], ()), ("customer_activity", [0], ()), ("customers", [0], ("customer_id", "first_order_at")),
        ("customer_category_activity", range(12), ("customer_id", "category", "purchases")),
    ],
    "model": [("customer_features", [0, 1], RFM), ("customer_activity", [0], ("customer_id", "spend"))],
    "segments": [
        ("customer_features", [0, 1], RFM), ("customer_segments", range(6), ("customer_id", "segment_id")),
        ("customer_segments", [12], ("customer_id", "segment_id")),
    ],
    "evaluate": [
        ("customer_features", [0, 1], RFM), ("customer_segments", [0, 1], ("customer_id", "segment_id")),
        ("customer_activity", [0], ("customer_id", "spend", "orders")),
    ],
    "interpret": [("customer_features", [0], ()), ("customer_segments", [0], ("customer_id", "segment_id"))],
    "publish": [("customers", [0], ()), ("customer_features", [0], ()), ("customer_segments", [0], ()), ("customer_activity", [0], ())],
}  # fmt: skip


@dataclass(frozen=True)
class Run:
    """One measured process: wall and CPU seconds, peak memory in bytes, growth of the database, and its steps."""

    wall: float
    cpu: float
    peak: int
    grown: int = 0
    steps: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Bench:
    """A shop in a folder, with a data folder of its earlier snapshots."""

    folder: Path
    customers: int
    seed: int

    @property
    def shop(self) -> Path:
        return self.folder / "shop"

    @property
    def data(self) -> Path:
        return self.shop / "data"

    def prepare(self) -> None:
        """Write the shop and its earlier snapshots, unless they are there. The files of the last month come after these."""
        mark, asked = self.folder / "made.json", json.dumps([self.customers, self.seed, shop.MONTHS])
        if mark.exists() and mark.read_text() == asked:
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        shop.write(self.shop, self.customers, self.seed)
        self.came(False)
        settings, known = self.environment(), f"{shop.month(shop.MONTHS - 1)}"
        subprocess.run([sys.executable, "-m", "benchmarks.history", known], env=settings, check=True)
        self.came(True)
        self.data.rename(self.folder / "earlier")
        mark.write_text(asked)

    def came(self, there: bool) -> None:
        """Whether the files of the last month have come."""
        for name in ("orders", "events"):
            file = self.shop / name / f"{shop.month(shop.MONTHS - 1):%Y-%m}.parquet"
            here, aside = file, file.with_suffix(".later")
            (aside if there else here).rename(here if there else aside)

    def environment(self, **settings: str) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith(("SEGMENTATION_", "DAGSTER_"))}
        # Threads of k-means that wait without spinning: otherwise other load on the machine shows as CPU of whoever runs k-means.
        fixed = {
            "SEGMENTATION_SETTINGS": str(self.shop / "segmentation.yaml"),
            "SEGMENTATION_RETRAIN__POLICY": "never",
            "OMP_WAIT_POLICY": "PASSIVE",
        }
        return {**own, **fixed, **settings}

    def steady(self, pictures: bool) -> Run:
        """The newest snapshot on a fresh copy of the data folder of the earlier ones, in its own place, because paths are in the views."""
        shutil.rmtree(self.data, ignore_errors=True)
        shutil.copytree(self.folder / "earlier", self.data, copy_function=_copied)
        before = (self.data / DATABASE).stat().st_size
        return self.snapshot(NEWEST, before, SEGMENTATION_EXPLORATION__PICTURES=str(pictures).lower())

    def cold(self) -> Run:
        shutil.rmtree(self.data, ignore_errors=True)
        first = {"SEGMENTATION_SNAPSHOTS__FIRST": NEWEST, "SEGMENTATION_EXPLORATION__PICTURES": "false"}
        return self.snapshot(NEWEST, 0, **first)

    def snapshot(self, key: str, before: int, **settings: str) -> Run:
        steps = self.folder / "steps.json"
        command = [sys.executable, "-m", "benchmarks.stages", str(steps), "run", "--snapshot", key]
        whole = measured(command, self.environment(**settings))
        rows = tuple(json.loads(steps.read_text()))
        grown = (self.data / DATABASE).stat().st_size - before
        return Run(whole.wall, whole.cpu, max(row["peak"] for row in rows), grown, rows)

    def alternative(self, way: str) -> Run:
        command = [sys.executable, "-m", "benchmarks.alternatives", way, str(self.shop), NEWEST, str(self.folder / way)]
        out = self.folder / "parts.json"
        whole = measured(command, self.environment(), out)
        parts = json.loads(out.read_text().splitlines()[-1])
        return Run(whole.wall, whole.cpu, whole.peak, steps=tuple({"step": name, "cpu": cpu} for name, cpu in parts.items()))

    def scan(self) -> Run:
        """In this process, which has one engine for all stages; of the last steady snapshot."""
        with duckdb.connect() as engine:
            rows = tuple({"step": stage, **_scanned(engine, files)} for stage, files in self.needed().items())
        return Run(sum(row["wall"] for row in rows), sum(row["cpu"] for row in rows), 0, steps=rows)

    def needed(self) -> dict[str, list[tuple[list[Path], tuple[str, ...]]]]:
        """The files and columns that each stage needs."""
        month = f"{shop.month(shop.MONTHS - 1):%Y-%m}"
        raw = [self.shop / "orders" / f"{month}.parquet", self.shop / "events" / f"{month}.parquet", self.shop / "customers.parquet"]
        found: dict[str, list[tuple[list[Path], tuple[str, ...]]]] = {"collect": [([file], ()) for file in raw]}
        for stage, tables in NEEDED.items():
            found[stage] = [([self.partition(table, back) for back in snapshots], columns) for table, snapshots, columns in tables]
        return found

    def partition(self, table: str, back: int) -> Path:
        key = months_before(dt.date.fromisoformat(NEWEST), back)
        return self.data / "lake" / table / f"snapshot_date={key}" / "part-0.parquet"


def _copied(source: str, target: str) -> None:
    """A link to a file that runs only replace: partitions and the public database. They write into others, such as the master: a copy."""
    (os.link if source.endswith((".parquet", f"/{DATABASE}")) else shutil.copy2)(source, target)


def _scanned(engine: duckdb.DuckDBPyConnection, tables: list[tuple[list[Path], tuple[str, ...]]]) -> dict[str, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    for files, columns in tables:
        chosen = "*" if not columns else f"[{', '.join(map(repr, columns))}]"
        engine.execute(
            f"SELECT bit_xor(hash(COLUMNS({chosen}))) FROM read_parquet(?, hive_partitioning = false, union_by_name = true)",
            [[str(file) for file in files]],
        ).fetchall()
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def measured(command: Sequence[str], environment: Mapping[str, str], out: Path | None = None) -> Run:
    """Run a command to its end; its output goes to `out`, or is shown if it fails."""
    with tempfile.TemporaryFile("w+") as said:
        began = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdout=said, stderr=None if out else said)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        text = said.read()
        if process.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{text}")
        if out:
            out.write_text(text)
    return Run(wall, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)


def stage_of_steps() -> dict[str, str]:
    """Step -> the group of Dagster's page to which its assets belong; checks are not in it."""
    from segmentation_assets.definitions import build
    from segmentation_assets.settings.loading import load_settings

    graph = build(load_settings()).resolve_asset_graph()
    found: dict[str, str] = {}
    for assets in graph.assets_defs:
        for group in assets.group_names_by_key.values():
            found.setdefault(assets.op.name, group)
    return found


def staged(runs: Sequence[Run], stages: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """Stage -> medians over the runs: wall and CPU seconds, and peak memory."""
    sums: dict[str, list[dict[str, float]]] = defaultdict(list)
    for run in runs:
        own: dict[str, dict[str, float]] = {}
        for row in run.steps:
            known = stages.get(row["step"], REST if " " in row["step"] else "checks")
            stage = own.setdefault(known, {"wall": 0.0, "cpu": 0.0, "peak": 0.0})
            stage["wall"], stage["cpu"], stage["peak"] = (
                stage["wall"] + row["wall"],
                stage["cpu"] + row["cpu"],
                max(stage["peak"], row.get("peak", 0)),
            )
        for name, stage in own.items():
            sums[name].append(stage)
    return {name: {what: statistics.median(row[what] for row in rows) for what in rows[0]} for name, rows in sums.items()}


def whole_table(runs: Mapping[str, Sequence[Run]]) -> str:
    """One row for each of what was measured; ratios are of CPU, which depends least on other load."""
    median = {
        name: {what: statistics.median(getattr(run, what) for run in made) for what in ("wall", "cpu", "peak", "grown")}
        for name, made in runs.items()
    }
    lines = [
        "| | wall s | CPU s | peak memory GB | database grows by MB | CPU / notebook | CPU / polars |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, found in median.items():
        ratios = (found["cpu"] / median[other]["cpu"] if other in median else None for other in ("notebook", "polars"))
        cells = [
            name, f"{found['wall']:.1f}", f"{found['cpu']:.1f}", f"{found['peak'] / 1e9:.2f}" if found["peak"] else "",
            f"{found['grown'] / 1e6:.0f}" if found["grown"] else "", *(f"{ratio:.2f}" if ratio else "" for ratio in ratios),
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def stage_table(runs: Mapping[str, Sequence[Run]], stages: Mapping[str, str]) -> str:
    """One row for each stage: steady without pictures beside the scan, and what pictures and a cold start make of it."""
    found = {name: staged(runs[name], stages) for name in ("steady", "steady with pictures", "cold") if name in runs}
    scans = {row["step"]: row["cpu"] for row in runs["scan"][-1].steps}
    lines = [
        "| stage | steady: wall s | CPU s | peak GB | scan: CPU s | steady / scan | with pictures: CPU s | cold: CPU s |",
        f"|{' --- |' * 8}",
    ]
    for stage, own in found["steady"].items():
        scan, others = (
            scans.get(stage),
            [found[name].get(stage, {}).get("cpu") for name in ("steady with pictures", "cold") if name in found],
        )
        cells = [
            stage,
            f"{own['wall']:.1f}",
            f"{own['cpu']:.1f}",
            f"{own['peak'] / 1e9:.2f}",
            f"{scan:.2f}" if scan else "",
            f"{own['cpu'] / scan:.0f}" if scan else "",
        ]
        lines.append(f"| {' | '.join([*cells, *(f'{cpu:.1f}' if cpu is not None else '' for cpu in others)])} |")
    return "\n".join(lines)


def step_table(run: Run, most: int) -> str:
    """The dearest steps of a run."""
    rows = sorted(run.steps, key=lambda row: -row["cpu"])[:most]
    lines = ["| step | wall s | CPU s | peak GB |", "| --- | --- | --- | --- |"]
    return "\n".join([*lines, *(f"| {row['step']} | {row['wall']:.1f} | {row['cpu']:.1f} | {row['peak'] / 1e9:.2f} |" for row in rows)])


def machine() -> str:
    """The machine and versions, as a sentence."""
    model = next(
        (line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    packages = ("duckdb", "ibis-framework", "pandas", "scikit-learn", "numpy", "polars", "dagster")
    versions = [
        f"{name} {importlib.metadata.version(name)}"
        for name in packages
        if importlib.util.find_spec(name.partition("-")[0].replace("scikit", "sklearn"))
    ]
    return f"{os.cpu_count()} cores ({model}), {memory:.0f} GB, load {os.getloadavg()[0]:.1f} at the end. Python {platform.python_version()}, {', '.join(versions)}."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=12, help="how many of the dearest steps to print")
    parser.add_argument("--only", nargs="*", help="of what can be measured; all by default")
    parser.add_argument("--folder", type=Path, help="a folder for this size and seed; by default in the system's temporary folder")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.gettempdir()) / f"segmentation-bench-{options.customers}-{options.seed}"
    bench = Bench(folder.resolve(), options.customers, options.seed)
    bench.prepare()
    ways = {
        "steady": lambda: bench.steady(False), "scan": bench.scan, "steady with pictures": lambda: bench.steady(True),
        "notebook": lambda: bench.alternative("notebook"), "polars": lambda: bench.alternative("polars"), "cold": bench.cold,
    }  # fmt: skip
    if importlib.util.find_spec("polars") is None:
        del ways["polars"]
        print("Without polars, which is not installed: make bench installs it.", file=sys.stderr)
    wanted = {name: run for name, run in ways.items() if not options.only or name in options.only}
    runs: dict[str, list[Run]] = {name: [] for name in wanted}
    for number in range(options.rounds):  # in turn, so that other load on the machine affects all alike
        for name, run in wanted.items():
            runs[name].append(run())
            print(f"round {number + 1}, {name}: {runs[name][-1].wall:.1f} s, CPU {runs[name][-1].cpu:.1f} s", file=sys.stderr)
    (folder / "results.json").write_text(json.dumps({name: [vars(run) for run in made] for name, made in runs.items()}))
    os.environ["SEGMENTATION_SETTINGS"] = str(bench.shop / "segmentation.yaml")
    print(f"{options.customers:,} customers, {shop.LINES:.0f} order lines each; medians of {options.rounds}. {machine()}\n")
    print(whole_table(runs))
    if {"steady", "scan"} <= runs.keys():
        print(f"\n{stage_table(runs, stage_of_steps())}")
    if "steady" in runs:
        print(f"\n{step_table(runs['steady'][-1], options.steps)}")


if __name__ == "__main__":
    main()
