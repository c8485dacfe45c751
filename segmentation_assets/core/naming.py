"""Who a segment is: its character, a unique name, and the sentence that says what marks it out.

A character is read from where the segment's typical customer stands among the active customers (shares of customers who
are less recent, less frequent, of less value), so that it means the same in any currency and for any shop.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

LAPSED, PROSPECT, NOISE = -1, -2, 0
RULE_SEGMENTS = {LAPSED: ("Lapsed", "lapsed"), PROSPECT: ("Prospects", "prospect"), NOISE: ("Unassigned", "steady")}

NAMES = {
    "champions": "Champions", "loyal": "Loyal regulars", "big_baskets": "Big baskets", "new": "New customers",
    "promising": "Promising", "steady": "Steady shoppers", "slipping": "Slipping away", "at_risk": "At risk",
    "dormant": "Dormant", "occasional": "Occasional shoppers",
}  # fmt: skip

# What more and less of a feature mean to a marketer.
PHRASES = {
    "recency_days": ("longer since the last order", "a more recent last order"),
    "frequency": ("more orders", "fewer orders"),
    "monetary": ("more spend", "less spend"),
    "tenure_days": ("longer with us", "newer to us"),
    "average_order_value": ("larger orders", "smaller orders"),
    "items_per_order": ("more items per order", "fewer items per order"),
    "discount_share": ("more bought at a discount", "less bought at a discount"),
    "coupon_order_share": ("more orders with a coupon", "fewer orders with a coupon"),
    "return_share": ("more returns", "fewer returns"),
    "weekend_share": ("more weekend shopping", "less weekend shopping"),
    "active_window_share": ("more regular orders", "less regular orders"),
    "categories": ("a wider choice of categories", "a narrower choice of categories"),
    "top_category_share": ("more spend in one category", "spend spread over categories"),
}


@dataclass(frozen=True)
class Standing:
    """Where a segment's median customer stands among active customers: shares in [0, 1], high is good."""

    recency: float
    frequency: float
    monetary: float
    tenure: float


def standing(segment: pd.DataFrame, active: pd.DataFrame) -> Standing:
    """Mid-rank of the segment's medians among all active customers (rows of customer_features)."""

    def share(feature: str, sign: int) -> float:
        values, typical = sign * active[feature].dropna(), sign * segment[feature].median()
        return float(((values < typical).sum() + (values == typical).sum() / 2) / max(len(values), 1))

    return Standing(share("recency_days", -1), share("frequency", 1), share("monetary", 1), share("tenure_days", 1))


def character(at: Standing) -> str:
    """What kind of customers stand there; the first rule that holds."""
    rules = (
        (at.recency >= 0.6 and at.frequency >= 0.75 and at.monetary >= 0.75, "champions"),
        (at.recency < 0.25 and at.frequency >= 0.45, "at_risk"),
        (at.recency < 0.25 and at.frequency < 0.25, "dormant"),
        (at.recency < 0.4, "slipping"),
        (at.tenure < 0.2 and at.recency >= 0.5, "new"),
        (at.frequency >= 0.55, "loyal"),
        (at.monetary >= 0.6, "big_baskets"),
        (at.frequency < 0.35 and at.recency >= 0.55, "promising"),
        (at.frequency < 0.35, "occasional"),
    )
    return next((name for holds, name in rules if holds), "steady")


def unique_names(characters: list[str], monetary: list[float], taken: set[str]) -> list[str]:
    """A name for each segment, from its character; of several alike, told apart by spend, highest first.

    Args:
        characters, monetary: character and median spend of each segment, in the same order.
        taken: names already in use, which are not given again.
    """
    names = [""] * len(characters)
    used = set(taken)
    for kind in dict.fromkeys(characters):
        alike = sorted((i for i, c in enumerate(characters) if c == kind), key=lambda i: -monetary[i])
        words = {1: [""], 2: [", higher spend", ", lower spend"], 3: [", higher spend", ", medium spend", ", lower spend"]}
        suffixes = words.get(len(alike)) or [f", spend rank {place + 1}" for place in range(len(alike))]
        for i, suffix in zip(alike, suffixes, strict=True):
            name, attempt = NAMES[kind] + suffix, 2
            while name in used:
                name, attempt = f"{NAMES[kind]}{suffix} ({attempt})", attempt + 1
            names[i] = name
            used.add(name)
    return names


def description(segment: pd.DataFrame, population: pd.DataFrame, segment_id: int, top: int = 3) -> str:
    """One sentence on who the customers are and what marks them out against all active customers."""
    if segment_id == PROSPECT:
        return "Known, for instance from demographics or a campaign, but never bought."
    if segment_id == LAPSED:
        since = f"; half of them more than {segment['recency_days'].median():,.0f} days ago" if len(segment) else ""
        return f"Bought before, but not within the lookback{since}."
    if segment.empty:
        return "No customers at this snapshot."
    typical = segment[["frequency", "monetary", "recency_days"]].median()
    orders = "order" if round(typical["frequency"]) == 1 else "orders"
    sentence = (
        f"Typically {typical['frequency']:,.0f} {orders} worth {typical['monetary']:,.0f} within the lookback, "
        f"the last one {_days_ago(typical['recency_days'])}"
    )
    marks = marked_out_by(segment, population, top)
    return f"{sentence}; marked out by {listed(marks)}." if marks else f"{sentence}; close to the average customer."


def marked_out_by(segment: pd.DataFrame, population: pd.DataFrame, top: int = 3) -> list[str]:
    """The features in which the segment's mean lies furthest from the population's, in words; at least 0.25 sd away."""
    z = z_scores(segment, population).reindex(list(PHRASES)).dropna()
    furthest = z[z.abs() >= 0.25].abs().sort_values(ascending=False, kind="stable").index[:top]
    return [f"{PHRASES[str(f)][0 if z[f] > 0 else 1]} ({z[f]:+.1f} sd)" for f in furthest]


def z_scores(segment: pd.DataFrame, population: pd.DataFrame) -> pd.Series:
    """(segment mean - population mean) / population standard deviation, per numeric feature; NaN where constant."""
    numeric = population.select_dtypes("number").columns
    sd = population[numeric].std(ddof=0)
    return (segment[numeric].mean() - population[numeric].mean()) / sd.where(sd > 1e-12 * population[numeric].abs().max(), np.nan)


def _days_ago(days: float) -> str:
    return "today" if days < 0.5 else "1 day ago" if days < 1.5 else f"{days:,.0f} days ago"


def listed(words: Sequence[str]) -> str:
    """Words as a person lists them: `a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
