"""Intake of a CSV of 5 million order lines, compared with the engine's own CSV reader writing the same columns to Parquet.

Each measurement runs in its own process, so that peak memory is its own. Times exclude imports, which take as long for a file
of any size. The two are interleaved, and the best of each is compared. Usage: python benchmarks/intake.py [LINES] [ROUNDS]
"""

import importlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MEASURES = ("seconds", "cpu", "peak")
IMPORTS = {"ours": "segmentation_assets.sources.tables", "engines_own": "duckdb"}
COLUMNS = {"customer": "VARCHAR", "order_no": "VARCHAR", "bought": "TIMESTAMP", "sku": "VARCHAR", "qty": "DOUBLE", "price": "DOUBLE"}


def make(file: Path, lines: int) -> None:
    """Write a shop's export: six columns, ordered by time, prices with two decimals."""
    with file.open("w") as out:
        out.write(",".join(COLUMNS) + "\n")
        for i in range(lines):
            month, day = i * 12 // lines + 1, i % 28 + 1
            out.write(
                f"C{i * 7919 % 200_000:06d},O{i // 3},2023-{month:02d}-{day:02d} "
                f"10:{i % 60:02d}:00,SKU{i % 5000},{i % 5 + 1},{i * 37 % 10_000 / 100:.2f}\n"
            )


def ours(file: Path, folder: Path) -> int:
    """Map, read and store every line, as a snapshot's first run does."""
    from segmentation_assets.settings.source import Tables
    from segmentation_assets.sources.tables import TablesSource

    columns = {
        "customer_id": "customer",
        "order_id": "order_no",
        "ordered_at": "bought",
        "product_id": "sku",
        "quantity": "qty",
        "amount": "qty * price",
    }
    settings = Tables.model_validate({"kind": "tables", "transactions": {"files": str(file), "columns": columns}})
    source = TablesSource(settings, folder / "intake")
    return sum(kept.rows for kept in source.kept("transactions"))


def engines_own(file: Path, folder: Path) -> int:
    """Read with the engine's reader and given types, and write Parquet with the same compression."""
    import duckdb

    relation = duckdb.connect().read_csv(str(file), header=True, dtype=COLUMNS)
    relation.to_parquet(str(folder / "own.parquet"), compression="zstd")
    return duckdb.connect().read_parquet(str(folder / "own.parquet")).shape[0]


def measured(what: str, file: Path) -> dict[str, float]:
    """Time, CPU and peak memory of one of the two in a separate process."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", __file__, "--one", what, str(file)], check=True, capture_output=True, text=True
    )  # ourselves, fixed arguments
    return json.loads(done.stdout.strip().splitlines()[-1])


def main(lines: int, rounds: int) -> None:
    """Print both, interleaved, and the ratio of the best times."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "orders.csv"
        make(file, lines)
        print(f"{lines:,} lines, {file.stat().st_size / 1e6:,.0f} MB")
        best: dict[tuple[str, str], float] = {}
        for _ in range(rounds):
            for what in ("engines_own", "ours"):
                result = measured(what, file)
                print(
                    f"{what:12} {result['seconds']:6.1f} s, {result['cpu']:6.1f} CPU s, peak {result['peak']:,.0f} MB, "
                    f"{result['rows']:,} rows"
                )
                for measure in MEASURES:
                    best[what, measure] = min(best.get((what, measure), 1e9), result[measure])
        for measure in MEASURES:
            print(f"ours / own, the best of each: {best['ours', measure] / best['engines_own', measure]:.2f} {measure}")


if __name__ == "__main__":
    if "--one" in sys.argv:
        name, path = sys.argv[2], Path(sys.argv[3])
        with tempfile.TemporaryDirectory() as scratch:
            importlib.import_module(IMPORTS[name])
            began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
            rows = {"ours": ours, "engines_own": engines_own}[name](path, Path(scratch))
            used = resource.getrusage(resource.RUSAGE_SELF)
            print(
                json.dumps(
                    {
                        "seconds": time.perf_counter() - began,
                        "cpu": used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime,
                        "peak": used.ru_maxrss / 1024,
                        "rows": rows,
                    }
                )
            )
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 5_000_000, int(sys.argv[2]) if len(sys.argv) > 2 else 3)
