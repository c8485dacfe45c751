"""The order of an attribute's levels: as the settings have it, or as their numbers say, such as "Under 15K", "15-24K" and "250K+".

Belongs here: what the labels of levels tell. Which levels an attribute has is counted in `exploration` and `segments.portraits`.
"""

import itertools
import re
from collections.abc import Collection, Mapping, Sequence

import pandas as pd

LEVEL_ORDER = "level_order"
MISSING_LEVEL = "(missing)"
SCALES = (
    ("xxxs", "xxs", "xs", "s", "m", "l", "xl", "xxl", "xxxl"),
    ("small", "medium", "large"),
    ("low", "medium", "high"),
)  # fmt: skip
LEAST_OF_SCALE = 3  # levels; S and M alone may be single and married
UNITS = {"": 1.0, "k": 1e3, "m": 1e6}
BELOW = (
    r"under|less than|below|up to|at most|<=?|≤|unter|weniger als|bis(?: zu)?|höchstens|moins de|jusqu'à|menos de|hasta|meno di|fino a|"
    r"minder dan|tot"
)
ABOVE = r"over|more than|above|at least|from|>=?|≥|über|mehr als|ab|mindestens|plus de|más de|desde|più di|oltre|meer dan|vanaf"
OR_BELOW = r"(?:and|or|und|oder) (?:under|less|below|younger|weniger|darunter|jünger)"
OR_ABOVE = r"\+|(?:and|or|und|oder) (?:over|more|above|older|up|mehr|darüber|älter)|et plus|ou plus|o más|y más|e oltre|en meer"
GROUPED = r"\d{{1,3}}(?:[{group}'\s]\d{{3}})+(?!\d)"
POINT, COMMA = (rf"(?:{GROUPED.format(group=group)}|\d+)(?:\{mark}\d+)?" for mark, group in (".,", ",."))
"""A number with a decimal point, and with a decimal comma."""
Interval = tuple[float, float]


def level_orders(levels: Collection[str], declared: Sequence[str] = ()) -> dict[str, int]:
    """The place of each level among those of its attribute, from 1; none has one if no order is known.

    An order is read from the labels only if every level has one: its number or bracket, and brackets do not overlap. A level that the
    declared order lacks has no place, nor has MISSING_LEVEL.

    >>> level_orders(["15-24K", "Under 15K", "250K+", "100-124K", "(missing)"])
    {'Under 15K': 1, '15-24K': 2, '100-124K': 3, '250K+': 4}
    >>> level_orders(["M", "XL", "S"]), level_orders(["rent", "own"]), level_orders(["rent", "own"], ["rent", "own"])
    ({'S': 1, 'M': 2, 'XL': 3}, {}, {'rent': 1, 'own': 2})
    """
    known = [level for level in levels if level != MISSING_LEVEL]
    ordered = [level for level in declared if level in known] or _on_a_scale(known) or _by_numbers(known)
    return {level: place for place, level in enumerate(ordered, start=1)}


def with_level_order(rows: pd.DataFrame, orders: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """The rows of attributes and levels with the place of each level; `orders`: by attribute, the order that is declared."""
    places: dict[tuple[str, str], int] = {}
    for attribute, levels in rows.groupby("attribute")["level"].unique().items():
        found = level_orders(list(levels), orders.get(str(attribute), ()))
        places |= {(str(attribute), level): place for level, place in found.items()}
    keys = zip(rows["attribute"], rows["level"], strict=True)
    return rows.assign(**{LEVEL_ORDER: pd.array([places.get(key) for key in keys], dtype="Int64")})


def _on_a_scale(levels: Sequence[str]) -> list[str]:
    plain = {level.strip().lower(): level for level in levels}
    scale = next((scale for scale in SCALES if len(plain) >= LEAST_OF_SCALE and plain.keys() <= set(scale)), ())
    return [plain[step] for step in scale if step in plain] if len(plain) == len(levels) else []


def _by_numbers(levels: Sequence[str]) -> list[str]:
    """The levels by their brackets; none if a decimal point and a decimal comma would give different orders."""
    found = [ordered for number in (POINT, COMMA) if (ordered := _by_brackets(levels, number))]
    return found[0] if found and all(ordered == found[0] for ordered in found) else []


def _by_brackets(levels: Sequence[str], number: str) -> list[str]:
    read = [_bracket(level, number) for level in levels]
    brackets = {level: found[0] for level, found in zip(levels, read, strict=True) if found}
    about = {found[1] for found in read if found} - {""}  # 3 and 3 kids are of the same thing, 3 kids and 3 years are not
    if len(brackets) < len(levels) or len(about) > 1 or len(set(brackets.values())) < len(brackets):
        return []
    ordered = sorted(levels, key=lambda level: brackets[level])
    apart = all(brackets[low][1] <= brackets[high][0] for low, high in itertools.pairwise(ordered))
    return ordered if apart else []


def _bracket(level: str, number: str) -> tuple[Interval, str] | None:
    """From where to where the level reaches, and what its number is of; None if it is no bracket.

    >>> _bracket("Under 15K", POINT), _bracket("2 Adults", POINT), _bracket("1.000 bis 1.999", COMMA), _bracket("north", POINT)
    (((-inf, 15000.0), ''), ((2.0, 2.0), 'adult'), ((1000.0, 1999.0), ''), None)
    """
    text = " ".join(re.sub(r"[$€£¥]", " ", level.lower()).split())
    low, high = (rf"(?P<{end}>(?:(?<!\S)-)?{number})(?:\s?(?P<{end}_unit>[km])(?![^\W\d]))?" for end in ("low", "high"))
    shape = rf"(?P<before>\D*?){low}(?:\s?(?:[-\u2013\u2014]|to|bis|à|tot)\s?{high})?\s?(?P<after>\D*)"
    if (found := re.fullmatch(shape, text)) is None:
        return None
    before, below = _without(found["before"], BELOW)
    before, above = _without(before, ABOVE)
    after, or_below = _without(found["after"], OR_BELOW)
    after, or_above = _without(after, OR_ABOVE)
    is_range = found["high"] is not None
    start = _value(found["low"], number) * UNITS[found["low_unit"] or found["high_unit"] or ""]  # 15-24K is in thousands
    end = _value(found["high"], number) * UNITS[found["high_unit"] or ""] if is_range else start
    opens_down, opens_up = below or or_below, (above or or_above) and not is_range
    if start > end or (opens_down and (opens_up or is_range)):
        return None
    return (float("-inf") if opens_down else start, float("inf") if opens_up else end), f"{before} {after}".strip().removesuffix("s")


def _without(text: str, words: str) -> tuple[str, bool]:
    """The text without these words, and whether it had them."""
    left = re.sub(rf"(?<!\w)(?:{words})(?!\w)", " ", text)
    return " ".join(left.split()), left != text


def _value(text: str, number: str) -> float:
    mark = "." if number == POINT else ","
    return float(re.sub(rf"[^-\d{re.escape(mark)}]", "", text).replace(mark, "."))
