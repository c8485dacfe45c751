"""Words that tables, settings and sentences share, each defined once; and numbers in sentences.

The words are `StrEnum`s: their values are the texts in the tables.
"""

import math
import re
from decimal import Decimal
from enum import StrEnum
from typing import Literal

COUNT_OF_CUSTOMERS = re.compile(r"(?<![\d.,])(\d[\d,]*) (?:new |active )?customers?\b(?: \([^()]*%\))?")
MONEY = "currency units"  # if no currency is set
WITHOUT_ORDERS = (
    "The source has no orders, so nothing is said of recency, frequency, revenue, seasonality, cohorts or what customers do next, and "
    "segments are compared with no grid of these."
)


class Status(StrEnum):
    """What a customer has done by a snapshot: column `status` of `customer_features`."""

    ACTIVE = "active"
    LAPSED = "lapsed"
    RETURNED = "returned"
    PROSPECT = "prospect"
    FORMER = "former"


class Tier(StrEnum):
    """How a model was chosen."""

    DISTINCT = "distinct"
    CONVENIENT = "convenient"
    GRID = "grid"


class Decision(StrEnum):
    """What became of a model at a snapshot."""

    TRAINED = "trained"
    CARRIED = "carried forward"
    PROMOTED = "promoted"
    REFUSED = "refused"
    ROLLED_BACK = "rolled back"


class Baseline(StrEnum):
    """What segments are compared with: groups that quantiles or chance make without a model. A part of the names of
    `evaluation_metrics`."""

    MONEY = "money_quintiles"
    FREQUENCY_MONETARY = "frequency_monetary_grid"
    RECENCY_FREQUENCY_MONETARY = "recency_frequency_monetary_grid"
    RECENCY_FREQUENCY = "recency_frequency_grid"
    COLUMN = "best_single_column"
    RANDOM = "random_cut"


BASELINE_WORDS = {
    Baseline.MONEY: "five quintiles of money alone",
    Baseline.FREQUENCY_MONETARY: "a frequency x monetary grid of as many groups",
    Baseline.RECENCY_FREQUENCY_MONETARY: "a recency x frequency x monetary grid of as many groups",
    Baseline.RECENCY_FREQUENCY: "the recency x frequency grid of ten names",
    Baseline.COLUMN: "one column alone, cut into as many groups",
    Baseline.RANDOM: "chance, in groups of the same sizes",
}
OF_ATTRIBUTES = (Baseline.COLUMN, Baseline.RANDOM)
OF_SPEND = tuple(baseline for baseline in Baseline if baseline not in OF_ATTRIBUTES)


class Measure(StrEnum):
    """What an action may change: money spent per customer, net of returns, or the share of customers who ordered."""

    SPEND = "spend"
    ORDERED = "ordered"


class Likeness(StrEnum):
    """Whose last window says how much the customers of an action differ: column `basis` of `action_power`."""

    ACTION = "customers of the same action at the previous snapshot"
    SEGMENTS = "customers of the same segments at the previous snapshot"


class SegmentChange(StrEnum):
    """What became of a segment when another model came into force (MONIC: Spiliopoulou et al. 2006; and rollbacks)."""

    BORN = "born"
    SURVIVED = "survived"
    SPLIT = "split"
    MERGED = "merged"
    DIED = "died"
    RESTORED = "restored"
    CHARACTER = "changed character"
    RENAMED = "renamed"


class Move(StrEnum):
    """How a customer changed segment: column `change` of `segment_changes`."""

    MOVED = "moved"
    ENTERED = "entered"
    LEFT = "left"


class MoveCause(StrEnum):
    """Why: what the customer did, another model, both, or another condition of an own segment."""

    BEHAVIOUR = "behaviour"
    MODEL = "model"
    BOTH = "both"
    DEFINITION = "definition"


class DriftKind(StrEnum):
    """What is compared with training."""

    FEATURE = "feature"
    SEGMENT_MIX = "segment_mix"
    DISTANCE = "distance"
    JOINT = "joint"


class DriftTest(StrEnum):
    """How a subject is tested: by the customers who are in both snapshots, or as if the two were independent draws."""

    PAIRED = "paired"
    INDEPENDENT = "independent"


class Character(StrEnum):
    """What kind of customers a segment holds; the playbook has an action for each."""

    CHAMPIONS = "champions"
    LOYAL = "loyal"
    BIG_BASKETS = "big_baskets"
    NEW = "new"
    PROMISING = "promising"
    STEADY = "steady"
    SLIPPING = "slipping"
    AT_RISK = "at_risk"
    DORMANT = "dormant"
    OCCASIONAL = "occasional"
    PAUSING = "pausing"
    RECENT = "recent"
    QUIET = "quiet"
    DESCRIBED = "described"
    LAPSED = "lapsed"
    RETURNED = "returned"
    PROSPECT = "prospect"
    FORMER = "former"


class Role(StrEnum):
    """What an action does with a customer it is for: column `role` of `audience_members`."""

    TREATED = "treated"
    HOLDOUT = "holdout"
    SUPPRESSED = "suppressed"


class Reason(StrEnum):
    """Why a customer is not contacted: column `reason` of `audience_members`."""

    OPTED_OUT = "opted out"
    NO_CONSENT = "no consent"
    SUPPRESSION_LIST = "suppression list"
    CONTACT_CAP = "contact cap"
    BEYOND_LIMIT = "beyond budget or limit"
    ACTION_HOLDOUT = "holdout of the action"
    UNIVERSAL_CONTROL = "universal control"


class Change(StrEnum):
    """What a delivery did with a customer: column `change` of deliveries."""

    ADDED = "added"
    REMOVED = "removed"


class Verdict(StrEnum):
    """Whether a source delivered as usual: column `verdict` of `source_volume`."""

    AS_USUAL = "as usual"
    EMPTY = "empty"
    LOW = "low"
    ENDS_EARLY = "ends early"
    NOT_MEASURED = "not measured"


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun; `plural` if the plural is irregular.

    >>> counted(1, "segment"), counted(1000, "segment"), counted(2, "row is", "rows are")
    ('1 segment', '1,000 segments', '2 rows are')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def without_few(text: str, smallest: int) -> str:
    """The text with numbers of fewer customers than `smallest`, as `counted` writes them, and their shares replaced.

    >>> without_few("A has 1 customer (0.4%), B 12 customers, C 1,003 customers.", 5)
    'A has fewer than 5 customers, B 12 customers, C 1,003 customers.'
    """

    def told(found: re.Match[str]) -> str:
        return fewer_than(smallest) if 0 < int(found[1].replace(",", "")) < smallest else found[0]

    return COUNT_OF_CUSTOMERS.sub(told, text)


def fewer_than(smallest: int) -> str:
    """What stands for a figure of fewer customers than may be shown.

    >>> fewer_than(5)
    'fewer than 5 customers'
    """
    return f"fewer than {smallest} customers"


def beside(value: float, limit: float, digits: int, style: Literal["f", "g", "%"] = "f") -> str:
    """`value` with at least so many digits, and as many as show that it lies above, on or below `limit`.

    >>> beside(0.6, 0.6, 2), beside(0.5996, 0.6, 2), beside(12.34, 1, 1), beside(0.0499, 0.05, 1, "%"), beside(0.0501, 0.05, 2, "g")
    ('0.60', '0.5996', '12.3', '4.99%', '0.0501')
    """
    text = f"{value:.{digits}{style}}"
    if not math.isfinite(value) or _side(_read(text), limit) == _side(Decimal(str(float(value))), limit):
        return text
    return beside(value, limit, digits + 1, style)


def points(share: float) -> float:
    """A share of variance in points, in which a setting such as 0.07 is 7 exactly.

    >>> points(0.07), 100 * 0.07
    (7.0, 7.000000000000001)
    """
    return round(100 * share, 9)


def _read(text: str) -> Decimal:
    return Decimal(text.removesuffix("%")) / (100 if text.endswith("%") else 1)


def _side(value: Decimal, limit: float) -> int:
    exact = Decimal(str(float(limit)))
    return (value > exact) - (value < exact)
