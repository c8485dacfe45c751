"""The command line of benchmarks that simulate shops of several kinds, a seed each."""

import argparse
from collections.abc import Sequence
from pathlib import Path


def of_shops(
    description: str | None, what: Sequence[str], kinds: Sequence[str], seeds: tuple[int, int], base: int, about_seeds: str = ""
) -> argparse.Namespace:
    """What the user asked for; `kinds`, `seeds` (first, and last plus one) and `base` are the defaults."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("what", choices=what)
    parser.add_argument("files", nargs="+", type=Path, help="the file to write, or the files to read for `table`")
    parser.add_argument("--kinds", nargs="+", default=list(kinds))
    parser.add_argument("--seeds", nargs=2, type=int, default=seeds, help=about_seeds)
    parser.add_argument("--base", type=int, default=base)
    parser.add_argument("--customers", type=int, default=800)
    return parser.parse_args()
