"""Time to choose a model for a million customers: `python -m benchmarks.million [customers]`.

Prints wall and CPU seconds of the choice with default settings, k from 2 to 10, and the wall time of labelling all customers.
"""

import sys
import time

import numpy as np

from benchmarks.populations import rfm_like
from segmentation_assets.core.choice.selection import PastSnapshot, choose
from segmentation_assets.settings.model import ModelSettings


def main(customers: int) -> None:
    population = rfm_like(customers, np.random.default_rng(20_261_124))
    outcome = np.log1p(population.features["monetary"].to_numpy() / 12)
    wall, processor = time.perf_counter(), time.process_time()
    selection = choose(population.features, ModelSettings(seed=0), past=PastSnapshot(population.features, outcome))
    print(f"choice for {customers:,}: {time.perf_counter() - wall:.1f} s, {time.process_time() - processor:.1f} s of processor")
    print(f"{len(selection.candidates)} candidates; {selection.reason}")
    if selection.model is not None:
        wall = time.perf_counter()
        selection.model.assign(population.features)
        print(f"labelling {customers:,}: {time.perf_counter() - wall:.1f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
