"""Numbers for Dagster's page, which shows them and plots them over snapshots."""

import math
from collections.abc import Mapping

DIGITS = 4


def figures(numbers: Mapping[str, float]) -> dict[str, float | int]:
    """The finite numbers, rounded to four significant digits, or to whole numbers from 10,000 on; whole ones as integers.

    >>> figures({"share": 0.30856149, "customers": 2398.0, "spend": 378.7230691, "gain": float("nan")})
    {'share': 0.3086, 'customers': 2398, 'spend': 378.7}
    """
    return {name: int(value) if float(value).is_integer() else _rounded(value) for name, value in numbers.items() if math.isfinite(value)}


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}") if abs(value) < 10**DIGITS else round(value)
