"""Describes a segment: its character, a unique name, and a sentence on what marks it out.

The character depends on the rank of the segment's typical customer among active customers (shares of customers who are
less recent, less frequent, of less value), so that it means the same in any currency and for any shop.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from segmentation_assets.core.customers.feature_catalog import FEATURES, RECENCY, Feature
from segmentation_assets.vocabulary import Character, Status, counted

LAPSED, PROSPECT, RETURNED, NOISE = -1, -2, -3, 0
RULE_SEGMENTS = {
    LAPSED: ("Lapsed", Character.LAPSED), PROSPECT: ("Prospects", Character.PROSPECT), RETURNED: ("Returns only", Character.RETURNED),
    NOISE: ("Unassigned", Character.STEADY),
}  # fmt: skip
BY_STATUS = {Status.LAPSED: LAPSED, Status.RETURNED: RETURNED, Status.PROSPECT: PROSPECT}

NAMES = {
    Character.CHAMPIONS: "Champions",
    Character.LOYAL: "Loyal regulars",
    Character.BIG_BASKETS: "Big baskets",
    Character.NEW: "New customers",
    Character.PROMISING: "Promising",
    Character.STEADY: "Steady shoppers",
    Character.SLIPPING: "Slipping away",
    Character.AT_RISK: "At risk",
    Character.DORMANT: "Dormant",
    Character.OCCASIONAL: "Occasional shoppers",
}

LEAST_MARK = 0.25  # standard deviations from the average customer from which a feature marks a segment out
LEAST_KNOWN = 0.5  # share of a segment's customers with a value; with fewer, a feature does not describe the typical one


@dataclass(frozen=True)
class Standing:
    """Rank of a segment's median customer among active customers: shares in [0, 1], high is good."""

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


def character(at: Standing) -> Character:
    """The kind of customers with this standing, by the first rule that holds."""
    rules = (
        (at.recency >= 0.6 and at.frequency >= 0.75 and at.monetary >= 0.75, Character.CHAMPIONS),
        (at.recency < 0.25 and at.frequency >= 0.45, Character.AT_RISK),
        (at.recency < 0.25 and at.frequency < 0.25, Character.DORMANT),
        (at.recency < 0.4, Character.SLIPPING),
        (at.tenure < 0.2 and at.recency >= 0.5, Character.NEW),
        (at.frequency >= 0.55, Character.LOYAL),
        (at.monetary >= 0.6, Character.BIG_BASKETS),
        (at.frequency < 0.35 and at.recency >= 0.55, Character.PROMISING),
        (at.frequency < 0.35, Character.OCCASIONAL),
    )
    return next((name for holds, name in rules if holds), Character.STEADY)


def unique_names(characters: Sequence[Character], monetary: list[float], taken: Mapping[str, float]) -> list[str]:
    """A name for each segment, from its character; segments of the same character are distinguished by spend.

    Args:
        characters, monetary: character and median spend of each segment, in the same order.
        taken: names already used, which are not given again, with the median spend of the segment (NaN if no segment has the name now).
    """
    names = [""] * len(characters)
    used = set(taken)
    for kind in dict.fromkeys(characters):
        alike = sorted((i for i, c in enumerate(characters) if c == kind), key=lambda i: -monetary[i])
        words = {1: [""], 2: [", higher spend", ", lower spend"], 3: [", higher spend", ", medium spend", ", lower spend"]}
        suffixes = words.get(len(alike)) or [f", spend rank {place + 1}" for place in range(len(alike))]
        for i, suffix in zip(alike, suffixes, strict=True):
            name, attempt = NAMES[kind] + suffix, 2
            if not suffix and np.isfinite(taken.get(name, np.nan)):  # distinguished from the segment that already has the name
                suffix = ", higher spend" if monetary[i] > taken[name] else ", lower spend"
                name += suffix
            while name in used:
                name, attempt = f"{NAMES[kind]}{suffix} ({attempt})", attempt + 1
            names[i] = name
            used.add(name)
    return names


def description(segment: pd.DataFrame, population: pd.DataFrame, segment_id: int, declared: Sequence[Feature] = FEATURES) -> str:
    """One sentence on who the customers are and what marks them out among all active customers.

    Args:
        segment, population: rows of customer_features; declared: its features, with words for high and low values.
    """
    if segment_id == PROSPECT:
        return "Known, for instance from demographics or a campaign, but never bought."
    if segment_id == RETURNED:
        return "Returned everything they ever ordered, or have returns but no orders."
    if segment_id == LAPSED:
        days = segment["recency_days"].median()
        since = "" if pd.isna(days) else f"; half of them more than {counted(round(days), 'day')} ago"
        return f"Bought before, but not within the lookback{since}."
    if segment.empty:
        return "No customers at this snapshot."
    typical = segment[["frequency", "monetary", "recency_days"]].median()
    sentence = (
        f"Typically {counted(round(typical['frequency']), 'order')} worth {typical['monetary']:,.0f} within the lookback, "
        f"the last one {_days_ago(typical['recency_days'])}"
    )
    marks = marked_out_by(segment, population, declared)
    return (
        f"{sentence}; against the average customer, the typical one {listed(marks)}."
        if marks
        else f"{sentence}; close to the average customer."
    )


def marked_out_by(segment: pd.DataFrame, population: pd.DataFrame, declared: Sequence[Feature], top: int = 3) -> list[str]:
    """In words, the features whose segment mean is furthest from the population's; they complete "this customer ...".

    Only one feature per group, because features of a group say much the same; recency, frequency and monetary value each count as a group.
    """
    z = z_scores(segment, population)
    far = [f for f in declared if abs(z.get(f.name, 0.0)) >= LEAST_MARK and segment[f.name].notna().mean() >= LEAST_KNOWN]
    furthest = sorted(far, key=lambda f: -round(abs(z[f.name]), 9))  # ties go to the feature declared first
    of_group = {feature.name if feature.group == RECENCY else feature.group: feature for feature in reversed(furthest)}
    marks = [feature for feature in furthest if feature in of_group.values()][:top]
    return [f"{feature.high if z[feature.name] > 0 else feature.low} ({z[feature.name]:+.1f} sd)" for feature in marks]


def z_scores(segment: pd.DataFrame, population: pd.DataFrame) -> pd.Series:
    """(segment mean - population mean) / population standard deviation, per numeric feature; NaN if constant."""
    numeric = population.select_dtypes("number").columns
    sd = population[numeric].std(ddof=0)
    return (segment[numeric].mean() - population[numeric].mean()) / sd.where(sd > 1e-12 * population[numeric].abs().max(), np.nan)


def _days_ago(days: float) -> str:
    if pd.isna(days):
        return "at an unknown time"
    return "today" if days < 0.5 else f"{counted(max(1, round(days)), 'day')} ago"


def listed(words: Sequence[str]) -> str:
    """The words as a list in prose: `a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
