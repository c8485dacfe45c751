"""Growth of the data folder with weekly snapshots of a small shop: bytes by folder and CPU seconds, after each snapshot.

Usage: python -m benchmarks.growth [snapshots] [customers]. A line of JSON for each snapshot; docs/data-folder.md has the results.
"""

import csv
import datetime as dt
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path

FIRST = dt.date(2024, 1, 1)
SETTINGS = """data_dir: data
snapshots: {first: 2024-01-01, cadence: weekly}
source:
  kind: tables
  transactions:
    files: orders.csv
    columns: {customer_id: customer, order_id: order, ordered_at: date, amount: amount, category: product}
features: {lookback: 13}
"""


def write_shop(file: Path, customers: int, days: int) -> None:
    """Write the order lines of customers with individual order rates and spend."""
    drawn, rows, order = random.Random(1), [], 0  # noqa: S311  # a made-up shop
    for number in range(customers):
        rate, spend = drawn.choice([3, 7, 14, 30, 60]), drawn.lognormvariate(3, 0.7)
        day = drawn.randint(-90, 30)
        while day < days:
            order += 1
            for _ in range(drawn.randint(1, 3)):
                amount, product = round(spend * drawn.lognormvariate(0, 0.5), 2), drawn.choice(["tea", "milk", "bread", "cheese", "wine"])
                rows.append([f"c{number:03d}", f"o{order}", FIRST + dt.timedelta(days=day), amount, product])
            day += 1 + int(drawn.expovariate(1 / rate))
    with file.open("w", newline="") as opened:
        csv.writer(opened).writerows([["customer", "order", "date", "amount", "product"], *sorted(rows, key=lambda row: row[2])])


def sizes(folder: Path) -> dict[str, int]:
    """Bytes of each part of the data folder."""
    return {
        part.name: sum(f.stat().st_size for f in ([part] if part.is_file() else part.rglob("*")) if f.is_file())
        for part in folder.iterdir()
    }


def main(snapshots: int = 60, customers: int = 80) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "segmentation.yaml").write_text(SETTINGS)
        write_shop(folder / "orders.csv", customers, 7 * snapshots)
        os.environ["SEGMENTATION_SETTINGS"] = str(folder / "segmentation.yaml")
        from segmentation_assets.cli import runs
        from segmentation_assets.defs.instance import instance_of_command, prepare_instance
        from segmentation_assets.settings.loading import load_settings

        settings = load_settings()
        prepare_instance(settings)
        for key in runs.existing_keys(settings)[:snapshots]:
            began = time.process_time()
            with instance_of_command() as instance:
                runs.run_partition(settings, "snapshot", key, instance, lambda *_: None)
            print(json.dumps({"snapshot": key, "cpu": round(time.process_time() - began, 1), **sizes(settings.data_dir)}), flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
