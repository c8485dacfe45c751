"""The cleaning rules that a first settings file proposes, each with its reason from the data."""

import math
import re
from collections.abc import Sequence

from segmentation_assets.settings.cleaning import Cleaning
from segmentation_assets.sources.file_profile import FileProfile
from segmentation_assets.sources.yaml_text import quoted, shown

MARGIN = 0.02  # over the share that was seen
STEP = 0.05
SOME = 3  # names that are shown


def cleaning(orders: Sequence[FileProfile]) -> list[str]:
    """The section `cleaning`."""
    return ["cleaning:", *_duplicates(orders), *_cancellations(orders), *_no_products(orders), *_rejects(orders)]


def _duplicates(orders: Sequence[FileProfile]) -> list[str]:
    seen = []
    for one in orders:
        for group in one.shared.equal:
            seen.append(f"  # {shown(' and '.join(group[:SOME]))} are equal: remove all but one of them.")
        if one.shared.orders:
            seen.append(f"  # {one.shared.orders:,} orders of {shown(one.name)} are in more than one file: do the exports overlap?")
    if seen:
        return [
            *seen,
            "  exact_duplicates: drop        # sets aside lines that are equal in every mapped column, so that none counts twice",
        ]
    return ["  exact_duplicates: keep        # drop: set aside lines that are equal in every mapped column"]


def _cancellations(orders: Sequence[FileProfile]) -> list[str]:
    patterns = list(dict.fromkeys(one.signs.cancellations for one in orders if one.signs.cancellations))
    if not patterns:
        return []
    pattern = patterns[0] if len(patterns) == 1 else f"({'|'.join(patterns)})"
    return [f"  cancellation_pattern: {quoted(pattern)}    # guessed: orders whose id begins like this are returns"]


def _no_products(orders: Sequence[FileProfile]) -> list[str]:
    codes = list(dict.fromkeys(code for one in orders for code in one.signs.no_products))
    perhaps = [code for one in orders for code in one.signs.perhaps if code not in codes]
    lines = []
    if codes:
        lines += ["  product_exclusions:           # guessed: not products, because their codes have no digit; remove real products"]
        lines += [f"    - {quoted(_exactly(code))}" for code in codes]
    if perhaps:
        lines.append(f"  # probably products, though without a digit: {shown(', '.join(dict.fromkeys(perhaps)))}")
    return lines


def _exactly(code: str) -> str:
    """A regular expression for this code and no other."""
    return "^" + re.sub(r"([^\w ])", r"\\\1", code) + "$"


def _rejects(orders: Sequence[FileProfile]) -> list[str]:
    """A limit for the share of rows set aside, above the share expected from the data."""
    default = float(Cleaning.model_fields["largest_reject_share"].default)
    lines = []
    for one in orders:
        signs = one.signs
        if signs.without_customer and "customer_id" in one.found:
            share = f"{signs.without_customer:,} of {signs.rows:,} rows ({signs.without_customer / signs.rows:.1%})"
            lines.append(f"  # {share} of {shown(one.name)} have no customer id, and are set aside")
    worst = max((one.signs.set_aside + one.shared.surplus for one in orders), default=0.0)
    if worst > default - MARGIN:
        limit = min(1.0, math.ceil(round((worst + MARGIN) / STEP, 6)) * STEP)
        lines.append(
            f"  largest_reject_share: {limit:.2f}    # in one month {worst:.1%} of the rows will be set aside; {default} would stop it"
        )
    return lines
