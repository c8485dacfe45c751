"""Words that tables, settings and sentences share, each defined once; and numbers in sentences.

The words are `StrEnum`s: their values are the texts in the tables.
"""

from enum import StrEnum

MONEY = "currency units"  # if no currency is set


class Status(StrEnum):
    """What a customer has done by a snapshot: column `status` of `customer_features`."""

    ACTIVE = "active"
    LAPSED = "lapsed"
    RETURNED = "returned"
    PROSPECT = "prospect"


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


class DriftKind(StrEnum):
    """What is compared with training."""

    FEATURE = "feature"
    SEGMENT_MIX = "segment_mix"
    DISTANCE = "distance"
    JOINT = "joint"


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
    LAPSED = "lapsed"
    RETURNED = "returned"
    PROSPECT = "prospect"


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


def beside(value: float, limit: float, digits: int) -> str:
    """`value` with at least so many digits, and as many as show on which side of `limit` it lies.

    >>> beside(0.6, 0.6, 2), beside(0.5996, 0.6, 2), beside(12.34, 1, 1)
    ('0.60', '0.5996', '12.3')
    """
    while digits < 9 and (round(value, digits) >= limit) != (value >= limit):
        digits += 1
    return f"{value:.{digits}f}"
